"""Parameters and MACs of the nets, written out by hand from the widths.

The contract suite compares them with what is built. Nothing here reads a module, so an error in a
net and an error here have to agree by chance to go unseen.
"""


def conv(before: int, after: int, kernel: int = 3, bias: bool = True) -> int:
    """Parameters of a convolution."""
    return before * after * kernel**2 + bias * after


def unet_parameters(
    in_channels=3, num_classes=1, base=64, depth=4, norm=False, skips=True, bias=None
):
    bias = not norm if bias is None else bias

    def double(before, after):
        scale_and_shift = 2 * after * norm
        return conv(before, after, bias=bias) + conv(after, after, bias=bias) + 2 * scale_and_shift

    widths = [base * 2**level for level in range(depth + 1)]
    down = sum(double(a, b) for a, b in zip([in_channels, *widths[:-1]], widths, strict=True))
    up = sum(conv(2 * c, c, kernel=2) + double(2 * c if skips else c, c) for c in widths[:-1])
    return down + up + conv(base, num_classes, kernel=1)


def unet_macs(
    height, width, in_channels=3, num_classes=1, base=64, depth=4, norm=False, skips=True, bias=None
):
    """Sides are multiples of ``2**depth``."""
    pixels = [height * width // 4**level for level in range(depth + 1)]
    widths = [base * 2**level for level in range(depth + 1)]
    macs = pixels[0] * base * num_classes
    for before, after, area in zip([in_channels, *widths[:-1]], widths, pixels, strict=True):
        macs += area * 9 * (before * after + after * after)
    for c, area in zip(widths[:-1], pixels[:-1], strict=True):
        macs += area // 4 * (2 * c) * c * 4  # each pixel of the coarse map writes 2x2 pixels
        macs += area * 9 * ((2 * c if skips else c) * c + c * c)
    return macs


def attention_unet_parameters(in_channels=3, num_classes=1, base=64, depth=4):
    gates = 0
    for c in (base * 2**level for level in range(depth)):
        half = c // 2
        gates += conv(c, half, 1, bias=False) + conv(2 * c, half, 1) + conv(half, 1, 1)
    return unet_parameters(in_channels, num_classes, base, depth, norm=True) + gates


def attention_unet_macs(height, width, in_channels=3, num_classes=1, base=64, depth=4):
    """Sides are multiples of ``2**depth``."""
    macs = unet_macs(height, width, in_channels, num_classes, base, depth)
    for level in range(depth):
        c, area = base * 2**level, height * width // 4 ** (level + 1)
        macs += area * (c * c // 2 + 2 * c * c // 2 + c // 2)
    return macs
