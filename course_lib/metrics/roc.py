"""Scores instead of masks: ROC and precision-recall over all thresholds.

The level has to be named, because pixels of one image and pixels of a whole set give two numbers:
``level="image"`` takes the scores ``(H, W)`` of one case, ``level="pooled"`` takes any number of
pixels of any number of cases as one pot. At low prevalence the background fills the area under the
ROC curve; precision-recall shows what is left for the lesion.
"""

from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

Level = Literal["image", "pooled"]


class RocCurve(NamedTuple):
    """Rates for falling thresholds, from (0, 0) at inf to (1, 1); float64 ``(m,)`` each."""

    false_positive_rate: np.ndarray
    true_positive_rate: np.ndarray
    thresholds: np.ndarray


class PrecisionRecallCurve(NamedTuple):
    """Precision and recall for falling thresholds; float64 ``(m,)`` each."""

    precision: np.ndarray
    recall: np.ndarray
    thresholds: np.ndarray


def roc_curve(scores: ArrayLike, target: ArrayLike, *, level: Level) -> RocCurve:
    """Return false and true positive rate at every threshold ``score >= t`` that differs.

    Args:
        scores: probabilities or logits; ``(H, W)`` at level "image", any shape at level "pooled".
        target: bool or integers {0, 1} of the same shape.
        level: "image" or "pooled".

    Returns:
        The curve; a rate is NaN where its class has no pixel.

    Raises:
        TypeError: for a float target.
        ValueError: for another level, shapes that disagree, or a score that is NaN.

    Source: Fawcett 2006, algorithm 1.
    """
    tp, fp, thresholds = _cumulative(scores, target, level)
    return RocCurve(_share(fp, fp[-1]), _share(tp, tp[-1]), thresholds)


def auc(scores: ArrayLike, target: ArrayLike, *, level: Level) -> float:
    """Return the area under the ROC curve, 0..1: how often a lesion pixel outscores another.

    Ties count one half (the Mann-Whitney statistic). Arguments and errors as :func:`roc_curve`;
    NaN where one class has no pixel.

    Example:
        >>> auc([0.9, 0.8, 0.3, 0.1], [1, 0, 1, 0], level="pooled")
        0.75
    """
    curve = roc_curve(scores, target, level=level)
    return float(np.trapezoid(curve.true_positive_rate, curve.false_positive_rate))


def precision_recall_curve(
    scores: ArrayLike, target: ArrayLike, *, level: Level
) -> PrecisionRecallCurve:
    """Return precision and recall at every threshold ``score >= t`` that differs.

    Arguments and errors as :func:`roc_curve`; recall is NaN where the reference has no pixel.
    """
    tp, fp, thresholds = (part[1:] for part in _cumulative(scores, target, level))
    return PrecisionRecallCurve(tp / (tp + fp), _share(tp, tp[-1]), thresholds)


def average_precision(scores: ArrayLike, target: ArrayLike, *, level: Level) -> float:
    """Return the mean of the precision over recall, as a sum of steps, 0..1.

    Guessing scores the prevalence. Arguments and errors as :func:`roc_curve`; NaN where the
    reference has no pixel.
    """
    curve = precision_recall_curve(scores, target, level=level)
    return float(np.sum(np.diff(curve.recall, prepend=0.0) * curve.precision))


def _cumulative(
    scores: ArrayLike, target: ArrayLike, level: Level
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return true positives, false positives and thresholds, falling, from nothing predicted."""
    scores, target = _checked(scores, target, level)
    order = np.argsort(-scores, kind="stable")
    scores, target = scores[order], target[order]
    last = np.append(np.flatnonzero(np.diff(scores)), scores.size - 1)  # of each run of ties
    tp = np.cumsum(target)[last].astype(float)
    fp = 1.0 + last - tp
    return np.append(0.0, tp), np.append(0.0, fp), np.append(np.inf, scores[last])


def _checked(scores: ArrayLike, target: ArrayLike, level: Level) -> tuple[np.ndarray, np.ndarray]:
    scores, target = np.asarray(scores, dtype=float), np.asarray(target)
    if level not in ("image", "pooled"):
        raise ValueError(f'level must be "image" or "pooled", got {level!r}')
    if level == "image" and scores.ndim != 2:
        raise ValueError(
            f'level "image" takes the scores (H, W) of one case, got shape {scores.shape}'
        )
    if scores.shape != target.shape or not scores.size:
        raise ValueError(
            f"scores {scores.shape} and target {target.shape} must have one shape and not be empty"
        )
    if target.dtype.kind not in "bui":
        raise TypeError(f"target must be bool or integers 0/1, got {target.dtype}")
    if target.min() < 0 or target.max() > 1:
        raise ValueError(f"target must hold 0 and 1 only, got {target.min()}..{target.max()}")
    if np.isnan(scores).any():
        raise ValueError(f"scores hold {np.count_nonzero(np.isnan(scores))} NaN")
    return scores.ravel(), target.ravel()


def _share(part: np.ndarray, whole: float) -> np.ndarray:
    return part / whole if whole else np.full(part.shape, np.nan)
