"""Seconds and peak memory of every notebook, beside its budget, as a `course run` recorded them.

    make course && python -m benchmarks.course --runs runs/course --json result.json

Without ``--runs`` the notebooks are run for it, one after the other: all in the profile fast, or
with ``--small`` the first three in the profile smoke.
"""

import json
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

import pandas as pd

from benchmarks import common
from course_lib.records import ROOT


def run(folder: Path, small: bool) -> None:
    """Run the notebooks.

    Raises:
        ValueError: one of them fails; what the command said stands above.
    """
    which = ["00", "01", "02", "--profile", "smoke"] if small else ["--profile", "fast"]
    command = [sys.executable, "-m", "course_lib.cli", "run", *which, "--out", str(folder)]
    if subprocess.run(command, check=False, stdout=sys.stderr).returncode:
        raise ValueError("a notebook failed, so there is nothing to measure: see above")


def measure(folder: Path) -> dict:
    """Read what the notebooks of a run recorded.

    Raises:
        ValueError: the folder holds no results.
    """
    results = [
        json.loads(file.read_text(encoding="utf-8"))
        for file in sorted(folder.glob("*/results.json"))
    ]
    if not results:
        raise ValueError(f"{folder} holds no results: make some with `course run --out {folder}`")
    limits = tomllib.loads((ROOT / "notebooks" / "budgets.toml").read_text(encoding="utf-8"))
    notebooks = {
        result["notebook"]: {
            "profile": result["profile"],
            "seconds": result["seconds"],
            "peak_mb": result["peak_mb"],
            "budget": limits.get(result["notebook"], {}).get(result["profile"]),
            "finished": result["finished"],
            "commit": result["commit"],
        }
        for result in results
    }
    return {
        "notebooks": notebooks,
        "seconds_in_all": round(sum(row["seconds"] for row in notebooks.values()), 1),
        "highest_peak_mb": max(row["peak_mb"] for row in notebooks.values()),
    }


def table(result: dict) -> pd.DataFrame:
    """Return one row a notebook."""
    rows = []
    for name, row in result["notebooks"].items():
        budget = row["budget"] or {}
        rows.append(
            {
                "notebook": name,
                "profile": row["profile"],
                "seconds": row["seconds"],
                "budget (s)": budget.get("seconds"),
                "peak (MB)": row["peak_mb"],
                "budget (MB)": budget.get("peak_mb"),
            }
        )
    return pd.DataFrame(rows)


def main() -> None:
    """Measure and print."""
    parser = common.parser(__doc__)
    parser.add_argument("--runs", type=Path, help="folder of a course run")
    given = common.parse(parser)
    try:
        if given.runs:
            result = measure(given.runs)
        else:
            with tempfile.TemporaryDirectory() as folder:
                run(Path(folder), given.small)
                result = measure(Path(folder))
    except ValueError as error:
        parser.error(str(error))
    common.report("course", result, table(result), given)


if __name__ == "__main__":
    main()
