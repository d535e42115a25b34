"""Segmentation losses: a function for each formula, and a thin Module that holds its arguments.

All functions take raw logits ``(B, K, H, W)`` and a reference mask of integer labels ``(B, H, W)``.
``K = 1`` is the binary task: sigmoid, labels {0, 1}, and a mask ``(B, 1, H, W)`` is accepted too.
``K > 1`` is the multi-class task: softmax, labels 0..K-1, label 0 being the background.

Half-precision logits are lifted to float32 first, because a float16 sum over 512 x 512 pixels
overflows to infinity; float64 stays float64.

Labels are checked on the CPU only. On a GPU the check would stall the queue at every step, so
whoever loads the data calls :func:`check_labels` there once.
"""

import numpy as np
import torch
import torch.nn.functional as F
from scipy.ndimage import distance_transform_edt
from torch import Tensor, nn


def dice_loss(logits: Tensor, target: Tensor, smooth: float = 1.0) -> Tensor:
    """Return the soft Dice loss, computed for each image and class and then averaged.

    ``1 - (2 sum(p y) + smooth) / (sum(p) + sum(y) + smooth)``, sums over the pixels of one image.
    With ``K > 1`` the background counts as a class like the others.

    Args:
        logits: ``(B, K, H, W)`` float, any range.
        target: ``(B, H, W)`` integer labels.
        smooth: added above and below. 1.0 keeps a gradient on images with an empty reference;
            1e-5 (MONAI's default) leaves them almost none.

    Returns:
        Scalar in [0, 1], float32 (float64 for float64 logits).

    Raises:
        ValueError: for a wrong shape, a label outside the classes, or a smooth that is not > 0.

    Source: Milletari et al. 2016 (V-Net), section 3, with plain instead of squared sums below.

    Example:
        >>> round(float(dice_loss(torch.zeros(1, 1, 2, 2), torch.ones(1, 2, 2, dtype=int))), 4)
        0.2857
    """
    return _soft_dice(*_checked(logits, target), smooth)


def cross_entropy_loss(logits: Tensor, target: Tensor) -> Tensor:
    """Return the cross-entropy, the mean over pixels of ``-log p(reference class)``.

    Args:
        logits: ``(B, K, H, W)`` float, any range.
        target: ``(B, H, W)`` integer labels.

    Returns:
        Scalar >= 0 in nats per pixel, float32 (float64 for float64 logits).

    Raises:
        ValueError: for a wrong shape or a label outside the classes.

    Example:
        >>> logits, target = torch.zeros(1, 3, 2, 2), torch.zeros(1, 2, 2, dtype=int)
        >>> round(float(cross_entropy_loss(logits, target)), 4)  # ln 3
        1.0986
    """
    return _cross_entropy(*_checked(logits, target))


def dice_ce_loss(logits: Tensor, target: Tensor, smooth: float = 1.0) -> Tensor:
    """Return Dice loss plus cross-entropy, each with weight 1: the default of the course.

    Args:
        logits: ``(B, K, H, W)`` float, any range.
        target: ``(B, H, W)`` integer labels.
        smooth: see :func:`dice_loss`.

    Returns:
        Scalar >= 0, float32 (float64 for float64 logits).

    Raises:
        ValueError: as :func:`dice_loss`.
    """
    logits, reference = _checked(logits, target)
    return _soft_dice(logits, reference, smooth) + _cross_entropy(logits, reference)


def focal_loss(logits: Tensor, target: Tensor, gamma: float = 2.0) -> Tensor:
    """Return the focal loss, the mean over pixels of ``-(1 - p)^gamma log p``.

    ``p`` is the probability of the reference class; ``gamma = 0`` is cross-entropy.

    Args:
        logits: ``(B, K, H, W)`` float, any range.
        target: ``(B, H, W)`` integer labels.
        gamma: >= 0; how strongly pixels that are already right are weighed down.

    Returns:
        Scalar >= 0, float32 (float64 for float64 logits).

    Raises:
        ValueError: for a wrong shape, a label outside the classes, or a negative gamma.

    Source: Lin et al. 2017 (RetinaNet), eq. 4; without the class weight alpha of eq. 5. MONAI's
    ``FocalLoss(use_softmax=True)`` also divides by the number of classes.
    """
    if not gamma >= 0:
        raise ValueError(f"gamma must be 0 or greater, got {gamma}")
    logits, reference = _checked(logits, target)
    if logits.shape[1] == 1:  # sigmoid(z) is the softmax of (0, z)
        logits = torch.cat([torch.zeros_like(logits), logits], dim=1)
        reference = torch.cat([1 - reference, reference], dim=1)
    log_probabilities = logits.log_softmax(1)
    log_p = (log_probabilities * reference).sum(1)
    # log(1 - p) from the other classes: no cancellation when p is close to 1
    log_not_p = log_probabilities.masked_fill(reference > 0, -torch.inf).logsumexp(1)
    return -((gamma * log_not_p).exp() * log_p).mean()


def boundary_loss(logits: Tensor, distance: Tensor) -> Tensor:
    """Return the boundary loss, the mean over pixels of ``p * distance``, foreground only.

    Negative values are right: the minimum is reached when ``p`` is the reference. Never use it
    alone or at weight 1 from the start; add it to Dice + CE with a weight that grows.

    Args:
        logits: ``(B, K, H, W)`` float, any range.
        distance: from :func:`distance_map`, ``(B, K - 1, H, W)`` (``K = 1``: ``(B, 1, H, W)``), px.

    Returns:
        Scalar in px, any sign, float32 (float64 for float64 logits).

    Raises:
        ValueError: for a wrong shape.

    Source: Kervadec et al. 2019, eq. 5.
    """
    if logits.ndim != 4:
        raise ValueError(f"logits must be (B, K, H, W), got shape {tuple(logits.shape)}")
    batch, channels, *size = logits.shape
    expected = (batch, max(1, channels - 1), *size)
    if tuple(distance.shape) != expected:
        raise ValueError(
            f"distance must be {expected} for logits {tuple(logits.shape)}, "
            f"got {tuple(distance.shape)}; make it with distance_map(masks, num_classes)"
        )
    probabilities = _probabilities(_at_least_float32(logits))
    foreground = probabilities if channels == 1 else probabilities[:, 1:]
    return (foreground * distance.to(foreground)).mean()


def distance_map(masks: np.ndarray | Tensor, num_classes: int = 2) -> Tensor:
    """Return the signed distance of every pixel to the border of each foreground class.

    Outside a class: the distance to its nearest pixel. Inside: minus the distance to the nearest
    pixel outside it, plus 1, so that the last pixel inside has 0. A class that is absent, or that
    fills the image, has no border: its map is 0 and it does not contribute.

    Args:
        masks: ``(B, H, W)`` integer labels 0..num_classes-1, array or tensor.
        num_classes: labels including the background; 2 for the binary task.

    Returns:
        ``(B, num_classes - 1, H, W)`` float32 on the CPU, px. It may be stored beside the mask and
        flipped or turned by 90 degrees with it; after any other warp compute it again.

    Raises:
        ValueError: for a wrong shape or a label outside the classes.

    Source: Kervadec et al. 2019, eq. 4, with the offset of 1 inside that the authors' code has.
    """
    masks = torch.as_tensor(masks)
    if masks.ndim != 3:
        raise ValueError(f"masks must be (B, H, W), got shape {tuple(masks.shape)}")
    check_labels(masks, num_classes)
    labels = masks.cpu().numpy()
    maps = [[_signed_distance(mask == k) for k in range(1, num_classes)] for mask in labels]
    return torch.from_numpy(np.array(maps, dtype=np.float32))


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


class DiceLoss(nn.Module):
    """Module form of :func:`dice_loss`."""

    def __init__(self, smooth: float = 1.0) -> None:
        super().__init__()
        self.smooth = smooth

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        """Return :func:`dice_loss` of logits ``(B, K, H, W)`` and labels ``(B, H, W)``."""
        return dice_loss(logits, target, self.smooth)


class CrossEntropyLoss(nn.Module):
    """Module form of :func:`cross_entropy_loss`."""

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        """Return :func:`cross_entropy_loss` of logits ``(B, K, H, W)`` and labels ``(B, H, W)``."""
        return cross_entropy_loss(logits, target)


class DiceCELoss(nn.Module):
    """Module form of :func:`dice_ce_loss`."""

    def __init__(self, smooth: float = 1.0) -> None:
        super().__init__()
        self.smooth = smooth

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        """Return :func:`dice_ce_loss` of logits ``(B, K, H, W)`` and labels ``(B, H, W)``."""
        return dice_ce_loss(logits, target, self.smooth)


class FocalLoss(nn.Module):
    """Module form of :func:`focal_loss`."""

    def __init__(self, gamma: float = 2.0) -> None:
        super().__init__()
        self.gamma = gamma

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        """Return :func:`focal_loss` of logits ``(B, K, H, W)`` and labels ``(B, H, W)``."""
        return focal_loss(logits, target, self.gamma)


class BoundaryLoss(nn.Module):
    """Module form of :func:`boundary_loss`; takes the distance map in the target's place."""

    def forward(self, logits: Tensor, distance: Tensor) -> Tensor:
        """Return :func:`boundary_loss` of logits ``(B, K, H, W)`` and their distance map."""
        return boundary_loss(logits, distance)


def _checked(logits: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Return logits in at least float32 and the one-hot reference beside them, or raise."""
    if logits.ndim != 4:
        raise ValueError(f"logits must be (B, K, H, W), got shape {tuple(logits.shape)}")
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
    logits = _at_least_float32(logits)
    if channels == 1:
        return logits, target[:, None].to(logits.dtype)
    return logits, torch.zeros_like(logits).scatter_(1, target[:, None].long(), 1)


def _at_least_float32(logits: Tensor) -> Tensor:
    return logits if logits.dtype == torch.float64 else logits.float()


def _probabilities(logits: Tensor) -> Tensor:
    return logits.sigmoid() if logits.shape[1] == 1 else logits.softmax(1)


def _soft_dice(logits: Tensor, reference: Tensor, smooth: float) -> Tensor:
    if not smooth > 0:
        raise ValueError(f"smooth must be greater than 0, got {smooth}")
    probabilities = _probabilities(logits)
    overlap = (probabilities * reference).sum((2, 3))
    size = probabilities.sum((2, 3)) + reference.sum((2, 3))
    return (1 - (2 * overlap + smooth) / (size + smooth)).mean()


def _cross_entropy(logits: Tensor, reference: Tensor) -> Tensor:
    if logits.shape[1] == 1:
        return F.binary_cross_entropy_with_logits(logits, reference)
    # one-hot instead of index targets: those have no deterministic kernel on CUDA
    return F.cross_entropy(logits, reference)


def _signed_distance(inside: np.ndarray) -> np.ndarray:
    # without any pixel of the other set SciPy's transform returns meaningless distances
    if inside.all() or not inside.any():
        return np.zeros(inside.shape)
    outward = distance_transform_edt(~inside)
    return np.where(inside, 1 - distance_transform_edt(inside), outward)
