"""A strategy that notes what another one does."""

import time
from collections.abc import Iterable

from torch import Tensor

from course_lib.training.update import Forward, Loss, Strategy, one_step


class Noted:
    """Does with a batch what another strategy does; notes its last loss and its seconds.

    Args:
        strategy: what an update does with a batch, see :func:`one_step`.

    Attributes:
        losses: the last loss of every batch.
        seconds: wall time of every batch, its backward passes and steps included.
    """

    def __init__(self, strategy: Strategy = one_step) -> None:
        self.strategy = strategy
        self.losses: list[float] = []
        self.seconds: list[float] = []

    def __call__(
        self, forward: Forward, images: Tensor, masks: Tensor, loss_fn: Loss
    ) -> Iterable[Tensor]:
        """Yield the losses of the batch."""
        begun = time.perf_counter()
        for loss in self.strategy(forward, images, masks, loss_fn):
            yield loss  # fit steps before it asks for the next one
        self.losses.append(loss.item())
        self.seconds.append(time.perf_counter() - begun)
