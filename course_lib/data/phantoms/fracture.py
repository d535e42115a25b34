"""Bone X-ray with a hairline fracture: tubes of cortex and marrow, crossed by a thin crack."""

import numpy as np

from course_lib.data.phantoms.frame import Case
from course_lib.data.phantoms.shapes import gauss, label, sigmoid, stroke
from course_lib.data.phantoms.xray import expose

CHANNELS = 1
CLASSES = ("fracture",)
MARGIN = 0.032  # half width of the region that an annotator outlines round a crack


def draw(case: Case) -> tuple[np.ndarray, np.ndarray, str]:
    """Image float32 (1, size, size) 0..1, mask bool (size, size), kind: transverse or oblique."""
    rng = case.rng("shape")
    count = int(rng.integers(1, 4))
    turn = rng.uniform(-0.5, 0.5)
    bones = _Bones(case, rng, count, turn)
    density = bones.soft_tissue()
    for n in range(count):
        density = density + bones.density(n)
    broken = int(rng.integers(count))
    crack, mask, kind = _crack(case, rng, bones, broken)
    density = density - bones.density(broken) * _grooves(case, bones, broken, crack)
    if case.empty:
        mask = np.zeros_like(mask)
    else:
        density = density - bones.density(broken) * crack
    return expose(case, _add_implants(case, density, bones))[None], mask, kind


class _Bones:
    """One to three tubes side by side; u runs along them, v across."""

    def __init__(self, case: Case, rng: np.random.Generator, count: int, turn: float):
        self.case = case
        c, s = np.cos(turn), np.sin(turn)
        dx, dy = case.x - 0.5, case.y - 0.5
        self.u, across = (dy * c + dx * s), (dx * c - dy * s)
        radius = rng.uniform(0.1, 0.15, 3) / (0.5 + 0.5 * count)
        offsets = np.array([[0, 0, 0], [-0.14, 0.15, 0], [-0.25, 0, 0.25]])[count - 1]
        self.parts = []
        for n in range(count):
            bow = 0.12 * rng.uniform(-1, 1) * self.u**2
            joint = rng.uniform(0.3, 0.62) * rng.choice([-1, 1])
            flare = 1 + rng.uniform(0.25, 0.7) * sigmoid(
                (self.u * np.sign(joint) - abs(joint) + 0.14) / 0.04
            )
            beyond = np.maximum(self.u * np.sign(joint) - abs(joint) + 0.04, 0) / 0.05
            reach = radius[n] * flare * np.sqrt(np.clip(1 - beyond**2, 0, 1))
            axis = across - offsets[n] - bow
            axis = axis + 0.04 * radius[n] * case.field(f"outline {n}", 1, 6)
            self.parts.append((axis, reach, radius[n]))
        self.trabeculae = case.field("trabeculae", 12, 45, 0.6, ay=0.6)
        self._density = [self._tube(*part) for part in self.parts]

    def _tube(self, axis: np.ndarray, reach: np.ndarray, radius: float) -> np.ndarray:
        """Path of the ray through cortex and marrow, in radii of the shaft."""
        wall = np.where(reach > 1.15 * radius, 0.14, 0.34)
        wall = self.case.blur(wall.astype(np.float32), 0.02) * reach
        hollow = np.maximum(reach - wall, 0)
        outer = np.sqrt(np.clip(reach**2 - axis**2, 0, None))
        inner = np.sqrt(np.clip(hollow**2 - axis**2, 0, None))
        marrow = 0.2 + 0.06 * self.trabeculae
        path = outer - inner * (1 - np.maximum(marrow, 0.02))
        return (path / radius * 0.95).astype(np.float32)

    def density(self, n: int) -> np.ndarray:
        """Optical density of bone n."""
        return self._density[n]

    def soft_tissue(self) -> np.ndarray:
        """Muscle and skin around all bones."""
        reach = 0.0
        for axis, _, radius in self.parts:
            reach = np.maximum(reach, np.clip(1 - (axis / (radius + 0.22)) ** 2, 0, 1))
        return 0.42 * np.sqrt(reach) + 0.03 * self.case.field("muscle", 1, 9)


def _crack(
    case: Case, rng: np.random.Generator, bones: _Bones, broken: int
) -> tuple[np.ndarray, np.ndarray, str]:
    """Loss of bone 0..1 along a jagged line, the region round it, and its kind."""
    axis, reach, _ = bones.parts[broken]
    place, side = rng.uniform(-0.22, 0.22), rng.choice([-1, 1])
    lean = np.tan(rng.uniform(-0.8, 0.8))
    through = case.level("smallness", 1.0, 0.45) * rng.uniform(0.94, 1.06)
    width = case.level("smallness", 0.0095, 0.005)
    halo = case.level("softness", 0.0015, 0.02)
    jag = 0.012 * case.field("jag", 3, 22, 0.8)
    away = (bones.u - place - lean * axis + jag) / np.hypot(1, lean)
    end = side * axis + reach - 2 * through * reach
    inside = np.minimum(reach - np.abs(axis), -end) if through < 1 else reach - np.abs(axis)
    profile = gauss(away / (width + halo)) * width / (width + 0.6 * halo)
    depth = case.level("contrast", 0.95, 0.35)
    crack = depth * profile * sigmoid(-end / 0.006 if through < 1 else np.float32(9))
    mask = label(np.minimum(MARGIN - np.abs(away), inside))
    return crack, mask, "transverse" if abs(lean) < 0.45 else "oblique"


def _grooves(case: Case, bones: _Bones, broken: int, crack: np.ndarray) -> np.ndarray:
    """Faint lines like cracks, and vessels' channels along the bone; away from the crack."""
    rng, clutter = case.rng("grooves"), case.factors["clutter"]
    axis = bones.parts[broken][0]
    total = np.zeros((case.size, case.size), np.float32)
    for n in range(5):
        place, lean, width, dose = rng.uniform(size=4)
        strength = np.clip(5 * clutter - n, 0, 1)
        if strength:
            away = bones.u - (place - 0.5) * 0.9 - (2 * lean - 1) * 1.5 * axis
            away = away + 0.01 * case.field(f"groove {n}", 2, 9)
            total += strength * (0.1 + 0.2 * dose) * gauss(away / (0.004 + 0.006 * width))
    near = case.blur(crack, 0.03)
    return total * (1 - np.clip(8 * near, 0, 1))


def _add_implants(case: Case, density: np.ndarray, bones: _Bones) -> np.ndarray:
    """Plate with screws, plaster cast, a side letter."""
    rng, clutter = case.rng("implants"), case.factors["clutter"]
    chance = rng.uniform(size=6)
    cover = np.zeros((case.size, case.size), np.float32)
    if clutter > 0.6 and chance[0] < 0.35:
        axis, reach, radius = bones.parts[0]
        from_plate = np.abs(axis - reach - 0.004)
        along = np.abs(bones.u - 0.3 * (chance[3] - 0.5))
        metal = np.minimum(0.013 - from_plate, 0.17 - along)
        thread = np.abs((along + 0.03) % 0.06 - 0.03)
        screws = np.minimum(0.0055 - thread, np.minimum(0.15 - along, axis + 0.7 * radius))
        metal = np.maximum(metal, np.minimum(screws, reach - axis))
        cover = np.clip(metal * case.size + 0.5, 0, 1).astype(np.float32)
    if clutter > 0.45 and chance[1] < 0.5:
        cast = 0.12 * gauss(case.field("cast", 1, 5) / 0.8) + 0.08
        density = density + cast * sigmoid((0.4 - np.abs(case.x - 0.5)) / 0.01)
    letter = np.array([[0.08, 0.05], [0.08, 0.12], [0.12, 0.12]])
    if chance[2] < 0.3 + 0.5 * clutter:
        stroke(case, cover, letter, 0.009)
    return density + 0.9 * cover
