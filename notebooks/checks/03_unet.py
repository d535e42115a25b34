"""Exercises of notebook 03: right answers, cases, hints, and what known wrong answers give."""

import numpy as np
import torch

from course_lib.teaching import Exercise, Wrong

# The worked example of the loss: logits and mask of a 4 x 4 image.
LOGITS = torch.tensor(
    [[3, 2, 0.5, -1], [2, -0.5, 1, -2], [1.5, 1, -1, -2.5], [-0.5, -1.5, 0.5, -3]]
).reshape(1, 1, 4, 4)
MASK = torch.tensor(
    [[1, 1, 1, 0], [1, 1, 1, 0], [1, 1, 0, 0], [0, 0, 0, 0]], dtype=torch.float32
).reshape(1, 1, 4, 4)
EMPTY = torch.zeros(1, 1, 4, 4)
ENCODER = [(3, 1), (3, 1), (2, 2)] * 4 + [(3, 1), (3, 1)]


def unet_parameters(base, in_channels, num_classes, depth=4):
    """Count weights and biases of the padded U-Net (Ronneberger et al. 2015, figure 1)."""
    total, channels = 0, in_channels
    widths = [base * 2**level for level in range(depth + 1)]
    for width in widths:
        total += 9 * channels * width + width + 9 * width * width + width
        channels = width
    for width in reversed(widths[:-1]):
        total += 4 * 2 * width * width + width
        total += 9 * 2 * width * width + width + 9 * width * width + width
    return total + base * num_classes + num_classes


def receptive_field(layers):
    """Side of the square of input pixels that one output pixel sees, in px."""
    field, jump = 1, 1
    for kernel, stride in layers:
        field += (kernel - 1) * jump
        jump *= stride
    return field


def dice_loss(logits, target, smooth=1.0):
    """Soft Dice loss, one value an image, then the mean (Milletari et al. 2016, plain sums)."""
    probs = torch.sigmoid(logits)
    both = (probs * target).sum((1, 2, 3))
    size = probs.sum((1, 2, 3)) + target.sum((1, 2, 3))
    return (1 - (2 * both + smooth) / (size + smooth)).mean()


def cluster_bootstrap(scores, groups, draws):
    """Percentile interval of the mean when whole groups are drawn; images keep their weight."""
    names = sorted(set(groups))
    members = [np.array([s for s, g in zip(scores, groups) if g == name]) for name in names]  # noqa: B905
    means = [np.concatenate([members[k] for k in draw]).mean() for draw in draws]
    low, high = np.percentile(means, [2.5, 97.5])
    return float(low), float(high)


EXERCISES = {
    "03-1": Exercise(
        reference=unet_parameters,
        cases=((64, 3, 1), (64, 1, 1), (32, 3, 1), (4, 3, 1), (8, 3, 4), (8, 3, 1, 3)),
        hints=(
            "Start with one 3 by 3 convolution: how many numbers does it hold?",
            "One level is two convolutions, each with a bias. Then add up the levels.",
            "The 2 by 2 up-convolution halves the channels, the concatenation doubles them again.",
        ),
        wrong=(
            Wrong({0: 31_024_896}, "A kernel is not all: one more number per output channel."),
            Wrong({0: 27_898_305}, "How many channels are there after the concatenation?"),
            Wrong({0: 12_205_377}, "The kernel is 3 by 3: nine weights, not three."),
            Wrong({0: 31_031_680}, "65 numbers are missing: what turns 64 channels into a mask?"),
            Wrong({0: 31_031_745, 5: 485_817}, "How often is the image halved? Use depth."),
        ),
    ),
    "03-2": Exercise(
        reference=receptive_field,
        cases=(
            ([],),
            ([(3, 1)],),
            ([(3, 1), (3, 1)],),
            ([(3, 1), (3, 1), (2, 2), (3, 1)],),
            ([(3, 2), (3, 2)],),
            (ENCODER,),
        ),
        hints=(
            "Carry two numbers from layer to layer: the field r and the jump j.",
            "A layer adds (kernel - 1) steps, and a step is j pixels wide: r += (k - 1) * j.",
            "Only after that the layer's own stride counts: j *= s.",
        ),
        wrong=(
            Wrong({3: 8, 4: 5, 5: 25}, "After a stride of 2, one step is two pixels wide."),
            Wrong({4: 6, 5: 38}, "Neighbouring windows overlap: a kernel adds k - 1, not k."),
            Wrong({3: 11, 5: 155}, "A layer's own stride acts after it, not on its own kernel."),
        ),
    ),
    "03-3": Exercise(
        reference=dice_loss,
        cases=(
            (LOGITS, MASK),
            (torch.cat([LOGITS, EMPTY - 3]), torch.cat([MASK, EMPTY])),
            (EMPTY - 20, EMPTY),
            (40 * MASK - 20, MASK),
            (LOGITS, MASK, 0.5),
        ),
        hints=(
            "Logits are not probabilities: apply the sigmoid, once.",
            "Sum over channel, height and width, so that one number an image is left.",
            "1 - (2 * sum(p * y) + smooth) / (sum(p) + sum(y) + smooth), then the mean.",
        ),
        wrong=(
            Wrong({1: 0.2669}, "Sum over pixels, but take the mean over images."),
            Wrong({0: -1.5882}, "A loss below 0 is a signal: logits are not probabilities."),
            Wrong({0: 0.3734}, "Who applied the sigmoid already? Once is enough."),
            Wrong({0: 0.1016}, "Squared sums are a published form too; this one has plain sums."),
            Wrong({0: 0.2487}, "With so little smoothing an empty image gives almost no gradient."),
            Wrong({0: 0.1176}, "You thresholded. Where should the gradient come from?"),
            Wrong({0: 0.2341, 4: 0.2341}, "Use the argument smooth: here it is not 1."),
        ),
    ),
    "03-4": Exercise(
        reference=cluster_bootstrap,
        cases=(
            ([0.9, 0.9, 0.9, 0.5], "aaab", [[0, 1], [0, 0], [1, 1], [1, 0]]),
            ([0.9, 0.7, 0.5], "abc", [[0, 0, 1], [2, 2, 0]]),
            ([0.7, 0.7, 0.7], "abc", [[0, 1, 2], [1, 1, 1]]),
            ([0.8, 0.6], "aa", [[0], [0]]),
            ([0.5, 0.9, 0.7], "cab", [[0, 0, 1], [2, 2, 0]]),
        ),
        hints=(
            "Collect the scores of each group first; group number k is sorted(set(groups))[k].",
            "A draw is a list of group numbers: put the scores of those groups together.",
            "One mean a draw, then np.percentile(means, [2.5, 97.5]).",
        ),
        wrong=(
            Wrong({0: (0.9, 0.9)}, "You drew images. Draw whole patients."),
            Wrong({0: (0.515, 0.885)}, "Another question: here each patient has one vote."),
            Wrong({0: (0.4605, 1.1395)}, "A Dice above 1? The spread of cases is not the doubt."),
            Wrong({1: (0.7025, 0.7975)}, "A group that is drawn twice counts twice."),
            Wrong({4: (0.6333, 0.6333)}, "Group 0 is the first in the alphabet, not in the list."),
        ),
    ),
}
