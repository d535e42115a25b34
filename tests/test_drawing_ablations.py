import numpy as np
import pytest

from course_lib import metrics
from course_lib.drawing.ablations import paired_lines
from tests.test_drawing import check_drawing

FIRST = np.array([0.9, 0.6, 0.3, 0.5])
NAMES = ("net A", "net B")


def drawn(first, second, **options):
    change = np.subtract(second, first)
    interval = metrics.bootstrap_interval(change, resamples=99) if len(change) > 1 else (0.1, 0.1)
    return paired_lines(first, second, names=NAMES, interval=interval, title="T", **options)


def test_a_line_a_case_and_a_dot_a_difference():
    second = np.array([0.88, 0.57, 0.4, 0.5])
    fig, alt = drawn(FIRST, second)
    left, right = fig.axes
    ends = {tuple(line.get_ydata()) for line in left.lines}
    assert ends == set(zip(FIRST, second, strict=True))
    solid = {tuple(line.get_ydata()) for line in left.lines if line.get_linestyle() == "-"}
    assert solid == {(0.9, 0.88), (0.6, 0.57)}
    dots = right.collections[0].get_offsets()[:, 0]
    assert np.allclose(np.sort(second - FIRST), dots)
    assert "2 fall, 1 rise" in alt
    assert "difference 0.012" in alt
    check_drawing(fig, alt, 30_000)


@pytest.mark.parametrize("n", [1, 80])
def test_one_case_and_many_can_be_read(n):
    rng = np.random.default_rng(0)
    first = 1 - rng.beta(1, 8, n)  # as Dice of a fair net: most high, few low
    fig, alt = drawn(first, np.clip(first + rng.normal(0, 0.02, n), 0, 1))
    assert f"n = {n}" in alt
    check_drawing(fig, alt, 30_000)


@pytest.mark.parametrize(
    ("first", "second", "told"),
    [
        ([], [], "as many scores"),
        ([0.5], [0.5, 0.6], "as many scores"),
        ([0.5, np.nan], [0.5, 0.6], "fill_empty"),
    ],
)
def test_what_is_no_pair_is_refused(first, second, told):
    with pytest.raises(ValueError, match=told):
        paired_lines(first, second, names=NAMES, interval=(0, 0), title="T")
