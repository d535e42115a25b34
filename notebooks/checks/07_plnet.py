"""Exercises of notebook 07: right answers, cases, hints, and what known wrong answers give."""

from itertools import combinations

import torch
from torch.nn import functional as F

from course_lib.teaching import Exercise, Raised, Wrong


def printed(trainable, bn_statistics):
    """A parameter count as PL-Net's tables print it: running statistics too, in units of 2**20."""
    return round((trainable + bn_statistics) / 2**20, 2)


def split_conv(weight, bias, a, b):
    """conv(cat[a, b]) as a sum of two convolutions, each on its own maps."""
    first = a.shape[1]
    left = F.conv2d(a, weight[:, :first], bias, padding=1)
    return left + F.conv2d(b, weight[:, first:], padding=1)


def epl_step(a, b, x, lr):
    """Two updates of y = a x and z = b y towards 1: stage 1 by its own loss, then both."""
    a -= lr * 2 * (a * x - 1) * x
    slope = 2 * (b * a * x - 1)
    return a - lr * slope * b * x, b - lr * slope * a * x


def drawn(*shape, seed):
    """Random numbers that are the same each time."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


SPLITS = tuple(
    (
        drawn(2, ca + cb, 3, 3, seed=ca),
        torch.tensor([1.0, -2.0]),
        drawn(1, ca, 4, 4, seed=10 + ca),
        drawn(1, cb, 4, 4, seed=20 + cb),
    )
    for ca, cb in ((2, 2), (1, 3), (3, 3))
)


def bias_twice(weight, bias, a, b):
    """What two convolutions with the bias in both give."""
    return split_conv(weight, bias, a, b) + bias[None, :, None, None]


def halves_swapped(weight, bias, a, b):
    """What the last inputs' weights on a give; only where a and b are equally wide."""
    first = b.shape[1]
    return split_conv(torch.cat([weight[:, first:], weight[:, :first]], 1), bias, a, b)


def wrong_letters():
    """Every set of letters but the right one, with the hint that its first slip deserves."""
    for count in range(1, 6):
        for letters in map(set, combinations("ABCDE", count)):
            if letters != set("BE"):
                yield Wrong({0: letters}, hint_for(letters))


def hint_for(letters):
    """The hint for one wrong set: the pair first, then whether it is shown."""
    if "A" in letters:
        return "A compares 10.33 M with 15.03 M parameters. Which two columns have equally many?"
    if "C" in letters:
        return "C compares 10.33 M with 19.73 M: two passes and 9.4 M parameters more."
    if "B" not in letters:
        return "Which pair has equally many parameters? Add A, B or C."
    if "D" in letters:
        return "Shown? Table 2 prints no spread. Look for one in Table 4, and at the work of IPL."
    return "And the second question? Add D or E."


EXERCISES = {
    "07-1": Exercise(
        reference=printed,
        cases=(
            (31_031_745, 0),
            (15_734_242, 21_760),
            (3_946_674, 10_944),
            (10_825_602, 8_960),
            (0, 0),
        ),
        hints=(
            "Divide 31.03 by 29.59. Which power of two, over a million, is that?",
            "2**20 = 1,048,576. And .02 are still missing in 15.03: what else does a file hold?",
            "round((trainable + bn_statistics) / 2**20, 2)",
        ),
        wrong=(
            Wrong(
                {0: 31.03, 1: 15.76},
                "You took M for a million. Which unit gives 29.59 for the first net?",
            ),
            Wrong(
                {0: 29.59, 1: 15.01},
                "You counted what is learned; .02 are missing. What does Keras add to its total?",
            ),
            Wrong(
                {0: 118.38},
                "That is four bytes a number: the paper's column in MB, not the one in M.",
            ),
            Wrong(
                {0: 29.59, 1: 15.02},
                "You cut the digits off: 15.0261 is printed as 15.03. Round.",
            ),
            Wrong(
                {0: 29.59422},
                "The unit is right. The paper prints two digits: round.",
            ),
        ),
    ),
    "07-2": Exercise(
        reference=split_conv,
        cases=SPLITS,
        hints=(
            "A weight is (out, in, 3, 3). cat puts a's channels first.",
            "Take the weights of a's inputs and convolve a; the rest is for b; add both.",
            "F.conv2d(a, weight[:, :Ca], bias, padding=1) + F.conv2d(b, weight[:, Ca:], padding=1)",
        ),
        wrong=(
            Wrong(
                {i: bias_twice(*case) for i, case in enumerate(SPLITS)},
                "Off by exactly the bias: two convolutions, but one output and one bias.",
            ),
            Wrong(
                {0: halves_swapped(*SPLITS[0]), 2: halves_swapped(*SPLITS[2])},
                "The halves are swapped. A sum has no order, the weights have: a comes first.",
            ),
            Wrong(
                {0: Raised("RuntimeError"), 2: Raised("RuntimeError")},
                "You cut the outputs. A weight is (out, in, 3, 3): which axis are the inputs?",
            ),
            Wrong(
                {1: Raised("RuntimeError")},
                "You cut in the middle: right only where a and b are equally wide. Where does a "
                "end?",
            ),
        ),
    ),
    "07-3": Exercise(
        reference=epl_step,
        cases=(
            (0.5, 0.5, 1.0, 0.1),
            (0.5, 0.5, 2.0, 0.1),
            (1.0, 1.0, 1.0, 0.1),
            (0.0, 2, 1.0, 0.5),
        ),
        hints=(
            "Do it on paper for a = b = .5, x = 1: what is a after the first update?",
            "The second update starts from the new a, and its loss depends on a, too.",
            "update((b * (a * x) - 1) ** 2, [a, b], lr), with nothing detached.",
        ),
        wrong=(
            Wrong(
                {0: (0.6, 0.584)},
                "Stage 1 learned nothing from the second loss: something cut the gradient.",
            ),
            Wrong(
                {0: (0.675, 0.575)},
                "You took one step down both losses. The weights must move in between; the joint "
                "step is cheaper, and another method.",
            ),
            Wrong(
                {0: (0.575, 0.575)},
                "Only the last loss was used: that is training without EPL.",
            ),
            Wrong(
                {0: (0.66, 0.575)},
                "Both updates, in the other order: stage 1's own loss comes first.",
            ),
        ),
    ),
    "07-4": Exercise(
        reference="BE",
        hints=(
            "Read the row of parameters before the scores: which two columns are equal?",
            "No IPL n=2 and IPL n=2: 15.03 and 15.03. Subtract.",
            "Spread: Table 2 prints none. Table 4 prints a deviation over folds, about 1.2.",
        ),
        wrong=tuple(wrong_letters()),
        model_answer="B and E. At 15.03 M both, IPL gains .80 of IoU. It is not shown: Table 2 "
        "has no spread, folds differ by 1.2, and IPL with n=2 does 1.70 times the multiplications.",
    ),
}
