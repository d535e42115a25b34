"""Phantoms: what a case depends on, what a factor may change, what a mask may hold."""

import errno
import os

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from course_lib.data import phantoms, prepared, splits
from course_lib.data.phantoms import FACTORS, fields

ALL = ("mixed", *phantoms.LOOKS)
LABELS = {"cardiac": {0, 1, 2, 3}}
CHANNELS = {"mixed": 3, "dermoscopy": 3, "nuclei": 3}


def same(a, b):
    np.testing.assert_array_equal(a.images, b.images)
    np.testing.assert_array_equal(a.masks, b.masks)


@pytest.mark.parametrize("look", ALL)
def test_a_case_depends_on_seed_and_number_only(look):
    many = phantoms.generate(4, size=40, seed=3, look=look)
    later = phantoms.generate(2, size=40, seed=3, look=look, start=2)
    np.testing.assert_array_equal(many.images[2:], later.images)
    np.testing.assert_array_equal(many.masks[2:], later.masks)
    assert many.cases[2:].reset_index(drop=True).equals(later.cases)


@pytest.mark.parametrize("look", ALL)
def test_another_seed_gives_other_pictures(look):
    one, two = (phantoms.generate(2, size=40, seed=s, look=look) for s in (3, 4))
    assert (one.images != two.images).mean() > 0.3
    assert not np.array_equal(one.images[0], one.images[1])


def test_the_size_does_not_change_what_is_drawn():
    small, large = (phantoms.generate(12, size=s, seed=1) for s in (32, 80))
    assert small.cases.equals(large.cases)


@pytest.mark.parametrize("look", phantoms.LOOKS)
def test_a_large_picture_shows_the_same_scene_as_a_small_one(look):
    # Area-averaging the large one must give nearly the small one; only white noise differs.
    easy = {"seed": 2, "look": look, "noise": 0.0}
    small, large = (phantoms.generate(4, size=s, **easy) for s in (48, 144))
    means = large.images.reshape(4, -1, 48, 3, 48, 3).mean((3, 5))
    for a, b in zip(small.images, means, strict=True):
        assert np.corrcoef(a.ravel(), b.ravel())[0, 1] > 0.95
    inside = (large.masks > 0).reshape(4, 48, 3, 48, 3).mean((2, 4)) > 0.5
    both = 2 * (inside & (small.masks > 0)).sum() / (inside.sum() + (small.masks > 0).sum())
    assert both > 0.9


def test_mixed_shows_the_same_case_as_the_look_alone():
    mixed = phantoms.generate(12, size=32, seed=5)
    for j, look in enumerate(mixed.cases["look"]):
        alone = phantoms.generate(1, size=32, seed=5, look=look, start=j)
        np.testing.assert_array_equal(
            mixed.images[j], np.broadcast_to(alone.images[0], (3, 32, 32))
        )
        np.testing.assert_array_equal(mixed.masks[j], alone.masks[0] > 0)


def test_mixed_draws_every_look_but_the_fracture():
    looks = set(phantoms.generate(60, size=32, seed=0).cases["look"])
    assert looks == set(phantoms.LOOKS) - {"fracture"}


@pytest.mark.parametrize("look", phantoms.LOOKS)
@pytest.mark.parametrize("factor", [f for f in FACTORS if f != "smallness"])
def test_only_smallness_changes_the_mask(look, factor):
    low, high = (phantoms.generate(5, 64, 7, look, **{factor: v}) for v in (0.1, 0.9))
    if (look, factor) == ("nuclei", "clutter"):  # clutter lets nuclei touch: they must move
        assert not np.array_equal(low.masks, high.masks)
    else:
        np.testing.assert_array_equal(low.masks, high.masks)
    assert not np.array_equal(low.images, high.images)


@pytest.mark.parametrize("look", [look for look in phantoms.LOOKS if look != "nuclei"])
def test_smallness_makes_the_target_smaller(look):
    low, high = (phantoms.generate(6, 64, 7, look, smallness=v) for v in (0.0, 1.0))
    assert ((low.masks > 0).sum((1, 2)) > (high.masks > 0).sum((1, 2))).all()


def test_smallness_makes_each_nucleus_smaller():
    from scipy.ndimage import label

    low, high = (phantoms.generate(6, 128, 7, "nuclei", smallness=v) for v in (0.0, 1.0))
    mean = [np.mean([m.sum() / label(m)[1] for m in made.masks]) for made in (low, high)]
    assert mean[0] > 3 * mean[1]


@pytest.mark.parametrize("factor", FACTORS)
def test_setting_a_factor_does_not_reshuffle_the_others(factor):
    drawn = phantoms.generate(8, size=32, seed=4).cases
    fixed = phantoms.generate(8, size=32, seed=4, **{factor: 0.25}).cases
    assert (fixed[factor] == 0.25).all()
    rest = [c for c in drawn.columns if c not in (factor, "difficulty")]
    assert drawn[rest].equals(fixed[rest])


def test_setting_a_factor_to_its_drawn_value_changes_nothing():
    drawn = phantoms.generate(1, size=48, seed=9)
    values = {f: drawn.cases.loc[0, f] for f in FACTORS}
    same(drawn, phantoms.generate(1, size=48, seed=9, **values))


def test_the_table_tells_the_difficulty():
    cases = phantoms.generate(30, size=32, seed=0).cases
    columns = ["case_id", "group", "look", "kind", *FACTORS, "difficulty"]
    assert list(cases.columns) == columns
    assert cases["case_id"].is_unique
    assert (cases["group"] == cases["case_id"]).all()
    factors = cases[list(FACTORS)].to_numpy()
    assert ((factors >= 0) & (factors <= 1)).all()
    np.testing.assert_allclose(cases["difficulty"], factors.mean(1))


@pytest.mark.parametrize("look", ALL)
@pytest.mark.parametrize("size", [32, 33, 50, 96, 512])
def test_shape_type_and_labels_at_every_size(look, size):
    n = 3 if size < 500 else 1
    made = phantoms.generate(n, size=size, seed=11, look=look)
    assert made.images.shape == (n, CHANNELS.get(look, 1), size, size)
    assert made.masks.shape == (n, size, size)
    assert made.images.dtype == made.masks.dtype == np.uint8
    assert set(np.unique(made.masks)) == LABELS.get(look, {0, 1})
    assert len(made.classes) == len(LABELS.get(look, {0, 1}))
    assert len(made) == n


@pytest.mark.parametrize("look", ALL)
def test_no_mask_is_empty_not_even_in_the_hardest_small_pictures(look):
    made = phantoms.generate(40, size=32, seed=12, look=look, smallness=1.0, clutter=1.0)
    assert (made.masks > 0).any((1, 2)).all()


def test_every_cardiac_label_is_there_even_at_32_pixels():
    made = phantoms.generate(40, size=32, seed=13, look="cardiac", smallness=1.0)
    assert all(set(np.unique(mask)) == {0, 1, 2, 3} for mask in made.masks)


@pytest.mark.parametrize("look", ["dermoscopy", "ultrasound", "nuclei", "fracture"])
def test_empty_cases_have_an_empty_mask_and_say_so(look):
    made = phantoms.generate(30, size=32, seed=14, look=look, empty=0.5)
    is_empty = (made.cases["kind"] == "empty").to_numpy()
    assert 5 < is_empty.sum() < 25
    np.testing.assert_array_equal(~(made.masks > 0).any((1, 2)), is_empty)
    full = phantoms.generate(30, size=32, seed=14, look=look)
    np.testing.assert_array_equal(made.images[~is_empty], full.images[~is_empty])


def test_empty_takes_the_lesion_out_of_the_picture():
    with_lesion, without = (
        phantoms.generate(4, 64, 15, "dermoscopy", contrast=0.0, empty=e) for e in (0.0, 1.0)
    )
    lesion = with_lesion.masks > 0
    gap = without.images.mean(1)[lesion].mean() - with_lesion.images.mean(1)[lesion].mean()
    assert gap > 30


@pytest.mark.parametrize("look", ["cardiac", "xray"])
def test_hearts_and_lungs_are_never_empty(look):
    with pytest.raises(ValueError, match="empty"):
        phantoms.generate(1, size=32, look=look, empty=0.1)
    mixed = phantoms.generate(40, size=32, seed=0, empty=1.0)
    organ = mixed.cases["look"].isin(["cardiac", "xray"]).to_numpy()
    np.testing.assert_array_equal((mixed.masks > 0).any((1, 2)), organ)


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ({"n": -1}, "n must be 0 or more"),
        ({"n": 1.5}, "n must be a whole number"),
        ({"size": 31}, "size must be 32 to 512"),
        ({"size": 513}, "size must be 32 to 512"),
        ({"seed": -1}, "seed must be 0 or more"),
        ({"start": -1}, "start must be 0 or more"),
        ({"look": "ct"}, "valid are mixed, dermoscopy, ultrasound, nuclei, cardiac, xray"),
        ({"contrast": 1.1}, "contrast must lie in 0 to 1"),
        ({"noise": -0.1}, "noise must lie in 0 to 1"),
        ({"clutter": float("nan")}, "clutter must lie in 0 to 1"),
        ({"smallness": "big"}, "smallness must lie in 0 to 1"),
        ({"empty": 2}, "empty must lie in 0 to 1"),
    ],
)
def test_a_wrong_value_is_refused_in_one_line(bad, message):
    with pytest.raises(ValueError, match=message) as caught:
        phantoms.generate(**{"n": 1, "size": 32, **bad})
    assert "\n" not in str(caught.value)


def test_no_cases_is_a_valid_number_of_cases():
    made = phantoms.generate(0, size=32)
    assert made.images.shape == (0, 3, 32, 32)
    assert "difficulty" in made.cases


def test_the_global_generators_are_left_alone():
    np.random.seed(0)  # noqa: NPY002
    want = np.random.uniform(size=3)  # noqa: NPY002
    np.random.seed(0)  # noqa: NPY002
    phantoms.generate(2, size=32)
    np.testing.assert_array_equal(np.random.uniform(size=3), want)  # noqa: NPY002


@settings(max_examples=30, deadline=None)
@given(
    size=st.integers(32, 96),
    seed=st.integers(0, 2**63),
    start=st.integers(0, 2**40),
    look=st.sampled_from(ALL),
    factors=st.dictionaries(st.sampled_from(FACTORS), st.floats(0, 1)),
)
def test_any_valid_call_gives_a_picture_and_a_mask(size, seed, start, look, factors):
    made = phantoms.generate(1, size, seed, look, start=start, **factors)
    assert made.masks.any()
    assert made.images.std() > 0
    same(made, phantoms.generate(1, size, seed, look, start=start, **factors))


@pytest.mark.parametrize("aspect", [{}, {"ax": 0.3}, {"ay": 0.5}])
def test_fields_have_the_variance_that_the_formula_promises(aspect):
    made = np.stack(
        [fields.field(np.random.default_rng(k), 48, 2, 12, 0.8, **aspect) for k in range(200)]
    )
    assert made.mean() == pytest.approx(0, abs=0.02)
    assert made.std() == pytest.approx(1, abs=0.03)


def test_speckle_is_rayleigh_distributed():
    made = np.stack([fields.envelope(np.random.default_rng(k), 128, 60, 0.6) for k in range(40)])
    assert np.square(made).mean() == pytest.approx(1, abs=0.03)
    assert made.mean() / made.std() == pytest.approx(1.913, abs=0.05)


def test_prepare_writes_a_data_set_that_opens_with_its_split(tmp_path):
    folder = phantoms.prepare(tmp_path / "toy", n=20, size=32, seed=1)
    data = prepared.open(str(folder), verify="hash")
    made = phantoms.generate(20, size=32, seed=1)
    np.testing.assert_array_equal(data.images, made.images)
    np.testing.assert_array_equal(data.masks, made.masks)
    np.testing.assert_allclose(data.cases["difficulty"], made.cases["difficulty"])
    parts = splits.read(folder, "default")["part"]
    assert set(parts) == {"train", "val", "test"}
    assert prepared.verify(folder) == []
    assert data.name == "phantoms"
    assert not splits.check(data.cases, parts)


def test_prepare_writes_the_split_with_the_set(tmp_path, monkeypatch):
    def fail(*_, **__):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(splits, "write", fail)
    with pytest.raises(ValueError, match="cannot write"):
        phantoms.prepare(tmp_path / "toy", n=20, size=32)
    assert list(tmp_path.iterdir()) == []
