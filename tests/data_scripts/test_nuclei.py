import csv
import os
import zipfile

import numpy as np
import pytest
from archive_fixtures import (
    group_ids,
    killed_while_writing,
    message_on_a_full_disk,
    nuclei_members,
    png,
    snapshot,
    write_zip,
)

from course_lib.data import archives, prepared, splits
from data_scripts import nuclei

POSIX = pytest.mark.skipif(os.name == "nt", reason="needs POSIX signals and limits")


@pytest.fixture
def members():
    return nuclei_members()[0]


def one_line(error):
    assert "\n" not in str(error.value)


def refused(tmp_path, members, match):
    source = write_zip(tmp_path / "bad.zip", members)
    with pytest.raises(ValueError, match=match) as error:
        nuclei.prepare(source, tmp_path / "out", 32)
    one_line(error)
    assert list(tmp_path.iterdir()) == [source]


def first(members, part):
    return next(name for name in members if part in name and name.endswith(".png"))


@pytest.mark.parametrize("top", ["", "stage1_train/", "some folder/stage1_train/"])
def test_prepares_the_published_layout(tmp_path, top):
    members, masks = nuclei_members(top)
    source = write_zip(tmp_path / "a.zip", members)
    folder = nuclei.prepare(source, tmp_path / "nuclei-32", 32)
    data = prepared.open(folder)
    assert prepared.verify(folder) == []
    assert data.images.shape == (5, 3, 32, 32)
    assert list(data.cases.case_id) == sorted(masks)
    for i, case in enumerate(data.cases.case_id):
        np.testing.assert_array_equal(data.mask_full(i), masks[case])
    assert data.class_names == ["background", "nucleus"]
    assert data.descriptor["dropped"] == []
    assert data.descriptor["licenses"][0]["name"] == "CC0-1.0"


def test_columns(tmp_path, members):
    folder = nuclei.prepare(write_zip(tmp_path / "a.zip", members), tmp_path / "out", 32)
    cases = prepared.open(folder).cases.set_index("case_id")
    pair = [case[:8] for case in group_ids()["m000"][:2]]
    assert list(cases.group[pair]) == ["m000", "m000"]
    assert cases.group["f" * 8] == "alone-ffffffff"
    assert np.isnan(cases.later_fixes["f" * 8])
    assert cases.later_fixes.drop("f" * 8).notna().all()
    assert list(cases.family[pair]) == ["gray_dark_48x40"] * 2
    assert cases.family[group_ids()["m002"][0][:8]] == "gray_bright_36x50"
    assert cases.family[group_ids()["m003"][0][:8]] == "colour_bright_36x50"
    assert cases.n_nuclei["f" * 8] == 1
    assert cases.source_file["f" * 8] == f"{'f' * 64}/images/{'f' * 64}.png"


def test_colour_survives_and_alpha_goes(tmp_path, members):
    folder = nuclei.prepare(write_zip(tmp_path / "a.zip", members), tmp_path / "out", 32)
    data = prepared.open(folder)
    i = list(data.cases.case_id).index(group_ids()["m003"][0][:8])
    corner = data.images[i, :, 20, 0]
    assert tuple(corner) == (220, 170, 220)


def test_default_split_keeps_tiles_together(tmp_path, members):
    folder = nuclei.prepare(write_zip(tmp_path / "a.zip", members), tmp_path / "out", 32)
    parts = splits.read(folder).set_index("case_id").part
    pair = [case[:8] for case in group_ids()["m000"][:2]]
    assert parts[pair[0]] == parts[pair[1]]
    assert set(parts) == {"train", "val", "test"}


def test_unpacked_folder_gives_the_same_set(tmp_path, members):
    source = write_zip(tmp_path / "a.zip", members)
    unpacked = tmp_path / "unpacked"
    with zipfile.ZipFile(source) as file:
        file.extractall(unpacked)
    one = prepared.open(nuclei.prepare(source, tmp_path / "one", 32))
    two = prepared.open(nuclei.prepare(unpacked, tmp_path / "two", 32))
    assert one.digest == two.digest


def test_descriptor_says_which_archive_it_was(tmp_path, members, monkeypatch):
    source = write_zip(tmp_path / "a.zip", members)
    options = prepared.open(nuclei.prepare(source, tmp_path / "out", 32)).descriptor["options"]
    assert nuclei.SHA256 in options["archive"]
    monkeypatch.setattr(nuclei, "SHA256", options["archive_sha256"])
    options = prepared.open(nuclei.prepare(source, tmp_path / "again", 32)).descriptor["options"]
    assert "byte for byte" in options["archive"]


def test_unrepairable_cases_are_left_out_on_request(tmp_path, members):
    case = next(c for ids in group_ids().values() for c in ids if c.startswith("7b38c917"))
    members[f"{case}/images/{case}.png"] = members[first(members, "f/images")]
    members[f"{case}/masks/0.png"] = members[first(members, "f/masks")]
    source = write_zip(tmp_path / "a.zip", members)
    whole = prepared.open(nuclei.prepare(source, tmp_path / "whole", 32))
    assert "7b38c917" in set(whole.cases.case_id)
    less = prepared.open(nuclei.prepare(source, tmp_path / "less", 32, drop_unrepairable=True))
    assert len(less) == len(whole) - 1
    (dropped,) = less.descriptor["dropped"]
    assert dropped["case_id"] == "7b38c917"
    assert "one mask for the whole image" in dropped["reason"]


def test_other_files_are_reported_but_not_those_of_the_system(tmp_path, members):
    members |= {"stage1_train_labels.csv": b"x", "__MACOSX/._a.png": b"x", "a/.DS_Store": b"x"}
    data = prepared.open(nuclei.prepare(write_zip(tmp_path / "a.zip", members), tmp_path / "o", 32))
    assert [d["case_id"] for d in data.descriptor["dropped"]] == ["stage1_train_labels.csv"]


def test_second_call_does_nothing_and_other_options_do_something(tmp_path, members):
    source = write_zip(tmp_path / "a.zip", members)
    folder = nuclei.prepare(source, tmp_path / "out", 32)
    before = snapshot(folder)
    nuclei.prepare(source, folder, 32)
    assert snapshot(folder) == before
    nuclei.prepare(source, folder, 48)
    assert prepared.open(folder).images.shape[-1] == 48


def test_lost_split_is_written_again(tmp_path, members):
    source = write_zip(tmp_path / "a.zip", members)
    folder = nuclei.prepare(source, tmp_path / "out", 32)
    before = splits.read(folder)
    (folder / "splits" / "default.csv").unlink()
    nuclei.prepare(source, folder, 32)
    assert splits.read(folder).equals(before)


def test_damaged_set_is_made_again(tmp_path, members):
    source = write_zip(tmp_path / "a.zip", members)
    folder = nuclei.prepare(source, tmp_path / "out", 32)
    content = bytearray((folder / "masks.npy").read_bytes())
    content[-1] ^= 1
    (folder / "masks.npy").write_bytes(content)
    nuclei.prepare(source, folder, 32)
    assert prepared.verify(folder) == []


@POSIX
def test_survives_kill(tmp_path, members):
    source = write_zip(tmp_path / "a.zip", members)
    killed_while_writing("nuclei", source, tmp_path / "out")
    folder = nuclei.prepare(source, tmp_path / "out", 32)
    assert prepared.verify(folder) == []
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.zip", "out"]


@POSIX
def test_full_disk(tmp_path, members):
    source = write_zip(tmp_path / "a.zip", members)
    assert "File too large" in message_on_a_full_disk("nuclei", source, tmp_path / "out")
    assert list(tmp_path.iterdir()) == [source]


def test_place_below_a_file_and_a_folder_with_other_things(tmp_path, members):
    source = write_zip(tmp_path / "a.zip", members)
    with pytest.raises(ValueError, match="cannot write "):
        nuclei.prepare(source, source / "out", 32)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("mine")
    with pytest.raises(ValueError, match="it holds other things"):
        nuclei.prepare(source, tmp_path / "mine", 32)
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "mine"


def test_truncated_image(tmp_path, members):
    name = first(members, "/images/")
    members[name] = members[name][: len(members[name]) // 2]
    refused(tmp_path, members, rf"bad\.zip: '{name}' is not a whole PNG")


def test_truncated_mask(tmp_path, members):
    name = first(members, "/masks/")
    members[name] = members[name][:40]
    refused(tmp_path, members, rf"bad\.zip: '{name}' is not a whole PNG")


def test_file_that_is_no_picture(tmp_path, members):
    members[first(members, "/images/")] = b"GIF89a, or so it says"
    refused(tmp_path, members, "is not a whole PNG")


def test_mask_of_another_size(tmp_path, members):
    members[first(members, "/masks/")] = png(np.zeros((40, 47)), "L")
    refused(tmp_path, members, "is 47 x 40 px but its image is 48 x 40")


def test_mask_with_other_values(tmp_path, members):
    members[first(members, "/masks/")] = png(np.full((40, 48), 7), "L")
    refused(tmp_path, members, r"mask .* has other values than 0 and 255")


def test_picture_bomb(tmp_path, members):
    header = bytearray(png(np.zeros((4, 4)), "L"))
    header[16:24] = (60_000).to_bytes(4, "big") * 2
    members[first(members, "/images/")] = bytes(header)
    refused(tmp_path, members, "is not a whole PNG")


def test_image_without_masks(tmp_path, members):
    case = "e" * 64
    members[f"{case}/images/{case}.png"] = members[first(members, "/images/")]
    refused(tmp_path, members, "case eeeeeeee has 1 images and 0 masks")


def test_masks_without_image(tmp_path, members):
    members.pop(f"{'f' * 64}/images/{'f' * 64}.png")
    refused(tmp_path, members, "case ffffffff has 0 images and 1 masks")


def test_other_archive_is_told_by_its_content(tmp_path):
    refused(tmp_path, {"stage1_train.zip": b"zip in zip"}, r"it holds 'stage1_train\.zip'")
    refused(tmp_path, {}, "is not the nuclei archive")


def test_member_that_leads_outside(tmp_path, members):
    members["../evil.png"] = b"x"
    refused(tmp_path, members, r"member '\.\./evil\.png' leads outside")


def test_source_that_is_no_zip_or_missing_or_empty(tmp_path):
    (tmp_path / "text.zip").write_text("not a zip")
    with pytest.raises(ValueError, match="not a whole zip file"):
        nuclei.prepare(tmp_path / "text.zip", tmp_path / "out")
    with pytest.raises(ValueError, match="no file"):
        nuclei.prepare(tmp_path / "gone.zip", tmp_path / "out")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="is not the nuclei archive"):
        nuclei.prepare(tmp_path / "empty", tmp_path / "out")


def test_get_says_where_a_browser_finds_it(tmp_path, monkeypatch):
    monkeypatch.setattr(nuclei, "URL", "http://127.0.0.1:9/stage1_train.zip")
    monkeypatch.setattr("time.sleep", lambda _: None)
    with pytest.raises(ValueError, match=r"bbbc\.broadinstitute\.org.*--from PATH") as error:
        nuclei.get(tmp_path)
    one_line(error)


@pytest.fixture(scope="session")
def twelve(shared_data, tmp_path_factory):
    """Twelve real cases in a zip: a 2 x 2 family and one each of eight other families."""
    archive = shared_data / "raw" / "dsb2018_stage1_train.zip"
    tiles = list(group_ids()["m000"])
    with archives.open_source(archive) as source:
        cases, _ = nuclei.find_cases(source)
        rare = ("m002", "m003", "m004", "m005", "m006", "m007", "m008", "m009")
        chosen = tiles + [group_ids()[group][0] for group in rare]
        members = {
            name: source.read(name) for case in chosen for name in (cases[case][0], *cases[case][1])
        }
    path = write_zip(tmp_path_factory.mktemp("real") / "twelve.zip", members)
    return path, tiles


def test_real_cases(twelve, shared_data, tmp_path):
    path, tiles = twelve
    folder = nuclei.prepare(path, tmp_path / "out", 64)
    data = prepared.open(folder)
    assert len(data) == 12
    assert prepared.verify(folder) == []
    parts = splits.read(folder).set_index("case_id").part
    assert len({parts[case[:8]] for case in tiles}) == 1
    table = published_table(shared_data)
    for i, case in data.cases.iterrows():
        known = table[case.case_id]
        assert (case.width, case.height) == (int(known["width"]), int(known["height"]))
        assert case.family == known["family"]
        assert case.n_nuclei == int(known["n_nuclei"])
        assert data.mask_full(i).mean() == pytest.approx(float(known["fg_fraction"]), abs=6e-6)


def published_table(shared_data):
    with (shared_data / "dsb2018_groups.csv").open(encoding="utf-8") as file:
        return {row["image_id"][:8]: row for row in csv.DictReader(file)}


def test_shipped_groups_are_those_measured(shared_data):
    table = published_table(shared_data)
    groups = {case[:8]: name for name, ids in group_ids().items() for case in ids}
    assert groups == {case: row["group"] for case, row in table.items()}
    assert len(set(groups.values())) == 268


def test_real_archive_has_670_cases(shared_data):
    with zipfile.ZipFile(shared_data / "raw" / "dsb2018_stage1_train.zip") as file:
        assert len(file.namelist()) == 30_131
    with archives.open_source(shared_data / "raw" / "dsb2018_stage1_train.zip") as source:
        cases, others = nuclei.find_cases(source)
    assert len(cases) == 670
    assert sum(len(masks) for _, masks in cases.values()) == 29_461
    assert others == []


def test_truncated_real_archive(shared_data, tmp_path):
    short = tmp_path / "short.zip"
    with (shared_data / "raw" / "dsb2018_stage1_train.zip").open("rb") as file:
        short.write_bytes(file.read(2**20))
    with pytest.raises(ValueError, match=r"short\.zip is not a whole zip file"):
        nuclei.prepare(short, tmp_path / "out")
    assert list(tmp_path.iterdir()) == [short]
