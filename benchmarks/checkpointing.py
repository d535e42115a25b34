"""What recomputing activations saves of memory in REUnet's training step, and costs in time.

OMP_NUM_THREADS=1 python -m benchmarks.checkpointing --json checkpointing.json
"""

import pandas as pd
import torch

from benchmarks import common
from benchmarks.candidate import Candidate
from course_lib import models
from course_lib.models.reunet import REUnet


def measure(base: int, size: int, batch: int, rounds: int) -> dict:
    """Return memory and time of REUnet's training step with and without recomputation."""
    about = {"net": "REUnet, described wiring", "base": base, "size": size, "batch": batch}
    about |= {"rounds": rounds, "readings": {}}
    for reading in ("paper", "code"):
        found = {}
        for name, checkpoint in (("kept", False), ("recomputed", True)):
            net = REUnet(reading=reading, base=base, checkpoint=checkpoint)
            found[name] = Candidate(net, size, batch)
        tasks = {name: candidate.step for name, candidate in found.items()}
        seconds = common.in_turns(tasks, rounds)
        about["readings"][reading] = {
            name: {
                **candidate.memory(),
                "gradients_mb": round(4e-6 * models.measure.count_parameters(candidate.net), 1),
                "step": common.summary(seconds[name], seconds["kept"]),
            }
            for name, candidate in found.items()
        }
    return about


def table(result: dict) -> pd.DataFrame:
    """Return one row a reading and way of keeping activations."""
    rows = [
        {
            "reading": reading,
            "activations": name,
            **{key: value for key, value in row.items() if key.endswith("_mb")},
            **row["step"],
        }
        for reading, part in result["readings"].items()
        for name, row in part.items()
    ]
    return pd.DataFrame(rows).drop(columns="ms_of_rounds")


def main() -> None:
    """Measure and print."""
    parser = common.parser(__doc__)
    parser.add_argument("--base", type=int, default=32)
    parser.add_argument("--size", type=int, default=256, help="px")
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=3)
    given = common.parse(parser, base=4, size=64, rounds=2)
    torch.manual_seed(0)
    result = measure(given.base, given.size, given.batch, given.rounds)
    common.report("checkpointing", result, table(result), given)


if __name__ == "__main__":
    main()
