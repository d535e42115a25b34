import math

import numpy as np
import pytest

from course_lib import metrics

EMPTY, LEFT, FULL = np.zeros((3, 4), bool), np.zeros((3, 4), bool), np.ones((3, 4), bool)
LEFT[:, :2] = True


def test_one_row_a_case_with_raw_values():
    preds, targets = [LEFT, EMPTY, EMPTY, LEFT], [FULL, EMPTY, LEFT, EMPTY]
    table = metrics.evaluate_cases(preds, targets, ["a", "b", "c", "d"], groups=[1, 1, 2, 2])
    assert list(table["case"]) == ["ok", "both_empty", "pred_empty", "target_empty"]
    assert list(table["group"]) == [1, 1, 2, 2]
    assert set(table["class_name"]) == {"foreground"}
    assert list(table["tp"]) == [6, 0, 0, 0]
    assert list(table["fn"]) == [6, 0, 6, 0]
    for row, pred, target in zip(table.itertuples(), preds, targets, strict=True):
        for name in ("dice", "iou", "precision", "recall", "specificity", "accuracy"):
            expected = getattr(metrics, name)(pred, target)
            assert getattr(row, name) == pytest.approx(expected, nan_ok=True), name
        expected = metrics.hd95(pred, target, (1, 1))
        assert row.hd95 == pytest.approx(expected, nan_ok=True)
        assert row.nsd == pytest.approx(metrics.nsd(pred, target, (1, 1), 2.0), nan_ok=True)
        assert row.lesion_recall == pytest.approx(metrics.lesion_recall(pred, target), nan_ok=True)
        assert row.diagonal == 5  # 3 x 4 px


def test_empty_values_before_any_policy():
    table = metrics.evaluate_cases([EMPTY, EMPTY, LEFT], [EMPTY, LEFT, EMPTY], ["a", "b", "c"])
    both, missed, false_alarm = (row for _, row in table.iterrows())
    for name in ("dice", "iou", "nsd", "hd95"):
        assert math.isnan(both[name])
    for row in (missed, false_alarm):
        assert row["dice"] == row["iou"] == row["nsd"] == 0
        assert row["hd95"] == math.inf


def test_one_row_for_each_foreground_class():
    target = np.array([[0, 1, 1], [2, 2, 0]])
    pred = np.array([[0, 1, 2], [2, 2, 0]])
    names = ["background", "wall", "cavity", "valve"]
    table = metrics.evaluate_cases([pred], [target], ["a"], classes=names).set_index("class_name")
    assert list(table.index) == names[1:]
    # wall: 1 of 2 found; cavity: 2 right and 1 too many; valve: nowhere
    assert table["dice"][["wall", "cavity"]].tolist() == pytest.approx([2 / 3, 4 / 5])
    assert list(table["case"]) == ["ok", "ok", "both_empty"]


def test_every_case_has_its_size_and_spacing():
    small, large = np.zeros((6, 6), bool), np.zeros((12, 20), bool)
    small[1, 1] = large[1, 1] = True
    moved = [np.roll(mask, 2, axis=0) for mask in (small, large)]
    table = metrics.evaluate_cases(
        moved,
        [small, large],
        ["a", "b"],
        spacings=[(1.0, 1.0), (0.4, 3.0)],
        unit="mm",
        tolerance=1.0,
    )
    assert table["hd95"].tolist() == pytest.approx([2.0, 0.8])
    assert table["nsd"].tolist() == [0, 1]
    assert table["diagonal"].tolist() == pytest.approx([6 * 2**0.5, math.hypot(4.8, 60)])
    assert set(table["unit"]) == {"mm"}
    assert set(table["tolerance"]) == {1.0}


def test_without_groups_every_case_stands_alone():
    table = metrics.evaluate_cases([LEFT, LEFT], [LEFT, FULL], ["a", "b"])
    assert list(table["group"]) == ["a", "b"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"preds": [LEFT]}, "must be equally long, got 1, 2, 2, 2, 2"),
        ({"groups": ["x"]}, "must be equally long, got 2, 2, 2, 1, 2"),
        ({"case_ids": ["a", "a"]}, "case id 'a' is given more than once"),
        ({"preds": [LEFT, LEFT.T]}, r"case b: pred is \(4, 3\) and target \(3, 4\)"),
        ({"targets": [LEFT, 3 * LEFT.astype(int)]}, r"case b: target holds labels 0\.\.3"),
        ({"preds": [LEFT, -1 * LEFT.astype(int)]}, r"case b: pred holds labels -1\.\.0"),
        ({"preds": [LEFT, LEFT[None]]}, r"case b: pred must be \(H, W\), got shape \(1, 3, 4\)"),
        ({"spacings": [(1, 1), (0, 1)]}, r"case b: spacing must be \(row, column\) sizes > 0"),
        ({"unit": "mm"}, 'unit "mm" needs spacings'),
        ({"unit": "cm"}, 'unit must be "px" or "mm", got \'cm\''),
        ({"tolerance": -1}, "tolerance must be 0 or greater"),
        ({"classes": ["background"]}, "classes must name the background and at least one class"),
        ({"preds": [], "targets": [], "case_ids": []}, "there is no case to evaluate"),
    ],
)
def test_wrong_input_is_refused_by_name(change, message):
    given = {"preds": [LEFT, LEFT], "targets": [LEFT, LEFT], "case_ids": ["a", "b"], **change}
    with pytest.raises(ValueError, match=message):
        metrics.evaluate_cases(**given)


def test_probabilities_are_refused():
    with pytest.raises(TypeError, match="case a: pred must be bool or integer labels, got float"):
        metrics.evaluate_cases([LEFT * 0.6], [LEFT], ["a"])
