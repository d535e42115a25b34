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
# # 05 REUnet: is the network in the paper the network that was trained?
#
# In 04 you built and costed the blocks. Here you put 55 of them together, train the
# result, and then ask a question that no score answers: is the part that gets the credit
# connected to the output at all?

# %% [markdown] tags=["goals"]
# **Why.** A paper draws one graph, the code builds another, and nothing complains. A
# table of ablations then measures something else than its caption says. You learn to
# check this in seconds, and to say what follows from it and what does not.
#
# After this notebook you can
# - find the parameters of a net that no output depends on (exercise 05-1);
# - find a cut in a graph (05-2);
# - say what an ablation could have measured at all (05-3);
# - report a score by lesion size (05-4).
#
# You need notebooks 03 (counting, intervals) and 04 (DMBC, gating signal, gates).

# %% [markdown] tags=["budget"]
# **Cost.** Reading 75 minutes, exercises 75 minutes. The machine needs: {{budget}}.

# %% tags=["parameters"]
profile = ""  # str |smoke|fast|full: size of the run; empty: COURSE_PROFILE, else fast
data = "phantoms"  # str phantoms|nuclei-mini|nuclei|busi|...: which images
size = 0  # int 0..512: pixels a side, a multiple of 16; 0: 64, in full 256
net = "reunet"  # str reunet|attention_unet|unet: which net is the main one
base = 0  # int 0..128: channels of its first level; 0: its teaching width
reading = "paper"  # str paper|code: what decides where paper and code differ
wiring = "described"  # str described|released: of REUnet
intermediator = 13  # int 0..15: DMBC in EB-6 (Table 4)
attention_gate = True  # bool: the five gates (Table 5)
gating_signal = True  # bool: the sum at the end of every DMBC (Table 6)
plain_blocks = 0  # int 0..4: of EB-7, EB-6, EB-5, EB-4 made plain (Table 3)
train_share = 1.0  # float 0.05..1: of the training groups (Fig. 10), as many updates
epochs = 0  # int 0..2000: rounds of training; 0: as the profile says
pair_updates = 0  # int 0..100000: of each net beside the main one; 0: as many
seed = 0  # int 0..1000000: of weights, order of the cases, dropout, augmentation
device = "auto"  # str auto|cpu|cuda|mps: where the nets are trained
out_dir = ""  # str: folder of results.json; empty: below runs/notebooks

# %% tags=["setup"]
import time
from dataclasses import replace
from functools import cache
from itertools import pairwise

import numpy as np
import pandas as pd
import torch
from scipy import ndimage

from course_lib import claims as ledger
from course_lib import drawing, figures, metrics, models, records, training
from course_lib.data import prepared
from course_lib.drawing.graph import graph
from course_lib.losses import dice_ce_loss
from course_lib.teaching import check, guess, hint

main = {
    "net": net,
    "base": base,
    "reading": reading,
    "wiring": wiring,
    "intermediator": intermediator,
    "attention_gate": attention_gate,
    "gating_signal": gating_signal,
    "plain_blocks": plain_blocks,
    "train_share": train_share,
    "seed": seed,
}
others = {
    "profile": profile,
    "data": data,
    "size": size,
    "epochs": epochs,
    "pair_updates": pair_updates,
    "device": device,
    "out_dir": out_dir,
}
run = records.start("05_reunet", main | others)


# %% [markdown]
# `data` says which images you use. By default they are **synthetic** (phantoms, notebook
# 01), REUnet has an eighth of its width (base 4 for 32), and it is trained for less than
# a minute. That is enough to see mechanisms. It is not enough to judge the paper: nothing
# below says how well the net of the paper segments anything.


# %% tags=["nbval-ignore-output"]
def spread(part, most):
    """At most so many cases, evenly spaced; None: all."""
    rows = np.linspace(0, len(part) - 1, min(most or len(part), len(part)))
    return part.subset(rows.astype(int))


opened = prepared.open(data)
parts = opened.split()
run.uses(opened)
size = size or run.pick(smoke=64, fast=64, full=256)
images = opened.resized(size)
train, val, test = (
    images.subset(parts[name]) for name in ("train", "val", "test")
)
val = spread(val, run.pick(smoke=8, fast=48, full=None))
test = spread(test, run.pick(smoke=24, fast=None, full=None))
channels = images.all_images.shape[1]
classes = 1 if images.num_classes == 2 else images.num_classes
which = "synthetic images" if data == "phantoms" else data
print(images.describe())
print(f"train {len(train)}, validation {len(val)}, test {len(test)}")

# %% [markdown]
# ## 1. Assemble it
#
# REUnet has seven **encoding blocks** (EB), each a chain of 4 to 13 of the DMBC that you
# built in 04; four **decoding blocks** (DB) of two plain convolutions; five attention
# gates (AG) on the way across. EB-6, the **intermediator**, sits between two valleys: it
# reads EB-5 from below and EB-4 from beside.
#
# Who reads whom, as the paper describes it, is one small table. Below it comes the net
# itself in the **paper reading**: where the paper says something, it decides; where it is
# silent, the released code does. It is built on the device `meta`, which knows shapes and
# stores no numbers: the net would fill 442 MB.

# %% tags=["nbval-check-output"]
described = {
    "stem": ["image"], "EB1": ["stem"], "EB2": ["EB1"], "EB3": ["EB2"],
    "EB4": ["EB3"], "EB5": ["EB4"],
    "AGW": ["EB4", "EB5"], "EB6": ["EB5", "AGW"], "EB7": ["EB6"],
    "AG1": ["EB6", "EB7"], "DB1": ["EB7", "AG1"],
    "AG2": ["EB3", "DB1"], "DB2": ["DB1", "AG2"],
    "AG3": ["EB2", "DB2"], "DB3": ["DB2", "AG3"],
    "AG4": ["EB1", "DB3"], "DB4": ["DB3", "AG4"], "head": ["DB4"],
}


def on_paper(name="reunet", **options):
    """Build a net of 3 channels and 1 class without storing a number."""
    with torch.device("meta"):
        return models.create(name, **options)


count = models.measure.count_parameters
full = on_paper(reading="paper")
print(f"REUnet, paper reading: {count(full):,} parameters")
assert count(full) == 110_506_438

# %% tags=["figure"]
PLACES = {"stem": (0, 0), "EB1": (1, 0), "EB2": (2, 1), "EB3": (3, 2)}
PLACES |= {"EB4": (4, 3), "EB5": (5, 4), "AGW": (5, 3), "EB6": (6, 3)}
PLACES |= {"EB7": (7, 4), "AG1": (7, 3), "DB1": (8, 3), "AG2": (7, 2)}
PLACES |= {"DB2": (9, 2), "AG3": (7, 1), "DB3": (10, 1), "AG4": (7, 0)}
PLACES |= {"DB4": (11, 0), "head": (12, 0)}


def live_channels(net):
    """Channels of every part, read from the maps of one forward pass."""
    maps = net.forward_features(torch.empty(1, 3, 256, 256, device="meta"))
    found = {name.upper(): str(x.shape[1]) for name, x in maps.items()}
    return {name: found[name] for name in PLACES if name in found} | {
        "stem": str(maps["stem"].shape[1]),
        "head": "1",
    }


figures.show(
    *graph(
        described,
        PLACES,
        notes=live_channels(full),
        title="REUnet as described: two valleys, and EB-6 on the pass between",
    ),
    caption="Channels read from the live net (a gate gives one map of "
    "coefficients). Rows: 256, 128, 64, 32 and 16 px for an image of 256 px.",
)

# %% [markdown]
# ## 2. "Computationally efficient"
#
# The paper's abstract says so. A U-Net of base 64 needs 31.03 million parameters and
# 48.17 GMAC (10^9 multiply-adds) for an image of 256 x 256 px. REUnet is made of cheap
# blocks. How many GMAC does it need? Write your number down before you go on.

# %% tags=["predict"]
my_gmac = None  # GMAC of REUnet, such as 30


# %% tags=["nbval-check-output"]
def gmac(net):
    """10^9 multiply-adds of one 256 x 256 image."""
    return models.measure.count_macs(net, (3, 256, 256)) / 1e9


drawn = {
    "unet": on_paper("unet"),
    "attention_unet": on_paper("attention_unet"),
    "reunet": full,
    "REUnet, code reading": on_paper(reading="code"),
}
costs = {name: (count(one) / 1e6, gmac(one)) for name, one in drawn.items()}
for name, (million, work) in costs.items():
    print(f"{name:<22} {million:6.2f} million parameters {work:7.2f} GMAC")
records.record("built_paper", count(full))
records.record("gmac_described", gmac(full), "GMAC")
guess("the work", my_gmac, answer=gmac(full))

# %% tags=["figure"]
figures.show(
    *drawing.bubbles(
        {name: (*pair, 4 * pair[0]) for name, pair in costs.items()},
        xlabel="parameters (millions)",
        ylabel="work (GMAC)",
        sizelabel="weights in float32 (MB)",
        title="Is a net of cheap blocks a cheap net?",
    ),
    caption="As Fig. 9A, for our nets. Counted, not timed: 256 x 256 px, 3 "
    "channels, 1 class. Record `gmac_described`.",
)

# %% [markdown]
# Each block is cheap for its width, and there are 55 of them, two to twelve times wider
# inside. The sum is 1.7 times the work of the U-Net and 3.6 times its parameters; in the
# code reading it is 2.1 and 4.7 times. Figure 9 of the paper says that REUnet needs
# *less* than most of its rivals (claim X6). For the net as described, that cannot hold:
# the first hint of what comes in section 5.
#
# Parts B and C of that figure are times on a CPU: 6 images a second and .167 s an image,
# the best of all (claim X7; the two are one number). Seconds of another machine decide
# nothing, ratios within one process more. Four nets of about **equal work**:

# %% tags=["figure", "nbval-ignore-output"]
rivals = {
    "unet": models.create("unet_bn", base=12),
    "attention_unet": models.create("attention_unet", base=12),
    "reunet": models.create("reunet", base=4),
    "REUnet as released": models.create("reunet", base=14, wiring="released"),
}
x, threads = torch.rand(1, 3, 96, 96), torch.get_num_threads()
rounds, seconds = run.pick(smoke=3, fast=11, full=51), {n: [] for n in rivals}
torch.set_num_threads(1)
for _ in range(rounds + 1):
    for name, one in rivals.items():  # in turns: a busy moment hits all
        begun = time.perf_counter()
        with torch.inference_mode():
            one.eval()(x)
        seconds[name].append(1000 * (time.perf_counter() - begun))
torch.set_num_threads(threads)
points = {
    name: (
        models.measure.count_macs(one, (3, 96, 96)) / 1e9,
        np.median(seconds[name][1:]),
        4 * models.measure.kept_bytes(one, x[..., ::2, ::2]) / 1e6,
    )
    for name, one in rivals.items()
}
figures.show(
    *drawing.bubbles(
        points,
        xlabel="work (GMAC)",
        ylabel=f"median time of one image (ms, {rounds} rounds)",
        sizelabel="maps kept to train on one image (MB)",
        log="",
        title="Nets of about equal work: do they take equal time?",
    ),
    caption="As Fig. 9B and C, for our nets: 96 x 96 px, one image, one "
    "thread, float32, on the machine that ran this. Record `time_vs_unet`.",
)
ratios = [a / b for a, b in zip(points["reunet"], points["unet"])]
records.record("time_vs_unet", ratios[1], n=rounds)
print("REUnet / U-Net: work {:.2f}, time {:.1f}, maps {:.0f}".format(*ratios))

# %% [markdown]
# Work is not time: a depthwise convolution does 9 or 25 multiply-adds for every number
# that it fetches, and the blocks write maps up to twelve times as wide as their input.
# At full width (224 px, one thread) REUnet took 4.2 times the U-Net's CPU time for 1.7
# times its work, as released 0.9 for 0.3
# (`notebooks/results/benchmarks/models-cpu-2026-11-30.json`).
#
# ## 3. Train it, and take one part away
#
# Table 6 of the paper removes the **gating signal**, the sum at the end of each DMBC (you
# saw in 04 that it is a residual), and reports that Dice falls. An **ablation** changes
# one factor and leaves all else equal: same cases, same updates, same seed. Here is one,
# live: the net with and without its 55 sums.


# %%
WIDTHS = run.pick(
    smoke={"reunet": 2, "unet": 4},
    fast={"reunet": 4, "unet": 12},
    full={"reunet": 32, "unet": 64},
)
WIDTHS["attention_unet"] = WIDTHS["unet"]
protocol = run.pick(
    smoke=replace(training.PROTOCOLS["course"], epochs=2, max_updates=3),
    fast=replace(training.PROTOCOLS["course"], epochs=3, max_updates=20),
    full=training.PROTOCOLS["reunet"],
)
protocol = replace(protocol, batch=4, epochs=epochs or protocol.epochs)
main |= {"base": base or WIDTHS[net], "updates": 0}
# The lesson's net: the paper's, whatever the main one is.
paper = main | {"net": "reunet", "reading": "paper", "wiring": "described"}
paper |= {"intermediator": 13, "attention_gate": True, "gating_signal": True}
paper |= {"plain_blocks": 0, "train_share": 1.0, "updates": pair_updates}
if (net, wiring) != ("reunet", "described"):
    paper |= {"base": WIDTHS["reunet"]}


def build(net, base, seed, train_share=1, updates=0, **options):
    """Build a net for these images, with weights drawn from the seed."""
    torch.manual_seed(seed)
    options = options if net == "reunet" else {}
    options |= {"in_channels": channels, "num_classes": classes}
    net = "unet_bn" if net == "unet" else net
    return models.create(net, base=base, **options)


def share_of(part, share):
    """Keep a share of the groups, repeated: an epoch has as many updates."""
    groups = np.unique(part.cases["group"])
    order = np.random.default_rng(seed).permutation(groups)
    kept = order[: max(1, round(share * len(groups)))]
    rows = np.flatnonzero(np.isin(part.cases["group"], kept))
    return part.subset(np.resize(rows, len(part)))


@cache
def trained(train_share, updates, seed, **options):
    """Train a net once, however often it is asked for; note every loss."""
    made, noted = build(seed=seed, **options), training.Noted()
    rule = replace(protocol, seed=seed)
    if updates:
        rule = replace(rule, epochs=1, max_updates=updates)
    history = training.fit(
        made,
        share_of(train, train_share),
        val,
        rule,
        run.out_dir / "training",
        device=run.device,
        strategy=noted,
    )
    return {"net": made, "loss": np.array(noted.losses), "history": history}


signal = trained(**paper)
without = trained(**paper | {"gating_signal": False})

# %% tags=["figure"]
def losses_of(curves):
    """Name to (update, smoothed loss), as drawing.lines takes it."""
    found = {name: pd.Series(one["loss"]) for name, one in curves.items()}
    return {
        name: (loss.index + 1, loss.rolling(6, min_periods=1).mean())
        for name, loss in found.items()
    }


figures.show(
    *drawing.lines(
        losses_of({"with": signal, "without": without}),
        xlabel="update of 4 cases",
        ylabel="loss (mean of 6 updates)",
        title="With and without the gating signal: who learns sooner?",
    ),
    caption=f"{which}, paper reading, base {paper['base']}, seed {seed} "
    "alone: a demonstration. Three seeds: section 8.",
)

# %% [markdown]
# The paper gives a reason, too (section 3.1): the sum "mitigates the vanishing gradient".
# That can be looked at directly. Before any training, how large is the **gradient** in
# each encoding block, with and without the sum? If it vanished on the way back, the early
# blocks would get little of it.


# %% tags=["figure"]
def gradient_norms(made, x, y):
    """Norm of the loss gradient over all weights of EB-1 to EB-7."""
    names, weights = zip(*made.named_parameters())
    loss = dice_ce_loss(made.train()(x), y)
    found = torch.autograd.grad(loss, weights, allow_unused=True)
    sums = {f"eb{k}": 0.0 for k in range(1, 8)}
    for name, g in zip(names, found):
        for block in set(name.split(".")) & set(sums):
            sums[block] += 0.0 if g is None else float(g.square().sum())
    return [value**0.5 for value in sums.values()]


first_batch = train.batch(np.arange(4))
norms = {}
for name, on in (("with", True), ("without", False)):
    options = [
        paper | {"gating_signal": on, "seed": seed + k}
        for k in range(run.pick(smoke=2, fast=3, full=5))
    ]
    found = [gradient_norms(build(**one), *first_batch) for one in options]
    norms[name] = np.array(found)
series = {
    name: (np.arange(1, 8), v.mean(0), v.min(0), v.max(0))
    for name, v in norms.items()
}
figures.show(
    *drawing.lines(
        series,
        log="y",
        xlabel="encoding block",
        ylabel="gradient norm",
        title="How much gradient reaches each block before training?",
    ),
    caption=f"First batch, {len(norms['with'])} draws of the weights, base "
    f"{paper['base']}; bar: their range. EB-1 comes last on the way back.",
)
ratio = norms["without"][:, 0] / norms["with"][:, 0]
print("norm in EB-1, without / with:", [f"{value:.2g}" for value in ratio])
if net == "reunet":
    value = gradient_norms(build(**main), *first_batch)[0]
    records.record("gradient_eb1", value)

# %% [markdown]
# Without the sum the gradient does not vanish on the way back: it **explodes**, block by
# block. That is known of deep nets with batch normalisation and no shortcuts (Yang et
# al., arXiv 1902.08129). So the sum tames the gradient, but not as the paper says. Read
# no more into it: a norm before the first update says nothing about the hundredth.
#
# Figure 12 of the paper shows features before and after the gating signal. Here are ours,
# at the end of EB-2; below them the skip of EB-1 with its gate off and on.

# %% tags=["figure"]
median = int(np.argsort(val.masks.sum((1, 2)))[len(val) // 2])
x, y = val.batch([median])


def maps_of(one):
    """All maps (C, H, W) of one trained net for the chosen case."""
    with torch.inference_mode():
        maps = one["net"].cpu().eval().forward_features(x)
    return {name: value[0].numpy() for name, value in maps.items()}


def strip(panels, kinds, title, bars, caption):
    """Show the case, its mask, and three maps."""
    mask = 255 * (val.masks[median] > 0)
    drawn = drawing.maps(
        [val.images[median], mask, *panels.values()],
        names=["image", "reference", *panels],
        kinds=["image", "image", *kinds],
        bars=bars,
        title=title,
    )
    figures.show(*drawn, caption=caption)


inside, bare = maps_of(signal), maps_of(without)
strip(
    {
        "before": np.abs(inside["eb2_before_signal"]).mean(0),
        "after": np.abs(inside["eb2"]).mean(0),
        "never had it": np.abs(bare["eb2"]).mean(0),
    },
    ["amount"] * 3,
    "What does the gating signal add to the features of EB-2?",
    {"amount": "mean of |value|"},
    "One validation case; mean over channels of the last DMBC's F(x), "
    "of F(x) + x, and of the net trained without any sum.",
)
strip(
    {
        "gate off": np.abs(inside["eb1"]).mean(0),
        "coefficients": inside["ag4"][0],
        "gate on": np.abs(inside["eb1"] * inside["ag4"]).mean(0),
    },
    ["amount", "share", "amount"],
    "Does the last gate look at the object?",
    {"share": "AG-4", "amount": "EB-1"},
    "The skip of EB-1 with the gate AG-4 off and on, same net and case.",
)

# %% [markdown]
# ## 4. The other wiring trains, too
#
# The authors released their code. Its **wiring**, who reads whom, differs from the
# paper's in one place. Here is the net that results: same width, same cases.

# %% tags=["figure"]
cut = trained(**paper | {"wiring": "released"})
figures.show(
    *drawing.lines(
        losses_of({"as described": signal, "as released": cut}),
        xlabel="update of 4 cases",
        ylabel="loss (mean of 6 updates)",
        title="Does one of these two curves look broken to you?",
    ),
    caption=f"{which}, paper reading, base {paper['base']}, seed {seed}. "
    f"Parameters: {count(signal['net']):,} and {count(cut['net']):,}.",
)

# %% [markdown] tags=["predict"]
# No error, no warning, a loss that falls. And the released one has less than a hundredth
# of the parameters of the other. Where did the rest go?
#
# ## 5. The network that was not there
#
# **P1.** In the released code 99.55 % of the weights that one would build reach no
# output. What does Keras, in which it is written, say? (a) an error, (b) a warning, (c)
# nothing.
#
# **P2** comes in section 6. **P3.** Two layers learn nothing: one sits behind a ReLU that
# is 0 everywhere, one is not connected to the output. After `backward()` their gradient
# is (a) None in both, (b) zeros in the first, None in the second.

# %% tags=["predict"]
guess_1 = None  # "a", "b" or "c"
guess_3 = None  # "a" or "b"

# %% [markdown]
# **Exercise 05-1.** Write the check. It needs one pass forward and one backward, and no
# training. Beware of the net that calls a layer and throws its output away.


# %% tags=["exercise", "ex-05-1"]
def unreached(net, x):
    """Name the parameters that no output of net(x) depends on.

    Returns a list such as ["c.weight"], in the order of named_parameters.
    A parameter that gets a gradient of zeros is reached.
    """
    ### BEGIN SOLUTION
    net.zero_grad(set_to_none=True)
    net(x).sum().backward()
    return [name for name, p in net.named_parameters() if p.grad is None]
    ### END SOLUTION


# %% tags=["check", "ex-05-1"]
unreached = check("05-1", unreached)
# stuck? hint("05-1", 1), then 2, then 3

# %% [markdown]
# Now the released code at its full width (the **code reading**). `keep_dead=True` builds
# and runs all that it writes down.

# %% tags=["nbval-check-output"]
released = {"reading": "code", "wiring": "released"}
built = on_paper(**released, keep_dead=True)
weights = {name: p.numel() for name, p in built.named_parameters()}
dead = unreached(built, torch.empty(1, 3, 64, 64, device="meta"))
dead_weights = sum(weights[name] for name in dead)
alive = sum(weights.values()) - dead_weights
print(f"built            {sum(weights.values()):>12,}")
print(f"without gradient {dead_weights:>12,}")
print(f"with gradient    {alive:>12,}")
print(f"share dead       {dead_weights / sum(weights.values()):>12.2%}")
assert alive == count(on_paper(**released)) == 663_012
records.record("live_params", alive)
records.record("built_params", sum(weights.values()))
guess(
    "P1",
    guess_1,
    answer="c",
    a="every shape fits, so there is nothing to raise.",
    b="silence was taken for health.",
)
guess(
    "P3",
    guess_3,
    answer="b",
    a="reached is not the same as useful: a dead ReLU passes zeros back.",
)

# %% [markdown]
# Keras walks back from the output and keeps what it meets. The rest is left out of the
# model, its summary, its parameter count and its files, without a word. PyTorch keeps the
# modules, runs them if they are called, and leaves their gradient at None; the optimiser
# skips them. Neither tells you.
#
# **Exercise 05-2.** Do the walk yourself. The version below was written in a hurry: it
# walks forward from the image. Repair it.


# %% tags=["exercise", "ex-05-2"]
def live(graph, output):
    """Return the set of nodes that the output depends on, itself included.

    graph: {node: [its inputs]}; a node without an entry has no inputs.
    live({"b": ["a"], "c": ["a"]}, "b") is {"a", "b"}.
    """
    ### BEGIN SOLUTION
    found, stack = set(), [output]
    ### STUB: found, stack = set(), ["image"]
    ### END SOLUTION
    while stack:
        node = stack.pop()
        if node not in found:
            found.add(node)
            ### BEGIN SOLUTION
            stack.extend(graph.get(node, []))
            ### STUB: stack.extend(n for n in graph if node in graph[n])
            ### END SOLUTION
    return found


# %% tags=["check", "ex-05-2"]
live = check("05-2", live)

# %% [markdown]
# The released graph differs in one entry: DB-3 is called on the wrong variable, EB-2's
# output. Its shape is legal, so nothing stops. The first and the last commit of the
# authors' repository have it.

# %% tags=["nbval-check-output"]
as_released = described | {"DB3": ["EB2"]}
reached = live(as_released, "head")
print(f"described: {len(live(described, 'head'))} parts reach the output")
print(f"released:  {len(reached)}: {', '.join(sorted(reached))}")
kept = on_paper(**released)
names = ("stem", "eb1", "eb2", "db3", "ag4", "db4", "head")
groups = dict.fromkeys(names, 0)
for name, p in kept.named_parameters():
    groups[name.split(".")[0]] += p.numel()
print(groups, "sum", sum(groups.values()))
assert sum(groups.values()) == 663_012

# %% tags=["figure"]
figures.show(
    *graph(
        as_released,
        PLACES,
        notes=live_channels(built),
        dead=set(PLACES) - reached,
        accent=[("EB2", "DB3")],
        family="reunet",
        title="One arrow ends in the wrong place, and the valley is cut off",
    ),
    caption=f"Code reading, base 32, channels from the live net. Hatched: "
    f"reaches no output ({dead_weights / sum(weights.values()):.2%} of the "
    "weights). Records `live_params`, `built_params`.",
)

# %% [markdown]
# What is left is a two-level attention U-Net. It cannot see far: its **receptive field**
# (03) is small. Below, three things that only blur the question are switched off in a
# copy: squeeze-excite, which averages over the whole image, and the ceilings of ReLU6 and
# sigmoid, where a gradient is lost.


# %% tags=["nbval-check-output"]
def opened_up(net):
    """Replace squeeze-excite, ReLU6 and sigmoid by nothing."""
    for module in list(net.modules()):
        for name, child in list(module.named_children()):
            if name == "ses" or isinstance(
                child, (torch.nn.ReLU6, torch.nn.Sigmoid)
            ):
                setattr(module, name, torch.nn.Identity())
    return net


field = models.measure.receptive_field(
    opened_up(models.create("reunet", base=2, **released)), (3, 96, 96)
)
print(f"the cut net sees {field} x {field} px")
records.record("field_cut_px", field, "px")

# %% [markdown] tags=["predict"]
# ## 6. What would Tables 3 and 4 then measure?
#
# Table 4 of the paper varies the intermediator, EB-6, from 0 to 15 DMBC, and reports Dice
# from .64 (none) to .93 (13). Table 3 makes EB-7 to EB-4 plain.
#
# **P2.** You repeat Table 4 with the released wiring. From 0 to 13, Dice (a) rises by
# about .29, (b) changes by noise only, (c) falls.

# %% tags=["predict"]
guess_2 = None  # "a", "b" or "c"

# %% tags=["nbval-check-output"]
nets = {}
for n in (0, 13):
    torch.manual_seed(0)
    options = {"base": 4, "intermediator": n, **released}
    nets[n] = models.create("reunet", **options, keep_dead=True).eval()
x = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
with torch.inference_mode():
    same = torch.equal(nets[0](x), nets[13](x))
    print(f"same seed, equal outputs: {same}")
    state = {k: v for k, v in nets[13].state_dict().items() if "deep" not in k}
    nets[0].load_state_dict(state, strict=False)
    same = torch.equal(nets[0](x), nets[13](x))
    print(f"live weights copied, equal outputs: {same}")
assert same
guess(
    "P2",
    guess_2,
    answer="b",
    a="the table was believed before the graph.",
    c="the intermediator cannot do harm either: nobody reads it.",
)

# %% [markdown]
# With the same seed the two nets still differ: the dead part drew random numbers, so the
# live weights came out differently. Copy the live weights over, and the outputs agree bit
# for bit. A table over the size of EB-6 would be a table of **seed noise**.
#
# **Exercise 05-3.** With the released wiring, which options still change the output? A
# plain blocks (A1 to A4 of Table 3), B the intermediator (Table 4), C the attention gate
# (Table 5), D the gating signal (Table 6). Then add one letter: did the paper's tables
# come from the cut graph? E yes, F no, G it cannot be told.

# %% tags=["exercise", "ex-05-3"]
### BEGIN SOLUTION
still_measured = "CDG"
### STUB: still_measured = ""  # letters, such as "ABE"
### END SOLUTION

# %% tags=["check", "ex-05-3"]
still_measured = check("05-3", still_measured)

# %% [markdown]
# Table 4 prints one number a row and no spread. Table 2 has one, for the row of 13: .02,
# and its caption says that deviations were multiplied by 10, which makes it .002. Below,
# both are laid at all rows (our assumption), beside the Dice of our own cut net, where
# nothing but the seed differs.

# %% tags=["figure"]
PRINTED = {0: 0.64, 5: 0.78, 7: 0.87, 9: 0.84, 11: 0.88, 13: 0.93, 15: 0.89}


def scored(one):
    """Per-case table of a trained net on the test cases."""
    return training.evaluate(one["net"], test, device=run.device)


def dice_of(table):
    """Dice of every test case, the mean of its classes."""
    filled = metrics.fill_empty(table)
    return filled.groupby("case_id", sort=False)["dice"].mean().to_numpy()


cut_table = scored(cut)
seeds = [dice_of(cut_table).mean()]
for k in range(1, run.pick(smoke=2, fast=3, full=3)):
    other = trained(**paper | {"wiring": "released", "seed": seed + k})
    seeds.append(dice_of(scored(other)).mean())
told = "Table 4 with the error bars that it does not print"
fig, (left, right) = figures.new(1, 2, width_ratios=[2, 1], title=told)
sizes, printed = np.array(list(PRINTED)), np.array(list(PRINTED.values()))
left.errorbar(sizes, printed, 0.04, fmt="none", ecolor=figures.TP)
left.errorbar(sizes, printed, 0.004, fmt="o", color=figures.INK, capsize=4)
left.set(xlabel="DMBC in EB-6 (bars: 2 SD, .02 or .002)", title="printed")
left.set(ylabel="Dice (DUKE)")
right.plot(range(len(seeds)), seeds, "o", color=figures.INK)
right.set(xlabel="seed", ylabel="mean Dice (ours)", title="cut net, seeds")
right.set(ylim=(0, 1), xlim=(-0.5, 2.5), xticks=range(len(seeds)))
figures.show(
    fig,
    "Printed Dice of Table 4 against intermediator size, .64 at 0 and .93 "
    "at 13, with bars of two deviations; beside it Dice of the cut net for "
    f"{len(seeds)} seeds, {min(seeds):.3f} to {max(seeds):.3f}.",
    caption=f"Right: {which}, {len(test)} test cases, base {paper['base']}.",
)

# %% [markdown]
# ## 7. What does *not* follow
#
# The released code is not a record of what was run. It was published, the numbers were
# made at some other time, and no file connects the two. So: which graph made the printed
# numbers **cannot be told** from the outside.
#
# The numbers hint against the cut, if their deviation is right: .29 between rows 0 and 13
# is many times .02. Then the tables came from another graph, or more than one factor
# changed. The hint of section 2 points the other way: a net that needs less than its
# rivals is not the described one.
#
# What can be said: the released code cannot repeat Tables 3 and 4, whoever runs it. Which
# part of what is built is alive?


# %% tags=["widget"]
@cache
def live_and_built(intermediator, wiring, base):
    """Parameters by part of the code reading; whether they are live."""
    dead_too = {"keep_dead": True} if wiring == "released" else {}
    made = on_paper(
        reading="code",
        wiring=wiring,
        intermediator=intermediator,
        base=base,
        **dead_too,
    )
    parts = {}
    for name, p in made.named_parameters():
        words = name.replace("deep.", "").replace("intermediator.", "")
        part = words.split(".")[0].upper()
        parts[part] = parts.get(part, 0) + p.numel() / 1e6
    return parts


def live_view(intermediator=13, wiring="released", base=32):
    parts = live_and_built(intermediator, wiring, base)
    alive = {"STEM", "EB1", "EB2", "DB3", "AG4", "DB4", "HEAD"}
    alive = alive if wiring == "released" else set(parts)
    share = sum(parts[name] for name in alive) / sum(parts.values())
    shown = {name: n for name, n in parts.items() if name[:2] == "EB"}
    for name, letters in (("gates", "AG"), ("decoder", "DB")):
        shown[name] = sum(n for k, n in parts.items() if k[:2] == letters)
    return drawing.bars(
        shown,
        xlabel="parameters (millions; black: live blocks)",
        digits=3,
        accent=sorted(alive & set(shown)),
        title=f"{sum(parts.values()):.2f} M built, {share:.2%} of them live",
    )


figures.slider(
    live_view,
    intermediator=(0, 15, 1),
    wiring=["described", "released"],
    base=[4, 8, 16, 32],
    caption="Code reading. Gates and decoder hold live and dead parts: grey.",
)

# %% tags=["nbval-check-output"]
print("EB-6  wiring     base         built        live   GMAC of live")
for n, way, width in (
    (13, "described", 32),
    (0, "described", 32),
    (13, "released", 32),
    (13, "released", 4),
):
    whole = round(1e6 * sum(live_and_built(n, way, width).values()))
    one = on_paper(reading="code", wiring=way, intermediator=n, base=width)
    print(f"{n:>4}  {way:<9} {width:>5} {whole:>13,} {count(one):>11,} "
          f"{gmac(one):>14.2f}")

# %% [markdown]
# ## 8. Is the full net better than its cut?
#
# That is a question for data, and one number will not do. The paper says that "minute
# target lesions" are segmented better; the cut net sees 56 px, so it should lose where
# lesions grow past that. Both ask for Dice **by size**.
#
# **Exercise 05-4.** Write it. A missed case has Dice 0 and is a case.


# %% tags=["exercise", "ex-05-4"]
def by_size(sizes, scores, edges):
    """Return [(n, mean score)] of the bins edges[k] <= size < edges[k + 1].

    by_size([5, 8, 50], [0, .6, .8], [0, 10, 100]) is [(2, .3), (1, .8)].
    The mean of an empty bin is NaN.
    """
    ### BEGIN SOLUTION
    rows = []
    for low, high in pairwise(edges):
        found = [s for size, s in zip(sizes, scores) if low <= size < high]
        value = sum(found) / len(found) if found else float("nan")
        rows.append((len(found), value))
    return rows
    ### END SOLUTION


# %% tags=["check", "ex-05-4"]
by_size = check("05-4", by_size)

# %% [markdown]
# Now the main run, the net of the parameters cell (by default that of section 3). The
# size of a case is the longer side of its largest object, in pixels that the net sees.


# %%
def extent(mask):
    """Longer side in px of the largest object (0: there is none)."""
    boxes = ndimage.find_objects(ndimage.label(mask > 0)[0])
    sides = [side.stop - side.start for box in boxes for side in box]
    return max(sides, default=0)


principal = trained(**main)
table = scored(principal)
table.assign(seed=seed).to_csv(run.out_dir / "cases.csv", index=False)
summary = metrics.summarise(table, level="image").set_index("metric")
extents = np.array([extent(mask) for mask in test.masks])
has = extents > 0
EDGES, BINS = [0, 14, 28, 56, np.inf], ("small", "middle", "wide", "large")
filled = metrics.fill_empty(table).groupby("case_id", sort=False)
for metric in ("dice", "recall"):
    values = filled[metric].mean().to_numpy()
    binned = by_size(extents[has], values[has], EDGES)
    for name, (n, value) in zip(BINS, binned):
        records.record(f"{metric}_{name}", value, n=n)

# %% tags=["figure"]
full_table = scored(signal)
series = {}
for shift, (name, own) in enumerate(
    {"as described": full_table, "as released": cut_table}.items()
):
    values, points = dice_of(own), []
    for low, high in pairwise([0, *range(14, 57, 7), np.inf]):
        rows = has & (extents >= low) & (extents < high)
        if rows.any():
            groups = test.cases["group"].to_numpy()[rows]
            ends = metrics.bootstrap_interval(values[rows], groups)
            where = extents[rows].mean() + 0.5 * shift
            points.append((where, values[rows].mean(), *ends))
    series[name] = tuple(np.array(points).T)
fig, alt = drawing.lines(
    series,
    joined=False,
    xlabel="longer side of the largest object (px that the net sees)",
    ylabel="Dice (bar: 95 % interval over groups)",
    title="Does the cut net lose where lesions grow?",
)
ax = fig.axes[0]
ax.axvline(field, color=figures.INK, linewidth=1, linestyle=(0, (3, 1.5)))
ax.annotate(f"the cut net sees {field} px ", (field, 0.97), ha="right")
ax.set(ylim=(0, 1.02))
figures.show(
    fig,
    alt,
    caption=f"{which}, {int(has.sum())} test cases, paper reading, base "
    f"{paper['base']}, one seed. Records `dice_small`, `dice_large`, "
    "`dice_full_vs_cut`.",
    key=True,
)

# %% [markdown]
# At 64 px hardly any object is wider than the cut's field: that says little. The sweep
# `reunet_wiring` uses 96 px.
#
# And **equal what?** At equal base, the full net has almost 200 times the parameters and
# eight times the work. So there are three fair pairs, and three answers: base 4 for both;
# 8 against 26 for the cut (5.86 and 5.95 GMAC); 4 against 74 (2.09 million parameters).
#
# These, the tables, rivals and real images are sweeps over this notebook:
# three seeds each, teaching size, intervals over seeds. Our Dice and the
# paper's cannot be compared: other images and width.
#
# In Figure 10 of the paper the test set shrinks as the share of training images grows.
# Our `train_share` is of the training groups: test cases and updates stay the same.

# %% tags=["nbval-ignore-output"]
TABLES = {
    "reunet_plain_blocks": (["plain_blocks"], "A1 to A4 .84 .82 .81 .80"),
    "reunet_intermediator": (["intermediator"], "0: .64, 13: .93, 15: .89"),
    "reunet_attention_gate": (["attention_gate"], "with .85, without .82"),
    "reunet_gating_signal": (["gating_signal"], "with .93, without .92"),
    "reunet_wiring": (["size", "wiring", "base"], "none"),
    "reunet_nets": (["net", "wiring", "base"], "none"),
    "reunet_nuclei": (["net", "wiring", "base"], "none"),
    "reunet_busi": (["net", "wiring", "base"], "none"),
    "reunet_full_width": (["wiring", "base"], "none, n = 1"),
}


def table_of(kept, axes):
    """Mean Dice and its interval over seeds, by setting."""
    own = kept["table"].query("record == 'dice_mean'")
    return metrics.over_seeds(own, [axis for axis in axes if axis in own])


MISSING = "No results yet: course sweep {} --commit-results"
for name, (axes, said) in TABLES.items():
    kept = records.committed_sweep(name)
    print(f"\n{name}. Printed Dice: {said}")
    if kept is None:
        print(MISSING.format(name))
    else:
        print(f"from {kept['file']}")
        found = table_of(kept, axes).round(3)
        print(found.to_string(index=False, na_rep=""))
kept = records.committed_sweep("reunet_training_share")
if kept is None:
    print("\nFigure 10.", MISSING.format("reunet_training_share"))
else:
    grown = table_of(kept, ["net", "train_share"])
    figures.show(
        *drawing.lines(
            {
                name: part[["train_share", "mean", "low", "high"]].T.to_numpy()
                for name, part in grown.groupby("net")
            },
            xlabel="share of the training groups",
            ylabel="Dice (bar: 95 % interval over seeds)",
            title="What is more data worth, at equal updates?",
        ),
        caption=f"From `{kept['file']}`; equal work.",
    )

# %% [markdown]
# Figure 6 of the paper gives areas under the ROC curve (02), .966 to .997, and does not
# say at which **level**: all pixels of all cases in one pot, or one area an image and
# their mean? Here are both. Background fills most of a picture, so either is near 1 long
# before the masks are good.

# %% tags=["figure", "nbval-ignore-output"]
p = training.predict(principal["net"], test, device=run.device)
score = (p[:, 0] if classes == 1 else 1 - p[:, 0]).numpy()
target, alarms = test.masks > 0, np.linspace(0, 1, 26)
curve = metrics.roc_curve(score, target, level="pooled")
each = [
    metrics.auc(s, t, level="image") for s, t in zip(score[has], target[has])
]
pooled = metrics.auc(score, target, level="pooled")
areas = {"pooled": pooled, "image": float(np.mean(each))}
figures.show(
    *drawing.lines(
        {"all pixels": (alarms, np.interp(alarms, *curve[:2]))},
        xlabel="1 - specificity (all pixels of all cases)",
        ylabel="sensitivity",
        title=f"AUC {pooled:.3f} pooled, {np.mean(each):.3f} as image mean",
    ),
    caption=f"{which}, the main run, mean Dice {dice_of(table).mean():.3f}; "
    f"{target.mean():.1%} of the pixels are object. Records `auc_pooled`, "
    f"and `auc_image` of the {has.sum()} cases with an object.",
)

# %% [markdown]
# ## Recorded results

# %% tags=["result", "nbval-ignore-output"]
names = ("dice_mean", "iou_mean", "precision", "recall")
for name, metric in zip(names, ("dice", "iou", *names[2:])):
    row = summary.loc[[metric]].iloc[0]
    mean = float(summary.loc[[metric], "mean"].mean())
    bounds = (row["low"], row["high"]) if classes == 1 else None
    records.record(name, mean, n=int(row["n"]), interval=bounds)
for level, area in areas.items():
    records.record(f"auc_{level}", area)
took = principal["history"].as_frame()["seconds"].sum()
records.record("seconds_training", float(took), "s")
records.record("params", count(principal["net"]))
work = models.measure.count_macs(principal["net"], (channels, 256, 256))
records.record("gmac", work / 1e9, "GMAC")
if pair_updates == 0:
    difference = dice_of(full_table) - dice_of(cut_table)
    ends = metrics.bootstrap_interval(difference, test.cases["group"])
    mean = difference.mean()
    records.record("dice_full_vs_cut", mean, n=len(test), interval=ends)
    records.record("seed_sd_cut", float(np.std(seeds, ddof=1)), n=len(seeds))
for row in records.finish():
    value = float("nan") if row["value"] is None else row["value"]
    value = f"{value:.3f}" if isinstance(value, float) else f"{value:,}"
    ends = row["interval"] and " [{:.3f}, {:.3f}]".format(*row["interval"])
    print(f"{row['name']:<18} {value}{ends or ''} {row['unit']}")

# %% [markdown]
# The paper's claims that this notebook touches, from the course's ledger: verdict, words
# of the paper, what stands against them. "Not yet measured": no committed result at the
# paper's size. The run above is none.

# %% tags=["claims", "nbval-ignore-output"]
about = ("D1", "X5", "X6", "X9", "X10", "X11", "X12", "X13", "X15", "X16")
for row in ledger.rows("reunet", *about):
    told = (row.verdict, row.paper_text, row.ours_text, row.note)
    print(f"{row.claim.id}: {row.claim.claim}")
    print("    " + "; ".join(filter(None, told)))

# %% [markdown] tags=["keypoints"]
# ## Key points
#
# - Check what reaches the output before you give credit: one pass and one `backward()`
#   found 99.55 % dead (05-1, `live_params`, `built_params`).
# - Fed, called, trained without complaint: none of these means used (05-2).
# - An ablation of a part that reaches nothing measures seed noise; which graph made a
#   printed table, the table does not say (05-3).
# - Better at equal *what*? Base, work and parameters are three comparisons
#   (`gmac_described`, `dice_full_vs_cut`).
# - Small lesions need a row of their own, with n, and the misses in it (05-4,
#   `dice_small`).

# %% [markdown] tags=["next"]
# ## Where to go next
#
# Notebook 06 keeps the weights and uses them twice: what does a second pass cost? Before
# that, two variations:
#
# - `course run 05 -p gating_signal false`: whose numbers change, and by how much more
#   than another `seed` changes them?
# - `course run 05 -p reading code`: what stays of section 3?
#
# Reference: Chakraborty et al., *Robust semantic learning for precise medical image
# segmentation*, Biomedical Signal Processing and Control 110, 108251, 2025.

# %% tags=["nbval-ignore-output"]
print("this run took", records.cost())
