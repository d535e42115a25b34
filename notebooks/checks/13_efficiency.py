"""Exercises of notebook 13: right answers, cases, hints, and what known wrong answers give."""

import statistics

from course_lib.teaching import Exercise, Wrong


def pretend_device():
    """Switch on a machine that queues work; returns call, clock and sync, in milliseconds.

    ``call`` returns after .1 ms, done or not. The first work takes 50, then 5 each, every fourth 9.
    """
    state = {"time": 0.0, "free": 0.0, "works": 0}

    def call():
        state["works"] += 1
        takes = 50.0 if state["works"] == 1 else 9.0 if state["works"] % 4 == 0 else 5.0
        state["free"] = max(state["free"], state["time"]) + takes
        state["time"] += 0.1

    def sync():
        state["time"] = max(state["time"], state["free"])

    return call, lambda: state["time"], sync


def conv_macs(c_in, c_out, k, h, w, groups=1, stride=1):
    """Multiply-adds of a k x k convolution with padding "same"."""
    pixels = -(-h // stride) * -(-w // stride)
    return pixels * k * k * (c_in // groups) * c_out


def roofline_us(flops, bytes_moved, peak, bandwidth):
    """Least microseconds: the slower of computing and fetching (Williams et al. 2009)."""
    return 1e6 * max(flops / peak, bytes_moved / bandwidth)


def median_latency(switch_on, warmup, repeats):
    """Median milliseconds of a call, after calls that do not count, each waited for."""
    call, clock, sync = switch_on()
    for _ in range(warmup):
        call()
    sync()
    seconds = []
    for _ in range(repeats):
        begun = clock()
        call()
        sync()
        seconds.append(clock() - begun)
    return statistics.median(seconds)


def rank_inversions(a, b):
    """Pairs of nets that two costs put in opposite orders (Kendall 1938: discordant pairs)."""
    return sum(
        (a[i] - a[j]) * (b[i] - b[j]) < 0 for i in range(len(a)) for j in range(i + 1, len(a))
    )


PEAK, BANDWIDTH = 100e9, 10e9
PARAMETERS, GMAC = (31.04, 15.73, 3.95, 14.98, 7.77), (36.88, 53.27, 13.61, 16.58, 9.24)

EXERCISES = {
    "13-1": Exercise(
        reference=conv_macs,
        cases=(
            (3, 16, 3, 8, 8),
            (16, 16, 3, 8, 8, 16),
            (16, 32, 1, 8, 8),
            (8, 8, 3, 7, 7, 1, 2),
            (32, 32, 3, 224, 224),
        ),
        hints=(
            "Every number of the output is a sum: how many outputs are there?",
            "Each output number takes k * k * (c_in / groups) multiply-adds.",
            "ceil(h / stride) * ceil(w / stride) * k * k * (c_in // groups) * c_out",
        ),
        wrong=(
            Wrong({0: 27_648, 1: 147_456}, "How many inputs does one output of a group read?"),
            Wrong({0: 27_648, 3: 28_224}, "Count at the outputs: stride 2 makes fewer of them."),
            Wrong({0: 27_648, 3: 5_184}, "7 / 2 is not 3 here: padding rounds it up to 4."),
            Wrong({0: 55_296}, "One multiply-add is one MAC; FLOP count it twice."),
            Wrong({0: 432}, "Those are the weights: each is used at every pixel."),
        ),
    ),
    "13-2": Exercise(
        reference=roofline_us,
        cases=(
            (301_989_888, 2_244_608, PEAK, BANDWIDTH),
            (4_718_592, 2_099_456, PEAK, BANDWIDTH),
            (33_554_432, 2_113_536, PEAK, BANDWIDTH),
            (0, 4_000_000, PEAK, BANDWIDTH),
        ),
        hints=(
            "Two times: that of the arithmetic, that of the memory.",
            "The two overlap: while one number is used, the next one is fetched.",
            "1e6 * max(flops / peak, bytes_moved / bandwidth)",
        ),
        wrong=(
            Wrong({0: 3019.8989, 1: 47.1859}, "Arithmetic alone: who waits for memory?"),
            Wrong({0: 3244.3597}, "They overlap: the slower one rules, no sum."),
            Wrong({0: 1509.9494}, "peak is in FLOP/s already: nothing is halved."),
            Wrong({0: 224.4608, 1: 47.1859}, "The quicker one is done: who waits?"),
        ),
    ),
    "13-3": Exercise(
        reference=median_latency,
        cases=(
            (pretend_device, 2, 5),
            (pretend_device, 1, 1),
            (pretend_device, 3, 1),
            (pretend_device, 2, 2),
        ),
        hints=(
            "call() only puts work into a queue. When is it done?",
            "Wait twice: once before the clock is read first, once before it is read again.",
            "sync(); then for each repeat: clock, call, sync, clock; then the median.",
        ),
        wrong=(
            Wrong({0: 0.1}, "0.1 ms is how long asking takes: the queue is still full."),
            Wrong({1: 50}, "The first work is no typical one: what happens only once?"),
            Wrong({1: 54.9}, "Old work is timed: wait after the warm-up, too."),
            Wrong({0: 5.8}, "One hiccup moved your mean: take the median."),
            Wrong({0: 5, 3: 5}, "The best case is not the typical case: median, not minimum."),
        ),
    ),
    "13-4": Exercise(
        reference=rank_inversions,
        cases=(
            ((1, 2, 3), (1, 2, 3)),
            ((1, 2, 3), (3, 2, 1)),
            (PARAMETERS, GMAC),
            ((1, 1, 2), (1, 2, 3)),
            ((5,), (7,)),
        ),
        hints=(
            "Compare nets two by two: do both costs prefer the same one?",
            "For i < j: the product of the differences is negative if they disagree.",
            "sum((a[i] - a[j]) * (b[i] - b[j]) < 0 for all i < j)",
        ),
        wrong=(
            Wrong({1: 6}, "(i, j) and (j, i) are one pair."),
            Wrong({1: 3, 3: 1}, "A tie contradicts nobody: 0 is not below 0."),
            Wrong({1: 2, 2: 4}, "One move shifts all places behind it: compare pairs, not places."),
            Wrong({1: 2, 2: 1}, "Neighbours only: every net meets every other one."),
        ),
    ),
}
