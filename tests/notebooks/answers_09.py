"""Known wrong answers of notebook 09, right ones in another style, and hand-checked values."""

import math

import numpy as np
import torch

from course_lib.teaching import load_checks

RIGHT = load_checks("09")["09-4"].reference


def as_a_gru(start, g, s):
    return run(start, g, s, lambda r, g, s: (1 - g) * r + g * s)


def first_term_lost(start, g, s):
    return run(start, g, s, lambda r, g, s: g * (r + s))


def no_gate(start, g, s):
    return run(start, g, s, lambda r, _, s: r + s)


def run(state, g, s, rule):
    found = []
    for gate, increment in zip(g, s, strict=True):
        state = rule(state, gate, increment)
        found.append(state)
    return found


def from_the_start(start, g, s):
    return [start + gate * increment for gate, increment in zip(g, s, strict=True)]


def by_sums(start, g, s):
    return start + np.cumsum(np.multiply(g, s))


def no_norm(c, gate, conv):
    return counted(c, gate, conv) - 2 * c


def no_pointwise(c, gate, conv):
    return counted(c, gate, conv) - (c * c if conv == "ds" else 0)


def narrow_gate(c, gate, conv):
    return counted(c, "literal", conv)


def wide_gate(c, gate, conv):
    read = 2 * c if gate == "full" else c
    return counted(c, gate, conv) + 8 * read * c


def counted(c, gate, conv):
    parts = [torch.nn.Conv2d(c, c, 3, bias=False)]
    if conv == "ds":
        parts = [torch.nn.Conv2d(c, c, 3, groups=c, bias=False)]
        parts.append(torch.nn.Conv2d(c, c, 1, bias=False))
    parts += [torch.nn.GroupNorm(1, c), torch.nn.Conv2d(c * (1 + (gate == "full")), c, 1)]
    return sum(p.numel() for part in parts for p in part.parameters())


def over_pixels(logits, values):
    weights = np.exp(logits - logits.max(axis=1, keepdims=True))
    return (weights / weights.sum(axis=1, keepdims=True) * values).sum(axis=0)


def over_both(logits, values):
    weights = np.exp(logits - logits.max())
    return (weights / weights.sum() * values).sum(axis=0)


def divided(logits, values):
    return (logits / logits.sum(axis=0) * values).sum(axis=0)


def largest(logits, values):
    return values[logits.argmax(axis=0), range(values.shape[1])]


def without_shift(logits, values):
    with np.errstate(over="ignore", invalid="ignore"):
        weights = np.exp(logits)
        return (weights / weights.sum(axis=0) * values).sum(axis=0)


def pixel_by_pixel(logits, values):
    found = []
    for scores, numbers in zip(logits.T, values.T, strict=True):
        weights = [math.exp(score - max(scores)) for score in scores]
        mixed = sum(w * v for w, v in zip(weights, numbers, strict=True))
        found.append(mixed / sum(weights))
    return found


SENTENCES = [("a", "More computing"), ("b", "lies above 0"), ("c", "not nothing")]
WRONG = {
    "09-1": [
        (as_a_gru, "GRU"),
        (first_term_lost, "two brackets"),
        (from_the_start, "R(t-1)"),
        (no_gate, "comes in whole"),
    ],
    "09-2": [
        (no_norm, "not free"),
        (no_pointwise, "does not mix"),
        (narrow_gate, "reads 2C"),
        (wide_gate, "not a 3 x 3"),
    ],
    "09-3": [
        (over_pixels, "pixels do not"),
        (over_both, "share one"),
        (divided, "exp first"),
        (largest, "soft choice"),
        (without_shift, "overflows"),
    ],
    "09-4": [pair for pair in SENTENCES if pair[0].upper() != RIGHT],
}
OTHER_STYLE = {
    "09-1": by_sums,
    "09-2": counted,
    "09-3": pixel_by_pixel,
    "09-4": f"({RIGHT.lower()})",
}
GOLDEN = {
    "09-1": [[0.75, 0.55, 0.7], [0.5, 1.0], [1.0, 1.0], [1.0]],
    "09-2": [960, 704, 2_608, 199_680, 728],
    "09-3": [[3.2405], [3.2405, 1.5148], [2.0], [7.0, 3.0]],
}
