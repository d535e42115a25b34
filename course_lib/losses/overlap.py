"""Losses that compare probabilities with the reference pixel by pixel or by their overlap.

Dice, cross-entropy, their sum and focal loss take volumes as well: logits ``(B, K, D, H, W)`` with
labels ``(B, D, H, W)``, where voxels are meant by pixels.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_lib.losses.inputs import at_least_float32, checked, probabilities_of


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
    return _soft_dice(*checked(logits, target, volumes=True), smooth)


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
    return _cross_entropy(*checked(logits, target, volumes=True))


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
    logits, reference = checked(logits, target, volumes=True)
    return _soft_dice(logits, reference, smooth) + _cross_entropy(logits, reference)


def pixel_cross_entropy(logits: Tensor, target: Tensor) -> Tensor:
    """Return the cross-entropy of every pixel, ``-log p(reference class)``.

    Args:
        logits: ``(B, K, H, W)`` float, any range.
        target: ``(B, H, W)`` integer labels.

    Returns:
        ``(B, H, W)`` in nats, >= 0, float32 (float64 for float64 logits).

    Raises:
        ValueError: for a wrong shape or a label outside the classes.
    """
    logits, reference = checked(logits, target)
    if logits.shape[1] == 1:
        loss = F.binary_cross_entropy_with_logits(logits, reference, reduction="none")
        return loss[:, 0]
    return F.cross_entropy(logits, reference, reduction="none")


def soft_dice_ce_loss(logits: Tensor, reference: Tensor, smooth: float = 1.0) -> Tensor:
    """Return :func:`dice_ce_loss` for a reference of fractions, such as a mask made smaller.

    Args:
        logits: ``(B, K, H, W)`` float, any range.
        reference: ``(B, K, H, W)`` float in 0..1, the fraction of each class; over all classes 1
            for ``K > 1``, of the foreground for ``K = 1``. See :func:`pooled_reference`.
        smooth: see :func:`dice_loss`.

    Returns:
        Scalar >= 0, float32 (float64 for float64 logits).

    Raises:
        ValueError: for shapes that differ, or a smooth that is not > 0.
    """
    if logits.ndim != 4 or logits.shape != reference.shape:
        raise ValueError(
            f"logits and reference must both be (B, K, H, W), got {tuple(logits.shape)} and "
            f"{tuple(reference.shape)}"
        )
    logits = at_least_float32(logits)
    reference = reference.to(logits)
    return _soft_dice(logits, reference, smooth) + _cross_entropy(logits, reference)


def pooled_reference(target: Tensor, channels: int, size: tuple[int, int]) -> Tensor:
    """Return the fraction of each class in each cell of a coarser grid.

    Args:
        target: ``(B, H, W)`` integer labels.
        channels: K of the logits that are compared with it; 1 for the binary task.
        size: height and width of the grid in cells, at most H and W.

    Returns:
        ``(B, K, *size)`` float32 in 0..1.
    """
    foreground = target[:, None]
    if channels > 1:
        labels = torch.arange(channels, device=target.device)
        foreground = target[:, None] == labels[:, None, None]
    return F.adaptive_avg_pool2d(foreground.float(), size)


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
    logits, reference = checked(logits, target, volumes=True)
    if logits.shape[1] == 1:  # sigmoid(z) is the softmax of (0, z)
        logits = torch.cat([torch.zeros_like(logits), logits], dim=1)
        reference = torch.cat([1 - reference, reference], dim=1)
    log_probabilities = logits.log_softmax(1)
    log_p = (log_probabilities * reference).sum(1)
    # log(1 - p) from the other classes: no cancellation when p is close to 1
    log_not_p = log_probabilities.masked_fill(reference > 0, -torch.inf).logsumexp(1)
    return -((gamma * log_not_p).exp() * log_p).mean()


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


def _soft_dice(logits: Tensor, reference: Tensor, smooth: float) -> Tensor:
    if not smooth > 0:
        raise ValueError(f"smooth must be greater than 0, got {smooth}")
    probabilities = probabilities_of(logits)
    space = tuple(range(2, logits.ndim))
    overlap = (probabilities * reference).sum(space)
    size = probabilities.sum(space) + reference.sum(space)
    return (1 - (2 * overlap + smooth) / (size + smooth)).mean()


def _cross_entropy(logits: Tensor, reference: Tensor) -> Tensor:
    if logits.shape[1] == 1:
        return F.binary_cross_entropy_with_logits(logits, reference)
    # one-hot instead of index targets: those have no deterministic kernel on CUDA
    return F.cross_entropy(logits, reference)
