"""The right letter of exercise 09-4 follows from an interval, whatever a sweep will have found."""

import importlib.util

import pytest

from course_lib import teaching


def rule():
    path = teaching.CHECKS / "09_sigrenet.py"
    spec = importlib.util.spec_from_file_location("checks_09", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.supported


@pytest.mark.parametrize(
    ("differences", "letter"),
    [
        ([0.010, 0.012, 0.011], "A"),
        ([0.010, 0.035, 0.004], "B"),
        ([-0.020, -0.021, -0.022], "B"),
        ([0.020], "B"),
        ([], "B"),
    ],
)
def test_more_steps_are_better_only_with_an_interval_above_zero(differences, letter):
    assert rule()(differences) == letter
