"""Figures of the course; every function returns ``(fig, alt)`` for ``figures.show(*...)``.

Masks are ``(H, W)``, any label above 0 counts as object. Images are uint8 ``(H, W)``,
``(H, W, 3)`` or ``(C, H, W)``.
"""

from course_lib.drawing.charts import bars, curves, histogram, lines
from course_lib.drawing.comparisons import forest, heat_map, trend
from course_lib.drawing.costs import bubbles
from course_lib.drawing.diagram import architecture
from course_lib.drawing.maps import gradient_square, maps, steps
from course_lib.drawing.overlays import gallery, outlines, overlay
from course_lib.drawing.scores import cases, difficulty_curve, roc_and_pr, runs
from course_lib.drawing.specimens import modalities, readers, tile_family
from course_lib.drawing.volumes import volume_slice

__all__ = [
    "architecture",
    "bars",
    "bubbles",
    "cases",
    "curves",
    "difficulty_curve",
    "forest",
    "gallery",
    "gradient_square",
    "heat_map",
    "histogram",
    "lines",
    "maps",
    "modalities",
    "outlines",
    "overlay",
    "readers",
    "roc_and_pr",
    "runs",
    "steps",
    "tile_family",
    "trend",
    "volume_slice",
]
