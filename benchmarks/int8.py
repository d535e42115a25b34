"""What int8 saves: size of the ONNX file and latency, beside float32 and PyTorch, of several nets.

Per net an image of random numbers through PyTorch (the form of ``models.for_inference``), through
ONNX Runtime in float32, and in int8; all take turns. Ratios are to float32 in ONNX Runtime. Weights
are fresh, which changes nothing in size or time; what int8 does to Dice is notebook 14's question.

    OMP_NUM_THREADS=1 python -m benchmarks.int8 --json int8.json
"""

import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import onnxruntime
import pandas as pd
import torch
from torch import Tensor

from benchmarks import common
from benchmarks.candidate import infer
from course_lib import export, models

NETS = ("sigrenet", "sigrenet_wide", "unet_small", "reunet_base8", "plnet_dagger")
TARGETS = {"bytes_ratio": 0.35, "ratio": 0.7}  # of sigrenet
REFERENCE, INT8 = "onnx float32", "onnx int8"


def runtime(file: Path, image: Tensor, threads: int) -> Callable[[], object]:
    """Return a forward in ONNX Runtime."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3  # errors only
    session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
    return partial(session.run, None, {"image": image.numpy()})


def measure_net(name: str, size: int, rounds: int, threads: int, folder: Path) -> dict[str, dict]:
    """Return size and times of the forms of a net."""
    torch.manual_seed(0)
    net = models.create(name)
    with torch.no_grad():
        net(torch.rand(4, 3, 64, 64))  # running statistics that have seen a batch
    files = {REFERENCE: folder / f"{name}.onnx", INT8: folder / f"{name}-int8.onnx"}
    export.to_onnx(net, files[REFERENCE], 64)
    export.quantise(files[REFERENCE], files[INT8], torch.rand(4, 3, 64, 64))
    image = torch.rand(1, 3, size, size)
    tasks = {"pytorch": partial(infer, models.for_inference(net), image)}
    tasks |= {form: runtime(file, image, threads) for form, file in files.items()}
    seconds = common.in_turns(tasks, rounds)
    forms = {form: common.summary(times, seconds[REFERENCE]) for form, times in seconds.items()}
    whole = files[REFERENCE].stat().st_size
    for form, file in files.items():
        forms[form] |= {"bytes": file.stat().st_size}
        forms[form] |= {"bytes_ratio": round(file.stat().st_size / whole, 3)}
    return forms


def measure(names: list[str], size: int, rounds: int, threads: int) -> dict:
    """Return size and times of all nets, and which targets SiGREnet reaches."""
    torch.set_num_threads(threads)
    with tempfile.TemporaryDirectory() as folder:
        nets = {n: measure_net(n, size, rounds, threads, Path(folder)) for n in names}
    result = {"size": size, "rounds": rounds, "threads_used": threads, "nets": nets}
    if "sigrenet" in nets:
        found = nets["sigrenet"][INT8]
        reached = {name: found[name] <= target for name, target in TARGETS.items()}
        result |= {"targets": TARGETS, "reached": reached}
    return result


def table(result: dict) -> pd.DataFrame:
    """Return one row a net and form."""
    rows = [
        {"net": net, "form": form, **found}
        for net, forms in result["nets"].items()
        for form, found in forms.items()
    ]
    return pd.DataFrame(rows).drop(columns="ms_of_rounds")


def main() -> None:
    """Measure and print."""
    parser = common.parser(__doc__)
    parser.add_argument("--nets", nargs="+", default=list(NETS), choices=list(models.PRESETS))
    parser.add_argument("--size", type=int, default=256, help="px")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--threads", type=int, default=1)
    given = common.parse(parser, nets=["sigrenet_tiny"], size=64, rounds=2)
    result = measure(given.nets, given.size, given.rounds, given.threads)
    common.report("int8", result, table(result), given, ["onnxruntime"])


if __name__ == "__main__":
    main()
