"""A trained net in use: probabilities of images, and the per-case table at original size."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from course_lib import metrics, records

if TYPE_CHECKING:
    from course_lib.data.dataset import Dataset


def evaluate(
    net: nn.Module,
    data: "Dataset",
    *,
    device: str | torch.device = "auto",
    threshold: float = 0.5,
    batch: int = 16,
) -> pd.DataFrame:
    """Compare predicted with untouched masks, case by case, at the original size.

    Probabilities are brought to the size of the untouched mask (bilinear) and become a mask there:
    above the threshold for a binary net, the largest of the classes otherwise. Runs
    in float32; on GPUs that have TF32, cuDNN may round the inputs of convolutions to it, so that
    scores can differ a little from those of a CPU (not measured: nothing was run on a GPU).

    Args:
        net: ``(B, C, H, W)`` float to logits ``(B, K, H, W)``; K = 1 for a binary task.
        data: data set, see :class:`course_lib.data.prepared.Dataset`.
        device: ``"auto"`` takes cuda, then mps, then cpu.
        threshold: of binary probabilities, between 0 and 1.
        batch: images at a time.

    Returns:
        The table of :func:`course_lib.metrics.evaluate_cases`: one row a case and foreground
        class, raw values; distances in ``data.unit``.

    Raises:
        ValueError: for a threshold out of range, a net whose channels do not fit the classes, or
            a set of volumes.
    """
    if not 0 < threshold < 1:
        raise ValueError(f"threshold must be between 0 and 1, got {threshold}")
    if data.all_images.ndim != 4:
        raise ValueError(
            f"{data.name} holds volumes, whose distances are not measured; for overlap alone: "
            "metrics.evaluate_volumes(training.predict_labels(net, data), data.masks, ...)"
        )
    targets = [data.mask_full(i) for i in range(len(data))]
    predictions = []
    for probabilities in _batches(net, data, pick_device(device), batch):
        check_channels(probabilities, data.num_classes)
        for maps in probabilities:
            size = targets[len(predictions)].shape
            predictions.append(to_mask(at_size(maps, size), threshold))
    return metrics.evaluate_cases(
        predictions,
        targets,
        list(data.cases["case_id"]),
        spacings=[data.spacing(i) for i in range(len(data))],
        groups=list(data.cases["group"]),
        classes=data.class_names,
        unit=data.unit,
    )


def predict(
    net: nn.Module,
    images: "Tensor | np.ndarray | Dataset",
    *,
    device: str | torch.device = "auto",
    batch: int = 16,
) -> Tensor:
    """Return the probabilities of images.

    Args:
        net: ``(B, C, H, W)`` float to logits ``(B, K, H, W)``.
        images: ``(N, C, H, W)``, or ``(N, C, D, H, W)`` of volumes, array or tensor: uint8, or
            float in 0..1; or a data set.
        device: ``"auto"`` takes cuda, then mps, then cpu.
        batch: images at a time.

    Returns:
        ``(N, K, H, W)`` or ``(N, K, D, H, W)`` float32 on the CPU: sigmoid for K = 1, else softmax
        over K.

    Raises:
        ValueError: for images of another shape.
    """
    return torch.cat(list(_batches(net, images, pick_device(device), batch)))


def predict_labels(
    net: nn.Module,
    images: "Tensor | np.ndarray | Dataset",
    *,
    device: str | torch.device = "auto",
    threshold: float = 0.5,
    batch: int = 16,
) -> np.ndarray:
    """Return the predicted labels ``(N, H, W)`` or ``(N, D, H, W)`` uint8, at the images' size.

    Arguments and errors as :func:`predict`; ``threshold`` is of binary probabilities.
    """
    found = predict(net, images, device=device, batch=batch)
    return np.stack([to_mask(one, threshold) for one in found])


def check_channels(logits: Tensor, num_classes: int) -> None:
    """Raise ValueError unless the channels ``(B, K, ...)`` fit the classes of the data."""
    channels = logits.shape[1]
    if channels != num_classes and not (num_classes == 2 and channels == 1):
        wanted = 1 if num_classes == 2 else num_classes
        raise ValueError(
            f"the net gives {channels} channels but the data have {num_classes} classes with the "
            f"background; make it with num_classes={wanted}"
        )


def to_probabilities(logits: Tensor) -> Tensor:
    """Return probabilities of logits ``(B, K, ...)``: sigmoid for K = 1, else softmax over K."""
    return logits.sigmoid() if logits.shape[1] == 1 else logits.softmax(1)


def at_size(probabilities: Tensor, size: tuple[int, int]) -> Tensor:
    """Bring the probabilities ``(K, H, W)`` of one case to another height and width, bilinearly."""
    if tuple(probabilities.shape[1:]) == tuple(size):
        return probabilities
    return F.interpolate(probabilities[None], size=size, mode="bilinear")[0]


def to_mask(probabilities: Tensor, threshold: float) -> np.ndarray:
    """Return the labels (H, W) uint8 of the probabilities ``(K, H, W)`` of one case.

    For K = 1 label 1 is above the threshold; else the class of the largest probability is taken.
    """
    chosen = probabilities[0] > threshold if len(probabilities) == 1 else probabilities.argmax(0)
    return chosen.numpy().astype(np.uint8)


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


def _batches(net: nn.Module, source, device: torch.device, batch: int) -> Iterator[Tensor]:
    """Yield the probabilities ``(B, K, H, W)`` float32, on the CPU, batch by batch."""
    net.to(device)
    read = _reader(source, device)
    with evaluating(net), torch.inference_mode():
        for start in range(0, len(source), batch):
            logits = net(read(slice(start, start + batch))).float()
            yield to_probabilities(logits).cpu()


def _reader(source, device: torch.device):
    """Return a function from a slice to images ``(B, C, H, W)`` float32 on the device."""
    if hasattr(source, "batch"):
        everything = range(len(source))
        return lambda part: source.batch(everything[part], device)[0]
    if len(source.shape) not in (4, 5):
        raise ValueError(
            f"images must be (N, C, H, W) or (N, C, D, H, W), got shape {tuple(source.shape)}"
        )

    def read(part: slice) -> Tensor:
        chosen = source[part]
        chosen = torch.from_numpy(np.array(chosen)) if isinstance(chosen, np.ndarray) else chosen
        images = chosen.to(device).float()
        return images.div(255) if chosen.dtype == torch.uint8 else images

    return read
