"""One image from a file of any kind that a clinic or a laboratory keeps."""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from course_lib.data.dicom import is_dicom, read_dicom
from course_lib.data.images import read_image
from course_lib.data.volumes import read_volume


class Picture(NamedTuple):
    """An image at its own size."""

    pixels: np.ndarray  # (C, H, W) uint8, C = 1 (grey) or 3 (RGB)
    spacing: tuple[float, float] | None  # height and width of a pixel in mm, where known


def read(path: Path | str, slice_number: int | None = None) -> Picture:
    """Read an image.

    Args:
        path: PNG, TIFF, JPEG, NPY, NIfTI or DICOM.
        slice_number: of a volume, from 0: from feet to head in NIfTI, in the order of the frames in
            DICOM. A volume of one slice needs none.

    Raises:
        ValueError: the file cannot be read as an image, a volume comes without the number of a
            slice, or a number is out of range or given for an image.
    """
    path = Path(path)
    if path.name.lower().endswith((".nii", ".nii.gz")):
        volume, (_, *spacing) = read_volume(path)
        return Picture(_slice(volume, slice_number, path), tuple(spacing))
    if path.suffix.lower() == ".dcm" or is_dicom(path):
        volume, spacing = read_dicom(path)
        return Picture(_slice(volume, slice_number, path), spacing)
    return Picture(_slice(read_image(path)[:, None], slice_number, path), None)


def _slice(volume: np.ndarray, number: int | None, path: Path) -> np.ndarray:
    """Return one slice ``(C, H, W)`` of ``(C, D, H, W)``."""
    depth = volume.shape[1]
    if number is None and depth > 1:
        raise ValueError(
            f"{path} is a volume of {depth} slices; choose one with --slice 0..{depth - 1}"
        )
    if number is not None and not 0 <= number < depth:
        raise ValueError(f"{path} has the slices 0..{depth - 1}, none with the number {number}")
    return np.ascontiguousarray(volume[:, number or 0])
