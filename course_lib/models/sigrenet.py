"""SiGREnet: a light U-shape whose decoder refines every scale over a few steps."""

import copy
import warnings
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

from course_lib.models.blocks import (
    check_batch_statistics,
    check_channels,
    check_images,
    check_whole,
    init_he,
)
from course_lib.models.measure import count_parameters
from course_lib.models.refine import (
    DEPENDENCES,
    ETA,
    GRRB,
    UPDATES,
    ConvLSTMRefiner,
    EtaReadout,
    LastState,
    LightGRRB,
    NoRefiner,
    kept,
    recomputed,
)
from course_lib.models.sigrenet_blocks import (
    NoPyramid,
    Pyramid,
    ResBlock,
    Style,
    group_norm,
    resize,
    separable,
    standard,
)

REFINERS = {
    "grrb": GRRB,
    "light": lambda channels, style, **_: LightGRRB(channels, style),
    "eta": lambda channels, style, **_: ETA(channels, style),
    "convlstm": lambda channels, *_, **__: ConvLSTMRefiner(channels),
    "none": lambda *_, **__: NoRefiner(),
}
READOUTS = {"last": lambda channels: LastState(), "eta": EtaReadout}
CONVS = {"ds": separable, "std": standard}
NORMS = {"batch": nn.BatchNorm2d, "group": group_norm}


class Auxiliary(NamedTuple):
    """Logits of one state, for training only."""

    scale: int  # 0 is the finest; the sides are those of the image by 2**scale
    step: int  # from 1
    logits: Tensor  # (B, num_classes, h, w)


class Stages(NamedTuple):
    """Everything that is supervised in training."""

    aux: list[Auxiliary]
    logits: Tensor  # (B, num_classes, H, W)


class Level(nn.Module):
    """One scale of the decoder: join and convolve, refine, read the result out of the states."""

    def __init__(self, block: nn.Module, refiner: nn.Module, readout: nn.Module):
        super().__init__()
        self.block = block
        self.refiner = refiner
        self.readout = readout

    def forward(self, below: Tensor, skip: Tensor) -> Tensor:
        """Return F, the map to be refined, of the skip's sides."""
        return self.block(torch.cat([resize(below, skip), skip], dim=1))


class SiGREnet(nn.Module):
    """SiGREnet for images of any size from ``2**(len(channels) - 1)`` pixels a side.

    ``(B, in_channels, H, W) float`` to logits ``(B, num_classes, H, W)``; one channel for a binary
    task.

    Source: Sushmita, Vijaya Lakshmi, "SiGREnet: A Simplified Gradually Recurrent Network With
    Self-Supervised Curriculum Learning", IJESAT 25(11), 2025, section II.A.

    Departures:
        - Widths, depth and T are not stated.
        - What S and g see is not stated: see ``GRRB``. The abstract's ETA is never defined: see
          ``ETA``; it is offered in place of GRRB, and as a readout of its states.
        - Aux heads on every state, so that each step can be supervised by itself (not in the paper;
          GREnet's way). They are used in ``forward_stages`` only.

    Args:
        in_channels: channels of the image.
        num_classes: channels of the logits.
        channels: of the levels, the last one of the bottleneck.
        refiner: "grrb", "light", "eta", "convlstm" or "none", on every scale of the decoder.
        readout: "last" state, or "eta", an attention over all states.
        dependence: of GRRB: "full", "gate" or "literal".
        update: of GRRB: "printed" or "convex".
        steps: T; parameters do not depend on it, and ``forward`` takes another one.
        fusion: multi-scale fusion in front of the head.
        conv: "ds", depthwise separable, or "std", one 3x3 convolution in place of each pair.
        recon_head: build the head of ``forward_reconstruction``.
        rotation_head: build the head of ``forward_rotation``.
        norm: "batch", or "group" for batches below 8; refiners always have the latter.
        checkpoint: in training keep only F and the states of a refiner, and compute the rest again
            in backward: the same numbers for less memory and more time.

    Raises:
        ValueError: for a value out of range, and in ``forward`` for images that do not fit.
    """

    def __init__(
        self,
        in_channels: int,
        num_classes: int,
        *,
        channels: tuple[int, ...] = (16, 32, 64, 128, 256),
        refiner: Literal["grrb", "light", "eta", "convlstm", "none"] = "grrb",
        readout: Literal["last", "eta"] = "last",
        dependence: Literal["full", "gate", "literal"] = "full",
        update: Literal["printed", "convex"] = "printed",
        steps: int = 3,
        fusion: bool = True,
        conv: Literal["ds", "std"] = "ds",
        recon_head: bool = False,
        rotation_head: bool = False,
        norm: Literal["batch", "group"] = "batch",
        checkpoint: bool = False,
    ):
        super().__init__()
        check_whole(in_channels=in_channels, num_classes=num_classes, steps=steps)
        check_channels(channels)
        _check_choices(
            refiner=(refiner, REFINERS),
            readout=(readout, READOUTS),
            dependence=(dependence, DEPENDENCES),
            update=(update, UPDATES),
            conv=(conv, CONVS),
            norm=(norm, NORMS),
        )
        _check_combination(refiner, readout, dependence, update, steps)
        style = Style(CONVS[conv], NORMS[norm])
        make_refiner = partial(REFINERS[refiner], dependence=dependence, update=update)
        self.in_channels = in_channels
        self.steps = steps
        self.smallest = 2 ** (len(channels) - 1)
        self.batch_norm = norm == "batch"
        self.only_scales = refiner == "grrb" and (dependence, update) == ("literal", "printed")
        self.run = recomputed if checkpoint else kept
        self.encoder = nn.ModuleList(
            ResBlock(before, after, style, image=level == 0)
            for level, (before, after) in enumerate(pairwise([in_channels, *channels]))
        )
        self.pool = nn.MaxPool2d(2)
        self.decoder = nn.ModuleList(
            Level(ResBlock(c + below, c, style), make_refiner(c, style), READOUTS[readout](c))
            for c, below in pairwise(channels)
        )
        self.fuse = Pyramid(channels, style.norm) if fusion else NoPyramid()
        self.head = nn.Conv2d(channels[0], num_classes, 1)
        self.aux_heads = nn.ModuleList(nn.Conv2d(c, num_classes, 1) for c in channels[:-1])
        self.recon_head = nn.Conv2d(channels[0], in_channels, 1) if recon_head else None
        self.rotation_head = nn.Linear(channels[-1], 4) if rotation_head else None
        for head in (self.head, *self.aux_heads):
            init_he(head, followed_by_relu=False)

    def deployed(self) -> "SiGREnet":
        """Return a copy without the heads of training, for export and inference."""
        net = copy.deepcopy(self)
        net.aux_heads = nn.ModuleList()
        net.recon_head = net.rotation_head = None
        return net

    def deploy_parameters(self) -> int:
        """Count the trainable numbers that ``forward`` uses: all but the heads of training."""
        return count_parameters(self.deployed())

    def encode(self, x: Tensor) -> list[Tensor]:
        """Return the maps of the encoder, finest first; the last one is the bottleneck."""
        check_images(x, self.in_channels, self.smallest)
        if self.training and self.batch_norm:
            check_batch_statistics(x, 2 * self.smallest - 1)
        maps = [self.encoder[0](x)]
        for block in self.encoder[1:]:
            maps.append(block(self.pool(maps[-1])))
        return maps

    def decode(
        self, encoded: list[Tensor], refine: Callable[[int, Tensor], Tensor]
    ) -> list[Tensor]:
        """Return the maps of the decoder, finest first; the last one is the bottleneck.

        Args:
            encoded: the maps of the encoder.
            refine: what to do with a scale and its F; returns the refined map.
        """
        *skips, bottleneck = encoded
        maps = [bottleneck]
        for scale in reversed(range(len(skips))):
            f = self.decoder[scale](maps[0], skips[scale])
            maps.insert(0, refine(scale, f))
        return maps

    def final(self, x: Tensor, steps: int | None) -> Tensor:
        """Return the map in front of the head, ``(B, channels[0], H, W)``."""
        steps = self._checked(steps)

        def refine(scale: int, f: Tensor) -> Tensor:
            level = self.decoder[scale]
            return level.readout(self.run(level.refiner, f, steps))[0]

        return self.fuse(self.decode(self.encode(x), refine))[0]

    def forward(self, x: Tensor, steps: int | None = None) -> Tensor:
        """Return the logits ``(B, num_classes, H, W)`` of images ``(B, in_channels, H, W)``.

        Args:
            x: the images.
            steps: T, by default that of the constructor. Of no effect without a refiner.
        """
        return self.head(self.final(x, steps))

    def forward_stages(self, x: Tensor, steps: int | None = None) -> Stages:
        """Return the logits of every scale and step, coarsest scale first, and the final logits.

        A ``deployed`` net has the final logits only.
        """
        if not self.aux_heads:
            return Stages([], self(x, steps))
        steps, aux = self._checked(steps), []

        def refine(scale: int, f: Tensor) -> Tensor:
            level, head = self.decoder[scale], self.aux_heads[scale]
            states = list(self.run(level.refiner, f, steps))
            aux.extend(Auxiliary(scale, t, head(r)) for t, r in enumerate(states, start=1))
            return level.readout(states)[0]

        final, _ = self.fuse(self.decode(self.encode(x), refine))
        return Stages(aux, self.head(final))

    def forward_features(self, x: Tensor, steps: int | None = None) -> dict[str, Tensor]:
        """Return all maps in the order in which they are computed.

        Returns:
            ``encoder0`` ... and ``bottleneck``. For every scale, coarsest first: ``decoder3`` (F);
            for every step from 1 what its refiner is made from, of GRRB and its light form
            ``scale3_t1_increment`` and ``_gate`` (0 to 1), of ETA ``_candidate`` and ``_weights``
            (B, t + 1, h, w), of ConvLSTM ``_i``, ``_f``, ``_o``, ``_g``, ``_c``, ``_h``; then
            ``scale3_t1_state``. With the readout "eta" ``scale3_readout`` (B, T, h, w) and
            ``scale3_refined``. With fusion ``pyramid4`` ... ``pyramid0``. At last ``final``, the
            map in front of the head.
        """
        steps = self._checked(steps)
        *skips, bottleneck = encoded = self.encode(x)
        maps = {f"encoder{scale}": skip for scale, skip in enumerate(skips)}
        maps["bottleneck"] = bottleneck

        def refine(scale: int, f: Tensor) -> Tensor:
            maps[f"decoder{scale}"] = f
            states = []
            for t, (state, parts) in enumerate(self.decoder[scale].refiner(f, steps), start=1):
                maps.update({f"scale{scale}_t{t}_{name}": part for name, part in parts.items()})
                maps[f"scale{scale}_t{t}_state"] = state
                states.append(state)
            refined, weights = self.decoder[scale].readout(states)
            if weights:
                maps[f"scale{scale}_readout"] = weights["readout"]
                maps[f"scale{scale}_refined"] = refined
            return refined

        final, pyramid = self.fuse(self.decode(encoded, refine))
        return {**maps, **pyramid, "final": final}

    def forward_reconstruction(self, x: Tensor) -> Tensor:
        """Return images ``(B, in_channels, H, W)`` guessed from images with parts masked out.

        Never for unmasked images: the skips would copy them.

        Raises:
            ValueError: if the net was built without ``recon_head``.
        """
        if self.recon_head is None:
            raise ValueError("this net has no reconstruction head: build it with recon_head=True")
        return self.recon_head(self.final(x, None))

    def forward_rotation(self, x: Tensor) -> Tensor:
        """Return logits ``(B, 4)``: by how many quarter turns the images are rotated.

        Raises:
            ValueError: if the net was built without ``rotation_head``.
        """
        if self.rotation_head is None:
            raise ValueError("this net has no rotation head: build it with rotation_head=True")
        return self.rotation_head(self.encode(x)[-1].mean((2, 3)))

    def _checked(self, steps: int | None) -> int:
        """Return the number of steps to run."""
        if steps is None:
            return self.steps
        check_whole(steps=steps)
        if self.only_scales and steps != self.steps:
            warnings.warn(
                f"with dependence='literal' all increments are equal, so that {steps} steps in "
                f"place of {self.steps} change nothing but their factor",
                stacklevel=3,
            )
        return steps


def _check_choices(**options) -> None:
    """Refuse a word that is none of its option's."""
    for name, (word, words) in options.items():
        if word not in words:
            raise ValueError(f"{name} must be one of {', '.join(words)}, got {word!r}")


def _check_combination(refiner, readout, dependence, update, steps) -> None:
    """Refuse options that would have no effect."""
    if refiner != "grrb" and (dependence, update) != ("full", "printed"):
        raise ValueError(
            f"dependence and update belong to refiner='grrb': leave them out for {refiner!r}"
        )
    if readout == "eta" and (refiner == "none" or steps == 1):
        raise ValueError(
            "readout='eta' weighs several states: it needs a refiner and steps of at least 2, "
            f"got refiner={refiner!r}, steps={steps}"
        )


ABLATIONS = {
    "full": {},
    "light": {"refiner": "light"},
    "eta": {"refiner": "eta"},
    "convlstm": {"refiner": "convlstm"},
    "none": {"refiner": "none"},
    "readout_eta": {"readout": "eta"},
    "gate": {"dependence": "gate"},
    "literal": {"dependence": "literal"},
    "convex": {"update": "convex"},
    "no_fusion": {"fusion": False},
    "std": {"conv": "std"},
    "group": {"norm": "group"},
}


def sigrenet(**overrides) -> SiGREnet:
    """Build the net at 16 to 256 channels, 3 steps (423,605 parameters, 423,361 deployed)."""
    return SiGREnet(**{"in_channels": 3, "num_classes": 1, **overrides})


def sigrenet_wide(**overrides) -> SiGREnet:
    """Build it at 48 to 768 channels (3,671,573), sized to be 40 to 60 % below ``grenet``."""
    return sigrenet(**{"channels": (48, 96, 192, 384, 768), **overrides})


def sigrenet_tiny(**overrides) -> SiGREnet:
    """Build it with four levels of 8 to 64 channels and 2 steps (31,004 parameters)."""
    return sigrenet(**{"channels": (8, 16, 32, 64), "steps": 2, **overrides})
