"""Pruning removes what adds least, and leaves a net that trains and exports."""

import pytest
import torch
from torch import nn

from course_lib import export, models
from course_lib.models.measure import count_macs, count_parameters, tensors_of

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


def test_a_pruned_net_exports_and_its_card_claims_no_preset(tmp_path):
    torch.manual_seed(0)
    smaller = export.prune(models.create("unet_small", in_channels=1, base=4), 0.5)
    card = export.to_onnx(smaller, tmp_path / "net.onnx", 32)
    assert (card.net, card.options) == ("", {})


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
    assert net.recipe[0] == "unet"
    assert smaller.recipe == ("", {})


def test_what_cannot_be_pruned_is_said_in_one_line():
    with pytest.raises(ValueError, match=r"GREnet cannot be pruned: \w+") as caught:
        export.prune(models.create("grenet", channels=(8, 16, 32)), 0.5)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("share", [0, 1, -0.5])
def test_a_share_out_of_range_is_refused(share):
    with pytest.raises(ValueError, match="share must be between 0 and 1"):
        export.prune(models.create("unet", base=4), share)
