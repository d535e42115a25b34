"""Known wrong answers of notebook 01, right ones in another style, and hand-checked values."""

import math

import numpy as np
import torch
from torch.nn import functional as F

from course_lib.teaching import Raised


def bilinear(mask, size):
    image = torch.tensor(mask, dtype=torch.float32)[None, None]
    return F.interpolate(image, size=size, mode="bilinear")[0, 0].numpy()


def bilinear_rounded(mask, size):
    return np.round(bilinear(mask, size)).astype(int)


def any_touch(mask, size):
    return np.where(bilinear(mask, size) > 0, mask.max(), 0)


def any_touch_binary(mask, size):
    return bilinear(mask, size) > 0


def corner_rule(mask, size):
    rows, cols = (np.arange(new) * old // new for old, new in zip(mask.shape, size, strict=True))
    return mask[rows][:, cols]


def pixel_by_pixel(mask, size):
    (old_h, old_w), (new_h, new_w) = mask.shape, size
    out = np.zeros(size, dtype=mask.dtype)
    for i in range(new_h):
        for j in range(new_w):
            out[i, j] = mask[int((i + 0.5) * old_h / new_h), int((j + 0.5) * old_w / new_w)]
    return out


def sample_deviation(x):
    return (x - x.mean()) / x.std()


def variance(x):
    return (x - x.mean()) / x.var(correction=0)


def undefined_for_air(x):
    return (x - x.mean()) / x.std(correction=0)


def stretched(x):
    return (x - x.min()) / (x.max() - x.min())


def row_by_row(x):
    mean, spread = x.mean(1, keepdim=True), x.std(1, correction=0, keepdim=True)
    return torch.where(spread == 0, 0, (x - mean) / spread)


def small_number_below(x):
    return (x - x.mean()) / (x.std(correction=0) + 1e-8)


def in_numpy(x):
    centred = x.numpy() - x.numpy().mean()
    root = math.sqrt((centred**2).mean())
    return centred / root if root > 1e-6 else 0 * centred


def cut_at_count(groups, fraction, order):
    rows = [i for name in order for i, group in enumerate(groups) if group == name]
    return mark(rows[: math.ceil(fraction * len(groups))], groups)


def first_images(groups, fraction, order):
    return mark(range(math.ceil(fraction * len(groups))), groups)


def share_of_groups(groups, fraction, order):
    members = order[: math.ceil(fraction * len(order))]
    return np.array([group in members for group in groups])


def never_overshoot(groups, fraction, order):
    return fill(groups, fraction, order, overshoot=False)


def takes_everything(groups, fraction, order):
    return fill(groups, fraction, order)


def mark(rows, groups):
    test = np.zeros(len(groups), dtype=bool)
    test[list(rows)] = True
    return test


def fill(groups, fraction, order, overshoot=True):
    wanted, taken = fraction * len(groups), []
    for name in order:
        count = sum(group in taken for group in groups)
        if count >= wanted or (not overshoot and count + groups.count(name) > wanted):
            break
        taken.append(name)
    return np.array([group in taken for group in groups])


def with_counts(groups, fraction, order):
    test = fill(groups, fraction, order).tolist()
    if False not in test:
        raise ValueError("nothing left")
    return test


def flipped(x, horizontal, vertical, axes=(-1, -2)):
    return x.flip([axis for axis, coin in zip(axes, (horizontal, vertical), strict=True) if coin])


def shipped(image, mask, coins):
    stream = iter(tuple(coins) * 2)
    for axis in (-1, -2):
        if next(stream):
            image = image.flip(axis)
        if next(stream):
            mask = mask.flip(axis)
    return image, mask


def mask_left_alone(image, mask, coins):
    return flipped(image, *coins), mask


def axes_from_the_start(image, mask, coins):
    return flipped(image, *coins, axes=(1, 0)), flipped(mask, *coins, axes=(1, 0))


def directions_exchanged(image, mask, coins):
    return flipped(image, *coins, axes=(-2, -1)), flipped(mask, *coins, axes=(-2, -1))


def by_slices(image, mask, coins):
    columns, rows = (slice(None, None, -1) if coin else slice(None) for coin in coins)
    both = np.concatenate([image.numpy(), mask.numpy()[None]])[:, rows, columns]
    return both[:-1], both[-1]


WRONG = {
    "01-1": [
        (bilinear_rounded, "not in the input"),
        (any_touch, "grew"),
        (any_touch_binary, "grew"),
        (corner_rule, "centres"),
    ],
    "01-2": [
        (sample_deviation, "Divide by n"),
        (variance, "grey squared"),
        (undefined_for_air, "image of air"),
        (stretched, "mean must be 0"),
        (row_by_row, "whole image"),
        (small_number_below, "tiny / tiny"),
    ],
    "01-3": [
        (cut_at_count, "both sides"),
        (first_images, "both sides"),
        (share_of_groups, "not groups"),
        (never_overshoot, "be empty"),
        (takes_everything, "train on"),
    ],
    "01-4": [
        (shipped, "One draw"),
        (mask_left_alone, "after the flip"),
        (axes_from_the_start, "from the end"),
        (directions_exchanged, "swaps columns"),
    ],
}
OTHER_STYLE = {
    "01-1": pixel_by_pixel,
    "01-2": in_numpy,
    "01-3": with_counts,
    "01-4": by_slices,
}

_ROOT = math.sqrt(1.5)
_LOW, _HIGH = -1 / math.sqrt(3), math.sqrt(3)
_MIDDLE = np.zeros((6, 6))
_MIDDLE[2:4, 2:4] = 1
_ONLY_TWO, _ONLY_FOUR = np.arange(8) // 2 == 2, np.arange(8) < 4
GOLDEN = {
    "01-1": [
        [[0, 0, 2, 2]] * 2,
        [[0, 2, 2]] * 2,
        _MIDDLE,
        [[1]],
        np.zeros((2, 3)),
        [[0, 1]] * 2 + [[2, 3]] * 2,
    ],
    "01-2": [
        [[-1, 1]],
        [[-_ROOT, 0, _ROOT]],
        [[0, 0, 0]],
        [[_LOW, _LOW, _LOW, _HIGH]],
        [[-1, -1], [1, 1]],
        np.zeros((5, 5)),
    ],
    "01-3": [
        _ONLY_TWO,
        _ONLY_FOUR,
        np.arange(8) > 5,
        (np.arange(8) > 3) & (np.arange(8) < 7),
        Raised("ValueError"),
    ],
    "01-4": [
        ([[[1, 0], [3, 2]]], [[1, 0], [3, 2]]),
        ([[[2, 3], [0, 1]]], [[2, 3], [0, 1]]),
        ([[[3, 2], [1, 0]], [[7, 6], [5, 4]]], [[3, 2], [1, 0]]),
        ([[[0, 1], [2, 3]]], [[0, 1], [2, 3]]),
    ],
}
