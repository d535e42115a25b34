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
# # 03 U-Net: what must a rival beat?
#
# You build the U-Net of 2015, count it, train it, look at its worst cases and report it
# with an interval. Every later net of this course has to beat *this* one, measured in
# this way.

# %% [markdown] tags=["goals"]
# **Why.** Three papers of this course compare themselves with "U-Net". Before you can
# judge them you must know what that net is, what it costs, and how sure its score is.
#
# After this notebook you can
# - count the parameters of a U-Net before you build it (exercise 03-1);
# - say how many pixels its deepest layer sees at once (03-2);
# - write one half of the loss that it is trained with (03-3);
# - report a score with an interval over patients (03-4).
#
# You need notebooks 01 (masks, groups) and 02 (Dice, empty masks).

# %% [markdown] tags=["budget"]
# **Cost.** Reading 75 minutes, exercises 75 minutes. The machine needs: {{budget}}.

# %% tags=["parameters"]
profile = ""  # str |smoke|fast|full: size of the run; empty: COURSE_PROFILE, else fast
data = "phantoms"  # str phantoms|nuclei-mini|nuclei|busi|...: which images
size = 0  # int 0..512: pixels a side that the net sees; 0: 64, in full 224
base = 0  # int 0..128: channels of the first level; 0: 16, in full 64
epochs = 0  # int 0..2000: passes over the training cases; 0: as the profile says
loss = ""  # str |dice_ce|dice|cross_entropy|focal: empty: as the profile says
train_cases = 0  # int 0..100000: cases that are trained on, drawn at random; 0: all
seed = 0  # int 0..1000000: of the weights, the order of the cases, augmentation
device = "auto"  # str auto|cpu|cuda|mps: where the net is trained
out_dir = ""  # str: folder of results.json; empty: below runs/notebooks

# %% tags=["setup"]
from dataclasses import replace

import numpy as np
import pandas as pd
import torch

from course_lib import drawing, figures, metrics, models, records, training
from course_lib.data import prepared
from course_lib.teaching import check, guess, hint

run = records.start(
    "03_unet",
    {
        "profile": profile,
        "data": data,
        "size": size,
        "base": base,
        "epochs": epochs,
        "loss": loss,
        "train_cases": train_cases,
        "seed": seed,
        "device": device,
        "out_dir": out_dir,
    },
)
opened = prepared.open(data)
parts = opened.split()
run.uses(opened)
size = size or run.pick(smoke=64, fast=64, full=224)
images = opened.resized(size)
train, val, test = (
    images.subset(parts[name]) for name in ("train", "val", "test")
)
if train_cases > len(train):
    raise ValueError(f"train_cases = {train_cases}, there are {len(train)}")
if train_cases:  # repeated, so that an epoch has as many updates as with all
    order = np.random.default_rng(seed).permutation(len(train))
    train = train.subset(np.resize(order[:train_cases], len(train)))
channels = images.all_images.shape[1]
classes = 1 if images.num_classes == 2 else images.num_classes
which = "synthetic images, " if data == "phantoms" else f"{data}, "

# %% [markdown]
# `data` says which images you use. By default they are **synthetic** (phantoms, notebook
# 01), so that everything here trains in a minute on a laptop. Results on phantoms show
# mechanisms, not clinical worth. In the profile `smoke` the nets train for seconds only:
# everything runs, and no result says anything about U-Net.

# %% tags=["nbval-ignore-output"]
print(images.describe())
print(
    {
        name: len(part)
        for name, part in (("train", train), ("val", val), ("test", test))
    }
)

# %% [markdown]
# ## 1. One path sees far, one path paints fine
#
# A U-Net has two halves. The **encoder** halves the image again and again: each level
# sees farther and blurs more. The **decoder** doubles it back. **Skip connections** hand
# the fine maps of the encoder straight to the decoder.
#
# What are the skips worth? You could argue. It is quicker to remove them: the same small
# net, the same cases, the same number of updates, once with skips and once without.

# %%
quick = replace(
    training.PROTOCOLS["course"],
    seed=seed,
    epochs=run.pick(smoke=1, fast=3, full=10),
    max_updates=run.pick(smoke=8, fast=None, full=None),
)
pair = {}
for name, skips in (("with skips", True), ("without skips", False)):
    torch.manual_seed(seed)
    small = models.create(
        "unet",
        in_channels=channels,
        num_classes=classes,
        base=8,
        norm=True,
        skips=skips,
    )
    training.fit(
        small, train, val, quick, run.out_dir / name, device=run.device
    )
    pair[name] = small

# %%
shown = val.subset([int(np.argsort(val.masks.sum((1, 2)))[len(val) // 2])])
maps, dices = [shown.images[0], 255 * (shown.masks[0] > 0)], {}
for name, small in pair.items():
    probs = training.predict(small, shown, device=run.device)[0]
    maps.append(probs[0 if classes == 1 else 1 :].sum(0).numpy())
    scores = metrics.summarise(
        training.evaluate(small, val, device=run.device), level="image"
    )
    dices[name] = float(scores.set_index("metric").loc["dice", "mean"].mean())
    records.record(f"dice_{name.replace(' ', '_')}", dices[name], n=len(val))
print(
    "mean Dice per image on the validation cases:",
    {name: round(value, 3) for name, value in dices.items()},
)

# %% tags=["figure"]
figures.show(
    *drawing.maps(
        maps,
        names=["image", "reference", *pair],
        kinds=["image", "image", "share", "share"],
        bars={"share": "probability"},
        title="What does each net know after the same few updates?",
    ),
    caption=f"One validation case of median size, base 8, seed {seed}, "
    f"{quick.epochs} epochs. Records `dice_with_skips`, `dice_without_skips`.",
)

# %% [markdown]
# The argument for skips: pooling throws fine places away, and a decoder without skips can
# only guess them. What you see above is less: after so few updates it tells which net
# *learns sooner*, on one seed of one small net, and in the profile `smoke` it may come
# out either way. A demonstration, not a measurement; notebook 12 says what that needs.

# %% [markdown]
# ## 2. Count before you build
#
# The classic net has 64 channels on its first level, then 128, 256, 512, and 1,024 at
# the bottom. Each level holds two 3 x 3 convolutions with bias (padded here, so that the
# sides stay; in the paper of 2015 each cuts a pixel off all round). On the way up a 2 x 2
# **transposed convolution** doubles the sides and halves the channels; concatenation
# with the skip doubles the channels again; two convolutions follow. A 1 x 1 convolution,
# the head, turns 64 channels into **logits**: numbers from minus to plus infinity, one a
# pixel and class, that the sigmoid turns into probabilities.
#
# Commit yourself first.

# %% [markdown] tags=["predict"]
# **P1.** You halve all widths (64 becomes 32). The 31.03 million parameters become
# (a) 15.52 million, (b) 7.76 million, (c) 3.88 million?
#
# **P2.** You add one more level below, with twice the channels again. The parameters
# (a) grow by a fifth, (b) become four times as many, (c) stay: pooling has no weights?

# %% tags=["predict"]
guess_1 = None  # "a", "b" or "c"
guess_2 = None

# %% [markdown]
# **Exercise 03-1.** Write the count. A convolution from `a` to `b` channels with a `k` x
# `k` kernel holds `k * k * a * b` weights and `b` biases. Check it with the classic net:
# 31,031,745 for 3 channels in and 1 class. (Batch normalisation is not counted here.)


# %% tags=["exercise", "ex-03-1"]
def unet_parameters(base, in_channels, num_classes, depth=4):
    """Count the trainable numbers of a U-Net with `depth` poolings.

    unet_parameters(64, 3, 1) is 31_031_745.
    """
    ### BEGIN SOLUTION
    total, channels = 0, in_channels
    widths = [base * 2**level for level in range(depth + 1)]
    for width in widths:
        total += 9 * channels * width + width + 9 * width * width + width
        channels = width
    for width in reversed(widths[:-1]):
        total += 4 * 2 * width * width + width
        total += 9 * 2 * width * width + width + 9 * width * width + width
    return total + base * num_classes + num_classes
    ### END SOLUTION


# %% tags=["check", "ex-03-1"]
unet_parameters = check("03-1", unet_parameters)
# stuck? hint("03-1", 1), then 2, then 3

# %% tags=["nbval-check-output"]
classic = models.create("unet", in_channels=3, num_classes=1)
built = models.measure.count_parameters(classic)
print(f"your formula {unet_parameters(64, 3, 1):,}, the built net {built:,}")
assert built == 31_031_745
halved = unet_parameters(32, 3, 1)
deeper = unet_parameters(64, 3, 1, depth=5) / unet_parameters(64, 3, 1)
print(f"half the width: {halved:,}; one level more: x {deeper:.2f}")

# %%
guess(
    "P1",
    guess_1,
    answer="b",
    a="as if weights grew with the width: they grow with its square.",
    c="as if they grew with its cube.",
)
guess(
    "P2",
    guess_2,
    answer="b",
    a="as if every level cost the same: the new one outweighs all the others.",
    c="pooling has no weights, the convolutions below it have.",
)

# %% tags=["figure"]
stages = {f"enc {k + 1}": f"encoder.{k}" for k in range(4)}
stages |= {"bottom": "bottleneck"}
stages |= {
    f"dec {k + 1}": [f"up.{k}", f"decoder.{k}"] for k in reversed(range(4))
}
bottom = models.measure.count_parameters(classic.bottleneck) / built
figures.show(
    *drawing.architecture(
        classic,
        stages | {"head": "head"},
        (3, 256, 256),
        title=f"The bottom alone holds {bottom:.0%} of the weights",
    ),
    caption="Drawn from the live net, for one image of 256 x 256 px.",
)

# %% [markdown]
# Where the *work* is done is another question. A **multiply-add** (MAC) is one weight
# used once; a weight on the first level is used at every pixel of the full image. Move
# the sliders. The bars are parameters, the title counts the work in GMAC: which of the
# two follows the depth, and which the width?


# %% tags=["widget"]
def cost_view(base=64, depth=4):
    with torch.device("meta"):  # shapes only: nothing is stored or computed
        net = models.create(
            "unet", in_channels=3, num_classes=1, base=base, depth=depth
        )
    blocks = [*net.encoder, net.bottleneck]
    values = {
        f"level {k + 1}: {base * 2**k}": models.measure.count_parameters(
            block
        )
        / 1e6
        for k, block in enumerate(blocks)
    }
    total = models.measure.count_parameters(net) / 1e6
    gmac = models.measure.count_macs(net, (3, 256, 256)) / 1e9
    return drawing.bars(
        values,
        xlabel="parameters of the encoder by channels (millions)",
        digits=2,
        title=f"Base {base}, depth {depth}: {total:.2f} M parameters, "
        f"{gmac:.1f} GMAC",
    )


figures.slider(
    cost_view,
    base=[4, 8, 16, 32, 64],
    depth=(1, 5, 1),
    caption="GMAC: 10^9 multiply-adds for one 256 x 256 image.",
)

# %% tags=["nbval-check-output"]
rows = []
for width, depth in ((64, 4), (32, 4), (64, 5), (64, 3)):
    with torch.device("meta"):
        net = models.create(
            "unet", in_channels=3, num_classes=1, base=width, depth=depth
        )
    rows.append(
        {
            "base": width,
            "depth": depth,
            "parameters": f"{models.measure.count_parameters(net):,}",
            "GMAC": round(
                models.measure.count_macs(net, (3, 256, 256)) / 1e9, 2
            ),
            "bottom sees (px)": models.measure.receptive_field(
                [(3, 1), (3, 1), (2, 2)] * depth + [(3, 1), (3, 1)]
            ),
        }
    )
print(pd.DataFrame(rows).to_string(index=False))
records.record("params", built)
records.record(
    "gmac", models.measure.count_macs(classic, (3, 256, 256)) / 1e9, "GMAC"
)

# %% [markdown]
# One level more costs four times the parameters and only a quarter more work: the new
# level is used on few pixels. Parameters and work are two prices. Keep that in mind when
# a paper quotes one.

# %% [markdown]
# ## 3. How far does it see?
#
# The **receptive field** of a value in a net is the square of input pixels that can
# change it. In the middle of a 120 px lesion, a field of 20 px holds no border at all:
# from what it sees, such a pixel cannot know whether it lies in a lesion or beside one.
# So the deepest layer, which sees farthest, has to see far enough.
#
# **Exercise 03-2.** Carry two numbers from layer to layer: the field `r` and the jump `j`
# (how many input pixels one step is wide). Both start at 1.


# %% tags=["exercise", "ex-03-2"]
def receptive_field(layers):
    """Return the field in px of layers [(kernel, stride), ...].

    Two 3 x 3 convolutions, a 2 x 2 pooling and a 3 x 3 convolution see 10 px.
    """
    ### BEGIN SOLUTION
    field, jump = 1, 1
    for kernel, stride in layers:
        field += (kernel - 1) * jump
        jump *= stride
    return field
    ### END SOLUTION


# %% tags=["check", "ex-03-2"]
receptive_field = check("03-2", receptive_field)

# %% tags=["nbval-check-output"]
encoder = [(3, 1), (3, 1), (2, 2)] * 4 + [(3, 1), (3, 1)]
formula = receptive_field(encoder)
slim = models.create("unet", in_channels=1, num_classes=1, base=4)
measured = models.measure.receptive_field(slim, (1, 256, 256), "bottleneck")
print(
    f"bottom of the U-Net: {formula} px by the formula, "
    f"{measured} px by gradients"
)
records.record("receptive_field_px", formula, "px")

# %% [markdown]
# The formula gives the square of what *can* matter. (The logits see farther still: the
# way up adds to it.) What *does* matter? Ask the net you trained in section 1: how much
# does each input pixel move the value in the middle of the bottom?


# %% tags=["figure"]
def bottom_gradient(net, image):
    """Absolute gradient (H, W) of the central bottom pixel by the input."""
    x = torch.nn.functional.interpolate(
        image, size=(256, 256), mode="bilinear"
    )
    x = x.cpu().requires_grad_()
    bottom = net.cpu().eval().forward_features(x)["bottleneck"]
    bottom[0, :, 8, 8].abs().sum().backward()
    return x.grad[0].abs().sum(0).numpy()


gradient = bottom_gradient(pair["with skips"], val.batch([0])[0])
half = np.s_[136 - formula // 4 : 136 + formula // 4]  # a quarter of the area
share = float(gradient[half, half].sum() / gradient.sum())
records.record("gradient_share_of_centre", share)
figures.show(
    *drawing.gradient_square(
        gradient,
        formula,
        (135.5, 135.5),
        title="Which pixels of its field does the net listen to?",
    ),
    caption="Small net of section 1, one validation image at 256 px; "
    f"square: {formula} px. "
    f"Its central quarter holds {share:.0%} of the gradient.",
)

# %% [markdown]
# ## 4. The loss, and the cheapest test of a net
#
# **Cross-entropy** asks every pixel for its probability. With 2 % lesion pixels, a net
# that answers "2 %" everywhere has already brought it from 0.69 to 0.10, and its mask is
# empty. The **soft Dice loss** asks for overlap instead, with probabilities $p$ in the
# place of a mask, so that it has a gradient:
#
# $$L = 1 - \frac{2 \sum p\,y + 1}{\sum p + \sum y + 1}$$
#
# The sums run over the pixels of one image; then the mean over the images is taken. The 1
# keeps an image without lesion useful: its loss still falls when $p$ falls. The training
# below adds both losses; in the profile `full` it uses Dice alone, as PL-Net does.
#
# **Exercise 03-3.** Write it. `logits` and `target` are `(N, 1, H, W)`.


# %% tags=["exercise", "ex-03-3"]
def dice_loss(logits, target, smooth=1.0):
    """Soft Dice loss of logits (N, 1, H, W): per image, then the mean.

    Returns a tensor of one number, with its gradient (no .item(), no NumPy).
    Logits of -20 everywhere and an empty target give 0.
    """
    ### BEGIN SOLUTION
    probs = torch.sigmoid(logits)
    both = (probs * target).sum((1, 2, 3))
    total = probs.sum((1, 2, 3)) + target.sum((1, 2, 3))
    return (1 - (2 * both + smooth) / (total + smooth)).mean()
    ### END SOLUTION


# %% tags=["check", "ex-03-3"]
dice_loss = check("03-3", dice_loss)

# %% [markdown]
# Before you spend an hour on training, spend seconds on the **one-batch test**: a net
# that cannot learn four images by heart has a bug. Here are two nets. They differ in one
# word.

# %% [markdown] tags=["predict"]
# **P3.** One of the curves below is flat from the first step, and that net's mask is all
# ones. What is wrong with it? (a) a learning rate of .01, (b) a softmax over one channel,
# (c) four images instead of all?

# %% tags=["predict"]
guess_3 = None


# %%
def one_batch(activation):
    """Train a small net on four fixed images; return its losses."""
    torch.manual_seed(seed)
    net = models.create(
        "unet", in_channels=channels, num_classes=1, base=8, norm=True
    )
    optimiser = torch.optim.AdamW(net.parameters(), lr=1e-2)
    found = np.flatnonzero(train.masks.any((1, 2)))[:4]
    x, y = train.batch(found)
    y = (y > 0).float()[:, None]
    values = []
    for _ in range(run.pick(smoke=20, fast=60, full=100)):
        p = activation(net(x))
        loss = dice_loss(torch.logit(p, eps=1e-6), y)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        values.append(loss.item())
    return np.array(values), bool((p > 0.5).all())


sigmoid, _ = one_batch(torch.sigmoid)
softmax, all_ones = one_batch(lambda z: torch.softmax(z, dim=1))
print(
    f"softmax: loss {softmax[0]:.4f} -> {softmax[-1]:.4f}, "
    f"mask all ones: {all_ones}"
)
assert all_ones

# %% tags=["figure"]
figures.show(
    *drawing.lines(
        {
            "sigmoid": (np.arange(1, len(sigmoid) + 1), sigmoid),
            "softmax over one channel": (
                np.arange(1, len(softmax) + 1),
                softmax,
            ),
        },
        xlabel="update",
        ylabel="Dice loss on four images",
        title="Two nets, one word apart: which curve moves?",
    ),
    caption=f"U-Net of base 8, one batch of four images, seed {seed}.",
)
guess(
    "P3",
    guess_3,
    answer="b",
    a="tuning before reading the output: the loss does not move by a digit.",
    c="four images are enough to learn four images.",
)

# %% [markdown]
# The softmax divides each channel by the sum of all channels. With one channel that is
# always 1. No error, no warning. Look at the *output* before you turn any knob.

# %% [markdown]
# ## 5. Train it
#
# Now the rival itself. Sketch the curve first: how high will the validation Dice end, and
# after which epoch will it hardly rise any more?

# %% tags=["predict"]
my_dice = None  # the best validation Dice you expect, such as 0.8

# %%
protocol = run.pick(
    smoke=replace(training.PROTOCOLS["course"], epochs=2, max_updates=20),
    fast=replace(training.PROTOCOLS["course"], epochs=8),
    full=training.PROTOCOLS["plnet"],
)
protocol = replace(
    protocol,
    seed=seed,
    epochs=epochs or protocol.epochs,
    loss=loss or protocol.loss,
)
torch.manual_seed(seed)
net = models.create(
    "unet",
    in_channels=channels,
    num_classes=classes,
    base=base or run.pick(smoke=8, fast=16, full=64),
    norm=True,
)
history = training.fit(
    net, train, val, protocol, run.out_dir / "training", device=run.device
)
guess("your Dice", my_dice, answer=history.best_value)

# %% tags=["figure"]
curve = history.as_frame()
figures.show(
    *drawing.curves(
        {"unet": curve["val_dice"].to_numpy()},
        ylabel="validation Dice",
        title="When did the net stop getting better?",
    ),
    caption=f"{which}{train_cases or len(train)} training cases, at most "
    f"{protocol.epochs} epochs, batch {protocol.batch}, seed {seed}; "
    f"best epoch {history.best_epoch + 1}.",
)

# %% [markdown]
# The weights of the best *validation* epoch are kept. No test case was used until now:
# choosing by them would flatter the net (notebook 11 measures by how much).

# %% [markdown]
# ## 6. Look at the worst first
#
# A mean hides how a net fails. So sort the test cases by Dice and look at fixed ranks,
# from the worst to the best. Nobody picks.

# %%
table = training.evaluate(net, test, device=run.device)
table.assign(seed=seed).to_csv(run.out_dir / "cases.csv", index=False)
probs = training.predict(net, test, device=run.device)
if classes == 1:
    predicted = (probs[:, 0] > 0.5).numpy()
else:
    predicted = probs.argmax(1).numpy()
raw = metrics.fill_empty(table).groupby("case_id", sort=False)["dice"].mean()

# %% tags=["figure"]
figures.show(
    *drawing.gallery(
        list(test.images),
        list(test.masks),
        list(predicted),
        raw.to_numpy(),
        title="What do the worst cases have in common?",
    ),
    caption=f"{which}test cases at fixed ranks of Dice, seed {seed}. "
    "Blue solid: reference; orange dashed: net.",
)

# %% [markdown]
# Ask three questions of each bad case. Is the object small? Is its contrast low? Is the
# *reference* doubtful? A reference mask is one reader's decision (notebook 01): look
# before you blame the net.

# %% [markdown]
# ## 7. How sure is the score?
#
# Your test cases are a sample. Another sample would give another mean. The **bootstrap**
# asks: draw as many cases as you have, with replacement, many times; how far does the
# mean wander? The middle 95 % of those means are a **confidence interval**.
#
# But what do you draw? Slices of one patient resemble each other. The unit that you draw
# must be the **group**: patient, slide, field.

# %% [markdown] tags=["predict"]
# **P4.** You have 200 slices of 20 patients. Beside one drawn by slice, an interval drawn
# by patient is usually (a) equal, (b) wider, (c) narrower?

# %% tags=["predict"]
guess_4 = None

# %% [markdown]
# **Exercise 03-4.** Write it. The groups are numbered in sorted order; `draws` says which
# groups each resample holds, so that the result can be checked to the digit.


# %% tags=["exercise", "ex-03-4"]
def cluster_bootstrap(scores, groups, draws):
    """Return (low, high): percentiles 2.5 and 97.5 of the mean over resamples.

    scores and groups: one entry an image; a draw: a list of group numbers,
    where group number k is sorted(set(groups))[k].
    Images keep their weight: a big group counts more. Scores .9, .7, .5 of
    groups "abc" with draws [[0, 0, 1], [2, 2, 0]] give (.6383, .8283).
    """
    ### BEGIN SOLUTION
    names = sorted(set(groups))
    members = [
        np.array([s for s, g in zip(scores, groups) if g == name])
        for name in names
    ]
    means = [
        np.concatenate([members[k] for k in draw]).mean() for draw in draws
    ]
    low, high = np.percentile(means, [2.5, 97.5])
    return float(low), float(high)
    ### END SOLUTION


# %% tags=["check", "ex-03-4"]
cluster_bootstrap = check("03-4", cluster_bootstrap)

# %% tags=["nbval-check-output"]
rng = np.random.default_rng(0)
patients = np.repeat(np.arange(20), 10)
slices = np.clip(
    0.8 + rng.normal(0, 0.08, 20)[patients] + rng.normal(0, 0.04, 200), 0, 1
)
by_patient = cluster_bootstrap(
    slices, patients, rng.integers(0, 20, (2000, 20))
)
by_slice = cluster_bootstrap(
    slices, np.arange(200), rng.integers(0, 200, (2000, 200))
)
print(
    f"by patient [{by_patient[0]:.3f}, {by_patient[1]:.3f}]  "
    f"by slice [{by_slice[0]:.3f}, {by_slice[1]:.3f}]"
)
ratio = (by_patient[1] - by_patient[0]) / (by_slice[1] - by_slice[0])
print(f"by patient it is {ratio:.1f} times as wide (simulated scores)")

# %%
guess(
    "P4",
    guess_4,
    answer="b",
    a="as if 200 slices were 200 independent patients.",
    c="more pictures do not mean less doubt if they show the same patients.",
)

# %% [markdown]
# Now your own net, by group, and against what makes a case hard. For phantoms the true
# difficulty is known (and each phantom is its own group). For real images the share of
# foreground has to stand in, and it is a poor stand-in: many small nuclei can fill as
# much of an image as one big lesion.

# %% tags=["figure"]
summary = metrics.summarise(table, level="image").set_index("metric")
shares = [float((test.mask_full(i) > 0).mean()) for i in range(len(test))]
if "difficulty" in test.cases:
    hard, label = (
        test.cases["difficulty"].to_numpy(),
        "difficulty (0 easy, 1 hard)",
    )
else:
    hard = -np.log10(np.maximum(shares, 1e-5))
    label = "little foreground (−log10 of its share)"
figures.show(
    *drawing.difficulty_curve(
        hard,
        raw.to_numpy(),
        list(test.cases["group"]),
        xlabel=label,
        title="Does Dice fall as the cases get harder?",
    ),
    caption=f"{which}{len(test)} test cases, seed {seed}; equal bins "
    "with 95 % intervals over groups. "
    "Records `dice_easy`, `dice_middle`, `dice_hard`.",
    key=True,
)
thirds = np.array_split(np.argsort(hard, kind="stable"), 3)
for name, rows in zip(("easy", "middle", "hard"), thirds):
    records.record(f"dice_{name}", raw.to_numpy()[rows].mean(), n=len(rows))

# %% [markdown]
# One part of the missing Dice is not the net's fault. The mask is compared at the
# *original* size, and a shrunken image cannot hold every pixel. How well would a
# **perfect** net score? Take a reference mask, shrink it, bring it back, and compare.

# %% tags=["nbval-check-output"]
from course_lib.data.resize import resize_masks

rows = []
canvas = (
    np.hypot(*np.mgrid[-240:240, -320:320] / np.array([8, 11])[:, None, None])
    < 1
)
for side in (128, 256):
    small = resize_masks(canvas[None].astype(np.uint8), side)
    back = resize_masks(small, canvas.shape)[0] > 0
    rows.append(f"{side} px: {metrics.dice(back, canvas):.2f}")
print(
    "a 16 x 22 px lesion in a 480 x 640 px image; a perfect net at",
    ", ".join(rows),
)

# %% [markdown]
# ## 8. Beside the paper's U-Net
#
# PL-Net prints for its U-Net on the nuclei images (Table 4) Dice 91.90 ± 1.00 % and IoU
# 85.68 ± 1.40 %, with "29.59 M" parameters. Yours has 31,031,745. Divide that by 2^20:
# 29.59. So it may well be the same net, counted in another M (notebook 07 comes back to
# this). It was trained at 224 x 224 px on 80 % of the 670 images; how these were chosen
# is not stated.
#
# Below is ours on the same images, where a recorded run lies in `notebooks/results`.

# %% tags=["nbval-ignore-output"]
print(f"31,031,745 / 2**20 = {31_031_745 / 2**20:.2f}")
kept = records.committed("03_unet", "nuclei")
if kept is None:
    print("No recorded run yet: course run 03 --data nuclei --keep makes one.")
else:
    print(f"from {kept['file']}")
    for one in kept["runs"]:
        cells = one["records"]
        low, high = cells["dice_mean"]["interval"]
        print(
            f"seed {one['seeds'][0]}, size {one['parameters']['size']}, "
            f"{one['device']}: Dice {cells['dice_mean']['value']:.3f} "
            f"[{low:.3f}, {high:.3f}], IoU {cells['iou_mean']['value']:.3f}, "
            f"n = {cells['dice_mean']['n']}"
        )

# %% [markdown]
# Is ours better or worse than the paper's? **Not comparable.** Look at the size and the
# number of epochs in the file, and above all at the split: ours keeps neighbouring tiles
# of one field together (notebook 01); whether the paper's does is not stated. And an
# interval over the groups of one data set says nothing about the next hospital.

# %% [markdown]
# ## Recorded results

# %% tags=["result", "nbval-ignore-output"]
for metric in ("dice", "iou"):
    row = summary.loc[[metric]].iloc[0]
    mean = float(summary.loc[[metric], "mean"].mean())
    bounds = (row["low"], row["high"]) if classes == 1 else None
    records.record(f"{metric}_mean", mean, n=int(row["n"]), interval=bounds)
row = summary.loc[["lesion_recall"]].iloc[0]
records.record("lesion_recall", row["mean"], n=int(row["n"]))
row = summary.loc[["hd95"]].iloc[0]
records.record("hd95_median", row["median"], test.unit, n=int(row["n"]))
records.record("size", size, "px")
records.record(
    "n_missed", int(summary.loc[["dice"], "n_missed"].sum()), n=len(test)
)
records.record("best_epoch", history.best_epoch + 1)
records.record("params_trained", models.measure.count_parameters(net))
for row in records.finish():
    between = (
        ""
        if row["interval"] is None
        else " [{:.3f}, {:.3f}]".format(*row["interval"])
    )
    value = row["value"]
    shown_value = f"{value:.3f}" if isinstance(value, float) else f"{value:,}"
    print(f"{row['name']:<20} {shown_value}{between} {row['unit']}")

# %% [markdown] tags=["keypoints"]
# ## Key points
#
# - Count first, train second: parameters grow with the square of the width, and the
#   lowest level holds more of them than any other (03-1).
# - A value can only know what lies in its receptive field; the centre of it counts more
#   than its area (03-2, `receptive_field_px`, `gradient_share_of_centre`).
# - A loss that does not move and a mask of all ones are read in the output, not tuned
#   away (03-3, P3).
# - Look at the worst cases first; report the mean with an interval over groups (03-4,
#   `dice_mean`).

# %% [markdown] tags=["next"]
# ## Where to go next
#
# Notebook 04 takes the 3 x 3 convolution apart: what does a cheap block buy, and what
# does it cost elsewhere? Before that, try two variations:
#
# - `course run 03 --data nuclei-mini`: real images that come with the course;
# - `course run 03 -p base 8` and `-p base 32`: is twice the width worth four times the
#   parameters here? How sure are you?
#
# Reference: Ronneberger, Fischer, Brox, *U-Net*, MICCAI 2015, arXiv 1505.04597.

# %% tags=["nbval-ignore-output"]
print("this run took", records.cost())
