"""What every net costs beside MONAI's: time, multiply-adds, memory, share of the machine's peak.

All nets (every preset of ``course_lib.models``, MONAI's four) are in one process and take turns, so
that a machine that other work slows down slows them all: a round times a batch-1 forward in
evaluation mode and a training step of each. Medians over the rounds; a ratio is the median of the
rounds' own ratios to MONAI's BasicUNet. Wall time, and CPU time of the process, which other work
disturbs less and which means something with one thread only.

- Step: forward and backward through everything that is supervised (``forward_stages``; the loss is
  the mean square, so that all nets have the same), then Adam.
- Memory: bytes of tensors alive beyond weights and images, followed operation by operation, so the
  same every time; what an operation needs inside is not seen. ``activations``: after the forward of
  a step, kept for its backward. ``peak``: the most at any time of both; gradients count.
- Share of the peak: multiply-adds a second (a backward counts as two forwards), divided by the most
  that this machine reached with as many threads: by a product of two large matrices or a dense 3x3
  convolution; everything in its best round, the least disturbed. (On some CPUs PyTorch's matrices
  are slower than its convolutions.)
- BN folded, left: batch normalisations that ``models.fuse`` folds, and those that stay; the JSON
  says why of the first.

    OMP_NUM_THREADS=1 python -m benchmarks.models --json result.json --figure result.png
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pandas as pd
import torch
from torch import nn

from benchmarks import common
from benchmarks.candidate import Candidate, infer
from benchmarks.common import Task
from course_lib import models
from course_lib.models.fuse import folding

MATRIX = 2048  # rows and columns of the product that may show the machine's peak
CHANNELS = 128  # of the convolution that may
REFERENCE = "monai.BasicUNet"
WIDTHS = (64, 128, 256, 512, 1024)  # U-Net's, for those of MONAI's nets that take widths
LARGEST = 8e6  # parameters of a net that --small still takes
TIMES = {"(ms)": "ms", "ratio": "ratio", "of peak": "share_of_peak"}  # columns of the table


def monai_nets() -> dict[str, Callable[[], nn.Module]]:
    """Return the builders of MONAI's nets for images of 3 channels, 1 class."""
    from monai.networks import nets

    return {
        REFERENCE: lambda: nets.BasicUNet(2, 3, 1, features=(*WIDTHS, WIDTHS[0])),
        "monai.AttentionUnet": lambda: nets.AttentionUnet(2, 3, 1, WIDTHS, strides=(2, 2, 2, 2)),
        "monai.BasicUNetPlusPlus": lambda: nets.BasicUNetPlusPlus(2, 3, 1),
        "monai.SwinUNETR": lambda: nets.SwinUNETR(3, 1, spatial_dims=2),
    }


def small_ones() -> list[str]:
    """Return the names of the presets that need neither much time nor much memory."""
    with torch.device("meta"):
        counts = {name: models.measure.count_parameters(b()) for name, b in models.PRESETS.items()}
    return [name for name, count in counts.items() if count < LARGEST]


def measure(names: list[str], size: int, batch: int, rounds: int) -> dict:
    """Return costs and times of all nets."""
    builders = {name: models.PRESETS[name] for name in names} | monai_nets()
    found = {name: Candidate(build(), size, batch) for name, build in builders.items()}
    tasks: dict[str, Task] = {}
    for name, candidate in found.items():
        tasks |= {f"forward {name}": candidate.forward, f"step {name}": candidate.step}
    a, b = torch.rand(2, MATRIX, MATRIX)
    image = torch.rand(1, CHANNELS, 128, 128).to(memory_format=torch.channels_last)
    dense = torch.nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1).to(memory_format=torch.channels_last)
    tasks |= {"matrices": lambda: a @ b, "convolution": partial(infer, dense, image)}
    gmacs = {"matrices": MATRIX**3 / 1e9, "convolution": (128 * CHANNELS) ** 2 * 9 / 1e9}
    seconds = common.in_turns(tasks, rounds)
    peaks = {name: work / float(seconds[name][:, 0].min()) for name, work in gmacs.items()}
    peak = max(peaks.values())
    rows = {}
    for name, candidate in found.items():
        folded = folding(candidate.net)
        rows[name] = {
            "parameters": models.measure.count_parameters(candidate.net),
            "gmacs": round(candidate.gmacs, 3),
            "step_gmacs": round(candidate.step_gmacs, 3),
            **candidate.memory(),
            "normalisations_folded": len(folded.pairs),
            "normalisations_left": len(folded.left),
            "why_left": next((f"{norm} {why}" for norm, why in folded.left.items()), None),
        }
        for kind, gmacs in (("forward", candidate.gmacs), ("step", candidate.step_gmacs)):
            times = seconds[f"{kind} {name}"]
            reached = gmacs / float(times[:, 0].min())
            rows[name][kind] = {
                **common.summary(times, seconds[f"{kind} {REFERENCE}"]),
                "share_of_peak": round(reached / peak, 3),
            }
    about = {"size": size, "batch": batch, "rounds": rounds, "reference": REFERENCE}
    about["gmacs_a_second"] = {name: round(value, 1) for name, value in peaks.items()}
    return {**about, "nets": rows}


def table(result: dict) -> pd.DataFrame:
    """Return one row a net."""
    rows = [
        {
            "net": name,
            "parameters (M)": row["parameters"] / 1e6,
            "GMAC": row["gmacs"],
            "kept (MB)": row["activations_mb"],
            "peak (MB)": row["peak_mb"],
            "BN folded": row["normalisations_folded"],
            "left": row["normalisations_left"],
            **{
                f"{kind} {word}": row[kind][key]
                for kind in ("forward", "step")
                for word, key in TIMES.items()
            },
        }
        for name, row in result["nets"].items()
    ]
    return pd.DataFrame(rows)


def draw(result: dict, path: Path) -> None:
    """Write the bubbles of parameters, multiply-adds and memory: the nets as published, MONAI's."""
    from course_lib import drawing, figures

    points = {
        name.replace("monai.", "MONAI "): (
            row["parameters"] / 1e6,
            row["gmacs"],
            row["activations_mb"],
        )
        for name, row in result["nets"].items()
        if name in models.NAMES or name.startswith("monai.")
    }
    fig, alt = drawing.bubbles(
        points,
        title="What a net weighs, computes and remembers",
        xlabel="parameters (M)",
        ylabel=f"GMACs per image of {result['size']} px",
        sizelabel=f"kept for backward, batch {result['batch']} (MB)",
    )
    path.write_bytes(figures.show(fig, alt))


def main() -> None:
    """Measure and print."""
    parser = common.parser(__doc__)
    parser.add_argument("--nets", nargs="*", choices=models.PRESETS, default=list(models.PRESETS))
    parser.add_argument("--size", type=int, default=256, help="px")
    parser.add_argument("--batch", type=int, default=1, help="of a training step")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--figure", type=Path, help="PNG")
    given = common.parse(parser, size=64, nets=small_ones())
    torch.set_num_threads(given.threads)
    torch.manual_seed(0)
    result = measure(given.nets, given.size, given.batch, given.rounds)
    common.report("models", result, table(result), given, ["monai"])
    if given.figure:
        draw(result, given.figure)


if __name__ == "__main__":
    main()
