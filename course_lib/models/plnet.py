"""PL-Net: two U-Nets in a row, each passed once a step, a convolution deeper every time."""

import operator
from collections.abc import Iterator
from functools import reduce
from itertools import islice
from numbers import Integral
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

from course_lib.models.blocks import (
    LAYERS,
    check_batch_statistics,
    check_dims,
    check_images,
    check_multiple,
    check_whole,
    init_he,
)
from course_lib.models.plnet_blocks import (
    ConvPool,
    Pass,
    PoolConv,
    Stage,
    progressive,
    stacked,
)
from course_lib.models.shared_conv import SharedConv, scaled_width

DOWN = {"conv_pool": ConvPool, "pool_conv": PoolConv}


class PLNetOutputs(NamedTuple):
    """Logits ``(B, num_classes, H, W)`` of the stages."""

    stage1: Tensor | None  # None where there is one stage only
    stage2: Tensor

    @property
    def summed(self) -> Tensor:
        """The sum of the stages' logits, whose sigmoid is equation 5 read literally.

        It is printed with a last index of N - 1, which would leave the last stage out; all N are
        meant. Figure 1 sums features instead, which is what ``PLNet`` does inside.
        """
        return self.stage2 if self.stage1 is None else self.stage1 + self.stage2


class FirstStage(NamedTuple):
    """What the first stage alone gives."""

    features: list[Tensor]  # the last map of every level, from level 0 down to the bottom
    logits: Tensor


class SumOfStages(nn.Module):
    """The sum of the last maps of all stages."""

    def forward(self, maps: list[Tensor]) -> Tensor:
        """Return the sum."""
        return reduce(operator.add, maps)


class LastStage(nn.Module):
    """The last map of the last stage: the ablation of the sum."""

    def forward(self, maps: list[Tensor]) -> Tensor:
        """Return the last one."""
        return maps[-1]


FUSE = {"sum": SumOfStages, "last": LastStage}


class PLNet(nn.Module):
    """PL-Net for images whose sides are multiples of ``2**max(depths)`` (16 px).

    ``(B, in_channels, H, W) float`` to logits ``(B, num_classes, H, W)``; one channel for a binary
    task. Level ``l`` has ``base * width * 2**l`` channels.

    *Internal progressive learning* (``ipl``): every stage is passed once a step. Pass p runs the
    first p step convolutions of every block, so the net grows deeper from pass to pass and all
    passes share their convolutions; each call of a convolution has its own batch normalisation. A
    block of the encoder sees its input beside a partner: itself (first pass, stage 1), stage 1's
    last map of that level (first pass, stage 2), or the decoder's map of the pass before. Without
    ``ipl`` one pass runs all steps.

    *External progressive learning* is how the two stages are trained: see
    ``course_lib.training.external_progressive``. Stage 1 hands its maps to stage 2; stage 2's
    logits are the net's. Training the last stage's loss alone leaves ``head1`` without a gradient;
    section 4.3, read literally, would also leave stage 1 as drawn, which
    ``net.stages[0].requires_grad_(False)`` shows.

    Source: Mao et al., "PL-Net", Front. Bioeng. Biotechnol. 2024, section 3, table 1, figure 1. No
    code was released: the wiring follows the figure and equations 1 to 3, the layers meet the
    published counts.

    With the defaults, 3 channels in and 1 out, it has 15,734,242 parameters and 15,756,002 with the
    running statistics: 15.03 Mi (2**20), the "15.03 M" of the paper. All its counts are met so but
    one: table 2 prints 15.03 M also for two steps without ``ipl``, which has 15,738,978 (15.01 Mi).

    What the paper leaves open, and how it is read here:
        - A1: the counts ask for five more convolutions of the size of level 0 than the figure
          shows. Here each stem has three convolutions, as BiO-Net's, of which the first is not
          scaled by ``width``, and one convolution follows the sum of the stages.
        - A2: down is a convolution, then a 2x2 maximum; up a 3x3 transposed convolution of stride
          2; both as in BiO-Net's code. ``down="pool_conv"`` has the same count.
        - A3: the partner stands before the input of an encoder block, the skip before the upsampled
          map of a decoder block.
        - A4: batch normalisation has PyTorch's momentum; BiO-Net's versions disagree about it.
        - A5: several classes have as many logits, the background among them, for a softmax.

    Departures:
        - Convolutions keep the bias that a batch normalisation cancels, since the counts have it.
        - Table 1 lists steps at level 0 of stage 2's encoder; figure 1 and the counts have none.

    Reused between passes is the stem alone, which runs once a stage. The halves of level 0's
    convolutions that act on its unchanged output could be (5 % of the multiplications).

    Args:
        in_channels: channels of the image.
        num_classes: channels of the logits.
        steps: convolutions a block, 1 to 3 (n in table 2); with ``ipl`` also the passes.
        ipl: internal progressive learning.
        width: 0.5 to 2.0 (Ocs, figure 3); ``base * width`` must be whole. 0.5 is PL-Net-dagger.
        fuse: ``"sum"`` of both stages' last maps before the last layers, or only the ``"last"``.
        dims: 2 for images; 3 for volumes ``(B, in_channels, D, H, W)`` (section 4.4.3).
        depths: poolings of each stage; one stage, or two of which the second is at most one deeper.
            The paper's volumes have ``(4, 5)``, or ``(4,)`` for internal learning alone: then there
            is neither ``head1`` nor a convolution before the head.
        base: channels of the first level at width 1.
        down: ``"conv_pool"`` or ``"pool_conv"`` (A2).

    Raises:
        ValueError: for a value out of range, and in ``forward`` for images that do not fit.
    """

    def __init__(
        self,
        in_channels: int,
        num_classes: int,
        *,
        steps: int = 2,
        ipl: bool = True,
        width: float = 1.0,
        fuse: Literal["sum", "last"] = "sum",
        dims: int = 2,
        depths: tuple[int, ...] = (3, 4),
        base: int = 32,
        down: Literal["conv_pool", "pool_conv"] = "conv_pool",
    ):
        super().__init__()
        check_whole(in_channels=in_channels, num_classes=num_classes, base=base)
        if not isinstance(steps, Integral) or steps not in (1, 2, 3):
            raise ValueError(f"steps must be 1, 2 or 3, got {steps}")
        for name, value, known in (("fuse", fuse, FUSE), ("down", down, DOWN)):
            if value not in known:
                raise ValueError(f"{name} must be {' or '.join(known)}, got {value!r}")
        check_dims(dims)
        _check_depths(depths)
        top = scaled_width(base, width)
        schedule = progressive(steps) if ipl else stacked(steps)
        self.in_channels = in_channels
        self.dims = dims
        self.divisor = 2 ** max(depths)
        self.stages = nn.ModuleList(
            Stage(
                in_channels,
                base,
                [top * 2**level for level in range(depth + 1)],
                schedule,
                first=number == 0,
                down=DOWN[down],
                dims=dims,
            )
            for number, depth in enumerate(depths)
        )
        head = LAYERS[dims].conv
        self.fuse = FUSE[fuse]()
        self.fusion = nn.ModuleList(SharedConv(top, top, 1, dims=dims) for _ in depths[1:])
        self.head1 = head(top, num_classes, 1) if len(depths) == 2 else None
        self.head2 = head(top, num_classes, 1)
        self.apply(init_he)
        for linear in filter(None, (self.head1, self.head2)):
            init_he(linear, followed_by_relu=False)
        # all maps take the format over from the weights, which saves a tenth of a step and more
        self.to(memory_format=torch.channels_last if dims == 2 else torch.channels_last_3d)

    def passes(self, x: Tensor) -> Iterator[tuple[int, int, Pass]]:
        """Yield number of stage and pass, from 1, and the maps, in the order of computation."""
        check_images(x, self.in_channels, smallest=self.divisor, dims=self.dims)
        check_multiple(x, self.divisor)
        if self.training:
            check_batch_statistics(x, self.divisor)
        partners = None
        for stage_number, stage in enumerate(self.stages, start=1):
            for pass_number, maps in enumerate(stage(x, partners), start=1):
                yield stage_number, pass_number, maps
            partners = maps.levels

    def stage_maps(self, x: Tensor) -> list[Tensor]:
        """Return the last map of level 0 of each stage."""
        last = {number: maps.decoder[0] for number, _, maps in self.passes(x)}
        return list(last.values())

    def last_map(self, maps: list[Tensor]) -> Tensor:
        """Return the map before the last layer from the last maps of the stages."""
        x = self.fuse(maps)
        for conv in self.fusion:
            x = conv(x, 0)
        return x

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits ``(B, num_classes, H, W)`` of images ``(B, in_channels, H, W)``."""
        return self.head2(self.last_map(self.stage_maps(x)))

    def forward_stages(self, x: Tensor) -> PLNetOutputs:
        """Return the logits of both stages; the last ones equal those of ``forward``."""
        maps = self.stage_maps(x)
        stage1 = None if self.head1 is None else self.head1(maps[0])
        return PLNetOutputs(stage1, self.head2(self.last_map(maps)))

    def forward_stage1(self, x: Tensor) -> FirstStage:
        """Return what stage 1 hands on, and its logits; stage 2 does not run.

        Raises:
            ValueError: if there is one stage only.
        """
        if self.head1 is None:
            raise ValueError("this net has a single stage: give two depths to train stage by stage")
        *_, (_, _, maps) = islice(self.passes(x), self.stages[0].passes)
        return FirstStage(maps.levels, self.head1(maps.decoder[0]))

    def forward_features(self, x: Tensor) -> dict[str, Tensor]:
        """Return all maps in the order in which they are computed.

        Returns:
            For every stage and pass ``stage1_pass1_encoder0`` ..., ``stage1_pass1_bottom``, ...,
            ``stage1_pass1_decoder0``, where the last number is the level, whose map is ``(B, base *
            width * 2**level, H / 2**level, W / 2**level)``; ``fused``, the map before the last
            layer. Stage 2's ``encoder0`` is its stem's map, the same in every pass.
        """
        features, last = {}, {}
        for stage_number, pass_number, maps in self.passes(x):
            name = f"stage{stage_number}_pass{pass_number}"
            features |= {f"{name}_encoder{level}": e for level, e in enumerate(maps.encoder)}
            features[f"{name}_bottom"] = maps.bottom
            for level in reversed(range(len(maps.decoder))):
                features[f"{name}_decoder{level}"] = maps.decoder[level]
            last[stage_number] = maps.decoder[0]
        features["fused"] = self.last_map(list(last.values()))
        return features


def _check_depths(depths: tuple[int, ...]) -> None:
    listed = isinstance(depths, (tuple, list)) and len(depths) in (1, 2)
    whole = listed and all(depth in range(1, 7) for depth in depths)
    if not whole or depths[-1] > depths[0] + 1:
        raise ValueError(
            "depths must be one or two whole numbers, 1 to 6, the second at most one more than the "
            f"first, got {depths}"
        )


ABLATIONS = {
    "full": {},
    "no_ipl": {"ipl": False},
    "three_steps": {"steps": 3},
    "last_stage": {"fuse": "last"},
    "one_stage": {"depths": (4,)},
}


def plnet(**overrides) -> PLNet:
    """Build the net of the paper: two steps, two stages, Ocs 1 (15,734,242 parameters)."""
    return PLNet(**{"in_channels": 3, "num_classes": 1, **overrides})


def plnet_dagger(**overrides) -> PLNet:
    """Build its small version: Ocs 0.5 (3,946,674 parameters)."""
    return PLNet(**{"in_channels": 3, "num_classes": 1, "width": 0.5, **overrides})
