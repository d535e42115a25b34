"""`course run --keep`: results worth keeping go to notebooks/results, small and without paths."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from course_lib.cli import plan
from course_lib.cli.run import Outcome
from course_lib.records import write_json


def keep(plans: list[plan.Plan], outcomes: list[Outcome], date: str) -> list[Path]:
    """Add the results of runs that passed; per-case tables go beside them.

    One file a notebook, data set, device and day: ``<notebook>/<data>-<device>-<date>.json`` with
    a list of runs; a run with the same parameters is replaced.
    """
    written = []
    for item, outcome in zip(plans, outcomes, strict=True):
        if outcome.status != "passed":
            continue
        result = json.loads((item.folder / "results.json").read_text(encoding="utf-8"))
        result["parameters"].pop("out_dir", None)
        data = result["parameters"].get("data", "none")
        folder = plan.NOTEBOOKS / "results" / outcome.name
        folder.mkdir(parents=True, exist_ok=True)
        file = folder / f"{data}-{result['device']}-{date}.json"
        runs = json.loads(file.read_text(encoding="utf-8"))["runs"] if file.is_file() else []
        runs = [run for run in runs if run["parameters"] != result["parameters"]] + [result]
        runs.sort(key=lambda run: json.dumps(run["parameters"], sort_keys=True))
        write_json(file, {"notebook": outcome.name, "data": data, "runs": runs})
        table = item.folder / "cases.csv"
        if table.is_file():
            shutil.copyfile(table, file.with_name(f"{file.stem}-seed{result['seeds'][0]}.csv"))
        written.append(file)
    return written
