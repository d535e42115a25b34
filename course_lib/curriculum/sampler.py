"""Which cases an epoch consists of, easy ones first."""

import dataclasses
import hashlib
import json
import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch

from course_lib.curriculum.keyed import MAX_WORD, cycled, shuffled
from course_lib.curriculum.pacing import Pacing
from course_lib.curriculum.scores import Scores, as_scores

if TYPE_CHECKING:
    from course_lib.data.dataset import Dataset

VERSION = 1
_RANKING, _SUBSET, _EASY, _HARD, _JOINED = 1, 2, 3, 4, 5  # tags of the keyed shuffles


class CurriculumSampler:
    """Draws epochs of equal length from the cases that the pacing has let in.

    An epoch depends on (seed, epoch, scores, options) and on nothing that happened before; every
    epoch has ``num_samples`` draws, so that trainings with other pacings make equally many updates.

    ``mode="subset"`` draws from the easiest fraction f of the cases, each equally often (give or
    take one). ``mode="mix"`` always keeps the easiest ``pacing.start`` in the draw and adds
    the others in a share that grows with f. At f = 1 and ``num_samples = N`` both draw every case
    once.

    ``training.fit`` calls :meth:`draw`; a ``DataLoader`` iterates, which yields this rank's share
    of the current epoch from the current update on. Iterating moves nothing (workers read ahead):
    the training loop says with :meth:`seek` where it stands.

    Args:
        scores: one number a case, higher is harder; see ``difficulty``.
        seed: whole number from 0, of the shuffles.
        epochs: number of epochs of the training, for the pacing.
        num_samples: draws an epoch, M; a multiple of ``world_size * batch_size``.
        batch_size: cases an update and rank, B.
        pacing: how the fraction grows; a name takes the default numbers.
        mode: see above.
        order: ``easy`` first, ``hard`` first (the anti-curriculum), or ``random``: the same growing
            sets in an order without information, fixed over the epochs.
        rank: of this process.
        world_size: number of processes, R. Rank r iterates over ``draw(epoch)[r::R]``, so that
            batch b of all ranks holds what the one-process batch b of size R * B holds.
        hard_floor: in mode mix, at least this share of the draws, in [0, 1), comes from the others
            from the first epoch on.

    Raises:
        ValueError: for an option out of its range, NaN scores, or a ``num_samples`` that is not a
            multiple of ``world_size * batch_size``.

    Source: SiGREnet, section II.B.2 (order by self-supervised difficulty, "curriculum scheduler");
    the drawing itself is ours, the paper does not say.
    """

    def __init__(
        self,
        scores: Scores | Sequence[float] | np.ndarray,
        *,
        seed: int,
        epochs: int,
        num_samples: int,
        batch_size: int,
        pacing: Pacing | str,
        mode: Literal["subset", "mix"] = "subset",
        order: Literal["easy", "hard", "random"] = "easy",
        rank: int = 0,
        world_size: int = 1,
        hard_floor: float = 0.0,
    ) -> None:
        self.tables = [(0, as_scores(scores))]
        self.seed = _whole("seed", seed, 0, MAX_WORD)
        self.epochs = _whole("epochs", epochs, 1)
        self.num_samples = _whole("num_samples", num_samples, 1)
        self.batch_size = _whole("batch_size", batch_size, 1)
        self.world_size = _whole("world_size", world_size, 1)
        self.rank = _whole("rank", rank, 0, world_size - 1)
        self.pacing = Pacing(pacing) if isinstance(pacing, str) else pacing
        if not isinstance(self.pacing, Pacing):
            raise ValueError(f"pacing must be a Pacing or the name of one, got {pacing!r}")
        self.mode = _one_of("mode", mode, ("subset", "mix"))
        self.order = _one_of("order", order, ("easy", "hard", "random"))
        self.hard_floor = hard_floor
        self.epoch, self.consumed = 0, 0
        if num_samples % self.update_size:
            raise ValueError(
                f"num_samples must be a multiple of world_size x batch_size "
                f"({world_size} x {batch_size} = {self.update_size}), got {num_samples}"
            )
        self._check_hard_floor()

    @property
    def num_cases(self) -> int:
        """Number of cases N that have a score."""
        return len(self.tables[0][1])

    @property
    def update_size(self) -> int:
        """Cases an update over all ranks."""
        return self.world_size * self.batch_size

    def fraction(self, epoch: int) -> float:
        """Return the fraction f of the cases that the pacing has let in, 1/N to 1."""
        progress = _whole("epoch", epoch, 0, self.epochs - 1) / self.epochs
        return max(self.pacing.fraction(progress), 1 / self.num_cases)

    def ranking(self, epoch: int) -> np.ndarray:
        """Return all case indices ``(N,)`` int64 in the order in which they are let in."""
        cases = np.arange(self.num_cases)
        if self.order == "random":
            return shuffled(cases, (self.seed, _RANKING))
        values = self.scores_at(epoch).values
        # stable: equal scores in the order of their indices
        return np.argsort(-values if self.order == "hard" else values, kind="stable")

    def scores_at(self, epoch: int) -> Scores:
        """Return the scores in force in an epoch."""
        return [table for start, table in self.tables if start <= epoch][-1]

    def draw(self, epoch: int) -> np.ndarray:
        """Return the case indices ``(num_samples,)`` int64 of an epoch, in one-process order."""
        fraction, ranking = self.fraction(epoch), self.ranking(epoch)
        if self.mode == "mix":
            return self._mix(epoch, fraction, ranking)
        pool = ranking[: _share(fraction, self.num_cases)]
        return cycled(pool, self.num_samples, (self.seed, epoch, _SUBSET))

    def __iter__(self) -> Iterator[int]:
        rest = self.draw(self.epoch)[self.consumed :] if self.epoch < self.epochs else []
        return iter([int(case) for case in rest[self.rank :: self.world_size]])

    def __len__(self) -> int:
        """Return the number of draws that this rank has left in the epoch."""
        rest = self.num_samples - self.consumed if self.epoch < self.epochs else 0
        return rest // self.world_size

    def seek(self, epoch: int, updates_done: int = 0) -> None:
        """Go to an epoch (``epochs``: all done), after so many of its updates.

        Raises:
            ValueError: there is no such place.
        """
        most = self.num_samples // self.update_size
        consumed = _whole("updates_done", updates_done, 0, most) * self.update_size
        self.epoch, self.consumed = _whole("epoch", epoch, 0, self.epochs), consumed

    def update_scores(self, scores: Scores | Sequence[float] | np.ndarray, from_epoch: int) -> None:
        """Use other scores from an epoch on; earlier epochs are drawn as before.

        Raises:
            ValueError: for scores of other cases or an epoch that has begun already.
        """
        table, first = as_scores(scores), self.tables[0][1]
        if len(table) != len(first):
            raise ValueError(f"new scores of {len(table)} cases; this sampler has {len(first)}")
        if isinstance(scores, Scores) and (table.ids, table.data) != (first.ids, first.data):
            raise ValueError("new scores of other cases or data; score the same data set")
        earliest = max(self.tables[-1][0], self.epoch + (self.consumed > 0))
        self.tables.append((_whole("from_epoch", from_epoch, earliest), table))

    def check(self, data: "Dataset", batch: int, epochs: int, processes: int) -> None:
        """Raise ValueError unless this sampler was made for such a training."""
        self.scores_at(0).check(data)
        if batch * processes != self.update_size:
            raise ValueError(
                f"the sampler was made for {self.update_size} cases an update "
                f"(world_size {self.world_size} x batch_size {self.batch_size}), "
                f"the training has {batch * processes} ({processes} x {batch})"
            )
        if epochs != self.epochs:
            raise ValueError(f"the sampler paces {self.epochs} epochs, the training has {epochs}")

    def state_dict(self) -> dict:
        """Return place, scores and options; tensors, numbers and strings only."""
        return {
            "version": VERSION,
            "seed": self.seed,
            "epoch": self.epoch,
            "consumed": self.consumed,
            "scores_digest": self.tables[0][1].digest,
            "config_digest": _digest(self._config()),
            "config": self._config(),
            "tables": [_table_as_dict(start, table) for start, table in self.tables],
        }

    def load_state_dict(self, state: dict) -> None:
        """Go to the place of a :meth:`state_dict`, with the scores updated until then.

        Raises:
            ValueError: it was made with other scores, cases or options.
        """
        if state["version"] != VERSION:
            raise ValueError(f"sampler state of version {state['version']}, not {VERSION}")
        config = self._config()
        for name, value in config.items():
            if state["config"].get(name) != value:
                was = state["config"].get(name)
                raise ValueError(
                    f"the sampler's state was made with {name} = {was!r}, not {value!r}"
                )
        tables = [_table_from_dict(item) for item in state["tables"]]
        if not self.tables[0][1].digest == state["scores_digest"] == tables[0][1].digest:
            raise ValueError(
                "the sampler's state was made with other scores; use the same, or start anew"
            )
        if state["config_digest"] != _digest(config) or state["consumed"] % self.update_size:
            raise ValueError(
                f"the sampler's state (case {state['consumed']} of an epoch) does not fit updates "
                f"of {self.update_size} cases; use the same batches"
            )
        self.seek(state["epoch"], state["consumed"] // self.update_size)
        self.tables = tables

    def _config(self) -> dict:
        """Return all that a draw depends on, apart from the scores."""
        return {
            "number of cases": self.num_cases,
            "seed": self.seed,
            "epochs": self.epochs,
            "num_samples": self.num_samples,
            "mode": self.mode,
            "order": self.order,
            "pacing": dataclasses.asdict(self.pacing),
            "hard_floor": self.hard_floor,
        }

    def _mix(self, epoch: int, fraction: float, ranking: np.ndarray) -> np.ndarray:
        """Draw easy and hard cases in a ratio that follows the pacing, and shuffle them."""
        cases, start = self.num_cases, self.pacing.start
        count, easy = self.num_samples, _share(start, cases)
        hard_pool = ranking[easy : _share(self.pacing.final, cases)]
        ramp = (fraction - start) / (1 - start) if start < 1 else 0.0
        hard = math.floor(count * (1 - easy / cases) * ramp + 0.5 + 1e-9) if len(hard_pool) else 0
        hard = max(hard, math.floor(self.hard_floor * count + 1e-9))
        parts = [
            cycled(ranking[:easy], count - hard, (self.seed, epoch, _EASY)),
            cycled(hard_pool, hard, (self.seed, epoch, _HARD)),
        ]
        return shuffled(np.concatenate(parts), (self.seed, epoch, _JOINED))

    def _check_hard_floor(self) -> None:
        if not 0 <= self.hard_floor < 1:
            raise ValueError(f"hard_floor must be in [0, 1), got {self.hard_floor!r}")
        if self.hard_floor and self.mode != "mix":
            raise ValueError('hard_floor needs mode="mix"')
        pools = _share(self.pacing.start, self.num_cases), _share(self.pacing.final, self.num_cases)
        if self.hard_floor and pools[0] == pools[1]:
            raise ValueError("hard_floor needs hard cases; let the pacing start lower")


def _share(fraction: float, count: int) -> int:
    """Return how many of ``count`` a fraction is, rounded up, at least 1."""
    return max(1, math.ceil(fraction * count - 1e-9))


def _whole(name: str, value: int, low: int, high: int | None = None) -> int:
    whole = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
    if not whole or value < low or (high is not None and value > high):
        valid = f"from {low}" if high is None else f"{low} to {high}"
        raise ValueError(f"{name} must be a whole number {valid}, got {value!r}")
    return int(value)


def _one_of(name: str, value: str, valid: tuple[str, ...]) -> str:
    if value not in valid:
        raise ValueError(f"{name} must be one of {', '.join(valid)}, got {value!r}")
    return value


def _digest(config: dict) -> str:
    return hashlib.sha256(json.dumps(config, sort_keys=True).encode()).hexdigest()


def _table_as_dict(start: int, table: Scores) -> dict:
    values = torch.from_numpy(table.values.copy())
    return {"from_epoch": start, **vars(table), "ids": list(table.ids), "values": values}


def _table_from_dict(item: dict) -> tuple[int, Scores]:
    item = dict(item)
    start, values = item.pop("from_epoch"), item.pop("values").numpy()
    return start, Scores(tuple(item.pop("ids")), values, **item)
