import numpy as np
import pytest

from course_lib import figures
from course_lib.drawing.efficiency import ranks, roofline

LAYERS = {"dense": (100.0, 50.0), "depthwise": (2.0, 8.0)}
COSTS = {"unet": (31.0, 48.0, 7.0), "plnet": (15.7, 69.6, 7.0), "a net": (40.0, 9.0, 1.0)}
COLUMNS = ("parameters (M)", "GMAC", "time (ms)")


def test_the_roof_rises_with_the_bandwidth_and_is_flat_at_the_peak():
    fig, alt = roofline(LAYERS, peak=100, bandwidth=10, title="T")
    ax = fig.axes[0]
    x, y = ax.lines[0].get_data()
    assert x[1] == 10  # the ridge, FLOP/byte
    assert np.allclose(y, np.minimum(10 * x, 100))
    assert ax.get_xscale() == ax.get_yscale() == "log"
    drawn = {line.get_label(): tuple(line.get_xydata()[0]) for line in ax.lines[1:]}
    assert drawn == LAYERS
    assert [text.get_text() for text in fig.legends[0].get_texts()] == list(LAYERS)
    assert ax.texts[0].get_text() == "roof: 10 GB/s, then 100 GFLOP/s"
    assert "from 10 FLOP/byte on" in alt
    assert figures.show(fig, alt)[:4] == b"\x89PNG"


@pytest.mark.parametrize(
    ("layers", "options", "message"),
    [
        ({}, {}, "1 to 8"),
        ({str(i): (1.0, 1.0) for i in range(9)}, {}, "1 to 8"),
        ({"a": (0.0, 1.0)}, {}, "above 0"),
        ({"a": (1.0, float("nan"))}, {}, "above 0"),
        (LAYERS, {"bandwidth": 0.0}, "above 0"),
    ],
)
def test_what_has_no_place_under_a_roof_is_refused(layers, options, message):
    with pytest.raises(ValueError, match=message):
        roofline(layers, **{"peak": 1.0, "bandwidth": 1.0, **options}, title="T")


def test_a_line_a_net_the_cheapest_on_top_and_ties_share_a_rank():
    fig, alt = ranks(COSTS, columns=COLUMNS, title="T")
    ax = fig.axes[0]
    assert [list(line.get_ydata()) for line in ax.lines] == [[2, 2, 2], [1, 3, 2], [3, 1, 1]]
    assert ax.get_ylim()[0] > ax.get_ylim()[1]
    assert {"U-Net 31", "PL-Net 15.7", "a net 1"} <= {t.get_text() for t in ax.texts}
    assert "PL-Net moves most: rank 1 by parameters (M), 3 by GMAC, 2 by time (ms)" in alt
    assert figures.show(fig, alt)[:4] == b"\x89PNG"


@pytest.mark.parametrize(
    ("table", "columns", "message"),
    [
        ({"a": (1.0, 2.0)}, COLUMNS[:2], "2 nets"),
        ({"a": (1.0,), "b": (2.0,)}, COLUMNS[:1], "2 nets"),
        ({"a": (1.0, 2.0), "b": (2.0, 1.0)}, COLUMNS, "2 nets"),
        ({"a": (1.0, np.inf), "b": (2.0, 1.0)}, COLUMNS[:2], "finite"),
    ],
)
def test_what_cannot_be_ranked_is_refused(table, columns, message):
    with pytest.raises(ValueError, match=message):
        ranks(table, columns=columns, title="T")
