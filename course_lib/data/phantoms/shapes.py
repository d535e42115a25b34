"""Outlines, soft edges, strokes: geometry in unit coordinates."""

from dataclasses import dataclass

import numpy as np

from course_lib.data.phantoms.frame import Case

_ANGLES = 2048


def sigmoid(values: np.ndarray) -> np.ndarray:
    """Logistic function without overflow."""
    return 0.5 * np.tanh(0.5 * values) + 0.5


def gauss(values: np.ndarray) -> np.ndarray:
    """exp(-values^2)."""
    return np.exp(-np.square(values))


def label(distance: np.ndarray) -> np.ndarray:
    """Mask of a signed distance: where it is positive, and never without a pixel.

    Returns:
        bool (H, W); if no pixel centre lies inside, the one nearest to the inside is set.
    """
    mask = distance > 0
    if not mask.any():
        mask.flat[distance.argmax()] = True
    return mask


@dataclass
class Blob:
    """Wobbly ellipse: radius r * exp(Fourier series of the angle), x / y axes stretched.

    Attributes:
        x: centre, share of the side.
        y: centre, share of the side.
        radius: mean radius, share of the side.
        aspect: x half axis over y half axis before rotation.
        angle: rotation in radians.
        table: radius factor at equally spaced angles, float32.
    """

    x: float
    y: float
    radius: float
    aspect: float
    angle: float
    table: np.ndarray

    @property
    def reach(self) -> float:
        """No part of the blob lies farther from its centre than this."""
        return self.radius * float(self.table.max()) * max(self.aspect, 1 / self.aspect) ** 0.5

    def distance(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Signed distance to the outline, about true near it; positive inside.

        Args:
            x: columns, float32 (1, W).
            y: rows, float32 (H, 1).

        Returns:
            float32 (H, W), shares of the side.
        """
        c, s = np.cos(self.angle), np.sin(self.angle)
        root = self.aspect**0.5
        dx, dy = x - self.x, y - self.y
        u = (dx * (c / root) + dy * (s / root)).astype(np.float32)
        v = (dy * (c * root) - dx * (s * root)).astype(np.float32)
        turn = np.arctan2(v, u) * np.float32(_ANGLES / (2 * np.pi))
        bins = turn.astype(np.int32) & (_ANGLES - 1)
        return self.table[bins] * np.float32(self.radius) - np.hypot(u, v)


_THETA = np.arange(_ANGLES, dtype=np.float32) * np.float32(2 * np.pi / _ANGLES)
_K = np.arange(2, 9, dtype=np.float32)
WEIGHTS = (2, len(_K))
_COS = np.cos(_K[:, None] * _THETA) * _K[:, None] ** -1.3
_SIN = np.sin(_K[:, None] * _THETA) * _K[:, None] ** -1.3


def blob(
    rng: np.random.Generator,
    x: float,
    y: float,
    radius: float,
    wobble: float = 0.1,
    aspect: float = 1.0,
    angle: float = 0.0,
) -> Blob:
    """A blob whose outline deviates by `wobble` (share of the radius) in harmonics 2..8."""
    table = outline(wobble * rng.standard_normal(WEIGHTS))
    return Blob(float(x), float(y), float(radius), float(aspect), float(angle), table)


def outline(weights: np.ndarray) -> np.ndarray:
    """Radius factor at every angle of a `Blob` from Fourier weights of shape `WEIGHTS`."""
    weights = weights.astype(np.float32)
    return np.exp(weights[0] @ _COS + weights[1] @ _SIN)


def stamp(case: Case, shape: Blob, margin: float = 0.0) -> tuple[tuple[slice, slice], np.ndarray]:
    """Box of a blob and its signed distance in that box.

    Returns:
        (rows, columns) and float32 distance of that box (either side may be 0 long outside).
    """
    box = case.box(shape.x, shape.y, shape.reach + margin)
    return box, shape.distance(case.x[:, box[1]], case.y[box[0]])


def stroke(case: Case, cover: np.ndarray, points: np.ndarray, width: float) -> None:
    """Draw a polyline into `cover` (float32 (size, size), 0..1, in place).

    A line thinner than a pixel fades instead of breaking up.

    Args:
        case: the case that is drawn.
        cover: coverage to be raised to that of the stroke.
        points: (P, 2) array of x, y, shares of the side.
        width: full width, share of the side.
    """
    half = max(width / 2, 0.002)
    pixels = half * case.size
    # Below one pixel the ramp of the edge is wider than the line: keep the ink of the true width.
    fade = 2 * pixels / (pixels + 0.5) ** 2 if pixels < 0.5 else 1.0
    start, step = points[:-1], np.diff(points, axis=0)
    reach = half + 1.5 / case.size + np.abs(step).max() / 2
    window = np.arange(int(np.ceil(2 * reach * case.size)) + 1)
    corner = np.floor((start + step / 2 - reach) * case.size).astype(int)
    columns, rows = corner[:, :1] + window, corner[:, 1:] + window
    dx = ((columns + 0.5) / case.size - start[:, :1]).astype(np.float32)[:, None, :]
    dy = ((rows + 0.5) / case.size - start[:, 1:]).astype(np.float32)[:, :, None]
    ex, ey = step.astype(np.float32).T[:, :, None, None]
    along = np.clip((dx * ex + dy * ey) / (ex * ex + ey * ey + 1e-12), 0, 1)
    ink = np.clip((half - np.hypot(dx - along * ex, dy - along * ey)) * case.size + 0.5, 0, 1)
    seen_rows, seen_columns = ((k >= 0) & (k < case.size) for k in (rows, columns))
    seen = (ink > 0) & seen_rows[:, :, None] & seen_columns[:, None, :]
    pixel = rows[:, :, None] * case.size + columns[:, None, :]
    np.maximum.at(cover.reshape(-1), pixel[seen], fade * ink[seen])


def arc(rng: np.random.Generator, length: float, bend: float, points: int = 8) -> np.ndarray:
    """A bent line through a random place in a random direction: (points, 2) of x, y."""
    x, y, turn = rng.uniform(-0.1, 1.1), rng.uniform(-0.1, 1.1), rng.uniform(0, 2 * np.pi)
    curl = rng.normal(0, bend)
    angles = turn + curl * np.linspace(-1, 1, points)
    steps = length / points * np.stack([np.cos(angles), np.sin(angles)], 1)
    return np.array([x, y]) + np.cumsum(steps, 0) - steps.sum(0) / 2
