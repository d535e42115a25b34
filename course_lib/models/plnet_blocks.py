"""The stage of PL-Net: a U-Net that is passed several times, a step deeper each time."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from course_lib.models.blocks import LAYERS
from course_lib.models.shared_conv import SharedConv


@dataclass(frozen=True)
class Schedule:
    """When the step convolutions of a block run."""

    passes: int
    """Through the encoder and decoder of a stage."""
    starts: tuple[int, ...]
    """For every step convolution the first pass, from 0, that it takes part in."""


def progressive(steps: int) -> Schedule:
    """Return the schedule of internal progressive learning: pass p runs the first p steps."""
    return Schedule(steps, tuple(range(steps)))


def stacked(steps: int) -> Schedule:
    """Return the schedule without it: one pass runs all steps."""
    return Schedule(1, (0,) * steps)


class Steps(nn.Module):
    """The step convolutions of one block: ``before`` to ``after`` channels, then ``after`` kept.

    Source: PL-Net, table 1 and figure 1 ("step 1", "step 2").
    """

    def __init__(self, before: int, after: int, schedule: Schedule, dims: int):
        super().__init__()
        self.starts = schedule.starts
        widths = [before] + [after] * (len(schedule.starts) - 1)
        self.convs = nn.ModuleList(
            SharedConv(width, after, schedule.passes - start, dims=dims)
            for width, start in zip(widths, schedule.starts, strict=True)
        )

    def forward(self, x: Tensor, number: int) -> Tensor:
        """Return the map after all steps that run in pass ``number``, counted from 0."""
        for conv, start in zip(self.convs, self.starts, strict=True):
            if number >= start:
                x = conv(x, number - start)
        return x


class Joined(nn.Module):
    """Entry of an encoder level: the partner beside the map, then the steps.

    Source: PL-Net, equations 1 and 2.
    """

    def __init__(self, channels: int, schedule: Schedule, dims: int):
        super().__init__()
        self.steps = Steps(2 * channels, channels, schedule, dims)

    def forward(self, partner: Tensor, x: Tensor, number: int) -> tuple[Tensor, Tensor]:
        """Return what goes down, and what the forward skip takes."""
        x = self.steps(torch.cat([partner, x], dim=1), number)
        return x, x


class JoinedOnly(nn.Module):
    """Entry of level 0 in a later stage, which has no steps: the skip leaves before the partner."""

    def forward(self, partner: Tensor, x: Tensor, number: int) -> tuple[Tensor, Tensor]:
        """Return what goes down, and what the forward skip takes."""
        return torch.cat([partner, x], dim=1), x


class ConvPool(nn.Module):
    """One level down: convolution, then the maximum of 2x2 pixels."""

    def __init__(self, before: int, after: int, schedule: Schedule, dims: int):
        super().__init__()
        self.conv = SharedConv(before, after, schedule.passes, dims=dims)
        self.pool = LAYERS[dims].pool(2)

    def forward(self, x: Tensor, number: int) -> Tensor:
        """Return the map at half the size in pass ``number``, counted from 0."""
        return self.pool(self.conv(x, number))


class PoolConv(ConvPool):
    """The other way round: a quarter of the multiplications, the same parameters."""

    def forward(self, x: Tensor, number: int) -> Tensor:
        """Return the map at half the size in pass ``number``, counted from 0."""
        return self.conv(self.pool(x), number)


class Pass(NamedTuple):
    """The maps of one pass; lists go from level 0 down."""

    encoder: list[Tensor]  # what the forward skips take
    bottom: Tensor
    decoder: list[Tensor]

    @property
    def levels(self) -> list[Tensor]:
        """The last map of every level, with the bottom's behind: what the next stage takes."""
        return [*self.decoder, self.bottom]


class Stage(nn.Module):
    """One U-Net of PL-Net, passed ``schedule.passes`` times.

    Args:
        in_channels: channels of the image.
        stem: channels of the stem's first convolution.
        widths: channels of every level and of the bottom.
        schedule: which steps run in which pass.
        first: the stage has steps at level 0 of the encoder; later stages have none there.
        down: ``ConvPool`` or ``PoolConv``.
        dims: 2 for images, 3 for volumes.

    Source: PL-Net, figure 1 and table 1.
    """

    def __init__(
        self,
        in_channels: int,
        stem: int,
        widths: list[int],
        schedule: Schedule,
        *,
        first: bool,
        down: type[ConvPool],
        dims: int,
    ):
        super().__init__()
        top, depth = widths[0], len(widths) - 1
        self.passes = schedule.passes
        self.stem = nn.ModuleList(
            SharedConv(before, after, 1, dims=dims)
            for before, after in ((in_channels, stem), (stem, top), (top, top))
        )
        self.encoder = nn.ModuleList(Joined(c, schedule, dims) for c in widths[:-1])
        down_from = list(widths[:-1])
        if not first:
            self.encoder[0] = JoinedOnly()
            down_from[0] = 2 * top
        self.down = nn.ModuleList(
            down(before, after, schedule, dims)
            for before, after in zip(down_from, widths[1:], strict=True)
        )
        self.bottom = Steps(widths[-1], widths[-1], schedule, dims)
        self.up = nn.ModuleList(
            SharedConv(widths[level + 1], widths[level], schedule.passes, up=True, dims=dims)
            for level in range(depth)
        )
        self.decoder = nn.ModuleList(Steps(2 * c, c, schedule, dims) for c in widths[:-1])

    def forward(self, image: Tensor, partners: list[Tensor] | None) -> Iterator[Pass]:
        """Yield the maps of one pass after another.

        Args:
            image: ``(B, in_channels, H, W)``.
            partners: the last maps of the stage before, from level 0 down; None: there is none, and
                a level's partner in the first pass is its own input.
        """
        for conv in self.stem:
            image = conv(image, 0)
        for number in range(self.passes):
            encoder, bottom = self.encode(image, partners, number)
            decoder = self.decode(encoder, bottom, number)
            yield Pass(encoder, bottom, decoder)
            partners = decoder

    def encode(self, x: Tensor, partners: list[Tensor] | None, number: int) -> tuple[list, Tensor]:
        """Return what the forward skips take, from level 0 down, and the bottom's map."""
        skips = []
        for level, (enter, down) in enumerate(zip(self.encoder, self.down, strict=True)):
            x, skip = enter(x if partners is None else partners[level], x, number)
            x = down(x, number)
            skips.append(skip)
        return skips, self.bottom(x, number)

    def decode(self, skips: list[Tensor], x: Tensor, number: int) -> list[Tensor]:
        """Return the decoder's maps from level 0 down."""
        maps = []
        for level in reversed(range(len(skips))):
            x = torch.cat([skips[level], self.up[level](x, number)], dim=1)
            x = self.decoder[level](x, number)
            maps.insert(0, x)
        return maps
