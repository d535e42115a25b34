"""What a second worker brings to a sweep, and what the sweep adds to a run.

Equal runs of one thread each (notebook 03 in the profile smoke, by default with a net of base 32,
so that most of a run is training, as in real sweeps; one a seed) are made by the command
`course sweep` with one worker and with two, each time in a fresh folder, in turns. Reported: the
ratio of the commands' times, from start to end; and what a run takes beyond the notebook itself,
which papermill executes in a process of its own: start of the command and its workers, digests,
page, files, table and report, divided by the number of runs.

    python -m benchmarks.sweep --json result.json
"""

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks import common

SWEEP = """title = "Equal runs"
question = "How long does it take?"
notebook = "03"
record = "dice_mean"
fixed = {{ base = {base} }}
seeds = {seeds}
"""


def one_sweep(folder: Path, runs: int, base: int, jobs: int) -> dict:
    """Make all runs with so many workers; returns seconds of the command and of each notebook."""
    file, out = folder / "equal.toml", folder / "out"
    file.write_text(SWEEP.format(base=base, seeds=list(range(runs))), encoding="utf-8")
    command = [sys.executable, "-m", "course_lib.cli", "sweep", str(file), "--profile", "smoke"]
    command += ["--jobs", str(jobs), "--out", str(out)]
    begun = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    wall = time.perf_counter() - begun
    outcomes = [
        json.loads(path.read_text(encoding="utf-8")) for path in out.glob("runs/*/outcome.json")
    ]
    if len(outcomes) != runs:
        raise RuntimeError(f"{len(outcomes)} of {runs} runs were made")
    return {"jobs": jobs, "wall": wall, "notebooks": [outcome["seconds"] for outcome in outcomes]}


def measure(runs: int, base: int, rounds: int) -> dict:
    """Return the times of all sweeps and what follows from them."""
    sweeps = []
    for number in range(rounds):
        for jobs in (1, 2) if number % 2 == 0 else (2, 1):
            with tempfile.TemporaryDirectory() as folder:
                sweeps.append(one_sweep(Path(folder), runs, base, jobs))
    walls = {jobs: np.median([s["wall"] for s in sweeps if s["jobs"] == jobs]) for jobs in (1, 2)}
    added = [(s["wall"] - sum(s["notebooks"])) / runs for s in sweeps if s["jobs"] == 1]
    return {
        "runs": runs,
        "base": base,
        "rounds": rounds,
        "speed_up": round(float(walls[1] / walls[2]), 3),
        "seconds_of_all_sweeps": [[s["jobs"], round(s["wall"], 1)] for s in sweeps],
        "seconds_one_worker": round(float(walls[1]), 1),
        "seconds_two_workers": round(float(walls[2]), 1),
        "seconds_added_to_a_run": round(float(np.median(added)), 2),
        "seconds_of_a_notebook": {
            str(j): round(float(np.median([s["notebooks"] for s in sweeps if s["jobs"] == j])), 2)
            for j in (1, 2)
        },
    }


def table(result: dict) -> pd.DataFrame:
    """Return one row a number of workers."""
    rows = [
        {
            "workers": jobs,
            "seconds of the command": result[f"seconds_{word}"],
            "seconds of a notebook": result["seconds_of_a_notebook"][jobs],
            "speed-up": result["speed_up"] if jobs == "2" else 1.0,
        }
        for jobs, word in (("1", "one_worker"), ("2", "two_workers"))
    ]
    return pd.DataFrame(rows)


def main() -> None:
    """Measure and print."""
    parser = common.parser(__doc__)
    parser.add_argument("--runs", type=int, default=8)
    parser.add_argument("--base", type=int, default=32, help="of notebook 03's net")
    parser.add_argument("--rounds", type=int, default=1)
    given = common.parse(parser, runs=2, base=8)
    result = measure(given.runs, given.base, given.rounds)
    common.report("sweep", result, table(result), given)


if __name__ == "__main__":
    main()
