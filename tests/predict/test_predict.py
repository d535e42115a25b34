"""A mask at original size from every kind of file, the same from PyTorch and from ONNX."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

from course_lib import metrics, predict
from course_lib.training.card import Card
from tests.predict.samples import write_dicom, write_nifti


@pytest.fixture
def picture(disc):
    return predict.Picture(disc[None], (0.5, 2.0))


def test_the_mask_has_the_size_of_the_image_and_finds_the_disc(trained, picture):
    net, card = predict.load(trained)
    assert (card.net, card.size, card.classes) == ("unet_bn", (16, 16), ("background", "disc"))
    result = predict.segment(net, card, picture, 0.5)
    assert result.mask.shape == (40, 60)
    assert metrics.dice(result.mask > 0, picture.pixels[0] > 60) > 0.85
    found = predict.describe(result, picture, card)["disc"]
    assert found["area_px"] == (result.probabilities[0] > 0.5).sum()
    assert found["area_mm2"] == found["area_px"] * 0.5 * 2.0
    assert 0.5 < found["mean_probability"] <= 1


def test_onnx_says_what_pytorch_says(trained, exported, picture):
    ours, theirs = (
        predict.segment(*predict.load(file), picture, 0.5).probabilities
        for file in (trained, exported)
    )
    np.testing.assert_allclose(theirs, ours, atol=1e-5)


def test_the_threshold_counts_at_original_size(trained, picture):
    net, card = predict.load(trained)
    result = predict.segment(net, card, picture, 0.9)
    np.testing.assert_array_equal(result.mask, result.probabilities[0] > 0.9)
    assert 0 < result.mask.sum() < predict.segment(net, card, picture, 0.1).mask.sum()


def test_nothing_found_has_no_probability(trained, disc):
    net, card = predict.load(trained)
    dark = predict.Picture(np.full_like(disc[None], 30), None)
    found = predict.describe(predict.segment(net, card, dark, 0.999), dark, card)
    assert found == {"disc": {"area_px": 0, "area_mm2": None, "mean_probability": None}}


def test_every_kind_of_file_is_read(tmp_path, disc):
    for name in ("a.png", "a.tif"):
        Image.fromarray(disc).save(tmp_path / name)
    np.save(tmp_path / "a.npy", disc)
    write_dicom(tmp_path / "a.dcm", disc, PixelSpacing=[0.5, 0.25])
    write_dicom(tmp_path / "without_suffix", disc)
    for name in ("a.png", "a.tif", "a.npy", "a.dcm", "without_suffix"):
        read = predict.read(tmp_path / name)
        np.testing.assert_array_equal(read.pixels, disc[None])
        assert read.spacing == ((0.5, 0.25) if name == "a.dcm" else None)


def test_a_slice_is_taken_from_a_volume(tmp_path, disc):
    volume = np.stack([np.zeros_like(disc), disc, 2 * disc])
    write_nifti(tmp_path / "a.nii.gz", volume, (5.0, 0.5, 0.25))
    write_dicom(tmp_path / "a.dcm", volume)
    read = predict.read(tmp_path / "a.nii.gz", 1)
    assert read.spacing == (0.5, 0.25)
    assert np.corrcoef(read.pixels[0].ravel(), disc.ravel())[0, 1] > 0.999
    np.testing.assert_array_equal(predict.read(tmp_path / "a.dcm", 2).pixels, 2 * disc[None])
    for name in ("a.nii.gz", "a.dcm"):
        with pytest.raises(ValueError, match=rf"{name} is a volume of 3 slices.*--slice 0\.\.2"):
            predict.read(tmp_path / name)
        with pytest.raises(ValueError, match=r"has the slices 0\.\.2, none with the number 3"):
            predict.read(tmp_path / name, 3)


def test_mask_overlay_and_numbers_are_written(tmp_path, trained, disc):
    path = write_dicom(tmp_path / "a.dcm", disc, PixelSpacing=[0.5, 0.25])
    (report,) = predict.to_folder(trained, [path], tmp_path / "out", threshold=0.4)
    names = sorted(file.name for file in (tmp_path / "out").iterdir())
    assert names == ["a.json", "a_mask.png", "a_overlay.png"]
    told = json.loads((tmp_path / "out" / "a.json").read_text(encoding="utf-8"))
    assert told == json.loads(json.dumps(report))
    mask = np.asarray(Image.open(tmp_path / "out" / "a_mask.png"))
    assert set(np.unique(mask)) == {0, 255}
    found = told["found"]["disc"]
    assert found["area_px"] == (mask > 0).sum()
    assert found["area_mm2"] == found["area_px"] * 0.125
    assert (told["threshold"], told["size_px"], told["spacing_mm"]) == (0.4, [40, 60], [0.5, 0.25])
    overlay = np.asarray(Image.open(tmp_path / "out" / "a_overlay.png")).astype(int)
    assert overlay.shape == (40, 60, 3)
    drawn = (overlay != overlay[..., :1]).any(-1)
    assert drawn.any()
    assert not (drawn & (mask == 0)).any()  # the line lies inside, only its halo does not


class Shades(torch.nn.Module):
    """Three classes by grey value: dark, middle, bright."""

    def forward(self, x):
        return torch.cat([0.2 - x, 0.1 - (x - 0.4).abs(), x - 0.6], dim=1) * 100


def test_of_several_classes_the_most_probable_one_wins(tmp_path):
    card = Card("", {}, 1, 3, (4, 6), ("background", "middle", "bright"))
    pixels = np.zeros((1, 4, 6), np.uint8)
    pixels[0, :, 2:4], pixels[0, :, 5:] = 102, 255
    picture = predict.Picture(pixels, None)
    result = predict.segment(Shades(), card, picture, None)
    np.testing.assert_array_equal(result.mask, [[0, 0, 1, 1, 0, 2]] * 4)
    found = predict.describe(result, picture, card)
    assert {name: part["area_px"] for name, part in found.items()} == {"middle": 8, "bright": 4}
    assert all(part["mean_probability"] > 0.99 for part in found.values())


class Ramp(torch.nn.Module):
    """Looks at every pixel alone, and adds what depends on its place in what it is shown."""

    def __init__(self, slope):
        super().__init__()
        self.slope = slope

    def forward(self, x):
        return x + self.slope * torch.arange(x.shape[3])


def test_windows_join_without_seams():
    images = torch.rand(1, 1, 50, 70)
    joined = predict.sliding(Ramp(0.0), images, 32)
    torch.testing.assert_close(joined, images.sigmoid(), atol=1e-5, rtol=0)


def test_windows_of_a_net_that_depends_on_the_place_are_mixed():
    images = torch.zeros(1, 1, 32, 64)
    joined = predict.sliding(Ramp(0.1), images, 32, overlap=0.5)[0, 0, 16]
    left, right = (0.1 * torch.arange(32.0)).sigmoid()[[15, 31]]
    assert left < joined[31] < right  # two windows look there: at their column 15 and at their 31


def test_views_of_a_net_that_looks_at_pixels_alone_agree():
    for shape in ((2, 1, 16, 16), (1, 1, 16, 24)):
        images = torch.rand(shape)
        mean, spread = predict.augmented(Ramp(0.0), images)
        torch.testing.assert_close(mean, images.sigmoid())
        assert spread.max() < 1e-6


def test_views_that_disagree_are_averaged_and_told():
    mean, spread = predict.augmented(Ramp(0.1), torch.zeros(1, 1, 16, 16))
    torch.testing.assert_close(mean, mean.flip(3))
    torch.testing.assert_close(mean, mean.rot90(1, (2, 3)))
    assert spread.min() > 0
