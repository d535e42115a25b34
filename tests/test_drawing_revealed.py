import numpy as np
import pytest
from matplotlib import colors

from course_lib import figures
from course_lib.drawing.revealed import revealed

IMAGE = np.full((8, 8), 200, np.uint8)
TARGET = np.zeros((8, 8), bool)
TARGET[1:7, 1:7] = True


def inner(margin):
    mask = np.zeros((8, 8), bool)
    mask[margin : 8 - margin, margin : 8 - margin] = True
    return mask


def test_each_pixel_has_the_tone_of_the_step_that_reveals_it_first():
    fig, alt = revealed(IMAGE, TARGET, [inner(3), inner(2)], title="T")
    drawn = fig.axes[1].images[0].get_array()
    for pixel, tone in (((3, 3), 0), ((2, 2), 1)):
        assert drawn[pixel].tolist() == [
            round(255 * v) for v in colors.to_rgb(figures.ACCENTS[tone])
        ]
    assert drawn[1, 1].tolist() == [255] * 3  # never revealed: white below the hatch
    assert alt.endswith(
        "of 36 pixels, and what curricula reveal of it: 11% by step 1, 44% by step 2."
    )
    labels = [text.get_text() for text in fig.legends[0].get_texts()]
    assert labels == ["by step 1: 11%", "by step 2: 44%", "in the mask alone"]
    assert figures.show(fig, alt)[:4] == b"\x89PNG"


def test_an_empty_mask_is_said():
    empty = np.zeros((8, 8), bool)
    fig, alt = revealed(IMAGE, empty, [empty], title="T")
    assert fig.axes[0].get_title() == "reference empty"
    assert "0 pixels" in alt
    assert "nothing by step 1" in alt


@pytest.mark.parametrize("steps", [[inner(2), inner(3)], [inner(0)]])
def test_curricula_that_are_not_nested_are_refused(steps):
    with pytest.raises(ValueError, match="must be nested"):
        revealed(IMAGE, TARGET, steps, title="T")


@pytest.mark.parametrize("count", [0, 4])
def test_so_many_curricula_cannot_be_drawn(count):
    with pytest.raises(ValueError, match=f"1 to 3 curricula can be drawn, not {count}"):
        revealed(IMAGE, TARGET, [inner(3)] * count, title="T")
