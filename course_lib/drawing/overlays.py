"""Predictions on their references: overlay with errors, rows of outlines, gallery by rank."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from course_lib import figures, metrics
from course_lib.drawing import panels
from course_lib.figures import FN, FP, INK, PREDICTION, TARGET, TP, number

_REFERENCE_LINE = Line2D([], [], color=TARGET, linewidth=1.4, label="reference")
_PREDICTION_LINE = Line2D(
    [], [], color=PREDICTION, linewidth=1.4, linestyle=panels.DASH, label="prediction"
)


def overlay(
    image: np.ndarray,
    target: np.ndarray,
    prediction: np.ndarray,
    *,
    title: str,
    score: str = "",
) -> tuple[Figure, str]:
    """Draw the image, both outlines on it, and a map of agreed, extra and missed pixels.

    Args:
        image: The image, see the module.
        target: Reference mask.
        prediction: Predicted mask.
        title: Sentence over the figure.
        score: Words for the error map, such as ``Dice 0.83``.
    """
    target, prediction = panels.masks(image, target, prediction)
    fig, axes = figures.new(1, 3, height=panels.height(image, 3, 1), title=title)
    panels.picture(axes[0], image, 1)
    axes[0].set_title("image")
    panels.outlined(axes[1], image, target, prediction, 1)
    axes[1].set_title(panels.state(target, prediction) or "outlines")
    panels.error_map(axes[2], image, target, prediction)
    axes[2].set_title(score or "errors")
    patches = [
        Patch(facecolor=TP, edgecolor=INK, linewidth=0.6, label="both"),
        Patch(facecolor=FP, edgecolor=INK, linewidth=0.6, hatch="/////", label="only predicted"),
        Patch(facecolor=FN, edgecolor=INK, linewidth=0.6, hatch="....", label="missed"),
    ]
    handles = [_REFERENCE_LINE, _PREDICTION_LINE, *patches]
    fig.legend(handles=handles, loc="outside lower center", ncols=5)
    both, extra, missed = panels.areas(target, prediction)
    alt = (
        f"Overlay of a prediction on its reference mask: {both:,} pixels in both, {extra:,} only "
        f"predicted, {missed:,} missed."
    )
    return fig, alt + (f" {score}." if score else "")


def outlines(
    images: Sequence[np.ndarray],
    targets: Sequence[np.ndarray],
    predictions: Sequence[np.ndarray],
    *,
    names: Sequence[str],
    title: str,
    notes: Sequence[str] | None = None,
    rows: int = 1,
) -> tuple[Figure, str]:
    """Draw reference and prediction as outlines on several images, side by side.

    For strips (the same image at four thresholds), for chosen errors, for three answers A, B, C.

    Args:
        images: One image a panel, at most 6.
        targets: Reference masks.
        predictions: Predicted masks.
        names: Words over the panels.
        title: Sentence over the figure.
        notes: Lines below the panels, such as scores.
        rows: Rows of panels.

    Raises:
        ValueError: If the lists differ in length or hold more than 6.
    """
    panels.check_panels(images, targets, predictions, names, notes or names)
    cols = -(-len(images) // rows)
    lines = max(note.count("\n") + 1 for note in notes) if notes else 0
    height = min(panels.height(images[0], cols, rows, lines), 4.8 if rows > 1 else 5.2)
    fig, axes = figures.new(rows, cols, height=height, title=title, squeeze=False)
    for i, ax in enumerate(axes.flat):
        if i >= len(images):
            ax.set_visible(False)
            continue
        target, prediction = panels.masks(images[i], targets[i], predictions[i])
        panels.outlined(ax, images[i], target, prediction, len(images))
        state = panels.state(target, prediction)
        ax.set_title(f"{names[i]}\n{state}" if state else names[i])
        if notes:
            ax.set_xlabel(notes[i], loc="left")
    handles = [_REFERENCE_LINE, _PREDICTION_LINE]
    fig.legend(handles=handles, loc="outside lower center", ncols=2)
    told = [
        f"{name} {notes[i] if notes else _agreement(targets[i], predictions[i])}"
        for i, name in enumerate(names)
    ]
    text = "; ".join(told).replace("\n", ", ")
    return fig, figures.clip_alt(f"Outlines of reference and prediction. {text}.")


def gallery(
    images: Sequence[np.ndarray],
    targets: Sequence[np.ndarray],
    predictions: Sequence[np.ndarray],
    scores: Sequence[float],
    *,
    title: str,
    count: int = 6,
    score: str = "Dice",
) -> tuple[Figure, str]:
    """Draw cases at fixed ranks of their sorted scores, worst first; nobody picks by hand.

    Args:
        images: All cases of the test set.
        targets: Their reference masks.
        predictions: Their predicted masks.
        scores: Their scores; undefined ones (NaN) are left out and counted in the alt text.
        title: Sentence over the figure.
        count: Panels: 6 for ranks 0, 20, ..., 100 %; 3 for worst, median, best.
        score: Name of the score.

    Raises:
        ValueError: If no score is defined.
    """
    scores = np.asarray(scores, dtype=float)
    order = np.argsort(scores, kind="stable")[: np.isfinite(scores).sum()]
    if not len(order):
        raise ValueError("a gallery needs at least one case with a defined score")
    ranks = np.unique(np.linspace(0, len(order) - 1, min(count, len(order))).round().astype(int))
    chosen = order[ranks]
    names = [
        f"{scores[case]:.2f}  rank {rank + 1}/{len(order)}"
        for rank, case in zip(ranks, chosen, strict=True)
    ]
    fig, _ = outlines(
        [images[i] for i in chosen],
        [targets[i] for i in chosen],
        [predictions[i] for i in chosen],
        names=names,
        title=title,
        rows=2 if len(chosen) > 3 else 1,
    )
    ends = f"{number(scores[order[0]])} (worst) to {number(scores[order[-1]])} (best)"
    alt = f"{len(chosen)} of {len(order)} cases at fixed ranks of {score}, worst first: {ends}."
    undefined = len(scores) - len(order)
    return fig, alt + (f" Left out, score undefined: {undefined}." if undefined else "")


def _agreement(target: np.ndarray, prediction: np.ndarray) -> str:
    target, prediction = np.asarray(target) > 0, np.asarray(prediction) > 0
    if not target.any() or not prediction.any():
        return panels.state(target, prediction)
    return f"Dice {number(metrics.dice(prediction, target))}"
