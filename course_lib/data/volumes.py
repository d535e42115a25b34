"""Read volumes from NIfTI files into the arrays that data sets of volumes are made of.

The axes are ordered depth, height, width: from foot to head, back to front, left to right of the
patient, whichever way round the file stores them. nibabel reads the files; it comes with the
``notebooks`` extra.
"""

import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

LARGEST = 2**28  # voxels; beyond that a header is damaged, or the volume is not for a course
_PERCENTILES = (0.5, 99.5)

Spacing = tuple[float, float, float]


def read_volume(path: Path | str) -> tuple[np.ndarray, Spacing]:
    """Read an image as (1, D, H, W) uint8 and the size of its voxels.

    Intensities of MRI have no unit: they are clipped to the 0.5 and 99.5 percentile of the volume
    and scaled to 0..255. A constant volume becomes 0.

    Args:
        path: ``.nii`` or ``.nii.gz`` holding one volume.

    Returns:
        The volume, and depth, height and width of a voxel in the file's unit (mm by the standard).

    Raises:
        ValueError: The file is missing, damaged or no NIfTI file, does not hold one volume, or has
            voxels that are not finite or have no size.
    """
    values, spacing = _read(Path(path))
    return to_uint8(values)[None], spacing


def to_uint8(values: np.ndarray) -> np.ndarray:
    """Clip intensities to their 0.5 and 99.5 percentile and scale them to 0..255."""
    low, high = np.percentile(values, _PERCENTILES)
    if not high > low:
        return np.zeros(values.shape, np.uint8)
    return np.rint((np.clip(values, low, high) - low) * (255 / (high - low))).astype(np.uint8)


def read_labels(
    path: Path | str, num_classes: int = 2, shape: tuple[int, int, int] | None = None
) -> np.ndarray:
    """Read labels as (D, H, W) uint8; whole numbers that are stored as floats are taken.

    Args:
        path: ``.nii`` or ``.nii.gz`` holding one volume.
        num_classes: Number of labels K with the background.
        shape: Depth, height and width of the image it belongs to, if they are to be compared.

    Raises:
        ValueError: As :func:`read_volume`; a value that is no label 0..K-1, or another shape.
    """
    values, _ = _read(Path(path))
    if shape is not None and values.shape != tuple(shape):
        raise ValueError(
            f"labels {path} are {values.shape} but their image is {tuple(shape)}; "
            "both must have the same shape"
        )
    wrong = values[(values % 1 != 0) | (values < 0) | (values >= num_classes)]
    if wrong.size:
        raise ValueError(
            f"labels {path} hold {wrong[0]:g}; {num_classes} classes allow 0..{num_classes - 1}"
        )
    return values.astype(np.uint8)


def centred(volume: np.ndarray, size: Sequence[int]) -> np.ndarray:
    """Lay a volume in the middle of a larger one of zeros, so that many can be one array.

    Args:
        volume: ``(..., D, H, W)``.
        size: Depth, height and width of the larger one.

    Returns:
        ``(..., *size)``, same dtype; where the margin is odd, the larger part comes last.

    Raises:
        ValueError: The volume does not fit into that size.
    """
    margins = np.array(size) - volume.shape[-3:]
    if len(size) != 3 or (margins < 0).any():
        raise ValueError(f"a volume of {volume.shape[-3:]} does not fit into {tuple(size)}")
    before = margins // 2
    space = list(zip(before, margins - before, strict=True))
    return np.pad(volume, [(0, 0)] * (volume.ndim - 3) + space)


def _read(path: Path) -> tuple[np.ndarray, Spacing]:
    """Return the voxels (D, H, W) float64 and their spacing."""
    import nibabel  # an extra: only who has such files needs it

    if not path.is_file():
        raise ValueError(f"there is no file {path}")
    with _damage_named(path):
        image = nibabel.Nifti1Image.from_filename(path)
    _check_shape(image.shape, path)
    with _damage_named(path):
        image = nibabel.as_closest_canonical(image)
        values = image.get_fdata(caching="unchanged")
        spacing = tuple(float(side) for side in image.header.get_zooms()[2::-1])
    values = values.reshape(values.shape[:3]).transpose(2, 1, 0)
    if not np.isfinite(values).all():
        raise ValueError(f"{path} has voxels that are not finite; fill them first")
    if not all(0 < side < np.inf for side in spacing):
        raise ValueError(f"{path} has voxels of the size {spacing}; it must be above 0")
    return values, spacing


@contextmanager
def _damage_named(path: Path) -> Iterator[None]:
    """Turn what nibabel raises for a damaged file into one line that names it."""
    from nibabel.filebasedimages import ImageFileError
    from nibabel.orientations import OrientationError
    from nibabel.spatialimages import HeaderDataError
    from nibabel.wrapstruct import WrapStructError

    of_nibabel = (ImageFileError, OrientationError, HeaderDataError, WrapStructError)
    try:
        yield
    except (*of_nibabel, ValueError, OverflowError, OSError, EOFError, zlib.error) as error:
        raise ValueError(f"{path} cannot be read as NIfTI: {error}") from None


def _check_shape(shape: tuple[int, ...], path: Path) -> None:
    if len(shape) < 3 or any(side != 1 for side in shape[3:]) or 0 in shape:
        raise ValueError(f"{path} must hold one volume of three axes, got shape {shape}")
    if np.prod(shape, dtype=np.float64) > LARGEST:
        raise ValueError(f"{path} claims {shape} voxels, more than {LARGEST} in all")
