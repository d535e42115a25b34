"""Dermoscopy: a pigmented lesion on skin, under hair, gel bubbles and a dark frame."""

import numpy as np

from course_lib.data.phantoms.frame import Case
from course_lib.data.phantoms.shapes import Blob, arc, blob, gauss, label, sigmoid, stamp, stroke

CHANNELS = 3
CLASSES = ("lesion",)
_SKIN = np.array(
    [
        [0.90, 0.75, 0.68],
        [0.86, 0.65, 0.56],
        [0.92, 0.80, 0.76],
        [0.90, 0.62, 0.56],
        [0.76, 0.55, 0.43],
        [0.84, 0.66, 0.66],
        [0.66, 0.46, 0.36],
    ]
)
_BROWN = np.array(
    [
        [0.55, 0.33, 0.21],
        [0.63, 0.40, 0.27],
        [0.49, 0.29, 0.20],
        [0.68, 0.38, 0.31],
        [0.51, 0.35, 0.28],
    ]
)
_DARK = np.array([[0.25, 0.13, 0.08], [0.32, 0.16, 0.11], [0.19, 0.14, 0.15], [0.36, 0.20, 0.13]])


def draw(case: Case) -> tuple[np.ndarray, np.ndarray, str]:
    """Image float32 (3, size, size) 0..1, mask bool (size, size), kind nevus or melanoma."""
    atypia = case.rng("atypia").uniform()
    skin = _skin(case)
    lesion, distance = _lesion(case, atypia)
    image = _add_moles(case, skin, lesion)
    mask = np.zeros((case.size, case.size), bool)
    if not case.empty:
        mask = label(distance)
        image = _add_lesion(case, image, distance, lesion.radius, atypia)
    image = case.blur(image, 0.003)
    image = _add_clutter(case, image)
    return _photograph(case, image), mask, "melanoma" if atypia > 0.6 else "nevus"


def _lesion(case: Case, atypia: float) -> tuple[Blob, np.ndarray]:
    rng = case.rng("shape")
    radius = case.level("smallness", 0.235, 0.08, 1.5) * rng.uniform(0.92, 1.08)
    room = max(0.0, 0.46 - 1.15 * radius)
    x, y = 0.5 + room * rng.uniform(-1, 1, 2)
    aspect = np.exp(0.18 * rng.standard_normal())
    lesion = blob(rng, x, y, radius, 0.03 + 0.12 * atypia, aspect, rng.uniform(0, np.pi))
    warp = radius * (0.03 + 0.08 * atypia)
    return lesion, lesion.distance(case.x, case.y) + warp * case.field("warp", 3, 11)


def _skin(case: Case) -> np.ndarray:
    rng = case.rng("skin")
    tone = _SKIN[rng.integers(len(_SKIN))] * rng.uniform(0.88, 1.04)
    light = 0.022 * case.field("light", 0, 4) + 0.010 * case.field("pores", 18, 55, 0.4)
    tint = 0.012 * case.field("tint", 1, 6)
    slope = 0.08 * rng.normal(size=2)
    light = light + slope[0] * (case.x - 0.5) + slope[1] * (case.y - 0.5)
    hue = np.array([1.0, -0.7, -0.5])[:, None, None]
    image = tone[:, None, None] * (1 + light) + hue * tint
    return image.astype(np.float32)


def _add_moles(case: Case, image: np.ndarray, lesion: Blob) -> np.ndarray:
    """Small pigmented spots that nobody labelled, and freckles."""
    rng, clutter = case.rng("moles"), case.factors["clutter"]
    amount = np.zeros((case.size, case.size), np.float32)
    for n in range(8):
        x, y, size, tone = rng.uniform(size=4)
        mole = blob(rng, x, y, 0.012 + 0.04 * size**2, 0.08, 1.0)
        apart = np.hypot(x - lesion.x, y - lesion.y) > lesion.reach + mole.reach + 0.03
        strength = np.clip(8 * clutter - n, 0, 1)
        if strength and apart:
            box, distance = stamp(case, mole, 0.03)
            amount[box] += strength * (0.25 + 0.6 * tone) * sigmoid(distance / 0.007)
    if clutter > 0.5:
        spots = sigmoid((case.field("freckles", 6, 18, 0.5) - 1.9) / 0.2)
        amount += (clutter - 0.5) * 0.7 * spots
    brown = _BROWN[rng.integers(len(_BROWN))].astype(np.float32)[:, None, None]
    return image + np.minimum(amount, 0.9) * (brown - image)


def _add_lesion(
    case: Case, image: np.ndarray, distance: np.ndarray, radius: float, atypia: float
) -> np.ndarray:
    """Brown to black with a pigment network, an uneven border and a faint red halo."""
    rng = case.rng("pigment")
    brown, dark = _BROWN[rng.integers(len(_BROWN))], _DARK[rng.integers(len(_DARK))]
    base, globules, regress, white = rng.uniform(size=4)
    width = case.level("softness", 0.006, 0.05) * (radius / 0.25) ** 0.25
    grain = min(0.75 * width, 0.012) * case.field("border", 8, 45, 0.6)
    alpha = sigmoid((distance + grain) / width)
    depth = np.clip(distance / radius, 0, 1)
    mix = 0.05 + 0.3 * base + 0.6 * depth + (0.15 + 0.25 * atypia) * case.field("pigment", 2, 9)
    net = 1 - 1.4 * np.abs(case.field("network", 13, 24, 0.2))
    dots = case.field("globules", 16, 34, 0.2)
    mix += 0.2 * net * (1 - depth) * (globules < 0.65) + 0.12 * dots * (globules > 0.4)
    mix = np.clip(mix, 0, 1.1)[None]
    colour = brown[:, None, None] + mix * (dark - brown)[:, None, None]
    if regress < 0.15 + 0.25 * atypia:
        veil = np.array([[0.58, 0.48, 0.50], [0.72, 0.50, 0.48]])[int(white < 0.5)]
        patch = 0.6 * sigmoid((case.field("regression", 1, 5) - 0.5) / 0.25)
        colour = colour + patch * (veil[:, None, None] - colour)
    opacity = case.level("contrast", 0.95, 0.2) * (1 + 0.08 * case.field("opacity", 2, 8))
    halo = 0.05 * gauss((distance + 1.5 * width) / (0.02 + width))
    image = image * (1 - halo * np.array([0.2, 1.0, 0.9])[:, None, None])
    image = image + np.clip(alpha * opacity, 0, 1) * (colour - image)
    return image.astype(np.float32)


def _add_clutter(case: Case, image: np.ndarray) -> np.ndarray:
    """Hairs, ruler marks, surgical ink, gel bubbles, dark corners."""
    rng, clutter = case.rng("clutter"), case.factors["clutter"]
    chance = rng.uniform(size=8)
    hair = np.zeros((case.size, case.size), np.float32)
    thick, bend = 0.004 + 0.006 * chance[0], 0.15 + 0.4 * chance[1]
    for n in range(26):
        line = arc(rng, rng.uniform(0.35, 1.1), bend, 12)
        width = thick * rng.uniform(0.6, 1.3)
        if n < 26 * clutter**1.5:
            stroke(case, hair, line, width)
    tone = np.array([0.10, 0.07, 0.06]) + 0.16 * chance[2]
    image = image + 0.85 * hair * (tone.astype(np.float32)[:, None, None] - image)
    if clutter > 0.35 and chance[3] < 0.5:
        image = _add_bubbles(case, image)
    if clutter > 0.55 and chance[4] < 0.5:
        image = _add_ruler(case, image)
    if clutter > 0.6 and chance[5] > 0.6:
        image = _add_ink(case, image)
    radius = np.hypot(case.x - 0.5, case.y - 0.5)
    image = image * (1 - (0.1 + 0.35 * clutter * chance[6]) * np.clip(radius - 0.3, 0, 1) * 2)
    if chance[7] < 0.2 + 0.4 * clutter:
        edge = 0.56 + 0.11 * chance[6]
        image = image * (0.03 + 0.97 * sigmoid((edge - radius) / 0.009))
    return image


def _add_bubbles(case: Case, image: np.ndarray) -> np.ndarray:
    rng = case.rng("bubbles")
    for _ in range(9):
        x, y, size, light = rng.uniform(size=4)
        bubble = blob(rng, x, y, 0.008 + 0.03 * size**2, 0.02)
        box, distance = stamp(case, bubble, 0.01)
        ring = gauss(distance / 0.004) - 0.4 * sigmoid(distance / 0.003)
        image[(slice(None), *box)] += 0.16 * (0.4 + light) * ring
    return image


def _add_ink(case: Case, image: np.ndarray) -> np.ndarray:
    """A surgeon's pen: one broad uneven arc near the edge of the picture."""
    rng = case.rng("ink")
    x, y = 0.5 + rng.choice([-1, 1]) * rng.uniform(0.45, 0.6), rng.uniform(0.1, 0.9)
    ring = blob(rng, x, y, rng.uniform(0.18, 0.32), 0.05).distance(case.x, case.y)
    width = 0.014 * np.exp(0.4 * case.field("ink width", 2, 14))
    cover = sigmoid((width - np.abs(ring)) / 0.006) * sigmoid(case.field("ink", 4, 30, 0.4) + 1.5)
    violet = np.array([0.36, 0.30, 0.56], np.float32)[:, None, None]
    return image + 0.7 * cover * (violet - image)


def _add_ruler(case: Case, image: np.ndarray) -> np.ndarray:
    rng = case.rng("ruler")
    edge, pitch = rng.uniform(0.02, 0.07), rng.uniform(0.03, 0.06)
    turn = rng.integers(2)
    cover = np.zeros((case.size, case.size), np.float32)
    for n in range(int(0.9 / pitch)):
        along = 0.05 + n * pitch
        tick = np.array([[along, edge], [along, edge + (0.06 if n % 5 == 0 else 0.03)]])
        stroke(case, cover, tick[:, ::-1] if turn else tick, 0.004)
    return image + 0.7 * cover * (0.12 - image)


def _photograph(case: Case, image: np.ndarray) -> np.ndarray:
    """Sensor noise, mostly common to the channels as after demosaicing."""
    sd = case.level("noise", 0.004, 0.065)
    own = np.stack([case.white(f"colour {c}") for c in range(3)])
    noise = 0.8 * case.noise() + 0.3 * own
    image = image + sd * np.sqrt(np.clip(image, 0.02, 1)) * noise
    return np.clip(image, 0, 1).astype(np.float32)
