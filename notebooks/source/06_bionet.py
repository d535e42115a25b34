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
# # 06 BiO-Net: can a net think twice with the same weights?
#
# Notebook 05 took weights away from a net. This one keeps them and uses them again: the
# image goes through the same layers two or three times. That is called **recurrence**.
# It promises something for nothing. Here you find out what it costs, and where.

# %% [markdown] tags=["goals"]
# **Why.** "Without introducing any additional parameters", PL-Net's paper says of such a
# net (section 2). It is a sentence that is easily misread. PL-Net (07), GREnet and
# SiGREnet (08, 09) all repeat layers, so look once, closely, at the simplest of them.
#
# After this notebook you can
# - write the loop that makes a U-Net recurrent (exercise 06-1);
# - count what one more pass adds (06-2), and what it does not add;
# - repair the normalisation of a net that repeats layers (06-3).
#
# You need notebook 03 (counting, receptive field, skips) and the walk of 05.

# %% [markdown] tags=["budget"]
# **Cost.** Reading 45 minutes, exercises 45 minutes. The machine needs: {{budget}}.

# %% tags=["parameters"]
profile = ""  # str |smoke|fast|full: size of the run; empty: COURSE_PROFILE, else fast
data = "phantoms"  # str phantoms|nuclei-mini|nuclei|busi|...: which images
size = 0  # int 0..512: pixels a side, a multiple of 32; 0: 64, in full 224
t = 3  # int 1..3: passes of the main net
integrate = False  # bool: its last block sees the maps of all passes (INT)
base = 0  # int 0..64: channels of the first level; 0: 4, 8, 32 by profile
epochs = 0  # int 0..2000: rounds of training; 0: as the profile says
pair_updates = 0  # int 0..100000: of each net beside the main one; 0: as many
seed = 0  # int 0..1000000: of weights, order of the cases, augmentation
device = "auto"  # str auto|cpu|cuda|mps: where the nets are trained
out_dir = ""  # str: folder of results.json; empty: below runs/notebooks

# %% tags=["setup"]
import copy
from dataclasses import replace
from functools import cache

import numpy as np
import pandas as pd
import torch
from torch import nn

from course_lib import claims as ledger
from course_lib import drawing, figures, metrics, models, records, training
from course_lib.data import prepared
from course_lib.drawing.passes import passes
from course_lib.models.bionet import BiONet
from course_lib.models.shared_conv import SharedConv
from course_lib.models.unet import UNet
from course_lib.teaching import check, guess, hint

main = {"t": t, "integrate": integrate, "base": base, "seed": seed}
others = {
    "profile": profile,
    "data": data,
    "size": size,
    "epochs": epochs,
    "pair_updates": pair_updates,
    "device": device,
    "out_dir": out_dir,
}
run = records.start("06_bionet", main | others)
count, count_macs = (
    models.measure.count_parameters,
    models.measure.count_macs,
)

# %% [markdown]
# `data` says which images you use. By default they are **synthetic** (phantoms, notebook
# 01), and the nets have a quarter of their width or less. Results on phantoms show
# mechanisms, not clinical worth.

# %% tags=["nbval-ignore-output"]
opened = prepared.open(data)
parts = opened.split()
run.uses(opened)
size = size or run.pick(smoke=64, fast=64, full=224)
images = opened.resized(size)
train, val, test = (
    images.subset(parts[name]) for name in ("train", "val", "test")
)
most = run.pick(smoke=8, fast=48, full=len(val))
val = val.subset(np.linspace(0, len(val) - 1, min(most, len(val))).astype(int))
channels = images.all_images.shape[1]
classes = 1 if images.num_classes == 2 else images.num_classes
which = "synthetic images" if data == "phantoms" else data
print(images.describe())
print(f"train {len(train)}, validation {len(val)}, test {len(test)}")

# %% [markdown]
# ## 1. Run a U-Net twice
#
# Suppose a U-Net has looked at an image once. You let it look again. What must be
# different the second time?

# %% tags=["nbval-check-output"]
torch.manual_seed(0)
unet = UNet(channels, classes, base=8, norm=True).eval()
x = torch.rand(1, channels, 64, 64)
with torch.inference_mode():
    once, twice = unet(x), unet(x)
print("the same image again, equal output:", torch.equal(once, twice))
print("image", tuple(x.shape[1:]), "output", tuple(once.shape[1:]))

# %% [markdown]
# A net has no memory: the same image gives the same mask, however often. And the mask
# cannot be put in where the image was, its shape is another one. So something must
# **come back** from the end of the first pass and enter the second one.
#
# A U-Net has natural places for that. On each level the decoder ends with a map that has
# the sides and channels of the encoder's map beside it. BiO-Net (Xiang et al., 2020)
# sends it back to there, a **backward skip**. The encoder's block of each level reads two
# maps: its own input $x$ and a partner $b$,
#
# $$e^{(p)} = \mathrm{enc}([x, b^{(p)}]), \quad d^{(p)} = \mathrm{dec}(e^{(p)}), \quad
# b^{(1)} = x, \quad b^{(p+1)} = d^{(p)}$$
#
# for passes $p = 1, \dots, t$; $[\cdot,\cdot]$ puts channels beside each other. In the
# first pass there is no decoder map yet, so the block sees $x$ twice.
#
# **Exercise 06-1.** Write the loop. `enc` and `dec` are given; the image's map `x` is
# computed once, before the first pass, and stays.


# %% tags=["exercise", "ex-06-1"]
def run_passes(x, t, enc, dec):
    """Return the decoder's outputs of passes 1 to t, as a list.

    enc(x, partner) and dec(e). With enc = x + partner / 2 and dec = .8 e,
    run_passes(1, 2, enc, dec) is [1.2, 1.28].
    """
    ### BEGIN SOLUTION
    partner, outputs = x, []
    for _ in range(t):
        partner = dec(enc(x, partner))
        outputs.append(partner)
    return outputs
    ### END SOLUTION


# %% tags=["check", "ex-06-1"]
run_passes = check("06-1", run_passes)
# stuck? hint("06-1", 1), then 2, then 3

# %% [markdown]
# Below is the whole net, drawn from the net itself: it was run once on shapes, and every
# arrow is a map that a stage really read. It has four levels, one per halving; the
# loop of 06-1 runs on all of them at once.

# %% tags=["figure"]
STAGES = {"stem": "stem.2", "bottom": "bottom.1", "end": "post.1"}
PLACES = {"stem": (0, 0), "end": (1, 0), "bottom": (0.5, 5)}
for k in range(4):
    STAGES |= {f"enc {k}": f"encoder.{k}.1", f"dec {k}": f"decoder.{k}.1"}
    PLACES |= {f"enc {k}": (0, k + 1), f"dec {k}": (1, k + 1)}


def on_paper(**options):
    """Build a BiO-Net of 3 channels and 1 class without storing a number."""
    with torch.device("meta"):
        return BiONet(3, 1, **options)


figures.show(
    *passes(
        on_paper(),
        STAGES,
        PLACES,
        (3, 224, 224),
        title="What does the second pass read that the first did not?",
    ),
    caption="BiO-Net: name, passes and channels of each stage, read from the "
    "live net at 224 x 224 px. Stem and end run once, at full size.",
)

# %% [markdown]
# ## 2. What does a pass cost?
#
# All passes share their convolutions. Before you look at numbers, commit yourself.
#
# **P1.** With t = 3 passes in place of 1 the net has (a) 200 % more parameters, (b)
# 0.13 % more, (c) 0 % more.
#
# **P2.** Its multiply-adds (MAC, notebook 03) are those of one pass times (a) 1.0, (b)
# 2.4, (c) 3.0.

# %% [markdown] tags=["predict"]
# Write down both answers. For P1, go through the kinds of layers that a U-Net has (03):
# could any of them hold numbers that fit one pass and not the other?

# %% tags=["predict"]
guess_1 = None  # "a", "b" or "c"
guess_2 = None  # "a", "b" or "c"

# %% [markdown]
# **Exercise 06-2.** Count first. Convolutions are shared. Every pass has batch
# normalisations of its own, and each of them *learns* two numbers a channel.


# %% tags=["exercise", "ex-06-2"]
def trainable(weights_once, bn_channels, t):
    """Count the trainable numbers of a net of t passes.

    weights_once: of all that is there once. bn_channels: the channels of
    each batch normalisation that every pass has for itself.
    trainable(1000, [8, 8], 1) is 1032.
    """
    ### BEGIN SOLUTION
    return weights_once + 2 * t * sum(bn_channels)
    ### END SOLUTION


# %% tags=["check", "ex-06-2"]
trainable = check("06-2", trainable)

# %% tags=["nbval-check-output"]
shape = (3, 224, 224)
one = on_paper(t=1)
repeated = [
    module.norms[0].num_features
    for name, module in one.named_modules()
    if isinstance(module, SharedConv)
    and name.split(".")[0] not in ("stem", "post")
]
weights_once = count(one) - 2 * sum(repeated)
costs = {}
print(f"{len(repeated)} repeated normalisations, {sum(repeated):,} channels")
print("t  parameters  (formula)   with running statistics  GMAC at 224 px")
for k in (1, 2, 3):
    net = on_paper(t=k)
    costs[k] = (count(net), count_macs(net, shape) / 1e9)
    formula = trainable(weights_once, repeated, k)
    total = count(net, buffers=True)
    print(f"{k}  {costs[k][0]:,}  {formula:,} {total:>17,} "
          f"{costs[k][1]:>22.2f}")
    records.record(f"params_t{k}", costs[k][0])
    records.record(f"gmac_t{k}", costs[k][1], "GMAC")
    assert costs[k][0] == formula == 14_954_625 + 9_792 * k

# %% tags=["nbval-check-output"]
guess(
    "P1",
    guess_1,
    answer="b",
    a="a loop on paper was taken for copies of the layers.",
    c="the normalisations were forgotten: 9,792 numbers a pass.",
)
guess(
    "P2",
    guess_2,
    answer="b",
    a="weights were taken for work: each use of a weight is a multiplication.",
    c="stem and end run once, and they run at full size.",
)
share = 100 * (costs[3][0] / costs[1][0] - 1)
print(f"t = 3 against 1: parameters +{share:.2f} %, work x "
      f"{costs[3][1] / costs[1][1]:.2f}")

# %% tags=["figure"]
x = torch.rand(1, 3, 64, 64)
kept = [
    models.measure.kept_bytes(BiONet(3, 1, t=k, base=8), x) for k in (1, 2, 3)
]
relative = {
    "parameters": [costs[k][0] / costs[1][0] for k in (1, 2, 3)],
    "work (MAC)": [costs[k][1] / costs[1][1] for k in (1, 2, 3)],
    "maps kept to train": [value / kept[0] for value in kept],
}
fig, alt = drawing.lines(
    {name: ((1, 2, 3), values) for name, values in relative.items()},
    xlabel="passes t",
    ylabel="times that of one pass",
    title="Thinking twice: which of three prices stays flat?",
)
fig.axes[0].set(xticks=(1, 2, 3))
figures.show(
    fig,
    alt,
    caption="Parameters and work: the net as published, 224 x 224 px. Maps: "
    "measured on a net of base 8. Records `params_t3`, `gmac_t3`.",
    key=True,
)

# %% [markdown]
# So "no additional parameters" is true to 0.13 %, and it is a statement about *storage*.
# The work of t = 3 is 2.4 times that of t = 1, and training keeps 1.8 times as many
# maps. A fair rival of three passes would be a net of one pass with 2.4 times the work:
# wider, deeper, or trained longer.
#
# ## 3. Does it see farther?
#
# Each pass runs down to the bottom and up again, so one output pixel can depend on more
# input pixels: the **receptive field** (03). For U-Net's bottleneck you computed 140 px.
# How far does *one* pass of BiO-Net see at its end, in px a side?

# %% tags=["predict"]
my_field = None  # px a side, such as 200

# %% tags=["nbval-check-output"]
measured = models.measure.receptive_field
field = measured(BiONet(1, 1, t=1, base=1), (1, 512, 512))
print(f"as published, one pass: {field} px")
records.record("field_t1", field, "px")
guess("one pass", my_field, answer=field)

# %% tags=["nbval-ignore-output"]
# More passes need a larger image: in smaller profiles a shallower net.
depth = run.pick(smoke=2, fast=3, full=4)
canvas = run.pick(smoke=384, fast=768, full=1536)
fields = {}
for k in (1, 2, 3):
    net = BiONet(1, 1, t=k, base=1, depth=depth)
    fields[k] = measured(net, (1, canvas, canvas))
    records.record(f"field_t{k}_depth{depth}", fields[k], "px")
print(f"with {depth} levels, 1 to 3 passes: {list(fields.values())} px")

# %% [markdown]
# Every further pass adds about as much as the first one saw. The field grows with t, as
# promised. But look at the first number again. One pass sees 474 px, and the images of
# the papers have 224. **After one pass every pixel can already see the whole image.** A
# larger field cannot be what three passes are good for.
#
# What could still grow is the *strength* of far influence. That is a question to trained
# nets, so train three of them: t = 1, 2 and 3, same cases, same updates, same seed.


# %%
base = base or run.pick(smoke=4, fast=8, full=32)
main["base"] = base
protocol = run.pick(
    smoke=replace(training.PROTOCOLS["course"], epochs=2, max_updates=4),
    fast=replace(training.PROTOCOLS["course"], epochs=2, max_updates=35),
    full=training.PROTOCOLS["plnet"],
)
protocol = replace(
    protocol,
    batch=run.pick(smoke=4, fast=4, full=16),
    epochs=epochs or protocol.epochs,
)


class OneForAll(nn.ModuleList):
    """Whichever pass asks, the first normalisation answers."""

    def __getitem__(self, _number):
        return super().__getitem__(0)


def built(t, integrate, base, seed, shared):
    """Build a BiO-Net for these images; its weights depend on the seed."""
    torch.manual_seed(seed)
    net = BiONet(channels, classes, t=t, integrate=integrate, base=base)
    for module in net.modules():
        if shared and isinstance(module, SharedConv):
            module.norms = OneForAll([module.norms[0]])
    return net


@cache
def trained(t, integrate, base, seed, shared=False, updates=0):
    """Train a net once, however often it is asked for; note every loss."""
    net, noted = built(t, integrate, base, seed, shared), training.Noted()
    rule = replace(protocol, seed=seed)
    if updates:
        rule = replace(rule, epochs=1, max_updates=updates)
    training.fit(
        net,
        train,
        val,
        rule,
        run.out_dir / "training",
        device=run.device,
        strategy=noted,
    )
    return {"net": net, "loss": pd.Series(noted.losses)}


def beside(t, shared=False):
    """A net for the lesson, of the main one's width and seed."""
    return trained(t, False, base, seed, shared, pair_updates)


by_t = {k: beside(k) for k in (1, 2, 3)}

# %% tags=["figure"]
def influence(net, x):
    """Mean |gradient| of the centre's logit by every input pixel (H, W)."""
    x = x.clone().requires_grad_()
    out = net.cpu().eval()(x)
    middle = out[:, 0, out.shape[2] // 2, out.shape[3] // 2].sum()
    return torch.autograd.grad(middle, x)[0].abs().mean((0, 1)).numpy()


looked_at, _ = test.batch(np.arange(min(24, len(test))))
strength = {k: influence(one["net"], looked_at) for k, one in by_t.items()}
rows, columns = np.indices((size, size)) - size // 2
far = np.maximum(abs(rows), abs(columns)) > size // 4
shares = {k: value[far].sum() / value.sum() for k, value in strength.items()}
figures.show(
    *drawing.maps(
        [
            4 + np.log10(np.maximum(value / value.max(), 1e-4))
            for value in strength.values()
        ],
        names=[f"t = {k}" for k in strength],
        kinds="amount",
        bars={"amount": "log10 (4: the largest)"},
        title="How strongly does each input pixel move the centre's logit?",
    ),
    caption=f"{which}, base {base}, mean of {len(looked_at)} test images. "
    f"Share of the gradient farther than {size // 4} px from the centre: "
    + ", ".join(f"{value:.0%} (t = {k})" for k, value in shares.items()),
)
records.record("far_share_t1", shares[1], n=len(looked_at))
records.record("far_share_t3", shares[3], n=len(looked_at))

# %% [markdown]
# One seed, small nets, few updates: read the shares as a demonstration, and repeat them
# with another `seed` before you believe in an order. The field, in contrast, is a
# property of the wiring and needs no training.
#
# ## 4. What does the second pass do with what came back?
#
# Look inside. Each panel is the mean over the channels of one map of the trained net with
# t = 3, at the same place in pass 1, 2 and 3.


# %% tags=["figure"]
median = int(np.argsort(val.masks.sum((1, 2)))[len(val) // 2])
x, _ = val.batch([median])
mask = val.masks[median] > 0
with torch.inference_mode():
    found = by_t[3]["net"].forward_features(x)
    probability = by_t[3]["net"](x)[0, 0].sigmoid().numpy()


def seen(layer, number):
    """Mean |value| over the channels of a layer's map, at the image's size."""
    heat = found[f"pass{number}_{layer}"][0].abs().mean(0).numpy()
    return np.kron(heat, np.ones((size // len(heat), size // len(heat))))


three = [seen("decoder0", k) for k in (1, 2, 3)]
figures.show(
    *drawing.maps(
        [val.images[median], *three, probability],
        names=["image", "pass 1", "pass 2", "pass 3", "probability"],
        kinds=["image", "amount", "amount", "amount", "share"],
        bars={"amount": "mean of |value|", "share": "probability"},
        target=mask,
        title="The decoder's last map, three times: what changes?",
    ),
    caption=f"{which}, one validation case, outline: reference mask.",
)

# %% tags=["widget"]
LAYERS = [f"encoder{k}" for k in range(4)] + ["bottom"]
LAYERS += [f"decoder{k}" for k in (3, 2, 1, 0)]


def layer_view(pass_number=2, layer="encoder1"):
    maps = [seen(layer, 1), seen(layer, pass_number)]
    names = ["image", "pass 1", f"now: pass {pass_number}"]
    return drawing.maps(
        [val.images[median], *maps],
        names=names,
        kinds=["image", "amount", "amount"],
        bars={"amount": "mean of |value|"},
        target=mask,
        title=f"{layer}: pass 1 beside pass {pass_number}",
    )


figures.slider(
    layer_view,
    pass_number=(1, 3, 1),
    layer=LAYERS,
    caption="The same case and net; one scale for both maps.",
)

# %% [markdown]
# The maps of the passes differ, in pattern and in *scale*. Nothing asks the first pass
# for a mask: only the last map is read at the end, so what pass 1 leaves behind is
# whatever helps pass 3. "Thinking twice" is our word for it, not a measurement.
#
# The difference in scale has a consequence that can break such a net.
#
# ## 5. One normalisation, two distributions
#
# A **batch normalisation** uses the mean of the batch while it trains, and keeps a
# *running* mean for later: after each batch $m \leftarrow (1 - \mu)\, m + \mu\, \bar x$
# with momentum $\mu = 0.1$. In evaluation it uses $m$.
#
# **P3.** The same batch normalisation serves two passes. In pass 1 its inputs have the
# mean 0, in pass 2 the mean 3. After long training, in evaluation, it is (a) right for
# both, (b) right for the last pass, (c) wrong for both.

# %% [markdown] tags=["predict"]
# Before you answer: what does $m$ become if 0 and 3 arrive in turns?

# %% tags=["predict"]
guess_3 = None  # "a", "b" or "c"

# %% tags=["nbval-check-output"]
norm = nn.BatchNorm2d(1)
torch.manual_seed(0)
for _ in range(200):
    kept_means = []
    for mean in (0.0, 3.0):
        batch = torch.randn(1, 1, 64, 64)
        norm(batch - batch.mean() + mean)
        kept_means.append(norm.running_mean.item())
print("running mean after pass 1 and after pass 2:",
      [round(value, 2) for value in kept_means])
guess(
    "P3",
    guess_3,
    answer="c",
    a="in evaluation it does not look at the batch any more.",
    b="the last value is not kept, it is mixed in with a tenth.",
)

# %% [markdown]
# Between the two, and right for neither. Now the nets: below is what a normalisation of
# the first encoder block receives in each pass of the net that you trained.

# %% tags=["figure"]
block = by_t[3]["net"].encoder[0][0]
received, hooks = {}, []
for k in range(3):

    def note(_module, inputs, _output, k=k):
        values = inputs[0].flatten()[::7].numpy()
        received[f"pass {k + 1}"] = values[values > 0]

    hooks.append(block.norms[k].register_forward_hook(note))
with torch.inference_mode():
    by_t[3]["net"](looked_at)
for hook in hooks:
    hook.remove()
top = np.percentile(np.concatenate(list(received.values())), 99)
figures.show(
    *drawing.histogram(
        received,
        xlabel="value that reaches the normalisation",
        counted="values",
        bins=30,
        limits=(0, top),
        title="The same layer in three passes: one distribution or several?",
    ),
    caption=f"{which}, {len(looked_at)} test images, every 7th value, all "
    "channels of the first convolution of level 0. The zeros that ReLU makes "
    "are left out; the axis ends at 99 % of the rest.",
)
means = [float(np.mean(values)) for values in received.values()]
print("means by pass:", [round(value, 3) for value in means])
kept_by_pass = [norm.running_mean.mean().item() for norm in block.norms]
print("running means:", [round(value, 3) for value in kept_by_pass])

# %% [markdown]
# **Exercise 06-3.** The function below runs the maps of all passes through batch
# normalisations, one a pass, and reports what each has learned. It has a bug that trains
# without complaint. Find it: print the running means and how often each one ran.


# %% tags=["exercise", "ex-06-3"]
def statistics_by_pass(maps, momentum):
    """Return (running mean, batches seen) of each pass's normalisation.

    maps: one a pass, (B, 1, H, W). With momentum 1, maps of mean 0 and 3
    give [(0, 1), (3, 1)].
    """
    bn = nn.ModuleList(nn.BatchNorm2d(1, momentum=momentum) for _ in maps)
    for p, x in enumerate(maps):
        ### BEGIN SOLUTION
        bn[p](x)
        ### STUB: bn[0](x)
        ### END SOLUTION
    return [(n.running_mean.item(), int(n.num_batches_tracked)) for n in bn]


# %% tags=["check", "ex-06-3"]
statistics_by_pass = check("06-3", statistics_by_pass)

# %% [markdown]
# Is the bug serious? Train the net of t = 3 once more, with `OneForAll` in place of the
# lists: one normalisation serves all passes. Everything else is the same.

# %% tags=["figure"]
shared = beside(3, shared=True)
curves = {
    "own for each pass": by_t[3]["loss"],
    "one for all": shared["loss"],
}
figures.show(
    *drawing.lines(
        {
            name: (loss.index + 1, loss.rolling(6, min_periods=1).mean())
            for name, loss in curves.items()
        },
        xlabel=f"update of {protocol.batch} cases",
        ylabel="training loss (mean of 6 updates)",
        title="Does the training loss show that one of the nets is broken?",
    ),
    caption=f"{which}, t = 3, base {base}, seed {seed}. Parameters: "
    f"{count(by_t[3]['net']):,} and {count(shared['net']):,}.",
)


# %%
class WithBatchStatistics(nn.Module):
    """A net that goes on normalising by the batch, as in training."""

    def __init__(self, net):
        super().__init__()
        self.net = copy.deepcopy(net)

    def forward(self, x):
        return self.net.train()(x)


def dice_of(net):
    """Dice of every test case, the mean of its classes."""
    found = training.evaluate(net, test, device=run.device)
    filled = metrics.fill_empty(found)
    return filled.groupby("case_id", sort=False)["dice"].mean().to_numpy()


scores, rows = {}, []
for name, one in (("own", by_t[3]), ("one for all", shared)):
    scores[name] = dice_of(one["net"])
    batch_scores = dice_of(WithBatchStatistics(one["net"]))
    rows.append((name, scores[name].mean(), batch_scores.mean()))
print(
    pd.DataFrame(
        rows,
        columns=["normalisation", "Dice, evaluation", "Dice, by batch"],
    )
    .round(3)
    .to_string(index=False)
)
gap = scores["own"] - scores["one for all"]
groups = test.cases["group"]
records.record(
    "own_vs_shared_bn",
    gap.mean(),
    n=len(gap),
    interval=metrics.bootstrap_interval(gap, groups),
)
lost = rows[1][2] - rows[1][1]
records.record("shared_bn_lost_in_evaluation", lost, n=len(gap))

# %% [markdown]
# Compare the columns of the second row. "By batch" normalises as in training; what is
# lost between the columns is lost to running statistics that fit no pass. In the profile
# `smoke` nothing has been learned yet, and the table means nothing. With enough updates
# the training loss looks as healthy as the other one, because in training no running
# statistic is used. A test in training mode would not find it either.
#
# So each pass has **statistics of its own**, and that is where the 9,792 numbers of 06-2
# come from. The released code is not of one mind here: its version for Keras gives every
# pass its own, the one for PyTorch shares those of the bottom block.
#
# ## 6. A layer that feeds nothing
#
# In 05 you looked for parameters that no output depends on. Look here, too.

# %% tags=["nbval-check-output"]
net = BiONet(3, 1, t=3)
silent = models.measure.unreached_parameters(net, torch.rand(1, 3, 32, 32))
sizes = {name: p.numel() for name, p in net.named_parameters()}
print(silent, "together", sum(sizes[name] for name in silent))
work = 112 * 112 * 9 * 32 * 32
print(f"one more pass of that layer: {work:,} multiply-adds")
records.record("silent_t3", sum(sizes[name] for name in silent))
integrated = count_macs(on_paper(t=3, integrate=True), shape)
print(f"GMAC with INT {integrated / 1e9:.2f}")

# %% [markdown]
# The last up-convolution leads out of the loop to the end. After pass 1 and 2 nobody
# reads its result. The released code computes it all the same, .116 GMAC a pass; the
# course's net does not. Its normalisations for those passes stay, though they never
# learn: the published count includes them. Dead by 128 numbers, not by 99 %, and
# harmless; but now you know why two careful people can count 14,984,001 and 14,983,873.
#
# **INT**, a variant, reads all of them: the end sees the maps of all passes side by side.
# It costs 18,432 more weights and 1.2 GMAC.
#
# ## 7. Is it better?
#
# Three nets, one seed, Dice on the test images. What would you need to know before you
# say that two passes are better than one? Equal *what*?

# %% tags=["figure"]
principal = trained(t, integrate, base, seed, False, 0)
principal_dice = dice_of(principal["net"])
by_case = {f"t = {k}": dice_of(one["net"]) for k, one in by_t.items()}
means = {
    name: (values.mean(), *metrics.bootstrap_interval(values, groups))
    for name, values in by_case.items()
}
figures.show(
    *drawing.cases(
        by_case,
        intervals=means,
        centre="mean",
        title="Dice of every test image with one, two and three passes",
    ),
    caption=f"{which}, {len(test)} test images, base {base}, seed {seed}, "
    "equal updates, unequal work (1 : 1.7 : 2.4). One seed: a demonstration.",
)

# %% [markdown]
# The dots say how the *cases* spread. They do not say what another seed would give, and
# the three nets did unequal work. The sweep `plnet_passes` repeats this notebook's main
# run: t = 1, 2, 3 and INT at equal width, and beside them one pass that is wider, so that
# it does the work of three.

# %% tags=["nbval-ignore-output"]
kept_sweep = records.committed_sweep("plnet_passes")
if kept_sweep is None:
    print("No results yet: course sweep plnet_passes --commit-results")
else:
    own = kept_sweep["table"].query("record == 'dice_mean'")
    print("from", kept_sweep["file"])
    found_rows = metrics.over_seeds(own, ["t", "base", "integrate"]).round(3)
    print(found_rows.to_string(index=False, na_rep=""))

# %% [markdown]
# BiO-Net was made for **nuclei**. A mask that joins all nuclei glues touching ones
# together: fine for the area of nuclei, wrong for counting them. No score of this
# notebook would notice. The tables of PL-Net's paper (07) give BiO-Net's Dice on nuclei
# as .915, below a plain U-Net's .919, with deviations over folds of about .01.
#
# ## Recorded results

# %% tags=["result", "nbval-ignore-output"]
ends = metrics.bootstrap_interval(principal_dice, groups)
records.record("dice_mean", principal_dice.mean(), n=len(test), interval=ends)
gain = by_case["t = 3"] - by_case["t = 1"]
ends = metrics.bootstrap_interval(gain, groups)
records.record("dice_t3_vs_t1", gain.mean(), n=len(test), interval=ends)
records.record("params", count(principal["net"]))
work = count_macs(principal["net"], (channels, 224, 224))
records.record("gmac", work / 1e9, "GMAC")
for row in records.finish():
    value = row["value"]
    value = f"{value:.3f}" if isinstance(value, float) else f"{value:,}"
    ends = row["interval"] and " [{:.3f}, {:.3f}]".format(*row["interval"])
    print(f"{row['name']:<28} {value}{ends or ''} {row['unit']}")

# %% [markdown]
# What PL-Net's paper says about BiO-Net, from the course's ledger: verdict, words of the
# paper, what stands against them. "M" is a unit that 07 will find.

# %% tags=["claims", "nbval-ignore-output"]
about = ("X4", "X10.depth", "S2", "S5.decoder", "T1.bionet")
for row in ledger.rows("plnet", *about):
    told = (row.verdict, row.paper_text, row.ours_text, row.note)
    print(f"{row.claim.id}: {row.claim.claim}")
    print("    " + "; ".join(filter(None, told)))

# %% [markdown] tags=["keypoints"]
# ## Key points
#
# - Something must come back, or the second pass repeats the first (06-1).
# - Sharing saves weights, not work and not memory: +0.13 % parameters, 2.4 times the
#   multiply-adds (06-2, `params_t3`, `gmac_t3`).
# - Each pass has its own distribution, so it needs its own statistics; training alone
#   never shows the lack of them (06-3, `own_vs_shared_bn`).
# - The receptive field grows with t, and one pass already covers the image (`field_t1`):
#   an explanation must fit the numbers, too.

# %% [markdown] tags=["next"]
# ## Where to go next
#
# Notebook 07: PL-Net repeats a net that grows deeper with each pass, puts two of them in
# a row, and prints its size in a unit that it does not name. Before that, two variations:
#
# - `course run 06 -p integrate true`: does the end use the earlier passes?
# - `course run 06 -p t 1 -p base 12`: one pass with the work of three at base 8.
#
# References: Xiang et al., *BiO-Net: Learning Recurrent Bi-directional Connections for
# Encoder-Decoder Architecture*, MICCAI 2020; Ioffe and Szegedy, *Batch Normalization*,
# ICML 2015; Mao et al., *PL-Net*, Frontiers in Bioengineering and Biotechnology 12,
# 1414605, 2024.

# %% tags=["nbval-ignore-output"]
print("this run took", records.cost())
