"""The loss of four terms, soft references, single pixels, and what needs no mask."""

import dataclasses

import pytest
import torch
from torch.nn import functional as F

from course_lib import losses
from course_lib.losses import HybridWeights

LOGITS = [[3, 2, 0.5, -1], [2, -0.5, 1, -2], [1.5, 1, -1, -2.5], [-0.5, -1.5, 0.5, -3]]
MASK = [[1, 1, 1, 0], [1, 1, 1, 0], [1, 1, 0, 0], [0, 0, 0, 0]]


@pytest.fixture
def example():
    """Logits, mask, and the logits of a changed copy: the diagonal up and down by a half."""
    logits = torch.tensor(LOGITS, dtype=torch.float64)[None, None]
    view = logits + torch.diag(torch.tensor([0.5, -0.5, 0.5, -0.5], dtype=torch.float64))
    return logits, torch.tensor(MASK)[None], view


def random_case(classes, seed=0, batch=2, size=6):
    rng = torch.Generator().manual_seed(seed)
    logits = 3 * torch.randn(batch, classes, size, size, generator=rng, dtype=torch.float64)
    return logits, torch.randint(max(2, classes), (batch, size, size), generator=rng)


def test_golden_values(example):
    logits, target, view = example
    assert losses.consistency_loss(logits, view).item() == pytest.approx(0.001515238, abs=1e-9)
    assert losses.hybrid_loss(logits, target, view).item() == pytest.approx(0.574497634, abs=2e-9)
    kervadec = losses.hybrid_loss(
        logits,
        target,
        view,
        distance=losses.distance_map(target),
        weights=HybridWeights(boundary=0.01),
    )
    # the distance map is float32: 1e-7 of it, times 0.01
    assert kervadec.item() == pytest.approx(0.552686323, abs=3e-9)


def test_terms_are_those_of_the_functions_and_sum_up(example):
    logits, target, view = example
    weights = HybridWeights(dice=0.7, ce=1.3, boundary=0.2, consistency=0.4)
    terms = losses.hybrid_terms(logits, target, view, weights=weights)
    expected = {
        "dice": losses.dice_loss(logits, target),
        "ce": losses.cross_entropy_loss(logits, target),
        "boundary": losses.laplacian_boundary_loss(logits, target),
        "consistency": losses.consistency_loss(logits, view),
    }
    assert terms == expected
    total = sum(w * expected[name] for name, w in dataclasses.asdict(weights).items())
    assert torch.isclose(losses.hybrid_loss(logits, target, view, weights=weights), total)
    assert torch.isclose(losses.HybridLoss(weights)(logits, target, view), total)


@pytest.mark.parametrize("name", ["dice", "ce", "boundary", "consistency"])
def test_a_weight_of_zero_switches_a_term_off(example, name):
    logits, target, view = example
    weights = HybridWeights(**{name: 0.0})
    terms = losses.hybrid_terms(logits, target, view, weights=weights)
    assert set(terms) == {"dice", "ce", "boundary", "consistency"} - {name}


def test_dice_and_ce_alone_are_the_default_loss(example):
    logits, target, _ = example
    found = losses.hybrid_loss(logits, target, weights=HybridWeights(boundary=0, consistency=0))
    assert torch.equal(found, losses.dice_ce_loss(logits, target))


@pytest.mark.parametrize("classes", [1, 3])
def test_gradcheck_of_what_is_learned_from(classes):
    logits, target = random_case(classes, size=3)
    view = (logits + 0.3).requires_grad_()
    assert torch.autograd.gradcheck(lambda v: losses.consistency_loss(logits, v), (view,))
    logits.requires_grad_()
    weights = HybridWeights(consistency=0)
    assert torch.autograd.gradcheck(
        lambda z: losses.hybrid_loss(z, target, weights=weights), (logits,)
    )


def test_the_clean_images_are_the_goal_and_learn_nothing():
    logits, _ = random_case(1)
    view = (logits + 0.5).requires_grad_()
    logits.requires_grad_()
    losses.consistency_loss(logits, view).backward()
    assert logits.grad is None
    assert (view.grad > 0).all()  # every view is above its goal


def test_consistency_of_two_channels_is_that_of_one():
    logits, view = random_case(1)[0], random_case(1, seed=1)[0]
    two, other = (torch.cat([torch.zeros_like(z), z], 1) for z in (logits, view))
    assert torch.isclose(losses.consistency_loss(two, other), losses.consistency_loss(logits, view))


def test_the_boundary_weight_grows_by_a_hundredth_up_to_a_half():
    assert [losses.boundary_weight(e) for e in (0, 1, 20, 50, 200)] == [0, 0.01, 0.2, 0.5, 0.5]


# Single pixels and soft references


@pytest.mark.parametrize("classes", [1, 3])
def test_the_mean_over_pixels_is_the_cross_entropy(classes):
    logits, target = random_case(classes)
    pixels = losses.pixel_cross_entropy(logits, target)
    assert pixels.shape == target.shape
    assert torch.isclose(pixels.mean(), losses.cross_entropy_loss(logits, target))
    if classes > 1:
        assert torch.allclose(pixels, F.cross_entropy(logits, target, reduction="none"))


@pytest.mark.parametrize("classes", [1, 3])
def test_a_reference_of_its_own_size_gives_the_hard_loss(classes):
    logits, target = random_case(classes)
    reference = losses.pooled_reference(target, classes, (6, 6))
    assert reference.shape == logits.shape
    assert torch.isclose(
        losses.soft_dice_ce_loss(logits, reference), losses.dice_ce_loss(logits, target)
    )


def test_a_pooled_reference_counts_pixels():
    target = torch.tensor(MASK)[None]
    found = losses.pooled_reference(target, 1, (2, 2))
    assert found[0, 0].tolist() == [[1.0, 0.5], [0.5, 0.0]]
    both = losses.pooled_reference(target, 2, (2, 2))
    assert torch.equal(both[:, 1:], found)
    assert torch.equal(both.sum(1), torch.ones(1, 2, 2))
    # sides that do not divide: every cell still holds fractions that sum to 1
    odd = losses.pooled_reference(random_case(3, size=7)[1], 3, (3, 3))
    assert torch.allclose(odd.sum(1), torch.ones(2, 3, 3))


def test_a_soft_reference_by_hand():
    # p = 1/2 everywhere, reference 1/4: Dice 1 - (2 * 4/8 + 1) / (2 + 1 + 1), CE ln 2
    found = losses.soft_dice_ce_loss(torch.zeros(1, 1, 2, 2), torch.full((1, 1, 2, 2), 0.25))
    assert found.item() == pytest.approx(0.5 + 0.6931472)


# Reconstruction


def test_only_hidden_pixels_count():
    images = torch.arange(32.0).reshape(2, 1, 4, 4)
    hidden = torch.zeros(1, 1, 4, 4, dtype=torch.bool)
    hidden[..., :2] = True
    wrong = images.clone()
    wrong[..., 2:] += 100
    assert losses.masked_l1_loss(wrong, images, hidden).tolist() == [0, 0]
    wrong[1, :, 0, :2] -= 4
    assert losses.masked_l1_loss(wrong, images, hidden).tolist() == [0, 1]
    assert losses.masked_l1_loss(wrong, images, torch.zeros(2, 1, 4, 4)).tolist() == [0, 0]


def test_channels_are_averaged_and_sums_are_float32():
    images = torch.zeros(1, 2, 400, 400, dtype=torch.float16)
    hidden = torch.ones(1, 1, 400, 400)
    made = torch.stack([torch.full((400, 400), v) for v in (1.0, 3.0)])[None].half()
    found = losses.masked_l1_loss(made, images, hidden)
    assert found.dtype == torch.float32
    assert found.tolist() == [2.0]


# Wrong input


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ({"dice": -1}, "weight dice must be 0 or greater, got -1"),
        ({"consistency": float("nan")}, "weight consistency must be 0 or greater, got nan"),
        ({"dice": 0, "ce": 0}, "a boundary loss does not train a net alone; add dice or ce"),
    ],
)
def test_wrong_weights_are_refused(weights, message):
    with pytest.raises(ValueError, match=message):
        HybridWeights(**weights)


def test_missing_and_misshapen_tensors_are_refused(example):
    logits, target, view = example
    with pytest.raises(ValueError, match="needs view_logits; hand them in or set its weight to 0"):
        losses.hybrid_loss(logits, target)
    with pytest.raises(ValueError, match=r"must both be \(B, K, H, W\), got"):
        losses.consistency_loss(logits, view[..., :2])
    with pytest.raises(ValueError, match=r"logits and reference must both be"):
        losses.soft_dice_ce_loss(logits, target.float())
    with pytest.raises(ValueError, match=r"hidden \(B or 1, 1, H, W\)"):
        losses.masked_l1_loss(logits, logits, target)
