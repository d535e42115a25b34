"""What the curriculum's sampler costs beside plain ones: milliseconds to draw an epoch.

An epoch of N cases is drawn by torch's ``RandomSampler`` (which a ``DataLoader`` with
``shuffle=True`` uses), by the course's plain sampler and by the curriculum in both modes, taking
turns; a ratio is the median of the rounds' own ratios to the plain sampler. CPU time of the
process, which other work disturbs less. Half of the pacing is over, so both pools are in use.

    OMP_NUM_THREADS=1 python -m benchmarks.sampler --json result.json
"""

import numpy as np
import pandas as pd
import torch

from benchmarks import common
from course_lib import training
from course_lib.curriculum import CurriculumSampler, Scores

EPOCHS = 10
CASES = (384, 10_000, 100_000)


def samplers(cases: int) -> dict[str, common.Task]:
    """Return a draw of one epoch of so many cases by every sampler."""
    scores = Scores(tuple(map(str, range(cases))), np.random.default_rng(0).random(cases), "given")
    options = {"num_samples": cases, "batch_size": 1, "pacing": "linear"}
    ways = {
        f"curriculum, {mode}": CurriculumSampler(
            scores, seed=0, epochs=EPOCHS, mode=mode, **options
        )
        for mode in ("subset", "mix")
    }
    ways["plain"] = training.UniformSampler(cases, seed=0)
    tasks = {name: lambda way=way: way.draw(EPOCHS // 2) for name, way in ways.items()}
    return tasks | {"torch": lambda: list(torch.utils.data.RandomSampler(range(cases)))}


def measure(sizes: list[int], rounds: int) -> dict:
    """Return CPU milliseconds an epoch of every sampler, by number of cases."""
    epochs = {}
    for cases in sizes:
        seconds = common.in_turns(samplers(cases), rounds)
        plain = seconds["plain"][:, 1]
        epochs[str(cases)] = {
            name: {
                "ms": round(1000 * float(np.median(times[:, 1])), 3),
                "ratio": round(float(np.median(times[:, 1] / plain)), 1),
            }
            for name, times in seconds.items()
        }
    return {"rounds": rounds, "epochs": epochs}


def table(result: dict) -> pd.DataFrame:
    """Return one row a number of cases and sampler."""
    rows = [
        {
            "cases": int(cases),
            "sampler": name,
            "ms an epoch": row["ms"],
            "microseconds a case": 1000 * row["ms"] / int(cases),
            "x plain": row["ratio"],
        }
        for cases, samplers in result["epochs"].items()
        for name, row in samplers.items()
    ]
    return pd.DataFrame(rows)


def main() -> None:
    """Measure and print."""
    parser = common.parser(__doc__)
    parser.add_argument("--cases", type=int, nargs="+", default=CASES)
    parser.add_argument("--rounds", type=int, default=25)
    given = common.parse(parser, cases=CASES[:2], rounds=9)
    result = measure(given.cases, given.rounds)
    common.report("sampler", result, table(result), given)


if __name__ == "__main__":
    main()
