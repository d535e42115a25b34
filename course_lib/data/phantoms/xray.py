"""Chest X-ray: both lung fields, with ribs, heart, vessels and what may hide them."""

import numpy as np

from course_lib.data.phantoms.frame import Case
from course_lib.data.phantoms.shapes import blob, gauss, label, sigmoid, stamp, stroke

CHANNELS = 1
CLASSES = ("lung",)


def draw(case: Case) -> tuple[np.ndarray, np.ndarray, str]:
    """Image float32 (1, size, size) 0..1, mask bool (size, size), kind: posterior-anterior."""
    body = _Body(case)
    density = _soft_tissue(case, body) + _bones(case, body) + _clutter(case, body)
    return expose(case, density)[None], label(body.lungs), "posterior-anterior"


def _smooth_min(parts: list[np.ndarray], radius: float) -> np.ndarray:
    """Minimum with rounded corners."""
    total = sum(np.exp(np.minimum(-part / radius, 80)) for part in parts)
    return -radius * np.log(total)


class _Body:
    """Geometry: signed distances of lungs, heart and thorax, positive inside."""

    def __init__(self, case: Case):
        rng = case.rng("shape")
        self.scale = case.level("smallness", 1.0, 0.66, 1.5) * rng.uniform(0.96, 1.04)
        self.cx, self.cy = 0.5 + 0.02 * rng.uniform(-1, 1), 0.49 + 0.03 * rng.uniform(-1, 1)
        self.x, self.y = (case.x - self.cx) / self.scale, (case.y - self.cy) / self.scale
        warp = 0.01 * case.field("warp", 2, 7)
        apex = -0.38 + 0.02 * rng.uniform(-1, 1)
        wide, heart = rng.uniform(0.38, 0.43), rng.uniform(0.1, 0.2)
        dome_height = rng.uniform(0.27, 0.33)
        sides = []
        for side in (-1, 1):
            out = side * self.x
            narrow = 1.5 * np.maximum(-self.y - 0.02, 0) ** 2
            lateral = wide + 0.06 * np.minimum(self.y, 0.2) - narrow - out
            bulge = heart if side > 0 else 0.3 * heart
            knob = 0.03 * gauss((self.y + 0.13) / 0.05) * (side > 0)
            inner = 0.055 + bulge * gauss((self.y - 0.24) / 0.19) + knob
            dome = dome_height + 0.025 * side - 1.1 * (out - 0.19) ** 2 - self.y
            dome = dome + 2.4 * np.maximum(out - 0.25, 0) ** 1.5 - 0.04
            top = self.y - apex - 3.2 * (out - 0.17) ** 2
            sides.append(_smooth_min([lateral, out - inner, dome, top], 0.018))
        self.lungs = ((np.maximum(*sides) + warp) * self.scale).astype(np.float32)
        self.edge = wide + 0.06


def _soft_tissue(case: Case, body: _Body) -> np.ndarray:
    """Optical density of muscle, mediastinum and abdomen; the lungs are what is missing."""
    rng = case.rng("tissue")
    x, y = body.x, body.y
    chest = np.sqrt(np.clip(1 - (x / (body.edge + 0.05 + 0.1 * np.maximum(y, 0))) ** 2, 0, 1))
    arms = 0.5 * sigmoid((np.abs(x) - body.edge - 0.02 + 0.4 * np.minimum(y + 0.25, 0)) / 0.02)
    shoulders = 0.45 * sigmoid((-y - 0.3 + 0.25 * np.abs(x)) / 0.04) * (np.abs(x) > 0.05)
    neck = sigmoid((0.09 - np.abs(x)) / 0.02)
    density = 0.7 * chest + arms + shoulders * sigmoid((0.55 - np.abs(x)) / 0.05)
    density = density + 0.3 * sigmoid((y - 0.27) / 0.04) + 0.4 * gauss(x / 0.09) + 0.15 * neck
    heart = gauss((x - 0.06) / 0.12) * gauss((y - 0.2) / 0.14)
    trachea = 0.16 * gauss(x / 0.016) * sigmoid((-y - 0.06) / 0.03)
    density = density + 0.3 * heart - trachea + 0.05 * case.field("tissue", 1, 8)
    width = case.level("softness", 0.004, 0.03)
    alpha = sigmoid(body.lungs / width)
    depth = case.level("contrast", 0.8, 0.17) * rng.uniform(0.95, 1.05)
    uneven = 1 + 0.12 * case.field("air", 1, 6)
    hilum = gauss((np.abs(x) - 0.11) / 0.15) * gauss(y / 0.22)
    vessels = gauss(case.field("vessels", 4, 26, 0.8) / 0.2) * (0.25 + 1.1 * hilum)
    lungs = depth * uneven * (1 - 0.3 * vessels - 0.35 * hilum)
    return density - alpha * lungs


def _bones(case: Case, body: _Body) -> np.ndarray:
    """Ribs with bright rims, clavicles, spine."""
    rng = case.rng("bones")
    x, y = np.abs(body.x), body.y
    strength = case.level("clutter", 0.1, 0.24)
    sign = np.sign(body.x)
    density = np.zeros((case.size, case.size), np.float32)
    pitch, start = rng.uniform(0.082, 0.092), rng.uniform(-0.42, -0.39)
    lean = 0.012 * rng.uniform(-1, 1)
    for n in range(8):
        half = 0.014 + 0.001 * n
        steep = 0.18 + 0.035 * n
        turn = np.clip(x - 0.03, 0, 0.42)
        posterior = y - (start + pitch * n + steep * turn - 0.9 * turn * (0.25 - turn))
        posterior = posterior + lean * sign
        density += _rib(posterior, half, strength) * sigmoid((body.edge - x) / 0.01)
        front = np.clip(body.edge - x, 0, 0.3)
        anterior = y - (start + pitch * n + steep * 0.4 + 0.9 * front - 0.8 * front**2)
        there = sigmoid((x - 0.12) / 0.03) * sigmoid((body.edge - x) / 0.01)
        density += 0.45 * _rib(anterior, 1.2 * half, strength) * there
    clavicle = y + 0.33 - 0.3 * (x - 0.05) + 0.55 * np.maximum(x - 0.2, 0) + lean * sign
    density += 1.5 * _rib(clavicle, 0.017, strength) * sigmoid((x - 0.035) / 0.01)
    density = density * sigmoid((0.62 - x) / 0.03)
    blocks = 0.8 + 0.2 * np.cos(2 * np.pi * y / 0.075)
    return density + 0.16 * gauss(x / 0.04) ** 2 * blocks


def _rib(away: np.ndarray, half: float, strength: float) -> np.ndarray:
    inside = np.clip(1 - (away / half) ** 2, 0, 1)
    rim = gauss((np.abs(away) - half) / (0.28 * half))
    return strength * (0.6 * np.sqrt(inside) + 0.35 * rim)


def _clutter(case: Case, body: _Body) -> np.ndarray:
    """Consolidations inside the lungs (still lung), tubes, leads, a side letter."""
    rng, clutter = case.rng("clutter"), case.factors["clutter"]
    density = np.zeros((case.size, case.size), np.float32)
    for n in range(6):
        side, u, v, size, dose = rng.uniform(size=5)
        x = body.cx + body.scale * (0.13 + 0.2 * u) * (1 if side < 0.5 else -1)
        y = body.cy + body.scale * (-0.22 + 0.5 * v)
        patch = blob(rng, x, y, 0.035 + 0.075 * size, 0.15, np.exp(u - 0.5))
        strength = np.clip(6 * clutter - n, 0, 1)
        if strength:
            box, distance = stamp(case, patch, 0.1)
            density[box] += strength * (0.12 + 0.34 * dose) * sigmoid(distance / 0.022)
    cover = np.zeros_like(density)
    chance = rng.uniform(size=6)
    if clutter > 0.4 and chance[0] < 0.6:
        down = np.linspace(0, 0.35 + 0.3 * chance[1], 7)
        tube = np.stack([body.cx + 0.05 * np.sin(5 * down + 6 * chance[2]), down], 1)
        stroke(case, cover, tube, 0.008)
    if clutter > 0.55 and chance[3] < 0.6:
        across = np.linspace(0, 1, 9)
        lead = np.stack([across, 0.3 + 0.4 * chance[4] + 0.1 * np.sin(4 * across)], 1)
        stroke(case, cover, lead, 0.005)
    letter = np.array([[0.06, 0.12], [0.06, 0.05], [0.1, 0.05], [0.1, 0.085], [0.06, 0.085]])
    if chance[5] < 0.3 + 0.6 * clutter:
        stroke(case, cover, letter, 0.009)
    return density + 0.4 * cover


def expose(case: Case, density: np.ndarray) -> np.ndarray:
    """Film of an optical density: saturation, scatter, blur, quantum noise, -log display."""
    rng = case.rng("exposure")
    density = 1.7 * np.tanh(np.maximum(density, 0) / 1.7)
    light = np.exp(-density)
    light = 0.94 * light + 0.06 * case.blur(light, 0.08)
    light = case.blur(light, 0.0035)
    photons = case.level("noise", 70, 12, 0.7) ** 2
    light = light + np.sqrt(light / photons) * case.noise()
    film = -np.log(np.clip(light, 0.01, 1.5))
    low, span = rng.uniform(0.0, 0.12), rng.uniform(1.45, 1.75)
    return np.clip((film - low) / span, 0, 1).astype(np.float32) ** rng.uniform(0.85, 1.15)
