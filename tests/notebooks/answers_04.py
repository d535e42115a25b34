"""Known wrong answers of notebook 04, right ones in another style, and hand-checked values."""

import math

import torch


def rule_of_thumb(c_in, c_out, k):
    return k**2


def depthwise_only(c_in, c_out, k):
    return k**2 * c_in * c_out / (k**2 * c_in)


def filters_of_outputs(c_in, c_out, k):
    return k**2 * c_in * c_out / (k**2 * c_out + c_in * c_out)


def upside_down(c_in, c_out, k):
    return 1 / by_reciprocals(c_in, c_out, k)


def by_reciprocals(c_in, c_out, k):
    return 1 / (1 / c_out + 1 / k**2)


def as_printed(mu):
    v = max(8, math.floor(mu + 4) / 64)
    return v if v >= 0.9 * mu else v + 8


def without_the_rule(mu):
    return max(8, math.floor(mu + 4) // 8 * 8)


def always_up(mu):
    return 8 * math.ceil(mu / 8)


def rounded_down(mu):
    return max(8, math.floor(mu) // 8 * 8)


def down_with_the_rule(mu):
    v = rounded_down(mu)
    return v if v >= 0.9 * mu else v + 8


def by_search(mu):
    nearest = min(range(8, math.ceil(mu) + 17, 8), key=lambda v: (abs(v - mu), -v))
    return nearest + 8 * (nearest < 0.9 * mu)


def excite(x, w1, w2, squeeze=None, between=torch.relu, end=torch.sigmoid):
    mean = x.flatten(2).mean(2) if squeeze is None else squeeze(x)
    return x * end(between(mean @ w1.T) @ w2.T)[..., None, None]


def mean_of_the_batch(x, w1, w2):
    return excite(x, w1, w2, squeeze=lambda x: x.mean((0, 2, 3))[None])


def strongest_pixel(x, w1, w2):
    return excite(x, w1, w2, squeeze=lambda x: x.amax((2, 3)))


def no_relu(x, w1, w2):
    return excite(x, w1, w2, between=lambda z: z)


def with_softmax(x, w1, w2):
    return excite(x, w1, w2, end=lambda z: z.softmax(1))


def relu_at_the_end(x, w1, w2):
    return excite(x, w1, w2, end=lambda z: torch.relu(z).sigmoid())


def sum_of_the_pixels(x, w1, w2):
    return excite(x, w1, w2, squeeze=lambda x: x.sum((2, 3)))


def no_sigmoid(x, w1, w2):
    return excite(x, w1, w2, end=lambda z: z)


def added(x, w1, w2):
    return x + excite(torch.ones_like(x), w1, w2, squeeze=lambda _: x.mean((2, 3)))


def image_by_image(x, w1, w2):
    one = torch.nn.functional.linear
    weights = [one(one(image.mean((1, 2)), w1).clamp(min=0), w2).sigmoid() for image in x]
    return torch.einsum("nchw,nc->nchw", x, torch.stack(weights))


def count(c_in, c_out, hidden, k, *, projection=1, always=False, never=False, bias=1, se=2, norm=2):
    parts = [c_in * hidden, hidden * k**2, c_out * hidden]
    parts += [norm * width for width in (hidden, hidden, c_out)]
    parts.append(se * c_out * (c_out // 2))
    if always or (c_in != c_out and not never):
        parts.append(projection * c_in * c_out + bias * c_out)
    return sum(parts)


def wide_projection(*shape):
    return count(*shape, projection=9)


def projected_always(*shape):
    return count(*shape, always=True)


def no_squeeze_excite(*shape):
    return count(*shape, se=0)


def no_norm(*shape):
    return count(*shape, norm=0)


def dense(c_in, c_out, hidden, k):
    return count(c_in, c_out, hidden, k) + k**2 * (hidden**2 - hidden)


def no_bias(*shape):
    return count(*shape, bias=0)


def never_projected(*shape):
    return count(*shape, never=True)


WRONG = {
    "04-1": [
        (rule_of_thumb, "pointwise part"),
        (depthwise_only, "mixes the channels"),
        (filters_of_outputs, "belongs to an input"),
        (upside_down, "standard over separable"),
    ],
    "04-2": [
        (as_printed, "104.06"),
        (without_the_rule, "24.3"),
        (always_up, "nearest multiple"),
        (rounded_down, "add half"),
        (down_with_the_rule, "add half"),
    ],
    "04-3": [
        (mean_of_the_batch, "one patient"),
        (strongest_pixel, "global average"),
        (no_relu, "ReLU"),
        (with_softmax, "do not compete"),
        (no_sigmoid, "above 1"),
        (relu_at_the_end, "none at the end"),
        (sum_of_the_pixels, "is their mean"),
        (added, "multiply"),
    ],
    "04-4": [
        (wide_projection, "the paper says"),
        (projected_always, "no projection there"),
        (no_squeeze_excite, "squeeze-excite learns"),
        (no_norm, "small is not nothing"),
        (dense, "not for each pair"),
        (no_bias, "has a bias"),
        (never_projected, "cannot be added"),
    ],
}
OTHER_STYLE = {
    "04-1": by_reciprocals,
    "04-2": by_search,
    "04-3": image_by_image,
    "04-4": count,
}
GOLDEN = {
    "04-1": [5.76, 7.8904, 8.0, 6.0606, 5.76, 0.9],
    "04-2": [64, 16, 32, 32, 8, 6144, 80],
    "04-3": [
        [[[[0.8808, 2.6424]], [[0, 0]]], [[[-1, -1]], [[2, 0]]]],
        [[[[0.8808, 2.6424]], [[0, 0]]]],
        [[[[0]], [[0]]]],
        [[[[0.8808, 2.6424, 1.7616]], [[0.1192, -0.1192, 0]]]],
    ],
    "04-4": [6016, 27_792, 44_256, 100_912, 3_820_800],
}
