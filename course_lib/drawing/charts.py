"""Curves, points, bars and histograms with the house's axes, labels and counts."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter
from matplotlib.transforms import ScaledTranslation
from scipy.optimize import isotonic_regression

from course_lib import figures
from course_lib.figures import INK, number, style

GAP = 11  # points between the baselines of two labels
_MOST_COLOURED = 4
_BESIDE = 5  # points between the intervals of two lines at the same x


def curves(
    histories: Mapping[str, np.ndarray],
    *,
    title: str,
    ylabel: str,
    xlabel: str = "epoch",
    x: Sequence[float] | None = None,
    compared: Sequence[str] | None = None,
) -> tuple[Figure, str]:
    """Draw learning curves: the median over seeds as a line, lowest to highest seed as a band.

    With 10 seeds or more the band is the 95 % interval of the mean.

    Args:
        histories: Name (of a net in ``models.NAMES``, or any) to values ``(epochs,)`` or
            ``(seeds, epochs)``.
        title: Sentence over the figure.
        ylabel: Quantity with its unit, such as ``validation Dice``.
        xlabel: Quantity along x; the number of seeds and the band are added to it.
        x: Position of each value, by default 1, 2, ...
        compared: With more than 4 curves, the names that keep their colour; the rest turn grey.

    Raises:
        ValueError: If there is no curve, or one has no value.
    """
    runs = {name: np.atleast_2d(np.asarray(a, dtype=float)) for name, a in histories.items()}
    if not runs or any(a.size == 0 for a in runs.values()):
        raise ValueError("curves needs at least one history with at least one value")
    fig, ax = figures.new(height=3.4, title=title)
    ends = {}
    for i, (name, values) in enumerate(runs.items()):
        place = np.arange(1, values.shape[1] + 1) if x is None else np.asarray(x)
        line = _curve_style(name, i, len(runs), compared)
        middle, low, high = _middle_and_band(values)
        every = max(1, len(place) // 5)
        ax.plot(place, middle, **line, markersize=5, markevery=(i % every, every), clip_on=False)
        if len(values) > 1:
            ax.fill_between(place, low, high, color=line["color"], alpha=0.15, linewidth=0)
        ends[name] = (place[-1], middle[-1], line["color"])
    ax.set(xlabel=f"{xlabel} ({_seeds(runs)})", ylabel=ylabel)
    ax.set_xlim(place[0] if len(place) > 1 else place[0] - 1, place[-1])
    ax.xaxis.set_major_locator(MaxNLocator("auto", integer=x is None, steps=[1, 2, 5, 10]))
    ax.grid(axis="y")
    _end_labels(fig, ax, ends)
    last = {name: end[1] for name, end in ends.items()}
    return fig, figures.clip_alt(f"Curves of {ylabel} by {xlabel}, {_seeds(runs)}. {_ends(last)}")


def lines(
    series: Mapping[str, tuple],
    *,
    title: str,
    xlabel: str,
    ylabel: str,
    joined: bool = True,
    log: str = "",
    marks: Mapping[str, float] | None = None,
) -> tuple[Figure, str]:
    """Draw y against x for one or a few series, with intervals where there are any.

    Args:
        series: Name to ``(x, y)`` or ``(x, y, low, high)``, each ``(n,)``.
        title: Sentence over the figure.
        xlabel: Quantity with its unit.
        ylabel: Quantity with its unit.
        joined: Whether the points of a series are joined by a line.
        log: Axes in logarithmic scale: ``""``, ``"x"``, ``"y"`` or ``"xy"``; the labels say so.
        marks: Label to a height at which a thin line is drawn, such as a ceiling.

    Raises:
        ValueError: If there is no series or one has no point.
    """
    if not series or any(len(one[0]) == 0 for one in series.values()):
        raise ValueError("lines needs at least one series with at least one point")
    fig, ax = figures.new(height=3.4, title=title)
    ends = {}
    beside = joined and sum(len(one) > 2 for one in series.values()) > 1
    for i, (name, (x, y, *interval)) in enumerate(series.items()):
        x, y = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
        line = {**style(name, i), "markersize": 5}
        if not joined:
            line["linestyle"] = "none"
        drawn = ax.plot(x, y, **line)
        if interval:
            tone = line["color"] if beside else INK
            drawn.append(ax.vlines(x, *interval, color=tone, linewidth=1.2, zorder=1.9))
        if beside:
            _move(drawn, (i - (len(series) - 1) / 2) * _BESIDE)
        ends[name] = (x[-1], y[-1], line["color"])
    for label, height in (marks or {}).items():
        ax.axhline(height, color=INK, linewidth=0.8)
        ax.annotate(label, (0, height), (3, 2), ("axes fraction", "data"), "offset points")
    scales(ax, log, xlabel, ylabel)
    if "x" not in log and all((np.asarray(one[0]) % 1 == 0).all() for one in series.values()):
        ax.xaxis.set_major_locator(MaxNLocator("auto", integer=True, steps=[1, 2, 5, 10]))
    ax.grid(axis="y")
    if len(series) > 1 and joined:
        _end_labels(fig, ax, ends, values=False)
    elif len(series) > 1:
        fig.legend(loc="outside lower center", ncols=len(series), handles=_handles(ax, series))
    told = "; ".join(_told(name, one) for name, one in series.items())
    return fig, figures.clip_alt(f"{ylabel} against {xlabel}. {told}.")


def histogram(
    values: Mapping[str, np.ndarray],
    *,
    title: str,
    xlabel: str,
    counted: str = "cases",
    bins: int = 20,
    limits: tuple[float, float] | None = None,
) -> tuple[Figure, str]:
    """Draw one histogram a name, one above the other, on one common axis.

    Args:
        values: Name to numbers ``(n,)``, at most 6 names; NaN is left out and counted.
        title: Sentence over the figure.
        xlabel: Quantity with its unit.
        counted: What n counts.
        bins: Bars over the whole axis.
        limits: Ends of the axis, by default the lowest and highest value.

    Raises:
        ValueError: If there is no finite value, or more than 6 names.
    """
    kept = {name: np.asarray(v, dtype=float) for name, v in values.items()}
    finite = {name: v[np.isfinite(v)] for name, v in kept.items()}
    if not 1 <= len(finite) <= 6 or not sum(map(len, finite.values())):
        raise ValueError("a histogram needs 1 to 6 names and at least one finite value")
    together = np.concatenate(list(finite.values()))
    edges = np.histogram_bin_edges(together, bins, limits or (together.min(), together.max()))
    height = 1.3 + (1.2 if len(finite) == 1 else 0.65 * len(finite))
    fig, axes = figures.new(len(finite), 1, height=height, title=title, squeeze=False, sharex=True)
    for ax, (name, v) in zip(axes.flat, finite.items(), strict=True):
        ax.hist(v, bins=edges, color=figures.TP)
        missing = len(kept[name]) - len(v)
        undefined = f", {missing} undefined" if missing else ""
        ax.set_title(
            f"{figures.NAMES.get(name, name)}, n = {len(v):,} {counted}{undefined}", loc="left"
        )
        ax.grid(axis="y")
        ax.yaxis.set_major_locator(MaxNLocator(3, integer=True))
        ax.set_ylabel(counted)
        if len(v):
            ax.axvline(np.median(v), color=INK, linewidth=1.2)
    axes[-1, 0].set_xlabel(f"{xlabel}; line: median")
    told = ", ".join(
        f"{n} {number(np.median(v))} (n = {len(v):,})" for n, v in finite.items() if len(v)
    )
    return fig, figures.clip_alt(f"Histogram of {xlabel}. Medians: {told}.")


def bars(
    values: Mapping[str, float],
    *,
    title: str,
    xlabel: str,
    digits: int = 0,
    accent: Sequence[str] = (),
) -> tuple[Figure, str]:
    """Draw lengths that start at zero: parameters, multiply-adds, shares; value beside each bar.

    For scores use :func:`cases`: bars hide their spread.

    Args:
        values: Name to a number of at least 0, top to bottom.
        title: Sentence over the figure.
        xlabel: Quantity with its unit.
        digits: Digits of the printed values.
        accent: Names drawn dark; the others are grey.

    Raises:
        ValueError: If there is no value, or one is negative or not finite.
    """
    lengths = np.array(list(values.values()), dtype=float)
    if not lengths.size or not np.isfinite(lengths).all() or lengths.min() < 0:
        raise ValueError("bars start at zero: values must be finite and not negative")
    fig, ax = figures.new(height=float(np.clip(1.1 + 0.3 * len(values), 1.8, 5.2)), title=title)
    tones = [INK if name in accent else figures.TP for name in values]
    ax.barh(range(len(values)), lengths, color=tones, height=0.65)
    ax.set_yticks(range(len(values)), [figures.NAMES.get(name, name) for name in values])
    ax.tick_params(axis="y", length=0, labelcolor=INK)
    ax.invert_yaxis()
    ax.set(xlabel=xlabel, xlim=(0, 1.2 * lengths.max() or 1))
    ax.xaxis.set_major_locator(MaxNLocator(4))
    ax.xaxis.set_major_formatter(FuncFormatter(_plain))
    for i, length in enumerate(lengths):
        ax.annotate(
            f"{length:,.{digits}f}", (length, i), (3, 0), "data", "offset points", va="center"
        )
    ax.grid(axis="x")
    told = ", ".join(f"{name} {value:,.{digits}f}" for name, value in values.items())
    return fig, figures.clip_alt(f"Bars of {xlabel}: {told}.")


def _curve_style(name: str, i: int, count: int, compared: Sequence[str] | None) -> dict:
    line = {**style(name, i), "markeredgewidth": 0.6}
    if count > _MOST_COLOURED and compared is not None and name not in compared:
        return {**line, "color": figures.TP, "linewidth": 1.0}
    return line


def _middle_and_band(values: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    if len(values) < 10:
        return np.median(values, axis=0), values.min(axis=0), values.max(axis=0)
    from course_lib.metrics import t_interval

    low, high = np.array([t_interval(column) for column in values.T]).T
    return values.mean(axis=0), low, high


def _seeds(runs: Mapping[str, np.ndarray]) -> str:
    counts = {len(values) for values in runs.values()}
    if counts == {1}:
        return "one seed, no band"
    if len(counts) > 1:
        return f"{min(counts)} to {max(counts)} seeds; band: lowest to highest"
    seeds = counts.pop()
    if seeds < 10:
        return f"median of {seeds} seeds; band: lowest to highest"
    return f"mean of {seeds} seeds; band: 95 % interval"


def _ends(last: Mapping[str, float]) -> str:
    order = sorted(last, key=last.get)
    shown = [figures.NAMES.get(name, name) for name in order]
    if len(order) == 1:
        return f"{shown[0]} ends at {number(last[order[0]])}."
    return (
        f"{len(order)} curves: {shown[-1]} ends highest, {number(last[order[-1]])}; "
        f"{shown[0]} lowest, {number(last[order[0]])}."
    )


def _end_labels(fig: Figure, ax: Axes, ends: Mapping[str, tuple], values: bool = True) -> None:
    """Write the names at the right ends of their lines, moved apart until they can be read."""
    fig.draw_without_rendering()
    order = sorted(ends, key=lambda name: ends[name][1])
    to_points = 72 / fig.dpi
    wanted = [ax.transData.transform(ends[name][:2])[1] * to_points for name in order]
    low, high = (edge * to_points for edge in (ax.bbox.y0, ax.bbox.y1))
    placed = spread(wanted, GAP, low, high)
    last = max(end[0] for end in ends.values())
    column = ax.transAxes + ScaledTranslation(16 / 72, 0, fig.dpi_scale_trans)
    for name, spot in zip(order, placed, strict=True):
        x, y, colour = ends[name]
        text = figures.NAMES.get(name, name) + (f" {number(y)}" if values else "")
        ax.annotate(
            text,
            (x, y),
            (1, (spot - low) / (high - low)),
            textcoords=column,
            va="center",
            annotation_clip=False,
            arrowprops={
                "arrowstyle": "-",
                "color": colour,
                "linewidth": 1.0,
                "linestyle": "-" if x == last else ":",  # a long leader is no part of the curve
                "relpos": (0, 0.5),
            },
        )


def spread(wanted: Sequence[float], gap: float, low: float, high: float) -> np.ndarray:
    """Return positions ``gap`` apart or more, as near as can be to the wanted ascending ones.

    They stay between low and high as far as there is room.
    """
    steps = gap * np.arange(len(wanted))
    level = isotonic_regression(np.asarray(wanted) - steps).x
    return np.clip(level, low, max(low, high - steps[-1])) + steps


def scales(ax: Axes, log: str, xlabel: str, ylabel: str) -> None:
    """Label both axes; a logarithmic one says so and has plain numbers at 1, 2, 5, 10, ..."""
    for name, axis, label in (("x", ax.xaxis, xlabel), ("y", ax.yaxis, ylabel)):
        if name in log:
            ax.set(**{f"{name}scale": "log"})
            low, high = axis.get_data_interval()
            wide = low > 0 and high / low > 1000  # 2 and 5 find no room
            axis.set_major_locator(LogLocator(subs=(1,) if wide else (1, 2, 5)))
            axis.set_major_formatter(FuncFormatter(_plain))
            axis.set_minor_formatter(NullFormatter())
            label = f"{label[:-1]}, log scale)" if label.endswith(")") else f"{label} (log scale)"
        axis.set_label_text(label)


def _plain(value: float, _position: int | None = None) -> str:
    """A tick label without powers of ten."""
    return f"{value:,.0f}" if value == round(value) else f"{value:,g}"


def _move(drawn: Sequence[Artist], points: float) -> None:
    """Move along x, so that intervals at the same place stand beside each other."""
    for artist in drawn:
        shift = ScaledTranslation(points / 72, 0, artist.figure.dpi_scale_trans)
        artist.set_transform(artist.axes.transData + shift)


def _handles(ax: Axes, series: Mapping[str, tuple]) -> list:
    points = [line for line in ax.lines if line.get_marker() not in ("None", "", None)]
    for line, name in zip(points, series, strict=True):
        line.set_label(figures.NAMES.get(name, name))
    return points


def _told(name: str, one: tuple) -> str:
    x, y = np.asarray(one[0], dtype=float), np.asarray(one[1], dtype=float)
    ends = f"{number(y[0])} at {x[0]:g}, {number(y[-1])} at {x[-1]:g} (n = {len(x)})"
    return f"{figures.NAMES.get(name, name)}: {ends}"
