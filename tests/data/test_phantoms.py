import numpy as np
import pytest

from course_lib.data import phantoms


@pytest.mark.parametrize("look", ["mixed", *phantoms.LOOKS])
def test_a_case_depends_on_seed_and_number_only(look):
    many = phantoms.generate(4, size=40, seed=3, look=look)
    later = phantoms.generate(2, size=40, seed=3, look=look, start=2)
    np.testing.assert_array_equal(many.images[2:], later.images)
    np.testing.assert_array_equal(many.masks[2:], later.masks)
    assert many.cases[2:].reset_index(drop=True).equals(later.cases)
