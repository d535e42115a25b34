"""ConvLSTM: a memory of maps, whose gates are convolutions."""

from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

ACTIVATIONS = {"tanh": torch.tanh, "relu": torch.relu}


class LSTMState(NamedTuple):
    """All maps of one step, each ``(B, hidden, H, W)``."""

    h: Tensor  # what the cell says
    c: Tensor  # what it remembers
    i: Tensor  # input, forget and output gate, 0 to 1
    f: Tensor
    o: Tensor
    g: Tensor  # the candidate


class ConvLSTMCell(nn.Module):
    """One step of a ConvLSTM: ``(B, in_channels, H, W)`` and a state to the next state.

    ``i, f, o = sigmoid``, ``g = activation`` of one convolution over ``[x, h]``, whose output
    channels come in this order; ``c' = f c + i g``; ``h' = o activation(c')``.

    Source: Shi et al. 2015, equation 3.

    Departures:
        - No peepholes (the products of a gate with c), as in most code since.

    Args:
        in_channels: channels of the input.
        hidden: channels of the state.
        kernel: side of the kernel, odd.
        activation: of the candidate and the output, "tanh" or "relu".
        skip_zero_state: compute a first step without the half of the convolution that reads the
            zeros: the same numbers up to rounding for fewer operations.

    Raises:
        ValueError: for an unknown activation or an even kernel.
    """

    def __init__(
        self,
        in_channels: int,
        hidden: int,
        *,
        kernel: int = 3,
        activation: Literal["tanh", "relu"] = "tanh",
        skip_zero_state: bool = False,
    ):
        super().__init__()
        if activation not in ACTIVATIONS:
            raise ValueError(f"activation must be 'tanh' or 'relu', got {activation!r}")
        if kernel % 2 == 0:
            raise ValueError(f"kernel must be odd, so that the size stays, got {kernel}")
        self.hidden = hidden
        self.activation = ACTIVATIONS[activation]
        self.conv = nn.Conv2d(in_channels + hidden, 4 * hidden, kernel, padding=kernel // 2)
        self.first = _without_zeros if skip_zero_state else _with_zeros

    def forward(self, x: Tensor, state: LSTMState | None = None) -> LSTMState:
        """Return the state after ``x``; without a state before it, h and c are 0."""
        if state is None:
            parts = self.first(self.conv, x, self.hidden)
        else:
            parts = self.conv(torch.cat([x, state.h], dim=1))
        i, f, o, g = parts.chunk(4, dim=1)
        i, f, o, g = i.sigmoid(), f.sigmoid(), o.sigmoid(), self.activation(g)
        c = i * g if state is None else f * state.c + i * g
        return LSTMState(o * self.activation(c), c, i, f, o, g)


def _with_zeros(conv: nn.Conv2d, x: Tensor, hidden: int) -> Tensor:
    """Convolve the input beside a state of zeros."""
    return conv(F.pad(x, (0, 0, 0, 0, 0, hidden)))


def _without_zeros(conv: nn.Conv2d, x: Tensor, hidden: int) -> Tensor:
    """Convolve the input with its own half of the weights."""
    return F.conv2d(x, conv.weight[:, :-hidden], conv.bias, padding=conv.padding)
