"""The control for wrong masks: leave out what the net cannot learn, whatever its order."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from course_lib.training.update import Forward, Loss


class TruncatedLoss:
    """A strategy for ``fit``: the images of a batch with the largest losses are left out.

    Args:
        drop: share of a batch, in (0, 1), rounded down.
        warm_up: share of the epochs, in [0, 1), in which nothing is left out: at first all losses
            are large.

    Raises:
        ValueError: for an option out of its range.

    Source: the small-loss selection of Han et al. 2018 (Co-teaching), with one net.
    """

    def __init__(self, drop: float = 0.25, warm_up: float = 0.25) -> None:
        if not 0 < drop < 1:
            raise ValueError(f"drop must be in (0, 1), got {drop!r}")
        if not 0 <= warm_up < 1:
            raise ValueError(f"warm_up must be in [0, 1), got {warm_up!r}")
        self.drop, self.warm_up = drop, warm_up
        self.warm = warm_up > 0

    def settings(self) -> dict:
        """Return what a resumed training must have in common with its beginning."""
        return {"drop": self.drop, "warm_up": self.warm_up}

    def start_epoch(self, epoch: int, epochs: int) -> None:
        """Tell whether anything is left out in this epoch."""
        self.warm = epoch < self.warm_up * epochs

    def __call__(
        self, forward: "Forward", images: Tensor, masks: Tensor, loss_fn: "Loss"
    ) -> Iterable[Tensor]:
        """Yield the mean loss of the images that are kept."""
        logits = forward(images)
        if self.warm:
            yield loss_fn(logits, masks)
            return
        pairs = zip(logits.split(1), masks.split(1), strict=True)
        each = torch.stack([loss_fn(z, mask) for z, mask in pairs])
        kept = len(each) - int(self.drop * len(each) + 1e-9)
        yield each.sort().values[:kept].mean()
