import pytest
from matplotlib.patches import FancyArrowPatch, Rectangle

from course_lib import figures
from course_lib.drawing.graph import graph

INPUTS = {"a": ["image"], "b": ["a"], "c": ["a"], "d": ["b"]}
PLACES = {"a": (0, 0), "b": (1, 1), "c": (1, 0), "d": (2, 1)}


def patches(fig, kind):
    return [patch for patch in fig.axes[0].patches if isinstance(patch, kind)]


def test_every_part_with_a_place_is_a_box_and_every_reading_an_arrow():
    fig, alt = graph(INPUTS, PLACES, title="T", notes={"a": "32"})
    assert len(patches(fig, Rectangle)) == 4
    assert len(patches(fig, FancyArrowPatch)) == 3  # the image has no place
    assert [text.get_text() for text in fig.axes[0].texts] == ["a\n32", "b", "c", "d"]
    assert alt == "Graph of a net with 4 parts."
    assert figures.show(fig, alt)[:4] == b"\x89PNG"


def test_dead_parts_are_hatched_and_named_in_the_alt_text():
    fig, alt = graph(INPUTS, PLACES, title="T", dead={"c", "d"}, accent=[("a", "b")])
    assert [bool(box.get_hatch()) for box in patches(fig, Rectangle)] == [False, False, True, True]
    assert "2 of them hatched because they reach no output: c, d" in alt
    assert "Marked arrow: a to b" in alt
    assert len({arrow.get_linewidth() for arrow in patches(fig, FancyArrowPatch)}) == 2


@pytest.mark.parametrize(
    "wrong", [{"dead": {"e"}}, {"notes": {"e": "1"}}, {"accent": [("a", "e")]}]
)
def test_a_part_without_a_place_is_refused(wrong):
    with pytest.raises(ValueError, match="'e' has no place"):
        graph(INPUTS, PLACES, title="T", **wrong)
