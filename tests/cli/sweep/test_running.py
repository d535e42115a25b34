"""Sweeps that run to their end, with and without failures."""

import json

import pytest

from tests.cli.sweep.conftest import (
    done,
    finish,
    leftovers,
    read,
    rows,
    start,
)


def test_a_sweep_from_start_to_end(make_sweep, tmp_path):
    file, out = make_sweep(), tmp_path / "out"
    code, text = finish(start(file, "--profile", "smoke", "--out", out))
    assert code == 0, text
    assert "runs      4: 2 settings x 2 seeds; 0 done, 0 failed before, 4 to make" in text
    assert "4 of 4 runs done, 4 of them now" in text
    assert len(done(out)) == 4
    assert not leftovers(out)
    assert len(rows(out)) == 8  # four runs, two records
    assert len({row.split(",")[0] for row in rows(out)}) == 4
    import pandas as pd

    table = pd.read_parquet(out / "results.parquet").set_index(["record", "height", "seed"])
    assert table.loc[("score", 2, 1), "value"] == pytest.approx(2.1)
    assert table.loc[("word", 1, 0), "text"] == "yes"
    run = next(iter((out / "runs").iterdir()))
    assert "out_dir" not in read(run / "results.json")["parameters"]
    assert {path.suffix for path in run.iterdir()} <= {".json", ".ipynb", ".html", ".txt"}
    page = (out / "index.html").read_text(encoding="utf-8")
    assert "Sweep heights: 4 of 4 runs done" in page
    assert f'href="runs/{run.name}/90_tiny.html"' in page
    assert "http-equiv" not in page  # nothing is running any more
    before = done(out)
    code, text = finish(start(file, "--profile", "smoke", "--out", out))
    assert code == 0
    assert "4 of 4 runs done, 0 of them now" in text
    assert done(out) == before


def test_a_result_cut_in_half_is_made_again(make_sweep, tmp_path):
    file, out = make_sweep(), tmp_path / "out"
    finish(start(file, "--out", out))
    before = done(out)
    cut = out / "runs" / sorted(before)[1] / "results.json"
    cut.write_bytes(cut.read_bytes()[: cut.stat().st_size // 2])
    code, text = finish(start(file, "--out", out))
    assert code == 0, text
    assert "3 done, 0 failed before, 1 to make" in text
    after = done(out)
    assert {key for key in after if after[key] != before[key]} == {cut.parent.name}
    json.loads(cut.read_text(encoding="utf-8"))
    assert len(rows(out)) == 8


def test_a_notebook_that_fails_for_one_setting(make_sweep, tmp_path):
    file, out = make_sweep("grid = { look = ['plain', 'odd'] }"), tmp_path / "out"
    code, text = finish(start(file, "--out", out))
    assert code == 1
    assert "FAILED look odd, seed 0: 90_tiny, cell 4: RuntimeError: odd looks are not" in text
    assert "a line before the end" in text or 'raise RuntimeError("odd looks' in text
    assert "2 of 4 runs done" in text
    assert "2 runs failed: --retry-failed makes them again" in text
    page = (out / "index.html").read_text(encoding="utf-8")
    assert "look odd, seed 1: 90_tiny, cell 4: RuntimeError" in page
    assert not leftovers(out)
    failures = {path.name for path in (out / "failed").iterdir()}
    assert len(failures) == 2
    code, text = finish(start(file, "--out", out))
    assert code == 1
    assert "2 done, 2 failed before, 0 to make" in text
    (out / "mended").touch()
    code, text = finish(start(file, "--out", out, "--retry-failed"))
    assert code == 0, text
    assert "4 of 4 runs done, 2 of them now" in text
    assert not list((out / "failed").iterdir())
