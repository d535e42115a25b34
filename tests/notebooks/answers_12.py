"""Known wrong answers of notebook 12, right ones in another style, and hand-checked values."""

import math

import numpy as np
import torch
from scipy import stats


def percentiles(values):
    return tuple(np.percentile(values, [2.5, 97.5]))


def means(values, draws):
    return np.array([np.asarray(values)[draw].mean() for draw in draws])


def drawn_apart(a, b, draws):
    return percentiles(means(a, draws) - means(b, draws[1:] + draws[:1]))


def ends_subtracted(a, b, draws):
    one, other = percentiles(means(a, draws)), percentiles(means(b, draws))
    return one[0] - other[1], one[1] - other[0]


def absolute(a, b, draws):
    return percentiles(means(np.abs(np.subtract(a, b)), draws))


def turned(a, b, draws):
    return percentiles(means(np.subtract(b, a), draws))


def means_apart_on_the_same_draws(a, b, draws):
    return list(percentiles(means(a, draws) - means(b, draws)))


def first(enough):
    return next((n for n in range(2, 201) if enough(n)), math.inf)


def normal(sd, effect, quantile=1.96):
    return math.ceil(((quantile + 0.8416) * sd / effect) ** 2)


def normal_one_sided(sd, effect):
    return normal(sd, effect, 1.645)


def half_width(sd, effect):
    return first(lambda n: stats.t.ppf(0.975, n - 1) * sd / n**0.5 <= effect)


def power(n, sd, effect, tail):
    edge, shift = stats.t.isf(tail, n - 1), effect / sd * n**0.5
    return stats.nct.sf(edge, n - 1, shift)


def one_sided(sd, effect):
    return first(lambda n: power(n, sd, effect, 0.05) >= 0.8)


def unpaired(sd, effect):
    return first(lambda n: power(n, sd * 2**0.5, effect, 0.025) >= 0.8)


def by_f_distribution(sd, effect):
    """The square of t is F with one degree of freedom more."""

    def enough(n):
        edge = stats.f.ppf(0.95, 1, n - 1)
        return stats.ncf.sf(edge, 1, n - 1, n * (effect / sd) ** 2) >= 0.8

    return first(enough)


def each_alone(p, alpha):
    return [value <= alpha for value in p]


def bonferroni(p, alpha):
    return [value <= alpha / len(p) for value in p]


def benjamini_hochberg(p, alpha):
    m = len(p)
    order = sorted(range(m), key=p.__getitem__)
    last = max((k for k in range(m) if p[order[k]] <= alpha * (k + 1) / m), default=-1)
    return [test in order[: last + 1] for test in range(m)]


def without_a_stop(p, alpha):
    order = sorted(range(len(p)), key=p.__getitem__)
    return [p[test] <= alpha / (len(p) - order.index(test)) for test in range(len(p))]


def unsorted(p, alpha):
    stands = []
    for i, value in enumerate(p):
        stands.append(value <= alpha / (len(p) - i) and all(stands))
    return stands


def left_sorted(p, alpha):
    return unsorted(sorted(p), alpha)


def always_at_5_percent(p, alpha):
    return by_adjusted_p(p, 0.05)


def by_adjusted_p(p, alpha):
    values, order = torch.tensor(p, dtype=torch.float64).sort()
    factors = torch.arange(len(p), 0, -1)
    adjusted = (values * factors).cummax(0).values
    stands = torch.empty(len(p), dtype=torch.bool)
    stands[order] = adjusted <= alpha
    return stands.tolist()


def graded(**changed):
    letters = {1: "ZN", 2: "ZN", 3: "MN", 4: "ZN", 5: "N", 6: "A"}
    letters |= {int(row.removeprefix("row")): value for row, value in changed.items()}
    return lambda row: set(letters[row])


def by_question(row):
    if row == 6:
        return {"A"}
    found = {"N"}
    if row == 3:
        found.add("M")
    elif row != 5:
        found.add("Z")
    return frozenset(found)


WRONG = {
    "12-1": [
        (drawn_apart, "one draw serves both"),
        (ends_subtracted, "of differences"),
        (absolute, "counts, too"),
        (turned, "a minus b"),
    ],
    "12-2": [
        (normal, "12.7"),
        (half_width, "every second time"),
        (one_sided, "may be worse"),
        (normal_one_sided, "may be worse"),
        (unpaired, "paired difference already"),
    ],
    "12-3": [
        (each_alone, "three chances"),
        (benjamini_hochberg, "another thing"),
        (bonferroni, "Bonferroni"),
        (without_a_stop, "stop there"),
        (unsorted, "sort by p first"),
        (left_sorted, "its own test"),
        (always_at_5_percent, "alpha is an argument"),
    ],
    "12-4": [
        (graded(row4="S"), "five times the weights"),
        (graded(row5="S"), "fold by fold"),
        (graded(row1="Z"), "How many runs"),
        (graded(row1="ZNM"), "How many runs"),
        (graded(row2="S"), "with 0 blocks"),
        (graded(row3="ZN"), "size and work"),
        (graded(row6="N"), "cells of Table 2"),
        ({1: "ZN", 2: "ZN", 3: "MN", 4: "ZN", 5: "N", 6: "A"}.__getitem__, "a set of letters"),
        (lambda row: None, "a set of letters"),
        (lambda row: set({1: "ZN", 2: "ZN"}[row]), "size and work"),
    ],
}
OTHER_STYLE = {
    "12-1": means_apart_on_the_same_draws,
    "12-2": by_f_distribution,
    "12-3": by_adjusted_p,
    "12-4": by_question,
}
GOLDEN = {
    "12-1": [(0.0236, 0.0392), (-0.0308, 0.0308), (0, 0), (0.1, 0.1)],
    "12-2": [5, 10, 23, 34, math.inf],
    "12-3": [
        [True, False, False],
        [True, False, False],
        [True, True, False],
        [True],
        [True, False, False, False],
        [False, True, False],
        [True, True, True],
    ],
    "12-4": [{"Z", "N"}, {"Z", "N"}, {"M", "N"}, {"Z", "N"}, {"N"}, {"A"}],
}
