"""What all losses ask of their input."""

import torch
from torch import Tensor


def check_labels(target: Tensor, num_classes: int) -> None:
    """Raise ValueError unless ``target`` holds integer labels 0..num_classes-1.

    Args:
        target: labels of any shape, integer or bool.
        num_classes: labels including the background; 2 for the binary task.

    Raises:
        ValueError: for floats, or naming the label that is out of range.
    """
    if target.is_floating_point() or target.is_complex():
        raise ValueError(f"target must hold integer labels, got {target.dtype}; use target.long()")
    if target.numel() == 0:
        raise ValueError(f"target is empty, shape {tuple(target.shape)}")
    low, high = (int(value) for value in target.aminmax())
    if low < 0 or high >= num_classes:
        wrong = low if low < 0 else high
        raise ValueError(f"target holds label {wrong}; labels must be 0..{num_classes - 1}")


def checked(logits: Tensor, target: Tensor, *, volumes: bool = False) -> tuple[Tensor, Tensor]:
    """Return logits in at least float32 and the one-hot reference beside them, or raise.

    Args:
        logits: ``(B, K, H, W)``; with ``volumes`` also ``(B, K, D, H, W)``.
        target: integer labels, the same without K.
        volumes: whether the loss can take volumes.
    """
    if logits.ndim != 4 and not (volumes and logits.ndim == 5):
        more = "; those of volumes are (B, K, D, H, W)" if volumes else ""
        raise ValueError(f"logits must be (B, K, H, W), got shape {tuple(logits.shape)}{more}")
    batch, channels, *size = logits.shape
    if channels == 1 and target.shape == logits.shape:
        target = target[:, 0]
    if tuple(target.shape) != (batch, *size):
        raise ValueError(
            f"target must be {(batch, *size)} for logits {tuple(logits.shape)}, "
            f"got {tuple(target.shape)}"
        )
    if target.device.type == "cpu" or target.is_floating_point():
        check_labels(target, max(2, channels))
    logits = at_least_float32(logits)
    if channels == 1:
        return logits, target[:, None].to(logits.dtype)
    return logits, torch.zeros_like(logits).scatter_(1, target[:, None].long(), 1)


def at_least_float32(logits: Tensor) -> Tensor:
    """Return float64 as it is and everything else as float32."""
    return logits if logits.dtype == torch.float64 else logits.float()


def probabilities_of(logits: Tensor) -> Tensor:
    """Return sigmoid for one channel, softmax over the channels for more."""
    return logits.sigmoid() if logits.shape[1] == 1 else logits.softmax(1)
