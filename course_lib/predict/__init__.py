"""Prediction: one image in, its mask out at the image's own size.

``to_folder`` is what ``course predict`` does; ``load``, ``read`` and ``segment`` are its three
steps. ``sliding`` and ``augmented`` ask a net more than once.
"""

from collections.abc import Sequence
from pathlib import Path

from course_lib.data import atomic
from course_lib.predict.pictures import Picture, read
from course_lib.predict.result import (
    Result,
    describe,
    mask_png,
    overlay_png,
    segment,
    to_json,
)
from course_lib.predict.weights import OnnxNet, load
from course_lib.predict.windows import Views, augmented, sliding

__all__ = [
    "OnnxNet",
    "Picture",
    "Result",
    "Views",
    "augmented",
    "describe",
    "load",
    "read",
    "segment",
    "sliding",
    "to_folder",
]


def to_folder(
    weights: Path,
    images: Sequence[Path],
    out: Path,
    *,
    threshold: float | None = None,
    slice_number: int | None = None,
) -> list[dict]:
    """Predict images and write ``NAME_mask.png``, ``NAME_overlay.png`` and ``NAME.json`` of each.

    All images are predicted before the first file is written.

    Args:
        weights: file of a net, see :func:`load`.
        images: files, see :func:`read`.
        out: folder to write to, made if it is not there.
        threshold: of binary probabilities, between 0 and 1; by default what the weights say.
        slice_number: the slice to take of volumes, from 0.

    Returns:
        What the JSON files hold: image, slice, size in px, pixel size in mm, net, threshold and
        the findings of :func:`describe`.

    Raises:
        ValueError: for a file that cannot be read or does not fit the net, two images of one name,
            a threshold out of range, or a folder that cannot be written to.
    """
    _check_names(images)
    if out.exists() and not out.is_dir():
        raise ValueError(f"{out} is a file; choose a folder")
    net, card = load(weights)
    threshold = _threshold(threshold, card)
    contents, reports = {}, []
    for path in images:
        picture = read(path, slice_number)
        try:
            result = segment(net, card, picture, threshold)
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from error
        report = {
            "image": path.name,
            "slice": slice_number,
            "size_px": list(result.mask.shape),
            "spacing_mm": picture.spacing,
            "weights": weights.name,
            "net": card.net,
            "threshold": threshold,
            "found": describe(result, picture, card),
        }
        reports.append(report)
        contents[f"{_stem(path)}_mask.png"] = mask_png(result, card)
        contents[f"{_stem(path)}_overlay.png"] = overlay_png(result, picture)
        contents[f"{_stem(path)}.json"] = to_json(report)
    for name, content in contents.items():
        atomic.write_file(out / name, content)
    return reports


def _threshold(given: float | None, card) -> float | None:
    """Return the threshold to use, None where classes compete."""
    if card.num_classes > 1:
        if given is not None:
            raise ValueError(
                f"{card.num_classes} classes compete and the most probable one wins; leave the "
                "threshold out"
            )
        return None
    if given is not None and not 0 < given < 1:
        raise ValueError(f"threshold must be between 0 and 1, got {given}")
    return card.threshold if given is None else given


def _check_names(images: Sequence[Path]) -> None:
    """Refuse images whose results would have one name."""
    stems = [_stem(path) for path in images]
    twice = [stem for stem in stems if stems.count(stem) > 1]
    if twice:
        raise ValueError(f"two images are called {twice[0]}; predict them into two folders")


def _stem(path: Path) -> str:
    return path.name.removesuffix(".gz").rsplit(".", 1)[0] or path.name
