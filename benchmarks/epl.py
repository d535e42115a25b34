"""What a training batch of PL-Net costs with external progressive learning, joint, and without.

The three strategies of ``training.EPL`` and U-Net with batch normalisation take turns in one
process, each with a net and an Adam of its own. Reported beside one loss ("off"): multiply-adds of
the forward passes, wall time and CPU time (medians of the rounds' own ratios), and the maps that
the most expensive of a batch's losses keeps for its backward pass. CPU time is the steadier one on
a busy machine.

    OMP_NUM_THREADS=1 python benchmarks/epl.py --out result.json
"""

import argparse
import time
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from course_lib import losses, models, records, training
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
        begun = np.array([time.perf_counter(), time.process_time()])
        for loss in self.losses():
            self.optimiser.zero_grad(set_to_none=True)
            loss.backward()
            self.optimiser.step()
        return np.array([time.perf_counter(), time.process_time()]) - begun

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


def main() -> None:
    """Run the benchmark and print its table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--side", type=int, default=128, help="of the images, px")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path, help="write the numbers as JSON")
    given = parser.parse_args()
    runs = {name: Run(*case, given.side) for name, case in CASES.items()}
    for run in runs.values():
        run.update()  # the first one is slower
    seconds = {name: [] for name in runs}
    for _ in range(given.rounds):
        for name, run in runs.items():
            seconds[name].append(run.update())
    table, reference = {}, np.array(seconds["off"])
    for name, run in runs.items():
        wall, cpu = np.median(np.array(seconds[name]) / reference, axis=0)
        table[name] = {"gmac": run.macs() / 1e9, "wall": float(wall), "cpu": float(cpu)}
        table[name]["kept"] = run.kept()
    print("            GMAC   x off   time x off (wall, CPU)   kept MB")
    for name, row in table.items():
        print(
            f"{name:8} {row['gmac']:8.2f} {row['gmac'] / table['off']['gmac']:7.2f} "
            f"{row['wall']:12.2f} {row['cpu']:9.2f} {row['kept'] / 1e6:14.1f}"
        )
    if given.out:
        about = {"command": "benchmarks/epl.py", "side": given.side, "rounds": given.rounds}
        about |= records.environment(torch.device("cpu"))
        records.write_json(given.out, {**about, "table": table})


if __name__ == "__main__":
    main()
