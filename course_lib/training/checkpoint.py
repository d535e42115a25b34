"""Files of a training run: the state to go on from, and the best weights.

``last.pt`` (after every epoch; read without pickle), ``best.safetensors`` and ``best.json`` (after
every better epoch), ``stopped.json`` (after a loss or gradient that is not finite). Each is written
beside its place, flushed and moved there: a reader sees the old file or the new one.
"""

import io
import json
import pickle
from dataclasses import dataclass
from pathlib import Path

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import nn

from course_lib.data import atomic
from course_lib.training.card import CARD, Card
from course_lib.training.history import History

VERSION = 1


@dataclass
class State:
    """All that changes while a net is trained; generators are not in it, see ``seeding``."""

    net: nn.Module
    optimiser: torch.optim.Optimizer
    scaler: torch.amp.GradScaler
    sampler: object
    history: History

    def as_dict(self) -> dict:
        """Return tensors, numbers and strings only."""
        remembers = hasattr(self.sampler, "state_dict")
        return {
            "version": VERSION,
            "net": self.net.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "scaler": self.scaler.state_dict(),
            "sampler": self.sampler.state_dict() if remembers else None,
            "epochs": self.history.epochs,
        }

    def load(self, saved: dict) -> None:
        """Take over what :meth:`as_dict` returned."""
        self.net.load_state_dict(saved["net"])
        self.optimiser.load_state_dict(saved["optimiser"])
        self.scaler.load_state_dict(saved["scaler"])
        if saved["sampler"] is not None:
            self.sampler.load_state_dict(saved["sampler"])
        self.history.epochs[:] = saved["epochs"]


def start(folder: Path) -> None:
    """Make the folder and remove what an earlier run left there.

    Raises:
        ValueError: the folder cannot be made or written to.
    """
    with atomic.one_line_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        for name in ("last.pt", "best.safetensors", "best.json", "stopped.json"):
            (folder / name).unlink(missing_ok=True)


def save(folder: Path, state: State, identity: dict, card: Card) -> None:
    """Write ``last.pt``, and first the best weights with their card if the last epoch is best.

    Killed between two files, a run resumes from the older ``last.pt`` and makes the same best
    weights again.
    """
    history = state.history
    if history.best_epoch == len(history.epochs) - 1:
        weights = {
            name: tensor.detach().cpu().contiguous()
            for name, tensor in state.net.state_dict().items()
        }
        about = {
            "epoch": history.best_epoch,
            "val_dice": history.best_value,
            "torch": torch.__version__,
            **identity,
        }
        # in the file too: of two files one can be older than the other after a kill
        header = {"about": json.dumps(about), CARD: card.to_json()}
        content = safetensors.torch.save(weights, metadata=header)
        atomic.write_file(folder / "best.safetensors", content)
        write_json(folder / "best.json", about)
    buffer = io.BytesIO()
    torch.save({"identity": identity, **state.as_dict()}, buffer)
    atomic.write_file(folder / "last.pt", buffer.getbuffer())


def resume(folder: Path, state: State, identity: dict) -> None:
    """Load ``last.pt`` into ``state``.

    Raises:
        ValueError: the file is damaged, or it belongs to another protocol, net or data.
    """
    path = folder / "last.pt"
    try:
        saved = torch.load(path, map_location="cpu", weights_only=True)
        version = saved["version"]
    except (RuntimeError, pickle.UnpicklingError, EOFError, KeyError, TypeError, OSError) as error:
        raise ValueError(
            f"{path} is damaged; remove it to start anew, or use another folder"
        ) from error
    if version != VERSION:
        raise ValueError(f"{path} has version {version}, this course reads {VERSION}")
    _check_identity(path, saved["identity"], identity)
    state.load(saved)
    (folder / "stopped.json").unlink(missing_ok=True)


def load_best(folder: Path, net: nn.Module) -> None:
    """Load ``best.safetensors`` into a net of the same make.

    Raises:
        ValueError: the file is missing, damaged, or of another net.
    """
    path = folder / "best.safetensors"
    try:
        net.load_state_dict(safetensors.torch.load_file(path))
    except FileNotFoundError as error:
        raise ValueError(f"{path} is missing; train with this folder as out") from error
    except (SafetensorError, RuntimeError) as error:
        raise ValueError(f"{path} is damaged or holds the weights of another net") from error


def write_json(path: Path, content: dict) -> None:
    """Write JSON: a reader sees all of it or what was there before.

    Raises:
        ValueError: the disk is full or the place is not writable.
    """
    text = json.dumps(content, indent=1, allow_nan=False) + "\n"
    atomic.write_file(path, text.encode("utf-8"))


def _check_identity(path: Path, saved: dict, wanted: dict) -> None:
    for name, value in wanted.items():
        if saved.get(name) == value:
            continue
        if name == "protocol":
            field = next(key for key in value if saved[name].get(key) != value[key])
            raise ValueError(
                f"{path} was made with {field} = {saved[name].get(field)!r}, not {value[field]!r}; "
                "use the same protocol, or another folder"
            )
        raise ValueError(
            f"{path} was made with other {name}; use the same {name}, or another folder"
        )
