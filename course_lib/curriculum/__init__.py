"""The order in which a net meets its cases, and the pixels it learns from.

``Pacing`` says how many cases an epoch may draw from (``pacing.py``), ``Scores`` how hard each
one is (``scores.py``; made in ``difficulty.py``), ``CurriculumSampler`` draws the epochs
(``sampler.py``; with ``Rescoring`` its scores follow the net), and ``training.fit`` takes it as its
``sampler``. Inside images, ``RegionStep`` leaves hard pixels for later (``regions.py``).
``TruncatedLoss`` is the control for wrong masks.
"""

from course_lib.curriculum import difficulty, regions
from course_lib.curriculum.pacing import Pacing
from course_lib.curriculum.regions import RegionStep
from course_lib.curriculum.rescoring import Rescoring
from course_lib.curriculum.sampler import CurriculumSampler
from course_lib.curriculum.scores import Scores
from course_lib.curriculum.truncation import TruncatedLoss

__all__ = [
    "CurriculumSampler",
    "Pacing",
    "RegionStep",
    "Rescoring",
    "Scores",
    "TruncatedLoss",
    "difficulty",
    "regions",
]
