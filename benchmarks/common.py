"""What all benchmarks do alike: their options, tasks that take turns, the table and the file."""

import argparse
import datetime
import time
from collections.abc import Callable, Iterable
from importlib import metadata
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from course_lib import records

CPU = torch.device("cpu")
Task = Callable[[], object]


def parser(doc: str) -> argparse.ArgumentParser:
    """Return a parser with the options of every benchmark."""
    made = argparse.ArgumentParser(description=doc.splitlines()[0])
    made.add_argument("--small", action="store_true", help="a size for a look, about a minute")
    made.add_argument("--json", type=Path, help="file for the numbers, with machine and versions")
    return made


def parse(made: argparse.ArgumentParser, **small) -> argparse.Namespace:
    """Read the options; with ``--small`` these sizes take the place of the defaults."""
    if made.parse_known_args()[0].small:
        made.set_defaults(**small)
    return made.parse_args()


def report(
    name: str,
    result: dict,
    table: pd.DataFrame,
    given: argparse.Namespace,
    packages: Iterable[str] = (),
) -> None:
    """Print the table; write the result with date, machine and versions where ``--json`` says.

    Args:
        name: of the benchmark, which ``python -m benchmarks.name`` runs.
        result: what was measured, fit for JSON.
        table: the same for a reader, one row a thing that is compared.
        given: the options.
        packages: distributions whose version matters beside those of every record.
    """
    print(table.to_string(index=False, float_format=lambda v: f"{v:,.3f}"))
    if not given.json:
        return
    about = {
        "command": f"python -m benchmarks.{name}",
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "small": given.small,
    }
    extra = {package: metadata.version(package) for package in packages}
    given.json.parent.mkdir(parents=True, exist_ok=True)
    records.write_json(given.json, about | result | extra | records.environment(CPU))


def now() -> np.ndarray:
    """Return [wall, CPU] seconds."""
    return np.array([time.perf_counter(), time.process_time()])


def in_turns(tasks: dict[str, Task], rounds: int) -> dict[str, np.ndarray]:
    """Return seconds (rounds, 2), wall and CPU, of tasks that take turns, after one unmeasured."""
    seconds: dict[str, list] = {name: [] for name in tasks}
    for number in range(rounds + 1):
        for name in np.roll(list(tasks), number):
            begun = now()
            tasks[name]()
            if number:
                seconds[name].append(now() - begun)
    return {name: np.array(times) for name, times in seconds.items()}


def summary(times: np.ndarray, reference: np.ndarray) -> dict:
    """Summarise the times of a task beside those of another in the same rounds."""
    wall, cpu = np.median(times, axis=0)
    ratio, cpu_ratio = np.median(times / reference, axis=0)
    return {
        "ms": round(1000 * float(wall), 2),
        "ratio": round(float(ratio), 3),
        "cpu_ms": round(1000 * float(cpu), 2),
        "cpu_ratio": round(float(cpu_ratio), 3),
        "ms_of_rounds": [round(1000 * float(t), 1) for t in times[:, 0]],
    }
