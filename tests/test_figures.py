import io
import re
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from matplotlib import colors
from PIL import Image

from course_lib import figures

ALT = "Line of one number, rising from 0 to 1."


def chart(title="A line rises"):
    fig, ax = figures.new(height=2.5, title=title)
    for name in figures.FAMILY:
        ax.plot([0, 1], [0, np.random.default_rng(len(name)).random()], **figures.style(name))
    return fig


def pixels(data):
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB")).reshape(-1, 3)


@pytest.mark.parametrize("alt", [None, "", "   "])
def test_show_refuses_a_figure_without_alt(alt):
    with pytest.raises(ValueError, match="alt is missing"):
        figures.show(chart(), alt)


def test_show_refuses_alt_of_251_characters_and_takes_250():
    with pytest.raises(ValueError, match="251 characters"):
        figures.show(chart(), "a" * 251)
    assert figures.show(chart(), "a" * 250)


@pytest.mark.parametrize(
    ("title", "message"),
    [("", "empty"), ("  ", "empty"), ("t" * 76, "76 characters"), ("It rises.", "full stop")],
)
def test_a_title_is_one_short_sentence(title, message):
    with pytest.raises(ValueError, match=message):
        figures.new(title=title)


def test_show_refuses_a_figure_of_others_without_a_title():
    with pytest.raises(ValueError, match="title is empty"):
        figures.show(matplotlib.figure.Figure(), ALT)


@pytest.mark.parametrize("height", [1.0, 6.0])
def test_new_refuses_heights_of_no_house_figure(height):
    with pytest.raises(ValueError, match=r"1\.5 to 5\.2"):
        figures.new(height=height, title="A line rises")


def test_a_sentence_of_75_characters_fits_the_picture():
    sentence = ("The net draws the border a little too wide in half of the " * 2)[:75]
    fig, _ = figures.new(title=sentence)
    fig.draw_without_rendering()
    assert fig._suptitle.get_window_extent().x1 <= figures.WIDTH * figures.DPI


def test_outside_a_notebook_show_returns_a_palette_png_of_the_stated_size():
    image = Image.open(io.BytesIO(figures.show(chart(), ALT)))
    assert (image.format, image.mode, image.size) == ("PNG", "P", (700, 250))
    assert "Software" not in image.info


def test_equal_figures_give_equal_bytes():
    assert figures.png(chart()) == figures.png(chart())


def test_white_and_house_colours_are_exact_among_many_others():
    fig, axes = figures.new(1, 2, title="Noise beside colours")
    figures.image(axes[0], np.random.default_rng(0).integers(0, 255, (80, 80, 3), dtype=np.uint8))
    tones = [figures.TARGET, figures.PREDICTION, figures.TP, figures.GRID, figures.MUTED]
    tones += [line["color"] for line in figures.FAMILY.values()]
    axes[1].bar(range(len(tones)), 1, color=tones)
    seen = {tuple(p) for p in pixels(figures.png(fig))}
    wanted = {tuple(round(255 * c) for c in colors.to_rgb(tone)) for tone in (*tones, "#FFFFFF")}
    assert wanted <= seen
    assert (pixels(figures.png(fig))[0] == 255).all()


def test_a_grey_ramp_keeps_its_levels():
    fig, ax = figures.new(title="Grey ramp")
    figures.image(ax, np.tile(np.arange(256, dtype=np.uint8), (64, 1)))
    seen = pixels(figures.png(fig))
    greys = {int(r) for r, g, b in seen if r == g == b}
    assert len(greys) >= 240


def test_a_chart_is_small():
    assert len(figures.png(chart())) < 30_000


def test_families_differ_without_colour():
    looks = [(s["marker"], str(s["linestyle"]), s["linewidth"]) for s in figures.FAMILY.values()]
    assert len(set(looks)) == len(figures.FAMILY) == 7
    assert len({s["marker"] for s in figures.FAMILY.values()}) == 7


def test_numbers_have_a_true_minus_and_no_negative_zero():
    assert figures.number(-0.0004) == "0.000"
    assert figures.number(-1.25, 1) == "\N{MINUS SIGN}1.2"
    assert figures.number(float("nan")) == "undefined"


def test_counts_say_one_case_and_two_cases():
    assert figures.count(1, "case") == "1 case"
    assert figures.count(1200, "pixel") == "1,200 pixels"


def test_a_long_computed_alt_is_cut_at_a_word():
    cut = figures.clip_alt("word " * 60)
    assert len(cut) <= 250
    assert cut.endswith("word ...")
    assert figures.clip_alt(ALT) == ALT


def test_limits_of_maps_are_fixed_by_their_kind():
    _, axes = figures.new(1, 4, title="Kinds")
    array = np.array([[-0.5, 0.25]])
    shown = [figures.image(ax, array, k) for ax, k in zip(axes, figures.MAPS, strict=False)]
    assert [s.get_clim() for s in shown] == [(0, 1), (0, 0.5), (0, 1), (0, 0.5)]
    _, ax = figures.new(title="Signed")
    assert figures.image(ax, array, "signed").get_clim() == (-0.5, 0.5)
    assert figures.image(ax, np.zeros((4, 4), np.uint8)).get_clim() == (0, 255)


def test_image_takes_channels_first_and_refuses_other_shapes():
    _, ax = figures.new(title="Shapes")
    assert figures.image(ax, np.zeros((3, 8, 9), np.uint8)).get_array().shape == (8, 9, 3)
    assert figures.image(ax, np.zeros((1, 8, 9), np.uint8)).get_array().shape == (8, 9)
    with pytest.raises(ValueError, match="kind"):
        figures.image(ax, np.zeros((8, 9)), "jet")
    with pytest.raises(ValueError, match=r"\(8,\)"):
        figures.image(ax, np.zeros(8))


def view(threshold=0.5, smoothing=0):
    fig, ax = figures.new(title=f"A line (threshold {threshold:.2f}, smoothing {smoothing})")
    ax.plot([0, 1], [threshold, smoothing])
    return fig, f"Line from {threshold:.2f} to {smoothing}."


@pytest.mark.parametrize(
    ("ranges", "message"),
    [
        ({"other": (0, 1, 0.1)}, "needs a parameter other"),
        ({"threshold": (0.6, 1, 0.1)}, "not in"),
        ({"smoothing": [1, 2]}, "not in"),
    ],
)
def test_slider_refuses_ranges_that_do_not_fit_the_view(ranges, message):
    with pytest.raises(ValueError, match=message):
        figures.slider(view, **ranges)


def test_slider_redraws_when_a_person_moves_it(monkeypatch):
    shown = []
    monkeypatch.setattr(figures, "_someone_is_there", lambda: True)
    monkeypatch.setattr("IPython.display.display", shown.append)
    figures.slider(view, threshold=(0, 1, 0.05), smoothing=[0, 1, 2])
    threshold, smoothing, picture = shown[0].children
    assert (threshold.description, threshold.value, threshold.step) == ("threshold", 0.5, 0.05)
    assert smoothing.options == (0, 1, 2)
    assert 'alt="Line from 0.50 to 0."' in picture.value
    threshold.value = 0.8
    smoothing.value = 2
    assert 'alt="Line from 0.80 to 2."' in picture.value


def test_a_plain_run_gets_no_widget(monkeypatch):
    shown = []
    monkeypatch.setattr("IPython.display.display", shown.append)
    figures.slider(view, threshold=(0, 1, 0.05))
    assert shown == []


NOTEBOOK = """
from course_lib import figures
def view(x=1):
    fig, ax = figures.new(title="A point")
    ax.plot([x], [x], "o")
    return fig, f"Point at {x}."
figures.show(*view(), caption="Synthetic.", key=True)
figures.slider(view, x=(0, 3, 1))
"""


def test_a_headless_notebook_stores_alt_key_and_caption_but_no_widget(root):
    nbclient = pytest.importorskip("nbclient")
    nbformat = pytest.importorskip("nbformat")
    cell = nbformat.v4.new_code_cell(NOTEBOOK)
    book = nbformat.v4.new_notebook(cells=[cell])
    client = nbclient.NotebookClient(book, kernel_name="python3", timeout=60)
    client.execute(cwd=str(root))
    first, caption, second = cell.outputs
    assert first.metadata == {"image/png": {"alt": "Point at 1.", "key": True}}
    assert first.data["text/plain"] == "Point at 1."
    assert set(first.data) == {"image/png", "text/plain"}
    assert caption.data["text/markdown"] == "Synthetic."
    assert second.metadata == {"image/png": {"alt": "Point at 1."}}
    assert first.data["image/png"] == second.data["image/png"]
    assert "widgets" not in book.metadata


def test_no_other_file_sets_a_colour_a_map_or_a_font(root):
    """Class colours of data and the pages of cli are not figures."""
    hex_colour = re.compile(r"""["']#[0-9A-Fa-f]{3,8}["']""")
    own = re.compile(r"cmap=|rcParams|fontsize=|plt\.style|colormaps")
    sources = [*root.glob("course_lib/**/*.py"), *root.glob("notebooks/**/*.py")]
    found = []
    for path in sources:
        place = Path(path).relative_to(root).as_posix()
        if place == "course_lib/figures.py":
            continue
        text = path.read_text(encoding="utf-8")
        pages_or_data = place.startswith(("course_lib/cli/", "course_lib/data/"))
        if own.search(text) or (hex_colour.search(text) and not pages_or_data):
            found.append(place)
    assert len(sources) > 10
    assert found == []
