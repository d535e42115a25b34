import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from course_lib import metrics

SCORES, TARGET = [0.9, 0.8, 0.8, 0.3, 0.1], [1, 0, 1, 1, 0]


def test_curves_by_hand():
    # thresholds inf, .9, .8, .3, .1 mark 0, 1, 3, 4, 5 pixels with 0, 1, 2, 3, 3 hits of 3
    curve = metrics.roc_curve(SCORES, TARGET, level="pooled")
    assert curve.thresholds.tolist() == [math.inf, 0.9, 0.8, 0.3, 0.1]
    assert curve.true_positive_rate == pytest.approx([0, 1 / 3, 2 / 3, 1, 1])
    assert curve.false_positive_rate == pytest.approx([0, 0, 1 / 2, 1 / 2, 1])
    curve = metrics.precision_recall_curve(SCORES, TARGET, level="pooled")
    assert curve.precision == pytest.approx([1, 2 / 3, 3 / 4, 3 / 5])
    assert curve.recall == pytest.approx([1 / 3, 2 / 3, 1, 1])


def test_areas_by_hand():
    # six pairs of a hit and a miss: .9 beats both, .8 ties with .8 and beats .1, .3 beats .1 only
    assert metrics.auc(SCORES, TARGET, level="pooled") == pytest.approx((2 + 1.5 + 1) / 6)
    # a third of the recall at each of the precisions 1, 2/3, 3/4
    expected = (1 + 2 / 3 + 3 / 4) / 3
    assert metrics.average_precision(SCORES, TARGET, level="pooled") == pytest.approx(expected)


pots = st.integers(2, 40).flatmap(
    lambda n: st.tuples(
        st.lists(st.integers(0, 9), min_size=n, max_size=n),
        st.lists(st.booleans(), min_size=n, max_size=n).filter(lambda y: 0 < sum(y) < len(y)),
    )
)
repeatable = settings(max_examples=100, deadline=None, derandomize=True, database=None)


@repeatable
@given(pots)
def test_auc_is_the_rank_statistic(pot):
    scores, target = np.array(pot[0]), np.array(pot[1])
    hits, misses = scores[target], scores[~target]
    oracle = stats.mannwhitneyu(hits, misses).statistic / (hits.size * misses.size)
    assert metrics.auc(scores, target, level="pooled") == pytest.approx(oracle)
    assert metrics.auc(-scores, target, level="pooled") == pytest.approx(1 - oracle)
    assert metrics.auc(np.exp(scores), target, level="pooled") == pytest.approx(oracle)


@repeatable
@given(pots)
def test_every_point_is_a_mask(pot):
    scores, target = np.array(pot[0])[None], np.array(pot[1])[None]
    roc = metrics.roc_curve(scores, target, level="image")
    points = metrics.precision_recall_curve(scores, target, level="image")
    for i, threshold in enumerate(points.thresholds):
        mask = scores >= threshold
        assert points.precision[i] == pytest.approx(metrics.precision(mask, target))
        assert points.recall[i] == pytest.approx(metrics.recall(mask, target))
        assert roc.true_positive_rate[i + 1] == points.recall[i]
        specificity = metrics.specificity(mask, target)
        assert roc.false_positive_rate[i + 1] == pytest.approx(1 - specificity)


def test_guessing():
    rng = np.random.default_rng(0)
    scores, target = rng.random(200_000), rng.random(200_000) < 0.05
    # three standard errors: sqrt(1 / (12 n)) of the 10,000 hits, sqrt(.05 .95 / n) of the share
    assert metrics.auc(scores, target, level="pooled") == pytest.approx(0.5, abs=0.009)
    assert metrics.average_precision(scores, target, level="pooled") == pytest.approx(
        0.05, abs=5e-3
    )


def test_a_high_auc_says_little_at_one_percent():
    # equal-variance normal scores through sensitivity .9 at specificity .99
    shift = stats.norm.ppf(0.9) - stats.norm.ppf(0.01)
    rng = np.random.default_rng(1)
    target = np.arange(400_000) < 4_000
    scores = rng.normal(size=target.size) + shift * target
    expected = stats.norm.cdf(shift / math.sqrt(2))
    assert expected == pytest.approx(0.9946, abs=5e-5)
    found = metrics.auc(scores, target, level="pooled")
    assert found == pytest.approx(expected, abs=1.5e-3)
    # at that threshold precision is .476 and Dice .623
    mask = (scores >= stats.norm.ppf(0.99))[None]
    assert metrics.precision(mask, target[None]) == pytest.approx(0.476, abs=0.02)
    assert metrics.dice(mask, target[None]) == pytest.approx(0.623, abs=0.02)


def test_the_level_makes_two_numbers():
    # each image is ranked perfectly, at another brightness
    scores = np.array([[[0.9, 0.8]], [[0.3, 0.2]]])
    target = np.array([[[1, 0]], [[1, 0]]])
    each = [metrics.auc(*pair, level="image") for pair in zip(scores, target, strict=True)]
    assert each == [1, 1]
    assert metrics.auc(scores, target, level="pooled") == 0.75


def test_one_class_only_is_nan():
    scores = np.array([[0.2, 0.7]])
    for target in ([[0, 0]], [[1, 1]]):
        assert math.isnan(metrics.auc(scores, target, level="image"))
    assert math.isnan(metrics.average_precision(scores, [[0, 0]], level="image"))
    assert metrics.average_precision(scores, [[1, 1]], level="image") == 1


FUNCTIONS = [
    metrics.roc_curve,
    metrics.auc,
    metrics.precision_recall_curve,
    metrics.average_precision,
]


@pytest.mark.parametrize("function", FUNCTIONS)
def test_wrong_input_is_refused(function):
    with pytest.raises(TypeError, match="level"):
        function(SCORES, TARGET)
    with pytest.raises(ValueError, match='level must be "image" or "pooled", got \'mean\''):
        function(SCORES, TARGET, level="mean")
    with pytest.raises(
        ValueError, match=r"takes the scores \(H, W\) of one case, got shape \(5,\)"
    ):
        function(SCORES, TARGET, level="image")
    with pytest.raises(ValueError, match=r"scores \(5,\) and target \(4,\) must have one shape"):
        function(SCORES, TARGET[:4], level="pooled")
    with pytest.raises(ValueError, match=r"target must hold 0 and 1 only, got 0\.\.255"):
        function(SCORES, np.array(TARGET) * 255, level="pooled")
    with pytest.raises(TypeError, match="target must be bool or integers 0/1, got float64"):
        function(SCORES, np.array(TARGET) * 1.0, level="pooled")
    with pytest.raises(ValueError, match="scores hold 1 NaN"):
        function([math.nan, *SCORES[1:]], TARGET, level="pooled")
