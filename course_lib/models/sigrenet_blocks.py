"""The parts of SiGREnet's encoder and decoder."""

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from course_lib.models.blocks import init_he


def group_norm(channels: int) -> nn.GroupNorm:
    """Normalise in 8 groups, or in as many as the channels can be split into evenly."""
    return nn.GroupNorm(math.gcd(channels, 8), channels)


def separable(before: int, after: int, followed_by_relu: bool = True) -> list[nn.Module]:
    """Return a depthwise 3x3 convolution and a 1x1 convolution, without biases."""
    depthwise = nn.Conv2d(before, before, 3, padding=1, groups=before, bias=False)
    pointwise = nn.Conv2d(before, after, 1, bias=False)
    init_he(depthwise, followed_by_relu=False)
    init_he(pointwise, followed_by_relu)
    return [depthwise, pointwise]


def standard(before: int, after: int, followed_by_relu: bool = True) -> list[nn.Module]:
    """Return one 3x3 convolution without bias: what ``separable`` is measured against."""
    conv = nn.Conv2d(before, after, 3, padding=1, bias=False)
    init_he(conv, followed_by_relu)
    return [conv]


class Tanh(nn.Module):
    """tanh, from the sigmoid: on a CPU PyTorch computes that several times as fast."""

    def forward(self, x: Tensor) -> Tensor:
        """Return tanh of every value, within 1e-7 of it in float32."""
        return 2 * torch.sigmoid(2 * x) - 1


class Style(NamedTuple):
    """What all blocks of a net share."""

    conv: Callable[..., list[nn.Module]]  # separable or standard
    norm: Callable[[int], nn.Module]  # nn.BatchNorm2d or group_norm


class ResBlock(nn.Module):
    """Two convolutions and a shortcut: ``(B, before, H, W)`` to ``(B, after, H, W)``.

    Source: SiGREnet, section II.A.1.

    Departures:
        - Normalisation, and a 1x1 convolution in the shortcut where the widths differ: not stated.

    Args:
        before: channels of the input.
        after: channels of the output.
        style: convolution and normalisation.
        image: the input is an image, whose few channels a depthwise convolution would give as few
            filters: the first convolution is a standard one.
    """

    def __init__(self, before: int, after: int, style: Style, image: bool = False):
        super().__init__()
        first = standard if image else style.conv
        self.body = nn.Sequential(
            *first(before, after),
            style.norm(after),
            nn.ReLU(),
            *style.conv(after, after, followed_by_relu=False),
            style.norm(after),
        )
        self.shortcut = nn.Identity()
        if before != after:
            project = nn.Conv2d(before, after, 1, bias=False)
            init_he(project, followed_by_relu=False)
            self.shortcut = nn.Sequential(project, style.norm(after))

    def forward(self, x: Tensor) -> Tensor:
        """Return the block's map."""
        return F.relu(self.body(x) + self.shortcut(x))


class Pyramid(nn.Module):
    """Multi-scale context fusion: every scale's map, projected and summed from coarse to fine.

    Source: SiGREnet, section II.A.3.

    Departures:
        - The paper names a feature pyramid in the decoder and no more; here a top-down sum of 1x1
          projections to the finest width, smoothed and added to the finest map.

    Args:
        channels: of the maps, finest first.
        norm: normalisation; the convolution is a separable one in any style.
    """

    def __init__(self, channels: tuple[int, ...], norm: Callable[[int], nn.Module]):
        super().__init__()
        width = channels[0]
        self.lateral = nn.ModuleList(nn.Conv2d(c, width, 1, bias=False) for c in channels)
        for projection in self.lateral:
            init_he(projection, followed_by_relu=False)
        self.smooth = nn.Sequential(*separable(width, width), norm(width), nn.ReLU())

    def forward(self, maps: list[Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the fused map, of the finest map's shape, and the pyramid it was made from."""
        p, pyramid = None, {}
        for level in reversed(range(len(maps))):
            here = self.lateral[level](maps[level])
            p = here if p is None else here + resize(p, here)
            pyramid[f"pyramid{level}"] = p
        return maps[0] + self.smooth(p), pyramid


class NoPyramid(nn.Module):
    """The ablation of the fusion: the finest map alone."""

    def forward(self, maps: list[Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the finest map, and no pyramid."""
        return maps[0], {}


def resize(x: Tensor, like: Tensor) -> Tensor:
    """Resize a map to the sides of another, bilinearly."""
    return F.interpolate(x, size=like.shape[2:], mode="bilinear", align_corners=False)
