"""Pruning removes what adds least, and leaves a net that trains and exports."""

import dataclasses

import pytest
import safetensors.torch
import torch
from torch import nn

from course_lib import export, models, predict, training
from course_lib.models.measure import count_macs, count_parameters, tensors_of
from course_lib.models.widths import take_widths
from course_lib.training.card import CARD, card_of
from tests.training.training_sample import discs, make_protocol

PRUNED = {
    "unet": {"base": 4},
    "attention_unet": {"base": 4},
    "bionet": {"base": 4},
    "plnet": {"base": 8},
    "reunet": {"base": 4, "intermediator": 1},
    "reunet_released": {"base": 4, "intermediator": 1},
    "sigrenet": {"channels": (8, 16, 32)},
}


@pytest.mark.parametrize("name", PRUNED)
def test_a_pruned_net_is_smaller_and_trains(name):
    torch.manual_seed(0)
    net = models.create(name, num_classes=3, **PRUNED[name])
    smaller = export.prune(net, 0.5)
    assert count_parameters(smaller) < 0.5 * count_parameters(net)
    assert count_macs(smaller, (3, 64, 64)) < 0.6 * count_macs(net, (3, 64, 64))
    images = torch.rand(2, 3, 64, 64)
    outputs = list(tensors_of(getattr(smaller.train(), "forward_stages", smaller)(images)))
    assert {t.shape[1] for t in outputs} == {3}
    sum(t.square().mean() for t in outputs).backward()


def test_a_pruned_net_exports_and_its_card_says_so(tmp_path):
    torch.manual_seed(0)
    smaller = export.prune(models.create("unet_small", in_channels=1, base=4), 0.5)
    card = export.to_onnx(smaller, tmp_path / "net.onnx", 32)
    assert (card.net, card.pruned) == ("unet_small", True)


def write_weights(file, net, card):
    weights = {name: tensor.contiguous() for name, tensor in net.state_dict().items()}
    safetensors.torch.save_file(weights, file, metadata={CARD: card.to_json()})


@pytest.mark.parametrize("name", PRUNED)
def test_the_weights_of_a_pruned_net_are_read_back(name, tmp_path):
    torch.manual_seed(0)
    net = models.create(name, num_classes=3, **PRUNED[name])
    smaller = export.prune(export.prune(net, 0.3), 0.3).eval()
    card = card_of(smaller, 3, (64, 64), ("background", "left", "right"))
    write_weights(tmp_path / "net.safetensors", smaller, card)
    again, found = predict.load(tmp_path / "net.safetensors")
    assert found == card
    images = torch.rand(2, 3, 64, 64)
    with torch.inference_mode():
        torch.testing.assert_close(again(images), smaller(images), atol=1e-4, rtol=1e-4)
    blank = models.create(name, num_classes=3, **PRUNED[name])
    take_widths(blank, smaller.state_dict())
    layers = zip(smaller.modules(), blank.modules(), strict=True)
    assert all(repr(mine) == repr(read) for mine, read in layers)
    assert count_macs(blank, (3, 64, 64)) == count_macs(smaller, (3, 64, 64))


def test_training_writes_a_pruned_net_that_is_read_back(tmp_path):
    torch.manual_seed(0)
    smaller = export.prune(models.create("unet_bn", in_channels=1, base=4, depth=2), 0.5)
    protocol = make_protocol(epochs=1)
    training.fit(smaller, discs(8, 16), discs(4, 16, seed=1), protocol, tmp_path, device="cpu")
    net, card = predict.load(tmp_path / "best.safetensors")
    assert card.pruned
    images = torch.rand(2, 1, 16, 16)
    with torch.inference_mode():
        expected = smaller.eval()(images)
        torch.testing.assert_close(net(images), expected, atol=1e-4, rtol=1e-4)


def test_fewer_channels_need_a_card_that_says_pruned_and_kernels_must_fit(tmp_path):
    torch.manual_seed(0)
    net = models.create("unet_small", in_channels=1, base=4)
    smaller, file = export.prune(net, 0.5), tmp_path / "net.safetensors"
    card = card_of(smaller, 1, (16, 16), ("background", "disc"))
    write_weights(file, smaller, dataclasses.replace(card, pruned=False))
    with pytest.raises(ValueError, match="does not hold the weights of unet_small"):
        predict.load(file)
    conv = next(m for m in smaller.modules() if isinstance(m, nn.Conv2d))
    conv.weight = nn.Parameter(torch.zeros(*conv.weight.shape[:2], 5, 5))
    write_weights(file, smaller, card)
    with pytest.raises(ValueError, match="does not hold the weights of unet_small"):
        predict.load(file)


def test_removing_filters_that_are_zero_changes_nothing():
    torch.manual_seed(0)
    net = models.create("unet", in_channels=1, base=4).eval()
    with torch.no_grad():
        for conv in net.modules():
            if isinstance(conv, (nn.Conv2d, nn.ConvTranspose2d)) and conv.out_channels > 1:
                lost = torch.randperm(conv.out_channels)[: conv.out_channels // 2]
                axis = 1 if isinstance(conv, nn.ConvTranspose2d) else 0
                conv.weight.index_fill_(axis, lost, 0)
                conv.bias[lost] = 0
        images = torch.rand(2, 1, 64, 64)
        before = net(images)
        smaller = export.prune(net, 0.5)
        assert count_parameters(smaller) < 0.3 * count_parameters(net)
        torch.testing.assert_close(smaller(images), before, atol=1e-5, rtol=1e-5)


def test_the_net_itself_and_its_mode_stay():
    torch.manual_seed(0)
    net = models.create("unet", in_channels=1, base=4)
    count = count_parameters(net)
    smaller = export.prune(net, 0.25)
    assert net.training
    assert smaller.training
    assert count_parameters(net) == count
    assert smaller.recipe == net.recipe
    assert smaller.pruned
    assert not hasattr(net, "pruned")


def test_what_cannot_be_pruned_is_said_in_one_line():
    with pytest.raises(ValueError, match=r"GREnet cannot be pruned: \w+") as caught:
        export.prune(models.create("grenet", channels=(8, 16, 32)), 0.5)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("share", [0, 1, -0.5])
def test_a_share_out_of_range_is_refused(share):
    with pytest.raises(ValueError, match="share must be between 0 and 1"):
        export.prune(models.create("unet", base=4), share)
