import numpy as np
import pytest
from PIL import Image

import data_scripts
from course_lib.data import prepared
from data_scripts import folder

RNG = np.random.default_rng(0)
SHAPES = [(40, 50), (33, 64), (50, 50), (64, 40), (48, 48)]


@pytest.fixture
def pairs(tmp_path):
    """Five gray images and binary 0/255 masks in two folders; gives both and the masks."""
    for name in ("images", "masks"):
        (tmp_path / name).mkdir()
    masks = {}
    for i, shape in enumerate(SHAPES):
        stem = f"P{i // 2}_{i}"
        masks[stem] = np.zeros(shape, dtype=np.uint8)
        masks[stem][10:25, 5 : 20 + i] = 1
        save(tmp_path / "images" / f"{stem}.png", RNG.integers(0, 256, shape, dtype=np.uint8))
        save(tmp_path / "masks" / f"{stem}.png", masks[stem] * 255)
    return tmp_path / "images", tmp_path / "masks", masks


def save(path, array):
    Image.fromarray(array).save(path)


def test_pairs_become_a_prepared_set(pairs, tmp_path):
    images, masks, labels = pairs
    made = folder.prepare(images, masks, tmp_path / "own-32", 32, "own")
    assert prepared.verify(made) == []
    dataset = prepared.open(made, verify="hash")
    assert dataset.images.shape == (5, 1, 32, 32)
    assert dataset.num_classes == 2
    assert list(dataset.cases.case_id) == sorted(labels)
    for i, case in enumerate(dataset.cases.case_id):
        assert (dataset.mask_full(i) == labels[case]).all()
    assert {part: len(chosen) for part, chosen in dataset.split().items()} == {
        "train": 3,
        "val": 1,
        "test": 1,
    }


def test_groups_come_from_the_names(pairs, tmp_path):
    images, masks, _ = pairs
    made = folder.prepare(images, masks, tmp_path / "own", 32, "own", group_pattern="(P[0-9]+)_")
    dataset = prepared.open(made)
    assert list(dataset.cases.group) == ["P0", "P0", "P1", "P1", "P2"]
    assert sorted(map(len, dataset.split().values())) == [1, 2, 2]


def test_endings_of_masks_several_classes_and_colour(tmp_path):
    for name in ("images", "masks"):
        (tmp_path / name).mkdir()
    save(tmp_path / "images" / "a.jpg", RNG.integers(0, 256, (30, 30, 3), dtype=np.uint8))
    save(tmp_path / "masks" / "a_segmentation.png", RNG.integers(0, 3, (30, 30), dtype=np.uint8))
    np.save(tmp_path / "images" / "b_mask.npy", RNG.random((20, 30)))
    np.save(tmp_path / "masks" / "b_mask.npy", RNG.integers(0, 3, (20, 30)))
    made = folder.prepare(
        tmp_path / "images", tmp_path / "masks", tmp_path / "own", 16, "own", ["none", "x", "y"]
    )
    dataset = prepared.open(made)
    assert dataset.class_names == ["none", "x", "y"]
    assert dataset.images.shape == (2, 3, 16, 16)
    assert list(dataset.cases.case_id) == ["a", "b_mask"]
    assert not (made / "splits").exists()  # two cases cannot be split in three


def refusal(pairs, tmp_path, **options):
    """The message of a refused preparation, of which nothing may be left."""
    images, masks, _ = pairs
    with pytest.raises(ValueError, match=r"own|pairs|file|group|masks|classes") as caught:
        folder.prepare(images, masks, tmp_path / "out" / "own", 32, "own", **options)
    assert not (tmp_path / "out").exists()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_unpaired_cases_are_listed(pairs, tmp_path):
    images, masks, _ = pairs
    (masks / "P0_1.png").rename(masks / "other.png")
    message = refusal(pairs, tmp_path)
    assert message.startswith("2 file(s) without a partner of the same name")
    assert "P0_1.png (no mask), other.png (no image)" in message
    for i in range(9):
        save(images / f"extra{i}.png", np.zeros((8, 8), dtype=np.uint8))
    message = refusal(pairs, tmp_path)
    assert message.startswith("11 file(s)")
    assert message.count(".png") == 5


def test_empty_and_missing_folders(pairs, tmp_path):
    images, masks, _ = pairs
    for path in masks.iterdir():
        path.unlink()
    (masks / "notes.txt").write_text("none yet", encoding="utf-8")
    assert refusal(pairs, tmp_path).startswith(f"no masks in {masks}; it needs files ending in")
    assert "no folder" in refusal((images, tmp_path / "nowhere", {}), tmp_path)
    assert "their own folder" in refusal((images, images, {}), tmp_path)


def test_a_mask_of_another_size(pairs, tmp_path):
    save(pairs[1] / "P1_2.png", np.zeros((50, 51), dtype=np.uint8))
    message = refusal(pairs, tmp_path)
    assert message.startswith("1 of 5 pairs cannot be used (P1_2.png); the first: mask")
    assert "is 51 x 50 px but its image is 50 x 50" in message


def test_labels_outside_the_classes(pairs, tmp_path):
    # 255 is foreground of a binary mask only
    assert "has the label 255; 3 cl" in refusal(pairs, tmp_path, classes=["none", "x", "y"])
    for i, stem in enumerate(("P0_0", "P2_4")):
        save(pairs[1] / f"{stem}.png", np.full(SHAPES[4 * i], 7, dtype=np.uint8))
    message = refusal(pairs, tmp_path)
    assert "2 of 5 pairs cannot be used (P0_0.png, P2_4.png)" in message
    assert "has the label 7; 2 classes allow 0..1 (or 0 and 255)" in message


def test_corrupt_truncated_and_nan_images(pairs, tmp_path):
    images = pairs[0]
    content = (images / "P0_0.png").read_bytes()
    (images / "P0_0.png").write_bytes(content[: len(content) // 2])
    (images / "P1_2.png").write_bytes(b"nothing")
    (images / "P2_4.png").unlink()
    np.save(images / "P2_4.npy", np.full(SHAPES[4], np.nan))
    message = refusal(pairs, tmp_path)
    assert "3 of 5 pairs cannot be used (P0_0.png, P1_2.png, P2_4.npy)" in message


def test_two_files_of_one_name(pairs, tmp_path):
    save(pairs[1] / "P0_0_mask.png", np.zeros(SHAPES[0], dtype=np.uint8))
    assert "several files of one name: P0_0_mask.png" in refusal(pairs, tmp_path)


@pytest.mark.parametrize(
    ("pattern", "words"),
    [("(P", "no regular expression"), ("P[0-9]", "one pair of brackets"), ("(Q)", "P0_0, P0_1")],
)
def test_group_patterns_that_cannot_work(pairs, tmp_path, pattern, words):
    assert words in refusal(pairs, tmp_path, group_pattern=pattern)


@pytest.mark.parametrize("classes", [["lesion"], ["none", "none"], ["none", " "], "none,lesion"])
def test_classes_that_cannot_work(pairs, tmp_path, classes):
    assert "2 or more different names, background first" in refusal(
        pairs, tmp_path, classes=classes
    )


@pytest.mark.parametrize(
    ("to", "name"),
    [
        ("own", "nuclei"),
        ("own", "nuclei-mini"),
        ("own", "busi-256"),
        ("phantoms-96", "own"),
    ],
)
def test_names_of_public_sets_are_taken(pairs, tmp_path, to, name):
    images, masks, _ = pairs
    with pytest.raises(ValueError, match=r"belongs to the data set .*; choose another name"):
        folder.prepare(images, masks, tmp_path / "out" / to, 32, name)
    assert not (tmp_path / "out").exists()


def test_names_that_only_begin_like_a_public_set_are_free(pairs, tmp_path):
    images, masks, _ = pairs
    made = folder.prepare(images, masks, tmp_path / "nuclei-of-mine", 32, "nuclei-of-mine")
    assert prepared.open(made).name == "nuclei-of-mine"


def test_an_unknown_data_set_is_refused_with_those_there_are():
    with pytest.raises(ValueError, match="no data set 'nucleii'; there are phantoms, nuclei-mini"):
        data_scripts.load("nucleii")


def test_real_polyps_and_lesions_come_in(shared_data, tmp_path):
    import zipfile

    for name, channels in (("polyp_256", 3), ("busi_256", 1)):
        with zipfile.ZipFile(shared_data / "prepared" / f"{name}.zip") as archive:
            stems = [item for item in archive.namelist() if item.startswith("images/")][1:6]
            for stem in stems:
                for kind in ("images", "masks"):
                    target = tmp_path / name / stem.replace("images", kind)
                    target.parent.mkdir(parents=True, exist_ok=True)
                    target.write_bytes(archive.read(stem.replace("images", kind)))
        images, masks = (tmp_path / name / kind for kind in ("images", "masks"))
        made = folder.prepare(images, masks, tmp_path / f"{name}-64", 64, name)
        dataset = prepared.open(made)
        assert prepared.verify(made) == []
        assert dataset.images.shape[1:] == (channels, 64, 64)
        assert 0 < dataset.masks.mean() < 0.6
