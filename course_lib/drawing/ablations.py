"""Two nets on the same images: what an ablation may compare."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from course_lib import figures
from course_lib.drawing import scores
from course_lib.figures import INK, MUTED, PAPER, TP, number


def paired_lines(
    first: Sequence[float],
    second: Sequence[float],
    *,
    names: tuple[str, str],
    interval: tuple[float, float],
    title: str,
    ylabel: str = "Dice of a case",
) -> tuple[Figure, str]:
    """Draw a line a case from its score under one net to that under another, and the differences.

    Left: lines that fall are dark and solid, the others grey and dashed. Right: one dot a case,
    second minus first, with their mean and its interval.

    Args:
        first: ``(n,)`` finite scores.
        second: ``(n,)`` scores of the same cases in the same order.
        names: What the first and the second net are called.
        interval: 95 % interval ``(low, high)`` of the mean difference, such as
            ``metrics.bootstrap_interval(second - first, groups)``.
        title: Sentence over the figure.
        ylabel: Name of the score with its unit.

    Raises:
        ValueError: If there is no case, a score is not finite, or the lists differ in length.
    """
    pair = _pair(first, second)
    change = pair[1] - pair[0]
    fig, (left, right) = figures.new(
        1, 2, height=3.4, title=title, gridspec_kw={"width_ratios": [1.2, 1]}
    )
    falls = change < 0
    left.plot((0, 1), pair[:, ~falls], color=TP, linewidth=0.8, linestyle=(0, (5, 1.5)))
    left.plot((0, 1), pair[:, falls], color=INK, linewidth=0.8)
    left.set_xticks((0, 1), names)
    left.set(xlim=(-0.1, 1.1), ylabel=ylabel)
    left.set_xlabel(f"dark: {falls.sum()} of {len(change)} cases fall")
    left.grid(axis="y")
    _differences(right, change, interval)
    right.set_xlabel(f"{names[1]} minus {names[0]}\n(n = {len(change)}; bar: 95 % interval)")
    told = f"{number(change.mean())} [{number(interval[0])}, {number(interval[1])}]"
    return fig, figures.clip_alt(
        f"{ylabel} under {names[0]} and {names[1]}, a line a case, n = {len(change)}: "
        f"{falls.sum()} fall, {(change > 0).sum()} rise. Mean difference {told}."
    )


def _pair(first: Sequence[float], second: Sequence[float]) -> np.ndarray:
    """Both lists as ``(2, n)``."""
    a, b = np.asarray(first, dtype=float), np.asarray(second, dtype=float)
    if a.ndim != 1 or a.shape != b.shape or not a.size:
        raise ValueError(f"a pair needs as many scores on both sides, got {a.shape} and {b.shape}")
    pair = np.stack([a, b])
    if not np.isfinite(pair).all():
        raise ValueError("a score is not finite; decide about empty masks first, with fill_empty")
    return pair


def _differences(ax: Axes, change: np.ndarray, interval: tuple[float, float]) -> None:
    """One dot a case along x, the mean and its interval below them."""
    ax.axvline(0, color=INK, linewidth=1.0)
    place = np.linspace(0.3, 1.0, len(change))
    ax.scatter(np.sort(change), place, s=14, color=MUTED, alpha=0.55, linewidths=0)
    ax.plot(interval, (0, 0), color=INK, linewidth=3)
    ax.plot([change.mean()], [0], "o", color=PAPER, markeredgecolor=INK, markersize=7)
    ax.set_xlim(scores.padded([0, *change, *interval]))
    ax.set(ylim=(-0.25, 1.08), yticks=(0, 0.65), yticklabels=("mean", "cases"))
    ax.tick_params(axis="y", length=0)
    ax.grid(axis="x")
