"""Known wrong answers of notebook 08, right ones in another style, and hand-checked values."""

import math

import numpy as np
import torch


def gates(z):
    i, f, o = (torch.sigmoid(value) for value in z[:3])
    return i, f, o, torch.tanh(z[3])


def no_forgetting(z, c):
    i, _, o, g = gates(z)
    c = c + i * g
    return o * torch.tanh(c), c


def forget_and_output_swapped(z, c):
    i, o, f, g = gates(z)
    c = f * c + i * g
    return o * torch.tanh(c), c


def sigmoid_candidate(z, c):
    i, f, o, _ = gates(z)
    c = f * c + i * torch.sigmoid(z[3])
    return o * torch.tanh(c), c


def shown_as_it_is(z, c):
    i, f, o, g = gates(z)
    c = f * c + i * g
    return o * c, c


def rule_of_a_gru(z, c):
    i, _, o, g = gates(z)
    c = (1 - i) * c + i * g
    return o * torch.tanh(c), c


def with_numbers(z, c):
    i, f, o = (1 / (1 + math.exp(-float(value))) for value in z[:3])
    memory = f * float(c) + i * math.tanh(float(z[3]))
    return [o * math.tanh(memory), memory]


def each_step_alone(probs, mask, threshold=0.75):
    return ((probs > threshold) & (mask > 0)).astype(int)


def not_cut(probs, mask, threshold=0.75):
    return (np.maximum.accumulate(probs) > threshold).astype(int)


def half_by_habit(probs, mask, threshold=0.75):
    return ((np.maximum.accumulate(probs) > 0.5) & (mask > 0)).astype(int)


def intersection(probs, mask, threshold=0.75):
    return ((np.minimum.accumulate(probs) > threshold) & (mask > 0)).astype(int)


def step_by_step(probs, mask, threshold=0.75):
    revealed, rows = [0] * len(mask), []
    for row in probs:
        pairs = zip(row, mask, revealed, strict=True)
        revealed = [int(bool(m) and (p > threshold or r == 1)) for p, m, r in pairs]
        rows.append(revealed)
    return rows


def one_gate(c_in, c_hidden, k=3):
    return k * k * (c_in + c_hidden) * c_hidden + c_hidden


def input_alone(c_in, c_hidden, k=3):
    return k * k * c_in * 4 * c_hidden + 4 * c_hidden


def no_bias(c_in, c_hidden, k=3):
    return k * k * (c_in + c_hidden) * 4 * c_hidden


def two_biases(c_in, c_hidden, k=3):
    return no_bias(c_in, c_hidden, k) + 8 * c_hidden


def always_three(c_in, c_hidden, k=3):
    return no_bias(c_in, c_hidden) + 4 * c_hidden


def built(c_in, c_hidden, k=3):
    conv = torch.nn.Conv2d(c_in + c_hidden, 4 * c_hidden, k)
    return sum(p.numel() for p in conv.parameters())


WRONG = {
    "08-1": [
        (no_forgetting, "What multiplies c"),
        (forget_and_output_swapped, "changed places"),
        (sigmoid_candidate, "may be negative"),
        (shown_as_it_is, "squeezes"),
        (rule_of_a_gru, "1 - i"),
    ],
    "08-2": [
        (each_step_alone, "taken back"),
        (not_cut, "outside the reference"),
        (half_by_habit, "by habit"),
        (intersection, "shrink"),
    ],
    "08-3": [
        (one_gate, "i, f, o and g"),
        (input_alone, "recurrent"),
        (no_bias, "has a bias"),
        (two_biases, "Two biases"),
        (always_three, "not always"),
    ],
}
OTHER_STYLE = {"08-1": with_numbers, "08-2": step_by_step, "08-3": built}
EMPTY = [[0, 0, 0, 0]] * 3
GOLDEN = {
    "08-1": [(0.0, 0.0), (0.4406, 1.3808), (0.5374, 0.9398), (0.4621, 0.5)],
    "08-2": [
        [[1, 0, 0, 0], [1, 1, 0, 0], [1, 1, 0, 0]],
        [[1, 0, 0, 0]],
        EMPTY,
        EMPTY,
        [[1, 1, 0, 0], [1, 1, 0, 0], [1, 1, 1, 0]],
    ],
    "08-3": [4_640, 18_496, 4_719_616, 3_200, 544],
}
