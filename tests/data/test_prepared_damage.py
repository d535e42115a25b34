"""Prepared folders that were damaged, or made by a faulty program."""

import json
import re

import numpy as np
import pytest
from prepared_sample import sample

from course_lib.data import prepared, splits
from course_lib.data.prepared_read import file_hash


@pytest.fixture
def folder(tmp_path):
    arguments = sample()
    parts = splits.make(arguments["cases"])
    return prepared.write(tmp_path / "sample-16", **arguments, splits={"default": parts})


@pytest.mark.parametrize(
    ("file", "change", "words"),
    [
        ("images.npy", lambda b: b[:-1], r"images\.npy has 6271 bytes instead of 6272"),
        ("masks.npy", lambda b: b[:-1] + b"\x01\x00", r"masks\.npy has 2177 bytes"),
        ("masks_full.npy", None, r"masks_full\.npy is missing"),
        ("datapackage.json", lambda b: b[:99], "datapackage.json is missing or broken"),
        ("datapackage.json", lambda b: b'{"resources": []}', "lacks images or masks"),
        ("datapackage.json", None, "datapackage.json is missing or broken"),
    ],
)
def test_a_damaged_folder_is_refused(folder, file, change, words):
    path = folder / file
    path.write_bytes(change(path.read_bytes())) if change else path.unlink()
    with pytest.raises(ValueError, match=words):
        prepared.open(folder)


def test_a_wrong_digest_is_found_and_mended(folder):
    path = folder / "images.npy"
    whole = path.read_bytes()
    path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    prepared.open(folder)  # sizes agree
    with pytest.raises(ValueError, match=r"images\.npy has another sha256 .*prepare it again"):
        prepared.open(folder, verify="hash")
    prepared.write(folder, **sample())
    assert path.read_bytes() == whole
    with pytest.raises(ValueError, match='verify must be "sizes" or "hash"'):
        prepared.open(folder, verify="all")


def forge(folder, **files):
    """Replace files and make the descriptor agree, as a faulty program might."""
    about = json.loads((folder / "datapackage.json").read_text(encoding="utf-8"))
    for item in about["resources"]:
        new = files.get(item["path"].replace(".", "_"))
        if new is not None:
            new(folder / item["path"])
            item["bytes"] = (folder / item["path"]).stat().st_size
            item["hash"] = file_hash(folder / item["path"])
    (folder / "datapackage.json").write_text(json.dumps(about), encoding="utf-8")


def edit(change):
    def new(path):
        if path.suffix == ".csv":
            text = path.read_text(encoding="utf-8")
            path.write_text(change(text), encoding="utf-8")
        else:
            np.save(path, change(np.load(path)))

    return new


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({"masks_npy": lambda a: a + 1}, "mask 0 has the label 2, 2 classes are declared"),
        ({"masks_full_npy": lambda a: a + 1}, "untouched mask of '000' has a label outside"),
        ({"masks_full_npy": lambda a: a[:-1]}, "does not fit height, width and offset"),
        ({"images_npy": lambda a: a[:7]}, "7 images, 8 masks and 8 cases do not go together"),
        ({"images_npy": lambda a: a[..., :9]}, "differ in size"),
        ({"images_npy": lambda a: a / 255}, "must be uint8, not float64"),
        ({"cases_csv": lambda t: t.replace("001,", "000,")}, "the case '000' more than once"),
        ({"cases_csv": lambda t: t.replace("offset", "start")}, "lacks the columns offset"),
        ({"cases_csv": lambda t: t.replace("001,p0", "001,p3")}, "leaks: the group 'p"),
        ({"cases_csv": lambda t: t.replace("001,", "100,")}, "leaves out 1 cases, first '100'"),
        ({"cases_csv": lambda t: t.replace("001,", "100,")}, "1 unknown cases, first '001'"),
    ],
)
def test_verify_finds(folder, files, words):
    assert prepared.verify(folder) == []
    forge(folder, **{name: edit(change) for name, change in files.items()})
    assert any(words in problem for problem in prepared.verify(folder))


def test_verify_finds_damage(folder):
    (folder / "masks.npy").unlink()
    (folder / "splits" / "bad.csv").write_text("nothing", encoding="utf-8")
    problems = prepared.verify(folder)
    assert "masks.npy is missing" in problems
    with pytest.raises(ValueError, match="not a prepared data set"):
        prepared.verify(folder / "splits")


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({"images_npy": lambda a: a / 255}, "must be uint8, not float64"),
        ({"masks_npy": lambda a: a[0, 0]}, r"masks \(N, H, W\), not"),
        ({"masks_npy": lambda a: a[0, 0, 0]}, r"masks \(N, H, W\), not"),
        ({"images_npy": lambda a: a[:7]}, "7 images, 8 masks and 8 cases do not go together"),
        ({"masks_full_npy": lambda a: a[:-1]}, "does not fit height, width and offset"),
        ({"masks_full_npy": lambda a: a[None]}, "must be flat and uint8"),
        ({"cases_csv": lambda t: t.replace("spacing_y", "s")}, "lacks the columns spacing_y"),
        ({"cases_csv": lambda t: t.replace("001,p0,,,21", "001,p0,,,x")}, "lacks height, width"),
        ({"cases_csv": lambda t: ""}, "is not a table of cases"),
    ],
)
def test_files_that_do_not_go_together_are_not_opened(folder, files, words):
    forge(folder, **{name: edit(change) for name, change in files.items()})
    with pytest.raises(ValueError, match=words) as error:
        prepared.open(folder)
    assert "\n" not in str(error.value)
    assert str(error.value).endswith("remove the folder and prepare it again")
    assert any(re.search(words, problem) for problem in prepared.verify(folder))


def change_descriptor(folder, change):
    path = folder / "datapackage.json"
    about = json.loads(path.read_text(encoding="utf-8"))
    change(about)
    path.write_text(json.dumps(about), encoding="utf-8")


def first_resource(**entries):
    return lambda about: about["resources"][0].update(entries)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda about: about["resources"][0].pop("bytes"), r"bytes of images\.npy is None"),
        (first_resource(bytes="many"), r"bytes of images\.npy is 'many'"),
        (lambda about: about["resources"][1].pop("hash"), r"hash of masks\.npy is None"),
        (lambda about: about["resources"][2].update(path="../a.npy"), "bare name of a file"),
        (lambda about: about["resources"][2].update(path="..\\a.npy"), "bare name of a file"),
        (lambda about: about["resources"][2].update(path=".."), "bare name of a file"),
        (lambda about: about["resources"][2].update(path=7), "bare name of a file"),
        (lambda about: about.update(classes=5), "classes is 5 instead of a list"),
        (lambda about: about.update(classes=["a", "b"]), "entries with name"),
        (lambda about: about["classes"].pop(), "classes is .* instead of a list"),
        (lambda about: about.pop("classes"), r"classes is \[\] instead of a list"),
        (lambda about: about.update(name=["x"]), r"name is \['x'\] instead of text"),
        (lambda about: about.pop("modality"), "modality is None instead of text"),
        (lambda about: about.update(dropped=3), "dropped is 3 instead of a list"),
    ],
)
def test_a_broken_descriptor_is_one_line_that_says_what_to_do(folder, change, words):
    change_descriptor(folder, change)
    for look in (prepared.open, prepared.verify):
        with pytest.raises(ValueError, match=words) as error:
            look(folder)
        text = str(error.value)
        assert "\n" not in text
        assert text.startswith(f"{folder} is damaged: ")
        assert text.endswith("; remove the folder and prepare it again")
