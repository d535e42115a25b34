"""What a training batch of PL-Net costs with external progressive learning, joint, and without.

The three strategies of ``training.EPL`` and U-Net with batch normalisation take turns in one
process, each with a net and an Adam of its own. Reported beside one loss ("off"): multiply-adds of
the forward passes, wall time and CPU time (medians of the rounds' own ratios), and the maps that
the most expensive of a batch's losses keeps for its backward pass. CPU time is the steadier one on
a busy machine.

    OMP_NUM_THREADS=1 python -m benchmarks.epl --json result.json
"""

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from benchmarks import common
from course_lib import losses, models, training
from course_lib.training.update import Forward

CASES = {
    "off": ("plnet", training.EPL["off"]),
    "joint": ("plnet", training.EPL["joint"]),
    "on": ("plnet", training.EPL["on"]),
    "unet_bn": ("unet_bn", training.one_step),
}


class Run:
    """A net that makes one batch after another with a strategy."""

    def __init__(self, name: str, strategy: training.Strategy, side: int):
        torch.manual_seed(0)
        self.net = models.create(name).to(memory_format=torch.channels_last)
        self.optimiser = torch.optim.Adam(self.net.parameters(), 1e-4)
        self.forward, self.strategy = Forward(self.net, None, 2), strategy
        images, masks = torch.randn(4, 3, side, side), torch.rand(4, side, side) > 0.5
        self.batch = images.to(memory_format=torch.channels_last), masks.long()

    def losses(self):
        """Yield the losses of one batch; the caller steps in between."""
        return self.strategy(self.forward, *self.batch, losses.dice_loss)

    def update(self) -> np.ndarray:
        """Make the updates of one batch and return [wall, CPU] seconds."""
        begun = common.now()
        for loss in self.losses():
            self.optimiser.zero_grad(set_to_none=True)
            loss.backward()
            self.optimiser.step()
        return common.now() - begun

    def macs(self) -> int:
        """Count the multiply-adds of the batch's forward passes."""
        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            list(self.losses())
        return counter.get_total_flops() // 2

    def kept(self) -> int:
        """Return the bytes of maps that one loss keeps for backward, the most in a batch."""
        weights = {p.untyped_storage().data_ptr() for p in self.net.parameters()}
        most, maps = 0, {}

        def keep(t: Tensor) -> Tensor:
            place = t.untyped_storage().data_ptr()
            if t.dim() == 4 and place not in weights:
                maps[place] = t.untyped_storage().nbytes()
            return t

        with torch.autograd.graph.saved_tensors_hooks(keep, lambda t: t):
            for loss in self.losses():
                most = max(most, sum(maps.values()))
                maps.clear()
                del loss
        return most


def measure(side: int, rounds: int) -> dict:
    """Return multiply-adds, ratios of time to one loss, and kept maps of every strategy."""
    runs = {name: Run(*case, side) for name, case in CASES.items()}
    for run in runs.values():
        run.update()  # the first one is slower
    seconds = {name: [] for name in runs}
    for _ in range(rounds):
        for name, run in runs.items():
            seconds[name].append(run.update())
    found, reference = {}, np.array(seconds["off"])
    for name, run in runs.items():
        wall, cpu = np.median(np.array(seconds[name]) / reference, axis=0)
        found[name] = {"gmac": run.macs() / 1e9, "wall": float(wall), "cpu": float(cpu)}
        found[name]["kept"] = run.kept()
    return {"side": side, "rounds": rounds, "table": found}


def table(result: dict) -> pd.DataFrame:
    """Return one row a strategy."""
    rows = [
        {
            "strategy": name,
            "GMAC": row["gmac"],
            "x off": row["gmac"] / result["table"]["off"]["gmac"],
            "wall time x off": row["wall"],
            "CPU time x off": row["cpu"],
            "kept (MB)": row["kept"] / 1e6,
        }
        for name, row in result["table"].items()
    ]
    return pd.DataFrame(rows)


def main() -> None:
    """Measure and print."""
    parser = common.parser(__doc__)
    parser.add_argument("--side", type=int, default=128, help="of the images, px")
    parser.add_argument("--rounds", type=int, default=5)
    given = common.parse(parser, side=64, rounds=2)
    result = measure(given.side, given.rounds)
    common.report("epl", result, table(result), given)


if __name__ == "__main__":
    main()
