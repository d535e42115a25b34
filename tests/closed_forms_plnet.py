"""Parameters and MACs of BiO-Net and PL-Net, written out by hand from the widths.

Nothing here reads a module. ``statistics`` counts the channels of all batch normalisations: each
has two trained numbers, and two more that Keras counts into its "total".
"""

from tests.closed_forms import conv


def together(parts, numbers):
    """Weights, and so many numbers for each normalised channel."""
    weights, statistics = parts
    return weights + numbers * statistics


def plnet_stage(before, base, widths, steps, ipl, first, kernel):
    """Weights with biases, and normalised channels, of one stage."""
    top, deepest = widths[0], widths[-1]
    levels = widths[:-1]

    def layer(a, b):
        return a * b * kernel + b

    def more(c):
        return (steps - 1) * layer(c, c)  # every step after a block's first

    weights = layer(before, base) + layer(base, top) + layer(top, top)
    weights += sum(layer(2 * c, c) + more(c) for c in levels)  # encoder
    weights += sum(layer(c, 2 * c) for c in levels)  # down
    weights += layer(deepest, deepest) + more(deepest)
    weights += sum(layer(2 * c, c) + layer(2 * c, c) + more(c) for c in levels)  # up, decoder
    calls = steps * (steps + 1) // 2 if ipl else steps  # of a block's convolutions together
    passes = steps if ipl else 1
    statistics = base + 2 * top
    statistics += calls * (2 * sum(levels) + deepest)
    statistics += passes * (2 * sum(levels) + sum(levels))
    if not first:  # no steps at level 0 of the encoder, and twice the channels to go down with
        weights += layer(2 * top, 2 * top) - layer(top, 2 * top)
        weights -= layer(2 * top, top) + more(top)
        statistics -= calls * top
    return weights, statistics


def plnet_parts(
    in_channels=3,
    num_classes=1,
    steps=2,
    ipl=True,
    width=1.0,
    fuse="sum",
    dims=2,
    depths=(3, 4),
    base=32,
    down="conv_pool",
):
    """Weights with biases, and normalised channels, of the net."""
    kernel, top = 3**dims, int(base * width)
    weights = statistics = 0
    for number, depth in enumerate(depths):
        widths = [top * 2**level for level in range(depth + 1)]
        stage = plnet_stage(in_channels, base, widths, steps, ipl, number == 0, kernel)
        weights, statistics = weights + stage[0], statistics + stage[1]
    weights += len(depths) * (top + 1) * num_classes
    if len(depths) == 2:
        weights, statistics = weights + top * top * kernel + top, statistics + top
    return weights, statistics


def plnet_parameters(**options):
    return together(plnet_parts(**options), 2)


def plnet_total(**options):
    return together(plnet_parts(**options), 4)


def plnet_macs(
    *sides,
    in_channels=3,
    num_classes=1,
    steps=2,
    ipl=True,
    width=1.0,
    fuse="sum",
    dims=2,
    depths=(3, 4),
    base=32,
    down="conv_pool",
):
    """Of ``forward``, which leaves stage 1's head out; sides divide by ``2**max(depths)``."""
    pixels = 1
    for side in sides:
        pixels *= side
    kernel, top = 3**dims, int(base * width)
    passes = steps if ipl else 1
    blocks = [n + 1 for n in range(steps)] if ipl else [steps]  # convolutions a block, pass by pass
    later = sum(blocks) - passes
    macs = 0
    for number, depth in enumerate(depths):
        area = [pixels // 2 ** (dims * level) for level in range(depth + 1)]
        macs += area[0] * (in_channels * base + base * top + top * top)
        for level in range(depth):
            c = top * 2**level
            block = area[level] * (passes * 2 * c * c + later * c * c)
            enter, goes_down = block, passes * c * 2 * c
            if level == 0 and number > 0:
                enter, goes_down = 0, passes * 2 * c * 2 * c
            macs += enter + goes_down * area[level + (down == "pool_conv")]
            macs += passes * 2 * c * c * area[level + 1] + block  # up, decoder
        deepest = top * 2**depth
        macs += area[depth] * sum(blocks) * deepest * deepest
    if len(depths) == 2:
        macs += pixels * top * top
    return macs * kernel + pixels * top * num_classes


def bionet_parts(in_channels=3, num_classes=1, t=3, integrate=False, width=1.0, base=32, depth=4):
    """Weights with biases, and normalised channels."""
    widths = [int(base * width) * 2**level for level in range(depth + 1)]
    first, deepest = widths[0], widths[-1]
    weights = conv(in_channels, first) + 2 * conv(first, first)
    weights += 3 * conv(deepest, deepest)
    for c in widths[:-1]:
        weights += conv(2 * c, c) + conv(c, c) + conv(c, 2 * c)
        weights += conv(3 * c, c) + conv(c, c) + conv(c, c)
    weights += conv((t if integrate else 1) * first, first) + conv(first, first)
    weights += (first + 1) * num_classes
    statistics = t * (7 * sum(widths[:-1]) + 3 * deepest) + 5 * first
    return weights, statistics


def bionet_parameters(**options):
    return together(bionet_parts(**options), 2)


def bionet_total(**options):
    return together(bionet_parts(**options), 4)


def bionet_macs(
    rows,
    columns,
    in_channels=3,
    num_classes=1,
    t=3,
    integrate=False,
    width=1.0,
    base=32,
    depth=4,
):
    """Of ``forward``: the last way up of the passes that nothing looks at is not computed."""
    first = int(base * width)
    image, used = rows * columns, t if integrate else 1
    one_pass = 0
    for level in range(depth):
        c, area = first * 2**level, image // 4 ** (level + 1)
        one_pass += area * (2 + 1 + 2 + 3 + 1) * c * c
        if level:
            one_pass += area * c * c  # a transposed convolution counts on its coarse grid
    deepest = first * 2**depth
    one_pass += image // 4 ** (depth + 1) * 3 * deepest * deepest
    macs = image * (in_channels * first + 2 * first * first) + t * one_pass
    macs += used * image // 4 * first * first
    macs += image * (used * first * first + first * first)
    return macs * 9 + image * first * num_classes
