"""Training a net, asking it about every case, and finding the answer again the next time."""

import dataclasses
import hashlib
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from tqdm import tqdm

from course_lib.curriculum.scores import Scores
from course_lib.training import History, Protocol, Strategy, fit
from course_lib.training.batches import Batches, fingerprint
from course_lib.training.evaluate import evaluating, pick_device

if TYPE_CHECKING:
    from course_lib.data.dataset import Dataset

BATCH = 32  # cases at a time


class Found(NamedTuple):
    """Answers and the time they took."""

    values: np.ndarray
    seconds: float


@dataclass(frozen=True)
class Job:
    """Where the scores of one kind, data set, net and set of options are kept."""

    kind: str
    data: "Dataset"
    protocol: Protocol
    folder: Path
    scores: Scores | None  # None: not made yet

    def updates_an_epoch(self, cases: int) -> int:
        """Return how many updates ``fit`` makes of so many cases."""
        updates = -(-cases // self.protocol.batch)
        return min(updates, self.protocol.max_updates or updates)

    def keep(
        self,
        values: np.ndarray,
        seconds: float,
        updates: int,
        passes: int,
        net: nn.Module | None = None,
        accuracy: float = float("nan"),
    ) -> Scores:
        """Write scores and return them.

        A forward pass counts as a third of an update, whose backward pass costs twice as much.
        """
        scores = Scores(
            tuple(map(str, self.data.cases["case_id"])),
            values,
            self.kind,
            seed=self.protocol.seed,
            data=fingerprint(self.data),
            model="" if net is None else digest_of(net),
            made_at_update=updates,
            accuracy=accuracy,
            seconds=seconds,
            cost_in_updates=updates + passes * len(self.data) / (3 * self.protocol.batch),
        )
        scores.save(self.folder / "scores.npz")
        return scores


def cached(
    kind: str,
    data: "Dataset",
    source: "Dataset",
    net: nn.Module,
    protocol: Protocol,
    out: Path,
    options: dict,
) -> Job:
    """Return the job that everything given decides, with its scores if they were made before."""
    about = [kind, fingerprint(data), fingerprint(source), digest_of(net), protocol.as_dict()]
    key = hashlib.sha256(json.dumps([*about, options], sort_keys=True).encode()).hexdigest()
    folder = out / f"{kind}-{key[:16]}"
    scores = None
    if (folder / "scores.npz").exists():
        scores = Scores.load(folder / "scores.npz")
        scores.check(data)
    return Job(kind, data, protocol, folder, scores)


def train_to_the_end(
    net: nn.Module,
    data: "Dataset",
    strategy: Strategy,
    protocol: Protocol,
    out: Path,
    device: str | torch.device,
    progress: bool,
) -> History:
    """Train a net without a validation set; it ends with the weights of the last epoch.

    An earlier training in ``out`` is gone on with, or only loaded if it was finished.
    """
    protocol = dataclasses.replace(protocol, patience=None)
    with tqdm(total=protocol.epochs, desc="learning to score", disable=not progress) as bar:
        history = fit(
            net,
            data,
            data.subset([0]),  # fit wants one; its Dice decides nothing here
            protocol,
            out,
            device=device,
            resume=True,
            strategy=strategy,
            log=lambda row: bar.update(),
        )
    last = torch.load(out / "last.pt", map_location="cpu", weights_only=True)
    net.load_state_dict(last["net"])
    return history


def score_all(
    net: nn.Module,
    data: "Dataset",
    score: Callable[[Tensor, Tensor], Tensor],
    device: str | torch.device,
    progress: bool,
) -> Found:
    """Ask ``score(images, masks) -> (B,)`` about every case, with the net in evaluation mode."""
    started, values = time.perf_counter(), []
    device = pick_device(device)
    net.to(device)
    batches = Batches(data, device)
    with (
        evaluating(net),
        torch.inference_mode(),
        tqdm(total=len(data), desc="scoring", disable=not progress) as bar,
    ):
        for start in range(0, len(data), BATCH):
            images, masks = batches.read(range(start, min(start + BATCH, len(data))))
            values.append(score(images, masks).double().cpu())
            bar.update(len(images))
    return Found(torch.cat(values).numpy(), time.perf_counter() - started)


def digest_of(net: nn.Module) -> str:
    """Return a digest (hex) of names, shapes and values of all parameters and buffers."""
    digest = hashlib.sha256()
    for name, tensor in net.state_dict().items():
        array = tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy()
        digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}\n".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()
