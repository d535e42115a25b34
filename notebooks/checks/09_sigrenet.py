"""Exercises of notebook 09: right answers, cases, hints, and what known wrong answers give."""

import numpy as np

from course_lib import metrics, records
from course_lib.teaching import Exercise, Wrong


def recur(R0, g, S):
    """States of the printed update at one pixel, which is R + g S (SiGREnet, section II.A.2)."""
    states, state = [], R0
    for gate, increment in zip(g, S, strict=True):
        state = state + gate * increment
        states.append(state)
    return states


def grrb_parameters(C, gate, conv):
    """Convolution of S, scale and shift of its normalisation, gate with bias."""
    convolution = 9 * C + C * C if conv == "ds" else 9 * C * C
    read = 2 * C if gate == "full" else C
    return convolution + 2 * C + (read * C + C)


def attend(logits, values):
    """Mix (P,) of values (T, P) by a softmax of logits (T, P) over the steps."""
    weights = np.exp(logits - logits.max(axis=0))
    return (weights * values).sum(axis=0) / weights.sum(axis=0)


def supported(more_steps):
    """Letter of the sentence that differences T = 6 minus T = 3 support, one a training seed."""
    low, _ = metrics.t_interval(more_steps) if len(more_steps) else (np.nan, np.nan)
    return "A" if low > 0 else "B"


def recorded_differences():
    """Differences T = 6 minus T = 3 of the committed sweep, none without one."""
    kept = records.committed_sweep("sigrenet_refiners")
    if kept is None:
        return []
    own = kept["table"].query("refiner == 'grrb'")
    wide = own.pivot_table(index="seed", columns="record", values="value")
    return (wide["dice_T6"] - wide["dice_T3"]).dropna().tolist()


RIGHT = supported(recorded_differences())
SENTENCES = {
    "A": "More computing felt like more quality. Does the interval of T = 6 minus T = 3 hold 0?",
    "B": "The interval of T = 6 minus T = 3 lies above 0. What does that resolve?",
    "C": "Not shown is not nothing. And compare T = 1 with T = 3 first: was a step useless there?",
}


def column(*numbers):
    """An array (T, 1): the numbers of one pixel."""
    return np.array(numbers, dtype=float)[:, None]


EXERCISES = {
    "09-1": Exercise(
        reference=recur,
        cases=(
            (0.5, (0.25, 0.5, 0.75), (1.0, -0.4, 0.2)),
            (0.0, (0.5, 0.5), (1.0, 1.0)),
            (1.0, (0.0, 0.0), (3.0, 3.0)),
            (2.0, (1.0,), (-1.0,)),
        ),
        hints=(
            "Expand both products of the printed formula. Which terms cancel?",
            "(1 - g) R + g R + g S: what is R - g R + g R?",
            "One line a step: R = R + g * S, with the new R in the next step.",
        ),
        wrong=(
            Wrong(
                {0: [0.625, 0.1125, 0.1781]},
                "It looks like a GRU, and is none: the second bracket holds R again.",
            ),
            Wrong(
                {0: [0.375, -0.0125, 0.1406]},
                "The first term is lost. There are two brackets, and a sum of both.",
            ),
            Wrong(
                {0: [0.75, 0.3, 0.65]},
                "Every step begins at R0. The formula says R(t-1): the state of the step before.",
            ),
            Wrong({0: [1.5, 1.1, 1.3]}, "S comes in whole. What stands in front of the bracket?"),
        ),
    ),
    "09-2": Exercise(
        reference=grrb_parameters,
        cases=(
            (16, "full", "ds"),
            (16, "literal", "ds"),
            (16, "literal", "std"),
            (256, "full", "ds"),
            (8, "full", "std"),
        ),
        hints=(
            "Three parts: the convolution of S, its normalisation, the gate.",
            "A 1 x 1 convolution from 2C to C channels has 2C * C weights and C biases.",
            "ds: 9C + C * C, std: 9C * C; then 2C for the normalisation; then read * C + C, where "
            "read is 2C or C.",
        ),
        wrong=(
            Wrong({0: 928}, "A normalisation is not free: a scale and a shift, 2 a channel."),
            Wrong({0: 704, 1: 448}, "Depthwise does not mix channels: the 1 x 1 after it is lost."),
            Wrong({0: 704, 1: 704}, "A gate that sees F and R reads 2C channels."),
            Wrong({0: 5_056}, "The gate is a 1 x 1 convolution, not a 3 x 3."),
        ),
    ),
    "09-3": Exercise(
        reference=attend,
        cases=(
            (column(0, 1, 2), column(1, 2, 4)),
            (np.array([[0.0, 2], [1, 1], [2, 0]]), np.array([[1.0, 1], [2, 2], [4, 4]])),
            (column(1000, 1000), column(1, 3)),
            (np.array([[5.0, -1]]), np.array([[7.0, 3]])),
        ),
        hints=(
            "Each pixel has weights of its own, one a step, with sum 1: which axis is that?",
            "Subtract the largest logit of each pixel before exp, or 1000 overflows.",
            "w = np.exp(logits - logits.max(axis=0)), then (w * values).sum(axis=0) over "
            "w.sum(axis=0).",
        ),
        wrong=(
            Wrong({0: [7.0]}, "Steps compete, pixels do not: your softmax runs over the pixels."),
            Wrong(
                {0: [3.2405], 1: [1.6203, 0.7574]},
                "Each pixel has its own sum of 1. Yours share one.",
            ),
            Wrong({0: [3.3333]}, "Dividing by the sum is no softmax: exp first."),
            Wrong({0: [4.0]}, "A softmax is a soft choice: you took the largest alone."),
            Wrong({0: [3.2405], 2: [np.nan]}, "exp(1000) overflows: subtract the maximum first."),
        ),
    ),
    "09-4": Exercise(
        reference=RIGHT,
        hints=(
            "Look at the spread, not at the height of the dots.",
            "Pair by seed: the same training at T = 6 and at T = 3. Does the interval hold 0?",
            "The net was trained with T = 3. A sentence about steps beyond it needs an interval "
            "above 0; one that holds 0 leaves the question open.",
        ),
        wrong=tuple(
            Wrong({0: {letter}}, why) for letter, why in SENTENCES.items() if letter != RIGHT
        ),
    ),
}
