"""Batches of a data set on the training device, and what identifies the cases."""

import hashlib
from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from course_lib import losses

if TYPE_CHECKING:
    from course_lib.data.dataset import Dataset

SHARE_OF_MEMORY = 0.25  # the rest is for the net, its gradients and the maps kept for backward


class Batches:
    """Reads batches of a data set on a device.

    On the CPU they are sliced from the arrays (memory maps for an opened folder). On an
    accelerator the whole set is put there once, as uint8, where it takes at most a quarter of the
    free memory; else every batch is sliced and sent.

    Args:
        data: a data set: ``len(data)``, ``batch(indices, device)``, ``images``, ``masks``.
        device: where batches are wanted.
    """

    def __init__(self, data: "Dataset", device: torch.device) -> None:
        self.data = data
        self.device = device
        self.resident = None
        if fits(data, device):
            arrays = (data.images, data.masks)
            self.resident = [torch.from_numpy(np.array(array)).to(device) for array in arrays]

    def read(self, indices: Iterable[int]) -> tuple[Tensor, Tensor]:
        """Return images ``(B, C, H, W)`` float32 in 0..1 and labels ``(B, H, W)`` int64."""
        if self.resident is None:
            return self.data.batch(indices, self.device)
        rows = torch.as_tensor(np.asarray(indices), device=self.device)
        images, masks = (array[rows] for array in self.resident)
        return images.float().div_(255), masks.long()

    def check_labels(self) -> None:
        """Read all masks once and raise ValueError for a label outside the classes.

        The losses look at labels on the CPU only: on a GPU that would stall every update.
        """
        if self.device.type == "cpu":
            return
        if self.resident is not None:
            losses.check_labels(self.resident[1], self.data.num_classes)
            return
        for start in range(0, len(self.data), 64):
            rows = range(start, min(start + 64, len(self.data)))
            losses.check_labels(self.data.batch(rows)[1], self.data.num_classes)


def fits(data: "Dataset", device: torch.device) -> bool:
    """Tell whether the whole set may lie on an accelerator."""
    if device.type == "cuda":
        free = torch.cuda.mem_get_info(device)[0]
    elif device.type == "mps":
        free = torch.mps.recommended_max_memory() - torch.mps.driver_allocated_memory()
    else:
        return False
    images, masks = data.batch([0])
    return len(data) * (images.numel() + masks.numel()) <= SHARE_OF_MEMORY * free


def fingerprint(data: "Dataset") -> str:
    """Return a digest (hex) of the files and of the cases chosen from them, in their order."""
    ids = "\n".join(map(str, data.cases["case_id"]))
    return hashlib.sha256(f"{data.digest}\n{ids}".encode()).hexdigest()
