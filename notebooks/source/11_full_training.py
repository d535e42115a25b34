# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 11 Full training: would you get the same number if the power failed?
#
# The nets are built (03 to 09). Now a training takes a day instead of a minute. It will
# be interrupted, it will be watched, and somebody has to say when it is over.

# %% [markdown] tags=["goals"]
# **Why.** Between a net and its number in a table stand a dozen decisions. Some of them
# papers print, some they leave out, and some make a number look better than it is.
#
# After this notebook you can
# - save all that a training needs to go on (exercise 11-1);
# - stop at the right epoch (11-2);
# - open the test set once (11-3);
# - average the batches of an epoch rightly (11-4).
#
# You need notebooks 02 (Dice), 03 (training, intervals, groups).

# %% [markdown] tags=["budget"]
# **Cost.** Reading 60 minutes, exercises 60 minutes. The machine needs: {{budget}}.

# %% tags=["parameters"]
profile = ""  # str |smoke|fast|full: size of the run; empty: COURSE_PROFILE, else fast
data = "nuclei-mini"  # str nuclei-mini|phantoms|nuclei|busi|...: which images
size = 0  # int 0..512: pixels a side, a multiple of 16; 0: 64, in full 256
net = "unet_bn"  # str unet_bn|unet|plnet|plnet_dagger|bionet|reunet|...: a preset
base = 0  # int 0..128: channels of its first level; 0: 4, in fast 8, in full its own
protocol = ""  # str |course|reunet|plnet|sigrenet: empty: course, in full plnet
fold = 0  # int 0..4: which of five folds, cut by group, is the test set
epochs = 0  # int 0..2000: at most so many; 0: as the profile or the protocol says
patience = 0  # int 0..2000: epochs without a gain; 0: the protocol's, course: 8
lesson = True  # bool: False: only the main run (section 5), for sweeps
seed = 0  # int 0..1000000: of weights, order of the cases, augmentation
device = "auto"  # str auto|cpu|cuda|mps: where the nets are trained
out_dir = ""  # str: folder of results.json; empty: below runs/notebooks

# %% tags=["setup"]
import hashlib
import json
import math
import os
import runpy
import subprocess
import sys
from dataclasses import replace
from itertools import combinations

import numpy as np
import torch

from course_lib import claims as ledger
from course_lib import drawing, figures, metrics, models, records, training
from course_lib.data import prepared, splits
from course_lib.data.transforms import Augmentation
from course_lib.drawing.training import (
    learning_curves,
    protocol_table,
    settings,
)
from course_lib.teaching import check, guess, hint
from course_lib.training.validate import dice_of_images

given = {
    "profile": profile,
    "data": data,
    "size": size,
    "net": net,
    "base": base,
    "protocol": protocol,
    "fold": fold,
    "epochs": epochs,
    "patience": patience,
    "lesson": lesson,
    "seed": seed,
    "device": device,
    "out_dir": out_dir,
}
run = records.start("11_full_training", given)
protocol = protocol or run.pick(smoke="course", fast="course", full="plnet")
if protocol not in training.PROTOCOLS:
    known = ", ".join(training.PROTOCOLS)
    raise ValueError(f"protocol {protocol!r}: use one of {known}")

# %% [markdown]
# ## 1. Three protocols
#
# How a net is trained is one object in this course, a `Protocol`. Here are those of the
# three papers (REUnet, section 4.2; PL-Net, 4.2; SiGREnet, II.C and III). A field of
# the object always has a value; a paper's text may have none.
#
# Below are 14 settings of three papers, 42 cells. How many does the paper leave out?

# %% tags=["predict"]
my_blanks = None  # of 42, such as 6


# %% tags=["figure"]
OURS = {"seeds": "0, 1, 2, ...", "kept together": "groups"}
STATED = {  # by the paper, and not, or otherwise, in the Protocol
    "reunet": {"runs": "5 runs"},
    "plnet": {
        "epochs (patience)": "more than 200 (20)",
        "the stop watches": "validation loss",
        "runs": "5 folds (nuclei)",
    },
    "sigrenet": {
        "optimiser": "AdamW, Adam",
        "augmentation": "flip, rotate 15, crop, scale",
        "precision": "mixed (II.C)",
        "the stop watches": "validation loss",
        "runs": "5 folds",
    },
}
SILENT = {
    "reunet": "schedule, weight decay, clipping, the stop watches, "
    "augmentation, precision, seeds, kept together",
    "plnet": "weight decay, clipping, precision, seeds, kept together",
    "sigrenet": "weight decay, seeds, kept together",
}
columns = {
    name: {
        row: (text, row not in SILENT[name].split(", "))
        for row, text in {
            **settings(training.PROTOCOLS[name]), **OURS, **known
        }.items()
    }
    for name, known in STATED.items()
}
blanks = sum(not ok for cells in columns.values() for _, ok in cells.values())
figures.show(
    *protocol_table(
        columns, title="Three papers: what does each of them leave out?"
    ),
    caption="Of `training.PROTOCOLS`; CE: cross-entropy. *Patience*: after "
    "so many epochs without a gain training stops.",
)
guess("the blanks", my_blanks, answer=blanks)

# %% [markdown]
# No single blank is a scandal. Together they mean that "trained as in the paper" is a
# choice of yours. Write yours down in one object, and print it with the result.
#
# ## 2. The power fails
#
# First a training that fits on a napkin: one weight w, six epochs of one case each. Its
# optimiser has a **momentum** m: it remembers where it was going. Its learning rate
# falls along a cosine, by epoch.


# %% tags=["nbval-check-output"]
X = (1, 2, 0.5, 1.5, 1, 0.8)  # the case of each epoch; its target is 1
EPOCHS = len(X)


def toy_epoch(w, m, e):
    """Return weight and momentum after epoch e: one update."""
    gradient = 2 * X[e] * (w * X[e] - 1)
    m = 0.9 * m + gradient
    rate = 0.05 * (1 + math.cos(math.pi * e / EPOCHS))
    return w - rate * m, m


w, m = 0.0, 0.0
for e in range(EPOCHS):
    w, m = toy_epoch(w, m, e)
    print(f"epoch {e}: w {w:.6f}, m {m:+.4f}")

# %% [markdown] tags=["predict"]
# **P1.** A training is stopped and resumed. The weights come back, the optimiser's
# momentum does not. The result is (a) the same, (b) another set of weights, (c) an
# error.

# %% tags=["predict"]
guess_1 = None  # "a", "b" or "c"

# %% [markdown]
# **Exercise 11-1.** Here is a resume that looks right, runs without complaint, and is
# wrong. Find out what is missing in its file, and repair it.


# %% tags=["exercise", "ex-11-1"]
def stopped_run(stop):
    """Return w of the toy run, stopped after `stop` epochs and resumed.

    Only what is in `file` survives the break. For every stop from 0 to 6 the
    result must be that of the uninterrupted run, 1.147552.
    """
    w, m = 0.0, 0.0
    for e in range(stop):
        w, m = toy_epoch(w, m, e)
    ### BEGIN SOLUTION
    file = {"w": w, "m": m, "e": stop}
    ### STUB: file = {"w": w}
    ### END SOLUTION
    w, m = 0.0, 0.0  # the power fails
    ### BEGIN SOLUTION
    w, m = file["w"], file["m"]
    for e in range(file["e"], EPOCHS):
    ### STUB: w = file["w"]
    ### STUB: for e in range(EPOCHS - stop):
    ### END SOLUTION
        w, m = toy_epoch(w, m, e)
    return w


# %% tags=["check", "ex-11-1"]
stopped_run = check("11-1", stopped_run)
# stuck? hint("11-1", 1), then 2, then 3

# %% [markdown]
# Now a net. The images are real nuclei (or what `data` says), cut into five **folds**
# by group, so that images of one field of view stay together (01). Fold `fold` is the
# test set, the next one validation, three are left to train on.


# %% tags=["nbval-ignore-output"]
def spread(part, most):
    """At most so many cases, evenly spaced."""
    rows = np.linspace(0, len(part) - 1, min(most, len(part)))
    return part.subset(rows.astype(int))


opened = prepared.open(data)
run.uses(opened)
size = size or run.pick(smoke=64, fast=64, full=256)
images = opened.resized(size)
by_fold = splits.kfold(images.cases, 5)
train, val, test = (
    images.subset((by_fold[fold] == part).to_numpy()) for part in splits.PARTS
)
channels = images.all_images.shape[1]
classes = 1 if images.num_classes == 2 else images.num_classes
base = base or run.pick(smoke=4, fast=8, full=0)
which = "synthetic images" if data == "phantoms" else data
print(images.describe())
print(f"train {len(train)}, validation {len(val)}, test {len(test)}")


def build(seed, net="unet_bn", base=base or 8):
    """A net for these images with weights drawn from the seed."""
    torch.manual_seed(seed)
    width = {"base": base} if base else {}
    shape = {"in_channels": channels, "num_classes": classes}
    return models.create(net, **shape, **width)


def weights_of(folder):
    """All numbers of the net that a training wrote last, one vector."""
    state = torch.load(folder / "last.pt", weights_only=True)["net"]
    return torch.cat([v.flatten().double() for v in state.values()])


# %% [markdown]
# `fit` writes `last.pt` after every epoch. The power fails in the middle of a later
# one: here an exception, raised before an update. Then a **new** net, drawn from
# another seed, is handed to `fit` with `resume=True`. Beside it go two ways of resuming
# that one sees in the wild: without Adam's memory, and with the weights alone.


# %% tags=["nbval-ignore-output"]
class PowerCut(Exception):
    pass


class Update:
    """One update a batch, as always, until the power fails."""

    def __init__(self, cut=None):
        self.cut, self.done = cut, 0

    def __call__(self, forward, images, masks, loss_fn):
        if self.done == self.cut:
            raise PowerCut
        self.done += 1
        yield loss_fn(forward(images), masks)


rounds = run.pick(smoke=4, fast=6, full=6) if lesson else 2
rule = replace(
    training.PROTOCOLS["course"],
    epochs=rounds,
    seed=seed,
    max_updates=run.pick(smoke=3, fast=None, full=None) if lesson else 1,
)
an_epoch = rule.max_updates or math.ceil(len(train) / rule.batch)
FOLDERS = {
    name: run.out_dir / "power" / name.replace(" ", "-")
    for name in ("never stopped", "resumed", "no memory", "weights alone")
}


def go_on(name, begin=seed + 1, rule=rule, cut=None, resume=True):
    """Train in a folder of this name; return the history."""
    with training.deterministic():  # matters on a GPU
        return training.fit(
            build(begin), train, val, rule, FOLDERS[name],
            device=run.device, resume=resume, strategy=Update(cut),
        )  # fmt: skip


histories = {"never stopped": go_on("never stopped", seed, resume=False)}
over = rounds // 2  # epochs that are over when the power fails
cut = over * an_epoch + an_epoch // 2
try:
    go_on("resumed", seed, cut=cut, resume=False)
except PowerCut:
    print(f"power cut before update {cut} of {rounds * an_epoch}")
left = torch.load(FOLDERS["resumed"] / "last.pt", weights_only=True)
print(f"on the disk: the state after epoch {len(left['epochs'])}")
print("last.pt holds:", ", ".join(left))
histories["resumed"] = go_on("resumed")

# %% tags=["nbval-ignore-output"]
FOLDERS["no memory"].mkdir(exist_ok=True)
forgetful = left | {"optimiser": {**left["optimiser"], "state": {}}}
torch.save(forgetful, FOLDERS["no memory"] / "last.pt")
(FOLDERS["no memory"] / "best.safetensors").write_bytes(
    (FOLDERS["resumed"] / "best.safetensors").read_bytes()
)
histories["no memory"] = go_on("no memory")
alone = build(seed + 1)
alone.load_state_dict(left["net"])
histories["weights alone"] = training.fit(
    alone, train, val, replace(rule, epochs=rounds - over),
    FOLDERS["weights alone"], device=run.device, strategy=Update(),
)  # fmt: skip
whole = weights_of(FOLDERS["never stopped"])
apart = {
    name: float((weights_of(folder) - whole).abs().max())
    for name, folder in FOLDERS.items()
}
for name, difference in apart.items():
    print(f"{name:<14} largest difference of a number {difference:.4g}")
records.record("resume_max_diff", apart["resumed"])
guess(
    "P1",
    guess_1,
    answer="b",
    a="the net was taken for its weights; the next step depends on the "
    "memory too.",
    c="the software was trusted to know what you meant: an optimiser without "
    "a state simply begins one.",
)

# %% tags=["figure"]
series = {}
for name, history in histories.items():
    frame = history.as_frame()
    first = over if name == "weights alone" else 0
    when = frame["epoch"] + first + 1
    late = when > (over if name in ("no memory", "weights alone") else 0)
    series[name] = (when[late], frame["val_dice"][late])
same = apart["resumed"] == 0
figures.show(
    *learning_curves(
        series,
        {"the power fails": over + 0.5},
        ylabel="validation Dice",
        title="Four trainings: how many lines do you see?",
    ),
    caption=f"{which}, U-Net of base {base or 8}, {rounds} epochs, seed "
    f"{seed}. Never stopped and resumed are "
    f"{'one line, bit for bit' if same else 'NOT one line'}. Record "
    "`resume_max_diff`.",
    key=True,
)

# %% [markdown]
# The other two lines are other trainings. Whether they end lower or higher is luck.
#
# Three things make the two lines one. The file holds weights, optimiser and epoch (and
# the state of the scaler, section 7, and of the sampler, if there is any). It is written
# beside its place and then moved there, so that a power cut while *writing* leaves the
# old one. And random numbers need not be saved: order, augmentation and dropout are drawn
# from generators seeded by (seed, epoch, purpose), so that epoch 4 is the same whoever
# makes it. The half epoch is lost, and made again.
#
# The promise is for one machine with the same number of threads. On another, sums are
# added in another order, and the last digits differ.
#
# **The best weights** are in another file, `best.safetensors`. `torch.save` uses
# *pickle*, which can run code when it is opened; never open a stranger's. A safetensors
# file cannot: eight bytes that say how long the header is, the header in JSON, then
# plain numbers.

# %% tags=["nbval-ignore-output"]
raw = (FOLDERS["resumed"] / "best.safetensors").read_bytes()
length = int.from_bytes(raw[:8], "little")
header = json.loads(raw[8 : 8 + length])
about = json.loads(header.pop("__metadata__")["about"])
print(f"{len(raw):,} bytes, {length:,} of them header, {len(header)} tensors")
print("the first:", *next(iter(header.items())))
print(f"epoch {about['epoch'] + 1}, validation Dice {about['val_dice']:.3f}")
print("protocol kept with it:", ", ".join(about["protocol"])[:60], "...")
loaded = build(seed + 2)
training.load_best(FOLDERS["resumed"], loaded)

# %% [markdown]
# ## 3. Reading a curve
#
# A point of a training curve is a mean over an epoch. Over what? Batches have a mean
# loss each, and the last batch is often short.
#
# **Exercise 11-4.** Write the mean over the *cases* of an epoch.


# %% tags=["exercise", "ex-11-4"]
def epoch_mean(losses, sizes):
    """Return the mean loss of all cases of an epoch.

    losses: mean loss of each batch; sizes: its number of cases.
    epoch_mean([1, 0], [1, 15]) is 0.0625.
    """
    ### BEGIN SOLUTION
    return np.dot(losses, sizes) / np.sum(sizes)
    ### END SOLUTION


# %% tags=["check", "ex-11-4"]
epoch_mean = check("11-4", epoch_mean)

# %% [markdown] tags=["predict"]
# Now **over-fitting** on purpose: four images to learn from, no augmentation, nothing
# that stops it. The loss is cross-entropy, REUnet's. The training loss will fall and
# fall. The validation *loss* will turn at some epoch and rise.
#
# **P2.** While the validation loss rises, the validation *Dice* (a) must fall, (b) can
# still rise.

# %% tags=["predict"]
guess_2 = None  # "a" or "b"

# %% tags=["nbval-ignore-output"]
greedy = replace(
    rule,
    epochs=50 if lesson else 1,
    learning_rate=0.006,
    schedule="fixed",
    batch=2,
    max_updates=None,
    loss="cross_entropy",
    augmentation=Augmentation(),
)
few, watched = spread(train, 4), spread(val, 16)
over_fitted = training.fit(
    build(seed, base=8), few, watched, greedy, run.out_dir / "overfit",
    device=run.device,
).as_frame()  # fmt: skip
turn = int(over_fitted["val_loss"].idxmin())
peak = int(over_fitted["val_dice"].idxmax())

# %% tags=["figure", "nbval-ignore-output"]
at = over_fitted["epoch"] + 1
figures.show(
    *learning_curves(
        {
            "training loss": (at, over_fitted["loss"]),
            "validation loss": (at, over_fitted["val_loss"]),
            "validation Dice": (at, over_fitted["val_dice"]),
        },
        {"least validation loss": turn + 1, "best validation Dice": peak + 1},
        ylabel="cross-entropy, and Dice",
        title="Four images: where does learning become learning by heart?",
    ),
    caption=f"{which}, {len(few)} training and {len(watched)} validation "
    f"cases, seed {seed} alone: a demonstration. Records `epoch_by_loss`, "
    "`epoch_by_dice`.",
)
for name, epoch in (("least loss", turn), ("best Dice", peak)):
    row = over_fitted.loc[epoch]
    print(
        f"epoch of the {name:<10} {epoch + 1:>3}: validation loss "
        f"{row['val_loss']:.3f}, Dice {row['val_dice']:.3f}"
    )
if lesson:
    records.record("epoch_by_loss", turn + 1)
    records.record("epoch_by_dice", peak + 1)
guess(
    "P2",
    guess_2,
    answer="b",
    a="loss and Dice were taken for one thing. The loss also counts how sure "
    "a wrong pixel is; Dice counts only that it is wrong.",
)

# %% [markdown]
# A net that learns by heart gets *surer*. Its few wrong pixels become confidently
# wrong, and cross-entropy punishes that without limit. The mask at threshold 0.5 does
# not care. So **what** the early stop watches decides when it stops. PL-Net and
# SiGREnet watch the validation loss. REUnet does not say. This course watches the
# validation Dice for all, since Dice is what the tables print. If you need calibrated
# probabilities (14), watch the loss.
#
# ## 4. When is it over?
#
# **Patience** p: stop after p epochs in a row without a gain. REUnet has 5 (of 150
# epochs), PL-Net 20 (of "more than 200"), SiGREnet 20 (of 200).
#
# **Exercise 11-2.** Write it.


# %% tags=["exercise", "ex-11-2"]
def early_stop(history, patience):
    """Return (best, last): the best epoch, and the last that is run.

    history: validation Dice by epoch. A tie is no gain: the earlier wins.
    early_stop([.5, .6, .55, .58, .7], 2) is (1, 3): epoch 4 is never run.
    """
    ### BEGIN SOLUTION
    best, bad = 0, 0
    for epoch in range(1, len(history)):
        gained = history[epoch] > history[best]
        best, bad = (epoch, 0) if gained else (best, bad + 1)
        if bad == patience:
            return best, epoch
    return best, len(history) - 1
    ### END SOLUTION


# %% tags=["check", "ex-11-2"]
early_stop = check("11-2", early_stop)

# %% [markdown] tags=["predict"]
# A validation Dice is noisy: the same net a little later, and it is .01 higher or
# lower. Below is a **simulated** training of 150 epochs. The true Dice rises to .85,
# more and more slowly, and falls a little after epoch 60. What is measured has noise on
# top.
#
# **P3.** Noise of standard deviation .01, patience 5. How many of the 150 epochs are
# run, on average?

# %% tags=["predict"]
my_epochs = None  # such as 120

# %% tags=["figure"]
E = np.arange(150)
TRUE = 0.85 - 0.45 * np.exp(-E / 10) - 0.0004 * np.maximum(0, E - 60)
PATIENCES = (1, 2, 3, 5, 8, 12, 20, 30, 50)
NOISES = (0.003, 0.01, 0.03)
noise = np.random.default_rng(0).normal(size=(200, len(E)))


def average_stop(patience, sd):
    """Mean loss of true Dice against the best epoch, and mean epochs run."""
    ends = [early_stop(TRUE + sd * one, patience) for one in noise]
    best, last = np.array(ends).T
    return TRUE.max() - TRUE[best].mean(), last.mean() + 1


stops = {sd: [average_stop(p, sd) for p in PATIENCES] for sd in NOISES}
figures.show(
    *drawing.lines(
        {
            f"noise {sd:g}": (PATIENCES, [lost for lost, _ in stops[sd]])
            for sd in NOISES
        },
        log="x",
        xlabel="patience (epochs)",
        ylabel="Dice given away",
        title="What does impatience cost when the curve is noisy?",
    ),
    caption="Simulated, 200 trainings a point, one assumed true curve.",
)
for p in (5, 20):
    lost, ran = stops[0.01][PATIENCES.index(p)]
    print(f"noise 0.01, patience {p:>2}: {ran:.0f} epochs, {lost:.3f} lost")
guess("P3", my_epochs, answer=stops[0.01][PATIENCES.index(5)][1])


# %% tags=["widget"]
def stop_view(patience=5, noise_sd=0.01, training=0):
    measured = TRUE + noise_sd * noise[training]
    best, last = early_stop(measured, patience)
    fig, alt = learning_curves(
        {
            "measured": (E[: last + 1] + 1, measured[: last + 1]),
            "true": (E + 1, TRUE),
        },
        {"chosen": best + 1, "stopped": last + 1},
        ylabel="validation Dice (from .7)",
        title=f"Where does it stop? (patience {patience}, noise "
        f"{noise_sd:g}, training {training})",
    )
    fig.axes[0].set_ylim(0.7, 0.9)
    return fig, alt


for p, sd in ((5, 0.01), (20, 0.01), (20, 0.03)):
    best, last = early_stop(TRUE + sd * noise[0], p)
    print(
        f"patience {p:>2}, noise {sd:g}: epoch {best + 1} chosen, "
        f"{last + 1} run"
    )
figures.slider(
    stop_view,
    patience=(1, 50, 1),
    noise_sd=(0.0, 0.05, 0.005),
    training=(0, 9, 1),
    caption="Simulated. With a small patience, noise decides.",
)

# %% [markdown]
# So a patience belongs to a noise: how much the validation Dice jumps from epoch to
# epoch, which depends on how many validation cases you have. Neither is printed beside
# the patience. And a cosine schedule makes it odder still: its rate falls to 0 at the
# *last* epoch allowed. A run that stops early never gets there. SiGREnet's protocol has
# both; so has our main run below.
#
# ## 5. Who chose the epoch?
#
# The main run of this notebook. Its test Dice is noted after every epoch, which you
# should **not** do; here it shows what would happen if one looked.


# %% tags=["nbval-ignore-output"]
plan = training.PROTOCOLS[protocol]
if protocol == "course":
    plan = replace(plan, epochs=24, patience=8)
    plan = run.pick(smoke=replace(plan, epochs=3), fast=plan, full=plan)
main_rule = replace(
    plan,
    epochs=epochs or plan.epochs,
    patience=patience or plan.patience,
    seed=seed,
)
main_net = build(seed, net, base)
target = torch.from_numpy(np.array(test.masks)).long()
peeked = []


def peek(row):
    """Note the test Dice of the weights after an epoch."""
    p = training.predict(main_net, test, device=run.device, batch=8)
    scores = dice_of_images(p - 0.5, target, test.num_classes)
    peeked.append(float(scores.mean()))


history = training.fit(
    main_net, train, val, main_rule, run.out_dir / "training",
    device=run.device, log=peek,
    strategy=training.EPL["on" if net.startswith("plnet") else "off"],
)  # fmt: skip
table = training.evaluate(main_net, test, device=run.device)
table.assign(seed=seed, fold=fold).to_csv(
    run.out_dir / "cases.csv", index=False
)
curve = history.as_frame()
print(f"{len(curve)} of at most {main_rule.epochs} epochs run")

# %% [markdown]
# **Exercise 11-3.** Which test score do you report?


# %% tags=["exercise", "ex-11-3"]
def honest_test(validation, test):
    """Return the test score to report, of two lists by epoch.

    honest_test([.7, .8, .75], [.72, .74, .79]) is .74.
    """
    ### BEGIN SOLUTION
    chosen = int(np.argmax(validation))
    return test[chosen]
    ### END SOLUTION


# %% tags=["check", "ex-11-3"]
honest_test = check("11-3", honest_test)

# %% tags=["figure", "nbval-ignore-output"]
honest = honest_test(list(curve["val_dice"]), peeked)
records.record("optimism_run", max(peeked) - honest, n=len(peeked))
figures.show(
    *learning_curves(
        {
            "validation": (curve["epoch"] + 1, curve["val_dice"]),
            "test": (curve["epoch"] + 1, peeked),
        },
        {
            "chosen by validation": history.best_epoch + 1,
            "best on test": int(np.argmax(peeked)) + 1,
        },
        ylabel=f"mean Dice at {size} px",
        title="Two epochs to choose from: which one may you report?",
    ),
    caption=f"{which}, fold {fold}, {net}, protocol {protocol}, seed {seed}. "
    "Record `optimism_run`.",
)
print(f"chosen by validation {honest:.3f}, best on test {max(peeked):.3f}")

# %% [markdown] tags=["predict"]
# One run says little. How large is this **optimism** in general? Take the purest case:
# 50 epochs whose nets are all equally good, Dice .800, and noise of SD .01 on the test
# score.
#
# **P4.** You report the best of the 50. By how much is it too high, on average?

# %% tags=["predict"]
my_optimism = None  # in Dice, such as 0.005

# %% tags=["figure", "nbval-check-output"]
draws = 0.8 + np.random.default_rng(1).normal(0, 0.01, (20000, 50))
best_of = {"any epoch": draws[:, 0]}
best_of |= {f"best of {k} epochs": draws[:, :k].max(1) for k in (10, 50)}
figures.show(
    *drawing.histogram(
        best_of,
        counted="trainings",
        bins=40,
        xlabel="test Dice of the chosen epoch (all are truly .800)",
        title="Nothing got better: what does the best epoch look like?",
    ),
    caption="Simulated, noise of SD .01, independent between epochs. Record "
    "`optimism_50`.",
)
for name, values in best_of.items():
    print(f"{name:<18} {abs(values.mean() - 0.8):.4f} too high on average")
optimism = best_of["best of 50 epochs"].mean() - 0.8
records.record("optimism_50", optimism, n=len(draws))
guess("P4", my_optimism, answer=optimism)

# %% [markdown]
# Choosing on *validation* has the same optimism, in the validation score. It does no
# harm there: nobody reports that number. The test set was not asked, so its noise is
# fair.
#
# In a real run the epochs are not independent: the same test cases, almost the same
# net. So the optimism is smaller than the simulated one, the more so the more the
# epochs resemble each other. `optimism_run`, of real runs, says how much. Is it much?
# PL-Net's Table 2 prints results with and without EPL (07), pair by pair. How large are
# the gains in Dice?


# %% tags=["nbval-check-output"]
cells = {
    row.claim.id.removeprefix("T2."): row.claim.quote
    for row in ledger.rows("plnet", "T2")
}
gains = [
    value - cells[key.replace(".on.", ".off.")]
    for key, value in cells.items()
    if ".on." in key and key.endswith("dice")
]
print(f"{len(gains)} gains, {min(gains):+.2f} to {max(gains):+.2f} points")
print("simulated optimism of 10 epochs, and of 50, in points:")
for k in (10, 50):
    points = 100 * (best_of[f"best of {k} epochs"].mean() - 0.8)
    below = sum(gain < points for gain in gains)
    print(f"{points:.2f}: {below} of the gains are smaller")

# %% tags=["nbval-ignore-output"]
kept = records.committed_sweep("folds")
if kept is None:
    print("No committed runs yet: course sweep folds --commit-results")
else:
    real = kept["table"].query("record == 'optimism_run'")
    print(f"real runs, from {kept['file']}: optimism in points")
    for name, part in real.groupby("data"):
        values = 100 * part["value"]
        print(
            f"{name:<12} {len(values)} runs: mean {values.mean():.2f}, "
            f"largest {values.max():.2f}"
        )

# %% [markdown]
# This does not say that the paper chose on the test set. It says that a reader must be
# told **who chose the epoch**, since the choice alone can be worth more than the gain.
#
# ## 6. Folds
#
# Five folds, cut by group: every case is tested once. Each training uses three folds,
# so any two share many cases.

# %% tags=["nbval-check-output"]
kept_apart = [splits.check(images.cases, parts) for parts in by_fold]
print("groups torn apart, by fold:", [len(torn) for torn in kept_apart])
trained_on = [set(np.flatnonzero(parts == "train")) for parts in by_fold]
shared = [
    len(a & b) / min(len(a), len(b)) for a, b in combinations(trained_on, 2)
]
print("cases, by fold:", [int((p == "test").sum()) for p in by_fold])
print(
    f"training cases that two folds share: {min(shared):.0%} to "
    f"{max(shared):.0%}"
)

# %% [markdown] tags=["predict"]
# **P5.** PL-Net's Table 4 prints, for nuclei, a mean ± a standard deviation over five
# folds. That ± is the spread of (a) training seeds, (b) patients, (c) folds.

# %% tags=["predict"]
guess_5 = None  # "a", "b" or "c"


# %% tags=["figure", "nbval-ignore-output"]
def spreads(part):
    """Spread over folds, over seeds in a fold, and by test cases."""
    dice = part.pivot(index="fold", columns="seed", values="value")
    fold_sd = dice.std(ddof=1).mean()  # of one seed each, as papers have it
    seed_sd = math.sqrt(dice.var(axis=1, ddof=1).mean())
    half = ((part["high"] - part["low"]) / 2).mean()
    return dice, fold_sd, seed_sd, half


if kept is None:
    dice = metrics.fill_empty(table).groupby("case_id")["dice"].mean()
    shown = {f"fold {fold}": [float(dice.mean())]}
    source = f"{which}, this run alone"
else:
    own = kept["table"].query("record == 'dice_mean'")
    by = [axis for axis in ("net", "data") if axis in own]
    sets = {" ".join(name): part for name, part in own.groupby(by)}
    for name, part in sets.items():
        dice, fold_sd, seed_sd, half = spreads(part)
        print(
            f"{name}: Dice {dice.to_numpy().mean():.3f}; SD over folds "
            f"{fold_sd:.3f}, over seeds in a fold {seed_sd:.3f}; interval "
            f"of one fold over its groups: ±{half:.3f}"
        )
    first = next(iter(sets))
    dice = spreads(sets[first])[0]
    shown = {f"fold {k}": row.to_numpy() for k, row in dice.iterrows()}
    source = f"{first}, from `{kept['file']}`"
figures.show(
    *drawing.runs(
        shown,
        intervals={
            name: metrics.t_interval(values)
            for name, values in shown.items()
            if len(values) > 1
        },
        xlabel="mean Dice of a run",
        title="Dots of a row differ by seed: by what do the rows differ?",
    ),
    caption=f"{source}. A row is a fold, a dot a training seed.",
)
guess(
    "P5",
    guess_5,
    answer="c",
    a="every ± was taken for the same ±: a fold changes the test cases, too.",
    b="every ± was taken for the same ±: a mean over a fifth of the patients "
    "varies less than a patient.",
)

# %% [markdown]
# Rows differ because they are tested on *other cases*. That is a different question
# from "would another seed change my number?" (the dots of a row) and from "would
# another hospital?" (nothing here). So write which spread a ± is. Folds also overlap in
# training cases, so they are not five independent runs, and a test that treats them as
# such is too sure.
#
# PL-Net concludes from a smaller ± over folds that it is **more stable** (section
# 4.4.1, Table 4; 07 has its F test). There is a plainer control: the *same* net on the
# *same* folds, trained again with another seed. How much does its ± change?

# %% tags=["nbval-ignore-output"]
printed = {
    name: next(
        row.claim.printed
        for row in ledger.rows("plnet", "T4")
        if row.claim.id == f"T4.{name}.iou"
    )
    for name in ("plnet", "plnet-dagger")
}
sds = {name: float(text.split("±")[1]) for name, text in printed.items()}
print("printed, IoU in %:", printed)
print(f"deviations apart: {max(sds.values()) / min(sds.values()):.2f} times")
for name, part in sets.items() if kept else ():
    by_seed = spreads(part)[0].std(ddof=1)
    print(
        f"{name}: SD over folds, by seed:",
        ", ".join(f"{sd:.3f}" for sd in by_seed),
        f"({by_seed.max() / by_seed.min():.2f} times)",
    )

# %% [markdown]
# ## 7. Half the bits, and a leash
#
# **Mixed precision**: the forward pass in 16 bits, the weights in 32. *fp16* has little
# range: below about 3e-8 everything is 0. *bf16* has the range of float32 and two to
# three digits. Where do the gradients of your net lie?

# %% tags=["figure", "nbval-ignore-output"]
main_net.train()
x, y = train.batch(range(min(main_rule.batch, len(train))), run.device)
training.LOSSES[main_rule.loss](main_net(x), y).backward()
g = torch.cat([p.grad.flatten() for p in main_net.parameters()]).cpu()
main_net.zero_grad()
main_net.eval()
g = g[g != 0]
SCALE = 2.0**16  # the scaler's first factor
log_g = g.abs().double().log10().numpy()
fig, alt = drawing.histogram(
    {"gradients": log_g, "times 65,536": log_g + math.log10(SCALE)},
    counted="weights",
    bins=60,
    limits=(-14, 5),
    xlabel="log10 of the size of a gradient",
    title="How many gradients fall below what fp16 can hold (dashed)?",
)
for ax in fig.axes:
    for limit in (2.0**-25, 65504):  # rounds to 0; the largest number
        ax.axvline(math.log10(limit), color=figures.MUTED, linestyle="--")
figures.show(fig, alt, caption=f"{which}, trained {net}, one batch.")
lost = {
    "fp16": float((g.half() == 0).float().mean()),
    "fp16, scaled": float(((g * SCALE).half() == 0).float().mean()),
    "bf16": float((g.bfloat16() == 0).float().mean()),
}
for name, share in lost.items():
    print(f"{name:<13} {share:.2%} of the gradients become 0")
print("1 + 0.001 in bf16:", float(torch.tensor(1.001).bfloat16()))

# %% [markdown]
# Hence the two tricks. A **scaler** multiplies the loss before `backward` and divides
# the gradients after it (fp16 only). And the weights stay in float32: in bf16, 1 +
# 0.001 is still 1, so that a small step would never arrive. `precision="auto"` takes
# bf16 on GPUs that have it, and float32 on a CPU. It is time that one gains: measure it
# (13), and compare Dice over a few seeds before you believe that nothing was lost.
#
# **Clipping** shortens the gradient when its norm exceeds a bound (SiGREnet: 5.0). Adam
# divides by the size of past gradients anyway. So what is clipping good for? Give Adam
# 300 gradients of size 1 and, once, one of 1,000: a broken image, a wrong mask.


# %% tags=["figure"]
def step_sizes(clip):
    """Steps of Adam, in units of the rate, along gradients of size 1."""
    w = torch.nn.Parameter(torch.zeros(1, dtype=torch.float64))
    adam, steps = torch.optim.Adam([w], lr=1.0), []
    for update in range(300):
        before = w.item()
        w.grad = torch.full_like(w, 1000.0 if update == 50 else 1.0)
        if clip is not None:
            torch.nn.utils.clip_grad_norm_([w], clip)
        adam.step()
        steps.append(abs(w.item() - before))
    return np.array(steps)


steps = {"clipped at 5": step_sizes(5.0), "not clipped": step_sizes(None)}
shown = np.arange(2, 300, 6)
figures.show(
    *drawing.lines(
        {name: (shown + 1, sizes[shown]) for name, sizes in steps.items()},
        log="y",
        xlabel="update",
        ylabel="Adam's step (learning rates)",
        title="One bad batch at update 51: how long does Adam remember it?",
    ),
    caption="One weight, betas .9 and .999; every sixth update.",
)
for name, sizes in steps.items():
    print(f"{name:<13} step {sizes[49]:.2f} before, {sizes[250]:.3f} later")
norms = curve["grad_norm"]
print(f"main run, mean norm by epoch: {norms.min():.2f} to {norms.max():.2f}")

# %% [markdown]
# The bad batch sits in Adam's memory of squares for about a thousand updates, and all
# steps are too small. Clipping is a leash for the rare batch, not for the usual one: if
# it acts in every update, the bound, the rate or the data are wrong. The last line says
# whether it ever had to act on a whole epoch of the main run.
#
# ## 8. Two processes
#
# With R GPUs, R processes train the same net. Each has its share of a batch; the
# gradients are averaged before every step. The script need not know: `fit` asks.

# %% tags=["nbval-ignore-output"]
SCRIPT = '''"""Train one net: together.py OUT DATA SIZE BATCH"""
import sys

import torch

from course_lib import models, training
from course_lib.data import prepared


def train(out, name, size, batch):
    torch.manual_seed(0)
    data = prepared.open(name).resized(int(size))
    part = data.subset(range(32))
    net = models.create(
        "unet", in_channels=data.all_images.shape[1], base=4,
        num_classes=1 if data.num_classes == 2 else data.num_classes,
    )
    rule = training.Protocol(epochs=2, batch=int(batch))
    return training.fit(net, part, part, rule, out, device="cpu")


if __name__ == "__main__":
    train(*sys.argv[1:])
'''
script = run.out_dir / "together.py"
script.write_text(SCRIPT, encoding="utf-8")
print("one machine:  torchrun --nproc-per-node 2 together.py OUT DATA 64 4")
print("two machines: on each of them, with NODE 0 and 1:")
print("  torchrun --nnodes 2 --node-rank NODE --nproc-per-node 4 \\")
print("    --master-addr FIRST --master-port 29500 together.py ...")

# %% tags=["nbval-ignore-output"]
together, single = run.out_dir / "two", run.out_dir / "one"
launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
command = [*launcher, "--nproc-per-node", "2", str(script)]
if lesson and run.profile != "smoke":
    done = subprocess.run(
        [*command, str(together), data, "64", "4"],
        capture_output=True,
        text=True,
        env={
            **os.environ,
            "PYTHONPATH": str(records.ROOT),
            "OMP_NUM_THREADS": "1",
        },
    )
    if done.returncode == 0:
        one = runpy.run_path(str(script))["train"](single, data, 64, 8)
        two = weights_of(together) - weights_of(single)
        print("2 processes of batch 4 against 1 of batch 8:")
        print(f"largest difference of a weight {two.abs().max():.1e}")
    else:
        print("This machine starts no two processes:")
        print(done.stderr.strip().splitlines()[-1])
else:
    print("Not run in this profile: two processes start two Pythons.")

# %% [markdown]
# The difference is rounding: the same sum in another order. Two warnings. R processes
# of batch B are **one training of batch R times B**: if the paper says 16, four GPUs
# have 4 each. And a batch normalisation sees only its own process's cases unless it is
# told to share (`SyncBatchNorm`), which is why this net has none.
#
# ## Recorded results

# %% tags=["result", "nbval-ignore-output"]
filled = metrics.fill_empty(table).groupby("case_id", sort=False)
dice = filled["dice"].mean().to_numpy()
ends = metrics.bootstrap_interval(dice, test.cases["group"])
records.record("dice_mean", dice.mean(), n=len(dice), interval=ends)
records.record("epochs_run", len(curve), "epochs")
records.record("best_epoch", history.best_epoch + 1)
records.record("seconds_training", float(curve["seconds"].sum()), "s")
pairs = splits.encode(images.cases["case_id"], by_fold[fold])
records.record("split_digest", hashlib.sha256(pairs).hexdigest()[:16])
for row in records.finish():
    value = float("nan") if row["value"] is None else row["value"]
    value = f"{value:.4f}" if isinstance(value, float) else str(value)
    bounds = row["interval"] and " [{:.3f}, {:.3f}]".format(*row["interval"])
    print(f"{row['name']:<17} {value}{bounds or ''} {row['unit']}")

# %% [markdown]
# What the papers say, and do not say, about how they trained, from the course's ledger:

# %% tags=["claims", "nbval-ignore-output"]
ABOUT = {
    "reunet": ("S9.split", "S12.growth", "S14", "D16"),
    "plnet": ("S14.folds", "S14.momentum", "S14.seeds", "X23", "X24"),
    "sigrenet": ("X12", "X13", "X26.seeds"),
}
for paper, heads in ABOUT.items():
    print(figures.NAMES[paper])
    for row in ledger.rows(paper, *heads):
        words = (row.verdict, row.paper_text, row.ours_text)
        print(f"  {row.claim.id}: {row.claim.claim}")
        print("    " + "; ".join(filter(None, words)))

# %% [markdown] tags=["keypoints"]
# ## Key points
#
# - The state of a training is weights, optimiser, epoch and seeds: 11-1,
#   `resume_max_diff`.
# - Validation chooses, test reports, once: 11-3, `optimism_50`, `optimism_run`.
# - What the stop watches decides when it stops: `epoch_by_loss`, `epoch_by_dice`; and a
#   patience belongs to a noise (11-2).
# - Name the spread: seeds, folds, test cases and hospitals are four questions
#   (`dice_mean`, with its interval over the groups of one fold).
# - A mean is over something: cases, not batches (11-4).

# %% [markdown] tags=["next"]
# ## Where to go next
#
# Notebook 12 compares two nets with all this in place: which rows of a table can stand?
# Before that, two variations:
#
# - `course run 11 -p fold 1`, and 2, 3, 4: how far does `dice_mean` move? Then change
#   `seed` instead.
# - `course run 11 -p patience 2`: `epochs_run`, and what it costs.
#
# References: the three papers (05, 07, 09). Micikevicius et al., *Mixed precision
# training*, ICLR 2018. Bengio, Grandvalet, *No unbiased estimator of the variance of
# K-fold cross-validation*, JMLR 5, 2004.

# %% tags=["nbval-ignore-output"]
print("this run took", records.cost())
