"""What a curriculum costs: scoring, drawing an epoch, distance maps; and what its scores know.

Scoring by masked reconstruction and by rotation: seconds of pretext and passes beside those of a
full training of the same net on the same cases (seconds of one update, measured, times updates of
SiGREnet's protocol), and Spearman's correlation with the known difficulty of phantoms, over all
looks and inside each.

    OMP_NUM_THREADS=1 python benchmarks/curriculum.py --out result.json
"""

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from scipy.stats import spearmanr

from course_lib import losses, models, records, training
from course_lib.curriculum import CurriculumSampler, Scores, difficulty
from course_lib.data import phantoms, prepared
from course_lib.data.dataset import Dataset

CPU = torch.device("cpu")
CHANNELS, STEPS, BATCH, EPOCHS = (8, 16, 32), 2, 8, 200
PROTOCOL = training.Protocol(
    learning_rate=3e-3, schedule="cosine", batch=BATCH, clip=5.0, precision="float32"
)


def make_net(seed: int, **heads: bool) -> torch.nn.Module:
    """Return the small SiGREnet that is compared."""
    torch.manual_seed(seed)
    return models.create("sigrenet", channels=CHANNELS, steps=STEPS, **heads)


def median_seconds(call: Callable, times: int) -> float:
    """Return the median seconds of a call."""
    seconds = []
    for _ in range(times):
        started = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - started)
    return float(np.median(seconds))


def seconds_of_an_update(data: Dataset) -> float:
    """Return the median seconds of an update of the segmentation, forward to optimiser's step."""
    ends = []

    def watch(forward, images, masks, loss_fn):
        yield loss_fn(forward(images), masks)
        ends.append(time.perf_counter())

    protocol = training.Protocol(batch=BATCH, epochs=1, precision="float32")
    with tempfile.TemporaryDirectory() as folder:
        training.fit(
            make_net(0), data, data.subset([0]), protocol, folder, device=CPU, strategy=watch
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
                scores = score(data, make_net(seed, **heads), protocol, folder, device=CPU)
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


def drawing(cases: int) -> dict:
    """Measure an epoch's draw beside a plain permutation."""
    scores = Scores(tuple(map(str, range(cases))), np.random.default_rng(0).random(cases), "given")
    options = {"seed": 0, "epochs": 10, "num_samples": cases, "batch_size": 1, "pacing": "linear"}
    ways = {
        mode: CurriculumSampler(scores, mode=mode, **options).draw for mode in ("subset", "mix")
    }
    ways["uniform"] = training.UniformSampler(cases, seed=0).draw
    milliseconds = {
        name: round(1000 * median_seconds(lambda draw=draw: draw(3), 15), 2)
        for name, draw in ways.items()
    }
    return {"cases": cases, "milliseconds": milliseconds}


def distances(size: int) -> dict:
    """Measure the maps of a batch of masks: computed, kept, and kept for flipped masks."""
    made = phantoms.generate(16, size=size, seed=0)
    masks = torch.from_numpy(made.masks).long()
    kept = losses.DistanceMaps()
    kept(masks)
    ways = {
        "computed": lambda: losses.distance_map(masks),
        "kept": lambda: kept(masks),
        "kept_and_flipped": lambda: kept(masks.flip(-1)),
    }
    per_mask = {
        k: round(1000 * median_seconds(call, 7) / len(masks), 3) for k, call in ways.items()
    }
    return {"size": size, "milliseconds_a_mask": per_mask}


def main() -> None:
    """Measure and print; with --out also write the result with machine and versions."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", type=int, default=384, help="phantoms of 64 px that are scored")
    parser.add_argument("--epochs", type=int, default=5, help="of the pretext")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    made = phantoms.generate(given.cases, size=64, seed=given.seed)
    data = prepared.from_arrays("phantoms", made.images, made.masks, made.cases, made.classes)
    result = {
        "cases": given.cases,
        "pretext_epochs": given.epochs,
        "scoring": scoring(data, given.epochs, given.seed),
        "drawing": [drawing(cases) for cases in (384, 100_000)],
        "distances": [distances(size) for size in (64, 256)],
    }
    print(json.dumps(result, indent=1))
    if given.out:
        about = {"command": "benchmarks/curriculum.py", **result, **records.environment(CPU)}
        given.out.parent.mkdir(parents=True, exist_ok=True)
        records.write_json(given.out, about)


if __name__ == "__main__":
    main()
