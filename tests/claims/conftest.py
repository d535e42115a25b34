"""A project of its own with one ledger, into which tests commit results."""

import json

import pytest

from course_lib import records

HEAD = """
[full_size]
base = 32
"""
MEASURED = """
[[claim]]
id = "X1"
where = "5"
claim = "The net is good"
kind = "measured"
quote = 0.8
measure = "dice"
notebook = "05_reunet"
data = "busi"
record = "dice_mean"
rule = "ours >= quote"
"""
SWEPT = """
[[claim]]
id = "X2"
where = "5"
claim = "A gate helps"
kind = "measured"
quote = 0.03
measure = "dice"
sweep = "gate"
record = "dice_mean"
setting = { gate = true }
against = { gate = false }
rule = "low > 0"
"""


class Project:
    """Writes ledgers and results as `course run --keep` and `course sweep` would commit them."""

    def __init__(self, root):
        self.root = root
        self.results = root / "notebooks" / "results"
        (root / "notebooks" / "claims").mkdir(parents=True)

    def ledger(self, text):
        (self.root / "notebooks" / "claims" / "tiny.toml").write_text(text, encoding="utf-8")

    def run(self, *runs, notebook="05_reunet", name="busi-cpu-2026-01-02"):
        """Commit runs given as (profile, base, seed, value, interval)."""
        content = {"runs": [self._run(*run) for run in runs]}
        self._write(self.results / notebook / f"{name}.json", json.dumps(content))

    @staticmethod
    def _run(profile, base, seed, value, interval=None):
        item = {"value": value, "unit": "", "n": 40, "interval": interval}
        return {
            "profile": profile,
            "parameters": {"base": base, "profile": profile, "seed": seed},
            "seeds": [seed],
            "records": {"dice_mean": item},
        }

    def sweep(self, *rows, profile="full", name="full-cpu-2026-01-02"):
        """Commit the table of a sweep, rows given as (gate, base, seed, value)."""
        lines = ["key,gate,base,seed,record,value,text,unit,n,low,high,seconds,peak_mb,device"]
        for gate, base, seed, value in rows:
            lines.append(f"k,{gate},{base},{seed},dice_mean,{value},,,40.0,,,9.0,90.0,cpu")
        folder = self.results / "sweeps" / "gate"
        self._write(folder / f"{name}.csv", "\n".join(lines) + "\n")
        self._write(folder / f"{name}.json", json.dumps({"profile": profile}))

    @staticmethod
    def _write(file, text):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")


@pytest.fixture
def project(tmp_path, monkeypatch):
    monkeypatch.setattr(records, "ROOT", tmp_path)
    made = Project(tmp_path)
    made.ledger(HEAD + MEASURED + SWEPT)
    return made
