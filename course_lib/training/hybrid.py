"""A strategy for ``fit``: SiGREnet's loss of four terms, with every state of the net supervised."""

import dataclasses
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor

from course_lib import losses
from course_lib.losses import HybridWeights

if TYPE_CHECKING:
    from course_lib.training.update import Forward, Loss

WEIGHTS = HybridWeights()


class HybridStep:
    """Dice + cross-entropy + boundary + self-supervised term, and the auxiliary logits.

    The auxiliary logits are those that ``forward_stages(x).aux`` lists with their scale (0 is full
    size) and step (from 1): Dice + cross-entropy against the mask, made smaller by averaging where
    the scale is; step t of T counts ``t / (1 + ... + T)``, scales count equally.

    The means of all terms over an epoch, before weighting, are in the history as ``loss_dice``,
    ``loss_ce``, ``loss_boundary``, ``loss_consistency`` (or ``loss_reconstruction``) and
    ``loss_auxiliary``. The protocol's loss serves the validation only. Images and changed copies go
    through the net as one batch of twice the size.

    Args:
        weights: of the four terms; ``consistency`` is that of either self-supervised term.
        boundary: ``laplacian``, or ``kervadec`` with kept distance maps; its weight is then
            :func:`course_lib.losses.boundary_weight` of the epoch.
        self_supervised: what the fourth term asks for: the same answer for a copy with ``noise`` or
            a ``flip``, or the ``reconstruction`` of hidden blocks (one process only).
        noise: standard deviation, in grey values of 0..1.
        auxiliary: weight of the auxiliary logits; 0: ``forward`` is trained, not
            ``forward_stages``.
        num_classes: labels including the background; for the distance maps.

    Raises:
        ValueError: for an unknown name or a number out of its range.

    Source: SiGREnet, section II.C; see :func:`course_lib.losses.hybrid_loss`. Supervision of every
    step: GREnet.
    """

    def __init__(
        self,
        weights: HybridWeights = WEIGHTS,
        *,
        boundary: Literal["laplacian", "kervadec"] = "laplacian",
        self_supervised: Literal["noise", "flip", "reconstruction"] = "noise",
        noise: float = 0.1,
        auxiliary: float = 0.5,
        num_classes: int = 2,
    ) -> None:
        for name, value, valid in (
            ("boundary", boundary, ("laplacian", "kervadec")),
            ("self_supervised", self_supervised, ("noise", "flip", "reconstruction")),
        ):
            if value not in valid:
                raise ValueError(f"{name} must be one of {', '.join(valid)}, got {value!r}")
        for name, value in (("noise", noise), ("auxiliary", auxiliary)):
            if not value >= 0:
                raise ValueError(f"{name} must be 0 or greater, got {value!r}")
        self.weights = weights
        self.boundary, self.self_supervised = boundary, self_supervised
        self.noise, self.auxiliary = noise, auxiliary
        self.maps = losses.DistanceMaps(num_classes) if boundary == "kervadec" else None
        self.start_epoch(0, 1)

    def settings(self) -> dict:
        """Return what a resumed training must have in common with its beginning."""
        return {
            "weights": dataclasses.asdict(self.weights),
            "boundary": self.boundary,
            "self_supervised": self.self_supervised,
            "noise": self.noise,
            "auxiliary": self.auxiliary,
        }

    def start_epoch(self, epoch: int, epochs: int) -> None:
        """Set what depends on the epoch, and forget the terms of the last one."""
        self.now = self.weights
        if self.maps is not None and self.weights.boundary:
            self.now = dataclasses.replace(self.weights, boundary=losses.boundary_weight(epoch))
        self._sums: dict[str, Tensor] = {}
        self._updates = 0

    def finish_epoch(self) -> dict[str, float]:
        """Return the mean of every term over the epoch's updates."""
        return {f"loss_{k}": float(v) / self._updates for k, v in self._sums.items()}

    def __call__(
        self, forward: "Forward", images: Tensor, masks: Tensor, loss_fn: "Loss"
    ) -> Iterable[Tensor]:
        """Yield the weighted sum for one batch."""
        count, seen = len(images), images
        consistent = self.now.consistency > 0 and self.self_supervised != "reconstruction"
        if consistent:
            seen = torch.cat([images, self._changed(images)])
        aux = []
        if self.auxiliary:
            aux, logits = forward(seen, "forward_stages")
        else:
            logits = forward(seen)
        view = self._back(logits[count:]) if consistent else None
        terms = self.terms(logits[:count], masks, view)
        if self.now.consistency and not consistent:
            terms["reconstruction"] = _reconstruction(forward, images)
        weights = dataclasses.asdict(self.now)
        weights |= {"reconstruction": self.now.consistency, "auxiliary": self.auxiliary}
        if aux:
            found = [(scale, step, z[:count]) for scale, step, z in aux]
            terms["auxiliary"] = self._auxiliary_loss(found, masks)
        for name, value in terms.items():
            self._sums[name] = self._sums.get(name, 0) + value.detach()
        self._updates += 1
        yield sum(weights[name] * value for name, value in terms.items())

    def terms(self, logits: Tensor, masks: Tensor, view: Tensor | None) -> dict[str, Tensor]:
        """Return the terms of the final logits."""
        distance = self.maps(masks) if self.now.boundary and self.maps is not None else None
        weights = self.now if view is not None else dataclasses.replace(self.now, consistency=0.0)
        return losses.hybrid_terms(logits, masks, view, distance=distance, weights=weights)

    def full_size_loss(self, logits: Tensor, masks: Tensor, step: int, steps: int) -> Tensor:
        """Return the loss of auxiliary logits of full size."""
        return losses.dice_ce_loss(logits, masks)

    def _auxiliary_loss(self, aux: Sequence[tuple[int, int, Tensor]], masks: Tensor) -> Tensor:
        steps = max(step for _, step, _ in aux)
        total = 0.0
        for scale, step, logits in aux:
            if scale == 0:
                loss = self.full_size_loss(logits, masks, step, steps)
            else:
                channels, size = logits.shape[1], tuple(logits.shape[2:])
                reference = losses.pooled_reference(masks, channels, size)
                loss = losses.soft_dice_ce_loss(logits, reference)
            total = total + loss * step / (steps * (steps + 1) / 2)
        return total / len({scale for scale, _, _ in aux})

    def _changed(self, images: Tensor) -> Tensor:
        if self.self_supervised == "flip":
            return images.flip(-1)
        return images + self.noise * torch.randn_like(images)

    def _back(self, logits: Tensor) -> Tensor:
        return logits.flip(-1) if self.self_supervised == "flip" else logits


def _reconstruction(forward: "Forward", images: Tensor, block: int = 8) -> Tensor:
    """Return how badly hidden blocks are filled in, in the grey values of the images."""
    cells = [-(-side // block) for side in images.shape[2:]]
    hidden = torch.rand(len(images), 1, *cells, device=images.device) < 0.5
    hidden = hidden.repeat_interleave(block, 2).repeat_interleave(block, 3)
    hidden = hidden[..., : images.shape[2], : images.shape[3]]
    made = forward(images * ~hidden, "forward_reconstruction")
    return losses.masked_l1_loss(made, images, hidden).mean()
