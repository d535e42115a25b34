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
# # 02 Metrics: which number would change a doctor's mind, and which one only a table?
#
# In 01 you saw what a net is compared with. Now the comparison itself: how do two masks
# become one number, and what does that number not see? From 03 on you train nets, and
# every one of them is judged by what you choose here.

# %% [markdown] tags=["goals"]
# ## Goals
#
# After this notebook you can
#
# - compute Dice by hand, also where a mask is empty (exercise 02-1);
# - compute the 95 % Hausdorff distance from two lists of distances (02-2);
# - tell from a printed table which averaging it cannot have used (02-3);
# - count lesions, not pixels (02-4);
# - write a table row that says its level, its rule for empty masks and its interval
#   (records `dice_mean`, `dice_pooled`, `hd95_median`).
#
# You need notebook 01 (masks, boundaries, groups). No net is trained here.

# %% [markdown] tags=["budget"]
# Reading 60 minutes, doing 70 minutes. This notebook needs: {{budget}}.

# %% tags=["parameters"]
profile = ""  # str |smoke|fast|full: size of the run; empty: COURSE_PROFILE, else fast
seed = 0  # int 0..1000000: seeds the synthetic patients and the intervals
out_dir = ""  # str: folder of results.json; empty: runs/notebooks

# %% tags=["setup"]
import re

import numpy as np
import pandas as pd
from scipy import ndimage, stats

from course_lib import drawing, figures, metrics, records
from course_lib.data import phantoms
from course_lib.drawing import panels
from course_lib.teaching import check, guess

run = records.start(
    "02_metrics", {"profile": profile, "seed": seed, "out_dir": out_dir}
)

# %% [markdown]
# ## 1 A number that praises doing nothing
#
# Take an image of 100 by 100 pixels with one lesion of 10 by 10: a *lesion* is a piece of
# tissue that looks diseased. Its *prevalence* among pixels is 1 %. A lazy program answers
# "nothing anywhere". Guess first: what share of the pixels does it get right?
#
# Every pixel falls into one of four boxes. *True positive* (TP): marked and in the
# reference mask. *False positive* (FP): marked, not in the reference. *False negative*
# (FN): in the reference, not marked. *True negative* (TN): the rest.

# %% tags=["nbval-check-output"]
lesion = np.zeros((100, 100), dtype=bool)
lesion[30:40, 50:60] = True
nothing = np.zeros_like(lesion)

print(metrics.counts(nothing, lesion))
print(f"accuracy     {metrics.accuracy(nothing, lesion):.2f}")
print(f"sensitivity  {metrics.recall(nothing, lesion):.2f}")
print(f"specificity  {metrics.specificity(nothing, lesion):.2f}")
print(f"Dice         {metrics.dice(nothing, lesion):.2f}")

# %% [markdown]
# *Accuracy*, the share of pixels that are right, is 0.99 for a program that finds nothing.
# The background did that. *Sensitivity*, TP / (TP + FN), also called recall, is 0: no
# lesion pixel was found. *Specificity*, TN / (TN + FP), is 1: nothing was marked wrongly.
#
# Both are properties at one threshold and at one level: here the level is the pixel. A
# patient-level sensitivity is another number. Prevalence, too, has levels: of patients, of
# lesions and of pixels are three numbers.

# %% [markdown]
# ## 2 Dice and IoU: leave the background out
#
# Two scores ignore TN. *Dice* is twice the overlap over the sum of both sizes; *IoU*
# (intersection over union) is the overlap over everything that either mask marks:
#
# $$\mathrm{Dice} = \frac{2\,TP}{2\,TP + FP + FN} \qquad
# \mathrm{IoU} = \frac{TP}{TP + FP + FN}$$
#
# Now a healthy patient: the reference mask is empty, and your mask is empty too.

# %% [markdown] tags=["predict"]
# **P1.** Both masks are empty. What is Dice?
#
# (a) 0; (b) 1; (c) 0/0: the formula gives no answer, a rule must be stated.

# %% tags=["predict", "nbval-check-output"]
my_guess = None
guess(
    "P1",
    my_guess,
    answer="c",
    a="no overlap looks like failure, but there was nothing to overlap with.",
    b="full marks for silence is a convention, not mathematics.",
)

# %% [markdown]
# **Exercise 02-1.** Write Dice for one case. Where the formula says 0/0, return NaN ("not
# a number"). A rule for such cases comes later, in one place, where everybody can see it.

# %% tags=["exercise", "ex-02-1"]
def dice(pred, target):
    """Dice score of two masks of one image.

    pred, target: bool (H, W). Returns a float 0..1; both masks empty: NaN.
    Example: [[1, 1, 0], [1, 0, 0]] against [[1, 1, 1], [0, 0, 0]] gives
    2 * 2 / (3 + 3) = 0.6667.
    """
    ### BEGIN SOLUTION
    both = np.count_nonzero(pred & target)
    sizes = np.count_nonzero(pred) + np.count_nonzero(target)
    return 2 * both / sizes if sizes else float("nan")
    ### END SOLUTION


# %% tags=["check", "ex-02-1", "nbval-check-output"]
dice = check("02-1", dice)

# %% [markdown]
# For one pair of masks, Dice and IoU know the same thing: IoU = Dice / (2 - Dice), so they
# rank any two predictions alike. Does that hold for their *means*, too? Model A scores
# Dice .70 and .70 on two images; model B scores .50 and .88.

# %% tags=["nbval-check-output"]
dices = {"A": np.array([0.70, 0.70]), "B": np.array([0.50, 0.88])}
for name, values in dices.items():
    ious = values / (2 - values)
    print(f"{name}: mean Dice {values.mean():.3f}, mean IoU {ious.mean():.3f}")

# %% [markdown]
# Dice calls A better, IoU calls B better. The formula bends, so a mean over images treats
# good and bad images differently: IoU rewards B's one good image more. Nothing is broken.
# It says that "the best model" may depend on a choice nobody argued about.

# %% [markdown]
# ## 3 Empty masks: three kinds of nothing
#
# An image without a lesion, a class that is absent from this slice (the first and last
# slices of a heart) and a label that was lost are three kinds of empty. The first two
# belong in the test set; the third is an error in the data.
#
# What do libraries answer? We ran them on one image (P: prediction, T: reference):
#
# | library, version | score | both empty | only P empty | only T empty |
# |---|---|---|---|---|
# | MONAI 1.6.1, default | Dice, IoU | NaN | 0 | **NaN** |
# | MONAI, `ignore_empty=False` | Dice, IoU | 1 | 0 | 0 |
# | MONAI | HD95 | NaN | **NaN** | **NaN** |
# | torchmetrics 1.9.0 | IoU per class | **-1** | 0 | 0 |
# | MedPy 0.5.2 | Dice; IoU | NaN; **1** | 0 | 0 |
# | MedPy | HD95 | error | error | error |
# | MetricsReloaded (2025-06) | Dice; IoU | 1; **NaN** | 0 | 0 |
#
# NaN, 1, 0, -1 or a stop with an error: five answers to one question. Two packages even
# disagree with themselves between Dice and IoU.

# %% [markdown]
# The bold NaN in the first row matters most. A false alarm on a healthy image gives NaN,
# and MONAI's mean leaves NaN out: the false alarm is gone from the report. Healthy images
# belong in the test set, and what they score is the false-alarm rate, reported apart: BUSI,
# a set of breast ultrasound, has 133 normal scans, all with empty masks.
#
# The course keeps the two steps apart. A score returns what its formula gives, and one
# function, `metrics.fill_empty`, applies a stated *empty-mask policy*.

# %% tags=["nbval-check-output"]
square = np.zeros((16, 16), dtype=bool)
square[4:9, 4:9] = True
empty = np.zeros_like(square)
five = metrics.evaluate_cases(
    [square, empty, empty, square, square],
    [square, square, empty, empty, empty],
    ["found", "missed", "quiet", "alarm 1", "alarm 2"],
)
columns = ["case_id", "case", "dice", "hd95"]
print(five[columns].to_string(index=False))
for policy in ("default", "drop"):
    filled = metrics.fill_empty(five, policy)
    print(f"\npolicy {policy}: n = {len(filled)}, "
          f"mean Dice {filled['dice'].mean():.1f}")
    print(filled[columns].round(1).to_string(index=False))

# %% [markdown]
# The default policy: agreement on "nothing" scores 1, a missed lesion and a false alarm
# score 0, and a distance to nothing counts as the image's diagonal. Policy `drop` leaves
# out every image whose reference is empty, as many published tables do.
#
# Mean Dice 0.4 over five images or 0.5 over two: with `drop`, two healthy patients with a
# false alarm left no trace. Neither policy is the right one. What is wrong is a table that
# does not say which.

# %% [markdown]
# ## 4 How far is the border? HD95
#
# A border that is off by one pixel all round: how much Dice does it cost? We grow a disc
# by one pixel and compare. With radius 3 px, Dice is .744.

# %% [markdown] tags=["predict"]
# **P2.** The same one-pixel error on a disc of radius 30 px gives Dice
#
# (a) .744; (b) .85; (c) .969.

# %% tags=["predict", "nbval-check-output"]
my_guess = None
guess(
    "P2",
    my_guess,
    answer="c",
    a="the error is the same in pixels of border, but not as a share of the area.",
    b="the area grows with the square of the radius, the border does not.",
)

# %%
rows, cols = np.mgrid[-64:65, -64:65]


def disc(radius):
    return rows**2 + cols**2 <= radius**2


radii = np.arange(2, 61)
curves = {
    step: [metrics.dice(disc(r + step), disc(r)) for r in radii]
    for step in (1, 2)
}
small, large = curves[1][1], curves[1][28]
assert (radii[1], radii[28]) == (3, 30)
print(f"radius 3 px: Dice {small:.3f}; radius 30 px: Dice {large:.3f}")

# %% tags=["figure"]
fig, ax = figures.new(
    title="Does the same border error cost the same Dice?", height=3.0
)
for i, (step, values) in enumerate(curves.items()):
    line = {**figures.style("", i), "marker": ""}
    ax.plot(radii, values, **line)
    ax.annotate(f"{step} px too wide", (60, values[-1]), xytext=(6, 0),
                textcoords="offset points", va="center", color=figures.INK)
for radius, value in ((3, small), (30, large)):
    ax.plot(radius, value, "o", color=figures.INK)
    ax.annotate(f"{value:.3f}", (radius, value), xytext=(6, -13),
                textcoords="offset points")
ax.set(xlabel="radius of the lesion (px)", ylabel="Dice", ylim=(0.4, 1))
ax.set_xlim(0, 74)
ax.grid(axis="y")
figures.show(
    fig,
    alt="Dice against lesion radius for a border 1 or 2 px too wide. Dice rises "
    f"with size: 1 px costs most at radius 3 (Dice {small:.3f}) and little "
    f"at radius 30 ({large:.3f}).",
    caption="Discs drawn by formula. One pixel too wide all round costs a "
    "small lesion much Dice and a large one little.",
)

# %% [markdown]
# Dice mixes two things: how good the border is and how large the lesion is. Who compares
# a set of small lesions with a set of large ones by Dice compares sizes.
#
# So measure the border itself. The *boundary* of a mask is the set of its pixels that
# touch the outside (over an edge, not a corner). Each boundary pixel of mask a has a
# distance to the nearest boundary pixel of b: that is the list d_ab. The way back is
# d_ba. The largest of all is the Hausdorff distance (HD).

# %% [markdown]
# One stray pixel decides HD. *HD95* takes the 95th percentile of each list, then the
# larger of the two. Distances are in px, or in mm where the *spacing* (size of a pixel)
# is known. A pixel is a sample of tissue with a width: half a pixel is the finest honest
# statement.
#
# **Exercise 02-2.** Write HD95 from the two lists. A list is empty where its mask is. One
# empty list means a missed or invented object: infinitely far. Two mean NaN.

# %% tags=["exercise", "ex-02-2"]
def hd95(d_ab, d_ba):
    """95 % Hausdorff distance from the two lists of boundary distances.

    d_ab, d_ba: lists of distances >= 0. Returns a float >= 0; one list empty:
    inf; both empty: NaN. np.percentile interpolates between two values.
    Example: [0, 0, 0, 4] and [0, 0] give max(3.4, 0) = 3.4.
    """
    ### BEGIN SOLUTION
    if len(d_ab) == 0 and len(d_ba) == 0:
        return float("nan")
    if len(d_ab) == 0 or len(d_ba) == 0:
        return float("inf")
    return float(max(np.percentile(d_ab, 95), np.percentile(d_ba, 95)))
    ### END SOLUTION


# %% tags=["check", "ex-02-2", "nbval-check-output"]
hd95 = check("02-2", hd95)

# %% [markdown]
# What does the 95th percentile throw away? Take a disc of radius 15 px, predicted
# perfectly, and add one far pixel that is wrong. Then add six. Will HD95 notice?
#
# And does everybody mean the same by HD95? MedPy puts both lists into one pot before it
# takes the percentile. Guess how much that can matter.

# %% tags=["nbval-check-output"]
target = disc(15)
for far_pixels in (1, 6):
    pred = target.copy()
    pred[33, 34 - far_pixels + 1 : 35] = True
    d_ab, d_ba = metrics.boundary_distances(pred, target, (1, 1))
    pot = np.percentile(np.concatenate([d_ab, d_ba]), 95)
    print(f"far pixels {far_pixels}: Dice {dice(pred, target):.3f}, "
          f"HD {max(d_ab.max(), d_ba.max()):.1f} px, "
          f"HD95 {hd95(d_ab, d_ba):.1f} px, in one pot {pot:.1f} px")

# %% [markdown]
# With one far pixel HD95 is 0 although HD is 28.3 px: noise for most tasks, but a few
# pixels may be all that a tiny lesion has. With six, HD95 jumps to more than 30 px, and
# the pot still says 0: the long border of the other mask drowns them. One name, two
# definitions, two verdicts.
#
# *NSD* (normalised surface Dice) asks it the other way round: which share of all boundary
# pixels lies within a tolerance of the other boundary? The tolerance is yours to state,
# best from how far two readers differ. Always name the definition.

# %% [markdown]
# ## 5 Mean per image, or one pot of pixels?
#
# Two images, one with a small lesion (Dice .10) and one with a big one (.90). What is the
# Dice of the set? *Per image*: compute Dice for each image, then the mean. *Pooled*: add
# up TP, FP and FN over all images, then compute Dice once.

# %% tags=["nbval-check-output"]
small = {"tp": 2, "fp": 18, "fn": 18}  # 20 px marked, 20 px to find
big = {"tp": 1800, "fp": 200, "fn": 200}  # 2,000 px each


def dice_of(tp, fp, fn):
    return 2 * tp / (2 * tp + fp + fn)


per_image = [dice_of(**small), dice_of(**big)]
together = dice_of(**{name: small[name] + big[name] for name in small})
print(f"per image {per_image[0]:.2f} and {per_image[1]:.2f}, "
      f"mean {np.mean(per_image):.2f}; pooled {together:.2f}")

# %% [markdown]
# One set, two honest numbers: .50 and .89. In the pooled one the small lesion has almost
# no say. If small lesions matter to you, the mean per image is nearer to your question;
# if total area matters, as for a tumour volume, the pot is.
#
# Now a set with more cases. We draw phantoms, *synthetic* ultrasound images with exact
# masks, for patients with four images each. The predictions are simulated, too: a true
# mask that is shifted and eroded, for some patients more than for others.

# %%
def simulate(mask, care, rng):
    """A prediction with errors: care 1 is good, 0 is bad."""
    if not mask.any():
        false_alarm = np.zeros_like(mask)
        false_alarm[60:70, 60:70] = rng.uniform() > 0.75
        return false_alarm
    if rng.uniform() > 0.75 + 0.25 * care:
        return np.zeros_like(mask)  # overlooked
    shift = np.rint(rng.normal(0, 1 + 5 * (1 - care), 2)).astype(int)
    moved = np.roll(mask, shift, axis=(0, 1))
    steps = round(1 + 4 * (1 - care))
    thin = ndimage.binary_erosion(moved, iterations=steps)
    return thin if thin.any() else moved


patients = run.pick(smoke=12, fast=30, full=60)
made = phantoms.generate(
    4 * patients, size=128, seed=seed, look="ultrasound", empty=0.15
)
references = made.masks > 0
groups = [f"patient-{i // 4:02d}" for i in range(len(made))]

# %%
rng = np.random.default_rng(seed)
care = np.repeat(rng.uniform(size=patients), 4)
predictions = [
    simulate(mask, level, rng)
    for mask, level in zip(references, care, strict=True)
]
table = metrics.evaluate_cases(
    predictions, references, made.cases["case_id"], groups=groups
)
print(table["case"].value_counts().to_string())
print(f"{len(table)} synthetic images of {patients} invented patients")

# %% [markdown]
# Read the counts first: how many masks are empty, and on which side? Each summary below
# carries these numbers. Then look at every case, before any mean.

# %%
def three_summaries(table):
    """Mean and median of the per-image Dice (default policy), and pooled."""
    values = metrics.fill_empty(table)["dice"]
    pot = metrics.pooled(table)["dice"].iloc[0]
    return {"mean": values.mean(), "median": values.median(), "pooled": pot}


def case_plot(table, title, caption):
    """Draw Dice of each case against the lesion's area, and the summaries."""
    values = metrics.fill_empty(table)["dice"]
    area = (table["tp"] + table["fn"]).to_numpy(float)
    floor = 0.4 * area[area > 0].min()  # the row of the empty references
    fig, ax = figures.new(title=title, height=3.4)
    ax.scatter(values, np.where(area > 0, area, floor), s=26, alpha=0.55,
               color=figures.MUTED, linewidths=0)
    marks = three_summaries(table).items()
    for i, (name, value) in enumerate(marks):
        line = {**figures.style("", i), "marker": ""}
        ax.axvline(value, label=f"{name} {value:.3f}", **line)
    ax.axhline(1.6 * floor, color=figures.GRID, linewidth=0.8)
    ax.set(xlim=(-0.02, 1.02), yscale="log", ylabel="reference area (px)")
    ax.set_xlabel(f"Dice (one dot an image, n = {len(table)}; "
                  "below the line: reference empty)")
    fig.legend(loc="outside lower center", ncols=3)
    told = ", ".join(f"{name} {value:.3f}" for name, value in marks)
    alt = f"Dice of {len(table)} images against lesion area: {told}."
    figures.show(fig, alt=alt, caption=caption)


# %% tags=["figure"]
case_plot(
    table,
    "Three summaries of one set: which one would you print?",
    "Synthetic ultrasound phantoms with simulated predictions, profile "
    f"{run.profile}, seed {seed}. Empty masks: default policy.",
)

# %% [markdown]
# The dots at 0 are overlooked lesions and false alarms; those at 1 in the lowest row are
# healthy images that were left alone. The mean lies where few images are. The pooled
# value hears the large lesions most, and it never hears a quiet healthy image at all: no
# TP, no FP, no FN. These results show mechanisms, not clinical worth: they rest on
# synthetic images.

# %% [markdown]
# ### Read a paper's table
#
# If IoU and Dice come from one pot, they obey Dice = 2 I / (1 + I), whatever the masks.
# Means over images, classes, folds or runs do not. So two printed columns can give the
# averaging away, if you allow for rounding: a printed .88 stands for .875 to .885.
#
# **Exercise 02-3.** Could a printed pair of IoU and Dice be pooled? True means *could
# be*. False means that means were taken over something.

# %% tags=["exercise", "ex-02-3"]
def could_be_pooled(iou, dice, decimals):
    """Can IoU and Dice, both rounded to so many decimals, come from one pot?

    iou, dice: 0..1 as printed; decimals: int. Returns a bool.
    Example: (0.88, 0.93, 2) gives True: an IoU of .875 to .885 allows a Dice
    of .9333 to .9390, and the printed .93 stands for .925 to .935.
    """
    ### BEGIN SOLUTION
    half = 0.5 * 10.0**-decimals
    low, high = (2 * i / (1 + i) for i in (iou - half, iou + half))
    return bool(low <= dice + half and dice - half <= high)
    ### END SOLUTION


# %% tags=["check", "ex-02-3", "nbval-check-output"]
could_be_pooled = check("02-3", could_be_pooled)

# %% tags=["nbval-check-output"]
printed = [
    ("PL-Net, Table 7, 3D U-Net", 0.5684, 0.7248, 4),
    ("PL-Net, Table 7, + IPL", 0.5758, 0.7308, 4),
    ("PL-Net, Table 7, + IPL + EPL", 0.5853, 0.7384, 4),
    ("PL-Net, Table 4, U-Net (nuclei)", 0.8568, 0.9190, 4),
    ("PL-Net, Table 2, IPL n=2 EPL (PH2)", 0.8727, 0.9286, 4),
    ("REUnet, Table 2, REUnet (DUKE)", 0.88, 0.93, 2),
    ("REUnet, Table 6, kidney, present", 0.89, 0.93, 2),
    ("REUnet, Table 6, cyst, absent", 0.63, 0.69, 2),
]
for where, i, d, decimals in printed:
    verdict = could_be_pooled(i, d, decimals)
    words = "could be pooled" if verdict else "means were taken"
    print(f"{where:36} IoU {i:<7} Dice {d:<7} {words}")

# %% [markdown]
# Inside one paper, PL-Net's Table 7 fits pooling in all three rows, and its Tables 2 and
# 4 do not: two kinds of number that must not be compared with each other. REUnet's DUKE
# pair fits either reading, because two decimals are coarse; its Table 6 takes means.
#
# Does the test work where we know the answer? Here are the two pairs of our own table.

# %%
filled = metrics.fill_empty(table)
pot = metrics.pooled(table).iloc[0]
pairs = {
    "pooled": (pot["iou"], pot["dice"]),
    "mean": (filled["iou"].mean(), filled["dice"].mean()),
}
for name, (i, d) in pairs.items():
    i, d = round(i, 3), round(d, 3)
    words = could_be_pooled(i, d, 3)
    print(f"{name:7} IoU {i:.3f} Dice {d:.3f}  could be pooled: {words}")
assert could_be_pooled(*(round(v, 3) for v in pairs["pooled"]), 3)

# %% [markdown]
# ## 6 One vote for each lesion
#
# One image, two lesions: 100 px and 4 px. The prediction gets the big one exactly and
# misses the small one. What is Dice? And what would a doctor ask?
#
# *Lesion recall* is the share of the reference's lesions that the prediction touches.
# A lesion is a connected piece of the reference mask; pixels that share an edge are
# connected (4-connected), pixels that meet at a corner are not.
#
# **Exercise 02-4.** Write lesion recall: one shared pixel counts as found.

# %% tags=["exercise", "ex-02-4"]
def lesion_recall(pred, target):
    """Share of the reference's lesions that the prediction touches.

    pred, target: bool (H, W). Returns a float 0..1; no lesion: NaN.
    Example: two lesions, one of them touched, gives 0.5.
    scipy.ndimage.label(mask) returns (labels, number).
    """
    ### BEGIN SOLUTION
    labels, number = ndimage.label(target)
    if number == 0:
        return float("nan")
    hits = [(pred & (labels == k)).any() for k in range(1, number + 1)]
    return sum(map(bool, hits)) / number
    ### END SOLUTION


# %% tags=["check", "ex-02-4", "nbval-check-output"]
lesion_recall = check("02-4", lesion_recall)

# %% tags=["nbval-check-output"]
two = np.zeros((40, 40), dtype=bool)
two[5:15, 5:15] = True
found = two.copy()
two[30:32, 30:32] = True
everything = np.ones_like(two)

for name, pred in (("small one missed", found), ("all marked", everything)):
    print(f"{name:17} Dice {dice(pred, two):.3f}, pixel recall "
          f"{metrics.recall(pred, two):.3f}, "
          f"lesion recall {lesion_recall(pred, two):.1f}")

# %% [markdown]
# Dice .980 says "nearly perfect"; half of the lesions were missed, and the missed one may
# be the metastasis, the seed of a tumour far from its source. But the last line shows why
# lesion recall never stands alone: mark everything, and it is 1.
#
# A missed lesion of 4 px and a border off by 4 px are the same pixels and not the same
# harm. Which error is worse depends on the task: screening, the margin for radiotherapy,
# counting, volume over time.

# %% [markdown]
# ## 7 Four errors with one Dice
#
# Here are four predictions for one reference with two lesions. They were built so that
# Dice is the same to three digits. Before you look at the numbers: which one would you
# send back first, if you plan a radiation field? Which one, if you screen?

# %%
SIZE = 96
reference = np.zeros((SIZE, SIZE), dtype=bool)
reference[30:71, 10:51] = True  # 41 x 41 px
reference[18:26, 74:84] = True  # 8 x 10 px
shift = np.roll(reference, 1, axis=1)
shift[18:26] = reference[18:26]  # only the large lesion moves, by 1 px
hole = reference.copy()
hole[46:54, 25:35] = False  # 80 px
missed = reference.copy()
missed[18:26, 74:84] = False  # 80 px
far = reference.copy()
far[80:87, 76:88] = True  # 84 px that are no lesion
errors = {"shift": shift, "hole": hole, "missed lesion": missed,
          "false alarm": far}
smooth = ndimage.gaussian_filter(reference.astype(float), 1.2)
picture = np.rint(70 + 90 * smooth).astype(np.uint8)

# %% tags=["nbval-check-output"]
def scores(pred, target, tolerance=2.0):
    lists = metrics.boundary_distances(pred, target, (1, 1))
    nsd = metrics.nsd(pred, target, (1, 1), tolerance)
    return {"Dice": dice(pred, target), "HD95": hd95(*lists), "NSD": nsd,
            "lesion recall": lesion_recall(pred, target)}


found = pd.DataFrame({k: scores(p, reference) for k, p in errors.items()}).T
print(found.round(3).to_string())
assert found["Dice"].round(3).nunique() == 1
assert len(found.drop(columns="Dice").round(2).drop_duplicates()) == 4

# %% tags=["figure"]
notes = [
    f"Dice {row['Dice']:.3f}\nHD95 {row['HD95']:.1f} px\n"
    f"NSD {row['NSD']:.3f}\nlesion recall {row['lesion recall']:.1f}"
    for _, row in found.iterrows()
]
fig, _ = drawing.outlines(
    [picture] * 4,
    [reference] * 4,
    list(errors.values()),
    names=list(errors),
    notes=notes,
    title=f"Four errors, one Dice ({found['Dice'].iloc[0]:.3f}): "
    "which one does harm?",
)
figures.show(
    fig,
    alt="Outlines of four predictions on one reference, all with Dice "
    f"{found['Dice'].iloc[0]:.3f}. HD95 runs from {found['HD95'].min():.1f} "
    f"to {found['HD95'].max():.1f} px; lesion recall is 0.5 for the missed "
    "lesion, else 1.",
    caption="Synthetic masks, distances in px, NSD at a tolerance of 2 px. "
    "No single column tells all four apart; three columns together do.",
    key=True,
)

# %% [markdown]
# Dice cannot tell them apart. HD95 is small for the shift and large for a missed lesion
# and for a false alarm alike. Lesion recall names the miss and is blind to the false
# alarm and the hole. That is why the course reports three: one overlap, one boundary, one
# lesion score.

# %% [markdown]
# ### Move it yourself
#
# A square prediction of 20 px on a reference square of the same size. Four positions
# first, then the sliders, where this notebook runs live: move the square until Dice is 0.
# Which score gives up first, and which one still says how far away you are?

# %%
def scene(shift, side, second):
    """Reference and prediction, both bool (64, 64); shift and side in px."""
    target = np.zeros((64, 64), dtype=bool)
    target[22:42, 12:32] = True
    target[8:11, 52:55] = second == "on"
    pred = np.zeros_like(target)
    top = 32 - side // 2
    pred[top : top + side, 12 + shift : 12 + shift + side] = True
    return pred, target


def line(values):
    return (f"Dice {values['Dice']:.2f}\nHD95 {values['HD95']:.1f} px\n"
            f"NSD {values['NSD']:.2f}")


ground = np.full((64, 64), 200, dtype=np.uint8)
places = (0, 4, 12, 24)
strip = [scene(shift, 20, "off") for shift in places]
fig, alt = drawing.outlines(
    [ground] * 4,
    [target for _, target in strip],
    [pred for pred, _ in strip],
    names=[f"shift {shift} px" for shift in places],
    notes=[line(scores(*pair)) for pair in strip],
    title="A square moves away: which scores still follow?",
)
figures.show(fig, alt=alt, caption="Masks drawn by formula; tolerance 2 px.")
for second in ("off", "on"):
    values = scores(*scene(0, 20, second))
    told = ", ".join(f"{name} {value:.2f}" for name, value in values.items())
    print(f"shift 0, second lesion {second}: {told}")

# %% tags=["widget", "nbval-ignore-output"]
def view(shift=6, side=20, second="on"):
    pred, target = scene(shift, side, second)
    values = {**scores(pred, target), "IoU": metrics.iou(pred, target)}
    shown = ["Dice", "IoU", "NSD", "lesion recall"]
    fig, (left, right) = figures.new(
        1, 2, height=3.2, width_ratios=[1, 1.5],
        title=f"What do the scores see? (shift {shift} px, side {side} px, "
        f"second {second})",
    )
    panels.outlined(left, ground, target, pred, 1)
    left.set_xlabel("blue: reference\norange, dashed: prediction")
    bars = [values[name] for name in shown]
    right.barh(shown[::-1], bars[::-1], color=figures.TP, height=0.55)
    for row, value in enumerate(bars[::-1]):
        right.text(value + 0.02, row, f"{value:.2f}", va="center")
    right.set(xlim=(0, 1.15), xlabel=f"score; HD95 {values['HD95']:.1f} px")
    told = ", ".join(f"{name} {values[name]:.2f}" for name in shown)
    return fig, f"Square prediction on its reference: {told}."


figures.slider(
    view, caption="A missed second lesion of 9 px hardly moves Dice.",
    shift=(0, 30, 1), side=(4, 22, 2), second=["off", "on"],
)

# %% [markdown]
# Dice falls with every step and then stays at 0: it cannot tell "just beside" from "at
# the other end". NSD falls fastest, HD95 keeps counting. Switch the second lesion (9 px,
# never found) on: Dice loses .01 and NSD .05, while HD95 jumps and lesion recall is 0.5.

# %% [markdown]
# ## 8 ROC: a curve that likes the background
#
# So far the masks were fixed. A net gives each pixel a score, and you choose a threshold.
# The *ROC curve* shows sensitivity against 1 - specificity for all thresholds; *AUC* is
# the area under it: how often a lesion pixel gets a higher score than a background pixel.

# %% [markdown] tags=["predict"]
# **P3.** A net reaches a pixel AUC of .995 on a set in which 1 % of the pixels are
# lesion. That means
#
# (a) Dice near .99; (b) little about Dice.

# %% tags=["predict", "nbval-check-output"]
my_guess = None
guess(
    "P3",
    my_guess,
    answer="b",
    a="one good number implies another, it seems; the background fills AUC.",
)

# %% tags=["nbval-check-output"]
separation = stats.norm.ppf(0.90) + stats.norm.ppf(0.99)


def pixels(prevalence, n=100_000):
    """Scores and labels: two normal curves, as far apart as `separation`."""
    lesion = round(prevalence * n)
    levels = [(np.arange(k) + 0.5) / k for k in (lesion, n - lesion)]
    score = np.concatenate([stats.norm.ppf(levels[0]) + separation,
                            stats.norm.ppf(levels[1])])
    return score, np.arange(n) < lesion


threshold = stats.norm.ppf(0.99)
for prevalence in (0.01, 0.30):
    score, label = pixels(prevalence)
    area = metrics.auc(score, label, level="pooled")
    mask = (score >= threshold)[None]
    got = {f.__name__: f(mask, label[None]) for f in
           (metrics.recall, metrics.specificity, metrics.precision, dice)}
    told = ", ".join(f"{name} {value:.3f}" for name, value in got.items())
    print(f"{prevalence:.0%} lesion: AUC {area:.3f}; {told}")

# %%
def curves_of(prevalence):
    """ROC, precision-recall, and the precision at the threshold."""
    score, label = pixels(prevalence)
    roc = metrics.roc_curve(score, label, level="pooled")
    pr = metrics.precision_recall_curve(score, label, level="pooled")
    mask = (score >= threshold)[None]
    return roc, pr, metrics.precision(mask, label[None])


# %% tags=["figure"]
fig, (left, right) = figures.new(
    1, 2, height=3.6, title="One detector, two prevalences: which curve moves?"
)
ends = []
for i, prevalence in enumerate((0.01, 0.30)):
    roc, pr, end = curves_of(prevalence)
    style = {**figures.style("", i), "marker": ""}
    words = f"{prevalence:.0%} of the pixels are lesion"
    left.plot(roc.false_positive_rate, roc.true_positive_rate, **style)
    right.plot(pr.recall, pr.precision, label=words, **style)
    right.plot(0.9, end, "o", color=figures.INK)
    right.text(0.87, end - 0.07, f"{end:.3f}", ha="right")
    ends.append(end)
left.plot(0.01, 0.9, "o", color=figures.INK)
left.set(xlabel="1 - specificity (pixels)", ylabel="sensitivity (pixels)",
         xlim=(-0.02, 1.02), ylim=(0, 1.02))
right.set(xlabel="sensitivity (pixels)", ylabel="precision (pixels)",
          xlim=(0, 1.02), ylim=(0, 1.02))
fig.legend(loc="outside lower center", ncols=2)
figures.show(
    fig,
    alt="ROC and precision-recall curves of one detector, 1 % and 30 % lesion "
    "pixels. The ROC curves coincide; precision at sensitivity 0.9 is "
    f"{ends[0]:.3f} and {ends[1]:.3f}.",
    caption="Computed from two normal distributions. Dot: sensitivity .90, "
    "specificity .99.",
)

# %% [markdown]
# The ROC curves lie on each other: prevalence is not in them. At 1 % and the same
# threshold, Dice is .623 and only 48 % of what is marked is lesion. That share is the
# *precision*; for patients it is called *PPV*, positive predictive value. It needs the
# prevalence of the place where the test is used.
#
# REUnet reports an AUC of .997, .995 and .966 on three sets (section 4.3, Fig. 6) and
# does not say whether pixels, images or patients were ranked. So they say little.

# %% [markdown]
# ## 9 Before you trust a mean
#
# Model A found every lesion of our synthetic set that the simulation did not overlook.
# Model B is the same, except that it misses the cases with the worst borders completely.
# Surely B is worse.

# %% [markdown] tags=["predict"]
# **P4.** Can the mean HD95 of B be better than that of A?
#
# (a) impossible: B made more errors; (b) possible.

# %% tags=["predict", "nbval-check-output"]
my_guess = None
guess(
    "P4",
    my_guess,
    answer="b",
    a="you trusted a mean over survivors: what is not found leaves the mean.",
)

# %%
hit = table["case"].eq("ok").to_numpy()
worst = table["hd95"].where(hit).nlargest(3).index
model_b = [
    np.zeros_like(pred) if i in worst else pred
    for i, pred in enumerate(predictions)
]
tables = {
    "A": table[hit],
    "B": metrics.evaluate_cases(
        model_b, references, made.cases["case_id"], groups=groups
    )[hit],
}
for name, part in tables.items():
    kept = part["hd95"].replace(np.inf, np.nan).dropna()
    told = metrics.fill_empty(part)["hd95"].mean()
    print(f"{name}: mean HD95 {kept.mean():.1f} px over {len(kept)} found; "
          f"{told:.1f} px over all {len(part)} (missed: diagonal)")
assert len(worst) == 3

# %% [markdown]
# B misses three more lesions and its mean HD95 over the found ones falls. This is not a
# trick: MONAI's HD95 is NaN where one mask is empty, and its mean drops NaN (issue 9095
# of the MONAI project reports exactly this). Ask for n beside each mean. If n differs
# between two rows, the rows cannot be compared.
#
# The last question: would the number come out the same with other patients? A *confidence
# interval* is a rule that covers the true value in 95 % of repetitions. Here the
# repetitions are draws of test patients.

# %%
values = metrics.fill_empty(table)["dice"]
by_image = metrics.bootstrap_interval(values, seed=seed)
by_patient = metrics.bootstrap_interval(values, table["group"], seed=seed)
for name, (low, high) in (("images", by_image), ("patients", by_patient)):
    print(f"mean Dice {values.mean():.3f}, drawing {name:8}: "
          f"[{low:.3f}, {high:.3f}], width {high - low:.3f}")

# %% [markdown]
# Four images of one patient are not four independent witnesses: what makes one of them
# hard makes all of them hard. A *group* is what must not be torn: a patient, a slide, a
# pair of eyes. Draw whole groups; drawing single images pretends to know more than you
# do. How such an interval is computed is exercise 03-4.
#
# It speaks about these patients only, at one training seed, on one scanner. The next
# hospital is outside.

# %% [markdown]
# ### A table of your own
#
# Notebook 03 keeps a per-case table of each run. The cell below takes the newest one that
# is stored with the course, from real images; without one it goes on with the synthetic
# table from above. The printed line says which one you see. Rerun it with a table of your
# own later.

# %%
def newest_table(folder):
    """The newest per-case table of one seed in a folder, or None."""
    def date(file):
        return re.findall(r"\d{4}-\d\d-\d\d", file.name)[-1:], file.name

    for file in sorted(folder.glob("*.csv"), key=date, reverse=True):
        cases = pd.read_csv(file, dtype={"case_id": str, "group": str})
        if {"case", "dice", "hd95", "tp"} <= set(cases.columns):
            if "seed" in cases:
                cases = cases[cases["seed"] == cases["seed"].min()]
            first = cases["class_name"].iloc[0]
            return file.name, cases[cases["class_name"] == first]
    return None


stored = newest_table(records.ROOT / "notebooks" / "results" / "03_unet")
source, own = stored or ("synthetic, from section 5", table)
own = own.reset_index(drop=True)
print(f"table: {source}; {len(own)} images, {own['group'].nunique()} groups")

# %% tags=["figure"]
case_plot(
    own,
    "Look at every case of this table before its mean",
    f"Table: {source}. Empty masks: default policy.",
)

# %% [markdown]
# Which case would you look at first? A low dot near the bottom is a small object, where
# one pixel of border already costs Dice; a low dot at the top is another kind of failure.
# The row below is what a table should carry: level, policy, n, what was missed, and an
# interval over groups.

# %% tags=["result"]
image = metrics.summarise(own, level="image", seed=seed)
image = image.set_index("metric")
pot = metrics.summarise(own, level="pooled", seed=seed).set_index("metric")


def keep(name, rows, metric, column, unit=""):
    row = rows.loc[metric]
    interval = None if column == "median" else (row["low"], row["high"])
    records.record(name, row[column], unit, n=row["n"], interval=interval)


records.record("table", source)
keep("dice_mean", image, "dice", "mean")
keep("dice_pooled", pot, "dice", "pooled")
keep("lesion_recall", image, "lesion_recall", "mean")
keep("hd95_median", image, "hd95", "median", unit=str(own["unit"].iloc[0]))
records.record("n_empty", image.loc["dice", "n_empty"], n=len(own))
records.record("n_missed", image.loc["dice", "n_missed"], n=len(own))
print(f"{len(own)} images, policy default, intervals over groups")
for row in records.finish():
    value, span = row["value"], ""
    if row["interval"]:
        span = "[{:.3f}, {:.3f}]".format(*row["interval"])
    digits = 1 if row["unit"] else 3
    text = f"{value:.{digits}f}" if isinstance(value, float) else value
    print(f"{row['name']:14} {text} {row['unit']} {span}")

# %% [markdown] tags=["keypoints"]
# ## Key points
#
# - State the level (image or pooled), the empty-mask policy and the definition: each of
#   them can change which model wins (02-1, 02-2, records `dice_mean`, `dice_pooled`).
# - Report one overlap, one boundary and one lesion score: each is blind somewhere, and
#   four errors can share one Dice (02-4, record `lesion_recall`).
# - Two printed columns can show that means were taken; they can never prove pooling
#   (02-3).
# - Print n, and how many were missed or empty, beside every mean (`n_empty`, `n_missed`).
# - The unit of an interval is the group, not the image.

# %% [markdown] tags=["next"]
# ## Where to go next
#
# Notebook 03 builds a U-Net and judges it with the scores from here.
#
# Try: another `seed`, and see which of the three summaries in section 5 moves most; or
# `profile = "full"`, and see whether the interval over patients gets narrower. In section
# 7, change the hole to a thin crack of the same area and watch HD95.
#
# Read: Maier-Hein and others 2024, Metrics Reloaded (doi 10.1038/s41592-023-02151-z);
# Reinke and others 2024, on pitfalls of metrics (doi 10.1038/s41592-023-02150-0).

# %% tags=["nbval-ignore-output"]
print(records.cost())
