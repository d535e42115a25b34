"""What a curriculum costs: scoring the cases and maps of distance; and what its scores know.

Scoring by masked reconstruction and by rotation: seconds of pretext and passes beside those of a
full training of the same net on the same cases (seconds of one update, measured, times updates of
SiGREnet's protocol), and Spearman's correlation with the known difficulty of phantoms, over all
looks and inside each. What drawing an epoch costs is measured by ``benchmarks.sampler``.

    OMP_NUM_THREADS=1 python -m benchmarks.curriculum --json result.json
"""

import tempfile
import time

import numpy as np
import pandas as pd
import torch
from scipy.stats import spearmanr

from benchmarks import common
from course_lib import losses, models, training
from course_lib.curriculum import difficulty
from course_lib.data import phantoms, prepared
from course_lib.data.dataset import Dataset

CHANNELS, STEPS, BATCH, EPOCHS = (8, 16, 32), 2, 8, 200
PROTOCOL = training.Protocol(
    learning_rate=3e-3, schedule="cosine", batch=BATCH, clip=5.0, precision="float32"
)


def make_net(seed: int, **heads: bool) -> torch.nn.Module:
    """Return the small SiGREnet that is compared."""
    torch.manual_seed(seed)
    return models.create("sigrenet", channels=CHANNELS, steps=STEPS, **heads)


def seconds_of_an_update(data: Dataset) -> float:
    """Return the median seconds of an update of the segmentation, forward to optimiser's step."""
    ends = []

    def watch(forward, images, masks, loss_fn):
        yield loss_fn(forward(images), masks)
        ends.append(time.perf_counter())

    protocol = training.Protocol(batch=BATCH, epochs=1, precision="float32")
    with tempfile.TemporaryDirectory() as folder:
        training.fit(
            make_net(0), data, data.subset([0]), protocol, folder, device=common.CPU, strategy=watch
        )
    return float(np.median(np.diff(ends)))


def scoring(data: Dataset, epochs: int, seed: int) -> dict:
    """Measure both self-supervised scores."""
    update = seconds_of_an_update(data)
    full = EPOCHS * -(-len(data) // BATCH)
    truth = difficulty.truth(data)
    looks = data.cases["look"].to_numpy()
    result = {"seconds_of_an_update": round(update, 4), "updates_of_a_full_training": full}
    protocol = training.Protocol(**{**vars(PROTOCOL), "epochs": epochs, "seed": seed})
    ways = {"recon": {"recon_head": True}, "rotation": {"rotation_head": True}}
    for kind, heads in ways.items():
        with tempfile.TemporaryDirectory() as folder:
            score = getattr(difficulty, kind)
            try:
                scores = score(data, make_net(seed, **heads), protocol, folder, device=common.CPU)
            except ValueError as error:  # the turns cannot be told
                result[kind] = {"refused": str(error)}
                continue
        inside = {
            look: round(float(spearmanr(scores.values[at], truth.values[at]).statistic), 3)
            for look in sorted(set(looks))
            for at in [looks == look]
        }
        result[kind] = {
            "seconds": round(scores.seconds, 2),
            "share_of_a_full_training": round(scores.seconds / (full * update), 4),
            "cost_in_updates": round(scores.cost_in_updates, 1),
            "accuracy": None if np.isnan(scores.accuracy) else round(scores.accuracy, 3),
            "agreement_with_truth": round(difficulty.agreement(scores, truth), 3),
            "inside_looks": inside,
        }
    return result


def distances(size: int, rounds: int) -> dict:
    """Measure the maps of a batch of masks: computed, kept, and kept for flipped masks."""
    made = phantoms.generate(16, size=size, seed=0)
    masks = torch.from_numpy(made.masks).long()
    kept = losses.DistanceMaps()
    tasks = {
        "computed": lambda: losses.distance_map(masks),
        "kept": lambda: kept(masks),
        "kept_and_flipped": lambda: kept(masks.flip(-1)),
    }
    seconds = common.in_turns(tasks, rounds)
    per_mask = {
        name: round(1000 * float(np.median(times[:, 0])) / len(masks), 3)
        for name, times in seconds.items()
    }
    return {"size": size, "milliseconds_a_mask": per_mask}


def table(result: dict) -> pd.DataFrame:
    """Return one row a measured number; of a score that was refused there is none."""
    rows = []
    for score in ("recon", "rotation"):
        found = result["scoring"][score]
        if "refused" not in found:
            share = 100 * found["share_of_a_full_training"]
            rows.append((f"scoring by {score}", share, "% of a full training"))
            agreement = found["agreement_with_truth"]
            rows.append(
                (f"scoring by {score}", agreement, "rank correlation with known difficulty")
            )
    for found in result["distances"]:
        for way, value in found["milliseconds_a_mask"].items():
            words = way.replace("_", " ")
            rows.append((f"distance map, {found['size']} px, {words}", value, "ms a mask"))
    return pd.DataFrame(rows, columns=["what", "value", "unit"])


def main() -> None:
    """Measure and print."""
    parser = common.parser(__doc__)
    parser.add_argument("--cases", type=int, default=384, help="phantoms of 64 px that are scored")
    parser.add_argument("--epochs", type=int, default=5, help="of the pretext")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--rounds", type=int, default=7, help="of the maps of distance")
    given = common.parse(parser, cases=64, epochs=1, rounds=2)
    made = phantoms.generate(given.cases, size=64, seed=given.seed)
    data = prepared.from_arrays("phantoms", made.images, made.masks, made.cases, made.classes)
    result = {
        "cases": given.cases,
        "pretext_epochs": given.epochs,
        "scoring": scoring(data, given.epochs, given.seed),
        "distances": [distances(size, given.rounds) for size in (64, 256)],
    }
    common.report("curriculum", result, table(result), given)


if __name__ == "__main__":
    main()
