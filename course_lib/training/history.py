"""What happened in training, epoch by epoch."""

import math
from dataclasses import dataclass, field

import pandas as pd


@dataclass
class History:
    """One row an epoch; everything else follows from the rows.

    ``epochs`` holds dicts with ``epoch`` (from 0), ``loss`` and ``val_loss`` (mean over cases),
    ``val_dice`` (mean over images and foreground classes, both empty counts 1, at the size of the
    prepared images), ``grad_norm`` (mean over updates, before clipping), ``lr`` (of the first
    update) and ``seconds``; further numbers where a strategy reports some.
    """

    epochs: list[dict] = field(default_factory=list)

    @property
    def best_epoch(self) -> int:
        """The epoch with the best validation Dice, the earliest of equals; -1 before the first."""
        values = [row["val_dice"] for row in self.epochs]
        return values.index(max(values)) if values else -1

    @property
    def best_value(self) -> float:
        """The best validation Dice; -inf before the first epoch."""
        return max((row["val_dice"] for row in self.epochs), default=-math.inf)

    def epochs_without_gain(self, min_delta: float) -> int:
        """Count the last epochs, none of which beat the best before by more than ``min_delta``."""
        best, waiting = -math.inf, 0
        for row in self.epochs:
            if row["val_dice"] > best + min_delta:
                best, waiting = row["val_dice"], 0
            else:
                waiting += 1
        return waiting

    def as_frame(self) -> pd.DataFrame:
        """Return the rows as a table."""
        return pd.DataFrame(self.epochs)
