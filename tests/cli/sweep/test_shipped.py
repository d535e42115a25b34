"""The sweeps that come with the course, and what is kept of one."""

import json

import pytest
import torch

from course_lib import records
from course_lib.cli.sweep import design, keep, summary
from course_lib.models import measure
from course_lib.models.reunet import REUnet
from course_lib.records import ROOT
from tests.cli.sweep.conftest import done, finish, read, rows, start

SHIPPED = sorted(path.stem for path in (ROOT / "notebooks" / "sweeps").glob("*.toml"))


@pytest.mark.parametrize("profile", ["smoke", "fast", "full"])
@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_sweep_has_a_plan(cli, name, profile):
    result = cli("sweep", name, "--profile", profile, "--dry-run")
    assert result.exit_code == 0, result.output
    assert f"Sweep {name} ({profile})" in result.output
    assert " to make" in result.output
    if profile != "full":
        assert "by the budget of" in result.output


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_sweep_is_small_in_smoke_and_repeated_in_fast(name):
    small, real = (design.read(design.find(name), profile) for profile in ("smoke", "fast"))
    assert len(small.settings) * len(small.seeds) <= 4
    assert len(real.seeds) >= 3


def test_the_pairs_of_reunet_wiring_are_equal_in_what_they_say():
    """Base 8 against 26 in work, base 4 against 74 in parameters, each within 2 %."""
    sweep = design.read(design.find("reunet_wiring"), "fast")
    work, parameters = {}, {}
    for setting in sweep.settings:
        with torch.device("meta"):
            net = REUnet(**setting)
        key = tuple(setting.values())
        work[key] = measure.count_macs(net, (3, 256, 256))
        parameters[key] = measure.count_parameters(net)
    assert work["released", 26] == pytest.approx(work["described", 8], rel=0.02)
    assert parameters["released", 74] == pytest.approx(parameters["described", 4], rel=0.02)
    assert ("released", 4) in work  # equal base


@pytest.mark.slow
def test_seeds_really_runs_at_its_smallest(tmp_path):
    out = tmp_path / "out"
    code, text = finish(start("seeds", "--profile", "smoke", "--out", out), 200)
    assert code == 0, text
    assert "2 of 2 runs done" in text
    keys = done(out)
    assert len(keys) == 2
    dice = [row for row in rows(out) if ",dice_mean," in row]
    assert len(dice) == 2
    assert dice[0].split(",dice_mean,")[1] != dice[1].split(",dice_mean,")[1]
    for key in keys:
        result = read(out / "runs" / key / "results.json")
        assert result["threads"] == 1
        assert result["profile"] == "smoke"


def test_what_is_kept_is_small_and_can_be_read_back(make_sweep, cli, tmp_path, monkeypatch):
    monkeypatch.setattr(keep, "NOTEBOOKS", tmp_path / "notebooks")
    monkeypatch.setattr(records, "ROOT", tmp_path)
    file, out = make_sweep("grid = { look = ['plain', 'odd'] }"), tmp_path / "out"
    code, _ = finish(start(file, "--out", out))
    assert code == 1  # odd looks fail
    result = cli("sweep", file, "--out", out, "--commit-results")
    assert result.exit_code == 1
    assert "Kept: " in result.output
    kept = records.committed_sweep("heights")
    assert (kept["runs"], kept["done"]) == (4, 2)
    assert [one["setting"] for one in kept["failed"]] == [{"look": "odd"}] * 2
    assert kept["machines"][0]["commit"] == "abc"
    assert sorted(kept["table"].query("record == 'score'")["value"]) == [1.0, 1.1]
    assert list(kept["table"]["look"].unique()) == ["plain"]
    size = sum(path.stat().st_size for path in (tmp_path / "notebooks").rglob("*.*"))
    assert size < 5000
    assert str(tmp_path) not in json.dumps({**kept, "table": kept["table"].to_csv()})
    assert records.committed_sweep("heights", "full") is None
    assert records.committed_sweep("nothing") is None


def test_nothing_is_kept_of_nothing(make_sweep, tmp_path):
    sweep = design.read(make_sweep(), "fast")
    assert summary.tidy(sweep, [], tmp_path).empty
