"""The Laplacian boundary loss, and maps that are carried through flips and quarter turns."""

import numpy as np
import pytest
import torch
from scipy.ndimage import convolve

from course_lib import losses

LOGITS = [[3, 2, 0.5, -1], [2, -0.5, 1, -2], [1.5, 1, -1, -2.5], [-0.5, -1.5, 0.5, -3]]
MASK = [[1, 1, 1, 0], [1, 1, 1, 0], [1, 1, 0, 0], [0, 0, 0, 0]]


@pytest.fixture
def example():
    return torch.tensor(LOGITS, dtype=torch.float64)[None, None], torch.tensor(MASK)[None]


def random_case(classes, seed=0, batch=3, size=8):
    rng = torch.Generator().manual_seed(seed)
    logits = 3 * torch.randn(batch, classes, size, size, generator=rng, dtype=torch.float64)
    return logits, torch.randint(max(2, classes), (batch, size, size), generator=rng)


def blobs(number=4, height=16, width=16, classes=2, seed=0):
    """Masks without any symmetry: thresholded smooth noise."""
    rng = torch.Generator().manual_seed(seed)
    noise = torch.rand(number, 1, height // 4, width // 4, generator=rng)
    smooth = torch.nn.functional.interpolate(noise, size=(height, width), mode="bicubic")
    return (smooth[:, 0].clamp(0, 0.999) * classes).long()


# Laplacian


def test_laplacian_of_the_example(example):
    logits, target = example
    found = losses.laplacian_boundary_loss(logits, target)
    assert found.item() == pytest.approx(0.209681730, abs=1e-9)
    two = torch.cat([torch.zeros_like(logits), logits], 1)
    assert torch.isclose(losses.laplacian_boundary_loss(two, target), found)
    assert torch.equal(losses.LaplacianBoundaryLoss()(logits, target), found)


def test_laplacian_agrees_with_scipy():
    logits, target = random_case(3)
    kernel = np.full((3, 3), -1.0)
    kernel[1, 1] = 8
    probabilities = logits.softmax(1).numpy()
    values = [
        np.abs(
            convolve(probabilities[i, k], kernel, mode="nearest")
            - convolve((target[i].numpy() == k).astype(float), kernel, mode="nearest")
        ).mean()
        / 8
        for i in range(3)
        for k in (1, 2)
    ]
    assert losses.laplacian_boundary_loss(logits, target).item() == pytest.approx(np.mean(values))


@pytest.mark.parametrize("classes", [1, 3])
def test_laplacian_gradcheck(classes):
    logits, target = random_case(classes, batch=2, size=3)
    logits.requires_grad_()
    assert torch.autograd.gradcheck(lambda z: losses.laplacian_boundary_loss(z, target), (logits,))


def test_laplacian_of_a_perfect_and_of_the_inverted_mask():
    target = (torch.arange(64).reshape(1, 8, 8) + torch.arange(8)[:, None]) % 2  # checkerboard
    sure = 40.0 * (2 * target[:, None] - 1)
    assert losses.laplacian_boundary_loss(sure, target).item() < 1e-6
    inside = losses.laplacian_boundary_loss(-sure, target).item()
    assert 0 < inside <= 2


def test_laplacian_is_summed_in_float32():
    logits = torch.full((1, 1, 64, 64), 2.0, dtype=torch.bfloat16)
    loss = losses.laplacian_boundary_loss(logits, torch.ones(1, 64, 64, dtype=torch.long))
    assert loss.dtype == torch.float32


@pytest.mark.parametrize(
    ("shape", "message"), [((1, 4, 5), "target must be"), ((0, 4, 4), "is empty")]
)
def test_laplacian_refuses_wrong_shapes(shape, message):
    logits = torch.zeros(shape[0], 1, 4, 4)
    with pytest.raises(ValueError, match=message):
        losses.laplacian_boundary_loss(logits, torch.zeros(shape, dtype=torch.long))


# Kept maps


@pytest.mark.parametrize(("height", "width", "classes"), [(16, 16, 2), (16, 24, 2), (16, 16, 4)])
def test_flips_and_quarter_turns_are_served_and_equal_to_new_maps(height, width, classes):
    masks = blobs(height=height, width=width, classes=classes)
    maps = losses.DistanceMaps(classes)
    assert torch.equal(maps(masks), losses.distance_map(masks, classes))
    assert (maps.computed, maps.served) == (4, 0)
    for quarter in range(4):
        for axes in ((), (1,), (2,), (1, 2)):
            turned = torch.rot90(masks.flip(axes), quarter, (1, 2))
            found = maps(turned)
            assert torch.equal(found, losses.distance_map(turned, classes))
            carried = torch.rot90(
                losses.distance_map(masks, classes).flip([a + 1 for a in axes]), quarter, (2, 3)
            )
            assert torch.equal(found, carried)
    assert (maps.computed, maps.served) == (4, 64)


def test_other_geometry_is_computed():
    masks = blobs()
    maps = losses.DistanceMaps()
    maps(masks)
    for other in (masks.roll(1, 2), masks[:, 2:], masks[:, :, :8]):
        assert torch.equal(maps(other), losses.distance_map(other))
    assert (maps.computed, maps.served) == (16, 0)
    assert maps.seconds > 0


def test_labels_that_change_places_are_another_mask():
    mask = torch.zeros(1, 8, 8, dtype=torch.long)
    mask[:, 1:3, 1:3], mask[:, 5:7, 4:7] = 1, 2
    swapped = torch.tensor([0, 2, 1])[mask]
    maps = losses.DistanceMaps(3)
    assert torch.equal(maps(mask)[:, 0], maps(swapped)[:, 1])
    assert maps.computed == 2


def test_empty_and_full_masks_have_zero_maps():
    maps = losses.DistanceMaps()
    assert not maps(torch.zeros(2, 5, 7, dtype=torch.long)).any()
    assert not maps(torch.ones(2, 5, 7, dtype=torch.long)).any()
    assert (maps.computed, maps.served) == (2, 2)


def test_what_does_not_fit_is_computed_every_time():
    masks = blobs(number=3)
    maps = losses.DistanceMaps(max_bytes=2 * 16 * 16 * 4)
    for _ in range(2):
        assert torch.equal(maps(masks), losses.distance_map(masks))
    assert (maps.computed, maps.served) == (4, 2)


def test_kept_maps_refuse_what_distance_map_refuses():
    maps = losses.DistanceMaps()
    with pytest.raises(ValueError, match=r"masks must be \(B, H, W\), got shape \(4, 4\)"):
        maps(torch.zeros(4, 4, dtype=torch.long))
    with pytest.raises(ValueError, match=r"label 2; labels must be 0\.\.1"):
        maps(torch.full((1, 4, 4), 2))
