"""Known wrong answers of notebook 11, right ones in another style, and hand-checked values."""

import itertools
import math

import numpy as np

X = (1, 2, 0.5, 1.5, 1, 0.8)


def epochs_of(w, m, epochs):
    for e in epochs:
        m = 0.9 * m + 2 * X[e] * (w * X[e] - 1)
        w -= 0.05 * (1 + math.cos(math.pi * e / 6)) * m
    return w, m


def weights_only(stop):
    w, _ = epochs_of(0.0, 0.0, range(stop))
    return epochs_of(w, 0.0, range(6 - stop))[0]


def epoch_restarts(stop):
    w, m = epochs_of(0.0, 0.0, range(stop))
    return epochs_of(w, m, range(6 - stop))[0]


def without_momentum(stop):
    w, _ = epochs_of(0.0, 0.0, range(stop))
    return epochs_of(w, 0.0, range(stop, 6))[0]


def never_resumed(stop):
    return epochs_of(0.0, 0.0, range(stop))[0]


def uninterrupted(_stop):
    return np.float64(epochs_of(0.0, 0.0, range(6))[0])


def better_than_yesterday(history, patience):
    best = bad = 0
    for e in range(1, len(history)):
        best, bad = (e, 0) if history[e] > history[e - 1] else (best, bad + 1)
        if bad == patience:
            return best, e
    return best, len(history) - 1


def one_too_many(history, patience):
    return by_windows(history, patience + 1)


def never_reset(history, patience):
    best = bad = 0
    for e in range(1, len(history)):
        best, bad = (e, bad) if history[e] > history[best] else (best, bad + 1)
        if bad == patience:
            return best, e
    return best, len(history) - 1


def last_as_best(history, patience):
    return (by_windows(history, patience)[1],) * 2


def ties_later(history, patience):
    best = bad = 0
    for e in range(1, len(history)):
        best, bad = (e, 0) if history[e] >= history[best] else (best, bad + 1)
        if bad == patience:
            return best, e
    return best, len(history) - 1


def past_the_stop(history, patience):
    return int(np.argmax(history)), by_windows(history, patience)[1]


def by_windows(history, patience):
    """Right: the first epoch that lies `patience` behind the record so far."""
    records = list(itertools.accumulate(range(len(history)), lambda b, e: better(history, b, e)))
    late = [e for e, best in enumerate(records) if e - best >= patience]
    last = late[0] if late else len(history) - 1
    return [records[last], last]


def better(history, best, e):
    return e if history[e] > history[best] else best


def best_on_test(_validation, test):
    return max(test)


def last_epoch(_validation, test):
    return test[-1]


def best_validation(validation, _test):
    return max(validation)


def last_of_ties(validation, test):
    return max(zip(validation, range(len(test)), test, strict=True))[2]


def by_sorting(validation, test):
    return sorted(zip(validation, test, strict=True), key=lambda pair: -pair[0])[0][1]


def mean_of_means(losses, _sizes):
    return np.mean(losses)


def total(losses, sizes):
    return np.dot(losses, sizes)


def last_batch(losses, _sizes):
    return losses[-1]


def full_batches(losses, sizes):
    return np.dot(losses, sizes) / (len(sizes) * max(sizes))


def case_by_case(losses, sizes):
    return np.repeat(losses, sizes).mean()


WRONG = {
    "11-1": [
        (weights_only, "not only its weights"),
        (epoch_restarts, "which learning rate"),
        (without_momentum, "Print m"),
        (never_resumed, "still to come"),
    ],
    "11-2": [
        (one_too_many, "One epoch too many"),
        (better_than_yesterday, "better than yesterday"),
        (never_reset, "in a row"),
        (last_as_best, "in vain"),
        (ties_later, "the earlier wins"),
        (past_the_stop, "never run"),
    ],
    "11-3": [
        (best_on_test, "who chose the epoch"),
        (last_epoch, "over-fitted"),
        (best_validation, "no longer unseen"),
        (last_of_ties, "the first epoch counts"),
    ],
    "11-4": [
        (mean_of_means, "mean of means"),
        (total, "the sum"),
        (last_batch, "the loss now"),
        (full_batches, "the last one is short"),
    ],
}
OTHER_STYLE = {
    "11-1": uninterrupted,
    "11-2": by_windows,
    "11-3": by_sorting,
    "11-4": case_by_case,
}
GOLDEN = {
    "11-1": [1.147552] * 5,
    "11-2": [(1, 3), (3, 5), (0, 2), (1, 4), (0, 0), (0, 1)],
    "11-3": [0.74, 0.7, 0.5, 0.60],
    "11-4": [0.3667, 0.3, 0.0625],
}
