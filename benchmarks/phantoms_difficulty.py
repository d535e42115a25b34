"""Does the known difficulty of the phantoms bite? Train small U-Nets, score them by difficulty.

Two views: the test cases in thirds of difficulty (overall and inside each look), and pairs, the
same cases with one factor at 0, 0.5 and 1 while the other four stay at 0.5.

    OMP_NUM_THREADS=1 python -m benchmarks.phantoms_difficulty --json result.json
"""

import argparse
import time

import numpy as np
import pandas as pd
import torch

from benchmarks import common
from course_lib import metrics, models
from course_lib.data import phantoms
from course_lib.data.phantoms import FACTORS
from course_lib.losses import dice_ce_loss

LEVELS = (0.0, 0.5, 1.0)


def tensors(made: phantoms.Phantoms) -> tuple[torch.Tensor, torch.Tensor]:
    """Images float32 0..1 (N, C, H, W) and labels int64 (N, H, W)."""
    images = (torch.from_numpy(made.images) / 255.0).to(memory_format=torch.channels_last)
    return images, torch.from_numpy(made.masks).long()


def train(made: phantoms.Phantoms, updates: int, base: int, seed: int) -> torch.nn.Module:
    """Batches of 16, left-right flips, AdamW with a one-cycle rate up to 3e-3."""
    torch.manual_seed(seed)
    draw = torch.Generator().manual_seed(seed)
    images, masks = tensors(made)
    net = models.create("unet", in_channels=images.shape[1], num_classes=1, base=base, norm=True)
    net = net.to(memory_format=torch.channels_last)  # a fifth faster on CPU
    optimiser = torch.optim.AdamW(net.parameters(), lr=3e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 3e-3, total_steps=updates)
    net.train()
    order = torch.empty(0, dtype=torch.long)
    for _ in range(updates):
        if len(order) < 16:
            order = torch.randperm(len(images), generator=draw)
        now, order = order[:16], order[16:]
        x, y = images[now], masks[now]
        if torch.rand((), generator=draw) < 0.5:
            x, y = x.flip(-1), y.flip(-1)
        optimiser.zero_grad()
        dice_ce_loss(net(x), y).backward()
        optimiser.step()
        schedule.step()
    return net.eval()


@torch.inference_mode()
def score(net: torch.nn.Module, made: phantoms.Phantoms) -> np.ndarray:
    """Dice of every case at a threshold of 0.5, float (N,)."""
    images, masks = tensors(made)
    logits = torch.cat([net(part) for part in images.split(64)])[:, 0]
    pairs = zip(logits.numpy() > 0, masks.numpy() > 0, strict=True)
    return np.array([metrics.dice(pred, target) for pred, target in pairs])


def thirds(dice: pd.Series, by: pd.Series) -> list[float]:
    """Mean Dice of the easy, the middle and the hard third."""
    third = pd.qcut(by, 3, labels=False)
    return [round(float(dice[third == t].mean()), 4) for t in range(3)]


def by_thirds(table: pd.DataFrame) -> dict:
    """Thirds of difficulty over all cases and inside each look; thirds of each factor."""
    looks = table.groupby("look")
    return {
        "mean": round(float(table.dice.mean()), 4),
        "median": round(float(table.dice.median()), 4),
        "thirds_of_difficulty": thirds(table.dice, table.difficulty),
        "thirds_by_look": {k: thirds(v.dice, v.difficulty) for k, v in looks},
        "mean_by_look": {k: round(float(v.dice.mean()), 4) for k, v in looks},
        "thirds_by_factor": {k: thirds(table.dice, table[k]) for k in FACTORS},
    }


def paired(nets: list[torch.nn.Module], n: int, options: dict) -> tuple[dict, dict]:
    """Mean Dice of the same cases with one factor at each level: over all looks, and by look."""
    middle = dict.fromkeys(FACTORS, 0.5)
    everything, looks = {}, {}
    for factor in FACTORS:
        tables = []
        for level in LEVELS:
            made = phantoms.generate(n, **options, **{**middle, factor: level})
            dice = np.mean([score(net, made) for net in nets], 0)
            tables.append(made.cases.assign(dice=dice))
        everything[factor] = [round(float(t.dice.mean()), 4) for t in tables]
        for look in sorted(tables[0].look.unique()):
            means = [round(float(t.dice[t.look == look].mean()), 4) for t in tables]
            looks.setdefault(look, {})[factor] = means
    return everything, looks


def measure(args: argparse.Namespace) -> dict:
    """Train one net a seed and score all of them."""
    start = time.perf_counter()
    first = args.first_seed
    seeds = {"train": [first + k for k in range(args.nets)], "test": first + 100}
    seeds["pairs"] = first + 200
    options = {"size": args.size, "look": args.look}
    nets = [
        train(phantoms.generate(args.train, seed=s, **options), args.updates, args.base, s)
        for s in seeds["train"]
    ]
    test = phantoms.generate(args.test, seed=seeds["test"], **options)
    each = [score(net, test) for net in nets]
    overall, by_look = paired(nets, args.pairs, {"seed": seeds["pairs"], **options})
    ends = {}
    for level in LEVELS:
        same = dict.fromkeys(FACTORS, level)
        made = phantoms.generate(args.pairs, seed=seeds["pairs"], **options, **same)
        ends[f"all factors {level}"] = round(float(np.mean([score(net, made) for net in nets])), 4)
    asked = ("look", "size", "base", "updates", "train", "test", "pairs", "nets")
    return {
        "question": "Does Dice fall as the known difficulty of the phantoms rises?",
        "settings": {name: getattr(args, name) for name in asked}
        | {
            "batch": 16,
            "flips": "left-right",
            "loss": "Dice + CE",
            "optimiser": "AdamW, one-cycle to 3e-3",
        },
        "seeds": seeds,
        "seconds": round(time.perf_counter() - start),
        "measure": "Dice per image at the drawn size, threshold 0.5, mean over nets",
        "mean_of_each_net": [round(float(dice.mean()), 4) for dice in each],
        "median_of_each_net": [round(float(np.median(dice)), 4) for dice in each],
        "test": by_thirds(test.cases.assign(dice=np.mean(each, 0))),
        "paired_levels": list(LEVELS),
        "paired": overall,
        "paired_by_look": by_look,
        "paired_cases_by_look": made.cases.look.value_counts().sort_index().to_dict(),
        **ends,
    }


def table(result: dict) -> pd.DataFrame:
    """Return Dice by thirds of difficulty, all looks and each, and by factor at 0, 0.5 and 1."""
    rows = {"thirds of difficulty": result["test"]["thirds_of_difficulty"]}
    rows |= {f"thirds, {look}": dice for look, dice in result["test"]["thirds_by_look"].items()}
    rows |= {f"{factor} at 0, 0.5, 1": dice for factor, dice in result["paired"].items()}
    found = pd.DataFrame.from_dict(rows, orient="index", columns=["easy", "middle", "hard"])
    return found.rename_axis("Dice").reset_index()


def main() -> None:
    """Measure and print."""
    parser = common.parser(__doc__)
    parser.add_argument("--look", default="mixed", help="mixed or one look with binary masks")
    parser.add_argument("--size", type=int, default=64, help="side in pixels")
    parser.add_argument("--base", type=int, default=16, help="channels of the first level")
    parser.add_argument("--updates", type=int, default=600, help="optimiser steps")
    parser.add_argument("--train", type=int, default=1000, help="training cases")
    parser.add_argument("--test", type=int, default=600, help="test cases")
    parser.add_argument("--pairs", type=int, default=250, help="cases of the paired sets")
    parser.add_argument("--nets", type=int, default=3, help="nets, each with its own cases")
    parser.add_argument("--first-seed", type=int, default=7000, help="seeds follow from this one")
    given = common.parse(parser, size=32, base=4, updates=30, train=64, test=60, pairs=15, nets=1)
    result = measure(given)
    common.report("phantoms_difficulty", result, table(result), given)


if __name__ == "__main__":
    main()
