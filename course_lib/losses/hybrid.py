"""SiGREnet's loss of four terms, and the terms that need no mask."""

import math
from dataclasses import asdict, dataclass

import torch
from torch import Tensor, nn

from course_lib.losses.boundary import boundary_loss, laplacian_boundary_loss
from course_lib.losses.inputs import at_least_float32, probabilities_of
from course_lib.losses.overlap import cross_entropy_loss, dice_loss


@dataclass(frozen=True)
class HybridWeights:
    """Weights of the four terms, each from 0; a term of weight 0 is not computed.

    Raises:
        ValueError: for a weight that is negative or not finite, or a boundary term alone.
    """

    dice: float = 1.0
    ce: float = 1.0
    boundary: float = 0.1
    consistency: float = 0.1

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if not (value >= 0 and math.isfinite(value)):
                raise ValueError(f"weight {name} must be 0 or greater, got {value!r}")
        if self.boundary and not self.dice + self.ce:
            raise ValueError("a boundary loss does not train a net alone; add dice or ce")


def hybrid_terms(
    logits: Tensor,
    target: Tensor,
    view_logits: Tensor | None = None,
    *,
    distance: Tensor | None = None,
    weights: HybridWeights = HybridWeights(),
) -> dict[str, Tensor]:
    """Return the terms of the hybrid loss that have a weight, before they are weighted.

    Args:
        logits: ``(B, K, H, W)`` float of the images as they are.
        target: ``(B, H, W)`` integer labels.
        view_logits: ``(B, K, H, W)`` of a changed copy of the images, brought back to their place;
            needed for ``consistency``.
        distance: from :func:`distance_map`; with it ``boundary`` is :func:`boundary_loss`, without
            :func:`laplacian_boundary_loss`.
        weights: which terms are wanted.

    Returns:
        Scalars under ``dice``, ``ce``, ``boundary``, ``consistency``.

    Raises:
        ValueError: as the terms do, or view_logits are missing.
    """
    terms = {}
    if weights.dice:
        terms["dice"] = dice_loss(logits, target)
    if weights.ce:
        terms["ce"] = cross_entropy_loss(logits, target)
    if weights.boundary and distance is None:
        terms["boundary"] = laplacian_boundary_loss(logits, target)
    elif weights.boundary:
        terms["boundary"] = boundary_loss(logits, distance)
    if weights.consistency:
        if view_logits is None:
            raise ValueError(
                "the consistency term needs view_logits; hand them in or set its weight to 0"
            )
        terms["consistency"] = consistency_loss(logits, view_logits)
    return terms


def hybrid_loss(
    logits: Tensor,
    target: Tensor,
    view_logits: Tensor | None = None,
    *,
    distance: Tensor | None = None,
    weights: HybridWeights = HybridWeights(),
) -> Tensor:
    """Return Dice + cross-entropy + boundary + self-supervised consistency, weighted.

    Args:
        logits: see :func:`hybrid_terms`, as the others.
        target: labels.
        view_logits: of a changed copy of the images.
        distance: for the boundary loss of Kervadec et al. instead of the Laplacian one.
        weights: of the terms.

    Returns:
        Scalar, float32 (float64 for float64 logits).

    Raises:
        ValueError: as :func:`hybrid_terms`.

    Source: SiGREnet, section II.C, which names the four terms; its formula is missing, so the
    weights and what the last two terms are is ours. Section III.4 trains with Dice + CE alone.
    """
    terms = hybrid_terms(logits, target, view_logits, distance=distance, weights=weights)
    return sum(getattr(weights, name) * value for name, value in terms.items())


def boundary_weight(epoch: int) -> float:
    """Return the weight of Kervadec's boundary loss in an epoch: 0.01 more each, at most 0.5.

    From the start at full weight it would pull every pixel to the background.

    Source: Kervadec et al. 2019 raise it by 0.01 an epoch; the bound is ours.
    """
    return min(0.01 * epoch, 0.5)


def consistency_loss(logits: Tensor, view_logits: Tensor) -> Tensor:
    """Return the mean squared difference of the probabilities of images and changed copies.

    The images as they are give the goal: no gradient flows through ``logits``.

    Args:
        logits: ``(B, K, H, W)`` float of the images as they are.
        view_logits: ``(B, K, H, W)`` of their changed copies; flipped ones flipped back.

    Returns:
        Scalar in [0, 1], float32 (float64 for float64 logits).

    Raises:
        ValueError: for a wrong shape.
    """
    if logits.ndim != 4 or logits.shape != view_logits.shape:
        raise ValueError(
            f"logits and view_logits must both be (B, K, H, W), got {tuple(logits.shape)} and "
            f"{tuple(view_logits.shape)}"
        )
    goal = probabilities_of(at_least_float32(logits.detach()))
    return (probabilities_of(at_least_float32(view_logits)) - goal).square().mean()


def masked_l1_loss(reconstruction: Tensor, images: Tensor, hidden: Tensor) -> Tensor:
    """Return the mean absolute error of each image where it was hidden from the net.

    Args:
        reconstruction: ``(B, C, H, W)`` float, any range.
        images: ``(B, C, H, W)`` float, what should have come out.
        hidden: ``(B, 1, H, W)`` or ``(1, 1, H, W)`` bool or 0/1; where the net saw nothing.

    Returns:
        ``(B,)`` in the unit of the images, float32 (float64 for float64).

    Raises:
        ValueError: for a wrong shape.
    """
    batch, _, *size = images.shape
    if reconstruction.shape != images.shape or tuple(hidden.shape[1:]) != (1, *size):
        raise ValueError(
            f"reconstruction and images must be (B, C, H, W), hidden (B or 1, 1, H, W); got "
            f"{tuple(reconstruction.shape)}, {tuple(images.shape)}, {tuple(hidden.shape)}"
        )
    error = at_least_float32(reconstruction) - at_least_float32(images)
    error = error.abs().mean(1, keepdim=True)
    hidden = torch.broadcast_to(hidden, (batch, 1, *size)).to(error)
    return (error * hidden).sum((1, 2, 3)) / hidden.sum((1, 2, 3)).clamp(min=1)


class HybridLoss(nn.Module):
    """Module form of :func:`hybrid_loss`."""

    def __init__(self, weights: HybridWeights = HybridWeights()) -> None:
        super().__init__()
        self.weights = weights

    def forward(
        self,
        logits: Tensor,
        target: Tensor,
        view_logits: Tensor | None = None,
        distance: Tensor | None = None,
    ) -> Tensor:
        """Return :func:`hybrid_loss` of the same arguments."""
        return hybrid_loss(logits, target, view_logits, distance=distance, weights=self.weights)
