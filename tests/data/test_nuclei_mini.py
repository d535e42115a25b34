import hashlib

import numpy as np
import pandas as pd
import pytest

from course_lib.data import archives, nuclei_mini, prepared, splits
from course_lib.data.resize import resize_masks
from data_scripts import common, nuclei
from data_scripts import nuclei_mini as script


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return prepared.open(nuclei_mini.expand(tmp_path_factory.mktemp("mini") / "nuclei-mini"))


def test_is_small_and_complete(data):
    assert nuclei_mini.FILE.stat().st_size <= 2_000_000
    assert prepared.verify(data.folder) == []
    assert 90 <= len(data) <= 110
    assert data.images.shape[1:] == (3, 128, 128)
    assert data.masks.reshape(len(data), -1).any(axis=1).all()


def test_says_where_it_is_from_and_where_it_is_judged(data):
    about = data.descriptor
    assert about["name"] == "nuclei-mini"
    assert about["licenses"][0]["name"] == "CC0-1.0"
    assert about["sources"][0]["path"] == nuclei.URL
    assert "Caicedo" in about["citation"]
    assert about["options"]["masks_judged_at"] == "128 px"
    assert not (data.folder / "masks_full.npy").exists()
    np.testing.assert_array_equal(data.mask_full(0), data.masks[0])


def test_holds_every_family_and_whole_groups(data):
    groups = common.read_table("dsb2018_groups.csv")
    groups.index = groups.index.str[:8]
    assert data.cases.family.nunique() == 10
    for name, members in data.cases.groupby("group"):
        whole = set(groups.index[groups.group == name]) - set(nuclei.UNREPAIRABLE)
        assert set(members.case_id) == whole
    assert (data.cases.group.value_counts() == 4).sum() >= 10
    assert (data.cases.later_fixes > 0).any()


def test_default_split_is_grouped_and_every_part_holds_both_stains(data):
    parts = data.split()
    assert [len(parts[part]) / len(data) for part in ("train", "val", "test")] == pytest.approx(
        [0.6, 0.2, 0.2], abs=0.03
    )
    assert splits.check(data.cases, splits.read(data.folder).part) == []
    for rows in parts.values():
        kinds = data.cases.family[rows].str.split("_").str[0]
        assert set(kinds) == {"gray", "colour"}


def test_opens_by_name_on_first_use(tmp_path, monkeypatch):
    monkeypatch.setenv("COURSE_DATA", str(tmp_path))
    assert len(prepared.open("nuclei-mini")) >= 90


@pytest.mark.parametrize("damage", ["missing", "truncated", "pickled"])
def test_damaged_file_is_one_line(tmp_path, monkeypatch, damage):
    broken = tmp_path / "broken.npz"
    if damage == "truncated":
        broken.write_bytes(nuclei_mini.FILE.read_bytes()[:500_000])
    if damage == "pickled":
        np.savez(broken, images=np.array([{}], dtype=object))
    monkeypatch.setattr(nuclei_mini, "FILE", broken)
    with pytest.raises(ValueError, match=r"broken\.npz is missing or damaged") as error:
        nuclei_mini.expand(tmp_path / "out")
    assert "\n" not in str(error.value)
    assert not (tmp_path / "out").exists()


def test_script_refuses_what_it_cannot_do(tmp_path):
    with pytest.raises(ValueError, match="is 128 px only, not 64"):
        script.prepare(None, tmp_path / "out", 64)
    assert not (tmp_path / "out").exists()
    with pytest.raises(ValueError, match="comes with the course"):
        script.get(tmp_path)


def test_script_writes_the_shipped_set_once(tmp_path, data):
    folder = script.prepare(None, str(tmp_path / "out"))
    assert prepared.open(folder).digest == data.digest
    before = folder.stat().st_ino
    assert script.prepare(None, folder, 128).stat().st_ino == before


def test_choice_takes_whole_groups_in_proportion():
    rows = [("a", f"a{i // 4}") for i in range(160)] + [("b", f"b{i}") for i in range(40)]
    table = pd.DataFrame(rows, columns=["family", "group"])
    table["case_id"] = [f"{i:08x}" for i in range(len(table))]
    chosen = table[table.case_id.isin(script.choose(table))]
    assert chosen.family.value_counts().to_dict() == {"a": 80, "b": 20}
    assert (chosen[chosen.family == "a"].group.value_counts() == 4).all()
    assert script.choose(table) == list(chosen.case_id)


def test_shipped_cases_are_those_of_the_archive(data, shared_data):
    """Every image by its digest, ten of them pixel by pixel with their masks."""
    rng = np.random.default_rng(0)
    thorough = set(rng.choice(len(data), 10, replace=False))
    with archives.open_source(shared_data / "raw" / "dsb2018_stage1_train.zip") as source:
        found, _ = nuclei.find_cases(source)
        short = {case[:8]: case for case in found}
        for i, row in data.cases.iterrows():
            content = source.read(row.source_file)
            assert hashlib.sha256(content).hexdigest() == row.source_sha256
            if i in thorough:
                case = short[row.case_id]
                image, mask, _ = nuclei.load(source, case, *found[case], 128)
                np.testing.assert_array_equal(image, data.images[i])
                np.testing.assert_array_equal(resize_masks(mask, 128), data.masks[i])
                assert mask.shape == (row.original_height, row.original_width)
