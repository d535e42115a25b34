"""How many times as fast as GREnet is SiGREnet, with each refiner, at inference and in training?

All nets take turns in one process; ratios are medians of the rounds' own, of CPU time, which means
something with one thread only. ``speed`` is GREnet's time divided by the net's, each in its best
form. Targets: 3 at inference, 4 in training.

- Inference: one image, in PyTorch (``models.for_inference``) and in ONNX Runtime (the file of
  ``export.to_onnx``, its free sides set to the image's when it is loaded: with free sides each
  resizing leaves the blocked memory format). GREnet computes one decoder, and no half of zeros.
- Training: a step of AdamW in channels last on 16 images of 96 px, the batch of both papers;
  everything that is supervised counts, GREnet's three decoders and every state of SiGREnet; the
  loss is the mean square, so that all nets have the same.

    OMP_NUM_THREADS=1 python -m benchmarks.refinement_speed --json result.json
"""

import tempfile
from functools import partial
from pathlib import Path

import numpy as np
import onnxruntime
import pandas as pd
import torch
from torch import Tensor, nn

from benchmarks import common
from benchmarks.candidate import infer
from course_lib import export, models
from course_lib.models.measure import tensors_of

REFERENCE = "grenet"
TARGETS = {"inference": 3.0, "training": 4.0}
LAST = torch.channels_last


def nets(refiners: list[str]) -> dict[str, nn.Module]:
    """Build GREnet, and SiGREnet with each of the refiners."""
    torch.manual_seed(0)
    found = {REFERENCE: models.create("grenet", skip_zero_state=True)}
    for refiner in refiners:
        found[refiner] = models.create("sigrenet", refiner=refiner)
    return found


def in_onnx_runtime(net: nn.Module, image: Tensor) -> common.Task:
    """Return a forward of the exported net, with as many threads as PyTorch has."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    for name, length in zip(("batch", "height", "width"), (1, *image.shape[2:]), strict=True):
        options.add_free_dimension_override_by_name(name, length)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "net.onnx"
        export.to_onnx(net, file, tuple(image.shape[2:]))
        session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
    return partial(session.run, None, {"image": image.numpy()})


def trainer(net: nn.Module, images: Tensor) -> common.Task:
    """Return a training step of a net."""
    net = net.to(memory_format=LAST).train()
    optimiser = torch.optim.AdamW(net.parameters())

    def step() -> None:
        optimiser.zero_grad()
        sum(t.square().mean() for t in tensors_of(net.forward_stages(images))).backward()
        optimiser.step()

    return step


def measure(refiners: list[str], size: int, train_size: int, batch: int, rounds: int) -> dict:
    """Return CPU milliseconds of every form, and the speeds."""
    image = torch.rand(1, 3, size, size)
    images = torch.rand(batch, 3, train_size, train_size).to(memory_format=LAST)
    tasks = {}
    for name, net in nets(refiners).items():
        form = net.deployed() if hasattr(net, "deployed") else net
        form = models.for_inference(form)
        tasks[f"{name} pytorch"] = partial(infer, form, image.to(memory_format=LAST))
        tasks[f"{name} onnx_runtime"] = in_onnx_runtime(net.eval(), image)
        tasks[f"{name} training"] = trainer(net, images)
    seconds = {key: times[:, 1] for key, times in common.in_turns(tasks, rounds).items()}
    rows = {}
    for name in refiners:
        rows[name] = {
            "inference": speed(best(seconds, REFERENCE), best(seconds, name)),
            "training": speed(seconds[f"{REFERENCE} training"], seconds[f"{name} training"]),
        }
    return {
        "sizes": {"inference": size, "training": train_size, "batch": batch, "rounds": rounds},
        "targets": TARGETS,
        "cpu_ms": {
            name: round(1000 * float(np.median(times)), 2) for name, times in seconds.items()
        },
        "speed": rows,
    }


def best(seconds: dict[str, np.ndarray], name: str) -> np.ndarray:
    """Return the times of a net's faster form for inference."""
    return min((seconds[f"{name} {form}"] for form in ("pytorch", "onnx_runtime")), key=np.median)


def speed(reference: np.ndarray, times: np.ndarray) -> float:
    """Return how many times as fast, the median over the rounds."""
    return round(float(np.median(reference / times)), 2)


def table(result: dict) -> pd.DataFrame:
    """Return one row a net."""
    rows = []
    for name in (REFERENCE, *result["speed"]):
        times = {
            f"{form} (ms)": result["cpu_ms"][f"{name} {form}"]
            for form in ("pytorch", "onnx_runtime", "training")
        }
        speeds = {f"x {part}": result["speed"].get(name, {}).get(part, 1.0) for part in TARGETS}
        rows.append({"net": name, **times, **speeds})
    return pd.DataFrame(rows)


def main() -> None:
    """Measure and print."""
    parser = common.parser(__doc__)
    every = list(models.sigrenet.REFINERS)
    parser.add_argument("--refiners", nargs="+", choices=every, default=every)
    parser.add_argument("--size", type=int, default=256, help="px, at inference")
    parser.add_argument("--train-size", type=int, default=96, help="px, in training")
    parser.add_argument("--batch", type=int, default=16, help="of a training step")
    parser.add_argument("--rounds", type=int, default=9)
    given = common.parse(parser, size=64, train_size=32, batch=16, rounds=3)
    result = measure(given.refiners, given.size, given.train_size, given.batch, given.rounds)
    common.report("refinement_speed", result, table(result), given, ["onnxruntime"])


if __name__ == "__main__":
    main()
