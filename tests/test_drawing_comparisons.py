import itertools
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.colors import to_hex, to_rgb
from matplotlib.text import Text

from course_lib import drawing, figures, metrics
from course_lib.drawing import comparisons, costs
from tests.test_drawing import check_drawing

NAN = float("nan")
LONG = "loss dice_ce, augmentation strong, base {}"
COSTS = {
    "unet": (31.0, 54.7, 1240),
    "attention_unet": (34.9, 66.6, 1650),
    "reunet": (8.2, 21.3, 830),
    "bionet": (15, 115, 1900),
    "plnet": (15.8, 53.3, 1420),
    "grenet": (7.9, 60.0, 2100),
    "sigrenet": (7.9, 62.0, 2150),
}
LABELS = {"xlabel": "augmentation", "ylabel": "loss", "label": "mean Dice, n = 5", "title": "T"}


def scores(rows, runs=5, name="loss {}"):
    rng = np.random.default_rng(3)
    return {name.format(i): rng.normal(0.8 + 0.003 * i, 0.01, runs) for i in range(rows)}


def pairs(rows, name="loss {}"):
    found = {n: v - 0.82 for n, v in scores(rows, name=name).items()}
    return {n: (v.mean(), *metrics.t_interval(v)) for n, v in found.items()}


def intervals(found):
    return {name: metrics.t_interval(v) for name, v in found.items() if len(v)}


def forest(rows, **options):
    return drawing.forest(rows, **{"n": 5, "title": "T", "xlabel": "Dice: a minus b", **options})


def runs(found, **options):
    spans = intervals(found)
    return drawing.runs(found, intervals=spans, title="T", xlabel="Dice of a run", **options)


def trend(names, xs, **options):
    points = [(x, 0.7 + 0.01 * i, 0.68, 0.75) for i, x in enumerate(xs)]
    labels = {"xlabel": "base", "ylabel": "mean Dice over seeds (n = 3 to 5)"}
    return drawing.trend(dict.fromkeys(names, points), title="T", **labels, **options)


def cells(rows, columns, scale=0.02):
    return np.random.default_rng(0).normal(0, scale, (rows, columns))


def heat_map(values, **options):
    rows, columns = np.shape(values)
    names = {"rows": [f"a {i}" for i in range(rows)], "columns": [f"b {i}" for i in range(columns)]}
    return drawing.heat_map(values, **{**names, **LABELS, **options})


def bubbles(points, **options):
    labels = {"xlabel": "parameters (M)", "ylabel": "GMACs per image", "title": "T"}
    return drawing.bubbles(points, sizelabel="peak memory (MB)", **labels, **options)


DRAWINGS = {
    "forest": lambda: forest(pairs(5), matters=0.01, reference="loss dice_ce"),
    "forest 1 pair": lambda: forest({"a": (0.02, NAN, NAN)}, n=1),
    "forest 12": lambda: forest(pairs(12), n="3 to 5 seeds", matters=0.005),
    "forest none yet": lambda: forest({"a": (-0.02, -0.03, -0.01), "b": (NAN, NAN, NAN)}),
    "forest long names": lambda: forest(
        pairs(6, LONG), matters=0.01, reference="loss dice_ce, augmentation none, base 16"
    ),
    "heat map": lambda: heat_map(0.8 + cells(3, 4), halves=np.full((3, 4), 0.012)),
    "heat map 1": lambda: heat_map([[0.8]]),
    "heat map signed": lambda: heat_map([[0.01, NAN], [0.0, -0.034]], signed=True),
    "heat map large": lambda: heat_map(1000 * cells(4, 5), digits=1, halves=np.full((4, 5), NAN)),
    "runs": lambda: runs({**scores(5), "one": [0.79], "none yet": []}),
    "runs 1": lambda: runs({"unet": [0.8]}),
    "runs 12": lambda: runs(scores(12, runs=3)),
    "runs long names": lambda: runs(scores(6, runs=10, name=LONG)),
    "trend": lambda: trend(["mean Dice"], [8, 16, 32, 64], log=True),
    "trend 3": lambda: trend(["unet", "reunet", LONG], [1e-4, 2e-4, 5e-4, 1e-3]),
    "trend 1 point": lambda: trend(["unet"], [8]),
    "bubbles": lambda: bubbles(COSTS),
    "bubbles 1": lambda: bubbles({"unet": COSTS["unet"]}),
    "bubbles linear": lambda: bubbles(
        {LONG.format(i): c for i, c in enumerate(COSTS.values())}, log=""
    ),
}
# The largest that are drawn at all: more text than a chart has.
FULL = {
    "forest 24": lambda: forest(pairs(24), matters=0.005),
    "forest 12 long names": lambda: forest(pairs(12, LONG), matters=0.005),
    "heat map 6 x 8": lambda: heat_map(cells(6, 8), signed=True, halves=np.abs(cells(6, 8, 0.03))),
    "runs 24": lambda: runs(scores(24)),
    "runs 12 long names": lambda: runs(scores(12, name=LONG)),
    "bubbles 12": lambda: bubbles({f"base {i}": (2**i, 4**i, 50 * 2**i) for i in range(12)}),
}


@pytest.mark.parametrize("name", DRAWINGS)
def test_every_drawing_is_complete(name):
    check_drawing(*DRAWINGS[name](), limit=30_000)


@pytest.mark.parametrize("name", FULL)
def test_the_fullest_drawings_are_complete(name):
    check_drawing(*FULL[name](), limit=40_000)


@pytest.mark.parametrize("name", [*DRAWINGS, *FULL])
def test_no_text_lies_on_another(name):
    fig, _ = {**DRAWINGS, **FULL}[name]()
    fig.draw_without_rendering()
    unseen = {text for ax in fig.axes for axis in (ax.xaxis, ax.yaxis) for text in outside(axis)}
    shown = [t for t in fig.findobj(Text) if t.get_visible() and t.get_text().strip()]
    # The box of the text alone: that of an annotation holds its leader too.
    boxes = [(t, Text.get_window_extent(t).padded(-1)) for t in shown if t not in unseen]
    for (one, here), (other, there) in itertools.combinations(boxes, 2):
        assert not here.overlaps(there), f"{one} on {other}"


def outside(axis):
    low, high = sorted(axis.get_view_interval())
    ticks = [*axis.get_major_ticks(), *axis.get_minor_ticks()]
    return [tick.label1 for tick in ticks if not low <= tick.get_loc() <= high]


@pytest.mark.parametrize("name", ["forest", "heat map", "runs", "trend 3", "bubbles"])
def test_two_runs_give_equal_bytes(name):
    assert figures.png(DRAWINGS[name]()[0]) == figures.png(DRAWINGS[name]()[0])


def row_names(fig):
    return [t.get_text() for t in fig.axes[0].get_yticklabels()]


def written(fig):
    return [t.get_text() for t in fig.axes[0].texts]


def test_forest_orders_by_difference_and_fills_what_leaves_out_zero():
    fig, alt = forest(
        {"up": (0.02, 0.01, 0.03), "none": (NAN, NAN, NAN), "down": (-0.01, -0.03, 0.01)},
        matters=0.01,
        reference="U-Net",
    )
    assert row_names(fig) == ["none", "down", "up"]
    faces = [line.get_markerfacecolor() for line in fig.axes[0].lines if line.get_marker() == "o"]
    assert faces == [figures.PAPER, figures.INK]
    minus = "\N{MINUS SIGN}"
    assert f"{minus}0.010 [{minus}0.030, +0.010]" in written(fig)
    assert "\N{LEFTWARDS ARROW} U-Net higher" in written(fig)
    assert "n = 5; 1 of 3 intervals leave out 0. Highest up +0.020 [+0.010, +0.030]" in alt
    assert "n = 5" in fig.get_supxlabel()
    assert "grey: up to 0.01, stated beforehand" in fig.get_supxlabel()


def test_forest_of_one_pair_is_open_and_has_no_bar():
    fig, _ = DRAWINGS["forest 1 pair"]()
    drawn = [line for line in fig.axes[0].lines if len(line.get_xdata()) == 1]
    assert [line.get_markerfacecolor() for line in drawn] == [figures.PAPER]
    assert len(fig.axes[0].lines) == 2  # the zero line and the marker
    assert "+0.020, no interval" in written(fig)
    assert "grey" not in fig.get_supxlabel()


def test_forest_refuses_what_it_cannot_draw():
    with pytest.raises(ValueError, match="at least one defined difference"):
        forest({"a": (NAN, NAN, NAN)})
    with pytest.raises(ValueError, match="0 rows: 1 to 24"):
        forest({})
    with pytest.raises(ValueError, match=r"matters = -0\.1 must be"):
        forest(pairs(2), matters=-0.1)


def test_heat_map_writes_a_dash_for_a_missing_cell_and_bold_for_a_clear_one():
    halves = [[0.005, NAN], [0.02, 0.03]]
    fig, alt = heat_map([[0.01, NAN], [0.01, -0.034]], halves=np.array(halves), signed=True)
    weights = {t.get_text(): t.get_fontweight() for t in fig.axes[0].texts[:2]}
    assert weights["+0.010"] == "bold"
    dashes = [t for t in fig.axes[0].texts if t.get_text() == "\N{EN DASH}"]
    assert [t.xy for t in dashes] == [(1, 0)]
    bold = [t.xy for t in fig.axes[0].texts if t.get_fontweight() == "bold"]
    assert bold == [(0, 0), (1, 1)]
    assert fig.axes[0].images[0].get_clim() == (-0.04, 0.04)
    assert "1 cell without a value" in alt
    assert "bold: it leaves out 0" in fig.get_supxlabel()


def test_a_difference_without_an_interval_is_never_bold():
    fig, _ = DRAWINGS["heat map signed"]()
    assert all(t.get_fontweight() == "normal" for t in fig.axes[0].texts)


def test_noise_does_not_fill_the_range_of_colours():
    fig, _ = heat_map([[0.800, 0.802]], halves=np.array([[0.05, 0.05]]))
    low, high = fig.axes[0].images[0].get_clim()
    assert (low, high) == pytest.approx((0.75, 0.852))


def luminance(colour):
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(colour)]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("kind", ["share", "amount", "signed"])
def test_cell_text_has_contrast_on_every_shade(kind):
    for ground in figures.MAPS[kind](np.linspace(0, 1, 256)):
        text = comparisons._readable(ground)
        assert to_hex(text) in {"#ffffff", "#000000"}
        light, dark = sorted((luminance(text), luminance(ground)), reverse=True)
        assert (light + 0.05) / (dark + 0.05) >= 4.5


def test_heat_map_refuses_what_cannot_be_read():
    with pytest.raises(ValueError, match="7 x 2 cells cannot be read: at most 6 x 8"):
        heat_map(cells(7, 2))
    with pytest.raises(ValueError, match=r"values \(2, 2\) and halves \(1, 2\) must be \(2, 2\)"):
        heat_map(cells(2, 2), halves=cells(1, 2))
    with pytest.raises(ValueError, match="at least one defined value"):
        heat_map([[NAN]])


def test_runs_keep_the_given_order_and_count_each_row():
    found = {"b": [0.8, 0.82, 0.84], "a": [0.9], "none": [], "half": [0.7, NAN]}
    fig, alt = drawing.runs(found, intervals={"b": (0.77, 0.87)}, title="T", xlabel="Dice of a run")
    assert row_names(fig)[::-1] == ["b", "a", "none", "half"]
    assert written(fig)[::-1] == [
        "0.820 \N{PLUS-MINUS SIGN} 0.050 (n = 3)",
        "0.900 (n = 1)",
        "\N{EN DASH} (n = 0)",
        "0.700 (n = 1)",
    ]
    assert "5 runs of 4 settings. Mean: highest a 0.900 (n = 1), lowest half 0.700" in alt
    with pytest.raises(ValueError, match="at least one defined score"):
        drawing.runs({"a": []}, intervals={}, title="T", xlabel="x")


def test_runs_say_that_the_axis_is_cut():
    assert "does not start at 0" in runs({"a": [0.8, 0.9]})[0].get_supxlabel()
    fig, _ = runs({"a": [-0.01, 0.9]})
    assert "does not start at 0" not in fig.get_supxlabel()
    assert fig.axes[0].get_xlim()[0] < -0.01


def test_trend_sorts_its_points_and_ticks_the_measured_values():
    points = [(32, 0.8, 0.7, 0.9), (8, 0.6, NAN, NAN), (16, 0.7, 0.6, 0.8)]
    fig, alt = drawing.trend(
        {"unet": points}, title="T", xlabel="base", ylabel="Dice (n = 3)", log=True
    )
    assert "U-Net: 0.600 at 8, 0.800 at 32 (n = 3)" in alt
    assert [t.get_text() for t in fig.axes[0].get_xticklabels()] == ["8", "16", "32"]
    assert fig.axes[0].get_ylabel() == "Dice\n(n = 3; bar: 95 % interval)"
    with pytest.raises(ValueError, match="at least one point"):
        drawing.trend({"unet": []}, title="T", xlabel="x", ylabel="y")


def test_intervals_of_two_series_stand_beside_each_other():
    fig, _ = trend(["unet", "reunet"], [8, 16])
    fig.draw_without_rendering()
    first, second = (line.get_transform().transform((8, 0.7))[0] for line in fig.axes[0].lines)
    assert second - first == pytest.approx(5 * fig.dpi / 72)


def test_bubbles_draw_areas_and_put_large_ones_behind():
    fig, alt = bubbles({"unet": (1, 1, 100), "reunet": (2, 2, 400)})
    first, second, _ = (c.get_sizes() for c in fig.axes[0].collections)
    assert first[0] == pytest.approx(4 * second[0])
    assert "largest REUnet: 400 at 2, 2; smallest U-Net: 100 at 1, 1" in alt
    with pytest.raises(ValueError, match="x = 0 must be above 0"):
        bubbles({"a": (0, 1, 1)})
    with pytest.raises(ValueError, match="13 points: 1 to 12"):
        bubbles({str(i): (1, 1, 1) for i in range(13)})
    with pytest.raises(ValueError, match="finite"):
        bubbles({"a": (1, NAN, 1)})


@settings(deadline=None, max_examples=25)
@given(
    st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=1, max_size=8, unique=True)
)
def test_names_of_bubbles_never_overlap(spots):
    anchors = 60.0 + np.array(spots) * [80, 50]
    sizes = np.full((len(spots), 2), [70.0, 15.0])
    frame = np.array([[0.0, 0.0], [540.0, 370.0]])
    centres = costs.place(anchors, np.full(len(spots), 8.0), sizes, frame)
    for one, other in itertools.combinations(centres, 2):
        assert (np.abs(one - other) >= [70 - 1e-6, 15 - 1e-6]).any()
    assert (centres - sizes / 2 >= -1e-6).all()
    assert (centres + sizes / 2 <= frame[1] + 1e-6).all()


def test_no_alt_repeats_a_sole_row():
    for name in ("forest 1 pair", "runs 1", "bubbles 1"):
        assert not re.search("lowest|smallest", DRAWINGS[name]()[1])
