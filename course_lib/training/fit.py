"""The training loop in plain PyTorch."""

import copy
import math
import time
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd
import torch
from torch import nn

from course_lib.data import transforms
from course_lib.training.evaluate import evaluating, pick_device
from course_lib.training.protocol import LOSSES, Protocol


@dataclass
class History:
    """What happened in training: one row an epoch, and which epoch was best."""

    epochs: list[dict] = field(default_factory=list)
    best_epoch: int = -1
    best_value: float = -math.inf

    def as_frame(self) -> pd.DataFrame:
        """Return the rows as a table."""
        return pd.DataFrame(self.epochs)


def fit(
    net: nn.Module, train, validation, protocol: Protocol, out: str | Path, *, device="auto"
) -> History:
    """Train a net and load the weights of the epoch with the best validation Dice."""
    device = pick_device(device)
    net.to(device)
    kind = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[protocol.optimiser]
    optimiser = kind(net.parameters(), protocol.learning_rate, weight_decay=protocol.weight_decay)
    loss_fn, history, best = LOSSES[protocol.loss], History(), None
    for epoch in range(protocol.epochs):
        started, total = time.perf_counter(), 0.0
        generator = torch.Generator().manual_seed(protocol.seed * 1_000_003 + epoch)
        order = torch.randperm(len(train), generator=generator)
        net.train()
        for k, rows in enumerate(order.split(protocol.batch)):
            if protocol.schedule == "cosine":
                progress = (epoch + k * protocol.batch / len(order)) / protocol.epochs
                rate = protocol.learning_rate * (1 + math.cos(math.pi * progress)) / 2
                optimiser.param_groups[0]["lr"] = rate
            images, masks = train.batch(rows.numpy(), device)
            images, masks = transforms.augment(images, masks, protocol.augmentation, generator)
            loss = loss_fn(net(images), masks)
            optimiser.zero_grad()
            loss.backward()
            norm = nn.utils.clip_grad_norm_(net.parameters(), math.inf, error_if_nonfinite=True)
            optimiser.step()
            total += loss.item() * len(rows)
        value = _validation_dice(net, validation, device, protocol.batch)
        history.epochs.append(
            {
                "epoch": epoch,
                "loss": total / len(order),
                "val_dice": value,
                "seconds": time.perf_counter() - started,
                "grad_norm": norm.item(),
                "lr": optimiser.param_groups[0]["lr"],
            }
        )
        if value > history.best_value:
            history.best_epoch, history.best_value = epoch, value
            best = copy.deepcopy(net.state_dict())
    net.load_state_dict(best)
    net.eval()
    return history


def _validation_dice(net: nn.Module, data, device: torch.device, batch: int) -> float:
    scores = []
    with evaluating(net), torch.inference_mode():
        for start in range(0, len(data), batch):
            images, masks = data.batch(range(start, min(start + batch, len(data))), device)
            logits = net(images)
            labels = (logits[:, 0] > 0).long() if logits.shape[1] == 1 else logits.argmax(1)
            for k in range(1, data.num_classes):
                p, t = labels == k, masks == k
                size = p.sum((1, 2)) + t.sum((1, 2))
                overlap = 2 * (p & t).sum((1, 2)) / size.clamp(min=1)
                scores.append(torch.where(size > 0, overlap, 1.0))
    return torch.cat(scores).mean().item()
