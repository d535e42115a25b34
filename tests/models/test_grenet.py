"""GREnet: its memory against NumPy, the net against an independent forward, its counts."""

import json

import numpy as np
import pytest
import torch
from scipy.signal import correlate2d
from torch import nn
from torch.nn import functional as F

from course_lib import models
from course_lib.models import measure
from course_lib.models.convlstm import ConvLSTMCell
from course_lib.models.grenet import GREnet, SelectiveKernel
from tests.closed_forms_sigrenet import grenet_macs, grenet_parameters
from tests.test_model_contract import GOLDEN, draw, settled


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def numpy_step(x, h, c, weight, bias, activation):
    """One step for one image: (C, H, W) and two (hidden, H, W) to the next h and c."""
    both = np.concatenate([x, h])
    parts = [
        sum(correlate2d(m, k, mode="same") for m, k in zip(both, kernels, strict=True)) + b
        for kernels, b in zip(weight, bias, strict=True)
    ]
    i, f, o, g = np.split(np.stack(parts), 4)
    c = sigmoid(f) * c + sigmoid(i) * activation(g)
    return sigmoid(o) * activation(c), c


@pytest.mark.parametrize(("name", "activation"), [("tanh", np.tanh), ("relu", lambda x: x.clip(0))])
@pytest.mark.parametrize("skip_zero_state", [False, True])
@pytest.mark.parametrize("kernel", [1, 3])
def test_the_cell_equals_numpy(name, activation, skip_zero_state, kernel):
    torch.manual_seed(0)
    cell = ConvLSTMCell(3, 2, kernel=kernel, activation=name, skip_zero_state=skip_zero_state)
    cell = cell.double()
    weight, bias = (p.detach().numpy() for p in (cell.conv.weight, cell.conv.bias))
    images = torch.randn(3, 2, 3, 5, 7, dtype=torch.float64)  # three steps of two images
    h, c = np.zeros((2, 2, 2, 5, 7))
    state = None
    for x in images:
        state = cell(x, state)
        for n in range(2):
            h[n], c[n] = numpy_step(x[n].numpy(), h[n], c[n], weight, bias, activation)
        np.testing.assert_allclose(state.h.detach().numpy(), h, atol=1e-12)
        np.testing.assert_allclose(state.c.detach().numpy(), c, atol=1e-12)
    for gate in (state.i, state.f, state.o):
        assert 0 < gate.min() < gate.max() < 1


def test_a_cell_that_cannot_be_built_is_refused():
    with pytest.raises(ValueError, match=r"activation must be 'tanh' or 'relu', got 'gelu'"):
        ConvLSTMCell(1, 1, activation="gelu")
    with pytest.raises(ValueError, match=r"kernel must be odd.* got 2"):
        ConvLSTMCell(1, 1, kernel=2)


def test_the_selective_kernel_is_its_formula():
    torch.manual_seed(0)
    block, x = SelectiveKernel(4), torch.randn(2, 4, 6, 5)
    w = block.state_dict()
    u = [
        F.conv2d(x, w[f"branches.{b}.0.weight"], w[f"branches.{b}.0.bias"], padding=b + 1).relu()
        for b in (0, 1)
    ]
    s = (u[0] + u[1]).mean((2, 3)) @ w["squeeze.0.weight"][:, :, 0, 0].T + w["squeeze.0.bias"]
    z = F.group_norm(s, 4, w["squeeze.1.weight"], w["squeeze.1.bias"]).relu()
    logits = [z @ w[f"choose.{b}.weight"][:, :, 0, 0].T + w[f"choose.{b}.bias"] for b in (0, 1)]
    share = torch.stack(logits).softmax(0)[..., None, None]
    torch.testing.assert_close(block(x), (share * torch.stack(u)).sum(0))


def conv(x, w, name, relu=True, padding=1):
    x = F.conv2d(x, w[f"{name}.weight"], w[f"{name}.bias"], padding=padding)
    return x.relu() if relu else x


def lstm(x, w, state):
    h, c = state
    gates = conv(torch.cat([x, h], 1), w, "bottleneck.cell.conv", relu=False)
    i, f, o, g = gates.split(h.shape[1], 1)
    c = f.sigmoid() * c + i.sigmoid() * g.tanh()
    return o.sigmoid() * c.tanh(), c


def reference(x, w, levels, steps, shared):
    """The net without its classes, without selective kernel: the logits of every step."""
    outputs, f = [], None
    for t in range(steps):
        stage = f"stages.{0 if shared else t}."
        v = {name.removeprefix(stage): p for name, p in w.items() if name.startswith(stage)}
        a, skips = x, []
        for level in range(levels):
            a = conv(conv(a, v, f"encoder.{level}.0"), v, f"encoder.{level}.2")
            skips.append(a)
            a = F.max_pool2d(a, 2)
        e = conv(a, v, "entry.0")
        zero = torch.zeros_like(e)
        if not shared and t == 0:
            f = conv(e, v, "bottleneck.conv.0")
        else:
            state = (zero, zero)
            for seen in (e,) if t == 0 else (f, e):
                state = lstm(seen, v, state)
            memory = conv(state[0], v, "bottleneck.conv.0")
            both = torch.cat([memory, zero if f is None else f], 1)
            f = conv(both, v, "bottleneck.join.0", padding=0)
        a = f
        for level in reversed(range(levels)):
            a = F.interpolate(a, size=skips[level].shape[2:])
            a = torch.cat([a, skips[level]], 1)
            a = conv(conv(a, v, f"decoder.{level}.0"), v, f"decoder.{level}.2")
        outputs.append(conv(a, v, "head", relu=False, padding=0))
    return outputs


@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize("skip_zero_state", [True, False])
def test_forward_equals_an_independent_one(shared, skip_zero_state):
    torch.manual_seed(0)
    net = GREnet(
        2, 3, channels=(3, 4, 6), steps=3, shared=shared, skip_zero_state=skip_zero_state
    ).double()
    x = torch.randn(2, 2, 17, 22, dtype=torch.float64)
    expected = reference(x, net.state_dict(), 2, 3, shared)
    for ours, theirs in zip(net.forward_stages(x), expected, strict=True):
        torch.testing.assert_close(ours, theirs)
    assert (expected[0] - expected[2]).abs().max() > 1e-3


@pytest.mark.parametrize("ablation", ["full", "unrolled"])
def test_signed_off_numbers_come_from_the_independent_forward_too(ablation):
    weights = settled("grenet", ablation).state_dict()
    logits = reference(draw(2, 64, 64), weights, 2, 3, ablation == "full")[-1].flatten()
    stored = json.loads(GOLDEN.read_text(encoding="utf-8"))[f"grenet-{ablation}"]
    numbers = logits[torch.linspace(0, len(logits) - 1, 16).long()].tolist()
    assert numbers == pytest.approx(stored, abs=1e-4)


class Training(nn.Module):
    """What is computed in training, as a net to count."""

    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, x):
        return self.net.forward_stages(x)


# options: parameters, GMAC of forward, of forward_stages (256 x 256 x 3; None: not stated)
COUNTS = {
    (3, True, False): (6_813_569, 9.9447, 14.7786),
    (2, True, False): (6_813_569, 7.3442, 9.7612),
    (4, True, False): (6_813_569, 12.5452, 19.7961),
    (3, True, True): (9_240_193, None, 16.4905),
    (3, False, True): (20_443_011, None, 16.5469),
    (3, False, False): (15_589_763, 10.5717, 15.4057),
    (4, False, True): (29_683_204, None, 23.0693),
    (4, False, False): (22_403_332, None, 21.3574),
}


@pytest.mark.parametrize(("steps", "shared", "selective"), COUNTS)
def test_counts_are_hit(steps, shared, selective):
    options = {"steps": steps, "shared": shared, "selective": selective}
    with torch.device("meta"):
        net = GREnet(3, 1, **options)
    parameters, forward, stages = COUNTS[steps, shared, selective]
    counted = measure.count_parameters(net)
    assert counted == parameters == grenet_parameters(**options)
    macs = measure.count_macs(net, (3, 256, 256))
    assert macs == grenet_macs(256, 256, **options)
    assert forward is None or round(macs / 1e9, 4) == forward
    macs = measure.count_macs(Training(net), (3, 256, 256))
    assert macs == grenet_macs(256, 256, **options, decoders=steps)
    assert round(macs / 1e9, 4) == stages


def test_the_state_of_zeros_is_a_fifth_of_the_work():
    with torch.device("meta"):
        net = GREnet(3, 1, skip_zero_state=True)
    macs = measure.count_macs(net, (3, 256, 256))
    assert macs == grenet_macs(256, 256, half_of_zero_state=False)
    assert round(macs / 1e9, 4) == 8.1328


def test_the_memory_is_most_of_the_net():
    with torch.device("meta"):
        cell = ConvLSTMCell(256, 256)
    assert measure.count_parameters(cell) == 72 * 256**2 + 4 * 256 == 4_719_616


def test_features_carry_gates_states_and_every_f():
    torch.manual_seed(0)
    net = models.create("grenet", channels=(2, 3, 4), steps=2)
    features = net.forward_features(torch.randn(1, 3, 12, 16))
    assert list(features) == [
        "t1_encoder0", "t1_encoder1", "t1_e",
        *(f"t1_s1_{name}" for name in "ifogch"), "t1_f",
        *(f"t2_s1_{name}" for name in "ifogch"), *(f"t2_s2_{name}" for name in "ifogch"), "t2_f",
        "decoder1", "decoder0",
    ]  # fmt: skip
    assert features["t2_s2_i"].shape == (1, 4, 3, 4)
    assert features["decoder0"].shape == (1, 2, 12, 16)
    again = features["t2_s2_f"] * features["t2_s1_c"] + features["t2_s2_i"] * features["t2_s2_g"]
    torch.testing.assert_close(again, features["t2_s2_c"])


def test_one_image_with_a_single_value_at_the_bottleneck_can_be_trained_on():
    net = GREnet(3, 1, channels=(2, 4, 16), selective=True)
    sum(z.sum() for z in net.forward_stages(torch.randn(1, 3, 4, 4))).backward()
    assert all(torch.isfinite(p.grad).all() for p in net.parameters())


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"steps": 0}, "steps must be a whole number from 1, got 0"),
        ({"channels": (8,)}, r"channels must name at least 2 levels, got \(8,\)"),
        ({"channels": (8, 0)}, r"channels\[1\] must be a whole number from 1, got 0"),
        ({"activation": "gelu"}, "activation must be 'tanh' or 'relu'"),
    ],
)
def test_wrong_options_are_refused(options, words):
    with pytest.raises(ValueError, match=words):
        models.create("grenet", **options)
