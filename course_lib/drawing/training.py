"""Protocols side by side, and curves with the epochs at which things happen."""

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from course_lib import figures
from course_lib.drawing import charts
from course_lib.figures import GRID, INK, MUTED

if TYPE_CHECKING:
    from course_lib.training import Protocol

_MOST_ROWS, _MOST_COLUMNS = 14, 4
_LOSSES = {"dice": "Dice", "cross_entropy": "cross-entropy", "dice_ce": "Dice + CE"}
_LOSSES |= {"focal": "focal"}


def protocol_table(
    columns: Mapping[str, Mapping[str, tuple[str, bool]]], *, title: str
) -> tuple[Figure, str]:
    """Draw settings side by side; what a source leaves out stands on grey.

    Args:
        columns: Name of a source to its settings: name of a setting to ``(text, stated)``, the same
            settings for all, at most 4 sources and 14 settings. ``stated`` is False where the
            source is silent and the text is somebody else's choice.
        title: Sentence over the figure.

    Raises:
        ValueError: If there is nothing to draw, too much, or sources differ in their settings.
    """
    rows = list(next(iter(columns.values()), ()))
    if not rows or any(list(settings) != rows for settings in columns.values()):
        raise ValueError("every source needs the same settings in the same order, at least one")
    if len(rows) > _MOST_ROWS or len(columns) > _MOST_COLUMNS:
        raise ValueError(
            f"{len(columns)} sources of {len(rows)} settings: at most {_MOST_COLUMNS} of "
            f"{_MOST_ROWS} can be read"
        )
    fig, ax = figures.new(height=max(1.8, 0.9 + 0.29 * len(rows)), title=title)
    for x, settings in enumerate(columns.values()):
        for y, (text, stated) in enumerate(settings.values()):
            _cell(ax, x, y, text, stated)
    names = [figures.NAMES.get(name, name) for name in columns]
    ax.set(xlim=(-0.5, len(columns) - 0.5), ylim=(len(rows) - 0.5, -0.5))
    ax.set_xticks(range(len(columns)), names)
    ax.set_yticks(range(len(rows)), rows)
    ax.xaxis.tick_top()
    ax.tick_params(length=0, labelcolor=INK)
    for spine in ax.spines.values():
        spine.set_visible(False)
    fig.supxlabel("on grey: not stated by the source, our choice", color=MUTED)
    blanks = {
        name: sum(not stated for _, stated in settings.values())
        for name, settings in zip(names, columns.values(), strict=True)
    }
    told = ", ".join(f"{name} {count}" for name, count in blanks.items())
    return fig, figures.clip_alt(
        f"Table of {len(rows)} settings of {len(columns)} protocols. Settings that the source "
        f"does not state: {told}."
    )


def settings(protocol: "Protocol") -> dict[str, str]:
    """Return what a protocol says, in the few words that a cell of a table holds."""
    given = dataclasses.asdict(protocol.augmentation)
    told = ["flip"] * given.pop("flip")
    told += [f"{name} {value:g}" for name, value in given.items() if value]
    return {
        "optimiser": {"adam": "Adam", "adamw": "AdamW"}[protocol.optimiser],
        "learning rate": f"{protocol.learning_rate:g}",
        "schedule": protocol.schedule,
        "weight decay": f"{protocol.weight_decay:g}",
        "clipping": "none" if protocol.clip is None else f"norm {protocol.clip:g}",
        "batch": str(protocol.batch),
        "epochs (patience)": f"{protocol.epochs} ({protocol.patience or 'none'})",
        "the stop watches": "validation Dice",
        "loss": _LOSSES[protocol.loss],
        "augmentation": ", ".join(told) or "none",
        "precision": "mixed" if protocol.precision == "auto" else protocol.precision,
    }


def learning_curves(
    series: Mapping[str, tuple],
    events: Mapping[str, float],
    *,
    title: str,
    ylabel: str,
) -> tuple[Figure, str]:
    """Draw curves over epochs with a labelled upright line at each event.

    Args:
        series: Name to ``(epochs, values)``, each ``(n,)``.
        events: Label to an epoch, such as the one that was chosen; labels stand over the axes, one
            above the other, so that near ones can be read.
        title: Sentence over the figure.
        ylabel: Quantity with its unit.

    Raises:
        ValueError: If there is no series or one has no point.
    """
    fig, alt = charts.lines(series, title=title, xlabel="epoch", ylabel=ylabel)
    ax = fig.axes[0]
    ax.xaxis.get_major_locator().set_params(integer=True)
    for line in ax.lines:
        line.set_markevery(max(1, len(line.get_xdata()) // 12))
    for place, (label, epoch) in enumerate(events.items()):
        ax.axvline(epoch, color=INK, linewidth=1.0, linestyle=(0, (3, 1.5)))
        left = epoch > sum(ax.get_xlim()) / 2
        ax.annotate(
            label,
            (epoch, 1.0),
            (-2 if left else 2, 2 + charts.GAP * place),
            ("data", "axes fraction"),
            "offset points",
            ha="right" if left else "left",
            annotation_clip=False,
        )
    told = "; ".join(f"{label}: epoch {epoch:g}" for label, epoch in events.items())
    return fig, figures.clip_alt(f"{told}. {alt}" if told else alt)


def _cell(ax: Axes, x: int, y: int, text: str, stated: bool) -> None:
    ground = figures.PAPER if stated else GRID
    corner = (x - 0.48, y - 0.44)
    ax.add_patch(Rectangle(corner, 0.96, 0.88, facecolor=ground, edgecolor=GRID, linewidth=0.8))
    ax.text(x, y, text, ha="center", va="center", color=INK)
