"""What REUnet is assembled from: chains of DMBC, dropout that knows two ways, attention gates."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from course_lib.models.blocks import DoubleConv


class Signal(NamedTuple):
    """Maps ``(B, C, H, W)`` that a block hands on."""

    kept: Tensor  # to the skips and to the upsampling
    onward: Tensor  # to the pooling and to the gates that it opens


class Encoded(NamedTuple):
    """What an encoding block returns, all ``(B, C, H, W)``."""

    before: Tensor  # F(x) of its last DMBC, before the gating signal
    after: Tensor
    signal: Signal

    def maps(self, name: str) -> dict[str, Tensor]:
        """Return the maps that are worth a look."""
        return {f"{name}_before_signal": self.before, name: self.after}


class DropAll(nn.Module):
    """Dropout as the paper's text has it: after the block, for everyone."""

    def __init__(self, rate: float):
        super().__init__()
        self.dropout = nn.Dropout(rate)

    def forward(self, x: Tensor) -> Signal:
        """Return the dropped map for both uses."""
        x = self.dropout(x)
        return Signal(x, x)


class DropOnward(DropAll):
    """Dropout as in the released code: skips and upsampling see the whole map."""

    def forward(self, x: Tensor) -> Signal:
        """Return the map, and the dropped map for the way on."""
        return Signal(x, self.dropout(x))


class Chain(nn.Sequential):
    """DMBC after DMBC: the inside of an encoding block."""

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the result before and after the gating signal of the last DMBC."""
        *blocks, last = self
        for block in blocks:
            x = block(x)
        fx = last.transform(x)
        return fx, last.signal(fx, x)


class PlainChain(DoubleConv):
    """Two 3x3 convolutions in place of the DMBC: the ablations A1 to A4 of Table 3."""

    def __init__(self, in_channels: int, out_channels: int):
        super().__init__(in_channels, out_channels, norm=True, bias=True)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the result twice: there is no signal that would tell before from after."""
        x = super().forward(x)
        return x, x


def kept(chain: nn.Module, x: Tensor) -> tuple[Tensor, Tensor]:
    """Run a chain; autograd keeps all that its backward needs."""
    return chain(x)


def recomputed(chain: nn.Module, x: Tensor) -> tuple[Tensor, Tensor]:
    """Run a chain; autograd keeps its input only, and computes the rest again in backward.

    The same numbers and gradients for less memory and a second forward, which does not count as
    another batch for the running statistics of batch normalisation.
    """
    return checkpoint(
        chain, x, use_reentrant=False, context_fn=lambda: (nullcontext(), _untracked(chain))
    )


@contextmanager
def _untracked(chain: nn.Module) -> Iterator[None]:
    """Keep the running statistics of batch normalisation as they are."""
    norms = [m for m in chain.modules() if isinstance(m, nn.BatchNorm2d)]
    before = [(norm.momentum, norm.num_batches_tracked.clone()) for norm in norms]
    for norm in norms:
        norm.momentum = 0.0
    try:
        yield
    finally:
        for norm, (momentum, count) in zip(norms, before, strict=True):
            norm.momentum = momentum
            norm.num_batches_tracked.copy_(count)


class EncodingBlock(nn.Module):
    """A chain and the dropout after it.

    Args:
        chain: maps ``(B, C, H, W)`` to the map before and after the last gating signal.
        drop: makes the ``Signal`` of the latter.
        run: how the chain is run, ``kept`` or ``recomputed``.
    """

    def __init__(self, chain: nn.Module, drop: nn.Module, run: Callable):
        super().__init__()
        self.chain = chain
        self.drop = drop
        self.run = run

    def forward(self, x: Tensor) -> Encoded:
        """Return all that the block makes of ``(B, C, H, W)``."""
        before, after = self.run(self.chain, x)
        return Encoded(before, after, self.drop(after))


class AttentionGate(nn.Module):
    """Attention gate of figure 4: where a skip is worth attention, by the map one level below.

    ``(B, C_e, H, W)`` of the encoder and ``(B, C_d, H / 2, W / 2)`` from below give coefficients
    ``(B, 1, H, W)`` from 0 to 1 and the gated encoder map.

    Source: Chakraborty et al. 2025, equations 6 and 7.

    Departures:
        - Equation 6 upsamples D and leaves E as it is, which puts z at the size of E; the text puts
          z at the size of D and upsamples afterwards. Here, as in the text and the released code,
          the convolution of E has a stride of 2, and U is a transposed convolution of stride 1.

    Args:
        encoder_channels: C_e.
        decoder_channels: C_d.
        between: channels in which the two are added.
        kernel: side of the convolution of E: 3 in the paper, 2 in the code.
    """

    def __init__(self, encoder_channels: int, decoder_channels: int, between: int, kernel: int = 3):
        super().__init__()
        self.from_below = nn.Sequential(
            nn.Conv2d(decoder_channels, between, 1),
            nn.BatchNorm2d(between),
            nn.ReLU(),
            nn.Conv2d(between, between, 1),
            nn.ConvTranspose2d(between, between, 3, padding=1),
        )
        self.from_skip = nn.Conv2d(
            encoder_channels, between, kernel, stride=2, padding=(kernel - 1) // 2
        )
        self.coefficients = nn.Sequential(
            nn.ReLU(), nn.Conv2d(between, 1, 1), nn.Sigmoid(), nn.Upsample(scale_factor=2)
        )
        self.result = nn.Identity()

    def forward(self, skip: Tensor, below: Tensor) -> tuple[Tensor, Tensor]:
        """Return the gated skip and the coefficients."""
        a = self.coefficients(self.from_below(below) + self.from_skip(skip))  # equation 6
        return self.result(a * skip), a  # equation 7


class CodeAttentionGate(AttentionGate):
    """The gate of the released code: a 2x2 convolution of E, a convolution of the result."""

    def __init__(self, encoder_channels: int, decoder_channels: int, between: int):
        super().__init__(encoder_channels, decoder_channels, between, kernel=2)
        self.result = nn.Sequential(
            nn.Conv2d(encoder_channels, encoder_channels, 1), nn.BatchNorm2d(encoder_channels)
        )


class OpenGate(nn.Module):
    """The ablation of Table 5: the skip as it is, a coefficient of 1 everywhere."""

    def forward(self, skip: Tensor, below: Tensor) -> tuple[Tensor, Tensor]:
        """Return the skip and ones ``(B, 1, H, W)``."""
        return skip, torch.ones_like(skip[:, :1])


class GatedConcat(nn.Module):
    """The map from below, twice as large, and behind it along the channels the gated skip."""

    def __init__(self, gate: nn.Module):
        super().__init__()
        self.up = nn.Upsample(scale_factor=2)
        self.gate = gate

    def forward(self, below: Signal, skip: Tensor) -> tuple[Tensor, Tensor]:
        """Return both maps in one, and the coefficients of the gate."""
        gated, a = self.gate(skip, below.onward)
        return torch.cat([self.up(below.kept), gated], dim=1), a
