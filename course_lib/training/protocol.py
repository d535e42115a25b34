"""How a net is trained: one frozen record, with a preset for each paper and one for the course."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from course_lib import losses
from course_lib.data.transforms import Augmentation

LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "dice": losses.dice_loss,
    "cross_entropy": losses.cross_entropy_loss,
    "dice_ce": losses.dice_ce_loss,
    "focal": losses.focal_loss,
}


@dataclass(frozen=True)
class Protocol:
    """Everything that decides how a net is trained, apart from the net and the data."""

    optimiser: Literal["adam", "adamw"] = "adamw"
    learning_rate: float = 1e-3
    weight_decay: float = 0.01
    schedule: Literal["fixed", "cosine"] = "cosine"
    epochs: int = 20
    batch: int = 16
    patience: int | None = None
    loss: str = "dice_ce"
    augmentation: Augmentation = Augmentation()
    seed: int = 0


PROTOCOLS: dict[str, Protocol] = {"course": Protocol(augmentation=Augmentation(flip=True))}
