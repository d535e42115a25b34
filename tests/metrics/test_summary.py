import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import course_lib.metrics as package
from course_lib import metrics

SIZE = (20, 100)


def square(rows, columns):
    mask = np.zeros(SIZE, bool)
    mask[rows[0] : rows[1], columns[0] : columns[1]] = True
    return mask


@pytest.fixture
def two_sizes():
    """A lesion of 20 px with Dice 0.10 and one of 1,000 px with Dice 0.90."""
    small, large = square((0, 1), (0, 20)), square((0, 10), (0, 100))
    preds = [np.roll(small, 18, axis=1), np.roll(large, 1, axis=0)]
    return metrics.evaluate_cases(preds, [small, large], ["small", "large"])


@pytest.fixture
def with_empty():
    """One case of each kind; the ok case has Dice 0.5."""
    half, lesion, empty = square((0, 4), (0, 8)), square((0, 4), (4, 12)), square((0, 0), (0, 0))
    preds, targets = [half, empty, empty, lesion], [lesion, empty, lesion, empty]
    ids = ["ok", "both_empty", "pred_empty", "target_empty"]
    return metrics.evaluate_cases(preds, targets, ids)


def value(summary, metric, column):
    return summary.set_index("metric").loc[metric, column]


# Level


def test_per_image_and_pooled_are_two_numbers(two_sizes):
    # small: 2 of 20 found, 18 beside: tp 2, fp 18, fn 18; large: tp 900, fp 100, fn 100
    assert two_sizes["dice"].tolist() == pytest.approx([0.10, 0.90])
    image = metrics.summarise(two_sizes, level="image")
    pooled = metrics.summarise(two_sizes, level="pooled")
    assert value(image, "dice", "mean") == pytest.approx(0.50)
    assert value(image, "dice", "median") == pytest.approx(0.50)
    assert value(pooled, "dice", "pooled") == pytest.approx(2 * 902 / (2 * 902 + 118 + 118))
    assert "mean" not in pooled
    assert "pooled" not in image
    assert metrics.pooled(two_sizes)["dice"].item() == value(pooled, "dice", "pooled")
    assert metrics.pooled(two_sizes)[["tp", "fp", "fn", "n"]].iloc[0].tolist() == [902, 118, 118, 2]


def test_level_has_no_default(two_sizes):
    with pytest.raises(TypeError, match="level"):
        metrics.summarise(two_sizes)
    with pytest.raises(ValueError, match='level must be "image" or "pooled", got \'mean\''):
        metrics.summarise(two_sizes, level="mean")


def test_the_level_can_be_told_from_a_table(two_sizes):
    # IoU = D / (2 - D) holds for one image and for pooled counts, not for means over images
    pooled = metrics.pooled(two_sizes).iloc[0]
    assert pooled["iou"] == pytest.approx(pooled["dice"] / (2 - pooled["dice"]))
    image = metrics.summarise(two_sizes, level="image")
    dice, iou = value(image, "dice", "mean"), value(image, "iou", "mean")
    assert iou > dice / (2 - dice) + 0.05


# Empty masks


def test_default_policy(with_empty):
    filled = metrics.fill_empty(with_empty, "default").set_index("case_id")
    diagonal = math.hypot(*SIZE)
    for name in ("dice", "iou", "precision", "recall", "lesion_recall", "nsd"):
        assert filled.loc["both_empty", name] == 1
        assert filled.loc[["pred_empty", "target_empty"], name].tolist() == [0, 0]
        assert filled.loc["ok", name] == with_empty[name][0]
    assert filled.loc["both_empty", "hd95"] == 0
    assert filled.loc[["pred_empty", "target_empty"], "hd95"].tolist() == [diagonal] * 2
    assert filled.loc["ok", "hd95"] == 4
    # counts, and scores that are defined anyway, stay
    assert filled["accuracy"].tolist() == with_empty["accuracy"].tolist()
    assert filled.loc["target_empty", "specificity"] == 1 - 32 / 2000


def test_filling_leaves_the_given_table_alone_and_nothing_open(with_empty):
    before = with_empty.copy()
    for policy in ("default", "drop"):
        filled = metrics.fill_empty(with_empty, policy)
        assert np.isfinite(filled.select_dtypes("number").to_numpy()).all()
        again = metrics.fill_empty(filled, policy)
        pd.testing.assert_frame_equal(again, filled)
    pd.testing.assert_frame_equal(with_empty, before)


def test_drop_policy_leaves_missed_lesions_in(with_empty):
    filled = metrics.fill_empty(with_empty, "drop")
    assert filled["case_id"].tolist() == ["ok", "pred_empty"]
    assert filled["dice"].tolist() == [0.5, 0]


def test_full_reference_has_specificity_one():
    full = np.ones((4, 4), bool)
    table = metrics.evaluate_cases([full], [full], ["a"])
    assert math.isnan(table["specificity"].item())
    assert metrics.fill_empty(table)["specificity"].item() == 1


def test_diagonal_may_be_given_and_is_asked_for(with_empty):
    filled = metrics.fill_empty(with_empty, diagonal=7.5)
    assert filled["hd95"].tolist() == [4, 0, 7.5, 7.5]
    with pytest.raises(ValueError, match="an empty mask needs the image diagonal"):
        metrics.fill_empty(with_empty.drop(columns="diagonal"))


def test_unknown_policy_is_refused(with_empty):
    with pytest.raises(ValueError, match="policy must be one of default, drop, got 'nan'"):
        metrics.fill_empty(with_empty, "nan")


def test_a_missed_lesion_makes_every_mean_worse(with_empty):
    # with NaN dropped from the mean, HD95 would improve when an object is missed
    ok = with_empty[with_empty["case"] == "ok"]
    more = with_empty[with_empty["case"].isin(["ok", "pred_empty"])]
    before, after = (metrics.summarise(table, level="image") for table in (ok, more))
    assert value(after, "hd95", "mean") > value(before, "hd95", "mean")
    for name in ("dice", "iou", "nsd", "recall", "precision", "lesion_recall"):
        assert value(after, name, "mean") < value(before, name, "mean"), name


def test_every_summary_counts_the_cases(with_empty):
    for level in ("image", "pooled"):
        numbers = metrics.summarise(with_empty, level=level).iloc[0]
        assert numbers[["n", "n_empty", "n_missed", "n_false_alarm"]].tolist() == [4, 2, 1, 1]
        numbers = metrics.summarise(with_empty, level=level, policy="drop").iloc[0]
        assert numbers[["n", "n_empty", "n_missed", "n_false_alarm"]].tolist() == [2, 2, 1, 1]
    image = metrics.summarise(with_empty, level="image")
    assert value(image, "dice", "mean") == pytest.approx((0.5 + 1 + 0 + 0) / 4)


def test_nothing_left_is_an_error(with_empty):
    empty = with_empty[with_empty["case"] == "both_empty"]
    with pytest.raises(ValueError, match="class foreground: no case is left under policy 'drop'"):
        metrics.summarise(empty, level="image", policy="drop")


def test_nanmean_is_not_used():
    for path in Path(package.__file__).parent.glob("*.py"):
        assert "nanmean" not in path.read_text(encoding="utf-8"), path.name


# Classes, groups, files


def test_every_class_has_its_rows():
    rng = np.random.default_rng(0)
    masks = rng.integers(0, 3, (2, 5, 16, 16))
    names = ["background", "wall", "cavity"]
    table = metrics.evaluate_cases(*masks, list("abcde"), classes=names)
    summary = metrics.summarise(table, level="image", resamples=99)
    wall = summary[(summary.class_name == "wall") & (summary.metric == "dice")]
    assert wall["mean"].item() == pytest.approx(table[table.class_name == "wall"]["dice"].mean())
    assert set(summary["class_name"]) == {"wall", "cavity"}
    assert set(summary["n"]) == {5}


def table_of(dice, groups):
    """A table with the given Dice values: 100 reference pixels, as many predicted."""
    hits = np.round(np.array(dice) * 100).astype(int)
    number = np.arange(len(hits))
    misses = 100 - hits
    return pd.DataFrame(
        {
            "case_id": number,
            "group": groups,
            "class_name": "foreground",
            "case": "ok",
            "tp": hits,
            "fp": misses,
            "fn": misses,
            "tn": 800,
            "dice": hits / 100,
        }
    )


def test_intervals_resample_whole_groups():
    rng = np.random.default_rng(1)
    patients = np.repeat(np.arange(20), 10)
    dice = np.clip(rng.normal(0.8, 0.1, 20)[patients] + rng.normal(0, 0.01, 200), 0, 1)
    whole = table_of(dice, patients)
    alone = whole.assign(group=whole["case_id"])
    widths = []
    for table in (whole, alone):
        image = metrics.summarise(table, level="image")
        pooled = metrics.summarise(table, level="pooled")
        expected = metrics.bootstrap_interval(table["dice"], table["group"])
        low, high = value(image, "dice", "low"), value(image, "dice", "high")
        assert (low, high) == expected
        # all images are equally large here, so that pooled equals the mean, interval included
        assert value(pooled, "dice", "pooled") == pytest.approx(value(image, "dice", "mean"))
        assert value(pooled, "dice", "low") == pytest.approx(low)
        assert value(pooled, "dice", "high") == pytest.approx(high)
        widths.append(high - low)
    # ten nearly equal images a patient: about sqrt(10) times as wide
    assert 2 < widths[0] / widths[1] < 4.5


def test_a_table_survives_csv(with_empty, tmp_path):
    with_empty.to_csv(tmp_path / "cases.csv", index=False)
    again = pd.read_csv(tmp_path / "cases.csv")
    first, second = (metrics.summarise(table, level="image") for table in (with_empty, again))
    pd.testing.assert_frame_equal(first, second)


# Two models


def test_paired_difference_is_taken_case_by_case():
    rng = np.random.default_rng(2)
    hard = rng.uniform(0.3, 0.9, 60).round(2)
    first = table_of(hard, np.arange(60))
    second = table_of(hard + 0.02, np.arange(60)).sample(frac=1, random_state=0)
    found = metrics.paired_difference(first, second, "dice")
    # every case gains exactly 0.02: no doubt left, while either mean alone is vague
    assert found == pytest.approx((0.02, 0.02, 0.02, 60))
    low, high = metrics.bootstrap_interval(first["dice"])
    assert high - low > 0.05
    assert metrics.paired_difference(second, first, "dice").mean == pytest.approx(-0.02)


def test_paired_difference_resamples_groups_and_fills_empty(with_empty):
    perfect = with_empty.assign(case="ok", dice=1.0, group="p")
    found = metrics.paired_difference(with_empty.assign(group="p"), perfect, "dice")
    assert found.mean == pytest.approx(1 - (0.5 + 1 + 0 + 0) / 4)
    assert math.isnan(found.low)  # one patient gives no interval


def test_pairs_need_the_same_cases():
    first = table_of([0.5, 0.6, 0.7], [0, 1, 2])
    with pytest.raises(ValueError, match="case 2 is in one table only"):
        metrics.paired_difference(first, first.iloc[:2], "dice")
    twice = pd.concat([first, first.assign(class_name="other")])
    with pytest.raises(ValueError, match="one class and each case once"):
        metrics.paired_difference(twice, twice, "dice")


def test_runs_of_a_setting_are_put_together_over_seeds():
    runs = pd.DataFrame(
        {
            "net": ["b"] * 3 + ["a"] * 4,
            "base": [4.0, 4.0, 4.0, None, None, 8.0, 16.0],
            "value": [0.1, 0.2, 0.3, 0.5, None, 0.7, None],
        }
    )
    found = metrics.over_seeds(runs, ["net", "base"])
    assert list(found.columns) == ["net", "base", "mean", "low", "high", "n"]
    assert list(found["net"]) == ["b", "a", "a", "a"]
    assert list(found["n"]) == [3, 1, 1, 0]
    assert found["mean"].tolist() == pytest.approx([0.2, 0.5, 0.7, float("nan")], nan_ok=True)
    half = 4.302653 * 0.1 / 3**0.5  # t at 2 degrees of freedom
    assert (found["low"][0], found["high"][0]) == pytest.approx((0.2 - half, 0.2 + half))
    assert found["low"][1:].isna().all()
    assert metrics.over_seeds(runs, ["net"])["n"].tolist() == [3, 2]
