"""Maps beside images: probabilities, gates, states over steps, input gradients."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle

from course_lib import figures
from course_lib.drawing import panels
from course_lib.figures import INK, TARGET, TP, number


def maps(
    arrays: Sequence[np.ndarray],
    *,
    names: Sequence[str],
    title: str,
    kinds: Sequence[str] | str = "image",
    bars: dict[str, str] | None = None,
    target: np.ndarray | None = None,
) -> tuple[Figure, str]:
    """Draw images and maps in a row, with one colour bar for each kind named in ``bars``.

    Args:
        arrays: At most 6 images or maps.
        names: Words over the panels.
        title: Sentence over the figure.
        kinds: Kind of each panel (or of all), see ``figures.image``.
        bars: Kind to label of its colour bar, such as ``{"share": "probability"}``.
        target: Reference mask, drawn as an outline on every panel that is no image or mask.

    Raises:
        ValueError: If the lists differ in length or hold more than 6.
    """
    kinds = [kinds] * len(arrays) if isinstance(kinds, str) else list(kinds)
    panels.check_panels(arrays, names, kinds)
    fig, axes = figures.new(
        1,
        len(arrays),
        height=panels.height(arrays[0], len(arrays) + 0.35 * len(bars or ()), 1, legend=False),
        title=title,
        squeeze=False,
    )
    tops = {
        kind: max(np.abs(a).max() for a, k in zip(arrays, kinds, strict=True) if k == kind)
        for kind in {"amount", "signed"} & set(kinds)
    }
    drawn = {}
    for ax, array, name, kind in zip(axes.flat, arrays, names, kinds, strict=True):
        if kind == "image":
            panels.picture(ax, array, kinds.count("image"))
        else:
            drawn[kind] = figures.image(ax, array, kind, **panels.limits(kind, tops))
        ax.set_title(name)
        if target is not None and kind not in ("image", "mask"):
            panels.outline(ax, target > 0, TARGET)
    for kind, label in (bars or {}).items():
        fig.colorbar(drawn[kind], ax=list(axes.flat), shrink=0.75, pad=0.015, label=label)
    told = ", ".join(
        name if kind == "image" else f"{name} (mean {number(float(np.mean(array)))})"
        for name, kind, array in zip(names, kinds, arrays, strict=True)
    )
    return fig, figures.clip_alt(f"Row of {len(arrays)} panels: {told}.")


def steps(
    rows: dict[str, np.ndarray],
    *,
    title: str,
    kinds: Sequence[str] | str = "share",
    target: np.ndarray | None = None,
) -> tuple[Figure, str]:
    """Draw quantities (rows) over steps t = 1, 2, ... (columns), one scale a row.

    Args:
        rows: Name of the quantity to its maps ``(T, H, W)`` with T at most 6.
        title: Sentence over the figure.
        kinds: Kind of each row (or of all), see ``figures.image``.
        target: Reference mask, drawn as an outline.

    Raises:
        ValueError: If the rows differ in T, or T is above 6.
    """
    lengths = {len(maps_) for maps_ in rows.values()}
    if len(lengths) != 1 or max(lengths) > 6:
        raise ValueError(f"every row has the same number of steps, at most 6, not {lengths}")
    count = lengths.pop()
    kinds = [kinds] * len(rows) if isinstance(kinds, str) else list(kinds)
    first = next(iter(rows.values()))[0]
    height = panels.height(first, count + 0.5, len(rows), 1, legend=False)
    fig, axes = figures.new(len(rows), count, height=height, title=title, squeeze=False)
    means = []
    for line, (name, array), kind in zip(axes, rows.items(), kinds, strict=True):
        tops = {kind: np.abs(array).max()} if kind in ("amount", "signed") else {}
        for t, ax in enumerate(line):
            drawn = figures.image(ax, array[t], kind, **panels.limits(kind, tops))
            ax.set_xlabel(f"mean {number(array[t].mean())}")
            if target is not None:
                panels.outline(ax, target > 0, figures.PAPER)
        line[0].set_ylabel(name)
        fig.colorbar(drawn, ax=list(line), shrink=0.8, pad=0.015)
        means.append(f"{name} from {number(array[0].mean())} to {number(array[-1].mean())}")
    for t, ax in enumerate(axes[0]):
        ax.set_title(f"t = {t + 1}")
    return fig, figures.clip_alt(f"Maps over {count} steps; means: {'; '.join(means)}.")


def gradient_square(
    gradient: np.ndarray, side: float, centre: tuple[float, float], *, title: str
) -> tuple[Figure, str]:
    """Draw how strongly each input pixel moves one output, and the square that a formula gives.

    Args:
        gradient: ``(H, W)`` absolute gradient of one output pixel by the input, summed over
            channels.
        side: Side of the theoretical receptive field in pixels.
        centre: Row and column of the field's centre in pixels.
        title: Sentence over the figure.
    """
    gradient = np.abs(gradient)
    reached = gradient > 0
    fig, axes = figures.new(1, 2, height=3.8, title=title)
    top = float(gradient.max()) or 1.0
    log = np.full(gradient.shape, -6.0)
    log[reached] = np.maximum(np.log10(gradient[reached] / top), -6)
    figures.image(axes[0], reached, "mask")
    axes[0].set_title("any influence")
    drawn = figures.image(axes[1], log + 6, "amount", vmax=6)
    axes[1].set_title("strength")
    for ax, colour, ground in ((axes[0], TP, INK), (axes[1], figures.PAPER, INK)):
        corner = (centre[1] - side / 2, centre[0] - side / 2)
        square = Rectangle(corner, side, side, fill=False, edgecolor=colour, linewidth=1.6)
        square.set(linestyle=(0, (3, 1.5)), path_effects=figures.halo(3.2, ground))
        ax.add_patch(square)
    bar = fig.colorbar(drawn, ax=list(axes), shrink=0.75, pad=0.015, ticks=[0, 2, 4, 6])
    bar.ax.set_yticklabels(["1e-6", "1e-4", "1e-2", "1"])
    bar.set_label("gradient, share of its largest")
    handle = Line2D([], [], color=INK, linestyle=(0, (3, 1.5)), label=f"formula: {side:.0f} px")
    fig.legend(handles=[handle], loc="outside lower center")
    rows, cols = np.flatnonzero(reached.any(1)), np.flatnonzero(reached.any(0))
    seen = f"{np.ptp(rows) + 1} x {np.ptp(cols) + 1} px" if len(rows) else "nothing"
    return (
        fig,
        f"Input gradient of one output pixel: it reaches {seen}; the formula says {side:.0f} px.",
    )
