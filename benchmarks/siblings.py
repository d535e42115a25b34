"""How much does it flatter a net when tiles of its test images' fields are in training?

One split is two trainings of the same net, judged on the same test images. From each of some
fields two tiles are tested; two other tiles of the same fields are in training ("in") or are
replaced by two tiles of as many other fields of the same kind ("out"). The number of training
images, the number of fields in training, the initial weights and the updates are equal.

    course data prepare nuclei --from stage1_train.zip --size 64
    OMP_NUM_THREADS=1 python -m benchmarks.siblings --data data/nuclei-64 --json result.json

``--net`` takes another net for both trainings; PL-Net learns as in its paper, stage 1 first.
"""

import argparse
import time

import numpy as np
import pandas as pd
import torch

from benchmarks import common
from course_lib import metrics, models, training
from course_lib.data import prepared
from course_lib.losses import dice_ce_loss
from course_lib.training.update import Forward

TILES = 2  # tiles of a field that are tested, and as many that are siblings
# nets that take a base: what the file calls them, their options, updates made of every batch
NETS = {
    "unet": ("U-Net, batch normalisation", {"norm": True}, training.one_step),
    "attention_unet": ("Attention U-Net", {}, training.one_step),
    "reunet": ("REUnet", {}, training.one_step),
    "bionet": ("BiO-Net", {}, training.one_step),
    "plnet": ("PL-Net, external progressive learning", {}, training.EPL["on"]),
}


def draw(cases: pd.DataFrame, fields: int, rng: np.random.Generator) -> dict[str, list[int]]:
    """Draw one split: row numbers of the parts test, siblings, strangers, common.

    A field is a group with at least ``2 * TILES`` tiles. Strangers take, field by field, the
    place of the siblings: each from a field of the same family (kind and size) as the one tested.
    """
    big = cases.groupby("group").filter(lambda one: len(one) >= 2 * TILES)
    tiles = {name: rng.permutation(rows) for name, rows in big.groupby("group").groups.items()}
    if len(tiles) < 3 * fields:
        raise ValueError(
            f"{len(tiles)} fields have enough tiles: ask for {len(tiles) // 3} at most"
        )
    family = big.groupby("group").family.first()
    free = list(rng.permutation(sorted(tiles)))
    parts = {"test": [], "siblings": [], "strangers": [], "common": []}
    alone = []  # fields of a family that has no other field left
    while len(parts["test"]) < TILES * fields:
        tested = free.pop(0)
        other = next((name for name in free if family[name] == family[tested]), None)
        if other is None:
            alone.append(tested)
            continue
        free.remove(other)
        parts["test"] += list(tiles[tested][:TILES])
        parts["siblings"] += list(tiles[tested][TILES : 2 * TILES])
        parts["strangers"] += list(tiles[other][:TILES])
    for name in (alone + free)[:fields]:
        parts["common"] += list(tiles[name][:TILES])
    return parts


def train(data, rows: list[int], args: argparse.Namespace, seed: int) -> torch.nn.Module:
    """Batches drawn from ``rows``, flips, AdamW with a one-cycle rate; the last weights."""
    torch.manual_seed(seed)
    order = torch.Generator().manual_seed(seed)
    images, masks = data.batch(rows)
    _, options, strategy = NETS[args.net]
    net = models.create(args.net, in_channels=3, num_classes=1, base=args.base, **options)
    forward = Forward(net, None, 2)
    optimiser = torch.optim.AdamW(net.parameters(), lr=args.rate)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, args.rate, total_steps=args.updates)
    net.train()
    for _ in range(args.updates):
        now = torch.randperm(len(rows), generator=order)[: args.batch]
        x, y = images[now], masks[now]
        for axis in (-1, -2):
            if torch.rand((), generator=order) < 0.5:
                x, y = x.flip(axis), y.flip(axis)
        for loss in strategy(forward, x, y, dice_ce_loss):
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        schedule.step()
    return net.eval()


def one_split(data, args: argparse.Namespace, seed: int) -> dict:
    """Train both arms of one split and score them on its test images."""
    parts = draw(data.cases, args.fields, np.random.default_rng(seed))
    test = data.subset(parts["test"])
    dice = {}
    for arm, rest in (("in", "siblings"), ("out", "strangers")):
        net = train(data, parts[rest] + parts["common"], args, seed)
        table = training.evaluate(net, test, device="cpu")
        dice[arm] = metrics.fill_empty(table).dice.to_numpy()
    stained = test.cases.family.str.startswith("colour").to_numpy()
    row = {"seed": seed, "n_test": len(test), "n_fields": int(test.cases.group.nunique())}
    row["n_train"] = len(parts["siblings"] + parts["common"])
    row |= {f"dice_{arm}": round(float(values.mean()), 4) for arm, values in dice.items()}
    difference = dice["in"] - dice["out"]
    row["difference"] = round(float(difference.mean()), 4)
    row["n_stained"] = int(stained.sum())
    for name, chosen in (("stained", stained), ("gray", ~stained)):
        if chosen.any():
            row[f"difference_{name}"] = round(float(difference[chosen].mean()), 4)
    return row


def summary(rows: list[dict]) -> dict:
    """Means over the splits; the paired difference with Student's t interval."""
    table = pd.DataFrame(rows)
    low, high = metrics.t_interval(table.difference)
    found = {f"dice_{arm}": round(float(table[f"dice_{arm}"].mean()), 4) for arm in ("in", "out")}
    found["difference"] = round(float(table.difference.mean()), 4)
    return found | {"interval": [round(low, 4), round(high, 4)], "n_splits": len(table)}


def measure(args: argparse.Namespace) -> dict:
    """Run all splits."""
    start = time.process_time()
    data = prepared.open(args.data).resized(args.size)
    seeds = range(args.first_seed, args.first_seed + args.splits)
    rows = [one_split(data, args, seed) for seed in seeds]
    asked = ("size", "base", "updates", "batch", "rate", "fields", "splits")
    return {
        "question": "Does Dice rise when other tiles of the test images' fields are in training?",
        "data": {"name": data.name, "digest": data.digest, "cases": len(data)},
        "settings": {name: getattr(args, name) for name in asked}
        | {
            "net": NETS[args.net][0],
            "loss": "Dice + CE",
            "optimiser": "AdamW, one-cycle",
            "augmentation": "flips",
            "tiles_tested_a_field": TILES,
            "weights": "of the last update, no validation",
        },
        "measure": "Dice per image at the original size, threshold 0.5, mean over test images",
        "interval": "95 %, Student's t over splits of the paired difference in - out; the splits "
        "draw from the same images, so they are not fully independent",
        "splits": rows,
        "summary": summary(rows),
        "cpu_seconds": round(time.process_time() - start),
    }


def table(result: dict) -> pd.DataFrame:
    """Return one row a split."""
    columns = ["seed", "n_train", "n_test", "dice_in", "dice_out", "difference"]
    return pd.DataFrame(result["splits"])[columns]


def main() -> None:
    """Measure and print."""
    parser = common.parser(__doc__)
    parser.add_argument("--data", default="nuclei", help="prepared set with groups, or its folder")
    parser.add_argument("--net", choices=NETS, default="unet", help="the net of both arms")
    parser.add_argument("--size", type=int, default=64, help="side in pixels")
    parser.add_argument("--base", type=int, default=8, help="channels of the first level")
    parser.add_argument("--updates", type=int, default=400, help="batches of each net")
    parser.add_argument("--batch", type=int, default=8, help="images a step")
    parser.add_argument("--rate", type=float, default=5e-3, help="highest learning rate")
    parser.add_argument("--fields", type=int, default=24, help="fields tested in a split")
    parser.add_argument("--splits", type=int, default=5, help="splits, each with its own seed")
    parser.add_argument("--first-seed", type=int, default=0, help="seeds follow from this one")
    given = common.parse(parser, size=32, base=4, updates=20, fields=4, splits=2)
    result = measure(given)
    common.report("siblings", result, table(result), given)


if __name__ == "__main__":
    main()
