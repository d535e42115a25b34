"""Example images of the page, each with its reference mask: generated ones, and real nuclei."""

import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from course_lib.data import atomic, phantoms, prepared

LOOKS = {
    "dermoscopy": "skin lesion",
    "ultrasound": "ultrasound",
    "nuclei": "stained nuclei",
    "cardiac": "heart, MRI",
    "xray": "lungs, X-ray",
}
SIDE = 256  # px
SEED = 12  # the first of whose first five cases every one has another look
NUCLEI = 3  # real images


@dataclass(frozen=True)
class Example:
    """One image: ``pixels`` (C, H, W) and ``mask`` (H, W), both uint8; the mask is binary."""

    title: str
    pixels: np.ndarray
    mask: np.ndarray


def write(into: Path, channels: int) -> list[dict[str, str]]:
    """Write the examples that nets of so many channels take, as PNG files.

    Args:
        into: Folder of the page; the files go to its folder ``examples``.
        channels: 3, or 1 for grey images only.

    Returns:
        ``title``, ``image`` and ``mask`` of each, the files as seen from ``into``.

    Raises:
        ValueError: The folder cannot be written.
    """
    entries = []
    for number, example in enumerate(_all(), start=1):
        if channels == 1 and _has_colours(example.pixels):
            continue
        entry = {"title": example.title}
        for kind, array in (("image", example.pixels), ("mask", 255 * example.mask[None])):
            entry[kind] = f"examples/{number}-{kind}.png"
            atomic.write_file(into / entry[kind], _png(array))
        entries.append(entry)
    return entries


def _all() -> Iterator[Example]:
    drawn = phantoms.generate(len(LOOKS), size=SIDE, seed=SEED, look="mixed")
    for look, pixels, mask in zip(drawn.cases["look"], drawn.images, drawn.masks, strict=True):
        yield Example(f"{LOOKS[look]} (generated)", pixels, mask)
    nuclei = prepared.open("nuclei-mini")
    chosen = nuclei.split()["test"]
    for number, case in enumerate(chosen[:: len(chosen) // NUCLEI][:NUCLEI], start=1):
        yield Example(f"nuclei {number} (real)", nuclei.images[case], nuclei.masks[case])


def _has_colours(pixels: np.ndarray) -> bool:
    return bool((pixels != pixels[:1]).any())


def _png(array: np.ndarray) -> bytes:
    """Encode (C, H, W) uint8, C 1 or 3."""
    content = io.BytesIO()
    picture = array[0] if len(array) == 1 else np.moveaxis(array, 0, -1)
    Image.fromarray(picture).save(content, "PNG", optimize=True)
    return content.getvalue()
