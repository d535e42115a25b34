"""A net that takes turns with others, and the memory that its training step needs."""

import weakref

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from course_lib import models
from course_lib.models.measure import tensors_of


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

    def memory(self) -> dict:
        """Return what a training step holds, in MB (10^6 bytes)."""
        return {
            "activations_mb": round(self.activations_mb, 1),
            "peak_mb": round(self.peak_mb, 1),
        }


def infer(net: nn.Module, image: Tensor) -> Tensor:
    """Compute the logits of one image without a graph for backward."""
    with torch.inference_mode():
        return net(image)
