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
# # 04 Efficient blocks: what does a cheap block buy, and what does it cost elsewhere?
#
# In 03 you built the rival out of plain 3 x 3 convolutions. REUnet, the net of 05, is
# built of one block that is called efficient. Here you build that block, part by part,
# beside its equations, and you compute what each part costs before you measure it.

# %% [markdown] tags=["goals"]
# **Why.** "Computationally efficient" is a claim about a price. There are at least four
# prices: weights, work, memory and time. A block can lower one and raise another.
#
# After this notebook you can
# - say what a depthwise-separable convolution saves, and when nothing (exercise 04-1);
# - find out that a printed equation cannot be meant, and repair it (04-2);
# - write squeeze-excite (04-3);
# - count a DMBC, the block of REUnet, to the last weight (04-4).
#
# You need notebook 03: parameters, multiply-adds (MAC), skip connections.

# %% [markdown] tags=["budget"]
# **Cost.** Reading 60 minutes, exercises 60 minutes. The machine needs: {{budget}}.

# %% tags=["parameters"]
profile = ""  # str |smoke|fast|full: size of the run; empty: COURSE_PROFILE, else fast
seed = 0  # int 0..1000000: of the weights and of the synthetic images
out_dir = ""  # str: folder of results.json; empty: below runs/notebooks

# %% tags=["setup"]
import math
import statistics
import time

import numpy as np
import pandas as pd
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from course_lib import claims, drawing, figures, records
from course_lib.data import phantoms
from course_lib.models.measure import count_parameters
from course_lib.teaching import check, guess, hint

run = records.start(
    "04_efficient_blocks",
    {"profile": profile, "seed": seed, "out_dir": out_dir},
)


def macs(net, *shapes):
    """Count the multiply-adds of one image; shapes are (C, H, W)."""
    images = [torch.zeros(1, *shape) for shape in shapes]
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        net.eval()(*images)
    return counter.get_total_flops() // 2

# %% [markdown]
# ## 1. One convolution, two jobs
#
# A 3 x 3 convolution does two things at once: each output channel looks around in
# **space**, and it mixes all input **channels**. For output channel $o$ at place $p$:
#
# $$y_o(p) = \sum_i \sum_q w_{oi}(q)\, x_i(p + q)$$
#
# A **depthwise-separable** convolution does one after the other. First each channel gets
# one kernel of its own (*depthwise*), then a 1 x 1 convolution mixes (*pointwise*):
#
# $$u_i(p) = \sum_q \kappa_i(q)\, x_i(p + q), \qquad y_o(p) = \sum_i m_{oi}\, u_i(p)$$
#
# Put the left equation into the right one: it is a 3 x 3 convolution whose kernels are
# products, $w_{oi}(q) = m_{oi}\, \kappa_i(q)$. All outputs share one shape of kernel for
# channel $i$. That is what you give up.

# %% tags=["nbval-check-output"]
def separable(c_in, c_out, k=3):
    """Depthwise k x k, then pointwise; the sides stay as they are."""
    return nn.Sequential(
        nn.Conv2d(
            c_in, c_in, k, padding=k // 2, groups=c_in, bias=False
        ),
        nn.Conv2d(c_in, c_out, 1, bias=False),
    )


def standard(c_in, c_out, k=3):
    return nn.Conv2d(c_in, c_out, k, padding=k // 2, bias=False)


cheap, full = separable(8, 12), standard(8, 12)
depthwise, pointwise = cheap[0].weight, cheap[1].weight
full.weight.data = pointwise * depthwise[:, 0]  # kernels are products
x = torch.randn(2, 8, 20, 20)
apart = (full(x) - cheap(x)).abs().max().item()
print(f"largest difference of the two outputs below 1e-5: {apart < 1e-5}")

# %% [markdown] tags=["predict"]
# **P1.** 64 channels in, 64 out, 3 x 3 kernels. The separable form needs fewer weights,
# by a factor of (a) 9, (b) 7.9, (c) 64?

# %% tags=["predict"]
guess_1 = None  # "a", "b" or "c"

# %% [markdown]
# **Exercise 04-1.** Write the saving as a formula. Biases are not counted. Try it on 32
# channels in and *one* out, before you believe in it.


# %% tags=["exercise", "ex-04-1"]
def separable_saving(c_in, c_out, k):
    """Weights of a k x k convolution over those of the separable one.

    separable_saving(16, 16, 3) is 5.76.
    """
    ### BEGIN SOLUTION
    dense = k * k * c_in * c_out
    return dense / (k * k * c_in + c_in * c_out)
    ### END SOLUTION


# %% tags=["check", "ex-04-1"]
separable_saving = check("04-1", separable_saving)
# stuck? hint("04-1", 1), then 2, then 3

# %% tags=["nbval-check-output"]
rows = []
for c_in, c_out, k in ((64, 64, 3), (72, 72, 3), (64, 64, 5), (32, 1, 3)):
    nets = standard(c_in, c_out, k), separable(c_in, c_out, k)
    a, b = (count_parameters(net) for net in nets)
    c, d = (macs(net, (c_in, 32, 32)) for net in nets)
    rows.append({
        "in": c_in, "out": c_out, "k": k,
        "formula": round(separable_saving(c_in, c_out, k), 4),
        "weights": round(a / b, 4), "MAC": round(c / d, 4),
    })
print(pd.DataFrame(rows).to_string(index=False))
saving = separable_saving(64, 64, 3)
records.record("saving_c64", saving)
guess("P1", guess_1, answer="b",
      a="the rule of thumb k * k: the pointwise half was forgotten.",
      c="the depthwise half alone: nobody mixes the channels.")

# %% tags=["figure"]
widths = 2 ** np.arange(2, 11)
saved = [separable_saving(c, c, 3) for c in widths]
one = [separable_saving(c, 1, 3) for c in widths]
figures.show(
    *drawing.lines(
        {
            "as many out as in": (widths, saved),
            "one channel out": (widths, one),
        },
        xlabel="channels in",
        ylabel="3 x 3 weights over separable ones",
        title="Is there a width at which the saving reaches 9?",
        log="x",
        marks={"limit 9": 9, "no saving": 1},
    ),
    caption="From the formula of exercise 04-1 with k = 3. With C channels in "
    "and out it is 9C / (C + 9).",
)

# %% [markdown]
# A saving is a formula with a range. SiGREnet says "up to 8×" for its convolutions
# (section II-D): that is the saving at 72 channels, and wider layers save more, never 9.
# Below 2 channels, or with one channel out, the cheap form is *dearer* (0.9).

# %% [markdown]
# ## 2. Narrow outside, wide inside
#
# If the depthwise step is so cheap, one can afford many channels there. An **inverted
# bottleneck** *expands* $C$ channels to $d$ with a 1 x 1 convolution, looks around
# depthwise in all $d$ of them, and *projects* back, without an activation at the end
# (a ReLU on few channels would destroy what it sets to zero):
#
# $$f_1(x) = \mathrm{ReLU}(\mathrm{BN}(W_1 x)), \quad
# f_2(u) = W_2\, \mathrm{ReLU}(\mathrm{BN}(\kappa * u))$$
#
# (BN is batch normalisation; $\kappa *$ is the depthwise step.) How wide is $d$? REUnet's
# answer is its equations 1 to 3:
#
# $$\mu = C_i \cdot \eta \cdot w, \quad
# v = \max(8, \lfloor \mu + 8/2 \rfloor / 8^2), \quad
# d = v \text{ if } v \ge 0.9 \mu, \text{ else } v + 8$$
#
# $\eta$ is the expansion, $w$ a width coefficient, 8 the "divisor". What that is for, the
# paper does not say. In EfficientNet, which it cites here, it makes every width a
# multiple of 8.
#
# **Exercise 04-2.** Here are equations 2 and 3 as printed. Run them for some $\mu$: can
# they be meant? Find the mistake and repair it. Example: 27 becomes 32, as 24 is less
# than 0.9 times 27.


# %% tags=["exercise", "ex-04-2"]
def round8(mu):
    """Round a width to a multiple of 8 (equations 2 and 3); 64 stays 64."""
    ### BEGIN SOLUTION
    v = max(8, math.floor(mu + 8 / 2) // 8 * 8)
    ### STUB: v = max(8, math.floor(mu + 8 / 2) / 8**2)
    ### END SOLUTION
    return v if v >= 0.9 * mu else v + 8


# %% tags=["check", "ex-04-2"]
round8 = check("04-2", round8)

# %% tags=["nbval-check-output"]
def as_printed(mu):
    v = max(8, math.floor(mu + 8 / 2) / 8**2)
    return v if v >= 0.9 * mu else v + 8


for mu in (64, 512, 6144):
    print(f"mu = {mu:>4}: printed {as_printed(mu):.2f}, repaired {round8(mu)}")

# %% [markdown]
# As printed, 512 becomes 16.06 channels. The square is a slip: meant is "divide by 8,
# drop the rest, *multiply* by 8", as the authors' code does. A formula can be misprinted;
# a formula that you ran is one that you know.
#
# Now the cost elsewhere. Training keeps every map that the backward pass will need again:
# the **activations**.

# %% [markdown] tags=["predict"]
# **P2.** You double the expansion from 6 to 12. The activations inside the block (a)
# stay, (b) double, (c) grow four times?

# %% tags=["predict"]
guess_2 = None

# %% [markdown]
# Now count them. Each ReLU keeps its output, and each normalisation its input: four maps
# of $d$ channels inside. So the block keeps $C + 4d$ maps of H x W numbers with 4 bytes
# each.

# %%
class InvertedBottleneck(nn.Module):
    def __init__(self, c_in, c_out, hidden, k=3):
        super().__init__()
        self.f1 = nn.Sequential(
            nn.Conv2d(c_in, hidden, 1, bias=False),
            nn.BatchNorm2d(hidden),
            nn.ReLU(),
        )
        self.f2 = nn.Sequential(
            nn.Conv2d(
                hidden, hidden, k, padding=k // 2, groups=hidden, bias=False
            ),
            nn.BatchNorm2d(hidden),
            nn.ReLU(),
            nn.Conv2d(hidden, c_out, 1, bias=False),
        )

    def forward(self, x):
        return self.f2(self.f1(x))


def kept_mb(net, x):
    """Measure the MB of maps that autograd keeps for the backward pass."""
    sizes = {}
    weights = {p.data_ptr() for p in net.parameters()}

    def keep(t):
        place = t.untyped_storage().data_ptr()
        if place not in weights and t.dim() == 4:  # a map, no weight or mean
            sizes[place] = t.numel() * 4 / 1e6
        return t

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda t: t):
        out = net.train()(x)
    del out
    return sum(sizes.values())

# %% tags=["nbval-check-output"]
torch.manual_seed(seed)
channels, side = 16, 128
x = torch.randn(1, channels, side, side)
maps_mb = side * side * 4 / 1e6  # one map of one channel
inside = {}
for expansion in (6, 12):
    hidden = round8(channels * expansion)
    computed = (channels + 4 * hidden) * maps_mb
    block = InvertedBottleneck(channels, channels, hidden)
    measured = kept_mb(block, x)
    inside[expansion] = measured - channels * maps_mb
    print(f"expansion {expansion:>2}: {hidden} channels inside, computed "
          f"{computed:.1f} MB, measured {measured:.1f} MB")
print(f"inside: x {inside[12] / inside[6]:.2f}; a plain 3 x 3 convolution "
      f"keeps {kept_mb(standard(channels, channels), x):.1f} MB")
guess("P2", guess_2, answer="b",
      a="only the weights were counted: maps are kept as well.",
      c="channels grow in one direction, not in two.")

# %% [markdown]
# Memory moves the other way. The weights of such a block are few, but each image that you
# train on leaves its wide maps behind, until the backward pass has used them. This is for
# one image and one block; REUnet has 55 such blocks and trains on batches of four.
#
# ## 3. Squeeze-excite: the whole image has a say
#
# A convolution sees a few pixels. **Squeeze-excite** lets the whole image have a say: the
# mean of every channel (*squeeze*), two small matrices, and out comes one weight from 0
# to 1 for each channel (*excite*). Equation 4 of the paper, $\delta$ is ReLU:
#
# $$Z_S = \mathrm{mean}_{H,W}(x), \quad S_E = \sigma(W_2\,\delta(W_1 Z_S)), \quad
# Z'_S = S_E \odot x$$
#
# $W_1$ leads from $C$ to $C/r$ numbers and $W_2$ back. The paper does not state the ratio
# $r$; the authors' code takes 2. Cost: $2C^2/r$ weights, and as many MAC, *once an image*
# instead of once a pixel. Next to nothing.
#
# **Exercise 04-3.** Write it.


# %% tags=["exercise", "ex-04-3"]
def squeeze_excite(x, w1, w2):
    """Weigh the channels of x (N, C, H, W); w1 (C/r, C), w2 (C, C/r).

    Channels [1, 3] and [0, 0], w1 [[1, .5]], w2 [[1], [-1]]:
    means 2 and 0, weights .8808 and .1192, result [.8808, 2.6424], [0, 0].
    """
    ### BEGIN SOLUTION
    mean = x.mean((2, 3))
    weights = torch.sigmoid(torch.relu(mean @ w1.T) @ w2.T)
    return x * weights[:, :, None, None]
    ### END SOLUTION


# %% tags=["check", "ex-04-3"]
squeeze_excite = check("04-3", squeeze_excite)

# %% [markdown] tags=["predict"]
# **P3.** You put a much brighter image into a batch, beside a normal one. The weights of
# the normal one (a) stay, (b) move towards those of the bright one?

# %% tags=["predict"]
guess_3 = None

# %% tags=["nbval-check-output"]
torch.manual_seed(seed)
made = phantoms.generate(1, size=64, seed=seed, look="ultrasound")
normal = torch.from_numpy(made.images / 255).float()
pair = torch.cat([normal, (normal + 0.4).clamp(max=1)])
features = nn.Conv2d(1, 16, 3, padding=1)(pair).detach()
w1, w2 = torch.randn(8, 16), torch.randn(16, 8)
ones = torch.ones(1, 16, 1, 1)


def weights_of(image):
    """The weights alone: squeeze-excite keeps the ratio of out to in."""
    mean = image.mean((2, 3), keepdim=True)
    return (squeeze_excite(mean, w1, w2) / mean).flatten()


together = squeeze_excite(features, w1, w2)[:1]
alone = squeeze_excite(features[:1], w1, w2)
print("squeeze-excite, normal image alone and beside the bright one: "
      f"equal {torch.allclose(together, alone)}")
norm = nn.BatchNorm2d(16)
moved = (norm(features)[:1] - norm(features[:1])).abs().mean().item()
print(f"batch normalisation in training: equal {moved < 1e-5}")
guess("P3", guess_3, answer="a",
      b="that is batch normalisation, which does mix the images of a batch.")

# %% tags=["figure", "nbval-ignore-output"]
excited = [weights_of(image[None]).numpy() for image in features]
turned = np.abs(excited[0] - excited[1])
figures.show(
    *drawing.lines(
        {name: (np.arange(1, 17), values)
         for name, values in zip(("normal", "bright"), excited)},
        xlabel="channel",
        ylabel="weight of the channel (0 to 1)",
        title="Which channels does the brighter image turn up or down?",
        joined=False,
    ),
    caption="One synthetic image and a brighter copy, 16 random filters and "
    f"random matrices (seed {seed}): an untrained block. "
    f"Largest change {turned.max():.2f}.",
)

# %% [markdown]
# The weights differ between the two images, although no number of the net has changed. No
# image can change the weights of another one, and that matters in medicine: with batch
# statistics in use, a patient's result may depend on who else is in the batch.

# %% [markdown]
# ## 4. The "gating signal" is a sum
#
# REUnet's block, the **DMBC**, is the inverted bottleneck, then squeeze-excite, then a
# normalisation: together $F(x)$. Its last step is the "gating signal", equation 5:
#
# $$\mathrm{DMBC}(x) = F(x) + x \ \text{ if the shapes are equal}, \quad
# F(x) + \mathrm{Conv}_{1\times1}(x) \ \text{ otherwise}$$
#
# A gate *multiplies*: it can close. This one adds: it is the **residual** sum that ResNet
# made common in 2015, with its projection for unequal shapes. Nor is it dynamic: the
# shapes are known when the net is built. A name is not a mechanism; read the equation.
#
# **Exercise 04-4.** Count a DMBC. No convolution has a bias but the projection of
# equation 5; a normalisation learns 2 numbers a channel; $r = 2$.


# %% tags=["exercise", "ex-04-4"]
def dmbc_parameters(c_in, c_out, hidden, k):
    """Count the trainable numbers of one DMBC; hidden is d of section 2.

    Order: 1 x 1, BN, ReLU, depthwise k x k, BN, ReLU, 1 x 1,
    squeeze-excite (c_out // 2 in the middle), BN, gating signal.
    dmbc_parameters(32, 32, 64, 3) is 6_016.
    """
    ### BEGIN SOLUTION
    convs = c_in * hidden + k * k * hidden + hidden * c_out
    norms = 2 * (hidden + hidden + c_out)
    excite = 2 * c_out * (c_out // 2)
    signal = 0 if c_in == c_out else c_in * c_out + c_out
    return convs + norms + excite + signal
    ### END SOLUTION


# %% tags=["check", "ex-04-4"]
dmbc_parameters = check("04-4", dmbc_parameters)


# %%
class SqueezeExcite(nn.Module):
    def __init__(self, channels, ratio=2):
        super().__init__()
        few = channels // ratio
        bound = channels**-0.5
        self.w1 = nn.Parameter(torch.empty(few, channels))
        self.w2 = nn.Parameter(torch.empty(channels, few))
        for w in (self.w1, self.w2):
            nn.init.uniform_(w, -bound, bound)

    def forward(self, x):
        return squeeze_excite(x, self.w1, self.w2)


class DMBC(nn.Module):
    def __init__(self, c_in, c_out, expansion, k=3, ratio=2, signal=True):
        super().__init__()
        hidden = round8(c_in * expansion)
        self.bottleneck = InvertedBottleneck(c_in, c_out, hidden, k)
        self.excite = SqueezeExcite(c_out, ratio)
        self.norm = nn.BatchNorm2d(c_out)
        self.signal = nn.Identity() if signal else None
        if signal and c_in != c_out:
            self.signal = nn.Conv2d(c_in, c_out, 1)

    def forward(self, x):
        fx = self.norm(self.excite(self.bottleneck(x)))
        return fx if self.signal is None else fx + self.signal(x)

# %% [markdown]
# Build the first two blocks of REUnet's second encoding block and put them beside what a
# U-Net would have there: one plain 3 x 3 convolution between the same channels, with
# normalisation and ReLU. Which of the two is the cheap one?

# %% tags=["nbval-check-output"]
def plain(c_in, c_out):
    return nn.Sequential(
        standard(c_in, c_out), nn.BatchNorm2d(c_out), nn.ReLU()
    )


rows = []
for c_in, c_out, expansion in ((32, 48, 8), (48, 48, 8)):
    x = torch.randn(1, c_in, 64, 64)
    block = DMBC(c_in, c_out, expansion)
    built = count_parameters(block)
    assert built == dmbc_parameters(c_in, c_out, c_in * expansion, 3)
    wide = standard(c_in * expansion, c_in * expansion)
    for name, net in (("DMBC", block), ("plain 3 x 3", plain(c_in, c_out))):
        rows.append({
            "block": f"{name}, {c_in} to {c_out}",
            "parameters": f"{count_parameters(net):,}",
            "MMAC": round(macs(net, (c_in, 64, 64)) / 1e6, 1),
            "kept MB": round(kept_mb(net, x), 1),
        })
print(pd.DataFrame(rows).to_string(index=False))
inner = count_parameters(standard(256, 256))
print(f"a plain 3 x 3 convolution at the inner width of 256: {inner:,}")
records.record("dmbc_params", dmbc_parameters(32, 48, 256, 3))

# %% [markdown]
# (REUnet's expansions go from 2 to 12; see 05.) Cheap compared with what? A DMBC costs
# far less than a plain convolution *at its inner width*. Between the same two maps it
# needs *more* of everything than one plain convolution: weights, work, memory. Whether
# the wide inside is worth it is a question for 05; no count can answer it.

# %% tags=["figure"]
def kept_by_part(c_in, expansion):
    """Channels of each map inside a DMBC, in order, from the live block."""
    block, found = DMBC(c_in, c_in, expansion), {}
    parts = {
        "expand 1 x 1": block.bottleneck.f1[0],
        "depthwise 3 x 3": block.bottleneck.f2[0],
        "project 1 x 1": block.bottleneck.f2[3],
        "squeeze-excite": block.excite,
        "BN + signal": block,
    }
    for name, part in parts.items():
        part.register_forward_hook(
            lambda _, __, out, name=name: found.update({name: out.shape[1:]})
        )
    block(torch.randn(1, c_in, 64, 64))
    return {name: found[name] for name in parts}


shapes = kept_by_part(48, 8)
values = {"input: 48 x 64 x 64": 48 * 64 * 64 * 4 / 1e6}
values |= {
    f"{name}: {' x '.join(map(str, shape))}": math.prod(shape) * 4 / 1e6
    for name, shape in shapes.items()
}
ratio = max(values.values()) / min(values.values())
figures.show(
    *drawing.bars(
        values,
        xlabel="size of the map (MB)",
        digits=2,
        accent=[name for name in values if "384" in name],
        title=f"Inside the block the maps are {ratio:.0f} times as large",
    ),
    caption="Shapes taken from the live block, DMBC(48, 48) with expansion 8, "
    "one image of 64 x 64; dark: the wide part.",
)

# %% [markdown]
# Play with the block. Before each move, say which bar will grow and which number in the
# title will follow: parameters, work (MMAC) or kept activations (MB).


# %% tags=["widget"]
def kept_maps(c, expansion):
    """Maps a DMBC keeps for backward: input, 4 wide ones, 2 at the end."""
    return c + 4 * round8(c * expansion) + 2 * c


def cost_of(expansion=6, kernel=3, ratio=2, c=48, side=64):
    d, few = round8(c * expansion), c // ratio
    parts = {
        "expand 1 x 1": c * d,
        f"depthwise {kernel} x {kernel}": kernel**2 * d,
        "project 1 x 1": d * c,
        "squeeze-excite": 2 * c * few,
        "normalisation": 2 * (d + d + c),
    }
    work = side * side * sum(list(parts.values())[:3]) + 2 * c * few
    return parts, work, kept_maps(c, expansion) * side * side * 4 / 1e6


def cost_view(expansion=6, kernel=3, ratio=2):
    parts, work, kept = cost_of(expansion, kernel, ratio)
    return drawing.bars(
        parts,
        xlabel="parameters",
        title=f"Expansion {expansion}, k {kernel}, ratio {ratio}: "
        f"{sum(parts.values()):,} parameters, {work / 1e6:.0f} MMAC, "
        f"{kept:.1f} MB",
    )


figures.slider(
    cost_view, expansion=(1, 12, 1), kernel=[3, 5, 7], ratio=[1, 2, 4, 8],
    caption="DMBC(48, 48) on one image of 64 x 64, by formula. Title: "
    "parameters, work, activations kept for the backward pass.",
)

# %% tags=["nbval-check-output"]
x, rows = torch.randn(1, 48, 64, 64), []
for expansion, kernel, ratio in ((6, 3, 2), (12, 3, 2), (6, 7, 2)):
    parts, work, kept = cost_of(expansion, kernel, ratio)
    block = DMBC(48, 48, expansion, kernel, ratio)
    assert sum(parts.values()) == count_parameters(block)
    assert work == macs(block, (48, 64, 64))
    rows.append({
        "expansion": expansion, "kernel": kernel, "SE ratio": ratio,
        "parameters": f"{sum(parts.values()):,}",
        "MMAC": round(work / 1e6, 1), "formula MB": round(kept, 1),
        "measured MB": round(kept_mb(block, x), 1),
    })
print(pd.DataFrame(rows).to_string(index=False))
records.record("activation_mb", rows[1]["measured MB"], "MB")

# %% [markdown]
# What is the sum good for? The paper says that it "mitigates the vanishing gradient
# problem". So stack blocks, draw fresh weights, send a random gradient in at the end and
# measure how much longer it is when it arrives at the beginning. 1 means: as it went in.


# %% tags=["nbval-ignore-output"]
def gradient_gain(blocks, signal, draw):
    """Length of the gradient at the input over that at the output."""
    torch.manual_seed(seed + draw)
    chain = nn.Sequential(
        *(DMBC(16, 16, 4, signal=signal) for _ in range(blocks))
    )
    x = torch.randn(4, 16, 24, 24, requires_grad=True)
    out = chain(x)
    arriving = torch.randn_like(out)
    out.backward(arriving)
    return (x.grad.norm() / arriving.norm()).item()


for blocks in (1, 4, 12):
    for signal in (True, False):
        gains = [gradient_gain(blocks, signal, draw) for draw in range(5)]
        name = "with" if signal else "without"
        print(f"{blocks:>2} blocks, {name} the sum: "
              f"x {statistics.median(gains):.3g} (five draws: "
              f"{min(gains):.3g} to {max(gains):.3g})")
    records.record(f"gain_without_{blocks}", statistics.median(gains), n=5)

# %% [markdown]
# Nothing vanishes here. Without the sum the gradient *grows* on its way back, by the
# same factor with each block (here 1.4): a normalisation scales it up again and again.
# With the sum there is a way on which it passes unchanged, and over twelve blocks it
# grows far less. So the sum steadies the gradient, but "vanishing" is not what it
# prevents in these fresh blocks. (Small random blocks, no training: 05 measures the net.)

# %% [markdown]
# ## 5. The attention gate: a real gate
#
# A skip of the U-Net hands over everything. The **attention gate** of Oktay et al. (2018)
# lets the coarse map from below decide *where* the skip may pass. $E$ comes from the
# encoder, $D$ from the decoder level below, with half its sides. REUnet, equations 6, 7:
#
# $$z = \mathrm{Conv}_{1\times1}[\delta(U(D) + f(E))], \quad
# A_{maps} = A_{coef} \otimes E$$
#
# $U$ is "an upsampling operation", $f$ a 3 x 3 convolution, $\delta$ ReLU. The text goes
# on: $z \in \mathbb{R}^{H_d \times W_d \times 1}$; then a sigmoid, then *an upsampling*,
# and out comes $A_{coef}$ with the sides of $E$.

# %% [markdown] tags=["predict"]
# **P4.** $D$ is 16 x 16, $E$ is 32 x 32. Equation 6, taken literally, makes a $z$ of (a)
# 16 x 16, (b) 32 x 32, (c) 64 x 64?

# %% tags=["predict"]
guess_4 = None


# %%
class AttentionGate(nn.Module):
    """Coefficients of a skip; reading: equation, both or text."""

    def __init__(self, c_e, c_d, between, reading="text"):
        super().__init__()
        double = nn.Upsample(scale_factor=2)
        stride = 2 if reading == "text" else 1
        self.u = nn.Sequential(
            nn.Conv2d(c_d, between, 1),
            nn.Identity() if reading == "text" else double,
        )
        self.f = nn.Conv2d(c_e, between, 3, stride=stride, padding=1)
        self.to_one = nn.Conv2d(between, 1, 1)
        self.after = nn.Identity() if reading == "equation" else double

    def z(self, e, d):
        return self.to_one(F.relu(self.u(d) + self.f(e)))

    def forward(self, e, d):
        coefficients = self.after(torch.sigmoid(self.z(e, d)))
        return coefficients * e, coefficients

# %% tags=["nbval-check-output"]
e, d = torch.randn(1, 32, 32, 32), torch.randn(1, 48, 16, 16)
for reading in ("equation", "both", "text"):
    gate = AttentionGate(32, 48, 32, reading)
    side = gate.z(e, d).shape[-1]
    try:
        gate(e, d)
        works = f"{macs(gate, e.shape[1:], d.shape[1:]) / 1e6:.2f} MMAC"
    except RuntimeError:
        works = "its coefficients do not fit the skip"
    print(f"{reading:>8}: z is {side} x {side}; {works}")
guess("P4", guess_4, answer="b",
      a="the text, read into the formula, which upsamples before the sum.",
      c="both upsamplings: only one comes before z.")

# %% [markdown]
# Three readings. *Equation*: upsample first; then $z$ has the size of $E$, and nothing is
# left to upsample. *Both*: obey equation and text; then the coefficients are too large
# for the skip. *Text*: leave $D$ small and let $f$ take every second pixel of $E$ (stride
# 2). This one fits all the stated shapes, Oktay et al. and the authors' code, so the
# course takes it. It is the cheapest, too: $f$ works on a quarter of the places.
#
# A slip is not a fraud. But two readers of one equation would build two nets.
#
# Does such a gate learn where to look? Train a very small net with one gate on synthetic
# images and watch the coefficients. It gets the masks, and nothing tells the gate.


# %%
class GatedNet(nn.Module):
    """Two levels, one gated skip: (N, 1, H, W) to logits and coefficients."""

    def __init__(self, c=8):
        super().__init__()
        self.encoder = nn.Sequential(plain(1, c), plain(c, c))
        self.below = nn.Sequential(
            nn.MaxPool2d(2), plain(c, 2 * c),
            nn.MaxPool2d(2), plain(2 * c, 4 * c), plain(4 * c, 2 * c),
            nn.Upsample(scale_factor=2),
        )
        self.gate = AttentionGate(c, 2 * c, c)
        self.decoder = nn.Sequential(plain(3 * c, c), nn.Conv2d(c, 1, 1))

    def forward(self, x):
        e = self.encoder(x)
        d = self.below(e)
        gated, coefficients = self.gate(e, d)
        up = F.interpolate(d, scale_factor=2)
        return self.decoder(torch.cat([up, gated], 1)), coefficients


def pictures(n, start):
    made = phantoms.generate(
        n, size=64, seed=seed, look="ultrasound", start=start
    )
    images = torch.from_numpy(made.images / 255).float()
    return images, torch.from_numpy(made.masks > 0).float()[:, None]

# %% tags=["nbval-ignore-output"]
torch.manual_seed(seed)
train_x, train_y = pictures(run.pick(smoke=64, fast=128, full=512), 0)
test_x, test_y = pictures(24, 10_000)
updates = run.pick(smoke=120, fast=400, full=2000)
net = GatedNet()
optimiser = torch.optim.AdamW(net.parameters(), lr=5e-3)
watched = (0, updates // 6, updates)
gates, rows = {}, []
for step in range(updates + 1):
    if step in watched:
        with torch.no_grad():
            logits, gates[step] = net.eval()(test_x)
        inside, outside = (
            (gates[step] * m).sum().item() / m.sum().item()
            for m in (test_y, 1 - test_y)
        )
        hit = (logits > 0).float()
        overlap = 2 * (hit * test_y).sum() / (hit + test_y).sum()
        rows.append((step, inside, outside, overlap.item()))
        print(f"after {step:>4} updates: mean gate on lesions {inside:.2f}, "
              f"elsewhere {outside:.2f}; pooled Dice {rows[-1][-1]:.2f}")
    chosen = torch.randint(len(train_x), (8,))
    logits, _ = net.train()(train_x[chosen])
    loss = F.binary_cross_entropy_with_logits(logits, train_y[chosen])
    optimiser.zero_grad()
    loss.backward()
    optimiser.step()
records.record("gate_on_lesion", rows[-1][1], n=len(test_x))
records.record("gate_elsewhere", rows[-1][2], n=len(test_x))

# %% tags=["figure", "nbval-ignore-output"]
sizes = test_y.sum((1, 2, 3))
shown = int(sizes.argsort()[len(sizes) // 2])  # the lesion of median size
mask = test_y[shown, 0].numpy()
figures.show(
    *drawing.maps(
        [(255 * test_x[shown, 0]).byte().numpy()]
        + [gates[step][shown, 0].numpy() for step in watched],
        names=["image"] + [f"{step} updates" for step in watched],
        kinds=["image", "share", "share", "share"],
        bars={"share": "gate (0 closed)"},
        target=mask,
        title="Where does the gate open while the net learns?",
    ),
    caption="A synthetic image that was not trained on; outline: reference. "
    f"Net of {count_parameters(net):,} parameters, seed {seed}. "
    "Records `gate_on_lesion`, `gate_elsewhere`.",
)

# %% [markdown]
# The net learns to find lesions, and the gate takes on a pattern. But look *where*: it
# need not open on the lesion. In our run of the profile `fast` (seed 0, 400 updates) the
# mean coefficient was .29 on lesions and .32 elsewhere, at a pooled Dice of .78: the gate
# had closed on the dark lesion. The convolution behind it can use a missing signal as
# well as a present one, and it can undo any constant factor.
#
# So a map of coefficients shows what the gate passes on, not "where the net looks". What
# a gate is worth is measured by removing it, with several seeds (05, 12). One small net,
# one seed, synthetic images: a mechanism, no result about attention gates.

# %% [markdown]
# ## 6. Time it
#
# 64 channels in and out: the separable form does 7.9 times fewer multiply-adds. Is it 7.9
# times as fast? The two take turns, so that a busy moment of the machine hits both; the
# medians are compared; one thread, one image. How many times as fast will it be?

# %% tags=["predict"]
my_speedup = None  # a number, such as 7.9


# %% tags=["nbval-ignore-output"]
def median_seconds(nets, x, rounds):
    """Median seconds of a forward pass; the nets take turns."""
    seconds = {name: [] for name in nets}
    with torch.inference_mode():
        for _ in range(rounds + 3):
            for name, net in nets.items():
                begun = time.perf_counter()
                net(x)
                seconds[name].append(time.perf_counter() - begun)
    return {name: statistics.median(s[3:]) for name, s in seconds.items()}


threads = torch.get_num_threads()
torch.set_num_threads(1)
rounds = run.pick(smoke=25, fast=61, full=201)
rows = []
for c, side in ((16, 64), (64, 64), (128, 32)):
    nets = {"standard": standard(c, c), "separable": separable(c, c)}
    found = median_seconds(nets, torch.randn(1, c, side, side), rounds)
    faster = found["standard"] / found["separable"]
    rows.append((c, side, separable_saving(c, c, 3), faster))
    print(f"{c:>3} channels, {side} x {side} px: {rows[-1][2]:.1f} times "
          f"fewer MAC, {faster:.1f} times as fast "
          f"({1000 * found['standard']:.2f} and "
          f"{1000 * found['separable']:.2f} ms)")
    records.record(f"faster_c{c}", faster, n=rounds)
torch.set_num_threads(threads)
guess("speed", my_speedup, answer=rows[1][-1])

# %% tags=["figure", "nbval-ignore-output"]
bars = {}
for c, _, less, faster in rows[:2]:
    bars[f"weights and MAC, {c} channels"] = less
    bars[f"time, {c} channels"] = faster
x = torch.randn(1, 64, 64, 64)
kept = kept_mb(standard(64, 64), x) / kept_mb(separable(64, 64), x)
bars["activations kept, 64 channels"] = kept
figures.show(
    *drawing.bars(
        bars,
        xlabel="standard 3 x 3 over separable (1: no difference)",
        digits=2,
        accent=[name for name in bars if "time" in name],
        title="One cheap block, four prices: do they fall alike?",
    ),
    caption="As many channels out as in, one image of 64 x 64, one thread, "
    "medians of forward passes that took turns, on the machine that ran this; "
    "below 1 the cheap form is the dearer one. "
    "Records `saving_c64`, `faster_c16`, `faster_c64`.",
    key=True,
)

# %% [markdown]
# Four prices, and they do not fall alike. Weights and multiply-adds are properties of the
# block. Time is a property of the block *on a machine*. One reason stands in the
# equations: the depthwise step does 9 multiply-adds for every number that it reads, a
# standard one 9 for *each output channel*. A processor that waits for numbers gains
# little from having less to compute, above all where there are few channels.
#
# Read such ratios as rough ones. The size of the map, the number of threads, even whether
# the process may keep freed memory changes them: the same pair of 64 channels came out at
# 1.7 and at 3.6 on one machine when only that was changed, and once, when the machine was
# busy, at 9.4. The ratio at 16 channels stayed at 1.2 to 1.5. Notebook 13 measures what a
# machine waits for. And the activations *grow*: one more map is kept.
#
# So a **latency**, the time of one image, means nothing without its label: machine,
# threads, batch, image size, number format. The batch alone can decide: on our machine
# (PyTorch 2.13, one thread) a 1 x 1 convolution of 256 or 512 channels, the larger part
# of a DMBC's work, took 1.5 to 2 times as long for a single image as for one in a batch
# of 16.
# REUnet's paper gives a time an image, on an i9 of no stated model, threads or batch.

# %% [markdown]
# ## Recorded results

# %% tags=["result", "nbval-ignore-output"]
for row in records.finish():
    value = row["value"]
    shown_value = f"{value:.4g}" if isinstance(value, float) else f"{value:,}"
    print(f"{row['name']:<16} {shown_value} {row['unit']}")

# %% [markdown]
# ## What the papers say
#
# The course keeps a ledger of what each paper claims. Of REUnet's entries, these belong
# here. A verdict is computed from the numbers beside it: it speaks about the sentence,
# not about the people.

# %% tags=["claims", "nbval-ignore-output"]
told = claims.table("reunet", "S1", "S3", "S4", "X14")
for name, row in told.iterrows():
    print(f"{name}: {row['claim']}\n    {row['where']}; "
          f"paper: {row['paper']}; ours: {row['ours']}; {row['verdict']}")

# %% [markdown] tags=["keypoints"]
# ## Key points
#
# - A saving is a formula with a range: 9C / (C + 9) for 3 x 3 kernels, 7.9 at 64
#   channels, and below 1 for one channel out (04-1, `saving_c64`).
# - A formula can be misprinted: run it, look at the unit and the shape (04-2, P4).
# - Squeeze-excite weighs channels, one set of weights an image; the "gating signal" adds,
#   the attention gate multiplies (04-3, section 4, `gate_on_lesion`).
# - Cheap compared with what? Count every module that learns, and name the rival (04-4,
#   `dmbc_params`).
# - Memory moves the other way, and time does not follow the work (`activation_mb`,
#   `faster_c16`, `faster_c64`).

# %% [markdown] tags=["next"]
# ## Where to go next
#
# Notebook 05 puts 55 of these blocks together and asks: is the network in the paper the
# network that was trained? Before that, try two variations:
#
# - `course run 04 -p seed 1`: does the gate open at the same places?
# - in section 6, take 256 channels and 16 x 16 px: does time follow the work now?
#
# References: Howard et al., *MobileNets*, 2017, arXiv 1704.04861; Sandler et al.,
# *MobileNetV2*, CVPR 2018, arXiv 1801.04381; Hu et al., *Squeeze-and-Excitation
# Networks*, CVPR 2018, arXiv 1709.01507; Oktay et al., *Attention U-Net*, 2018, arXiv
# 1804.03999;
# He et al., *Deep Residual Learning*, CVPR 2016, arXiv 1512.03385; Chakraborty et al.,
# *Robust semantic learning for precise medical image segmentation*, Biomedical Signal
# Processing and Control 110, 2025, 108251 (REUnet).

# %% tags=["nbval-ignore-output"]
print("this run took", records.cost())
