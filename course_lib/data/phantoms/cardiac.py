"""Short-axis cardiac MRI: right ventricle, myocardium and left ventricle in a chest."""

import numpy as np

from course_lib.data.phantoms.frame import Case
from course_lib.data.phantoms.shapes import blob, gauss, label, sigmoid, stamp

CHANNELS = 1
CLASSES = ("right ventricle", "myocardium", "left ventricle")
_TISSUE = 0.36


def draw(case: Case) -> tuple[np.ndarray, np.ndarray, str]:
    """Image float32 (1, size, size) 0..1, labels uint8 (size, size) 0..3, kind of heart."""
    rng = case.rng("shape")
    radius = case.level("smallness", 0.145, 0.072, 1.5) * rng.uniform(0.92, 1.08)
    thick = rng.uniform(0.28, 0.55)
    heart = _Heart(case, rng, radius, thick)
    image = _chest(case, heart)
    image = _add_heart(case, image, heart)
    image = _scan(case, image)
    return image[None], heart.labels(), "hypertrophic" if thick > 0.45 else "normal"


class _Heart:
    """Signed distances of the cavities and of the wall, positive inside."""

    def __init__(self, case: Case, rng: np.random.Generator, radius: float, thick: float):
        self.radius = radius
        self.x, self.y = 0.53 + 0.05 * rng.uniform(-1, 1, 2)
        aspect, tilt = np.exp(0.07 * rng.standard_normal()), rng.uniform(-0.5, 0.5)
        shift = 0.08 * radius * rng.uniform(-1, 1, 2)
        outer = blob(rng, self.x, self.y, radius, 0.02, aspect, tilt)
        inner_radius = radius * (1 - thick)
        inner = blob(rng, self.x + shift[0], self.y + shift[1], inner_radius, 0.045, aspect, tilt)
        warp = radius * 0.05 * case.field("warp", 3, 12)
        self.epicardium = outer.distance(case.x, case.y) + warp
        self.left = np.minimum(
            inner.distance(case.x, case.y) + warp, self.epicardium - 0.12 * radius
        )
        towards = rng.uniform(-0.35, 0.6)
        far = radius * rng.uniform(0.72, 0.95)
        self.rv = blob(
            rng,
            self.x - far * np.cos(towards),
            self.y - far * np.sin(towards),
            radius * rng.uniform(0.98, 1.15),
            0.07,
            np.exp(0.12 * rng.standard_normal() - 0.2),
            towards,
        )
        septum = self.epicardium + 0.03 * radius
        self.right = np.minimum(self.rv.distance(case.x, case.y) + warp, -septum)
        self.outside = np.maximum(self.epicardium, self.rv.distance(case.x, case.y) + warp)

    def labels(self) -> np.ndarray:
        """1 right cavity, 2 myocardium, 3 left cavity."""
        labels = np.zeros(self.left.shape, np.uint8)
        labels[label(self.right)] = 1
        labels[label(self.epicardium)] = 2
        labels[label(self.left)] = 3
        return labels


def _chest(case: Case, heart: _Heart) -> np.ndarray:
    """Lungs, liver, stomach, aorta, chest wall, air."""
    rng = case.rng("chest")
    x, y = case.x, case.y
    bend = 0.03 * case.field("organs", 1, 5)
    texture = case.field("tissue", 3, 28, 0.8)
    image = np.full((case.size, case.size), _TISSUE, np.float32) + 0.035 * texture
    for side, reach in ((-1, rng.uniform(0.2, 0.32)), (1, rng.uniform(0.3, 0.42))):
        lung = blob(rng, 0.5 + side * (0.28 + 0.12 * reach), 0.4, reach, 0.06, 0.7, -0.2 * side)
        air = sigmoid((lung.distance(x, y) + bend) / 0.012)
        vessels = np.maximum(case.field(f"lung {side}", 6, 30, 0.7) - 0.9, 0)
        image += air * (0.05 + 0.11 * vessels - image)
    dome = rng.uniform(0.7, 0.82) + 0.25 * (x - 0.35) ** 2 + bend
    image += sigmoid((y - dome) / 0.01) * (rng.uniform(0.36, 0.46) + 0.03 * texture - image)
    veins = gauss(case.field("liver veins", 2, 9) / 0.09) * sigmoid((y - dome - 0.02) / 0.01)
    image += 0.14 * veins
    stomach = blob(rng, rng.uniform(0.75, 0.9), rng.uniform(0.78, 0.9), 0.09, 0.1, 1.3)
    image += sigmoid((stomach.distance(x, y) + bend) / 0.01) * (rng.uniform(0.1, 0.75) - image)
    aorta = blob(rng, rng.uniform(0.58, 0.7), rng.uniform(0.74, 0.8), 0.045, 0.03)
    box, distance = stamp(case, aorta, 0.03)
    image[box] += sigmoid(distance / 0.006) * (0.8 - image[box])
    edge = rng.uniform(0.06, 0.14) + 0.35 * (x - rng.uniform(0.4, 0.6)) ** 2 + 0.3 * bend
    under = y - edge
    muscle, fat = rng.uniform(0.035, 0.06), rng.uniform(0.03, 0.07)
    wall = sigmoid((muscle + fat - under) / 0.006)
    ribs = 0.12 * case.field("ribs", 5, 14, 0.3, ax=0.6)
    image += wall * (0.3 + ribs - image)
    image += sigmoid((fat - under) / 0.006) * (0.85 + 0.05 * texture - image)
    image *= sigmoid(under / 0.005)
    # The more of the heart's surroundings is tissue instead of lung, the less it stands out.
    collar = case.level("contrast", 0.008, 0.06) * (1 + 0.5 * case.field("collar", 1, 6))
    near = sigmoid((heart.outside + collar) / 0.02)
    return image + near * (_TISSUE + 0.03 * texture - image)


def _add_heart(case: Case, image: np.ndarray, heart: _Heart) -> np.ndarray:
    """Bright blood, dark muscle, papillary muscles, bright fat round the heart, vessels."""
    rng = case.rng("heart")
    width = case.level("softness", 0.003, 0.028) * (heart.radius / 0.14) ** 0.5
    blood = case.level("contrast", 0.92, 0.56)
    muscle = case.level("contrast", 0.24, 0.36)
    flow = 1 + 0.06 * case.field("flow", 2, 10)
    fat = case.level("contrast", 0.85, 0.2) * gauss((heart.outside + 0.018) / 0.022)
    patchy = sigmoid((case.field("fat", 2, 9) + 0.2) / 0.3)
    image = image + 0.25 * fat * patchy * (heart.outside < 0.02)
    image = _add_vessels(case, image, heart, blood)
    fibre = muscle + 0.02 * case.field("muscle", 5, 30, 0.5)
    rv_wall = sigmoid((heart.outside + 0.012) / width) * (1 - sigmoid(heart.outside / width))
    image = image + rv_wall * (fibre - image)
    image = image + sigmoid(heart.outside / width) * (fibre - image)
    image = image + sigmoid(heart.right / width) * (blood * 0.95 * flow - image)
    image = image + sigmoid(heart.left / width) * (blood * flow - image)
    rough = np.maximum(case.field("trabeculae", 10, 30, 0.3) - 0.6, 0)
    depth = gauss(np.maximum(heart.right, 0) / (0.2 * heart.radius)) * (heart.right > 0)
    image -= (0.1 + 0.25 * case.factors["clutter"]) * rough * depth * (blood - muscle)
    for turn in (rng.uniform(-0.5, 0.7), rng.uniform(2.2, 3.6)):
        reach = heart.radius * rng.uniform(0.28, 0.42)
        size = heart.radius * rng.uniform(0.07, 0.13)
        papillary = blob(
            rng, heart.x + reach * np.cos(turn), heart.y + reach * np.sin(turn), size, 0.12
        )
        box, distance = stamp(case, papillary, 4 * width)
        inside = sigmoid(distance / width) * sigmoid(heart.left[box] / width)
        image[box] += 0.85 * inside * (muscle - image[box])
    return image


def _add_vessels(case: Case, image: np.ndarray, heart: _Heart, blood: float) -> np.ndarray:
    """Round bright vessels beside the heart, which could be a ventricle."""
    rng, clutter = case.rng("vessels"), case.factors["clutter"]
    for n in range(7):
        turn, away, size, tone = rng.uniform(size=4)
        reach = heart.radius * (1.5 + 1.6 * away)
        x = heart.x + 1.3 * reach * np.cos(2 * np.pi * turn)
        y = heart.y + reach * np.sin(2 * np.pi * turn)
        vessel = blob(rng, x, y, 0.016 + 0.04 * size, 0.05, np.exp(0.8 * tone - 0.4), 3 * turn)
        strength = np.clip(7 * clutter - n, 0, 1)
        if strength:
            box, distance = stamp(case, vessel, 0.03)
            cover = strength * sigmoid(distance / 0.006)
            wall = strength * gauss((distance + 0.012) / 0.008)
            image[box] += cover * ((0.6 + 0.4 * tone) * blood - image[box])
            image[box] -= 0.5 * wall * image[box] * clutter
    return image


def _scan(case: Case, image: np.ndarray) -> np.ndarray:
    """Coil sensitivity, ghost along the phase direction, Rician noise."""
    rng, clutter = case.rng("scan"), case.factors["clutter"]
    tilt = (0.25 + 0.9 * clutter) * rng.uniform(-0.6, 0.6, 2)
    bias = 0.12 * case.field("bias", 0, 2.5) + tilt[0] * (case.x - 0.5) + tilt[1] * (case.y - 0.5)
    image = case.blur(np.maximum(image, 0), 0.004) * np.exp(bias)
    shift = int(case.size * rng.uniform(0.3, 0.5))
    image = image + 0.07 * clutter * rng.uniform() * np.roll(image, shift, 0)
    sd = case.level("noise", 0.006, 0.09)
    image = np.hypot(image + sd * case.noise(), sd * case.white("other channel"))
    return np.clip(image * rng.uniform(0.72, 0.98), 0, 1).astype(np.float32)
