"""Exercises of notebook 04: right answers, cases, hints, and what known wrong answers give."""

import math

import torch

from course_lib.teaching import Exercise, Wrong

# Two images of two channels, 1 x 2 px, and the matrices of the worked example.
A, B = [[[1, 3]], [[0, 0]]], [[[-2, -2]], [[4, 0]]]
C = [[[1, 3, 2]], [[1, -1, 0]]]  # its second channel has the mean 0 and is not empty
W1, W2 = torch.tensor([[1, 0.5]]), torch.tensor([[1.0], [-1.0]])


def separable_saving(c_in, c_out, k):
    """Weights of a k x k convolution over depthwise plus pointwise ones (Howard et al. 2017)."""
    return k * k * c_in * c_out / (k * k * c_in + c_in * c_out)


def round8(mu):
    """Nearest multiple of 8, at least 8 and at least 0.9 mu (equations 2 and 3, repaired)."""
    v = max(8, math.floor(mu + 4) // 8 * 8)
    return v if v >= 0.9 * mu else v + 8


def squeeze_excite(x, w1, w2):
    """Channels weighed by sigmoid(w2 relu(w1 mean)), one set an image (Hu et al. 2018)."""
    weights = torch.sigmoid(torch.relu(x.mean((2, 3)) @ w1.T) @ w2.T)
    return x * weights[:, :, None, None]


def dmbc_parameters(c_in, c_out, hidden, k):
    """Trainable numbers of one DMBC, paper reading (Chakraborty et al. 2025, figure 3, eq. 5)."""
    convs = c_in * hidden + k * k * hidden + hidden * c_out
    norms = 2 * (hidden + hidden + c_out)
    excite = 2 * c_out * (c_out // 2)
    projection = 0 if c_in == c_out else c_in * c_out + c_out
    return convs + norms + excite + projection


EXERCISES = {
    "04-1": Exercise(
        reference=separable_saving,
        cases=((16, 16, 3), (64, 64, 3), (72, 72, 3), (8, 8, 5), (3, 16, 3), (32, 1, 3)),
        hints=(
            "Count the weights twice: of the k by k convolution, and of the two that replace it.",
            "Depthwise: k * k for each input channel. Pointwise: c_in * c_out.",
            "k * k * c_in * c_out / (k * k * c_in + c_in * c_out)",
        ),
        wrong=(
            Wrong({0: 9, 1: 9, 3: 25}, "9 at every width? The pointwise part costs, too."),
            Wrong({0: 16, 1: 64, 4: 16}, "The depthwise half alone: who mixes the channels?"),
            Wrong({0: 5.76, 4: 2.25}, "A depthwise kernel belongs to an input, not an output."),
            Wrong({0: 0.1736}, "Upside down: standard over separable, so that 2 means half."),
        ),
    ),
    "04-2": Exercise(
        reference=round8,
        cases=((64,), (12,), (27,), (33,), (3,), (6144,), (79,)),
        hints=(
            "The result must be a multiple of 8: print what comes out for 64 and for 6144.",
            "Add half of 8, divide by 8 without a remainder, multiply back by 8; at least 8.",
            "v = max(8, math.floor(mu + 4) // 8 * 8); then equation 3: if v < 0.9 * mu, add 8.",
        ),
        wrong=(
            Wrong({0: 16, 5: 104.0625}, "Eq. 2 as printed. Is 104.06 a number of channels?"),
            Wrong({6: 72}, "You rounded down: add half of 8 first, so that 79 becomes 80."),
            Wrong({2: 24, 6: 80}, "24 is below 0.9 times 27, which is 24.3: use eq. 3 as well."),
            Wrong({3: 40}, "The nearest multiple first: 33 is near 32. Only eq. 3 may go up."),
        ),
    ),
    "04-3": Exercise(
        reference=squeeze_excite,
        cases=(
            (torch.tensor([A, B]).float(), W1, W2),
            (torch.tensor([A]).float(), W1, W2),
            (torch.zeros(1, 2, 1, 1), W1, W2),
            (torch.tensor([C]).float(), W1, W2),
        ),
        hints=(
            "Squeeze: the mean over height and width, axes 2 and 3; (N, C) is left.",
            "Excite: times w1, ReLU, times w2, sigmoid: one number an image and channel.",
            "x * torch.sigmoid(torch.relu(mean @ w1.T) @ w2.T)[:, :, None, None]",
        ),
        wrong=(
            Wrong(
                {
                    0: [
                        [[[0.6225, 1.8674]], [[0, 0]]],
                        [[[-1.2449, -1.2449]], [[1.5102, 0]]],
                    ]
                },
                "You averaged over the batch: one patient must not change another.",
            ),
            Wrong(
                {1: [[[[0.9526, 2.8577]], [[0, 0]]]]},
                "You took the strongest pixel: squeeze is a global average.",
            ),
            Wrong(
                {
                    0: [
                        [[[0.8808, 2.6424]], [[0, 0]]],
                        [[[-0.5379, -0.5379]], [[2.9242, 0]]],
                    ]
                },
                "There is a ReLU between the two matrices.",
            ),
            Wrong(
                {3: [[[[0.9820, 2.9460, 1.9640]], [[0.0180, -0.0180, 0]]]]},
                "Channels do not compete: each has its own sigmoid, no softmax.",
            ),
            Wrong({1: [[[[2, 6]], [[0, 0]]]]}, "A weight above 1: apply the sigmoid at the end."),
            Wrong(
                {3: [[[[0.8808, 2.6424, 1.7616]], [[0.5, -0.5, 0]]]]},
                "No weight falls below .5: there is a ReLU between the matrices, none at the end.",
            ),
            Wrong(
                {3: [[[[0.9975, 2.9926, 1.9951]], [[0.0025, -0.0025, 0]]]]},
                "You took the sum over the pixels: squeeze is their mean.",
            ),
            Wrong(
                {1: [[[[1.8808, 3.8808]], [[0.1192, 0.1192]]]]},
                "You added the weights: to excite is to multiply.",
            ),
        ),
    ),
    "04-4": Exercise(
        reference=dmbc_parameters,
        cases=(
            (32, 32, 64, 3),
            (32, 48, 256, 3),
            (48, 48, 384, 3),
            (48, 80, 576, 5),
            (384, 384, 4608, 5),
        ),
        hints=(
            "List every module that learns: three convolutions, three norms, SE, the signal.",
            "Batch normalisation: 2 a channel, three times. SE: 2 * c_out * (c_out // 2).",
            "Only if c_in and c_out differ: a projection, c_in * c_out weights and c_out biases.",
        ),
        wrong=(
            Wrong({0: 6016, 1: 40_080}, "3 by 3 is the released code; the paper says 1 x 1."),
            Wrong({0: 7072, 1: 27_792}, "Equal shapes are just added: no projection there."),
            Wrong({0: 4992}, "1,024 are missing: squeeze-excite learns, too."),
            Wrong({0: 5696}, "320 are missing: small is not nothing. What does a norm learn?"),
            Wrong({0: 42_304}, "Depthwise: k * k for each channel, not for each pair."),
            Wrong({0: 6016, 1: 27_744}, "48 are missing: the projection has a bias."),
            Wrong({0: 6016, 1: 26_208}, "32 channels cannot be added to 48: project them first."),
        ),
    ),
}
