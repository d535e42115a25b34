"""The sweeps that come with the course, and what is kept of one."""

import json
import re
import tomllib

import pytest
import torch

from course_lib import claims, records
from course_lib.cli.sweep import design, keep, summary
from course_lib.models import measure
from course_lib.models.reunet import REUnet
from course_lib.records import ROOT
from tests.cli.sweep.conftest import done, finish, read, rows, start

SHIPPED = sorted(path.stem for path in (ROOT / "notebooks" / "sweeps").glob("*.toml"))
LEDGERS = {paper: claims.read(paper) for paper in claims.papers()}
CLAIMS = [
    pytest.param(paper, claim, id=claim.id)
    for paper, book in LEDGERS.items()
    for claim in book.claims
    if claim.sweep and claim.sweep != "plnet_volumes"  # 224 px are for images, not for volumes
]
ONE_PAIR = "reunet_full_width"  # a look at the paper's width without a GPU, read as n = 1
ON = {"with": True, "without": False, "present": True, "absent": False}
COLUMNS = {
    "plain1": {"ipl": False, "steps": 1},
    "plain2": {"ipl": False, "steps": 2},
    "ipl2": {"ipl": True, "steps": 2},
    "ipl3": {"ipl": True, "steps": 3},
}
# Paper, sweep, and its printed rows: cells of the ledger, and the setting that a row stands for.
ABLATIONS = {
    "reunet_plain_blocks": ("reunet", r"T3\.a(\d)\.", lambda k: {"plain_blocks": int(k)}),
    "reunet_intermediator": ("reunet", r"T4\.(\d+)\.", lambda n: {"intermediator": int(n)}),
    "reunet_attention_gate": ("reunet", r"T5\.(\w+)\.", lambda on: {"attention_gate": ON[on]}),
    "reunet_gating_signal": ("reunet", r"T6\.(\w+)\.", lambda on: {"gating_signal": ON[on]}),
    "plnet_table2": (
        "plnet",
        r"T2\.nuclei\.(on|off)\.(\w+)\.",
        lambda epl, column: {"epl": epl, **COLUMNS[column]},
    ),
    "plnet_width": ("plnet", r"F3\.width(\d+)", lambda hundred: {"width": int(hundred) / 100}),
    "plnet_volumes": (
        "plnet",
        r"T7\.(unet|ipl|ipl-epl)\.",
        lambda net: {"volume_net": net.replace("-", "_")},
    ),
}


@pytest.mark.parametrize("profile", ["smoke", "fast", "full"])
@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_sweep_has_a_plan(cli, name, profile, tmp_path):
    """A set that ships stands in for one that comes by download; all else is checked."""
    text = design.find(name).read_text(encoding="utf-8")
    file = tmp_path / f"{name}.toml"
    text = text.replace('"nuclei"', '"nuclei-mini"').replace('"busi"', '"phantoms"')
    file.write_text(text, "utf-8")
    result = cli("sweep", str(file), "--profile", profile, "--dry-run")
    assert result.exit_code == 0, result.output
    assert f"Sweep {name} ({profile})" in result.output
    assert " to make" in result.output
    if profile != "full":
        assert "by the budget of" in result.output


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_sweep_is_small_in_smoke_and_repeated_in_fast(name):
    small, real = (design.read(design.find(name), profile) for profile in ("smoke", "fast"))
    assert len(small.settings) * len(small.seeds) <= 4
    assert len(real.seeds) >= (1 if name == ONE_PAIR else 3)
    if name == ONE_PAIR:
        assert "one pair" in real.title


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_sweep_is_there_in_a_small_and_a_full_size(name):
    content = tomllib.loads(design.find(name).read_text(encoding="utf-8"))
    assert {"smoke", "full"} <= content.keys()
    sweep = design.read(design.find(name), "full")
    if name != "plnet_volumes":  # its side is that of the volumes
        assert all({**sweep.fixed, **one}["size"] >= 224 for one in sweep.settings)


def test_every_sweep_that_a_ledger_names_is_shipped():
    named = {claim.sweep for book in LEDGERS.values() for claim in book.claims if claim.sweep}
    assert named <= set(SHIPPED)


@pytest.mark.parametrize("profile", ["fast", "full"])
@pytest.mark.parametrize("name", ABLATIONS)
def test_every_printed_row_of_an_ablation_table_has_its_setting(name, profile):
    paper, cell, setting = ABLATIONS[name]
    found = (re.match(cell, value) for value in LEDGERS[paper].values)
    rows = {match.groups() for match in found if match}
    assert len(rows) >= 2
    sweep = design.read(design.find(name), profile)
    for row in rows:
        wanted = setting(*row)
        assert any(wanted.items() <= one.items() for one in sweep.settings), row


@pytest.mark.parametrize(("paper", "claim"), CLAIMS)
def test_a_full_run_of_its_sweep_can_judge_a_claim(paper, claim):
    """The ledger takes runs whose parameters hold its full size; a rival net has its own width."""
    sweep, size = design.read(design.find(claim.sweep), "full"), LEDGERS[paper].full_size
    rival = {name: v for name, v in size.items() if name != "base" or "net" not in claim.against}
    made = [{**sweep.fixed, **setting} for setting in sweep.settings]
    assert any({**claim.setting, **size}.items() <= one.items() for one in made)
    assert any({**claim.against, **rival}.items() <= one.items() for one in made)


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
