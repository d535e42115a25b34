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

    OMP_NUM_THREADS=1 python benchmarks/models.py --out result.json --figure result.png
    OMP_NUM_THREADS=1 python benchmarks/models.py --small
    OMP_NUM_THREADS=1 python benchmarks/models.py --inference-forms --out forms.json
    OMP_NUM_THREADS=1 python benchmarks/models.py --checkpointing --out checkpointing.json
"""

import argparse
import copy
import multiprocessing
import tempfile
import time
import warnings
import weakref
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import onnxruntime
import pandas as pd
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from course_lib import models, records
from course_lib.models.fuse import folding
from course_lib.models.measure import tensors_of
from course_lib.models.reunet import REUnet

MATRIX = 2048  # rows and columns of the product that may show the machine's peak
CHANNELS = 128  # of the convolution that may
REFERENCE = "monai.BasicUNet"
WIDTHS = (64, 128, 256, 512, 1024)  # U-Net's, for those of MONAI's nets that take widths
TARGETS = {  # of the forms for inference, as a share of plain eager: folded and channels last; best
    "described": (0.90, 0.60),
    "released": (0.65, 0.40),
}
TIMES = {"(ms)": "ms", "ratio": "ratio", "of peak": "share_of_peak"}  # columns of the table
Task = Callable[[], object]


def monai_nets() -> dict[str, Callable[[], nn.Module]]:
    """Return the builders of MONAI's nets for images of 3 channels, 1 class."""
    from monai.networks import nets

    return {
        REFERENCE: lambda: nets.BasicUNet(2, 3, 1, features=(*WIDTHS, WIDTHS[0])),
        "monai.AttentionUnet": lambda: nets.AttentionUnet(2, 3, 1, WIDTHS, strides=(2, 2, 2, 2)),
        "monai.BasicUNetPlusPlus": lambda: nets.BasicUNetPlusPlus(2, 3, 1),
        "monai.SwinUNETR": lambda: nets.SwinUNETR(3, 1, spatial_dims=2),
    }


class PeakMemory(TorchDispatchMode):
    """Follows the tensors that operations make, until they die; ``peak`` is in bytes."""

    def __init__(self):
        super().__init__()
        self.alive: dict[int, weakref.ref] = {}
        self.live = self.peak = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        """Call an operation and count the storages that are new in its results."""
        result = func(*args, **(kwargs or {}))
        given = {t.untyped_storage()._cdata for t in tensors_of([args, kwargs])}
        for t in tensors_of(result):
            storage = t.untyped_storage()
            if storage._cdata not in self.alive and storage._cdata not in given:
                self._count(storage)
        return result

    def _count(self, storage: torch.UntypedStorage) -> None:
        key, size = storage._cdata, storage.nbytes()

        def died(_reference):
            del self.alive[key]
            self.live -= size

        self.alive[key] = weakref.ref(storage, died)
        self.live += size
        self.peak = max(self.peak, self.live)


class Candidate:
    """A net in turns with others: a forward and a training step."""

    def __init__(self, net: nn.Module, size: int, batch: int):
        self.net = net
        self.image = torch.rand(1, 3, size, size)
        self.images = torch.rand(batch, 3, size, size)
        self.adam = torch.optim.Adam(net.parameters())
        self.gmacs = models.measure.count_macs(net, (3, size, size)) / 1e9
        with FlopCounterMode(display=False) as flops, torch.no_grad():
            self.loss()
        self.step_gmacs = (
            3 * flops.get_total_flops() / 2e9
        )  # torch's count of a grouped backward is wrong
        with PeakMemory() as memory:
            loss = self.loss()
            self.activations_mb = memory.live / 1e6
            loss.backward()
        self.peak_mb = memory.peak / 1e6
        self.adam.zero_grad()

    def loss(self) -> Tensor:
        """Compute the loss of a training step."""
        outputs = getattr(self.net.train(), "forward_stages", self.net)(self.images)
        return sum(t.square().mean() for t in tensors_of(outputs))

    def step(self) -> None:
        """Make a training step."""
        self.loss().backward()
        self.adam.step()
        self.adam.zero_grad()

    def forward(self) -> Tensor:
        """Compute the logits of one image."""
        return infer(self.net.eval(), self.image)


def infer(net: nn.Module, image: Tensor) -> Tensor:
    """Compute the logits of one image without a graph for backward."""
    with torch.inference_mode():
        return net(image)


def now() -> np.ndarray:
    """Return [wall, CPU] seconds."""
    return np.array([time.perf_counter(), time.process_time()])


def in_turns(tasks: dict[str, Task], rounds: int) -> dict[str, np.ndarray]:
    """Return seconds (rounds, 2), wall and CPU, of tasks that take turns, after one unmeasured."""
    seconds: dict[str, list] = {name: [] for name in tasks}
    for number in range(rounds + 1):
        for name in np.roll(list(tasks), number):
            begun = now()
            tasks[name]()
            if number:
                seconds[name].append(now() - begun)
    return {name: np.array(times) for name, times in seconds.items()}


def summary(times: np.ndarray, reference: np.ndarray) -> dict:
    """Summarise the times of a task beside those of another in the same rounds."""
    wall, cpu = np.median(times, axis=0)
    ratio, cpu_ratio = np.median(times / reference, axis=0)
    return {
        "ms": round(1000 * float(wall), 2),
        "ratio": round(float(ratio), 3),
        "cpu_ms": round(1000 * float(cpu), 2),
        "cpu_ratio": round(float(cpu_ratio), 3),
        "ms_of_rounds": [round(1000 * float(t), 1) for t in times[:, 0]],
    }


def measure_nets(names: list[str], size: int, batch: int, rounds: int) -> dict:
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
    seconds = in_turns(tasks, rounds)
    peaks = {name: work / float(seconds[name][:, 0].min()) for name, work in gmacs.items()}
    peak = max(peaks.values())
    rows = {}
    for name, candidate in found.items():
        folded = folding(candidate.net)
        rows[name] = {
            "parameters": models.measure.count_parameters(candidate.net),
            "gmacs": round(candidate.gmacs, 3),
            "step_gmacs": round(candidate.step_gmacs, 3),
            **memory_of(candidate),
            "normalisations_folded": len(folded.pairs),
            "normalisations_left": len(folded.left),
            "why_left": next((f"{norm} {why}" for norm, why in folded.left.items()), None),
        }
        for kind, gmacs in (("forward", candidate.gmacs), ("step", candidate.step_gmacs)):
            times = seconds[f"{kind} {name}"]
            reached = gmacs / float(times[:, 0].min())
            rows[name][kind] = {
                **summary(times, seconds[f"{kind} {REFERENCE}"]),
                "share_of_peak": round(reached / peak, 3),
            }
    about = {"size": size, "batch": batch, "rounds": rounds, "reference": REFERENCE}
    about["gmacs_a_second"] = {name: round(value, 1) for name, value in peaks.items()}
    return {**about, "nets": rows}


def memory_of(candidate: Candidate) -> dict:
    """Return what a training step holds, in MB (10^6 bytes)."""
    return {
        "activations_mb": round(candidate.activations_mb, 1),
        "peak_mb": round(candidate.peak_mb, 1),
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
    seconds = in_turns(tasks, rounds)
    forms = {name: summary(times, seconds["eager"]) for name, times in seconds.items()}
    best, targets = min(form["ratio"] for form in forms.values()), TARGETS[wiring]
    reached = [forms["fused_channels_last"]["ratio"] <= targets[0], best <= targets[1]]
    return {"targets": targets, "reached": reached, "forms": forms}


def measure_forms(base: int, size: int, rounds: int, threads: int) -> dict:
    """Return the times of all forms for both wirings, each in a process of its own.

    What one net leaves of memory in the allocator would make the next one faster.
    """
    spawn = multiprocessing.get_context("spawn")
    wirings = {}
    for wiring in TARGETS:
        with ProcessPoolExecutor(1, spawn) as process:
            work = process.submit(measure_wiring, wiring, base, size, rounds, threads)
            wirings[wiring] = work.result()
    about = {"net": "REUnet, reading of the code", "base": base, "size": size, "rounds": rounds}
    return {**about, "wirings": wirings}


def measure_checkpointing(base: int, size: int, batch: int, rounds: int) -> dict:
    """Return memory and time of REUnet's training step with and without recomputation."""
    about = {"net": "REUnet, described wiring", "base": base, "size": size, "batch": batch}
    about |= {"rounds": rounds, "readings": {}}
    for reading in ("paper", "code"):
        found = {}
        for name, checkpoint in (("kept", False), ("recomputed", True)):
            net = REUnet(reading=reading, base=base, checkpoint=checkpoint)
            found[name] = Candidate(net, size, batch)
        seconds = in_turns({name: candidate.step for name, candidate in found.items()}, rounds)
        about["readings"][reading] = {
            name: {
                **memory_of(candidate),
                "gradients_mb": round(4e-6 * models.measure.count_parameters(candidate.net), 1),
                "step": summary(seconds[name], seconds["kept"]),
            }
            for name, candidate in found.items()
        }
    return about


def table(result: dict) -> pd.DataFrame:
    """Return a result as one row a net, form or way of keeping activations."""
    if "nets" in result:
        rows = {
            name: {
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
        }
        return pd.DataFrame.from_dict(rows, orient="index")
    inner = "wirings" if "wirings" in result else "readings"
    rows = []
    for outer, part in result[inner].items():
        for name, row in part.get("forms", part).items():
            memory = {key: value for key, value in row.items() if key.endswith("_mb")}
            rows.append({inner[:-1]: outer, "form": name, **memory, **row.get("step", row)})
    return pd.DataFrame(rows).drop(columns="ms_of_rounds")


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


def parse() -> argparse.Namespace:
    """Read the options."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    part = parser.add_mutually_exclusive_group()
    part.add_argument("--inference-forms", action="store_true", help="REUnet, released code")
    part.add_argument("--checkpointing", action="store_true", help="REUnet's training memory")
    parser.add_argument("--nets", nargs="*", choices=models.PRESETS, default=list(models.PRESETS))
    parser.add_argument("--size", type=int, help="px; 256, or 64 with --small")
    parser.add_argument("--batch", type=int, default=1, help="of a training step")
    parser.add_argument("--base", type=int, help="of REUnet in the parts; 32, or 4 with --small")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--small", action="store_true", help="about a minute")
    parser.add_argument("--out", type=Path, help="JSON")
    parser.add_argument("--figure", type=Path, help="PNG, of the nets")
    given = parser.parse_args()
    given.size = given.size or (64 if given.small else 256)
    given.base = given.base or (4 if given.small else 32)
    return given


def main() -> None:
    """Measure and print; with --out also write the result with machine and versions."""
    given = parse()
    torch.set_num_threads(given.threads)
    torch.manual_seed(0)
    command = "benchmarks/models.py"
    if given.inference_forms:
        command += " --inference-forms"
        result = measure_forms(given.base, given.size, given.rounds, given.threads)
    elif given.checkpointing:
        command += " --checkpointing"
        result = measure_checkpointing(given.base, given.size, given.batch, given.rounds)
    else:
        result = measure_nets(given.nets, given.size, given.batch, given.rounds)
    print(table(result).to_string(float_format=lambda v: f"{v:,.3f}"))
    if given.out:
        import monai

        versions = {"monai": monai.__version__, "onnxruntime": onnxruntime.__version__}
        about = {"command": command, **result, **versions}
        about |= records.environment(torch.device("cpu"))
        given.out.parent.mkdir(parents=True, exist_ok=True)
        records.write_json(given.out, about)
    if given.figure:
        draw(result, given.figure)


if __name__ == "__main__":
    main()
