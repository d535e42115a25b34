"""What fit's loop adds to a bare loop, beside MONAI's SupervisedTrainer on the same work.

A loop is timed in pairs: each of its updates is followed at once by the same update of a bare loop
(ready tensors; forward, loss, backward, Adam, nothing else) with a net of its own, so that both see
the same machine. ``training.fit`` reads uint8 cases, follows the schedule, clips, looks for NaN and
keeps the numbers; MONAI's trainer gets ready tensors, does not clip and does not look for NaN.
Reported: the median over pairs with its quartiles, for wall time and for CPU time of the process,
which other jobs on the machine disturb less. Bare against bare shows the noise. Validation and
checkpoint come once an epoch and are stated apart.

    OMP_NUM_THREADS=1 python -m benchmarks.loop --json result.json
"""

import copy
import tempfile
from collections.abc import Callable

import numpy as np
import pandas as pd
import torch
from ignite.engine import Events
from monai.engines import SupervisedTrainer
from monai.utils import CommonKeys

from benchmarks import common
from benchmarks.common import CPU, now
from course_lib import losses, models, training
from course_lib.data import phantoms, prepared

WARM_UP = 2  # pairs
PROTOCOL = training.Protocol(
    optimiser="adam", schedule="cosine", epochs=1, clip=5.0, precision="float32"
)
Batches = list[tuple[torch.Tensor, torch.Tensor]]


def adam(net: torch.nn.Module) -> torch.optim.Optimizer:
    """Return the optimiser that all loops use."""
    return torch.optim.Adam(net.parameters(), PROTOCOL.learning_rate)


def bare_updates(net: torch.nn.Module, batches: Batches):
    """Make one bare update each time it is asked for the next value."""
    optimiser = adam(net.train())
    for images, masks in batches:
        optimiser.zero_grad(set_to_none=True)
        losses.dice_ce_loss(net(images), masks).backward()
        optimiser.step()
        yield


class Pairs:
    """Times of a loop's updates, each with that of a bare update right after it."""

    def __init__(self, net: torch.nn.Module, batches: Batches):
        self.bare = bare_updates(copy.deepcopy(net), batches)
        self.seconds: list[tuple[np.ndarray, np.ndarray]] = []

    def begin(self) -> None:
        """Note the time before an update of the loop."""
        self.begun = now()

    def end(self) -> None:
        """Note the time after it, and make the bare update."""
        middle = now()
        next(self.bare)
        self.seconds.append((middle - self.begun, now() - middle))
        self.begin()

    def draw(self, epoch: int) -> np.ndarray:
        """Be the sampler of fit: all cases in order; the first update begins here."""
        self.begin()
        return self.order

    def __call__(self, forward, images, masks, loss_fn):
        """Be the strategy of fit; it is entered again after the optimiser's step."""
        yield loss_fn(forward(images), masks)
        self.end()


def time_fit(net, data, batches: Batches) -> tuple[list, float]:
    """Return the pairs of fit, and the seconds of one validation and all files."""
    pairs, size = Pairs(net, batches), len(batches[0][0])
    pairs.order = np.arange(len(data))
    with tempfile.TemporaryDirectory() as folder:
        training.fit(
            copy.deepcopy(net),
            data,
            data.subset(range(4 * size)),
            training.Protocol(**{**vars(PROTOCOL), "batch": size}),
            folder,
            device=CPU,
            sampler=pairs,
            strategy=pairs,
        )
        return pairs.seconds, (now() - pairs.begun)[0]


def time_bare(net, data, batches: Batches) -> tuple[list, float]:
    """Return the pairs of the bare loop."""
    pairs = Pairs(net, batches)
    pairs.begin()
    for _ in bare_updates(copy.deepcopy(net), batches):
        pairs.end()
    return pairs.seconds, 0.0


def time_monai(net, data, batches: Batches) -> tuple[list, float]:
    """Return the pairs of MONAI's engine."""
    pairs, net = Pairs(net, batches), copy.deepcopy(net)
    trainer = SupervisedTrainer(
        device=CPU,
        max_epochs=1,
        train_data_loader=[
            {CommonKeys.IMAGE: images, CommonKeys.LABEL: masks} for images, masks in batches
        ],
        network=net,
        optimizer=adam(net),
        loss_function=losses.dice_ce_loss,
        optim_set_to_none=True,
    )
    trainer.add_event_handler(Events.EPOCH_STARTED, lambda _: pairs.begin())
    trainer.add_event_handler(Events.ITERATION_COMPLETED, lambda _: pairs.end())
    trainer.run()
    return pairs.seconds, 0.0


LOOPS: dict[str, Callable] = {"fit": time_fit, "monai": time_monai, "bare": time_bare}


def measure(base: int, size: int, batch: int, updates: int, rounds: int) -> dict:
    """Return medians and quartiles over ``rounds * (updates - WARM_UP)`` pairs of each loop."""
    drawn = phantoms.generate(batch * updates, size=size, seed=0)
    data = prepared.from_arrays("phantoms", drawn.images, drawn.masks, drawn.cases, drawn.classes)
    batches = [data.batch(rows) for rows in np.split(np.arange(len(data)), updates)]
    torch.manual_seed(0)
    net = models.create("unet", in_channels=3, num_classes=1, base=base, norm=True)
    pairs: dict[str, list] = {name: [] for name in LOOPS}
    rest = []
    for number in range(rounds):
        for name in np.roll(list(LOOPS), number):
            seconds, after = LOOPS[name](net, data, batches)
            pairs[name] += seconds[WARM_UP:]
            rest += [after] if name == "fit" else []
    return {
        "base": base,
        "size": size,
        "batch": batch,
        "pairs": rounds * (updates - WARM_UP),
        "loops": {name: summary(np.array(seconds)) for name, seconds in pairs.items()},
        "fit_after_the_epoch": {"seconds": float(np.median(rest)), "validated_cases": 4 * batch},
    }


def summary(seconds: np.ndarray) -> dict:
    """Summarise pairs (n, 2, 2): loop and bare, wall and CPU."""
    result = {}
    for column, kind in enumerate(("wall", "cpu")):
        loop, bare = seconds[:, 0, column], seconds[:, 1, column]
        low, middle, high = np.percentile(loop / bare, (25, 50, 75))
        result[kind] = {
            "ratio": round(float(middle), 4),
            "quartiles": [round(float(low), 4), round(float(high), 4)],
            "bare_ms": round(1000 * float(np.median(bare)), 2),
            "added_ms": round(1000 * float(np.median(loop - bare)), 2),
        }
    return result


def table(result: dict) -> pd.DataFrame:
    """Return one row a loop."""
    rows = [
        {
            "loop": name,
            **{
                f"{kind} {word}": times[kind][key]
                for kind in ("wall", "cpu")
                for word, key in (("ratio", "ratio"), ("added (ms)", "added_ms"))
            },
            "quartiles of wall ratio": "{:.3f} to {:.3f}".format(*times["wall"]["quartiles"]),
        }
        for name, times in result["loops"].items()
    ]
    return pd.DataFrame(rows)


def main() -> None:
    """Measure and print."""
    parser = common.parser(__doc__)
    parser.add_argument("--base", type=int, default=16, help="width of the U-Net")
    parser.add_argument("--size", type=int, default=64, help="px")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--updates", type=int, default=22, help="of each loop in a round")
    parser.add_argument("--rounds", type=int, default=6)
    given = common.parse(parser, base=8, size=32, rounds=2)
    result = measure(given.base, given.size, given.batch, given.updates, given.rounds)
    common.report("loop", result, table(result), given, ["monai", "pytorch-ignite"])


if __name__ == "__main__":
    main()
