import json
from itertools import pairwise

import pytest
import torch
from torch.nn import functional as F

from course_lib import models
from course_lib.models.unet import UNet
from tests.test_model_contract import CONTRACTS, GOLDEN, draw, settled


def double_conv(x, w, prefix, norm):
    """Reference: two convolutions, written with functions and the names of the stored weights."""
    conv = F.conv2d if x.ndim == 4 else F.conv3d
    for index in (0, 3 if norm else 2):
        x = conv(x, w[f"{prefix}.{index}.weight"], w.get(f"{prefix}.{index}.bias"), padding=1)
        if norm:
            names = ("running_mean", "running_var", "weight", "bias")
            x = F.batch_norm(x, *(w[f"{prefix}.{index + 1}.{name}"] for name in names))
        x = x.clamp(min=0)
    return x


def reference(x, w, depth, norm, skips):
    """U-Net of figure 1 without the class: a list of maps down, the same list back up."""
    volumes = x.ndim == 5
    conv, pool = (F.conv3d, F.max_pool3d) if volumes else (F.conv2d, F.max_pool2d)
    up = F.conv_transpose3d if volumes else F.conv_transpose2d
    down = []
    for level in range(depth):
        x = double_conv(x, w, f"encoder.{level}", norm)
        down.append(x)
        x = pool(x, 2)
    x = double_conv(x, w, "bottleneck", norm)
    for level in range(depth - 1, -1, -1):
        x = up(x, w[f"up.{level}.weight"], w[f"up.{level}.bias"], stride=2)
        x = torch.cat((down.pop(), x), 1) if skips else x
        x = double_conv(x, w, f"decoder.{level}", norm)
    return conv(x, w["head.weight"], w["head.bias"])


@pytest.mark.parametrize("depth", [1, 4])
@pytest.mark.parametrize("norm", [False, True])
@pytest.mark.parametrize("skips", [True, False])
def test_forward_equals_an_independent_one(depth, norm, skips):
    torch.manual_seed(0)
    net = UNet(3, 2, base=6, depth=depth, norm=norm, skips=skips)
    net(torch.randn(4, 3, 32, 48))
    net.eval()
    x = torch.randn(2, 3, 32, 48)
    expected = reference(x, net.state_dict(), depth, norm, skips)
    with torch.no_grad():
        torch.testing.assert_close(net(x), expected, atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("norm", [False, True])
def test_forward_of_volumes_equals_an_independent_one(norm):
    torch.manual_seed(0)
    net = UNet(2, 3, base=2, depth=2, norm=norm, dims=3)
    net(torch.randn(2, 2, 8, 12, 16))
    net.eval()
    x = torch.randn(1, 2, 5, 12, 15)
    filled = torch.zeros(1, 2, 8, 12, 16)
    filled[:, :, :5, :, :15] = x
    expected = reference(filled, net.state_dict(), 2, norm, skips=True)[:, :, :5, :, :15]
    with torch.no_grad():
        torch.testing.assert_close(net(x), expected, atol=1e-6, rtol=1e-6)


def test_parameters_and_macs_of_the_net_for_volumes():
    with torch.device("meta"):
        net = UNet(1, 1, base=8, norm=True, dims=3)
    widths = [1, 8, 16, 32, 64, 128]
    down = list(pairwise(widths))
    up = [(b, a) for a, b in down[1:]]
    count = sum(27 * (a * b + b * b) + 4 * b for a, b in down) + 8 + 1
    count += sum(8 * a * b + b + 27 * (2 * b * b + b * b) + 4 * b for a, b in up)
    assert models.measure.count_parameters(net) == count
    macs = 32**3 * 8
    macs += sum(27 * (a * b + b * b) * 32**3 // 8**i for i, (a, b) in enumerate(down))
    macs += sum((a * b + 27 * 3 * b * b) * 32**3 // 8**i for i, (a, b) in enumerate(up))
    assert models.measure.count_macs(net, (1, 32, 32, 32)) == macs


def test_volumes_are_checked_like_images():
    net = UNet(1, 1, base=2, norm=True, dims=3)
    with pytest.raises(
        ValueError, match=r"volumes must be \(B, 1, D, H, W\), got \(1, 1, 32, 32\)"
    ):
        net(torch.randn(1, 1, 32, 32))
    with pytest.raises(ValueError, match=r"volumes of 32x15x32 vx are too small.*16x16x16"):
        net(torch.randn(1, 1, 32, 15, 32))
    with pytest.raises(ValueError, match="at least 2 volumes, or sides above 16 vx"):
        net(torch.randn(1, 1, 16, 16, 16))
    with pytest.raises(ValueError, match=r"dims must be 2 \(images\) or 3 \(volumes\), got 4"):
        UNet(1, 1, dims=4)


@pytest.mark.parametrize("name", ["unet", "unet_bn", "unet_small"])
@pytest.mark.parametrize("ablation", ["full", "no_skips"])
def test_signed_off_numbers_come_from_the_independent_forward_too(name, ablation):
    weights = settled(name, ablation).state_dict()
    norm = CONTRACTS[name].preset.get("norm", False)
    logits = reference(draw(2, 64, 64), weights, 4, norm, ablation == "full").flatten()
    stored = json.loads(GOLDEN.read_text(encoding="utf-8"))[f"{name}-{ablation}"]
    numbers = logits[torch.linspace(0, len(logits) - 1, 16).long()].tolist()
    assert numbers == pytest.approx(stored, abs=1e-4)


@pytest.mark.parametrize(
    ("options", "count"),
    [
        ({"base": 64, "in_channels": 3}, 31_031_745),
        ({"base": 64, "in_channels": 1}, 31_030_593),
        ({"base": 32, "in_channels": 3}, 7_760_097),
        ({"base": 4, "in_channels": 3}, 121_725),
        ({"base": 8, "in_channels": 3, "num_classes": 4}, 485_844),
        ({"skips": False}, 27_898_305),
        ({"norm": True, "bias": True}, 31_043_521),
        ({"norm": True, "bias": True, "base": 32}, 7_765_985),
        ({"norm": True}, 31_043_521 - 5_888),
    ],
)
def test_published_parameter_counts(options, count):
    with torch.device("meta"):
        net = models.create("unet", **options)
    assert models.measure.count_parameters(net) == count


def test_keras_total_with_batch_norm():
    with torch.device("meta"):
        net = models.create("unet", norm=True, bias=True)
    assert models.measure.count_parameters(net, buffers=True) == 31_055_297


def test_published_macs():
    with torch.device("meta"):
        net = models.create("unet")
    assert round(models.measure.count_macs(net, (3, 224, 224)) / 1e9, 3) == 36.878


@pytest.mark.parametrize("depth", [1, 2, 3, 4, 5, 6])
def test_any_depth(depth):
    net = UNet(1, 1, base=1, depth=depth, norm=True)
    assert net(torch.randn(2, 1, 2**depth, 2**depth + 1)).shape == (2, 1, 2**depth, 2**depth + 1)
    with pytest.raises(ValueError, match=f"at least {2**depth}x{2**depth}"):
        net(torch.randn(2, 1, 2**depth - 1, 64))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"in_channels": 0}, "in_channels must be a whole number from 1, got 0"),
        ({"num_classes": 0}, "num_classes must be a whole number from 1, got 0"),
        ({"base": -4}, "base must be a whole number from 1, got -4"),
        ({"base": 2.5}, "base must be a whole number from 1, got 2.5"),
        ({"depth": 0}, "depth must be a whole number, 1 to 6, got 0"),
        ({"depth": 7}, "depth must be a whole number, 1 to 6, got 7"),
    ],
)
def test_values_out_of_range_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        models.create("unet", **options)


def test_one_value_a_channel_is_refused_in_training_only():
    x = torch.randn(1, 3, 16, 16)
    net = models.create("unet_small", base=2)
    with pytest.raises(ValueError, match="at least 2 images, or sides above 16 px"):
        net(x)
    assert net.eval()(x).shape == (1, 1, 16, 16)
    assert models.create("unet", base=2)(x).shape == (1, 1, 16, 16)


def test_an_odd_size_equals_the_filled_up_image():
    torch.manual_seed(0)
    net = models.create("unet", base=2).eval()
    x = torch.randn(1, 3, 33, 47)
    filled = torch.zeros(1, 3, 48, 48)
    filled[..., :33, :47] = x
    assert torch.equal(net(x), net(filled)[..., :33, :47])


def test_features_come_in_order_with_their_sizes():
    features = UNet(3, 1, base=2, depth=2).forward_features(torch.randn(1, 3, 16, 24))
    assert [(name, tuple(value.shape[1:])) for name, value in features.items()] == [
        ("encoder0", (2, 16, 24)),
        ("encoder1", (4, 8, 12)),
        ("bottleneck", (8, 4, 6)),
        ("decoder1", (4, 8, 12)),
        ("decoder0", (2, 16, 24)),
    ]


def test_maps_keep_their_scale_at_the_start():
    torch.manual_seed(0)
    net = UNet(3, 1, base=32).eval()
    with torch.no_grad():
        features = net.forward_features(torch.randn(2, 3, 64, 64))
    powers = [value.square().mean().item() for value in features.values()]
    assert all(0.3 < power < 6 for power in powers), powers
