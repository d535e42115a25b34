"""Volumes from NIfTI files: made ones against what was put in, real ones through the nets."""

import hashlib

import numpy as np
import pytest
import torch

from course_lib import models
from course_lib.data import hippocampus, volumes

nibabel = pytest.importorskip("nibabel")


@pytest.fixture
def save(tmp_path):
    """Write voxels (x, y, z) as a file; RAS and 1 mm by default."""

    def save(values, affine=None, name="volume.nii.gz"):
        affine = np.eye(4) if affine is None else affine
        nibabel.save(nibabel.Nifti1Image(values, affine), tmp_path / name)
        return tmp_path / name

    return save


def random_voxels(shape=(4, 5, 6), seed=0):
    return np.random.default_rng(seed).normal(100, 30, shape).astype(np.float32)


def test_axes_are_depth_height_width_with_their_spacing(save):
    labels = np.random.default_rng(0).integers(0, 3, (4, 5, 6)).astype(np.uint8)
    path = save(labels, np.diag([0.5, 2.0, 3.0, 1.0]))
    np.testing.assert_array_equal(volumes.read_labels(path, 3), labels.transpose(2, 1, 0))
    image, spacing = volumes.read_volume(path)
    assert image.shape == (1, 6, 5, 4)
    assert spacing == (3.0, 2.0, 0.5)


def test_the_way_round_in_which_a_file_stores_its_axes_does_not_matter(save):
    plain = nibabel.Nifti1Image(random_voxels(), np.diag([0.5, 2.0, 3.0, 1.0]))
    expected, spacing = volumes.read_volume(save(random_voxels(), plain.affine))
    for codes in ("LPS", "SRA", "PIR"):
        turn = nibabel.orientations.ornt_transform(
            nibabel.io_orientation(plain.affine), nibabel.orientations.axcodes2ornt(codes)
        )
        turned = plain.as_reoriented(turn)
        assert nibabel.aff2axcodes(turned.affine) == tuple(codes)
        path = save(np.asarray(turned.dataobj), turned.affine)
        found = volumes.read_volume(path)
        np.testing.assert_array_equal(found[0], expected)
        assert found[1] == spacing


def test_intensities_are_scaled_between_two_percentiles(save):
    values = random_voxels((20, 20, 20))
    values[0, 0, 0] = 1e6  # an outlier must not darken the rest
    image, _ = volumes.read_volume(save(values))
    low, high = np.percentile(values, [0.5, 99.5])
    expected = np.clip((values.transpose(2, 1, 0) - low) / (high - low), 0, 1) * 255
    np.testing.assert_allclose(image[0], expected, atol=0.51)
    assert (image.min(), image.max()) == (0, 255)
    again, _ = volumes.read_volume(save(7 * values + 3))
    assert np.abs(again.astype(int) - image).max() <= 1
    constant, _ = volumes.read_volume(save(np.full((3, 3, 3), 5.0)))
    assert not constant.any()


def test_labels_may_be_stored_as_floats(save):
    labels = np.arange(60).reshape(3, 4, 5) % 3
    as_float = volumes.read_labels(save(labels.astype(np.float32)), 3, shape=(5, 4, 3))
    np.testing.assert_array_equal(as_float, labels.transpose(2, 1, 0))
    assert as_float.dtype == np.uint8


def test_what_is_no_label_is_refused(save):
    labels = np.zeros((3, 4, 5), np.float32)
    with pytest.raises(ValueError, match=r"are \(5, 4, 3\) but their image is \(5, 4, 4\)"):
        volumes.read_labels(save(labels), shape=(5, 4, 4))
    for wrong in (0.5, 2.0, -1.0):
        labels[1, 1, 1] = wrong
        with pytest.raises(ValueError, match=rf"hold {wrong:g}; 2 classes allow 0..1"):
            volumes.read_labels(save(labels))


def test_what_is_no_volume_is_refused(save, tmp_path):
    with pytest.raises(ValueError, match="there is no file"):
        volumes.read_volume(tmp_path / "none.nii.gz")
    whole = save(random_voxels()).read_bytes()
    damaged = tmp_path / "damaged.nii.gz"
    for content in (whole[: len(whole) // 2], b"not a volume", b""):
        damaged.write_bytes(content)
        with pytest.raises(ValueError, match="cannot be read as NIfTI"):
            volumes.read_volume(damaged)
    with pytest.raises(ValueError, match="one volume of three axes"):
        volumes.read_volume(save(random_voxels((4, 5, 6, 2))))
    with pytest.raises(ValueError, match="one volume of three axes"):
        volumes.read_volume(save(random_voxels((4, 5))))
    values = random_voxels()
    values[0, 0, 0] = np.nan
    with pytest.raises(ValueError, match="not finite"):
        volumes.read_volume(save(values))


def test_voxels_without_a_size_are_refused(save):
    path = save(random_voxels(), name="volume.nii")
    content = bytearray(path.read_bytes())
    content[80:84] = np.array(np.inf, "<f4").tobytes()  # pixdim[1]
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"voxels of the size \(1.0, 1.0, inf\)"):
        volumes.read_volume(path)


def test_a_header_that_claims_too_much_is_refused_before_it_is_read(save):
    path = save(random_voxels(), name="volume.nii")
    content = bytearray(path.read_bytes())
    content[42:48] = np.array([30000] * 3, "<i2").tobytes()  # dim[1..3]
    path.write_bytes(content)
    with pytest.raises(ValueError, match="claims"):
        volumes.read_volume(path)


def test_a_fourth_axis_of_one_is_taken(save):
    values = random_voxels()
    plain, _ = volumes.read_volume(save(values))
    np.testing.assert_array_equal(volumes.read_volume(save(values[..., None]))[0], plain)


def test_centred_keeps_the_volume_in_the_middle():
    volume = np.arange(1, 2 * 3 * 4 + 1, dtype=np.uint8).reshape(1, 2, 3, 4)
    larger = volumes.centred(volume, (4, 4, 4))
    assert larger.dtype == np.uint8
    np.testing.assert_array_equal(larger[:, 1:3, 0:3], volume)
    assert larger.sum() == volume.sum()
    with pytest.raises(ValueError, match=r"of \(2, 3, 4\) does not fit into \(4, 2, 4\)"):
        volumes.centred(volume, (4, 2, 4))


NETS = {
    "unet": ("unet", {"base": 2}),
    "ipl": ("plnet", {"base": 2, "depths": (4,)}),
    "ipl and epl": ("plnet", {"base": 2, "depths": (4, 5)}),
}


@pytest.fixture(scope="module")
def hippocampi():
    """The six real pairs, whole, as one data set of three classes."""
    return hippocampus.read((64, 64, 64))


def test_the_shipped_files_are_those_that_were_published():
    assert hashlib.sha256(hippocampus.FILE.read_bytes()).hexdigest() == (
        "f7ff170dbe0a4479f046cf7cf527d2c70c6b426d5d137e34741fc004756d8b49"
    )


def test_the_six_real_pairs_are_read_whatever_their_types(hippocampi):
    data = hippocampi
    assert list(data.cases["case_id"]) == [f"hippocampus_00{i}" for i in (1, 3, 4, 6, 7, 8)]
    assert (data.cases[["spacing_z", "spacing_y", "spacing_x"]] == 1).all(axis=None)
    assert data.cases["group"].is_unique
    assert data.descriptor["licenses"][0]["name"] == "CC-BY-SA-4.0"
    for image, mask in zip(data.images, data.masks, strict=True):
        assert set(np.unique(mask)) == {0, 1, 2}
        assert (image.min(), image.max()) == (0, 255)
        # anterior lies in front of posterior: axes are not mixed up, and labels are as named
        front, back = (np.argwhere(mask == label)[:, 1].mean() for label in (1, 2))
        assert front > back


def test_the_middle_of_every_patient_holds_all_that_is_labelled(hippocampi):
    data = hippocampus.read()
    assert data.images.shape == (6, 1, 32, 48, 32)
    for label in (1, 2):
        counts = [(masks == label).sum((1, 2, 3)) for masks in (data.masks, hippocampi.masks)]
        np.testing.assert_array_equal(*counts)
    # patient 006 has 34 x 52 x 35 voxels: they begin at 15, 6, 14 of 64, the middle 1, 2, 1 later
    whole = hippocampi.images[3, 0]
    np.testing.assert_array_equal(data.images[3, 0], whole[16:48, 8:56, 15:47])
    with pytest.raises(ValueError, match="cuts labelled voxels of hippocampus_001"):
        hippocampus.read((16, 48, 32))


def test_eight_voxels_become_one(hippocampi):
    half = hippocampus.read((17, 26, 17), spacing=2)
    assert (half.cases[["spacing_z", "spacing_y", "spacing_x"]] == 2).all(axis=None)
    whole = hippocampi.images[3, 0, 15:49, 6:58, 14:48]  # patient 006, but for its last slice
    blocks = whole.reshape(17, 2, 26, 2, 17, 2).mean((1, 3, 5))
    np.testing.assert_array_equal(half.images[3, 0], np.rint(blocks))
    for label in (1, 2):
        counts = [(masks == label).sum((1, 2, 3)) for masks in (half.masks, hippocampi.masks)]
        np.testing.assert_allclose(counts[0], counts[1] / 8, rtol=0.15)
    with pytest.raises(ValueError, match="spacing must be 1 or 2 mm, not 3"):
        hippocampus.read(spacing=3)


def test_a_shipped_file_that_is_missing_or_damaged_is_one_line(tmp_path, monkeypatch):
    monkeypatch.setattr(hippocampus, "FILE", tmp_path / "broken.zip")
    with pytest.raises(ValueError, match=r"no file .*broken\.zip"):
        hippocampus.read()
    (tmp_path / "broken.zip").write_bytes(b"no archive")
    with pytest.raises(ValueError, match="not a whole zip file"):
        hippocampus.read()


@pytest.mark.parametrize("net", NETS)
def test_the_nets_run_through_the_six_real_pairs(hippocampi, net):
    data = hippocampi
    name, options = NETS[net]
    torch.manual_seed(0)
    model = models.create(name, in_channels=1, num_classes=3, dims=3, **options).eval()
    for i in range(len(data)):
        images, masks = data.batch([i])
        with torch.inference_mode():
            logits = model(images)
        assert logits.shape == (1, 3, *masks.shape[1:])
        assert logits.isfinite().all()
        assert logits.std() > 0
