"""Generated medical-looking images with exact masks and a known difficulty for every case."""

from dataclasses import dataclass
from numbers import Real
from operator import index as as_int
from pathlib import Path

import numpy as np
import pandas as pd

from course_lib.data.phantoms import (
    cardiac,
    dermoscopy,
    fracture,
    nuclei,
    ultrasound,
    volume,
    xray,
)
from course_lib.data.phantoms.frame import FACTORS, Case, generator

_DRAWERS = {
    "dermoscopy": dermoscopy,
    "ultrasound": ultrasound,
    "nuclei": nuclei,
    "cardiac": cardiac,
    "xray": xray,
    "fracture": fracture,
    "volume": volume,
}
LOOKS = tuple(name for name in _DRAWERS if name != "volume")
_MIXED = tuple(name for name in LOOKS if name != "fracture")
_WITHOUT_EMPTY = ("cardiac", "xray")
_COLOURS = ("#000000", "#e69f00", "#56b4e9", "#009e73")
_SIZES = (32, 512)
_VOLUME_SIZES = (16, 128)


@dataclass(frozen=True)
class Phantoms:
    """Generated images, or volumes, which have one more side.

    Attributes:
        images: uint8 (N, C, size, size); C is 3 for mixed, dermoscopy and nuclei, else 1.
        masks: uint8 (N, size, size), label indices.
        cases: one row a case: case_id, group, look, kind, the five factors, difficulty.
        classes: name and colour of labels 0..K-1.
    """

    images: np.ndarray
    masks: np.ndarray
    cases: pd.DataFrame
    classes: list[dict[str, str]]

    def __len__(self) -> int:
        return len(self.images)


def generate(
    n: int,
    size: int = 128,
    seed: int = 0,
    look: str = "mixed",
    contrast: float | None = None,
    noise: float | None = None,
    softness: float | None = None,
    smallness: float | None = None,
    clutter: float | None = None,
    start: int = 0,
    empty: float = 0.0,
) -> Phantoms:
    """Draw `n` phantoms; case i depends on (seed, i) alone, not on n, size or set factors.

    Every factor means difficulty: 0 easy, 1 hard, so `smallness=1` is the smallest lesion.
    `difficulty` is the mean of the five; it orders cases inside a look, between looks the
    level differs. "mixed" draws one of dermoscopy, ultrasound, nuclei, cardiac and xray for
    each case, with 3 channels and binary masks.

    Args:
        n: number of cases.
        size: side in pixels, 32..512.
        seed: seed of the whole set, >= 0.
        look: "mixed" or one of `LOOKS` ("xray" outlines the lungs, "fracture" a crack).
        contrast: 0..1, how little the lesion differs from its surroundings; None: drawn.
        noise: 0..1, strength of noise, speckle or lack of photons; None: drawn.
        softness: 0..1, width of the border; None: drawn.
        smallness: 0..1, 1 is the smallest; None: drawn.
        clutter: 0..1, amount of things that are not the lesion; None: drawn.
        start: number of the first case, so that a set can be made in pieces.
        empty: share of cases drawn without a lesion, 0..1; their mask is all 0. All other
            masks have at least one labelled pixel. Hearts and lungs are never empty.

    Returns:
        Images, masks, the table of cases and the classes.

    Raises:
        ValueError: a number is out of its range, or the look is not known.
    """
    if look != "mixed" and look not in LOOKS:
        raise ValueError(f"unknown look {look!r}; valid are mixed, {', '.join(LOOKS)}")
    given = dict(zip(FACTORS, (contrast, noise, softness, smallness, clutter), strict=True))
    n, size, seed, start = _check(n, size, _SIZES, seed, given, start, empty)
    if empty and look in _WITHOUT_EMPTY:
        raise ValueError(f"look {look!r} has no cases without its organ; leave empty at 0")
    return _generate(n, (size, size), seed, look, given, start, empty)


def generate_volume(
    n: int,
    size: int = 32,
    seed: int = 0,
    contrast: float | None = None,
    noise: float | None = None,
    softness: float | None = None,
    smallness: float | None = None,
    clutter: float | None = None,
    start: int = 0,
    empty: float = 0.0,
) -> Phantoms:
    """Draw `n` volumes: one to three bright bodies among vessels as bright, in noise of MRI.

    A slice across a vessel looks like a small body: the third side tells them apart. Seeding,
    factors and table of cases as for `generate`.

    Args:
        n: number of cases.
        size: side in voxels, 16..128.
        seed: seed of the whole set, >= 0.
        contrast: 0..1, how little bodies and vessels differ from their surroundings; None: drawn.
        noise: 0..1, strength of the Rician noise; None: drawn.
        softness: 0..1, width of the border; None: drawn.
        smallness: 0..1, 1 is the smallest; None: drawn.
        clutter: 0..1, number of vessels, and how uneven the coil sees; None: drawn.
        start: number of the first case, so that a set can be made in pieces.
        empty: share of cases drawn without a body, 0..1. All other masks have a labelled voxel.

    Returns:
        Images uint8 (N, 1, size, size, size), masks uint8 (N, size, size, size) of 0 and 1, the
        table of cases (`kind` says how many bodies) and the classes.

    Raises:
        ValueError: a number is out of its range.
    """
    given = dict(zip(FACTORS, (contrast, noise, softness, smallness, clutter), strict=True))
    n, size, seed, start = _check(n, size, _VOLUME_SIZES, seed, given, start, empty)
    return _generate(n, (size, size, size), seed, "volume", given, start, empty)


def _generate(n, shape, seed, look, given, start, empty) -> Phantoms:
    channels = 3 if look == "mixed" else _DRAWERS[look].CHANNELS
    images = np.zeros((n, channels, *shape), np.uint8)
    masks = np.zeros((n, *shape), np.uint8)
    rows = []
    for j in range(n):
        case, drawn_look = _draw_factors(seed, start + j, shape[0], look, given, empty)
        image, mask, kind = _DRAWERS[drawn_look].draw(case)
        images[j] = np.rint(255 * image)
        masks[j] = mask > 0 if look == "mixed" else mask
        case_id = f"{look}-{seed}-{case.index:05d}"
        row = {"case_id": case_id, "group": case_id, "look": drawn_look}
        row |= {"kind": "empty" if case.empty else kind} | case.factors
        rows.append(row | {"difficulty": float(np.mean(list(case.factors.values())))})
    columns = ["case_id", "group", "look", "kind", *FACTORS, "difficulty"]
    return Phantoms(images, masks, pd.DataFrame(rows, columns=columns), _classes(look))


def prepare(
    folder: str | Path, n: int = 600, size: int = 128, seed: int = 0, look: str = "mixed"
) -> Path:
    """Write generated cases as the prepared data set "phantoms" with a split named "default".

    Args:
        folder: where to write; the same set there is kept, another prepared set is replaced.
        n: number of cases.
        size: side in pixels, 32..512.
        seed: seed of the cases and of the split.
        look: see `generate`.

    Returns:
        The folder.

    Raises:
        ValueError: as `generate`, or the folder holds something else.
    """
    from course_lib.data import prepared, splits

    made = generate(n, size, seed, look)
    return prepared.write(
        folder,
        name="phantoms",
        images=made.images,
        masks=made.masks,
        cases=made.cases,
        classes=made.classes,
        modality="generated" if look == "mixed" else f"generated {look}",
        title=f"Phantoms: {look}",
        licence="CC0-1.0",
        source="course_lib.data.phantoms",
        options={"n": n, "size": size, "seed": seed, "look": look},
        splits={"default": splits.make(made.cases, seed=seed, stratify="look")},
    )


def _check(n, size, sizes, seed, given, start, empty):
    limits = {"n": (n, 0, None), "size": (size, *sizes), "seed": (seed, 0, None)}
    limits["start"] = (start, 0, None)
    numbers = []
    for name, (value, low, high) in limits.items():
        try:
            whole = as_int(value)
        except TypeError:
            raise ValueError(f"{name} must be a whole number, got {value!r}") from None
        if whole < low or (high is not None and whole > high):
            valid = f"{low} or more" if high is None else f"{low} to {high}"
            raise ValueError(f"{name} must be {valid}, got {whole}")
        numbers.append(whole)
    for name, value in {**given, "empty": empty}.items():
        if value is not None and not (isinstance(value, Real) and 0 <= value <= 1):
            raise ValueError(f"{name} must lie in 0 to 1, got {value!r}")
    return numbers


def _draw_factors(seed, index, size, look, given, empty) -> tuple[Case, str]:
    """Draw all five factors, then the look; what was given replaces what was drawn."""
    rng = generator(seed, index, "factors")
    drawn = dict(zip(FACTORS, rng.uniform(size=len(FACTORS)), strict=True))
    mixed = _MIXED[rng.integers(len(_MIXED))]
    factors = {k: float(v if given[k] is None else given[k]) for k, v in drawn.items()}
    look = mixed if look == "mixed" else look
    without = look not in _WITHOUT_EMPTY and generator(seed, index, "empty").uniform() < empty
    return Case(seed, index, size, factors, bool(without)), look


def _classes(look: str) -> list[dict[str, str]]:
    names = ("target",) if look == "mixed" else _DRAWERS[look].CLASSES
    pairs = zip(("background", *names), _COLOURS, strict=False)
    return [{"name": name, "colour": colour} for name, colour in pairs]
