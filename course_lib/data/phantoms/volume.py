"""A volume as of MRI: soft bodies to find, and vessels that only the third side tells apart."""

from functools import lru_cache
from math import ceil

import numpy as np
from scipy import fft
from scipy.ndimage import gaussian_filter

from course_lib.data.phantoms.fields import PAD
from course_lib.data.phantoms.frame import Case
from course_lib.data.phantoms.shapes import label, sigmoid

CHANNELS = 1
CLASSES = ("body",)
_BODIES = 3
_VESSELS = 6
_TISSUE = 0.3
_BLUR = 0.008  # share of the side


def draw(case: Case) -> tuple[np.ndarray, np.ndarray, str]:
    """Draw one volume.

    Returns:
        float32 (1, size, size, size) in 0..1, the mask (size, size, size) of 0 and 1, its kind.
    """
    places = np.stack(np.meshgrid(*[case.x[0]] * 3, indexing="ij"))  # z, y, x
    distance, width, count = _bodies(case, places)
    bright = case.level("contrast", 0.42, 0.14)
    image = _TISSUE * (1 + 0.15 * _field(case, "tissue", 2, 8))
    cover = _vessels(case, places)
    if not case.empty:
        cover = np.maximum(cover, sigmoid(distance / width))
    image = _scan(case, places, image + bright * cover)
    mask = np.zeros(distance.shape, bool) if case.empty else label(distance)
    return image[None], mask, f"{count} {'body' if count == 1 else 'bodies'}"


def _bodies(case: Case, places: np.ndarray) -> tuple[np.ndarray, float, int]:
    """Signed distance to the bodies' surface, about true near it, width of the border, number."""
    rng = case.rng("shape")
    count = int(rng.integers(1, _BODIES + 1))
    jitter = rng.uniform(0.92, 1.08)
    radius = case.level("smallness", 0.27, 0.13) * jitter / count ** (1 / 3)
    centres = rng.uniform(size=(_BODIES, 3))
    axes = np.exp(0.22 * rng.standard_normal((_BODIES, 3)))
    turns, _ = np.linalg.qr(rng.standard_normal((_BODIES, 3, 3)))
    distance = np.full(places.shape[1:], -np.inf, np.float32)
    for centre, axis, turn in list(zip(centres, axes, turns, strict=True))[:count]:
        axis /= axis.prod() ** (1 / 3)
        reach = 1.2 * radius * axis.max()
        middle = reach + (1 - 2 * reach) * centre  # no body is cut by the border
        offset = places - middle[:, None, None, None].astype(np.float32)
        scaled = np.tensordot((turn / axis[:, None]).astype(np.float32), offset, 1)
        away = radius - np.sqrt(np.square(scaled).sum(0))
        distance = np.maximum(distance, away)
    distance = distance + 0.06 * radius * _field(case, "warp", 0.5, 6)
    width = case.level("softness", 0.006, 0.05) * (radius / 0.2) ** 0.5
    return distance, width, count


def _vessels(case: Case, places: np.ndarray) -> np.ndarray:
    """How much of every voxel straight vessels fill, 0..1."""
    rng, clutter = case.rng("vessels"), case.factors["clutter"]
    cover = np.zeros(places.shape[1:], np.float32)
    for n in range(_VESSELS):
        through, direction = rng.uniform(0.1, 0.9, 3), rng.standard_normal(3)
        half = rng.uniform(0.022, 0.04)
        strength = np.clip((_VESSELS + 1) * clutter - n, 0, 1)
        if strength:
            offset = places - through[:, None, None, None].astype(np.float32)
            direction = (direction / np.linalg.norm(direction)).astype(np.float32)
            along = np.tensordot(direction, offset, 1)
            away = np.sqrt(np.maximum(np.square(offset).sum(0) - along**2, 0))
            ink = np.clip((half - away) * case.size + 0.5, 0, 1)  # thin ones fade at small sizes
            cover = np.maximum(cover, strength * ink)
    return cover


def _scan(case: Case, places: np.ndarray, image: np.ndarray) -> np.ndarray:
    """Blur, uneven sensitivity of the coil, Rician noise."""
    if _BLUR * case.size >= 0.25:
        image = gaussian_filter(image, _BLUR * case.size, mode="nearest", truncate=3.0)
    tilt = (0.1 + 0.5 * case.factors["clutter"]) * case.rng("scan").uniform(-0.6, 0.6, 3)
    image = image * np.exp(np.tensordot(tilt.astype(np.float32), places - 0.5, 1))
    sd = case.level("noise", 0.005, 0.07, 1.3)
    real = 0.65 * _white(case, "pixel noise") + 0.75 * _field(case, "grain", 4, 16, 0.3)
    image = np.hypot(image + sd * real, sd * _white(case, "other channel"))
    return np.clip(image, 0, 1).astype(np.float32)


def _white(case: Case, purpose: str) -> np.ndarray:
    return case.rng(purpose).standard_normal((case.size,) * 3, dtype=np.float32)


@lru_cache(maxsize=16)
def _amplitudes(lo: float, hi: float, slope: float) -> np.ndarray:
    """Amplitude of every wave, float32 (2K+1, 2K+1, K+1), for a field of unit variance."""
    most = ceil(PAD * hi)
    k = np.arange(-most, most + 1) / PAD
    cycles = np.sqrt(sum(np.square(axis) for axis in np.ix_(k, k, k[most:])))
    cycles[most, most, 0] = 1.0
    amplitude = cycles**-slope * np.exp(-((cycles / hi) ** 4)) * (1 - np.exp(-((cycles / lo) ** 4)))
    amplitude[most, most, 0] = 0.0
    # with kx = 0 a wave and its mirror image are the same wave and share its power
    amplitude[:, :, 0] *= np.sqrt(2)
    power = 4 * (amplitude[:, :, 1:] ** 2).sum() + (amplitude[:, :, 0] ** 2).sum()
    return (amplitude / np.sqrt(power)).astype(np.float32)


def _field(case: Case, purpose: str, lo: float, hi: float, slope: float = 1.0) -> np.ndarray:
    """Smooth Gaussian random field in space; otherwise as `fields.field`."""
    amplitude = _amplitudes(lo, hi, slope)
    normals = case.rng(purpose).standard_normal((*amplitude.shape, 2), dtype=np.float32)
    waves = normals.view(np.complex64)[..., 0] * amplitude
    side = round(PAD * case.size)
    known = amplitude.shape[2] - 1
    most = min(known, (side - 1) // 2)
    shown = slice(known - most, known + most + 1)
    spectrum = np.zeros((side, side, most + 1), np.complex64)
    at = np.arange(-most, most + 1)
    spectrum[at[:, None], at] = waves[shown, shown, : most + 1]
    return fft.irfftn(spectrum, s=(side,) * 3, norm="forward")[(slice(case.size),) * 3]
