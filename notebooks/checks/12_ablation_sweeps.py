"""Exercises of notebook 12: right answers, cases, hints, and what known wrong answers give."""

import math
from itertools import combinations, permutations

import numpy as np
from scipy import stats

from course_lib.teaching import Exercise, Raised, Wrong


def paired_bootstrap(a, b, draws):
    """95 % interval of the mean of a - b: both nets are drawn on the same images."""
    difference = np.subtract(a, b)
    means = [difference[list(draw)].mean() for draw in draws]
    low, high = np.percentile(means, [2.5, 97.5])
    return float(low), float(high)


def seeds_needed(sd, effect):
    """Fewest seeds, 2 to 200, with which a paired t test finds the effect in 80 of 100 sweeps.

    Found with the right sign. The other tail finds nothing, and SciPy gives NaN where it is tiny.
    """
    for n in range(2, 201):
        edge, shift = stats.t.ppf(0.975, n - 1), effect / sd * math.sqrt(n)
        if stats.nct.sf(edge, n - 1, shift) >= 0.8:
            return n
    return math.inf


def holm(p, alpha=0.05):
    """Which of the tests stand after Holm's correction, in the order given."""
    order, stands = np.argsort(p, kind="stable"), [False] * len(p)
    for i, test in enumerate(order):
        if p[test] > alpha / (len(p) - i):
            break
        stands[test] = True
    return stands


def marks(row):
    """The letters of a printed row."""
    return set(RIGHT[row])


def other_marks(row):
    """All other sets of letters, and what a row without letters raises.

    Listed, so that no message has to say what was expected.
    """
    sets = (set(some) for n in range(6) for some in combinations("SZMNA", n))
    return *(some for some in sets if some != marks(row)), Raised("KeyError"), Raised("TypeError")


WORDS = tuple("".join(some) for n in (1, 2, 3) for some in permutations("SZMNA", n))
RIGHT = {1: "ZN", 2: "ZN", 3: "MN", 4: "ZN", 5: "N", 6: "A"}
ROW_HINTS = {
    1: "Row 1 has two decimals. How many runs stand behind it? And how large is A4 beside A1 in "
    "the table above?",
    2: "Row 2: is the net with 0 blocks as large as the one with 13? And is a spread printed?",
    3: "Row 3: look at size and work in the table above. And is a spread printed?",
    4: "Row 4 adds a second stage with its loss: two stages, five times the weights. One row is "
    "not always one factor. And is a spread printed?",
    5: "Row 5 has a gain and two deviations over folds. Which spread would you need? That of the "
    "difference, fold by fold. Size is a price here, no confound.",
    6: "Row 6: could the cells of Table 2 alone decide it? Then nothing else is needed.",
}
DRAWS = [[0, 1, 2], [0, 0, 1], [2, 2, 2], [1, 1, 0]]

EXERCISES = {
    "12-1": Exercise(
        reference=paired_bootstrap,
        cases=(
            ([0.9, 0.6, 0.3], [0.88, 0.57, 0.26], DRAWS),
            ([0.9, 0.5, 0.3], [0.8, 0.6, 0.3], DRAWS),
            ([0.8, 0.7, 0.1], [0.8, 0.7, 0.1], DRAWS),
            ([0.7], [0.6], [[0], [0]]),
        ),
        hints=(
            "Subtract first: what is hard about an image is hard for both nets.",
            "One mean of the differences for every draw, then the percentiles 2.5 and 97.5.",
            "d = a - b; np.percentile([d[draw].mean() for draw in draws], [2.5, 97.5])",
        ),
        wrong=(
            Wrong(
                {0: (-0.3586, 0.5092)},
                "You drew other images for b than for a. An image is hard for both: one draw "
                "serves both nets.",
            ),
            Wrong(
                {0: (-0.4464, 0.5092)},
                "You subtracted the ends of two intervals. Make one interval, of differences.",
            ),
            Wrong(
                {1: (0.005, 0.1)},
                "You took the sign away: the image on which a loses counts, too.",
            ),
            Wrong({0: (-0.0392, -0.0236)}, "The sign is turned: a minus b."),
        ),
    ),
    "12-2": Exercise(
        reference=seeds_needed,
        cases=((0.01, 0.02), (0.01, 0.01), (0.016, 0.01), (0.01, 0.005), (0.01, 0.0)),
        hints=(
            "What would 1,000 sweeps with n seeds find? Count those whose t test says so.",
            "The test's edge is stats.t.ppf(0.975, n - 1); under the effect t follows stats.nct "
            "with n - 1 degrees of freedom and the shift effect / sd * n ** 0.5.",
            "for n in range(2, 201): return n once nct.sf(edge, n - 1, shift) >= 0.8",
        ),
        wrong=(
            Wrong(
                {0: 2, 1: 8},
                "That is the formula of the normal distribution: 2 seeds cannot carry a t test, "
                "whose edge is then 12.7.",
            ),
            Wrong(
                {0: 4, 1: 7},
                "You asked for a half width as large as the effect: that finds it every second "
                "time.",
            ),
            Wrong(
                {0: 4, 1: 8},
                "One-sided: but the variant may be worse, too. Half of .05 belongs to each side.",
            ),
            Wrong(
                {0: 2, 1: 7},
                "One-sided: but the variant may be worse, too. Half of .05 belongs to each side.",
            ),
            Wrong(
                {0: 7, 1: 18},
                "sd is that of the paired difference already: no root of 2 on top.",
            ),
        ),
    ),
    "12-3": Exercise(
        reference=holm,
        cases=(
            ([0.01, 0.04, 0.03], 0.05),
            ([0.016, 0.03, 0.04], 0.05),
            ([0.02, 0.01, 0.2], 0.05),
            ([0.04], 0.05),
            ([0.01, 0.02, 0.03, 0.04], 0.05),
            ([0.06, 0.001, 0.04], 0.05),
            ([0.02, 0.06, 0.04], 0.1),
        ),
        hints=(
            "Sort first: the smallest p has the hardest bound.",
            "The i-th smallest (i = 0, 1, ...) of m is held against alpha / (m - i); after the "
            "first that fails, all fail.",
            "for i, test in enumerate(np.argsort(p)): break if p[test] > alpha / (m - i), else "
            "stands[test] = True",
        ),
        wrong=(
            Wrong(
                {0: [True, True, True], 5: [False, True, True]},
                "Each test stands alone here: three tests are three chances for a false star.",
            ),
            Wrong(
                {0: [True, True, True], 5: [False, True, False]},
                "That is Benjamini and Hochberg's rule. It promises another thing: a small share "
                "of false stars, not none in 95 of 100 sweeps.",
            ),
            Wrong(
                {2: [False, True, False]},
                "That is Bonferroni: valid and weaker. Once the smallest p has passed, the second "
                "needs only alpha / (m - 1).",
            ),
            Wrong(
                {0: [True, True, False]},
                "After the first failure all larger p fail: stop there.",
            ),
            Wrong(
                {2: [False, False, False]},
                "You went through the tests as they came: sort by p first.",
            ),
            Wrong(
                {5: [True, False, False]},
                "Right in the sorted order. Now put each answer back to its own test.",
            ),
            Wrong(
                {0: [True, False, False], 6: [False, False, False]},
                "Right for .05 alone: alpha is an argument.",
            ),
        ),
    ),
    "12-4": Exercise(
        reference=marks,
        cases=tuple((row,) for row in RIGHT),
        hints=(
            "What else changed in the row: the size, or, at equal size, the multiplications?",
            "Is there a spread, and of what? A spread of folds is not one of their difference.",
            "Could the printed cells alone decide it? Then it is arithmetic, A, and nothing else. "
            "Rows 1, 2, 4: the size changed. Row 3: it did not.",
        ),
        wrong=tuple(
            Wrong({0: found}, "Return a set of letters: return set(letters[row]).")
            for found in (*WORDS, None)
        )
        + tuple(
            Wrong({row - 1: found}, text)
            for row, text in ROW_HINTS.items()
            for found in other_marks(row)
        ),
    ),
}
