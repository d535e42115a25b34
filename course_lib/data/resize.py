"""How images and masks change their size: images by area, masks by the nearest pixel centre."""

import numpy as np
import torch
from torch.nn import functional as F


def size_pair(size: int | tuple[int, int]) -> tuple[int, int]:
    """Give ``size`` as (height, width).

    Raises:
        ValueError: Not one or two whole numbers from 1 up.
    """
    pair = (size, size) if np.ndim(size) == 0 else tuple(size)
    if len(pair) != 2 or any(int(n) != n or n < 1 for n in pair):
        raise ValueError(f"size must be one or two whole numbers of pixels, not {size!r}")
    return int(pair[0]), int(pair[1])


def resize_images(images: np.ndarray, size: int | tuple[int, int]) -> np.ndarray:
    """Resize images with bilinear weights that widen when shrinking (antialias).

    Shrinking averages over the whole area a new pixel covers, so that thin structures fade
    instead of vanishing at random; the aspect ratio is not kept.

    Args:
        images: (N, C, H, W) uint8.
        size: New height and width in px, one number for a square.

    Returns:
        (N, C, h, w) uint8, rounded.
    """
    height, width = size_pair(size)
    if (height, width) == images.shape[2:]:
        return np.array(images)
    out = np.empty((*images.shape[:2], height, width), dtype=np.uint8)
    for start in range(0, len(images), 16):
        chunk = torch.from_numpy(np.array(images[start : start + 16])).float()
        chunk = F.interpolate(chunk, size=(height, width), mode="bilinear", antialias=True)
        out[start : start + 16] = chunk.round().clamp(0, 255).to(torch.uint8).numpy()
    return out


def resize_masks(masks: np.ndarray, size: int | tuple[int, int]) -> np.ndarray:
    """Resize label masks: new pixel ``i`` of ``h`` takes old pixel ``floor((i + 0.5) * H / h)``.

    Args:
        masks: (..., H, W), any dtype.
        size: New height and width in px, one number for a square.

    Returns:
        (..., h, w) of the same dtype; no label appears that was not there.
    """
    height, width = size_pair(size)
    rows = _centres(masks.shape[-2], height)
    columns = _centres(masks.shape[-1], width)
    return np.ascontiguousarray(masks[..., rows[:, None], columns])


def _centres(old: int, new: int) -> np.ndarray:
    # Whole numbers: (2 i + 1) old // (2 new) is the floor without rounding errors.
    return (2 * np.arange(new) + 1) * old // (2 * new)
