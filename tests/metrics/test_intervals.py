import math

import numpy as np
import pytest
from scipy import stats

from course_lib import metrics


def test_bootstrap_equals_scipy():
    values = np.random.default_rng(0).beta(8, 2, 200)
    oracle = stats.bootstrap(
        (values,),
        np.mean,
        n_resamples=9999,
        confidence_level=0.95,
        method="percentile",
        vectorized=True,
        rng=np.random.default_rng(5),
    ).confidence_interval
    assert metrics.bootstrap_interval(values, seed=5) == pytest.approx(tuple(oracle), abs=1e-12)


def test_drawing_in_portions_changes_nothing():
    # 3,000 values are drawn in portions that keep memory low
    values = np.random.default_rng(1).normal(size=3000)
    picks = np.random.default_rng(0).integers(0, 3000, (1000, 3000))
    expected = np.percentile(values[picks].mean(1), [2.5, 97.5])
    assert metrics.bootstrap_interval(values, resamples=1000) == pytest.approx(tuple(expected))


def test_groups_are_drawn_whole_and_images_keep_their_weight():
    # groups a (.9 .9 .9) and b (.5): the four equally likely draws aa, ab, ba, bb have the means
    # .9, .8, .8, .5, so that the 2.5th and 97.5th percentiles are .5 and .9
    values, groups = [0.9, 0.9, 0.9, 0.5], ["a", "a", "a", "b"]
    assert metrics.bootstrap_interval(values, groups) == pytest.approx((0.5, 0.9))
    # percentiles 30 and 70 lie on the draws ab and ba; means of group means would give .7 there
    assert metrics.bootstrap_interval(values, groups, confidence=0.4) == pytest.approx((0.8, 0.8))


def test_same_seed_same_interval_and_constant_values():
    values = np.random.default_rng(3).uniform(size=30)
    assert metrics.bootstrap_interval(values, seed=1) == metrics.bootstrap_interval(values, seed=1)
    assert metrics.bootstrap_interval(values, seed=1) != metrics.bootstrap_interval(values, seed=2)
    assert metrics.bootstrap_interval([0.7] * 5) == pytest.approx((0.7, 0.7))


def test_a_case_without_a_group_stands_alone():
    values = [0.1, 0.5, 0.9, 0.3]
    found = metrics.bootstrap_interval(values, [None, None, math.nan, None])
    assert found == metrics.bootstrap_interval(values)


def test_one_group_gives_no_interval():
    for found in (
        metrics.bootstrap_interval([0.8, 0.6], ["a", "a"]),
        metrics.bootstrap_interval([0.8]),
        metrics.t_interval([0.8]),
    ):
        assert all(math.isnan(bound) for bound in found)


def test_t_interval_by_hand():
    # mean 2, standard deviation 1, standard error 1 / sqrt(3), t(2 degrees, 97.5 %) = 4.30265
    half = 4.30265 / math.sqrt(3)
    assert metrics.t_interval([1, 2, 3]) == pytest.approx((2 - half, 2 + half), abs=1e-5)


def test_t_interval_equals_scipy():
    values = np.random.default_rng(4).normal(size=5)
    oracle = stats.ttest_1samp(values, 0).confidence_interval(0.9)
    assert metrics.t_interval(values, confidence=0.9) == pytest.approx(tuple(oracle))


def test_t_covers_over_few_seeds_where_the_bootstrap_does_not():
    runs = np.random.default_rng(6).normal(size=(2000, 3))

    def coverage(interval):
        bounds = np.array([interval(run) for run in runs])
        return np.mean((bounds[:, 0] < 0) & (bounds[:, 1] > 0))

    # two standard errors of a share near 95 % over 2,000 runs are 1 %
    assert coverage(metrics.t_interval) == pytest.approx(0.95, abs=0.01)
    assert coverage(lambda run: metrics.bootstrap_interval(run, resamples=199)) < 0.80


@pytest.mark.parametrize("interval", [metrics.bootstrap_interval, metrics.t_interval])
def test_open_values_are_refused(interval):
    with pytest.raises(ValueError, match=r"values\[1\] is nan \(1 of 3 .* fill_empty"):
        interval([0.5, math.nan, 0.7])
    with pytest.raises(ValueError, match=r"values\[2\] is inf"):
        interval([0.5, 0.6, math.inf])
    with pytest.raises(ValueError, match=r"must be a list of numbers, got shape \(0,\)"):
        interval([])


def test_groups_of_another_length_are_refused():
    with pytest.raises(ValueError, match="groups has 2 entries for 3 values"):
        metrics.bootstrap_interval([1, 2, 3], ["a", "b"])
