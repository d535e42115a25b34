"""How hard a case is, by what a net without masks makes of it, and the controls to hold against it.

All functions return :class:`Scores`, higher is harder. ``recon`` and ``rotation`` are SiGREnet's
self-supervised scores; ``teacher`` looks at masks; ``truth`` is known for phantoms only;
``manual``, ``random`` and ``anti`` are controls. Publish :func:`agreement` of a score with
``truth``, or with ``teacher`` on real images, beside every result that it leads to.
"""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from scipy.stats import rankdata, spearmanr
from torch import Tensor, nn

from course_lib import losses
from course_lib.curriculum import pretext
from course_lib.curriculum.controls import anti, manual, own_loss, random, teacher, truth
from course_lib.curriculum.scores import Scores
from course_lib.curriculum.scoring import cached, score_all, train_to_the_end
from course_lib.data.transforms import z_score
from course_lib.training import Protocol

if TYPE_CHECKING:
    from course_lib.data.dataset import Dataset

__all__ = [
    "agreement",
    "anti",
    "blend",
    "manual",
    "own_loss",
    "random",
    "recon",
    "rotation",
    "teacher",
    "truth",
    "within",
]

LOWEST_ACCURACY = 0.35  # of the rotation task; guessing has 0.25


def recon(
    data: "Dataset",
    net: nn.Module,
    protocol: Protocol,
    out: str | Path,
    *,
    learn_from: "Dataset | None" = None,
    pairs: int = 2,
    block: int | None = None,
    normalise: bool = True,
    device: str | torch.device = "auto",
    progress: bool = False,
) -> Scores:
    """Score cases by how badly a net fills in what is hidden from it.

    The net first learns to fill in (see ``pretext``). Then ``pairs`` masks of blocks, the same for
    all images, and their opposites are hidden: mean absolute error of the z-scored image where it
    was hidden, over all of them.

    Args:
        data: cases to score, unaugmented.
        net: with ``forward_reconstruction``; has learned the task afterwards.
        protocol: of the pretext training.
        out: folder for its checkpoint and the scores, both found again by the digests of data,
            net and options.
        learn_from: images of the pretext training, masks or not; by default ``data``.
        pairs: from 1.
        block: side of a block in px; by default 8 up to 128 px, 16 above.
        normalise: z-score every image first. Without it errors are in raw grey values, and images
            of low contrast look easy.
        device: ``"auto"`` takes cuda, then mps, then cpu.
        progress: show bars.

    Raises:
        ValueError: for an option out of range.

    Source: SiGREnet, section II.B.2 names masked reconstruction; masks, error and normalisation
    are ours.
    """
    if pairs < 1:
        raise ValueError(f"pairs must be a whole number from 1, got {pairs}")
    size = tuple(data.all_images.shape[-2:])
    block = pretext.block_size(size) if block is None else block
    masks = [pretext.keyed_blocks(size, block, protocol.seed, k) for k in range(pairs)]
    hidden = [half for mask in masks for half in (mask, ~mask)]

    def score(images: Tensor, masks: Tensor) -> Tensor:
        images, errors = z_score(images) if normalise else images, 0
        for mask in hidden:
            mask = mask.to(images.device)
            made = net.forward_reconstruction(images * ~mask)
            errors = errors + losses.masked_l1_loss(made, images, mask)
        return errors / len(hidden)

    source, strategy = learn_from or data, pretext.Reconstruct(block, normalise)
    options = {"pairs": pairs, "block": block, "normalise": normalise}
    job = cached("recon", data, source, net, protocol, Path(out), options)
    history = train_to_the_end(net, source, strategy, protocol, job.folder, device, progress)
    if job.scores is not None:
        return job.scores
    found = score_all(net, data, score, device, progress)
    seconds = found.seconds + sum(row["seconds"] for row in history.epochs)
    updates = len(history.epochs) * job.updates_an_epoch(len(source))
    return job.keep(found.values, seconds, updates, passes=len(hidden), net=net)


def rotation(
    data: "Dataset",
    net: nn.Module,
    protocol: Protocol,
    out: str | Path,
    *,
    learn_from: "Dataset | None" = None,
    device: str | torch.device = "auto",
    progress: bool = False,
) -> Scores:
    """Score cases by how unsure a net is of the way round that an image is.

    1 minus the mean probability of the right answer over the four quarter turns. It says little
    where the anatomy has no upright position.

    Args:
        data: square images to score, unaugmented.
        net: with ``forward_rotation``; has learned the task afterwards.
        protocol: of the pretext training.
        out: see :func:`recon`, as the others.
        learn_from: images of the pretext training; by default ``data``.
        device: where.
        progress: show bars.

    Raises:
        ValueError: images are not square, or the net tells less than 35 % of the turns right (25 %
            are right by chance): its scores would mean nothing.

    Source: SiGREnet, section II.B.2 names rotation confidence; the formula is ours.
    """
    right = []

    def score(images: Tensor, masks: Tensor) -> Tensor:
        pretext.check_square(images)
        sure = 0
        for quarter in range(4):
            logits = net.forward_rotation(z_score(torch.rot90(images, quarter, (2, 3)))).float()
            sure = sure + logits.softmax(1)[:, quarter]
            right.append((logits.argmax(1) == quarter).float().mean() * len(images))
        return 1 - sure / 4

    source = learn_from or data
    job = cached("rotation", data, source, net, protocol, Path(out), {})
    history = train_to_the_end(
        net, source, pretext.Rotate(), protocol, job.folder, device, progress
    )
    if job.scores is not None:
        return job.scores
    found = score_all(net, data, score, device, progress)
    accuracy = float(sum(right)) / (4 * len(data))
    if accuracy < LOWEST_ACCURACY:
        raise ValueError(
            f"the net tells {accuracy:.0%} of the turns right, less than {LOWEST_ACCURACY:.0%}; "
            "train the pretext longer, or use another score"
        )
    seconds = found.seconds + sum(row["seconds"] for row in history.epochs)
    updates = len(history.epochs) * job.updates_an_epoch(len(source))
    return job.keep(found.values, seconds, updates, passes=4, net=net, accuracy=accuracy)


def agreement(scores: Scores, reference: Scores) -> float:
    """Return Spearman's rank correlation, -1..1; NaN if one of them is constant.

    Raises:
        ValueError: they are scores of other cases.
    """
    if scores.ids != reference.ids:
        raise ValueError("these are scores of other cases; score the same data set")
    if min(np.ptp(scores.values), np.ptp(reference.values)) == 0:
        return float("nan")
    return float(spearmanr(scores.values, reference.values).statistic)


def within(scores: Scores, groups: Sequence) -> Scores:
    """Return the rank of each case inside its group, 1/n..1.

    Levels of groups, such as looks, are not comparable: without this a curriculum begins with the
    group that is easy for the net.

    Args:
        scores: of N cases.
        groups: N names, such as ``data.cases["look"]``.

    Raises:
        ValueError: not one name a case.
    """
    names = np.asarray(groups)
    if names.shape != (len(scores),):
        raise ValueError(f"{names.size} groups for {len(scores)} cases; give one a case")
    values = np.empty(len(scores))
    for name in np.unique(names):
        here = names == name
        values[here] = rankdata(scores.values[here], method="ordinal") / here.sum()
    return dataclasses.replace(scores, values=values, kind=f"{scores.kind}-within")


def blend(scores: Scores, new: Scores, share: float = 0.1) -> Scores:
    """Move scores towards newer ones: ``(1 - share) s + share rank(new) / N``.

    The first time the old ones are turned into ranks by N, too.
    """
    if scores.ids != new.ids:
        raise ValueError("these are scores of other cases; score the same data set")
    count = len(scores)
    old = scores.values
    if scores.kind != f"blended-{new.kind}":
        old = rankdata(old, method="ordinal") / count
    values = (1 - share) * old + share * rankdata(new.values, method="ordinal") / count
    return dataclasses.replace(new, values=values, kind=f"blended-{new.kind}")
