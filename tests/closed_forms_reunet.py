"""Parameters and MACs of REUnet, written out layer by layer from the paper's figures and equations.

Each layer is ``(parameters, MACs a pixel, level)``; the map of level l has a quarter of the pixels
of the one above it, and what follows a mean over the image has one pixel: level None. Widths are
multiples of 4, so that equations 2 and 3 never round.
"""

import re

PAPER = (1, 1.5, 2.5, 5, 7, 12, 20)  # channels of EB-1 to EB-7 over base: EfficientNet-b7's
CODE = (1, 2, 4, 8, 16, 8, 16)
REPEATS = {1: 4, 2: 7, 3: 7, 4: 10, 5: 10, 7: 4}
KERNELS = {1: 3, 2: 3, 3: 5, 4: 3, 5: 5, 6: 5, 7: 3}
LEVELS = {1: 0, 2: 1, 3: 2, 4: 3, 5: 4, 6: 3, 7: 4}


def conv(before, after, kernel, level, bias=True):
    weights = before * after * kernel**2
    return [(weights + bias * after, weights, level)]


def norm(channels):
    return [(2 * channels, 0, None)]


def double(before, after, level):
    first, second = conv(before, after, 3, level), conv(after, after, 3, level)
    return first + norm(after) + second + norm(after)


def dmbc(before, after, hidden, kernel, level, projection):
    """``projection`` is the kernel of the gating signal's convolution, None without the signal."""
    layers = conv(before, hidden, 1, level, bias=False) + norm(hidden)
    layers += [(hidden * kernel**2, hidden * kernel**2, level), *norm(hidden)]
    layers += conv(hidden, after, 1, level, bias=False)
    layers += [(after // 2 * after, after // 2 * after, None)] * 2 + norm(after)
    if projection and before != after:
        layers += conv(before, after, projection, level)
    return layers


def gate(skip, below, between, level, code):
    layers = conv(below, between, 1, level + 1) + norm(between)
    layers += conv(between, between, 1, level + 1) + conv(between, between, 3, level + 1)
    layers += conv(skip, between, 2 if code else 3, level + 1) + conv(between, 1, 1, level + 1)
    return layers + (conv(skip, skip, 1, level) + norm(skip) if code else [])


def net(
    in_channels=3,
    num_classes=1,
    reading="paper",
    wiring="described",
    intermediator=13,
    attention_gate=True,
    gating_signal=True,
    plain_blocks=0,
    base=32,
    keep_dead=False,
):
    code, released = reading == "code", wiring == "released"
    w = {eb: int(base * unit) for eb, unit in enumerate(CODE if code else PAPER, 1)}
    projection = (3 if code else 1) if gating_signal else None

    def encoding(eb, before):
        if eb > 7 - plain_blocks:
            return double(before, w[eb], LEVELS[eb])
        layers, times = [], {1: 2, 2: 8}.get(eb, 12)  # eta times w of equation 1
        for _ in range(intermediator if eb == 6 else REPEATS[eb]):
            layers += dmbc(before, w[eb], before * times, KERNELS[eb], LEVELS[eb], projection)
            before = w[eb]
        return layers

    def gated(eb, below, between):
        return gate(w[eb], below, w[between], LEVELS[eb], code) if attention_gate else []

    up = 6 if intermediator else 4  # the skip of DB-1
    deep = encoding(3, w[2]) + encoding(4, w[3]) + encoding(5, w[4])
    if intermediator:
        deep += gated(4, w[5], 4) + encoding(6, w[5] + w[4])
    deep += encoding(7, w[6] if intermediator else w[5])
    deep += gated(up, w[7], 4) + double(w[7] + w[up], w[4], 3)
    deep += gated(3, w[4], 3) + double(w[4] + w[3], w[3], 2) + gated(2, w[3], 2)

    layers = conv(in_channels, w[1], 3, 0) + encoding(1, w[1]) + encoding(2, w[1])
    layers += [] if released and not keep_dead else deep
    layers += double(w[2] if released else w[3] + w[2], w[2], 1)
    layers += gated(1, w[2], 1) + double(w[2] + w[1], w[1], 0) + conv(w[1], num_classes, 1, 0)
    return layers + (norm(num_classes) if code else [])


def reunet_parameters(**options):
    return sum(parameters for parameters, _, _ in net(**options))


def reunet_macs(height, width, **options):
    """Sides are multiples of 16."""
    return sum(
        macs * (1 if level is None else height * width // 4**level)
        for _, macs, level in net(**options)
    )


def reunet_unreached(name, wiring="described", **_):
    """EB-3 to EB-7, DB-1, DB-2 and the gates between them, where the code passes them by."""
    return wiring == "released" and name.startswith("deep.")


def reunet_cancelled(
    name, reading="paper", gating_signal=True, intermediator=13, plain_blocks=0, dropout=0.2, **_
):
    """Tell a bias that a normalisation takes out again: a constant on all pixels of a channel.

    Without gating signal the next DMBC begins with a 1x1 convolution and a normalisation; so do,
    where no dropout comes between, all that read EB-5: EB-6, or EB-7 in its place, and its gate.
    """
    straight = r"db\d\.0\.[03]|eb\d\.chain\.[03]|from_below\.0|gate\.result\.0"
    straight += r"|head\.0" if reading == "code" else ""
    if re.search(rf"({straight})\.bias$", name):
        return True
    if gating_signal:
        return False
    last = {**REPEATS, 6: intermediator}
    last[5] += not dropout and not plain_blocks
    block = re.search(r"eb(\d)\.chain\.(\d+)\.norm\.bias$", name)
    return name == "stem.bias" or bool(block and int(block[2]) + 1 < last[int(block[1])])
