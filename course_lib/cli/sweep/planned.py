"""The plan of a sweep: every run with its key, and what those to be made will cost."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from course_lib.cli import parameters
from course_lib.cli.readme import budgets
from course_lib.cli.sweep import fingerprint
from course_lib.cli.sweep.design import Sweep
from course_lib.records import choose_device

# A sweep may train longer than a lesson does; what hangs must still end.
CELL_SECONDS = {"smoke": 300, "fast": 2 * 3600, "full": 24 * 3600}


@dataclass(frozen=True)
class Run:
    """One run of the notebook: a setting with a seed."""

    key: str
    setting: dict[str, Any]
    seed: int
    parameters: dict[str, Any]
    code: str


@dataclass(frozen=True)
class Order:
    """What a worker needs to make one run; plain values, so that it travels."""

    key: str
    notebook: str
    code: str
    parameters: dict[str, Any]
    folder: str
    threads: int
    cell_seconds: int
    topic: str


def runs(sweep: Sweep) -> list[Run]:
    """Return all runs, seed by seed, so that every setting soon has a first result.

    Raises:
        ValueError: for a data set or a device that is not there.
    """
    code, known = fingerprint.code(sweep.notebook), parameters.read(sweep.notebook)
    digests: dict[str, str] = {}
    found = []
    for seed in sweep.seeds:
        for setting in sweep.settings:
            values = {**sweep.fixed, **setting, "seed": seed, "profile": sweep.profile}
            data = values.get("data", known["data"].default if "data" in known else "")
            if data not in digests:
                digests[data] = _digest(data)
            key = fingerprint.key(code, digests[data], values)
            found.append(Run(key, setting, seed, values, code))
    for device in {run.parameters["device"] for run in found if "device" in run.parameters}:
        choose_device(device)
    return found


def _digest(data: str) -> str:
    if not data:
        return ""
    from course_lib.data import prepared

    return prepared.open(data, verify="hash").digest


def order(sweep: Sweep, run: Run, folder: Path, topic: str) -> Order:
    """Return what a worker needs for one run."""
    return Order(
        key=run.key,
        notebook=str(sweep.notebook),
        code=run.code,
        parameters=run.parameters,
        folder=str(folder),
        threads=sweep.threads,
        cell_seconds=CELL_SECONDS[sweep.profile],
        topic=topic,
    )


def seconds_of_a_run(sweep: Sweep) -> float | None:
    """Return the seconds that ``budgets.toml`` allows one run, None where it does not say."""
    return _budget(sweep).get("seconds")


def describe(sweep: Sweep, total: int, done: int, failed: int, jobs: int | None) -> list[str]:
    """Return the plan in a few lines, with its expected cost; ``jobs`` None: not ours to know."""
    left = total - done - failed
    lines = [
        f"Sweep {sweep.name} ({sweep.profile}): {sweep.question}",
        f"notebook  {sweep.notebook.stem}, compared by {sweep.record}",
    ]
    for name, values in sweep.axes.items():
        lines.append(f"varies    {name}: {', '.join(map(str, values))}")
    if sweep.fixed:
        lines.append(f"fixed     {', '.join(f'{n} = {v}' for n, v in sweep.fixed.items())}")
    lines.append(f"seeds     {', '.join(map(str, sweep.seeds))}")
    lines.append(
        f"runs      {total}: {len(sweep.settings)} settings x {len(sweep.seeds)} seeds; "
        f"{done} done, {failed} failed before, {left} to make"
    )
    lines.append(f"cost      {_cost(sweep, left, jobs)}")
    return lines


def _cost(sweep: Sweep, left: int, jobs: int | None) -> str:
    if not left:
        return "nothing is left to make"
    workers = f"{jobs or 1} worker{'s' if (jobs or 1) > 1 else ''}"
    cost = _budget(sweep)
    if not cost:
        return f"not known for the profile {sweep.profile}, on {workers}"
    seconds = left * cost["seconds"] / (jobs or 1)
    time = f"{seconds / 60:.0f} min" if seconds > 90 else f"{seconds:.0f} s"
    return (
        f"about {time} on {workers}, by the budget of {cost['seconds']:.0f} s "
        f"and {cost['peak_mb']:.0f} MB a run"
    )


def _budget(sweep: Sweep) -> dict:
    return budgets().get(sweep.notebook.stem, {}).get(sweep.profile, {})
