import csv
import io
import os
import zipfile

import numpy as np
import pytest
from archive_fixtures import (
    busi_members,
    killed_while_writing,
    message_on_a_full_disk,
    png,
    snapshot,
    write_zip,
)
from PIL import Image

from course_lib.data import archives, prepared, splits
from data_scripts import busi, common

POSIX = pytest.mark.skipif(os.name == "nt", reason="needs POSIX signals and limits")
TOP = "Dataset_BUSI_with_GT/"


@pytest.fixture
def members():
    return busi_members()[0]


def refused(tmp_path, members, match):
    source = write_zip(tmp_path / "bad.zip", members)
    with pytest.raises(ValueError, match=match) as error:
        busi.prepare(source, tmp_path / "out", 32)
    assert "\n" not in str(error.value)
    assert list(tmp_path.iterdir()) == [source]


def opened(tmp_path, members, size=32, **options):
    source = write_zip(tmp_path / "a.zip", members)
    return prepared.open(busi.prepare(source, tmp_path / "out", size, **options))


@pytest.mark.parametrize("top", ["", TOP, "data/Dataset_BUSI_with_GT/"])
def test_prepares_the_published_layout(tmp_path, top):
    members, masks = busi_members(top)
    data = opened(tmp_path, members)
    assert prepared.verify(data.folder) == []
    assert data.images.shape == (8, 1, 32, 32)
    assert list(data.cases.case_id) == sorted(masks)
    for i, case in enumerate(data.cases.case_id):
        np.testing.assert_array_equal(data.mask_full(i), masks[case])
    assert data.descriptor["title"].endswith("masks judged at original size")
    assert data.descriptor["options"]["masks_judged_at"] == "original size"


def test_columns(tmp_path, members):
    cases = opened(tmp_path, members).cases.set_index("case_id")
    assert cases["class"].value_counts().to_dict() == {"benign": 4, "malignant": 2, "normal": 2}
    assert cases.n_masks["benign_195"] == 3
    assert list(cases.index[cases.colour_overlay == 1]) == ["benign_261"]
    assert cases.source_file["benign_004"] == f"{TOP}benign/benign (4).png"
    groups = common.read_table("busi_groups.csv").group
    for case in cases.index.drop("normal_900"):
        assert cases.group[case] == groups[case]
    assert cases.group["normal_900"] == "alone-normal_900"


def test_twin_with_two_labels_is_named_and_not_torn(tmp_path, members):
    data = opened(tmp_path, members)
    cases = data.cases.set_index("case_id")
    assert cases.same_pixels_as.dropna().to_dict() == {"malignant_145": "benign_433"}
    parts = splits.read(data.folder).set_index("case_id").part
    assert parts["malignant_145"] == parts["benign_433"]


def test_unknown_twins_share_a_group(tmp_path, members):
    for suffix in ("", "_mask"):
        name = f"{TOP}benign/benign (261){suffix}.png"
        members[f"{TOP}malignant/malignant (901){suffix}.png"] = members[name]
    cases = opened(tmp_path, members).cases.set_index("case_id")
    assert cases.same_pixels_as["malignant_901"] == "benign_261"
    assert cases.group["malignant_901"] == cases.group["benign_261"]


def test_normal_cases_are_left_out_on_request(tmp_path, members):
    data = opened(tmp_path, members, keep_normal=False)
    assert set(data.cases["class"]) == {"benign", "malignant"}
    assert [case["case_id"] for case in data.descriptor["dropped"]] == ["normal_046", "normal_900"]
    assert all(data.mask_full(i).any() for i in range(len(data)))


def test_other_files_are_reported(tmp_path, members):
    members |= {f"{TOP}readme.txt": b"x", "__MACOSX/x": b"x"}
    dropped = opened(tmp_path, members).descriptor["dropped"]
    assert [case["case_id"] for case in dropped] == [f"{TOP}readme.txt"]


def test_second_call_does_nothing_and_other_options_do_something(tmp_path, members):
    source = write_zip(tmp_path / "a.zip", members)
    folder = busi.prepare(source, tmp_path / "out", 32)
    before = snapshot(folder)
    busi.prepare(source, folder, 32)
    assert snapshot(folder) == before
    assert len(prepared.open(busi.prepare(source, folder, 32, keep_normal=False))) == 6


@POSIX
def test_survives_kill(tmp_path, members):
    source = write_zip(tmp_path / "a.zip", members)
    killed_while_writing("busi", source, tmp_path / "out")
    assert prepared.verify(busi.prepare(source, tmp_path / "out", 32)) == []
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.zip", "out"]


@POSIX
def test_full_disk(tmp_path, members):
    source = write_zip(tmp_path / "a.zip", members)
    assert "File too large" in message_on_a_full_disk("busi", source, tmp_path / "out")
    assert list(tmp_path.iterdir()) == [source]


def test_truncated_image(tmp_path, members):
    name = f"{TOP}benign/benign (4).png"
    members[name] = members[name][:200]
    refused(tmp_path, members, r"bad\.zip: '.*benign \(4\)\.png' is not a whole PNG")


def test_mask_of_another_size(tmp_path, members):
    members[f"{TOP}benign/benign (4)_mask_1.png"] = png(np.zeros((40, 49)), "L")
    refused(tmp_path, members, r"benign \(4\)_mask_1\.png' is 49 x 40 px but its image is 50 x 40")


def test_mask_with_other_values(tmp_path, members):
    members[f"{TOP}benign/benign (4)_mask.png"] = png(np.full((40, 50), 128), "L")
    refused(
        tmp_path, members, r"benign \(4\)_mask\.png' \(mode L\) has other values than 0 and 255"
    )


def test_coloured_mask(tmp_path, members):
    red = np.zeros((40, 50, 3))
    red[:5, :, 0] = 255
    members[f"{TOP}benign/benign (4)_mask.png"] = png(red, "RGB")
    refused(tmp_path, members, r"\(mode RGB\) has other values")


def test_image_of_another_depth(tmp_path, members):
    file = io.BytesIO()
    Image.fromarray(np.zeros((40, 50), dtype=np.uint16)).save(file, "PNG")
    members[f"{TOP}benign/benign (4).png"] = file.getvalue()
    refused(tmp_path, members, r"benign \(4\)\.png' has the mode I;16, not RGB")


def test_unpaired(tmp_path, members):
    alone = dict(members)
    alone.pop(f"{TOP}benign/benign (261)_mask.png")
    refused(tmp_path, alone, "case benign_261 has 1 images and 0 masks")
    members.pop(f"{TOP}benign/benign (261).png")
    (tmp_path / "bad.zip").unlink()
    refused(tmp_path, members, "case benign_261 has 0 images and 1 masks")


def test_other_archive_is_told_by_its_content(tmp_path):
    refused(tmp_path, {"a/image.png": b"x"}, r"is not the BUSI archive \(it holds 'a/image\.png'\)")


def reduced_members(size=40):
    """The layout of the cases reduced to one size, with three cases and a table."""
    members, rows = {}, ["case,class,orig_file,orig_w,orig_h,n_masks,colour_overlay,group"]
    rng = np.random.default_rng(1)
    for case, x in (("benign_001", 5), ("malignant_002", 20), ("normal_003", None)):
        kind, number = case.split("_")
        mask = np.zeros((size, size))
        if x is not None:
            mask[10:20, x : x + 10] = 255
        members[f"images/{case}.png"] = png(rng.integers(0, 255, (size, size)), "L")
        members[f"masks/{case}.png"] = png(mask, "L")
        rows.append(f"{case},{kind},{kind} ({int(number)}).png,500,400,2,1,b000")
    members["cases.csv"] = "\n".join(rows).encode()
    return members


def test_importer_judges_at_the_reduced_size(tmp_path):
    data = opened(tmp_path, reduced_members(), size=40)
    assert prepared.verify(data.folder) == []
    assert data.descriptor["title"].endswith("masks judged at 40 px")
    assert data.descriptor["options"]["masks_judged_at"] == "40 px"
    assert not (data.folder / "masks_full.npy").exists()
    assert [data.mask_full(i).sum() for i in range(3)] == [100, 100, 0]
    assert list(data.cases.n_masks) == [2, 2, 2]
    assert list(data.cases.colour_overlay) == [1, 1, 1]
    assert data.cases.source_file[0] == "benign (1).png"


def test_importer_at_another_size_keeps_the_masks_of_the_archive(tmp_path):
    data = opened(tmp_path, reduced_members(), size=20)
    assert data.images.shape == (3, 1, 20, 20)
    assert data.mask_full(0).shape == (40, 40)
    assert data.mask_full(0).sum() == 100


def test_importer_refuses_a_table_that_disagrees(tmp_path):
    members = reduced_members()
    members["cases.csv"] = members["cases.csv"].replace(b"normal_003", b"normal_004")
    refused(tmp_path, members, "the images disagree, see .*normal_003")
    members["cases.csv"] = b"case\nbenign_001\n"
    (tmp_path / "bad.zip").unlink()
    refused(tmp_path, members, r"'cases\.csv' needs the columns case, orig_file")


def test_real_raw_cases(shared_data, tmp_path):
    source = shared_data / "raw" / "busi_sample_raw.zip"
    folder = busi.prepare(source, tmp_path / "out", 64)
    data = prepared.open(folder)
    assert len(data) == 16
    assert prepared.verify(folder) == []
    cases = data.cases.set_index("case_id")
    assert cases.n_masks[cases.n_masks > 1].to_dict() == {
        "benign_004": 2,
        "benign_100": 2,
        "benign_195": 3,
        "malignant_053": 2,
    }
    assert list(cases.index[cases.colour_overlay == 1]) == ["benign_261"]
    assert cases.same_pixels_as.dropna().to_dict() == {"malignant_145": "benign_433"}
    assert cases.group["benign_051"] == cases.group["benign_133"]
    table = reduced_table(shared_data)
    for i, case in data.cases.iterrows():
        known = table[case.case_id]
        assert (case.width, case.height) == (int(known["orig_w"]), int(known["orig_h"]))
        # The table's share was counted at 256 px.
        share = data.mask_full(i).mean()
        assert share == pytest.approx(float(known["fg_fraction"]), abs=0.001)
        assert bool(share) == (case["class"] != "normal")


def reduced_table(shared_data):
    with zipfile.ZipFile(shared_data / "prepared" / "busi_256.zip") as file:
        text = file.read("cases.csv").decode("utf-8")
    return {row["case"]: row for row in csv.DictReader(io.StringIO(text))}


def test_real_reduced_cases(shared_data, tmp_path):
    folder = busi.prepare(shared_data / "prepared" / "busi_256.zip", tmp_path / "out", 256)
    data = prepared.open(folder)
    assert prepared.verify(folder) == []
    assert data.cases["class"].value_counts().to_dict() == {
        "benign": 437,
        "malignant": 210,
        "normal": 133,
    }
    assert data.cases.group.nunique() == 586
    assert data.cases.colour_overlay.sum() == 16
    assert (data.cases.n_masks > 1).sum() == 17
    assert data.cases.same_pixels_as.notna().sum() == 1
    shares = data.masks.mean(axis=(1, 2))
    known = [float(row["fg_fraction"]) for row in reduced_table(shared_data).values()]
    np.testing.assert_allclose(shares, known, atol=6e-6)


def test_reduced_and_raw_agree(shared_data, tmp_path):
    raw = prepared.open(
        busi.prepare(shared_data / "raw" / "busi_sample_raw.zip", tmp_path / "raw", 256)
    )
    with archives.open_source(shared_data / "prepared" / "busi_256.zip") as source:
        cases = {case.case_id: case for case in busi.find_cases(source)[0]}
        for i, case in enumerate(raw.cases.case_id):
            image, mask, _ = busi.load(source, cases[case], 256)
            np.testing.assert_array_equal(mask, raw.masks[i])
            # The reduced archive cut the lowest two bits.
            assert abs(image.astype(int) - raw.images[i]).max() <= 5


def test_shipped_groups_are_those_measured(shared_data):
    groups = common.read_table("busi_groups.csv").group.to_dict()
    assert groups == {case: row["group"] for case, row in reduced_table(shared_data).items()}
