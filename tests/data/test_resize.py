import numpy as np
import pytest
import torch
from torch.nn import functional as F

from course_lib.data.resize import resize_images, resize_masks


def test_masks_take_the_nearest_pixel_centre():
    row = np.arange(10, dtype=np.uint8)[None]
    # centres of 4 new pixels in old ones: (i + 0.5) * 10 / 4 = 1.25, 3.75, 6.25, 8.75
    assert resize_masks(row, (1, 4)).tolist() == [[1, 3, 6, 8]]
    assert resize_masks(row[:, :3], (2, 6)).tolist() == [[0, 0, 1, 1, 2, 2]] * 2


def test_masks_agree_with_torch_nearest_exact():
    masks = np.random.default_rng(0).integers(0, 5, (3, 37, 53), dtype=np.uint8)
    for size in ((16, 16), (37, 20), (64, 90)):
        expected = F.interpolate(torch.from_numpy(masks)[None].float(), size, mode="nearest-exact")
        assert (resize_masks(masks, size) == expected[0].numpy()).all()


def test_halving_an_image_averages_and_keeps_its_mean():
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (20, 3, 64, 48), dtype=np.uint8)
    small = resize_images(images, (16, 12))
    assert small.shape == (20, 3, 16, 12)
    assert small.dtype == np.uint8
    assert abs(small.mean() - images.mean()) < 1
    # noise of one pixel is averaged away, which plain bilinear sampling would keep
    assert small.std() < 0.4 * images.std()


def test_values_are_rounded_not_cut():
    images = np.array([0, 1, 1, 1], dtype=np.uint8).reshape(1, 1, 2, 2)
    assert resize_images(images, 1).item() == 1  # the mean is 0.75


def test_extreme_values_stay_in_range():
    images = np.zeros((1, 1, 8, 8), dtype=np.uint8)
    images[..., ::2] = 255
    for size in (3, 8, 21):
        constant = resize_images(np.full((1, 1, 8, 8), 255, dtype=np.uint8), size)
        assert (constant == 255).all()
        assert resize_images(images, size).shape == (1, 1, size, size)
    assert (resize_images(images, 8) == images).all()


@pytest.mark.parametrize("size", [0, -3, 2.5, (4, 5, 6), (4, 0)])
def test_sizes_that_are_none_are_refused(size):
    with pytest.raises(ValueError, match="whole numbers of pixels"):
        resize_images(np.zeros((1, 1, 8, 8), dtype=np.uint8), size)
