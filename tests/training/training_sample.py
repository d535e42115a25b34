"""Discs on noise, a net with dropout and batch normalisation, and a run that others repeat."""

import numpy as np
import pandas as pd
import torch
from torch import nn

from course_lib import training
from course_lib.data import prepared
from course_lib.data.transforms import Augmentation


def discs(number, size=16, classes=2, seed=0):
    """Bright discs; with three classes every second one is brighter and has label 2."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[:size, :size]
    images = random.integers(0, 60, (number, 1, size, size))
    masks = np.zeros((number, size, size), np.uint8)
    for i in range(number):
        row, column = random.uniform(4, size - 4, 2)
        inside = (y - row) ** 2 + (x - column) ** 2 < random.uniform(2, 5) ** 2
        label = 1 + i % (classes - 1)
        images[i, 0][inside] += 90 * label
        masks[i][inside] = label
    cases = pd.DataFrame({"case_id": [f"disc{i:03d}" for i in range(number)]})
    cases["group"] = cases["case_id"]
    names = [{"name": name, "colour": "#888888"} for name in ("background", "disc", "bright")]
    return prepared.from_arrays("discs", images.astype(np.uint8), masks, cases, names[:classes])


class StagedNet(nn.Module):
    """Two stages, batch normalisation and dropout; 1 channel in."""

    def __init__(self, num_classes=1, norm=True, dropout=0.2):
        super().__init__()
        self.first = nn.Sequential(
            nn.Conv2d(1, 6, 3, padding=1, bias=not norm),
            nn.BatchNorm2d(6) if norm else nn.Identity(),
            nn.ReLU(),
        )
        self.second = nn.Sequential(nn.Conv2d(6, 6, 3, padding=1), nn.ReLU(), nn.Dropout2d(dropout))
        self.heads = nn.ModuleList(nn.Conv2d(6, num_classes, 1) for _ in range(2))

    def forward_stages(self, x):
        first = self.first(x)
        return [self.heads[0](first), self.heads[1](self.second(first))]

    def forward(self, x):
        return self.heads[1](self.second(self.first(x)))


def make_net(seed=0, **options):
    torch.manual_seed(seed)
    return StagedNet(**options)


def make_protocol(**changes):
    fields = {"learning_rate": 0.02, "epochs": 4, "batch": 4, "precision": "float32"}
    return training.Protocol(**{**fields, **changes})


def everything_random(**changes):
    """A protocol with all that a resumed run could get wrong."""
    return make_protocol(
        optimiser="adamw",
        weight_decay=0.01,
        schedule="cosine",
        epochs=5,
        clip=1.0,
        augmentation=Augmentation(flip=True, rotate=10, shift=0.1, elastic=0.02),
        **changes,
    )


def fit_discs(out, protocol, **options):
    """Train on 22 discs (a short last batch), validate on 9."""
    net = options.pop("net", None) or make_net()
    train, validation = options.pop("train", discs(22)), discs(9, seed=1)
    history = training.fit(net, train, validation, protocol, out, device="cpu", **options)
    return net, history


def equal_weights(one, other):
    """Tell whether two state dicts are equal bit for bit."""
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def last_state(out):
    """Read ``last.pt``."""
    return torch.load(out / "last.pt", weights_only=True)
