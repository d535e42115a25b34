"""Exercises of notebook 14: right answers, cases, hints, and what known wrong answers give."""

import numpy as np
import torch
from torch.nn import functional as F

from course_lib.teaching import Exercise, Raised, Wrong


def fold(w, b, gamma, beta, mean, var, eps=1e-3):
    """Weight and bias that do what the layer and its batch normalisation did together."""
    scale = gamma / (var + eps) ** 0.5
    return w * scale, (b - mean) * scale + beta


def quantise_rows(weights):
    """Round to 255 steps a row (symmetric int8) and turn back into numbers."""
    weights = np.asarray(weights, dtype=float)
    largest = np.abs(weights).max(1, keepdims=True)
    scale = np.where(largest == 0, 1, largest) / 127
    return np.round(weights / scale) * scale


def to_original(prob, size):
    """Probabilities at the original size first, then the threshold."""
    big = F.interpolate(prob[None, None], size=size, mode="bilinear")[0, 0]
    return big > 0.5


def ppv(sensitivity, specificity, prevalence):
    """Share of the ill among those who are called positive; NaN if nobody is."""
    true = sensitivity * prevalence
    called = true + (1 - specificity) * (1 - prevalence)
    return true / called if called else float("nan")


NAN, INF = float("nan"), float("inf")
DIVISION = "Why does eps exist? var may be 0: add it under the root."
CORNERS = [[0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 1], [0, 0, 1, 1]]
CHANNELS = tuple(
    np.array(pair) for pair in ([2, 1], [0, 0.5], [1, 2], [0, 0.1], [0, 0.25], [3.999, 0.249])
)

EXERCISES = {
    "14-1": Exercise(
        reference=fold,
        cases=(
            (2, 0, 1, 0, 0, 3.999),
            (1, 0.5, 2, 0.1, 0.25, 0.249),
            (1, 1, 0, 0.3, 2, 1),
            (3, 1, 1, 0.5, 1, 0),
            CHANNELS,
        ),
        hints=(
            "Write the normalisation out: gamma * (w x + b - mean) / sqrt(var + eps) + beta.",
            "The factor s = gamma / sqrt(var + eps) multiplies everything but beta.",
            "s = gamma / np.sqrt(var + eps); return w * s, (b - mean) * s + beta",
        ),
        wrong=(
            Wrong({1: (4, -0.4)}, "The normalisation sees w x + b: b is scaled as well."),
            Wrong({1: (4, 2.1)}, "What is subtracted before the scale? The mean is missing."),
            Wrong({1: (8, 2.1)}, "A variance is no deviation: take the square root."),
            Wrong({3: Raised("ZeroDivisionError")}, DIVISION),
            Wrong({3: (INF, NAN)}, DIVISION),
            Wrong({1: (4, 1.4)}, "beta is added last: it is not scaled."),
        ),
    ),
    "14-2": Exercise(
        reference=quantise_rows,
        cases=(
            (np.array([[1, -0.502], [0.01, 0.004]]),),
            (np.array([[127, 63.4]]),),
            (np.zeros((2, 2)),),
            (np.array([[-3.0, 1.0]]),),
            (np.array([[1, 0.502]]),),
        ),
        hints=(
            "Every row (an output channel) has a scale of its own: its largest size over 127.",
            "Divide by the scale, round to the nearest whole number, multiply by the scale.",
            "scale = abs(W).max(1, keepdims=True) / 127, with 1 in place of a scale of 0.",
        ),
        wrong=(
            Wrong(
                {0: [[1, -0.5039], [0.0079, 0.0079]]},
                "Two different weights became one: one scale for all. Take one per output channel.",
            ),
            Wrong(
                {0: [[1, -0.4961], [0.01, 0.0039]]},
                "-0.502 came out as -0.4961: you cut off. Round to the nearest.",
            ),
            Wrong({4: [[1, 0.4961]]}, "0.502 came out as 0.4961: that is down, not the nearest."),
            Wrong(
                {0: [[-1, -0.5], [-0.01, 0.004]]},
                "1 became -1: 128 does not fit. int8 ends at 127.",
            ),
            Wrong({2: [[NAN, NAN]] * 2}, "A row of zeros has the scale 0: guard it."),
        ),
    ),
    "14-3": Exercise(
        reference=to_original,
        cases=(
            (torch.tensor([[0.9, 0.2]]), (1, 4)),
            (torch.tensor([[0.6, 0.0]]), (1, 8)),
            (torch.tensor([[0.4, 0.4]]), (1, 3)),
            (torch.tensor([[0.1, 0.1], [0.1, 0.9]]), (4, 4)),
        ),
        hints=(
            "Two steps, in this order: which of the two things is smooth, the probabilities or "
            "the mask?",
            "Bring the probabilities to the original size; the threshold comes last.",
            'big = F.interpolate(prob[None, None], size=size, mode="bilinear")[0, 0]; big > 0.5',
        ),
        wrong=(
            Wrong(
                {1: [[1, 1, 1, 1, 0, 0, 0, 0]]},
                "After the threshold 0.6 and 1 are the same: the mask no longer knows how sure "
                "the net was. Resize first.",
            ),
            Wrong(
                {1: [[1, 1, 0, 0, 0, 0, 0, 0]], 3: CORNERS},
                "Corner was laid on corner (align_corners=True): pixels are areas, so edges meet.",
            ),
            Wrong(
                {1: [[1, 1, 0, 0, 0, 0, 0, 0]]},
                "You resized logits: an extreme logit pulls the border. Resize probabilities.",
            ),
            Wrong(
                {1: [[1, 1, 1, 1, 1, 1, 0, 0]]},
                "Every pixel that the mask touches is in: the area grew.",
            ),
        ),
    ),
    "14-4": Exercise(
        reference=ppv,
        cases=((0.9, 0.95, 0.5), (0.9, 0.95, 0.01), (0.9, 0.95, 0), (1, 1, 0.1), (0, 1, 0.2)),
        hints=(
            "Take 1,000 people. How many are ill, and how many of these are called positive?",
            "The healthy give positives too: (1 - specificity) of them.",
            "true = sensitivity * prevalence; false = (1 - specificity) * (1 - prevalence); "
            "true / (true + false), NaN if both are 0.",
        ),
        wrong=(
            Wrong(
                {1: 0.9},
                "That is the share of the ill who are called. Of those *called*, how many are ill?",
            ),
            Wrong(
                {0: 0.9474, 1: 0.9474},
                "The same at 50 % and at 1 %? Where is the test used: prevalence is missing.",
            ),
            Wrong({1: 0.9989}, "You took the negatives: of those called positive, who is ill?"),
            Wrong(
                {1: 0.9495},
                "That is accuracy: the healthy carry it. Look only at the positives.",
            ),
            Wrong(
                {0: 0.9474, 1: 0.1538, 4: 0.0},
                "Nobody was called: 0/0 is not 0 but undefined, NaN.",
            ),
        ),
    ),
}
