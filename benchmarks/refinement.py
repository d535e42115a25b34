"""Does refining a map over steps help, beside the same net without it, widened to as many numbers?

Small SiGREnets learn phantoms: for each seed all arms have the same training cases in the same
order, as many updates, and Dice + cross-entropy on every state; each is tested on the same fresh
phantoms. Reported: the Dice of each arm, its paired difference to ``widened`` with Student's t
interval over the seeds, and the Dice at test for fewer and more steps than in training (3).

Leads for a refinement that adds nothing, each on GRRB: ``gate near 0``, so that training starts
from the net without refinement; ``detached``: no gradient from a step to the one before, so that
each learns from its own logits; ``own curricula``: step t learns from a growing share of the
pixels, the easy ones first (:class:`course_lib.curriculum.regions.RegionStep`).

    OMP_NUM_THREADS=1 python -m benchmarks.refinement --json result.json
"""

from collections.abc import Iterator

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from benchmarks import common
from course_lib import losses, metrics, models
from course_lib.curriculum.regions import RegionStep
from course_lib.data import phantoms, prepared
from course_lib.losses import HybridWeights
from course_lib.models.refine import DEPENDENCES, GRRB, Refined
from course_lib.training.hybrid import HybridStep
from course_lib.training.update import Forward

CHANNELS, BATCH, RATE, CLIP = (8, 16, 32), 8, 3e-3, 5.0
TESTED = (1, 2, 3, 6, 12)  # steps at test
WEIGHTS = HybridWeights(boundary=0.0, consistency=0.0)
ARMS = ("widened", *models.sigrenet.REFINERS)  # these include "none"
LEADS = ("gate near 0", "detached", "own curricula")


class Detached(nn.Module):
    """GRRB whose steps do not learn from what later steps make of their state."""

    def __init__(self, block: GRRB):
        super().__init__()
        self.block = block

    def forward(self, f: Tensor, steps: int) -> Iterator[Refined]:
        """Yield R(1) ... R(steps)."""
        state, look = f, DEPENDENCES["full"](self.block, f)
        for _ in range(steps):
            increment, gate = look(state.detach())
            state = self.block.update(state.detach(), gate, increment)
            yield Refined(state, {"increment": increment, "gate": gate})


def widened() -> tuple[int, ...]:
    """Return the channels that give the net without refiner as many numbers as GRRB's has."""
    aim = parameters(CHANNELS, "grrb")
    factors = np.linspace(1, 1.5, 101)
    found = {tuple(round(factor * c) for c in CHANNELS) for factor in factors}
    return min(sorted(found), key=lambda channels: abs(parameters(channels, "none") - aim))


def parameters(channels: tuple[int, ...], refiner: str) -> int:
    """Count the numbers that ``forward`` uses."""
    return models.create("sigrenet", channels=channels, refiner=refiner).deploy_parameters()


def build(arm: str) -> nn.Module:
    """Build the net of an arm."""
    if arm == "widened":
        return models.create("sigrenet", channels=widened(), refiner="none")
    net = models.create("sigrenet", channels=CHANNELS, refiner="grrb" if arm in LEADS else arm)
    for level in net.decoder:
        if arm == "gate near 0":
            nn.init.constant_(level.refiner.gate[0].bias, -4.0)
        elif arm == "detached":
            level.refiner = Detached(level.refiner)
    return net


def train(arm: str, images: Tensor, masks: Tensor, updates: int, seed: int) -> nn.Module:
    """Train the net of an arm: random batches, AdamW, a cosine to 0."""
    torch.manual_seed(seed)
    net = build(arm).to(memory_format=torch.channels_last).train()
    step = (
        RegionStep(WEIGHTS, by="step", start=0.5) if arm == "own curricula" else HybridStep(WEIGHTS)
    )
    optimiser = torch.optim.AdamW(net.parameters(), RATE)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, updates)
    order = torch.Generator().manual_seed(seed)
    for update in range(updates):
        if update in (0, updates // 10):  # a tenth of the training is warm-up
            step.start_epoch(min(update, 1), 2)
        now = torch.randperm(len(images), generator=order)[:BATCH]
        optimiser.zero_grad()
        for loss in step(Forward(net, None, 2), images[now], masks[now], losses.dice_ce_loss):
            loss.backward()
        nn.utils.clip_grad_norm_(net.parameters(), CLIP)
        optimiser.step()
        schedule.step()
    return net.eval()


def test(net: nn.Module, images: Tensor, masks: Tensor) -> dict[str, float]:
    """Return the mean Dice of the cases for every number of steps at test."""
    found = {}
    for steps in TESTED:
        with torch.inference_mode():
            predicted = (net(images, steps)[:, 0] > 0).numpy()
        scores = [metrics.dice(p, m) for p, m in zip(predicted, masks.numpy() > 0, strict=True)]
        found[str(steps)] = round(float(np.mean(scores)), 4)
    return found


def cases(number: int, size: int, seed: int) -> tuple[Tensor, Tensor]:
    """Draw phantoms: images and masks."""
    made = phantoms.generate(number, size=size, seed=seed)
    data = prepared.from_arrays("phantoms", made.images, made.masks, made.cases, made.classes)
    return data.batch(range(number))


def measure(size: int, train_cases: int, test_cases: int, updates: int, seeds: int) -> dict:
    """Train and test every arm with every seed."""
    rows = []
    for seed in range(seeds):
        learned = cases(train_cases, size, seed)
        fresh = cases(test_cases, size, 1000 + seed)
        for arm in (*ARMS, *LEADS):
            net = train(arm, *learned, updates, seed)
            rows.append({"arm": arm, "seed": seed, "dice_at_steps": test(net, *fresh)})
            print(rows[-1], flush=True)
    return {
        "size": size,
        "train_cases": train_cases,
        "test_cases": test_cases,
        "updates": updates,
        "batch": BATCH,
        "channels": CHANNELS,
        "seeds": list(range(seeds)),
        "parameters": {arm: build(arm).deploy_parameters() for arm in (*ARMS, *LEADS)},
        "runs": rows,
        "summary": summarise(rows),
    }


def summarise(rows: list[dict]) -> dict:
    """Return for every arm the mean Dice, and the paired difference to the widened net."""
    runs = pd.DataFrame([{"arm": r["arm"], "seed": r["seed"], **r["dice_at_steps"]} for r in rows])
    by_arm = {arm: part.set_index("seed") for arm, part in runs.groupby("arm", sort=False)}
    found = {}
    for arm, part in by_arm.items():
        difference = part["3"] - by_arm["widened"]["3"]
        found[arm] = {
            "dice": round(float(part["3"].mean()), 4),
            "difference": round(float(difference.mean()), 4),
            "interval": [round(edge, 4) for edge in metrics.t_interval(difference)],
            "dice_at_steps": {str(t): round(float(part[str(t)].mean()), 4) for t in TESTED},
        }
    return found


def table(result: dict) -> pd.DataFrame:
    """Return one row an arm."""
    rows = [
        {
            "arm": arm,
            "parameters": result["parameters"][arm],
            "Dice": row["dice"],
            "to widened": row["difference"],
            "from": row["interval"][0],
            "to": row["interval"][1],
            **{f"T={t}": value for t, value in row["dice_at_steps"].items()},
        }
        for arm, row in result["summary"].items()
    ]
    return pd.DataFrame(rows)


def main() -> None:
    """Measure and print."""
    parser = common.parser(__doc__)
    parser.add_argument("--size", type=int, default=32, help="side in px")
    parser.add_argument("--train-cases", type=int, default=192)
    parser.add_argument("--test-cases", type=int, default=128)
    parser.add_argument("--updates", type=int, default=250, help="of each net")
    parser.add_argument("--seeds", type=int, default=3, help="trainings of each arm")
    given = common.parse(parser, size=16, train_cases=32, test_cases=16, updates=20, seeds=2)
    result = measure(given.size, given.train_cases, given.test_cases, given.updates, given.seeds)
    common.report("refinement", result, table(result), given)


if __name__ == "__main__":
    main()
