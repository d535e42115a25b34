"""Parameters and MACs of GREnet and SiGREnet, written out by hand from the widths."""

from itertools import pairwise

from tests.closed_forms import conv

WIDTHS = (16, 32, 64, 128, 256)


def areas(height, width, levels):
    """Pixels of every level; sides are multiples of ``2 ** (levels - 1)``."""
    return [height * width // 4**level for level in range(levels)]


def grenet_parameters(
    in_channels=3, num_classes=1, channels=WIDTHS, steps=3, shared=True, selective=False
):
    c = channels[-1]
    unet = sum(conv(a, b) + conv(b, b) for a, b in pairwise([in_channels, *channels]))
    unet += sum(conv(a + b, a) + conv(a, a) for a, b in pairwise(channels))
    unet += conv(channels[0], num_classes, 1)
    memory = conv(2 * c, 4 * c) + conv(2 * c, c, 1)  # the ConvLSTM, and the joining 1x1
    if selective:
        memory += conv(c, c) + conv(c, c, 5) + 3 * conv(c, c, 1) + 2 * c
    return unet + memory if shared else steps * unet + (steps - 1) * memory


def grenet_macs(
    height,
    width,
    in_channels=3,
    num_classes=1,
    channels=WIDTHS,
    steps=3,
    shared=True,
    selective=False,
    decoders=1,
    half_of_zero_state=True,
):
    """``decoders`` is 1 for ``forward`` and the steps for ``forward_stages``."""
    area, c = areas(height, width, len(channels)), channels[-1]
    encoder = area[-1] * 9 * channels[-2] * c
    for (a, b), pixels in zip(pairwise([in_channels, *channels[:-1]]), area, strict=False):
        encoder += pixels * 9 * (a * b + b * b)
    decoder = area[0] * channels[0] * num_classes
    for (a, b), pixels in zip(pairwise(channels), area, strict=False):
        decoder += pixels * 9 * ((a + b) * a + a * a)
    second = area[-1] * 9 * c * c
    recurrent = steps if shared else steps - 1
    join = area[-1] * 2 * c * c
    if selective:
        join += area[-1] * (9 + 25) * c * c + 3 * c * c
    # every step reads two maps, but the first of a shared stage only one
    half = area[-1] * 9 * c * 4 * c
    halves = 4 * recurrent - 2 * shared - (0 if half_of_zero_state else recurrent)
    encoders = 1 if shared else steps
    return (
        encoders * encoder + steps * second + recurrent * join + halves * half + decoders * decoder
    )
