import json

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from course_lib import models
from course_lib.models.bionet import ABLATIONS, BiONet
from course_lib.models.measure import (
    count_macs,
    count_parameters,
    receptive_field,
    unreached_parameters,
)
from course_lib.models.shared_conv import SharedConv
from tests.closed_forms_plnet import bionet_macs, bionet_parameters, bionet_total
from tests.test_model_contract import GOLDEN, draw, settled

DEAD_UP = 112**2 * 9 * 32 * 32  # the last up-convolution of a pass whose result feeds nothing
# t, integrate: trainable, with running statistics, Mi of each, GMAC at 224 with the dead part
COUNTS = {
    (1, False): (14_964_417, 14_974_529, "14.2712", "14.2808", 6.866),
    (2, False): (14_974_209, 14_994_113, "14.2805", "14.2995", 11.837),
    (3, False): (14_984_001, 15_013_697, "14.2899", "14.3182", 16.808),
    (2, True): (14_983_425, 15_003_329, "14.2893", "14.3083", 12.299),
    (3, True): (15_002_433, 15_032_129, "14.3074", "14.3358", 17.733),
}


@pytest.mark.parametrize(("t", "integrate"), COUNTS)
def test_counts_are_hit_to_the_unit(t, integrate):
    with torch.device("meta"):
        net = BiONet(3, 1, t=t, integrate=integrate)
    trainable, total, *in_mi, gmac = COUNTS[t, integrate]
    options = {"t": t, "integrate": integrate}
    assert count_parameters(net) == bionet_parameters(**options) == trainable
    assert count_parameters(net, buffers=True) == bionet_total(**options) == total
    assert [f"{count / 2**20:.4f}" for count in (trainable, total)] == in_mi
    macs = count_macs(net, (3, 224, 224))
    assert macs == bionet_macs(224, 224, **options)
    dead = 0 if integrate else (t - 1) * DEAD_UP
    assert round((macs + dead) / 1e9, 3) == gmac


def layer(x, w, name, call, up=False):
    """Reference: convolution, ReLU, batch normalisation, with the names of the stored weights."""
    weight, bias = w[f"{name}.conv.weight"], w[f"{name}.conv.bias"]
    if up:
        x = F.conv_transpose2d(x, weight, bias, stride=2, padding=1, output_padding=1)
    else:
        x = F.conv2d(x, weight, bias, padding=1)
    names = ("running_mean", "running_var", "weight", "bias")
    return F.batch_norm(x.clamp(min=0), *(w[f"{name}.norms.{call}.{n}"] for n in names))


def reference(x, w, t, integrate, depth=4):
    """The net without the class: ``skips`` forward within a pass, ``back`` into the next one."""
    for i in range(3):
        x = layer(x, w, f"stem.{i}", 0)
    start = F.max_pool2d(x, 2)
    back, ends = [], []
    for p in range(t):
        x, skips = start, []
        for level in range(depth):
            x = torch.cat((x, back[level] if back else x), 1)
            for i in range(2):
                x = layer(x, w, f"encoder.{level}.{i}", p)
            skips.append(x)
            x = F.max_pool2d(layer(x, w, f"down.{level}", p), 2)
        for i in range(2):
            x = layer(x, w, f"bottom.{i}", p)
        back = [None] * depth
        for level in range(depth - 1, -1, -1):
            x = torch.cat((layer(x, w, f"up.{level + 1}", p, up=True), skips[level]), 1)
            for i in range(2):
                x = layer(x, w, f"decoder.{level}.{i}", p)
            back[level] = x
        ends.append(layer(x, w, "up.0", p, up=True))
    x = torch.cat(ends, 1) if integrate else ends[-1]
    for i in range(2):
        x = layer(x, w, f"post.{i}", 0)
    return F.conv2d(x, w["head.weight"], w["head.bias"])


@pytest.mark.parametrize("t", [1, 2, 3])
@pytest.mark.parametrize("integrate", [False, True])
def test_forward_equals_an_independent_one(t, integrate):
    torch.manual_seed(0)
    net = BiONet(1, 3, t=t, integrate=integrate, base=4, width=0.75, depth=3)
    net(torch.randn(4, 1, 32, 48))
    net.eval()
    x = torch.randn(2, 1, 48, 32)
    expected = reference(x, net.state_dict(), t, integrate, depth=3)
    with torch.no_grad():
        torch.testing.assert_close(net(x), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("ablation", ABLATIONS)
def test_signed_off_numbers_come_from_the_independent_forward_too(ablation):
    options = {"t": 3, "integrate": False, **ABLATIONS[ablation]}
    weights = settled("bionet", ablation, torch.float64).state_dict()
    logits = reference(draw(2, 64, 64).double(), weights, **options).flatten()
    stored = json.loads(GOLDEN.read_text(encoding="utf-8"))[f"bionet-{ablation}"]
    numbers = logits[torch.linspace(0, len(logits) - 1, 16).long()].tolist()
    assert numbers == pytest.approx(stored, abs=1e-4)


def calls_of(net, x):
    """How often one training forward calls every shared convolution."""
    calls = {name: 0 for name, m in net.named_modules() if isinstance(m, SharedConv)}

    def count(name):
        def hook(module, arguments, result):
            calls[name] += 1

        return hook

    for name in calls:
        net.get_submodule(name).register_forward_hook(count(name))
    net(x)
    return calls


@pytest.mark.parametrize("integrate", [False, True])
def test_passes_share_convolutions_and_no_normalisation(integrate):
    net = BiONet(3, 1, t=3, integrate=integrate, base=2)
    calls = calls_of(net, draw(2, 64, 64))
    for name, number in calls.items():
        once = name.startswith(("stem", "post")) or (name == "up.0" and not integrate)
        assert number == (1 if once else 3), name
    used = {name for name, m in net.named_modules() if getattr(m, "num_batches_tracked", 0)}
    every = {name for name, m in net.named_modules() if isinstance(m, nn.BatchNorm2d)}
    dead = set() if integrate else {"up.0.norms.0", "up.0.norms.1"}
    assert every - used == dead
    weights = [name for name, p in net.named_parameters() if p.ndim == 4]
    with torch.device("meta"):
        other = BiONet(3, 1, t=1, base=2)
    assert weights == [name for name, p in other.named_parameters() if p.ndim == 4]


@pytest.mark.parametrize("t", [1, 2, 3])
def test_the_last_way_up_of_earlier_passes_is_the_only_part_without_reach(t):
    net = BiONet(3, 1, t=t, base=2)
    dead = [f"up.0.norms.{number}.{kind}" for number in range(t - 1) for kind in ("weight", "bias")]
    assert unreached_parameters(net, draw(2, 32, 32)) == dead
    assert sum(net.get_parameter(name).numel() for name in dead) == 2 * 2 * (t - 1)
    assert unreached_parameters(BiONet(3, 1, t=t, base=2, integrate=True), draw(2, 32, 32)) == []


@pytest.mark.parametrize("level", [0, 1, 2])
def test_the_backward_skip_of_every_level_carries_a_gradient(level):
    """With the halves for all other skips at zero, what is left comes through this one."""
    torch.manual_seed(0)
    net = BiONet(3, 1, t=2, base=2, depth=3)
    widths = [2, 4, 8]
    for other in {0, 1, 2} - {level}:
        net.encoder[other][0].conv.weight.data[:, widths[other] :] = 0

    def gradient():
        maps = net.forward_features(draw(2, 32, 32))
        weighed = (maps[f"pass2_encoder{level}"] * torch.arange(32 >> (level + 1))).sum()
        return torch.autograd.grad(weighed, maps[f"pass1_decoder{level}"])[0].abs().max()

    assert gradient() > 1e-3
    net.encoder[level][0].conv.weight.data[:, widths[level] :] = 0
    assert gradient() == 0


def test_the_receptive_field_grows_with_every_pass():
    net = BiONet(1, 1, t=3, base=2, depth=2)
    fields = [receptive_field(net, (1, 512, 512), f"pass{p}_decoder0") for p in (1, 2, 3)]
    assert fields[0] < fields[1] < fields[2] < 512


def test_features_come_in_order_with_their_sizes():
    features = BiONet(3, 1, t=2, base=2, depth=2).forward_features(draw(2, 16, 24))
    one_pass = [
        ("encoder0", (2, 8, 12)),
        ("encoder1", (4, 4, 6)),
        ("bottom", (8, 2, 3)),
        ("decoder1", (4, 4, 6)),
        ("decoder0", (2, 8, 12)),
    ]
    passes = [(f"pass{p}_{name}", shape) for p in (1, 2) for name, shape in one_pass]
    expected = [("stem", (2, 16, 24)), *passes, ("post", (2, 16, 24))]
    assert [(name, tuple(value.shape[1:])) for name, value in features.items()] == expected


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"t": 0}, "t must be 1, 2 or 3 passes, got 0"),
        ({"t": 4}, "t must be 1, 2 or 3 passes, got 4"),
        ({"t": 2.0}, "t must be 1, 2 or 3 passes, got 2.0"),
        ({"width": 0.25}, "width must be a number from 0.5 to 2.0, got 0.25"),
        ({"width": 2.5}, "width must be a number from 0.5 to 2.0, got 2.5"),
        ({"width": 0.51}, r"whole number of channels, got 32 \* 0.51"),
        ({"depth": 0}, "depth must be a whole number, 1 to 5, got 0"),
        ({"base": 0}, "base must be a whole number from 1, got 0"),
        ({"num_classes": 0}, "num_classes must be a whole number from 1, got 0"),
    ],
)
def test_values_out_of_range_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        models.create("bionet", **options)


def test_a_size_that_does_not_fit_names_the_next_one():
    with pytest.raises(ValueError, match="multiples of 32, the next size is 64x96"):
        models.create("bionet", base=2)(draw(2, 48, 90))
    with pytest.raises(ValueError, match="at least 2 images, or sides above 32 px"):
        models.create("bionet", base=2)(draw(1, 32, 32))
