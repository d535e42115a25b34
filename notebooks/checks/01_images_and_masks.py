"""Exercises of notebook 01: right answers, cases, hints, and what known wrong answers give."""

import numpy as np
import torch

from course_lib.teaching import Exercise, Wrong

NAN = float("nan")
HALVES = np.array([[0, 2], [0, 2]])
CENTRE = np.array([[0, 0, 0], [0, 1, 0], [0, 0, 0]])
BLOCK = np.pad(np.ones((2, 2), dtype=int), 2)  # 2 x 2 pixels in the middle of 6 x 6
WIDE_BLOCK = np.pad(np.ones((4, 4), dtype=int), 1)
GROUPS = list("aaaabbcd")


def resize_mask(mask, size):
    """Resize labels: output pixel i of h reads input pixel floor((i + 0.5) H / h)."""
    rows, cols = (
        np.floor((np.arange(new) + 0.5) * old / new).astype(int)
        for old, new in zip(mask.shape, size, strict=True)
    )
    return mask[rows[:, None], cols]


def z_score(x):
    """Give an image (H, W) mean 0 and standard deviation 1; a constant image becomes 0."""
    if x.min() == x.max():
        return torch.zeros_like(x)
    return (x - x.mean()) / x.std(correction=0)


def grouped_split(groups, fraction, order):
    """Fill the test part with whole groups, in the given order, up to the fraction of images."""
    groups = np.array(groups)
    test = np.zeros(len(groups), dtype=bool)
    for name in order:
        if test.mean() >= fraction:
            break
        test |= groups == name
    if test.all():
        raise ValueError("all images are in the test part: none is left for training")
    return test


def paired_flip(image, mask, coins):
    """Flip image (C, H, W) and mask (H, W) alike: coins are (left-right, up-down)."""
    for axis, coin in zip((-1, -2), coins, strict=True):
        if coin:
            image, mask = image.flip(axis), mask.flip(axis)
    return image, mask


def tensor(*rows):
    """Turn rows of numbers into a float32 tensor."""
    return torch.tensor(rows, dtype=torch.float32)


def chosen(members):
    """Return which of the eight images of aaaabbcd are in these groups."""
    return [name in members for name in GROUPS]


SQUARE = tensor([0, 1], [2, 3])
LEFT_RIGHT, UP_DOWN = tensor([1, 0], [3, 2]), tensor([2, 3], [0, 1])
BOTH = tensor([3, 2], [1, 0])

EXERCISES = {
    "01-1": Exercise(
        reference=resize_mask,
        cases=(
            (HALVES, (2, 4)),
            (HALVES, (2, 3)),
            (CENTRE, (6, 6)),
            (CENTRE, (1, 1)),
            (np.zeros((4, 5), dtype=int), (2, 3)),
            (np.array([[0, 0, 0, 1], [2, 2, 3, 3]]), (4, 2)),
        ),
        hints=(
            "Which values may come out? Only values that went in: choose pixels, do not average.",
            "Make two lists of indices, for rows and for columns, then mask[rows][:, columns].",
            "rows = floor((arange(h) + 0.5) * H / h) as whole numbers; columns in the same way.",
        ),
        wrong=(
            Wrong({1: [[0, 1, 2]] * 2}, "Label 1 was not in the input: labels are no numbers."),
            Wrong({2: WIDE_BLOCK}, "The object grew to 16 pixels; its area must follow the scale."),
            Wrong({1: [[0, 0, 2]] * 2, 3: [[0]]}, "Pixel centres sit at i + 0.5, not at i."),
        ),
    ),
    "01-2": Exercise(
        reference=z_score,
        cases=(
            (tensor([0, 2]),),
            (tensor([10, 30, 50]),),
            (tensor([7, 7, 7]),),
            (tensor([0, 0, 0, 4]),),
            (tensor([0, 0], [2, 2]),),
            (torch.full((5, 5), 0.1),),
        ),
        hints=(
            "Two numbers an image: its mean and its standard deviation, over all pixels.",
            "The deviation divides by n: x.std(correction=0).",
            "(x - mean) / deviation, and zeros first of all where x.min() == x.max().",
        ),
        wrong=(
            Wrong({0: [[-0.7071, 0.7071]]}, "Divide by n: x.std() divides by n - 1 by default."),
            Wrong({1: [[-0.075, 0, 0.075]]}, "Units: grey / grey squared. You took the variance."),
            Wrong({0: [[0, 1]]}, "The mean must be 0: you stretched from lowest to highest."),
            Wrong({0: [[-1, 1]], 2: [[NAN] * 3]}, "0 / 0: what is an image of air?"),
            Wrong({4: [[0, 0], [0, 0]]}, "One mean for the whole image, not one for each row."),
            Wrong(
                {0: [[-1, 1]], 2: [[0] * 3], 4: [[-1, -1], [1, 1]]},
                "An image of .1 everywhere: rounding leaves a tiny deviation, and tiny / tiny is "
                "not 0. Ask first whether all pixels are equal.",
            ),
        ),
    ),
    "01-3": Exercise(
        reference=grouped_split,
        cases=(
            (GROUPS, 0.25, list("bacd")),
            (GROUPS, 0.25, list("acbd")),
            (GROUPS, 0.25, list("cdab")),
            (GROUPS, 0.25, list("cbda")),
            (list("aaaa"), 0.25, ["a"]),
        ),
        hints=(
            "Loop over the groups in the given order; start with an empty test part.",
            "Add a whole group at a time: test |= np.array(groups) == name.",
            "Stop as soon as test.mean() >= fraction; at the end, raise ValueError if test.all().",
        ),
        wrong=(
            Wrong(
                {1: [True] * 2 + [False] * 6},
                "Which group sits on both sides? You cut at a number of images.",
            ),
            Wrong(
                {2: chosen("c"), 3: chosen("c")},
                "Count images, not groups: groups differ in size. Keep them whole.",
            ),
            Wrong(
                {1: [False] * 8},
                "May the test part be empty? A whole group may overshoot the fraction.",
            ),
            Wrong(
                {3: chosen("bc"), 4: [True] * 4},
                "Everything is in the test part: what would you train on? Raise ValueError.",
            ),
        ),
    ),
    "01-4": Exercise(
        reference=paired_flip,
        cases=(
            (SQUARE[None], SQUARE, (1, 0)),
            (SQUARE[None], SQUARE, (0, 1)),
            (torch.stack([SQUARE, SQUARE + 4]), SQUARE, (1, 1)),
            (SQUARE[None], SQUARE, (0, 0)),
        ),
        hints=(
            "Lay the mask over the image after the flip: do they still fit?",
            "A draw decides for the pair: the same coin for image and mask.",
            "Left-right is axis -1 and up-down axis -2, counted from the end, for both.",
        ),
        wrong=(
            Wrong(
                {0: (BOTH[None], SQUARE)},
                "Two draws for one pair: the mask takes the next coin. One draw, two uses.",
            ),
            Wrong(
                {0: (LEFT_RIGHT[None], SQUARE), 1: (UP_DOWN[None], SQUARE)},
                "The mask stayed where it was: overlay them after the flip.",
            ),
            Wrong(
                {0: (UP_DOWN[None], LEFT_RIGHT)},
                "Axis 0 of the image is its channels: count axes from the end.",
            ),
            Wrong(
                {0: (UP_DOWN[None], UP_DOWN)},
                "Left-right swaps columns: that is axis -1, and up-down is axis -2.",
            ),
        ),
    ),
}
