"""Known wrong answers of notebook 02, right ones in another style, and hand-checked values."""

import math

import numpy as np
from scipy import ndimage

NAN, INF = float("nan"), float("inf")


def ratio(part, whole, empty=NAN):
    return part / whole if whole else empty


def iou(pred, target):
    return ratio((pred & target).sum(), (pred | target).sum())


def accuracy(pred, target):
    return float((pred == target).mean())


def smoothed(pred, target):
    return (2 * (pred & target).sum() + 1) / (pred.sum() + target.sum() + 1)


def false_alarm_is_undefined(pred, target):
    return empty_is_one(pred, target) if target.any() else NAN


def empty_is_zero(pred, target):
    return ratio(2 * (pred & target).sum(), pred.sum() + target.sum(), 0.0)


def empty_is_one(pred, target):
    return ratio(2 * (pred & target).sum(), pred.sum() + target.sum(), 1.0)


def precision(pred, target):
    return ratio((pred & target).sum(), pred.sum())


def sensitivity(pred, target):
    return ratio((pred & target).sum(), target.sum())


def dice_with_a_loop(pred, target):
    tp = fp = fn = 0
    for p, y in zip(pred.ravel().tolist(), target.ravel().tolist(), strict=True):
        tp, fp, fn = tp + (p and y), fp + (p and not y), fn + (y and not p)
    return ratio(2 * tp, 2 * tp + fp + fn)


def distance(d_ab, d_ba, statistic, both_empty=NAN, one_empty=INF):
    if not d_ab and not d_ba:
        return both_empty
    return float(statistic(d_ab, d_ba)) if d_ab and d_ba else one_empty


def largest(d_ab, d_ba):
    return distance(d_ab, d_ba, lambda a, b: max(a + b))


def lists_together(d_ab, d_ba):
    return distance(d_ab, d_ba, lambda a, b: np.percentile(a + b, 95))


def one_direction(d_ab, d_ba):
    return distance(d_ab, d_ba, lambda a, b: np.percentile(a, 95))


def missed_is_near(d_ab, d_ba):
    return distance(d_ab, d_ba, two_percentiles, one_empty=0.0)


def two_percentiles(d_ab, d_ba):
    return max(np.percentile(d_ab, 95), np.percentile(d_ba, 95))


def sorted_by_hand(d_ab, d_ba):
    def percentile(values):
        place = 0.95 * (len(values) - 1)
        low = math.floor(place)
        ordered = [*sorted(values), 0.0]
        return ordered[low] + (place - low) * (ordered[low + 1] - ordered[low])

    return distance(d_ab, d_ba, lambda a, b: max(percentile(a), percentile(b)))


def exact(iou, dice, decimals):
    return dice == 2 * iou / (1 + iou)


def only_dice_rounded(iou, dice, decimals):
    return round(2 * iou / (1 + iou), decimals) == dice


def only_iou_rounded(iou, dice, decimals):
    half = 0.5 / 10**decimals
    low, high = (2 * i / (1 + i) for i in (iou - half, iou + half))
    return low <= dice <= high


def lower_end_only(iou, dice, decimals):
    half = 0.5 / 10**decimals
    return 2 * (iou - half) / (1 + iou - half) <= dice + half


def fixed_tolerance(iou, dice, decimals):
    return abs(2 * iou / (1 + iou) - dice) < 10**-decimals


def only_a_bound(iou, dice, decimals):
    return dice <= 2 * iou / (1 + iou)


def from_dice_to_iou(iou, dice, decimals):
    half = 0.5 / 10**decimals
    ends = np.array([dice - half, dice + half])
    low, high = ends / (2 - ends)
    return bool(max(low, iou - half) <= min(high, iou + half))


def ratio_of_counts(pred, target):
    return ratio(ndimage.label(pred)[1], ndimage.label(target)[1])


def lesion_precision(pred, target):
    labels, number = ndimage.label(pred)
    return ratio(len(np.unique(labels[pred & target])), number)


def any_hit(pred, target):
    return float((pred & target).any()) if target.any() else NAN


def eight_connected(pred, target):
    labels, number = ndimage.label(target, np.ones((3, 3)))
    return ratio(len(np.unique(labels[pred & target])), number)


def pieces_of_the_overlap(pred, target):
    return ratio(ndimage.label(pred & target)[1], ndimage.label(target)[1])


def fully_covered(pred, target):
    labels, number = ndimage.label(target)
    return ratio(sum(pred[labels == k].all() for k in range(1, number + 1)), number)


def half_covered(pred, target):
    labels, number = ndimage.label(target)
    return ratio(sum(pred[labels == k].mean() >= 0.5 for k in range(1, number + 1)), number)


def by_unique_labels(pred, target):
    labels, number = ndimage.label(target)
    return ratio(len(set(labels[pred].tolist()) - {0}), number)


WRONG = {
    "02-1": [
        (iou, "overlap in both"),
        (accuracy, "true negatives"),
        (smoothed, "for gradients"),
        (false_alarm_is_undefined, "MONAI"),
        (empty_is_zero, "policy comes later"),
        (empty_is_one, "policy comes later"),
        (precision, "what was missed"),
        (sensitivity, "what was invented"),
    ],
    "02-2": [
        (largest, "percentile first"),
        (lists_together, "each direction alone"),
        (one_direction, "Far from whom"),
        (missed_is_near, "not 0 px away"),
    ],
    "02-3": [
        (exact, "intervals"),
        (only_dice_rounded, "two intervals must meet"),
        (only_iou_rounded, "two intervals must meet"),
        (only_a_bound, "concave"),
        (lower_end_only, "two ends"),
        (fixed_tolerance, "bent"),
    ],
    "02-4": [
        (sensitivity, "one vote"),
        (ratio_of_counts, "which were hit"),
        (lesion_precision, "reference's lesions"),
        (any_hit, "label first"),
        (eight_connected, "4-connected"),
        (pieces_of_the_overlap, "found once"),
        (fully_covered, "one common pixel"),
        (half_covered, "one common pixel"),
    ],
}
OTHER_STYLE = {
    "02-1": dice_with_a_loop,
    "02-2": sorted_by_hand,
    "02-3": from_dice_to_iou,
    "02-4": by_unique_labels,
}
GOLDEN = {
    "02-1": [2 / 3, 1.0, 0.0, 0.0, NAN, 0.4],
    "02-2": [3.4, 5.5, 3.0, INF, NAN, 0.0, INF],
    "02-3": [True, False, True, False, False, True, False, False],
    "02-4": [0.5, 2 / 3, 0.0, NAN, 1.0, 0.5, 1.0, 1.0],
}
