import numpy as np
import pytest
from matplotlib.colors import to_rgb

from course_lib import figures
from course_lib.drawing.curriculum import draws

COUNTS = np.array([[2, 1, 1], [2, 1, 1], [0, 2, 1], [0, 0, 5]])
LET_IN = (0.5, 0.75, 1.0)


def test_a_cell_a_case_and_epoch_and_the_step_of_the_pacing_over_them():
    fig, alt = draws(COUNTS, LET_IN, title="T")
    left, right = fig.axes
    tones = [to_rgb(tone) for tone in (figures.PAPER, *figures.ACCENTS)]
    assert np.array_equal(left.images[0].get_array(), np.array(tones)[np.minimum(COUNTS, 3)])
    step = next(patch for patch in left.patches if hasattr(patch, "get_data"))
    assert list(step.get_data().values) == [2.5, 3.5, 4.5]  # the upper edges of ranks 2, 3, 4
    assert [bar.get_width() for bar in right.patches] == [4, 4, 3, 5]
    assert right.lines[0].get_xdata()[0] == 4  # 16 draws of 4 cases
    assert "0.50 of the cases at first, 1.00 at last" in alt
    assert "easiest 4, hardest 5, uniform 4.0" in alt
    assert figures.show(fig, alt)[:4] == b"\x89PNG"


def test_equal_figures_give_equal_small_pictures():
    pictures = [figures.show(*draws(np.ones((96, 12), int), np.ones(12), title="T")) for _ in "ab"]
    assert pictures[0] == pictures[1]
    assert len(pictures[0]) < 30_000


@pytest.mark.parametrize(
    ("counts", "fractions", "message"),
    [
        (COUNTS, (0.5, 1.0), "cases, epochs"),
        (COUNTS[0], LET_IN, "cases, epochs"),
        (np.zeros((301, 2), int), (1, 1), "at most 300"),
    ],
)
def test_what_cannot_be_drawn_is_refused(counts, fractions, message):
    with pytest.raises(ValueError, match=message):
        draws(counts, fractions, title="T")
