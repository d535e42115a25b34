"""Exercises of notebook 11: right answers, cases, hints, and what known wrong answers give."""

import math

import numpy as np

from course_lib.teaching import Exercise, Wrong

X = (1, 2, 0.5, 1.5, 1, 0.8)


def stopped_run(stop):
    """The toy run of six epochs, stopped after `stop` of them and resumed from its file."""
    w, m, file = 0.0, 0.0, {"w": 0.0, "m": 0.0, "e": 0}
    for first, last in ((0, stop), (stop, 6)):
        w, m = file["w"], file["m"]
        for e in range(first, last):
            m = 0.9 * m + 2 * X[e] * (w * X[e] - 1)
            w -= 0.05 * (1 + math.cos(math.pi * e / 6)) * m
        file = {"w": w, "m": m, "e": last}
    return w


def early_stop(history, patience):
    """Best epoch (the earliest of equals) and the last one that is run."""
    best, bad = 0, 0
    for epoch in range(1, len(history)):
        if history[epoch] > history[best]:
            best, bad = epoch, 0
        else:
            bad += 1
        if bad == patience:
            return best, epoch
    return best, len(history) - 1


def honest_test(validation, test):
    """Test score of the epoch that validation chose, the earliest of equals."""
    return test[int(np.argmax(validation))]


def epoch_mean(losses, sizes):
    """Mean over the cases of an epoch, from the means of its batches."""
    return float(np.average(losses, weights=sizes))


EXERCISES = {
    "11-1": Exercise(
        reference=stopped_run,
        cases=((3,), (0,), (6,), (1,), (5,)),
        hints=(
            "List everything that an epoch changes: print it before and after one.",
            "The weight w, the momentum m, and how many epochs are over.",
            'file = {"w": w, "m": m, "e": stop}; then go on with range(file["e"], EPOCHS). Random '
            "numbers would be drawn from (seed, epoch), so that nothing else need be kept.",
        ),
        wrong=(
            Wrong(
                {0: 0.445633},
                "The weight alone came back: a net is not only its weights. What else changed in "
                "step 1?",
            ),
            Wrong(
                {0: 0.897547},
                "Weight and momentum came back, and the epochs begin at 0 again: which learning "
                "rate comes next, and which x?",
            ),
            Wrong({0: 0.848014}, "The momentum is 0 after the break. Print m before and after it."),
            Wrong(
                {0: 0.928170},
                "That is where the run stood when it was stopped. Three epochs are still to come.",
            ),
        ),
    ),
    "11-2": Exercise(
        reference=early_stop,
        cases=(
            ([0.5, 0.6, 0.55, 0.58, 0.7], 2),
            ([0.5, 0.6, 0.59, 0.61, 0.6, 0.6], 2),
            ([0.5, 0.5, 0.5], 2),
            ([0.5, 0.6, 0.4, 0.5, 0.45, 0.9], 3),
            ([0.7], 5),
            ([0.6, 0.5, 0.4, 0.3], 1),
        ),
        hints=(
            "Keep two things: the best epoch so far, and how many epochs in a row were not better.",
            "Compare with the best so far, not with the epoch before. A tie is not better.",
            "if history[e] > history[best]: best, bad = e, 0; else: bad += 1; stop at bad == "
            "patience.",
        ),
        wrong=(
            Wrong(
                {0: (4, 4), 5: (0, 2)},
                "One epoch too many: after `patience` epochs without a gain no further one is run.",
            ),
            Wrong(
                {0: (4, 4), 3: (5, 5)},
                "You compare with the epoch before: better than yesterday. It must be better than "
                "the best.",
            ),
            Wrong(
                {1: (3, 4)},
                "The counter is never reset: patience counts bad epochs in a row.",
            ),
            Wrong(
                {0: (3, 3), 1: (5, 5)},
                "The last epoch is not the best: `patience` epochs were run in vain.",
            ),
            Wrong({2: (2, 2)}, "Equal is not better: of ties the earlier wins."),
            Wrong(
                {0: (4, 3)},
                "You looked past the stop: epoch 4 was never run, so its score cannot be known.",
            ),
        ),
    ),
    "11-3": Exercise(
        reference=honest_test,
        cases=(
            ([0.7, 0.8, 0.75], [0.72, 0.74, 0.79]),
            ([0.8, 0.8], [0.7, 0.9]),
            ([0.6], [0.5]),
            ([0.5, 0.6, 0.7], [0.65, 0.66, 0.60]),
        ),
        hints=(
            "Who may choose the epoch, and who may only be asked once?",
            "The epoch is the argmax of the validation scores, the first of ties.",
            "test[int(np.argmax(validation))]",
        ),
        wrong=(
            Wrong(
                {0: 0.79, 1: 0.9, 3: 0.66},
                "The best test score: who chose the epoch? The test set did, and so it flatters.",
            ),
            Wrong(
                {0: 0.79, 1: 0.9, 3: 0.60},
                "The last epoch: is it the best trained, or has it over-fitted? Validation knows.",
            ),
            Wrong(
                {0: 0.8, 1: 0.8},
                "The best validation score: that set chose the epoch, so it is no longer unseen.",
            ),
            Wrong({0: 0.74, 1: 0.9}, "Of equal validation scores the first epoch counts."),
        ),
    ),
    "11-4": Exercise(
        reference=epoch_mean,
        cases=(
            ([0.2, 0.4, 0.9], [4, 4, 1]),
            ([0.2, 0.4], [4, 4]),
            ([1.0, 0.0], [1, 15]),
        ),
        hints=(
            "How many images stand behind each number? Are they equally many?",
            "Sum the losses of all cases, divide by the number of cases.",
            "np.average(losses, weights=sizes)",
        ),
        wrong=(
            Wrong(
                {0: 0.5, 2: 0.5},
                "A mean of means: the one image of the last batch weighs as much as four others.",
            ),
            Wrong({0: 3.3}, "That is the sum over the cases. How many are there?"),
            Wrong(
                {0: 0.9, 1: 0.4},
                "The loss of the last batch is the loss now, of a few cases: take all cases of the "
                "epoch.",
            ),
            Wrong(
                {0: 0.275},
                "You divided as if every batch were full: the last one is short.",
            ),
        ),
    ),
}
