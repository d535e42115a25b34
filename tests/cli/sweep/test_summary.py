"""Means, spread and paired differences, against numbers worked out by hand."""

import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from course_lib.cli.sweep import design, plots, summary

ROWS = [
    ("a", 1, 0, 0.70), ("a", 1, 1, 0.80), ("a", 1, 2, 0.90),
    ("b", 1, 0, 0.75), ("b", 1, 1, 0.81), ("b", 1, 2, 0.99),
    ("a", 2, 0, 0.50),
    ("b", 2, 0, 0.40), ("b", 2, 1, None),
]  # fmt: skip


@pytest.fixture
def sweep(make_sweep):
    settings = [{"look": "plain", "height": 1}, {"look": "odd", "height": 1}]
    settings += [{"look": "plain", "height": 2}, {"look": "odd", "height": 2}]
    read = design.read(make_sweep(seeds="[0, 1, 2]"), "fast")
    return design.Sweep(
        **{**vars(read), "settings": tuple(settings), "reference": {"look": "plain"}}
    )


@pytest.fixture
def table():
    looks = {"a": "plain", "b": "odd"}
    frame = pd.DataFrame(ROWS, columns=["look", "height", "seed", "value"])
    frame["look"] = frame["look"].map(looks)
    frame["record"], frame["seconds"], frame["peak_mb"] = "score", 2.0, 90.0
    frame["value"] = frame["value"].astype(float)
    return frame


def test_mean_spread_and_n_of_each_setting(sweep, table):
    rows = summary.by_setting(sweep, table, "score").set_index("label")
    assert list(rows.index) == [
        "look plain, height 1",
        "look odd, height 1",
        "look plain, height 2",
        "look odd, height 2",
    ]
    first = rows.iloc[0]
    half = stats.t.ppf(0.975, 2) * 0.1 / math.sqrt(3)
    assert first["mean"] == pytest.approx(0.8)
    assert first["sd"] == pytest.approx(0.1)
    assert (first["low"], first["high"]) == pytest.approx((0.8 - half, 0.8 + half))
    assert list(rows["n"]) == [3, 3, 1, 1]
    assert list(rows["undefined"]) == [0, 0, 0, 1]
    assert math.isnan(rows.iloc[2]["sd"])
    assert math.isnan(rows.iloc[2]["low"])


def test_differences_are_paired_by_seed_within_the_other_axis(sweep, table):
    rows = summary.differences(sweep, table, "score").set_index("label")
    assert list(rows.index) == ["look odd, height 1", "look odd, height 2"]
    first, second = rows.iloc[0], rows.iloc[1]
    paired = np.array([0.05, 0.01, 0.09])
    half = stats.t.ppf(0.975, 2) * paired.std(ddof=1) / math.sqrt(3)
    assert first["reference"] == "look plain, height 1"
    assert first["difference"] == pytest.approx(0.05)
    assert (first["low"], first["high"]) == pytest.approx((0.05 - half, 0.05 + half))
    assert second["n"] == 1  # seed 1 has no partner, its value is undefined
    assert second["difference"] == pytest.approx(-0.1)
    assert math.isnan(second["low"])


def test_a_setting_without_runs_has_no_value(sweep, table):
    rows = summary.by_setting(sweep, table[table["height"] == 1], "score")
    assert list(rows["n"]) == [3, 3, 0, 0]
    assert rows["mean"].isna().tolist() == [False, False, True, True]
    assert summary.differences(sweep, table[table["look"] == "odd"], "score")["n"].sum() == 0


def test_axes_and_labels_name_what_differs(sweep, make_sweep):
    assert sweep.axes == {"look": ["plain", "odd"], "height": [1, 2]}
    alone = design.read(make_sweep("grid = { height = [3] }"), "fast")
    assert alone.label({"height": 3}) == "the one setting"
    listed = design.read(make_sweep("settings = [{}, { height = 3 }]"), "fast")
    assert [listed.label(one) for one in listed.settings] == ["the one setting", "height 3"]


def test_a_profile_replaces_the_grid_and_keeps_the_rest(make_sweep):
    file = make_sweep(
        "grid = { height = [1, 2] }\n[smoke]\nseeds = [4]\nsettings = [{ height = 9 }]"
    )
    small = design.read(file, "smoke")
    assert small.settings == ({"height": 9},)
    assert small.seeds == (4,)
    assert small.fixed == {"wait": 0.0}
    assert len(design.read(file, "full").settings) == 2


def test_a_heat_map_is_drawn_beside_a_setting_that_does_not_vary(sweep, table):
    settings = tuple({**one, "wait": 0.0} for one in sweep.settings)
    same = design.Sweep(**{**vars(sweep), "settings": settings})
    assert len(plots.of_settings(same, table.assign(wait=0.0))) == 2


def test_pictures_fit_the_design(sweep, table):
    assert len(plots.of_settings(sweep, table)) == 2  # heat map and runs
    differences = summary.differences(sweep, table, "score")
    ((png, alt),) = plots.of_differences(sweep, differences)
    assert png.startswith(b"\x89PNG")
    assert "look odd, height 1" in alt or "2" in alt
    assert plots.of_settings(sweep, table.iloc[:0]) == []
    along = design.Sweep(
        **{
            **vars(sweep),
            "settings": ({"height": 1}, {"height": 2}, {"height": 3}),
            "reference": {},
        }
    )
    part = table[(table["look"] == "plain")].drop(columns="look")
    assert len(plots.of_settings(along, part)) == 2  # trend and runs
    assert plots.of_differences(along, summary.differences(along, part, "score")) == []
