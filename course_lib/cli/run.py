"""Runs notebooks headless: parameters checked first, one process a notebook, one outcome each."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from course_lib.cli import parameters
from course_lib.records import ROOT, write_json

NOTEBOOKS = ROOT / "notebooks"
CELL_SECONDS = {"smoke": 300, "fast": 600, "full": 24 * 3600}
GRACE = 600  # seconds that a run may take in all beyond the time of one cell
NAME = re.compile(r"^\d\d_\w+$")


@dataclass(frozen=True)
class Plan:
    """A notebook with its checked parameters and its own folder of results."""

    notebook: Path
    parameters: dict[str, Any]
    folder: Path
    profile: str
    cell_seconds: int


@dataclass(frozen=True)
class Outcome:
    """How a run ended: status is ``passed`` or ``failed``; cell counts from 1."""

    name: str
    status: str
    seconds: float
    error: str = ""
    cell: int | None = None
    lines: tuple[str, ...] = ()


def find(numbers: tuple[str, ...]) -> list[Path]:
    """Return the student notebooks with these numbers (all of them if none is given)."""
    known = {
        path.stem[:2]: path for path in sorted(NOTEBOOKS.glob("*.ipynb")) if NAME.match(path.stem)
    }
    if not known:
        raise ValueError("there are no notebooks yet: run `course build` first")
    unknown = [number for number in numbers if number.zfill(2)[:2] not in known]
    if unknown:
        raise ValueError(f"there is no notebook {unknown[0]!r}: use one of {', '.join(known)}")
    return [known[number.zfill(2)[:2]] for number in numbers] or list(known.values())


def plan(
    notebooks: list[Path],
    profile: str,
    wide: dict[str, str],
    exact: dict[str, str],
    out: Path,
    cell_seconds: int | None = None,
) -> list[Plan]:
    """Check every parameter of every notebook before anything starts.

    Args:
        notebooks: student notebooks.
        profile: smoke, fast or full.
        wide: values (as text) for the notebooks that have such a parameter, at least one of them.
        exact: values that every one of the notebooks must have.
        out: folder; each run gets its own one below.
        cell_seconds: longest time of one cell; None: as the profile says.

    Raises:
        ValueError: for a parameter that is unknown or out of range, or a data set that is missing.
    """
    known = {path: parameters.read(path) for path in notebooks}
    for name in wide:
        if not any(name in table for table in known.values()):
            raise ValueError(f"none of the chosen notebooks has a parameter {name!r}")
    plans = []
    for path, table in known.items():
        asked = {name: text for name, text in wide.items() if name in table} | exact
        values = parameters.validate(table, asked, path.stem)
        if "data" in values:
            _find_data(values["data"])
        folder = (out / path.stem).resolve()
        values |= {"profile": profile, "out_dir": str(folder)}
        limit = cell_seconds or CELL_SECONDS[profile]
        plans.append(Plan(path, values, folder, profile, limit))
    return plans


def execute(
    plans: list[Plan],
    jobs: int,
    progress: Callable[[str, int, int], None],
    done: Callable[[Outcome], None],
) -> list[Outcome]:
    """Run all plans, ``jobs`` at a time; a failure ends its own run only.

    Args:
        plans: from :func:`plan`.
        jobs: how many notebooks run at once; they share the cores.
        progress: called with (name, cells begun, cells in all).
        done: called with each outcome as it comes.
    """
    threads = max(1, (os.cpu_count() or 1) // jobs)

    def one(item: Plan) -> Outcome:
        outcome = _execute(item, threads, progress)
        done(outcome)
        return outcome

    with ThreadPoolExecutor(jobs) as pool:
        return list(pool.map(one, plans))


def _find_data(name: str) -> None:
    from course_lib.data import prepared

    prepared.open(name, verify="hash")


def _execute(item: Plan, threads: int, progress: Callable[[str, int, int], None]) -> Outcome:
    name = item.notebook.stem
    shutil.rmtree(item.folder, ignore_errors=True)
    item.folder.mkdir(parents=True)
    write_json(item.folder / "parameters.json", item.parameters)
    begun = time.perf_counter()
    error = _run_process(item, threads, lambda at, of: progress(name, at, of))
    seconds = round(time.perf_counter() - begun, 1)
    if error is None:
        error = _missing_result(item)
    outcome = Outcome(name, "passed" if error is None else "failed", seconds, **(error or {}))
    write_json(item.folder / "outcome.json", asdict(outcome))
    return outcome


def _run_process(item: Plan, threads: int, progress) -> dict | None:
    command = [sys.executable, "-m", "course_lib.cli.execute", str(item.notebook)]
    command += [str(item.folder / f"{item.notebook.stem}.ipynb")]
    command += [str(item.folder / "parameters.json"), str(item.cell_seconds)]
    environment = os.environ | {
        "OMP_NUM_THREADS": str(threads),
        "MKL_NUM_THREADS": str(threads),
        "COURSE_PROFILE": item.profile,
        "PYTHONWARNINGS": "ignore",
    }
    log = item.folder / "log.txt"
    with log.open("w", encoding="utf-8") as errors:
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=errors, text=True, cwd=ROOT, env=environment
        )
        clock = threading.Timer(item.cell_seconds + GRACE, process.kill)
        clock.start()
        last, said = 0, None
        with process:
            for line in process.stdout:
                message = json.loads(line)
                if "error" in message:
                    said = message
                else:
                    last = message["cell"]
                    progress(last + 1, message["cells"])
        clock.cancel()
    if process.returncode == 0:
        return None
    if said is not None:
        return {"error": said["error"], "cell": said["at"] + 1, "lines": tuple(said["lines"])}
    lines = tuple(log.read_text(encoding="utf-8").splitlines()[-6:])
    return {
        "error": f"the run ended with code {process.returncode}",
        "cell": last + 1,
        "lines": lines,
    }


def _missing_result(item: Plan) -> dict | None:
    """A run counts only if it left a whole result that was made with the parameters asked for."""
    try:
        result = json.loads((item.folder / "results.json").read_text(encoding="utf-8"))
    except (OSError, json.JSONDecodeError):
        return {"error": "the notebook ran but left no results.json (is its result cell there?)"}
    used = result["parameters"]
    wrong = [name for name, value in item.parameters.items() if used.get(name) != value]
    if wrong:
        return {"error": f"results.json was made with another value of {wrong[0]}"}
    return None


def execute_with_bars(plans: list[Plan], jobs: int) -> list[Outcome]:
    """Run all plans with one progress bar each, on the error stream."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, TextColumn("cells"), TimeElapsedColumn(), console=console) as bars:
        tasks = {item.notebook.stem: None for item in plans}

        def progress(name: str, at: int, of: int) -> None:
            if tasks[name] is None:
                tasks[name] = bars.add_task(name, total=of)
            bars.update(tasks[name], completed=at)

        def done(outcome: Outcome) -> None:
            if not console.is_terminal:
                console.print(f"{outcome.name}: {outcome.status} in {outcome.seconds} s")

        return execute(plans, jobs, progress, done)


def keep(plans: list[Plan], outcomes: list[Outcome], date: str) -> list[Path]:
    """Add results worth keeping to ``notebooks/results``; per-case tables go beside them.

    One file a notebook, data set, device and day: ``<notebook>/<data>-<device>-<date>.json`` with
    a list of runs; a run with the same parameters is replaced. Paths of this machine stay out.
    """
    written = []
    for item, outcome in zip(plans, outcomes, strict=True):
        if outcome.status != "passed":
            continue
        result = json.loads((item.folder / "results.json").read_text(encoding="utf-8"))
        result["parameters"].pop("out_dir", None)
        data = result["parameters"].get("data", "none")
        folder = NOTEBOOKS / "results" / outcome.name
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
