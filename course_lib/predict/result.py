"""From one image to its mask at original size, and to the files that show it."""

import io
import json
from typing import NamedTuple

import numpy as np
import torch
from matplotlib.colors import to_rgb
from PIL import Image
from scipy.ndimage import binary_dilation, binary_erosion
from torch import nn

from course_lib import figures
from course_lib.data.resize import resize_images
from course_lib.predict.pictures import Picture
from course_lib.training.card import Card
from course_lib.training.evaluate import at_size, predict, to_mask


class Result(NamedTuple):
    """What a net says of one image, at the image's own size."""

    mask: np.ndarray  # (H, W) uint8 labels
    probabilities: np.ndarray  # (K, H, W) float32, K = 1 for a binary task


def segment(net: nn.Module, card: Card, picture: Picture, threshold: float | None) -> Result:
    """Predict one image as evaluation does.

    It is resized to the size in training; the probabilities are brought back to its own size
    (bilinear) and only there become a mask.

    Args:
        net: ``(B, C, H, W)`` to logits ``(B, K, H, W)``, see :func:`course_lib.predict.load`.
        card: its card.
        picture: the image.
        threshold: of binary probabilities; not looked at where classes compete.

    Raises:
        ValueError: the image has other channels than the net reads.
    """
    channels = len(picture.pixels)
    if channels != card.in_channels:
        kinds = {1: "grey", 3: "RGB"}
        raise ValueError(
            f"the image has {channels} channels ({kinds[channels]}) but the net reads "
            f"{card.in_channels}; convert the image, or take a net that was trained on such images"
        )
    resized = torch.from_numpy(resize_images(picture.pixels[None], card.size))
    (small,) = predict(net, resized.float() / card.divisor, device="cpu")
    probabilities = at_size(small, picture.pixels.shape[1:])
    return Result(to_mask(probabilities, threshold), probabilities.numpy())


def describe(result: Result, picture: Picture, card: Card) -> dict[str, dict[str, float | None]]:
    """Return what is found of every foreground class.

    Returns:
        Name of the class to ``area_px``, ``area_mm2`` (None where the size of a pixel is unknown)
        and ``mean_probability``, of the class over its pixels in the mask (None if there are none).
    """
    found = {}
    first = len(card.classes) - len(result.probabilities)  # binary: the one map is that of class 1
    for label, name in enumerate(card.classes[1:], start=1):
        inside = result.mask == label
        area = int(inside.sum())
        mean = float(result.probabilities[label - first][inside].mean()) if area else None
        mm2 = area * picture.spacing[0] * picture.spacing[1] if picture.spacing else None
        found[name] = {"area_px": area, "area_mm2": mm2, "mean_probability": mean}
    return found


def mask_png(result: Result, card: Card) -> bytes:
    """Return the mask as a grey PNG: 0 and 255 for a binary task, else the labels 0..K-1."""
    return _png(result.mask * 255 if card.num_classes == 1 else result.mask)


def overlay_png(result: Result, picture: Picture) -> bytes:
    """Return the image as an RGB PNG, the border of every class drawn on it."""
    pixels = np.moveaxis(np.repeat(picture.pixels, 3 // len(picture.pixels), axis=0), 0, -1).copy()
    width = max(1, min(result.mask.shape) // 200)  # px
    for label in np.unique(result.mask[result.mask > 0]):
        inside = result.mask == label
        line = inside & ~binary_erosion(inside, iterations=width, border_value=1)
        pixels[binary_dilation(line, iterations=width) & ~inside] = _rgb(figures.BLACK)
        pixels[line] = _rgb(figures.PREDICTION)
    return _png(pixels)


def to_json(content: dict) -> bytes:
    """Return JSON as it lies in files."""
    return (json.dumps(content, indent=1, allow_nan=False) + "\n").encode()


def _rgb(colour: str) -> list[int]:
    return [round(255 * part) for part in to_rgb(colour)]


def _png(pixels: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()
