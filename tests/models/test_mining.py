"""The mining network of GREnet: MONAI's UNet++ around a transformer, imported when asked for."""

import subprocess
import sys
from itertools import pairwise

import pytest
import torch

from course_lib.models import measure
from course_lib.models.mining import MiningNet, TokenMixer


def test_monai_is_imported_when_a_net_is_built_and_not_before():
    code = (
        "import sys; from course_lib.models.mining import MiningNet; "
        "assert 'monai' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("channels", [(8, 8, 16), (8, 8, 16, 32, 30), (8, 0, 16, 32, 64)])
def test_wrong_widths_are_refused(channels):
    with pytest.raises(ValueError, match=r"channels"):
        MiningNet(3, 1, channels=channels)


@pytest.fixture(scope="module")
def net():
    pytest.importorskip("monai.networks.nets")
    torch.manual_seed(0)
    return MiningNet(2, 3, channels=(4, 4, 4, 8, 8))


@pytest.mark.parametrize("size", [(32, 32), (33, 47)])
def test_four_outputs_of_the_images_size(net, size):
    x = torch.randn(2, 2, *size)
    stages = net.forward_stages(x)
    assert [z.shape for z in stages] == [(2, 3, *size)] * 4
    assert torch.equal(net(x), stages[-1])
    assert all((a - b).abs().max() > 1e-3 for a, b in pairwise(stages))


def test_images_that_do_not_fit_are_refused(net):
    with pytest.raises(ValueError, match=r"31x32 px.*at least 32x32"):
        net(torch.randn(1, 2, 31, 32))


def test_every_parameter_is_reached(net):
    assert measure.unreached_parameters(net, torch.randn(2, 2, 32, 32)) == []


def test_images_of_a_batch_do_not_mix(net):
    x = torch.randn(2, 2, 32, 32, requires_grad=True)
    (gradient,) = torch.autograd.grad(net(x)[1].sum(), x)
    assert gradient[0].abs().max() == 0 < gradient[1].abs().max()


def test_the_transformer_sees_the_whole_map_and_knows_no_places():
    torch.manual_seed(0)
    mixer = TokenMixer(8).double()
    x = torch.randn(1, 8, 3, 5, dtype=torch.float64, requires_grad=True)
    y = mixer(x)
    (gradient,) = torch.autograd.grad(y[0, :, 0, 0].sum(), x)
    assert gradient.abs().amax(1).min() > 0
    torch.testing.assert_close(mixer(x.flip(2, 3)), y.flip(2, 3))
    torch.testing.assert_close(mixer(x.transpose(2, 3)), y.transpose(2, 3))
