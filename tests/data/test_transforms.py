import subprocess
import sys

import numpy as np
import pytest
import torch
from scipy import ndimage
from torch.nn import functional as F

from course_lib.data import transforms
from course_lib.data.transforms import Augmentation, augment

WARP = {"rotate": 25, "shift": 0.15, "scale": 0.2, "elastic": 0.05}
GREY = {"brightness": 0.2, "contrast": 0.3, "gamma": 0.5, "noise": 0.1}
EVERYTHING = Augmentation(flip=True, **WARP, **GREY)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def batch(count=6, height=48, width=64, channels=3, labels=4):
    images = torch.rand(count, channels, height, width, generator=seeded(7))
    masks = torch.randint(0, labels, (count, height, width), generator=seeded(8))
    return images, masks


def test_nothing_on_changes_nothing():
    images, masks = batch()
    new_images, new_masks = augment(images, masks, Augmentation(), seeded())
    assert torch.equal(new_images, images)
    assert torch.equal(new_masks, masks)


@pytest.mark.parametrize("options", [{"flip": True}, WARP, GREY, {"flip": True, **WARP, **GREY}])
def test_shapes_types_ranges_and_labels_stay(options):
    images, masks = batch()
    masks[masks == 2] = 255
    for dtype in (torch.uint8, torch.int64):
        new_images, new_masks = augment(images, masks.to(dtype), Augmentation(**options), seeded())
        assert new_images.shape == images.shape
        assert new_images.dtype == torch.float32
        assert new_masks.shape == masks.shape
        assert new_masks.dtype == dtype
        assert new_images.min() >= 0
        assert new_images.max() <= 1
        assert set(new_masks.unique().tolist()) == {0, 1, 3, 255}
        assert not torch.equal(new_images, images)


def test_the_inputs_are_not_written_to():
    images, masks = batch()
    kept = images.clone(), masks.clone()
    augment(images, masks, EVERYTHING, seeded())
    assert torch.equal(images, kept[0])
    assert torch.equal(masks, kept[1])


def test_flips_move_pixels_and_are_all_four_met():
    images, masks = batch(count=64, labels=256)
    images = (masks[:, None] / 255).float()
    new_images, new_masks = augment(images, masks, Augmentation(flip=True), seeded())
    assert torch.equal(new_images[:, 0], (new_masks / 255).float())
    met = set()
    for before, after in zip(masks, new_masks, strict=True):
        for axes in ((), (0,), (1,), (0, 1)):
            if torch.equal(before.flip(axes), after):
                met.add(axes)
                break
        else:
            pytest.fail("a flip made new pixels")
    assert met == {(), (0,), (1,), (0, 1)}


def test_flips_inside_the_grid_are_the_flips_of_pixels():
    images, masks = batch(count=16)
    exact = augment(images, masks, Augmentation(flip=True), seeded())
    composed = augment(images, masks, Augmentation(flip=True, shift=1e-7), seeded())
    torch.testing.assert_close(composed[0], exact[0], atol=1e-4, rtol=0)
    assert torch.equal(composed[1], exact[1])


@pytest.mark.parametrize("flip", [False, True])
def test_image_and_mask_move_together(flip):
    """The grey value of a pixel is its column, its label the same: so they may differ by half."""
    columns = torch.arange(64)
    masks = columns.expand(16, 48, 64).clone()
    images = (masks[:, None] / 63).float()
    augmentation = Augmentation(flip=flip, **WARP)
    new_images, new_masks = augment(images, masks, augmentation, seeded())
    assert (new_images[:, 0] * 63 - new_masks).abs().max() <= 0.5 + 1e-3
    assert (new_masks - masks).abs().float().mean() > 3


def test_a_disc_stays_one_with_its_mask():
    rows, columns = torch.meshgrid(torch.arange(64), torch.arange(64), indexing="ij")
    masks = ((rows - 26) ** 2 + (columns - 36) ** 2 < 150).long().expand(32, 64, 64)
    images = masks[:, None].float()
    new_images, new_masks = augment(images, masks, Augmentation(flip=True, **WARP), seeded())
    # the nearest of four pixels has at least a quarter of the bilinear weight
    assert new_images[:, 0][new_masks == 1].min() >= 0.25
    assert new_images[:, 0][new_masks == 0].max() <= 0.75
    assert ((new_images[:, 0] > 0.5) == new_masks).float().mean() > 0.998


def grid_of(augmentation, height, width, seed=0):
    """Where each pixel comes from, in pixels: two ramps sent through ``augment``."""
    ramps = torch.stack(
        torch.meshgrid(torch.arange(height) + 0.5, torch.arange(width) + 0.5, indexing="ij")
    )
    ramps[0] /= height
    ramps[1] /= width
    masks = torch.zeros(1, height, width, dtype=torch.long)
    moved, _ = augment(ramps[None], masks, augmentation, seeded(seed))
    return moved[0, 0] * height, moved[0, 1] * width


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_rotation_is_one_of_pixels_also_where_sides_differ(seed):
    rows, columns = grid_of(Augmentation(rotate=30), 64, 128, seed)
    centre = slice(28, 36), slice(60, 68)
    down = [(m[29:36, 60:68] - m[28:35, 60:68]).mean().item() for m in (rows, columns)]
    right = [(m[28:36, 61:68] - m[28:36, 60:67]).mean().item() for m in (rows, columns)]
    assert np.hypot(*down) == pytest.approx(1, abs=1e-3)
    assert np.hypot(*right) == pytest.approx(1, abs=1e-3)
    assert np.dot(down, right) == pytest.approx(0, abs=1e-3)
    assert abs(np.degrees(np.arctan2(right[0], right[1]))) <= 30
    assert rows[centre].mean().item() == pytest.approx(32, abs=1e-2)
    assert columns[centre].mean().item() == pytest.approx(64, abs=1e-2)


def test_strengths_are_the_ends_of_what_is_drawn():
    shifts, factors = [], []
    for seed in range(100):
        rows, columns = grid_of(Augmentation(shift=0.1), 40, 40, seed)
        shifts += [rows[20, 20].item() - 20.5, columns[20, 20].item() - 20.5]
        rows, _ = grid_of(Augmentation(scale=0.25), 40, 40, seed)
        factors.append(1 / (rows[21, 20] - rows[20, 20]).item())
    assert -4 <= min(shifts) < -3.5
    assert 3.5 < max(shifts) <= 4
    assert 0.75 <= min(factors) < 0.8
    assert 1.2 < max(factors) <= 1.25 + 1e-4


def test_the_strongest_elastic_field_does_not_fold():
    masks = torch.zeros(200, 64, 64, dtype=torch.long)
    rows, columns = torch.meshgrid(torch.arange(64) / 64, torch.arange(64) / 64, indexing="ij")
    ramps = torch.stack([rows, columns]).expand(200, 2, 64, 64)
    moved, _ = augment(ramps, masks, Augmentation(elastic=0.05), seeded())
    inner = moved[..., 6:-6, 6:-6]  # away from what the border reflects
    down, right = inner[..., 1:, :-1] - inner[..., :-1, :-1], inner[..., 1:] - inner[..., :-1]
    right = right[..., :-1, :]
    area = down[:, 0] * right[:, 1] - down[:, 1] * right[:, 0]
    assert area.min() > 0


def test_one_composed_grid_resamples_once():
    """Two turns of the same angle back and forth would blur; one grid of both does not."""
    images, masks = batch(count=1, height=64, width=64)
    augmentation = Augmentation(rotate=20, shift=0.1, scale=0.1)
    rows, columns = grid_of(augmentation, 64, 64, seed=3)
    moved, _ = augment(images, masks, augmentation, seeded(3))
    inside = (rows > 2) & (rows < 62) & (columns > 2) & (columns < 62)
    for channel in range(3):
        expected = ndimage.map_coordinates(
            images[0, channel].numpy(), [rows.numpy() - 0.5, columns.numpy() - 0.5], order=1
        )
        difference = moved[0, channel].numpy() - expected
        assert np.abs(difference[inside.numpy()]).max() < 2e-3


def test_what_comes_from_beyond_the_border_is_a_reflection():
    images, masks = torch.ones(8, 1, 32, 32), torch.ones(8, 32, 32, dtype=torch.long)
    images, masks = augment(images, masks, Augmentation(rotate=45, shift=0.4), seeded())
    assert images.min() > 1 - 1e-5
    assert masks.min() == 1


def test_the_generator_alone_decides():
    images, masks = batch()
    torch.manual_seed(1)
    before = torch.random.get_rng_state()
    first = augment(images, masks, EVERYTHING, seeded(5))
    assert torch.equal(torch.random.get_rng_state(), before)
    torch.manual_seed(2)
    second = augment(images, masks, EVERYTHING, seeded(5))
    other = augment(images, masks, EVERYTHING, seeded(6))
    assert torch.equal(first[0], second[0])
    assert torch.equal(first[1], second[1])
    assert not torch.equal(first[0], other[0])


def test_a_strength_does_not_change_the_other_draws():
    images, masks = batch()
    _, alone = augment(images, masks, Augmentation(flip=True, rotate=20), seeded())
    _, beside = augment(images, masks, Augmentation(flip=True, rotate=20, **GREY), seeded())
    assert torch.equal(alone, beside)


def test_grey_changes_leave_the_mask_and_differ_per_image():
    images = torch.full((16, 3, 16, 16), 0.5)
    masks = batch(16, 16, 16)[1]
    for name in ("brightness", "gamma"):
        changed, same = augment(images, masks, Augmentation(**{name: 0.2}), seeded())
        assert torch.equal(same, masks)
        levels = changed.mean((1, 2, 3))
        assert len(levels.unique()) == 16
        assert (levels - 0.5).abs().max() <= 0.2 + 1e-6


def test_contrast_keeps_the_mean():
    images, masks = batch(channels=1)
    images = 0.4 + 0.2 * images
    changed, _ = augment(images, masks, Augmentation(contrast=0.5), seeded())
    torch.testing.assert_close(changed.mean((1, 2, 3)), images.mean((1, 2, 3)))
    ratio = changed.std((1, 2, 3)) / images.std((1, 2, 3))
    assert ratio.min() >= 0.5
    assert ratio.max() <= 1.5
    assert len(ratio.unique()) == 6


def test_noise_has_its_strength_and_meets_half_of_the_images():
    images = torch.full((64, 1, 32, 32), 0.5)
    masks = torch.zeros(64, 32, 32, dtype=torch.long)
    changed, _ = augment(images, masks, Augmentation(noise=0.05), seeded())
    spread = changed.std((1, 2, 3))
    assert 16 < (spread > 0).sum() < 48
    assert spread[spread > 0].mean() == pytest.approx(0.05, abs=0.002)


def test_kornia_is_loaded_for_grey_values_only():
    code = (
        "import sys, torch; from course_lib.data.transforms import Augmentation, augment\n"
        "sys.modules['kornia'] = None\n"
        "x, y = torch.rand(2, 1, 16, 16), torch.zeros(2, 16, 16, dtype=torch.long)\n"
        "a = Augmentation(flip=True, rotate=9, shift=.1, scale=.1, elastic=.03)\n"
        "augment(x, y, a, torch.Generator())\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rotate": -1}, "rotate must be 0 to 180, got -1"),
        ({"shift": 0.6}, "shift must be 0 to 0.5, got 0.6"),
        ({"scale": 1.0}, "scale must be 0 to 0.9, got 1.0"),
        ({"elastic": 0.06}, "elastic must be 0 to 0.05, got 0.06"),
        ({"brightness": float("nan")}, "brightness must be 0 to 1, got nan"),
        ({"contrast": 2}, "contrast must be 0 to 1, got 2"),
        ({"gamma": -0.1}, "gamma must be 0 to 4, got -0.1"),
        ({"noise": 1.5}, "noise must be 0 to 1, got 1.5"),
    ],
)
def test_strengths_out_of_range_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        Augmentation(**options)


def test_volumes_are_flipped_slice_by_slice_and_nothing_else():
    volumes = torch.rand(16, 1, 3, 8, 10, generator=seeded(7))
    masks = torch.randint(0, 4, (16, 3, 8, 10), generator=seeded(8))
    flip = Augmentation(flip=True)
    new_volumes, new_masks = augment(volumes, masks, flip, seeded())
    for depth in range(3):  # the same draws, so every slice is flipped as an image would be
        expected = augment(volumes[:, :, depth], masks[:, depth], flip, seeded())
        assert torch.equal(new_volumes[:, :, depth], expected[0])
        assert torch.equal(new_masks[:, depth], expected[1])
    assert augment(volumes, masks, Augmentation(), seeded())[0] is volumes
    for changes in ({"rotate": 5}, {"noise": 0.1}):
        with pytest.raises(ValueError, match="volumes can be flipped and nothing else"):
            augment(volumes, masks, Augmentation(**changes), seeded())


def test_batches_that_do_not_fit_are_refused():
    images, masks = batch()
    for wrong in (images[0], (255 * images).byte()):
        with pytest.raises(ValueError, match=r"images must be \(B, C, H, W\) float32"):
            augment(wrong, masks, EVERYTHING, seeded())
    for wrong in (masks[:3], masks[:, None], masks.float(), masks > 0):
        with pytest.raises(ValueError, match=r"integer labels of shape \(6, 48, 64\)"):
            augment(images, wrong, EVERYTHING, seeded())


def test_median_by_hand_and_beside_scipy():
    image = torch.tensor([[1.0, 2, 3], [4, 99, 6], [7, 8, 9]])[None, None]
    assert transforms.median_filter(image)[0, 0, 1, 1] == 6
    images, _ = batch()
    expected = ndimage.median_filter(images.numpy(), size=(1, 1, 5, 5), mode="mirror")
    assert np.array_equal(transforms.median_filter(images, 5).numpy(), expected)
    assert torch.equal(transforms.median_filter(images, 1), images)
    with pytest.raises(ValueError, match="size must be odd and at least 1, got 4"):
        transforms.median_filter(images, 4)


def test_gaussian_by_hand_and_beside_scipy():
    point = torch.zeros(1, 1, 17, 17)
    point[0, 0, 8, 8] = 1
    smooth = transforms.gaussian_filter(point, 1.0)[0, 0]
    assert smooth[8, 8].item() == pytest.approx(1 / (2 * np.pi), abs=1e-4)
    assert smooth[8, 10].item() == pytest.approx(np.exp(-2) / (2 * np.pi), abs=1e-4)
    images, _ = batch()
    for sigma in (0.7, 2.0):
        expected = ndimage.gaussian_filter(images.numpy(), (0, 0, sigma, sigma), mode="mirror")
        got = transforms.gaussian_filter(images, sigma).numpy()
        np.testing.assert_allclose(got, expected, atol=1e-6)
    with pytest.raises(ValueError, match="sigma must be above 0 px, got 0"):
        transforms.gaussian_filter(images, 0)


def test_z_score_by_hand():
    image = torch.tensor([[[1.0, 3.0]], [[10.0, 30.0]], [[0.1, 0.1]]])[None]
    expected = torch.tensor([[[-1.0, 1.0]], [[-1.0, 1.0]], [[0.0, 0.0]]])[None]
    torch.testing.assert_close(transforms.z_score(image), expected)


def test_unit_range_by_hand():
    images = torch.tensor([[[[2.0, 4.0]], [[3.0, 6.0]]], [[[5.0, 5.0]], [[5.0, 5.0]]]])
    expected = torch.tensor([[[[0.0, 0.5]], [[0.25, 1.0]]], [[[0.0, 0.0]], [[0.0, 0.0]]]])
    torch.testing.assert_close(transforms.unit_range(images), expected)


def test_grey_world_by_hand():
    image = torch.tensor([[[0.2, 0.4]], [[0.6, 0.6]], [[0.0, 0.0]]])[None]  # means .3 .6 0
    expected = torch.tensor([[[0.2, 0.4]], [[0.3, 0.3]], [[0.0, 0.0]]])[None]
    torch.testing.assert_close(transforms.grey_world(image), expected)
    cast = torch.rand(2, 3, 8, 8, generator=seeded()) * torch.tensor([0.9, 0.5, 0.3])[:, None, None]
    means = transforms.grey_world(cast).mean((2, 3))
    assert (means - means.mean(1, keepdim=True)).abs().max() < 0.02


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_gpu_gives_the_same_batch():
    images, masks = batch()
    expected = augment(images, masks, EVERYTHING, seeded())
    got = augment(images.cuda(), masks.cuda(), EVERYTHING, seeded())
    assert got[0].device.type == "cuda"
    assert F.l1_loss(got[0].cpu(), expected[0]) < 1e-4
    assert (got[1].cpu() == expected[1]).float().mean() > 0.999
