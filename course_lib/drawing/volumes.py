"""One slice of a volume: the reference beside what several nets found, class by class."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from course_lib import metrics
from course_lib.drawing.overlays import outlines
from course_lib.figures import clip_alt, number


def volume_slice(
    volume: np.ndarray,
    target: np.ndarray,
    found: Mapping[str, np.ndarray],
    *,
    at: int,
    axis: int = 0,
    classes: Sequence[str] = ("",),
    title: str,
) -> tuple[Figure, str]:
    """Draw a slice for every net and class: both outlines, and the Dice of the whole volume.

    Args:
        volume: image ``(D, H, W)`` uint8: foot to head, back to front, left to right.
        target: reference labels ``(D, H, W)``; 0 is the background.
        found: predicted labels ``(D, H, W)`` by the name of the net.
        at: number of the slice along ``axis``.
        axis: 0 looks along the body, with the front up; 1 from the front and 2 from the side, with
            the head up.
        classes: names of the labels 1, 2, ...; nets times classes are at most 6 panels.
        title: sentence over the figure.

    Raises:
        ValueError: for too many panels, or labels of another shape.
    """

    def cut(array: np.ndarray) -> np.ndarray:
        return np.take(array, at, axis)[::-1]

    names, targets, predictions = [], [], []
    for net, labels in found.items():
        table = metrics.evaluate_volumes([labels], [target], [net], classes=["", *classes])
        for label, (name, dice) in enumerate(zip(classes, table["dice"], strict=True), start=1):
            names.append(f"{net}{name and ', '}{name}: Dice {number(dice)}")
            targets.append(cut(target) == label)
            predictions.append(cut(labels) == label)
    rows = len(found) if len(classes) > 1 else 1
    images = [cut(volume)] * len(names)
    fig, _ = outlines(images, targets, predictions, names=names, title=title, rows=rows)
    alt = f"Slice {at} with outlines of reference and prediction. Whole volume: {'; '.join(names)}."
    return fig, clip_alt(alt)
