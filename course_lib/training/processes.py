"""Several processes, started by torchrun, that train one net together."""

import atexit
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from torch import distributed, nn

from course_lib.training.evaluate import pick_device


@dataclass(frozen=True)
class Processes:
    """The place of this process among those that train together; alone: 0 of 1."""

    rank: int
    count: int
    device: torch.device

    def wrap(self, forward: nn.Module, unused_parameters: bool) -> nn.Module:
        """Return ``forward`` such that backward averages the gradients over the processes."""
        if self.count == 1:
            return forward
        devices = None if self.device.type == "cpu" else [self.device]
        return nn.parallel.DistributedDataParallel(
            forward, device_ids=devices, find_unused_parameters=unused_parameters
        )

    def share(self, indices: np.ndarray) -> np.ndarray:
        """Return this process's share of the indices of a batch over all processes."""
        return indices[self.rank :: self.count]

    def mean(self, values: list[float]) -> list[float]:
        """Return the mean over the processes of each number."""
        if self.count == 1:
            return [float(value) for value in values]
        tensor = torch.tensor(values, dtype=torch.float64, device=self.device)
        distributed.all_reduce(tensor)
        return (tensor / self.count).tolist()

    def from_first(self, value: dict) -> dict:
        """Return the first process's value in all; the others' is ignored."""
        if self.count == 1:
            return value
        box = [value]
        distributed.broadcast_object_list(box, device=self.device)
        return box[0]

    def copy_from_first(self, net: nn.Module) -> None:
        """Give the net in all processes the first one's parameters and buffers."""
        if self.count > 1:
            for tensor in net.state_dict().values():
                distributed.broadcast(tensor, src=0)


@contextmanager
def joined(device: str | torch.device) -> Iterator[Processes]:
    """Join the other processes of ``torchrun`` (environment RANK, WORLD_SIZE), or stay alone.

    Raises:
        ValueError: for an unknown device.
    """
    device = pick_device(device)
    count = int(os.environ.get("WORLD_SIZE", "1"))
    if count == 1:
        yield Processes(0, 1, device)
        return
    if device.type == "cuda" and device.index is None:
        device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
        torch.cuda.set_device(device)
    if not distributed.is_initialized():
        distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
        # kept for the next training of this process: a second group can hang on the first's remains
        atexit.register(distributed.destroy_process_group)
    yield Processes(distributed.get_rank(), count, device)
