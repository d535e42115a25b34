import pytest
import torch
from torch import nn

from course_lib import models
from course_lib.models import measure

ENCODER = [(3, 1), (3, 1), (2, 2)] * 4 + [(3, 1), (3, 1)]


@pytest.mark.parametrize(
    ("layers", "field"),
    [
        ([], 1),
        ([(3, 1)], 3),
        ([(3, 1), (3, 1)], 5),
        ([(3, 1), (3, 1), (2, 2), (3, 1)], 10),
        ([(3, 2), (3, 2)], 7),
        (ENCODER, 140),
    ],
)
def test_field_by_formula(layers, field):
    assert measure.receptive_field(layers) == field


@pytest.mark.parametrize("name", ["unet", "unet_small"])
def test_measured_field_of_the_bottleneck_equals_the_formula(name):
    net = models.create(name, base=2)
    assert measure.receptive_field(net, (3, 256, 256), "bottleneck") == 140


def test_measured_field_of_plain_nets():
    net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.BatchNorm2d(2), nn.Conv2d(2, 1, 5))
    assert measure.receptive_field(net, (1, 33, 33)) == 7
    assert measure.receptive_field(nn.Conv2d(2, 1, 3, dilation=4, padding=4), (2, 32, 32)) == 9
    assert measure.receptive_field(nn.Conv2d(1, 1, (3, 7), padding="same"), (1, 32, 32)) == 7


def test_field_is_cut_at_the_border_of_the_image():
    assert measure.receptive_field(models.create("unet", base=1), (3, 32, 32), "bottleneck") == 32


def test_measuring_a_field_leaves_the_net_alone():
    net = models.create("unet_small", base=2)
    before = {name: value.clone() for name, value in net.state_dict().items()}
    measure.receptive_field(net, (3, 64, 64))
    assert net.training
    assert all(torch.equal(before[name], value) for name, value in net.state_dict().items())


def test_field_refuses_what_it_cannot_answer():
    with pytest.raises(ValueError, match=r"give shape=\(C, H, W\)"):
        measure.receptive_field(nn.Conv2d(1, 1, 3))
    with pytest.raises(ValueError, match=r"at least 1, got \(3, 0\)"):
        measure.receptive_field([(3, 0)])


def test_parameters_count_what_is_trained_once():
    net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Conv2d(4, 4, 1))
    assert measure.count_parameters(net) == 40 + 8 + 20
    assert measure.count_parameters(net, buffers=True) == 40 + 8 + 20 + 8
    net[2].requires_grad_(False)
    assert measure.count_parameters(net) == 40 + 8
    shared = nn.Linear(3, 3)
    assert measure.count_parameters(nn.Sequential(shared, shared)) == 12


@pytest.mark.parametrize(
    ("layer", "macs"),
    [
        (nn.Conv2d(4, 8, 3, padding=1), 16 * 16 * 9 * 4 * 8),
        (nn.Conv2d(4, 8, 3, stride=2, padding=1), 8 * 8 * 9 * 4 * 8),
        (nn.Conv2d(4, 4, 5, padding=2, groups=4), 16 * 16 * 25 * 4),
        (nn.ConvTranspose2d(4, 8, 2, stride=2), 16 * 16 * 4 * 4 * 8),
        (nn.Sequential(nn.Flatten(), nn.Linear(4 * 256, 10)), 4 * 256 * 10),
        (nn.Sequential(nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2)), 0),
    ],
)
def test_macs_by_hand(layer, macs):
    assert measure.count_macs(layer, (4, 16, 16)) == macs


def test_counting_macs_leaves_modes_and_statistics_alone():
    net = models.create("unet_small", base=2)
    net.decoder.eval()
    before = net.encoder[0][1].running_mean.clone()
    measure.count_macs(net, (3, 64, 64))
    assert net.training
    assert not net.decoder[0].training
    assert torch.equal(net.encoder[0][1].running_mean, before)
    assert net.head.weight.device.type == "cpu"
    with pytest.raises(ValueError, match=r"\(C, H, W\) or \(C, D, H, W\), got \(64, 64\)"):
        measure.count_macs(net, (64, 64))
    with pytest.raises(ValueError, match="too small"):
        measure.count_macs(net, (3, 8, 8))
    assert net.training


class TwoHeads(nn.Module):
    """``used`` is supervised in training only, ``forgotten`` nowhere."""

    def __init__(self):
        super().__init__()
        self.trunk = nn.Conv2d(1, 2, 1)
        self.used = nn.Conv2d(2, 1, 1)
        self.last = nn.Conv2d(2, 1, 1)
        self.forgotten = nn.Conv2d(2, 1, 1)

    def forward_stages(self, x):
        x = self.trunk(x)
        return {"aux": [(1, self.used(x))], "none": None, "logits": self.last(x)}

    def forward(self, x):
        return self.last(self.trunk(x))


def test_reach_follows_the_stages():
    net = TwoHeads()
    x = torch.randn(2, 1, 4, 4)
    assert measure.unreached_parameters(net, x) == ["forgotten.weight", "forgotten.bias"]
    assert all(p.grad is None for p in net.parameters())
    plain = nn.Sequential(nn.Conv2d(1, 1, 1), nn.BatchNorm2d(1))
    assert measure.unreached_parameters(plain, x) == []
    assert plain[1].num_batches_tracked == 0
    assert plain.training


def test_kept_bytes_are_the_maps_that_backward_needs():
    x = torch.rand(2, 3, 8, 8)
    conv = nn.Conv2d(3, 5, 3, padding=1)
    image, maps = 4 * 2 * 3 * 64, 4 * 2 * 5 * 64
    assert measure.kept_bytes(conv, x) == image
    norm, wide = nn.BatchNorm2d(5), nn.Conv2d(5, 7, 1)
    net = nn.Sequential(conv, norm, nn.ReLU(), wide)  # the ReLU and the last layer keep one map
    assert measure.kept_bytes(net, x) == image + 2 * maps
    assert norm.running_mean.eq(0).all()
    with torch.no_grad():
        assert measure.kept_bytes(net, x) == image + 2 * maps


def test_nets_take_turns_on_one_thread_and_the_first_round_does_not_count():
    calls, threads = [], set()

    class Noting(nn.Module):
        def forward(self, x):
            calls.append(x.shape[-1])
            threads.add(torch.get_num_threads())
            assert not torch.is_grad_enabled()
            return x

    before = torch.get_num_threads()
    seconds = measure.seconds_in_turns({"a": Noting(), "b": Noting()}, torch.zeros(1, 1, 4, 4), 3)
    assert len(calls) == 8
    assert threads == {1}
    assert torch.get_num_threads() == before
    assert {name: len(times) for name, times in seconds.items()} == {"a": 3, "b": 3}
