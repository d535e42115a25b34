"""Known wrong answers of notebook 03, right ones in another style, and hand-checked values."""

from itertools import pairwise

import numpy as np
import torch


def no_bias(base, in_channels, num_classes, depth=4):
    return count(base, in_channels, num_classes, depth, bias=0)


def no_concat(base, in_channels, num_classes, depth=4):
    return count(base, in_channels, num_classes, depth, joined=1)


def three_weights(base, in_channels, num_classes, depth=4):
    return count(base, in_channels, num_classes, depth, kernel=3)


def no_head(base, in_channels, num_classes, depth=4):
    return count(base, in_channels, num_classes, depth) - base * num_classes - num_classes


def always_four_levels(base, in_channels, num_classes, depth=4):
    return count(base, in_channels, num_classes)


def count(base, in_channels, num_classes, depth=4, bias=1, joined=2, kernel=9):
    def conv(before, after, size=kernel):
        return size * before * after + bias * after

    down = [in_channels] + [base * 2**level for level in range(depth + 1)]
    total = sum(conv(a, b) + conv(b, b) for a, b in pairwise(down))
    for width in down[1:-1]:
        total += conv(2 * width, width, 4) + conv(joined * width, width) + conv(width, width)
    return total + conv(base, num_classes, 1)


def stride_ignored(layers):
    return 1 + sum(kernel - 1 for kernel, _ in layers)


def sum_of_kernels(layers):
    return sum(kernel for kernel, _ in layers)


def stride_too_early(layers):
    field, jump = 1, 1
    for kernel, stride in layers:
        jump *= stride
        field += (kernel - 1) * jump
    return field


def field_from_the_end(layers):
    field = 1
    for kernel, stride in reversed(layers):
        field = (field - 1) * stride + kernel
    return field


def ratio(p, y, smooth=1.0):
    return 1 - (2 * (p * y).sum() + smooth) / (p.sum() + y.sum() + smooth)


def pooled_batch(logits, target, smooth=1.0):
    return ratio(logits.sigmoid(), target)


def per_image(logits, target, activation, score=ratio):
    pairs = zip(activation(logits), target, strict=True)
    return torch.stack([score(p, y) for p, y in pairs]).mean()


def no_sigmoid(logits, target, smooth=1.0):
    return per_image(logits, target, lambda z: z)


def sigmoid_twice(logits, target, smooth=1.0):
    return per_image(logits, target, lambda z: z.sigmoid().sigmoid())


def squared(logits, target, smooth=1.0):
    def score(p, y):
        return 1 - (2 * (p * y).sum() + 1) / ((p**2).sum() + (y**2).sum() + 1)

    return per_image(logits, target, torch.sigmoid, score)


def hardly_smoothed(logits, target, smooth=1.0):
    return per_image(logits, target, torch.sigmoid, lambda p, y: ratio(p, y, 1e-5))


def thresholded(logits, target, smooth=1.0):
    return per_image(logits, target, lambda z: (z > 0).float())


def always_smoothed_by_one(logits, target, smooth=1.0):
    return per_image(logits, target, torch.sigmoid)


def with_a_loop(logits, target, smooth=1.0):
    return per_image(logits, target, torch.sigmoid, lambda p, y: ratio(p, y, smooth))


def draws_images(scores, groups, draws):
    means = [np.mean([scores[k] for k in draw]) for draw in draws]
    return tuple(np.percentile(means, [2.5, 97.5]))


def one_vote_a_group(scores, groups, draws):
    own = [
        np.mean([s for s, g in zip(scores, groups, strict=True) if g == name])
        for name in sorted(set(groups))
    ]
    return tuple(np.percentile([np.mean([own[k] for k in draw]) for draw in draws], [2.5, 97.5]))


def mean_and_sd(scores, groups, draws):
    middle, sd = np.mean(scores), np.std(scores)
    return middle - 1.96 * sd, middle + 1.96 * sd


def set_of_the_draw(scores, groups, draws):
    return other_bootstrap(scores, groups, [sorted(set(draw)) for draw in draws])


def first_come_first_named(scores, groups, draws):
    return other_bootstrap(scores, [list(groups).index(name) for name in groups], draws)


def other_bootstrap(scores, groups, draws):
    names = np.unique(list(groups))
    where = {k: np.flatnonzero(np.array(list(groups)) == name) for k, name in enumerate(names)}
    means = []
    for draw in draws:
        rows = [row for k in draw for row in where[k]]
        means.append(np.mean(np.array(scores)[rows]))
    return tuple(np.quantile(means, [0.025, 0.975]))


WRONG = {
    "03-1": [
        (no_bias, "per output channel"),
        (no_concat, "after the concatenation"),
        (three_weights, "nine weights"),
        (no_head, "65 numbers"),
        (always_four_levels, "Use depth"),
    ],
    "03-2": [
        (stride_ignored, "two pixels wide"),
        (sum_of_kernels, "overlap"),
        (stride_too_early, "acts after it"),
    ],
    "03-3": [
        (pooled_batch, "mean over images"),
        (no_sigmoid, "below 0"),
        (sigmoid_twice, "already"),
        (squared, "plain sums"),
        (hardly_smoothed, "almost no gradient"),
        (thresholded, "gradient come from"),
        (always_smoothed_by_one, "argument smooth"),
    ],
    "03-4": [
        (draws_images, "whole patients"),
        (one_vote_a_group, "one vote"),
        (mean_and_sd, "above 1"),
        (set_of_the_draw, "counts twice"),
        (first_come_first_named, "alphabet"),
    ],
}
OTHER_STYLE = {
    "03-1": count,
    "03-2": field_from_the_end,
    "03-3": with_a_loop,
    "03-4": other_bootstrap,
}
GOLDEN = {
    "03-1": [31_031_745, 31_030_593, 7_760_097, 121_725, 485_844, 120_825],
    "03-2": [1, 3, 5, 10, 7, 140],
    "03-3": [0.234063580, 0.3327, 0.0, 0.0, 0.241175],
    "03-4": [(0.5225, 0.8925), (0.6383, 0.8283), (0.7, 0.7), (0.7, 0.7), (0.6383, 0.8283)],
}
