"""Known wrong answers of notebook 13, right ones in another style, and hand-checked values."""

import itertools
import math
import statistics

import numpy as np


def macs(c_in, c_out, k, h, w, groups=1, stride=1, *, group=True, size="out", times=1, each=True):
    sides = {"out": (math.ceil(h / stride), math.ceil(w / stride)), "in": (h, w)}
    sides["floor"] = (h // stride, w // stride)
    pixels = math.prod(sides[size]) if each else 1
    return times * pixels * k**2 * c_out * c_in // (groups if group else 1)


def groups_ignored(*shape):
    return macs(*shape, group=False)


def at_the_inputs(*shape):
    return macs(*shape, size="in")


def rounded_down(*shape):
    return macs(*shape, size="floor")


def in_flop(*shape):
    return macs(*shape, times=2)


def weights_alone(*shape):
    return macs(*shape, each=False)


def compute_only(flops, bytes_moved, peak, bandwidth):
    return flops / peak * 1e6


def one_after_the_other(flops, bytes_moved, peak, bandwidth):
    return 1e6 * (flops / peak + bytes_moved / bandwidth)


def macs_as_flops(flops, bytes_moved, peak, bandwidth):
    return 1e6 * max(flops / 2 / peak, bytes_moved / bandwidth)


def the_quicker(flops, bytes_moved, peak, bandwidth):
    return 1e6 * min(flops / peak, bytes_moved / bandwidth)


def below_the_roof(flops, bytes_moved, peak, bandwidth):
    intensity = flops / bytes_moved
    reached = min(peak, intensity * bandwidth)
    return 1e6 * (flops / reached if flops else bytes_moved / bandwidth)


def latency(switch_on, warmup, repeats, *, first=True, within=True, over=statistics.median):
    call, clock, sync = switch_on()
    for _ in range(warmup):
        call()
    if first:
        sync()
    found = []
    for _ in range(repeats):
        start = clock()
        call()
        if within:
            sync()
        found.append(clock() - start)
    return over(found)


def never_waited(switch_on, warmup, repeats):
    return latency(switch_on, warmup, repeats, first=False, within=False)


def no_warm_up(switch_on, warmup, repeats):
    return latency(switch_on, 0, repeats)


def old_work(switch_on, warmup, repeats):
    return latency(switch_on, warmup, repeats, first=False)


def with_the_mean(switch_on, warmup, repeats):
    return latency(switch_on, warmup, repeats, over=statistics.mean)


def the_best(switch_on, warmup, repeats):
    return latency(switch_on, warmup, repeats, over=min)


def by_differences(switch_on, warmup, repeats):
    call, clock, sync = switch_on()
    ends = []
    for _ in range(warmup + repeats):
        sync()
        ends.append(clock())
        call()
    sync()
    ends.append(clock())
    return float(np.median(np.diff(ends)[warmup:]))


def ordered_pairs(a, b):
    every = itertools.permutations(range(len(a)), 2)
    return sum((a[i] - a[j]) * (b[i] - b[j]) < 0 for i, j in every)


def ties_too(a, b):
    every = itertools.combinations(range(len(a)), 2)
    return sum((a[i] - a[j]) * (b[i] - b[j]) <= 0 for i, j in every)


def moved_places(a, b):
    return int((np.argsort(np.argsort(a)) != np.argsort(np.argsort(b))).sum())


def neighbours(a, b):
    return int((np.diff(a) * np.diff(b) < 0).sum())


def by_signs(a, b):
    rows, columns = (np.sign(np.subtract.outer(x, x)) for x in (a, b))
    return int((rows * columns == -1).sum() // 2)


WRONG = {
    "13-1": [
        (groups_ignored, "of a group"),
        (at_the_inputs, "at the outputs"),
        (rounded_down, "rounds it up"),
        (in_flop, "FLOP count it twice"),
        (weights_alone, "at every pixel"),
    ],
    "13-2": [
        (compute_only, "waits for memory"),
        (one_after_the_other, "overlap"),
        (macs_as_flops, "FLOP/s already"),
        (the_quicker, "who waits?"),
    ],
    "13-3": [
        (never_waited, "still full"),
        (no_warm_up, "only once"),
        (old_work, "Old work"),
        (with_the_mean, "hiccup"),
        (the_best, "best case"),
    ],
    "13-4": [
        (ordered_pairs, "one pair"),
        (ties_too, "tie"),
        (moved_places, "shifts all places"),
        (neighbours, "every other"),
    ],
}
OTHER_STYLE = {
    "13-1": macs,
    "13-2": below_the_roof,
    "13-3": by_differences,
    "13-4": by_signs,
}
GOLDEN = {
    "13-1": [27_648, 9_216, 32_768, 9_216, 462_422_016],
    "13-2": [3019.89888, 209.9456, 335.54432, 400.0],
    "13-3": [5, 5, 9, 7],
    "13-4": [0, 3, 2, 0, 0],
}
