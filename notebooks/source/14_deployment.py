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
# # 14 Deployment: does "better" survive the trip to the clinic?
#
# A trained net becomes a small file that runs on a workstation without PyTorch. After
# every step you measure again what is left of its score, and where the score stops
# meaning anything.

# %% [markdown] tags=["goals"]
# **This is teaching material, not a medical device.** Nothing here was tested on
# patients, approved by anybody, or meant to be used on one. A segmentation is not a
# diagnosis: area and shape feed a decision that a person makes and answers for.
#
# **Why.** A net is chosen by a number from a test set. Then it is folded, rounded, cut,
# resized and carried to another hospital. Each step may change the number, and nobody
# reads the paper again.
#
# After this notebook you can
# - fold a batch normalisation into the layer before it (exercise 14-1);
# - round weights to 8 bits without losing channels (14-2);
# - bring a prediction back to the original size in the right order (14-3);
# - say what a positive means where few are ill (14-4).
#
# You need notebooks 02 (scores), 03 (intervals) and 13 (latency).

# %% [markdown] tags=["budget"]
# **Cost.** Reading 60 minutes, exercises 60 minutes. The machine needs: {{budget}}.

# %% tags=["parameters"]
profile = ""  # str |smoke|fast|full: size of the run; empty: COURSE_PROFILE, else fast
data = "nuclei-mini"  # str nuclei-mini|nuclei: images of sections 1 to 8
net = ""  # str: preset such as sigrenet; empty: a U-Net of base 8, in full sigrenet
size = 0  # int 0..512: pixels a side, a multiple of 16; 0: 64, in full 256
epochs = 0  # int 0..1000: of the training; 0: as the profile says
tuning_epochs = 0  # int 0..1000: after pruning; 0: as the profile says
share = 0.25  # float 0.01..0.9: of the channels that are pruned
seed = 0  # int 0..900000: of weights and order
device = "auto"  # str auto|cpu|cuda|mps: where the net is trained
out_dir = ""  # str: folder of results.json; empty: below runs/notebooks

# %% tags=["setup"]
import time
from dataclasses import replace
from itertools import pairwise

import numpy as np
import torch
from matplotlib import cbook
from PIL import Image
from scipy import ndimage
from scipy.spatial import KDTree
from torch.nn import functional as F

from course_lib import claims as ledger
from course_lib import (
    drawing,
    export,
    figures,
    metrics,
    models,
    predict,
    records,
    training,
)
from course_lib.data import phantoms, prepared
from course_lib.teaching import check, guess, hint

given = {
    "profile": profile,
    "data": data,
    "net": net,
    "size": size,
    "epochs": epochs,
    "tuning_epochs": tuning_epochs,
    "share": share,
    "seed": seed,
    "device": device,
    "out_dir": out_dir,
}
run = records.start("14_deployment", given)

# %% [markdown]
# ## 1. The net that you hand over
#
# `data` says which images: by default real nuclei under the microscope (nuclei-mini,
# notebook 01). These have 128 px and are reduced to 64 for the net (parameter `size`):
# its answer has to come back.

# %% tags=["nbval-ignore-output"]
opened = prepared.open(data)
run.uses(opened)
size = size or run.pick(smoke=64, fast=64, full=256)
parts, images = opened.split(), opened.resized(size)
train, val, test = (
    images.subset(parts[name]) for name in ("train", "val", "test")
)
groups = test.cases["group"]
course = replace(
    training.PROTOCOLS["course"],
    learning_rate=5e-3,
    epochs=epochs or run.pick(smoke=12, fast=24, full=100),
    seed=seed,
)
net = net or run.pick(smoke="unet_small", fast="unet_small", full="sigrenet")
width = {"base": 8} if net == "unet_small" else {}
torch.manual_seed(seed)
trained = models.create(
    net, in_channels=images.all_images.shape[1], num_classes=1, **width
)
folder = run.out_dir / "training"
training.fit(trained, train, val, course, folder, device=run.device)
trained.cpu()
table = training.evaluate(trained, test, device="cpu")
print(images.describe())
print(
    f"{net}, {models.measure.count_parameters(trained):,} parameters, "
    f"{course.epochs} epochs: test Dice {table['dice'].mean():.3f}"
)

# %% [markdown]
# A **checkpoint** is the file of its weights. It holds batch normalisation, which in use
# is one multiplication and one addition a channel with fixed numbers:
# γ · (w·x + b - mean) / √(var + ε) + β. A convolution straight before it can do both
# itself. That is **folding**: one pass over the map less, and the same answer.
#
# **Exercise 14-1.** Which weight and bias does the convolution get?


# %% tags=["exercise", "ex-14-1"]
def fold(w, b, gamma, beta, mean, var, eps=1e-3):
    """Return (weight, bias) of a layer that took its normalisation along.

    All are numbers, or arrays of one number a channel.
    fold(2, 0, 1, 0, 0, 3.999) is (1, 0).
    """
    ### BEGIN SOLUTION
    scale = gamma / np.sqrt(var + eps)
    return w * scale, (b - mean) * scale + beta
    ### END SOLUTION


# %% tags=["check", "ex-14-1"]
fold = check("14-1", fold)
# stuck? hint("14-1", 1), then 2, then 3

# %% tags=["nbval-ignore-output"]
kinds = (torch.nn.Conv2d, torch.nn.BatchNorm2d)
layers = [(n, m) for n, m in trained.named_modules() if isinstance(m, kinds)]
(first, conv), (_, norm) = next(
    pair for pair in pairwise(layers) if isinstance(pair[1][1], kinds[1])
)
columns = conv.weight.detach().flatten(1).T.numpy()  # a column a channel
of_norm = (norm.weight, norm.bias, norm.running_mean, norm.running_var)
b = 0 if conv.bias is None else conv.bias.detach().numpy()
numbers = (values.detach().numpy() for values in of_norm)
weight, bias = fold(columns, b, *numbers, norm.eps)

folded = models.fuse(trained)
taken = folded.get_submodule(first)
same = np.allclose(weight.T, taken.weight.detach().flatten(1), atol=1e-5)
same = same and np.allclose(bias, taken.bias.detach(), atol=1e-5)
print("your fold gives the weights that models.fuse gives:", same)
x, _ = test.batch(range(len(test)), "cpu")
with torch.inference_mode():
    change = (folded(x) - trained.eval()(x)).abs().max().item()
print(f"whole net: largest change of a logit {change:.1e}")
records.record("max_change_folded", change, n=len(test))

# %% [markdown] tags=["predict"]
# ## 2. Eight bits
#
# A weight is stored in 32 bits. **Quantisation** stores it in 8: a whole number from -127
# to 127 times a scale. Maps are rounded in the same way, with scales from a few training
# images (*static* quantisation).
#
# **P1.** The net in int8 answers (a) exactly as before, (b) with a small change in
# Dice, (c) with a useless mask.

# %% tags=["predict"]
guess_1 = None  # "a", "b" or "c"

# %% [markdown]
# **Exercise 14-2.** Round the weights of a layer, a row an output channel, and turn them
# back into numbers. Every row has a scale of its own.


# %% tags=["exercise", "ex-14-2"]
def quantise_rows(weights):
    """Return weights (out, in) rounded to whole multiples of a scale a row.

    The scale of a row is its largest size / 127 (symmetric int8).
    [[127, 63.4]] becomes [[127, 63]]; a row of zeros stays.
    """
    ### BEGIN SOLUTION
    top = np.abs(weights).max(1, keepdims=True)
    scale = np.where(top == 0, 1, top) / 127
    return np.round(weights / scale) * scale
    ### END SOLUTION


# %% tags=["check", "ex-14-2"]
quantise_rows = check("14-2", quantise_rows)

# %% [markdown]
# What does one scale for all rows do to this net? The error is that of rounding, as a
# share of each row's own size.

# %% tags=["figure", "nbval-ignore-output"]
convs = {n: m for n, m in folded.named_modules() if isinstance(m, kinds[0])}
widest = max(convs, key=lambda name: convs[name].weight.numel())


def rounding(net, per_channel):
    """Root mean square error of a channel over its largest weight, in %."""
    rows = net.get_submodule(widest).weight.detach().flatten(1).numpy()
    together = rows if per_channel else rows.reshape(1, -1)
    error = quantise_rows(together.astype(float)).reshape(rows.shape) - rows
    return 100 * np.sqrt((error**2).mean(1)) / np.abs(rows).max(1)


figures.show(
    *drawing.histogram(
        {
            "a scale a channel": rounding(folded, True),
            "one scale": rounding(folded, False),
            "one scale, before folding": rounding(trained, False),
        },
        xlabel="rounding error (% of the channel's largest weight)",
        counted="channels",
        title="Does one scale for all channels cost more?",
    ),
    caption="The layer with most weights; folded, but for the last row.",
)

# %% [markdown]
# A scale a channel costs one number a channel. Compare the last two rows as well: folding
# multiplies every channel by a factor of its own, which makes them more or less alike.
#
# ## 3. One step, one measurement
#
# The trip: fold; write the net as **ONNX**, a format that many programs run without
# PyTorch, for images of any size; round to int8. Beside it another way to a smaller net,
# **structured pruning**: remove the weakest channels of every layer for good, and train
# the rest a little more.

# %% tags=["nbval-ignore-output"]
tuning = replace(
    course, epochs=tuning_epochs or run.pick(smoke=4, fast=16, full=30)
)
tuning = replace(tuning, learning_rate=course.learning_rate / 2)
files = {name: run.out_dir / f"{name}.onnx" for name in ("float", "int8")}
named = {"classes": tuple(opened.class_names)}
export.to_onnx(trained, files["float"], size, **named)
chosen = np.random.default_rng(seed).permutation(len(train))[:32]
export.quantise(files["float"], files["int8"], train.images[np.sort(chosen)])
pruned = export.prune(trained, share)
torch.manual_seed(seed)
cut = training.evaluate(pruned, test, device="cpu")
training.fit(
    pruned, train, val, tuning, run.out_dir / "tuning", device=run.device
)
files["pruned"] = run.out_dir / "pruned.onnx"
export.to_onnx(pruned.cpu(), files["pruned"], size, **named)
forms = {"as trained": trained, "folded": folded}
names = {
    "float": "ONNX",
    "int8": "ONNX, int8",
    "pruned": "ONNX, pruned, tuned",
}
forms |= {names[name]: predict.load(file)[0] for name, file in files.items()}
odd = torch.rand(2, x.shape[1], size + 32, 2 * size)
with torch.inference_mode():
    change = (forms["ONNX"](odd) - trained(odd)).abs().max().item()
print(
    f"ONNX, images of {size + 32} x {2 * size} px: logits change {change:.1e}"
)
kept = models.measure.count_parameters(pruned)
print(f"pruned: {kept:,} parameters are left")
records.record("max_change_onnx", change, n=len(odd))
records.record("parameters_pruned", kept)
tables = {
    name: training.evaluate(form, test, device="cpu")
    for name, form in forms.items()
}
tables["pruned, not tuned"] = cut


# %% [markdown]
# Size is that of the file. Time is measured as in notebook 13: warmed up, in turns so
# that all share the machine's moods, and the median. On another machine the milliseconds
# are others, and the ratios may be; on a busy one they mean little: run the cell again.


# %% tags=["nbval-ignore-output"]
def medians(calls, rounds):
    """Median seconds of each call; the calls take turns."""
    spent = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            call()  # what the one before left behind is not its own time
            began = time.perf_counter()
            call()
            spent[name].append(time.perf_counter() - began)
    return {name: float(np.median(values)) for name, values in spent.items()}


def ask(form, image=x[:1]):
    with torch.inference_mode():
        return form(image)


seconds = medians(
    {name: lambda form=form: ask(form) for name, form in forms.items()},
    rounds=run.pick(smoke=5, fast=40, full=100),
)
sizes = {names[name]: file.stat().st_size for name, file in files.items()}
sizes["as trained"] = (folder / "best.safetensors").stat().st_size
print(f"{'form':<21} {'Dice':>6} {'kB':>6} {'ms':>6} {'x as trained':>13}")
for name, scores in tables.items():
    dice = metrics.fill_empty(scores)["dice"].mean()
    kilobytes = f"{sizes[name] / 1e3:,.0f}" if name in sizes else "-"
    if name not in seconds:
        print(f"{name:<21} {dice:>6.3f}")
        continue
    ratio = seconds[name] / seconds["as trained"]
    milliseconds = f"{1e3 * seconds[name]:.2f}"
    print(
        f"{name:<21} {dice:>6.3f} {kilobytes:>6} {milliseconds:>6} "
        f"{ratio:>13.2f}"
    )

# %% [markdown]
# The test set has few images, so compare **on the same images** (paired, notebook 12) and
# look at the interval. Before looking, state what would matter: here .01 of Dice.

# %% tags=["figure", "nbval-ignore-output"]
reference = tables["as trained"]
changes = {
    name: metrics.paired_difference(reference, scores, "dice")
    for name, scores in tables.items()
    if name != "as trained"
}
figures.show(
    *drawing.forest(
        {name: (d.mean, d.low, d.high) for name, d in changes.items()},
        title="What is left of the Dice after each step?",
        xlabel="Dice: after the step minus as trained, paired by image",
        n=len(reference),
        matters=0.01,
        reference="as trained",
    ),
    caption=f"{data}, {net}, one seed ({seed}). The interval is over test "
    "images. Records `dice_drop_int8`, `dice_drop_pruned`.",
    key=True,
)
for name in ("int8", "pruned"):
    lost = metrics.paired_difference(tables[names[name]], reference, "dice")
    bounds = (lost.low, lost.high)
    records.record(f"dice_drop_{name}", lost.mean, n=lost.n, interval=bounds)
records.record("size_ratio", sizes["ONNX, int8"] / sizes["ONNX"])
records.record("latency_ratio", seconds["ONNX, int8"] / seconds["ONNX"])
guess(
    "P1",
    guess_1,
    answer="b",
    a="rounding was taken for harmless: every map is rounded, too.",
    c="rounding was taken for fatal: 8 bits are 255 steps.",
)

# %% [markdown]
# Folding and ONNX change the order of a few operations, not the net. Pruning without
# tuning is another net; what tuning brings back is part of the result, and so is the
# training data that it needs. "Not lost" is said only if the whole interval lies above
# -.01.
#
# ## 4. Back to the original size
#
# The net saw 64 px; the doctor's image has more. The answer has to go back.
#
# **Exercise 14-3.** The version below was written in a hurry. It returns a mask of the
# right size. What does it throw away? Repair it.


# %% tags=["exercise", "ex-14-3"]
def to_original(prob, size):
    """Return the mask at the original size: probability above 0.5.

    prob: tensor (h, w), 0..1; size: (H, W). Returns (H, W) bool.
    [[0.9, 0.2]] to (1, 4) gives [[1, 1, 0, 0]].
    """
    ### BEGIN SOLUTION
    big = F.interpolate(prob[None, None], size=size, mode="bilinear")[0, 0]
    return big > 0.5
    ### STUB: mask = (prob > 0.5).float()[None, None]
    ### STUB: big = F.interpolate(mask, size=size, mode="nearest")
    ### STUB: return big[0, 0] > 0
    ### END SOLUTION


# %% tags=["check", "ex-14-3"]
to_original = check("14-3", to_original)

# %% tags=["figure", "nbval-ignore-output"]
original = opened.subset(parts["test"])
masks = [original.mask_full(i) > 0 for i in range(len(original))]


def picture(i):
    """Test image i (H, W) or (H, W, 3) at the size of its untouched mask."""
    pixels = Image.fromarray(np.moveaxis(original.images[i], 0, -1).squeeze())
    return np.asarray(pixels.resize(masks[i].shape[::-1]))


small = training.predict(trained, test, device="cpu")[:, 0]
right = [
    to_original(p, mask.shape).numpy()
    for p, mask in zip(small, masks, strict=True)
]
early = [
    F.interpolate((p > 0.5).float()[None, None], size=mask.shape)[0, 0].numpy()
    > 0
    for p, mask in zip(small, masks, strict=True)
]


def dices(predictions):
    """Dice of every test image, NaN where both masks are empty."""
    return np.array(
        [metrics.dice(a, m) for a, m in zip(predictions, masks, strict=True)]
    )


last, before = dices(right), dices(early)
both = np.isfinite(last) & np.isfinite(before)
gain = (last - before)[both]
low, high = metrics.bootstrap_interval(gain, groups[both])
middle = int(np.argsort(last)[len(last) // 2])
figures.show(
    *drawing.outlines(
        [picture(middle)] * 2,
        [masks[middle]] * 2,
        [right[middle], early[middle]],
        names=["resize, then threshold", "threshold, then resize"],
        title="Which order keeps the border?",
    ),
    caption=f"The test image of middle Dice. Threshold last gains "
    f"{gain.mean():.3f} Dice [{low:.3f}, {high:.3f}], {both.sum()} images.",
)
records.record(
    "gain_order", gain.mean(), n=int(both.sum()), interval=(low, high)
)

# %% [markdown]
# The threshold throws away how sure the net was. Probabilities are smooth: between two
# pixels they say where the border runs. So: original size first, then the threshold, and
# only then compare, count or measure. `training.evaluate` has done so since notebook 00.
#
# For somebody who has an image and no notebook, the exported file is enough: it carries
# the training size, the scaling of grey values and the threshold. `course predict` also
# reads TIFF, NPY, and slices of NIfTI and DICOM. `course demo --weights FILE --out page`
# writes a page that runs the net in a browser, with a slider for the threshold; nothing
# leaves the computer.

# %% tags=["nbval-ignore-output"]
Image.fromarray(picture(middle)).save(run.out_dir / "field.png")
(report,) = predict.to_folder(
    files["int8"], [run.out_dir / "field.png"], run.out_dir / "predicted"
)
print("course predict --weights int8.onnx field.png --out predicted")
for name, value in report.items():
    print(f"{name:<11} {value}")

# %% [markdown]
# ## 5. An image that is larger than the training
#
# A slide scanner delivers fields of any size. Memory may hold only tiles. Here a field is
# put together from sixteen test images, cut so that the tiles' seams run through the
# middle of images and not along their joints.
#
# A seam shows as a jump. How large is the step of the probability across a seam, compared
# with the step at the same place when the whole field is answered at once? 1: no seam.


# %% tags=["figure", "nbval-ignore-output"]
def joined(stack):
    """Squares (16, C, s, s) as one field (C, 3s, 3s), cut at halves."""
    half, four = size // 2, stack.reshape(4, 4, *stack.shape[1:])
    field = np.concatenate([np.concatenate(list(r), 2) for r in four], 1)
    return field[:, half:-half, half:-half]


def steps(p):
    """Mean step of a map across the seams, columns and rows."""
    seams = np.arange(size, 3 * size, size) - 1
    across = [np.abs(np.diff(p, axis=a)).take(seams, a).mean() for a in (0, 1)]
    return np.mean(across)


darkest = np.argsort(test.images.mean((1, 2, 3)), kind="stable")
order = np.resize(darkest, 16)  # alike images beside each other
field = joined(test.images[order])
truth = joined(test.masks[order][:, None])[0] > 0
whole = torch.from_numpy(field.copy())[None].float() / 255
ways = {"at once": training.predict(trained, whole, device="cpu")}
for name, overlap in (("tiles", 0), ("overlapping tiles", 0.5)):
    ways[name] = predict.sliding(trained, whole, size, overlap=overlap)
ways = {name: p[0, 0].numpy() for name, p in ways.items()}
jumps = {name: steps(p) / steps(ways["at once"]) for name, p in ways.items()}
figures.show(
    *drawing.maps(
        [field, ways["tiles"], ways["overlapping tiles"]],
        names=["field", "tiles", "overlapping tiles"],
        kinds=["image", "share", "share"],
        bars={"share": "probability"},
        title="Can you find the seams?",
    ),
    caption=f"A field of {3 * size} px, tiles of {size} px; "
    f"seams at {size} and {2 * size} px. Records `seam_jump`, "
    "`seam_jump_overlap`.",
)
for name, p in ways.items():
    dice = metrics.dice(p > 0.5, truth)
    print(f"{name:<18} Dice {dice:.3f}, jump at seams {jumps[name]:.2f}")
records.record("seam_jump", jumps["tiles"])
records.record("seam_jump_overlap", jumps["overlapping tiles"])

# %% [markdown]
# At its border a tile lacks half of the receptive field (notebook 03). With overlap, each
# pixel is answered mostly by the tile in whose middle it lies; every pixel is then
# computed up to four times. MONAI's `sliding_window_inference` does the work in
# `predict.sliding`.
#
# Another way to spend more computation: **test-time augmentation**. Turn and mirror the
# image, average the eight answers.

# %% tags=["nbval-ignore-output"]
views = predict.augmented(trained, x)
averaged = [
    to_original(p, mask.shape).numpy()
    for p, mask in zip(views.mean[:, 0], masks, strict=True)
]
lift = (dices(averaged) - last)[both]
low, high = metrics.bootstrap_interval(lift, groups[both])
print(f"eight views: Dice {lift.mean():+.3f} [{low:+.3f}, {high:+.3f}]")
records.record(
    "gain_augmented", lift.mean(), n=int(both.sum()), interval=(low, high)
)

# %% [markdown] tags=["predict"]
# ## 6. "90 % sure"
#
# The net colours a pixel with .9. A net is **calibrated** if of all such pixels 90 % are
# nucleus. The *expected calibration error* (ECE) is the mean gap between what it says and
# what is there. Dice sees nothing of it: it only asks for above or below .5.
#
# **P2.** Take the pixels more than 2 px away from any border of the reference that the
# net colours with .5 to .6. Which share of them is nucleus?

# %% tags=["predict"]
guess_2 = None  # 0 to 1


# %% tags=["figure", "nbval-ignore-output"]
def far_from_border(mask):
    """Distance in px of every pixel to the nearest border pixel."""
    return ndimage.distance_transform_edt(~metrics.boundary(mask))


big = [
    F.interpolate(p[None, None], size=m.shape, mode="bilinear")[0, 0].numpy()
    for p, m in zip(small, masks, strict=True)
]
close = [far_from_border(mask) <= 2 for mask in masks]
zones = {"all": [np.ones_like(c) for c in close]}
zones |= {"near a border": close, "far from it": [~c for c in close]}


def pooled(zone, rows):
    """Reliability over the pixels of a zone of some images."""
    p = np.concatenate([big[i][zone[i]] for i in rows])
    y = np.concatenate([masks[i][zone[i]] for i in rows])
    return metrics.reliability(p, y)


ALL = range(len(masks))
curves = {name: pooled(zone, ALL) for name, zone in zones.items()}
gaps = {name: metrics.calibration_error(c) for name, c in curves.items()}
shown = {"as it should be": (np.array([0, 1]), np.array([0, 1]))}
for name in ("near a border", "far from it"):
    filled = curves[name].count >= 50
    shown[name] = tuple(part[filled] for part in curves[name][:2])
figures.show(
    *drawing.lines(
        shown,
        xlabel="predicted probability (mean of a bin)",
        ylabel="share of nucleus pixels",
        title="How often is the net right when it says so?",
    ),
    caption=f"Reliability diagram, {len(masks)} test images, 10 bins, those "
    "of 50 px or more. Above the line: too timid; below: too bold.",
)
# %% tags=["nbval-ignore-output"]
for name, curve in curves.items():
    share_of = curve.count.sum() / curves["all"].count.sum()
    weights = curve.count / curve.count.sum()
    k = int(np.nanargmax(weights * np.abs(np.subtract(*curve[:2]))))
    print(
        f"{name:<14}{share_of:>5.0%} of the pixels, ECE {gaps[name]:.3f}, "
        f"most of it from {k / 10} to {(k + 1) / 10} ({weights[k]:.0%})"
    )
again = np.random.default_rng(seed).integers(0, len(masks), (200, len(masks)))
for record, zone in (("ece", "all"), ("ece_near_border", "near a border")):
    each = [pooled(zones[zone], [i]) for i in ALL]  # an image, once
    count = np.stack([c.count for c in each])
    gap = np.stack([np.nan_to_num(c.frequency - c.probability) for c in each])
    sums, pixels = (gap * count)[again].sum(1), count[again].sum(1)
    drawn = np.abs(sums).sum(1) / pixels.sum(1)
    ends = np.percentile(drawn, [2.5, 97.5])
    records.record(record, gaps[zone], n=len(masks), interval=ends)
guess("P2", guess_2, answer=float(curves["far from it"].frequency[5]))

# %% [markdown]
# Read the diagram before the ECE. The ECE weighs by pixels (in brackets: the share of the
# bin that adds most). Most pixels are background. Where most of them have a probability
# near 0, a tiny gap there can outweigh a large one in the middle, where few pixels are
# and masks are decided. A mean hides where a net is bold. (The zones are drawn from the
# reference, so you know them only in a test.)
#
# What can be shown beside a mask is a **confidence map**: the larger of p and 1 - p. Does
# it point at the errors?

# %% tags=["figure", "nbval-ignore-output"]
doubt = [1 - np.maximum(p, 1 - p) for p in big]
errors = [a != mask for a, mask in zip(right, masks, strict=True)]
figures.show(
    *drawing.maps(
        [
            picture(middle),
            big[middle],
            1 - doubt[middle],
            errors[middle].astype(np.uint8),
        ],
        names=["image", "probability", "confidence", "errors"],
        kinds=["image", "share", "share", "mask"],
        bars={"share": "0 to 1"},
        title="Does the net know where it errs?",
    ),
    caption="The test image of middle Dice. Confidence goes from .5 to 1.",
)
pool = [np.concatenate([a.ravel() for a in maps]) for maps in (doubt, errors)]
if pool[1].any():
    found = metrics.auc(*pool, level="pooled")
    records.record("auc_doubt", found, n=len(masks))
    print(f"a wrong pixel is less sure than a right one: {found:.0%} of pairs")

# %% [markdown] tags=["predict"]
# 50 % of the pairs would be chance. What lies above it says that doubt points at errors,
# on images like those of the training. Is it so on others?
#
# ## 7. An image from somewhere else
#
# **P3.** You hand this net a photograph of a person. Of which share of its pixels is the
# net sure (confidence of .9 or more)?

# %% tags=["predict"]
guess_3 = None  # 0 to 1

# %% [markdown]
# Three kinds of foreign images: the photograph (it comes with matplotlib; Grace Hopper,
# 1984), cut into squares, and synthetic ultrasound and X-rays. None of them holds a
# nucleus.


# %%
def phantom(look, n):
    """Synthetic images of a look, with as many channels as the net reads."""
    made = phantoms.generate(n, size, seed=900_000 + seed, look=look).images
    return np.repeat(made, x.shape[1] // made.shape[1], axis=1)


def squares(n):
    """Squares out of a photograph, each as the net reads it."""
    with cbook.get_sample_data("grace_hopper.jpg") as file:
        photo = Image.open(file).convert("RGB" if x.shape[1] == 3 else "L")
    rng, cut = np.random.default_rng(seed), []
    for _ in range(n):
        side = int(rng.integers(150, min(photo.size)))
        left, top = (int(rng.integers(0, s - side + 1)) for s in photo.size)
        box = (left, top, left + side, top + side)
        cut.append(np.asarray(photo.resize((size, size), box=box)))
    return np.stack(cut).reshape(n, size, size, -1).transpose(0, 3, 1, 2)


# %% tags=["figure", "nbval-ignore-output"]
batches = {
    "test images": test.images,
    "photograph": squares(len(test)),
    "ultrasound": phantom("ultrasound", len(test)),
    "X-ray": phantom("xray", len(test)),
}
answers = {
    name: training.predict(trained, np.ascontiguousarray(batch), device="cpu")
    for name, batch in batches.items()
}
answers = {name: p[:, 0].numpy() for name, p in answers.items()}
STRANGE = ("photograph", "ultrasound", "X-ray")


def entropy(p):
    """Doubt of every pixel in bits: 1 at a probability of .5, 0 at 0 and 1."""
    p = np.clip(p, 1e-6, 1 - 1e-6)
    return -(p * np.log2(p) + (1 - p) * np.log2(1 - p))


figures.show(
    *drawing.maps(
        [
            part
            for kind in ("photograph", "X-ray")
            for part in (
                batches[kind][0],
                answers[kind][0],
                entropy(answers[kind][0]),
            )
        ],
        names=["photograph", "p", "entropy", "X-ray", "p", "entropy"],
        kinds=["image", "share", "share"] * 2,
        bars={"share": "p; entropy (bits)"},
        title="What does the net see where nothing of its kind is?",
    ),
    caption="The first of each kind; the X-ray is synthetic. Entropy is the "
    "doubt of a pixel: 1 bit at a probability of .5, 0 bit at 0 and at 1.",
)
for name, p in answers.items():
    sure = (np.maximum(p, 1 - p) >= 0.9).mean()
    called = (p > 0.5).mean()
    print(
        f"{name:<12} sure of {sure:>4.0%} of the pixels, nucleus: {called:.0%}"
    )
p = answers["photograph"]
sure_photo = float((np.maximum(p, 1 - p) >= 0.9).mean())
records.record("sure_on_photograph", sure_photo, n=len(p))
guess("P3", guess_3, answer=sure_photo)

# %% [markdown]
# A probability is not knowledge. Training made it right on images like those of the
# training, and on no others. The net has no way to say "this is not for me". Somebody has
# to notice. Three alarms, each a number an image:
#
# - **entropy**: the mean doubt of its pixels, -p·log₂p - (1-p)·log₂(1-p);
# - **deep**: how far its deepest maps (mean and spread of each) lie from those of the
#   *nearest* training image, in units of their spread over the training set;
# - **image**: the same with what a camera sees: mean and spread of the colours, three
#   quantiles of the grey values, and how sharp it is. No net is asked.
#
# Each rings above the 95th percentile of the *validation* images. They were chosen while
# looking at the three kinds above, so these three flatter them. Two kinds had no part in
# the choice: synthetic **bones** with a crack, and **drawn nuclei**, synthetic ones that
# resemble the training.


# %%
def deep(batch):
    """Mean and spread of the deepest maps, (n, 2 C)."""
    images = torch.from_numpy(np.ascontiguousarray(batch)).float() / 255
    with torch.inference_mode():
        found = trained.forward_features(images).values()
    maps = min((m for m in found if m.ndim == 4), key=lambda m: m.shape[-1])
    return torch.cat([maps.mean((2, 3)), maps.std((2, 3))], 1).numpy()


def image(batch):
    """Colours, grey values and sharpness, (n, 2 C + 4)."""
    values = batch / 255
    grey = values.mean(1)
    dark_to_bright = np.quantile(grey, [0.05, 0.5, 0.95], axis=(1, 2)).T
    sharp = np.abs(np.diff(grey, axis=1)).mean((1, 2))
    colours = [values.mean((2, 3)), values.std((2, 3))]
    return np.column_stack([*colours, dark_to_bright, sharp])


def nearest(describe):
    """Return an alarm: distance to the nearest training image."""
    known = describe(train.images)
    centre, spread = known.mean(0), known.std(0) + 1e-6
    tree = KDTree((known - centre) / spread)
    return lambda batch: tree.query((describe(batch) - centre) / spread)[0]


def doubtful(batch):
    """Mean entropy of the pixels in bits, (n,)."""
    p = training.predict(trained, np.ascontiguousarray(batch), device="cpu")
    return entropy(p[:, 0].numpy()).mean((1, 2))


# %% tags=["figure", "nbval-ignore-output"]
batches["bones"] = phantom("fracture", len(test))
batches["drawn nuclei"] = phantom("nuclei", len(test))
rules = {"entropy": doubtful, "deep": nearest(deep), "image": nearest(image)}
rings = []
for name, rule in rules.items():
    limit = np.percentile(rule(val.images), 95)
    values = {kind: rule(batch) for kind, batch in batches.items()}
    rings.append([(v > limit).mean() for v in values.values()])
    scores_of = np.concatenate([values[k] for k in ("test images", *STRANGE)])
    foreign = np.arange(len(scores_of)) >= len(test)
    area = metrics.auc(scores_of, foreign, level="pooled")
    records.record(f"auc_alarm_{name}", area, n=len(foreign))
    print(f"{name:<8} AUC {area:.2f} (three kinds against test images)")
figures.show(
    *drawing.heat_map(
        np.array(rings),
        rows=list(rules),
        columns=[*batches],
        xlabel=f"kind of image (n = {len(test)} each)",
        ylabel="alarm",
        label="share that rings",
        digits=2,
        title="Which alarm notices which stranger?",
    ),
    caption="One net, one seed. Test images should not ring; 0.05 would be "
    "allowed. Records `auc_alarm_entropy`, `_deep`, `_image`.",
)

# %% [markdown]
# An alarm is a test like any other, with false alarms and misses, and its score counts
# for the strangers that somebody thought of: compare the last two columns with the
# others. What a net learned to ignore, its deep maps need not report. **Domain shift** is
# usually smaller than this: another scanner, another stain, another age of patients, and
# nothing rings. That is why a net is measured again where it is used. One site is one
# site: an interval over its images says nothing about the next hospital.
#
# ## 8. Another hospital: the same net, fewer ill
#
# Now a question with yes or no: does this square of 16 px hold a nucleus? **Sensitivity**
# and **specificity** (notebook 02) can be counted on the test images. But who reads a
# report asks the other way round: it says yes, so how sure may I be? That is the
# **positive predictive value** (PPV).

# %% [markdown] tags=["predict"]
# **P4.** Sensitivity .9, specificity .95. One in a hundred is ill. Of those called
# positive, the share of the ill is about (a) .90, (b) .95, (c) .15.

# %% tags=["predict"]
guess_4 = None  # "a", "b" or "c"

# %% [markdown]
# **Exercise 14-4.** Write it. Think of 1,000 people.


# %% tags=["exercise", "ex-14-4"]
def ppv(sensitivity, specificity, prevalence):
    """Return the share of the ill among those called positive, 0..1.

    NaN if nobody is called. ppv(0.9, 0.95, 0.5) is 0.9474.
    """
    ### BEGIN SOLUTION
    true = sensitivity * prevalence
    called = true + (1 - specificity) * (1 - prevalence)
    return true / called if called else float("nan")
    ### END SOLUTION


# %% tags=["check", "ex-14-4"]
ppv = check("14-4", ppv)

# %% tags=["nbval-check-output"]
for prevalence in (0.5, 0.1, 0.01):
    print(
        f"prevalence {prevalence:>4.0%}: PPV {ppv(0.9, 0.95, prevalence):.3f}"
    )
guess(
    "P4",
    guess_4,
    answer="c",
    a="that is the sensitivity: of the ill, the share that is called.",
    b="that is the specificity. Both belong to the test alone; a PPV belongs "
    "to the test and to a place.",
)


# %% [markdown]
# The same for the net of this notebook. A square is *called* if its highest probability
# exceeds the threshold; it *holds* a nucleus if the reference has a pixel there.


# %% tags=["widget", "nbval-ignore-output"]
def highest(a, side=16):
    """Largest value of every square of a map (H, W)."""
    h, w = (s // side * side for s in a.shape)
    return a[:h, :w].reshape(h // side, side, -1, side).max((1, 3)).ravel()


level = [highest(p) for p in big]
holds = [highest(mask) for mask in masks]


def rates(threshold, rows=ALL):
    """Sensitivity and specificity over the squares of some images."""
    called = np.concatenate([level[i] > threshold for i in rows])
    there = np.concatenate([holds[i] for i in rows])
    return called[there].mean(), 1 - called[~there].mean()


PLACES = np.geomspace(0.001, 0.9, 16)


def ppv_view(threshold=0.5, prevalence=0.1):
    sensitivity, specificity = rates(threshold)
    curve = [ppv(sensitivity, specificity, place) for place in PLACES]
    here = ppv(sensitivity, specificity, prevalence)
    fig, alt = drawing.lines(
        {"PPV": (PLACES, curve)},
        xlabel="prevalence: share of squares that hold a nucleus",
        ylabel="PPV",
        log="x",
        marks={f"PPV {here:.2f} at {prevalence:.0%}": here},
        title=f"What is a positive worth? (threshold {threshold:.2f}, "
        f"prevalence {prevalence:.0%})",
    )
    return fig, alt


figures.slider(
    ppv_view,
    caption="Sensitivity and specificity from the test images.",
    threshold=(0.05, 0.95, 0.05),
    prevalence=[0.01, 0.1, 0.5],
)

# %% tags=["nbval-ignore-output"]
own = float(np.concatenate(holds).mean())
print(f"here {own:.0%} of the squares hold a nucleus")
print("threshold  sensitivity  specificity  PPV at 50 %   10 %    1 %")
for threshold in (0.1, 0.5, 0.9):
    pair = rates(threshold)
    values = "  ".join(
        f"{ppv(*pair, place):>5.2f}" for place in (0.5, 0.1, 0.01)
    )
    print(f"{threshold:>9} {pair[0]:>12.3f} {pair[1]:>12.3f} {values:>24}")
draws = [ppv(*rates(0.5, rows), 0.01) for rows in again]
ends = np.nanpercentile(draws, [2.5, 97.5])
records.record("ppv_1pct", ppv(*rates(0.5), 0.01), n=len(level), interval=ends)

# %% [markdown]
# The line assumes that sensitivity and specificity travel. Often they do not: where fewer
# are ill, they are ill at an earlier stage, and their lesions are smaller. So a number
# travels only with its population: which patients, which scanner, which level (pixel,
# square, lesion, person), which threshold.
#
# ## 9. Your rule, and three papers
#
# In notebook 00 you wrote one sentence: how do you know that one segmentation network is
# better than another? Copy it here. Then note which of the ten questions it answers.
#
# 1. Better against what: which rival, tuned as long? (03)
# 2. Better by which number, and what does it not see? (02)
# 3. On which images, and could any of them be known from the training? (01)
# 4. At equal parameters, operations, memory or time? (04, 07, 13)
# 5. By which part: is what is credited even connected? (05, 08, 09)
# 6. By how much, with which interval, over images or over seeds? (03, 12)
# 7. Against which control that differs in nothing else? (10)
# 8. Chosen by whom: was the test set opened once? (11)
# 9. One of how many looks? (12)
# 10. For whom: which patients, machine, threshold, cost of an error? (14)

# %% tags=["predict"]
my_rule = ""  # your sentence of notebook 00
my_answers = []  # numbers of the questions that it answers, such as [2, 6]

# %% [markdown] tags=["predict"]
# Now the three papers. The ledger holds what they claim, each with a rule that a verdict
# is computed from.
#
# **P5.** Of the claims that could be judged ("holds" or "fails"), which share holds, all
# three papers together?

# %% tags=["predict"]
my_share = None  # 0 to 1

# %% tags=["nbval-ignore-output"]
if my_rule:
    print(f"Your rule answers {len(set(my_answers))} of 10 questions.")
entries = {paper: ledger.rows(paper) for paper in ledger.papers()}
books = {paper: ledger.summary(rows) for paper, rows in entries.items()}
verdicts = list(next(iter(books.values())))
print(f"{'':<24}" + "".join(f"{paper:>10}" for paper in books))
for verdict in verdicts:
    numbers = "".join(f"{book[verdict]:>10}" for book in books.values())
    print(f"{verdict:<24}{numbers}")
held = sum(book["holds"] for book in books.values())
judged = held + sum(book["fails"] for book in books.values())
guess("P5", my_share, answer=held / judged)

# %% [markdown]
# Read the counts with care. A claim is an entry of our list, not a vote: one printed
# table can be a hundred of them. "Not comparable" and "not stated" are verdicts, too, and
# the largest group in two of the papers. A slip is not a fraud. `course claims PAPER`
# shows every entry with its rule: grade the paper by the claims that its title needs.
#
# ## Recorded results


# %% tags=["result", "nbval-ignore-output"]
def shown_as(value):
    if value is None:
        return "undefined"
    return f"{value:,}" if isinstance(value, int) else f"{value:.3g}"


for row in records.finish():
    bounds = " to ".join(shown_as(end) for end in row["interval"] or [])
    print(f"{row['name']:<20} {shown_as(row['value']):<10} {bounds}")

# %% [markdown]
# The claims of the papers that this notebook touches:

# %% tags=["claims", "nbval-ignore-output"]
for entry in entries.values():
    for row in entry:
        if row.claim.notebook == run.notebook:
            print(f"{row.claim.id}: {row.claim.claim}")
            words = (row.verdict, row.paper_text, row.ours_text)
            print("    " + "; ".join(filter(None, words)))

# %% [markdown] tags=["keypoints"]
# ## Key points
#
# - Measure after every step, on the same images, with an interval (14-1, 14-2,
#   `dice_drop_int8`, `dice_drop_pruned`).
# - Original size first, then the threshold (14-3, `gain_order`).
# - A probability is worth what was checked: near borders, and on images of its kind
#   (`ece`, `ece_near_border`, `sure_on_photograph`).
# - A number travels only with its population (14-4, `ppv_1pct`).
# - None of this makes a medical device.

# %% [markdown] tags=["next"]
# ## Where to go next
#
# You are at the end of the course. Take one paper of your field and fill a one-page
# ledger: claim, number, measure and level, equal what, spread of what, verdict. Two
# variations before that:
#
# - `course run 14 -p net sigrenet_tiny`: does int8 still shrink a net of 31,000 weights?
# - `course run 14 -p share 0.6`: how much can be pruned before tuning fails?
#
# References: Krishnamoorthi, *Quantizing deep convolutional networks for efficient
# inference*, 2018. Li et al., *Pruning filters for efficient ConvNets*, ICLR 2017. Guo et
# al., *On calibration of modern neural networks*, ICML 2017. Naeini et al., *Obtaining
# well calibrated probabilities using Bayesian binning*, AAAI 2015. Altman, Bland,
# *Predictive values*, BMJ 309, 1994.

# %% tags=["nbval-ignore-output"]
print("this run took", records.cost())
