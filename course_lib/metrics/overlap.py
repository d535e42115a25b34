"""Counts first: the four numbers that every overlap score is made of.

All functions take two masks ``(H, W)`` of ONE case, bool or integers {0, 1}, and return a Python
float. A score whose formula is 0/0 is NaN; what to report instead is decided once, later, by
:func:`course_lib.metrics.fill_empty`.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy import ndimage


class Counts(NamedTuple):
    """Pixels of one case: true positive, false positive, false negative, true negative."""

    tp: int
    fp: int
    fn: int
    tn: int


def counts(pred: ArrayLike, target: ArrayLike) -> Counts:
    """Count the pixels of one case by what was predicted and what the reference says.

    Args:
        pred: ``(H, W)`` bool or integers {0, 1}, the predicted mask.
        target: ``(H, W)`` bool or integers {0, 1}, the reference mask.

    Raises:
        TypeError: for float masks (threshold them first).
        ValueError: for other values, other dimensions, or masks of two sizes.

    Example:
        >>> counts([[1, 1, 0], [1, 0, 0]], [[1, 1, 1], [0, 0, 0]])
        Counts(tp=2, fp=1, fn=1, tn=2)
    """
    return count_pixels(*as_masks(pred, target))


def dice(pred: ArrayLike, target: ArrayLike) -> float:
    """Return the Dice score ``2 tp / (2 tp + fp + fn)`` of one case, 0..1; both empty: NaN.

    Arguments and errors as :func:`counts`. Source: Dice 1945; the F1 score of the pixels.
    """
    return scores(counts(pred, target))["dice"]


def iou(pred: ArrayLike, target: ArrayLike) -> float:
    """Return intersection over union ``tp / (tp + fp + fn)`` of one case, 0..1; both empty: NaN.

    Arguments and errors as :func:`counts`. Source: Jaccard 1912.
    """
    return scores(counts(pred, target))["iou"]


def precision(pred: ArrayLike, target: ArrayLike) -> float:
    """Return ``tp / (tp + fp)`` of one case, 0..1; nothing predicted: NaN.

    Arguments and errors as :func:`counts`. Also called positive predictive value.
    """
    return scores(counts(pred, target))["precision"]


def recall(pred: ArrayLike, target: ArrayLike) -> float:
    """Return ``tp / (tp + fn)`` of one case, 0..1; nothing to find: NaN.

    Arguments and errors as :func:`counts`. Also called sensitivity.
    """
    return scores(counts(pred, target))["recall"]


def specificity(pred: ArrayLike, target: ArrayLike) -> float:
    """Return ``tn / (tn + fp)`` of one case, 0..1; no background: NaN.

    Arguments and errors as :func:`counts`.
    """
    return scores(counts(pred, target))["specificity"]


def accuracy(pred: ArrayLike, target: ArrayLike) -> float:
    """Return the share of pixels that are right, ``(tp + tn) / all``, of one case, 0..1.

    Arguments and errors as :func:`counts`.
    """
    return scores(counts(pred, target))["accuracy"]


def lesion_recall(pred: ArrayLike, target: ArrayLike) -> float:
    """Return the share of reference lesions that the prediction touches, 0..1; no lesion: NaN.

    A lesion is a 4-connected region of the reference; one shared pixel counts as found. False
    alarms do not count, so that this number never stands alone.

    Arguments and errors as :func:`counts`.
    """
    return touched_lesions(*as_masks(pred, target))


def as_masks(pred: ArrayLike, target: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Return both masks as bool ``(H, W)``, or raise as :func:`counts` says."""
    masks = _as_mask(pred, "pred"), _as_mask(target, "target")
    if masks[0].shape != masks[1].shape:
        raise ValueError(f"pred is {masks[0].shape} and target {masks[1].shape}; sizes must agree")
    return masks


def count_pixels(pred: np.ndarray, target: np.ndarray) -> Counts:
    """Return the counts of two bool masks that were checked already."""
    tp = int(np.count_nonzero(pred & target))
    fp = int(np.count_nonzero(pred)) - tp
    fn = int(np.count_nonzero(target)) - tp
    return Counts(tp, fp, fn, pred.size - tp - fp - fn)


def touched_lesions(pred: np.ndarray, target: np.ndarray) -> float:
    """Return :func:`lesion_recall` of two bool masks that were checked already."""
    regions, number = ndimage.label(target)
    found = np.unique(regions[pred & target]).size
    return ratio(found, number)


def fractions(tp, fp, fn, tn) -> dict[str, tuple]:
    """Return numerator and denominator of every overlap score, for numbers or arrays of counts."""
    return {
        "dice": (2 * tp, 2 * tp + fp + fn),
        "iou": (tp, tp + fp + fn),
        "precision": (tp, tp + fp),
        "recall": (tp, tp + fn),
        "specificity": (tn, tn + fp),
        "accuracy": (tp + tn, tp + fp + fn + tn),
    }


def scores(number: Counts) -> dict[str, float]:
    """Return every overlap score of the given counts; 0/0 is NaN."""
    return {name: ratio(*fraction) for name, fraction in fractions(*number).items()}


def ratio(part: float, whole: float) -> float:
    """Return part / whole, and NaN for 0/0."""
    return part / whole if whole else float("nan")


def _as_mask(mask: ArrayLike, name: str) -> np.ndarray:
    mask = np.asarray(mask)
    if mask.dtype.kind not in "bui":
        raise TypeError(f"{name} must be bool or integers 0/1, got {mask.dtype}; threshold first")
    if mask.ndim != 2 or mask.size == 0:
        raise ValueError(
            f"{name} must be one mask (H, W), got shape {mask.shape}; "
            "several cases go through evaluate_cases"
        )
    if mask.dtype == bool:
        return mask
    if mask.min() < 0 or mask.max() > 1:
        raise ValueError(f"{name} must hold 0 and 1 only, got {mask.min()}..{mask.max()}")
    return mask.astype(bool)
