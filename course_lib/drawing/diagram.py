"""Diagram of a live net: sizes from its own forward pass, never from a drawing by hand."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, Rectangle
from matplotlib.path import Path
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from course_lib import figures
from course_lib.figures import FAMILY, GRID, INK, MUTED

MOST = 12  # stages whose labels still fit side by side
_GAP = 0.35
_SLOT = 0.52  # inches: room for a label such as "<0.1 %"
_ROWS = {"channels": -0.3, "pixels": -0.65, "weights": -1.0}  # heights of the labels
_JOINS = (torch.cat, torch.concat, torch.add, Tensor.add, Tensor.add_, Tensor.__iadd__)


@dataclass
class Stage:
    """One box: what came out of a stage, how often it ran, how many weights it holds."""

    name: str
    channels: int = 0
    side: int = 0
    calls: int = 0
    weights: int = 0
    sources: list[str] = field(default_factory=list)


def architecture(
    net: nn.Module,
    stages: Mapping[str, str | Sequence[str]],
    shape: tuple[int, int, int],
    *,
    title: str,
    accent: Sequence[str] = (),
    family: str = "unet",
    skips: Sequence[tuple[str, str]] | None = None,
) -> tuple[Figure, str]:
    """Draw the stages of a net as boxes: height for pixels, width for channels, arcs for skips.

    Args:
        net: The net; it is run once without computing anything (shapes only).
        stages: Label to the name of its module, or to the names that belong to it, the last one
            giving the output: ``{"enc 1": "encoder.0", "dec 1": ("up.0", "decoder.0")}``.
        shape: ``(C, H, W)`` of one image.
        title: Sentence over the figure.
        accent: Labels of what is new in this net; drawn in the family's colour.
        family: Name of the net's family, for the accent.
        skips: Pairs ``(from, to)`` of labels; by default found in the pass, where the output of an
            earlier stage is concatenated or added to what a later stage reads.

    Raises:
        ValueError: For a module the net does not have, or more than 12 stages.
    """
    if not 1 <= len(stages) <= MOST:
        raise ValueError(f"a diagram has 1 to {MOST} stages, not {len(stages)}")
    found = measure(net, stages, shape)
    if skips is None:
        skips = [(source, stage.name) for stage in found for source in stage.sources]
    total = sum(p.numel() for p in net.parameters())
    fig, ax = figures.new(height=3.4, title=title)
    ax.set_axis_off()
    places = dict(zip([stage.name for stage in found], _places(found), strict=True))
    for stage in found:
        tint = FAMILY[family]["color"] if stage.name in accent else None
        _box(ax, stage, places[stage.name], tint)
        _labels(ax, stage, places[stage.name], total)
    for left, right in pairwise(found):
        _arrow(ax, left, right, places)
    top = _arcs(ax, found, places, skips)
    end = places[found[-1].name] + _slots(found)[-1] / 2
    inch = end / (figures.WIDTH - 1.0)
    ax.set(xlim=(-0.85 * inch, end), ylim=(-1.3, top))
    for words, y in _ROWS.items():
        ax.text(-0.8 * inch, y, words, va="center", color=MUTED)
    return fig, _alt(found, skips, total)


def measure(
    net: nn.Module, stages: Mapping[str, str | Sequence[str]], shape: tuple[int, int, int]
) -> list[Stage]:
    """Run the net once on shapes alone, and return its stages in the order of their first call.

    Raises:
        ValueError: For a module the net does not have or does not call.
    """
    parts = {label: [n] if isinstance(n, str) else list(n) for label, n in stages.items()}
    modules = {label: [_module(net, name) for name in names] for label, names in parts.items()}
    watch = _Watch()
    observe(net, {label: names[-1] for label, names in parts.items()}, shape, watch)
    for label, own in modules.items():
        weights = {id(p): p.numel() for module in own for p in module.parameters()}
        watch.stages[label].weights = sum(weights.values())
    return list(watch.stages.values())


def observe(
    net: nn.Module,
    stages: Mapping[str, str],
    shape: tuple[int, int, int],
    watch: TorchFunctionMode,
) -> None:
    """Run the net once on shapes alone, under ``watch``.

    Args:
        net: The net; its mode is left as it was.
        stages: Label to the name of its module.
        shape: ``(C, H, W)`` of one image.
        watch: Its ``saw(label, output)`` is called after every call of a stage.

    Raises:
        ValueError: For a module the net does not have or does not call.
    """
    modules = {label: _module(net, name) for label, name in stages.items()}
    called = set()

    def saw(label: str, _module: nn.Module, _inputs: Any, output: Any) -> None:
        called.add(label)
        watch.saw(label, output)

    hooks = [module.register_forward_hook(partial(saw, label)) for label, module in modules.items()]
    weights = {n: p.to("meta") for n, p in (*net.named_parameters(), *net.named_buffers())}
    training = net.training
    try:
        net.eval()
        with torch.no_grad(), watch:
            torch.func.functional_call(net, weights, torch.empty(1, *shape, device="meta"))
    finally:
        net.train(training)
        for hook in hooks:
            hook.remove()
    for label, name in stages.items():
        if label not in called:
            raise ValueError(f"the forward pass does not call {name!r} ({label})")


def _module(net: nn.Module, name: str) -> nn.Module:
    modules = dict(net.named_modules())
    if name not in modules:
        raise ValueError(f"the net has no module {name!r}; see net.named_modules()")
    return modules[name]


class _Watch(TorchFunctionMode):
    """Notes stage outputs, and which of them are joined to what a later stage reads."""

    def __init__(self) -> None:
        super().__init__()
        self.stages: dict[str, Stage] = {}
        self.outputs: list[tuple[str, Tensor]] = []  # keeps tensors alive: ids stay unique
        self.joined: list[str] = []

    def __torch_function__(self, func, types, args=(), kwargs=None) -> Any:
        if func in _JOINS:
            read = args[0] if isinstance(args[0], (list, tuple)) else args
            self.joined += [name for name, out in self.outputs if any(out is one for one in read)]
        return func(*args, **(kwargs or {}))

    def saw(self, label: str, output: Tensor) -> None:
        stage = self.stages.setdefault(label, Stage(label))
        stage.calls += 1
        _, stage.channels, stage.side, _ = output.shape
        previous = self.outputs[-1][0] if self.outputs else None
        new = [n for n in self.joined if n not in (label, previous, *stage.sources)]
        stage.sources += dict.fromkeys(new)
        self.joined.clear()
        self.outputs.append((label, output))


def _height(stage: Stage) -> float:
    return 0.5 + 0.42 * max(np.log2(stage.side / 8), 0)


def _width(stage: Stage) -> float:
    return 0.12 + 0.16 * np.log2(stage.channels)


def _slots(found: list[Stage]) -> np.ndarray:
    """Width of each box with its gap; a narrow box still gets room for its labels."""
    own = np.array([_width(stage) + _GAP for stage in found])
    slots = own
    for _ in range(20):
        slots = np.maximum(own, _SLOT * slots.sum() / (figures.WIDTH - 1.0))
    return slots


def _places(found: list[Stage]) -> np.ndarray:
    slots = _slots(found)
    return np.cumsum(slots) - slots / 2


def _box(ax: Axes, stage: Stage, middle: float, tint: str | None) -> None:
    width, height = _width(stage), _height(stage)
    corner = (middle - width / 2, 0)
    ax.add_patch(Rectangle(corner, width, height, facecolor=GRID, edgecolor=INK, linewidth=0.8))
    if tint:
        ax.add_patch(Rectangle(corner, width, height, color=tint, alpha=0.5))
    if stage.calls > 1:
        times = f"\N{MULTIPLICATION SIGN}{stage.calls}"
        ax.text(middle, height / 2, times, ha="center", va="center", fontweight="bold")


def _labels(ax: Axes, stage: Stage, middle: float, total: int) -> None:
    texts = (f"{stage.channels}", f"{stage.side}", _percent(stage.weights, total))
    for y, text in zip(_ROWS.values(), texts, strict=True):
        ax.text(middle, y, text, ha="center", va="center")


def _percent(part: int, total: int) -> str:
    share = 100 * part / max(total, 1)
    return "<0.1 %" if 0 < share < 0.05 else f"{share:.1f} %"


def _arrow(ax: Axes, left: Stage, right: Stage, places: Mapping[str, float]) -> None:
    start = places[left.name] + _width(left) / 2
    end = places[right.name] - _width(right) / 2
    ax.add_patch(
        FancyArrowPatch(
            (start, 0.2),
            (end, 0.2),
            arrowstyle="-|>",
            mutation_scale=7,
            color=INK,
            shrinkA=0,
            shrinkB=0,
            linewidth=0.8,
        )
    )


def _arcs(
    ax: Axes, found: list[Stage], places: Mapping[str, float], skips: Sequence[tuple[str, str]]
) -> float:
    """Draw the skips above the boxes, the shortest lowest; return the height they reach."""
    heights = {stage.name: _height(stage) for stage in found}
    level = max(heights.values()) + 0.1
    for source, sink in sorted(skips, key=lambda pair: abs(places[pair[1]] - places[pair[0]])):
        level += 0.28
        start, end = (places[source], heights[source]), (places[sink], heights[sink] + 0.04)
        path = Path([start, (start[0], level), (end[0], level), end])
        ax.add_patch(
            FancyArrowPatch(
                path=path,
                arrowstyle="-|>",
                mutation_scale=7,
                color=MUTED,
                linewidth=1.2,
                joinstyle="round",
            )
        )
    return level + 0.1


def _alt(found: list[Stage], skips: Sequence[tuple[str, str]], total: int) -> str:
    largest = max(found, key=lambda stage: stage.weights)
    sides, widths = [stage.side for stage in found], [stage.channels for stage in found]
    weights, boxes = figures.count(total, "weight"), figures.count(len(found), "stage")
    return figures.clip_alt(
        f"Diagram of a net with {weights} in {boxes}: {max(sides)} px down to {min(sides)} px, at "
        f"most {max(widths)} channels, {figures.count(len(skips), 'skip')}. "
        f"{largest.name} holds {_percent(largest.weights, total)} of the weights."
    )
