"""Settings against each other: paired differences, a table of two parameters, a trend along one."""

import textwrap
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib import colors
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from course_lib import figures
from course_lib.drawing import charts, scores
from course_lib.figures import BLACK, GRID, INK, MUTED, PAPER, number

MOST_CELLS = (6, 8)  # rows and columns of a heat map whose cells still hold two lines of text
MISSING = "\N{EN DASH}"
_LABEL = 92  # characters of 9 pt in the width of a figure
_STEPS = 21  # shades of a heat map: odd, so that 0 has its own; few, so that the PNG is small
_DARK = 0.18  # luminance below which white text has more contrast than black


def forest(
    rows: Mapping[str, tuple[float, float, float]],
    *,
    title: str,
    xlabel: str,
    n: int | str,
    matters: float | None = None,
    reference: str = "reference",
    digits: int = 3,
) -> tuple[Figure, str]:
    """Draw paired differences with their intervals, the largest on top, round a line at zero.

    The marker is filled where the interval leaves out 0. An interval of NaN (one pair) gives an
    open marker without bar; a difference of NaN (no pair yet) an empty row at the bottom.

    Args:
        rows: Name to ``(difference, low, high)``, at most 24.
        title: Sentence over the figure.
        xlabel: What is subtracted from what, such as ``Dice: variant minus reference``.
        n: Pairs behind each difference, such as ``5`` or ``"3 to 5 seeds"``.
        matters: Largest difference that does not matter, stated before the results were seen;
            drawn as a grey band.
        reference: Name of what the others are compared with.
        digits: Digits of the printed differences.

    Raises:
        ValueError: If no difference is defined, there are over 24 rows, or matters is negative.
    """
    scores.check_rows("forest", rows)
    if not any(np.isfinite(one[0]) for one in rows.values()):
        raise ValueError("forest needs at least one defined difference")
    if matters is not None and not 0 <= matters < np.inf:
        raise ValueError(f"matters = {matters} must be a difference of 0 or more")
    order = sorted(rows, key=lambda name: np.nan_to_num(rows[name][0], nan=-np.inf))
    fig, ax = figures.new(height=float(np.clip(1.5 + 0.34 * len(rows), 2.0, 5.2)), title=title)
    if matters:
        ax.axvspan(-matters, matters, color=GRID, linewidth=0, zorder=0)
    ax.axvline(0, color=INK, linewidth=1.0)
    for y, name in enumerate(order):
        _difference(ax, y, rows[name], digits)
    ax.margins(x=0.08)
    scores.name_rows(ax, order)
    _sides(ax, matters or 0, reference)
    note = "bar: 95 % interval; filled: it leaves out 0"
    if matters:
        note += f"; grey: up to {matters:g}, stated beforehand not to matter"
    fig.supxlabel(f"{textwrap.fill(f'{xlabel} (n = {n})', _LABEL)}\n{note}")
    clear = sum(_leaves_out_zero(one) for one in rows.values())
    known = [name for name in order if np.isfinite(rows[name][0])]
    ends = {"Highest": known[-1]} if len(known) == 1 else {"Highest": known[-1], "lowest": known[0]}
    told = "; ".join(
        f"{word} {scores.shown(name)} {_with_interval(rows[name], digits)}"
        for word, name in ends.items()
    )
    return fig, figures.clip_alt(
        f"Forest plot of {xlabel}, n = {n}; {clear} of {len(rows)} intervals leave out 0. {told}."
    )


def heat_map(
    values: np.ndarray,
    *,
    rows: Sequence[str],
    columns: Sequence[str],
    xlabel: str,
    ylabel: str,
    label: str,
    title: str,
    halves: np.ndarray | None = None,
    signed: bool = False,
    digits: int = 3,
) -> tuple[Figure, str]:
    """Draw numbers over two parameters as shaded cells with the number in each.

    Args:
        values: ``(R, C)`` numbers, at most 6 x 8; NaN is a missing cell and shows a dash.
        rows: R values of the parameter downwards, in the parameter's order.
        columns: C values of the parameter to the right, in the parameter's order.
        xlabel: Name of the parameter to the right.
        ylabel: Name of the parameter downwards.
        label: Quantity in the cells with its unit and n.
        title: Sentence over the figure.
        halves: ``(R, C)`` half widths of 95 % intervals, NaN where there is none.
        signed: Whether values are differences: colours are symmetric about 0, and a value is bold
            where its interval leaves out 0.
        digits: Digits of the printed values.

    Raises:
        ValueError: If shapes disagree, there are more than 6 x 8 cells, or no value is defined.
    """
    values = np.asarray(values, dtype=float)
    halves = np.full_like(values, np.nan) if halves is None else np.asarray(halves, dtype=float)
    _check_cells(values, halves, rows, columns)
    fig, ax = figures.new(height=float(np.clip(1.6 + 0.55 * len(rows), 2.4, 5.2)), title=title)
    kind, low, high = _shades(values, halves, signed)
    drawn = figures.image(ax, values, kind, vmin=low, vmax=high, aspect="auto")
    drawn.set_cmap(drawn.cmap.resampled(_STEPS))
    _grid_of_cells(ax, rows, columns)
    ax.set_ylabel(textwrap.fill(ylabel, 30))
    for (y, x), value in np.ndenumerate(values):
        tone = _readable(drawn.cmap(drawn.norm(value)))
        _cell(ax, (x, y), value, halves[y, x], signed, digits, tone)
    fig.colorbar(drawn, ax=ax, pad=0.015)
    ax.set_xlabel(textwrap.fill(xlabel, 60))
    fig.supxlabel(
        f"{textwrap.fill(f'cells: {label}', _LABEL)}\n{_signs(values, halves, signed)}".rstrip()
    )
    return fig, _told_cells(values, rows, columns, (ylabel, xlabel, label), digits)


def trend(
    series: Mapping[str, Sequence[tuple[float, float, float, float]]],
    *,
    title: str,
    xlabel: str,
    ylabel: str,
    log: bool = False,
) -> tuple[Figure, str]:
    """Draw a score against one parameter: a dot and an interval for each of its values.

    Args:
        series: Name to its points ``(x, mean, low, high)`` in any order; an interval of NaN (one
            run) is not drawn.
        title: Sentence over the figure.
        xlabel: The parameter with its unit.
        ylabel: The score with its unit and n; what the bar is will be added.
        log: Whether the parameter is in logarithmic scale.

    Raises:
        ValueError: If there is no series or one has no point.
    """
    columns = {
        name: tuple(np.array(sorted(points), dtype=float).reshape(-1, 4).T)
        for name, points in series.items()
    }
    fig, alt = charts.lines(
        columns, title=title, xlabel=xlabel, ylabel=ylabel, log="x" if log else ""
    )
    ax = fig.axes[0]
    ax.set_ylabel(_with_bar(ylabel))
    measured = np.unique(np.concatenate([one[0] for one in columns.values()]))
    _tick_the_measured(fig, ax, measured)
    return fig, alt


def _with_bar(ylabel: str) -> str:
    """Add what the bar is to the brackets of a label, in a line of their own."""
    label, bracket, inside = ylabel.removesuffix(")").rpartition(" (")
    if not ylabel.endswith(")") or not bracket:
        label, inside = ylabel, ""
    inside = f"{inside}; bar: 95 % interval" if inside else "bar: 95 % interval"
    return f"{textwrap.fill(label, 34)}\n({inside})"


def _tick_the_measured(fig: Figure, ax: Axes, measured: np.ndarray) -> None:
    """Tick the measured values alone, where their labels have room beside each other."""
    labels = [f"{value:,g}" for value in measured]
    fig.draw_without_rendering()
    places = ax.transData.transform(np.stack([measured, np.ones_like(measured)], axis=1))[:, 0]
    wide = 7.5 * max(map(len, labels)) + 8  # pixels: digits of 9 pt and a gap
    if np.diff(places).min(initial=np.inf) >= wide:
        ax.set_xticks(measured, labels)
        ax.minorticks_off()


def _difference(ax: Axes, y: float, one: tuple[float, float, float], digits: int) -> None:
    """Draw bar, marker and printed value of one row."""
    middle, low, high = one
    if not np.isfinite(middle):
        scores.beside(ax, y, MISSING)
        return
    if np.isfinite(low) and np.isfinite(high):
        ax.plot([low, high], [y, y], color=INK, linewidth=1.6)
    face = INK if _leaves_out_zero(one) else PAPER
    ax.plot([middle], [y], "o", color=face, markeredgecolor=INK, markersize=7, zorder=4)
    scores.beside(ax, y, _with_interval(one, digits))


def _leaves_out_zero(one: tuple[float, float, float]) -> bool:
    return bool(one[1] > 0 or one[2] < 0)  # False for NaN


def _with_interval(one: tuple[float, float, float], digits: int) -> str:
    middle, low, high = (_signed(value, digits) for value in one)
    return f"{middle} [{low}, {high}]" if np.isfinite(one[1]) else f"{middle}, no interval"


def _signed(value: float, digits: int) -> str:
    """A difference with its sign; what rounds to zero has none."""
    return ("+" if round(value, digits) > 0 else "") + number(value, digits)


def _sides(ax: Axes, matters: float, reference: str) -> None:
    """Say over the plot, at both edges of the band, which side means what."""
    for edge, gap, side, text in (
        (-matters, -6, "right", f"\N{LEFTWARDS ARROW} {reference} higher"),
        (matters, 6, "left", "variant higher \N{RIGHTWARDS ARROW}"),
    ):
        ax.annotate(
            textwrap.fill(text, 34),
            (edge, 1),
            (gap, 3),
            ("data", "axes fraction"),
            "offset points",
            ha=side,
            va="bottom",
            annotation_clip=False,
        )


def _check_cells(values: np.ndarray, halves: np.ndarray, rows: Sequence, columns: Sequence) -> None:
    shape = (len(rows), len(columns))
    if values.shape != shape or halves.shape != shape:
        raise ValueError(
            f"values {values.shape} and halves {halves.shape} must be {shape}: rows x columns"
        )
    if shape[0] > MOST_CELLS[0] or shape[1] > MOST_CELLS[1]:
        raise ValueError(f"{shape[0]} x {shape[1]} cells cannot be read: at most 6 x 8, else lines")
    if not np.isfinite(values).any():
        raise ValueError("heat_map needs at least one defined value")


def _shades(values: np.ndarray, halves: np.ndarray, signed: bool) -> tuple[str, float, float]:
    """Map and limits: wide enough for the intervals, so that noise is not drawn as structure."""
    reach = np.nan_to_num(halves)
    low, high = float(np.nanmin(values - reach)), float(np.nanmax(values + reach))
    if signed:
        largest = float(np.nanmax(np.abs(values))) or 1.0
        step = 10 ** np.floor(np.log10(largest))
        largest = float(np.ceil(round(largest / step, 6)) * step)
        return "signed", -largest, largest
    if low == high:
        low, high = scores.padded([low])
    return ("share" if np.nanmin(values) >= 0 and np.nanmax(values) <= 1 else "amount"), low, high


def _signs(values: np.ndarray, halves: np.ndarray, signed: bool) -> str:
    """Say what the signs in the cells mean, of those that are there."""
    told = []
    if np.isfinite(halves).any():
        told.append("\N{PLUS-MINUS SIGN}: half width of the 95 % interval")
        if signed:
            told.append("bold: it leaves out 0")
    if np.isnan(values).any():
        told.append(f"{MISSING}: no value")
    return "; ".join(told)


def _grid_of_cells(ax: Axes, rows: Sequence[str], columns: Sequence[str]) -> None:
    each = max(5, 60 // len(columns))
    names = [textwrap.fill(str(name), each, break_long_words=False) for name in columns]
    ax.set_xticks(range(len(columns)), names)
    ax.set_yticks(range(len(rows)), [textwrap.fill(str(name), 22) for name in rows])
    ax.set_xticks(np.arange(1, len(columns)) - 0.5, minor=True)
    ax.set_yticks(np.arange(1, len(rows)) - 0.5, minor=True)
    ax.grid(which="minor", color=PAPER, linewidth=2)
    ax.tick_params(which="both", length=0, labelcolor=INK)


def _readable(ground: tuple[float, ...]) -> str:
    """White or black, whichever has more contrast; a missing cell is white paper."""
    if ground[3] == 0:
        return MUTED
    channels = np.array(colors.to_rgb(ground))
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    return PAPER if linear @ [0.2126, 0.7152, 0.0722] < _DARK else BLACK


def _cell(
    ax: Axes,
    place: tuple[int, int],
    value: float,
    half: float,
    signed: bool,
    digits: int,
    tone: str,
) -> None:
    """Write the value of one cell, and below it the half width of its interval."""
    common = {"color": tone, "ha": "center", "va": "center", "textcoords": "offset points"}
    if not np.isfinite(value):
        ax.annotate(MISSING, place, (0, 0), **common)
        return
    text = _signed(value, digits) if signed else number(value, digits)
    weight = "bold" if signed and abs(value) > half else "normal"
    known = bool(np.isfinite(half))
    ax.annotate(text, place, (0, 6 if known else 0), fontweight=weight, **common)
    if known:
        ax.annotate(f"\N{PLUS-MINUS SIGN}{number(half, digits)}", place, (0, -6), **common)


def _told_cells(
    values: np.ndarray,
    rows: Sequence[str],
    columns: Sequence[str],
    names: tuple[str, str, str],
    digits: int,
) -> str:
    ylabel, xlabel, label = names
    told = []
    for word, index in (("Highest", np.nanargmax(values)), ("lowest", np.nanargmin(values))):
        y, x = np.unravel_index(index, values.shape)
        where = f"{ylabel} {rows[y]}, {xlabel} {columns[x]}"
        told.append(f"{word} {number(values[y, x], digits)} at {where}")
    missing = int(np.isnan(values).sum())
    left = f" {figures.count(missing, 'cell')} without a value." if missing else ""
    size = f"{len(rows)} x {len(columns)} cells"
    return figures.clip_alt(f"Heat map of {label}, {size}.{left} {'; '.join(told)}.")
