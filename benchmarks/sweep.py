"""What a second worker brings to a sweep, and what the sweep adds to a run.

Equal runs of one thread each (notebook 03 in the profile smoke with a net of base 32, so that most
of a run is training, as in real sweeps; one a seed) are made by the command
`course sweep` with one worker and with two, each time in a fresh folder, in turns. Reported: the
ratio of the commands' times, from start to end; and what a run takes beyond the notebook itself,
which papermill executes in a process of its own: start of the command and its workers, digests,
page, files, table and report, divided by the number of runs.

    python benchmarks/sweep.py --out result.json
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from course_lib import records

SWEEP = """title = "Equal runs"
question = "How long does it take?"
notebook = "03"
record = "dice_mean"
fixed = {{ base = 32 }}
seeds = {seeds}
"""


def one_sweep(folder: Path, runs: int, jobs: int) -> dict:
    """Make all runs with so many workers; returns seconds of the command and of each notebook."""
    file, out = folder / "equal.toml", folder / "out"
    file.write_text(SWEEP.format(seeds=list(range(runs))), encoding="utf-8")
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


def measure(runs: int, rounds: int) -> dict:
    """Return the times of all sweeps and what follows from them."""
    sweeps = []
    for number in range(rounds):
        for jobs in (1, 2) if number % 2 == 0 else (2, 1):
            with tempfile.TemporaryDirectory() as folder:
                sweeps.append(one_sweep(Path(folder), runs, jobs))
    walls = {jobs: np.median([s["wall"] for s in sweeps if s["jobs"] == jobs]) for jobs in (1, 2)}
    added = [(s["wall"] - sum(s["notebooks"])) / runs for s in sweeps if s["jobs"] == 1]
    return {
        "runs": runs,
        "rounds": rounds,
        "speed_up": round(float(walls[1] / walls[2]), 3),
        "seconds_of_all_sweeps": [[s["jobs"], round(s["wall"], 1)] for s in sweeps],
        "seconds_one_worker": round(float(walls[1]), 1),
        "seconds_two_workers": round(float(walls[2]), 1),
        "seconds_added_to_a_run": round(float(np.median(added)), 2),
        "seconds_of_a_notebook": {
            jobs: round(float(np.median([s["notebooks"] for s in sweeps if s["jobs"] == jobs])), 2)
            for jobs in (1, 2)
        },
    }


def main() -> None:
    """Measure and print; with --out also write the result with machine and versions."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    result = measure(given.runs, given.rounds)
    print(json.dumps(result, indent=1))
    if given.out:
        about = {"command": "benchmarks/sweep.py", **result}
        given.out.parent.mkdir(parents=True, exist_ok=True)
        records.write_json(given.out, about | records.environment(torch.device("cpu")))


if __name__ == "__main__":
    main()
