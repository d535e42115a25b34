import doctest
import math
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from course_lib.curriculum import pacing
from course_lib.curriculum.pacing import NAMES, Pacing

PROGRESS = (0, 0.2, 0.4, 0.6, 0.8, 1)
# start 0.25, final 1, end 0.8, 3 stairs; worked out apart from the code
GOLDEN = {
    "linear": (0.25, 0.4375, 0.625, 0.8125, 1, 1),
    "root": (0.25, 0.625, 0.780330, 0.899519, 1, 1),
    "quad": (0.25, 0.296875, 0.4375, 0.671875, 1, 1),
    "step": (0.25, 0.25, 0.25, 0.25, 1, 1),
    "stairs": (0.25, 0.25, 0.5, 0.75, 1, 1),
    "exp": (0.25, 0.353553, 0.5, 0.707107, 1, 1),
    "exp_stairs": (0.25, 0.25, 0.396850, 0.629961, 1, 1),
    "wu_exp": (0.25, 0.250381, 0.255020, 0.311532, 1, 1),
    # u = 1/4, 1/2, 3/4: 0.25 + 0.75 (1 + ln(u) / 10), as e^-10 is 0.00005
    "wu_log": (0.25, 0.896042, 0.948021, 0.978428, 1, 1),
}


def test_every_function_has_golden_values():
    assert set(GOLDEN) == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_golden_values(name):
    pace = Pacing(name, start=0.25, final=1, end=0.8, stairs=3)
    assert [pace.fraction(s) for s in PROGRESS] == pytest.approx(GOLDEN[name], abs=1e-6)


@given(
    name=st.sampled_from(NAMES),
    start=st.floats(0.001, 1),
    span=st.floats(0, 1),
    end=st.floats(0.01, 1),
    stairs=st.integers(1, 20),
    progress=st.lists(st.floats(0, 1.5), min_size=2),
)
@settings(deadline=None, derandomize=True, database=None)
def test_it_grows_from_start_to_final(name, start, span, end, stairs, progress):
    final = start + span * (1 - start)
    pace = Pacing(name, start, final, end, stairs)
    values = [pace.fraction(s) for s in sorted([0, *progress, end])]
    assert all(later >= earlier - 1e-12 for earlier, later in pairwise(values))
    assert values[0] == pytest.approx(start)
    assert values[-1] == final
    assert all(start <= value <= final for value in values)


def test_stairs_are_reached_in_spite_of_rounding():
    assert 0.15 / 0.27 * 9 < 5  # in exact numbers it is 5
    pace = Pacing("stairs", start=0.1, end=0.27, stairs=9)
    assert pace.fraction(0.15) == pytest.approx(0.1 + 0.9 * 5 / 9)


def test_defaults():
    assert Pacing() == Pacing("linear", start=0.3, final=1.0, end=0.6, stairs=5)
    assert Pacing("linear", final=0.7).fraction(1) == 0.7


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"name": "cosine"}, "unknown pacing 'cosine'; valid are linear, root, quad"),
        ({"start": 0}, r"start must be in \(0, 1\], got 0"),
        ({"start": 1.01}, r"start must be in \(0, 1\], got 1.01"),
        ({"start": math.nan}, r"start must be in \(0, 1\], got nan"),
        ({"final": 0.2}, r"final must be from start \(0.3\) to 1, got 0.2"),
        ({"final": 1.5}, "final must be from start"),
        ({"end": 0}, r"end must be in \(0, 1\], got 0"),
        ({"end": 2}, r"end must be in \(0, 1\], got 2"),
        ({"stairs": 0}, "stairs must be a whole number from 1, got 0"),
        ({"stairs": 2.5}, "stairs must be a whole number from 1, got 2.5"),
    ],
)
def test_wrong_options_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        Pacing(**options)


@pytest.mark.parametrize("progress", [-0.1, math.nan])
def test_wrong_progress_is_refused(progress):
    with pytest.raises(ValueError, match="progress must be 0 or greater"):
        Pacing().fraction(progress)


def test_docstring_examples():
    result = doctest.testmod(pacing)
    assert (result.attempted, result.failed) == (1, 0)
