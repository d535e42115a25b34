"""Seconds and memory of the notebooks, read from the runs that the nbval steps just made."""

import json
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BUDGETS = tomllib.loads((ROOT / "notebooks" / "budgets.toml").read_text(encoding="utf-8"))
RUNS = sorted((ROOT / "runs" / "test").glob("*/*/results.json"))
NOTEBOOKS = sorted((ROOT / "notebooks").glob("[0-9][0-9]_*.ipynb"))


def test_every_notebook_left_a_result_in_both_versions():
    found = {path.parent.relative_to(ROOT / "runs" / "test").as_posix() for path in RUNS}
    expected = {f"{kind}/{nb.stem}" for nb in NOTEBOOKS for kind in ("student", "solutions")}
    assert found == expected


@pytest.mark.parametrize("path", RUNS, ids=lambda path: "/".join(path.parts[-3:-1]))
def test_a_run_stays_within_twice_its_budget(path):
    result = json.loads(path.read_text(encoding="utf-8"))
    budget = BUDGETS[path.parent.name][result["profile"]]
    assert result["seconds"] <= 2 * budget["seconds"]
    assert result["peak_mb"] <= 2 * budget["peak_mb"]


@pytest.mark.parametrize("notebook", [path.stem for path in NOTEBOOKS])
def test_fast_budget_is_within_the_course_limits(notebook):
    assert BUDGETS[notebook]["fast"]["seconds"] <= 90
    assert BUDGETS[notebook]["fast"]["peak_mb"] <= 1200
