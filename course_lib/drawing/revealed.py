"""Nested curricula of one image: which pixels of the reference mask each step reveals."""

from collections.abc import Sequence

import numpy as np
from matplotlib import colors
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from course_lib import figures
from course_lib.drawing import panels
from course_lib.figures import ACCENTS, INK, PAPER, TARGET


def revealed(
    image: np.ndarray, target: np.ndarray, steps: Sequence[np.ndarray], *, title: str
) -> tuple[Figure, str]:
    """Draw the image with its reference, and the reference in the tones of its nested curricula.

    Args:
        image: The image, see the package.
        target: Reference mask.
        steps: Mask of each curriculum, each inside the next one and all inside the reference; at
            most 3.
        title: Sentence over the figure.

    Raises:
        ValueError: If there are more than 3 steps or none, or they are not nested.
    """
    target, *steps = panels.masks(image, target, *steps)
    if not 1 <= len(steps) <= len(ACCENTS):
        raise ValueError(f"1 to {len(ACCENTS)} curricula can be drawn, not {len(steps)}")
    for inner, outer in zip(steps, [*steps[1:], target], strict=True):
        if (inner & ~outer).any():
            raise ValueError("curricula must be nested, and inside the reference mask")
    fig, axes = figures.new(1, 2, height=min(panels.height(image, 2, 1), 3.9), title=title)
    panels.picture(axes[0], image, 1)
    panels.outline(axes[0], target, TARGET)
    axes[0].set_title("reference" if target.any() else "reference empty")
    ground = panels.faded(image)
    before, handles, told = np.zeros_like(target), [], []
    for t, (mask, tone) in enumerate(zip(steps, ACCENTS, strict=False), start=1):
        ground[mask & ~before] = np.round(np.array(colors.to_rgb(tone)) * 255)
        share = f"{mask.sum() / target.sum():.0%}" if target.any() else "nothing"
        handles.append(Patch(facecolor=tone, edgecolor=INK, linewidth=0.6))
        handles[-1].set_label(f"by step {t}: {share}")
        told.append(f"{share} by step {t}")
        before = mask
    hidden = target & ~before
    ground[hidden] = 255
    figures.image(axes[1], ground)
    panels.hatch(axes[1], hidden, "/////", INK)
    for mask in (*steps[:-1], target):
        panels.outline(axes[1], mask, INK, width=0.6)
    axes[1].set_title("revealed")
    label = "in the mask alone"
    handles.append(Patch(facecolor=PAPER, edgecolor=INK, linewidth=0.6, hatch="/////", label=label))
    fig.legend(handles=handles, loc="outside lower center", ncols=4)
    alt = f"Image with its reference mask of {target.sum():,} pixels, and what curricula reveal of "
    return fig, figures.clip_alt(f"{alt}it: {', '.join(told)}.")
