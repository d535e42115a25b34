"""Images and reference masks before any net: modalities, two readers, tiles of one slide."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Rectangle

from course_lib import figures
from course_lib.drawing import panels
from course_lib.figures import INK, PAPER, number


def modalities(
    images: Sequence[np.ndarray], *, names: Sequence[str], title: str
) -> tuple[Figure, str]:
    """Draw one image a modality, and below it the histogram of its grey values.

    Args:
        images: At most 6 images; colours are turned to grey (luminance) for the histogram.
        names: Modality over each image.
        title: Sentence over the figure.

    Raises:
        ValueError: If the lists differ in length or hold more than 6.
    """
    panels.check_panels(images, names)
    picture_height = panels.height(images[0], len(images), 1, legend=False)
    height = min(picture_height + 1.5, 5.2)
    ratios = [max(picture_height - 0.6, 0.5), 1.0]
    fig, axes = figures.new(
        2, len(images), height=height, title=title, squeeze=False, height_ratios=ratios
    )
    middles = []
    for top, bottom, picture, name in zip(*axes, images, names, strict=True):
        figures.image(top, panels.shrunk(picture, 140))
        top.set_title(name)
        grey = panels.grey(picture).ravel()
        _histogram(bottom, grey)
        bottom.spines["left"].set_visible(False)
        middles.append(f"{name} {np.median(grey):.0f}")
    fig.supxlabel("grey value (0 to 255); height: share of the image's pixels")
    return fig, figures.clip_alt(
        f"{len(images)} images and histograms of grey values. Medians: {', '.join(middles)}."
    )


def readers(
    image: np.ndarray, tight: np.ndarray, wide: np.ndarray, *, title: str
) -> tuple[Figure, str]:
    """Draw one object outlined by two readers, and the band on which they disagree.

    Args:
        image: The image, see the module.
        tight: Mask of the reader who draws inside the border.
        wide: Mask of the reader who draws outside.
        title: Sentence over the figure.
    """
    tight, wide = panels.masks(image, tight, wide)
    fig, axes = figures.new(1, 2, height=panels.height(image, 2.25, 1), title=title)
    panels.picture(axes[0], image, 2)
    axes[0].set_title("image")
    figures.image(axes[1], panels.faded(image))
    band = tight ^ wide
    panels.hatch(axes[1], band, "////", INK)
    for mask, dash in ((tight, "-"), (wide, (0, (3, 1.5)))):
        panels.outline(axes[1], mask, INK, dash)
    agree = 2 * (tight & wide).sum() / max(tight.sum() + wide.sum(), 1)
    axes[1].set_title(f"readers' Dice {number(agree)}")
    handles = [
        Line2D([], [], color=INK, linewidth=1.4, label="tight reader"),
        Line2D([], [], color=INK, linewidth=1.4, linestyle=(0, (3, 1.5)), label="wide reader"),
        Patch(facecolor="none", edgecolor=INK, hatch="////", label="band between"),
    ]
    fig.legend(handles=handles, loc="outside lower center", ncols=3)
    alt = (
        f"One object outlined by two readers: {tight.sum():,} and {wide.sum():,} pixels, "
        f"{band.sum():,} of them in only one of the two. Dice between the readers {number(agree)}."
    )
    return fig, alt


def tile_family(
    tiles: np.ndarray, parts: dict[str, Sequence[str]], *, title: str
) -> tuple[Figure, str]:
    """Draw four neighbouring tiles as one 2 x 2 picture for each split, test tiles hatched.

    Args:
        tiles: The four tiles, row by row, equal in size.
        parts: Name of a split (at most 3) to the part of each tile, ``train`` or another word;
            every part but ``train`` is hatched.
        title: Sentence over the figure.

    Raises:
        ValueError: If there are not four tiles, or a split does not name four parts.
    """
    if len(tiles) != 4 or any(len(part) != 4 for part in parts.values()):
        raise ValueError("a family is drawn as four tiles with four parts for each split")
    panels.check_panels(list(parts))
    rgb = [panels.colour(tile) for tile in tiles]
    whole = np.concatenate([np.concatenate(rgb[:2], axis=1), np.concatenate(rgb[2:], axis=1)])
    fig, axes = figures.new(
        1,
        len(parts),
        height=panels.height(whole, max(len(parts), 2), 1),
        title=title,
        squeeze=False,
    )
    side_y, side_x = rgb[0].shape[:2]
    for ax, (name, part) in zip(axes.flat, parts.items(), strict=True):
        panels.picture(ax, whole, 2 * len(parts))
        ax.set_title(name)
        for i, word in enumerate(part):
            corner = ((i % 2) * side_x - 0.5, (i // 2) * side_y - 0.5)
            _tile(ax, corner, side_x, side_y, word)
    handles = [
        Patch(facecolor="none", edgecolor=INK, label="train"),
        Patch(facecolor="none", edgecolor=INK, hatch="///", label="not in train"),
    ]
    fig.legend(handles=handles, loc="outside lower center", ncols=2)
    told = "; ".join(f"{name}: {list(part).count('train')}" for name, part in parts.items())
    return fig, figures.clip_alt(
        f"Four neighbouring tiles of one picture. Tiles of the four used for training: {told}."
    )


def _histogram(ax: Axes, grey: np.ndarray) -> None:
    """Draw the shares of 32 grey bins; a black background that dwarfs the rest is cut and said."""
    shares = np.histogram(grey, bins=32, range=(-0.5, 255.5))[0] / grey.size
    ax.bar(np.arange(32) * 8 + 3.5, shares, width=8, color=figures.MUTED)
    ax.set(xlim=(-0.5, 255.5), xticks=[0, 128, 255], yticks=[])
    rest = 1.1 * shares[1:].max()
    if shares[0] > 2 * rest > 0:
        ax.set_ylim(0, 1.2 * rest)
        ax.text(16, 1.2 * rest, f"{shares[0]:.2f} black, cut", va="top")


def _tile(ax: Axes, corner: tuple[float, float], side_x: int, side_y: int, part: str) -> None:
    """Frame one tile, hatch it unless it is for training, and write its part on it."""
    pattern = "" if part == "train" else "///"
    for line, width in ((PAPER, 3.0), (INK, 1.2)):
        ax.add_patch(Rectangle(corner, side_x, side_y, fill=False, edgecolor=line, linewidth=width))
    ax.add_patch(
        Rectangle(corner, side_x, side_y, fill=False, edgecolor=PAPER, linewidth=0, hatch=pattern)
    )
    ax.text(
        corner[0] + side_x / 2,
        corner[1] + side_y / 2,
        part,
        ha="center",
        va="center",
        bbox={"facecolor": PAPER, "edgecolor": INK, "linewidth": 0.6, "pad": 2},
    )
