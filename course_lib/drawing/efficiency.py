"""What limits a layer on a machine, and how several costs rank the same nets."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from course_lib import figures
from course_lib.drawing import charts
from course_lib.figures import FAMILY, INK, MUTED, REST, style

_MOST = 8  # layers that find room under a roof


def roofline(
    layers: Mapping[str, tuple[float, float]],
    *,
    peak: float,
    bandwidth: float,
    title: str,
) -> tuple[Figure, str]:
    """Draw layers under the roof of a machine: what it can compute, and what it can fetch.

    Args:
        layers: Name to ``(intensity, speed)`` in FLOP/byte and GFLOP/s, both > 0; at most 8.
        peak: Most that the machine computes, GFLOP/s.
        bandwidth: Most that it moves from and to memory, GB/s.
        title: Sentence over the figure.

    Raises:
        ValueError: If there is no layer or more than 8, or a number is not finite and above 0.

    Source:
        Williams, Waterman, Patterson, "Roofline", Communications of the ACM 52(4), 2009, Fig. 1.
    """
    found = np.array(list(layers.values()), dtype=float).reshape(-1, 2)
    _check(found, peak, bandwidth)
    fig, ax = figures.new(height=3.8, title=title)
    ridge = peak / bandwidth
    ends = min(found[:, 0].min(), ridge) / 3, max(found[:, 0].max(), ridge) * 3
    x = np.array([ends[0], ridge, ends[1]])
    ax.plot(x, np.minimum(bandwidth * x, peak), color=INK, linewidth=2.0)
    ax.vlines(ridge, 0, peak, color=MUTED, linewidth=0.8, linestyle=":")
    for i, (name, (intensity, speed)) in enumerate(layers.items()):
        tone = {**style(name, i), "linestyle": "none", "markersize": 8}
        ax.vlines(
            intensity, speed, min(bandwidth * intensity, peak), color=tone["color"], linewidth=0.8
        )
        ax.plot(intensity, speed, **tone, label=name)
    charts.scales(ax, "xy", "arithmetic intensity (FLOP/byte)", "speed (GFLOP/s)")
    ax.set(xlim=ends, ylim=(min(found[:, 1].min(), peak) / 3, max(found[:, 1].max(), peak) * 3))
    said = f"roof: {_short(bandwidth)} GB/s, then {_short(peak)} GFLOP/s"
    ax.annotate(said, (0.02, 0.92), xycoords="axes fraction")
    ax.grid(axis="both")
    fig.legend(loc="outside lower center", ncols=4)
    told = "; ".join(f"{n} {_short(s)} at {_short(i)}" for n, (i, s) in layers.items())
    return fig, figures.clip_alt(
        f"Roof: {_short(bandwidth)} GB/s, then {_short(peak)} GFLOP/s from {_short(ridge)} "
        f"FLOP/byte on. Speed (GFLOP/s) at intensity: {told}."
    )


def ranks(
    table: Mapping[str, Sequence[float]], *, columns: Sequence[str], title: str
) -> tuple[Figure, str]:
    """Draw one line a net over columns of costs, the cheapest on top; equal costs share a rank.

    Args:
        table: Name to its costs, one a column, at least two nets.
        columns: What each number is, with its unit; at least two.
        title: Sentence over the figure.

    Raises:
        ValueError: If there are too few nets or columns, a row has another length, or a number is
            not finite.
    """
    found = np.array(list(table.values()), dtype=float)
    if found.ndim != 2 or found.shape[1] != len(columns) or min(found.shape) < 2:
        raise ValueError(f"ranks needs 2 nets and 2 columns at least, a number each: {found.shape}")
    if not np.isfinite(found).all():
        raise ValueError("ranks needs finite numbers")
    place = 1 + (found[:, None] > found[None]).sum(axis=1)
    fig, ax = figures.new(height=float(np.clip(1.0 + 0.26 * len(found), 2.2, 5.2)), title=title)
    x = np.arange(len(columns))
    for i, (name, line) in enumerate(zip(table, place, strict=True)):
        look = FAMILY.get(name, {"color": REST[i % 2], "marker": "o", "linewidth": 1.2})
        ax.plot(x, line, **look, markersize=5)
        shown = figures.NAMES.get(name, name)
        tone = INK if name in FAMILY else MUTED
        for side, at in (("right", 0), ("left", -1)):
            move = -8 if side == "right" else 8
            ax.annotate(
                f"{shown} {_short(found[i, at])}", (x[at], line[at]), (move, 0),
                textcoords="offset points", ha=side, va="center", color=tone, annotation_clip=False,
            )  # fmt: skip
    ax.set(ylim=(len(found) + 0.6, 0.4), xlim=(-0.05, x[-1] + 0.05), yticks=[])
    ax.set_xticks(x, columns)
    ax.xaxis.tick_top()
    ax.tick_params(axis="x", length=0, labelcolor=INK)
    for spine in ax.spines.values():
        spine.set_visible(False)
    moved = np.ptp(place, axis=1)
    most = list(table)[int(moved.argmax())]
    line = ", ".join(
        f"{rank} by {column}" for rank, column in zip(place[moved.argmax()], columns, strict=True)
    )
    return fig, figures.clip_alt(
        f"Ranks of {len(found)} nets by {len(columns)} costs, cheapest first. "
        f"{figures.NAMES.get(most, most)} moves most: rank {line}."
    )


def _check(found: np.ndarray, peak: float, bandwidth: float) -> None:
    if not 1 <= len(found) <= _MOST:
        raise ValueError(f"a roofline has room for 1 to {_MOST} layers, got {len(found)}")
    numbers = np.append(found.ravel(), (peak, bandwidth))
    if not np.isfinite(numbers).all() or numbers.min() <= 0:
        raise ValueError("a roofline needs finite numbers above 0: intensity, speed, peak, GB/s")


def _short(value: float) -> str:
    """Three digits: what a measured speed is good for."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
