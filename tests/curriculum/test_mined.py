"""Mined pixel curricula: nested, cut to the mask, and what each step of a net learns from them."""

import copy

import pytest
import torch
from torch import nn

from course_lib import losses, models
from course_lib.curriculum.mined import MinedSteps, pixel_curricula
from course_lib.training import EPL
from course_lib.training.update import Forward


def logits(*probabilities):
    """One row of pixels with these probabilities of the foreground."""
    return torch.tensor(probabilities).logit()[None, None, None]


def test_three_curricula_by_hand():
    outputs = [
        logits(0.80, 0.74, 0.90, 0.10, 0.20),
        logits(0.60, 0.76, 0.90, 0.10, 0.20),
        logits(0.99, 0.99, 0.99, 0.99, 0.20),  # the third is not used
        logits(0.70, 0.80, 0.90, 0.90, 0.70),
    ]
    masks = torch.tensor([[[1, 1, 0, 1, 1]]])
    assert pixel_curricula(outputs, masks)[:, 0, 0].tolist() == [
        [1, 0, 0, 0, 0],
        [1, 1, 0, 0, 0],  # the first pixel stays, though output 2 is less sure of it
        [1, 1, 0, 1, 0],  # the third pixel is background, the fifth is never revealed
    ]
    assert pixel_curricula(outputs, masks, use=(3,), threshold=0.5).tolist() == [
        [[[1, 1, 0, 1, 0]]]
    ]


@pytest.mark.parametrize("channels", [1, 3])
def test_curricula_are_nested_and_inside_the_mask(channels):
    generator = torch.Generator().manual_seed(0)
    outputs = [3 * torch.randn(4, channels, 9, 7, generator=generator) for _ in range(4)]
    masks = torch.randint(max(2, channels), (4, 9, 7), generator=generator)
    steps = pixel_curricula(outputs, masks)
    assert steps.shape == (3, 4, 9, 7)
    assert steps.dtype == masks.dtype
    for before, after in zip(steps, [*steps[1:], masks], strict=True):
        assert torch.equal(after[before > 0], before[before > 0])
        assert (before > 0).sum() < (after > 0).sum()


def test_with_several_classes_a_pixel_waits_for_its_own_class():
    sure_of_two = torch.tensor([0.0, 0.0, 5.0])[None, :, None, None].expand(1, 3, 1, 3)
    masks = torch.tensor([[[0, 1, 2]]])
    assert pixel_curricula([sure_of_two], masks, use=(1,)).tolist() == [[[[0, 0, 2]]]]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"threshold": 1.0}, "threshold must be above 0 and below 1, got 1.0"),
        ({"threshold": float("nan")}, "threshold must be above 0"),
        ({"use": (0,)}, "output 0 is not there: the mining network has 4"),
        ({"use": (1, 5)}, "output 5 is not there"),
        ({"masks": torch.zeros(2, 3, dtype=int)}, r"masks must be .* \(1, 1, 2\), got \(2, 3\)"),
    ],
)
def test_wrong_arguments_are_refused(options, words):
    masks = options.pop("masks", torch.tensor([[[1, 0]]]))
    with pytest.raises(ValueError, match=words):
        pixel_curricula([torch.zeros(1, 1, 1, 2)] * 4, masks, **options)


class Certain(nn.Module):
    """A mining network whose output t is sure of the first t columns."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(()))

    def forward_stages(self, x):
        columns = torch.arange(x.shape[3]).expand(len(x), 1, *x.shape[2:])
        return tuple(self.weight * torch.where(columns < t, 9.0, -9.0) for t in (1, 2, 3, 4))


def net_and_batch(steps=3):
    torch.manual_seed(0)
    net = models.create("grenet", in_channels=1, channels=(4, 8), steps=steps)
    return Forward(net, None, 2), torch.randn(2, 1, 6, 6), torch.ones(2, 6, 6, dtype=int)


def test_every_step_learns_from_its_curriculum_and_the_mask():
    forward, images, masks = net_and_batch()
    miner = Certain()
    strategy = MinedSteps(miner)
    assert not miner.training
    (loss,) = strategy(forward, images, masks, losses.dice_ce_loss)
    terms = []
    for z, columns in zip(forward.net.forward_stages(images), (1, 2, 4), strict=True):
        seen = torch.zeros_like(masks)
        seen[:, :, :columns] = 1
        terms += [losses.dice_ce_loss(z, seen), losses.dice_ce_loss(z, masks)]
    torch.testing.assert_close(loss, sum(terms) / 6)
    loss.backward()
    assert all(p.grad is not None for p in forward.net.parameters())
    assert miner.weight.grad is None


def test_as_many_curricula_as_steps():
    forward, images, masks = net_and_batch(steps=2)
    with pytest.raises(ValueError, match="the net has 2 steps, but there are 3 curricula"):
        next(iter(MinedSteps(Certain())(forward, images, masks, losses.dice_ce_loss)))
    (loss,) = MinedSteps(Certain(), use=(1, 4))(forward, images, masks, losses.dice_ce_loss)
    assert loss.isfinite()


def test_two_networks_are_trained_one_after_the_other():
    pytest.importorskip("monai.networks.nets")
    from course_lib.models.mining import MiningNet

    torch.manual_seed(0)
    masks = torch.zeros(4, 32, 32, dtype=int)
    masks[:, 8:24, 8:24] = 1
    images = torch.randn(4, 1, 32, 32) * 0.5 + masks[:, None] * torch.tensor(
        [3.0, 1.0]
    ).repeat_interleave(16)
    miner = MiningNet(1, 1, channels=(4, 4, 8, 8, 8))
    net = models.create("grenet", in_channels=1, channels=(8, 8, 16))
    for trained, strategy in ((miner, EPL["joint"]), (net, MinedSteps(miner))):
        trained.train()
        mined_by = copy.deepcopy(miner.state_dict())
        optimiser = torch.optim.AdamW(trained.parameters(), lr=5e-3)
        first = None
        for _ in range(25):
            for loss in strategy(Forward(trained, None, 2), images, masks, losses.dice_ce_loss):
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()
            first = loss.item() if first is None else first
        assert loss.item() < 0.7 * first
    assert all(torch.equal(p, mined_by[name]) for name, p in miner.state_dict().items())
    sizes = [
        (step > 0).sum() for step in pixel_curricula(miner.eval().forward_stages(images), masks)
    ]
    assert 0 < sizes[0] <= sizes[1] <= sizes[2] <= masks.sum()
