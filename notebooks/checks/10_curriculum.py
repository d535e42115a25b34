"""Exercises of notebook 10: right answers, cases, hints, and what known wrong answers give."""

import math

import numpy as np
from scipy import stats

from course_lib.teaching import Exercise, Wrong


def pool_size(s, N, f0=0.25, f1=1.0, end=0.8):
    """Cases let in after the share s of the training: linear pacing, at least 1."""
    u = min(1.0, s / end)
    return max(1, math.ceil((f0 + (f1 - f0) * u) * N - 1e-9))


def spearman(a, b):
    """Rank correlation; ties share the mean of their ranks."""
    return float(np.corrcoef(stats.rankdata(a), stats.rankdata(b))[0, 1])


def epoch_order(ranking, k, M, shuffle):
    """M draws from the k easiest cases: whole shuffled cycles, the last one cut."""
    drawn, cycle = [], 0
    while len(drawn) < M:
        drawn += list(shuffle(list(ranking[:k]), cycle))
        cycle += 1
    return drawn[:M]


def t_interval(differences):
    """95 % interval of the mean (Student's t); unbounded for one value."""
    d = np.asarray(differences, float)
    if len(d) < 2:
        return -math.inf, math.inf
    half = stats.t.ppf(0.975, len(d) - 1) * d.std(ddof=1) / math.sqrt(len(d))
    return float(d.mean() - half), float(d.mean() + half)


def rotate(cases, cycle):
    """A shuffle that can be followed by hand."""
    shift = cycle % len(cases)
    return cases[shift:] + cases[:shift]


TIES = "Equal values got the same rank, but not the mean of their places: 1, 1 have 1.5 each."
RANKING = [1, 5, 3, 7, 2, 4, 6, 0]

EXERCISES = {
    "10-1": Exercise(
        reference=pool_size,
        cases=(
            (0, 8),
            (0.4, 8),
            (0.6, 10),
            (0.9, 8),
            (0, 3),
            (0.8, 40),
            (0.3, 10, 0.2, 0.6, 0.5),
        ),
        hints=(
            "How far is the ramp? It ends at `end`, not at 1, and it does not go on after it.",
            "u = min(1, s / end), then the straight line from f0 to f1.",
            "max(1, math.ceil((f0 + (f1 - f0) * u) * N - 1e-9))",
        ),
        wrong=(
            Wrong({0: 2, 1: 5, 3: 9}, "9 of 8 cases: a ramp ends. After `end` all are in."),
            Wrong({1: 5, 2: 8}, "8 of 10 is less than the share 0.8125: take at least the share."),
            Wrong({0: 1, 1: 4}, "f0 is missing: epoch 0 needs cases, too."),
            Wrong({0: 2, 5: 34}, "`end` is missing: the ramp is over at s = end, u = s / end."),
            Wrong({1: 7}, "7 of 8 half way: that is the root's pacing, not the straight line."),
            Wrong(
                {1: 5, 5: 40, 6: 6},
                "Right for the defaults alone: f0, f1 and `end` are arguments, use all three.",
            ),
        ),
    ),
    "10-2": Exercise(
        reference=spearman,
        cases=(
            ([1, 2, 3, 4], [10, 20, 30, 400]),
            ([3, 1, 2], [1, 2, 3]),
            ([0.9, 0.1, 0.5, 0.3], [4, 1, 3, 2]),
            ([1, 2, 3], [9, 4, 1]),
            ([1, 1, 2], [1, 2, 3]),
            ([2, 5, 3, 1], [1, 3, 2, 4]),
            ([1, 1, 2, 3], [1, 2, 3, 4]),
        ),
        hints=(
            "Replace every value by its place in the order first: 400 is only the largest.",
            "Equal values share the mean of their places; then correlate the places.",
            "np.corrcoef(rankdata(a), rankdata(b))[0, 1]",
        ),
        wrong=(
            Wrong(
                {0: 0.8010},
                "That is Pearson's correlation of the values. 400 is only the largest of four.",
            ),
            Wrong(
                {5: -0.8},
                "argsort says who stands at a place, not which place somebody has. Do it twice, "
                "or use rankdata.",
            ),
            Wrong({4: 1.0, 5: -0.2}, "Two equal values got different ranks: ties share theirs."),
            Wrong({4: 0.8660, 6: 0.9467}, TIES),
            Wrong({4: 0.8660, 6: 0.9439}, TIES),
            Wrong({1: 0.5, 3: 1.0}, "You took the sign away. The sign is the finding."),
        ),
    ),
    "10-3": Exercise(
        reference=epoch_order,
        cases=(
            (RANKING, 2, 8, rotate),
            (RANKING, 3, 8, rotate),
            (RANKING, 8, 8, rotate),
            ([2, 0, 1], 1, 3, rotate),
        ),
        hints=(
            "Every arm gets M draws an epoch, however small its pool is: repeat the pool.",
            "Each time round, shuffle the pool anew: shuffle(pool, cycle), cycle = 0, 1, 2, ...",
            "while len(drawn) < M: drawn += shuffle(ranking[:k], cycle); then cut at M.",
        ),
        wrong=(
            Wrong(
                {0: [1, 5], 3: [2]},
                "A small pool is not a short epoch: how many updates did the rival get?",
            ),
            Wrong(
                {0: [1, 5, 1, 5, 1, 5, 1, 5]},
                "The same order each time round: `cycle` is an argument of shuffle.",
            ),
            Wrong(
                {0: [1, 5, 5, 1, 1, 5, 5, 1], 1: [1, 5, 3, 5, 3, 1, 3, 1, 5]},
                "9 draws for M = 8: cut the last cycle. Every arm gets M.",
            ),
            Wrong(
                {0: [6, 0, 0, 6, 6, 0, 0, 6]},
                "These are the hardest. The ranking ascends: its first entry is the easiest.",
            ),
        ),
    ),
    "10-4": Exercise(
        reference=t_interval,
        cases=(
            ([0.010, 0.035, 0.004],),
            ([-0.039, -0.041, -0.015],),
            ([-0.007, -0.007, -0.009],),
            ([0.02],),
            ([0.03, 0.02, 0.025, 0.01, 0.03],),
        ),
        hints=(
            "The doubt of a mean: standard deviation (with n - 1) over the root of n.",
            "Times the quantile of Student's t with n - 1 degrees of freedom, not 1.96.",
            "half = t.ppf(0.975, n - 1) * np.std(d, ddof=1) / np.sqrt(n); one value says nothing.",
        ),
        wrong=(
            Wrong(
                {0: (-0.0023, 0.0349)},
                "1.96 is for many values. With 3 there are 2 degrees of freedom: 4.30.",
            ),
            Wrong(
                {0: (-0.0544, 0.0871)},
                "That is the spread of one more run. The doubt of the mean is SD over root n.",
            ),
            Wrong(
                {0: (-0.0170, 0.0497)},
                "You divided by n. The mean was estimated from the same values: n - 1.",
            ),
            Wrong(
                {0: (0.004, 0.035)},
                "Smallest and largest are a range. It does not say how sure the mean is.",
            ),
        ),
    ),
}
