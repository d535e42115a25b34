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
# # 10 Curriculum: does the order of lessons matter, or only the number?
#
# SiGREnet (09) is trained on easy cases first, and a net without masks says which ones
# are easy. Here you make such an order, look at what it knows, and give it a fair rival.

# %% [markdown] tags=["goals"]
# **Why.** "2-3 % more Dice by curriculum" has no table behind it. To test such a sentence
# you need a score that ranks difficulty, and arms that differ in nothing but the order.
# An honest "no" is a result, too.
#
# After this notebook you can
# - pace a curriculum (exercise 10-1);
# - test what a score of difficulty knows, sign included (10-2);
# - draw an epoch so that all arms make equally many updates (10-3);
# - give an interval over a few seeds (10-4).
#
# You need notebooks 01 (z-score), 03 (intervals) and 09 (SiGREnet).

# %% [markdown] tags=["budget"]
# **Cost.** Reading 75 minutes, exercises 75 minutes. The machine needs: {{budget}}.

# %% tags=["parameters"]
profile = ""  # str |smoke|fast|full: size of the run; empty: COURSE_PROFILE, else fast
data = "phantoms"  # str phantoms|nuclei-mini|nuclei|busi|...: images of sections 5 to 7
size = 0  # int 0..512: pixels a side, a multiple of 4; 0: 64, in full 256
method = "recon"  # str uniform|random|recon|rotation|truth|...: the main arm, see 5
noise = "none"  # str none|flat|growing: which training masks are made wrong
cases = 0  # int 0..100000: training cases; 0: as the profile says
budget = "short"  # str short|long: 2.5 updates a case, at most 240; long: 8 times
updates = 0  # int 0..1000000: of the weights; 0: as the budget says
base = 0  # int 0..128: channels of the first level; 0: 8, in full 16
learning_rate = 0.003  # float 0.00001..0.1: of all arms, falling to 0 (cosine)
start = 0.3  # float 0.01..1: share of the cases in the first epoch
end = 0.6  # float 0.01..1: share of the training after which all are in
pretext_updates = 0  # int 0..100000: of the net that scores; 0: as the profile says
threshold = 0.5  # float 0..1: validation Dice whose first update is recorded
lesson = True  # bool: False: the parts of the lesson as small as they go, for sweeps
seed = 0  # int 0..900000: of training cases, weights, order, wrong masks
device = "auto"  # str auto|cpu|cuda|mps: where the nets are trained
out_dir = ""  # str: folder of results.json; empty: below runs/notebooks

# %% tags=["setup"]
import math
from dataclasses import replace
from functools import cache
from itertools import product

import numpy as np
import torch
from scipy import ndimage, stats

from course_lib import claims as ledger
from course_lib import drawing, figures, metrics, models, records, training
from course_lib.curriculum import (
    CurriculumSampler,
    Pacing,
    RegionStep,
    TruncatedLoss,
    difficulty,
)
from course_lib.data import phantoms, prepared
from course_lib.drawing.curriculum import draws
from course_lib.losses import HybridWeights
from course_lib.teaching import check, guess, hint

given = {
    "profile": profile,
    "data": data,
    "size": size,
    "method": method,
    "noise": noise,
    "cases": cases,
    "budget": budget,
    "updates": updates,
    "base": base,
    "learning_rate": learning_rate,
    "start": start,
    "end": end,
    "pretext_updates": pretext_updates,
    "threshold": threshold,
    "lesson": lesson,
    "seed": seed,
    "device": device,
    "out_dir": out_dir,
}
run = records.start("10_curriculum", given)
METHODS = ["uniform", "uniform_longer", "random", "recon", "rotation", "truth"]
METHODS += ["teacher", "manual", "anti", "truncation", "pixel", "pretrained"]
if method not in METHODS:
    raise ValueError(f"method {method!r}: use one of {', '.join(METHODS)}")
BATCH = 8
size = size or run.pick(smoke=64, fast=64, full=256)
base = base or run.pick(smoke=8, fast=8, full=16)
cases = cases or run.pick(smoke=16, fast=40, full=384)
by_budget = min(240, round(2.5 * cases)) * {"short": 1, "long": 8}[budget]
tiny = run.profile == "smoke" and lesson
updates = updates or (6 if tiny else by_budget)
pretext_updates = pretext_updates or run.pick(smoke=8, fast=60, full=480)

# %% [markdown]
# Sections 1 to 4 use **synthetic images** (phantoms, notebook 01): only there is the
# difficulty known, since it was dialled in. They show mechanisms, not clinical worth.
#
# ## 1. Which of these is hard?
#
# Twelve synthetic skin lesions. Everything but the contrast is of equal difficulty.
# Write down the letters from the easiest to the hardest, before the machine does.


# %% tags=["figure"]
def in_memory(name, images, masks, table, classes):
    """Put arrays into a data set; of the table what identifies a case."""
    known = [c for c in ("case_id", "group", "difficulty") if c in table]
    return prepared.from_arrays(name, images, masks, table[known], classes)


shown = run.pick(smoke=16, fast=64, full=256) if lesson else 12
fixed = {"noise": 0.3, "softness": 0.3, "smallness": 0.3, "clutter": 0.3}
made = phantoms.generate(shown, 64, seed=10, look="dermoscopy", **fixed)
by_contrast = in_memory(
    "contrast only", made.images, made.masks, made.cases, made.classes
)
LETTERS = "ABCDEFGHIJKL"
fig, axes = figures.new(
    2, 6, height=3.0, title="Which of these lesions are hard to outline?"
)
for ax, image, letter in zip(axes.flat, by_contrast.images, LETTERS):
    figures.image(ax, image // 8 * 8)
    ax.set_title(letter)
figures.show(
    fig,
    "Twelve synthetic images of one skin lesion each, lettered A to L; "
    "from plainly visible to hardly visible.",
    caption="Synthetic images, contrast drawn at random, all else equal.",
)

# %% tags=["predict"]
my_ranking = None  # letters, easiest first, such as "CAFBDELKJIHG"

# %% [markdown]
# To compare two rankings you need **Spearman's ρ**: the correlation of the ranks. 1: the
# same order; -1: the reverse; 0: no relation.
#
# **Exercise 10-2** comes first, since you need it here. Write it. Equal values share the
# mean of their ranks.


# %% tags=["exercise", "ex-10-2"]
def spearman(a, b):
    """Rank correlation of two lists of numbers, -1 to 1.

    spearman([1, 2, 3, 4], [10, 20, 30, 400]) is 1.
    """
    ### BEGIN SOLUTION
    rank_a, rank_b = stats.rankdata(a), stats.rankdata(b)
    return np.corrcoef(rank_a, rank_b)[0, 1]
    ### END SOLUTION


# %% tags=["check", "ex-10-2"]
spearman = check("10-2", spearman)
# stuck? hint("10-2", 1), then 2, then 3

# %% tags=["nbval-check-output"]
true_12 = made.cases["contrast"].to_numpy()[:12]
order = "".join(LETTERS[i] for i in np.argsort(true_12))
print("true order, easiest first:", order)
places = {letter: place for place, letter in enumerate(order)}
if my_ranking is not None and sorted(my_ranking.upper()) == sorted(LETTERS):
    mine = [places[letter] for letter in my_ranking.upper()]
    print(f"your order against it: rho {spearman(range(12), mine):.2f}")
else:
    print("You ranked nothing: next time, commit first.")

# %% [markdown] tags=["predict"]
# ## 2. The machine's order, and how it turns upside down
#
# A net learns to fill in **masked** blocks of an image: no reference mask is needed, so
# it is a *pretext* task. SiGREnet's paper (section II.B.2) takes the error of such a
# task as difficulty. Which grey values the error is measured in, it does not say
# (section III.2 names "[0, 1] or z-score").
#
# **P1.** You reconstruct an image of *low contrast*. In raw grey values its error, beside
# that of an image of high contrast, is (a) higher, (b) lower.

# %% tags=["predict"]
guess_1 = None  # "a" or "b"


# %%
def fresh(seed, channels, classes=1, **heads):
    """Build a small SiGREnet with weights drawn from the seed."""
    torch.manual_seed(seed)
    return models.create(
        "sigrenet",
        in_channels=channels,
        num_classes=classes,
        channels=(base, 2 * base, 4 * base),
        steps=2,
        **heads,
    )


course = replace(
    training.PROTOCOLS["course"], batch=BATCH, learning_rate=learning_rate
)


def pretext(seed, n, wanted=pretext_updates):
    """The training of a net that scores n cases: no flips."""
    rounds = max(1, round(wanted * BATCH / n))
    plain = training.Protocol().augmentation
    return replace(course, epochs=rounds, augmentation=plain, seed=seed)


def reconstruction(data, rule, normalise=True):
    """Score a data set by reconstruction; also return the net."""
    seed = rule.seed
    net = fresh(seed, data.all_images.shape[1], recon_head=True)
    found = difficulty.recon(
        data,
        net,
        rule,
        run.out_dir / "scores",
        normalise=normalise,
        device=run.device,
    )
    return found, net


# %% tags=["figure", "nbval-ignore-output"]
truth = by_contrast.cases["difficulty"].to_numpy()
rule = pretext(seed, shown, pretext_updates if lesson else 1)
rhos, ranks = {}, {}
for name, normalise in (("raw grey values", False), ("z-scored", True)):
    values = reconstruction(by_contrast, rule, normalise)[0].values
    rhos[name] = spearman(values, truth)
    ranks[name] = stats.rankdata(values) / len(values)
hard = stats.rankdata(truth) / len(truth)
figures.show(
    *drawing.lines(
        {name: (hard, place) for name, place in ranks.items()},
        joined=False,
        xlabel="true difficulty (rank, 1: least contrast)",
        ylabel="reconstruction error (rank)",
        title="Does the error rise with the true difficulty?",
    ),
    caption=f"Synthetic images, {shown} cases, contrast alone varies, seed "
    f"{seed}, {pretext_updates} pretext updates. Records `rho_raw`, `rho_z`.",
)
for name, rho in rhos.items():
    print(f"{name:<16} rho with the true difficulty {rho:+.2f}")
records.record("rho_raw", rhos["raw grey values"], n=shown)
records.record("rho_z", rhos["z-scored"], n=shown)
guess(
    "P1",
    guess_1,
    answer="b",
    a="the eye's difficulty was taken for the score's: little contrast "
    "means small differences, whatever the net does.",
)

# %% [markdown]
# In raw grey values the error is measured in units of contrast, so where contrast is what
# makes a case hard, the hard cases look **easy**: the curriculum becomes its own
# opposite, and nothing complains. The z-score of exercise 01-2 takes the unit away. What
# is left of ρ after it is what the score *knows*: read it off above.
#
# So publish ρ beside every result, with its sign. What do the scores know of images that
# are hard for several reasons? Two of the paper's scores, and one that a person would
# give, on the training cases of section 5. *Rotation*: how unsure a net is of which way
# up an image stands.


# %% tags=["nbval-ignore-output"]
def spread(part, most):
    """At most so many cases, evenly spaced; None: all."""
    rows = np.linspace(0, len(part) - 1, min(most or len(part), len(part)))
    return part.subset(rows.astype(int))


opened = prepared.open(data)
run.uses(opened)
images, parts = opened.resized(size), opened.split()
val = images.subset(parts["val"])
test = images.subset(parts["test"])
val = spread(val, run.pick(smoke=8, fast=24, full=None) if lesson else 24)
test = spread(test, run.pick(smoke=24, fast=None, full=None))
channels = images.all_images.shape[1]
classes = 1 if images.num_classes == 2 else images.num_classes
which = "synthetic images" if data == "phantoms" else data


@cache
def clean_cases(seed):
    """Training cases of a seed: new phantoms, or whole groups of the set."""
    if data == "phantoms":  # the prepared ones are seed 2026
        made = phantoms.generate(cases, size, seed=100_000 + seed)
        table, about = made.cases, made.classes
        return in_memory("fresh", made.images, made.masks, table, about)
    part = images.subset(parts["train"])
    groups = part.cases["group"]
    order = np.random.default_rng(seed).permutation(groups.unique())
    place = groups.map({group: k for k, group in enumerate(order)})
    part = part.subset(np.argsort(place, kind="stable")[:cases])
    about = part.descriptor["classes"]
    return in_memory(data, part.images, part.masks, part.cases, about)


print(images.describe())
train_cases = len(clean_cases(seed))
print(f"train {train_cases}, validation {len(val)}, test {len(test)}")


# %% [markdown]
# Some training masks can be made **wrong** (parameter `noise`): moved by 10 to 19 px,
# grown or shrunk by 5 to 8 px, or empty, a third each, for images of 64 px. `flat`: 40 %
# of the cases. `growing`: 30 %, in proportion to the rank of the difficulty, as tired
# readers would do it. Validation and test masks stay clean.


# %%
def spoiled(mask, rng):
    """Return a wrong mask: moved, grown or shrunk, or empty."""
    kind, unit = rng.integers(3), size / 64
    if kind == 0:
        way, far = rng.uniform(0, 2 * np.pi), rng.uniform(10, 19) * unit
        step = np.rint([far * np.sin(way), far * np.cos(way)])
        return ndimage.shift(mask, step, order=0)
    if kind == 1:
        r = int(rng.integers(5, 9) * unit)
        y, x = np.ogrid[-r : r + 1, -r : r + 1]
        grow = rng.integers(2)
        change = ndimage.grey_dilation if grow else ndimage.grey_erosion
        return change(mask, footprint=x * x + y * y <= r * r)
    return np.zeros_like(mask)


def teacher_scores(part, seed):
    """Loss of each case under a net that was trained on other cases."""

    def make():
        return fresh(seed, channels, classes)

    rule, out = pretext(seed, len(part)), run.out_dir / "scores"
    return difficulty.teacher(part, make, rule, out, device=run.device)


def reference_scores(part, seed):
    """True difficulty where it is known, else the teacher's."""
    if data == "phantoms":
        return difficulty.truth(part)
    return teacher_scores(part, seed)


@cache
def learners(seed):
    """Training cases of a seed, and which of their masks are wrong."""
    part, rng = clean_cases(seed), np.random.default_rng([seed, 1])
    n = len(part)
    wrong = np.zeros(n, dtype=bool)
    if noise == "flat":
        wrong[rng.permutation(n)[: round(0.4 * n)]] = True
    if noise == "growing":
        rank = stats.rankdata(reference_scores(part, seed).values)
        wrong = rng.uniform(size=n) < 0.6 * (rank - 0.5) / n
    masks = np.array(part.masks)
    for case in np.flatnonzero(wrong):
        masks[case] = spoiled(masks[case], rng)
    about = part.descriptor["classes"]
    return in_memory(part.name, part.images, masks, part.cases, about), wrong


# %% tags=["nbval-ignore-output"]
@cache
def scored(kind, seed):
    """Scores of the training cases of a seed, and the net that made them."""
    part, out = learners(seed)[0], run.out_dir / "scores"
    rule = pretext(seed, len(part))
    if kind == "recon":
        return reconstruction(part, rule)
    if kind == "rotation":
        net = fresh(seed, channels, rotation_head=True)
        found = difficulty.rotation(part, net, rule, out, device=run.device)
        return found, net
    if kind == "manual":
        return difficulty.manual(part, "contrast"), None
    if kind == "truth":
        return difficulty.truth(part), None
    if kind == "teacher":
        return teacher_scores(part, seed), None
    return reference_scores(part, seed), None  # anti


def told(kind):
    """Print what a score knows; a net that knows too little is refused."""
    try:
        found = scored(kind, seed)[0]
    except ValueError as error:
        print(f"{kind:<10} refused: {error}")
        return
    clean = reference_scores(clean_cases(seed), seed)
    rho = spearman(found.values, clean.values)
    print(f"{kind:<10} rho {rho:+.2f}, {found.seconds:.0f} s")
    if kind == "rotation":
        print(f"{'':<10} {found.accuracy:.0%} of the quarter turns right")
        records.record("rotation_accuracy", found.accuracy)
    records.record(f"rho_{kind}", rho, n=len(found))


for kind in ("recon", "rotation", "manual") if lesson else ("manual",):
    told(kind)

# %% [markdown]
# A few dozen cases say little: with n = 40 a ρ of .3 has an interval of about -.01 to
# .56. We measured 384 such cases after 240 pretext updates (`benchmarks/curriculum.py`,
# one run): reconstruction had ρ = .35 with the true difficulty over all five kinds of
# images; inside one kind .72 (x-ray), .57 (skin), .50 (ultrasound), .27 (heart), .21
# (nuclei). Rotation got 54 % of the turns right and had ρ = -.04: it knows something of
# which way up an image stands, and nothing of how hard it is to outline. What a pretext
# finds hard and what a segmentation finds hard are two things until ρ says otherwise.
#
# ## 3. Pacing
#
# The **pacing** f(s) says which share of the cases, the easiest first, an epoch may draw
# from once the share s of the training is over. The paper names none.
#
# **Exercise 10-1.** Linear pacing: f0 at first, f1 from s = `end` on, straight between.


# %% tags=["exercise", "ex-10-1"]
def pool_size(s, N, f0=0.25, f1=1.0, end=0.8):
    """Return the number of cases let in, at least 1 and at least the share.

    s: share of the training that is over; N: all cases.
    pool_size(0.4, 8) is 5: half way from 2 to 8. Use ceil(x - 1e-9), so that
    rounding errors add no case.
    """
    ### BEGIN SOLUTION
    u = min(1.0, s / end)
    share = f0 + (f1 - f0) * u
    return max(1, math.ceil(share * N - 1e-9))
    ### END SOLUTION


# %% tags=["check", "ex-10-1"]
pool_size = check("10-1", pool_size)

# %% tags=["figure"]
progress = np.linspace(0, 0.76, 20)
NAMES = ("linear", "root", "quad", "step", "exp_stairs")
series = {}
for name in NAMES:
    pace = Pacing(name, start=0.25, end=0.8)
    series[name] = (progress, [pace.fraction(s) for s in progress])
by_hand = [pool_size(s, 1000) / 1000 for s in progress]
assert np.allclose(by_hand, series["linear"][1], atol=2e-3)
figures.show(
    *drawing.lines(
        series,
        xlabel="share of the training that is over",
        ylabel="share of the cases let in",
        title="Five ways to let the hard cases in",
    ),
    caption="Start 0.25, all in from 0.8 on. Names as in Wu et al. 2021 and "
    "Hacohen and Weinshall 2019.",
)

# %% [markdown]
# ## 4. The same number of updates
#
# Here is the first trap. If an epoch is "once through the cases that are let in", an
# epoch of a curriculum is **shorter**.


# %% tags=["nbval-check-output"]
def passes_saved(f0, end, epochs=1000):
    """Share of the updates that short epochs leave out."""
    pace = Pacing("linear", start=f0, end=end)
    opened = [pace.fraction(e / epochs) for e in range(epochs)]
    return 1 - np.mean(opened)


for f0, stop in ((0.3, 0.6), (0.25, 0.8), (0.2, 1.0)):
    print(f"f0 {f0}, end {stop}: {passes_saved(f0, stop):.0%} fewer updates")

# %% [markdown]
# A curriculum with short epochs is done with 21 to 40 % fewer updates after as many
# epochs, and nobody has learned anything faster: it is arithmetic. The paper's "~25-30 %
# fewer epochs" (section IV.C) does not say what an epoch is. It can also go the other
# way: at equal epochs the curriculum has practised less. So: every epoch of every arm has
# **M draws**, whoever is in the pool.
#
# **Exercise 10-3.** Draw such an epoch: run through the pool, shuffled anew each time
# (`shuffle(pool, cycle)`, cycle 0, 1, 2, ...), until there are M.


# %% tags=["exercise", "ex-10-3"]
def epoch_order(ranking, k, M, shuffle):
    """Return M cases drawn from the first k of the ranking (easiest first).

    Each of the k comes equally often, give or take one. With a shuffle that
    rotates by cycle, epoch_order([1, 5, 3], 2, 5, shuffle) is
    [1, 5, 5, 1, 1].
    """
    ### BEGIN SOLUTION
    drawn, cycle = [], 0
    while len(drawn) < M:
        drawn += list(shuffle(list(ranking[:k]), cycle))
        cycle += 1
    return drawn[:M]
    ### END SOLUTION


# %% tags=["check", "ex-10-3"]
epoch_order = check("10-3", epoch_order)

# %% [markdown]
# The course's sampler does the same with a shuffle that depends on seed and epoch alone,
# so that a training that was stopped goes on with the same draws. `subset` draws from the
# pool; `mix` keeps the easy ones in and adds the others in a growing share.

# %% tags=["nbval-check-output"]
sampler = CurriculumSampler(
    np.arange(8), seed=7, epochs=4, num_samples=8, batch_size=8,
    pacing=Pacing("linear", start=0.25, end=0.75),
)  # fmt: skip
for epoch in range(4):
    k = pool_size(epoch / 4, 8, end=0.75)
    mine = epoch_order(range(8), k, 8, lambda pool, cycle: pool)
    drawn = sampler.draw(epoch)
    print(f"epoch {epoch}: {k} of 8 let in, drawn {drawn.tolist()}")
    assert sorted(set(drawn.tolist())) == sorted(set(mine))

# %% [markdown]
# The same with 96 cases and 12 epochs. Move the sliders: who enters when? And who is
# drawn most in all?


# %% tags=["widget"]
def entering_view(pacing="linear", f0=0.3, end=0.6, mode="subset"):
    sampler = CurriculumSampler(
        np.arange(96), seed=0, epochs=12, num_samples=96, batch_size=8,
        pacing=Pacing(pacing, start=f0, end=end), mode=mode,
    )  # fmt: skip
    each = [np.bincount(sampler.draw(e), minlength=96) for e in range(12)]
    return draws(
        np.stack(each, 1),
        [sampler.fraction(e) for e in range(12)],
        title=f"Who is drawn when? ({pacing}, f0 {f0:.2f}, end {end:.2f}, "
        f"{mode})",
    )


figures.slider(
    entering_view,
    pacing=["linear", "root", "quad", "step", "exp"],
    f0=(0.1, 1.0, 0.05),
    end=(0.1, 1.0, 0.05),
    mode=["subset", "mix"],
    caption="96 cases, 96 draws an epoch. In subset mode the easy cases pay "
    "for the equal number of updates: they are drawn most.",
)

# %% [markdown] tags=["predict"]
# ## 5. The fair comparison
#
# Four arms. **uniform**: all cases from the start. **recon**: easy first, by the score of
# section 2. **random**: the same pacing in an order without information; if it does as
# well, the growing set helped and not the order. **anti**: the truly hard cases first.
# Same cases, same initial weights, same number of updates, same learning rate at each
# update, same validation points, judged by their last weights.
#
# **P2.** 40 % of the harder half of the training masks are wrong. Easy-first avoids 38 %
# of the draws of wrong masks. From this follows that Dice (a) rises, (b) may rise or
# fall, (c) falls.
#
# **P3.** Three seeds, curriculum minus uniform: -.039, -.041, -.015. (a) Worse: shown.
# (b) Not shown.

# %% tags=["predict"]
guess_2 = None  # "a", "b" or "c"
guess_3 = None  # "a" or "b"

# %%
POINTS = run.pick(smoke=3, fast=12, full=24)  # validations of a training
ORDERED = ("random", "recon", "rotation", "truth", "teacher", "manual", "anti")
PLAIN = HybridWeights(boundary=0, consistency=0)


def order_of(method, seed, an_epoch, epochs):
    """Return the sampler of an arm and what its scores cost in updates."""
    n, rule, cost = len(learners(seed)[0]), Pacing("linear", start=1.0), 0
    scores, order = np.zeros(n), "easy"
    if method in ORDERED:
        rule = Pacing("linear", start=start, end=end)
        order = {"random": "random", "anti": "hard"}.get(method, "easy")
    if method in ORDERED[1:]:
        scores = scored(method, seed)[0]
        cost = scores.cost_in_updates
    sampler = CurriculumSampler(
        scores, seed=seed, epochs=epochs, num_samples=an_epoch,
        batch_size=BATCH, pacing=rule, order=order,
    )  # fmt: skip
    return sampler, cost


def strategy_of(method):
    """Return what an update does with a batch."""
    if method == "truncation":
        return TruncatedLoss()
    if method == "pixel":  # suspected masks: some pixels never count
        final = 1.0 if noise == "none" else 0.9
        return RegionStep(PLAIN, auxiliary=0, final=final, end=end)
    return training.one_step


# %% [markdown]
# Parameter `method` knows eight more arms. `rotation`, `truth`, `teacher` and `manual`
# are easy first by another score: the turns (2), the dialled difficulty, the loss of a
# net that was trained on other cases, the contrast. `uniform_longer` gets the updates
# that the scoring cost on top; `pretrained` is uniform with the encoder of the scoring
# net; `truncation` drops the largest losses of a batch; `pixel` leaves the hard pixels of
# each image for later.


# %%
@cache
def trained(method, seed, updates, points=POINTS):
    """Train an arm once: scores, validations, what it cost and drew."""
    part, wrong = learners(seed)
    longer = scored("recon", seed)[0] if method == "uniform_longer" else None
    wanted = updates + (longer.cost_in_updates if longer else 0)
    an_epoch = BATCH * max(1, round(wanted / points))
    sampler, cost = order_of(method, seed, an_epoch, points)
    net = fresh(seed, channels, classes)
    if method == "pretrained":
        found, teacher = scored("recon", seed)
        net.encoder.load_state_dict(teacher.encoder.state_dict())
        cost = found.cost_in_updates
    out = run.out_dir / "training" / f"{method}-{seed}-{updates}"
    history = training.fit(
        net, part, val, replace(course, epochs=points, seed=seed), out,
        device=run.device, sampler=sampler, strategy=strategy_of(method),
    )  # fmt: skip
    last = torch.load(out / "last.pt", map_location="cpu", weights_only=True)
    net.load_state_dict(last["net"])  # the last weights, not the best
    frame = history.as_frame()
    drawn = np.concatenate([sampler.draw(e) for e in range(points)])
    return {
        "table": training.evaluate(net, test, device=run.device),
        "update": (frame["epoch"].to_numpy() + 1) * an_epoch // BATCH,
        "val_dice": frame["val_dice"].to_numpy(),
        "seconds": float(frame["seconds"].sum()),
        "cost": float(cost),
        "wrong": float(wrong[drawn].mean()),
        "unique": len(np.unique(drawn)),
    }


def dice_of(one):
    """Dice of every test case, the mean of its classes."""
    filled = metrics.fill_empty(one["table"])
    return filled.groupby("case_id", sort=False)["dice"].mean().to_numpy()


# %% tags=["figure", "nbval-ignore-output"]
star = "recon" if lesson else "manual"
LIVE = ("uniform", star, "random", "anti")
length = (updates, POINTS) if lesson else (1, 1)
arms = {name: trained(name, seed, *length) for name in LIVE}
figures.show(
    *drawing.lines(
        {name: (one["update"], one["val_dice"]) for name, one in arms.items()},
        xlabel=f"update of {BATCH} cases",
        ylabel="validation Dice",
        title="One seed: does an arm run away from the others?",
    ),
    caption=f"{which}, {train_cases} training cases, noise {noise}, seed "
    f"{seed} alone: a demonstration. Clean validation masks.",
)
print(f"{'arm':<8} {'Dice':>5} {'wrong masks':>12} {'cases seen':>11} cost")
for name, one in arms.items():
    print(
        f"{name:<8} {dice_of(one).mean():>5.3f} {one['wrong']:>12.0%} "
        f"{one['unique']:>11} {one['cost']:.0f}"
    )

# %% [markdown]
# *cost*: what the scores took, in updates of this training. Beside a training of a few
# hundred updates it is not small. Beside 200 epochs of 384 cases it is: 3.7 % of their
# time for reconstruction, 0.8 % for rotation (`benchmarks/curriculum.py`, one thread).
#
# One seed is an anecdote. A second pair shows how far a difference jumps.
#
# **Exercise 10-4.** Write the interval of a mean difference over a few seeds: Student's t
# with n - 1 **degrees of freedom** (so many values are free once the mean is taken). Of
# one seed it is unbounded: one value says nothing about its spread.


# %% tags=["exercise", "ex-10-4"]
def t_interval(differences):
    """Return (low, high): 95 % interval of the mean of a few differences.

    t_interval([.010, .035, .004]) is (-.0245, .0572); of one value it is
    (-inf, inf). scipy.stats.t.ppf(0.975, degrees) is the quantile.
    """
    ### BEGIN SOLUTION
    d = np.asarray(differences, dtype=float)
    if len(d) < 2:
        return -np.inf, np.inf
    error = d.std(ddof=1) / np.sqrt(len(d))
    half = stats.t.ppf(0.975, len(d) - 1) * error
    return d.mean() - half, d.mean() + half
    ### END SOLUTION


# %% tags=["check", "ex-10-4"]
t_interval = check("10-4", t_interval)

# %% tags=["nbval-check-output"]
low, high = t_interval([-0.039, -0.041, -0.015])
print(f"three seeds of P3: mean -0.032, interval {low:.3f} to {high:.3f}")
guess(
    "P2",
    guess_2,
    answer="b",
    a="wrong masks are not the only thing that order changes: it also avoids "
    "the hard cases that are right.",
    c="it does avoid hard cases that are right, but wrong masks as well.",
)
guess(
    "P3",
    guess_3,
    answer="b",
    a="three of three was taken for proof: with 2 degrees of freedom the "
    "interval reaches 0.",
)

# %% [markdown]
# P2 and P3 are from a first prototype: 192 synthetic cases, 240 updates, 3 seeds. There
# easy-first had 38 % fewer draws of wrong masks and Dice changed by -.004 on average:
# what it avoided of the wrong masks it lost on hard cases. With the hardest 30 % left
# out for good, Dice fell by .032 (the three seeds of P3).
#
# Now the pair of seeds, live, and five seeds from the committed sweep, if there are any.


# %% tags=["figure", "nbval-ignore-output"]
def paired(table, **setting):
    """Differences to uniform by seed, for every method of a sweep's table."""
    own = table.query("record == 'dice_mean'")
    for name, value in setting.items():
        own = own[own[name] == value]
    wide = own.pivot_table(index="seed", columns="method", values="value")
    return wide.sub(wide["uniform"], axis=0).drop(columns="uniform")


def with_interval(values):
    values = np.asarray(values, dtype=float)
    values = values[np.isfinite(values)]
    if not len(values):
        return np.nan, np.nan, np.nan
    return values.mean(), *t_interval(values)


pairs = {name: [] for name in LIVE[1:]}
for k in range(2):
    uniform = dice_of(trained("uniform", seed + k, *length)).mean()
    for name in pairs if k == 0 else (star,):
        other = trained(name, seed + k, *length)
        pairs[name].append(dice_of(other).mean() - uniform)
kept = records.committed_sweep("curriculum_arms")
if kept is None:
    print("No committed runs yet: course sweep curriculum_arms")
    rows, n = {name: with_interval(d) for name, d in pairs.items()}, "1 or 2"
    source = f"{which}, seeds {seed} and {seed + 1}, live"
else:
    found = paired(kept["table"])
    rows = {name: with_interval(found[name]) for name in found}
    n, source = found.shape[0], f"From `{kept['file']}`"
rows = {
    name: (d, *(b if np.isfinite(b) else np.nan for b in ends))
    for name, (d, *ends) in rows.items()
}
fig, alt = drawing.forest(
    rows,
    title="Does any order beat the uniform one at equal updates?",
    xlabel="Dice: arm minus uniform, paired by seed",
    n=f"{n} seeds",
    matters=0.01,
    reference="uniform",
)
caption = f"{source}. Record `gain_vs_uniform`."
figures.show(fig, alt, caption=caption, key=True)
for name, d in pairs.items():
    print(f"live, {name:<7}", ", ".join(f"{value:+.3f}" for value in d))

# %% [markdown]
# With two seeds there is one degree of freedom and t is 12.7, so that the half width is
# 6.4 times the distance between the two differences: nearly always too wide to show
# anything, and narrow only when two numbers happen to be alike. That is not a flaw of the
# interval. It is what two seeds know.
#
# ## 6. The map
#
# Whether an order helps may depend on how many masks are wrong, how many cases there are,
# and how long one trains. Wu et al. (2021) saw that easy-first gained on short budgets
# and with wrong labels, where neither a random nor the reverse order did. Elsewhere gains
# were marginal, and a random order with the same pacing did as well. The sweep
# `curriculum_map` asks the same of segmentation, each cell against uniform. Its full size
# has 12: three kinds of masks, two numbers of cases, two budgets.

# %% tags=["figure", "nbval-ignore-output"]
COLUMNS = ["random", "recon", "rotation", "truth", "anti", "truncation"]
COLUMNS += ["pixel", "pretrained"]
kept = records.committed_sweep("curriculum_map")
if kept is None:
    print("No map yet: course sweep curriculum_map --commit-results")
else:
    made = kept["table"].groupby(["budget", "noise", "cases"]).groups
    tried = set(kept["table"]["method"])
    COLUMNS = [name for name in COLUMNS if name in tried]
for spent in ("short", "long") if kept else ():
    cells, names = [], []
    for wrong_masks, count in product(("none", "flat", "growing"), (24, 384)):
        if (spent, wrong_masks, count) not in made:
            continue  # a smaller size of the sweep
        where = {"noise": wrong_masks, "cases": count, "budget": spent}
        found = paired(kept["table"], **where).reindex(columns=COLUMNS)
        cells.append([with_interval(found[name]) for name in COLUMNS])
        names.append(f"{wrong_masks}, {count}")
    if not cells:
        continue
    middle, low, high = np.moveaxis(np.array(cells, dtype=float), 2, 0)
    halves = (high - low) / 2
    figures.show(
        *drawing.heat_map(
            middle,
            halves=np.where(np.isfinite(halves), halves, np.nan),
            rows=names,
            columns=COLUMNS,
            xlabel="method",
            ylabel="wrong masks, cases",
            label=f"Dice minus uniform, paired by {len(found)} seeds",
            signed=True,
            title=f"Where does an order help? ({spent} budget)",
        ),
        caption=f"From `{kept['file']}`; synthetic. Not bold: not shown.",
    )


# %% [markdown] tags=["predict"]
# Before you pick the best cell of such a map: 12 cells times 8 methods are 96 looks.
#
# **P4.** No method has any effect. Differences have a standard deviation of .02 between
# seeds, and there are 5 seeds. What is the largest gain among the 96, about?

# %% tags=["predict"]
my_largest = None  # gain in Dice, such as 0.005

# %% tags=["nbval-check-output"]
rng = np.random.default_rng(0)
noise_only = rng.normal(0, 0.02, (2000, 96, 5))  # maps, cells, seeds
means = noise_only.mean(2)
half = stats.t.ppf(0.975, 4) * noise_only.std(2, ddof=1) / 5**0.5
false_win = ((means - half > 0) & (means >= 0.02)).any(1).mean()
largest = means.max(1).mean()
print(f"largest of 96 gains without any effect: {largest:.3f} on average")
print(f"maps in which a cell 'wins' 0.02, interval above 0: {false_win:.0%}")
guess("P4", my_largest, answer=largest)

# %% [markdown]
# The best of many cells looks good by chance. So a win counts when it comes back on
# **fresh seeds and fresh cases**: here a seed decides the training cases, too, so that
# seeds which no run has used are both.
#
# ## Recorded results
#
# The main run is the arm of the parameters cell, by default the one of section 5.

# %% tags=["result", "nbval-ignore-output"]
main = trained(method, seed, updates, POINTS)
main["table"].assign(seed=seed).to_csv(run.out_dir / "cases.csv", index=False)
dice = dice_of(main)
ends = metrics.bootstrap_interval(dice, test.cases["group"])
records.record("dice_mean", dice.mean(), n=len(dice), interval=ends)
thirds = {
    "low_contrast": difficulty.manual(test, "contrast").values,
    "small": -(test.masks > 0).sum((1, 2)).astype(float),
}
for name, hardness in thirds.items():
    chosen = np.argsort(-hardness, kind="stable")[: max(1, len(dice) // 3)]
    records.record(f"dice_{name}", dice[chosen].mean(), n=len(chosen))
reached = np.flatnonzero(main["val_dice"] >= threshold)
first = main["update"][reached[0] if len(reached) else -1]
records.record("updates_to_threshold", first + main["cost"], "updates")
records.record("reached_threshold", bool(len(reached)))
records.record("score_cost_updates", main["cost"], "updates")
records.record("wrong_draws", main["wrong"])
records.record("cases_seen", main["unique"])
records.record("seconds_training", main["seconds"], "s")
if lesson:
    gains = pairs[star]
    records.record(
        "gain_vs_uniform", np.mean(gains), n=2, interval=t_interval(gains)
    )
    records.record("gain_vs_random", gains[0] - pairs["random"][0], n=1)
for row in records.finish():
    value = float("nan") if row["value"] is None else row["value"]
    value = f"{value:.3f}" if isinstance(value, float) else f"{value:,}"
    bounds = row["interval"] and " [{:.3f}, {:.3f}]".format(*row["interval"])
    print(f"{row['name']:<21} {value}{bounds or ''} {row['unit']}")

# %% [markdown]
# `updates_to_threshold` holds the whole budget where the threshold is never reached
# (`reached_threshold`): such runs are censored, not dropped. What the scores cost is
# added. The claims of SiGREnet's paper that this notebook touches:

# %% tags=["claims", "nbval-ignore-output"]
for row in ledger.rows("sigrenet"):
    if row.claim.notebook == run.notebook:
        print(f"{row.claim.id}: {row.claim.claim}")
        words = (row.verdict, row.paper_text, row.ours_text)
        print("    " + "; ".join(filter(None, words)))

# %% [markdown] tags=["keypoints"]
# ## Key points
#
# - A score ranks difficulty, its reverse, or nothing: publish ρ, sign included (10-2,
#   `rho_raw`, `rho_z`).
# - Equal updates: a short epoch is a discount, not a faster learner (10-3).
# - A random order with the same pacing stands beside every curriculum
#   (`gain_vs_random`).
# - Few seeds have wide intervals, and the best of many cells wins by chance (10-4,
#   `gain_vs_uniform`).
# - The scores are not free (`score_cost_updates`).

# %% [markdown] tags=["next"]
# ## Where to go next
#
# Notebook 11 stops a training and starts it again: would you get the same number? Before
# that, two variations:
#
# - `course run 10 -p noise growing`: how many draws of wrong masks does each arm make?
# - `course run 10 -p method truth`: what would a perfect score be worth?
#
# References: Sushmita, Vijaya Lakshmi, *SiGREnet*, IJESAT 25(11), 2025. Wu, Dyer,
# Neyshabur, *When do curricula work?*, ICLR 2021. Hacohen, Weinshall, *On the power of
# curriculum learning in training deep networks*, ICML 2019.

# %% tags=["nbval-ignore-output"]
print("this run took", records.cost())
