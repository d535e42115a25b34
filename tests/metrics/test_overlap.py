import doctest

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from course_lib import metrics
from course_lib.metrics import overlap, roc

SCORES = ["dice", "iou", "precision", "recall", "specificity", "accuracy", "lesion_recall"]
EMPTY, FULL, ONE = np.zeros((2, 2), bool), np.ones((2, 2), bool), np.array([[1, 0], [0, 0]], bool)
mask_pairs = hnp.array_shapes(min_dims=2, max_dims=2, max_side=7).flatmap(
    lambda shape: st.tuples(hnp.arrays(bool, shape), hnp.arrays(bool, shape))
)
repeatable = settings(max_examples=100, deadline=None, derandomize=True, database=None)


def test_by_hand():
    # P = X X .   T = X X X   both: 2 pixels; P only: 1; T only: 1; neither: 2
    #     X . .       . . .
    pair = [[1, 1, 0], [1, 0, 0]], [[1, 1, 1], [0, 0, 0]]
    assert metrics.counts(*pair) == (2, 1, 1, 2)
    assert metrics.dice(*pair) == pytest.approx(2 * 2 / (3 + 3))
    assert metrics.iou(*pair) == pytest.approx(2 / 4)
    assert metrics.precision(*pair) == pytest.approx(2 / 3)
    assert metrics.recall(*pair) == pytest.approx(2 / 3)
    assert metrics.specificity(*pair) == pytest.approx(2 / 3)
    assert metrics.accuracy(*pair) == pytest.approx(4 / 6)


def test_precision_and_recall_are_not_swapped():
    # all four pixels marked, one of them right: tp 1, fp 3, fn 0, tn 0
    assert metrics.counts(FULL, ONE) == (1, 3, 0, 0)
    assert metrics.precision(FULL, ONE) == 0.25
    assert metrics.recall(FULL, ONE) == 1
    assert metrics.specificity(FULL, ONE) == 0
    assert metrics.dice(FULL, ONE) == pytest.approx(0.4)


@pytest.mark.parametrize(
    ("pred", "target", "expected"),
    [  # dice, iou, precision, recall, specificity, accuracy, lesion_recall; None is 0/0
        (EMPTY, EMPTY, [None, None, None, None, 1, 1, None]),
        (EMPTY, ONE, [0, 0, None, 0, 1, 0.75, 0]),
        (ONE, EMPTY, [0, 0, 0, None, 0.75, 0.75, None]),
        (FULL, FULL, [1, 1, 1, 1, None, 1, 1]),
    ],
)
def test_empty_masks_give_the_value_of_the_formula(pred, target, expected):
    for name, value in zip(SCORES, expected, strict=True):
        found = getattr(metrics, name)(pred, target)
        assert isinstance(found, float)
        assert found == pytest.approx(np.nan if value is None else value, nan_ok=True), name


def test_lesion_recall_has_one_vote_for_each_lesion():
    target, pred = np.zeros((2, 20, 20), bool)
    target[2:12, 2:12] = target[15:17, 15:17] = True
    pred[2:12, 2:12] = True
    # 100 pixels found, 4 missed
    assert metrics.recall(pred, target) == pytest.approx(100 / 104)
    assert metrics.lesion_recall(pred, target) == 0.5


def test_lesion_recall_ignores_false_alarms():
    target, pred = np.zeros((2, 9, 9), bool)
    target[[1, 4, 7], [1, 4, 7]] = True
    pred[[1, 4, 0, 8], [1, 4, 8, 0]] = True
    assert metrics.lesion_recall(pred, target) == pytest.approx(2 / 3)
    assert metrics.lesion_recall(np.ones_like(pred), target) == 1


def test_lesions_that_touch_at_a_corner_are_two():
    target = np.eye(2, dtype=bool)
    assert metrics.lesion_recall(ONE, target) == 0.5


def test_integers_and_tensors_are_masks_too():
    torch = pytest.importorskip("torch")
    for kind in (np.uint8, np.int64):
        assert metrics.dice(FULL.astype(kind), ONE.astype(kind)) == pytest.approx(0.4)
    assert metrics.dice(torch.from_numpy(FULL), torch.from_numpy(ONE)) == pytest.approx(0.4)


@repeatable
@given(mask_pairs)
def test_dice_is_symmetric_and_iou_follows_from_it(pair):
    dice = metrics.dice(*pair)
    assert metrics.dice(*pair[::-1]) == pytest.approx(dice, nan_ok=True)
    assert metrics.iou(*pair) == pytest.approx(dice / (2 - dice), nan_ok=True)


@repeatable
@given(mask_pairs)
def test_dice_is_the_harmonic_mean_and_swapping_swaps_precision_with_recall(pair):
    precision, recall = metrics.precision(*pair), metrics.recall(*pair)
    assert metrics.recall(*pair[::-1]) == pytest.approx(precision, nan_ok=True)
    if precision + recall > 0:
        harmonic = 2 * precision * recall / (precision + recall)
        assert metrics.dice(*pair) == pytest.approx(harmonic)


@repeatable
@given(mask_pairs, st.integers(0, 3))
def test_flips_and_padding_change_nothing_but_the_true_negatives(pair, width):
    moved = [np.pad(mask[::-1, ::-1], width) for mask in pair]
    for name in ("dice", "iou", "precision", "recall", "lesion_recall"):
        function = getattr(metrics, name)
        assert function(*moved) == pytest.approx(function(*pair), nan_ok=True), name


def test_agreement_with_monai(monai_metrics, random_pairs):
    import torch

    for pred, target, _ in random_pairs:
        # float, because MONAI's confusion matrix adds the masks: bool ones give tp = 0
        tensors = [torch.from_numpy(mask)[None, None].float() for mask in (pred, target)]
        dice = monai_metrics.compute_dice(*tensors, include_background=True, ignore_empty=False)
        iou = monai_metrics.compute_iou(*tensors, include_background=True, ignore_empty=False)
        table = monai_metrics.get_confusion_matrix(*tensors, include_background=True)[0, 0]
        assert metrics.dice(pred, target) == pytest.approx(dice.item(), abs=1e-6)
        assert metrics.iou(pred, target) == pytest.approx(iou.item(), abs=1e-6)
        tp, fp, tn, fn = table.tolist()
        assert metrics.counts(pred, target) == (tp, fp, fn, tn)


@pytest.mark.parametrize("module", [overlap, roc])
def test_docstring_examples(module):
    result = doctest.testmod(module)
    assert (result.attempted, result.failed) == (1, 0)


@pytest.mark.parametrize("name", [*SCORES, "counts"])
def test_wrong_masks_are_refused(name):
    function = getattr(metrics, name)
    with pytest.raises(TypeError, match="pred must be bool or integers 0/1, got float64"):
        function(np.full((2, 2), 0.6), FULL)
    with pytest.raises(ValueError, match=r"target must hold 0 and 1 only, got 0\.\.255"):
        function(FULL, 255 * ONE.astype(np.uint8))
    with pytest.raises(ValueError, match=r"pred must hold 0 and 1 only, got -1\.\.1"):
        function(np.array([[-1, 1]]), np.array([[0, 1]]))
    with pytest.raises(ValueError, match=r"pred is \(2, 2\) and target \(2, 3\)"):
        function(FULL, np.ones((2, 3), bool))
    with pytest.raises(ValueError, match=r"one mask \(H, W\), got shape \(3, 2, 2\)"):
        function(np.stack([FULL] * 3), FULL)
    with pytest.raises(ValueError, match=r"got shape \(0, 2\)"):
        function(np.zeros((0, 2), bool), np.zeros((0, 2), bool))
