"""Breast ultrasound: layered tissue, speckle, shadow; everything is added in decibels."""

import numpy as np

from course_lib.data.phantoms import fields
from course_lib.data.phantoms.frame import Case
from course_lib.data.phantoms.shapes import Blob, blob, gauss, label, sigmoid, stamp, stroke

CHANNELS = 1
CLASSES = ("lesion",)
GLAND = -2.0  # level of glandular tissue in dB, the reference of the lesion's contrast


def draw(case: Case) -> tuple[np.ndarray, np.ndarray, str]:
    """Image float32 (1, size, size) 0..1, mask bool (size, size), kind benign or malignant."""
    malignancy = case.rng("malignancy").uniform()
    lesion, distance = _lesion(case, malignancy)
    tissue = _tissue(case)
    tissue = _add_clutter(case, tissue, lesion)
    if case.empty:
        mask = np.zeros((case.size, case.size), bool)
    else:
        mask = label(distance)
        tissue = _add_lesion(case, tissue, distance, lesion.radius, malignancy)
    image = _scan(case, tissue)
    _add_marks(case, image, lesion)
    return image[None], mask, "malignant" if malignancy > 0.5 else "benign"


def _lesion(case: Case, malignancy: float) -> tuple[Blob, np.ndarray]:
    """Benign ones are smooth ovals wider than tall, malignant ones irregular and upright."""
    rng = case.rng("shape")
    radius = case.level("smallness", 0.23, 0.078, 1.5) * rng.uniform(0.92, 1.08)
    x, y = rng.uniform(0.3, 0.7), rng.uniform(0.34, 0.62)
    aspect = np.exp(0.5 - 0.75 * malignancy + 0.15 * rng.standard_normal())
    angle = 0.18 * rng.standard_normal()
    lesion = blob(rng, x, y, radius, 0.05 + 0.11 * malignancy, aspect, angle)
    warp = radius * (0.015 + 0.06 * malignancy)
    return lesion, lesion.distance(case.x, case.y) + warp * case.field("warp", 3, 11)


def _tissue(case: Case) -> np.ndarray:
    """Skin, fat, gland, muscle and what lies below, in dB."""
    rng = case.rng("layers")
    depths = np.array([0.035, 0.24, 0.68, 0.84]) + rng.uniform(-1, 1, 4) * [0.012, 0.1, 0.09, 0.05]
    levels = [5.0, rng.uniform(-12, -6), GLAND, rng.uniform(-13, -8), -18.0]
    bends = np.array([0.006, 0.03, 0.03, 0.018]) * rng.uniform(0.5, 1.4, 4)
    jitter = 0.006 * case.field("layer jitter", 3, 12)
    tissue = np.full((case.size, case.size), levels[0], np.float32)
    for n in range(4):
        edge = depths[n] + bends[n] * case.curve(f"layer {n}", 5)[None]
        below = case.y - edge + jitter
        tissue += (levels[n + 1] - levels[n]) * sigmoid(below / 0.012)
        tissue += rng.uniform(2, 9) * gauss(below / 0.009)
    rows = np.arange(case.size)[:, None]
    bend = 0.016 * case.curve("layer 1", 6, 0.9)[None] + 0.016 * case.field("bend", 1, 6)
    rows = np.clip(rows - np.rint(case.size * bend).astype(int), 0, case.size - 1)
    streaks = 2.1 * case.field("streaks", 4, 40, 0.7, ax=0.16)
    septa = gauss(case.field("septa", 1, 8, 1.4, ax=0.22) / 0.09)
    bright = np.maximum(case.field("bright septa", 1, 4) + 0.9, 0)
    tissue += np.take_along_axis(streaks, rows, 0) + 5 * septa * bright
    tissue += 3.0 * case.field("lobes", 2, 9, 0.6, ax=0.7)
    gland = sigmoid((case.y - depths[1]) / 0.03) * sigmoid((depths[2] - case.y) / 0.03)
    tissue += 2.2 * gland * case.field("ducts", 6, 26, 0.3, ax=0.6)
    return tissue - rng.uniform(16, 34) * np.maximum(case.y - 0.25, 0) ** 1.2


def _add_clutter(case: Case, tissue: np.ndarray, lesion: Blob) -> np.ndarray:
    """Dark fat lobules that could be lesions, and shadows of ribs or poor contact."""
    rng, clutter = case.rng("clutter"), case.factors["clutter"]
    for n in range(6):
        x, y, size, drop, flat = rng.uniform(size=5)
        small = 0.05 + 0.075 * size
        lobule = blob(rng, x, 0.15 + 0.65 * y, small, 0.08, 1.3 + 1.2 * flat, 0)
        apart = np.hypot(lobule.x - lesion.x, lobule.y - lesion.y)
        strength = np.clip(6 * clutter - n, 0, 1)
        if strength and apart > 0.9 * (lesion.reach + lobule.reach):
            box, distance = stamp(case, lobule, 0.05)
            tissue[box] -= strength * (7 + 7 * drop) * sigmoid(distance / 0.012)
    for n in range(3):
        x, width, drop, top = rng.uniform(size=4)
        strength = np.clip(3 * clutter - n, 0, 1)
        if strength:
            band = gauss((case.x - x - 0.1 * (x - 0.5) * case.y) / (0.03 + 0.07 * width))
            tissue -= strength * (4 + 9 * drop) * band * sigmoid((case.y - 0.3 * top) / 0.05)
    return tissue


def _add_lesion(
    case: Case, tissue: np.ndarray, distance: np.ndarray, radius: float, malignancy: float
) -> np.ndarray:
    """Hypoechoic inside, capsule or halo at its border, shadow or enhancement behind it."""
    rng = case.rng("lesion")
    width = case.level("softness", 0.006, 0.038) * (radius / 0.15) ** 0.5
    grain = case.field("border", 8, 40, 0.5)
    alpha = sigmoid((distance + min(0.6 * width, 0.008) * grain) / width)
    inside = GLAND - case.level("contrast", 28, 6) + 2 * case.field("inner", 3, 24, 0.7)
    rim = rng.uniform(1.5, 5) * (1 - 0.6 * case.factors["softness"])
    strength, behind_benign, behind_malignant, wave = rng.uniform(size=4)
    path = np.minimum(np.cumsum(alpha, 0) / (case.size * radius), 1.8)
    path = case.blur(path * (1 - alpha), 0.02)
    effect = -8 - 12 * behind_malignant if malignancy > 0.5 else -4 + 15 * behind_benign
    effect *= 1 - 0.7 * case.factors["contrast"]
    fade = np.exp(-2.2 * np.maximum(case.y - case.y[0] - 0.5, 0)) * (0.8 + 0.4 * wave)
    tissue = tissue + rim * gauss((distance + 1.2 * width) / (1.6 * width)) * (0.4 + strength)
    tissue = tissue + 0.9 * effect * path * fade
    return tissue * (1 - alpha) + inside * alpha


def _scan(case: Case, tissue: np.ndarray) -> np.ndarray:
    """Speckle, noise floor, log compression to gray."""
    rng = case.rng("scan")
    weight = case.level("noise", 0.13, 0.85)
    speckle = 20 * np.log10(0.03 + fields.envelope(case.rng("speckle"), case.size, 80, 0.55))
    level = tissue + weight * (speckle + 2.5) + 2.2 * case.factors["noise"] * case.noise()
    floor = -44 + case.level("noise", 0, 9) + 3 * case.field("floor", 8, 40, 0.2)
    level = 4.3429 * np.logaddexp(level / 4.3429, floor / 4.3429)
    gray = np.clip((level + rng.uniform(30, 37)) / rng.uniform(44, 54), 0, 1)
    gray = gray ** rng.uniform(1.1, 1.7)
    return case.blur(gray.astype(np.float32), 0.0035)


def _add_marks(case: Case, image: np.ndarray, lesion: Blob) -> None:
    """Caliper crosses and a line of text, burnt in by the scanner."""
    rng, clutter = case.rng("marks"), case.factors["clutter"]
    chance, turn, row, column, tone = rng.uniform(size=5)
    cover = np.zeros_like(image)
    if clutter > 0.45 and chance < 0.45:
        for side in (-1, 1):
            away = side * (lesion.radius + 0.03) * np.array([np.cos(turn), np.sin(turn)])
            x, y = np.array([lesion.x, lesion.y]) + away
            stroke(case, cover, np.array([[x - 0.015, y], [x + 0.015, y]]), 0.005)
            stroke(case, cover, np.array([[x, y - 0.015], [x, y + 0.015]]), 0.005)
    if clutter > 0.6 and chance > 0.35:
        x, y = 0.04 + 0.6 * column, 0.03 + 0.03 * row
        for n, (up, right) in enumerate(rng.uniform(0.3, 1, (7, 2))):
            left = x + 0.024 * n
            corner = [[left, y], [left, y + 0.03 * up], [left + 0.014 * right, y + 0.03 * up]]
            stroke(case, cover, np.array(corner), 0.005)
    image += cover * (0.6 + 0.3 * tone - image)
