"""Exercises of notebook 02: right answers, cases, hints, and what known wrong answers give."""

import numpy as np
from scipy import ndimage

from course_lib.teaching import Exercise, Wrong


def dice(pred, target):
    """Dice score of two masks, 0..1; both empty: NaN (Dice 1945)."""
    both = np.count_nonzero(pred & target)
    sizes = np.count_nonzero(pred) + np.count_nonzero(target)
    return 2 * both / sizes if sizes else float("nan")


def hd95(d_ab, d_ba):
    """Larger of the two directed 95th percentiles; one list empty: inf, both: NaN."""
    if len(d_ab) == 0 and len(d_ba) == 0:
        return float("nan")
    if len(d_ab) == 0 or len(d_ba) == 0:
        return float("inf")
    return float(max(np.percentile(d_ab, 95), np.percentile(d_ba, 95)))


def could_be_pooled(iou, dice, decimals):
    """Tell whether printed IoU and Dice can belong to one pair of counts, Dice = 2I/(1+I)."""
    half = 0.5 * 10.0**-decimals
    low, high = (2 * i / (1 + i) for i in (iou - half, iou + half))
    return bool(low <= dice + half and dice - half <= high)


def lesion_recall(pred, target):
    """Share of 4-connected reference lesions that the prediction touches; no lesion: NaN."""
    labels, number = ndimage.label(target)
    if number == 0:
        return float("nan")
    return sum(bool((pred & (labels == k)).any()) for k in range(1, number + 1)) / number


def mask(*rows):
    """Turn rows of 0 and 1 into a mask."""
    return np.array([[int(pixel) for pixel in row] for row in rows], dtype=bool)


def big_and_small():
    """A reference with one lesion of 100 px and one of 4 px."""
    reference = np.zeros((16, 20), dtype=bool)
    reference[3:13, 3:13] = True
    reference[7:9, 16:18] = True
    return reference


def only_big():
    """The prediction that finds the big lesion exactly and misses the small one."""
    found = big_and_small()
    found[:, 14:] = False
    return found


NAN, INF = float("nan"), float("inf")
EMPTY, DOT = mask("00", "00"), mask("10", "00")
THREE = mask("1000010", "0000000", "0010000")
HITS = mask("1000010", "0000000", "0000101")
CORNERS = mask("100", "010", "000")
TWO_TOUCHES, BAR = mask("101"), mask("111")

EXERCISES = {
    "02-1": Exercise(
        reference=dice,
        cases=(
            (mask("110", "100"), mask("111", "000")),
            (DOT, DOT),
            (EMPTY, DOT),
            (DOT, EMPTY),
            (EMPTY, EMPTY),
            (mask("11", "11"), DOT),
        ),
        hints=(
            "Three counts are enough: pixels in both masks, in the one, in the other.",
            "2 * both / (sum of the two sizes).",
            'Look at the denominator first: where it is 0, return float("nan").',
        ),
        wrong=(
            Wrong({0: 0.5, 5: 0.25}, "That is IoU: Dice counts the overlap in both masks."),
            Wrong({2: 0.75, 3: 0.75}, "A missed lesion scores .75: true negatives got in."),
            Wrong({0: 0.7143, 2: 0.5}, "Smoothing is for gradients, not for a score."),
            Wrong(
                {0: 0.6667, 3: NAN, 5: 0.4},
                "A false alarm is not undefined: that is how it left MONAI's mean.",
            ),
            Wrong({0: 0.6667, 4: 0, 5: 0.4}, "The formula says 0/0; the policy comes later, once."),
            Wrong({0: 0.6667, 4: 1, 5: 0.4}, "The formula says 0/0; the policy comes later, once."),
            Wrong({0: 0.6667, 5: 0.25}, "That is precision: what was missed must count as well."),
            Wrong({0: 0.6667, 5: 1}, "That is sensitivity: what was invented must count as well."),
        ),
    ),
    "02-2": Exercise(
        reference=hd95,
        cases=(
            ([0, 0, 0, 4], [0, 0]),
            ([0] * 9 + [10], [0] * 20),
            ([1, 2], [3, 3, 3]),
            ([], [INF, INF]),
            ([], []),
            ([0] * 99 + [28.3], [0] * 99),
            ([3, 4], []),
        ),
        hints=(
            "You need two percentiles, one for each direction: np.percentile(d_ab, 95).",
            "The score is the larger of the two, so that neither mask may hide.",
            "Lengths first: both lists empty gives NaN, one empty gives inf.",
        ),
        wrong=(
            Wrong({0: 4, 1: 10, 5: 28.3}, "That is the largest distance: 95th percentile first."),
            Wrong({0: 3, 1: 0}, "A long border drowns the other: each direction alone, then max."),
            Wrong({0: 3.4, 2: 1.95}, "You measured one direction. Far from whom?"),
            Wrong({0: 3.4, 2: 3, 3: 0}, "A missed organ is not 0 px away."),
        ),
    ),
    "02-3": Exercise(
        reference=could_be_pooled,
        cases=(
            (0.5684, 0.7248, 4),
            (0.8568, 0.9190, 4),
            (0.88, 0.93, 2),
            (0.63, 0.69, 2),
            (0.800, 0.843, 3),
            (1, 1, 2),
            (0.60, 0.80, 2),
            (0.92, 0.95, 2),
        ),
        hints=(
            "One pair of counts obeys Dice = 2I / (1 + I). What would each printed number allow?",
            "A printed I stands for I - half .. I + half, with half = 0.5 * 10 ** -decimals.",
            "Send both ends of that interval through the formula; does it meet dice -+ half?",
        ),
        wrong=(
            Wrong(dict(enumerate([0, 0, 0, 0, 0, 1])), "Printed numbers are intervals."),
            Wrong(
                dict(enumerate([1, 0, 0, 0, 0, 1])),
                "Both printed numbers are rounded: two intervals must meet.",
            ),
            Wrong(
                dict(enumerate([1, 1, 1, 1, 1, 1])),
                "The mean of a concave function is below it: a bound is not the identity.",
            ),
            Wrong({0: 1, 4: 0, 6: 1}, "Intervals have two ends: Dice can also be too large for I."),
            Wrong(
                {0: 1, 1: 0, 2: 1, 3: 0, 6: 0, 7: 1},
                "One width does not fit all: the formula is bent. Send both ends of I through it.",
            ),
        ),
    ),
    "02-4": Exercise(
        reference=lesion_recall,
        cases=(
            (only_big(), big_and_small()),
            (HITS, THREE),
            (np.zeros_like(THREE), THREE),
            (HITS, np.zeros_like(THREE)),
            (np.ones_like(THREE), THREE),
            (mask("100", "000", "000"), CORNERS),
            (TWO_TOUCHES, BAR),
            (mask("1000"), mask("1111")),
        ),
        hints=(
            "Label first: labels, number = scipy.ndimage.label(target).",
            "Loop over the reference's labels 1 .. number; each has one vote.",
            "Lesion k is found where (pred & (labels == k)).any().",
        ),
        wrong=(
            Wrong({0: 0.9615}, "That counts pixels: each lesion has one vote."),
            Wrong({1: 1.3333}, "False ones make up for missed ones: which were hit?"),
            Wrong(
                {0: 1, 1: 0.5}, "You divided by what was predicted: use the reference's lesions."
            ),
            Wrong({0: 1, 1: 1}, "One hit is not all hits: label first."),
            Wrong({0: 0.5, 5: 1}, "Pixels that touch at a corner are two lesions: 4-connected."),
            Wrong({0: 0.5, 6: 2}, "One lesion that is touched in two places is found once."),
            Wrong({0: 0.5, 7: 0}, "Touched is found: one common pixel is enough."),
        ),
    ),
}
