"""Read one image or mask file into a checked array: PNG, TIFF, JPEG or NPY.

What cannot be read with certainty is refused in one line: a wrong guess about a file would only
show as a net that learns badly.
"""

import warnings
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

SUFFIXES = (".png", ".tif", ".tiff", ".jpg", ".jpeg", ".npy")
LOSSY = (".jpg", ".jpeg")
IMAGE_MODES = {"1": "L", "L": "L", "LA": "L", "P": "RGB", "RGB": "RGB", "RGBA": "RGB"}


def read_image(path: Path | str) -> np.ndarray:
    """Read an image as (C, H, W) uint8, C = 1 (gray) or 3 (RGB).

    8-bit files are taken as they are, palettes are looked up, alpha is dropped, and the
    rotation that a camera noted is applied. Arrays with fractions must lie in 0..1 and are
    scaled to 0..255. Other depths are refused: which window to show is the owner's decision.

    Args:
        path: PNG, TIFF, JPEG, or NPY holding (H, W), (H, W, C) or (C, H, W).

    Raises:
        ValueError: The file is missing, corrupt, truncated, too large to be an image, has NaN
            pixels, or another mode, depth or shape than those above.
    """
    path = Path(path)
    if path.suffix.lower() == ".npy":
        array = _channels_first(_load_npy(path), path)
    else:
        image = _load_picture(path)
        if image.mode in IMAGE_MODES:
            image = image.convert(IMAGE_MODES[image.mode])
        elif image.mode != "F":
            raise ValueError(
                f"{path} has the mode {image.mode}; convert it to 8-bit gray or RGB first"
            )
        array = _channels_first(np.asarray(image), path)
    return _to_uint8(array, path)


def read_mask(
    path: Path | str, num_classes: int = 2, shape: tuple[int, int] | None = None
) -> np.ndarray:
    """Read a mask as (H, W) uint8 label indices 0..K-1.

    In a binary mask 255 means 1; if it is a JPEG, whose values blur, everything above 127
    does. The index of a palette colour is the label. Colour files count where all channels
    are equal.

    Args:
        path: PNG, TIFF, JPEG (binary only) or NPY.
        num_classes: Number of labels K with the background.
        shape: Height and width of the image it belongs to, if they are to be compared.

    Raises:
        ValueError: The file cannot be read, is not a mask, has a label outside the classes, or
            another size than the image.
    """
    path = Path(path)
    labels = _label_array(path)
    if shape is not None and labels.shape != tuple(shape):
        raise ValueError(
            f"mask {path} is {labels.shape[1]} x {labels.shape[0]} px but its image is "
            f"{shape[1]} x {shape[0]}; both must have the same size"
        )
    if num_classes == 2 and path.suffix.lower() in LOSSY:
        if ((labels > 63) & (labels < 192)).mean() > 0.05:
            raise ValueError(f"{path} is a photograph, not a mask of black and white")
        labels = labels > 127
    elif num_classes == 2 and labels.max() == 255 and np.isin(labels, (0, 255)).all():
        labels = labels > 0
    if labels.min() < 0 or labels.max() >= num_classes:
        wrong = labels[(labels < 0) | (labels >= num_classes)][0]
        either = " (or 0 and 255)" if num_classes == 2 else ""
        raise ValueError(
            f"mask {path} has the label {wrong}; {num_classes} classes allow "
            f"0..{num_classes - 1}{either}"
        )
    return labels.astype(np.uint8)


def _label_array(path: Path) -> np.ndarray:
    """Whole numbers (H, W) as the file has them."""
    if path.suffix.lower() == ".npy":
        array = _load_npy(path)
    else:
        image = _load_picture(path)
        if path.suffix.lower() in LOSSY:
            image = image.convert("L")
        elif image.mode in ("RGBA", "LA"):
            image = image.convert(image.mode[:-1])
        array = np.asarray(image)
    if array.ndim == 3 and array.shape[-1] in (1, 3) and (array == array[..., :1]).all():
        array = array[..., 0]
    if array.ndim != 2 or array.size == 0:
        raise ValueError(f"mask {path} has colours or the shape {array.shape}; it must be (H, W)")
    if array.dtype == bool:
        return array.astype(np.uint8)
    _refuse_nan(array, path)
    if array.dtype.kind == "f" and (array == np.round(array)).all():
        return array.astype(np.int64)
    if array.dtype.kind not in "ui":
        raise ValueError(f"mask {path} has values like {array.flat[0]}; labels are whole numbers")
    return array


def _load_picture(path: Path) -> Image.Image:
    """Decode the whole file, with Pillow's guard against decompression bombs as an error."""
    if not path.is_file():
        raise ValueError(f"no file {path}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path, formats=("PNG", "TIFF", "JPEG")) as image:
                pages = getattr(image, "n_frames", 1)
                if pages > 1:
                    raise ValueError(f"it holds {pages} pages; save one image a file")
                image.load()
                return ImageOps.exif_transpose(image)
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        raise ValueError(
            f"{path} has more than {Image.MAX_IMAGE_PIXELS:,} pixels; make it smaller first"
        ) from error
    except Exception as error:  # decoders meet damaged bytes with errors of any kind
        raise _unreadable(path, error) from error


def _load_npy(path: Path) -> np.ndarray:
    if not path.is_file():
        raise ValueError(f"no file {path}")
    try:
        array = np.load(path, allow_pickle=False, mmap_mode="r")
    except Exception as error:  # a damaged header ends in errors of any kind
        raise _unreadable(path, error) from error
    if not isinstance(array, np.ndarray) or array.dtype.kind not in "buif":
        raise ValueError(f"{path} is not one array of numbers; save it with numpy.save")
    return np.array(array)


def _unreadable(path: Path, error: BaseException) -> ValueError:
    reason = " ".join(str(error).split()).replace(f" {str(path)!r}", "") or type(error).__name__
    return ValueError(
        f"cannot read {path}: {reason}; it must be a whole PNG, TIFF, JPEG or NPY file"
    )


def _channels_first(array: np.ndarray, path: Path) -> np.ndarray:
    if array.ndim == 2 and array.size:
        return array[None]
    if array.ndim == 3 and array.size and array.shape[-1] in (1, 3):
        return np.ascontiguousarray(array.transpose(2, 0, 1))
    if array.ndim == 3 and array.size and array.shape[0] in (1, 3):
        return array
    raise ValueError(
        f"{path} has the shape {array.shape}; an image is (H, W), (H, W, C) or (C, H, W), C 1 or 3"
    )


def _to_uint8(array: np.ndarray, path: Path) -> np.ndarray:
    if array.dtype == np.uint8:
        return array
    _refuse_nan(array, path)
    if array.dtype == bool:
        return array.astype(np.uint8) * 255
    if array.dtype.kind == "f" and array.min() >= 0 and array.max() <= 1:
        return np.round(array * 255).astype(np.uint8)
    raise ValueError(
        f"{path} holds {array.dtype} from {array.min():g} to {array.max():g}; "
        "an image is uint8, or fractions in 0..1"
    )


def _refuse_nan(array: np.ndarray, path: Path) -> None:
    if array.dtype.kind == "f":
        bad = int((~np.isfinite(array)).sum())
        if bad:
            raise ValueError(f"{path} has {bad} pixels that are NaN or infinite; mend the file")
