"""Exercises of notebook 03."""

from course_lib.teaching import Exercise, Wrong


def unet_parameters(base, in_channels, num_classes, depth=4):
    """Count weights and biases of the classic U-Net (Ronneberger et al. 2015, padded)."""
    total, channels = 0, in_channels
    widths = [base * 2**level for level in range(depth + 1)]
    for width in widths:
        total += 9 * channels * width + width + 9 * width * width + width
        channels = width
    for width in reversed(widths[:-1]):
        total += 4 * 2 * width * width + width
        total += 9 * 2 * width * width + width + 9 * width * width + width
    return total + base * num_classes + num_classes


EXERCISES = {
    "03-1": Exercise(
        reference=unet_parameters,
        cases=((64, 3, 1), (64, 1, 1), (32, 3, 1), (4, 3, 1), (8, 3, 4)),
        hints=(
            "Start with one 3 by 3 convolution: how many numbers does it hold?",
            "One level: two convolutions, each with a bias. Add the levels up.",
            "The 2 by 2 up-convolution halves the channels, then the concatenation doubles them.",
        ),
        wrong=(
            Wrong({0: 31_024_896}, "A kernel is not all there is: one more number per output channel."),
            Wrong({0: 27_898_305}, "How many channels are there after the concatenation?"),
            Wrong({0: 12_205_377}, "The kernel is 3 by 3: count nine weights, not three."),
            Wrong({0: 31_031_680}, "65 numbers are missing: the head."),
        ),
    ),
}
