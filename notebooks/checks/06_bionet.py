"""Exercises of notebook 06: right answers, cases, hints, and what known wrong answers give."""

import torch
from torch import nn

from course_lib.teaching import Exercise, Wrong


def run_passes(x, t, enc, dec):
    """Outputs of the decoder, one a pass; its output is the encoder's partner of the next pass."""
    partner, outputs = x, []
    for _ in range(t):
        partner = dec(enc(x, partner))
        outputs.append(partner)
    return outputs


def trainable(weights_once, bn_channels, t):
    """Trainable numbers of a net of t passes: a scale and a shift per channel and pass."""
    return weights_once + 2 * t * sum(bn_channels)


def statistics_by_pass(maps, momentum):
    """(running mean, batches seen) of each pass's own batch normalisation."""
    bn = nn.ModuleList(nn.BatchNorm2d(1, momentum=momentum) for _ in maps)
    for p, x in enumerate(maps):
        bn[p](x)
    return [(norm.running_mean.item(), int(norm.num_batches_tracked)) for norm in bn]


def enc(x, back):
    """Stand-in for an encoder that reads a partner."""
    return x + back / 2


def dec(e):
    """Stand-in for a decoder."""
    return 0.8 * e


def strip(*values):
    """A map of one channel and one row."""
    return torch.tensor(values, dtype=torch.float32)[None, None, None]


EXERCISES = {
    "06-1": Exercise(
        reference=run_passes,
        cases=(
            (1.0, 1, enc, dec),
            (1.0, 3, enc, dec),
            (torch.tensor([1.0, -2.0]), 2, enc, dec),
            (0.0, 2, enc, dec),
        ),
        hints=(
            "What changes from pass to pass? Not x: only the partner beside it.",
            "Before the loop the partner is x itself. In the loop: e = enc(x, partner), "
            "d = dec(e), keep d.",
            "The last line of the loop is partner = d; return the list of all d.",
        ),
        wrong=(
            Wrong(
                {1: [1.2, 1.2, 1.2]},
                "All passes give the same: a loop is no iteration. What differs between passes?",
            ),
            Wrong(
                {0: [0.8]},
                "The first pass has no earlier one, but no zeros either: its partner is x itself.",
            ),
            Wrong(
                {1: [1.2, 1.44, 1.728]},
                "You fed the decoder's map in place of the image's. The stem runs once: x stays.",
            ),
            Wrong(
                {1: [1.2, 1.4, 1.5]},
                "You sent the encoder's map back. A backward skip starts at the decoder.",
            ),
        ),
    ),
    "06-2": Exercise(
        reference=trainable,
        cases=(
            (1000, [8, 8], 1),
            (1000, [8, 8], 3),
            (14_954_625, [4896], 1),
            (14_954_625, [4896], 3),
            (50, [], 4),
        ),
        hints=(
            "What is the same object in every pass, and what does each pass have of its own?",
            "A batch normalisation learns a scale and a shift: 2 numbers a channel.",
            "weights_once + t * 2 * sum(bn_channels)",
        ),
        wrong=(
            Wrong(
                {3: 44_893_251},
                "You copied everything for each pass. Which weights are the same objects?",
            ),
            Wrong(
                {1: 1032, 3: 14_964_417},
                "You shared everything. What would have to fit two distributions at once?",
            ),
            Wrong(
                {1: 1192, 3: 15_013_377},
                "You counted the running statistics (Keras' total does). Are they learned?",
            ),
            Wrong(
                {1: 1048, 3: 14_969_313},
                "You counted one number a channel: there is a scale and a shift.",
            ),
        ),
    ),
    "06-3": Exercise(
        reference=statistics_by_pass,
        cases=(
            ([strip(-1, 1), strip(3, 3)], 1.0),
            ([strip(-1, 1), strip(2, 4), strip(6, 6)], 0.5),
            ([strip(5, 7)], 1.0),
        ),
        hints=(
            "Print the means and the counts: which normalisation ran how often?",
            "Each of them should run once: one a pass.",
            "bn[p](x)",
        ),
        wrong=(
            Wrong(
                {0: [(3.0, 2), (0.0, 0)]},
                "The first one ran twice and kept the last mean. Who never ran?",
            ),
            Wrong(
                {0: [(0.0, 0), (3.0, 2)]},
                "The last one ran twice. Any single one is wrong for some pass: who never ran?",
            ),
            Wrong(
                {0: [(3.0, 1), (0.0, 1)]},
                "Each ran once, in the wrong order: evaluation must find pass p's at index p.",
            ),
        ),
    ),
}
