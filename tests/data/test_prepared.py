import json
import os
import threading

import numpy as np
import pandas as pd
import pytest
import torch
from prepared_sample import names, sample

from course_lib.data import prepared, splits


@pytest.fixture
def folder(tmp_path):
    arguments = sample()
    parts = splits.make(arguments["cases"])
    return prepared.write(tmp_path / "sample-16", **arguments, splits={"default": parts})


@pytest.fixture
def root(tmp_path, monkeypatch):
    monkeypatch.setenv("COURSE_DATA", str(tmp_path))
    return tmp_path


def test_what_was_written_comes_back(folder):
    arguments = sample()
    dataset = prepared.open(folder, verify="hash")
    assert len(dataset) == 8
    assert isinstance(dataset.images, np.memmap)
    assert (dataset.images == arguments["images"]).all()
    assert (dataset.masks == arguments["masks"]).all()
    for i, mask in enumerate(arguments["masks_full"]):
        assert (dataset.mask_full(i) == mask).all()
    assert list(dataset.cases.case_id) == list(arguments["cases"].case_id)  # "007" stays text
    assert (dataset.name, dataset.num_classes) == ("sample", 2)
    assert dataset.class_names == ["background", "lesion"]
    assert "8 cases in 4 groups, 3 channels, 16 x 16 px" in dataset.describe()
    with pytest.raises(ValueError, match="read-only"):
        dataset.images[0] = 0


def test_numpy_and_json_alone_can_read_it(folder):
    about = json.loads((folder / "datapackage.json").read_text(encoding="utf-8"))
    assert np.load(folder / "images.npy", allow_pickle=False).shape == (8, 3, 16, 16)
    assert [item["path"] for item in about["resources"]] == [
        "images.npy",
        "masks.npy",
        "masks_full.npy",
        "cases.csv",
    ]
    assert all(item["hash"].startswith("sha256:") for item in about["resources"])
    lines = (folder / "cases.csv").read_text(encoding="utf-8").splitlines()
    assert lines[0].startswith(
        "case_id,group,source_file,source_sha256,height,width,offset,spacing_y,spacing_x"
    )
    assert lines[2] == f"001,p0,,,21,31,{20 * 31},,"


def test_the_descriptor_keeps_origin_and_what_was_dropped(tmp_path):
    folder = prepared.write(
        tmp_path / "a",
        **sample(),
        licence="CC BY 4.0",
        source="https://example.org/set",
        citation="Somebody 2020",
        options={"size": 16},
        dropped=[{"case_id": "x9", "reason": "no mask"}],
    )
    about = prepared.open(folder).descriptor
    assert about["licenses"] == [{"name": "CC-BY-4.0", "title": "CC BY 4.0"}]
    assert about["sources"][0]["path"] == "https://example.org/set"
    assert about["citation"] == "Somebody 2020"
    assert about["options"] == {"size": 16}
    assert about["dropped"] == [{"case_id": "x9", "reason": "no mask"}]


def test_a_set_at_its_original_size_stores_its_masks_once(tmp_path):
    folder = prepared.write(tmp_path / "a", **sample(masks_full=None))
    dataset = prepared.open(folder)
    assert not (folder / "masks_full.npy").exists()
    assert dataset.cases.offset.isna().all()
    subset = dataset.subset([5, 2])
    assert (subset.mask_full(0) == dataset.masks[5]).all()
    small = subset.resized(8)
    assert (small.mask_full(1) == dataset.masks[2]).all()
    assert (small.subset([1]).mask_full(0) == dataset.masks[2]).all()


def test_further_columns_and_odd_ids_survive(tmp_path):
    arguments = sample(n=3)
    arguments["cases"] = pd.DataFrame(
        {
            "case_id": ["NA", 'benign, "4"', "null"],
            "group": ["1e5", "007", "né"],
            "difficulty": [0.1 + 0.2, 1 / 3, np.nan],
            "look": ["a", "", "b"],
        }
    )
    dataset = prepared.open(prepared.write(tmp_path / "a", **arguments))
    assert list(dataset.cases.case_id) == ["NA", 'benign, "4"', "null"]
    assert list(dataset.cases.group) == ["1e5", "007", "né"]
    assert dataset.cases.difficulty[:2].tolist() == [0.1 + 0.2, 1 / 3]


def test_batches_are_tensors_in_the_order_asked_for(folder):
    dataset = prepared.open(folder)
    images, masks = dataset.batch([3, 0, 3])
    assert images.dtype == torch.float32
    assert masks.dtype == torch.int64
    assert torch.equal(images[0], torch.from_numpy(dataset.images[3].astype(np.float32)) / 255)
    assert torch.equal(images[0], images[2])
    assert torch.equal(masks[1], torch.from_numpy(dataset.masks[0].astype(np.int64)))
    images += 1  # the tensor is the reader's own
    assert images.max() > 1
    assert dataset.batch([])[0].shape == (0, 3, 16, 16)
    assert torch.equal(dataset.batch(i for i in (3, 0))[0], dataset.batch([3, 0])[0])
    with pytest.raises(ValueError, match="case indices go from 0 to 7"):
        dataset.batch([8])
    with pytest.raises(ValueError, match="whole numbers, not float64"):
        dataset.batch([0.5])


def test_subsets_are_views_that_stack(folder):
    dataset = prepared.open(folder)
    subset = dataset.subset([6, 1, 4]).subset(np.array([False, True, True]))
    assert list(subset.cases.case_id) == ["001", "004"]
    assert list(subset.cases.index) == [0, 1]
    assert subset.all_images is dataset.all_images
    assert (subset.images == dataset.images[[1, 4]]).all()
    assert (subset.mask_full(1) == dataset.mask_full(4)).all()
    assert torch.equal(subset.batch([1])[0], dataset.batch([4])[0])
    assert torch.equal(subset.batch([-1])[0], dataset.batch([4])[0])
    assert subset.digest == dataset.digest
    with pytest.raises(ValueError, match="2 cases; give one a case"):
        subset.subset([True])


def test_resized_keeps_the_untouched_masks(folder):
    dataset = prepared.open(folder)
    small = dataset.subset([2, 5]).resized(8)
    assert small.images.shape == (2, 3, 8, 8)
    assert (small.masks[0] == dataset.masks[2][1::2, 1::2]).all()
    assert (small.mask_full(1) == dataset.mask_full(5)).all()
    assert small.digest != dataset.digest
    assert dataset.resized(16) is dataset


def test_splits_of_a_set_and_of_its_subset(folder, tmp_path):
    dataset = prepared.open(folder)
    chosen = dataset.split()
    assert sorted(np.concatenate(list(chosen.values()))) == list(range(8))
    test = dataset.subset(chosen["test"])
    assert {part: len(held) for part, held in test.split().items()} == {
        "train": 0,
        "val": 0,
        "test": 2,
    }
    with pytest.raises(ValueError, match="no split 'other'"):
        dataset.split("other")
    splits.write(folder, "part", dataset.cases.case_id[:7], ["train"] * 7)
    with pytest.raises(ValueError, match="leaves out the case '007'"):
        dataset.split("part")


def test_spacing_is_mm_where_it_is_known_for_every_case(tmp_path):
    arguments = sample(n=3)
    arguments["cases"]["spacing_y"] = [0.5, 0.5, 2]
    arguments["cases"]["spacing_x"] = [1, 0.25, 2]
    known = prepared.open(prepared.write(tmp_path / "known", **arguments))
    assert known.unit == "mm"
    assert known.spacing(1) == (0.5, 0.25)
    arguments["cases"].loc[2, ["spacing_y", "spacing_x"]] = np.nan
    partly = prepared.open(prepared.write(tmp_path / "partly", **arguments))
    assert partly.unit == "px"
    assert partly.spacing(1) == (1.0, 1.0)


def test_volumes_are_written_and_read(tmp_path):
    rng = np.random.default_rng(0)
    volumes = rng.integers(0, 256, (2, 1, 5, 16, 12), dtype=np.uint8)
    labels = rng.integers(0, 2, (2, 5, 16, 12), dtype=np.uint8)
    arguments = sample(n=2, images=volumes, masks=labels, masks_full=None)
    folder = prepared.write(tmp_path / "a", **arguments)
    dataset = prepared.open(folder)
    assert prepared.verify(folder) == []
    assert dataset.batch([1])[0].shape == (1, 1, 5, 16, 12)
    assert dataset.cases.loc[0, ["height", "width"]].tolist() == [16, 12]
    with pytest.raises(ValueError, match="holds volumes"):
        dataset.resized(8)


def test_sets_in_memory():
    arguments = sample()
    kept = {key: arguments[key] for key in ("name", "images", "masks", "cases", "classes")}
    dataset = prepared.from_arrays(**kept)
    assert dataset.subset([3]).batch([0])[0].shape == (1, 3, 16, 16)
    assert (dataset.mask_full(3) == arguments["masks"][3]).all()
    assert dataset.unit == "px"
    changed = kept | {"masks": 1 - arguments["masks"]}
    assert dataset.digest == prepared.from_arrays(**kept).digest
    assert dataset.digest != prepared.from_arrays(**changed).digest
    with pytest.raises(ValueError, match="lives in memory only"):
        dataset.split()
    with pytest.raises(ValueError, match="case '000' has the label 3; 2 classes"):
        prepared.from_arrays(**kept | {"masks": np.full((8, 16, 16), 3, np.uint8)})


def test_opening_by_name(root):
    for name in ("set-16", "set-32", "one-16", "exact", "exact-16"):
        prepared.write(root / name, **sample())
    assert prepared.open("one").folder == root / "one-16"
    assert prepared.open("set", size=16).folder == root / "set-16"
    assert prepared.open("exact").folder == root / "exact"
    assert prepared.open(root / "exact").folder == root / "exact"
    assert prepared.open(str(root / "exact")).folder == root / "exact"
    with pytest.raises(ValueError, match="several sizes of 'set': set-16, set-32; name one"):
        prepared.open("set")
    with pytest.raises(ValueError, match=r"set-32 is 16 x 16 px, not 32; .*resized\(32\)"):
        prepared.open("set", size=32)


def test_a_missing_set_says_how_to_get_it(root):
    prepared.write(root / "nuclei-16", **sample())
    with pytest.raises(ValueError, match=r"course data prepare busi --from PATH$"):
        prepared.open("busi")
    with pytest.raises(ValueError, match=r"there is nuclei-16.*prepare nuclei .* --size 64$"):
        prepared.open("nuclei", size=64)
    with pytest.raises(ValueError, match="no data set at"):
        prepared.open(root / "nowhere")
    (root / "empty").mkdir()
    with pytest.raises(ValueError, match=r"empty is not a prepared data set.*datapackage\.json"):
        prepared.open("empty")


def test_embedded_sets_are_created_once(root, monkeypatch):
    calls = []
    gate = threading.Barrier(2, timeout=20)

    def create(folder):
        calls.append(folder)
        gate.wait()  # both are at work before either is done
        arguments = sample()
        parts = splits.make(arguments["cases"])
        prepared.write(folder, **arguments)
        splits.write(folder, "default", arguments["cases"].case_id, parts)

    monkeypatch.setitem(prepared.EMBEDDED, "phantoms", create)
    found = []
    threads = [
        threading.Thread(target=lambda: found.append(prepared.open("phantoms"))) for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(calls) == 2
    assert [len(dataset.split()["test"]) for dataset in found] == [2, 2]
    assert names(root) == ["phantoms"]
    assert prepared.open("phantoms", size=8).images.shape[2:] == (8, 8)
    assert len(calls) == 2


def test_data_root_is_beside_the_library_or_where_the_variable_says(monkeypatch, tmp_path):
    monkeypatch.setenv("COURSE_DATA", str(tmp_path))
    assert prepared.data_root() == tmp_path
    monkeypatch.delenv("COURSE_DATA")
    assert (prepared.data_root().parent / "course_lib").is_dir()
    assert os.fspath(prepared.data_root().name) == "data"
