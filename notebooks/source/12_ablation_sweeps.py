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
# # 12 Ablation sweeps: which rows of a table can stand?
#
# The three papers of this course have six tables in which one part of a net is taken
# away, or exchanged, or made larger. Here you learn what such a row can show, run a sweep
# of your own, and then grade the rows.

# %% [markdown] tags=["goals"]
# **Why.** An *ablation* changes one factor and keeps all else equal. If "all else" holds
# size, work and tuning, and if the gain is larger than chance makes gains, then the row
# can stand. You can check both before you train anything.
#
# After this notebook you can
# - compare two nets on the same images (exercise 12-1);
# - say how many seeds a sweep needs (12-2);
# - correct for many looks (12-3);
# - grade the rows of a printed table (12-4).
#
# You need notebooks 03 (bootstrap), 05 and 07 (the papers' nets) and 10 (t interval).

# %% [markdown] tags=["budget"]
# **Cost.** Reading 65 minutes, exercises 75 minutes. The machine needs: {{budget}}.
# Except in the profile smoke, section 6 trains four small nets in processes of their own,
# whose memory (about 0.9 GB each, two at a time) comes on top.

# %% tags=["parameters"]
profile = ""  # str |smoke|fast|full: size of the run; empty: COURSE_PROFILE, else fast
effect = 0.01  # float 0.001..0.2: gain in Dice that a sweep should be able to find
jobs = 2  # int 1..16: runs of the live sweep at a time; each takes a core and 0.9 GB
seed = 0  # int 0..1000000: of the simulations
device = "auto"  # str auto|cpu|cuda|mps: noted beside the results
out_dir = ""  # str: folder of results.json; empty: below runs/notebooks

# %% tags=["setup"]
import math
import os
import subprocess
import sys
from fnmatch import fnmatch
from functools import cache
from itertools import pairwise

import numpy as np
import pandas as pd
import torch
from scipy import stats

from course_lib import claims as ledger
from course_lib import drawing, figures, metrics, models, records
from course_lib.drawing.ablations import paired_lines
from course_lib.teaching import check, guess, hint

given = {
    "profile": profile,
    "effect": effect,
    "jobs": jobs,
    "seed": seed,
    "device": device,
    "out_dir": out_dir,
}
run = records.start("12_ablation_sweeps", given)
repeats = run.pick(smoke=2000, fast=10_000, full=100_000)  # of a simulation

# %% [markdown]
# ## 1. Nothing but the seed
#
# The sweep `seeds` trained the U-Net of notebook 03 ten times on the same images. Only
# the *seed* differs: the first weights, the order of the cases, the flips. Before you
# look: the mean Dice of such a run has which standard deviation (SD) between seeds?

# %% tags=["predict"]
my_sd = None  # SD of the mean test Dice over seeds, such as 0.001

# %% tags=["figure", "nbval-ignore-output"]
WHERE = {"phantoms": "synthetic images"}
WHERE |= {"nuclei-mini": "nuclei (21 test images)"}
kept = records.committed_sweep("seeds")
dice = kept["table"].query("record == 'dice_mean'")
by_data = {
    name: dice.loc[dice["data"] == key, "value"].to_numpy()
    for key, name in WHERE.items()
}
figures.show(
    *drawing.runs(
        by_data,
        title="Ten trainings that differ in nothing but the seed",
        xlabel="mean test Dice of a run",
        intervals={n: metrics.t_interval(v) for n, v in by_data.items()},
    ),
    caption=f"From `{kept['file']}`: U-Net, the same cases in all runs of a "
    "row. Record `seed_sd`.",
)

# %% tags=["nbval-ignore-output"]
seed_sd = {name: values.std(ddof=1) for name, values in by_data.items()}
ten = by_data[WHERE["phantoms"]]
sd = seed_sd[WHERE["phantoms"]]
bounds = sd * np.sqrt(9 / stats.chi2.ppf([0.975, 0.025], 9))
for name, values in by_data.items():
    print(f"{name:<24} SD {seed_sd[name]:.4f}, best minus worst "
          f"{np.ptp(values):.3f}")
print("95 % interval of the first SD: {:.4f} to {:.4f}".format(*bounds))
apart = np.abs(ten[:, None] - ten)[np.triu_indices(10, 1)]
print(f"pairs of runs that are .01 or more apart: {(apart >= 0.01).sum()} "
      f"of {len(apart)}")
records.record("seed_sd", sd, n=len(ten), interval=bounds)
guess("SD", my_sd, answer=sd)

# %% [markdown]
# So two runs of the *same* net are often .01 apart. Whoever trains net A once and net B
# once, and sees +.01, has seen nothing yet. Note also how badly ten runs know their own
# SD: its interval reaches from .7 to 1.8 times the value.
#
# ## 2. The same images
#
# Two sets of scores on the same three images: net A .90, .60, .30, net B .88, .57, .26.
# Each net varies from image to image by .3, so the 95 % intervals of the two means
# overlap almost wholly.
#
# **P1.** Two such intervals overlap. So no difference is shown. (a) True. (b) False.

# %% tags=["predict"]
guess_1 = None  # "a" or "b"

# %% [markdown]
# One image is easy and one is hard, for both nets. But look along the rows: on which
# images is A better, and by how much?
#
# **Exercise 12-1.** Write the bootstrap of a paired difference. `draws` holds the images
# of each draw (with replacement), so that you can follow it by hand.


# %% tags=["exercise", "ex-12-1"]
def paired_bootstrap(a, b, draws):
    """Return (low, high): 95 % interval of the mean of a - b.

    a, b: scores (n,) of the same images; draws: lists of n indices, one
    list a draw. The ends are the percentiles 2.5 and 97.5 (np.percentile).
    """
    ### BEGIN SOLUTION
    gains = np.asarray(a) - np.asarray(b)
    drawn = [gains[list(images)].mean() for images in draws]
    low, high = np.percentile(drawn, [2.5, 97.5])
    return low, high
    ### END SOLUTION


# %% tags=["check", "ex-12-1"]
paired_bootstrap = check("12-1", paired_bootstrap)
# stuck? hint("12-1", 1), then 2, then 3

# %% [markdown]
# Now real images. Two trained U-Nets, A and B, on 127 microscope images of nuclei. Their
# scores were kept image by image. The library's bootstrap draws whole groups of
# look-alike images (01) instead of single ones.

# %% tags=["nbval-ignore-output"]
kept = records.committed("03_unet", "nuclei")
stored = records.ROOT / kept["file"]


def scores_of(number):
    """Dice of every test image of one stored run, with the image's group."""
    name = f"{stored.stem}-seed{number}.csv"
    table = metrics.fill_empty(pd.read_csv(stored.with_name(name)))
    return table.set_index("case_id")[["dice", "group"]]


net_a, net_b = scores_of(0), scores_of(1)
assert (net_a.index == net_b.index).all()  # the same images, in order
for name, one in (("A", net_a), ("B", net_b)):
    low, high = metrics.bootstrap_interval(one["dice"], one["group"])
    print(f"net {name}: Dice {one['dice'].mean():.3f} [{low:.3f}, {high:.3f}]")
gain = net_b["dice"] - net_a["dice"]
paired = metrics.bootstrap_interval(gain, net_a["group"])
print("B minus A: {:+.3f} [{:+.3f}, {:+.3f}]".format(gain.mean(), *paired))
guess(
    "P1",
    guess_1,
    answer="b",
    a="the rule of overlap forgets that both nets saw the same hard images.",
)

# %% tags=["figure", "nbval-ignore-output"]
figures.show(
    *paired_lines(
        net_a["dice"],
        net_b["dice"],
        names=("net A", "net B"),
        interval=paired,
        title="A line an image: hard for A is hard for B",
    ),
    caption=f"Real nuclei, 127 test images; scores beside `{kept['file']}`.",
)

# %% [markdown]
# The intervals of A and B overlap widely, and the paired one leaves out 0. So B is worse
# than A. Look where the mean comes from: about as many images rise as fall, and a few, on
# which B finds next to nothing, decide.
#
# Guess what was taken from B. (a) A third of the training images. (b) The augmentation.
# (c) Nothing.

# %% tags=["predict"]
guess_b = None  # "a", "b" or "c"

# %%
of_a, of_b = (one["parameters"] for one in kept["runs"][:2])
differ = {n: (of_a[n], of_b[n]) for n in of_a if of_a[n] != of_b[n]}
print("parameters in which A and B differ:", differ)
guess(
    "B",
    guess_b,
    answer="c",
    a="a shown difference was taken for one that somebody made.",
    b="a shown difference was taken for one that somebody made.",
)

# %% [markdown]
# The interval was right all the same: *these two sets of weights* differ on images like
# these. It says nothing about another training. Two kinds of doubt, two intervals:
#
# | doubt | repeat | interval |
# |---|---|---|
# | other test images | draw images (groups) | paired bootstrap, of two trained nets |
# | another training | train with new seeds | t over seeds, of two *methods* |
#
# A row of an ablation table is about methods. One run a row cannot carry it, however many
# test images there are. (With both doubts at once: draw seeds *and* images.)
#
# ## 3. How many seeds?
#
# The **power** of a sweep is the chance that it finds an effect that is there: that its
# interval leaves out 0 on the right side. You want it *before* the sweep. Take the ten
# runs of section 1, draw n pairs of them, add a true gain to one of each pair, and look
# how often the t test (10-4) sees it.


# %% tags=["nbval-ignore-output"]
def simulated(n, gain, rng):
    """Sweeps of n seeds with a true gain: found, wrong sign, gain if found."""
    noise = (ten - ten.mean()) * np.sqrt(10 / 9)  # the SD of n - 1
    pairs = rng.choice(noise, (2, repeats, n))
    differences = pairs[0] - pairs[1] + gain
    middle = differences.mean(1)
    error = differences.std(1, ddof=1) / math.sqrt(n)
    with np.errstate(divide="ignore"):  # all pairs may be alike
        found = middle / error > stats.t.ppf(0.975, n - 1)
    return found.mean(), (middle < 0).mean(), middle[found].mean()


rng = np.random.default_rng(seed)
print(f"true gain {effect:g}, synthetic images")
print("seeds  found  wrong sign  mean gain of those that are found")
for n in (3, 5, 10, 20, 40):
    found, wrong, shown = simulated(n, effect, rng)
    print(f"{n:>5} {found:>6.0%} {wrong:>11.0%} {shown:>10.3f}")
    if n == 5:
        power_of_five = found

# %% [markdown]
# Read the last column, too. When few sweeps find the gain, those that do **exaggerate**
# it: a lucky draw was needed to pass the test. A table that prints only what was found
# prints the exaggerated values.
#
# **P2.** Five seeds, and the interval of the difference holds 0. So the variant is (a)
# equal, (b) not shown to differ, (c) worse.

# %% tags=["predict"]
guess_2 = None  # "a", "b" or "c"

# %% [markdown]
# **Exercise 12-2.** Write the number of seeds that a paired t test needs: two-sided, 5 %,
# power .8. Under the effect, t follows the *noncentral* t distribution (`stats.nct`),
# shifted by effect / SD times the root of n.


# %% tags=["exercise", "ex-12-2"]
def seeds_needed(sd, effect):
    """Return the fewest seeds with power .8; try 2, 3, ... 200.

    sd: of the paired difference between seeds; effect: the true gain. If
    200 are not enough, return math.inf. seeds_needed(.01, .02) is 5.
    """
    ### BEGIN SOLUTION
    for n in range(2, 201):
        edge = stats.t.ppf(0.975, n - 1)
        shift = effect / sd * math.sqrt(n)
        if stats.nct.sf(edge, n - 1, shift) >= 0.8:
            return n
    return math.inf
    ### END SOLUTION


# %% tags=["check", "ex-12-2"]
seeds_needed = check("12-2", seeds_needed)

# %% tags=["nbval-ignore-output"]
of_pairs = sd * math.sqrt(2)  # of independent runs: paired by nothing
print(f"SD of a difference of two runs: {of_pairs:.4f}")
for gain_wanted in (0.005, 0.01, 0.02, 0.05):
    n = seeds_needed(of_pairs, gain_wanted)
    print(f"to find {gain_wanted:g} in 80 of 100 sweeps: {n} seeds")
other = records.committed_sweep("training_size")["table"]
other = other.query("record == 'dice_mean'").groupby("train_cases")["value"]
print("SD between seeds by number of training cases:",
      ", ".join(f"{n}: {value:.3f}" for n, value in other.std().items()))
guess(
    "P2",
    guess_2,
    answer="b",
    a="an absence of evidence was taken for evidence of absence: how often "
    "do five seeds find the effect that you care about?",
    c="an interval that holds 0 points in neither direction.",
)


# %% tags=["figure", "nbval-ignore-output"]
def power(n, spread, gain):
    """Chance of a paired t test with n seeds to find a gain, as a gain."""
    limit = stats.t.isf(0.025, n - 1)
    return stats.nct.sf(limit, n - 1, gain / spread * np.sqrt(n))


counts = np.arange(2, 41)
chances = {
    f"gain {value:g}": (counts, power(counts, of_pairs, value))
    for value in (0.02, 0.01, 0.005)
}
figures.show(
    *drawing.lines(
        chances,
        title="How many seeds find a gain of .02, .01 or .005?",
        xlabel="seeds (pairs of runs)",
        ylabel="power (share of sweeps)",
        marks={"0.8": 0.8},
    ),
    caption=f"Noncentral t, SD of the difference {of_pairs:.4f} (record "
    "`seed_sd` times the root of 2).",
)
ends = [power(5, s * math.sqrt(2), effect) for s in bounds[::-1]]
records.record("power_5_seeds", power_of_five, n=5, interval=ends)


# %% tags=["widget"]
def power_view(gain=0.01, spread=0.016, seeds=5):
    """Power and share of wrong signs against seeds."""
    chance = power(counts, spread, gain)
    wrong = stats.norm.sf(gain / spread * np.sqrt(counts))
    at = counts == seeds
    fig, alt = drawing.lines(
        {"found": (counts, chance), "wrong sign": (counts, wrong)},
        title=f"Gain {gain:g}, SD {spread:g}, {seeds} seeds: found "
        f"{chance[at][0]:.0%}, wrong sign {wrong[at][0]:.0%}",
        xlabel="seeds (pairs of runs)",
        ylabel="share of sweeps",
    )
    fig.axes[0].axvline(seeds, color=figures.MUTED, linewidth=1.0)
    return fig, alt


figures.slider(
    power_view,
    gain=(0.005, 0.05, 0.005),
    spread=(0.004, 0.04, 0.004),
    seeds=(2, 40, 1),
    caption="What do five seeds find where the SD of the difference is .016?",
)

# %% [markdown]
# Twenty-three, for a gain of .01 at an SD of .016, and five seeds find it in 19 of 100
# sweeps. There are three ways out: more seeds; a smaller SD, which above comes with more
# training cases; or the honest words "a gain of .01 would mostly have escaped us".
#
# ## 4. Many looks
#
# Many papers put a **star** at a row whose **p value** is at most .05: the chance of a
# difference at least as large as the one seen, if nothing were there. So of rows without
# any effect, one in twenty has a star, a *false* one.
#
# **P3.** Twelve settings are equally good. Their means have an SD of .01. The best of the
# twelve looks better than it is by about (a) 0, (b) .005, (c) .016.

# %% tags=["predict"]
guess_3 = None  # "a", "b" or "c"

# %% tags=["nbval-check-output"]
rng = np.random.default_rng(0)
lead, again = [], []
for _ in range(10_000):
    means = rng.normal(0, 0.01, 12)
    lead.append(means.max())
    again.append(rng.normal(0, 0.01))  # the winner, on fresh seeds
print(f"lead of the best of 12: {np.mean(lead):.3f}; on fresh seeds "
      f"{np.mean(again) + 0.0:.3f}")
print(f"false star in 6 independent rows at .05: {1 - 0.95**6:.1%}")
guess(
    "P3",
    guess_3,
    answer="c",
    a="each mean is fair, but the largest of twelve was chosen *because* it "
    "is large.",
    b="half an SD is what the better of *two* has.",
)

# %% [markdown]
# This is why a winner is run again on fresh seeds, and why the epoch, the width and the
# threshold are chosen on validation cases.
#
# **Holm's rule** keeps the chance of *any* false star in a table of m rows at 5 %. Sort
# the p values. The smallest must be at most .05 / m, the next .05 / (m - 1), and so on;
# at the first that fails you stop, and all larger ones fail, too. The rows need not be
# independent: those of a table share their reference.
#
# **Exercise 12-3.** Write it.


# %% tags=["exercise", "ex-12-3"]
def holm(p, alpha=0.05):
    """Return a list of bool: which tests stand, in the order given.

    holm([.01, .04, .03]) is [True, False, False].
    """
    ### BEGIN SOLUTION
    stands = [False] * len(p)
    for i, test in enumerate(np.argsort(p)):
        if p[test] > alpha / (len(p) - i):
            break
        stands[test] = True
    return stands
    ### END SOLUTION


# %% tags=["check", "ex-12-3"]
holm = check("12-3", holm)

# %% [markdown]
# ## 5. What else changed?
#
# Power and Holm guard against chance. Against a **confound** (05) no seed helps: a second
# thing that changed in the same row. There are three usual ones.
#
# - *Size.* A part that is taken out takes its weights with it. REUnet's Table 3 replaces
#   one block after another by a plain one, A1 to A4.
# - *Work.* At equal size, a second pass or a second loss costs multiplications, so that
#   equal epochs are not equal training.
# - *Tuning.* If one net had twelve settings tried and its rival one, then P3 has told you
#   what that is worth.
#
# Guess: A4 has which share of the full net's parameters?

# %% tags=["predict"]
my_share = None  # such as 0.5


# %% tags=["figure"]
def on_paper(name, **options):
    """Build a net that knows its shapes and stores nothing."""
    with torch.device("meta"):
        return models.create(name, **options)


count = models.measure.count_parameters
million = [
    count(on_paper("reunet", reading="paper", plain_blocks=k)) / 1e6
    for k in range(5)
]
cell = ledger.read("reunet").values
CLASSES = {"necrosis": "ncr", "enhancing": "et", "edema": "ed"}
table_3 = {
    name: (million[:0:-1], [cell[f"T3.a{k}.{key}.dice"] for k in (4, 3, 2, 1)])
    for name, key in CLASSES.items()
}
fig, alt = drawing.lines(
    table_3,
    title="Table 3 of REUnet: is it the blocks, or the size?",
    xlabel="parameters (millions)",
    ylabel="printed Dice (brain tumour classes)",
)
ax = fig.axes[0]
ax.set_ylim(0.75, 1.0)
for k in range(1, 5):
    ax.annotate(f"A{k}", (million[k], 0.76), ha="center")
figures.show(
    fig,
    alt,
    caption="Printed Dice of the dead core (necrosis) of brain tumours, of "
    "the part that takes up contrast agent (enhancing) and of the swelling "
    "around (edema); one number a cell, no spread. Parameters of the net as "
    f"described, counted: the full net, which has no row, {million[0]:.1f} "
    "million.",
)
guess("share", my_share, answer=million[4] / million[0])

# %% [markdown]
# From A1 to A4 the printed Dice falls by .04, .06 and .02. The net also shrinks to less
# than a fifth of A1. Both stories fit the same four points. A row that keeps the size
# (plain blocks, made *wider*) would tell them apart; the table has none.
#
# ## 6. Design a sweep, and run it small
#
# Your turn. Below is a sweep of the course: a question, a notebook, one factor, seeds, a
# reference, and `matters`: the difference that would matter, written down **before** you
# look. Change it if you like: `base`, `epochs`, `train_cases` and `data` are parameters
# of notebook 03, too. Keep it at four runs.

# %%
MY_SWEEP = """
title = "Which loss?"
question = "Is the U-Net better with Dice + cross-entropy than with Dice?"
notebook = "03"
record = "dice_mean"
reference = { loss = "dice_ce" }
matters = 0.01
seeds = [0, 1]

[grid]
loss = ["dice_ce", "dice"]
"""

# %% [markdown]
# The command of the course reads it, checks names and ranges, prints the plan, and makes
# the runs, `jobs` at a time, each as a notebook of its own at the size *smoke*: 40
# updates, so this shows that the sweep runs, not which loss is better. Start the cell
# twice: the second time nothing is left to do. (In the profile smoke of *this* notebook
# you see the plan alone.)

# %% tags=["nbval-ignore-output"]
file, folder = run.out_dir / "my_sweep.toml", run.out_dir / "my_sweep"
file.write_text(MY_SWEEP, encoding="utf-8")
start = [f"--jobs={jobs}", "--retry-failed"]
command = [sys.executable, "-m", "course_lib.cli", "sweep", str(file)]
command += ["--profile", "smoke", "--out", str(folder)]
command += run.pick(smoke=["--dry-run"], fast=start, full=start)
clean = dict(os.environ)
clean.pop("COURSE_CHECK", None)  # a stub in another notebook is no mistake
pipes = {"capture_output": True, "text": True}
done = subprocess.run(command, cwd=records.ROOT, env=clean, **pipes)
print(*(line for line in done.stdout.splitlines()
        if not line.startswith("report")), sep="\n")
if done.returncode:
    print("The sweep did not end well:", done.stderr.strip()[-500:])
elif (folder / "results.csv").exists():
    own = pd.read_csv(folder / "results.csv").query("record == 'dice_mean'")
    hidden = ["key", "notebook", "profile", "record", "text", "unit", "device"]
    print("mean Dice of a run, its interval over test images:")
    print(own.drop(columns=hidden).to_string(index=False))

# %% [markdown]
# ## 7. Read a full one
#
# The sweep `losses` asked the same question in earnest: four losses, two sets of images,
# five seeds, each loss against `dice_ce` with the same seed. Six rows, so six looks. How
# many will have a star if each row stands alone (p at most .05), how many with Holm?

# %% tags=["predict"]
my_stars = None  # with Holm, 0 to 6

# %% tags=["figure", "nbval-ignore-output"]
kept = records.committed_sweep("losses")
own = kept["table"].query("record == 'dice_mean'")
wide = own.pivot_table(
    index=["data", "seed"], columns="loss", values="value"
)
looks = {}
for data in WHERE:
    for loss in ("dice", "cross_entropy", "focal"):
        change = (wide[loss] - wide["dice_ce"]).loc[data]
        p = stats.ttest_1samp(change, 0).pvalue
        looks[f"{loss}, {data}"] = (change, p)
alone = [bool(p <= 0.05) for _, p in looks.values()]
stands = holm([p for _, p in looks.values()], 0.05)
rows = {
    name + " *" * star: (change.mean(), *metrics.t_interval(change))
    for (name, (change, _)), star in zip(looks.items(), stands)
}
figures.show(
    *drawing.forest(
        rows,
        title="Six looks at four losses: which rows can stand?",
        xlabel="Dice: loss minus dice_ce, paired by seed; *: with Holm, too",
        n="5 seeds",
        matters=kept["matters"],
        reference="dice_ce",
    ),
    caption=f"From `{kept['file']}`, U-Net of base 16. Each bar is the "
    "interval of its row *alone*.",
    key=True,
)

# %% tags=["nbval-ignore-output"]
print(f"{'row':<26}   Dice    SD apart     r      p alone Holm")
for (name, (change, p)), one, star in zip(looks.items(), alone, stands):
    loss, data = name.split(", ")
    a, b = (wide[kind].loc[data] for kind in (loss, "dice_ce"))
    gain = round(change.mean(), 3) + 0.0  # no -0.000
    print(f"{name:<26} {gain:+.3f} {change.std():.3f} "
          f"{np.hypot(a.std(), b.std()):.3f} {a.corr(b):+.2f} {p:.4f} "
          f"{'*' * one:>5} {'*' * star:>4}")
print(f"stars: {sum(alone)} alone, {sum(stands)} with Holm")
guess("stars", my_stars, answer=sum(stands))

# %% [markdown]
# *SD*: of the difference paired by seed; *apart*: what it would be for strangers; *r*:
# correlation of the two over seeds. Three things to see.
#
# - A filled dot without a star is a row that would be printed as a finding, were it the
#   only one. It may be one; this table does not show it.
# - A row just above .05 is not "equal": look how far its interval reaches to one side.
# - Pairing by *image* takes out the hardness of the image, which is large. Pairing by
#   *seed* takes out what two trainings share. Where r is near 0, that is nothing, and the
#   root of 2 times the SD of section 1 was right to plan with.
#
# ## 8. The papers' rows
#
# Every ablation row of the three papers goes through three gates: equal **size** and
# equal **work** (within 5 % of the row that it is compared with), and a printed
# **spread**. The cells come from the ledgers `notebooks/claims`: `T3.a2` is row A2 of
# Table 3, over all classes or data sets. `T2.on` is with EPL, which trains stage 1 once
# more on every batch (07): inference costs the same, an update does not.


# %%
def reunet(**change):
    return "reunet", {"reading": "paper"} | change


plain = {k: reunet(plain_blocks=k) for k in (1, 2, 3, 4)}
dmbc = {n: reunet(intermediator=n) for n in (13, 0, 5, 7, 9, 11, 15)}
steps = {"plain1": ("plnet", {"ipl": False, "steps": 1}),
         "plain2": ("plnet", {"ipl": False, "steps": 2}),
         "ipl2": ("plnet", {}), "ipl3": ("plnet", {"steps": 3})}
flat = {"in_channels": 1, "dims": 3, "base": 8}  # volumes; our width
NETS = {f"T3.a{k}.*": net for k, net in plain.items()}
NETS |= {f"T4.{n}": net for n, net in dmbc.items()}
NETS |= {"T5.with": reunet(), "T5.without": reunet(attention_gate=False)}
NETS |= {"T6.present.*": reunet()}
NETS |= {"T6.absent.*": reunet(gating_signal=False)}
ROWS = [("reunet", f"T3.a{k}.*", "T3.a1.*") for k in (2, 3, 4)]
ROWS += [("reunet", f"T4.{n}", "T4.13") for n in dmbc if n != 13]
ROWS += [("reunet", "T5.without", "T5.with")]
ROWS += [("reunet", "T6.absent.*", "T6.present.*")]
for epl in ("off", "on"):
    cells = {f"T2.*.{epl}.{column}": net for column, net in steps.items()}
    NETS |= cells  # each column against the one before
    ROWS += [("plnet", *pair[::-1]) for pair in pairwise(cells)]
ROWS += [("plnet", f"T2.*.on.{c}", f"T2.*.off.{c}") for c in steps]
NETS |= {"T7.unet": ("unet_bn", flat)}
NETS |= {"T7.ipl": ("plnet", flat | {"depths": (4,)})}
NETS |= {"T7.ipl-epl": ("plnet", flat | {"depths": (4, 5)})}
ROWS += [("plnet", "T7.ipl", "T7.unet"), ("plnet", "T7.ipl-epl", "T7.ipl")]

# %% tags=["nbval-check-output"]
macs = models.measure.count_macs
stage_1 = macs(on_paper("plnet", depths=(3,)), (3, 64, 64))
EPL = 1 + stage_1 / macs(on_paper("plnet"), (3, 64, 64))  # work of an update


@cache
def size_of(row):
    return count(on_paper(NETS[row][0], **NETS[row][1]))


@cache
def work_of(row):
    net = on_paper(NETS[row][0], **NETS[row][1])
    return macs(net, (3, 64, 64)) * (EPL if ".on." in row else 1)


def ratios(row, against):
    """Size and, at equal size, work of a row over that of another."""
    size = size_of(row) / size_of(against)
    equal = abs(size - 1) <= 0.05
    return size, work_of(row) / work_of(against) if equal else math.nan


def printed(paper, row, against):
    """Gains in points of Dice, cell by cell; whether a spread is printed."""
    cells = ledger.read(paper).values
    ours, theirs = (
        [v for n, v in cells.items() if fnmatch(n, f"{one}.dice")]
        for one in (row, against)
    )
    points = np.subtract(ours, theirs) * (100 if paper == "reunet" else 1)
    table = row.partition(".")[0]
    return points, any(fnmatch(n, f"{table}.*.sd") for n in cells)


gates, lines = [], []
for paper, row, against in ROWS:
    size, work = ratios(row, against)
    points, spread = printed(paper, row, against)
    gates.append((abs(size - 1) <= 0.05 and abs(work - 1) <= 0.05, spread))
    name = f"{paper:<6} {row} - {against}".replace(".*", "")
    ends = dict.fromkeys((f"{points.min():+.2f}", f"{points.max():+.2f}"))
    shown = "" if math.isnan(work) else f"{work:5.2f}"
    lines.append(f"{name:<36} {' to '.join(ends):>15} {size:6.2f} {shown}")
print("row - compared with                   points of Dice   size  work")
print("\n".join(lines))
equal, spreads = np.array(gates).T
print(f"{len(gates)} rows. Equal size and work: {equal.sum()}. Spread: "
      f"{spreads.sum()}. Can stand: {(equal & spreads).sum()}")
records.record("n_rows_stand", (equal & spreads).sum(), n=len(gates))

# %% [markdown]
# "Cannot stand" is not "is false". It says that the table, as printed, does not tell the
# part from its size, its work, or chance. Two rows lack only the spread: REUnet's gates
# (T5) and its gating signal (T6). Whether each row was tuned alike, no table says.
# SiGREnet's paper has no table at all, so it has no row here.
#
# How many seeds would the printed gains of those two need? We have trained both, three
# times each, at teaching size (synthetic images, base 4, 8 epochs).

# %% tags=["nbval-ignore-output"]
SWEEPS = {"reunet_attention_gate": ("T5.without", "T5.with")}
SWEEPS |= {"reunet_gating_signal": ("T6.absent.*", "T6.present.*")}
for name, cells in SWEEPS.items():
    kept = records.committed_sweep(name)
    own = kept["table"].query("record == 'dice_mean'")
    factor = next(iter(kept["reference"]))
    by_seed = own.pivot_table(index="seed", columns=factor, values="value")
    change = by_seed[True] - by_seed[False]
    wanted = -printed("reunet", *cells)[0].mean() / 100
    low, high = metrics.t_interval(change)
    print(f"{factor}: ours {change.mean():+.3f} [{low:+.3f}, {high:+.3f}], "
          f"SD {change.std():.3f}")
    print(f"    printed {wanted:+.3f}: at this SD it needs "
          f"{seeds_needed(change.std(), wanted)} seeds (inf: over 200)")

# %% [markdown]
# So three seeds of ours refute nothing. An SD from three seeds is itself a rough guess
# (section 1), and a larger net that trains to the end may well vary less. But nobody can
# know, unless it is printed.
#
# PL-Net's Table 4 does print a spread, the SD of five folds. It is of each net, though,
# not of the **difference**, and folds differ in their images (section 2).
#
# **Exercise 12-4.** Grade six printed rows. Letters: **S** it can stand. **Z** the size
# differs (then the work does, too). **M** equal size, but not the multiplications. **N**
# no spread of the difference. **A** the printed cells alone decide it: arithmetic. In
# rows 5 and 6 whole nets are compared, so size is a price there and no confound.
#
# 1. REUnet Table 3, A1 → A4: mean Dice .893 → .853.
# 2. REUnet Table 4, intermediator (blocks in EB-6, 05) 0 → 13: Dice .64 → .93.
# 3. PL-Net Table 2, nuclei, n = 2 without EPL: IPL gains .80 of IoU.
# 4. PL-Net Table 7, row 3: IPL and EPL gain .76 of Dice over IPL.
# 5. PL-Net Table 4: .46 of IoU over U-Net; SD over five folds 1.20 and 1.40.
# 6. REUnet 4.3: Dice 3, 5, 3, 2 and 4 points above the next best net of Table 2.


# %% tags=["exercise", "ex-12-4"]
def marks(row):
    """Return the set of letters of row 1 to 6.

    Such as: letters = {1: "SA", 2: ...}; return set(letters[row])
    """
    ### BEGIN SOLUTION
    letters = {1: "ZN", 2: "ZN", 3: "MN", 4: "ZN", 5: "N", 6: "A"}
    return set(letters[row])
    ### END SOLUTION


# %% tags=["check", "ex-12-4"]
marks = check("12-4", marks)

# %% tags=["nbval-check-output"]
for row in range(1, 7):
    print(row, "".join(sorted(marks(row))))
print("Row 6, by the ledger:")
for row in ledger.rows("reunet", "X1"):
    if row.claim.id != "X1.iou":
        print(f"   {row.claim.id:<15} {row.paper_text} points; from the "
              f"cells {row.ours_text}: {row.verdict}")

# %% [markdown]
# ## Recorded results

# %% tags=["result", "nbval-ignore-output"]
for row in records.finish():
    value = row["value"]
    value = f"{value:.4f}" if isinstance(value, float) else f"{value:,}"
    ends = row["interval"] and " [{:.4f}, {:.4f}]".format(*row["interval"])
    print(f"{row['name']:<14} {value}{ends or ''} (n = {row['n']})")

# %% [markdown]
# The claims of the three papers that this notebook touches, from the ledger. "At teaching
# size": our sweep of small nets on synthetic images, which judges no paper. Look at its
# intervals, and at what three seeds know.

# %% tags=["claims", "nbval-ignore-output"]
for paper in ledger.papers():
    for row in ledger.rows(paper):
        if row.claim.notebook == run.notebook:
            told = (row.verdict, row.paper_text, row.ours_text, row.note)
            print(f"{paper} {row.claim.id}: {row.claim.claim}")
            print("    " + "; ".join(filter(None, told)))

# %% [markdown] tags=["keypoints"]
# ## Key points
#
# - Pair: images for two trained nets, seeds for two methods (12-1). One run a row is a
#   statement about two sets of weights.
# - Plan: SD between seeds first (`seed_sd`), then the seeds; five often miss what
#   matters, and what they find they exaggerate (12-2, `power_5_seeds`).
# - Correct: m rows are m chances (12-3). The best of many is run again.
# - Equal what? Size, work, tuning; then the spread of the difference (12-4,
#   `n_rows_stand`).
# - Not shown is not equal.

# %% [markdown] tags=["next"]
# ## Where to go next
#
# Notebook 13 asks what a net costs: parameters, multiplications, memory, time. Before
# that, two variations:
#
# - `course run 12 -p effect 0.05`: what do five seeds find of a large effect?
# - `course sweep losses --dry-run`, then a sweep file of your own
#   (`notebooks/sweeps/README.md`), with the number of seeds that 12-2 gives you.
#
# References: Holm, *A simple sequentially rejective multiple test procedure*,
# Scandinavian Journal of Statistics 6, 1979. Efron, Tibshirani, *An Introduction to the
# Bootstrap*, 1993. Gelman, Carlin, *Beyond power calculations*, Perspectives on
# Psychological Science 9, 2014 (wrong signs, exaggeration). Bouthillier et al.,
# *Accounting for variance in machine learning benchmarks*, MLSys 2021.

# %% tags=["nbval-ignore-output"]
print("this run took", records.cost())
