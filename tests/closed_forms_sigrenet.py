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


def pair(before, after, style):
    """Weights of a depthwise separable convolution, or of the 3x3 one in its place."""
    return 9 * before + before * after if style == "ds" else 9 * before * after


def residual(before, after, style, image=False):
    """Weights of a residual block: of its convolutions, and of its normalisations."""
    first = 9 * before * after if image else pair(before, after, style)
    shortcut = 0 if before == after else before * after
    norms = 4 * after + (0 if before == after else 2 * after)
    return first + pair(after, after, style) + shortcut, norms


def refiner_parameters(c, refiner, dependence="full", style="ds"):
    if refiner == "grrb":
        seen = c if dependence == "literal" else 2 * c
        return pair(c, c, style) + 2 * c + seen * c + c
    if refiner == "light":
        return pair(c, c, style) + c * c + c
    if refiner == "eta":
        return pair(c, c, style) + 2 * c + 2 * c * max(4, c // 8)
    return 72 * c * c + 4 * c if refiner == "convlstm" else 0


def refiner_macs(c, refiner, dependence, style, steps):
    """Multiply-adds a pixel."""
    if refiner == "grrb":
        often_s = steps if dependence == "full" else 1
        gate = c * c if dependence == "literal" else steps * 2 * c * c
        return often_s * pair(c, c, style) + gate
    if refiner == "light":
        return steps * pair(c, c, style) + c * c
    if refiner == "eta":
        return steps * pair(c, c, style) + (2 * steps + 1) * c * max(4, c // 8)
    return steps * 72 * c * c if refiner == "convlstm" else 0


def sigrenet_parameters(
    in_channels=3,
    num_classes=1,
    channels=WIDTHS,
    refiner="grrb",
    readout="last",
    dependence="full",
    update="printed",
    steps=3,
    fusion=True,
    conv="ds",
    norm="batch",
    aux=True,
):
    """``aux=False`` for the deployed net."""
    first, *_, last = channels
    total = first * num_classes + num_classes
    for level, (a, b) in enumerate(pairwise([in_channels, *channels])):
        total += sum(residual(a, b, conv, image=level == 0))
    for c, below in pairwise(channels):
        total += sum(residual(c + below, c, conv))
        total += refiner_parameters(c, refiner, dependence, conv)
        total += 2 * c * max(4, c // 8) * (readout == "eta")
        total += (c * num_classes + num_classes) * aux
        total += first * c * fusion
    return total + fusion * (first * last + 9 * first + first * first + 2 * first)


def sigrenet_macs(
    height,
    width,
    in_channels=3,
    num_classes=1,
    channels=WIDTHS,
    refiner="grrb",
    readout="last",
    dependence="full",
    update="printed",
    steps=3,
    fusion=True,
    conv="ds",
    norm="batch",
):
    first, area = channels[0], areas(height, width, len(channels))
    macs = area[0] * first * num_classes
    macs += fusion * area[0] * (9 * first + first * first)
    for level, (a, b) in enumerate(pairwise([in_channels, *channels])):
        macs += area[level] * residual(a, b, conv, image=level == 0)[0]
        macs += area[level] * first * b * fusion
    for level, (c, below) in enumerate(pairwise(channels)):
        pixel = residual(c + below, c, conv)[0] + refiner_macs(c, refiner, dependence, conv, steps)
        pixel += (steps + 1) * c * max(4, c // 8) * (readout == "eta")
        macs += area[level] * pixel
    return macs
