"""Benchmarks: what all of them do alike, the sampler's and the course's, and the page."""

import argparse
import importlib
import json
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from benchmarks import common, course, curriculum, phantoms, sampler
from benchmarks.__main__ import NAMES, page
from course_lib import records
from course_lib.cli import readme


def test_small_sizes_take_the_place_of_defaults_and_give_way_to_what_is_asked(monkeypatch):
    def parsed(*words):
        monkeypatch.setattr(sys, "argv", ["bench", *words])
        parser = common.parser("A title.\n\nMore.")
        parser.add_argument("--rounds", type=int, default=9)
        return common.parse(parser, rounds=2).rounds

    assert parsed() == 9
    assert parsed("--small") == 2
    assert parsed("--small", "--rounds", "5") == 5


def test_tasks_take_turns_and_the_first_round_does_not_count():
    calls = []
    seconds = common.in_turns({"a": lambda: calls.append("a"), "b": lambda: calls.append("b")}, 2)
    assert "".join(calls) == "abbaab"
    assert {name: times.shape for name, times in seconds.items()} == {"a": (2, 2), "b": (2, 2)}


def test_ratios_are_medians_of_the_rounds():
    times = np.array([[1.0, 1.0], [2.0, 1.0], [9.0, 1.0]])
    reference = np.array([[2.0, 4.0], [2.0, 4.0], [3.0, 4.0]])
    found = common.summary(times, reference)
    assert (found["ms"], found["ratio"]) == (2000, 1)
    assert (found["cpu_ms"], found["cpu_ratio"]) == (1000, 0.25)


def test_the_file_says_when_where_and_how(tmp_path, capsys):
    given = argparse.Namespace(small=True, json=tmp_path / "new" / "it.json")
    common.report(
        "it", {"rows": [1]}, pd.DataFrame([{"net": "unet", "ms": 1.5}]), given, ["pytest"]
    )
    assert "unet" in capsys.readouterr().out
    found = json.loads(given.json.read_text(encoding="utf-8"))
    assert (found["command"], found["small"], found["rows"]) == (
        "python -m benchmarks.it",
        True,
        [1],
    )
    assert {"date", "cores", "device_name", "threads", "commit", "versions", "pytest"} <= set(found)


def test_all_samplers_draw_an_epoch_of_equal_length():
    draws = {name: draw() for name, draw in sampler.samplers(30).items()}
    assert {len(drawn) for drawn in draws.values()} == {30}
    assert len(set(map(int, draws["plain"]))) == len(set(draws["torch"])) == 30
    result = sampler.measure([30], rounds=2)
    assert set(sampler.table(result).sampler) == set(draws)


def write_run(folder, notebook, seconds, peak_mb):
    folder.mkdir(parents=True)
    content = {"notebook": notebook, "profile": "fast", "seconds": seconds, "peak_mb": peak_mb}
    content |= {"finished": "2026-11-30T10:00:00+00:00", "commit": "0123456789ab"}
    (folder / "results.json").write_text(json.dumps(content), encoding="utf-8")


def test_a_course_run_is_read_with_its_budgets(tmp_path):
    write_run(tmp_path / "a", "03_unet", 30.0, 700.0)
    write_run(tmp_path / "b", "no_such_notebook", 1.5, 900.0)
    found = course.measure(tmp_path)
    assert (found["seconds_in_all"], found["highest_peak_mb"]) == (31.5, 900.0)
    rows = course.table(found)
    assert rows["budget (s)"].notna().tolist() == [True, False]


def test_a_folder_without_a_run_is_one_line(tmp_path, root):
    command = [sys.executable, "-m", "benchmarks.course", "--runs", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=root, check=False)
    assert done.returncode == 2
    assert "holds no results" in done.stderr.splitlines()[-1]


def test_the_page_has_a_table_of_every_benchmark(tmp_path):
    write_run(tmp_path / "a", "00_start_here", 9.0, 400.0)
    result = course.measure(tmp_path)
    about = {"command": "python -m benchmarks.course", "date": "2026-11-30", "small": True}
    about |= {"cores": 2, "device_name": "x86_64", "threads": 1, "commit": None}
    made = page({"course": result | about | {"versions": {"torch": "2.13"}}})
    assert '<section id="course">' in made
    assert '<th scope="row">00_start_here</th>' in made
    assert "small sizes" in made


COMMITTED = [(name, "benchmarks", name) for name in NAMES]
COMMITTED.append(("siblings", "01_images_and_masks", "siblings-nuclei"))
COMMITTED.append(("phantoms_difficulty", "phantoms", "difficulty"))


@pytest.mark.parametrize(("name", "folder", "data"), COMMITTED)
def test_a_committed_result_can_be_read_as_a_table(name, folder, data):
    module = importlib.import_module(f"benchmarks.{name}")
    found = records.committed(folder, data)
    if found is None:
        pytest.skip(f"no result of benchmarks/{name}.py is committed yet")
    rows = module.table(found)
    assert len(rows) >= 2
    assert rows.notna().all(axis=None)


def test_a_refused_score_has_no_row():
    found = {"share_of_a_full_training": 0.02, "agreement_with_truth": 0.5}
    result = {"scoring": {"recon": found, "rotation": found}, "distances": []}
    assert len(curriculum.table(result)) == 4
    result["scoring"]["rotation"] = {"refused": "the net tells 28% of the turns right"}
    rows = curriculum.table(result)
    assert rows.what.unique().tolist() == ["scoring by recon"]
    assert rows.value.tolist() == [2, 0.5]


def test_maps_of_distance_are_timed_in_three_ways():
    found = curriculum.distances(32, rounds=1)
    assert set(found["milliseconds_a_mask"]) == {"computed", "kept", "kept_and_flipped"}


def test_the_readme_can_tell_what_the_benchmarks_write(tmp_path):
    write_run(tmp_path / "a", "00_start_here", 90.0, 400.0)
    said = readme.COSTS["course"][1](course.measure(tmp_path))
    assert said == "1 in 2 minutes, at most 400 MB"
    said = readme.COSTS["sampler"][1](sampler.measure([20, 30], rounds=1))
    assert "for 30 cases" in said
    said = readme.COSTS["phantoms"][1](phantoms.measure([128], seconds=0.0))
    assert said.endswith("images a second")


def test_the_readme_says_what_was_committed(root):
    text = (root / "README.md").read_text(encoding="utf-8")
    for name, (what, told) in readme.COSTS.items():
        found = records.committed("benchmarks", name)
        assert (found is not None) == (f"| {what} |" in text), name
        assert not found or told(found) in text
