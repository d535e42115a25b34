"""Runs notebooks headless: one process a notebook, one outcome each, a failure ends its own run."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass

from course_lib.cli.plan import SAFE, Plan
from course_lib.records import ROOT, write_json

GRACE = 600  # seconds that a run may take in all beyond the time of one cell
_running: set[subprocess.Popen] = set()


@dataclass(frozen=True)
class Outcome:
    """How a run ended: status is ``passed`` or ``failed``; cell counts from 1."""

    name: str
    status: str
    seconds: float
    error: str = ""
    cell: int | None = None
    lines: tuple[str, ...] = ()

    def where(self) -> str:
        """Return ``name, cell k``, or the name alone where no cell is to blame."""
        return self.name if self.cell is None else f"{self.name}, cell {self.cell}"


def execute(
    plans: list[Plan],
    jobs: int,
    progress: Callable[[str, int, int], None],
    done: Callable[[Outcome], None],
) -> list[Outcome]:
    """Run all plans, ``jobs`` at a time; a failure ends its own run only.

    Args:
        plans: from :func:`course_lib.cli.plan.plan`.
        jobs: how many notebooks run at once; they share the cores.
        progress: called with (name, cells begun, cells in all).
        done: called with each outcome as it comes.
    """
    threads = max(1, cores() // jobs)

    def one(item: Plan) -> Outcome:
        outcome = execute_one(item, threads, progress)
        done(outcome)
        return outcome

    with ThreadPoolExecutor(jobs) as pool:
        try:
            return list(pool.map(one, plans))
        except KeyboardInterrupt:
            pool.shutdown(wait=False, cancel_futures=True)
            for process in list(_running):
                process.kill()
            raise


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


def cores() -> int:
    """Cores that this process may use, where the system tells; else all."""
    allowed = getattr(os, "sched_getaffinity", None)
    return len(allowed(0)) if allowed else os.cpu_count() or 1


def execute_one(item: Plan, threads: int, progress: Callable[[str, int, int], None]) -> Outcome:
    """Run one notebook in its folder, which is emptied first; returns how it ended.

    Raises:
        InterruptedError: Ctrl-C ended the run, so it has not failed.
    """
    name = item.notebook.stem
    shutil.rmtree(item.folder, ignore_errors=True)
    item.folder.mkdir(parents=True, exist_ok=True)
    write_json(item.folder / SAFE, item.parameters)
    begun = time.perf_counter()
    error = _run_process(item, threads, lambda at, of: progress(name, at, of))
    seconds = round(time.perf_counter() - begun, 1)
    if error is None:
        error = _missing_result(item)
    outcome = Outcome(name, "passed" if error is None else "failed", seconds, **(error or {}))
    write_json(item.folder / "outcome.json", asdict(outcome))
    return outcome


def _run_process(item: Plan, threads: int, progress: Callable[[int, int], None]) -> dict | None:
    """Run one notebook; returns None, or what went wrong."""
    command = [sys.executable, "-m", "course_lib.cli.execute", str(item.notebook)]
    command += [str(item.folder / f"{item.notebook.stem}.ipynb")]
    command += [str(item.folder / SAFE), str(item.cell_seconds)]
    environment = os.environ | {
        "OMP_NUM_THREADS": str(threads),
        "MKL_NUM_THREADS": str(threads),
        "COURSE_PROFILE": item.profile,
        "PYTHONWARNINGS": "ignore",
        "PYTHONUTF8": "1",
    }
    # set by dask in its workers: freed memory would go back to the system at once, and every batch
    # of a training would fetch it anew (13 s become 23 s)
    environment.pop("MALLOC_TRIM_THRESHOLD_", None)
    log = item.folder / "log.txt"
    with log.open("wb") as errors:
        # stdin: the run ends itself when this process is gone. Of its own session: Ctrl-C reaches
        # this process alone, so an interrupted run does not look like a failed one.
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            cwd=ROOT,
            env=environment,
            start_new_session=True,
        )
        clock = threading.Timer(item.cell_seconds + GRACE, process.kill)
        clock.daemon = True
        clock.start()
        _running.add(process)
        try:
            last, said = _listen(process, progress)
        finally:
            clock.cancel()
            _running.discard(process)
    if process.returncode == 0:
        return None
    if process.returncode == -signal.SIGINT:  # before the new process had left our session
        raise InterruptedError("stopped by Ctrl-C")
    if said is not None:
        return {"error": said["error"], "cell": said["at"] + 1, "lines": tuple(said["lines"])}
    text = log.read_text(encoding="utf-8", errors="replace")
    error = f"the run ended with code {process.returncode}"
    return {"error": error, "cell": last + 1, "lines": tuple(text.splitlines()[-6:])}


def _listen(
    process: subprocess.Popen, progress: Callable[[int, int], None]
) -> tuple[int, dict | None]:
    """Follow the messages of a run; returns the last cell begun and the error that was said."""
    last, said = 0, None
    with process:
        for line in process.stdout:
            message = json.loads(line)
            if "error" in message:
                said = message
            else:
                last = message["cell"]
                progress(last + 1, message["cells"])
    return last, said


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
