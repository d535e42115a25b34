"""Orders to hold against the self-supervised ones: known, label-based, manual, random, reversed."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from course_lib import losses
from course_lib.curriculum.keyed import shuffled
from course_lib.curriculum.scores import Scores
from course_lib.curriculum.scoring import cached, score_all, train_to_the_end
from course_lib.data import splits
from course_lib.training import Protocol, one_step
from course_lib.training.batches import fingerprint

if TYPE_CHECKING:
    from course_lib.data.dataset import Dataset


def truth(data: "Dataset") -> Scores:
    """Return the difficulty that generated images carry (column ``difficulty``).

    Raises:
        ValueError: the data have none, as real images do.
    """
    if "difficulty" not in data.cases:
        raise ValueError(f"{data.name} has no known difficulty; only phantoms have (use teacher)")
    return _scores(data, data.cases["difficulty"].to_numpy(float), "truth")


def random(data: "Dataset", seed: int) -> Scores:
    """Return scores without information: the order of ``CurriculumSampler(order="random")``."""
    values = np.empty(len(data))
    values[shuffled(np.arange(len(data)), (seed, 1))] = np.arange(len(data))
    return _scores(data, values, "random", seed=seed)


def anti(scores: Scores) -> Scores:
    """Return scores that call the hard cases easy."""
    return dataclasses.replace(scores, values=-scores.values, kind=f"anti-{scores.kind}")


def manual(data: "Dataset", by: Literal["contrast", "shape"] | Path) -> Scores:
    """Return the order that a person would give.

    Args:
        data: cases with masks.
        by: ``contrast``: minus the difference of mean grey (0..1) inside and outside the mask;
            ``shape``: perimeter squared by area, in px (a disc has the least); or the path of a
            CSV file with columns ``case_id, score``. Cases without foreground count as hardest.

    Raises:
        ValueError: an unknown way, a damaged file, or one that leaves a case out.

    Source: the arm "manual ordering" of SiGREnet, section IV.D.3, which does not say how.
    """
    if isinstance(by, Path):
        return _scores(data, _read_csv(data, by), "manual")
    if by not in ("contrast", "shape"):
        raise ValueError(f"by must be contrast, shape or the Path of a CSV file, got {by!r}")
    measure = _contrast if by == "contrast" else _shape
    values = np.array([measure(*data.batch([i])) for i in range(len(data))])
    known = values[np.isfinite(values)]
    values[~np.isfinite(values)] = known.max() + 1 if len(known) else 0.0
    return _scores(data, values, f"manual-{by}")


def teacher(
    data: "Dataset",
    make_net: Callable[[], nn.Module],
    protocol: Protocol,
    out: str | Path,
    *,
    folds: int = 3,
    device: str | torch.device = "auto",
    progress: bool = False,
) -> Scores:
    """Score cases by the loss (Dice + cross-entropy) of a net that never saw them.

    One net a fold of groups, trained uniformly on the other folds and scored with the weights of
    its last epoch. It looks at masks, and so finds wrong ones, too.

    Args:
        data: cases with masks.
        make_net: returns a fresh net; the same weights each time, or a seed of its own.
        protocol: of every training; early stopping is off.
        out: folder for the checkpoints and the scores, found again by the digests of data,
            net and options.
        folds: from 3.
        device: ``"auto"`` takes cuda, then mps, then cpu.
        progress: show bars.

    Raises:
        ValueError: fewer groups than folds.

    Source: Hacohen, Weinshall 2019, who score by a teacher; cross-fitting is ours.
    """
    net = make_net()
    job = cached("teacher", data, data, net, protocol, Path(out), {"folds": folds})
    if job.scores is not None:
        return job.scores
    values, seconds, updates = np.empty(len(data)), 0.0, 0
    for fold, parts in enumerate(splits.kfold(data.cases, folds, seed=protocol.seed)):
        held_out = np.flatnonzero(parts == "test")
        rest = data.subset(np.flatnonzero(parts != "test"))
        net = net if fold == 0 else make_net()
        history = train_to_the_end(
            net, rest, one_step, protocol, job.folder / f"fold-{fold}", device, progress
        )
        found = score_all(net, data.subset(held_out), _loss_of_each(net), device, progress)
        values[held_out] = found.values
        seconds += found.seconds + sum(row["seconds"] for row in history.epochs)
        updates += len(history.epochs) * job.updates_an_epoch(len(rest))
    return job.keep(values, seconds, updates, passes=1)


def own_loss(net: nn.Module, data: "Dataset", progress: bool = False) -> Scores:
    """Score cases by the loss (Dice + cross-entropy) of a net as it is, on the net's device.

    It looks at masks. For scores that follow a training, see :class:`Rescoring`.
    """
    device = next(net.parameters()).device
    values = score_all(net, data, _loss_of_each(net), device, progress).values
    return _scores(data, values, "loss")


def _loss_of_each(net: nn.Module) -> Callable[[Tensor, Tensor], Tensor]:
    def score(images: Tensor, masks: Tensor) -> Tensor:
        pairs = zip(net(images).split(1), masks.split(1), strict=True)
        return torch.stack([losses.dice_ce_loss(logits, mask) for logits, mask in pairs])

    return score


def _scores(data: "Dataset", values: np.ndarray, kind: str, seed: int = 0) -> Scores:
    ids = tuple(map(str, data.cases["case_id"]))
    return Scores(ids, values, kind, seed=seed, data=fingerprint(data))


def _read_csv(data: "Dataset", path: Path) -> np.ndarray:
    try:
        table = pd.read_csv(path, dtype={"case_id": str})
        scores = table.set_index("case_id")["score"].astype(float)
    except FileNotFoundError as error:
        raise ValueError(f"{path} is missing; give a CSV file with case_id, score") from error
    except (ValueError, KeyError) as error:
        raise ValueError(f"{path} must be a CSV file with columns case_id, score") from error
    if scores.index.has_duplicates:
        twice = scores.index[scores.index.duplicated()][0]
        raise ValueError(f"{path} scores case {twice!r} twice")
    ids = data.cases["case_id"].astype(str)
    missing = ids[~ids.isin(scores.index)]
    if len(missing):
        raise ValueError(f"{path} has no score for case {missing.iloc[0]!r}")
    return scores.loc[ids].to_numpy()


def _contrast(images: Tensor, masks: Tensor) -> float:
    grey, inside = images[0].mean(0), masks[0] > 0
    if inside.all() or not inside.any():
        return float("nan")
    return -abs(float(grey[inside].mean() - grey[~inside].mean()))


def _shape(images: Tensor, masks: Tensor) -> float:
    inside = np.pad(masks[0].numpy() > 0, 1)
    if not inside.any():
        return float("nan")
    edges = np.diff(inside, axis=0).sum() + np.diff(inside, axis=1).sum()
    return float(edges) ** 2 / float(inside.sum())
