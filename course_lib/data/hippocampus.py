"""Six real volumes that come with the course: MRI of the hippocampus with two labelled parts.

``hippocampus.zip`` holds six pairs of NIfTI files of the Medical Segmentation Decathlon, as they
were published. Six patients show that real volumes flow; they judge nothing. Reading them needs
nibabel, which comes with the ``notebooks`` extra.
"""

import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from course_lib.data import archives, volumes
from course_lib.data.dataset import Dataset, from_arrays

FILE = Path(__file__).with_name("hippocampus.zip")
SIZE = (32, 48, 32)
CLASSES = (
    {"name": "background", "colour": "#000000"},
    {"name": "anterior", "colour": "#e69f00"},
    {"name": "posterior", "colour": "#56b4e9"},
)
_ABOUT = {
    "title": "Hippocampus, 6 patients (Medical Segmentation Decathlon, Task04)",
    "licenses": [
        {
            "name": "CC-BY-SA-4.0",
            "title": "CC BY-SA 4.0",
            "path": "https://creativecommons.org/licenses/by-sa/4.0/",
        }
    ],
    "sources": [{"title": "Medical Segmentation Decathlon", "path": "http://medicaldecathlon.com"}],
    "citation": "Antonelli et al., Nature Communications 13, 4128 (2022), "
    "doi 10.1038/s41467-022-30695-9; Simpson et al., arXiv 1902.09063",
}


def read(size: Sequence[int] = SIZE, spacing: int = 1) -> Dataset:
    """Read the six patients as a data set of volumes that lives in memory.

    Intensities are scaled volume by volume (see :func:`volumes.read_volume`). The files hold 34 to
    40 by 47 to 52 by 34 to 36 voxels of 1 mm; of each the middle is taken, and what is too short
    is filled up with zeros. One group a patient.

    Args:
        size: depth, height and width, in voxels: foot to head, back to front, left to right.
        spacing: side of a voxel in mm. With 2, eight voxels become one: the mean of their
            intensities, the most frequent of their labels (of equally frequent ones the lower).

    Returns:
        Images (6, 1, D, H, W) uint8, masks (6, D, H, W) of 0 background, 1 anterior, 2 posterior.
        The table of cases has ``spacing_z``, ``spacing_y``, ``spacing_x`` in mm.

    Raises:
        ValueError: the shipped file is missing or damaged, the size would cut labelled voxels, or
            the spacing is neither 1 nor 2.
    """
    if spacing not in (1, 2):
        raise ValueError(f"spacing must be 1 or 2 mm, not {spacing}")
    with archives.open_source(FILE) as source, tempfile.TemporaryDirectory() as folder:
        names = [name for name in source.names if "/imagesTr/" in name]
        found = [_pair(source, name, Path(folder), size, spacing) for name in names]
    images, masks, rows = (list(column) for column in zip(*found, strict=True))
    made = from_arrays(
        "hippocampus", np.stack(images), np.stack(masks), pd.DataFrame(rows), CLASSES, "MRI"
    )
    return replace(made, descriptor=made.descriptor | _ABOUT)


def _pair(
    source: archives.ZipSource, name: str, folder: Path, size: Sequence[int], spacing: int
) -> tuple[np.ndarray, np.ndarray, dict]:
    """Return image, labels and row of one patient; nibabel wants files, hence the folder."""
    paths = []
    for part in ("imagesTr", "labelsTr"):
        paths.append(folder / f"{part}.nii.gz")
        paths[-1].write_bytes(source.read(name.replace("imagesTr", part)))
    image, sides = volumes.read_volume(paths[0])
    labels = volumes.read_labels(paths[1], len(CLASSES), image.shape[1:])
    if spacing == 2:
        image, labels = _halved(image, labels)
    case = Path(name).name.removesuffix(".nii.gz")
    row = {"case_id": case, "group": case, "source_file": name}
    sides = [spacing * side for side in sides]
    row |= dict(zip(("spacing_z", "spacing_y", "spacing_x"), sides, strict=True))
    middle = _middle(labels, size)
    if np.count_nonzero(middle) != np.count_nonzero(labels):
        raise ValueError(
            f"a size of {tuple(size)} cuts labelled voxels of {case}; take a larger one"
        )
    return _middle(image, size), middle, row


def _middle(volume: np.ndarray, size: Sequence[int]) -> np.ndarray:
    """Cut the middle out of ``(..., D, H, W)``; lay what is shorter into the middle of zeros."""
    for axis, side in zip((-3, -2, -1), size, strict=True):
        surplus = max(0, volume.shape[axis] - side)
        volume = np.take(volume, range(surplus // 2, volume.shape[axis] - -(-surplus // 2)), axis)
    return volumes.centred(volume, size)


def _halved(image: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Join blocks of 2 x 2 x 2 voxels of ``(1, D, H, W)`` and ``(D, H, W)``; odd ends are left."""
    shares = [_block_means(labels == k) for k in range(len(CLASSES))]
    joined = np.rint(_block_means(image[0])).astype(np.uint8)
    return joined[None], np.argmax(shares, axis=0).astype(np.uint8)


def _block_means(volume: np.ndarray) -> np.ndarray:
    half = [side // 2 for side in volume.shape]
    even = volume[tuple(slice(2 * side) for side in half)]
    depth, height, width = half
    return even.reshape(depth, 2, height, 2, width, 2).mean((1, 3, 5))
