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
# # 01 Images and masks: what is the net compared with, and who may sit in the test set?
#
# In 00 you said which of several masks is worse. Worse *against what*? Here you look at
# the other side of the comparison: images, the masks that people drew on them, and which
# images may be used to judge a net. Notebook 02 then makes a number of it.

# %% [markdown] tags=["goals"]
# ## Goals
#
# A score is never better than what it is measured against. After this notebook you can
#
# - resize a mask without inventing labels (exercise 01-1);
# - bring images of different brightness to one scale (01-2);
# - split images into training and test by group, and prove it (01-3);
# - change image and mask together, as a pair (01-4);
# - say what neighbours in training did to a test score, and how sure that is (records
#   `dice_siblings_in`, `dice_siblings_out`).
#
# You need notebook 00 and Python with arrays. No medicine. No net is trained here.

# %% [markdown] tags=["budget"]
# **Cost.** Reading 50 minutes, exercises 50 minutes. The machine needs: {{budget}}.

# %% tags=["parameters"]
profile = ""  # str |smoke|fast|full: size of the run; empty: COURSE_PROFILE, else fast
seed = 0  # int 0..1000000: of the phantoms and of the random splits
out_dir = ""  # str: folder of results.json; empty: below runs/notebooks

# %% tags=["setup"]
from itertools import permutations

import numpy as np
import pandas as pd
import torch
from scipy import ndimage
from torch.nn import functional as F

from course_lib import drawing, figures, metrics, records
from course_lib.data import phantoms, prepared, transforms
from course_lib.drawing import panels
from course_lib.teaching import check, guess, hint
from data_scripts import common

run = records.start(
    "01_images_and_masks",
    {"profile": profile, "seed": seed, "out_dir": out_dir},
)
nuclei = prepared.open("nuclei-mini")
run.uses(nuclei)

# %% [markdown]
# ## 1. The same grey means different things
#
# A **modality** is the way an image was made. Ultrasound sends sound and listens to its
# echo: grey is how much comes back, grainy (*speckle*), with shadows behind hard things.
# Dermoscopy is a photograph of skin through a lens: hairs and rulers get in the way.
# MRI listens to hydrogen in a magnet: near a receiver coil all is brighter, tissue or
# not. X-ray counts what passes through you.
#
# In microscopy, grey is a dye: bright where it glows, dark where it stains. Below are
# five **phantoms**, images made by a formula, so that the exact mask is known. The sixth
# image is real. Guess first: can one threshold on grey find the object in all six?

# %% tags=["figure"]
stained = nuclei.cases.family.str.startswith("colour").to_numpy()
real = int(np.argmax(nuclei.cases.n_nuclei * stained))
looks = {"ultrasound": "ultrasound", "dermoscopy": "dermoscopy",
         "cardiac": "MRI, heart", "xray": "X-ray, lungs", "nuclei": "nuclei"}
made = {look: phantoms.generate(1, seed=seed, look=look, contrast=0.3,
                                noise=0.3) for look in looks}
samples = {looks[look]: (one.images[0], one.masks[0])
           for look, one in made.items()}
samples["nuclei (real)"] = nuclei.images[real], nuclei.masks[real]
fig, _ = drawing.modalities(
    [image for image, _ in samples.values()], names=list(samples),
    title="Where on the grey scale does the object lie?")
told = []
for ax, (name, (image, mask)) in zip(fig.axes[len(samples):], samples.items()):
    grey = panels.grey(image)
    inside, outside = grey[mask > 0], grey[mask == 0]
    ax.hist(inside, bins=32, range=(-0.5, 255.5), color=figures.TARGET,
            weights=np.full(inside.size, 1 / grey.size))
    told.append(f"{name} {inside.mean():.0f} and {outside.mean():.0f}")
    print(f"{name:13} mean grey {inside.mean():4.0f} in the mask, "
          f"{outside.mean():4.0f} outside")
figures.show(
    fig, "Six images and their grey values. Mean grey in the mask and "
    f"outside: {', '.join(told)}.",
    caption=f"Five synthetic images (seed {seed}, contrast and noise 0.3) and "
    "one of nuclei-mini (DSB2018, CC0). Below each: its grey values, those of "
    "the object in blue.")

# %% [markdown]
# No threshold fits: some objects are brighter than the rest, some darker, and "nuclei"
# can be both. A grey value is not a property of tissue: it depends on the machine, the
# dose, the dye and the exposure. (CT is the exception: its values are calibrated.) What
# to do about it, you will see in section 3.
#
# ## 2. The mask is a decision
#
# What the net is compared with is a **reference mask**: what one or several readers drew,
# under a stated rule, at a stated magnification. It is not the truth. A vague border has
# no pixel-exact truth, and readers follow different rules: one hugs the **lesion** (a
# region of tissue changed by disease or injury), one draws a wide polygon.
#
# Here are two careful readers of one synthetic lesion. One draws a pixel inside the
# border, one a pixel outside. Guess their agreement. **Dice**, which you will write in
# 02, is the overlap: 1 for equal masks, 0 for masks that share nothing.

# %% tags=["figure"]
lesion = phantoms.generate(1, seed=seed, look="ultrasound", contrast=0.3,
                           noise=0.3, softness=0.8, smallness=0.9, clutter=0.1)
border = lesion.masks[0] > 0
row, col = (int(middle) for middle in ndimage.center_of_mass(border))
near = np.s_[max(row - 24, 0):row + 24, max(col - 24, 0):col + 24]
tight, wide = ndimage.binary_erosion(border), ndimage.binary_dilation(border)
figures.show(
    *drawing.readers(
        lesion.images[0, 0][near], tight[near], wide[near],
        title="Two careful readers: who is right in the hatched band?"),
    caption=f"A part of a synthetic ultrasound image, seed {seed}; the lesion "
    f"of the formula has {border.sum():,} pixels.")

# %% tags=["nbval-check-output"]
rows, cols = np.mgrid[-64:65, -64:65]


def disc(radius):
    """Mask (129, 129) of a disc; radius in px."""
    return rows**2 + cols**2 <= radius**2


for radius in (4, 10, 20):
    inner, midway, outer = (disc(radius + step) for step in (-1, 0, 1))
    print(f"radius {radius:2} px: Dice of the two readers "
          f"{metrics.dice(inner, outer):.3f}; a border midway scores "
          f"{metrics.dice(midway, inner):.3f} and "
          f"{metrics.dice(midway, outer):.3f} against them")
for radius in (3, 5):
    one_wider = metrics.dice(disc(radius + 1), disc(radius))
    print(f"radius {radius:2} px: Dice if 1 px too wide {one_wider:.3f}")
records.record("dice_1px_wider_r5", metrics.dice(disc(6), disc(5)))

# %% tags=["figure"]
radii = np.arange(2, 41)
lost = {"1 px too wide":
        [1 - metrics.dice(disc(r + 1), disc(r)) for r in radii],
        "the two readers":
        [1 - metrics.dice(disc(r - 1), disc(r + 1)) for r in radii]}
figures.show(
    *drawing.lines(
        {name: (radii, values) for name, values in lost.items()},
        xlabel="radius of the lesion (px)", ylabel="Dice lost",
        title="The same pixel of border costs a small lesion most"),
    caption="Discs drawn by formula. Upper curve: one reader a pixel inside, "
    "one outside. Record `dice_1px_wider_r5` is a point of the lower curve.")
assert all(np.argmax(values) < 3 for values in lost.values())

# %% [markdown]
# **Reader variability** is how far two readers, or one reader twice, differ. Their Dice
# is a yardstick, not a ceiling: at radius 4 the readers agree to .527 only, and a border
# midway scores .744 and .754 against them. So a net can pass the readers' Dice without
# magic. But gains smaller than the readers' spread do not show who sees better: the net
# may have learned one reader's habit.
#
# The **boundary** of a mask is its pixels that touch the outside over an edge. A pixel is
# a sample of tissue with a width, so half a pixel is the finest honest statement, and mm
# only where the spacing is known. An image squeezed to a square has no single pixel size.
#
# Two facts about *real* masks. First, 670 images of nuclei were published (DSB2018; some
# of them come with this course), and others later repaired masks. Second, a mask here
# joins all nuclei of an image: what happens to two that touch? Guess how many of the
# outlined nuclei you can still count in the joined masks.

# %% tags=["nbval-check-output"]
table = common.read_table("dsb2018_groups.csv")
fixed = int((table.later_fixes > 0).sum())
print(f"{fixed} of {len(table)} images had masks repaired later")
pieces = sum(ndimage.label(mask)[1] for mask in nuclei.masks)
drawn = int(nuclei.cases.n_nuclei.sum())
print(f"nuclei-mini: {drawn:,} nuclei were outlined; at 128 px the joined")
print(f"masks fall into {pieces:,} pieces")

# %% [markdown] tags=["predict"]
# The repairs show that the reference errs: look before you blame the net. And joining
# masks glues touching nuclei together (shrinking to 128 px does the rest): fine for area,
# wrong for counting. *Which* question you ask decides whether a mask is good enough.
#
# ## 3. Before training: size and grey
#
# Nets want images of one size. The image is averaged down. And the mask? In a heart mask
# label 1 is the right chamber (RV), 2 the muscle, 3 the left chamber (LV).
#
# **P1.** You resize a mask that holds only the labels 0 and 2, bilinearly, and round. The
# result holds (a) 0 and 2, chosen from the input, (b) 0, 1 and 2, and each 1 is an error,
# (c) 0, 1 and 2, and each 1 is right, as it lies halfway?

# %% tags=["predict"]
guess_1 = None  # "a", "b" or "c"

# %% tags=["nbval-check-output"]
two = torch.tensor([[0.0, 2.0], [0.0, 2.0]])[None, None]
wider = F.interpolate(two, size=(2, 5), mode="bilinear").round().int()
print(wider[0, 0].tolist())
guess("P1", guess_1, answer="b",
      a="interpolation taken for selection: bilinear computes a mean.",
      c="labels taken for intensities: halfway between background and muscle "
      "is not the right chamber.")

# %% [markdown]
# Labels are names, not amounts: nothing lies halfway between two of them.
#
# **Exercise 01-1.** Resize a mask by *choosing* pixels. Output pixel `i` of `h` has its
# centre at `i + ½` output pixels, which is `(i + ½) H / h` input pixels: take the input
# pixel that this point lies in.

# %% tags=["exercise", "ex-01-1"]
def resize_mask(mask, size):
    """Resize a label mask (H, W) to size (h, w) without a new label.

    mask: numpy array of whole numbers. Output pixel i reads input pixel
    floor((i + 0.5) * H / h). Example: [[0, 2], [0, 2]] to (2, 4) gives
    [[0, 0, 2, 2], [0, 0, 2, 2]].
    """
    ### BEGIN SOLUTION
    picks = [np.floor((np.arange(new) + 0.5) * old / new).astype(int)
             for old, new in zip(mask.shape, size)]
    return mask[picks[0]][:, picks[1]]
    ### END SOLUTION


# %% tags=["check", "ex-01-1"]
resize_mask = check("01-1", resize_mask)
# stuck? hint("01-1", 1), then 2, then 3

# %% tags=["figure"]
labels = made["cardiac"].masks[0]
small = resize_mask(labels, (48, 48))
averaged = F.interpolate(torch.from_numpy(labels).float()[None, None],
                         size=(48, 48), mode="bilinear", antialias=True)
averaged = averaged.round().numpy()[0, 0].astype(labels.dtype)
invented = (averaged == 1) & (ndimage.maximum_filter(small == 1, 3) == 0)
number = int(invented.sum())
fig, _ = drawing.maps(
    [made["cardiac"].images[0], labels, small, averaged, invented],
    names=["image", "128 px", "chosen, 48 px", "averaged, 48 px", "invented"],
    kinds=["image", "mask", "mask", "mask", "mask"],
    title=f"Averaged labels: {number} pixels of a chamber that is not there")
figures.show(
    fig, "A heart mask at 128 px, and at 48 px by choosing and by averaging. "
    f"Averaging calls {number} pixels RV that lie away from the RV.",
    caption=f"Synthetic heart, seed {seed}: RV dark grey, muscle light grey, "
    "LV white. Right: called RV, but touches no RV pixel of the chosen mask.")
assert set(np.unique(small)) <= set(np.unique(labels))

# %% [markdown]
# Between background (0) and muscle (2), the mean is 1, and 1 is the name of the right
# chamber. Images may be averaged, labels never.
#
# Now the grey. A net should see *differences inside one image*, so bring each image to
# one scale. The **z-score** subtracts the mean of the image and divides by its standard
# deviation.
#
# **Exercise 01-2.** Write it. And what is the z-score of an image of air, all pixels
# equal? There is nothing to see: zeros.
#
# Two more repairs appear below. **Grey-world** removes a colour cast: it assumes that a
# scene is grey on average and scales red, green and blue to one mean. A **median filter**
# replaces a pixel by the middle one of its neighbours; a **Gaussian filter** takes a
# weighted mean. Which of the two blurs the border that you want to outline?

# %% tags=["exercise", "ex-01-2"]
def z_score(x):
    """Give an image mean 0 and standard deviation 1 (dividing by n).

    x: float tensor (H, W), any range. Returns the same shape; a constant
    image becomes 0. Example: [[0, 2]] gives [[-1, 1]].
    """
    ### BEGIN SOLUTION
    if x.min() == x.max():
        return torch.zeros_like(x)
    return (x - x.mean()) / x.std(correction=0)
    ### END SOLUTION


# %% tags=["check", "ex-01-2"]
z_score = check("01-2", z_score)

# %% tags=["figure"]
filled = (nuclei.masks > 0).mean((1, 2)) > 0.1
brightness = nuclei.images.mean((1, 2, 3))
dark = nuclei.images[int(np.where(filled, brightness, 255).argmin())]
scaled = z_score(torch.from_numpy(panels.grey(dark)))
skin = torch.from_numpy(made["dermoscopy"].images) / 255
cast = (skin * torch.tensor([1.0, 0.75, 0.6]).reshape(1, 3, 1, 1)).clamp(0, 1)
heart = torch.from_numpy(made["cardiac"].images) / 255
draw = torch.Generator().manual_seed(seed)
spots = torch.where(torch.rand(heart.shape, generator=draw) < 0.05, 1.0, heart)
grey = transforms.grey_world(cast)[0]
clean = transforms.median_filter(spots, 3)[0]
fig, _ = drawing.maps(
    [dark, scaled.numpy(), cast[0].numpy(), grey.numpy(),
     spots[0].numpy(), clean.numpy()],
    names=["dark nuclei", "z-score", "cast", "grey-world", "spots", "median"],
    kinds=["image", "signed", *["image"] * 4],
    title="Three repairs: what comes back, and what gets lost?")
figures.show(
    fig, "Three pairs: dark nuclei and their z-score, skin with a colour cast "
    "and after grey-world, a heart with white spots and after a median. "
    f"Largest grey of the dark image: {panels.grey(dark).max():.0f} of 255.",
    caption="Left: the darkest image of nuclei-mini that is more than a tenth "
    "nuclei. Others: synthetic, with a colour cast and with 5 % white pixels.")

# %% tags=["nbval-check-output"]
step = torch.zeros(1, 1, 9, 16)
step[..., 8:] = 1
spotted = step.clone()
spotted[..., 4, 3] = 1
for name, smooth in (
    ("median, 3 x 3 px", transforms.median_filter(spotted, 3)),
    ("Gaussian, sigma 1 px", transforms.gaussian_filter(spotted, 1.0)),
):
    edge = ((smooth[0, 0, 0] > 0.02) & (smooth[0, 0, 0] < 0.98)).sum()
    print(f"{name:20} what is left of a spot {smooth[0, 0, 4, 3]:.2f}, "
          f"pixels in between at an edge {int(edge)}")

# %% [markdown]
# The median removed the spot and kept the edge; the Gaussian smeared both. But no filter
# knows anatomy: a median also eats what is one pixel wide, a vessel or a crack. And
# grey-world took the colour from skin, which *is* pink. Look at images after each repair.
#
# ## 4. Phantoms: dial the difficulty
#
# For a real image nobody knows the exact mask. A phantom has one, and you can dial what
# makes it hard. Five factors run from 0 (easy) to 1 (hard): little `contrast`, `noise`,
# `softness` of the border, `smallness` of the lesion, and `clutter`: things that are not
# the lesion. First three settings, then sliders: which factor hides it from *you* first?

# %% tags=["figure"]
def specimen(ax, one, count):
    """Draw a phantom and the outline of its mask; return the mask's pixels."""
    panels.picture(ax, one.images[0], count)
    panels.outline(ax, one.masks[0] > 0, figures.TARGET, width=1.2)
    return int((one.masks[0] > 0).sum())


settings = {"easy": 0.1, "middle": 0.5, "hard": 0.9}
fig, axes = figures.new(
    2, 3, height=4.9, title="Easy, middle, hard: would you have drawn this?")
areas = []
for line, look in zip(axes, ("ultrasound", "dermoscopy")):
    for ax, (name, level) in zip(line, settings.items()):
        factors = dict.fromkeys(phantoms.FACTORS, level)
        one = phantoms.generate(1, seed=seed, look=look, **factors)
        areas.append(f"{specimen(ax, one, 6):,}")
        ax.set_title(f"{name}: all at {level}")
    line[0].set_ylabel(look)
figures.show(
    fig, "Two synthetic lesions, easy, middle, hard, with outline. Contrast "
    f"and size fall, noise and clutter rise. Mask pixels: {'; '.join(areas)}.",
    caption=f"Phantoms of seed {seed}. Blue: the exact mask.")

# %% tags=["widget"]
def phantom_view(contrast=0.5, noise=0.5, softness=0.5, smallness=0.5,
                 clutter=0.5, look="ultrasound"):
    values = {"contrast": contrast, "noise": noise, "softness": softness,
              "smallness": smallness, "clutter": clutter}
    one = phantoms.generate(1, seed=seed, look=look, **values)
    level = np.mean(list(values.values()))
    fig, (left, right) = figures.new(
        1, 2, height=3.6,
        title=f"Which dial hides the lesion first? (mean of all {level:.2f})")
    panels.picture(left, one.images[0], 2)
    area = specimen(right, one, 2)
    left.set_title("image")
    right.set_title("exact outline")
    told = ", ".join(f"{name} {value:.1f}" for name, value in values.items())
    return fig, f"Synthetic {look}, image and mask of {area:,} pixels; {told}."


dial = (0.0, 1.0, 0.1)
figures.slider(
    phantom_view, **dict.fromkeys(phantoms.FACTORS, dial),
    look=["ultrasound", "dermoscopy", "nuclei"],
    caption="0 easy, 1 hard. The case stays, only the dial moves.")

# %% [markdown]
# Results on phantoms show mechanisms, not clinical worth. Read that sentence again at
# every number of this course that rests on them.
#
# The little crosses that come with `clutter` are calipers: somebody set them at the
# lesion to measure it. Calipers, text, rulers and hair can give the answer away. Look at
# what the net looks at, and test it without them (notebook 05 does).
#
# ## 5. Neighbours
#
# The 670 images of nuclei are real. Here are four files of the set; nothing in their
# names says that they belong together. But if they were cut from one picture, their edges
# would continue in each other. There are 24 ways to lay four tiles into a 2 x 2 square:
# how different are the touching lines in each?
#
# All images of the set were compared in such a way, and what belongs together got one
# name, that of its group. Guess: how many groups are in 670 images?

# %% tags=["nbval-check-output"]
def seam(tiles):
    """Mean grey difference along the seams of four tiles (4, C, H, W)."""
    a, b, c, d = tiles.astype(float)
    lines = [(a[..., -1], b[..., 0]), (c[..., -1], d[..., 0]),
             (a[:, -1], c[:, 0]), (b[:, -1], d[:, 0])]
    return np.mean([abs(one - other).mean() for one, other in lines])


def arrange(rows):
    """All 24 arrangements of four images: (seam, order), best first."""
    return sorted((seam(nuclei.images[list(order)]), order)
                  for order in permutations(rows))


members = nuclei.cases.groupby("group").groups
families = {name: list(rows) for name, rows in members.items()
            if len(rows) == 4}
example = families["m067"]
ways = arrange(example)
lines = np.diff(nuclei.images[example].astype(float), axis=-1)
print("files", ", ".join(nuclei.cases.case_id[example]))
print(f"best of {len(ways)}: {ways[0][0]:.1f} grey levels; "
      f"next {ways[1][0]:.1f}; worst {ways[-1][0]:.1f}")
print(f"neighbouring lines inside a tile differ by {np.abs(lines).mean():.1f}")

# %% tags=["nbval-check-output"]
sizes = table.groupby("group").size()
print(f"{len(table)} images, {len(sizes)} groups, "
      f"{int((sizes > 1).sum())} of them with more than one image")
for size, count in sizes.value_counts().sort_index().items():
    print(f"groups of {size:2}: {count:3}, together {size * count:3} images")
records.record("groups_nuclei", len(sizes), n=len(table))

# %% [markdown] tags=["predict"]
# In one arrangement the seam is no rougher than the inside of a tile: four pieces of one
# slide, with the same stain, the same light, and nuclei cut in two.
#
# And these are the groups that were *found*. Images of one plate that do not touch are
# not linked: 268 is the most that may count as independent, not a proof that they are.
#
# **P2.** You have ten slices of one patient. Nine are in training, one is in the test
# set. For what a new patient will get, its score is most likely (a) about right: the
# slices differ, (b) too good: the slices are alike, (c) too low: the net over-fits?

# %% tags=["predict"]
guess_2 = None

# %% tags=["nbval-check-output"]
guess("P2", guess_2, answer="b",
      a="images taken for independent. Slices differ less than patients do.",
      c="over-fitting confused with leakage: learning by heart helps here.")

# %% [markdown]
# A **group** is what must not be torn apart between training and test: patient, pair of
# eyes, slide, field, twins, repeated scans.
#
# **Leakage** is information of the test set that reaches training. The split is its main
# gate; others are preprocessing (a mean taken over all images), the choice of the epoch,
# or marks drawn on the image.
#
# **Exercise 01-3.** Write a split that keeps groups whole. Groups enter the test part in
# the order given, until at least `fraction` of the *images* are in it. If nothing is left
# for training, raise a `ValueError`.
#
# The cell after the check uses it on all 670 images, many times: 20 % drawn image by
# image, or group by group. Guess: what share of the test images has a sibling, another
# tile of its own field, in training?

# %% tags=["exercise", "ex-01-3"]
def grouped_split(groups, fraction, order):
    """Return which images are tested: bool (N,), groups kept whole.

    groups: N names; order: all group names; fraction: 0..1 of the images.
    Example: "aaaabbcd", 0.25, order "bacd": both images of b are tested.
    """
    ### BEGIN SOLUTION
    groups = np.array(list(groups))
    test = np.zeros(len(groups), dtype=bool)
    for name in order:
        if test.mean() >= fraction:
            break
        test |= groups == name
    if test.all():
        raise ValueError("no image is left for training")
    return test
    ### END SOLUTION


# %% tags=["check", "ex-01-3"]
grouped_split = check("01-3", grouped_split)

# %% tags=["nbval-check-output"]
def sibling_share(groups, test):
    """Share of the test images whose group is in training, too."""
    groups = np.asarray(groups)
    return np.isin(groups[test], groups[~test]).mean()


rng = np.random.default_rng(seed)
by_image, by_group = [], []
for _ in range(200):
    drawn = rng.permutation(len(table)) < 0.2 * len(table)
    by_image.append(sibling_share(table.group, drawn))
    order = list(rng.permutation(sizes.index))
    kept = grouped_split(list(table.group), 0.2, order)
    by_group.append(sibling_share(table.group, kept))
print(f"split by image: {np.mean(by_image):.2f} of the test images have a "
      "sibling in training")
print(f"split by group: {np.max(by_group):.2f} at most in "
      f"{len(by_group)} draws")
assert max(by_group) == 0

# %% tags=["figure"]
rng = np.random.default_rng(seed)
drawn = rng.permutation(len(nuclei)) < 0.2 * len(nuclei)
names = list(rng.permutation(nuclei.cases.group.unique()))
kept = grouped_split(list(nuclei.cases.group), 0.2, names)
torn = [name for name, rows in families.items() if 0 < drawn[rows].sum() < 4]
plain = [not stained[families[name][0]] for name in torn]
best = [arrange(families[name])[0] for name in torn]
_, (rough, order), chosen = min(zip(plain, best, torn))
order, share = list(order), sibling_share(nuclei.cases.group, drawn)
assert sibling_share(nuclei.cases.group, kept) == 0
words = np.array(["train", "test"])
figures.show(
    *drawing.tile_family(
        nuclei.images[order],
        {"split by image": words[drawn[order].astype(int)],
         "split by group": words[kept[order].astype(int)]},
        title="Four files, one field: who may sit in the test set?"),
    caption=f"Field {chosen} of nuclei-mini (DSB2018, CC0), seed {seed}: of "
    "the stained fields that the split by image tears, the one with the "
    f"smoothest seams ({rough:.1f} grey levels). By image, {share:.0%} of all "
    "test images of nuclei-mini have a sibling in training; by group, none.",
    key=True)

# %% [markdown]
# ## 6. Does it matter for the score?
#
# Arguing is cheap; an experiment must be fair. Comparing a random split with a grouped
# one would mix leakage with *other test images*. So: the same test images, the same net,
# the same number of training images, fields and updates. In one arm, siblings of the test
# images are in training. In the other, tiles of strangers of the same kind and size take
# their place.
#
# It trains for minutes, so it was run beforehand (`benchmarks/siblings.py`). Write down
# your guess, then read it.

# %% tags=["predict"]
my_gain = None  # Dice with siblings minus Dice without, such as 0.05

# %% tags=["nbval-check-output"]
recorded = records.committed("01_images_and_masks", "siblings-nuclei")
found, how = recorded["summary"], recorded["settings"]
pairs = pd.DataFrame(recorded["splits"])
low, high = found["interval"]
print(f"U-Net base {how['base']}, {how['size']} px, {how['updates']} updates; "
      f"{pairs.n_train[0]} images train, {pairs.n_test[0]} test")
columns = ["seed", "dice_in", "dice_out", "difference"]
print(pairs[columns].round(3).to_string(index=False))
print(f"mean Dice {found['dice_in']:.3f} with siblings, "
      f"{found['dice_out']:.3f} without")
print(f"difference {found['difference']:+.3f} [{low:+.3f}, {high:+.3f}], "
      f"n = {found['n_splits']} splits")
effect = "an effect is not shown: the interval holds zero"
if low > 0 or high < 0:
    effect = f"siblings {'raised' if low > 0 else 'lowered'} the score"
print("In this experiment", effect)
guess("your gain", my_gain, answer=found["difference"])
print("P2 is about patients; for these tiles and this small net a gain was",
      "shown" if low > 0 else "not shown", f"with {found['n_splits']} splits")

# %% tags=["figure"]
for kind, word in (("stained", "stained"), ("gray", "grey")):
    gains = pairs[f"difference_{kind}"]
    below, above = metrics.t_interval(gains)
    print(f"{word:7} test images only: {gains.mean():+.3f} "
          f"[{below:+.3f}, {above:+.3f}]")
end = len(pairs) + 1
fig, _ = drawing.lines(
    {"one split": (pairs.seed + 1, pairs.difference),
     "mean, 95 % interval": ([end], [found["difference"]], [low], [high])},
    xlabel=f"split, with its own {pairs.n_test[0]} test images",
    ylabel="Dice with siblings − without", joined=False,
    marks={"no difference": 0},
    title="Same test images: what do siblings in training change?")
fig.axes[0].set_xticks(range(1, end + 1), [*range(1, end), "mean"])
gains = pairs.difference.round(3)
figures.show(
    fig, f"Dice with siblings minus without, {len(pairs)} splits: from "
    f"{gains.min():+.3f} to {gains.max():+.3f} (split "
    f"{gains.argmax() + 1}). Mean {found['difference']:+.3f}, 95 % "
    f"interval {low:+.3f} to {high:+.3f}.",
    caption=f"Recorded on a {recorded['machine']}; the file is "
    f"`{recorded['file']}`. Record `siblings_difference`.")
for arm in ("in", "out"):
    records.record(f"dice_siblings_{arm}", found[f"dice_{arm}"], n=len(pairs))
records.record("siblings_difference", found["difference"], n=len(pairs),
               interval=(low, high))

# %% [markdown]
# Read such a result with its size, its interval and its limits: one small net, one data
# set, few splits that draw from the same fields, so the interval is rather too narrow.
# Another net, longer training or rarer stains may leak more or less. An interval that
# holds zero means *not shown*, never "no difference". And the two kinds of image are two
# more looks at one experiment: a hint what to test next, not a finding (notebook 12).
#
# P2 spoke of patients, this is about tiles: one does not settle the other. The split by
# group is right either way: with siblings in training, the score answers a question that
# nobody in a clinic asks: "how good on a field that you have partly seen?"
#
# Two papers of this course. PL-Net trains on 80 % of these nuclei images, tests on 20 %
# and speaks of five cross-validation experiments; how the images were drawn, and whether
# fields were kept whole, it does not say. REUnet splits 60:20:20 at random (section 4.2);
# its DUKE part has 700 images (Table 1), and 30 patients were annotated (section 4.1).
# Leakage is possible in both. How large it was is not known.
#
# ## 7. Twins, names, and nothing at all
#
# BUSI is a set of breast ultrasound, 780 images of 600 patients (Al-Dhabyani et al.
# 2020). No patient is named in it. So images were compared, and those that look like one
# scan were joined. The images may not be passed on with this course, but the table of
# groups is here. A folder says what an image shows: benign, malignant or normal. Can one
# group be two of these?

# %% tags=["nbval-check-output"]
busi = common.read_table("busi_groups.csv")
busi["kind"] = busi.index.str.split("_").str[0]
twins = busi.groupby("group").kind.agg(images="size", kinds="nunique")
more = twins[twins.images > 1]
print("images:", busi.kind.value_counts().to_dict(),
      f"normal: {(busi.kind == 'normal').mean():.2f} of all")
print(f"{len(busi)} images, {len(twins)} groups; {int(more.images.sum())} "
      f"images are in {len(more)} groups of 2 to {more.images.max()}")
print(f"groups that span two kinds: {int((twins.kinds > 1).sum())}")
one = busi.index[busi.group == busi.group["benign_433"]]
print("one of them:", ", ".join(one))
for name, groups in (("nuclei", table.group), ("BUSI", busi.group)):
    counts = groups.value_counts().to_numpy()
    worth = counts.sum() ** 2 / (counts**2).sum()
    print(f"{name}: if the images of a group were copies, "
          f"{len(groups)} would be worth {worth:.0f}")

# %% [markdown] tags=["predict"]
# Benign 433 and malignant 145 are the same image, pixel by pixel, filed under both names
# (seen when the groups were made; Pawlowska et al. 2023 criticise the set for such
# flaws). BUSI publishes no patient id: groups are found by likeness, so some leakage may
# remain. Say so beside each score. And many of its images carry calipers at the lesion.
#
# The last lines are the other half of the lesson. Copies bring no new evidence: 780
# images of 600 patients are not 780 independent cases. (A big group outweighs small ones
# in a mean over images, so the worth lies even below the number of groups.) The group is
# the unit that you split by, *and* the unit that you count when you ask how sure a score
# is (03). Real groups lie between copies and strangers.
#
# And the normal images? Their masks are all empty: nothing is there.
#
# **P3.** A healthy scan has an empty mask. In the test set you (a) drop it: there is
# nothing to compare, (b) keep it and report it apart, (c) give it Dice 1 in the mean?

# %% tags=["predict"]
guess_3 = None

# %% tags=["nbval-check-output"]
guess("P3", guess_3, answer="b",
      a="then false alarms become invisible: a net that marks something in a "
      "healthy breast would never be told.",
      c="then a rule hides in a mean, and no reader of the table knows of it.")

# %% [markdown]
# Healthy images belong in the test set; their score is the false-alarm rate, reported
# apart. How many there are is a matter of **prevalence**, the share that has it: of
# patients, of lesions and of pixels are three numbers. In BUSI about five of six images
# show a lesion; in **screening**, where people without complaints are examined, far fewer
# do.
#
# ## 8. Pairs: what moves the image moves the mask
#
# **Augmentation** changes training images at random (a flip, a turn, another brightness)
# to make few images go further. Split first, augment after: a flipped copy is a twin. And
# the mask must follow every move, and only the moves: it has no brightness.
#
# **Exercise 01-4.** Somebody shipped this function. It runs without an error, and a net
# that trains with it is taught wrong borders. Find the bug. `coins` holds the random
# draws: (left-right, up-down), 1 for a flip.

# %% tags=["exercise", "ex-01-4"]
def paired_flip(image, mask, coins):
    """Flip an image (C, H, W) and its mask (H, W) alike; both are tensors.

    coins: (left-right, up-down), each 0 or 1. Returns image and mask.
    Example: [[0, 1], [2, 3]] with (1, 0) becomes [[1, 0], [3, 2]], in both.
    """
    ### BEGIN SOLUTION
    for axis, coin in zip((-1, -2), coins):
        if coin:
            image, mask = image.flip(axis), mask.flip(axis)
    ### STUB: draws = iter(tuple(coins) * 2)
    ### STUB: for axis in (-1, -2):
    ### STUB:     if next(draws):
    ### STUB:         image = image.flip(axis)
    ### STUB:     if next(draws):
    ### STUB:         mask = mask.flip(axis)
    ### END SOLUTION
    return image, mask


# %% tags=["check", "ex-01-4"]
paired_flip = check("01-4", paired_flip)

# %% tags=["figure"]
before = made["dermoscopy"].masks[0]
mask = torch.from_numpy(before).long()
moves = {"flips": paired_flip(skin[0], mask, (1, 1))}
for name, change in {"turn": {"rotate": 30.0}, "elastic": {"elastic": 0.05},
                     "brightness": {"brightness": 0.3}}.items():
    pair = transforms.augment(
        skin, mask[None], transforms.Augmentation(**change),
        torch.Generator().manual_seed(seed))
    moves[name] = pair[0][0], pair[1][0]
pictures = [(255 * image).byte().numpy() for image, _ in moves.values()]
after = [mask.numpy() for _, mask in moves.values()]
left = [metrics.dice(before > 0, mask > 0) for mask in after]
fig, _ = drawing.outlines(
    pictures, after, [before] * 4, names=list(moves),
    notes=[f"left behind:\nDice {value:.2f}" for value in left],
    title="Lay the mask over the image after every change")
roles = ("moved along", "left behind")
for text, role in zip(fig.legends[0].get_texts(), roles):
    text.set_text(role)
told = ", ".join(f"{name} {value:.2f}" for name, value in zip(moves, left))
figures.show(
    fig, "A skin image after four changes, with its moved mask and the mask "
    f"as it was. Dice of the mask left behind: {told}.",
    caption=f"One synthetic skin image, seed {seed}.")

# %% [markdown]
# Only the brightness leaves the old mask right. Nothing stops a net from training on
# wrong pairs, and no message appears. So look at a few pairs *after* augmentation.
#
# ## Recorded results

# %% tags=["result", "nbval-ignore-output"]
for row in records.finish():
    value, between = row["value"], ""
    shown = f"{value:.3f}" if isinstance(value, float) else f"{value:,}"
    if row["interval"]:
        between = " [{:+.3f}, {:+.3f}]".format(*row["interval"])
    count = "" if row["n"] is None else f" (n = {row['n']})"
    print(f"{row['name']:<20} {shown}{between}{count}")

# %% [markdown] tags=["keypoints"]
# ## Key points
#
# - A reference mask is a reading with a rule. One pixel of border costs small lesions
#   most (`dice_1px_wider_r5`). The readers' own agreement is a yardstick, not a ceiling.
# - Labels are names: choose them, never average them (01-1). Grey values are relative:
#   scale each image by itself (01-2).
# - The group is the unit: of the split (01-3, `groups_nuclei`) and of what you count.
#   What siblings did to a score was measured, with its interval
#   (`siblings_difference`).
# - Transforms act on pairs, with one draw for both (01-4). Look at the overlay.

# %% [markdown] tags=["next"]
# ## Where to go next
#
# Notebook 02 turns two masks into one number, and asks what that number does not see.
# Before that, try two variations:
#
# - `seed`: draw other phantoms and other splits; which numbers above move, which do not?
# - does longer training leak more? In the folder of the course, with the contest's
#   `stage1_train.zip` in it, type
#
#   ```
#   course data prepare nuclei --from stage1_train.zip --size 64
#   python -m benchmarks.siblings --data nuclei-64 --updates 1200 \
#       --json runs/siblings-1200.json
#   ```
#
# References: Caicedo et al., *Nature Methods* 16 (2019), for the nuclei; Al-Dhabyani et
# al., *Data in Brief* 28 (2020), for BUSI; Pawlowska et al., *Data in Brief* 48 (2023).

# %% tags=["nbval-ignore-output"]
print("this run took", records.cost())
