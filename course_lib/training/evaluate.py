"""A trained net in use: probabilities of images, and the per-case table at original size."""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from course_lib import metrics, records


def evaluate(
    net: nn.Module, data, *, device="auto", threshold: float = 0.5, batch: int = 16
) -> pd.DataFrame:
    """Compare predicted with untouched masks, case by case, at the original size."""
    device = pick_device(device)
    names = data.class_names
    predictions = []
    for start in range(0, len(data), batch):
        rows = range(start, min(start + batch, len(data)))
        images, _ = data.batch(rows, device)
        for i, maps in zip(rows, predict(net, images, device=device, batch=batch), strict=True):
            predictions.append(_mask(maps, data.mask_full(i).shape, threshold))
    return metrics.evaluate_cases(
        predictions,
        [data.mask_full(i) for i in range(len(data))],
        list(data.cases["case_id"]),
        spacings=[data.spacing(i) for i in range(len(data))],
        groups=list(data.cases["group"]),
        classes=names,
        unit=data.unit,
    )


def predict(net: nn.Module, images, *, device="auto", batch: int = 16) -> Tensor:
    """Return the probabilities (N, K, H, W) float32 of images, on the CPU."""
    device = pick_device(device)
    images = torch.as_tensor(np.asarray(images) if isinstance(images, np.ndarray) else images)
    net.to(device)
    with evaluating(net), torch.inference_mode():
        parts = [_probabilities(net, part.to(device)).cpu() for part in images.split(batch)]
    return torch.cat(parts)


@contextmanager
def evaluating(net: nn.Module) -> Iterator[None]:
    """Put the net into evaluation mode, and back into the mode it was in."""
    before = net.training
    net.eval()
    try:
        yield
    finally:
        net.train(before)


def pick_device(device: str | torch.device) -> torch.device:
    """Turn ``"auto"`` or the name of a device into a device."""
    return device if isinstance(device, torch.device) else records.choose_device(device)


def _probabilities(net: nn.Module, images: Tensor) -> Tensor:
    images = images.float().div(255) if images.dtype == torch.uint8 else images
    logits = net(images).float()
    return logits.sigmoid() if logits.shape[1] == 1 else logits.softmax(1)


def _mask(probabilities: Tensor, size: tuple[int, int], threshold: float) -> np.ndarray:
    if probabilities.shape[1:] != size:
        maps = F.interpolate(probabilities[None], size=size, mode="bilinear", align_corners=False)
        probabilities = maps[0]
    if len(probabilities) == 1:
        return (probabilities[0] > threshold).numpy().astype(np.uint8)
    return probabilities.argmax(0).numpy().astype(np.uint8)
