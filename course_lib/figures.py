"""House style of every figure: colours, sizes, a small exact PNG, alt text, sliders.

No other file of the course sets a colour, a font or a colour map.
"""

import base64
import html
import inspect
import io
import sys
from collections.abc import Callable
from typing import Any

import matplotlib
import numpy as np
from matplotlib import colors, patheffects
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image
from scipy.spatial import KDTree

INK = "#1A1A1A"  # text, outlines, zero lines, intervals
MUTED = "#595959"  # ticks, notes, leader lines
GRID = "#D9D9D9"
TARGET = FN = "#0072B2"  # reference mask, solid; area only in the reference: dots
PREDICTION = FP = "#E69F00"  # predicted mask, dashed; area only in the prediction: diagonal hatch
TP = "#9A9A9A"  # area in both masks
PAPER = "#FFFFFF"
BLACK = "#000000"
ACCENTS = ("#9ECAE1", "#0072B2", "#08306B")  # small counts: 1, 2, 3 or more


def _line(colour: str, marker: str, dash: tuple[float, ...], width: float) -> dict[str, Any]:
    style = (0, dash) if dash else "-"
    return {"color": colour, "marker": marker, "linestyle": style, "linewidth": width}


# Colour alone never names a net: each has its own dash, marker and width as well.
FAMILY = {
    "unet": _line("#000000", "o", (), 1.2),
    "attention_unet": _line("#5E5E5E", "X", (5, 1.5), 1.6),
    "reunet": _line("#D55E00", "s", (4, 1.2, 1, 1.2), 1.6),
    "bionet": _line("#CC79A7", "D", (1.2, 1.2), 1.8),
    "plnet": _line("#0072B2", "^", (9, 1.5), 1.6),
    "grenet": _line("#56B4E9", "v", (3, 1, 1, 1, 1, 1), 1.8),
    "sigrenet": _line("#009E73", "P", (), 2.2),
}
# For lines that are no net: training and validation, two prevalences.
NEUTRAL = (
    _line(INK, "o", (), 1.6),
    _line(MUTED, "s", (5, 1.5), 1.6),
    _line(INK, "^", (1.2, 1.2), 1.6),
    _line(MUTED, "D", (4, 1.2, 1, 1.2), 1.6),
)
REST = ("#8C8C8C", "#B0B0B0")  # nets without a look of their own, in turn
NAMES = {
    "unet": "U-Net",
    "attention_unet": "Attention U-Net",
    "reunet": "REUnet",
    "bionet": "BiO-Net",
    "plnet": "PL-Net",
    "grenet": "GREnet",
    "sigrenet": "SiGREnet",
}

# The ends of PuOr are too dark to print on, so only its middle 80 % is used.
_signed = matplotlib.colormaps["PuOr_r"](np.linspace(0.1, 0.9, 256))
MAPS = {
    "image": matplotlib.colormaps["gray"],
    "mask": matplotlib.colormaps["gray"],  # label indices, 0 black, the highest white
    "share": matplotlib.colormaps["cividis"],  # 0 to 1: probability, gate, attention
    "amount": matplotlib.colormaps["viridis"],  # non-negative, another quantity
    "signed": colors.ListedColormap(_signed, name="signed"),  # symmetric limits
}

WIDTH = 7.0  # inches
DPI = 100
TITLE_LENGTH = 75
ALT_LENGTH = 250
HOUSE = {
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "axes.titlesize": 9,
    "axes.labelsize": 9,
    "xtick.labelsize": 9,
    "ytick.labelsize": 9,
    "legend.fontsize": 9,
    "figure.labelsize": 9,
    "figure.titlesize": 10,
    "figure.titleweight": "bold",
    "figure.facecolor": PAPER,
    "figure.dpi": DPI,
    "savefig.dpi": DPI,
    "savefig.facecolor": PAPER,
    "savefig.bbox": None,
    "text.color": INK,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.unicode_minus": True,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "grid.color": GRID,
    "grid.linewidth": 0.6,
    "hatch.linewidth": 0.8,
    "legend.frameon": False,
    "lines.linewidth": 1.6,
    "image.interpolation": "nearest",
}
_HOUSE_COLOURS = [PAPER, BLACK, INK, MUTED, GRID, TARGET, PREDICTION, TP, ACCENTS[0], ACCENTS[2]]
_HOUSE_COLOURS += [style["color"] for style in FAMILY.values()]


def new(rows: int = 1, cols: int = 1, *, height: float = 3.2, title: str, **options) -> tuple:
    """Start a figure in the house style.

    Args:
        rows: Rows of panels.
        cols: Columns of panels.
        height: Height in inches, 1.5 to 5.2; the width is always 7.
        title: One sentence that says what to see, at most 75 characters, no full stop.
        options: Handed to ``Figure.subplots`` (``sharex``, ``width_ratios``, ...).

    Returns:
        The figure and its axes: one axes, or an array of them as ``plt.subplots`` gives.

    Raises:
        ValueError: Without a title, with one that is too long, or with a height out of range.
    """
    _check_title(title)
    if not 1.5 <= height <= 5.2:
        raise ValueError(f"height is {height} inches: a house figure has 1.5 to 5.2")
    matplotlib.rcParams.update(HOUSE)
    fig = Figure(figsize=(WIDTH, height), layout="constrained")
    FigureCanvasAgg(fig)
    fig.suptitle(title, x=0.008, ha="left")
    return fig, fig.subplots(rows, cols, **options)


def _check_title(title: str) -> None:
    if not title or not title.strip():
        raise ValueError("the title is empty: say in one sentence what the figure shows")
    if len(title) > TITLE_LENGTH:
        raise ValueError(f"title of {len(title)} characters: at most {TITLE_LENGTH}: {title!r}")
    if title.endswith("."):
        raise ValueError(f"a title has no full stop: {title!r}")


def _check_alt(alt: str | None) -> None:
    if not alt or not alt.strip():
        raise ValueError("alt is missing: one or two sentences for readers who cannot see it")
    if len(alt) > ALT_LENGTH:
        raise ValueError(f"alt of {len(alt)} characters: at most {ALT_LENGTH}: {alt[:40]!r}...")


def clip_alt(alt: str) -> str:
    """Shorten a computed alt text to 250 characters, at the end of a word."""
    if len(alt) <= ALT_LENGTH:
        return alt
    return alt[: ALT_LENGTH - 4].rsplit(" ", 1)[0].rstrip(",;:.") + " ..."


def png(fig: Figure) -> bytes:
    """Draw a figure as a PNG with a palette of 256 colours; equal figures give equal bytes.

    House colours keep their exact values; the other colours come from median cut, and every pixel
    takes the nearest colour of the palette, without dithering.
    """
    image = Image.open(_full_colour(fig)).convert("RGB")
    pixels = np.asarray(image).reshape(-1, 3)
    codes = pixels.astype(np.uint32) @ np.array([65536, 256, 1], dtype=np.uint32)
    unique, inverse = np.unique(codes, return_inverse=True)
    seen = np.stack([unique >> 16, unique >> 8 & 255, unique & 255], axis=1).astype(np.uint8)
    palette = _palette(image, seen)
    nearest = KDTree(palette).query(seen)[1].astype(np.uint8)
    small = Image.fromarray(nearest[inverse].reshape(image.height, image.width), mode="P")
    small.putpalette(palette.tobytes())
    out = io.BytesIO()
    small.save(out, format="PNG", optimize=True)
    return out.getvalue()


def _full_colour(fig: Figure) -> io.BytesIO:
    raw = io.BytesIO()
    with matplotlib.rc_context(HOUSE):
        fig.savefig(raw, format="png", dpi=DPI, metadata={"Software": None})
    return raw


def _palette(image: Image.Image, seen: np.ndarray) -> np.ndarray:
    """House colours first, then up to 256: the colours themselves, or their median cut."""
    house = np.round(np.array([colors.to_rgb(c) for c in _HOUSE_COLOURS]) * 255).astype(np.uint8)
    house = house[np.sort(np.unique(house, axis=0, return_index=True)[1])]
    room = 256 - len(house)
    if len(seen) > room:
        cut = image.quantize(room, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
        seen = np.array(cut.getpalette(), dtype=np.uint8).reshape(-1, 3)[:room]
    return np.concatenate([house, seen])


def show(fig: Figure, alt: str | None = None, caption: str = "", key: bool = False) -> bytes | None:
    """Show a finished figure with its alt text, and close it.

    In a notebook the picture is stored with metadata ``{"image/png": {"alt": alt}}`` and, for the
    one best figure of the notebook, ``"key": True``. Drawing functions return ``(fig, alt)``, so
    ``show(*drawing.overlay(...), caption="...")`` is the usual call.

    Args:
        fig: A figure with a title (``fig.suptitle``).
        alt: What is drawn, its trend and the one number that matters; at most 250 characters.
        caption: Markdown below the picture: data, profile, seeds, record ids.
        key: Marks the figure that the report shows for this notebook.

    Returns:
        Outside a notebook the PNG, inside nothing.

    Raises:
        ValueError: If alt or title is missing or too long.
    """
    _check_alt(alt)
    _check_title(fig.get_suptitle())
    data = png(fig)
    _close(fig)
    if _kernel() is None:
        return data
    from IPython.display import display

    metadata = {"alt": alt, "key": True} if key else {"alt": alt}
    bundle = {"image/png": base64.b64encode(data).decode("ascii"), "text/plain": alt}
    display(bundle, metadata={"image/png": metadata}, raw=True)
    if caption:
        display({"text/markdown": caption, "text/plain": caption}, raw=True)
    return None


def _close(fig: Figure) -> None:
    pyplot = sys.modules.get("matplotlib.pyplot")
    if pyplot is not None:
        pyplot.close(fig)


def _kernel() -> Any:
    """The running notebook kernel, or None (plain Python, a terminal IPython)."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    return getattr(shell, "kernel", None)


def _someone_is_there() -> bool:
    """Whether a person may move a slider: headless runners refuse questions to the user."""
    kernel = _kernel()
    if kernel is None:
        return False
    request = kernel.get_parent("shell") or {}
    return bool(request.get("content", {}).get("allow_stdin", False))


def slider(view: Callable[..., tuple[Figure, str]], caption: str = "", **ranges) -> None:
    """Show ``view`` at its default values, and below it, where a person is there, with sliders.

    The first picture is the one for paper, screen readers and headless runs, which get no widget.

    Args:
        view: Plain function of the ranged parameters that returns ``(fig, alt)``; a parameter's
            default is the slider's start. It should answer in less than 0.2 s.
        caption: Markdown below the still picture.
        ranges: For each parameter ``(low, high, step)``, or a list of choices.

    Raises:
        ValueError: If a range names no parameter of view, or leaves its default out.
    """
    start = _defaults(view, ranges)
    show(*view(**start), caption=caption)
    if not _someone_is_there():
        return
    import ipywidgets
    from IPython.display import display

    controls = {name: _control(name, span, start[name]) for name, span in ranges.items()}
    picture = ipywidgets.HTML(value=_tag(*view(**start)))

    def redraw(_change: dict) -> None:
        values = {name: control.value for name, control in controls.items()}
        picture.value = _tag(*view(**values))

    for control in controls.values():
        control.observe(redraw, names="value")
    display(ipywidgets.VBox([*controls.values(), picture]))


def _defaults(view: Callable, ranges: dict) -> dict[str, Any]:
    start = {}
    parameters = inspect.signature(view).parameters
    for name, span in ranges.items():
        if name not in parameters or parameters[name].default is inspect.Parameter.empty:
            raise ValueError(f"slider {name!r}: the view needs a parameter {name} with a default")
        value = parameters[name].default
        inside = value in span if isinstance(span, list) else span[0] <= value <= span[1]
        if not inside:
            raise ValueError(f"slider {name!r}: its default {value!r} is not in {span!r}")
        start[name] = value
    return start


def _control(name: str, span: tuple | list, value: Any) -> Any:
    """A labelled slider for (low, high, step), a selection for a list."""
    import ipywidgets

    common = {"description": name.replace("_", " "), "value": value}
    common["style"] = {"description_width": "9em"}
    if isinstance(span, list):
        return ipywidgets.Dropdown(options=span, **common)
    low, high, step = span
    whole = all(isinstance(number, int) for number in (*span, value))
    kind = ipywidgets.IntSlider if whole else ipywidgets.FloatSlider
    return kind(min=low, max=high, step=step, **common)


def _tag(fig: Figure, alt: str) -> str:
    _check_alt(alt)
    # A picture that is never stored may be large: without the palette it comes 0.1 s sooner.
    data = base64.b64encode(_full_colour(fig).getvalue()).decode("ascii")
    return f'<img alt="{html.escape(alt)}" src="data:image/png;base64,{data}">'


def image(ax: Axes, array: np.ndarray, kind: str = "image", **options) -> Any:
    """Draw an image or a map without ticks.

    Args:
        ax: Axes to draw on.
        array: ``(H, W)``, or ``(H, W, 3)`` or ``(C, H, W)`` with C of 1 or 3; images are uint8, or
            float 0 to 1.
        kind: ``image``, ``mask`` (label indices), ``share`` (0 to 1), ``amount`` (>= 0) or
            ``signed`` (symmetric limits).
        options: Handed to ``imshow``, such as ``vmax``.

    Returns:
        The drawn image, for a colour bar.

    Raises:
        ValueError: If kind or shape is none of these.
    """
    if kind not in MAPS:
        raise ValueError(f"kind {kind!r}: one of {', '.join(MAPS)}")
    array = np.asarray(array)
    if array.ndim == 3 and array.shape[0] in (1, 3) and array.shape[-1] not in (1, 3):
        array = np.moveaxis(array, 0, -1)
    if array.ndim == 3 and array.shape[-1] == 1:
        array = array[..., 0]
    if array.ndim not in (2, 3):
        raise ValueError(f"an image is (H, W), (H, W, 3) or (C, H, W), not {array.shape}")
    ax.set_xticks([])
    ax.set_yticks([])
    ax.spines[:].set_visible(False)
    low, high = _limits(array, kind)
    return ax.imshow(array, **{"cmap": MAPS[kind], "vmin": low, "vmax": high, **options})


def _limits(array: np.ndarray, kind: str) -> tuple[float, float]:
    if kind == "image":
        return 0, 255 if array.dtype == np.uint8 else 1
    if kind == "share":
        return 0, 1
    largest = float(np.nanmax(np.abs(array.astype(float)), initial=0)) or 1.0
    return (-largest, largest) if kind == "signed" else (0, largest)


def style(name: str, index: int = 0) -> dict[str, Any]:
    """Line style of a net by its name in ``models.NAMES``, else the ``index``-th neutral one."""
    return {**FAMILY.get(name, NEUTRAL[index % len(NEUTRAL)]), "markeredgecolor": INK}


def number(value: float, digits: int = 3) -> str:
    """A number as the figures print it: fixed digits, true minus sign, no "-0.000"."""
    if not np.isfinite(value):
        return "undefined"
    return f"{round(float(value), digits) + 0.0:.{digits}f}".replace("-", "\N{MINUS SIGN}")


def count(n: int, word: str) -> str:
    """``1 case``, ``2 cases``, ``1,200 pixels``."""
    return f"{n:,} {word}" if n == 1 else f"{n:,} {word}s"


def halo(width: float, colour: str) -> list:
    """Path effect that lifts a thin line off any ground."""
    return [patheffects.Stroke(linewidth=width, foreground=colour), patheffects.Normal()]
