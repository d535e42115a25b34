"""Overlap of volumes, class by class: against the scores of the same voxels laid flat."""

import numpy as np
import pytest

from course_lib import metrics

CLASSES = ["background", "front", "back"]


def drawn(seed):
    return np.random.default_rng(seed).integers(0, 3, (2, 4, 5, 6)).astype(np.uint8)


def test_every_class_of_every_volume_has_the_scores_of_its_voxels():
    preds, targets = drawn(0), drawn(1)
    table = metrics.evaluate_volumes(preds, targets, ["a", "b"], classes=CLASSES)
    assert list(table.case_id) == ["a", "a", "b", "b"]
    assert list(table.class_name) == CLASSES[1:] * 2
    for row in table.itertuples():
        i, label = "ab".index(row.case_id), CLASSES.index(row.class_name)
        flat = [(one[i] == label).reshape(-1, 6) for one in (preds, targets)]
        assert (row.tp, row.fp, row.fn, row.tn) == metrics.counts(*flat)
        assert row.dice == metrics.dice(*flat)
        assert row.specificity == metrics.specificity(*flat)
    found = metrics.summarise(table, level="image").set_index(["class_name", "metric"])
    mean = table[table.class_name == "back"].iou.mean()
    assert found.loc[("back", "iou"), "mean"] == pytest.approx(mean)


def test_an_absent_class_is_filled_as_in_images():
    empty, full = np.zeros((2, 2, 2), int), np.ones((2, 2, 2), int)
    table = metrics.evaluate_volumes([empty, empty], [empty, full], ["a", "b"])
    assert list(table.case) == ["both_empty", "pred_empty"]
    assert np.isnan(table.dice[0])
    assert list(metrics.fill_empty(table).dice) == [1.0, 0.0]


def test_sizes_and_lengths_must_agree():
    one, other = np.zeros((2, 2, 2), int), np.zeros((2, 2, 3), int)
    with pytest.raises(ValueError, match=r"case a: pred is \(2, 2, 2\) and target \(2, 2, 3\)"):
        metrics.evaluate_volumes([one], [other], ["a"])
    with pytest.raises(ValueError, match="must be equally long"):
        metrics.evaluate_volumes([one], [one, one], ["a", "b"])
