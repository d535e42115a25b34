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
# # 00 Start here: what does a segmentation network give you, and could you judge it?
#
# In the first minute a small network learns to find cell nuclei, on your machine, on real
# images. Then comes the question of the whole course: how do you know whether it is good?

# %% [markdown] tags=["goals"]
# After this notebook you can
# - run a notebook and read its checks (exercise 00-1);
# - choose the worse of several masks *and say why* (00-2);
# - name the device, the memory and the profile that you use.
#
# You need Python with arrays, and a first course in machine learning. No medicine.

# %% [markdown] tags=["budget"]
# **Cost.** Reading 20 minutes, exercises 10 minutes. The machine needs: {{budget}}.

# %% tags=["parameters"]
profile = ""  # str |smoke|fast|full: size of the run; empty: COURSE_PROFILE, else fast
seed = 0  # int 0..1000000: of the weights and the order of the cases
device = "auto"  # str auto|cpu|cuda|mps: where the net is trained
out_dir = ""  # str: folder of results.json; empty: below runs/notebooks

# %% tags=["setup"]
import time
from dataclasses import replace

import numpy as np
import psutil
import torch
from scipy import ndimage

from course_lib import drawing, figures, metrics, models, records, training
from course_lib.data import prepared
from course_lib.teaching import check, guess, hint

run = records.start(
    "00_start_here",
    {"profile": profile, "seed": seed, "device": device, "out_dir": out_dir},
)
began = time.perf_counter()

# %% [markdown]
# **How to work.** Click a cell and press Shift+Enter: it runs, and the next is chosen.
# Run them from top to bottom. Where a line ends in `= None`, put your guess in its place
# *before* you run on: a wrong guess teaches more than an answer that was read.
#
# **Your machine.** The profile sets how long things run: `smoke` (seconds, for tests),
# `fast` (a laptop), `full` (a graphics card).

# %% tags=["nbval-ignore-output"]
memory = psutil.virtual_memory()
print(
    f"device {run.device}, profile {run.profile}, {psutil.cpu_count()} cores, "
    f"{memory.total / 1e9:.0f} GB memory, "
    f"{memory.available / 1e9:.0f} GB of it free"
)

# %% [markdown]
# ## 1. One image
#
# These are cell nuclei under a microscope: about a hundred small images of a public
# contest (DSB2018, free to use). People outlined nuclei by hand: that drawing is the
# **reference mask**. Your net will see most of the images with their masks. The
# one below is kept back.

# %%
images = prepared.open("nuclei-mini")
run.uses(images)
parts = images.split()
train, val, test = (
    images.subset(parts[name]) for name in ("train", "val", "test")
)
kept_back = test.subset(
    [int(np.argsort(test.masks.sum((1, 2)))[len(test) // 2])]
)
picture, reference = kept_back.images[0], kept_back.masks[0] > 0

# %% tags=["figure"]
fig, _ = drawing.maps(
    [picture],
    names=["one image"],
    title="How much of this image is nucleus?",
)
figures.show(
    fig,
    f"A test image of {picture.shape[-2]} x {picture.shape[-1]} px with "
    f"{kept_back.cases.n_nuclei[0]} outlined cell nuclei; mean grey value "
    f"{picture.mean():.0f} of 255.",
    caption="A test image of nuclei-mini, 128 x 128 px (DSB2018, CC0).",
)

# %% tags=["predict"]
my_share = None  # share of pixels that belong to a nucleus, such as 0.3

# %% [markdown]
# ## 2. Train on the spot
#
# The net is a U-Net, small. You will build one in notebook 03; for now it is a box that
# turns an image into one number a pixel.
#
# Training shows it the images again and again; one pass over all of them is an **epoch**.
# Training lowers the **loss**, a number that says how far the answers are from the
# reference masks. Chance enters at the start and in the order of the images; the
# **seed** fixes it, so that a run can be repeated.

# %%
protocol = replace(
    training.PROTOCOLS["course"],
    batch=8,
    learning_rate=5e-3,
    seed=seed,
    epochs=run.pick(smoke=4, fast=16, full=60),
)
torch.manual_seed(seed)
net = models.create("unet", in_channels=3, num_classes=1, base=8, norm=True)
small = {
    part: data.resized(64)
    for part, data in (("train", train), ("val", val), ("test", kept_back))
}
history = training.fit(
    net,
    small["train"],
    small["val"],
    protocol,
    run.out_dir / "training",
    device=run.device,
)
probability = training.predict(net, small["test"], device=run.device)
probability = torch.nn.functional.interpolate(
    probability, size=reference.shape, mode="bilinear"
)[0, 0].numpy()
seconds = time.perf_counter() - began
records.record("seconds_to_first_mask", seconds, "s")

# %% tags=["figure"]
figures.show(
    *drawing.maps(
        [picture, probability, 255 * (probability > 0.5), 255 * reference],
        names=["image", "probability", "mask (p > 0.5)", "reference"],
        kinds=["image", "share", "image", "image"],
        bars={"share": "probability"},
        title="The net answers with a probability for every pixel",
    ),
    caption="Trained a moment ago on your machine on "
    f"{len(train)} images at 64 px, {protocol.epochs} epochs, seed {seed}. "
    "Look where the map is neither dark nor bright.",
    key=True,
)

# %% [markdown]
# That is all a segmentation network gives you: a **probability map**. It becomes a mask
# when somebody chooses a **threshold**: the probability above which a pixel counts as
# foreground, the object you look for. Where p is near the threshold, a small change of
# the threshold changes the mask.

# %% [markdown] tags=["predict"]
# **P1.** You raise the threshold. The area of the mask (a) grows or stays, (b) shrinks or
# stays, (c) stays, with a sharper border?

# %% tags=["predict"]
guess_1 = None


# %% tags=["widget"]
def threshold_view(threshold=0.5):
    mask = probability > threshold
    return drawing.outlines(
        [picture],
        [reference],
        [mask],
        names=[f"{mask.mean():.0%} of the pixels"],
        title=f"What does the threshold do? (threshold {threshold:.2f})",
    )


figures.slider(threshold_view, threshold=(0.05, 0.95, 0.05))

# %% tags=["figure"]
levels = (0.3, 0.5, 0.7)
masks = [probability > level for level in levels]
areas = [float(mask.mean()) for mask in masks]
assert areas[0] >= areas[1] >= areas[2]
figures.show(
    *drawing.outlines(
        [picture] * 3,
        [reference] * 3,
        masks,
        names=[f"threshold {level}" for level in levels],
        notes=[f"{area:.1%} of the pixels" for area in areas],
        title="A higher threshold takes pixels away, never adds one",
    )
)
guess(
    "P1",
    guess_1,
    answer="b",
    a="the threshold taken for sensitivity: the net does "
    "not see more, you demand more.",
    c="the threshold taken for contrast.",
)

# %% [markdown]
# ## 3. Your first exercise
#
# How large is an object? Write the share of foreground pixels of a mask. Masks come in
# several dialects: 0/1, 0/255, or labels 0, 1, 2.
#
# Fill in the function, run it, then run the check. Stuck? `hint("00-1", 1)`. If you leave
# it open, the notebook goes on with the course's own version.


# %% tags=["exercise", "ex-00-1"]
def foreground_fraction(mask):
    """Return the share (0..1) of pixels of mask (H, W) that are foreground.

    [[1, 0], [0, 0]] gives 0.25.
    """
    ### BEGIN SOLUTION
    return float((mask > 0).mean())
    ### END SOLUTION


# %% tags=["check", "ex-00-1"]
foreground_fraction = check("00-1", foreground_fraction)

# %%
share = foreground_fraction(kept_back.masks[0])
records.record("fg_fraction", share)
guess("the share of nucleus pixels", my_share, answer=share)

# %% [markdown]
# ## 4. Is it good?
#
# Below, your mask beside the reference. Three marks: agreed, **missed** (only in the
# reference) and **extra** (only in the net's mask). Before you blame the net, look at the
# image: sometimes the *reference* skipped a nucleus. It was drawn by a person, too.

# %% tags=["figure"]
mask = probability > 0.5
figures.show(
    *drawing.overlay(
        picture,
        reference,
        mask,
        title="Where do the net and the person disagree?",
        score=f"Dice {metrics.dice(mask, reference):.2f}",
    )
)

# %% [markdown]
# "Dice" is a number that you will take apart in notebook 02; 1 means equal masks. The net
# itself was trained with another number, the loss. It fell like this:

# %% [markdown] tags=["predict"]
# **P2.** Say that the loss has halved. The number of right pixels (a) has doubled, (b)
# has risen, nobody knows by how much, (c) has risen or fallen, nobody knows which?

# %% tags=["predict"]
guess_2 = None

# %% tags=["figure"]
rows = history.as_frame()
figures.show(
    *drawing.lines(
        {
            "training": (rows["epoch"] + 1, rows["loss"]),
            "validation": (rows["epoch"] + 1, rows["val_loss"]),
        },
        xlabel="epoch (one pass over the training images)",
        ylabel="loss",
        title="What does the loss tell about a mask?",
    )
)
guess(
    "P2",
    guess_2,
    answer="c",
    a="the loss taken for a score. It adds two terms, and "
    "neither of them counts pixels.",
    b="they often go together, but nothing ties one to the other.",
)

# %% [markdown]
# A pixel of the object that goes from .51 to .99 lowers the loss and changes no mask. One
# that goes from .51 to .49 hardly moves the loss, and is now missed.
#
# ## 5. Which is better?
#
# Now without a net. Nine nuclei, and three masks that somebody might hand you:
#
# - **A**: every border is one pixel too wide;
# - **B**: one of the nine nuclei is missing;
# - **C**: one speck is marked where nothing is.

# %%
grid = np.zeros((60, 60), bool)
for row in (12, 30, 48):
    for column in (12, 30, 48):
        grid |= (
            np.hypot(*np.ogrid[-row : 60 - row, -column : 60 - column]) < 5.5
        )
missing = grid.copy()
missing[:20, :20] = False
speck = grid.copy()
speck[20:23, 20:23] = True
wide = ndimage.binary_dilation(grid)
three = {"A": wide, "B": missing, "C": speck}
background = np.where(grid, 170, 60).astype(np.uint8)

# %% tags=["figure"]
scores = [metrics.dice(mask, grid) for mask in three.values()]
figures.show(
    *drawing.outlines(
        [background] * 3,
        [grid] * 3,
        list(three.values()),
        names=list(three),
        notes=[f"Dice {score:.3f}" for score in scores],
        title="Which of these masks would you reject?",
    )
)
assert scores[0] < scores[1] < scores[2]

# %% [markdown]
# Dice likes C best and A least. Ask your neighbour: you will not agree, and neither of
# you is wrong. Better *for what*?
#
# **Exercise 00-2.** A cell *counter* wants the number of nuclei. Which of the three masks
# must she reject? Write the letters.

# %% tags=["exercise", "ex-00-2"]
### BEGIN SOLUTION
### STUB: reject = ""  # letters, such as "AB"
reject = "BC"
### END SOLUTION

# %% tags=["check", "ex-00-2"]
reject = check("00-2", reject)

# %% tags=["nbval-check-output"]
for name, candidate in three.items():
    print(name, "nuclei counted:", ndimage.label(candidate)[1])

# %% [markdown]
# For someone who measures the *area* of nuclei it is the other way round: A is the worst.
# A segmentation is not a diagnosis either. Area and shape feed a decision that a person
# makes.
#
# ## 6. Your rule
#
# Write one sentence: *how do you know that one segmentation network is better than
# another?* Keep it. You will read it again in notebook 14 and grade it.

# %% tags=["predict"]
my_rule = ""

# %% [markdown]
# ## Recorded results

# %% tags=["result", "nbval-ignore-output"]
for row in records.finish():
    print(f"{row['name']:<24} {row['value']:.3f} {row['unit']}")

# %% [markdown] tags=["keypoints"]
# ## Key points
#
# - The output is a probability for every pixel; a mask needs a threshold (P1).
# - The loss trains the net; it does not tell you how good a mask is (P2).
# - "Better" needs a purpose: a counter and an area measurer reject different masks
#   (00-2).

# %% [markdown] tags=["next"]
# ## Where to go next
#
# Notebook 01 asks what the net is compared *with*: how images and masks come about, and
# who may sit in the test set. Two variations before that: `seed = 1` in the parameters
# cell (is the mask the same?), and `profile = "smoke"` (what does a net know after four
# epochs?).

# %% tags=["nbval-ignore-output"]
print("this run took", records.cost())
