"""Scores that follow the net while it learns."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from torch import nn

from course_lib.curriculum.difficulty import blend
from course_lib.curriculum.sampler import CurriculumSampler
from course_lib.curriculum.scores import Scores

if TYPE_CHECKING:
    from course_lib.data.dataset import Dataset


class Rescoring:
    """A sampler whose scores move, every few epochs, towards what the net finds hard by then.

    ``fit`` calls :meth:`after_epoch` before it writes the checkpoint, so that a resumed training
    has the same scores. All processes take those of the first one.

    Args:
        sampler: made with :class:`Scores`; it draws.
        score: ``score(net) -> Scores`` of the same cases, such as
            ``lambda net: difficulty.own_loss(net, train)``.
        every: epochs between two scorings, from 1.
        warm_up: epochs before the first one, from 1; with scores that look at masks, too few of
            them keep the order of a net that knows nothing.
        share: of the new ranks in the scores, in (0, 1].

    Raises:
        ValueError: for an option out of its range.
    """

    def __init__(
        self,
        sampler: CurriculumSampler,
        score: Callable[[nn.Module], Scores],
        *,
        every: int,
        warm_up: int,
        share: float = 0.1,
    ) -> None:
        for name, value in (("every", every), ("warm_up", warm_up)):
            if not isinstance(value, int) or value < 1:
                raise ValueError(f"{name} must be a whole number from 1, got {value!r}")
        if not 0 < share <= 1:
            raise ValueError(f"share must be in (0, 1], got {share!r}")
        self.sampler, self.score = sampler, score
        self.options = {"every": every, "warm_up": warm_up, "share": share}

    def draw(self, epoch: int) -> np.ndarray:
        """Return the case indices of an epoch."""
        return self.sampler.draw(epoch)

    def check(self, data: "Dataset", batch: int, epochs: int, processes: int) -> None:
        """Raise ValueError unless the sampler was made for such a training."""
        self.sampler.check(data, batch, epochs, processes)

    def seek(self, epoch: int, updates_done: int = 0) -> None:
        """Go to an epoch."""
        self.sampler.seek(epoch, updates_done)

    def after_epoch(self, epoch: int, net: nn.Module, first: Callable[[dict], dict]) -> None:
        """Score the cases anew if it is time.

        Args:
            epoch: that has ended.
            net: as it is after it.
            first: gives every process the first one's value.
        """
        done = epoch + 1
        late = done - self.options["warm_up"]
        if late < 0 or late % self.options["every"] or done >= self.sampler.epochs:
            return
        new = blend(self.sampler.scores_at(done), self.score(net), self.options["share"])
        fields = first({**vars(new), "values": new.values.tolist()})
        self.sampler.update_scores(Scores(**fields), from_epoch=done)

    def state_dict(self) -> dict:
        """Return the sampler's state and the options."""
        return {**self.sampler.state_dict(), "rescoring": self.options}

    def load_state_dict(self, state: dict) -> None:
        """Take over a :meth:`state_dict`.

        Raises:
            ValueError: it was made with other options.
        """
        if state.get("rescoring") != self.options:
            raise ValueError(
                f"the sampler's state was made with rescoring {state.get('rescoring')}, "
                f"not {self.options}"
            )
        self.sampler.load_state_dict(state)
