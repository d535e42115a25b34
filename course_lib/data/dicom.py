"""Read DICOM files: an image, or the frames of one file, and the size of a pixel."""

from pathlib import Path

import numpy as np

from course_lib.data.volumes import to_uint8

MAGIC = (128, b"DICM")  # where every DICOM file says that it is one
GREY = ("MONOCHROME1", "MONOCHROME2")


def is_dicom(path: Path) -> bool:
    """Tell by the file's content; scanners often write names without a suffix."""
    start, word = MAGIC
    try:
        with path.open("rb") as file:
            return file.read(start + len(word))[start:] == word
    except OSError:
        return False


def read_dicom(path: Path | str) -> tuple[np.ndarray, tuple[float, float] | None]:
    """Read an image as (C, D, H, W) uint8 with C 1 or 3 and D frames, and the size of its pixels.

    Grey values are rescaled to the scanner's unit. The first window that the file names becomes
    0..255 (linear, DICOM PS3.3 C.11.2.1.2); without a window 8-bit values are taken as they are,
    and others are clipped to their 0.5 and 99.5 percentile. MONOCHROME1 is inverted: white is high.

    Args:
        path: a DICOM file with pixels, uncompressed or of a compression that pydicom can decode.

    Returns:
        The frames, and height and width of a pixel in mm; None where the file does not say
        ``PixelSpacing`` (the spacing at a film or detector is not that in the body).

    Raises:
        ValueError: the file is missing, damaged, no DICOM file, or has no pixels of grey or RGB.
    """
    import pydicom  # an extra: only who has such files needs it
    from pydicom.pixels import apply_rescale, pixel_array

    path = Path(path)
    if not path.is_file():
        raise ValueError(f"there is no file {path}")
    try:
        header = pydicom.dcmread(path)
        kind = header.PhotometricInterpretation
        frames = int(header.get("NumberOfFrames") or 1)
        values = pixel_array(header)  # YBR becomes RGB
        if kind in GREY:
            values = apply_rescale(values, header).astype(np.float64)
        spacing = _spacing(header)
    except Exception as error:  # damaged headers and pixels end in errors of any kind
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ValueError(f"{path} cannot be read as DICOM: {reason}") from error
    if kind not in GREY and not (header.SamplesPerPixel == 3 and values.dtype == np.uint8):
        raise ValueError(f"{path} holds {kind} pixels; convert them to grey or 8-bit RGB first")
    values = values if frames > 1 else values[None]
    if kind not in GREY:
        return np.moveaxis(values, -1, 0), spacing
    grey = _windowed(values, header)
    return (255 - grey if kind == "MONOCHROME1" else grey)[None], spacing


def _windowed(values: np.ndarray, header) -> np.ndarray:
    """Return grey values as uint8."""
    centre, width = (_first(header.get(f"Window{name}")) for name in ("Center", "Width"))
    if centre is not None and width is not None and width > 1:
        shade = (values - (centre - 0.5)) / (width - 1) + 0.5
        return np.rint(255 * shade.clip(0, 1)).astype(np.uint8)
    if values.min() >= 0 and values.max() <= 255 and header.BitsStored <= 8:
        return np.rint(values).astype(np.uint8)
    return to_uint8(values)


def _first(value) -> float | None:
    """Return a number, or the first of several."""
    if value is None or value == "":
        return None
    return float(value if np.ndim(value) == 0 else value[0])


def _spacing(header) -> tuple[float, float] | None:
    pair = header.get("PixelSpacing")
    if not pair or len(pair) != 2 or not all(0 < float(side) < np.inf for side in pair):
        return None
    return float(pair[0]), float(pair[1])
