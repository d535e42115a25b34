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
# # 13 Efficiency: fast for whom?
#
# Three papers call their nets efficient, lightweight, near real-time, quick. In 04
# and 05 you saw that a net can be cheap in one price and dear in another. Here you learn
# what a machine waits for, how to time it so that the number means something, and which
# of the papers' sentences about cost can stand.

# %% [markdown] tags=["goals"]
# **Why.** A clinic does not buy multiply-adds. It waits seconds, fills memory and pays
# for electricity, on *its* machine. A paper prints whichever price is low.
#
# After this notebook you can
# - count the work of any convolution (exercise 13-1);
# - say whether a layer computes or waits for memory (13-2);
# - time a net honestly, and see what is wrong with a time (13-3);
# - measure by how much two prices disagree about an order of nets (13-4).
#
# You need notebooks 04 and 05; the nets of 06 to 09 appear by name.

# %% [markdown] tags=["budget"]
# **Cost.** Reading 55 minutes, exercises 55 minutes. The machine needs: {{budget}}.

# %% tags=["parameters"]
profile = ""  # str |smoke|fast|full: size of the run; empty: COURSE_PROFILE, else fast
size = 0  # int 0..512: pixels a side of whole nets' images; 0: as the profile says
base = 0  # int 0..64: width of REUnet, the U-Net beside it has twice that; 0: as above
rounds = 0  # int 0..1000: times that each task is timed; 0: as the profile says
seed = 0  # int 0..1000000: of weights and images
out_dir = ""  # str: folder of results.json; empty: below runs/notebooks

# %% tags=["setup"]
import copy
import shutil
import statistics
import time

import numpy as np
import pandas as pd
import torch
from scipy import stats
from torch import nn

from course_lib import claims, drawing, figures, models, records
from course_lib.drawing.efficiency import ranks, roofline
from course_lib.models import measure
from course_lib.teaching import check, guess, hint, load_checks

run = records.start(
    "13_efficiency",
    {
        "profile": profile, "size": size, "base": base, "rounds": rounds,
        "seed": seed, "out_dir": out_dir,
    },
)  # fmt: skip
size = size or run.pick(smoke=32, fast=64, full=256)
base = base or run.pick(smoke=4, fast=8, full=32)
rounds = rounds or run.pick(smoke=3, fast=11, full=21)
threads = torch.get_num_threads()
torch.set_num_threads(1)  # one thread: the machine's other work disturbs less

# %% [markdown]
# ## 1. Four currencies
#
# - **Parameters**: numbers that are stored. They fill the disk and are loaded once.
# - **MACs**: multiply-adds of one image, 1 MAC = 2 FLOP. This is the *work*.
# - **Memory**: maps that are alive at once; in training they are kept for backward.
# - **Time**: of one image, on one machine. This is what somebody waits for.
#
# The first two are properties of a net. The last two need a machine, a batch, a number
# format.
#
# **Exercise 13-1.** Count the MACs of a k x k convolution. Padding is "same": a side of 7
# at stride 2 becomes 4. In a convolution with `groups`, an output channel reads only its
# own group: `c_in / groups` channels.


# %% tags=["exercise", "ex-13-1"]
def conv_macs(c_in, c_out, k, h, w, groups=1, stride=1):
    """Multiply-adds of one image of h x w pixels.

    conv_macs(3, 16, 3, 8, 8) is 27,648.
    """
    ### BEGIN SOLUTION
    pixels = -(-h // stride) * -(-w // stride)
    return pixels * k * k * (c_in // groups) * c_out
    ### END SOLUTION


# %% tags=["check", "ex-13-1"]
conv_macs = check("13-1", conv_macs)
# stuck? hint("13-1", 1), then 2, then 3

# %% [markdown]
# One formula, a whole net: add up SiGREnet's convolutions as they are called, and compare
# with the course's counter, which watches the operations themselves.


# %% tags=["nbval-check-output"]
def macs_by_formula(net, shape):
    """Sum of conv_macs over all convolutions that a forward pass calls."""
    found = []

    def count(conv, given, out):
        side, k = given[0].shape[2:], conv.kernel_size[0]
        channels = conv.in_channels, conv.out_channels
        how = conv.groups, conv.stride[0]
        found.append(conv_macs(*channels, k, *side, *how))

    hooks = [
        m.register_forward_hook(count)
        for m in net.modules() if isinstance(m, nn.Conv2d)
    ]  # fmt: skip
    with torch.inference_mode():
        net.eval()(torch.zeros(1, *shape))
    for hook in hooks:
        hook.remove()
    return sum(found), len(found)


net = models.create("sigrenet")
mine, calls = macs_by_formula(net, (3, 64, 64))
theirs = measure.count_macs(net, (3, 64, 64))
print(f"SiGREnet, 64 x 64 px: {calls} calls of a convolution, "
      f"{mine:,} MAC; counter {theirs:,}")
records.record("macs", theirs)

# %% [markdown]
# The refiners call the same convolutions three times: weights count once, work counts
# three times. So parameters are no measure of work.
#
# ## 2. What does a machine wait for?
#
# A processor does two things at once: it computes, and it fetches numbers from memory.
# Take a layer of 64 channels on a map of 64 x 64. It must read the map, read its weights
# and write a map: 4 bytes a number. Divide FLOP by bytes: the **arithmetic intensity**
# says how often a fetched number is used.


# %% tags=["nbval-check-output"]
def work(c, k, groups, side):
    """FLOP and least bytes of a convolution of c channels in and out."""
    flops = 2 * conv_macs(c, c, k, side, side, groups)
    numbers = 2 * c * side * side + k * k * (c // groups) * c
    return flops, 4 * numbers


LAYERS = {
    "dense 3 x 3": (3, 1),  # kernel, groups
    "depthwise 3 x 3": (3, 64),
    "pointwise 1 x 1": (1, 1),
}
for name, (k, groups) in LAYERS.items():
    flops, moved = work(64, k, groups, 64)
    print(f"{name:<16} {flops:>11,} FLOP {moved:>9,} bytes: "
          f"{flops / moved:6.2f} FLOP a byte")
    record = "intensity" + ("" if groups == 1 else "_depthwise")
    if k == 3:
        records.record(record, flops / moved, "FLOP/byte")

# %% [markdown]
# The depthwise convolution does 1/64 of the dense one's work on (almost) the same
# numbers. It uses each number 2.2 times, the dense one 134.5 times.
#
# The **roofline** (Williams et al., 2009) turns this into a least time. Computing takes
# FLOP / peak, fetching takes bytes / bandwidth. Both go on at once. Take a toy machine
# with 100 GFLOP/s and 10 GB/s.
#
# **Exercise 13-2.** Write that least time, in microseconds.


# %% tags=["exercise", "ex-13-2"]
def roofline_us(flops, bytes_moved, peak, bandwidth):
    """Least microseconds of a layer; peak in FLOP/s, bandwidth in byte/s.

    A copy of 4 MB at 10 GB/s: roofline_us(0, 4e6, 100e9, 10e9) is 400.
    """
    ### BEGIN SOLUTION
    return 1e6 * max(flops / peak, bytes_moved / bandwidth)
    ### END SOLUTION


# %% tags=["check", "ex-13-2"]
roofline_us = check("13-2", roofline_us)

# %% [markdown] tags=["predict"]
# **P1.** A depthwise 3 x 3 and a pointwise 1 x 1 take the place of the dense 3 x 3, with
# about 1/8 of its MACs. On the toy machine that takes at least (a) 1/8 of the time, (b)
# more than 1/8, (c) longer than before?

# %% tags=["predict"]
guess_1 = None  # "a", "b" or "c"

# %% tags=["nbval-check-output"]
least = {
    name: roofline_us(*work(64, k, groups, 64), 100e9, 10e9)
    for name, (k, groups) in LAYERS.items()
}
for name, us in least.items():
    print(f"{name:<16} at least {us:7.1f} microseconds")
dense, depthwise, pointwise = least.values()
todo = [2 * conv_macs(64, 64, k, 64, 64, g) for k, g in LAYERS.values()]
less_work = todo[0] / (todo[1] + todo[2])
less_time = dense / (depthwise + pointwise)
print(f"toy machine: work / {less_work:.1f}, time / {less_time:.1f}")
guess("P1", guess_1, answer="b",
      a="work was taken for time: the depthwise step waits for memory.",
      c="over-corrected: it waits, but for less than the dense one computes.")

# %% [markdown]
# Work falls to 1/7.9, the least time to 1/5.5 only, and that is the *best* case: a layer
# that starts late, or whose code is not tuned, stands below its roof.
#
# ## 3. The roof of your machine
#
# Measure it. The peak: the most that a large matrix product or a dense convolution
# reached. The bandwidth: the most that a copy of 32 MB reached (16 MB in, 16 MB out). The
# two roofs meet at the **ridge**. For a roof one takes the *best* round; for a layer, the
# median. Everything takes turns.


# %% tags=["figure", "nbval-ignore-output"]
def in_turns(tasks, rounds):
    """Milliseconds (rounds,) of tasks that take turns; round 0 is lost."""
    found = {name: [] for name in tasks}
    for number in range(rounds + 1):
        for name in np.roll(list(tasks), number):
            begun = time.perf_counter()
            tasks[name]()
            if number:
                found[name].append(1000 * (time.perf_counter() - begun))
    return {name: np.array(ms) for name, ms in found.items()}


def forward(net, x):
    """A task: one forward pass without a graph."""
    def task():
        with torch.inference_mode():
            net(x)
    return task


torch.manual_seed(seed)
side = run.pick(smoke=96, fast=256, full=256)
x = torch.randn(1, 64, side, side)
nets = {
    name: nn.Conv2d(64, 64, k, padding=k // 2, groups=groups, bias=False)
    for name, (k, groups) in LAYERS.items()
} | {"ReLU": nn.ReLU()}
a, b = torch.randn(2, 1024, 1024)
source, target = torch.randn(4_000_000), torch.empty(4_000_000)
wide = nn.Conv2d(128, 128, 3, padding=1).to(memory_format=torch.channels_last)
y = torch.randn(1, 128, 64, 64).to(memory_format=torch.channels_last)
tasks = {name: forward(net, x) for name, net in nets.items()}
tasks |= {
    "matrices": lambda: a @ b,
    "wide": forward(wide, y),
    "copy": lambda: target.copy_(source),
}
ms = in_turns(tasks, rounds)
peak = max(
    2 * 1024**3 / ms["matrices"].min(),
    2 * conv_macs(128, 128, 3, 64, 64) / ms["wide"].min(),
) / 1e6  # GFLOP/s
bandwidth = 8 * len(source) / ms["copy"].min() / 1e6  # GB/s
print(f"this machine, one thread: {peak:.0f} GFLOP/s, {bandwidth:.1f} GB/s; "
      f"ridge at {peak / bandwidth:.0f} FLOP a byte")
points = {}
for name in nets:
    k, groups = LAYERS.get(name, (0, 1))
    flops, moved = work(64, k, groups, side)
    flops = flops or 64 * side * side  # a ReLU: one comparison a number
    middle = float(np.median(ms[name]))
    points[name] = (flops / moved, flops / middle / 1e6)
    roof_us = roofline_us(flops, moved, 1e9 * peak, 1e9 * bandwidth)
    print(f"{name:<16} {middle:8.2f} ms; roof {roof_us / 1000:.2f} ms")
figures.show(
    *roofline(
        points,
        peak=peak,
        bandwidth=bandwidth,
        title="Does a layer compute, or does it wait?",
    ),
    caption=f"64 channels, {side} x {side} px, one thread, medians of "
    f"{rounds} rounds in turns, on the machine that ran this. Left of the "
    "dotted line memory is the roof, right of it arithmetic.",
)
separable = np.median(ms["depthwise 3 x 3"] + ms["pointwise 1 x 1"])
faster = float(np.median(ms["dense 3 x 3"]) / separable)
print(f"depthwise + pointwise: work / {less_work:.1f}, time / {faster:.1f}")
records.record("separable_speed_up", faster, n=rounds)

# %% [markdown]
# Read the distances from the roof. In all our runs the depthwise layer did the fewest
# FLOP/s of the three convolutions, and stayed several times below even *its* low roof.
# Part of that is the roof: 9 multiplications for each number leave little to hide the
# waiting behind. The rest is code, and what the system does besides: 04 told that it
# matters whether a process may keep freed memory. The roof does not tell whose fault it
# is.
#
# Then the last line: is the time divided by 7.9, as the work is? How well the code of
# *each* layer is tuned to the machine decides. We have seen both: a pair that was quicker
# than its work promises, and, on a busy machine, one that took even *longer* than the
# dense layer. **MACs alone do not tell a time.**
#
# A point above the roof is no miracle. Above the slope: small maps stay in the
# processor's cache, which delivers faster than memory; that is why the maps here are
# large. Above the flat part: the peak was measured in a worse moment. On a busy machine
# all points sink, the long tasks most.
#
# Move a layer about. What lifts it to the right: more channels, a larger kernel, or more
# groups? (A toy machine again: 100 GFLOP/s, 10 GB/s.)


# %% tags=["widget"]
def layer_view(channels=256, kernel=5, groups=8):
    """A layer and the three of the table under the toy machine's roof."""
    shown = {name: (64, k, g) for name, (k, g) in LAYERS.items()}
    split = channels if groups == "all" else groups
    shown["yours"] = (channels, kernel, split)
    found = {}
    for name, (c, k, g) in shown.items():
        flops, moved = work(c, k, g, 64)
        reached = flops / roofline_us(flops, moved, 100e9, 10e9) / 1e3
        found[name] = (flops / moved, reached)
    return roofline(
        found, peak=100, bandwidth=10,
        title=f"Flat roof? {channels} channels, k {kernel}, groups {groups}",
    )


figures.slider(
    layer_view, channels=[16, 32, 64, 128, 256], kernel=[1, 3, 5, 7],
    groups=[1, 2, 4, 8, "all"],
    caption="By formula: least time, so every layer sits on the roof. Map of "
    "64 x 64; `all`: depthwise.",
)  # fmt: skip

# %% [markdown]
# ## 4. How to time badly
#
# Many machines take an order and return at once; the work waits in a queue. A GPU does
# so. Here is a pretend one, so that everybody sees the same: asking takes .1 ms, the
# first work takes 50 ms (things are set up once), each later one 5 ms, every fourth 9 ms
# (somebody else is at work). `sync()` waits until the queue is empty.

# %% tags=["nbval-check-output"]
pretend_device = load_checks("13")["13-3"].cases[0][0]
call, clock, sync = pretend_device()
for number in range(3):
    begun = clock()
    call()
    asked = clock() - begun
    sync()
    print(f"call {number + 1}: returned after {asked:.1f} ms, "
          f"done after {clock() - begun:.1f} ms")

# %% [markdown]
# **Exercise 13-3.** Here is how a net is often timed. Find what is wrong with it and
# repair it. With 2 calls to warm up and 5 that count, the pretend device must give 5 ms.


# %% tags=["exercise", "ex-13-3"]
def median_latency(switch_on, warmup, repeats):
    """Median milliseconds of one call.

    switch_on() returns three functions: call, clock (in ms) and sync.
    """
    call, clock, sync = switch_on()
    for _ in range(warmup):
        call()
    ### BEGIN SOLUTION
    sync()
    found = []
    ### STUB: found = []
    ### END SOLUTION
    for _ in range(repeats):
        begun = clock()
        call()
        ### BEGIN SOLUTION
        sync()
        took = clock() - begun
        found.append(took)
        ### STUB: found.append(clock() - begun)
        ### END SOLUTION
    return statistics.median(found)


# %% tags=["check", "ex-13-3"]
median_latency = check("13-3", median_latency)

# %% [markdown]
# Without `sync` the pretend device looks 50 times as fast as it is, and any net on it
# looks equally fast: you timed the asking. On a CPU the call returns when it is done; the
# other traps stay. Time one net, call by call, from the very first.

# %% tags=["figure", "nbval-ignore-output"]
torch.manual_seed(seed)
small = models.create("sigrenet").eval()
image = torch.rand(1, 3, size, size)
one = forward(small, image)
calls_ms = []
for _ in range(run.pick(smoke=15, fast=60, full=200)):
    begun = time.perf_counter()
    one()
    calls_ms.append(1000 * (time.perf_counter() - begun))
calls_ms = np.array(calls_ms)
later = calls_ms[5:]


def median_interval(values):
    """95 % interval of the median by ranks; NaN for under six values."""
    test = stats.quantile_test(values, p=0.5)
    return tuple(map(float, test.confidence_interval()))


middle = float(np.median(later))
quarter, three = np.percentile(later, [25, 75])
print(f"first call {calls_ms[0]:.1f} ms; afterwards median {middle:.1f} ms, "
      f"middle half {quarter:.1f} to {three:.1f}, "
      f"best {later.min():.1f}, worst {later.max():.1f}")
records.record("latency_ms", middle, "ms", n=len(later),
               interval=median_interval(later))
records.record("first_call_ratio", calls_ms[0] / middle)
figures.show(
    *drawing.histogram(
        {"the first 5 calls": calls_ms[:5], "all later calls": later},
        xlabel=f"milliseconds of one call (SiGREnet, {size} px)",
        counted="calls",
        title="Is the first call like the others?",
        bins=30,
    ),
    caption="One thread, batch 1, on the machine that ran this. Records "
    "`latency_ms`, `first_call_ratio`.",
)

# %% [markdown]
# One number hides this. State the median, its spread and how many calls; throw the first
# ones away, and say so.
#
# Now compare two nets. To see what a comparison is worth, take **the same net twice**:
# the right answer is 1. First in blocks (all calls of A, then all of B), then in turns.

# %% tags=["nbval-ignore-output"]
twin = copy.deepcopy(small)
pair = {"A": forward(small, image), "B": forward(twin, image)}
repeats = run.pick(smoke=2, fast=6, full=20)
blocks, turns = [], []
for _ in range(repeats):
    first, second = (in_turns({n: task}, 9)[n] for n, task in pair.items())
    blocks.append(np.median(first) / np.median(second))
    both = in_turns(pair, 9)
    turns.append(np.median(both["A"] / both["B"]))
for name, found in (("in blocks", blocks), ("in turns", turns)):
    print(f"the same net twice, {name}: A / B from {min(found):.3f} to "
          f"{max(found):.3f} over {repeats} comparisons")
records.record("twin_spread_blocks", max(blocks) - min(blocks), n=repeats)
records.record("twin_spread_turns", max(turns) - min(turns), n=repeats)

# %% [markdown]
# In blocks, A and B are timed in different weather; in turns they share it, as far as the
# weather lasts longer than a turn. (A few comparisons on a busy machine may not show it.)
# A gain that is not larger than the spread of a net against itself is no gain.

# %% [markdown] tags=["predict"]
# **P2.** You send 16 images at once instead of one. The time *per image* (a) stays, (b)
# falls, (c) is 16 times as long?

# %% tags=["predict"]
guess_2 = None  # "a", "b" or "c"

# %% tags=["nbval-ignore-output"]
batches = {n: torch.rand(n, 3, size, size) for n in (1, 4, 16)}
found = in_turns(
    {n: forward(small, x) for n, x in batches.items()}, max(3, rounds // 2)
)
each = {n: float(np.median(t)) / n for n, t in found.items()}
for n, t in each.items():
    print(f"batch {n:>2}: {t:.2f} ms per image, {1000 / t:.0f} images/s, "
          f"and each one waits {n * t:.1f} ms")
records.record("batch16_per_image", each[16] / each[1])
guess("P2", guess_2, answer="b",
      a="every call has a fixed cost, which the images of a batch share.",
      c="that is the time of the batch, not of one of its images.")

# %% [markdown]
# So "images a second" with a batch of 16 and "milliseconds an image" with a batch of 1
# are two quantities. A surgeon waits for the second one.

# %% [markdown] tags=["predict"]
# **P3.** REUnet's paper reports 167 ms an image in one figure (9C) and 6 frames a second
# in another (9B). These are (a) two findings, (b) one number?

# %% tags=["predict"]
guess_3 = None  # "a" or "b"

# %% tags=["nbval-check-output"]
print(f"1 / 0.167 s = {1 / 0.167:.2f} images a second")
guess("P3", guess_3, answer="b",
      a="two units, one fact: 1 / .167 = 5.99. The data sets differ, but to "
      "the net every image is 256 x 256 px (section 4.2).")

# %% [markdown]
# One number, on "an i9" without model, threads or batch. SiGREnet's paper says "near
# real-time performance (X ms per image)", with the letter X for the number. How quick is
# quick enough depends on the task; a video of 25 frames a second leaves 40 ms for each.
#
# ## 5. Four free gifts?
#
# The same net, the same numbers (or nearly), less time. Which of these helps *here*?
#
# - `channels_last`: the channels of a pixel lie side by side in memory.
# - **folding** (14 shows how): batch normalisation is multiplied into the convolution.
# - **bf16**: numbers of 16 bits; half the bytes, 8 bits for the fraction.
# - **threads**: the work is divided.
#
# The net is REUnet at width 4, all depthwise blocks. Before you run: which one will help
# most, and does any of them make it *slower*?

# %% tags=["figure", "nbval-ignore-output"]
torch.manual_seed(seed)
plain = models.create("reunet_base4").eval()
picture = torch.rand(1, 3, size, size)


def in_bf16():
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        return plain(picture)


def all_threads():
    torch.set_num_threads(threads)
    forward(plain, picture)()
    torch.set_num_threads(1)


last = copy.deepcopy(plain).to(memory_format=torch.channels_last)
forms = {
    "plain": forward(plain, picture),
    "channels last": forward(last, picture),
    "folded": forward(models.fuse(plain), picture),
    "both": forward(models.for_inference(plain), picture),
    "bf16": in_bf16,
}
if threads > 1:
    forms[f"{threads} threads"] = all_threads
with torch.inference_mode():
    exact = plain(picture)
    moved = (models.for_inference(plain)(picture) - exact).abs().max().item()
    rough = (in_bf16() - exact).abs().max().item()
ms = in_turns(forms, rounds)
gain = {name: float(np.median(t / ms["plain"])) for name, t in ms.items()}
print(f"largest change of a logit: folded {moved:.0e}, bf16 {rough:.0e}")
for name in ("channels last", "folded", "both", "bf16"):
    records.record(f"time_{name.replace(' ', '_')}", gain[name], n=rounds)
figures.show(
    *drawing.bars(
        gain,
        xlabel="time over that of the plain net (below 1: quicker)",
        digits=2,
        accent=["both"],
        title="The same net in other forms: which one is quicker here?",
    ),
    caption=f"REUnet, base 4, one image of {size} px, medians of "
    f"the ratios in {rounds} rounds, on the machine that ran this. "
    "*Both*: folded and channels last.",
)

# %% [markdown]
# `torch.compile` writes C++ for the net and compiles it, so that several operations
# become one loop over the map. (Without it PyTorch is *eager*: one operation after the
# other.) It needs a C++ compiler and time: it pays only if the net runs often. Where
# there is none, here is the recorded value; the smoke profile shows it too.

# %% tags=["nbval-ignore-output"]
compiler = next(filter(shutil.which, ("c++", "g++", "clang++", "cl")), None)
if compiler and run.profile != "smoke":
    chain = nn.Sequential(
        nn.Conv2d(32, 32, 3, padding=1, groups=32, bias=False),
        nn.BatchNorm2d(32), nn.ReLU(), nn.Conv2d(32, 32, 1), nn.Sigmoid(),
    ).eval()  # fmt: skip
    square = torch.rand(1, 32, 128, 128)
    compiled = torch.compile(chain)
    begun = time.perf_counter()
    forward(compiled, square)()
    first = time.perf_counter() - begun
    both = {"eager": chain, "compiled": compiled}
    tasks = {name: forward(form, square) for name, form in both.items()}
    ms = in_turns(tasks, rounds)
    ratio = float(np.median(ms["compiled"] / ms["eager"]))
    saved = float(np.median(ms["eager"] - ms["compiled"])) / 1000
    again = f"{first / saved:,.0f} calls" if saved > 0 else "never"
    print(f"a small block, compiled live: {ratio:.2f} of the time; compiling "
          f"took {first:.0f} s; paid back after: {again}")
    records.record("compile_ratio_block", ratio, n=rounds)
kept = records.committed("benchmarks", "inference_forms")
for wiring, part in kept["wirings"].items():
    told = {n: f["cpu_ratio"] for n, f in part["forms"].items()}
    print(f"recorded, REUnet {wiring}, base {kept['base']}, "
          f"{kept['size']} px: compiled {told['compiled']:.2f}, ONNX Runtime "
          f"{told['onnx_runtime']:.2f} of plain eager's CPU time")
print(f"({'compiler: ' + compiler if compiler else 'no C++ compiler here'}; "
      f"recorded on {kept['cores']} cores {kept['device_name']}, "
      f"{kept['file'][-15:-5]})")

# %% [markdown]
# None of them is free everywhere. bf16 helps where the processor has instructions for it
# and costs time elsewhere, where each operation converts back and forth. Threads help
# large maps and hurt small ones. Measure on the machine that will be used.
#
# ## 6. Memory: what training keeps
#
# Inference may forget a map once the next layer has read it. Training keeps it for
# backward. **Checkpointing** forgets most maps and computes them again when backward
# needs them: memory is paid with time.


# %% tags=["nbval-ignore-output"]
def step(net, x):
    """A task: forward of everything that is supervised, and backward."""
    def task():
        outputs = getattr(net, "forward_stages", net)(x)
        sum(t.square().mean() for t in measure.tensors_of(outputs)).backward()
        net.zero_grad()
    return task


rows = {}
for name in (
    "unet_small", "sigrenet", "grenet", "plnet_dagger", "reunet_base4"
):  # fmt: skip
    net = models.create(name)
    rows[name] = {
        "M parameters": measure.count_parameters(net) / 1e6,
        "kept MB": measure.kept_bytes(net, torch.rand(1, 3, size, size)) / 1e6,
    }
print(pd.DataFrame(rows).T.round(2).to_string())
records.record("activation_mb", rows["reunet_base4"]["kept MB"], "MB")
two = {
    name: models.create("reunet_base4", checkpoint=c).train()
    for name, c in (("kept", False), ("recomputed", True))
}
mb = {n: measure.kept_bytes(net, image) / 1e6 for n, net in two.items()}
tasks = {n: step(net, image) for n, net in two.items()}
ms = in_turns(tasks, max(3, rounds // 3))
longer = float(np.median(ms["recomputed"] / ms["kept"]))
print(f"REUnet, base 4, {size} px: kept {mb['kept']:.1f} MB, recomputed "
      f"{mb['recomputed']:.1f} MB, step takes {longer:.2f} times as long")
full = records.committed("benchmarks", "checkpointing")
for reading, part in full["readings"].items():
    a, b = part["kept"], part["recomputed"]
    print(f"recorded, REUnet base {full['base']}, {full['size']} px, "
          f"{reading}: peak {a['peak_mb']:,.0f} to {b['peak_mb']:,.0f} MB, "
          f"CPU time x {b['step']['cpu_ratio']:.2f}")

# %% [markdown]
# REUnet at full width keeps more than 4 GB for *one* image of 256 px, U-Net about a
# twentieth of that (05 counted it). Its parameters say nothing of this.
#
# ## 7. Three prices, three orders
#
# **Exercise 13-4.** Two prices *disagree* about a pair of nets if each prefers another
# one. Count such pairs. A tie contradicts nobody.


# %% tags=["exercise", "ex-13-4"]
def rank_inversions(a, b):
    """Number of pairs of nets that two prices put in opposite orders.

    rank_inversions([1, 2, 3], [3, 2, 1]) is 3.
    """
    ### BEGIN SOLUTION
    pairs = [(i, j) for i in range(len(a)) for j in range(i + 1, len(a))]
    return sum((a[i] - a[j]) * (b[i] - b[j]) < 0 for i, j in pairs)
    ### END SOLUTION


# %% tags=["check", "ex-13-4"]
rank_inversions = check("13-4", rank_inversions)

# %% [markdown]
# Now all nets of the course beside four of MONAI's, from a committed benchmark in which
# they took turns. Before you look: of all pairs of nets, in how many does the one with
# *fewer parameters* take *longer*?

# %% tags=["predict"]
my_share = None  # a share, such as 0.1

# %% tags=["figure", "nbval-ignore-output"]
bench = records.committed("benchmarks", "models")
nets = {n.replace("monai.", "MONAI "): r for n, r in bench["nets"].items()}
costs = pd.DataFrame({
    "parameters (M)": {n: r["parameters"] / 1e6 for n, r in nets.items()},
    "GMAC": {n: r["gmacs"] for n, r in nets.items()},
    "time (ms)": {n: r["forward"]["cpu_ms"] for n, r in nets.items()},
    "kept (MB)": {n: r["activations_mb"] for n, r in nets.items()},
})
pairs = len(costs) * (len(costs) - 1) // 2
shares = {}
names = list(costs)
for i, first in enumerate(names):
    for second in names[i + 1:]:
        count = rank_inversions(list(costs[first]), list(costs[second]))
        shares[first, second] = count / pairs
        print(f"{first:>14} against {second:<10} disagree on {count:>3} of "
              f"{pairs} pairs ({count / pairs:.0%})")
wrong = shares["parameters (M)", "time (ms)"]
records.record("rank_inversions", round(wrong * pairs), n=pairs)
guess("share", my_share, answer=wrong)
figures.show(
    *ranks(
        {n: tuple(row)[:3] for n, row in costs.iterrows()},
        columns=names[:3],
        title="Do three prices put the nets in one order?",
    ),
    caption=f"One image of {bench['size']} px, {bench['threads']} thread, "
    f"{bench['cores']} cores {bench['device_name']}, {bench['file'][-15:-5]}; "
    "CPU time, median. Coloured: nets as published. Record `rank_inversions`.",
)

# %% [markdown]
# Follow PL-Net: .51 of U-Net's parameters, 1.44 times its work. "Half the parameters" is
# a sentence about a file. Follow REUnet as released: few weights, a time like much larger
# nets. An order of nets by parameters is an order by *parameters*.
#
# REUnet's Fig. 9A puts operations, parameters and memory into one plot of bubbles. Here
# it is for our nets, with numbers.

# %% tags=["figure", "nbval-ignore-output"]
figures.show(
    *drawing.bubbles(
        {
            n: tuple(row[["parameters (M)", "GMAC", "kept (MB)"]])
            for n, row in costs.iterrows()
            if n in models.NAMES or n.startswith("MONAI")
        },
        xlabel="parameters (M)",
        ylabel=f"GMACs of one image of {bench['size']} px",
        sizelabel="kept for backward (MB)",
        title="As REUnet's Fig. 9A: is small on one axis small on the others?",
    ),
    caption="Counts, and memory of a training step with one image; "
    f"`{bench['file']}`.",
    key=True,
)

# %% [markdown]
# ## 8. The papers' sentences, timed
#
# "Lowest time" (REUnet), "faster training and inference" (SiGREnet over GREnet), quicker
# without ConvLSTM, "accelerate inference" by separable convolutions. All of them are
# *ratios*, and ratios travel better than seconds: two nets in turns on one machine. A
# step is forward and backward of all that is supervised. The last line is memory: what
# training keeps with SiGREnet's refiner, over what it keeps with a ConvLSTM in its place.

# %% tags=["nbval-ignore-output"]
torch.manual_seed(seed)
image = torch.rand(1, 3, size, size)
pairs_of_nets = {
    "latency_ratio_reunet_unet": (
        ("reunet", {"base": base}), ("unet", {"base": 2 * base})),
    "latency_ratio_sigrenet_grenet": (("sigrenet", {}), ("grenet", {})),
    "latency_ratio_separable_standard": (
        ("sigrenet", {}), ("sigrenet", {"conv": "std"})),
    "step_ratio_sigrenet_grenet": (("sigrenet", {}), ("grenet", {})),
    "step_ratio_eta_convlstm": (
        ("sigrenet", {"refiner": "eta"}),
        ("sigrenet", {"refiner": "convlstm"})),
}  # fmt: skip
for name, two in pairs_of_nets.items():
    made = [models.create(net, **options) for net, options in two]
    if name.startswith("latency"):
        ours, theirs = (forward(net.eval(), image) for net in made)
    else:
        ours, theirs = (step(net.train(), image) for net in made)
    ms = in_turns({"ours": ours, "theirs": theirs}, rounds)
    ratio = ms["ours"] / ms["theirs"]
    low, high = median_interval(ratio)
    ends = f"[{low:.2f}, {high:.2f}]" if rounds > 5 else "(too few rounds)"
    print(f"{name:<32} {np.median(ratio):.2f} {ends}")
    records.record(
        name, float(np.median(ratio)), n=rounds, interval=(low, high)
    )
grrb, lstm = (
    measure.kept_bytes(models.create("sigrenet", refiner=r), image)
    for r in ("grrb", "convlstm")
)
print(f"{'kept_ratio_grrb_convlstm':<32} {grrb / lstm:.2f}")
records.record("kept_ratio_grrb_convlstm", grrb / lstm)

# %% [markdown]
# In brackets: 95 % interval of the median, which needs six rounds. At this size such
# ratios show a mechanism. The ledger below judges a sentence only by a run of the profile
# `full` at the paper's size. The memory is a count, the same on every machine: without
# ConvLSTM SiGREnet keeps *not less*, because its own refiner leaves as many maps behind,
# and only their work is smaller.
#
# ## 9. What does a training cost?
#
# Nobody prints it. Estimate it, and name every assumption: an estimate without its
# assumptions is a rumour. Change the first lines and see what moves.

# %% tags=["nbval-ignore-output"]
images, epochs = 1000, 150  # training images (ours); epochs of REUnet, 4.2
folds, seeds = 5, 3  # what an honest comparison needs (11, 12)
watts = 65  # assumption: rated power of a desktop processor, all of it for us
grams = 480  # assumption: CO2 a kWh, world average of 2023 (Ember 2024)
rows = {}
for name in models.NAMES:
    seconds = bench["nets"][name]["step"]["cpu_ms"] / 1000
    hours = seconds * images * epochs / 3600
    kwh = hours * watts / 1000
    kg = kwh * grams / 1000
    rows[figures.NAMES[name]] = {
        "s an image": seconds, "h a training": hours, "kWh": kwh,
        "kg CO2": kg, f"kg, {folds * seeds} times": kg * folds * seeds,
    }  # fmt: skip
print(pd.DataFrame(rows).T.round(2).to_string())
print(f"batch 1, {bench['size']} px, one thread; no early stopping, no "
      "cooling, no making of the machine")
ours = bench["nets"]["sigrenet"]
even = images * epochs * ours["step"]["cpu_ms"] / ours["forward"]["cpu_ms"]
print(f"SiGREnet: one training costs as much as {even:,.0f} predictions")

# %% [markdown]
# The pixels (256 px: four times these), the power and the grid can each move the result
# by a factor of several; from the *ratios* between nets power and grid drop out. And a
# tuned net was trained many times before its last training: the cost of a paper is the
# cost of its table.

# %% [markdown]
# ## Recorded results

# %% tags=["result", "nbval-ignore-output"]
torch.set_num_threads(threads)
for row in records.finish():
    value = row["value"]
    shown = f"{value:.4g}" if isinstance(value, float) else f"{value:,}"
    print(f"{row['name']:<32} {shown} {row['unit']}")

# %% [markdown]
# ## What the papers say
#
# Claims about cost. Counts are judged by counting; times by recorded ratios; seconds of
# an unknown machine by nobody.

# %% tags=["claims", "nbval-ignore-output"]
for paper, ids in {
    "reunet": ("X6.memory", "X7", "S5"),
    "plnet": ("T1.bionet.size", "T1.plnet.size", "X37", "X40"),
    "sigrenet": (
        "X1.full", "X1.standard-literal", "X3.training", "X3.inference", "X6",
        "X9.time", "X2.inference", "X18",
    ),
}.items():
    print(paper)
    for name, row in claims.table(paper, *ids).iterrows():
        print(f"  {name}: {row['claim']}\n      paper: {row['paper'] or '-'}; "
              f"ours: {row['ours'] or '-'}; {row['verdict']}")

# %% [markdown] tags=["keypoints"]
# ## Key points
#
# - MACs are work, bytes are waiting: a depthwise layer uses a fetched number 2.2 times, a
#   dense one 134.5 times (13-1, 13-2, `intensity`).
# - Warm up, synchronise, take turns; state the median with its spread, and threads,
#   batch, size and machine (13-3, `latency_ms`, `twin_spread_turns`).
# - Gifts are free only on the machine where you measured them (`time_both`, `time_bf16`).
# - Training memory is another price: it hides from parameters (`activation_mb`).
# - Prices disagree about the order of nets: name the price (13-4, `rank_inversions`).
# - Energy is an estimate with assumptions: name them.

# %% [markdown] tags=["next"]
# ## Where to go next
#
# Notebook 14 takes a net to where it would be used: folded, pruned, in int8, in a
# browser, and asks after each step whether it is still right. Before that, try two
# variations:
#
# - `course run 13 -p size 128`: which ratios of section 8 change with the size?
# - `make bench` runs the course's own benchmarks on your machine.
#
# References: Williams, Waterman, Patterson, *Roofline*, Communications of the ACM 52,
# 2009; Chen et al., *Training deep nets with sublinear memory cost*, 2016, arXiv
# 1604.06174; Kendall, *A new measure of rank correlation*, Biometrika 30, 1938; Ember,
# *Global Electricity Review 2024*.

# %% tags=["nbval-ignore-output"]
print("this run took", records.cost())
