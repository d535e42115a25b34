"""What every look shares: one case with its factors, coordinates and named random numbers."""

from dataclasses import dataclass
from functools import cached_property
from zlib import crc32

import numpy as np
from scipy.ndimage import gaussian_filter

from course_lib.data.phantoms import fields

FACTORS = ("contrast", "noise", "softness", "smallness", "clutter")


def generator(seed: int, index: int, purpose: str) -> np.random.Generator:
    """Generator of one purpose of one case; nothing else shares its numbers."""
    return np.random.default_rng([seed, index, crc32(purpose.encode())])


def ramp(factor: float, easy: float, hard: float, power: float = 1.0) -> float:
    """Value of a physical quantity between its easy (factor 0) and hard (factor 1) end."""
    return easy + (hard - easy) * factor**power


@dataclass
class Case:
    """One phantom to be drawn.

    Attributes:
        seed: seed of the data set.
        index: number of the case in the data set.
        size: side of the picture in pixels; all lengths in the looks are shares of that side.
        factors: the five difficulty factors by name, each 0 (easy) to 1 (hard).
        empty: draw the scene without its lesion.
    """

    seed: int
    index: int
    size: int
    factors: dict[str, float]
    empty: bool = False

    def rng(self, purpose: str) -> np.random.Generator:
        """Generator of a purpose; asking twice gives the same numbers twice."""
        return generator(self.seed, self.index, purpose)

    def level(self, factor: str, easy: float, hard: float, power: float = 1.0) -> float:
        """A factor turned into a physical quantity, see `ramp`."""
        return ramp(self.factors[factor], easy, hard, power)

    @cached_property
    def x(self) -> np.ndarray:
        """Column centres, float32 (1, size), 0..1."""
        return ((np.arange(self.size, dtype=np.float32) + 0.5) / self.size)[None]

    @cached_property
    def y(self) -> np.ndarray:
        """Row centres, float32 (size, 1), 0..1."""
        return self.x.T

    def field(
        self, purpose: str, lo: float, hi: float, slope: float = 1.0, **stretch: float
    ) -> np.ndarray:
        """Random texture of a purpose, see `fields.field`."""
        return fields.field(self.rng(purpose), self.size, lo, hi, slope, **stretch)

    def curve(self, purpose: str, hi: int, slope: float = 1.0) -> np.ndarray:
        """Random 1-D curve of a purpose, see `fields.curve`."""
        return fields.curve(self.rng(purpose), self.size, hi, slope)

    def white(self, purpose: str = "pixel noise") -> np.ndarray:
        """Independent standard normal numbers, one a pixel: the only thing drawn per pixel."""
        return self.rng(purpose).standard_normal((self.size, self.size), dtype=np.float32)

    def noise(self) -> np.ndarray:
        """Unit noise: white per pixel plus grain that a net cannot simply average away."""
        return 0.65 * self.white() + 0.95 * self.field("grain", 6, 26, 0.5)

    def blur(self, image: np.ndarray, width: float) -> np.ndarray:
        """Gaussian blur of the last two axes; `width` is a share of the side."""
        sigma = width * self.size
        if sigma < 0.25:
            return image
        sigmas = (0,) * (image.ndim - 2) + (sigma, sigma)
        return gaussian_filter(image, sigmas, mode="nearest", truncate=3.0)

    def span(self, low: float, high: float) -> slice:
        """Pixels between two coordinates; empty where they lie outside the picture."""
        return slice(max(int(np.floor(low * self.size)), 0), max(int(np.ceil(high * self.size)), 0))

    def box(self, x: float, y: float, reach: float) -> tuple[slice, slice]:
        """Rows and columns within `reach` of a point: small things are drawn there only."""
        return self.span(y - reach, y + reach), self.span(x - reach, x + reach)
