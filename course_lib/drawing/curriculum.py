"""Which cases a training draws when."""

from collections.abc import Sequence

import numpy as np
from matplotlib import colors
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from course_lib import figures
from course_lib.figures import ACCENTS, FAMILY, INK, PAPER, number

_MOST = 300  # cases: beyond, a rank is less than a pixel high
_PACE = FAMILY["reunet"]["color"]


def draws(counts: np.ndarray, fractions: Sequence[float], *, title: str) -> tuple[Figure, str]:
    """Draw how often each case is drawn in each epoch, and over the whole training.

    Args:
        counts: ``(N, E)`` draws of the case of each rank, the easiest first, in each epoch; N up to
            300.
        fractions: ``(E,)`` share of the cases that the pacing has let in.
        title: Sentence over the figure.

    Raises:
        ValueError: If the shapes disagree or there are over 300 cases.
    """
    counts, fractions = np.asarray(counts), np.asarray(fractions, dtype=float)
    if counts.ndim != 2 or fractions.shape != counts.shape[1:]:
        raise ValueError(
            f"counts must be (cases, epochs) and fractions (epochs,), got {counts.shape} and "
            f"{fractions.shape}"
        )
    cases, epochs = counts.shape
    if cases > _MOST:
        raise ValueError(f"{cases} cases: at most {_MOST} can be told apart")
    fig, (left, right) = figures.new(1, 2, width_ratios=[3, 1], title=title, sharey=True)
    shades = np.array([colors.to_rgb(tone) for tone in (PAPER, *ACCENTS)])
    reach = (0.5, epochs + 0.5, 0.5, cases + 0.5)
    left.imshow(
        shades[np.minimum(counts, 3)],
        aspect="auto",
        origin="lower",
        interpolation="nearest",
        extent=reach,
    )
    edges = np.arange(epochs + 1) + 0.5
    left.stairs(np.ceil(cases * fractions - 1e-9) + 0.5, edges, color=_PACE, linewidth=1.8)
    left.set(xlabel="epoch", ylabel=f"rank (1: easiest; n = {cases})")
    left.xaxis.get_major_locator().set_params(integer=True)
    total = counts.sum(1)
    right.barh(np.arange(1, cases + 1), total, height=1.0, color=ACCENTS[0])
    right.axvline(counts.sum() / cases, color=INK, linestyle=(0, (3, 1.5)), linewidth=1.0)
    right.set(xlabel="draws in all\n(dashed: uniform)", ylim=reach[2:])
    names = ("0", "1", "2", "3 or more draws")
    handles = [
        Patch(facecolor=tone, edgecolor=INK, linewidth=0.6, label=name)
        for name, tone in zip(names, [PAPER, *ACCENTS], strict=True)
    ]
    handles.append(left.plot([], [], color=_PACE, linewidth=1.8, label="let in")[0])
    fig.legend(handles=handles, loc="outside lower center", ncols=5)
    return fig, figures.clip_alt(
        f"Draws of {cases} cases by rank and epoch, {epochs} epochs. Let in: "
        f"{number(fractions[0], 2)} of the cases at first, {number(fractions[-1], 2)} at last. "
        f"Draws in all: easiest {total[0]}, hardest {total[-1]}, uniform "
        f"{number(counts.sum() / cases, 1)}."
    )
