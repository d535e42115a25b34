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
# # 08 GREnet: what does time mean in a network that sees one image?
#
# GREnet (Wang et al., 2024) segments one image three times and carries something from
# each time to the next. It borrows its memory from video, and its lessons from school:
# easy pixels first. You build both, and look at what each step really does.

# %% [markdown] tags=["goals"]
# **Why.** "Recurrent", "gradual" and "curriculum" sound like learning. Each stands for a
# few lines of code, and a claim about SiGREnet (09), "simplified", can only be judged by
# one who knows what was there to be simplified.
#
# After this notebook you can
# - compute one step of a ConvLSTM by hand (exercise 08-1);
# - turn the outputs of a net into nested pixel curricula (08-2);
# - count a ConvLSTM, the largest part of GREnet (08-3);
# - say which parts of a net only training needs (`gmac_train`, `gmac_infer`).
#
# You need notebooks 03 (counting), 05 (what reaches the output) and the idea of a second
# pass from 06.

# %% [markdown] tags=["budget"]
# **Cost.** Reading 55 minutes, exercises 55 minutes. The machine needs: {{budget}}.

# %% tags=["parameters"]
profile = ""  # str |smoke|fast|full: size of the run; empty: COURSE_PROFILE, else fast
data = "phantoms"  # str phantoms|nuclei-mini|nuclei|busi|...: which images
size = 0  # int 0..512: pixels a side; 0: 64, in full 224
steps = 3  # int 1..3: T, steps of GREnet, as many curricula
threshold = 0.75  # float 0.05..0.95: probability above which a pixel is revealed
epochs = 0  # int 0..2000: rounds of GREnet's training; 0: as the profile says
seed = 0  # int 0..1000000: of weights, order of the cases, augmentation
device = "auto"  # str auto|cpu|cuda|mps: where the nets are trained
out_dir = ""  # str: folder of results.json; empty: below runs/notebooks

# %% tags=["setup"]
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pandas as pd
import torch
from scipy import ndimage, stats

from course_lib import claims as ledger
from course_lib import drawing, figures, metrics, models, records, training
from course_lib.curriculum.mined import MinedSteps, pixel_curricula
from course_lib.data import prepared
from course_lib.drawing.graph import graph
from course_lib.drawing.revealed import revealed
from course_lib.models.convlstm import ConvLSTMCell
from course_lib.models.mining import MiningNet
from course_lib.teaching import check, guess, hint

main = {"steps": steps, "threshold": threshold, "seed": seed}
others = {
    "profile": profile,
    "data": data,
    "size": size,
    "epochs": epochs,
    "device": device,
    "out_dir": out_dir,
}
run = records.start("08_grenet", main | others)
count = models.measure.count_parameters


# %% [markdown]
# `data` says which images you use. By default they are **synthetic** (phantoms, notebook
# 01), the nets are at **teaching size**, and each is trained for seconds. That shows
# mechanisms; nothing here says how well the published net segments.


# %% tags=["nbval-ignore-output"]
def spread(part, most):
    """At most so many cases, evenly spaced; None: all."""
    rows = np.linspace(0, len(part) - 1, min(most or len(part), len(part)))
    return part.subset(rows.astype(int))


opened = prepared.open(data)
parts = opened.split()
run.uses(opened)
size = size or run.pick(smoke=64, fast=64, full=224)
images = opened.resized(size)
train, val, test = (
    images.subset(parts[name]) for name in ("train", "val", "test")
)
val = spread(val, run.pick(smoke=8, fast=32, full=None))
test = spread(test, run.pick(smoke=24, fast=60, full=None))
channels = images.all_images.shape[1]
classes = 1 if images.num_classes == 2 else images.num_classes
which = "synthetic images" if data == "phantoms" else data
print(images.describe())
print(f"train {len(train)}, validation {len(val)}, test {len(test)}")

# %% [markdown]
# ## 1. There is no video
#
# A net for video sees frame after frame; time is in the data. GREnet sees **one** image.
# Its steps t = 1, ..., T are tries at the same mask. What makes step 2 differ from step
# 1? Not the image and, in the form with **shared** weights below, not the weights. Only
# what step 1 left behind.
#
# GREnet is a U-Net (03) that is cut open at its lowest level, the bottleneck. There a map
# $f_t$ is made from two maps: $e$, what the encoder says of the image, and $f_{t-1}$,
# the same place one step before. Each $f_t$ has a decoder behind it and gives a mask
# $o_t$.

# %% tags=["figure"]
READS = {"encoder": ["image"], "e": ["encoder"]}
PLACES = {"image": (0, 3.3), "encoder": (1, 3.3), "e": (2, 3.3)}
for k in (1, 2, 3):
    READS |= {f"f{k}": ["e"], f"dec {k}": [f"f{k}"], f"o{k}": [f"dec {k}"]}
    PLACES |= {f"f{k}": (1.3 * k + 0.7, 2), f"dec {k}": (1.3 * k + 0.7, 1)}
    PLACES |= {f"o{k}": (1.3 * k + 0.7, 0)}
READS |= {"f2": ["e", "f1"], "f3": ["e", "f2"]}
figures.show(
    *graph(
        READS,
        PLACES,
        title="What does step 2 know that step 1 did not?",
        accent=[("f1", "f2"), ("f2", "f3")],
        family="grenet",
    ),
    caption="GREnet with T = 3, unrolled over its steps. The skips from "
    "encoder to decoder are left out. The coloured arrows are all that makes "
    "a step differ from the one before.",
)

# %% [markdown]
# ## 2. A memory, with pencil
#
# To make $f_t$, the maps $f_{t-1}$ and $e$ are read one after the other by a
# **ConvLSTM** (Shi et al., 2015), a cell made for video. It keeps two maps: a **memory**
# $c$ and a **hidden state** $h$, what it says. At every reading one convolution over
# $[x, h]$ makes four maps $z_i, z_f, z_o, z_g$, and then, pixel by pixel,
#
# $$i, f, o = \sigma(z_i), \sigma(z_f), \sigma(z_o), \qquad g = \tanh(z_g)$$
# $$c' = f\,c + i\,g, \qquad h' = o \tanh(c')$$
#
# Three **gates** between 0 and 1: how much to let in ($i$), to keep ($f$), to show ($o$).
# One **candidate** $g$ between -1 and 1. Commit yourself before you compute.

# %% [markdown] tags=["predict"]
# **P1.** The forget gate $f$ is 1 and the input gate $i$ is 0. The memory (a) grows, (b)
# stays, (c) is 0?

# %% tags=["predict"]
guess_1 = None  # "a", "b" or "c"

# %% [markdown]
# **Exercise 08-1.** Write the step.


# %% tags=["exercise", "ex-08-1"]
def lstm_step(z, c):
    """Return (h, c) after one step; all are tensors of one shape.

    z: the four (z_i, z_f, z_o, z_g) before any activation.
    With all of them 0 and c = 2, the memory halves: c = 1, h = .3808.
    """
    ### BEGIN SOLUTION
    z_i, z_f, z_o, z_g = z
    i, f, o = torch.sigmoid(z_i), torch.sigmoid(z_f), torch.sigmoid(z_o)
    c = f * c + i * torch.tanh(z_g)
    return o * torch.tanh(c), c
    ### END SOLUTION


# %% tags=["check", "ex-08-1"]
lstm_step = check("08-1", lstm_step)
# stuck? hint("08-1", 1), then 2, then 3

# %% [markdown]
# With your step and one convolution you have a whole ConvLSTM. Here it reads four random
# maps, beside the library's cell with the same weights.

# %% tags=["nbval-check-output"]
torch.manual_seed(0)
cell = ConvLSTMCell(3, 2)  # 3 channels in, 2 of memory, kernel 3 x 3
seen = torch.randn(4, 1, 3, 8, 8)
h = c = torch.zeros(1, 2, 8, 8)
state, apart = None, []
with torch.inference_mode():
    for x in seen:
        z = cell.conv(torch.cat([x, h], dim=1)).chunk(4, dim=1)
        h, c = lstm_step(z, c)
        state = cell(x, state)
        apart += [(h - state.h).abs().max(), (c - state.c).abs().max()]
print("by hand equal to the library's:", max(apart).item() < 1e-6)
print("one convolution makes", cell.conv.out_channels, "maps: 4 x 2")
guess(
    "P1",
    guess_1,
    answer="b",
    a="as if every step had to add something: i = 0 lets nothing in.",
    c="as if no input meant no memory: f = 1 keeps all that was there.",
)


# %% [markdown]
# Move the sliders: the same four numbers at each of six steps, the memory starting at 1.
# Where does it settle? Find a setting in which $c$ is far above 1 and $h$ still is not.


# %% tags=["widget"]
def memory_view(z_i=-2, z_f=2, z_o=1, z_g=1):
    z = [torch.tensor(float(value)) for value in (z_i, z_f, z_o, z_g)]
    c, told, shown = torch.tensor(1.0), [1.0], [float("nan")]
    for _ in range(6):
        h, c = lstm_step(z, c)
        told.append(float(c))
        shown.append(float(h))
    gates = "i {:.2f}, f {:.2f}, o {:.2f}".format(
        *(float(torch.sigmoid(value)) for value in z[:3])
    )
    return drawing.lines(
        {
            "memory c": (range(7), told),
            "says h": (range(1, 7), shown[1:]),
        },
        xlabel="step",
        ylabel="value at one pixel",
        title="Where do c and h settle? "
        f"{gates}, g {float(torch.tanh(z[3])):.2f}",
    )


figures.slider(
    memory_view,
    z_i=(-4, 4, 1),
    z_f=(-4, 4, 1),
    z_o=(-4, 4, 1),
    z_g=(-4, 4, 1),
    caption="With z_f = -4 the memory forgets at once; with 4 and an open "
    "input gate it counts: it settles at i g / (1 - f).",
)

# %% [markdown]
# Now read the figure of section 1 again. The cell starts from zeros **at every step** t
# and reads two maps, $f_{t-1}$ and then $e$. (A shared first step has no $f_0$ and reads
# $e$ alone.) So $c$ lives for two readings and is thrown away: what travels from step to
# step is $f$. The memory of video serves here as a way to join two maps.
#
# ## 3. Easy pixels first
#
# What should the steps do? GREnet says: learn gradually. Step 1 is to find the pixels
# that are easy, step T all. So someone has to say which pixels are easy, and GREnet has
# a second network for it, the **mining network**: a UNet++, which is four decoders of
# growing depth in one, each with an output of its own, with a transformer (layers in
# which every place reads every other) at its bottom. It is trained first and then never
# changed. What its shallowest decoder is already sure of is called easy.

# %%
rule = run.pick(
    smoke=replace(training.PROTOCOLS["course"], epochs=2, max_updates=20),
    fast=replace(training.PROTOCOLS["course"], epochs=3, max_updates=40),
    full=training.Protocol(optimiser="adam", learning_rate=1e-4, epochs=40),
)
rule = replace(rule, seed=seed)


def fitted(net, name, strategy, rule=rule):
    """Train a net, by default as long as the mining network."""
    return training.fit(
        net,
        train,
        val,
        rule,
        run.out_dir / name,
        device=run.device,
        strategy=strategy,
    )


torch.manual_seed(seed)
widths = run.pick(
    smoke=(4, 4, 8, 16, 32),
    fast=(8, 8, 16, 32, 64),
    full=(32, 32, 64, 128, 256),
)
miner = MiningNet(channels, classes, channels=widths)
fitted(miner, "miner", training.EPL["joint"])  # a loss for each output
print(f"mining network: {count(miner):,} parameters, trained and frozen")

# %% tags=["figure"]
x, y = test.batch(list(range(len(test))))
with torch.inference_mode():
    outputs = miner.cpu().forward_stages(x)


def sure(logits):
    """Probability (B, H, W) of the foreground."""
    if classes == 1:
        return logits[:, 0].sigmoid().numpy()
    return 1 - logits.softmax(1)[:, 0].numpy()


found = [sure(logits) for logits in outputs]
marked = (y > 0).numpy()
areas = marked.sum((1, 2))
order = np.argsort(areas)
order = order[areas[order] > 0]
middle = int(order[len(order) // 2])
figures.show(
    *drawing.maps(
        [test.images[middle], *(one[middle] for one in found)],
        names=["image", *(f"output {k}" for k in (1, 2, 3, 4))],
        kinds=["image", *["share"] * 4],
        bars={"share": "probability"},
        target=marked[middle],
        title="What are the four decoders of the mining network sure of?",
    ),
    caption=f"{which}, the test case of middle size, seed {seed}. Output 1 "
    "has the shallowest decoder, output 4 the deepest.",
)

# %% [markdown]
# Three of the four outputs (1, 2 and 4) become curricula: a pixel is **revealed** at a
# step if its probability is above .75, the threshold of GREnet's released code. Deeper
# decoders know more, so these sets should grow.

# %% [markdown] tags=["predict"]
# **P2.** Take the pixels of the masks that are above .75 in output 1. How many of 100 are
# *not* above .75 in the deeper output 2?

# %% tags=["predict"]
guess_2 = None  # 0 to 100

# %% tags=["nbval-ignore-output"]
above = [found[k] > threshold for k in (0, 1, 3)]
lost = [int((a & ~b & marked).sum()) for a, b in pairwise(above)]
print(
    f"pixels of the masks above {threshold} in output 1, not in 2: {lost[0]}"
)
print(f"                     and in output 2, not in 4: {lost[1]}")
records.record("taken_back", sum(lost), "px", n=len(test))
first = int((above[0] & marked).sum())
guess("P2", guess_2, answer=100 * lost[0] / max(first, 1))

# %% [markdown]
# Each output is a map of its own, with a loss of its own: more depth does not make every
# pixel surer, so nothing nests these sets by itself.
#
# **Exercise 08-2.** Make them nested: what was revealed once stays revealed. And a
# curriculum teaches, so it may only show what the reference mask (01) marks: what the
# mining network is sure of outside of it is a mistake.


# %% tags=["exercise", "ex-08-2"]
def nested(probs, mask, threshold=0.75):
    """Return the curricula (T, P), 0 or 1, of P pixels.

    probs (T, P): probability of the foreground at each step.
    mask (P,): reference, 0 or 1.
    nested([[.9, .6], [.7, .8]], [1, 1]) is [[1, 0], [1, 1]].
    """
    ### BEGIN SOLUTION
    over = np.asarray(probs) > threshold
    joined = np.logical_or.accumulate(over, axis=0)
    return (joined & (np.asarray(mask) > 0)).astype(int)
    ### END SOLUTION


# %% tags=["check", "ex-08-2"]
nested = check("08-2", nested)

# %%
USE = {1: (4,), 2: (1, 4), 3: (1, 2, 4)}[steps]  # outputs, one a curriculum
curricula = pixel_curricula(outputs, y, use=USE, threshold=threshold)
lessons = (curricula > 0).numpy()  # (T, cases, H, W)
if classes == 1:
    yours = nested(
        np.stack([found[k - 1].ravel() for k in USE]),
        marked.ravel(),
        threshold,
    )
    same = np.array_equal(yours, lessons.reshape(len(USE), -1))
    print("yours and the library's are equal, pixel by pixel:", same)
shares = lessons.sum((1, 2, 3)) / marked.sum()
print("revealed of the masks, step by step:", shares.round(2))
for k, share in enumerate(shares, start=1):
    records.record(f"revealed_step{k}", share, n=len(test))

# %% [markdown]
# Look at what a net finds easy. Go through cases, and move the threshold: at .95 little
# is easy, at .5 almost all. Before you move to a new case, look at its image and guess
# which part will be light (easy).

# %% tags=["widget"]
places = np.linspace(0, len(order) - 1, 6).astype(int)
CASES = [int(order[place]) for place in places]  # by area, small to large
easiest = 1 + int(np.argmax([lessons[0][k].sum() / areas[k] for k in CASES]))


def curriculum_view(case=easiest, threshold=threshold):
    row = CASES[case - 1]
    one = [logits[row : row + 1] for logits in outputs]
    masks = pixel_curricula(
        one, y[row : row + 1], use=USE, threshold=threshold
    )
    return revealed(
        test.images[row],
        marked[row],
        masks[:, 0].numpy(),
        title=f"Which pixels are easy? (case {case}, above {threshold:.2f})",
    )


figures.slider(
    curriculum_view,
    case=(1, 6, 1),
    threshold=(0.05, 0.95, 0.05),
    caption=f"{which}; six test cases, small to large; the picture starts "
    "with the one that step 1 reveals most of. White and hatched: never "
    "revealed, learned from the whole mask alone.",
)

# %% [markdown]
# A reader would call a lesion easy or hard. The mining network speaks about *pixels*. Is
# "easy" simply "inside"? Here is the share revealed against the distance from the border,
# over all test cases.

# %% tags=["figure"]
EDGES = [0, 1.5, 3, 6, np.inf]
inside = np.stack([ndimage.distance_transform_edt(m) for m in marked])
ring = np.digitize(inside, EDGES)  # 1 to 4
rings = [marked & (ring == k) for k in (1, 2, 3, 4)]
rings = [where for where in rings if where.any()]
far = [inside[where].mean() for where in rings]
by_depth = {
    f"by step {k}": (far, [lesson[where].mean() for where in rings])
    for k, lesson in enumerate(lessons, start=1)
}
figures.show(
    *drawing.lines(
        by_depth,
        xlabel="mean distance from the border (px)",
        ylabel="share revealed",
        title="Is easy the same as far from the border?",
    ),
    caption=f"{which}, {len(test)} test cases; rings of 1, 2, 3 to 5, and "
    f"6 or more px, {', '.join(f'{int(w.sum()):,}' for w in rings)} pixels. "
    "Records `revealed_border`, `revealed_core`.",
)
last = by_depth[f"by step {steps}"][1]
records.record("revealed_border", last[0], n=len(test))
records.record("revealed_core", last[-1], n=len(test))
if "difficulty" in test.cases:
    part = [lessons[0][k].sum() / areas[k] for k in order]
    hard = test.cases["difficulty"].to_numpy()[order]
    rho = float(stats.spearmanr(part, hard).statistic)
    records.record("rho_difficulty", rho, n=len(order))
    print(
        "share revealed at step 1 and true difficulty: rank correlation",
        f"{rho:.2f}",
    )

# %% [markdown]
# Two things to keep. Within a lesion the ring of one pixel at the border comes last or
# never: there the mask itself is a decision (01). Between lesions the share follows what
# the mining network learned in its few updates; whether that is the true difficulty of a
# phantom, the number above says (-1: the harder, the less revealed; 0: no relation).
#
# ## 4. Step t learns from curriculum t
#
# Now the segmentation net. Its loss is a mean over **two targets a step**: curriculum t,
# with all hidden pixels set to *background*, and the whole mask. Think about one hidden
# pixel at step 1.

# %% [markdown] tags=["predict"]
# **P3.** The curriculum asks it for 0, the mask for 1, with equal weight, both by
# cross-entropy. Which probability makes the sum smallest? (a) 0, (b) .5, (c) 1

# %% tags=["predict"]
guess_3 = None  # "a", "b" or "c"

# %% tags=["nbval-check-output"]
p = np.linspace(0.01, 0.99, 99)
asked = -np.log(1 - p) - np.log(p)  # target 0 and target 1
print(f"smallest at p = {p[asked.argmin()]:.2f}")
guess(
    "P3",
    guess_3,
    answer="b",
    a="as if the curriculum alone were the target.",
    c="as if the mask alone were: then nothing would be staged.",
)

# %% [markdown]
# So a hidden pixel is not taught as background, it is taught as *undecided*: with the
# threshold of a mask at .5, exactly on the edge. (The Dice part of the loss moves this.)
# Two nets from the same weights, with the same cases and updates: one with curricula, one
# whose steps all learn from the whole mask alone.

# %%
levels = run.pick(
    smoke=(4, 8, 16, 32), fast=(8, 16, 32, 64), full=(16, 32, 64, 128, 256)
)
longer = run.pick(smoke=2, fast=6, full=40)  # no norm: it learns slowly
longer = replace(rule, epochs=epochs or longer)
TAUGHT = {
    "curricula": MinedSteps(miner.to(run.device), USE, threshold),
    "mask alone": training.EPL["joint"],
}
nets, seconds = {}, {}
for name, strategy in TAUGHT.items():
    torch.manual_seed(seed)
    nets[name] = models.create(
        "grenet",
        in_channels=channels,
        num_classes=classes,
        channels=levels,
        steps=steps,
    )
    folder = name.replace(" ", "_")
    told = fitted(nets[name], folder, strategy, longer).as_frame()
    seconds[name] = float(told["seconds"].sum())
    print(name, told["val_dice"].round(3).tolist())

# %% [markdown]
# Printed: the validation Dice of the last step, round by round. (In the profile `smoke`
# all may be 0: no pixel has reached .5 yet.) Which net starts later?
# P3 gives a reason to expect it: hidden pixels ask for background as much as for object.
#
# Does the net with curricula do what its lessons say? Look at each row from left to
# right, first at the middle of the object, then at its border.

# %% tags=["figure", "nbval-ignore-output"]
with torch.inference_mode():
    said = {
        name: np.stack([sure(one) for one in net.cpu().forward_stages(x)])
        for name, net in nets.items()
    }  # each (T, cases, H, W)
chosen = CASES[easiest - 1]
figures.show(
    *drawing.steps(
        {name: maps[:, chosen] for name, maps in said.items()},
        target=marked[chosen],
        title="Does a later step say something else?",
    ),
    caption=f"Probabilities of step 1 to T, {which}, the case that "
    f"section 3 started with, seed {seed}. White: reference.",
    key=True,
)
hidden, shown = marked & ~lessons[0], lessons[0]
for name, maps in said.items():
    row = [f"{name}: mean probability at step 1 and {steps}:"]
    for label, where in (("revealed", shown), ("hidden", hidden)):
        if where.any():
            first, final = maps[0][where].mean(), maps[-1][where].mean()
            row.append(f"{label} {first:.2f}, {final:.2f};")
            key = name.split()[0]
            records.record(f"p_{label}_{key}", first, n=int(where.sum()))
    print(" ".join(row))


# %% [markdown]
# If the two numbers of a row hardly differ, the net has not learned which pixels are
# hidden: it sees the image, not the mining network.
#
# Now the scores: Dice of each step on the test cases, for both nets.


# %% tags=["nbval-ignore-output"]
class AtStep(torch.nn.Module):
    """A net that answers with the logits of one of its steps."""

    def __init__(self, net, step):
        super().__init__()
        self.net, self.step = net, step

    def forward(self, x):
        return self.net.forward_stages(x)[self.step - 1]


def dice_of(net, step):
    """Dice of every test case, the mean of its classes."""
    table = training.evaluate(AtStep(net, step), test, device=run.device)
    filled = metrics.fill_empty(table)
    return filled.groupby("case_id", sort=False)["dice"].mean().to_numpy()


T = range(1, steps + 1)
dice = {name: [dice_of(net, t) for t in T] for name, net in nets.items()}
groups = test.cases["group"]
ends = metrics.bootstrap_interval
for name, values in dice.items():
    means = [f"step {t}: {v.mean():.3f}" for t, v in zip(T, values)]
    print(f"{name:<11}", ", ".join(means))
gained = dice["curricula"][-1] - dice["curricula"][0]
gain = dice["curricula"][-1] - dice["mask alone"][-1]
for label, one in (("steps", gained), ("curricula", gain)):
    low, high = ends(one, groups)
    print(f"what {label} give: {one.mean():+.3f} [{low:+.3f}, {high:+.3f}]")

# %% tags=["figure", "nbval-ignore-output"]
curves = {}
for name, values in dice.items():
    bounds = np.array([ends(v, groups) for v in values]).T
    curves[name] = (list(T), [v.mean() for v in values], *bounds)
figures.show(
    *drawing.lines(
        curves,
        xlabel="step t",
        ylabel="Dice (bar: 95 % interval over cases)",
        title="Is the last step the best one, and do curricula help it?",
    ),
    caption=f"{which}, n = {len(test)}, one seed. The bars speak about cases, "
    "not about another training. Records `dice_step1` to `dice_step3`.",
)

# %% [markdown]
# How sure is this? The interval of a difference is over test cases, for **one** training
# of each net. Another seed moves both. If it holds zero, the finding is *not shown*; if
# it does not, it is shown for this pair of weights, and notebook 12 says what more it
# takes. And note what the curricula cost beside the updates: a second network and its
# training.
#
# ## 5. What the gates do
#
# The trained net has gates to look at. At each step the cell reads $f_{t-1}$, then $e$.
# Here are its gates at one bottleneck pixel in the middle of the object.

# %% tags=["figure", "nbval-ignore-output"]
with torch.inference_mode():
    maps = nets["curricula"].forward_features(x[chosen : chosen + 1])
centre = np.argwhere(marked[chosen]).mean(0)
reads = [name[:-2] for name in maps if name.endswith("_i")]
gates = {}
for gate, name in (("i", "input"), ("f", "forget"), ("o", "output")):
    values = []
    for read in reads:
        gate_map = maps[f"{read}_{gate}"][0].mean(0).numpy()
        row, col = (centre * np.array(gate_map.shape) / size).astype(int)
        values.append(gate_map[row, col])
    gates[name] = (range(1, len(reads) + 1), values)
fig, alt = drawing.lines(
    gates,
    xlabel="reading (in each step the cell starts anew)",
    ylabel="gate, mean over channels",
    title="How far open are the gates of a trained GREnet?",
)
ticks = ["step 1: e"]
for t in range(2, steps + 1):
    ticks += [f"step {t}: f{t - 1}", f"step {t}: e"]
fig.axes[0].set_xticks(range(1, len(ticks) + 1), ticks)
figures.show(
    fig,
    alt,
    caption=f"{which}, one pixel of one test case, curricula, seed {seed}. "
    "At the first reading of a step the forget gate multiplies zeros.",
)

# %% [markdown]
# Where $z$ is 0 a gate is .5, and the gates of a fresh net lie around that. So ask of
# each curve: how far is it from .5, and does the cell treat $e$ and $f$ alike? A mean
# over channels hides how these differ, and this is one pixel after few updates: look, but
# conclude nothing. Notebook 09 asks what is left of the net when the gates are made much
# smaller.
#
# ## 6. Count it
#
# What does this memory cost? One convolution reads $c_{in}$ channels of input and
# $c_{hidden}$ of state, and writes four maps for each hidden channel.
#
# **Exercise 08-3.** Count the parameters of a ConvLSTM, biases as well.


# %% tags=["exercise", "ex-08-3"]
def convlstm_parameters(c_in, c_hidden, k=3):
    """Weights and biases of a ConvLSTM with k x k kernels.

    convlstm_parameters(3, 8) is 3200.
    """
    ### BEGIN SOLUTION
    made = 4 * c_hidden
    return k * k * (c_in + c_hidden) * made + made
    ### END SOLUTION


# %% tags=["check", "ex-08-3"]
convlstm_parameters = check("08-3", convlstm_parameters)


# %% [markdown]
# The published width has 256 channels at the bottleneck. **Shared** is one recurrent
# stage that is used at every step; **unrolled** is the released code: a whole U-Net for
# each step, the first one without a memory, each later one with a selective kernel (a
# mix of a 3 x 3 and a 5 x 5 convolution) at its bottleneck's end.


# %% tags=["nbval-check-output"]
class Training(torch.nn.Module):
    """A net as training runs it: all decoders."""

    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, x):
        return self.net.forward_stages(x)[-1]


def on_paper(**options):
    """Build GREnet as published, without storing a number."""
    with torch.device("meta"):
        return models.create("grenet", **options)


def gmac(net):
    """10^9 multiply-adds of one 256 x 256 image."""
    return models.measure.count_macs(net, (3, 256, 256)) / 1e9


FORMS = {f"shared, T = {k}": {"steps": k} for k in (1, 2, 3, 4)}
FORMS["unrolled, T = 3"] = {"shared": False}
FORMS["as released, T = 3"] = {"shared": False, "selective": True}
costs = {}
for name, options in FORMS.items():
    net = on_paper(**options)
    costs[name] = (count(net), gmac(Training(net)), gmac(net))
    has, taught, used = costs[name]
    print(f"{name:<19} {has:>10,} parameters; GMAC in training", end="")
    print(f"{taught:6.2f}, at inference {used:5.2f}")
memory = convlstm_parameters(256, 256)
share = memory / costs["shared, T = 3"][0]
print(f"its ConvLSTM: {memory:,} parameters, {share:.0%} of the shared net")
assert memory == 4_719_616
assert costs["shared, T = 3"][0] == 6_813_569

# %% tags=["figure"]
stage = on_paper().stages[0]
figures.show(
    *drawing.bars(
        {
            "encoder and entry": (count(stage.encoder) + count(stage.entry))
            / 1e6,
            "ConvLSTM": count(stage.bottleneck.cell) / 1e6,
            "convolution": count(stage.bottleneck.conv) / 1e6,
            "join, 1 x 1": count(stage.bottleneck.join) / 1e6,
            "decoder and head": (count(stage.decoder) + count(stage.head))
            / 1e6,
        },
        xlabel="parameters (millions)",
        digits=2,
        accent=["ConvLSTM"],
        title=f"Joining two maps takes {share:.0%} of the net",
    ),
    caption="GREnet, one shared stage, as published: 16 to 256 channels. "
    "Records `params`, `params_convlstm`.",
)

# %% [markdown]
# T does not stand in the parameters of the shared net: steps share weights, as passes did
# in 06. It stands in the work. But look at the last two columns: training and inference
# do not cost the same.
#
# ## 7. Training needs more than inference
#
# In training each step has a decoder behind it, because each has a target. At inference
# you want the last mask.

# %% [markdown] tags=["predict"]
# **P4.** You leave out the decoders of steps 1 and 2. The mask of step 3 (a) changes, (b)
# does not?

# %% tags=["predict"]
guess_4 = None  # "a" or "b"

# %% tags=["nbval-check-output"]
torch.manual_seed(0)
apart = models.create("grenet", channels=(4, 8, 16), shared=False).eval()
x_small = torch.rand(2, 3, 32, 32)
with torch.inference_mode():
    before = apart.forward_stages(x_small)
    for stage in apart.stages[:2]:  # break the decoders of steps 1 and 2
        for p in (*stage.decoder.parameters(), *stage.head.parameters()):
            p.zero_()
    after = apart.forward_stages(x_small)
for t, (a, b) in enumerate(zip(before, after), start=1):
    print(f"step {t} unchanged: {torch.equal(a, b)}")
print("inference gives step 3:", torch.equal(apart(x_small), after[-1]))
apart(x_small).sum().backward()  # as in 05: what does inference use?
idle = [name for name, p in apart.named_parameters() if p.grad is None]
print(len(idle), "parameter tensors reach no output of inference")
assert idle
assert all(".decoder." in name or ".head." in name for name in idle)
guess(
    "P4",
    guess_4,
    answer="b",
    a="as if all that is trained were used: f_t needs f_(t-1) and e, no mask.",
)

# %% tags=["figure"]
work = [costs[f"shared, T = {k}"] for k in (1, 2, 3, 4)]
figures.show(
    *drawing.lines(
        {
            "training": (range(1, 5), [one[1] for one in work]),
            "inference": (range(1, 5), [one[2] for one in work]),
        },
        xlabel="steps T",
        ylabel="work of one forward pass (GMAC)",
        title="Which price of a step is paid once, which every time?",
    ),
    caption="GREnet, shared, 256 x 256 px. Records `gmac_train`, "
    "`gmac_infer`.",
)

# %% [markdown]
# In 05 a part that reaches no output was a fault. Here it is a design: the early decoders
# carry lessons in training (**deep supervision**, more in 09) and are dropped afterwards.
# So "the cost of GREnet" is four numbers: shared or unrolled, training or inference. When
# 09 compares SiGREnet with it, ask which.
#
# ## Recorded results

# %% tags=["result", "nbval-ignore-output"]
for t, values in zip(T, dice["curricula"]):
    interval = ends(values, groups)
    records.record(
        f"dice_step{t}", values.mean(), n=len(test), interval=interval
    )
last = dice["mask alone"][-1]
records.record("dice_mask_alone", last.mean(), n=len(test))
for name, one in (("gain_steps", gained), ("gain_curricula", gain)):
    interval = ends(one, groups)
    records.record(name, one.mean(), n=len(test), interval=interval)
params, in_training, in_use = costs["shared, T = 3"]
records.record("params", params)
records.record("params_convlstm", memory)
records.record("gmac_train", in_training, "GMAC")
records.record("gmac_infer", in_use, "GMAC")
records.record("seconds_training", seconds["curricula"], "s")
for row in records.finish():
    value = float("nan") if row["value"] is None else row["value"]
    value = f"{value:.3f}" if isinstance(value, float) else f"{value:,}"
    bounds = row["interval"] and " [{:.3f}, {:.3f}]".format(*row["interval"])
    print(f"{row['name']:<21} {value}{bounds or ''} {row['unit']}")

# %% [markdown]
# GREnet's own paper is not in the course's ledger: we could read its abstract and its
# released code, not its tables. What SiGREnet's paper claims *against* GREnet and
# ConvLSTM is: verdict, its words, what stands against them.

# %% tags=["claims", "nbval-ignore-output"]
about = ("X1.full", "X1.standard-literal", "X9.work", "X9.time")
about += ("X17.parameters", "X17.dice", "X20.dice", "X20.references")
for row in ledger.rows("sigrenet", *about):
    told = (row.verdict, row.paper_text, row.ours_text, row.note)
    print(f"{row.claim.id}: {row.claim.claim}")
    print("    " + "; ".join(filter(None, told)))

# %% [markdown] tags=["keypoints"]
# ## Key points
#
# - Time here is a count of tries; the only thing that passes from one to the next is a
#   map, and the memory inside the cell lives for two readings (08-1).
# - Curricula are nested because they are made so, and cut to the mask (08-2,
#   `taken_back`, `revealed_step1`).
# - A hidden pixel is taught as undecided, not as background (P3); whether a net learns
#   which pixels are hidden is another question (`p_hidden_curricula`).
# - Steps share weights; the ConvLSTM alone is 69 % of them (08-3, `params_convlstm`).
# - Training and inference are two prices (`gmac_train`, `gmac_infer`).

# %% [markdown] tags=["next"]
# ## Where to go next
#
# Notebook 09 takes SiGREnet, which says it does the same with a fraction: does its
# iteration iterate? Before that, two variations:
#
# - `course run 08 -p threshold 0.5`: what becomes of `revealed_step1`, and of the gain?
# - `course run 08 -p steps 1`: the same net without a second try. How much of the last
#   step's Dice was there at the first?
#
# References: Wang et al., *GREnet: Gradually recurrent network with curriculum learning
# for 2-D medical image segmentation*, IEEE TNNLS 35(7), 2024; Shi et al., *Convolutional
# LSTM network*, NeurIPS 2015, arXiv 1506.04214.

# %% tags=["nbval-ignore-output"]
print("this run took", records.cost())
