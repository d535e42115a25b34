"""REUnet: seven encoding blocks of DMBC, an intermediator, attention gates; and its cut graph."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from torch import Tensor, nn

from course_lib.models.blocks import (
    DoubleConv,
    check_batch_statistics,
    check_images,
    check_multiple,
    check_whole,
)
from course_lib.models.dmbc import DMBC, NoSignal, gating_signal
from course_lib.models.reunet_blocks import (
    AttentionGate,
    Chain,
    CodeAttentionGate,
    DropAll,
    DropOnward,
    Encoded,
    EncodingBlock,
    GatedConcat,
    OpenGate,
    PlainChain,
    Signal,
    kept,
    recomputed,
)

DIVISOR = 16  # pixels of the image per pixel of the deepest map, along a side
REPEATS = (4, 7, 7, 10, 10, 13, 4)  # DMBC in EB-1 to EB-7
KERNELS = (3, 3, 5, 3, 5, 5, 3)
EXPANSIONS = (2, 8, 12, 12, 12, 12, 12)  # eta = 1, 4, 6, 6, 6, 6, 6 times w = 2


@dataclass(frozen=True)
class Reading:
    """Where the paper and the released code differ, the wiring apart."""

    widths: tuple[float, ...]  # of EB-1 to EB-7, in units of base
    first_activations: tuple[type[nn.Module], type[nn.Module]]  # of EB-1
    projection: int  # kernel of the gating signal's convolution
    drop: Callable[[float], nn.Module]
    gate: Callable[[int, int, int], nn.Module]
    head_norm: Callable[[int], nn.Module]


READINGS = {
    "paper": Reading(
        widths=(1, 1.5, 2.5, 5, 7, 12, 20),
        first_activations=(nn.ReLU, nn.ReLU),
        projection=1,
        drop=DropAll,
        gate=AttentionGate,
        head_norm=nn.Identity,
    ),
    "code": Reading(
        widths=(1, 2, 4, 8, 16, 8, 16),
        first_activations=(nn.ReLU, nn.ReLU6),
        projection=3,
        drop=DropOnward,
        gate=CodeAttentionGate,
        head_norm=nn.BatchNorm2d,
    ),
}


@dataclass(frozen=True)
class Plan:
    """The options of a net, as the parts that they stand for."""

    reading: Reading
    base: int
    intermediator: int
    attention_gate: bool
    gating_signal: bool
    plain_blocks: int
    dropout: float
    checkpoint: bool

    def width(self, eb: int) -> int:
        """Channels of EB-1 to EB-7; those of a decoding block are its encoder's."""
        return int(self.base * self.reading.widths[eb - 1])

    def encoding(self, eb: int, before: int) -> EncodingBlock:
        """Build EB-``eb`` for ``before`` input channels."""
        after = self.width(eb)
        if eb in (7, 6, 5, 4)[: self.plain_blocks]:
            chain = PlainChain(before, after)
        else:
            repeats = self.intermediator if eb == 6 else REPEATS[eb - 1]
            widths = [before] + [after] * repeats
            chain = Chain(*(self.dmbc(eb, a, b) for a, b in pairwise(widths)))
        run = recomputed if self.checkpoint else kept
        return EncodingBlock(chain, self.reading.drop(self.dropout), run)

    def dmbc(self, eb: int, before: int, after: int) -> DMBC:
        """Build one DMBC of EB-``eb``."""
        signal = NoSignal()
        if self.gating_signal:
            signal = gating_signal(before, after, self.reading.projection)
        return DMBC(
            before,
            after,
            kernel=KERNELS[eb - 1],
            expansion=EXPANSIONS[eb - 1],
            activations=self.reading.first_activations if eb == 1 else (nn.ReLU6, nn.ReLU6),
            signal=signal,
        )

    def join(self, skip: int, below: int, between: int) -> GatedConcat:
        """Build the way up from ``below`` channels, gated with ``skip`` channels of the encoder."""
        gate = self.reading.gate(skip, below, between) if self.attention_gate else OpenGate()
        return GatedConcat(gate)

    def decoding(self, before: int, after: int) -> nn.Module:
        """Build two convolutions and dropout: a decoding block behind its join."""
        return nn.Sequential(DoubleConv(before, after, norm=True, bias=True), DropAll(self.dropout))


class Intermediator(nn.Module):
    """EB-6: reads EB-4 through a gate that EB-5 opens, and leads to EB-7 and DB-1."""

    def __init__(self, plan: Plan):
        super().__init__()
        eb4, eb5 = plan.width(4), plan.width(5)
        self.agw = plan.join(eb4, eb5, eb4)
        self.eb6 = plan.encoding(6, eb5 + eb4)
        self.pool = nn.MaxPool2d(2)

    def forward(self, eb4: Encoded, eb5: Encoded) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        """Return the input of EB-7, the skip of DB-1, and the maps made on the way."""
        x, a = self.agw(eb5.signal, eb4.signal.kept)
        eb6 = self.eb6(x)
        return self.pool(eb6.signal.onward), eb6.signal.kept, {"agw": a, **eb6.maps("eb6")}


class NoIntermediator(nn.Module):
    """The ablation of size 0 in Table 4: EB-5 leads to EB-7, and EB-4 is the skip of DB-1."""

    def forward(self, eb4: Encoded, eb5: Encoded) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        """Return the input of EB-7, the skip of DB-1, and no maps."""
        return eb5.signal.onward, eb4.signal.kept, {}


class Deep(nn.Module):
    """Everything below half resolution: from EB-2 down to EB-7 and up to the input of DB-3."""

    divisor = DIVISOR

    def __init__(self, plan: Plan):
        super().__init__()
        eb2, eb3, eb4, eb5, eb6, eb7 = (plan.width(eb) for eb in range(2, 8))
        self.pool = nn.MaxPool2d(2)
        self.eb3 = plan.encoding(3, eb2)
        self.eb4 = plan.encoding(4, eb3)
        self.eb5 = plan.encoding(5, eb4)
        if plan.intermediator:
            self.intermediator = Intermediator(plan)
            self.eb7 = plan.encoding(7, eb6)
            skip = eb6
        else:
            self.intermediator = NoIntermediator()
            self.eb7 = plan.encoding(7, eb5)
            skip = eb4
        self.ag1 = plan.join(skip, eb7, eb4)
        self.db1 = plan.decoding(eb7 + skip, eb4)
        self.ag2 = plan.join(eb3, eb4, eb3)
        self.db2 = plan.decoding(eb4 + eb3, eb3)
        self.ag3 = plan.join(eb2, eb3, eb2)
        self.channels = eb3 + eb2

    def forward(self, eb2: Encoded) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the input of DB-3, and the maps made on the way."""
        eb3 = self.eb3(self.pool(eb2.signal.onward))
        eb4 = self.eb4(self.pool(eb3.signal.onward))
        eb5 = self.eb5(self.pool(eb4.signal.onward))
        x, skip, between = self.intermediator(eb4, eb5)
        eb7 = self.eb7(x)
        x, a1 = self.ag1(eb7.signal, skip)
        db1 = self.db1(x)
        x, a2 = self.ag2(db1, eb3.signal.kept)
        db2 = self.db2(x)
        x, a3 = self.ag3(db2, eb2.signal.kept)
        maps = {**eb3.maps("eb3"), **eb4.maps("eb4"), **eb5.maps("eb5"), **between}
        maps |= {**eb7.maps("eb7"), "ag1": a1, "db1": db1.kept, "ag2": a2, "db2": db2.kept}
        return x, {**maps, "ag3": a3}


class DeepUnread(Deep):
    """The released code as written: all of it is computed, and DB-3 is given EB-2."""

    def __init__(self, plan: Plan):
        super().__init__(plan)
        self.channels = plan.width(2)

    def forward(self, eb2: Encoded) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the input of DB-3, and the maps made on the way."""
        _, maps = super().forward(eb2)
        return eb2.after, maps


class Cut(nn.Module):
    """The released code as trained: Keras keeps only what leads to the output."""

    divisor = 2

    def __init__(self, plan: Plan):
        super().__init__()
        self.channels = plan.width(2)

    def forward(self, eb2: Encoded) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the input of DB-3, and no maps."""
        return eb2.after, {}


class REUnet(nn.Module):
    """REUnet, as its paper describes it or as its released code wires it.

    ``(B, in_channels, H, W) float`` to logits ``(B, num_classes, H, W)``; one channel for a binary
    task. H and W are multiples of 16 pixels.

    Source: Chakraborty et al., "Robust semantic learning for precise medical image segmentation",
    Biomedical Signal Processing and Control 110, 108251, 2025, figures 2 to 4.

    Departures:
        - The paper claims the channels and strides of EfficientNet-b7. The channels are taken
          literally in the reading "paper"; the strides contradict figures 2 and 3, so blocks are
          joined by 2x2 max pooling, as in the code.
        - The paper gives no expansion (eta, w), no ratio of squeeze-excite, no norm of the decoder:
          taken from the code. Widths of the decoder and the gates are those of EB-1 to EB-4.
        - Where the released code ends in a sigmoid or softmax, logits are returned.
        - Batch normalisation has Keras' epsilon of 1e-3 and torch's momentum of 0.1: with Keras'
          0.01, 300 steps would leave 5 % of the initial running statistics.

    Args:
        in_channels: channels of the image.
        num_classes: channels of the logits.
        reading: what decides where the paper and the code differ.
        wiring: "described" in the paper, or "released": the code gives EB-2 to DB-3, so that
            nothing below half resolution reaches the output. Then only the live modules are built.
        intermediator: DMBC in EB-6, 0 to 15 (Table 4); with 0, EB-5 leads to EB-7 directly.
        attention_gate: the five gates (Table 5).
        gating_signal: the sum at the end of every DMBC (Table 6).
        plain_blocks: how many of EB-7, EB-6, EB-5, EB-4 are two plain convolutions (Table 3: A1 to
            A4 are 1 to 4).
        base: channels of EB-1; even in the reading "paper", whose widths are halves of it.
        dropout: rate after every encoding and decoding block.
        keep_dead: with the released wiring, build and compute also what reaches no output.
        checkpoint: in training keep no more than the input of every encoding block, and compute the
            rest again in backward: the same numbers for less memory and more time.

    Raises:
        ValueError: for a value out of range, and in ``forward`` for images that do not fit.
    """

    def __init__(
        self,
        in_channels: int = 3,
        num_classes: int = 1,
        *,
        reading: Literal["paper", "code"] = "paper",
        wiring: Literal["described", "released"] = "described",
        intermediator: int = 13,
        attention_gate: bool = True,
        gating_signal: bool = True,
        plain_blocks: int = 0,
        base: int = 32,
        dropout: float = 0.2,
        keep_dead: bool = False,
        checkpoint: bool = False,
    ):
        super().__init__()
        check_whole(in_channels=in_channels, num_classes=num_classes, base=base)
        _check_options(reading, wiring, intermediator, plain_blocks, base, dropout, keep_dead)
        plan = Plan(
            READINGS[reading],
            base,
            intermediator,
            attention_gate,
            gating_signal,
            plain_blocks,
            dropout,
            checkpoint,
        )
        eb1, eb2 = plan.width(1), plan.width(2)
        self.in_channels = in_channels
        self.pool = nn.MaxPool2d(2)
        self.stem = nn.Conv2d(in_channels, eb1, 3, padding=1)
        self.eb1 = plan.encoding(1, eb1)
        self.eb2 = plan.encoding(2, eb1)
        self.deep = (Deep if wiring == "described" else DeepUnread if keep_dead else Cut)(plan)
        self.db3 = plan.decoding(self.deep.channels, eb2)
        self.ag4 = plan.join(eb1, eb2, eb1)
        self.db4 = plan.decoding(eb2 + eb1, eb1)
        self.head = nn.Sequential(
            nn.Conv2d(eb1, num_classes, 1), plan.reading.head_norm(num_classes)
        )
        self.apply(_init)

    def forward_features(self, x: Tensor) -> dict[str, Tensor]:
        """Return all maps in the order in which they are computed.

        Returns:
            ``stem``; ``eb1`` to ``eb7``, each after ``eb1_before_signal`` ..., the F(x) of its last
            DMBC (the same map where there is no gating signal); ``db1`` to ``db4``, all
            ``(B, C, h, w)``; the coefficients ``agw``, ``ag1`` to ``ag4`` of the gates
            ``(B, 1, h, w)`` at the size of their skip, 0 to 1, all ones where gates are off. With
            the released wiring, what is not computed is not there.
        """
        check_images(x, self.in_channels, smallest=DIVISOR)
        check_multiple(x, DIVISOR)
        if self.training:
            check_batch_statistics(x, self.deep.divisor)
        stem = self.stem(x)
        eb1 = self.eb1(stem)
        eb2 = self.eb2(self.pool(eb1.signal.onward))
        x, deep = self.deep(eb2)
        db3: Signal = self.db3(x)
        x, a4 = self.ag4(db3, eb1.signal.kept)
        db4: Signal = self.db4(x)
        maps = {"stem": stem, **eb1.maps("eb1"), **eb2.maps("eb2"), **deep}
        return {**maps, "db3": db3.kept, "ag4": a4, "db4": db4.kept}

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits ``(B, num_classes, H, W)`` of images ``(B, in_channels, H, W)``."""
        return self.head(self.forward_features(x)["db4"])


def _check_options(reading, wiring, intermediator, plain_blocks, base, dropout, keep_dead) -> None:
    """Refuse options that name no net of the paper or the code."""
    if reading not in READINGS:
        raise ValueError(f"reading must be 'paper' or 'code', got {reading!r}")
    if wiring not in ("described", "released"):
        raise ValueError(f"wiring must be 'described' or 'released', got {wiring!r}")
    if intermediator not in range(16):
        raise ValueError(f"intermediator must be a whole number, 0 to 15, got {intermediator}")
    if plain_blocks not in range(5):
        raise ValueError(f"plain_blocks must be a whole number, 0 to 4, got {plain_blocks}")
    if plain_blocks >= 2 and intermediator == 0:
        raise ValueError(
            f"plain_blocks={plain_blocks} makes EB-6 plain, which intermediator=0 leaves out: "
            "choose plain_blocks 0 or 1, or intermediator 1 to 15"
        )
    if reading == "paper" and base % 2:
        raise ValueError(
            f"base must be even in the reading 'paper', whose EB-2 has 1.5 times as many channels: "
            f"got {base}, the next are {base - 1} and {base + 1}"
        )
    if not 0 <= dropout < 1:
        raise ValueError(f"dropout must be from 0 to below 1, got {dropout}")
    if keep_dead and wiring == "described":
        raise ValueError("keep_dead needs wiring='released': as described, nothing is dead")


def _init(module: nn.Module) -> None:
    """Draw weights as Keras does: Glorot uniform, He normal in squeeze-excite, biases 0."""
    if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
        nn.init.xavier_uniform_(module.weight)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
    elif isinstance(module, nn.Linear):
        nn.init.kaiming_normal_(module.weight)
    elif isinstance(module, nn.BatchNorm2d):
        module.eps = 1e-3


ABLATIONS = {
    "full": {},
    "code": {"reading": "code"},
    "released": {"wiring": "released"},
    "no_intermediator": {"intermediator": 0},
    "no_attention_gate": {"attention_gate": False},
    "no_gating_signal": {"gating_signal": False},
    **{f"a{k}": {"plain_blocks": k} for k in (1, 2, 3, 4)},
}


def reunet(**overrides) -> REUnet:
    """Build the net that the paper describes (110,506,438 parameters)."""
    return REUnet(**overrides)


def reunet_released(**overrides) -> REUnet:
    """Build what the released code trains (663,012 parameters)."""
    return REUnet(**{"reading": "code", "wiring": "released", **overrides})


def reunet_base8(**overrides) -> REUnet:
    """Build it at a quarter of the width (7,533,574 parameters), as deep as ever."""
    return REUnet(**{"base": 8, **overrides})


def reunet_base4(**overrides) -> REUnet:
    """Build it at an eighth of the width (2,092,370 parameters), as deep as ever."""
    return REUnet(**{"base": 4, **overrides})
