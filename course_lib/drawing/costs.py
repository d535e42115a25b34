"""Three costs of each net in one plot: two along the axes, the third as the area of a bubble."""

import textwrap
from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from course_lib import figures
from course_lib.drawing import charts
from course_lib.figures import INK, MUTED

_MOST = 12  # names that find room
_LARGEST = 1500.0  # square points of the largest bubble
_ORDERS = 15  # in which labels are placed; one order alone can block the last label
_TURNS = np.linspace(0, 2 * np.pi, 12, endpoint=False)
_FAR = (3.0, 10.0, 20.0, 35.0, 55.0)  # pixels between a bubble's edge and its name


def bubbles(
    points: Mapping[str, tuple[float, float, float]],
    *,
    title: str,
    xlabel: str,
    ylabel: str,
    sizelabel: str,
    log: str = "xy",
    digits: int = 0,
) -> tuple[Figure, str]:
    """Draw a bubble a net, its name and size beside it, without collision of names.

    Args:
        points: Name to ``(x, y, size)``, at most 12; size > 0 is the area, not the radius.
        title: Sentence over the figure.
        xlabel: Quantity with its unit, such as ``parameters (M)``.
        ylabel: Quantity with its unit, such as ``GMACs per image``.
        sizelabel: Quantity of the area with its unit, such as ``peak memory (MB)``.
        log: Axes in logarithmic scale: ``""``, ``"x"``, ``"y"`` or ``"xy"``; the labels say so.
        digits: Digits of the printed sizes.

    Raises:
        ValueError: If there is no point or more than 12, a number is not finite, a size is not
            positive, or a number on a logarithmic axis is not.

    Source:
        The kind of plot: REUnet, Fig. 9.
    """
    found = np.array(list(points.values()), dtype=float).reshape(-1, 3)
    _check(found, log)
    fig, ax = figures.new(height=4.1, title=title)
    area = _LARGEST * found[:, 2] / found[:, 2].max()
    for i in np.argsort(-area, kind="stable"):  # large ones first, so that none is hidden
        name = list(points)[i]
        colour = figures.FAMILY[name]["color"] if name in figures.FAMILY else MUTED
        ax.scatter(*found[i, :2], s=area[i], color=colour, alpha=0.55, linewidths=0)
    ax.scatter(*found[:, :2].T, s=8, color=INK)
    charts.scales(ax, log, xlabel, ylabel)
    ax.xaxis.set_label_text(f"{ax.get_xlabel()}\narea of a bubble, number in brackets: {sizelabel}")
    ax.margins(0.22)
    ax.grid(axis="both")
    texts = [
        f"{textwrap.fill(figures.NAMES.get(name, name), 24)} ({size:,.{digits}f})"
        for name, size in zip(points, found[:, 2], strict=True)
    ]
    _write(fig, ax, found[:, :2], np.sqrt(area / np.pi) * fig.dpi / 72, texts)
    largest, smallest = (list(points)[i] for i in (found[:, 2].argmax(), found[:, 2].argmin()))
    ends = {"largest": largest, "smallest": smallest}
    told = "; ".join(
        f"{word} {figures.NAMES.get(name, name)}: {points[name][2]:,.{digits}f} at "
        f"{points[name][0]:,g}, {points[name][1]:,g}"
        for word, name in list(ends.items())[: len(points)]
    )
    count = figures.count(len(points), "bubble")
    return fig, figures.clip_alt(
        f"{count} of {ylabel} against {xlabel}; area: {sizelabel}. By area {told}."
    )


def _check(found: np.ndarray, log: str) -> None:
    if not 1 <= len(found) <= _MOST:
        raise ValueError(f"bubbles has {len(found)} points: 1 to {_MOST} can be named")
    if not np.isfinite(found).all():
        raise ValueError("bubbles needs finite numbers (x, y, size) for every point")
    for axis, column in (("x", 0), ("y", 1), ("size", 2)):
        if (axis in log or axis == "size") and found[:, column].min() <= 0:
            raise ValueError(f"{axis} = {found[:, column].min():g} must be above 0 here")


def _write(fig: Figure, ax: Axes, points: np.ndarray, radii: np.ndarray, texts: list[str]) -> None:
    """Write the names where they collide least, each with a leader to its bubble."""
    fig.draw_without_rendering()
    written = [ax.text(0, 0, text, ha="center", va="center", transform=None) for text in texts]
    sizes = np.array([t.get_window_extent().size for t in written])
    for text in written:
        text.remove()
    anchors = ax.transData.transform(points)
    frame = np.array([ax.bbox.p0, ax.bbox.p1])
    centres = place(anchors, radii, sizes + 4, frame)
    for point, offset, text in zip(points, centres - anchors, texts, strict=True):
        ax.annotate(
            text,
            point,
            offset * 72 / fig.dpi,
            textcoords="offset points",
            ha="center",
            va="center",
            arrowprops={"arrowstyle": "-", "color": MUTED, "linewidth": 0.8},
        )


def place(
    anchors: np.ndarray, radii: np.ndarray, sizes: np.ndarray, frame: np.ndarray
) -> np.ndarray:
    """Return centres of boxes beside discs, where boxes, discs and leaders collide least.

    Every order of placing takes for each box the cheapest of 60 places round its disc; of 15
    orders (seeded) the cheapest one is kept. All numbers are pixels.

    Args:
        anchors: ``(n, 2)`` centres of the discs.
        radii: ``(n,)`` radii of the discs.
        sizes: ``(n, 2)`` width and height of the boxes.
        frame: ``(2, 2)`` lower left and upper right corner of the room.

    Returns:
        ``(n, 2)`` centres of the boxes.
    """
    rng = np.random.default_rng(0)
    best, least = anchors, np.inf
    for _ in range(_ORDERS):
        centres, cost = _place_in_order(rng.permutation(len(anchors)), anchors, radii, sizes, frame)
        if cost < least:
            best, least = centres, cost
    return best


def _place_in_order(
    order: np.ndarray, anchors: np.ndarray, radii: np.ndarray, sizes: np.ndarray, frame: np.ndarray
) -> tuple[np.ndarray, float]:
    centres, total = np.zeros_like(anchors), 0.0
    placed: list[int] = []
    along = np.stack([np.cos(_TURNS), np.sin(_TURNS)], axis=1)
    for i in order:
        far = np.repeat(_FAR, len(_TURNS))
        turns = np.tile(along, (len(_FAR), 1))
        spots = (
            anchors[i]
            + turns * (radii[i] + far)[:, None]
            + np.sign(turns.round(6)) * (sizes[i] / 2 * np.abs(turns))
        )
        cost = 0.5 * far + 2 * _outside(spots, sizes[i], frame)
        for k in range(len(anchors)):
            cost += 20 * _reach_into_disc(spots, sizes[i], anchors[k], radii[k])
        for k in placed:
            cost += 20 * _overlap(spots, sizes[i], centres[k], sizes[k])
            cost += 10 * _hits(spots, sizes[i], anchors[k], centres[k])
            cost += 10 * _hits(centres[k], sizes[k], anchors[i], spots)
        cheapest = int(cost.argmin())
        centres[i], total = spots[cheapest], total + cost[cheapest]
        placed.append(int(i))
    return centres, total


def _outside(spots: np.ndarray, size: np.ndarray, frame: np.ndarray) -> np.ndarray:
    """Pixels by which each box stands out of the frame."""
    low = np.maximum(frame[0] - (spots - size / 2), 0)
    high = np.maximum(spots + size / 2 - frame[1], 0)
    return 20 * (low + high).sum(axis=1)


def _overlap(spots: np.ndarray, size: np.ndarray, other: np.ndarray, its: np.ndarray) -> np.ndarray:
    """Side of the square as large as the area that each box shares with another."""
    shared = np.maximum((size + its) / 2 - np.abs(spots - other), 0)
    return np.sqrt(shared.prod(axis=1))


def _reach_into_disc(
    spots: np.ndarray, size: np.ndarray, anchor: np.ndarray, radius: float
) -> np.ndarray:
    """Pixels by which each box reaches into a disc."""
    gap = np.maximum(np.abs(spots - anchor) - size / 2, 0)
    return np.maximum(radius - np.hypot(*gap.T), 0)


def _hits(spots: np.ndarray, size: np.ndarray, start: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """How many of 12 points of a leader lie in a box, for one box or one end and many others."""
    line = start + np.linspace(0, 1, 12)[:, None] * (ends - start)[..., None, :]
    inside = np.abs(line - spots[..., None, :]) < size / 2
    return inside.all(axis=-1).sum(axis=-1)
