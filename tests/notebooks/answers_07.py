"""Known wrong answers of notebook 07, right ones in another style, and hand-checked values."""

import math

import torch
from torch import nn
from torch.nn import functional as F

from course_lib.teaching import load_checks


def conv(weight, bias, x):
    return F.conv2d(x, weight, bias, padding=1)


def two_biases(weight, bias, a, b):
    first = a.shape[1]
    return conv(weight[:, :first], bias, a) + conv(weight[:, first:], bias, b)


def halves_swapped(weight, bias, a, b):
    first = b.shape[1]
    return conv(weight[:, first:], bias, a) + conv(weight[:, :first], None, b)


def in_the_middle(weight, bias, a, b):
    half = weight.shape[1] // 2
    return conv(weight[:, :half], bias, a) + conv(weight[:, half:], None, b)


def outputs_split(weight, bias, a, b):
    return conv(weight[: a.shape[1]], None, a) + conv(weight[a.shape[1] :], bias, b)


def not_split_at_all(weight, bias, a, b):
    layer = nn.Conv2d(weight.shape[1], len(weight), 3, padding=1)
    layer.load_state_dict({"weight": weight, "bias": bias})
    return layer(torch.cat([a, b], 1)).detach()


def detached(a, b, x, lr):
    a = a - lr * 2 * (a * x - 1) * x
    return a, b - lr * 2 * (b * a * x - 1) * a * x


def joint(a, b, x, lr):
    one, two = 2 * (a * x - 1), 2 * (b * a * x - 1)
    return a - lr * (one * x + two * b * x), b - lr * two * a * x


def last_loss_only(a, b, x, lr):
    two = 2 * (b * a * x - 1)
    return a - lr * two * b * x, b - lr * two * a * x


def last_stage_first(a, b, x, lr):
    a, b = last_loss_only(a, b, x, lr)
    return a - lr * 2 * (a * x - 1) * x, b


def by_autograd(a, b, x, lr):
    a, b = (torch.tensor(float(v), requires_grad=True) for v in (a, b))
    optimiser = torch.optim.SGD([a, b], lr=lr)
    for depth in (1, 2):
        optimiser.zero_grad()
        y = a * x
        ((y if depth == 1 else b * y) - 1).square().backward()
        optimiser.step()
    return a.item(), b.item()


WRONG = {
    "07-1": [
        (lambda p, s: round((p + s) / 1e6, 2), "M for a million"),
        (lambda p, s: round(p / 2**20, 2), "what is learned"),
        (lambda p, s: round(4 * (p + s) / 2**20, 2), "four bytes"),
        (lambda p, s: math.floor((p + s) / 2**20 * 100) / 100, "cut the digits"),
        (lambda p, s: (p + s) / 2**20, "two digits"),
    ],
    "07-2": [
        (two_biases, "one bias"),
        (halves_swapped, "swapped"),
        (outputs_split, "cut the outputs"),
        (in_the_middle, "in the middle"),
    ],
    "07-3": [
        (detached, "cut the gradient"),
        (joint, "another method"),
        (last_loss_only, "without EPL"),
        (last_stage_first, "other order"),
    ],
    "07-4": [
        ("AE", "Which two columns"),
        ("a", "Which two columns"),
        ("CE", "two passes and 9.4 M"),
        ("E", "Add A, B or C"),
        ("BD", "no spread"),
        ("b", "second question"),
    ],
}
OTHER_STYLE = {
    "07-1": lambda p, s: float(f"{(p + s) / 1024 / 1024:.2f}"),
    "07-2": not_split_at_all,
    "07-3": by_autograd,
    "07-4": "e, b",
}
GOLDEN = {
    "07-1": [29.59, 15.03, 3.77, 10.33, 0.0],
    "07-2": [
        conv(weight, bias, torch.cat([a, b], 1))
        for weight, bias, a, b in load_checks("07")["07-2"].cases
    ],
    "07-3": [(0.67, 0.584), (0.6, 0.6), (1.0, 1.0), (-1.0, 1.0)],
}
