"""The training loop in plain PyTorch."""

import hashlib
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn

from course_lib.data import transforms
from course_lib.training import checkpoint, seeding
from course_lib.training.batches import Batches, fingerprint
from course_lib.training.card import card_for
from course_lib.training.checkpoint import State
from course_lib.training.dry_run import DryRun, leaves_parameters_out, try_one_batch
from course_lib.training.history import History
from course_lib.training.processes import Processes, joined
from course_lib.training.protocol import LOSSES, Protocol
from course_lib.training.update import (
    Forward,
    NonFinite,
    Strategy,
    apply,
    autocast_type,
    make_optimiser,
    one_step,
)
from course_lib.training.validate import validate

if TYPE_CHECKING:
    from course_lib.data.dataset import Dataset


def fit(
    net: nn.Module,
    train: "Dataset",
    validation: "Dataset",
    protocol: Protocol,
    out: str | Path,
    *,
    device: str | torch.device = "auto",
    resume: bool = False,
    dry_run: bool = False,
    log: Callable[[dict], None] | None = None,
    sampler: seeding.Sampler | None = None,
    strategy: Strategy = one_step,
) -> History | DryRun:
    """Train a net; at the end it holds the weights of the epoch with the best validation Dice.

    **Repeatable.** Order, augmentation and dropout come from generators seeded by (seed, epoch,
    purpose), and a checkpoint is written at every epoch's end. A run that was killed and resumed
    ends with the weights of an uninterrupted one, bit for bit, on the same machine with the same
    number of threads (on a GPU: inside :func:`deterministic`). The initial weights are the
    caller's; torch's global generator is left as it was found.

    **Several processes.** Start the same script with ``torchrun --nproc-per-node R``; update u uses
    ``R * batch`` cases and its gradients are those of one process with that batch, for a net
    without batch normalisation. With it every process normalises by the statistics of its own
    ``batch`` cases, and the running statistics kept are the first process's
    (``torch.nn.SyncBatchNorm.convert_sync_batchnorm(net)`` before ``fit`` mends both on GPUs).
    Augmentation and dropout are drawn per process. Up to R - 1 cases of an epoch are left out, so
    that all processes have equally many. Only the first one validates and writes; ``out`` must be
    a folder that all see.

    Args:
        net: ``(B, C, H, W)`` float to logits ``(B, K, H, W)``, for data sets of volumes ``(B, C, D,
            H, W)`` to ``(B, K, D, H, W)``; K = 1 for a binary task. It is moved to the device, and
            is in evaluation mode afterwards.
        train: data set to learn from, see :class:`course_lib.data.prepared.Dataset`.
        validation: data set that decides which epoch is best and when to stop.
        protocol: how; see :class:`Protocol`.
        out: folder for ``last.pt``, ``best.safetensors``, ``best.json``; not used by a dry run.
        device: ``"auto"`` takes cuda, then mps, then cpu.
        resume: go on from ``out/last.pt``; without one start anew. If False, files of an earlier
            run in ``out`` are replaced.
        dry_run: only push one batch forward and backward through a copy of the net; writes nothing
            and changes nothing.
        log: called with each epoch's row of the history, after its checkpoint (in the first
            process only).
        sampler: anything with ``draw(epoch) -> array of case indices``, the whole epoch in
            one-process order; by default every case once. If it has ``state_dict`` and
            ``load_state_dict`` its state is in the checkpoint; if it has ``check(train, batch,
            epochs, processes)`` that is called first and may refuse; if it has ``seek(epoch)`` it
            is told which epoch comes next; if it has ``after_epoch(epoch, net, first)`` it may look
            at the net before the checkpoint, ``first`` giving all processes the first one's value.
        strategy: what an update does with a batch, see :func:`one_step`. If it has
            ``start_epoch(epoch, epochs)`` it is told; if it has ``finish_epoch() -> dict`` its
            numbers go into the history; if it has ``settings() -> dict`` a run is resumed with the
            same ones only.

    Returns:
        The history; for a dry run what it found.

    Raises:
        ValueError: for data, a net or a checkpoint that do not fit together.
        FloatingPointError: loss or gradients are not finite. The weights were not updated; the
            message and ``out/stopped.json`` name the cases. ``out/last.pt`` holds the state at the
            start of that epoch, from which a resumed run comes to the same update.
    """
    for name, data in (("train", train), ("validation", validation)):
        if len(data) == 0:
            raise ValueError(f"{name} holds no case; choose at least one")
    if sampler is None:
        sampler = seeding.UniformSampler(len(train), protocol.seed)
    with joined(device) as group, seeding.kept_random_state(group.device):
        run = _Run(train, protocol, sampler, strategy, group)
        if hasattr(sampler, "check"):
            sampler.check(train, protocol.batch, protocol.epochs, group.count)
        if dry_run:
            return try_one_batch(net, run)
        return _train(net, run, Path(out), validation, resume, log)


class _Run:
    """What stays the same from update to update."""

    def __init__(self, train, protocol, sampler, strategy, group: Processes) -> None:
        self.train, self.protocol, self.sampler = train, protocol, sampler
        self.strategy, self.group = strategy, group
        self.batches = Batches(train, group.device)
        self.loss_fn = LOSSES[protocol.loss]
        self.precision = autocast_type(protocol.precision, group.device)

    def forward_of(self, net: nn.Module) -> Forward:
        """Return the net under this run's autocast."""
        return Forward(net, self.precision, self.train.num_classes)

    def draw(self, epoch: int) -> list[np.ndarray]:
        """Return the case indices of every update of an epoch, for all processes together."""
        count, cases = self.group.count, len(self.train)
        order = np.asarray(self.sampler.draw(epoch))
        if len(order) < count:
            raise ValueError(
                f"epoch {epoch}: the sampler drew {len(order)} cases, less than {count}"
            )
        if order.min() < 0 or order.max() >= cases:
            wrong = order[(order < 0) | (order >= cases)][0]
            raise ValueError(f"epoch {epoch}: the sampler drew case {wrong} of 0..{cases - 1}")
        order = order[: len(order) // count * count]
        size = self.protocol.batch * count
        updates = [order[at : at + size] for at in range(0, len(order), size)]
        return updates[: self.protocol.max_updates]

    def seed(self, epoch: int) -> torch.Generator:
        """Seed dropout and return the generator of the augmentation."""
        seed, rank = self.protocol.seed, self.group.rank
        torch.manual_seed(seeding.seed_of(seed, epoch, "net", rank))
        augmentation_seed = seeding.seed_of(seed, epoch, "augmentation", rank)
        return torch.Generator().manual_seed(augmentation_seed)

    def read(self, cases: np.ndarray, generator: torch.Generator):
        """Return this process's share of a batch, augmented."""
        images, masks = self.batches.read(self.group.share(cases))
        return transforms.augment(images, masks, self.protocol.augmentation, generator)


def _train(net, run: _Run, out: Path, validation, resume: bool, log) -> History:
    protocol, group = run.protocol, run.group
    net.to(group.device)
    state = State(
        net,
        make_optimiser(net, protocol.optimiser, protocol.learning_rate, protocol.weight_decay),
        torch.amp.GradScaler(group.device.type, enabled=run.precision == torch.float16),
        run.sampler,
        History(),
    )
    identity = _identity(net, run, validation)
    if resume and (out / "last.pt").exists():
        checkpoint.resume(out, state, identity)
    elif group.rank == 0:
        checkpoint.start(out)
    seen = Batches(validation, group.device)
    run.batches.check_labels()
    seen.check_labels()
    plain = run.forward_of(net)
    # said only where it is so: PyTorch warns of it in all others
    partly = group.count > 1 and (run.strategy is not one_step or leaves_parameters_out(net, run))
    forward = group.wrap(plain, unused_parameters=partly)
    rows = state.history.epochs
    while len(rows) < protocol.epochs and not _out_of_patience(state.history, protocol):
        started = time.perf_counter()
        row = _train_epoch(run, state, forward, len(rows), out)
        if group.rank == 0:
            row |= validate(plain, seen, protocol.batch, run.loss_fn)
        rows.append(group.from_first({**row, "seconds": time.perf_counter() - started}))
        if hasattr(run.sampler, "seek"):
            run.sampler.seek(len(rows))
        if hasattr(run.sampler, "after_epoch"):
            run.sampler.after_epoch(len(rows) - 1, net, group.from_first)
        if group.rank == 0:
            checkpoint.save(out, state, identity, card_for(net, run.train))
            if log is not None:
                log(rows[-1])
    if group.rank == 0:
        checkpoint.load_best(out, net)
    group.copy_from_first(net)
    net.eval()
    return state.history


def _train_epoch(run: _Run, state: State, forward: nn.Module, epoch: int, out: Path) -> dict:
    """Make all updates of one epoch and return the averages over them."""
    protocol = run.protocol
    generator, updates = run.seed(epoch), run.draw(epoch)
    losses, norms, sizes = [], [], []
    state.net.train()
    if hasattr(run.strategy, "start_epoch"):
        run.strategy.start_epoch(epoch, protocol.epochs)
    for number, cases in enumerate(updates):
        rate = protocol.rate((epoch + number / len(updates)) / protocol.epochs)
        for parameters in state.optimiser.param_groups:
            parameters["lr"] = rate
        images, masks = run.read(cases, generator)
        for loss in run.strategy(forward, images, masks, run.loss_fn):
            try:
                value, norm = apply(loss, state.optimiser, state.scaler, protocol.clip)
            except NonFinite as found:
                raise _stopped(found, run, out, epoch, number, cases) from None
            losses.append(value)
            norms.append(norm)
            sizes.append(len(cases))
    if not losses:
        raise ValueError(
            "the strategy yielded no loss in a whole epoch; it must yield at least one"
        )
    # with fp16 the scaler skips updates whose gradients overflow
    norms = np.array(norms)[np.isfinite(norms)]
    loss, norm = run.group.mean(
        [np.average(losses, weights=sizes), norms.sum() / max(1, len(norms))]
    )
    rate = protocol.rate(epoch / protocol.epochs)
    row = {"epoch": epoch, "loss": loss, "grad_norm": norm, "lr": rate}
    if hasattr(run.strategy, "finish_epoch"):
        own = run.strategy.finish_epoch()
        row |= dict(zip(own, run.group.mean(list(own.values())), strict=True))
    return row


def _stopped(found: NonFinite, run: _Run, out: Path, epoch, update, cases) -> FloatingPointError:
    """Write ``stopped.json`` and return the error to raise."""
    ids = [str(name) for name in run.train.cases["case_id"].iloc[cases]]
    about = {"epoch": epoch, "update": update, "loss": str(found.loss)}
    about |= {"grad_norm": str(found.norm), "case_ids": ids}
    if run.group.rank == 0:
        checkpoint.write_json(out / "stopped.json", about)
    return FloatingPointError(
        f"epoch {epoch}, update {update}: loss {found.loss:g}, gradient norm {found.norm:g}; "
        f"not updated; cases of this batch: {', '.join(ids)} (see {out / 'stopped.json'})"
    )


def _out_of_patience(history: History, protocol: Protocol) -> bool:
    patience = protocol.patience
    return patience is not None and history.epochs_without_gain(protocol.min_delta) >= patience


def _identity(net: nn.Module, run: _Run, validation) -> dict:
    """Return what must be the same for a resumed run to repeat an uninterrupted one."""
    shapes = "\n".join(f"{name} {tuple(t.shape)}" for name, t in net.state_dict().items())
    settings = getattr(run.strategy, "settings", None)
    return {
        "protocol": run.protocol.as_dict(),
        "train cases": fingerprint(run.train),
        "validation cases": fingerprint(validation),
        "net parameters": hashlib.sha256(shapes.encode()).hexdigest(),
        "sampler": type(run.sampler).__qualname__,
        "strategy": getattr(run.strategy, "__qualname__", type(run.strategy).__qualname__),
        **({} if settings is None else {"strategy settings": settings()}),
        "processes": run.group.count,
        "precision": str(run.precision),
    }
