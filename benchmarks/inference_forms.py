"""REUnet of the released code in every documented form for inference, beside plain eager.

Each wiring has a process of its own, since what one net leaves of memory in the allocator would
make the next one faster; inside, the forms take turns. Before timing, every form must give the
logits of the first. ``torch.compile`` needs a C++ compiler.

    OMP_NUM_THREADS=1 python -m benchmarks.inference_forms --json forms.json
"""

import copy
import multiprocessing
import tempfile
import warnings
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import onnxruntime
import pandas as pd
import torch
from torch import Tensor, nn

from benchmarks import common
from benchmarks.candidate import infer
from benchmarks.common import Task
from course_lib import models
from course_lib.models.reunet import REUnet

TARGETS = {  # as a share of plain eager: folded and channels last; best
    "described": (0.90, 0.60),
    "released": (0.65, 0.40),
}


def onnx_runtime(net: nn.Module, image: Tensor) -> Task:
    """Return a forward of a net in ONNX Runtime, with as many threads as PyTorch has."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        path = Path(folder) / "net.onnx"
        torch.onnx.export(net, (image,), path, dynamo=True, verbose=False)
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return lambda: torch.from_numpy(session.run(None, {name: image.numpy()})[0])


def forms_of(net: nn.Module, image: Tensor) -> dict[str, Task]:
    """Return a forward of a net in every documented form for inference."""
    last = copy.deepcopy(net).to(memory_format=torch.channels_last)
    forms = {
        "eager": net,
        "channels_last": last,
        "fused": models.fuse(net),
        "fused_channels_last": models.for_inference(net),
        "compiled": torch.compile(models.for_inference(net)),
    }
    tasks: dict[str, Task] = {name: partial(infer, form, image) for name, form in forms.items()}
    return tasks | {"onnx_runtime": onnx_runtime(models.fuse(net), image)}


def measure_wiring(wiring: str, base: int, size: int, rounds: int, threads: int) -> dict:
    """Return the times of all forms of the released code's REUnet."""
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    net = REUnet(reading="code", wiring=wiring, base=base).eval()
    tasks = forms_of(net, torch.rand(1, 3, size, size))
    expected = tasks["eager"]()
    for name, task in tasks.items():
        torch.testing.assert_close(task(), expected, atol=1e-5, rtol=1e-4, msg=name)
    seconds = common.in_turns(tasks, rounds)
    forms = {name: common.summary(times, seconds["eager"]) for name, times in seconds.items()}
    best, targets = min(form["ratio"] for form in forms.values()), TARGETS[wiring]
    reached = [forms["fused_channels_last"]["ratio"] <= targets[0], best <= targets[1]]
    return {"targets": targets, "reached": reached, "forms": forms}


def measure(base: int, size: int, rounds: int, threads: int) -> dict:
    """Return the times of all forms for both wirings."""
    spawn = multiprocessing.get_context("spawn")
    wirings = {}
    for wiring in TARGETS:
        with ProcessPoolExecutor(1, spawn) as process:
            work = process.submit(measure_wiring, wiring, base, size, rounds, threads)
            wirings[wiring] = work.result()
    about = {"net": "REUnet, reading of the code", "base": base, "size": size, "rounds": rounds}
    return {**about, "wirings": wirings}


def table(result: dict) -> pd.DataFrame:
    """Return one row a wiring and form."""
    rows = [
        {"wiring": wiring, "form": name, **form}
        for wiring, part in result["wirings"].items()
        for name, form in part["forms"].items()
    ]
    return pd.DataFrame(rows).drop(columns="ms_of_rounds")


def main() -> None:
    """Measure and print."""
    parser = common.parser(__doc__)
    parser.add_argument("--base", type=int, default=32)
    parser.add_argument("--size", type=int, default=256, help="px")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    given = common.parse(parser, base=4, size=64, rounds=2)
    result = measure(given.base, given.size, given.rounds, given.threads)
    common.report("inference_forms", result, table(result), given, ["onnxruntime"])


if __name__ == "__main__":
    main()
