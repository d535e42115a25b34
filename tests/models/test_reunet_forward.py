"""REUnet once more, without its classes: a forward of functions that reads a state dict."""

import json

import pytest
import torch
from torch.nn import functional as F

from tests.test_model_contract import GOLDEN, chosen, draw, settled

REPEATS = {"eb1": 4, "eb2": 7, "eb3": 7, "eb4": 10, "eb5": 10, "eb7": 4}


class Weights(dict):
    """A state dict, and the layers that take their parameters from it by name."""

    def conv(self, x, name, stride=1, groups=1, padding=None):
        weight = self[f"{name}.weight"]
        padding = weight.shape[2] // 2 if padding is None else padding
        return F.conv2d(x, weight, self.get(f"{name}.bias"), stride, padding, groups=groups)

    def norm(self, x, name):
        mean, var = self[f"{name}.running_mean"], self[f"{name}.running_var"]
        scale = self[f"{name}.weight"] / (var + 1e-3).sqrt()
        shift = self[f"{name}.bias"] - mean * scale
        return x * scale[:, None, None] + shift[:, None, None]

    def dmbc(self, x, name, limits):
        h = self.norm(self.conv(x, f"{name}.f1.0"), f"{name}.f1.1").clamp(0, limits[0])
        h = self.conv(h, f"{name}.f2.0", groups=h.shape[1])
        h = self.norm(h, f"{name}.f2.1").clamp(0, limits[1])
        h = self.conv(h, f"{name}.f2.3")
        z = (h.flatten(2).mean(2) @ self[f"{name}.ses.weigh.0.weight"].T).clamp(min=0)
        z = 1 / (1 + torch.exp(-(z @ self[f"{name}.ses.weigh.2.weight"].T)))
        h = self.norm(h * z[:, :, None, None], f"{name}.norm")
        signal = f"{name}.signal.conv"
        return h + (self.conv(x, signal) if f"{signal}.weight" in self else x)

    def block(self, x, name, repeats, limits=(6, 6)):
        for i in range(repeats):
            x = self.dmbc(x, f"{name}.chain.{i}", limits)
        return x

    def double(self, x, name):
        for i in (0, 3):
            x = self.norm(self.conv(x, f"{name}.{i}"), f"{name}.{i + 1}").clamp(min=0)
        return x

    def join(self, below, skip, name, code):
        """Put the map from below, twice as large, before the gated skip."""
        g = self.conv(below, f"{name}.gate.from_below.0")
        g = self.conv(
            self.norm(g, f"{name}.gate.from_below.1").clamp(min=0), f"{name}.gate.from_below.3"
        )
        up = f"{name}.gate.from_below.4"
        flipped = self[f"{up}.weight"].transpose(0, 1).flip(2, 3)  # stride 1: a convolution
        g = F.conv2d(g, flipped, self[f"{up}.bias"], padding=1)
        e = self.conv(skip, f"{name}.gate.from_skip", stride=2, padding=0 if code else 1)
        a = self.conv((g + e).clamp(min=0), f"{name}.gate.coefficients.1")
        skip = skip * doubled(1 / (1 + torch.exp(-a)))
        if code:
            skip = self.norm(self.conv(skip, f"{name}.gate.result.0"), f"{name}.gate.result.1")
        return torch.cat([doubled(below), skip], 1)


def doubled(x):
    return x.repeat_interleave(2, 2).repeat_interleave(2, 3)


def halved(x):
    return F.max_pool2d(x, 2)


def reference(x, w, reading="paper", wiring="described", intermediator=13):
    code, none = reading == "code", float("inf")  # no upper limit: ReLU, else ReLU6
    deep = dict(REPEATS, eb6=intermediator)
    eb1 = w.block(w.conv(x, "stem"), "eb1", 4, (none, 6 if code else none))
    eb2 = w.block(halved(eb1), "eb2", 7)
    if wiring == "released":
        into_db3 = eb2  # figure 2 has the line from DB-2 and AG-3 instead
    else:
        eb3 = w.block(halved(eb2), "deep.eb3", deep["eb3"])
        eb4 = w.block(halved(eb3), "deep.eb4", deep["eb4"])
        eb5 = w.block(halved(eb4), "deep.eb5", deep["eb5"])
        eb6 = w.join(eb5, eb4, "deep.intermediator.agw", code)
        eb6 = w.block(eb6, "deep.intermediator.eb6", deep["eb6"])
        eb7 = w.block(halved(eb6), "deep.eb7", deep["eb7"])
        db1 = w.double(w.join(eb7, eb6, "deep.ag1", code), "deep.db1.0")
        db2 = w.double(w.join(db1, eb3, "deep.ag2", code), "deep.db2.0")
        into_db3 = w.join(db2, eb2, "deep.ag3", code)
    db3 = w.double(into_db3, "db3.0")
    db4 = w.double(w.join(db3, eb1, "ag4", code), "db4.0")
    logits = w.conv(db4, "head.0")
    return w.norm(logits, "head.1") if code else logits


@pytest.mark.parametrize(
    "case", ["reunet-full", "reunet-code", "reunet-released", "reunet_released-full"]
)
def test_signed_off_numbers_come_from_the_independent_forward_too(case):
    name, ablation = case.split("-")
    options = {k: v for k, v in chosen(name, ablation).items() if k not in ("base", "dropout")}
    if name == "reunet_released":
        options |= {"reading": "code", "wiring": "released"}
    with torch.no_grad():
        weights = Weights(settled(name, ablation, torch.float64).state_dict())
        logits = reference(draw(2, 64, 64).double(), weights, **options).flatten()
    stored = json.loads(GOLDEN.read_text(encoding="utf-8"))[case]
    numbers = logits[torch.linspace(0, len(logits) - 1, 16).long()].tolist()
    assert numbers == pytest.approx(stored, abs=1e-4)
