"""A difficulty for every case of a data set, and the file that keeps it."""

import hashlib
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from course_lib.data import atomic
from course_lib.training.batches import fingerprint

if TYPE_CHECKING:
    from course_lib.data.dataset import Dataset


@dataclass(frozen=True, eq=False)
class Scores:
    """One number a case; higher is harder. Only the order matters to the sampler.

    Raises:
        ValueError: for a number that is missing or not finite, or an id that comes twice.
    """

    ids: tuple[str, ...]
    """Case ids, in the order of the data set."""
    values: np.ndarray
    """``(N,)`` float64, finite."""
    kind: str
    """How they were made: ``recon``, ``rotation``, ``teacher``, ``truth``, ..."""
    seed: int = 0
    """Of whatever was random in it."""
    data: str = ""
    """Digest of the data that were scored; empty: not known, and then not checked."""
    model: str = ""
    """Digest of the weights that scored; empty where no net was asked."""
    made_at_update: int = 0
    """How many updates that net had seen."""
    accuracy: float = float("nan")
    """Share of right answers of the pretext task; NaN where it has none."""
    seconds: float = 0.0
    """That making them took, pretext training included."""
    cost_in_updates: float = 0.0
    """The same in updates of that training; a forward pass counts as a third of one."""

    def __post_init__(self) -> None:
        values = np.array(self.values, dtype=np.float64)
        if values.ndim != 1 or len(values) == 0:
            raise ValueError(f"scores must be (N,) numbers, N from 1; got shape {values.shape}")
        if len(values) != len(self.ids):
            raise ValueError(f"{len(values)} scores for {len(self.ids)} cases; give one a case")
        if len(set(self.ids)) < len(self.ids):
            twice = next(name for name in self.ids if self.ids.count(name) > 1)
            raise ValueError(f"case {twice!r} is scored twice; give one score a case")
        if not np.isfinite(values).all():
            wrong = int(np.flatnonzero(~np.isfinite(values))[0])
            raise ValueError(
                f"the score of case {self.ids[wrong]!r} is {values[wrong]}; scores must be finite"
            )
        values.flags.writeable = False
        object.__setattr__(self, "values", values)

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def digest(self) -> str:
        """SHA-256 (hex) of the ids and the values."""
        head = "\n".join(self.ids).encode()
        return hashlib.sha256(head + b"\0" + self.values.tobytes()).hexdigest()

    def check(self, data: "Dataset") -> None:
        """Raise ValueError unless these are the scores of exactly the cases of ``data``."""
        if len(self) != len(data):
            raise ValueError(
                f"there are scores of {len(self)} cases, {data.name} has {len(data)}; "
                "score the cases that are trained on"
            )
        if self.data and self.data != fingerprint(data):
            raise ValueError(
                f"these {self.kind} scores were made for other data than {data.name}; score it anew"
            )

    def save(self, path: str | Path) -> None:
        """Write a ``.npz`` file that numpy reads without pickle; all of it or nothing."""
        buffer = BytesIO()
        np.savez(buffer, **{**vars(self), "ids": np.array(self.ids)})
        atomic.write_file(Path(path), buffer.getbuffer())

    @classmethod
    def load(cls, path: str | Path) -> "Scores":
        """Read what :meth:`save` wrote.

        Raises:
            ValueError: the file is missing or damaged.
        """
        try:
            with np.load(path, allow_pickle=False) as file:
                ids, values = tuple(map(str, file["ids"])), file["values"]
                rest = {name: str(file[name]) for name in ("kind", "data", "model")}
                rest |= {name: int(file[name]) for name in ("seed", "made_at_update")}
                for name in ("accuracy", "seconds", "cost_in_updates"):
                    rest[name] = float(file[name])
        except FileNotFoundError as error:
            raise ValueError(f"{path} is missing; score the cases first") from error
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            raise ValueError(f"{path} is not a file of scores; remove it") from error
        return cls(ids, values, **rest)


def as_scores(scores: "Scores | Sequence[float] | np.ndarray") -> Scores:
    """Return scores as they are, or name plain numbers by their place 0..N-1."""
    if isinstance(scores, Scores):
        return scores
    values = np.asarray(scores, dtype=np.float64)
    return Scores(tuple(map(str, range(values.size))), values, "given")
