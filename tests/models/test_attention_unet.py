import json

import pytest
import torch
from torch.nn import functional as F

from course_lib import models
from course_lib.models.attention_unet import GridGate
from tests.models.test_unet import double_conv
from tests.test_model_contract import GOLDEN, draw, settled


def test_the_gate_is_monais_on_the_coarse_grid():
    monai = pytest.importorskip("monai.networks.nets.attentionunet")
    torch.manual_seed(0)
    ours, theirs = GridGate(8), monai.AttentionBlock(2, f_int=4, f_g=16, f_l=8).eval()
    with torch.no_grad():
        for conv, sequence in (
            (ours.skip, theirs.W_x),
            (ours.gating, theirs.W_g),
            (ours.psi, theirs.psi),
        ):
            torch.nn.init.normal_(conv.weight)
            if conv.bias is not None:
                torch.nn.init.normal_(conv.bias)
            sequence[0].conv.weight.copy_(conv.weight)
            sequence[0].conv.bias.copy_(0 if conv.bias is None else conv.bias)
            sequence[1].eps = 0.0  # with mean 0 and variance 1 the normalisation is the identity
        skip, below = torch.randn(2, 8, 12, 20), torch.randn(2, 16, 6, 10)
        corner = skip[:, :, ::2, ::2]
        coarse = theirs(below, corner)[:, :1] / corner[:, :1]
        gated, coefficients = ours(skip, below)
        expected = F.interpolate(coarse, size=(12, 20), mode="bilinear")
    assert expected.std() > 0.1
    torch.testing.assert_close(coefficients, expected, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(gated, coefficients * skip)


def reference(x, w, depth=4):
    """The net without the class: a list of maps down, gates and the same list back up."""
    down = []
    for level in range(depth):
        x = double_conv(x, w, f"encoder.{level}", True)
        down.append(x)
        x = F.max_pool2d(x, 2)
    x = double_conv(x, w, "bottleneck", True)
    for level in range(depth - 1, -1, -1):
        skip, gate = down.pop(), f"gates.{level}"
        q = F.conv2d(skip[:, :, ::2, ::2], w[f"{gate}.skip.weight"])
        q = q + F.conv2d(x, w[f"{gate}.gating.weight"], w[f"{gate}.gating.bias"])
        q = F.conv2d(q.clamp(min=0), w[f"{gate}.psi.weight"], w[f"{gate}.psi.bias"])
        a = F.interpolate(1 / (1 + torch.exp(-q)), size=skip.shape[2:], mode="bilinear")
        x = F.conv_transpose2d(x, w[f"up.{level}.weight"], w[f"up.{level}.bias"], stride=2)
        x = double_conv(torch.cat((a * skip, x), 1), w, f"decoder.{level}", True)
    return F.conv2d(x, w["head.weight"], w["head.bias"])


def test_signed_off_numbers_come_from_the_independent_forward_too():
    weights = settled("attention_unet", "full").state_dict()
    logits = reference(draw(2, 64, 64), weights).flatten()
    stored = json.loads(GOLDEN.read_text(encoding="utf-8"))["attention_unet-full"]
    numbers = logits[torch.linspace(0, len(logits) - 1, 16).long()].tolist()
    assert numbers == pytest.approx(stored, abs=1e-4)


def test_features_carry_the_coefficients_of_every_gate():
    net = models.create("attention_unet", base=2, depth=2).eval()
    features = net.forward_features(torch.randn(1, 3, 16, 24))
    assert list(features) == [
        "encoder0", "encoder1", "bottleneck", "gate1", "decoder1", "gate0", "decoder0",
    ]  # fmt: skip
    assert features["gate1"].shape == (1, 1, 8, 12)
    assert features["gate0"].shape == (1, 1, 16, 24)
    assert 0 <= features["gate0"].min() < features["gate0"].max() <= 1


def test_a_width_that_cannot_be_halved_is_refused():
    with pytest.raises(ValueError, match=r"base must be at least 2.* got 1"):
        models.create("attention_unet", base=1)
