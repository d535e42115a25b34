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
from matplotlib.patches import Patch
from scipy import ndimage, stats

from course_lib import drawing, figures, metrics, records
from course_lib.data import phantoms
from course_lib.drawing import panels
from course_lib.teaching import check, guess, hint

run = records.start(
    "02_metrics", {"profile": profile, "seed": seed, "out_dir": out_dir}
)

# %% [markdown]
# ## 1 A number that praises doing nothing
#
# Take an image of 100 by 100 pixels with one lesion of 10 by 10: its *prevalence* among
# the pixels is 1 %. A lazy program answers "nothing anywhere". Guess first: what share of
# the pixels does it get right?
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

# %% [markdown] tags=["predict"]
# *Accuracy*, the share of pixels that are right, is .99 for a program that finds nothing.
# The background did that. *Sensitivity*, TP / (TP + FN), also called recall, is 0: no
# lesion pixel was found. *Specificity*, TN / (TN + FP), is 1: nothing was marked wrongly.
#
# Both are properties at one threshold and at one level: here the level is the pixel. A
# patient-level sensitivity is another number. Prevalence has levels, too: those of
# patients, of lesions and of pixels are three numbers.
#
# ## 2 Dice and IoU: leave the background out
#
# Two scores ignore TN. *Dice* is twice the overlap over the sum of both sizes; *IoU*
# (intersection over union) is the overlap over everything that either mask marks:
#
# - Dice = 2 TP / (2 TP + FP + FN)
# - IoU = TP / (TP + FP + FN)
#
# **P1.** A healthy patient: the reference mask is empty, and your mask is empty, too.
# What does the formula of Dice give? (a) 0; (b) 1; (c) 0/0.

# %% tags=["predict"]
my_guess = None

# %% tags=["nbval-check-output"]
guess(
    "P1",
    my_guess,
    answer="c",
    a="no overlap looks like failure, but there was nothing to overlap with.",
    b="full marks for silence is a convention, not mathematics.",
)

# %% tags=["exercise", "ex-02-1"]
# Exercise 02-1: write Dice for one case. Where the formula says 0/0, return
# NaN ("not a number"). A rule for such cases comes later, in one place.
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
# stuck? hint("02-1", 1), then 2, then 3

# %% [markdown]
# ## 3 Empty masks: three kinds of nothing
#
# An image without a lesion, a class that is absent from this slice (the first and last
# slices of a heart) and a label that was lost are three kinds of empty. The first two
# belong in the test set; the third is an error in the data.
#
# What do libraries answer? Each was run on one image (P: prediction, T: reference), in
# the versions named. The table is typed from those runs; this notebook does not compute
# it. The rows of MONAI 1.6.1 and MedPy 0.5.2 were run again on 2026-11-25, with the same
# answers. Another version may answer otherwise.
#
# | library, version | score | both empty | only P empty | only T empty |
# |---|---|---|---|---|
# | MONAI 1.6.1, default | Dice, IoU | NaN | 0 | **NaN** |
# | MONAI, `ignore_empty=False` | Dice, IoU | 1 | 0 | 0 |
# | MONAI | HD95 | NaN | **NaN** | **NaN** |
# | torchmetrics 1.9.0 | IoU per class | **-1** | 0 | 0 |
# | torchmetrics | binary IoU | **0** | 0 | 0 |
# | MedPy 0.5.2 | Dice; IoU | NaN; **1** | 0 | 0 |
# | MedPy | HD95 | error | error | error |
# | MetricsReloaded (git, 2025-06-02) | Dice; IoU | 1; **NaN** | 0 | 0 |
#
# NaN, 1, 0, -1 or a stop with an error: five answers to one question. Two packages even
# disagree with themselves between Dice and IoU.
#
# The bold NaN in the first row matters most. A false alarm on a healthy image gives NaN,
# and MONAI's mean leaves NaN out. One perfect image and one false alarm: its mean Dice is
# 1.0, the false alarm is gone from the report.
#
# Healthy images belong in the test set, and what they score is the false-alarm rate,
# reported apart. BUSI, a set of breast ultrasound, has 133 normal scans, all with empty
# masks.
#
# The course keeps two steps apart. A score returns what its formula gives, and one
# function, `metrics.fill_empty`, applies a stated *empty-mask policy*. Below are five
# images, two of them with a false alarm. Will the policy change the mean?

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

# %% [markdown] tags=["predict"]
# The default policy: agreement on "nothing" scores 1, a missed lesion and a false alarm
# score 0, and a distance to nothing counts as the image's diagonal. Policy `drop` leaves
# out every image whose reference is empty, as MONAI's default mean of Dice does.
#
# Mean Dice .4 over five images or .5 over two: with `drop`, two healthy patients with a
# false alarm left no trace. Neither policy is the right one. What is wrong is a table
# that does not say which.
#
# ## 4 How far is the border? HD95
#
# A border that is off by one pixel all round: how much Dice does it cost? We grow a disc
# by one pixel and compare. With radius 3 px, Dice is .744.
#
# **P2.** Without looking back to 01: the same one-pixel error on a disc of radius 30 px
# gives Dice (a) .744; (b) .85; (c) .969.

# %% tags=["predict"]
my_guess = None

# %% tags=["figure"]
rows, cols = np.mgrid[-64:65, -64:65]


def disc(radius):
    return rows**2 + cols**2 <= radius**2


guess("P2", my_guess, answer="c",
      a="equal in pixels of border, but not as a share of the area.",
      b="area grows with the square of the radius, the border does not.")
radii = np.arange(2, 61)
cost = [metrics.dice(disc(r + 1), disc(r)) for r in radii]
fig, ax = figures.new(title="Does one pixel of border always cost the same?")
ax.plot(radii, cost, color=figures.INK)
for r in (3, 30):
    ax.plot(r, cost[r - 2], "o", color=figures.INK)
    ax.text(r + 1, cost[r - 2] - 0.05, f"radius {r} px: {cost[r - 2]:.3f}")
ax.set(xlabel="radius of the lesion (px)", ylabel="Dice", ylim=(0.5, 1))
ax.grid(axis="y")
figures.show(
    fig,
    f"Dice of a disc 1 px too wide against its radius: it rises from "
    f"{cost[1]:.3f} at radius 3 px to {cost[28]:.3f} at radius 30 px.",
    "Discs drawn by formula, predicted one pixel too wide all round.",
)

# %% [markdown]
# Dice mixes two things: how good the border is and how large the lesion is. Who compares
# a set of small lesions with a set of large ones by Dice compares sizes.
#
# So measure the border itself. The *boundary* of a mask is the set of its pixels that
# touch the outside (over an edge, not a corner). Each boundary pixel of mask a has a
# distance to the nearest boundary pixel of b: that is the list d_ab. The way back is
# d_ba. The largest of all is the Hausdorff distance (HD).
#
# One stray pixel decides HD. *HD95* takes the 95th percentile of each list, then the
# larger of the two. Distances are in px, or in mm where the *spacing* (size of a pixel)
# is known. A pixel is a sample of tissue with a width: half a pixel is the finest honest
# statement.
#
# **Exercise 02-2.** Write HD95 from the two lists. A list is empty where its mask is. One
# empty list means a missed or invented object: infinitely far. Two mean NaN.
#
# Then the cell below takes a disc of radius 15 px, predicted perfectly, and adds one far
# pixel that is wrong, or six. Will HD95 notice? And does everybody mean the same by HD95?
# MedPy puts both lists into one pot before it takes the percentile. Guess how much that
# can matter.

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

# %% tags=["nbval-check-output"]
for far_pixels in (1, 6):
    pred = disc(15)
    pred[33, 34 - far_pixels + 1 : 35] = True
    d_ab, d_ba = metrics.boundary_distances(pred, disc(15), (1, 1))
    pot = np.percentile(np.concatenate([d_ab, d_ba]), 95)
    print(f"far pixels {far_pixels}: Dice {dice(pred, disc(15)):.3f}, "
          f"HD {max(d_ab.max(), d_ba.max()):.1f} px, "
          f"HD95 {hd95(d_ab, d_ba):.1f} px, in one pot {pot:.1f} px")

# %% [markdown]
# With one far pixel HD95 is 0 although HD is 28.3 px: noise for most tasks, but a few
# pixels may be all that a tiny lesion has. With six, HD95 is 28.7 px, and the pot still
# says 0: the long border of the other mask drowns them. One name, two definitions, two
# verdicts.
#
# *NSD* (normalised surface Dice) asks it the other way round: which share of all boundary
# pixels lies within a tolerance of the other boundary? The tolerance is yours to state,
# best from how far two readers differ. Always name the definition.
#
# ## 5 Two choices that nobody argued about
#
# First choice: Dice or IoU? For one pair of masks they know the same thing, IoU = Dice /
# (2 - Dice), so they rank any two predictions alike. Does that hold for their *means*?
# Model A scores Dice .70 and .70 on two images; model B scores .50 and .88.
#
# Second choice: one image holds a small lesion (Dice .10), another a big one (.90).
# *Per image*: compute Dice for each image, then the mean. *Pooled*: add up TP, FP and FN
# over all images, as if they were one pot of pixels, then compute Dice once. Which of
# the two is larger, and by how much?

# %% tags=["nbval-check-output"]
for name, pair in {"A": (0.70, 0.70), "B": (0.50, 0.88)}.items():
    values = np.array(pair)
    ious = values / (2 - values)
    print(f"{name}: mean Dice {values.mean():.3f}, mean IoU {ious.mean():.3f}")

small = {"tp": 2, "fp": 18, "fn": 18}  # 20 px marked, 20 px to find
big = {"tp": 1800, "fp": 200, "fn": 200}  # 2,000 px each


def dice_of(tp, fp, fn):
    return 2 * tp / (2 * tp + fp + fn)


per_image = [dice_of(**small), dice_of(**big)]
together = dice_of(**{name: small[name] + big[name] for name in small})
print(f"per image {per_image[0]:.2f} and {per_image[1]:.2f}, "
      f"mean {np.mean(per_image):.2f}; pooled {together:.2f}")

# %% [markdown]
# Dice calls A better, IoU calls B better. The formula bends: IoU rewards B's one good
# image more. Nothing is broken; it says that "the best model" may hang on such a choice.
#
# And one set has two honest numbers, .50 and .89. In the pooled one the small lesion has
# almost no say. If small lesions matter to you, the mean per image is nearer to your
# question; if total area matters, as for a tumour volume, the pot is.
#
# Now a set with more cases. We draw phantoms, *synthetic* ultrasound images with exact
# masks, for patients with four images each. The predictions are simulated, too: a true
# mask that is shifted and eroded, for some patients more than for others. Read the counts
# first: how many masks are empty, and on which side? Then look at every case.

# %%
def simulate(mask, care, rng):
    """A prediction with errors: care 1 is good, 0 is bad."""
    fake = np.zeros_like(mask)
    if not mask.any():
        fake[60:70, 60:70] = rng.uniform() > 0.75  # a false alarm
    elif rng.uniform() < 0.75 + 0.25 * care:  # else overlooked
        shift = np.rint(rng.normal(0, 6 - 5 * care, 2)).astype(int)
        fake = np.roll(mask, shift, axis=(0, 1))
        fake = ndimage.binary_erosion(fake, iterations=round(5 - 4 * care))
    return fake


patients = run.pick(smoke=12, fast=30, full=60)
made = phantoms.generate(
    4 * patients, size=128, seed=seed, look="ultrasound", empty=0.15
)
rng = np.random.default_rng(seed)
care = np.repeat(rng.uniform(size=patients), 4)
references = list(made.masks > 0)
predictions = [simulate(mask, skill, rng)
               for mask, skill in zip(references, care, strict=True)]
names = made.cases["case_id"]
groups = [f"patient-{i // 4:02d}" for i in range(len(made))]
table = metrics.evaluate_cases(predictions, references, names, groups=groups)
print(table["case"].value_counts().to_string())

# %% tags=["figure"]
def case_plot(table, title, caption):
    """Draw Dice of each case against lesion size, and three summaries."""
    values = metrics.fill_empty(table)["dice"]
    pot = metrics.pooled(table)["dice"].iloc[0]
    marks = {"mean": values.mean(), "median": values.median(), "pooled": pot}
    area = (table["tp"] + table["fn"]).to_numpy(float)
    fig, ax = figures.new(title=title, height=3.4)
    full, dot = area > 0, {"alpha": 0.55, "color": figures.MUTED, "s": 26}
    ax.scatter(values[full], area[full] ** 0.5, linewidths=0, **dot)
    for value, count in values[~full].value_counts().items():
        ax.scatter(value, 0, linewidths=0, **dot)
        ax.annotate(f"{count} empty", (value, 0), xytext=(0, 6), ha="center",
                    textcoords="offset points")
    for i, (name, value) in enumerate(marks.items()):
        line = {**figures.style("", i), "marker": ""}
        ax.axvline(value, label=f"{name} {value:.3f}", **line)
    ax.set(xlim=(-0.06, 1.06), ylabel="root of the reference area (px)",
           xlabel=f"Dice (one dot an image, n = {len(table)})")
    fig.legend(loc="outside lower center", ncols=3)
    told = ", ".join(f"{name} {value:.3f}" for name, value in marks.items())
    alt = f"Dice of {len(table)} images against lesion size: {told}."
    figures.show(fig, alt=alt, caption=caption)


case_plot(table, "Three summaries of one set: which one would you print?",
          f"Synthetic phantoms, simulated predictions, seed {seed}.")

# %% [markdown]
# Height is the side of a square with the lesion's area. The dots at Dice 0 are overlooked
# lesions and false alarms; the empty ones at 1 are healthy images that were left alone.
# The pooled value hears the large lesions most, and it never hears a quiet healthy image
# at all: no TP, no FP, no FN. These numbers rest on synthetic images: they show
# mechanisms, not clinical worth.
#
# ### Read a paper's table
#
# If IoU and Dice come from one pot, they obey Dice = 2 I / (1 + I), whatever the masks.
# Means over images, classes, folds or runs do not. So two printed columns can give the
# averaging away, if you allow for rounding: a printed .88 stands for .875 to .885.
#
# **Exercise 02-3.** Could a printed pair of IoU and Dice be pooled? True means *could
# be*. False means that means were taken over something (or that a number is misprinted).
# Then look at rows of two papers that this course rebuilds, and at two pairs of our own:
# which ones are pooled?

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

# %%
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
pot = metrics.pooled(table).iloc[0]
mean = metrics.fill_empty(table)[["iou", "dice"]].mean()
for name, pair in (("pooled", pot), ("mean of images", mean)):
    i, d = (round(float(pair[score]), 3) for score in ("iou", "dice"))
    printed.append((f"section 5, {name}", i, d, 3))
for where, i, d, decimals in printed:
    verdict = could_be_pooled(i, d, decimals)
    words = "could be pooled" if verdict else "means were taken"
    print(f"{where:36} IoU {i:<7} Dice {d:<7} {words}")

# %% [markdown]
# Inside one paper, PL-Net's Table 7 fits pooling in all three rows, and its Tables 2 and
# 4 do not: two kinds of number that must not be compared with each other. REUnet's DUKE
# pair fits either reading, because two decimals are coarse; its Table 6 takes means.
#
# ## 6 One vote for each lesion
#
# One image, two lesions: 100 px and 4 px. The prediction gets the big one exactly and
# misses the small one. What is Dice? And what would a doctor ask?
#
# *Lesion recall* is the share of the reference's lesions that the prediction touches.
# Here a lesion is a connected piece of the reference mask; pixels that share an edge are
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
big_one = two.copy()
two[30:32, 30:32] = True
everything = np.ones_like(two)

for name, pred in (("small one missed", big_one), ("all marked", everything)):
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
#
# ## 7 Four errors with one Dice
#
# Here are four predictions for one reference with two lesions. They were built so that
# Dice is the same to three digits. Before you look at the numbers: which one would you
# send back first, if you plan a radiation field? Which one, if you screen?

# %% tags=["nbval-check-output"]
reference = np.zeros((96, 96), dtype=bool)
reference[30:71, 10:51] = True  # 41 x 41 px
reference[18:26, 74:84] = True  # 8 x 10 px
shift, hole, missed, far = (reference.copy() for _ in range(4))
shift[30:71] = np.roll(reference[30:71], 1, axis=1)
hole[46:54, 25:35] = False  # 80 px
missed[18:26, 74:84] = False  # 80 px
far[80:87, 76:88] = True  # 84 px that are no lesion
errors = {"shift": shift, "hole": hole, "missed lesion": missed,
          "false alarm": far}


def scores(pred, target):
    d_ab, d_ba = metrics.boundary_distances(pred, target, (1, 1))
    nsd = metrics.nsd(pred, target, (1, 1), tolerance=2.0)
    return {"Dice": dice(pred, target), "HD95": hd95(d_ab, d_ba), "NSD": nsd,
            "lesion recall": lesion_recall(pred, target)}


found = pd.DataFrame({k: scores(p, reference) for k, p in errors.items()}).T
print(found.round(3).to_string())
assert found["Dice"].round(3).nunique() == 1
assert len(found.drop(columns="Dice").round(2).drop_duplicates()) == 4

# %% tags=["figure"]
one = found["Dice"].iloc[0]
fig, axes = figures.new(
    1, 4, height=3.1,
    title=f"Four errors, one Dice ({one:.3f}): which one does harm?",
)
image = np.where(reference, 160, 90).astype(np.uint8)
for ax, (name, pred) in zip(axes, errors.items(), strict=True):
    panels.error_map(ax, image, reference, pred)
    ax.set_title(name)
    row = found.loc[name]
    ax.set_xlabel(f"HD95 {row['HD95']:.1f} px\nNSD {row['NSD']:.3f}\n"
                  f"lesion recall {row['lesion recall']:.1f}", loc="left")
kinds = ((figures.TP, "", "both"), (figures.FP, "/////", "only predicted"),
         (figures.FN, "....", "missed"))
handles = [Patch(facecolor=colour, edgecolor=figures.INK, hatch=hatch,
                 label=label) for colour, hatch, label in kinds]
fig.legend(handles=handles, loc="outside lower center", ncols=3)
low, high = found["HD95"].min(), found["HD95"].max()
alt = (f"Error maps of four predictions with Dice {one:.3f}. HD95 runs from "
       f"{low:.1f} to {high:.1f} px; lesion recall is 0.5 for the missed "
       "lesion, else 1.")
figures.show(fig, alt, "Synthetic masks; NSD within 2 px.", key=True)

# %% [markdown]
# Dice cannot tell them apart. HD95 is small for the shift and large for a missed lesion
# and for a false alarm alike. Lesion recall names the miss and is blind to the false
# alarm and the hole. That is why the course reports three: one overlap, one boundary, one
# lesion score.
#
# ### Move it yourself
#
# A square prediction of 20 px on a reference square of the same size. Four positions
# first, then the sliders, where this notebook runs live: move the square until Dice is 0.
# Which score gives up first, and which one still says how far away you are?

# %%
def scene(shift, side, second):
    """Prediction and reference, bool (64, 64); shift and side in px."""
    target = np.zeros((64, 64), dtype=bool)
    target[22:42, 12:32] = True
    target[8:11, 52:55] = second == "on"
    pred = np.zeros_like(target)
    top = 32 - side // 2
    pred[top : top + side, 12 + shift : 12 + shift + side] = True
    return pred, target


ground = np.full((64, 64), 200, dtype=np.uint8)
preds, targets = zip(
    *(scene(shift, 20, "off") for shift in (0, 4, 12, 24)), strict=True
)
told = [scores(*pair) for pair in zip(preds, targets, strict=True)]
notes = ["Dice {Dice:.2f}\nHD95 {HD95:.1f} px\nNSD {NSD:.2f}".format(**row)
         for row in told]
titles = [f"shift {shift} px" for shift in (0, 4, 12, 24)]
figures.show(*drawing.outlines(
    [ground] * 4, targets, preds, names=titles, notes=notes,
    title="A square moves away: which scores still follow?",
), caption="Masks drawn by formula; NSD at a tolerance of 2 px.")
for second in ("off", "on"):
    row = scores(*scene(0, 20, second)).items()
    print(f"shift 0, second lesion {second:3}:",
          ", ".join(f"{name} {value:.2f}" for name, value in row))

# %% tags=["widget", "nbval-ignore-output"]
def view(shift=6, side=20, second="on"):
    pred, target = scene(shift, side, second)
    values = {**scores(pred, target), "IoU": metrics.iou(pred, target)}
    shown = ["lesion recall", "NSD", "IoU", "Dice"]
    fig, (left, right) = figures.new(
        1, 2, height=3.2, width_ratios=[1, 1.5],
        title=f"What do the scores see? (shift {shift} px, side {side} px, "
        f"second lesion {second})",
    )
    panels.outlined(left, ground, target, pred, 1)
    left.set_xlabel("blue: reference\norange, dashed: prediction")
    bars = [values[name] for name in shown]
    right.barh(shown, bars, color=figures.TP, height=0.55)
    for row, value in enumerate(bars):
        right.text(value + 0.02, row, f"{value:.2f}", va="center")
    right.set(xlim=(0, 1.15), xlabel="score, 0 to 1")
    right.set_title(f"HD95 {values['HD95']:.1f} px")
    told = ", ".join(f"{name} {values[name]:.2f}" for name in values)
    return fig, f"Square prediction on its reference: {told}."


figures.slider(
    view, caption="Masks drawn by formula; NSD at a tolerance of 2 px.",
    shift=(0, 30, 1), side=(4, 22, 2), second=["off", "on"],
)

# %% [markdown] tags=["predict"]
# Dice falls with every step and then stays at 0: it cannot tell "just beside" from "at
# the other end". NSD forgives two pixels and loses .45 at the third: no score falls as
# fast. HD95 keeps counting. Switch the second lesion (9 px, never found) on: Dice loses
# .01 and NSD .05, while HD95 jumps and lesion recall is .5.
#
# ## 8 ROC: a curve that likes the background
#
# So far the masks were fixed. A net gives each pixel a score, and you choose a threshold.
# The *ROC curve* shows sensitivity against 1 - specificity for all thresholds; *AUC* is
# the area under it: how often a lesion pixel gets a higher score than a background pixel.
#
# **P3.** A net has a pixel AUC of .995. 1 % of the pixels are lesion; at your threshold
# it marks 90 % of those and 1 % of the background. Its Dice is about (a) .99; (b) .90;
# (c) .62.

# %% tags=["predict"]
my_guess = None

# %% tags=["nbval-check-output"]
guess("P3", my_guess, answer="c",
      a="AUC taken for Dice; the background, which is easy, fills AUC.",
      b="sensitivity taken for Dice: 1 % of the background is as many pixels "
      "as the whole lesion.")
threshold = stats.norm.ppf(0.99)  # specificity .99
separation = threshold + stats.norm.ppf(0.90)  # and sensitivity .90


def pixels(prevalence, n=100_000):
    """Scores, labels and mask of pixels whose scores are two normal curves."""
    lesion = round(prevalence * n)
    ranks = [(np.arange(k) + 0.5) / k for k in (lesion, n - lesion)]
    score = [stats.norm.ppf(ranks[0]) + separation, stats.norm.ppf(ranks[1])]
    score = np.concatenate(score)
    return score, np.arange(n) < lesion, score >= threshold


for prevalence in (0.01, 0.30):
    score, label, mask = pixels(prevalence)
    area = metrics.auc(score, label, level="pooled")
    print(f"{prevalence:4.0%} lesion: AUC {area:.3f}", end="")
    for function in (metrics.precision, dice):
        value = function(mask[None], label[None])
        print(f", {function.__name__} {value:.3f}", end="")
    print()

# %% tags=["figure"]
fig, (left, right) = figures.new(
    1, 2, height=3.6, title="One detector, two prevalences: which curve moves?"
)
ends = []
for i, prevalence in enumerate((0.01, 0.30)):
    score, label, mask = pixels(prevalence)
    roc = metrics.roc_curve(score, label, level="pooled")
    pr = metrics.precision_recall_curve(score, label, level="pooled")
    ends.append(metrics.precision(mask[None], label[None]))
    style = {**figures.style("", i), "marker": ""}
    words = f"{100 * prevalence:.0f} % of the pixels are lesion"
    left.plot(roc.false_positive_rate, roc.true_positive_rate, **style)
    right.plot(pr.recall, pr.precision, label=words, **style)
    right.plot(0.9, ends[i], "o", color=figures.INK)
    right.text(0.87, ends[i] - 0.07, f"{ends[i]:.3f}", ha="right")
left.plot(0.01, 0.9, "o", color=figures.INK)
left.set(xlabel="1 - specificity (pixels)", ylabel="sensitivity (pixels)")
right.set(xlabel="sensitivity (pixels)", ylabel="precision (pixels)")
right.set_ylim(0, 1.02)
fig.legend(loc="outside lower center", ncols=2)
alt = ("ROC and precision-recall curves of one detector, 1 % and 30 % lesion "
       "pixels. The ROC curves coincide; precision at sensitivity 0.9 is "
       f"{ends[0]:.3f} and {ends[1]:.3f}.")
figures.show(fig, alt, "Computed from two normal curves. Dot: threshold used.")

# %% [markdown] tags=["predict"]
# The ROC curves lie on each other: prevalence is not in them. At 1 % and the same
# threshold, Dice is .623 and only 48 % of what is marked is lesion. That share is the
# *precision*; for patients it is called *PPV*, positive predictive value. It needs the
# prevalence of the place where the test is used.
#
# REUnet reports an AUC of .997, .995 and .966 on three sets (section 4.3, Fig. 6) and
# does not say whether pixels, images or patients were ranked: the numbers say little.
#
# ## 9 Before you trust a mean
#
# Two questions to the synthetic set of section 5. Would its mean come out the same with
# other patients? A *confidence interval* is a rule that covers the true value in 95 % of
# repetitions; here a repetition draws the test patients anew. Four images come from each
# patient: does it matter whether you draw images or patients?
#
# And: model A is the one you saw, on the lesions that it found. Model B is the same, but
# it misses the three cases with the worst borders completely. Surely B is worse.
#
# **P4.** Take the mean of HD95 over the lesions that each model found. That of B is
# (a) larger than that of A; (b) equal; (c) smaller.

# %% tags=["predict"]
my_guess = None

# %%
guess("P4", my_guess, answer="c",
      a="B made more errors, but what is missed leaves this mean.",
      b="what is missed leaves this mean, and these were the largest values.")
hit = table["case"] == "ok"
worst = table["hd95"].where(hit).nlargest(3).index
less = [np.zeros_like(pred) if i in worst else pred
        for i, pred in enumerate(predictions)]
other = metrics.evaluate_cases(less, references, names, groups=groups)
for name, part in (("A", table[hit]), ("B", other[hit])):
    kept = part["hd95"][np.isfinite(part["hd95"])]
    told = metrics.fill_empty(part)["hd95"].mean()
    print(f"{name}: mean HD95 {kept.mean():.1f} px over {len(kept)} found; "
          f"{told:.1f} px over all {len(part)} (missed: diagonal)")

values = metrics.fill_empty(table)["dice"]
for unit, drawn in (("images", None), ("patients", table["group"])):
    low, high = metrics.bootstrap_interval(values, drawn, seed=seed)
    print(f"mean Dice {values.mean():.3f}, drawing {unit:8}: "
          f"{low:.3f} to {high:.3f}, width {high - low:.3f}")

# %% [markdown]
# B misses three more lesions and its mean HD95 over the found ones falls. This is not a
# trick: MONAI's HD95 is NaN where one mask is empty, and its mean drops NaN (issue 9095
# of the MONAI project reports exactly this). Ask for n beside each mean. If n differs
# between two rows, the rows cannot be compared.
#
# Four images of one patient are not four independent witnesses: what makes one of them
# hard makes all of them hard. A *group* is what must not be torn: a patient, a slide, a
# pair of eyes. Draw whole groups (exercise 03-4 shows how). In a small set the two widths
# may come out alike; which unit is right does not depend on that.
#
# The interval speaks about these patients, at one training seed, on one scanner. The next
# hospital is outside.
#
# ### A table of your own
#
# Notebook 03 keeps a per-case table of each run. The cell below takes the newest one that
# is stored with the course; without one it goes on with the synthetic table. The printed
# line says which one you see: the file's name starts with the data set.
#
# Which case would you look at first? A poor Dice near the bottom has little area to lose,
# so one pixel of border costs much; a poor Dice at the top is another kind of failure.

# %% tags=["figure"]
def newest_table(folder):
    """The newest per-case table in a folder, else the synthetic one."""
    def date(file):
        return re.findall(r"\d{4}-\d\d-\d\d", file.name)[-1:]

    files = sorted(folder.glob("*.csv"))
    for file in sorted(files, key=date, reverse=True):
        cases = pd.read_csv(file, dtype={"case_id": str, "group": str})
        if {"case", "dice", "hd95", "tp"} <= set(cases.columns):
            if "seed" in cases:
                cases = cases[cases["seed"] == cases["seed"].min()]
            first = cases["class_name"].iloc[0]
            return file.name, cases[cases["class_name"] == first]
    return "synthetic, section 5", table


folder = records.ROOT / "notebooks" / "results" / "03_unet"
source, own = newest_table(folder)
own = own.reset_index(drop=True)
print(f"table: {source}; {len(own)} images, {own['group'].nunique()} groups")
case_plot(own, "Look at every case of this table before its mean",
          f"Table: {source}. Empty masks: default policy.")

# %% tags=["result"]
image = metrics.summarise(own, level="image", seed=seed).set_index("metric")
pot = metrics.summarise(own, level="pooled", seed=seed).set_index("metric")
numbers = [("dice_mean", image.loc["dice"], "mean"),
           ("dice_pooled", pot.loc["dice"], "pooled"),
           ("lesion_recall", image.loc["lesion_recall"], "mean")]
records.record("table", source)
for name, row, column in numbers:
    span = (row["low"], row["high"])
    records.record(name, row[column], n=row["n"], interval=span)
row = image.loc["hd95"]
records.record("hd95_median", row["median"], own["unit"].iloc[0], n=row["n"])
for name in ("n_empty", "n_missed"):
    records.record(name, row[name], n=len(own))

print(f"{len(own)} images, policy default, 95 % intervals over groups")
for row in records.finish():
    value, span = row["value"], row["interval"]
    if isinstance(value, float):
        value = f"{value:.1f} {row['unit']}" if row["unit"] else f"{value:.3f}"
    span = f"{span[0]:.3f} to {span[1]:.3f}" if span else ""
    print(f"{row['name']:14} {value}  {span}")

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
