"""Known wrong answers of notebook 10, right ones in another style, and hand-checked values."""

import itertools
import math

import numpy as np
import torch
from scipy import stats


def share(s, f0, f1, end):
    return f0 + (f1 - f0) * min(1, s / end)


def no_clip(s, n, f0=0.25, f1=1, end=0.8):
    return math.ceil((f0 + (f1 - f0) * s / end) * n - 1e-9)


def floor(s, n, f0=0.25, f1=1, end=0.8):
    return max(1, math.floor(share(s, f0, f1, end) * n))


def from_zero(s, n, f0=0.25, f1=1, end=0.8):
    return max(1, math.ceil(f1 * min(1, s / end) * n - 1e-9))


def without_end(s, n, f0=0.25, f1=1, end=0.8):
    return max(1, math.ceil((f0 + (f1 - f0) * min(1, s)) * n - 1e-9))


def root(s, n, f0=0.25, f1=1, end=0.8):
    return math.ceil((f0 + (f1 - f0) * min(1, s / end) ** 0.5) * n - 1e-9)


def interpolated(s, n, f0=0.25, f1=1, end=0.8):
    return max(1, int(-((-n * np.interp(s, [0, end], [f0, f1]) + 1e-9) // 1)))


def defaults_only(s, n, f0=0.25, f1=1, end=0.8):
    return interpolated(s, n)


def pearson(a, b):
    return np.corrcoef(a, b)[0, 1]


def argsort_once(a, b):
    return np.corrcoef(np.argsort(a), np.argsort(b))[0, 1]


def argsort_twice(a, b):
    return np.corrcoef(np.argsort(np.argsort(a)), np.argsort(np.argsort(b)))[0, 1]


def ties_low(a, b):
    return np.corrcoef(stats.rankdata(a, "min"), stats.rankdata(b, "min"))[0, 1]


def ties_high(a, b):
    return np.corrcoef(stats.rankdata(a, "max"), stats.rankdata(b, "max"))[0, 1]


def absolute(a, b):
    return abs(stats.spearmanr(a, b).statistic)


def by_counting(a, b):
    ranks = []
    for values in (a, b):
        v = torch.tensor(values, dtype=torch.float64)
        ranks.append((v[:, None] > v).sum(1) + 0.5 * (v[:, None] == v).sum(1))
    return torch.corrcoef(torch.stack(ranks))[0, 1]


def short_epoch(ranking, k, draws, shuffle):
    return shuffle(ranking[:k], 0)[:draws]


def same_cycle(ranking, k, draws, shuffle):
    return (draws * shuffle(ranking[:k], 0))[:draws]


def whole_cycles(ranking, k, draws, shuffle):
    return [case for cycle in range(-(-draws // k)) for case in shuffle(ranking[:k], cycle)]


def hardest(ranking, k, draws, shuffle):
    return right_order(ranking[-k:], k, draws, shuffle)


def right_order(ranking, k, draws, shuffle):
    cycles = (shuffle(ranking[:k], cycle) for cycle in itertools.count())
    return tuple(itertools.islice(itertools.chain.from_iterable(cycles), draws))


def mean_and_half(d, factor, ddof=1, root_n=True):
    half = factor * np.std(d, ddof=ddof) / (len(d) ** 0.5 if root_n else 1)
    return np.mean(d) - half, np.mean(d) + half


def normal(d):
    return mean_and_half(d, 1.96)


def spread(d):
    return mean_and_half(d, stats.t.ppf(0.975, len(d) - 1), root_n=False)


def population(d):
    return mean_and_half(d, stats.t.ppf(0.975, len(d) - 1), ddof=0)


def ends(d):
    return min(d), max(d)


def by_scipy(d):
    if len(d) == 1:
        return [-np.inf, np.inf]
    return list(stats.ttest_1samp(d, 0).confidence_interval(0.95))


WRONG = {
    "10-1": [
        (no_clip, "a ramp ends"),
        (floor, "at least the share"),
        (from_zero, "f0 is missing"),
        (without_end, "`end` is missing"),
        (root, "root's pacing"),
        (defaults_only, "use all three"),
    ],
    "10-2": [
        (pearson, "Pearson"),
        (argsort_once, "which place somebody has"),
        (argsort_twice, "ties share"),
        (ties_low, "the mean of their places"),
        (ties_high, "the mean of their places"),
        (absolute, "the finding"),
    ],
    "10-3": [
        (short_epoch, "not a short epoch"),
        (same_cycle, "an argument of shuffle"),
        (whole_cycles, "cut the last cycle"),
        (hardest, "the hardest"),
    ],
    "10-4": [
        (normal, "4.30"),
        (spread, "one more run"),
        (population, "n - 1"),
        (ends, "a range"),
    ],
}
OTHER_STYLE = {
    "10-1": interpolated,
    "10-2": by_counting,
    "10-3": right_order,
    "10-4": by_scipy,
}
GOLDEN = {
    "10-1": [2, 5, 9, 8, 1, 40, 5],
    "10-2": [1, -0.5, 1, -1, 0.8660, -0.2, 0.9487],
    "10-3": [
        [1, 5, 5, 1, 1, 5, 5, 1],
        [1, 5, 3, 5, 3, 1, 3, 1],
        [1, 5, 3, 7, 2, 4, 6, 0],
        [2, 2, 2],
    ],
    "10-4": [
        (-0.0245, 0.0572),
        (-0.0676, 0.0043),
        (-0.0105, -0.0048),
        (-math.inf, math.inf),
        (0.0126, 0.0334),
    ],
}
