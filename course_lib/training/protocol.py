"""How a net is trained: one frozen record, with a preset for each paper and one for the course."""

import dataclasses
import json
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from torch import Tensor

from course_lib import losses
from course_lib.data.transforms import Augmentation

# The boundary loss is not here: it takes a distance map; a strategy can add it.
LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "dice": losses.dice_loss,
    "cross_entropy": losses.cross_entropy_loss,
    "dice_ce": losses.dice_ce_loss,
    "focal": losses.focal_loss,
}
CHOICES = {
    "optimiser": ("adam", "adamw"),
    "schedule": ("fixed", "cosine"),
    "loss": tuple(LOSSES),
    "precision": ("auto", "float32", "bf16", "fp16"),
}


@dataclass(frozen=True)
class Protocol:
    """Everything that decides how a net is trained, apart from the net and the data.

    Make a variant with ``dataclasses.replace(PROTOCOLS["course"], epochs=5)``.

    Raises:
        ValueError: for a value out of range; the message names the field.
    """

    optimiser: Literal["adam", "adamw"] = "adamw"
    """Both with betas 0.9 and 0.999."""
    learning_rate: float = 1e-3
    """Greater than 0; of the first update."""
    weight_decay: float = 0.0
    """From 0; for ``adam`` an L2 term in the gradient, for ``adamw`` decoupled from it."""
    schedule: Literal["fixed", "cosine"] = "fixed"
    """``cosine`` falls from ``learning_rate`` to 0 over all epochs, update by update."""
    epochs: int = 20
    """At most so many draws of the sampler; by default an epoch is every case once."""
    batch: int = 16
    """Cases an update and process."""
    max_updates: int | None = None
    """Cut an epoch after so many updates; None: no cut."""
    patience: int | None = None
    """Stop after so many epochs in a row without a better validation Dice; None: never."""
    min_delta: float = 0.0
    """A validation Dice is better if it exceeds the last better one by more than this."""
    clip: float | None = None
    """Largest norm of all gradients together; None: not clipped."""
    loss: str = "dice_ce"
    """A name in ``LOSSES``."""
    augmentation: Augmentation = field(default_factory=Augmentation)
    """What is changed at random in the training images; by default nothing."""
    precision: Literal["auto", "float32", "bf16", "fp16"] = "auto"
    """Of the forward pass; ``auto``: bf16 on CUDA (fp16 where it lacks bf16), else float32."""
    seed: int = 0
    """Of order, augmentation and dropout; the initial weights are the caller's."""

    def __post_init__(self) -> None:
        for name, allowed in CHOICES.items():
            value = getattr(self, name)
            if value not in allowed:
                raise ValueError(f"{name} must be one of {', '.join(allowed)}, got {value!r}")
        for name in ("epochs", "batch", "max_updates", "patience"):
            value = getattr(self, name)
            if value is None and name in ("max_updates", "patience"):
                continue
            if not _is_whole(value) or value < 1:
                raise ValueError(f"{name} must be a whole number from 1, got {value!r}")
        for name, lowest in (("learning_rate", None), ("clip", None), ("weight_decay", 0)):
            value = getattr(self, name)
            if not (value is None and name == "clip"):
                _check_number(name, value, lowest)
        _check_number("min_delta", self.min_delta, 0)
        if not _is_whole(self.seed) or self.seed < 0:
            raise ValueError(f"seed must be a whole number from 0, got {self.seed!r}")
        if not isinstance(self.augmentation, Augmentation):
            raise ValueError(f"augmentation must be an Augmentation, got {self.augmentation!r}")

    def rate(self, progress: float) -> float:
        """Return the learning rate after the share ``progress`` (0..1) of all updates."""
        if self.schedule == "fixed":
            return self.learning_rate
        return self.learning_rate * (1 + math.cos(math.pi * progress)) / 2

    def as_dict(self) -> dict:
        """Return the fields as JSON knows them (tuples become lists)."""
        return json.loads(json.dumps(dataclasses.asdict(self)))


def _is_whole(value) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _check_number(name: str, value, lowest: float | None) -> None:
    """Raise unless ``value`` is a finite number from ``lowest``, or above 0 where that is None."""
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    fits = number and math.isfinite(value) and (value > 0 if lowest is None else value >= lowest)
    if not fits:
        bound = "greater than 0" if lowest is None else f"at least {lowest}"
        raise ValueError(f"{name} must be a number {bound}, got {value!r}")


def _reunet() -> Protocol:
    # Source: REUnet, section 4.2. Silent about weight decay, clipping, augmentation and what the
    # early stop watches; "default learning rate of 0.001" and no schedule is read as a fixed one.
    # Its random 60:20:20 split is splits.make's default, here by group; its five runs are the seeds
    # of the sweep reunet_paper.
    return Protocol(
        optimiser="adam",
        learning_rate=1e-3,
        epochs=150,
        batch=4,
        patience=5,
        loss="cross_entropy",
        precision="float32",
    )


def _plnet() -> Protocol:
    # Source: PL-Net, section 4.2. "More than 200 epochs" has no upper number: 200 here. Its early
    # stop watches the validation loss; here it is the validation Dice, as for all. Silent about
    # weight decay, clipping, and the smoothing of the Dice loss (section 3, eq. 4: none printed).
    return Protocol(
        optimiser="adam",
        learning_rate=1e-4,
        epochs=200,
        batch=16,
        patience=20,
        loss="dice",
        augmentation=Augmentation(flip=True, rotate=25, shift=0.15),
        precision="float32",
    )


def _sigrenet() -> Protocol:
    # Source: SiGREnet, sections III.2 (augmentation) and III.4. Optimiser: AdamW in II.C, Adam in
    # III.4; AdamW here, whose weight decay is not stated: 0.01, PyTorch's default. How far images
    # are scaled and cropped is not stated: 10 % of scale and of shift, which crops. Its early stop
    # watches the validation loss; here the validation Dice. The cosine's end is not stated: 0.
    # Mixed precision: II.C.
    return Protocol(
        optimiser="adamw",
        learning_rate=1e-3,
        weight_decay=0.01,
        schedule="cosine",
        epochs=200,
        batch=16,
        patience=20,
        clip=5.0,
        loss="dice_ce",
        augmentation=Augmentation(flip=True, rotate=15, shift=0.1, scale=0.1),
        precision="auto",
    )


def _course() -> Protocol:
    # Ours: what the notebooks use at teaching size. Of the rates 1e-3, 3e-3 and 6e-3 the middle one
    # was best for a U-Net of base 8 on phantoms (150 training cases of 64 px, 6 epochs, 2 seeds).
    return Protocol(
        optimiser="adamw",
        learning_rate=3e-3,
        weight_decay=0.01,
        schedule="cosine",
        epochs=20,
        batch=8,
        clip=5.0,
        loss="dice_ce",
        augmentation=Augmentation(flip=True),
    )


PROTOCOLS: dict[str, Protocol] = {
    "reunet": _reunet(),
    "plnet": _plnet(),
    "sigrenet": _sigrenet(),
    "course": _course(),
}
