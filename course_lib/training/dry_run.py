"""One batch forward and backward, to see shapes, cost and dead parameters before a long run."""

import copy
import time
from dataclasses import dataclass

import torch
from torch import nn


@dataclass(frozen=True)
class DryRun:
    """What one batch showed."""

    device: str
    """Where it ran."""
    precision: str
    """Of the forward pass: float32, bfloat16 or float16."""
    images: tuple[int, ...]
    """Shape (B, C, H, W) of the batch of one process."""
    logits: tuple[int, ...]
    """Shape (B, K, H, W)."""
    parameters: int
    """Trainable ones."""
    without_gradient: list[str]
    """Names of trainable parameters that no loss of the strategy reaches."""
    updates_per_epoch: int
    """In the first epoch."""
    updates: int
    """In all epochs, if each is like the first and none is saved by patience."""
    loss: float
    """Of the first loss of the strategy."""
    grad_norm: float
    """Of its gradients, before clipping."""
    seconds: float
    """Forward and backward of that loss, the first and so the slowest time."""

    def __str__(self) -> str:
        dead = ", ".join(self.without_gradient) or "none"
        return "\n".join(
            [
                f"images {self.images} -> logits {self.logits}, {self.precision} on {self.device}",
                f"{self.parameters:,} trainable parameters; without gradient: {dead}",
                f"{self.updates_per_epoch} updates an epoch, at most {self.updates} in all",
                f"loss {self.loss:.4f}, gradient norm {self.grad_norm:.4f}, {self.seconds:.2f} s",
            ]
        )


def try_one_batch(net: nn.Module, run) -> DryRun:
    """Push the first batch of a run through a copy of the net, so that nothing changes.

    All losses of the strategy run backward; no optimiser steps between them.

    Args:
        net: the net.
        run: what :func:`course_lib.training.fit` prepared.
    """
    net = copy.deepcopy(net).to(run.group.device).train()
    generator, updates = run.seed(0), run.draw(0)
    images, masks = run.read(updates[0], generator)
    forward = run.forward_of(net)
    started = time.perf_counter()
    losses = iter(run.strategy(forward, images, masks, run.loss_fn))
    loss = next(losses)
    loss.backward()
    named = [(name, p) for name, p in net.named_parameters() if p.requires_grad]
    norm = float(nn.utils.get_total_norm([p.grad for _, p in named if p.grad is not None]))
    seconds = time.perf_counter() - started
    for later in losses:
        later.backward()
    with torch.inference_mode():
        logits = forward(images)
    return DryRun(
        device=str(run.group.device),
        precision=str(run.precision or torch.float32).removeprefix("torch."),
        images=tuple(images.shape),
        logits=tuple(logits.shape),
        parameters=sum(p.numel() for _, p in named),
        without_gradient=_without_gradient(net),
        updates_per_epoch=len(updates),
        updates=len(updates) * run.protocol.epochs,
        loss=float(loss.detach()),
        grad_norm=norm,
        seconds=seconds,
    )


def leaves_parameters_out(net: nn.Module, run) -> bool:
    """Tell whether the loss of ``forward`` reaches some trainable parameters only.

    It does where a head serves another stage's loss, or a layer another option. Tried with the
    first cases, as they are, on a copy of the net; the sampler is not asked.

    Args:
        net: the net, on the run's device.
        run: what :func:`course_lib.training.fit` prepared.
    """
    net = copy.deepcopy(net).train()
    images, masks = run.batches.read(range(min(run.protocol.batch, len(run.train))))
    run.loss_fn(run.forward_of(net)(images), masks).backward()
    return bool(_without_gradient(net))


def _without_gradient(net: nn.Module) -> list[str]:
    return [name for name, p in net.named_parameters() if p.requires_grad and p.grad is None]
