"""GREnet: a U-Net that segments one image several times, with a memory at its bottleneck."""

import math
from collections.abc import Iterator
from itertools import pairwise
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from course_lib.models.blocks import (
    DoubleConv,
    check_channels,
    check_images,
    check_whole,
    init_he,
)
from course_lib.models.convlstm import ConvLSTMCell, LSTMState


class SelectiveKernel(nn.Module):
    """Mix a 3x3 and a 5x5 convolution, channel by channel, by what the whole map says.

    Maps ``(B, channels, H, W)`` to the same shape: both branches, their sum averaged over the
    image, a 1x1 convolution, and one more for each branch; a softmax over the two decides.

    Source: Li et al. 2019, section 3.1.

    Departures:
        - No reduction between the 1x1 convolutions, as in GREnet's released code.
        - Group normalisation: batch normalisation of one value a channel fails on a single image.
    """

    def __init__(self, channels: int):
        super().__init__()
        self.branches = nn.ModuleList(
            nn.Sequential(nn.Conv2d(channels, channels, kernel, padding=kernel // 2), nn.ReLU())
            for kernel in (3, 5)
        )
        self.squeeze = nn.Sequential(
            nn.Conv2d(channels, channels, 1),
            nn.GroupNorm(math.gcd(channels, 8), channels),
            nn.ReLU(),
        )
        self.choose = nn.ModuleList(nn.Conv2d(channels, channels, 1) for _ in self.branches)

    def forward(self, x: Tensor) -> Tensor:
        """Return the mixed map ``(B, channels, H, W)``."""
        small, large = (branch(x) for branch in self.branches)
        z = self.squeeze((small + large).mean((2, 3), keepdim=True))
        a, b = (choose(z) for choose in self.choose)
        share = (a - b).sigmoid()  # the softmax over two
        return torch.lerp(large, small, share)


class PlainBottleneck(nn.Module):
    """The second convolution of a U-Net's bottleneck: no memory."""

    def __init__(self, channels: int):
        super().__init__()
        self.conv = nn.Sequential(nn.Conv2d(channels, channels, 3, padding=1), nn.ReLU())

    def forward(self, e: Tensor, before: Tensor | None) -> tuple[Tensor, list[LSTMState]]:
        """Return ``f`` of ``e`` alone, and no states."""
        return self.conv(e), []


class RecurrentBottleneck(nn.Module):
    """Reads the last step's ``f`` and this step's ``e`` in turn, and writes the next ``f``.

    Args:
        channels: of ``e`` and ``f``.
        selective: end in a selective kernel.
        activation: of the ConvLSTM.
        skip_zero_state: see ``ConvLSTMCell``.
    """

    def __init__(self, channels: int, *, selective: bool, activation: str, skip_zero_state: bool):
        super().__init__()
        self.cell = ConvLSTMCell(
            channels, channels, activation=activation, skip_zero_state=skip_zero_state
        )
        self.conv = nn.Sequential(nn.Conv2d(channels, channels, 3, padding=1), nn.ReLU())
        self.join = nn.Sequential(nn.Conv2d(2 * channels, channels, 1), nn.ReLU())
        self.select = SelectiveKernel(channels) if selective else nn.Identity()

    def forward(self, e: Tensor, before: Tensor | None) -> tuple[Tensor, list[LSTMState]]:
        """Return ``f``, and the states after each map read: ``before`` (if there is one), ``e``."""
        states = [self.cell(e if before is None else before)]
        if before is None:
            before = torch.zeros_like(e)
        else:
            states.append(self.cell(e, states[0]))
        f = self.join(torch.cat([self.conv(states[-1].h), before], dim=1))
        return self.select(f), states


class Stage(nn.Module):
    """One U-Net of GREnet, its bottleneck handed in."""

    def __init__(
        self, in_channels: int, num_classes: int, channels: tuple[int, ...], bottleneck: nn.Module
    ):
        super().__init__()
        *levels, deepest = channels
        self.encoder = nn.ModuleList(
            DoubleConv(a, b, norm=False, bias=True) for a, b in pairwise([in_channels, *levels])
        )
        self.pool = nn.MaxPool2d(2)
        self.entry = nn.Sequential(nn.Conv2d(levels[-1], deepest, 3, padding=1), nn.ReLU())
        self.bottleneck = bottleneck
        self.decoder = nn.ModuleList(
            DoubleConv(a + b, a, norm=False, bias=True) for a, b in pairwise(channels)
        )
        self.head = nn.Conv2d(channels[0], num_classes, 1)

    def down(self, x: Tensor) -> tuple[list[Tensor], Tensor]:
        """Return the skips, finest first, and ``e``, the map before the second bottleneck conv."""
        skips = []
        for block in self.encoder:
            skips.append(block(x))
            x = self.pool(skips[-1])
        return skips, self.entry(x)

    def up(self, f: Tensor, skips: list[Tensor]) -> list[Tensor]:
        """Return the maps of the decoder, coarsest first."""
        maps = [f]
        for block, skip in zip(reversed(self.decoder), reversed(skips), strict=True):
            x = F.interpolate(maps[-1], size=skip.shape[2:], mode="nearest")
            maps.append(block(torch.cat([x, skip], dim=1)))
        return maps[1:]


class Step(NamedTuple):
    """What step t has before its decoder."""

    stage: Stage
    skips: list[Tensor]
    e: Tensor
    f: Tensor
    states: list[LSTMState]


class GREnet(nn.Module):
    """GREnet's segmentation network: T outputs for one image, each step reading the last one's map.

    ``(B, in_channels, H, W) float`` to logits ``(B, num_classes, H, W)``; one channel for a binary
    task. Sides of any size from ``2**(len(channels) - 1)`` pixels.

    In training every step has its output, to be supervised by its own curriculum. A step depends on
    the one before through ``f`` alone, so ``forward`` computes the last decoder only.

    Source: Wang et al., "GREnet: Gradually recurrent network with curriculum learning for 2-D
    medical image segmentation", IEEE TNNLS 35(7), 2024; layers after its released code.

    Departures:
        - ``shared``: one recurrent stage for all steps. It sees the same image each time, so its
          encoder runs once; its first step reads ``e`` alone and an ``f`` of zeros. The released
          code has a stage of its own for each step, the first a plain U-Net: ``shared=False``.
        - tanh in the ConvLSTM, where the released code has ReLU.
        - ReLU behind the 1x1 convolution that joins ``f`` and memory (not stated).
        - The decoder resizes to the skip's size, so that sides need be no multiples.

    Args:
        in_channels: channels of the image.
        num_classes: channels of the logits.
        channels: of the levels, the last one of the bottleneck.
        steps: T.
        shared: one stage for all steps, or one for each.
        selective: a selective kernel at the end of every recurrent bottleneck.
        activation: of the ConvLSTM, "tanh" or "relu".
        skip_zero_state: compute a ConvLSTM's first step without the half that reads zeros.

    Raises:
        ValueError: for a value out of range, and in ``forward`` for images that do not fit.
    """

    def __init__(
        self,
        in_channels: int,
        num_classes: int,
        *,
        channels: tuple[int, ...] = (16, 32, 64, 128, 256),
        steps: int = 3,
        shared: bool = True,
        selective: bool = False,
        activation: Literal["tanh", "relu"] = "tanh",
        skip_zero_state: bool = False,
    ):
        super().__init__()
        check_whole(in_channels=in_channels, num_classes=num_classes, steps=steps)
        check_channels(channels)
        self.in_channels = in_channels
        self.smallest = 2 ** (len(channels) - 1)
        self.steps = steps
        options = {
            "selective": selective,
            "activation": activation,
            "skip_zero_state": skip_zero_state,
        }
        width = channels[-1]
        plain, recurrent = (0, 1) if shared else (1, steps - 1)
        bottlenecks = [PlainBottleneck(width) for _ in range(plain)]
        bottlenecks += [RecurrentBottleneck(width, **options) for _ in range(recurrent)]
        self.stages = nn.ModuleList(
            Stage(in_channels, num_classes, channels, bottleneck) for bottleneck in bottlenecks
        )
        self.apply(init_he)
        for stage in self.stages:
            init_he(stage.head, followed_by_relu=False)

    def walk(self, x: Tensor) -> Iterator[Step]:
        """Yield the steps one after another, without their decoders."""
        check_images(x, self.in_channels, self.smallest)
        f = None
        for t in range(self.steps):
            if t < len(self.stages):  # a shared stage has run its encoder
                stage = self.stages[t]
                skips, e = stage.down(x)
            f, states = stage.bottleneck(e, f)
            yield Step(stage, skips, e, f, states)

    def forward_stages(self, x: Tensor) -> tuple[Tensor, ...]:
        """Return the logits ``(B, num_classes, H, W)`` of step 1, ..., T."""
        return tuple(s.stage.head(s.stage.up(s.f, s.skips)[-1]) for s in self.walk(x))

    def forward_features(self, x: Tensor) -> dict[str, Tensor]:
        """Return the maps of one ``forward`` in the order in which they are computed.

        Returns:
            For every step t from 1: ``encoder0`` ... and ``e`` where it has an encoder of its own
            (``t1_encoder0``, ``t1_e``); the ConvLSTM's ``t1_s1_i``, ``_f``, ``_o`` (gates, 0 to 1),
            ``_g``, ``_c``, ``_h`` after the s-th map that it reads; ``t1_f``. At last the maps of
            the decoder, ``decoder3`` ... ``decoder0``.
        """
        maps = {}
        for t, step in enumerate(self.walk(x), start=1):
            if t <= len(self.stages):
                maps |= {f"t{t}_encoder{level}": skip for level, skip in enumerate(step.skips)}
                maps[f"t{t}_e"] = step.e
            for s, state in enumerate(step.states, start=1):
                maps |= {f"t{t}_s{s}_{name}": getattr(state, name) for name in "ifogch"}
            maps[f"t{t}_f"] = step.f
        decoder = step.stage.up(step.f, step.skips)
        levels = reversed(range(len(decoder)))
        return maps | {f"decoder{level}": x for level, x in zip(levels, decoder, strict=True)}

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits ``(B, num_classes, H, W)`` of images ``(B, in_channels, H, W)``."""
        for step in self.walk(x):
            last = step
        return last.stage.head(last.stage.up(last.f, last.skips)[-1])


ABLATIONS = {
    "full": {},
    "selective": {"selective": True},
    "unrolled": {"shared": False},
}


def grenet(**overrides) -> GREnet:
    """Build the net with one recurrent stage for three steps (6,813,569 parameters)."""
    return GREnet(**{"in_channels": 3, "num_classes": 1, **overrides})
