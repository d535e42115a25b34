"""What happens on one panel of images: outlines, errors, hatches, quiet greys."""

from collections.abc import Sequence

import numpy as np
from matplotlib import colors
from matplotlib.axes import Axes
from PIL import Image

from course_lib import figures
from course_lib.figures import BLACK, FN, FP, INK, PAPER, PREDICTION, TARGET, TP

DASH = (0, (3, 1.5))
MOST = 6  # panels a figure


def check_panels(*lists: Sequence) -> None:
    """Refuse lists of different length, an empty one, or more panels than a figure holds."""
    lengths = {len(one) for one in lists}
    if len(lengths) != 1 or not 1 <= max(lengths) <= MOST:
        found = " and ".join(str(n) for n in sorted(lengths))
        raise ValueError(f"a figure has 1 to {MOST} panels with one entry each, not {found}")


def masks(image: np.ndarray, *labels: np.ndarray) -> list[np.ndarray]:
    """Return the masks as bool ``(H, W)``; refuse one that does not fit the image."""
    size = colour(image).shape[:2]
    for mask in labels:
        if np.shape(mask) != size:
            raise ValueError(f"mask of shape {np.shape(mask)} on an image of {size}")
    return [np.asarray(mask) > 0 for mask in labels]


def colour(image: np.ndarray) -> np.ndarray:
    """Return an image as ``(H, W, 3)``, same values."""
    image = np.asarray(image)
    if image.ndim == 2:
        image = image[..., None]
    elif image.shape[0] in (1, 3) and image.shape[-1] not in (1, 3):
        image = np.moveaxis(image, 0, -1)
    return np.broadcast_to(image, (*image.shape[:2], 3)) if image.shape[-1] == 1 else image


def grey(image: np.ndarray) -> np.ndarray:
    """Return the luminance ``(H, W)`` as float 0..255 of a uint8 or 0..1 image."""
    scale = 1 if np.asarray(image).dtype == np.uint8 else 255
    return colour(image) @ np.array([0.299, 0.587, 0.114]) * scale


def calm(image: np.ndarray, count: int) -> np.ndarray:
    """Return a uint8 image as ``count`` panels of a figure can afford it within 64 kB.

    Noise is what makes the file large: 24 to 32 levels, and 60,000 pixels a figure, 36,000 in
    colour.
    """
    image = np.asarray(image)
    if image.dtype != np.uint8:
        return image
    image = shrunk(image, int(np.sqrt((60_000 if _is_grey(image) else 36_000) / count)))
    steps = 31 if count < 4 else 23
    return np.round(np.round(image / 255 * steps) / steps * 255).astype(np.uint8)


def shrunk(image: np.ndarray, side: int) -> np.ndarray:
    """Return a uint8 image ``(H, W, 3)`` with no side longer than ``side``, by area means."""
    image = np.ascontiguousarray(colour(image))
    if max(image.shape[:2]) <= side:
        return image
    factor = side / max(image.shape[:2])
    height_, width_ = (max(1, round(n * factor)) for n in image.shape[:2])
    return np.asarray(Image.fromarray(image).resize((width_, height_), Image.Resampling.BOX))


def picture(ax: Axes, image: np.ndarray, count: int) -> None:
    """Draw an image as one of ``count`` panels, in the coordinates of its own pixels."""
    rows, cols = colour(image).shape[:2]
    figures.image(ax, calm(image, count), extent=(-0.5, cols - 0.5, rows - 0.5, -0.5))


def _is_grey(image: np.ndarray) -> bool:
    red, green, blue = np.moveaxis(colour(image), -1, 0)
    return bool((red == green).all() and (green == blue).all())


def faded(image: np.ndarray) -> np.ndarray:
    """Return the image in grey at 22 % contrast near white, as ground for coloured areas."""
    quiet = 255 - 0.22 * (255 - grey(image))
    return np.repeat((quiet // 4 * 4 + 3).astype(np.uint8)[..., None], 3, axis=2)


def height(image: np.ndarray, cols: float, rows: int, lines: int = 0, legend: bool = True) -> float:
    """Height in inches of rows x cols panels of this image's shape, with titles and legend."""
    tall, wide = colour(image).shape[:2]
    side = (figures.WIDTH - 0.1 * cols) / cols * tall / wide
    inches = rows * (side + 0.28 + 0.2 * lines) + 0.35 + (0.3 if legend else 0)
    return float(np.clip(inches, 2.0, 5.2))


def areas(target: np.ndarray, prediction: np.ndarray) -> tuple[int, int, int]:
    """Return the pixels in both masks, only predicted, and missed."""
    both = int((target & prediction).sum())
    return both, int(prediction.sum()) - both, int(target.sum()) - both


def state(target: np.ndarray, prediction: np.ndarray) -> str:
    """Say in words that a mask is empty, since an outline of nothing shows nothing."""
    if not target.any():
        return "both empty" if not prediction.any() else "reference empty"
    return "" if prediction.any() else "nothing predicted"


def limits(kind: str, tops: dict[str, float]) -> dict[str, float]:
    """Return one scale for all panels of a kind that has no fixed one."""
    if kind not in tops:
        return {}
    top = float(tops[kind]) or 1.0
    return {"vmin": -top if kind == "signed" else 0, "vmax": top}


def outline(
    ax: Axes, mask: np.ndarray, line: str, dash: str | tuple = "-", width: float = 1.4
) -> None:
    """Draw the border of a mask with a halo; an empty mask draws nothing."""
    if not mask.any():
        return
    drawn = ax.contour(*_grid(mask), levels=[0.5], colors=[line], linewidths=width)
    # Orange on white on grey vanished when looked at, so its halo is black.
    ground = BLACK if line in (PREDICTION, PAPER) else PAPER
    drawn.set(linestyle=dash, path_effects=figures.halo(2 * width, ground))
    _frame(ax, mask)


def outlined(
    ax: Axes, image: np.ndarray, target: np.ndarray, prediction: np.ndarray, count: int
) -> None:
    """Draw an image with the outlines of reference and prediction, as one of ``count`` panels."""
    picture(ax, image, count)
    width = 1.4 if count < 4 else 1.2
    outline(ax, target, TARGET, width=width)
    outline(ax, prediction, PREDICTION, DASH, width=width)


def hatch(ax: Axes, mask: np.ndarray, pattern: str, line: str) -> None:
    """Lay a hatch over a mask's area, and a thin ink outline round it."""
    if not mask.any():
        return
    drawn = ax.contourf(*_grid(mask), levels=[0.5, 1.5], colors="none", hatches=[pattern])
    drawn.set(edgecolor=line, linewidth=0)
    ax.contour(*_grid(mask), levels=[0.5], colors=[INK], linewidths=0.6)
    _frame(ax, mask)


def error_map(ax: Axes, image: np.ndarray, target: np.ndarray, prediction: np.ndarray) -> None:
    """Draw agreed, extra and missed area over the faded image; hatches tell them in grey too."""
    ground = faded(image)
    extra, missed = prediction & ~target, target & ~prediction
    for mask, tone in ((target & prediction, TP), (extra, FP), (missed, FN)):
        ground[mask] = np.round(np.array(colors.to_rgb(tone)) * 255)
    figures.image(ax, ground)
    hatch(ax, target & prediction, "", INK)
    hatch(ax, extra, "/////", INK)
    hatch(ax, missed, "....", PAPER)


def _grid(mask: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Coordinates and values with a border of background: outlines close at the image's edge."""
    rows, cols = mask.shape
    return np.arange(-1, cols + 1), np.arange(-1, rows + 1), np.pad(mask, 1).astype(float)


def _frame(ax: Axes, mask: np.ndarray) -> None:
    ax.set(xlim=(-0.5, mask.shape[1] - 0.5), ylim=(mask.shape[0] - 0.5, -0.5))
