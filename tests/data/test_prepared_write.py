"""What ``prepared.write`` refuses, keeps and replaces."""

import numpy as np
import pytest
from prepared_sample import CLASSES, names, sample

from course_lib.data import prepared, splits


@pytest.fixture
def folder(tmp_path):
    arguments = sample()
    parts = splits.make(arguments["cases"])
    return prepared.write(tmp_path / "sample-16", **arguments, splits={"default": parts})


def bad_cases(**columns):
    return sample()["cases"].assign(**columns)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"images": np.zeros((8, 3, 16, 16))}, "images must be a uint8 array, not float64"),
        ({"images": np.full((8, 3, 16, 16), np.nan)}, "images must be a uint8 array"),
        ({"images": np.zeros((8, 16, 16), np.uint8)}, r"images must be \(N, C, H, W\)"),
        ({"masks": np.zeros((8, 16, 15), np.uint8)}, r"masks must be \(8, 16, 16\) like the"),
        ({"masks": np.full((8, 16, 16), 2, np.uint8)}, "case '000' has the label 2; 2 classes"),
        ({"masks_full": [np.full((9, 9), 255, np.uint8)] * 8}, "case '000' has the label 255"),
        ({"masks_full": [np.zeros((9, 9), np.uint8)] * 7}, "7 untouched masks for 8 images"),
        ({"masks_full": [np.zeros((9, 9))] * 8}, r"must be \(h, w\) uint8, not \(9, 9\) float64"),
        ({"cases": bad_cases().drop(columns="group")}, "cases lack the column 'group'"),
        ({"cases": bad_cases(case_id="a")}, "case_id 'a' comes twice"),
        ({"cases": bad_cases(group=["p", ""] * 4)}, "column 'group' is empty in row 1"),
        ({"cases": bad_cases()[:7]}, "7 rows of cases for 8 images"),
        ({"cases": bad_cases(height=99)}, "height of case '000' is 99 in the table"),
        ({"cases": bad_cases(spacing_y=1.0)}, "spacing of case '000' must be two numbers"),
        ({"cases": bad_cases(spacing_y=-1.0, spacing_x=1)}, "spacing of case '000'"),
        ({"classes": CLASSES[:1]}, "classes must name 2 to 256 labels"),
        ({"classes": [*CLASSES[:1], {"name": "x", "colour": "red"}]}, "#rrggbb"),
        ({"name": "My set"}, "lower-case letters"),
        ({"splits": {"default": ["train", "test"] * 4}}, "tears the group 'p0' apart"),
    ],
)
def test_wrong_arguments_are_refused_before_anything_is_written(tmp_path, changes, words):
    with pytest.raises(ValueError, match=words):
        prepared.write(tmp_path / "out" / "a", **sample(**changes))
    assert names(tmp_path) == []


def test_writing_again_keeps_an_equal_set_and_replaces_another(folder):
    first = folder.stat().st_ino
    parts = splits.make(sample()["cases"])
    prepared.write(folder, **sample(), splits={"default": parts})
    assert folder.stat().st_ino == first
    with pytest.raises(ValueError, match="a split is written once"):
        prepared.write(folder, **sample(), splits={"default": ["test"] * 8})
    old = prepared.open(folder)
    prepared.write(folder, **sample(seed=1))
    assert (prepared.open(folder).images == sample(seed=1)["images"]).all()
    assert (old.images == sample()["images"]).all()  # who has it open keeps what was there
    assert names(folder.parent) == ["sample-16"]


def test_other_peoples_folders_are_left_alone(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("all of it", encoding="utf-8")
    (tmp_path / "file").write_text("a file", encoding="utf-8")
    with pytest.raises(ValueError, match="mine: it holds other things"):
        prepared.write(tmp_path / "mine", **sample())
    with pytest.raises(ValueError, match="file: it is a file"):
        prepared.write(tmp_path / "file", **sample())
    assert names(tmp_path / "mine") == ["thesis.txt"]
    (tmp_path / "empty").mkdir()
    assert prepared.verify(prepared.write(tmp_path / "empty", **sample())) == []
    assert names(tmp_path) == ["empty", "file", "mine"]
