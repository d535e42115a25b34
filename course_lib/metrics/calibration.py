"""Calibration: of the pixels called 70 % sure, are 70 % foreground?

Any number of pixels of any number of cases is one pot. A segmentation is mostly easy background,
which makes the pot look good; so choose the pixels that matter, such as those near borders.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike


class Reliability(NamedTuple):
    """Pixels by predicted probability, in bins of equal width over 0..1; ``(bins,)`` each.

    In a bin without pixels probability and frequency are NaN.
    """

    probability: np.ndarray  # mean of the predicted ones, 0..1
    frequency: np.ndarray  # share of foreground, 0..1
    count: np.ndarray  # pixels


def reliability(probabilities: ArrayLike, target: ArrayLike, bins: int = 10) -> Reliability:
    """Compare predicted probabilities of the foreground with how often it is there.

    Args:
        probabilities: any shape, 0..1.
        target: bool or integers {0, 1} of the same shape.
        bins: from 1; each holds its lower end, the last one 1.0 too.

    Raises:
        TypeError: for a float target.
        ValueError: for a probability outside 0..1, other labels, shapes that disagree, no pixel, or
            no bin.

    Source: Naeini, Cooper, Hauskrecht 2015, "Obtaining well calibrated probabilities using Bayesian
    binning", section 3.
    """
    p, y = _checked(probabilities, target, bins)
    place = np.minimum((p * bins).astype(int), bins - 1)
    count = np.bincount(place, minlength=bins)
    sums = (np.bincount(place, weights=values, minlength=bins) for values in (p, y))
    means = (np.divide(s, count, out=np.full(bins, np.nan), where=count > 0) for s in sums)
    return Reliability(*means, count)


def calibration_error(curve: Reliability) -> float:
    """Return the expected calibration error (ECE), 0..1: the mean gap, bins weighed by pixels.

    Of the foreground's probability, not of the more probable of two classes. It depends on the
    bins, and a net that says the prevalence everywhere has 0.

    Source: as :func:`reliability`.

    Example:
        >>> calibration_error(reliability([0.9, 0.9, 0.1, 0.1], [1, 0, 0, 0]))
        0.25
    """
    gap = np.abs(curve.frequency - curve.probability)
    return float(np.nansum(gap * curve.count) / curve.count.sum())


def _checked(probabilities: ArrayLike, target: ArrayLike, bins: int) -> tuple:
    p, y = np.asarray(probabilities, dtype=float), np.asarray(target)
    if y.dtype.kind not in "biu":
        raise TypeError(f"target must be bool or integers, got {y.dtype}; threshold it first")
    if p.shape != y.shape:
        raise ValueError(f"probabilities are {p.shape} and target {y.shape}; shapes must agree")
    if not p.size:
        raise ValueError("there is no pixel to compare")
    if not ((p >= 0) & (p <= 1)).all():
        raise ValueError("probabilities must lie in 0..1; apply the sigmoid to logits first")
    if not np.isin(y, (0, 1)).all():
        raise ValueError("target must hold 0 and 1 only; choose a class first")
    if bins < 1:
        raise ValueError(f"bins must be 1 or more, got {bins}")
    return p.ravel(), y.ravel().astype(float)
