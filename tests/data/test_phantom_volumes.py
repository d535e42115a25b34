"""Generated volumes: what a case depends on, what a factor may change, what a mask may hold."""

import numpy as np
import pytest
from scipy import ndimage

from course_lib.data import phantoms, prepared
from course_lib.data.phantoms import FACTORS, volume
from course_lib.data.phantoms.frame import Case

generate = phantoms.generate_volume
MIDDLE = dict.fromkeys(FACTORS, 0.5)


def test_a_case_depends_on_seed_and_number_only():
    many, later = generate(4, size=24, seed=3), generate(2, size=24, seed=3, start=2)
    np.testing.assert_array_equal(many.images[2:], later.images)
    np.testing.assert_array_equal(many.masks[2:], later.masks)
    assert many.cases[2:].reset_index(drop=True).equals(later.cases)
    other = generate(4, size=24, seed=4)
    assert (many.images != other.images).mean() > 0.3


def test_shapes_types_and_table():
    made = generate(3, size=20)
    assert made.images.shape == (3, 1, 20, 20, 20)
    assert made.masks.shape == (3, 20, 20, 20)
    assert made.images.dtype == made.masks.dtype == np.uint8
    assert set(np.unique(made.masks)) == {0, 1}
    assert list(made.cases["case_id"]) == [f"volume-0-{i:05d}" for i in range(3)]
    np.testing.assert_allclose(made.cases["difficulty"], made.cases[list(FACTORS)].mean(axis=1))
    data = prepared.from_arrays("volumes", made.images, made.masks, made.cases, made.classes)
    images, masks = data.batch([2, 0])
    assert images.shape == (2, 1, 20, 20, 20)
    assert masks.shape == (2, 20, 20, 20)


def test_a_large_volume_shows_the_same_scene_as_a_small_one():
    small, large = (generate(4, size=s, seed=2, noise=0.0) for s in (32, 96))
    means = large.images.reshape(4, 32, 3, 32, 3, 32, 3).mean((2, 4, 6))
    inside = large.masks.reshape(4, 32, 3, 32, 3, 32, 3).mean((2, 4, 6)) > 0.5
    for one, other in zip(small.images[:, 0], means, strict=True):
        assert np.corrcoef(one.ravel(), other.ravel())[0, 1] > 0.95
    assert 2 * (inside & (small.masks > 0)).sum() / (inside.sum() + small.masks.sum()) > 0.95


@pytest.mark.parametrize("factor", ["contrast", "noise", "softness", "clutter"])
def test_these_factors_change_the_image_and_leave_the_mask(factor):
    easy, hard = (generate(3, size=24, seed=5, **MIDDLE | {factor: f}) for f in (0.1, 0.9))
    np.testing.assert_array_equal(easy.masks, hard.masks)
    assert not np.array_equal(easy.images, hard.images)


def test_a_factor_of_1_is_the_hard_end():
    def contrast_to_noise(**factors):
        made = generate(12, size=24, seed=6, **MIDDLE | factors)
        image, inside = made.images[:, 0].astype(float), made.masks > 0
        far = ~ndimage.binary_dilation(inside, np.ones((1, 7, 7, 7)))
        return (image[inside].mean() - image[far].mean()) / image[far].std()

    for factor in ("contrast", "noise", "clutter"):
        levels = [contrast_to_noise(**{factor: f}) for f in (0.0, 0.5, 1.0)]
        assert levels[0] > levels[1] > levels[2], factor
    sizes = [generate(12, seed=6, smallness=f).masks.sum() for f in (0.0, 0.5, 1.0)]
    assert sizes[0] > sizes[1] > sizes[2]


def test_vessels_are_as_bright_as_bodies_and_not_labelled():
    quiet = {**MIDDLE, "noise": 0.0, "contrast": 0.0, "softness": 0.0}
    plain, full = (generate(6, size=48, seed=7, **quiet | {"clutter": c}) for c in (0.0, 1.0))
    added = (full.images.astype(int) - plain.images > 60)[:, 0]
    assert added.any(axis=(1, 2, 3)).all()
    assert added[full.masks > 0].mean() < 0.01


def test_no_body_is_empty_or_cut_by_the_border_and_empty_cases_are():
    made = generate(150, size=16, seed=8, smallness=1.0)
    assert made.masks.any(axis=(1, 2, 3)).all()
    large = generate(30, seed=8, smallness=0.0).masks
    assert not any(large.take([0, -1], axis).any() for axis in (1, 2, 3))
    none = generate(4, size=16, empty=1.0)
    assert not none.masks.any()
    assert set(none.cases["kind"]) == {"empty"}


def test_the_kind_counts_the_bodies():
    made = generate(60, seed=9)
    pieces = [ndimage.label(mask)[1] for mask in made.masks]
    named = [int(kind.split()[0]) for kind in made.cases["kind"]]
    assert set(named) == {1, 2, 3}
    # they may touch; a warp may split a sliver off
    apart = [(n, found) for n, found in zip(named, pieces, strict=True) if found > n]
    assert len(apart) <= 2
    assert any(found == 3 for found in pieces)


def test_a_field_has_mean_0_and_unit_variance_at_every_place():
    fields = [volume._field(Case(seed, 0, 16, {}), "any", 2, 7) for seed in range(300)]
    assert np.mean(fields) == pytest.approx(0, abs=0.02)
    assert np.std(fields) == pytest.approx(1, abs=0.02)
    by_place = np.std(fields, axis=0)
    assert by_place.min() > 0.8
    assert by_place.max() < 1.2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": 15}, "size must be 16 to 128, got 15"),
        ({"size": 32.5}, "size must be a whole number, got 32.5"),
        ({"noise": 2}, "noise must lie in 0 to 1, got 2"),
        ({"seed": -1}, "seed must be 0 or more, got -1"),
    ],
)
def test_what_is_out_of_range_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        generate(1, **options)


def test_volumes_are_no_look_of_images():
    assert "volume" not in phantoms.LOOKS
    with pytest.raises(ValueError, match="unknown look 'volume'"):
        phantoms.generate(1, look="volume")
