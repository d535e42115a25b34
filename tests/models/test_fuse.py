"""Folding: the same outputs, fewer layers, and a reason wherever it cannot be done."""

from functools import partial

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from course_lib import models
from course_lib.models import reunet
from course_lib.models.blocks import SqueezeExcite
from course_lib.models.fuse import folding, for_inference, fuse
from course_lib.models.measure import tensors_of
from tests.test_model_contract import CONTRACTS, draw


def settled(net):
    """A net in evaluation mode, every normalisation with numbers of its own."""
    random = torch.Generator().manual_seed(2)

    def drawn(t, low, high):
        return torch.empty_like(t).uniform_(low, high, generator=random)

    with torch.no_grad():
        net.train()(draw(4, 64, 64))
        for norm in net.modules():
            if isinstance(norm, nn.BatchNorm2d):
                norm.weight.copy_(drawn(norm.weight, -1.5, 1.5))
                norm.bias.copy_(drawn(norm.bias, -0.3, 0.3))
                norm.running_mean += drawn(norm.running_mean, -0.1, 0.1)
                norm.running_var *= drawn(norm.running_var, 0.5, 2)
    return net.eval()


def norms(net):
    return [n for n, m in net.named_modules() if isinstance(m, nn.BatchNorm2d)]


def outputs(net, x):
    with torch.no_grad():
        return [net(x), *tensors_of(getattr(net, "forward_stages", net)(x))]


NETS = {name: partial(models.create, name, **c.small) for name, c in CONTRACTS.items()}
NETS |= {
    f"reunet-{name}": partial(reunet.REUnet, base=4, **options)
    for name, options in reunet.ABLATIONS.items()
}


@pytest.mark.parametrize("name", NETS)
def test_every_preset_gives_the_same_outputs_or_a_reason(name):
    torch.manual_seed(0)
    net = settled(NETS[name]())
    x, before, found = draw(2, 64, 64), norms(net), folding(net)
    assert set(found.pairs) | set(found.left) == set(before)
    if not found.pairs:
        with pytest.raises(ValueError, match=f"{type(net).__name__} cannot be fused: "):
            fuse(net)
        return
    fused = fuse(net)
    assert norms(net) == before
    assert norms(fused) == list(found.left)
    for a, b in zip(outputs(fused, x), outputs(net, x), strict=True):
        torch.testing.assert_close(a, b, atol=1e-5, rtol=1e-5)


def test_nothing_is_left_in_reunet():
    with torch.device("meta"):
        net = reunet.REUnet(base=4, reading="code", wiring="released", keep_dead=True)
    assert folding(net).left == {}
    assert len(folding(net).pairs) == len(norms(net))


def test_the_last_normalisation_of_a_dmbc_joins_squeeze_excite():
    pairs = folding(reunet.REUnet(base=4, wiring="released")).pairs
    assert pairs["eb1.chain.0.norm"] == "eb1.chain.0.ses"
    assert pairs["eb1.chain.0.f1.1"] == "eb1.chain.0.f1.0"


@pytest.mark.parametrize("transposed", [False, True])
def test_one_pair_against_the_formula(transposed):
    torch.manual_seed(0)
    layer = (nn.ConvTranspose2d if transposed else nn.Conv2d)(3, 5, 3, stride=2)
    net = settled(nn.Sequential(layer, nn.BatchNorm2d(5, eps=1e-3))).double()
    norm, fused = net[1], fuse(net)
    a = norm.weight / (norm.running_var + 1e-3).sqrt()
    by_channel = (1, 5, 1, 1) if transposed else (5, 1, 1, 1)
    torch.testing.assert_close(fused[0].weight, layer.weight * a.view(by_channel))
    torch.testing.assert_close(fused[0].bias, (layer.bias - norm.running_mean) * a + norm.bias)
    assert isinstance(fused[1], nn.Identity)
    assert layer.weight is net[0].weight


class Shared(nn.Module):
    """One convolution called twice, as in nets that repeat a block."""

    def __init__(self, norms):
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 3, padding=1)
        self.norms = nn.ModuleList(norms)

    def forward(self, x):
        for norm in self.norms:
            x = F.relu(norm(self.conv(x)))
        return x


def test_a_shared_convolution_keeps_its_normalisations():
    net = settled(Shared([nn.BatchNorm2d(3), nn.BatchNorm2d(3)]))
    assert list(folding(net).left) == ["norms.0", "norms.1"]
    why = r"Shared cannot be fused: norms\.0 shares conv with norms\.1$"
    with pytest.raises(ValueError, match=why):
        fuse(net)


def test_a_convolution_and_normalisation_shared_as_a_pair_are_folded_once():
    norm = nn.BatchNorm2d(3)
    net = settled(Shared([norm, norm]))
    fused = fuse(net)
    assert norms(fused) == []
    torch.testing.assert_close(fused(draw(2, 64, 64)), net(draw(2, 64, 64)), atol=1e-5, rtol=1e-5)


class Odd(nn.Module):
    """Normalisations that cannot be folded, each for another reason, beside one that can."""

    def __init__(self):
        super().__init__()
        self.conv = nn.ModuleList(nn.Conv2d(3, 3, 1) for _ in range(6))
        self.up = nn.ConvTranspose2d(3, 3, 2, groups=3)
        self.norm = nn.ModuleList(nn.BatchNorm2d(3) for _ in range(5))
        self.batch = nn.BatchNorm2d(3, track_running_stats=False)
        self.unused = nn.BatchNorm2d(3)

    def forward(self, x):
        x = self.norm[0](self.conv[0](x))
        skip = self.conv[1](x)
        x = self.norm[1](skip) + skip
        x = self.norm[2](self.conv[3](self.norm[2](self.conv[2](x))))
        x = self.norm[3](F.relu(self.conv[4](x)))
        x = self.batch(self.conv[5](x))
        return self.norm[4](self.up(x))


def test_what_cannot_be_folded_stays_and_says_why():
    net = Odd().eval()
    found = folding(net)
    assert found.pairs == {"norm.0": "conv.0"}
    assert found.left == {
        "norm.1": "is not the only one to read the result of conv.1",
        "norm.2": "follows several layers: conv.2, conv.3",
        "norm.3": "does not directly follow a convolution",
        "norm.4": "follows up, a transposed convolution in groups",
        "batch": "has no running statistics, or no weights",
        "unused": "is not reached",
    }
    x = draw(2, 64, 64)
    torch.testing.assert_close(fuse(net)(x), net(x))


def test_stages_of_training_are_kept_too():
    class Staged(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(3, 3, 1)
            self.norm = nn.BatchNorm2d(3)

        def forward_stages(self, x):
            x = self.conv(x)
            return x, self.norm(x)

        def forward(self, x):
            return self.norm(self.conv(x))

    assert list(folding(Staged()).left) == ["norm"]


@pytest.mark.parametrize("change", [fuse, for_inference])
def test_the_form_for_inference_can_be_exported(change):
    torch.manual_seed(0)
    net = settled(reunet.REUnet(base=2, reading="code", intermediator=1))
    fused, x = change(net), draw(2, 64, 96)
    program = torch.export.export(fused, (x,))
    assert not [n for n in program.graph.nodes if "batch_norm" in str(n.target)]
    torch.testing.assert_close(program.module()(x), net(x), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", ["unet", "unet_small", "attention_unet"])
def test_for_inference_takes_every_net_and_puts_channels_last(name):
    net = settled(NETS[name]()).train()
    fast, x = for_inference(net), draw(2, 64, 64)
    assert net.training
    assert not fast.training
    torch.testing.assert_close(fast(x), net.eval()(x), atol=1e-5, rtol=1e-5)
    for value in fast.forward_features(x).values():
        assert value.is_contiguous(memory_format=torch.channels_last)


def test_volumes_are_folded_too():
    net = nn.Sequential(nn.Conv3d(2, 4, 3), nn.BatchNorm3d(4), nn.ReLU()).eval()
    x, fast = torch.randn(1, 2, 8, 8, 8), for_inference(net)
    assert isinstance(fast[1], nn.Identity)
    torch.testing.assert_close(fast(x), net(x), atol=1e-5, rtol=1e-5)


def test_scaled_squeeze_excite_needs_no_scale_above_zero():
    torch.manual_seed(0)
    net = settled(nn.Sequential(nn.Conv2d(3, 4, 1), SqueezeExcite(4), nn.BatchNorm2d(4)))
    with torch.no_grad():
        net[2].weight[1] = 0
    fused = fuse(net)
    x = draw(2, 64, 64)
    torch.testing.assert_close(fused(x), net(x), atol=1e-6, rtol=1e-5)
