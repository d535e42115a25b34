"""Exercises of notebook 08: right answers, cases, hints, and what known wrong answers give."""

import numpy as np
import torch

from course_lib.teaching import Exercise, Wrong


def lstm_step(z, c):
    """One step of an LSTM at every pixel (Shi et al. 2015, equation 3, without peepholes)."""
    z_i, z_f, z_o, z_g = z
    i, f, o = torch.sigmoid(z_i), torch.sigmoid(z_f), torch.sigmoid(z_o)
    c = f * c + i * torch.tanh(z_g)
    return o * torch.tanh(c), c


def nested(probs, mask, threshold=0.75):
    """Curricula (T, P): above the threshold now or before, and inside the mask."""
    over = np.asarray(probs) > threshold
    joined = np.logical_or.accumulate(over, axis=0)
    return (joined & (np.asarray(mask) > 0)).astype(int)


def convlstm_parameters(c_in, c_hidden, k=3):
    """One convolution over input and state, to four maps a hidden channel."""
    made = 4 * c_hidden
    return k * k * (c_in + c_hidden) * made + made


PROBS = np.array([[0.9, 0.6, 0.2, 0.8], [0.7, 0.8, 0.1, 0.9], [0.9, 0.9, 0.6, 0.9]])
MASK = np.array([1, 1, 1, 0])

EXERCISES = {
    "08-1": Exercise(
        reference=lstm_step,
        cases=tuple(
            (torch.tensor(z), torch.tensor(c))
            for z, c in (
                ([0.0, 0.0, 0.0, 0.0], 0.0),
                ([0.0, 0.0, 0.0, 1.0], 2.0),
                ([2.0, -1.0, 1.0, 1.0], 1.0),
                ([-20.0, 20.0, 20.0, 5.0], 0.5),
            )
        ),
        hints=(
            "Three sigmoids and one tanh: which of the four may be negative?",
            "First the memory: c = f c + i g, with the old c on the right.",
            "Then what is shown: h = o tanh(c), with the new c. Return h, c.",
        ),
        wrong=(
            Wrong({2: (0.6811, 1.6708)}, "The old memory came through whole. What multiplies c?"),
            Wrong({2: (0.2382, 1.4019)}, "f and o changed places: keep before you add, show last."),
            Wrong({0: (0.1225, 0.25)}, "From four zeros came .25: a candidate may be negative."),
            Wrong({2: (0.6870, 0.9398)}, "c is right. What squeezes it before it is shown?"),
            Wrong({2: (0.4813, 0.7900)}, "You took f = 1 - i. Here there are four gate maps."),
        ),
    ),
    "08-2": Exercise(
        reference=nested,
        cases=(
            (PROBS, MASK, 0.75),
            (PROBS[:1], MASK, 0.75),
            (PROBS, np.zeros(4, int), 0.75),
            (np.full((3, 4), 0.1), MASK, 0.75),
            (PROBS, MASK, 0.5),
        ),
        hints=(
            "Three operations on masks: threshold, join with what was revealed, cut.",
            "A pixel is revealed at step t if it was above the threshold at any step up to t.",
            "np.logical_or.accumulate(probs > threshold, axis=0), and then & (mask > 0).",
        ),
        wrong=(
            Wrong(
                {0: [[1, 0, 0, 0], [0, 1, 0, 0], [1, 1, 0, 0]]},
                "The first pixel was revealed at step 1 and taken back at step 2.",
            ),
            Wrong(
                {0: [[1, 0, 0, 1], [1, 1, 0, 1], [1, 1, 0, 1]]},
                "The last pixel is outside the reference: confident is not right.",
            ),
            Wrong(
                {0: [[1, 1, 0, 0], [1, 1, 0, 0], [1, 1, 1, 0]]},
                "Which threshold is named? It is an argument, and not .5 by habit.",
            ),
            Wrong(
                {0: [[1, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]]},
                "Your curricula shrink. From step to step they should grow.",
            ),
        ),
    ),
    "08-3": Exercise(
        reference=convlstm_parameters,
        cases=((8, 8), (16, 16), (256, 256), (3, 8), (8, 8, 1)),
        hints=(
            "What does the convolution read? Two things beside each other.",
            "It writes four maps a hidden channel, one for each of i, f, o and g.",
            "k * k * (c_in + c_hidden) * 4 * c_hidden weights, and a bias for each map written.",
        ),
        wrong=(
            Wrong({0: 1_160}, "That is one map a hidden channel. There are i, f, o and g."),
            Wrong({0: 2_336}, "Only the input is read. What makes the cell recurrent?"),
            Wrong({0: 4_608}, "Weights alone: every map that is written has a bias, too."),
            Wrong({0: 4_672}, "Two biases a map: it is one convolution over both inputs."),
            Wrong({0: 4_640, 4: 4_640}, "The kernel is an argument: k x k, not always 3 x 3."),
        ),
    ),
}
