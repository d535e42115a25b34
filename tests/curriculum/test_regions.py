"""Curricula of pixels: weights by hand, classes that never vanish, targets of steps."""

import doctest

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from course_lib import losses
from course_lib.curriculum import RegionStep, regions
from course_lib.losses import HybridWeights

LOGITS = [[3, 2, 0.5, -1], [2, -0.5, 1, -2], [1.5, 1, -1, -2.5], [-0.5, -1.5, 0.5, -3]]
MASK = [[1, 1, 1, 0], [1, 1, 1, 0], [1, 1, 0, 0], [0, 0, 0, 0]]


@pytest.fixture
def example():
    """Losses of the pixels of the 4 x 4 example, and its mask."""
    logits = torch.tensor(LOGITS, dtype=torch.float64)[None, None]
    target = torch.tensor(MASK)[None]
    return losses.pixel_cross_entropy(logits, target), target


@pytest.mark.parametrize(
    ("share", "kept", "value"),
    [(0.5, 8, 0.119959378), (0.75, 12, 0.184393481), (1, 16, 0.319314357)],
)
def test_golden_values_of_hard_weights(example, share, kept, value):
    pixels, target = example
    weights = regions.easiest(pixels, target, share)
    assert int(weights.sum()) == kept
    assert regions.weighted_mean(pixels, weights).item() == pytest.approx(value, abs=1e-9)


def test_golden_values_of_linear_weights(example):
    pixels, _ = example
    weights = regions.linear_weights(pixels, 0.7)
    assert weights.sum().item() == pytest.approx(9.484463, abs=1e-6)
    assert regions.weighted_mean(pixels, weights).item() == pytest.approx(0.185291257, abs=1e-9)


cases = st.tuples(st.integers(1, 3), st.integers(2, 4), st.integers(0, 10**6), st.booleans())


@given(cases, st.floats(0.01, 1))
@settings(max_examples=60, deadline=None, derandomize=True, database=None)
def test_hard_weights_are_what_sorting_each_class_gives(case, share):
    batch, classes, seed, ties = case
    rng = np.random.default_rng(seed)
    pixels = rng.exponential(size=(batch, 5, 6))
    pixels = np.round(pixels) if ties else pixels
    target = rng.integers(0, classes, pixels.shape)
    found = regions.easiest(torch.from_numpy(pixels), torch.from_numpy(target), share, classes)
    for loss, labels, kept in zip(pixels, target, found.numpy(), strict=True):
        for label in range(classes):
            values = np.sort(loss[labels == label])
            if len(values) == 0:
                continue
            limit = values[int(np.ceil(share * len(values) - 1e-9)) - 1]
            assert np.array_equal(kept[labels == label], loss[labels == label] <= limit)
            assert kept[labels == label].any()


def test_all_pixels_give_plain_cross_entropy():
    logits, target = torch.randn(2, 3, 6, 6), torch.randint(3, (2, 6, 6))
    pixels = losses.pixel_cross_entropy(logits, target)
    found = regions.weighted_mean(pixels, regions.easiest(pixels, target, 1.0, 3))
    assert torch.isclose(found, losses.cross_entropy_loss(logits, target))
    assert regions.weighted_mean(pixels, torch.zeros(2, 6, 6)) == 0


def test_weights_carry_no_gradient(example):
    pixels, target = example
    pixels = pixels.clone().requires_grad_()
    for weights in (regions.easiest(pixels, target, 0.5), regions.linear_weights(pixels, 0.7)):
        assert not weights.requires_grad
        (grad,) = torch.autograd.grad(regions.weighted_mean(pixels, weights), pixels)
        assert torch.allclose(grad, weights.double() / weights.sum())


def test_shares_of_the_steps():
    assert regions.step_shares(3) == pytest.approx([0.7, 0.85, 1.0])
    assert regions.step_shares(4, 0.6, 0.9) == pytest.approx([0.6, 0.7, 0.8, 0.9])
    assert regions.step_shares(1) == [1.0]
    assert doctest.testmod(regions).attempted == 1


def test_targets_of_the_steps_grow_to_the_mask(example):
    pixels, target = example
    revealed = [regions.easiest(pixels, target, share) for share in (0.25, 0.5, 1)]
    targets = regions.step_targets(target, revealed)
    # the second and the third easiest pixel of the disc are equally hard
    assert [int(step.sum()) for step in targets] == [3, 4, 8]
    assert torch.equal(targets[-1], target)
    for shown, step in zip(revealed, targets, strict=True):
        assert torch.equal(step, target * shown)
    with pytest.raises(ValueError, match="hides a pixel that an earlier one revealed"):
        regions.step_targets(target, revealed[::-1])


# The strategy


class Stub:
    """Stands for the net: gives stored logits, auxiliary ones at two scales and steps."""

    def __init__(self, size=8):
        self.weight = torch.ones((), requires_grad=True)
        rng = torch.Generator().manual_seed(0)
        self.full = torch.randn(2, 2, 1, size, size, generator=rng)
        self.half = torch.randn(2, 2, 1, size // 2, size // 2, generator=rng)

    def __call__(self, images, method="forward"):
        full, half = self.full * self.weight, self.half * self.weight
        if method == "forward":
            return full[1]
        aux = [(1, 1, half[0]), (1, 2, half[1]), (0, 1, full[0]), (0, 2, full[1])]
        return aux, full[1]


@pytest.fixture
def batch():
    images = torch.rand(2, 1, 8, 8, generator=torch.Generator().manual_seed(1))
    return images, (images[:, 0] > 0.6).long()


PLAIN = HybridWeights(boundary=0, consistency=0)


def region_ce(logits, masks, share):
    pixels = losses.pixel_cross_entropy(logits, masks)
    return regions.weighted_mean(pixels, regions.easiest(pixels, masks, share))


def test_by_epoch_the_share_grows_with_the_pacing(batch):
    net = Stub()
    strategy = RegionStep(PLAIN, start=0.5, end=0.5, warm_up=2, auxiliary=0)
    for epoch, share in ((0, 1.0), (1, 1.0), (2, 0.7), (3, 0.8), (5, 1.0), (9, 1.0)):
        strategy.start_epoch(epoch, 10)
        (loss,) = strategy(net, *batch, None)
        expected = losses.dice_loss(net.full[1], batch[1]) + region_ce(net.full[1], batch[1], share)
        assert torch.isclose(loss, expected), epoch
        kept = strategy.finish_epoch()["pixels_kept"]
        assert kept == pytest.approx(share, abs=0.03)


def test_by_step_each_step_has_its_own_share(batch):
    net, (_, masks) = Stub(), batch
    strategy = RegionStep(PLAIN, start=0.6, by="step", warm_up=0)
    strategy.start_epoch(0, 10)
    (loss,) = strategy(net, *batch, None)
    half = losses.pooled_reference(masks, 1, (4, 4))
    coarse = [losses.soft_dice_ce_loss(logits, half) for logits in net.half]
    fine = [
        losses.dice_loss(logits, masks) + region_ce(logits, masks, share)
        for logits, share in zip(net.full, (0.6, 1.0), strict=True)
    ]
    aux = sum((one / 3 + 2 * two / 3) / 2 for one, two in (coarse, fine))
    assert torch.isclose(loss, losses.dice_ce_loss(net.full[1], masks) + 0.5 * aux)
    warm = RegionStep(PLAIN, start=0.6, by="step", warm_up=1)
    warm.start_epoch(0, 10)
    fine[0] = losses.dice_ce_loss(net.full[0], masks)
    aux = sum((one / 3 + 2 * two / 3) / 2 for one, two in (coarse, fine))
    assert torch.isclose(
        next(iter(warm(net, *batch, None))), losses.dice_ce_loss(net.full[1], masks) + 0.5 * aux
    )


# Wrong input


@pytest.mark.parametrize("share", [0, -0.1, 1.1, float("nan")])
def test_a_share_out_of_range_is_refused(example, share):
    with pytest.raises(ValueError, match=r"share must be in \(0, 1\]"):
        regions.easiest(*example, share)


def test_wrong_shapes_and_limits_are_refused(example):
    pixels, target = example
    with pytest.raises(ValueError, match=r"must both be \(B, H, W\), got \(1, 4, 4\) and \(4, 4\)"):
        regions.easiest(pixels, target[0], 0.5)
    with pytest.raises(ValueError, match="limit must be greater than 0, got 0"):
        regions.linear_weights(pixels, 0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"start": 0}, r"start must be in \(0, 1\], got 0"),
        ({"final": 0.5}, r"final must be from start \(0.7\) to 1, got 0.5"),
        ({"by": "pixel"}, "by must be epoch or step, got 'pixel'"),
        ({"by": "step", "auxiliary": 0}, 'by="step" needs auxiliary logits'),
        ({"warm_up": -1}, "warm_up must be 0 or greater, got -1"),
        ({"pacing": "cosine"}, "unknown pacing 'cosine'"),
    ],
)
def test_wrong_options_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        RegionStep(**options)
