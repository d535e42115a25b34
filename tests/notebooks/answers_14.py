"""Known wrong answers of notebook 14, right ones in another style, and hand-checked values."""

import math

import numpy as np
import torch
from torch.nn import functional as F

NAN = float("nan")


def folded(w, b, scale, beta, mean):
    return w * scale, (b - mean) * scale + beta


def bias_not_scaled(w, b, gamma, beta, mean, var, eps=1e-3):
    scale = gamma / np.sqrt(var + eps)
    return w * scale, b - mean * scale + beta


def mean_forgotten(w, b, gamma, beta, mean, var, eps=1e-3):
    return folded(w, b, gamma / np.sqrt(var + eps), beta, 0)


def variance_for_deviation(w, b, gamma, beta, mean, var, eps=1e-3):
    return folded(w, b, gamma / (var + eps), beta, mean)


def no_eps(w, b, gamma, beta, mean, var, eps=1e-3):
    return folded(w, b, gamma / math.sqrt(var), beta, mean)


def no_eps_in_numpy(w, b, gamma, beta, mean, var, eps=1e-3):
    with np.errstate(divide="ignore", invalid="ignore"):
        return folded(w, b, np.divide(gamma, np.sqrt(var)), beta, mean)


def beta_scaled(w, b, gamma, beta, mean, var, eps=1e-3):
    scale = gamma / np.sqrt(var + eps)
    return w * scale, (b - mean + beta) * scale


def by_two_points(w, b, gamma, beta, mean, var, eps=1e-3):
    def layer(x):
        return gamma * (w * x + b - mean) / (var + eps) ** 0.5 + beta

    return layer(1) - layer(0), layer(0)


def rounded(w, scale, rounding=np.round):
    return rounding(w / scale) * scale


def guarded(largest):
    return np.where(largest == 0, 1, largest)


def by_row(w):
    return guarded(np.abs(w).max(1, keepdims=True))


def one_scale(w):
    return rounded(w, guarded(np.abs(w).max()) / 127)


def cut_off(w):
    return rounded(w, by_row(w) / 127, np.trunc)


def down(w):
    return rounded(w, by_row(w) / 127, np.floor)


def by_128(w):
    scale = by_row(w) / 128
    return np.round(w / scale).astype(int).astype(np.int8) * scale


def no_guard(w):
    with np.errstate(invalid="ignore"):
        return rounded(w, np.abs(w).max(1, keepdims=True) / 127)


def row_after_row(w):
    out = []
    for row in w.tolist():
        top = max(map(abs, row)) or 1.0
        out.append([math.floor(value * 127 / top + 0.5) * top / 127 for value in row])
    return torch.tensor(out)


def resized(a, size, mode="bilinear"):
    return F.interpolate(a[None, None].float(), size=size, mode=mode)[0, 0]


def shipped(prob, size):
    return resized(prob > 0.5, size, "nearest") > 0


def threshold_first(prob, size):
    return resized(prob > 0.5, size) > 0.5


def nearest(prob, size):
    return resized(prob, size, "nearest") > 0.5


def logits(prob, size):
    return resized(torch.logit(prob, eps=1e-6), size) > 0


def corners(prob, size):
    big = F.interpolate(prob[None, None], size=size, mode="bilinear", align_corners=True)
    return big[0, 0] > 0.5


def any_touch(prob, size):
    return resized(prob > 0.5, size) > 0


def integers(prob, size):
    return resized(prob, size).numpy().__gt__(0.5).astype(int)


def sensitivity(sensitivity, specificity, prevalence):
    return sensitivity


def no_prevalence(sensitivity, specificity, prevalence):
    return sensitivity / (sensitivity + 1 - specificity)


def npv(sensitivity, specificity, prevalence):
    healthy = specificity * (1 - prevalence)
    return healthy / (healthy + (1 - sensitivity) * prevalence)


def accuracy(sensitivity, specificity, prevalence):
    return sensitivity * prevalence + specificity * (1 - prevalence)


def nobody_is_zero(sensitivity, specificity, prevalence):
    true = sensitivity * prevalence
    false = (1 - specificity) * (1 - prevalence)
    return true / (true + false) if true + false else 0.0


def thousand(sensitivity, specificity, prevalence):
    ill, healthy = 1000 * prevalence, 1000 * (1 - prevalence)
    called = ill * sensitivity + healthy * (1 - specificity)
    return np.nan if called == 0 else ill * sensitivity / called


WRONG = {
    "14-1": [
        (bias_not_scaled, "b is scaled"),
        (mean_forgotten, "mean is missing"),
        (variance_for_deviation, "square root"),
        (no_eps, "eps exist"),
        (no_eps_in_numpy, "eps exist"),
        (beta_scaled, "added last"),
    ],
    "14-2": [
        (one_scale, "per output channel"),
        (cut_off, "cut off"),
        (down, "not the nearest"),
        (by_128, "ends at 127"),
        (no_guard, "guard it"),
    ],
    "14-3": [
        (shipped, "Resize first"),
        (threshold_first, "Resize first"),
        (nearest, "Resize first"),
        (corners, "edges meet"),
        (logits, "extreme logit"),
        (any_touch, "area grew"),
    ],
    "14-4": [
        (sensitivity, "Of those *called*"),
        (no_prevalence, "prevalence is missing"),
        (npv, "negatives"),
        (accuracy, "accuracy"),
        (nobody_is_zero, "0/0"),
    ],
}
OTHER_STYLE = {
    "14-1": by_two_points,
    "14-2": row_after_row,
    "14-3": integers,
    "14-4": thousand,
}

_FOUR = np.zeros((4, 4))
_FOUR[2:, 2:] = 1
GOLDEN = {
    "14-1": [(1, 0), (4, 1.1), (0, 0.3), (94.8683, 0.5), ([1, 4], [0, 1.1])],
    "14-2": [
        [[1, -0.5039], [0.01, 0.004]],
        [[127, 63]],
        [[0, 0], [0, 0]],
        [[-3, 0.9921]],
        [[1, 0.5039]],
    ],
    "14-3": [[[1, 1, 0, 0]], [[1, 1, 1, 0, 0, 0, 0, 0]], [[0, 0, 0]], _FOUR],
    "14-4": [0.9474, 0.1538, 0, 1, NAN],
}
