"""What every process of ``torchrun`` runs in the test: ``two_processes.py OUT``.

Only the first process may write through the library; each one puts what it saw into OUT/seen-RANK.
"""

import os
import sys
from pathlib import Path

import numpy as np
import torch
from training_sample import fit_discs, make_net, make_protocol

from course_lib import models
from course_lib.curriculum import CurriculumSampler
from course_lib.data import atomic
from course_lib.training import EPL

RANK = int(os.environ.get("RANK", "0"))


def only_the_first(path, content, write_file=atomic.write_file):
    if RANK:
        raise AssertionError(f"process {RANK} writes {path.name}")
    write_file(path, content)


def train(out, batch):
    """Return the gradients of every update, the final weights and the history."""
    # other initial weights in the second process: the first one's must win
    net = make_net(seed=RANK, norm=False, dropout=0.0)
    gradients = []

    def keep_gradients(forward, images, masks, loss_fn):
        yield loss_fn(forward(images), masks)
        gradients.append([p.grad.clone() for p in net.parameters() if p.grad is not None])

    protocol = make_protocol(epochs=3, batch=batch, schedule="cosine")
    _, history = fit_discs(out / "run", protocol, net=net, strategy=keep_gradients)
    rows = [{k: v for k, v in row.items() if k != "seconds"} for row in history.epochs]
    return {"gradients": gradients, "net": net.state_dict(), "rows": rows}


def train_by_curriculum(out, batch, processes):
    """Return the history of another training in the same process, easy cases first."""
    net = make_net(seed=RANK, norm=False, dropout=0.0)
    sampler = CurriculumSampler(
        np.arange(22.0),
        seed=1,
        epochs=3,
        num_samples=24,
        batch_size=batch,
        world_size=processes,
        pacing="linear",
    )

    def last_stage(forward, images, masks, loss_fn):  # the first stage's head is not used
        yield loss_fn(forward(images), masks)

    protocol = make_protocol(epochs=3, batch=batch)
    _, history = fit_discs(
        out / "curriculum", protocol, net=net, sampler=sampler, strategy=last_stage
    )
    return [{k: v for k, v in row.items() if k != "seconds"} for row in history.epochs]


PARTLY_TRAINED = {  # nets with parameters that a loss leaves out, and their EPL
    "plnet off": ("plnet", {"base": 4, "depths": (1, 2)}, "off"),
    "plnet on": ("plnet", {"base": 4, "depths": (1, 2)}, "on"),
    "bionet": ("bionet", {"base": 4, "depth": 1, "t": 2}, "off"),
}


def make_partly_trained(case):
    name, options, _ = PARTLY_TRAINED[case]
    torch.manual_seed(0)
    return models.create(name, in_channels=1, num_classes=1, **options)


def train_partly(out, case):
    """Return the gradients that a first update leaves behind, and the weights after two more."""
    net, epl = make_partly_trained(case), EPL[PARTLY_TRAINED[case][2]]
    fit_discs(out / case, make_protocol(epochs=1, max_updates=1), net=net, strategy=epl)
    named = net.named_parameters()
    gradients = {name: p.grad.clone() for name, p in named if p.grad is not None}
    # what is wrong with the first update shows when the next one begins
    fit_discs(out / case, make_protocol(epochs=1, max_updates=2), net=net, strategy=epl)
    return {"gradients": gradients, "net": net.state_dict()}


if __name__ == "__main__":
    torch.set_num_threads(1)
    atomic.write_file = only_the_first
    folder = Path(sys.argv[1])
    seen = train(folder, batch=4)
    seen["curriculum"] = train_by_curriculum(folder, batch=4, processes=2)
    seen["partly"] = {case: train_partly(folder, case) for case in PARTLY_TRAINED}
    torch.save(seen, folder / f"seen-{RANK}.pt")
