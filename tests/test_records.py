"""A run's results.json: what it holds, and that it is whole or absent."""

import json

import pytest
import torch

from course_lib import records


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.setenv("COURSE_OUT", str(tmp_path))
    monkeypatch.setenv("COURSE_PROFILE", "smoke")
    return records.start("99_test", {"profile": "", "seed": 3, "device": "cpu", "out_dir": ""})


def test_a_run_writes_what_is_needed_to_judge_it(run, tmp_path):
    records.record("dice_mean", 0.87, interval=(0.85, 0.89), n=134)
    records.record("undefined", float("nan"), unit="px")
    rows = records.finish()
    result = json.loads((tmp_path / "99_test" / "results.json").read_text(encoding="utf-8"))
    assert result["records"]["dice_mean"] == {
        "value": 0.87,
        "unit": "",
        "n": 134,
        "interval": [0.85, 0.89],
    }
    assert result["records"]["undefined"]["value"] is None
    assert result["parameters"] == {"profile": "smoke", "seed": 3, "device": "cpu", "out_dir": ""}
    assert result["seeds"] == [3]
    for key in ("seconds", "peak_mb", "versions", "threads", "device", "commit", "cores"):
        assert key in result
    assert result["peak_mb"] > 50
    assert [row["name"] for row in rows] == ["dice_mean", "undefined"]


def test_a_new_start_removes_the_old_result(run, tmp_path):
    records.finish()
    records.start("99_test", {"profile": "smoke", "seed": 1})
    assert not (tmp_path / "99_test" / "results.json").exists()


def test_start_seeds_torch(run):
    first = torch.rand(1)
    records.start("99_test", {"profile": "smoke", "seed": 3})
    assert torch.equal(first, torch.rand(1))


def test_profile_chooses(run):
    assert run.pick(smoke=1, fast=2, full=3) == 1


def test_no_record_without_a_run(monkeypatch):
    monkeypatch.setattr(records, "_current", None)
    with pytest.raises(RuntimeError, match="setup cell"):
        records.record("x", 1)
    with pytest.raises(RuntimeError, match="setup cell"):
        records.finish()


@pytest.mark.parametrize("name", ["tpu", "gpu"])
def test_unknown_device_is_refused(name):
    with pytest.raises(ValueError, match="use auto, cpu, cuda or mps"):
        records.choose_device(name)


def test_absent_device_is_refused(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ValueError, match="not on this machine"):
        records.choose_device("cuda")


def test_unknown_profile_is_refused(tmp_path):
    with pytest.raises(ValueError, match="smoke, fast, full"):
        records.start("99_test", {"profile": "quick", "out_dir": str(tmp_path)})


def test_a_failed_write_leaves_the_old_file(tmp_path):
    target = tmp_path / "results.json"
    records.write_json(target, {"a": 1})
    with pytest.raises(ValueError, match="JSON"):
        records.write_json(target, {"a": float("nan")})
    assert json.loads(target.read_text(encoding="utf-8")) == {"a": 1}


def test_a_full_disk_leaves_the_old_file_and_nothing_else(tmp_path):
    resource = pytest.importorskip("resource", reason="needs Unix resource limits")
    target = tmp_path / "results.json"
    records.write_json(target, {"a": 1})
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    try:
        with pytest.raises(OSError, match="large"):
            records.write_json(target, {"a": "x" * 5000})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert json.loads(target.read_text(encoding="utf-8")) == {"a": 1}
    assert list(tmp_path.iterdir()) == [target]
