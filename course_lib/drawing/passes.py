"""A net that is passed several times, as boxes on a grid: what it reads now, and from before."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import FancyArrowPatch, Rectangle
from matplotlib.path import Path
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from course_lib import figures
from course_lib.drawing.diagram import observe
from course_lib.figures import FAMILY, GRID, INK, MUTED
from course_lib.models.measure import tensors_of

_JOINS = (torch.cat, torch.add, Tensor.add)
_TALL = 0.62  # of a row
_LIFT = 0.13  # of a row: forward skips run above the middle of a box, backward skips below


@dataclass
class Trace:
    """What one forward pass of a net did, by the labels of its stages."""

    channels: dict[str, int] = field(default_factory=dict)
    sides: dict[str, int] = field(default_factory=dict)
    calls: dict[str, int] = field(default_factory=dict)
    flow: list[tuple[str, str]] = field(default_factory=list)
    """Stage and the stage that ran next, of the first calls."""
    forward: list[tuple[str, str]] = field(default_factory=list)
    """Map read by a later stage of the same pass."""
    backward: list[tuple[str, str]] = field(default_factory=list)
    """Map of the pass before."""


def passes(
    net: nn.Module,
    stages: Mapping[str, str],
    places: Mapping[str, tuple[float, float]],
    shape: tuple[int, int, int],
    *,
    title: str,
    family: str = "bionet",
) -> tuple[Figure, str]:
    """Draw the stages of a live net with their forward skips, and its backward skips in colour.

    Args:
        net: The net; it is run once without computing anything (shapes only).
        stages: Label to the name of its module. A skip is a map of one stage that is concatenated
            or added to what another one reads; it is backward if the map is of an earlier pass.
        places: Label to its column and row; rows are counted downwards, one a resolution.
        shape: ``(C, H, W)`` of one image.
        title: Sentence over the figure.
        family: Name of the net's family, whose colour the backward skips have.

    Raises:
        ValueError: For a module that the net does not have or does not call, or a stage without a
            place.
    """
    if set(stages) != set(places):
        raise ValueError("every stage needs a place, and every place a stage")
    found = trace(net, stages, shape)
    columns, rows = zip(*places.values(), strict=True)
    fig, ax = figures.new(height=min(1.05 + 0.58 * (max(rows) + 1), 5.2), title=title)
    ax.set_axis_off()
    left = min(columns) - 0.75
    wide = min(0.17 * (max(columns) + 0.45 - left), 0.62)
    ax.set(xlim=(left, max(columns) + 0.4), ylim=(max(rows) + 0.5, min(rows) - 0.7))
    for row in sorted(set(rows)):
        side = max(found.sides[name] for name, place in places.items() if place[1] == row)
        ax.text(left, row, f"{side} px", va="center", color=MUTED)
    for source, sink in found.flow:
        if (source, sink) not in found.forward:
            _flow(ax, places[source], places[sink], wide)
    for source, sink in found.forward:
        _skip(ax, places, source, sink, wide, {"color": MUTED, "linewidth": 1.2})
    tint = {"color": FAMILY[family]["color"], "linewidth": 2.0, "linestyle": (0, (2.5, 1))}
    for source, sink in found.backward:
        _skip(ax, places, source, sink, wide, tint, back=True)
    for name, place in places.items():
        _box(ax, name, place, wide, found)
    handles = [Line2D([], [], color=MUTED, linewidth=1.2, label="read in the same pass")]
    if found.backward:
        handles.append(Line2D([], [], **tint, label="read from the pass before"))
    fig.legend(handles=handles, loc="outside lower center", ncols=2, handlelength=3.5)
    return fig, _alt(found)


def trace(net: nn.Module, stages: Mapping[str, str], shape: tuple[int, int, int]) -> Trace:
    """Run the net once on shapes alone and return which stage read the maps of which others.

    Raises:
        ValueError: For a module that the net does not have or does not call.
    """
    watch = _Watch()
    observe(net, stages, shape, watch)
    watch.trace.flow = list(pairwise(watch.trace.calls))  # in the order of the first calls
    return watch.trace


class _Watch(TorchFunctionMode):
    """Notes the outputs of stages, and in which call of which stage they are joined again."""

    def __init__(self) -> None:
        super().__init__()
        self.trace = Trace()
        # The map itself is kept, so that its id stays unique; a later stage may hand it on.
        self.outputs: dict[int, tuple[str, int, Tensor]] = {}
        self.joined: list[tuple[str, int]] = []

    def __torch_function__(self, func, types, args=(), kwargs=None) -> Any:
        if func in _JOINS:
            read = args[0] if isinstance(args[0], (list, tuple)) else args
            self.joined += [self.outputs[id(x)][:2] for x in read if id(x) in self.outputs]
        return func(*args, **(kwargs or {}))

    def saw(self, label: str, output: Any) -> None:
        found = self.trace
        call = found.calls[label] = found.calls.get(label, 0) + 1
        maps = list(tensors_of(output))
        found.channels[label], found.sides[label] = maps[0].shape[1], maps[0].shape[2]
        for source, its_call in dict.fromkeys(self.joined):
            # A map of an earlier call than this one is of an earlier pass.
            skips = found.backward if its_call < call else found.forward
            if source != label and (source, label) not in skips:
                skips.append((source, label))
        self.joined.clear()
        self.outputs |= {id(x): (label, call, x) for x in maps}


def _box(ax: Axes, name: str, place: tuple[float, float], wide: float, found: Trace) -> None:
    corner = (place[0] - wide / 2, place[1] - _TALL / 2)
    ax.add_patch(Rectangle(corner, wide, _TALL, facecolor=GRID, edgecolor=INK, linewidth=0.8))
    times = f" \N{MULTIPLICATION SIGN}{found.calls[name]}" if found.calls[name] > 1 else ""
    words = f"{name}{times}\n{found.channels[name]}"
    ax.text(*place, words, ha="center", va="center", linespacing=1.1)


def _flow(ax: Axes, start: tuple, end: tuple, wide: float) -> None:
    """From one stage to the next: between upper and lower edges, or at the sides."""
    across, down = end[0] - start[0], end[1] - start[1]
    if down == 0:
        side = wide / 2 if across > 0 else -wide / 2
        tail, head = (start[0] + side, start[1]), (end[0] - side, end[1])
    else:
        half = _TALL / 2 if down > 0 else -_TALL / 2
        tail, head = (start[0], start[1] + half), (end[0], end[1] - half)
    _arrow(ax, Path([tail, head]), {"color": INK, "linewidth": 0.8})


def _skip(
    ax: Axes,
    places: Mapping[str, tuple[float, float]],
    source: str,
    sink: str,
    wide: float,
    look: dict,
    back: bool = False,
) -> None:
    start, end = places[source], places[sink]
    side = wide / 2 if end[0] > start[0] else -wide / 2
    between = [
        name
        for name, (x, y) in places.items()
        if y == start[1] == end[1] and min(start[0], end[0]) < x < max(start[0], end[0])
    ]
    if between:  # over the boxes in the way
        top, edge = start[1] - 0.62, start[1] - _TALL / 2
        _arrow(ax, Path([(start[0], edge), (start[0], top), (end[0], top), (end[0], edge)]), look)
        return
    lift = _LIFT if back else -_LIFT
    tail, head = (start[0] + side, start[1] + lift), (end[0] - side, end[1] + lift)
    _arrow(ax, Path([tail, head]), look)


def _arrow(ax: Axes, path: Path, look: dict) -> None:
    ax.add_patch(
        FancyArrowPatch(path=path, arrowstyle="-|>", mutation_scale=8, joinstyle="round", **look)
    )


def _alt(found: Trace) -> str:
    told = f"Diagram of a net in {figures.count(len(found.calls), 'stage')}, passed "
    told += f"{figures.count(max(found.calls.values()), 'time')}; "
    told += f"{figures.count(len(found.forward), 'skip')} within a pass"
    if found.backward:
        pairs = ", ".join(f"{source} to {sink}" for source, sink in found.backward)
        told += f", {len(found.backward)} from the pass before: {pairs}"
    return figures.clip_alt(f"{told}.")
