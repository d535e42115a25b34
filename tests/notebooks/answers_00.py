"""Known wrong answers of notebook 00, right ones in another style, and hand-checked values."""

import numpy as np


def plain_mean(mask):
    return mask.mean()


def count(mask):
    return (mask > 0).sum()


def one_label(mask):
    return (mask == 1).mean()


def always_square(mask):
    return (mask > 0).sum() / len(mask) ** 2


def other(mask):
    return np.count_nonzero(mask) / mask.size


WRONG = {
    "00-1": [
        (plain_mean, "np.unique"),
        (count, "number of pixels"),
        (one_label, "255 and 2"),
        (always_square, "need not be square"),
    ],
    "00-2": [
        ("ABC", "none is lost"),
        ("A", "worst Dice"),
        ("B", "speck"),
        ("C", "missing in B"),
    ],
}
OTHER_STYLE = {"00-1": other, "00-2": "c and b".replace("and", "")}
GOLDEN = {"00-1": [0.25, 0.5, 0, 0.5, 0.2]}
