"""Curricula of pixels: the easy ones of every image and class first.

A pixel is as hard as its cross-entropy under the net that is being trained; no second net is
needed, as GREnet has one. The limits are drawn class by class, else small structures, whose pixels
are all hard, would not be learned at all.
"""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor

from course_lib import losses
from course_lib.curriculum.pacing import Pacing
from course_lib.losses import HybridWeights
from course_lib.training.hybrid import WEIGHTS, HybridStep


def easiest(pixel_loss: Tensor, target: Tensor, share: float, num_classes: int = 2) -> Tensor:
    """Return where the easiest share of each class in each image is; equal losses are kept.

    Args:
        pixel_loss: ``(B, H, W)`` float, from ``losses.pixel_cross_entropy``; no gradient flows.
        target: ``(B, H, W)`` integer labels.
        share: in (0, 1]; of n pixels of a class ``ceil(share n)`` are kept, so never none.
        num_classes: labels including the background; 2 for the binary task.

    Returns:
        ``(B, H, W)`` bool.

    Raises:
        ValueError: for a share out of its range or shapes that differ.

    Source: the hard weights of Kumar et al. 2010 (self-paced learning), per class and image.
    """
    if not 0 < share <= 1:
        raise ValueError(f"share must be in (0, 1], got {share!r}")
    if pixel_loss.ndim != 3 or pixel_loss.shape != target.shape:
        raise ValueError(
            f"pixel_loss and target must both be (B, H, W), got {tuple(pixel_loss.shape)} and "
            f"{tuple(target.shape)}"
        )
    loss, labels = pixel_loss.detach().flatten(1), target.flatten(1)
    kept = torch.zeros_like(labels, dtype=torch.bool)
    for label in range(num_classes):
        here = labels == label
        ordered = loss.masked_fill(~here, torch.inf).sort(1).values
        place = (share * here.sum(1, keepdim=True).double() - 1e-9).ceil().long() - 1
        limit = ordered.gather(1, place.clamp(min=0))
        kept |= here & (loss <= limit)
    return kept.reshape(target.shape)


def linear_weights(pixel_loss: Tensor, limit: float) -> Tensor:
    """Return ``max(0, 1 - loss / limit)`` for every pixel.

    Args:
        pixel_loss: float of any shape, >= 0; no gradient flows.
        limit: > 0, in nats; harder pixels have no weight.

    Raises:
        ValueError: for a limit that is not > 0.

    Source: Jiang et al. 2014, "Easy samples first", the linear soft weights.
    """
    if not limit > 0:
        raise ValueError(f"limit must be greater than 0, got {limit!r}")
    return (1 - pixel_loss.detach() / limit).clamp(min=0)


def weighted_mean(pixel_loss: Tensor, weights: Tensor) -> Tensor:
    """Return ``sum(weights loss) / max(sum(weights), 1)``; with all weights 1 it is the mean."""
    weights = weights.to(pixel_loss)
    return (weights * pixel_loss).sum() / weights.sum().clamp(min=1)


def step_shares(steps: int, start: float = 0.7, final: float = 1.0) -> list[float]:
    """Return the share of the pixels that each step learns from, growing evenly.

    Args:
        steps: T, from 1; with one step it is ``final``.
        start: of the first step, in (0, 1].
        final: of the last step, from ``start`` to 1.

    Example:
        >>> step_shares(3, 0.5, 1.0)
        [0.5, 0.75, 1.0]
    """
    _check_shares(start, final)
    if steps == 1:
        return [final]
    return [start + (final - start) * t / (steps - 1) for t in range(steps)]


def step_targets(target: Tensor, revealed: Sequence[Tensor]) -> list[Tensor]:
    """Return the target of each step: what is not revealed yet is background.

    Args:
        target: ``(B, H, W)`` integer labels.
        revealed: a bool ``(B, H, W)`` a step, such as :func:`easiest` with :func:`step_shares` or
            the curricula that a second net has mined; each must hold the one before.

    Raises:
        ValueError: a pixel that was revealed is hidden again.

    Source: GREnet, whose output t learns from curriculum t and from the mask.
    """
    for before, after in pairwise(revealed):
        if bool((before & ~after).any()):
            raise ValueError("a step hides a pixel that an earlier one revealed; let them grow")
    return [torch.where(shown, target, 0) for shown in revealed]


class RegionStep(HybridStep):
    """A strategy for ``fit``: :class:`HybridStep`, whose cross-entropy leaves hard pixels out.

    Dice looks at all pixels. The means of the shares are in the history as ``pixels_kept``.

    Args:
        weights: see ``HybridStep``, as the further options.
        start: share of the pixels of each class at first, in (0, 1].
        final: share at last, from ``start`` to 1; below 1 where masks are suspected to be wrong.
        by: ``epoch``: the share of all full-size logits grows as ``pacing`` does; ``step``: that of
            the auxiliary logits grows with their step, the final logits learn from all pixels.
        pacing: name of the pacing of ``by="epoch"``.
        end: share of the training after which ``final`` is reached.
        warm_up: epochs in which all pixels count; before that the losses say little.

    Raises:
        ValueError: for an option out of its range.
    """

    def __init__(
        self,
        weights: HybridWeights = WEIGHTS,
        *,
        start: float = 0.7,
        final: float = 1.0,
        by: Literal["epoch", "step"] = "epoch",
        pacing: str = "linear",
        end: float = 0.6,
        warm_up: int = 1,
        **options,
    ) -> None:
        _check_shares(start, final)
        if by not in ("epoch", "step"):
            raise ValueError(f"by must be epoch or step, got {by!r}")
        if by == "step" and not options.get("auxiliary", 0.5):
            raise ValueError('by="step" needs auxiliary logits; give them a weight')
        if warm_up < 0:
            raise ValueError(f"warm_up must be 0 or greater, got {warm_up!r}")
        self.start, self.final, self.by, self.warm_up = start, final, by, warm_up
        self.pacing = Pacing(pacing, start, final, end)
        super().__init__(weights, **options)

    def settings(self) -> dict:
        """Return what a resumed training must have in common with its beginning."""
        own = {"start": self.start, "final": self.final, "by": self.by, "warm_up": self.warm_up}
        return {**super().settings(), **own, "pacing": self.pacing.name, "end": self.pacing.end}

    def start_epoch(self, epoch: int, epochs: int) -> None:
        """Set the share of pixels of this epoch."""
        super().start_epoch(epoch, epochs)
        self.warm = epoch < self.warm_up
        self.share = 1.0 if self.warm else self.pacing.fraction(epoch / epochs)
        self._kept, self._asked = 0.0, 0

    def finish_epoch(self) -> dict[str, float]:
        """Return the means of the terms, and the share of pixels that were learned from."""
        kept = float(self._kept) / self._asked if self._asked else 1.0
        return {**super().finish_epoch(), "pixels_kept": kept}

    def terms(self, logits: Tensor, masks: Tensor, view: Tensor | None) -> dict[str, Tensor]:
        """Return the terms of the final logits."""
        terms = super().terms(logits, masks, view)
        if "ce" in terms and self.by == "epoch":
            terms["ce"] = self._cross_entropy(logits, masks, self.share)
        return terms

    def full_size_loss(self, logits: Tensor, masks: Tensor, step: int, steps: int) -> Tensor:
        """Return the loss of auxiliary logits of full size."""
        share = self.share
        if self.by == "step":
            share = 1.0 if self.warm else step_shares(steps, self.start, self.final)[step - 1]
        return losses.dice_loss(logits, masks) + self._cross_entropy(logits, masks, share)

    def _cross_entropy(self, logits: Tensor, masks: Tensor, share: float) -> Tensor:
        pixels = losses.pixel_cross_entropy(logits, masks)
        kept = easiest(pixels, masks, share, max(2, logits.shape[1]))
        self._kept = self._kept + kept.float().mean()
        self._asked += 1
        return weighted_mean(pixels, kept)


def _check_shares(start: float, final: float) -> None:
    if not 0 < start <= 1 or math.isnan(start):
        raise ValueError(f"start must be in (0, 1], got {start!r}")
    if not start <= final <= 1:
        raise ValueError(f"final must be from start ({start}) to 1, got {final!r}")
