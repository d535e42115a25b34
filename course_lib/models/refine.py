"""Refinement over steps: what SiGREnet and its rivals do with one map, again and again.

A refiner has the weights of one scale and uses them in every step. It maps ``F`` ``(B, C, H, W)``
to the states R(1), R(2), ..., one after another, so that who needs the last one only keeps one.
"""

import math
from collections.abc import Callable, Iterable, Iterator
from operator import itemgetter
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from course_lib.models.blocks import init_he
from course_lib.models.convlstm import ConvLSTMCell
from course_lib.models.sigrenet_blocks import Style, Tanh, group_norm


class Refined(NamedTuple):
    """State R(t), shaped as F, and the maps that it was made from."""

    state: Tensor
    maps: dict[str, Tensor]


def printed_update(state: Tensor, g: Tensor, s: Tensor) -> Tensor:
    """Return ``(1 - g) R + g (R + S)``, which is ``R + g S``: nothing is ever forgotten."""
    if torch.is_grad_enabled():  # the backward of addcmul multiplies both factors by its 1
        return state + g * s
    return torch.addcmul(state, g, s)


def convex_update(state: Tensor, g: Tensor, s: Tensor) -> Tensor:
    """Return ``(1 - g) R + g S``, the update of a GRU."""
    return printed_update(state, g, s - state)


class GRRB(nn.Module):
    """Gradually recurrent refinement block: an increment S behind a gate g updates R, from R = F.

    ``S = tanh(norm(depthwise separable convolution))``, ``g = sigmoid(1x1 convolution)``.

    Source: SiGREnet, section II.A.2.

    Departures:
        - The second printed line of the recurrence is garbled; the first is taken.
        - S is "of F", and the input of g is not stated. If both see F only ("literal"), every step
          adds the same, and T is a scale. "gate": g sees R too; "full": S sees F + R as well.
        - R(0), tanh and the normalisation are not stated. The latter keeps no running statistics,
          so that the number of steps may change after training.

    Args:
        channels: C.
        style: its convolution makes S.
        dependence: "full", "gate" or "literal".
        update: "printed" or "convex".
    """

    def __init__(self, channels: int, style: Style, *, dependence: str, update: str):
        super().__init__()
        self.transform = nn.Sequential(
            *style.conv(channels, channels, followed_by_relu=False),
            group_norm(channels),
            Tanh(),
        )
        seen = channels if dependence == "literal" else 2 * channels
        self.gate = nn.Sequential(nn.Conv2d(seen, channels, 1), nn.Sigmoid())
        self.look = DEPENDENCES[dependence]
        self.update = UPDATES[update]
        init_he(self.gate[0], followed_by_relu=False)

    def forward(self, f: Tensor, steps: int) -> Iterator[Refined]:
        """Yield R(1) ... R(steps), each with its ``increment`` (S) and ``gate``."""
        state, look = f, self.look(self, f)
        for _ in range(steps):
            s, g = look(state)
            state = self.update(state, g, s)
            yield Refined(state, {"increment": s, "gate": g})
            del s, g  # before the next step makes its own


class LightGRRB(nn.Module):
    """GRRB for less: one gate for all steps, no normalisation, no function with an exponential.

    ``R(t) = R(t-1) + g S(t)`` with ``S(t) = hardtanh(depthwise separable convolution of R(t-1))``
    and ``g = hardsigmoid(1x1 convolution of F)``, from R(0) = F. As S sees R, steps differ; where
    to refine is decided once. A step is two convolutions with the function that follows them, a
    product and a sum: ONNX Runtime computes them without leaving its blocked memory format, which
    GRRB's normalisation and concatenation make it do.

    What it saves it pays for: in nets of 8 to 32 channels that learn phantoms its Dice is 0.029
    below GRRB's (three seeds, 95 % interval 0.004 to 0.054, 250 updates;
    notebooks/results/benchmarks/refinement-cpu-2026-11-30.json).

    Source: ours; the recurrence is GRRB's.

    Args:
        channels: C.
        style: its convolution makes S.
    """

    def __init__(self, channels: int, style: Style):
        super().__init__()
        self.transform = nn.Sequential(
            *style.conv(channels, channels, followed_by_relu=False), nn.Hardtanh(inplace=True)
        )
        with torch.no_grad():  # hardtanh passes no gradient where it cuts off
            self.transform[-2].weight.mul_(0.1)
        self.gate = nn.Sequential(nn.Conv2d(channels, channels, 1), nn.Hardsigmoid())
        init_he(self.gate[0], followed_by_relu=False)

    def forward(self, f: Tensor, steps: int) -> Iterator[Refined]:
        """Yield R(1) ... R(steps), each with its ``increment`` (S) and the one ``gate``."""
        state, g = f, self.gate(f)
        for _ in range(steps):
            s = self.transform(state)
            state = printed_update(state, g, s)
            yield Refined(state, {"increment": s, "gate": g})
            del s  # before the next step makes its own


Look = Callable[[Tensor], tuple[Tensor, Tensor]]  # R(t-1) to S(t) and g(t)


def _full(block: GRRB, f: Tensor) -> Look:
    return lambda r: (block.transform(f + r), block.gate(torch.cat([f, r], dim=1)))


def _gate(block: GRRB, f: Tensor) -> Look:
    s = block.transform(f)
    return lambda r: (s, block.gate(torch.cat([f, r], dim=1)))


def _literal(block: GRRB, f: Tensor) -> Look:
    s, g = block.transform(f), block.gate(f)
    return lambda r: (s, g)


DEPENDENCES = {"full": _full, "gate": _gate, "literal": _literal}
UPDATES = {"printed": printed_update, "convex": convex_update}


def attend(query: Tensor, keys: list[Tensor], values: list[Tensor]) -> tuple[Tensor, Tensor]:
    """Mix maps by a softmax over them, at each pixel by itself.

    Args:
        query: ``(B, d, H, W)``.
        keys: n maps of that shape.
        values: n maps ``(B, C, H, W)``.

    Returns:
        The mean of the values ``(B, C, H, W)`` and its weights ``(B, n, H, W)``: the softmax of
        ``query . key / sqrt(d)``.
    """
    scores = torch.stack([(query * key).sum(1) for key in keys], dim=1)
    weights = (scores / math.sqrt(query.shape[1])).softmax(1)
    first, *others = weights.split(1, dim=1)
    mixed = first * values[0]
    for weight, value in zip(others, values[1:], strict=True):
        mixed = torch.addcmul(mixed, weight, value)
    return mixed, weights


class QueryKey(nn.Module):
    """The two projections of an attention, to an eighth of the channels and 4 at least."""

    def __init__(self, channels: int):
        super().__init__()
        d = max(4, channels // 8)
        self.query = nn.Conv2d(channels, d, 1, bias=False)
        self.key = nn.Conv2d(channels, d, 1, bias=False)
        for projection in (self.query, self.key):
            init_he(projection, followed_by_relu=False)


class ETA(QueryKey):
    """Efficient temporal attention: every step looks back on F and on all candidates so far.

    Source: SiGREnet names it in its abstract and never defines it. Ours: the candidate of step t is
    ``relu(norm(depthwise separable convolution of F + R(t-1)))``; R(t) is the attention of this
    candidate to F and to the candidates up to itself, at each pixel. Keys are computed once.

    Args:
        channels: C.
        style: its convolution makes the candidates.
    """

    def __init__(self, channels: int, style: Style):
        super().__init__(channels)
        self.transform = nn.Sequential(
            *style.conv(channels, channels), group_norm(channels), nn.ReLU()
        )

    def forward(self, f: Tensor, steps: int) -> Iterator[Refined]:
        """Yield R(1) ... R(steps), each with its ``candidate`` and ``weights`` (B, t + 1, H, W)."""
        state, values, keys = f, [f], [self.key(f)]
        for _ in range(steps):
            candidate = self.transform(f + state)
            values.append(candidate)
            keys.append(self.key(candidate))
            state, weights = attend(self.query(candidate), keys, values)
            yield Refined(state, {"candidate": candidate, "weights": weights})


class ConvLSTMRefiner(nn.Module):
    """What the paper replaces: a ConvLSTM that reads F in every step; R(t) = F + h(t)."""

    def __init__(self, channels: int):
        super().__init__()
        self.cell = ConvLSTMCell(channels, channels)
        init_he(self.cell.conv, followed_by_relu=False)

    def forward(self, f: Tensor, steps: int) -> Iterator[Refined]:
        """Yield R(1) ... R(steps), each with the maps of the cell's ``LSTMState``."""
        state = None
        for _ in range(steps):
            state = self.cell(f, state)
            yield Refined(f + state.h, state._asdict())


class NoRefiner(nn.Module):
    """The ablation: F is its own only state, whatever the number of steps."""

    def forward(self, f: Tensor, steps: int) -> Iterator[Refined]:
        """Yield F once."""
        yield Refined(f, {})


class LastState(nn.Module):
    """The last state is the result."""

    def forward(self, states: Iterable[Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the last of the states, and no maps."""
        for state in states:
            last = state
        return last, {}


class EtaReadout(QueryKey):
    """The result is an attention of the last state to all states."""

    def forward(self, states: Iterable[Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the mixed state, and ``readout``, its weights ``(B, T, H, W)``."""
        states = list(states)
        keys = [self.key(state) for state in states]
        mixed, weights = attend(self.query(states[-1]), keys, states)
        return mixed, {"readout": weights}


def kept(refiner: nn.Module, f: Tensor, steps: int) -> Iterator[Tensor]:
    """Yield the states; autograd keeps all that its backward needs."""
    return map(itemgetter(0), refiner(f, steps))  # map holds no step while the next is computed


def recomputed(refiner: nn.Module, f: Tensor, steps: int) -> list[Tensor]:
    """Return the states; autograd keeps F and them, and computes the rest again in backward."""
    return checkpoint(lambda f: list(kept(refiner, f, steps)), f, use_reentrant=False)
