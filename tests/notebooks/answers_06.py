"""Known wrong answers of notebook 06, right ones in another style, and hand-checked values."""

from functools import reduce

import torch
from torch import nn


def partner_forgotten(x, t, enc, dec):
    return [dec(enc(x, x)) for _ in range(t)]


def zeros_first(x, t, enc, dec):
    outputs, partner = [], 0 * x
    for _ in range(t):
        partner = dec(enc(x, partner))
        outputs.append(partner)
    return outputs


def output_as_image(x, t, enc, dec):
    outputs = []
    for _ in range(t):
        x = dec(enc(x, x))
        outputs.append(x)
    return outputs


def encoder_sent_back(x, t, enc, dec):
    outputs, partner = [], x
    for _ in range(t):
        partner = enc(x, partner)
        outputs.append(dec(partner))
    return outputs


def folded(x, t, enc, dec):
    found = reduce(lambda done, _: [*done, dec(enc(x, done[-1]))], range(t), [x])
    return tuple(found[1:])


def everything_copied(weights_once, bn_channels, t):
    return t * (weights_once + 2 * sum(bn_channels))


def everything_shared(weights_once, bn_channels, t):
    return weights_once + 2 * sum(bn_channels)


def with_statistics(weights_once, bn_channels, t):
    return weights_once + 4 * t * sum(bn_channels)


def scale_only(weights_once, bn_channels, t):
    return weights_once + t * sum(bn_channels)


def layer_by_layer(weights_once, bn_channels, t):
    for channels in bn_channels:
        for _ in range(t):
            weights_once += channels + channels
    return weights_once


def normalised(maps, momentum, order):
    bn = [nn.BatchNorm2d(1, momentum=momentum) for _ in maps]
    for p, x in zip(order, maps, strict=True):
        bn[p](x)
    return [(float(norm.running_mean), norm.num_batches_tracked) for norm in bn]


def as_planted(maps, momentum):
    return normalised(maps, momentum, [0] * len(maps))


def always_the_last(maps, momentum):
    return normalised(maps, momentum, [-1] * len(maps))


def backwards(maps, momentum):
    return normalised(maps, momentum, reversed(range(len(maps))))


def by_hand(maps, momentum):
    return [(momentum * torch.stack([x]).mean(), 1) for x in maps]


WRONG = {
    "06-1": [
        (partner_forgotten, "loop is no iteration"),
        (zeros_first, "no zeros"),
        (output_as_image, "stem runs once"),
        (encoder_sent_back, "starts at the decoder"),
    ],
    "06-2": [
        (everything_copied, "same objects"),
        (everything_shared, "two distributions"),
        (with_statistics, "Are they learned"),
        (scale_only, "a scale and a shift"),
    ],
    "06-3": [
        (as_planted, "kept the last mean"),
        (always_the_last, "The last one ran twice"),
        (backwards, "wrong order"),
    ],
}
OTHER_STYLE = {"06-1": folded, "06-2": layer_by_layer, "06-3": by_hand}
GOLDEN = {
    "06-1": [
        [1.2],
        [1.2, 1.28, 1.312],
        [torch.tensor([1.2, -2.4]), torch.tensor([1.28, -2.56])],
        [0.0, 0.0],
    ],
    "06-2": [1032, 1096, 14_964_417, 14_984_001, 50],
    "06-3": [
        [(0.0, 1), (3.0, 1)],
        [(0.0, 1), (1.5, 1), (3.0, 1)],
        [(6.0, 1)],
    ],
}
