"""Randomness by counting: every generator is seeded by (seed, epoch, purpose), none is saved."""

import hashlib
import os
import typing
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch


def seed_of(seed: int, epoch: int, purpose: str, rank: int = 0) -> int:
    """Return the seed (0 to 2**63 - 1) of one purpose in one epoch of one process.

    Because it depends on nothing that happened before, a resumed run draws what an uninterrupted
    one would have drawn.
    """
    digest = hashlib.sha256(f"{seed}/{epoch}/{purpose}/{rank}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


class Sampler(typing.Protocol):
    """Anything that says which cases an epoch consists of."""

    def draw(self, epoch: int) -> Sequence[int]:
        """Return the case indices of a whole epoch in order; a case may come several times."""


class UniformSampler:
    """Every case once an epoch, in an order that depends on (seed, epoch) only."""

    def __init__(self, num_cases: int, seed: int) -> None:
        self.num_cases = num_cases
        self.seed = seed

    def draw(self, epoch: int) -> np.ndarray:
        """Return the case indices ``(num_cases,)`` int64 of an epoch."""
        generator = torch.Generator().manual_seed(seed_of(self.seed, epoch, "order"))
        return torch.randperm(self.num_cases, generator=generator).numpy()


@contextmanager
def kept_random_state(device: torch.device) -> Iterator[None]:
    """Give torch's global generators back as they were found."""
    if device.type == "cpu":
        with torch.random.fork_rng(devices=[]):
            yield
    else:
        index = 0 if device.index is None else device.index
        with torch.random.fork_rng(devices=[index], device_type=device.type):
            yield


@contextmanager
def deterministic() -> Iterator[None]:
    """Make PyTorch choose kernels that give the same bits every time; slower on a GPU.

    On CUDA some kernels have no such form: PyTorch then warns and goes on. On the CPU training is
    repeatable without it, as long as the number of threads stays the same. Use it around ``fit``,
    and before the first CUDA call of the process (cuBLAS reads its setting once).
    """
    mode = torch.are_deterministic_algorithms_enabled()
    warn_only = torch.is_deterministic_algorithms_warn_only_enabled()
    benchmark = torch.backends.cudnn.benchmark
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(True, warn_only=torch.cuda.is_available())
    torch.backends.cudnn.benchmark = False
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(mode, warn_only=warn_only)
        torch.backends.cudnn.benchmark = benchmark
