"""The order in which a net meets its cases: difficulty, pacing, and the sampler that joins them.

``Pacing`` says how many cases an epoch may draw from (``pacing.py``), ``Scores`` how hard each
one is (``scores.py``), ``CurriculumSampler`` draws the epochs (``sampler.py``).
"""

from course_lib.curriculum.pacing import Pacing
from course_lib.curriculum.sampler import CurriculumSampler
from course_lib.curriculum.scores import Scores

__all__ = ["CurriculumSampler", "Pacing", "Scores"]
