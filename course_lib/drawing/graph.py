"""A net as a graph of its parts: who reads whom, and which parts reach no output."""

from collections.abc import Collection, Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, Rectangle

from course_lib import figures
from course_lib.figures import FAMILY, GRID, INK, MUTED, PAPER

_WIDTH, _HEIGHT = 0.78, 0.62  # of a box, in units of the grid


def graph(
    inputs: Mapping[str, Sequence[str]],
    places: Mapping[str, tuple[float, float]],
    *,
    title: str,
    notes: Mapping[str, str] | None = None,
    dead: Collection[str] = (),
    accent: Collection[tuple[str, str]] = (),
    family: str = "unet",
) -> tuple[Figure, str]:
    """Draw the parts of a net as boxes on a grid, with an arrow from each input to its reader.

    Args:
        inputs: Part to the parts that it reads; those without a place are not drawn.
        places: Part to its column and row, rows counted downwards; columns and rows are one box
            apart or more.
        title: Sentence over the figure.
        notes: Part to a short second line, such as its channels.
        dead: Parts that reach no output: hatched, their arrows dotted.
        accent: Arrows ``(from, to)`` to be seen first, bent and in the family's colour.
        family: Name of the net's family, for the accent.

    Raises:
        ValueError: If a note, a dead part or an accent names a part that has no place.
    """
    named = {*(notes or {}), *dead, *(name for pair in accent for name in pair)}
    if named - set(places):
        raise ValueError(f"{min(named - set(places))!r} has no place in the graph")
    columns = [x for x, _ in places.values()]
    rows = [y for _, y in places.values()]
    height = 1.0 + 0.62 * (max(rows) - min(rows) + 1)
    fig, ax = figures.new(height=min(max(height, 1.5), 5.2), title=title)
    ax.set_axis_off()
    ax.set(xlim=(min(columns) - 0.5, max(columns) + 0.5), ylim=(max(rows) + 0.5, min(rows) - 0.75))
    for part, read in inputs.items():
        for source in read:
            if source in places and part in places:
                bent = (source, part) in accent
                _arrow(ax, places[source], places[part], part in dead, bent, family)
    for part, place in places.items():
        _box(ax, place, part, (notes or {}).get(part, ""), part in dead)
    return fig, _alt(places, dead, accent)


def _box(ax: Axes, place: tuple[float, float], part: str, note: str, dead: bool) -> None:
    corner = (place[0] - _WIDTH / 2, place[1] - _HEIGHT / 2)
    look = {"facecolor": PAPER, "hatch": "////"} if dead else {"facecolor": GRID}
    ax.add_patch(Rectangle(corner, _WIDTH, _HEIGHT, edgecolor=MUTED, linewidth=0.8, **look))
    # Letters on a hatch cannot be read, so they get ground of their own.
    ground = {"facecolor": PAPER if dead else GRID, "edgecolor": "none", "pad": 0.8}
    words = f"{part}\n{note}" if note else part
    ax.text(*place, words, ha="center", va="center", bbox=ground, linespacing=1.1)


def _arrow(
    ax: Axes,
    start: tuple[float, float],
    end: tuple[float, float],
    dead: bool,
    bent: bool,
    family: str,
) -> None:
    tail, head = _ends(start, end, bent)
    look = {"color": MUTED if dead else INK, "linewidth": 0.8}
    if dead:
        look["linestyle"] = (0, (1, 1.5))
    if bent:
        look = {"color": FAMILY[family]["color"], "linewidth": 2.2}
    bend = {"connectionstyle": "arc3,rad=-0.08"} if bent else {}
    arrow = FancyArrowPatch(
        tail, head, arrowstyle="-|>", mutation_scale=7, shrinkA=0, shrinkB=0, **look, **bend
    )
    ax.add_patch(arrow)


def _ends(start: tuple[float, float], end: tuple[float, float], bent: bool) -> tuple:
    """Where an arrow leaves and meets the boxes: at their sides, or above and below."""
    across, down = end[0] - start[0], end[1] - start[1]
    if bent:
        return (start[0] + _WIDTH / 3, start[1] - _HEIGHT / 2), (end[0], end[1] - _HEIGHT / 2)
    if abs(across) < 0.5:
        side = _HEIGHT / 2 if down > 0 else -_HEIGHT / 2
        return (start[0], start[1] + side), (end[0], end[1] - side)
    side = _WIDTH / 2 if across > 0 else -_WIDTH / 2
    return (start[0] + side, start[1]), (end[0] - side, end[1])


def _alt(places: Mapping, dead: Collection[str], accent: Collection[tuple[str, str]]) -> str:
    told = f"Graph of a net with {figures.count(len(places), 'part')}"
    if dead:
        told += f", {len(dead)} of them hatched because they reach no output: "
        told += ", ".join(part for part in places if part in dead)
    marked = " and ".join(f"{source} to {part}" for source, part in accent)
    return figures.clip_alt(told + (f". Marked arrow: {marked}." if marked else "."))
