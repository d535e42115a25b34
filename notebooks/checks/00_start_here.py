"""Exercises of notebook 00: right answers, cases, hints, and what known wrong answers give."""

import numpy as np

from course_lib.teaching import Exercise, Wrong


def foreground_fraction(mask):
    """Share of pixels that are not background, whatever number marks the foreground."""
    return float((mask > 0).mean())


def mask(rows):
    """Return rows as a uint8 mask, the way a mask file holds it."""
    return np.array(rows, dtype=np.uint8)


EXERCISES = {
    "00-1": Exercise(
        reference=foreground_fraction,
        cases=(
            (mask([[1, 0], [0, 0]]),),
            (mask([[255, 255], [0, 0]]),),
            (np.zeros((2, 3), np.uint8),),
            (mask([[2, 1], [0, 0]]),),
            (mask([[0, 0, 1, 0, 0]]),),
        ),
        hints=(
            "Look at the values in the mask first: np.unique(mask).",
            "Compare with 0: that gives True for every foreground pixel.",
            "The mean of mask > 0 is the share of True.",
        ),
        wrong=(
            Wrong({0: 0.25, 1: 127.5}, "Which values does this file hold? Print np.unique(mask)."),
            Wrong({0: 1, 1: 2, 3: 2}, "A fraction of what? Divide by the number of pixels."),
            Wrong({0: 0.25, 1: 0, 3: 0.25}, "255 and 2 are foreground too."),
            Wrong({0: 0.25, 1: 0.5, 4: 1}, "An image need not be square: how many pixels has it?"),
        ),
    ),
    "00-2": Exercise(
        reference="BC",
        hints=(
            "What is the mask for? She wants a number of nuclei.",
            "Count the separate spots in A, in B and in C.",
            "A border that is a pixel off does not change a count.",
        ),
        wrong=(
            Wrong({0: {"A", "B", "C"}}, "Count the nuclei in A: none is lost, none is added."),
            Wrong({0: {"A"}}, "A has the worst Dice. But count its nuclei."),
            Wrong({0: {"B"}}, "What does a counter do with a speck?"),
            Wrong({0: {"C"}}, "And the nucleus that is missing in B?"),
        ),
        model_answer="B loses one of nine nuclei and C adds a false one, so both counts are "
        "wrong. In A every border is off, and the count of nine is right.",
    ),
}
