"""Cell nuclei: fluorescence (bright on black) or stained tissue (absorbing light)."""

import numpy as np

from course_lib.data.phantoms.frame import Case
from course_lib.data.phantoms.shapes import WEIGHTS, Blob, blob, outline, sigmoid, stamp

CHANNELS = 3
CLASSES = ("nucleus",)
MOST = 70  # candidates tried for the nuclei in focus


def draw(case: Case) -> tuple[np.ndarray, np.ndarray, str]:
    """Image float32 (3, size, size) 0..1, mask bool (size, size), kind of microscopy."""
    stained = case.rng("kind").uniform() < 0.4
    nuclei = [] if case.empty else _place(case, crowded=stained)
    mask, body = _in_focus(case, nuclei)
    if nuclei and not mask.any():
        first = nuclei[0]
        mask[int(first.y * case.size), int(first.x * case.size)] = True
    if stained:
        return _stained(case, body), mask, "stained"
    return _fluorescence(case, body), mask, "fluorescence"


def _mean_radius(case: Case) -> float:
    return case.level("smallness", 0.088, 0.03, 1.5)


def _place(case: Case, crowded: bool) -> list[Blob]:
    """Nuclei around cluster centres, kept apart by a gap that clutter closes."""
    rng = case.rng("shape")
    radius = _mean_radius(case) * rng.uniform(0.92, 1.08)
    share = rng.uniform(0.1, 0.3) + 0.08 * crowded
    wanted = int(np.clip(share / (np.pi * radius**2), 4, MOST))
    centres = rng.uniform(0.1, 0.9, (5, 2))
    gap = case.level("clutter", 1.3, 0.74)
    spots = rng.uniform(0.01, 0.99, (tries := 4 * MOST, 2))
    near = np.tile(centres, (tries // 5, 1)) + 0.13 * rng.standard_normal((tries, 2))
    spots = np.where(rng.uniform(size=(tries, 1)) < 0.55, near, spots)
    radii = radius * np.exp(0.18 * rng.standard_normal(tries))
    aspects, angles = np.exp(0.22 * rng.standard_normal(tries)), rng.uniform(0, np.pi, tries)
    weights = 0.035 * rng.standard_normal((tries, *WEIGHTS))
    kept: list[int] = []
    for n in np.flatnonzero(((spots > 0) & (spots < 1)).all(1)):
        away = np.hypot(*(spots[kept] - spots[n]).T)
        if (away > gap * (radii[kept] + radii[n])).all():
            kept.append(n)
        if len(kept) == wanted:
            break
    return [Blob(*spots[n], radii[n], aspects[n], angles[n], outline(weights[n])) for n in kept]


def _in_focus(case: Case, nuclei: list[Blob]) -> tuple[np.ndarray, np.ndarray]:
    """Mask and summed brightness of the nuclei: dome-shaped, log-normal among cells."""
    rng = case.rng("brightness")
    mask = np.zeros((case.size, case.size), bool)
    body = np.zeros((case.size, case.size), np.float32)
    for shape in nuclei:
        tone = np.float32(np.exp(0.3 * rng.standard_normal()))
        width = case.level("softness", 0.003, 0.013) * (shape.radius / 0.06) ** 0.7
        box, distance = stamp(case, shape, 4 * width)
        mask[box] |= distance > 0
        dome = 0.7 + 0.3 * np.sqrt(np.clip(distance / shape.radius, 0, 1))
        body[box] += tone * dome * sigmoid(distance / np.float32(width))
    return mask, body


def _out_of_focus(case: Case) -> np.ndarray:
    """Blurred nuclei of other planes and specks of debris, none of them labelled."""
    rng, clutter = case.rng("clutter"), case.factors["clutter"]
    layer = np.zeros((case.size, case.size), np.float32)
    amount = clutter * case.level("smallness", 5, 16)
    for n in range(16):
        x, y, tone, radius = rng.uniform(size=4)
        shape = blob(rng, x, y, _mean_radius(case) * (0.9 + 0.7 * radius), 0.05)
        strength = np.clip(amount - n, 0, 1)
        if strength:
            box, distance = stamp(case, shape, 0.08)
            layer[box] += strength * (0.12 + 0.33 * tone) * sigmoid(distance / 0.018)
    for n in range(18):
        x, y, tone, radius = rng.uniform(size=4)
        shape = blob(rng, x, y, 0.003 + 0.007 * radius, 0.1)
        strength = np.clip(18 * (clutter - 0.3) - n, 0, 1)
        if strength:
            box, distance = stamp(case, shape, 0.02)
            layer[box] += strength * (0.4 + tone) * sigmoid(distance / 0.003)
    return layer


def _fluorescence(case: Case, body: np.ndarray) -> np.ndarray:
    """Photons of the nuclei, haze and other planes through a camera."""
    rng = case.rng("camera")
    signal = case.level("contrast", 1.0, 0.22)
    body = body * (1 + 0.13 * case.field("chromatin", 10, 45, 0.5))
    haze = 0.05 + 0.04 * np.maximum(case.field("haze", 0, 4), -1)
    glow = case.level("clutter", 0.05, 0.3) * case.blur(body, 0.06)
    light = signal * (body + 0.6 * _out_of_focus(case)) + haze + signal * glow
    light = np.maximum(case.blur(light, 0.0045), 0)
    photons = case.level("noise", 30, 5.5, 0.7) ** 2
    light = light + np.sqrt(light / photons) * case.noise()
    light = light + case.level("noise", 0.004, 0.022) * case.white("read noise")
    gain = np.exp(rng.uniform(np.log(0.1), np.log(0.8))) / signal**0.45
    gray = np.clip(gain * light + 0.01, 0, 1)
    return np.repeat(gray[None].astype(np.float32), 3, 0)


def _stained(case: Case, body: np.ndarray) -> np.ndarray:
    """Haematoxylin in the nuclei, eosin around them, white gaps; Beer-Lambert absorption."""
    rng = case.rng("stain")
    tint = rng.normal(1, 0.12, 3)
    blue = np.array([0.65, 0.70, 0.29]) * tint
    pink = np.array([[0.07, 0.99, 0.11], [0.3, 0.62, 0.22]])[rng.integers(2)]
    signal = case.level("contrast", 1.15, 0.3)
    body = np.minimum(body, 1.6) * (0.8 + 0.22 * case.field("chromatin", 10, 45, 0.5))
    nuclear = signal * body + 0.35 * signal * _out_of_focus(case)
    fibres = case.field("fibres", 2, 24, 0.9, ax=rng.uniform(0.3, 1))
    tissue = 0.32 + 0.1 * fibres + 0.06 * case.field("fine fibres", 12, 50, 0.3)
    gaps = sigmoid((case.field("gaps", 1, 9) - rng.uniform(0.7, 2.2)) / 0.12)
    eosin = np.maximum(tissue, 0.03) * (1 - 0.85 * gaps) * rng.uniform(0.5, 1.2)
    veil = 0.12 * case.factors["clutter"] * np.maximum(case.field("veil", 1, 6), 0)
    density = np.maximum(nuclear + veil, 0) * blue[:, None, None] * 1.4
    density = case.blur(density + eosin * pink[:, None, None], 0.0045)
    sd = case.level("noise", 0.005, 0.075)
    image = 0.95 * np.exp(-density) + sd * case.noise()
    image = image + 0.35 * sd * np.stack([case.white(f"colour {c}") for c in range(3)])
    return np.clip(image, 0, 1).astype(np.float32)
