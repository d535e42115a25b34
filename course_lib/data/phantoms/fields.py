"""Random textures that look the same at every picture size."""

from functools import lru_cache
from math import ceil

import numpy as np
from scipy import fft

PAD = 1.25  # textures repeat after this many picture sides, so the repeat is never in view


@lru_cache(maxsize=128)
def _amplitudes(lo: float, hi: float, slope: float, ax: float, ay: float) -> np.ndarray:
    """Amplitude of every wave, float32 (2K+1, K+1), scaled so that the field has unit variance."""
    most = ceil(PAD * hi)
    ky = np.arange(-most, most + 1)[:, None] / (PAD * ay)
    kx = np.arange(most + 1)[None] / (PAD * ax)
    cycles = np.hypot(ky, kx)
    cycles[most, 0] = 1.0
    amplitude = cycles**-slope * np.exp(-((cycles / hi) ** 4))
    if lo > 0:
        amplitude *= 1 - np.exp(-((cycles / lo) ** 4))
    amplitude[most, 0] = 0.0
    # With kx = 0 a wave and its mirror image are the same wave and share its power.
    amplitude[:, 0] *= np.sqrt(0.5) * 2
    power = 4 * (amplitude[:, 1:] ** 2).sum() + (amplitude[:, 0] ** 2).sum()
    return (amplitude / np.sqrt(power)).astype(np.float32)


def _on_grid(coefficients: np.ndarray, most: int, side: int) -> np.ndarray:
    """Rows -most..most of a spectrum moved to FFT order on a grid of `side` rows."""
    rows = np.zeros((side, coefficients.shape[1]), np.complex64)
    rows[: most + 1] = coefficients[most:]
    if most:
        rows[-most:] = coefficients[:most]
    return rows


def _normals(rng: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    return rng.standard_normal((*shape, 2), dtype=np.float32).view(np.complex64)[..., 0]


def field(
    rng: np.random.Generator,
    size: int,
    lo: float,
    hi: float,
    slope: float = 1.0,
    ax: float = 1.0,
    ay: float = 1.0,
) -> np.ndarray:
    """Smooth Gaussian random field with waves of about `lo` to `hi` cycles per picture side.

    The number of random draws depends on `hi` only: a smaller picture leaves out the waves that
    it cannot show and keeps all others, so the same generator gives the same texture at any size.

    Args:
        rng: generator of this field alone.
        size: side of the picture in pixels.
        lo: below this many cycles per side, waves fade out (0: none do).
        hi: above this many cycles per side, waves fade out.
        slope: amplitude falls with cycles ** -slope.
        ax: stretch along x; .2 gives streaks five times longer than high.
        ay: stretch along y.

    Returns:
        float32 (size, size), mean 0, standard deviation 1 (over many fields).
    """
    amplitude = _amplitudes(lo, hi, slope, ax, ay)
    waves = _normals(rng, amplitude.shape) * amplitude
    side = round(PAD * size)
    known = amplitude.shape[1] - 1
    most = min(known, (side - 1) // 2)
    waves = waves[known - most : known + most + 1, : most + 1]
    rows = fft.ifft(_on_grid(waves, most, side), axis=0, norm="forward")[:size]
    return fft.irfft(rows, n=side, axis=1, norm="forward")[:, :size]


@lru_cache(maxsize=16)
def _speckle_amplitudes(hi: float, ax: float) -> np.ndarray:
    most = ceil(PAD * hi)
    k = np.arange(-most, most + 1) / PAD
    amplitude = np.exp(-((k[:, None] / (0.5 * hi)) ** 2) - (k[None] / (0.5 * hi * ax)) ** 2)
    return (amplitude / np.sqrt(2 * (amplitude**2).sum())).astype(np.float32)


def envelope(rng: np.random.Generator, size: int, hi: float, ax: float = 1.0) -> np.ndarray:
    """Speckle of a coherent scanner: modulus of a complex Gaussian field, Rayleigh distributed.

    Args:
        rng: generator of this field alone.
        size: side of the picture in pixels.
        hi: highest cycles per side along y.
        ax: share of it along x (below 1: speckles wider than high).

    Returns:
        float32 (size, size) of values >= 0, root mean square 1.
    """
    amplitude = _speckle_amplitudes(hi, ax)
    waves = _normals(rng, amplitude.shape) * amplitude
    side = round(PAD * size)
    known = amplitude.shape[1] // 2
    most = min(known, (side - 1) // 2)
    middle = slice(known - most, known + most + 1)
    rows = _on_grid(waves[middle, middle], most, side)
    rows = fft.ifft(rows, axis=0, norm="forward")[:size]
    columns = _on_grid(rows.T, most, side)
    return np.abs(fft.ifft(columns, axis=0, norm="forward")[:size].T)


def curve(rng: np.random.Generator, size: int, hi: int, slope: float = 1.0) -> np.ndarray:
    """Smooth random 1-D curve, float32 (size,), standard deviation 1, at most `hi` cycles."""
    k = np.arange(1, hi + 1, dtype=np.float32)
    amplitude = k**-slope
    amplitude /= np.sqrt(0.5 * (amplitude**2).sum())
    phases = rng.uniform(0, 2 * np.pi, hi)
    along = (np.arange(size) + 0.5) / size
    waves = np.cos(2 * np.pi / PAD * k[:, None] * along + phases[:, None])
    return (amplitude @ waves).astype(np.float32)
