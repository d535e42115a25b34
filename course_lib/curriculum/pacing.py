"""Pacing: which fraction of the cases, easiest first, an epoch may draw from."""

import math
from collections.abc import Callable
from dataclasses import dataclass

# u in 0..1, start, final, stairs -> fraction. The 1e-9 keeps u * stairs = 2.9999... on its stair.
_FUNCTIONS: dict[str, Callable[[float, float, float, int], float]] = {
    "linear": lambda u, start, final, _: start + (final - start) * u,
    "root": lambda u, start, final, _: start + (final - start) * math.sqrt(u),
    "quad": lambda u, start, final, _: start + (final - start) * u**2,
    "step": lambda u, start, final, _: start,
    "stairs": lambda u, start, final, n: start + (final - start) * math.floor(u * n + 1e-9) / n,
    "exp": lambda u, start, final, _: start * (final / start) ** u,
    "exp_stairs": lambda u, start, final, n: (
        start * (final / start) ** (math.floor(u * n + 1e-9) / n)
    ),
    "wu_exp": lambda u, start, final, _: (
        start + (final - start) * math.expm1(10 * u) / math.expm1(10)
    ),
    "wu_log": lambda u, start, final, _: (
        start + (final - start) * (1 + math.log(u + math.exp(-10)) / 10)
    ),
}
NAMES = tuple(_FUNCTIONS)


@dataclass(frozen=True)
class Pacing:
    """A fraction that grows with the progress of training, from ``start`` to ``final``.

    With ``u = min(1, progress / end)``:

    ==============  =========================================================================
    ``linear``      straight
    ``root``        with the square root of u: soon large
    ``quad``        with the square of u: long small
    ``step``        ``start`` until u = 1, then ``final``
    ``stairs``      ``stairs`` equal steps
    ``exp``         ``start (final / start)^u``
    ``exp_stairs``  the same in ``stairs`` steps of u
    ``wu_exp``      with ``(e^10u - 1) / (e^10 - 1)``: small until shortly before the end
    ``wu_log``      with ``1 + ln(u + e^-10) / 10``: most of it at once
    ==============  =========================================================================

    Raises:
        ValueError: for an unknown name or a number out of its range.

    Source: linear, root, quad, step, wu_exp and wu_log: Wu, Dyer, Neyshabur 2021, "When do
    curricula work?" (their a is ``end``, their b is ``start``); exp_stairs: Hacohen, Weinshall
    2019, the fixed exponential pacing. SiGREnet (section II.B) names a scheduler and no function;
    the defaults are ours.
    """

    name: str = "linear"
    """One of ``NAMES``."""
    start: float = 0.3
    """Fraction at progress 0, in (0, 1]."""
    final: float = 1.0
    """Fraction from ``end`` on, from ``start`` to 1; below 1 the hardest cases never come."""
    end: float = 0.6
    """Progress at which ``final`` is reached, in (0, 1]."""
    stairs: int = 5
    """Number of steps of ``stairs`` and ``exp_stairs``, from 1."""

    def __post_init__(self) -> None:
        if self.name not in _FUNCTIONS:
            raise ValueError(f"unknown pacing {self.name!r}; valid are {', '.join(NAMES)}")
        if not 0 < self.start <= 1:
            raise ValueError(f"start must be in (0, 1], got {self.start!r}")
        if not self.start <= self.final <= 1:
            raise ValueError(f"final must be from start ({self.start}) to 1, got {self.final!r}")
        if not 0 < self.end <= 1:
            raise ValueError(f"end must be in (0, 1], got {self.end!r}")
        if isinstance(self.stairs, bool) or not isinstance(self.stairs, int) or self.stairs < 1:
            raise ValueError(f"stairs must be a whole number from 1, got {self.stairs!r}")

    def fraction(self, progress: float) -> float:
        """Return the fraction, ``start`` to ``final``, after the share ``progress`` of training.

        Args:
            progress: from 0; what lies beyond ``end`` counts as ``end``.

        Example:
            >>> Pacing("quad", start=0.25, end=0.8).fraction(0.4)
            0.4375
        """
        if not progress >= 0:
            raise ValueError(f"progress must be 0 or greater, got {progress!r}")
        u = progress / self.end
        if u >= 1:
            return self.final
        value = _FUNCTIONS[self.name](u, self.start, self.final, self.stairs)
        return min(max(value, self.start), self.final)
