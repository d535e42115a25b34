"""Scores of cases and runs: strips with intervals, ROC with precision-recall, difficulty."""

import textwrap
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from course_lib import figures, metrics
from course_lib.figures import INK, MUTED, PAPER, number, style

_GOLDEN = (np.sqrt(5) - 1) / 2
_MOST_ROWS = 24  # of 9 pt in the height of a figure


def cases(
    scores: Mapping[str, Sequence[float]],
    *,
    title: str,
    xlabel: str = "Dice of a case",
    intervals: Mapping[str, tuple[float, float, float]] | None = None,
    centre: str = "median",
    marks: Mapping[str, float] | None = None,
    limits: tuple[float, float] = (0.0, 1.0),
) -> tuple[Figure, str]:
    """Draw one dot a case, a row a net, best row on top; the low cases are the finding.

    Args:
        scores: Name to the scores ``(n,)`` of its cases; undefined ones (NaN) are counted beside
            the name.
        title: Sentence over the figure.
        xlabel: Quantity with its unit; the number of cases is added to it.
        intervals: Name to ``(centre, low, high)``, such as mean and 95 % interval over groups;
            without it the median is marked and no interval drawn.
        centre: What the white dot is: ``median`` or ``mean``.
        marks: Label to a value at which a line crosses all rows, such as ``pooled``.
        limits: Ends of the axis; never cut the low end of a score.

    Raises:
        ValueError: If there is no row, or a row has no defined score.
    """
    rows = {name: np.asarray(values, dtype=float) for name, values in scores.items()}
    if not rows or any(not np.isfinite(values).any() for values in rows.values()):
        raise ValueError("every row of cases needs at least one defined score")
    centres = {name: _centre(values, name, intervals) for name, values in rows.items()}
    order = sorted(rows, key=lambda name: centres[name][0])
    fig, ax = figures.new(height=float(np.clip(1.3 + 0.55 * len(rows), 2.0, 5.2)), title=title)
    labels = []
    for y, name in enumerate(order):
        values = np.sort(rows[name][np.isfinite(rows[name])])
        missing = len(rows[name]) - len(values)
        shown = figures.NAMES.get(name, name)
        labels.append(f"{shown}\n{missing} undefined" if missing else shown)
        _strip(ax, y, values, style(name)["color"] if name in figures.FAMILY else MUTED)
        _centre_mark(ax, y, *centres[name])
        beside(ax, y, _value(centres[name]))
    for i, (label, value) in enumerate((marks or {}).items()):
        ax.axvline(value, color=INK, linewidth=1.0, linestyle=(0, (3, 1.5)))
        ax.annotate(
            f"{label} {number(value)}",
            (value, 1),
            (3, 2 + 11 * i),
            ("data", "axes fraction"),
            "offset points",
        )
    ax.set_yticks(range(len(order)), labels)
    ax.tick_params(axis="y", length=0, labelcolor=INK)
    counts = sorted({int(np.isfinite(values).sum()) for values in rows.values()})
    count = f"n = {counts[0]}" if len(counts) == 1 else f"n = {counts[0]} to {counts[-1]}"
    bar = "; bar: 95 % interval" if intervals else ""
    ax.set(xlim=limits, ylim=(-0.6, len(order) - 0.4))
    ax.set_xlabel(f"{xlabel} ({count}; white dot: {centre}{bar})")
    ax.grid(axis="x")
    best, worst = order[-1], order[0]
    told = f"{figures.NAMES.get(best, best)} {_value(centres[best])}"
    if len(order) > 1:
        told = f"highest {told}, lowest {figures.NAMES.get(worst, worst)} {_value(centres[worst])}"
    lowest = number(min(np.nanmin(values) for values in rows.values()))
    return fig, figures.clip_alt(
        f"{xlabel}, {count}. {centre.capitalize()}: {told}. Worst case {lowest}."
    )


def runs(
    scores: Mapping[str, Sequence[float]],
    *,
    title: str,
    xlabel: str,
    intervals: Mapping[str, tuple[float, float]],
    digits: int = 3,
) -> tuple[Figure, str]:
    """Draw one dot a run (training seed), a row a setting in the given order, first on top.

    Args:
        scores: Name to the scores ``(n,)`` of its runs, at most 24 names; a row without a run
            keeps its place and shows a dash, undefined scores (NaN) are left out of n.
        title: Sentence over the figure.
        xlabel: Quantity with its unit, such as ``mean Dice of a run``.
        intervals: Name to ``(low, high)`` of the mean over runs (``metrics.t_interval``); NaN for
            one run. A name without an entry has no bar.
        digits: Digits of the printed values.

    Raises:
        ValueError: If no score is defined, or there are more than 24 rows.
    """
    check_rows("runs", scores)
    rows = {name: np.asarray(values, dtype=float) for name, values in scores.items()}
    rows = {name: values[np.isfinite(values)] for name, values in rows.items()}
    if not any(values.size for values in rows.values()):
        raise ValueError("runs needs at least one defined score")
    bounds = {name: intervals.get(name, (np.nan, np.nan)) for name in rows}
    order = list(rows)[::-1]
    fig, ax = figures.new(height=float(np.clip(1.3 + 0.4 * len(rows), 2.0, 5.2)), title=title)
    for y, name in enumerate(order):
        values = np.sort(rows[name])
        # A few runs would hide behind bar and mean, so they stand above them.
        colour = style(name)["color"] if name in figures.FAMILY else MUTED
        _strip(ax, y + 0.22, values, colour, width=0.2)
        if values.size:
            _centre_mark(ax, y - 0.16, values.mean(), *bounds[name])
        beside(ax, y, _run_value(values, bounds[name], digits))
    name_rows(ax, order)
    low, high = padded([*np.concatenate(list(rows.values())), *np.ravel(list(bounds.values()))])
    ax.set_xlim(low, high)
    cut = "" if low <= 0 <= high else "; the axis does not start at 0"
    fig.supxlabel(f"{xlabel} (dot: run; white dot: mean; bar: 95 % interval)\n{cut[2:]}".rstrip())
    means = {name: values.mean() for name, values in rows.items() if values.size}
    ends = {"highest": max(means, key=means.get), "lowest": min(means, key=means.get)}
    told = ", ".join(
        f"{word} {shown(name)} {_run_value(rows[name], bounds[name], digits)}"
        for word, name in list(ends.items())[: len(means)]
    )
    count = figures.count(sum(map(len, rows.values())), "run")
    settings = figures.count(len(rows), "setting")
    return fig, figures.clip_alt(f"{xlabel}, {count} of {settings}. Mean: {told}.")


def roc_and_pr(
    rates: Mapping[str, tuple],
    *,
    title: str,
    counted: str = "pixels",
    points: Mapping[str, tuple[float, float]] | None = None,
) -> tuple[Figure, str]:
    """Draw ROC curves and, beside them, precision against recall at each one's prevalence.

    At prevalence p, precision is ``p tpr / (p tpr + (1 - p) fpr)``: the same ROC curve gives
    another precision wherever the object is rarer.

    Args:
        rates: Name to ``(fpr, tpr, prevalence)``; rates ``(n,)`` ascending from 0 to 1.
        title: Sentence over the figure.
        counted: What the rates count: ``pixels``, ``lesions`` or ``patients``.
        points: Name to the ``(fpr, tpr)`` at the threshold in use, such as 0.5.

    Raises:
        ValueError: If there is no curve, or a prevalence is not between 0 and 1.
    """
    if not rates or any(not 0 < one[2] < 1 for one in rates.values()):
        raise ValueError("roc_and_pr needs curves with a prevalence between 0 and 1")
    fig, axes = figures.new(1, 2, height=4.1, title=title)
    told = []
    for i, (name, (fpr, tpr, share)) in enumerate(rates.items()):
        fpr, tpr = np.asarray(fpr, dtype=float), np.asarray(tpr, dtype=float)
        line = {**style(name, i), "marker": ""}
        area = float(np.trapezoid(tpr, fpr))
        label = f"{figures.NAMES.get(name, name)}: area {number(area)}, prevalence {share:.3g}"
        axes[0].plot(fpr, tpr, **line, label=label)
        axes[1].plot(tpr, _precision(fpr, tpr, share), **line)
        told.append(f"{figures.NAMES.get(name, name)} {number(area)}")
        if points and name in points:
            x, y = points[name]
            dot = {**style(name, i), "markersize": 7, "linestyle": "none", "zorder": 5}
            axes[0].plot([x], [y], **dot)
            axes[1].plot([y], [_precision(x, y, share)], **dot)
            told[-1] += f" (precision {number(_precision(x, y, share))} at the marker)"
    _unit_square(axes[0], f"false positive rate ({counted})", f"true positive rate ({counted})")
    _unit_square(axes[1], f"recall ({counted})", f"precision ({counted})")
    axes[0].plot([0, 1], [0, 1], color=figures.GRID, linewidth=1.0, zorder=0)
    axes[0].set_title("ROC")
    axes[1].set_title("precision-recall")
    fig.legend(loc="outside lower center", ncols=2 if len(rates) > 3 else 1)
    return fig, figures.clip_alt(
        f"ROC and precision-recall of {counted}, {len(rates)} curves. Areas: {', '.join(told)}."
    )


def difficulty_curve(
    difficulty: Sequence[float],
    scores: Sequence[float],
    groups: Sequence | None = None,
    *,
    title: str,
    xlabel: str = "difficulty (0 easy, 1 hard)",
    ylabel: str = "Dice",
    bins: int = 5,
) -> tuple[Figure, str]:
    """Draw a score against difficulty: one dot a case, and the mean of equally filled bins.

    Args:
        difficulty: ``(n,)`` numbers, such as ``cases.difficulty`` of phantoms.
        scores: ``(n,)`` scores; undefined ones (NaN) are left out and counted in the axis label.
        groups: ``(n,)`` group of each case; the intervals resample whole groups.
        title: Sentence over the figure.
        xlabel: Quantity along x.
        ylabel: Name of the score.
        bins: Bins with about equally many cases.

    Raises:
        ValueError: If the lists differ in length, or no score is defined.
    """
    x, y = np.asarray(difficulty, dtype=float), np.asarray(scores, dtype=float)
    word = "case" if groups is None else "group"
    groups = np.arange(len(x)) if groups is None else np.asarray(groups)
    if not len(x) == len(y) == len(groups):
        raise ValueError(f"difficulty, scores, groups: {len(x)}, {len(y)}, {len(groups)} entries")
    kept = np.isfinite(y)
    if not kept.any():
        raise ValueError("difficulty_curve needs at least one defined score")
    missing = int((~kept).sum())
    x, y, groups = x[kept], y[kept], groups[kept]
    fig, ax = figures.new(height=3.4, title=title)
    ax.plot(
        x, y, linestyle="none", marker="o", markersize=4, color=MUTED, alpha=0.45, markeredgewidth=0
    )
    parts = [part for part in np.array_split(np.argsort(x, kind="stable"), bins) if len(part)]
    middles = np.array([(x[part].mean(), y[part].mean()) for part in parts])
    ax.plot(*middles.T, color=INK, marker="o", markersize=6, markerfacecolor=PAPER, zorder=4)
    for (middle, _), part in zip(middles, parts, strict=True):
        ax.vlines(
            middle, *metrics.bootstrap_interval(y[part], groups[part]), color=INK, linewidth=3
        )
    left = f", {missing} undefined" if missing else ""
    over = figures.count(len(np.unique(groups)), word)
    ax.set(xlabel=f"{xlabel}; n = {len(y)}{left}; bar: 95 % interval over {over}")
    ax.set(ylabel=f"{ylabel} (dot: case, circle: mean)", ylim=(0, 1.02))
    ax.grid(axis="y")
    ends = f"{number(middles[0, 1])} in the easiest to {number(middles[-1, 1])} in the hardest"
    return fig, figures.clip_alt(
        f"{ylabel} against {xlabel}, n = {len(y)} from {over}. "
        f"Mean {ends} of {figures.count(len(parts), 'bin')}."
    )


def check_rows(kind: str, rows: Mapping) -> None:
    """Raise ValueError where there is no row, or more than can be read."""
    if not 1 <= len(rows) <= _MOST_ROWS:
        raise ValueError(f"{kind} has {len(rows)} rows: 1 to {_MOST_ROWS} can be read")


def shown(name: str) -> str:
    """A net's name as it is written, any other name as it is."""
    return figures.NAMES.get(name, name)


def name_rows(ax: Axes, order: Sequence[str]) -> None:
    """Write the names at rows 0, 1, ..., upwards; a long one in two lines where there is room."""
    width = 26 if len(order) <= 8 else 60
    ax.set_yticks(range(len(order)), [textwrap.fill(shown(name), width) for name in order])
    ax.tick_params(axis="y", length=0, labelcolor=INK)
    ax.set_ylim(-0.6, len(order) - 0.4)
    ax.grid(axis="x")


def beside(ax: Axes, y: float, text: str) -> None:
    """Write a row's value right of the axes."""
    ax.annotate(
        text,
        (1, y),
        (6, 0),
        ("axes fraction", "data"),
        "offset points",
        va="center",
        annotation_clip=False,
    )


def _run_value(values: np.ndarray, interval: tuple[float, float], digits: int) -> str:
    if not values.size:
        return "\N{EN DASH} (n = 0)"
    low, high = interval
    half = f" \N{PLUS-MINUS SIGN} {number((high - low) / 2, digits)}" if np.isfinite(low) else ""
    return f"{number(values.mean(), digits)}{half} (n = {values.size})"


def padded(reached: Sequence[float]) -> tuple[float, float]:
    """Limits a little outside of all that is drawn."""
    low, high = float(np.nanmin(reached)), float(np.nanmax(reached))
    pad = 0.06 * (high - low) or 0.05 * abs(high) or 0.5
    return low - pad, high + pad


def _centre(
    values: np.ndarray, name: str, intervals: Mapping[str, tuple] | None
) -> tuple[float, float, float]:
    if intervals is None:
        return float(np.nanmedian(values)), np.nan, np.nan
    return intervals[name]


def _strip(ax: Axes, y: float, values: np.ndarray, colour: str, width: float = 0.6) -> None:
    """Dots with ordered jitter: random jitter would change with every run."""
    jitter = ((np.arange(len(values)) * _GOLDEN + 0.5) % 1 - 0.5) * width
    ax.scatter(values, y + jitter, s=22, color=colour, alpha=0.55, linewidths=0, clip_on=False)


def _centre_mark(ax: Axes, y: float, middle: float, low: float, high: float) -> None:
    if np.isfinite(low) and np.isfinite(high):
        ax.plot([low, high], [y, y], color=PAPER, linewidth=6, solid_capstyle="butt")
        ax.plot([low, high], [y, y], color=INK, linewidth=3, solid_capstyle="butt")
    ax.plot([middle], [y], "o", color=PAPER, markeredgecolor=INK, markersize=7)


def _value(one: tuple[float, float, float]) -> str:
    middle, low, high = one
    if not np.isfinite(low):
        return number(middle)
    return f"{number(middle)} [{number(low)}, {number(high)}]"


def _precision(fpr: np.ndarray, tpr: np.ndarray, share: float) -> np.ndarray:
    hits, alarms = share * np.asarray(tpr), (1 - share) * np.asarray(fpr)
    with np.errstate(invalid="ignore"):
        return hits / (hits + alarms)


def _unit_square(ax: Axes, xlabel: str, ylabel: str) -> None:
    ax.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.01), aspect="equal", xlabel=xlabel, ylabel=ylabel)
    ax.locator_params(nbins=5)
    ax.grid(axis="both")
