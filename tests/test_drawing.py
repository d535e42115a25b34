import io
import re

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.figure import Figure
from matplotlib.text import Text
from PIL import Image
from scipy.stats import norm

from course_lib import drawing, figures, models
from course_lib.data import phantoms
from course_lib.drawing import charts, diagram, panels

SIZE = 48
RNG = np.random.default_rng(0)
NOISE = RNG.integers(0, 255, (SIZE, SIZE), dtype=np.uint8)
COLOUR = RNG.integers(0, 255, (3, SIZE, SIZE), dtype=np.uint8)
EMPTY = np.zeros((SIZE, SIZE), dtype=np.uint8)
DISC = (np.hypot(*np.ogrid[-24:24, -24:24]) < 15).astype(np.uint8)
SHIFTED = np.roll(DISC, 6, axis=1)
LABELS = DISC * 3
FULL = np.ones_like(DISC)
SHARE = RNG.random((SIZE, SIZE))
NETS = list(figures.FAMILY)
RATES = (norm.sf(np.linspace(6, -8, 300)), norm.sf(np.linspace(6, -8, 300), 3.608))


def scores(n, seed=0):
    return np.random.default_rng(seed).beta(8, 2, n)


def stages(depth):
    found = {f"enc {level}": f"encoder.{level}" for level in range(depth)}
    found["bottleneck"] = "bottleneck"
    for level in reversed(range(depth)):
        found[f"dec {level}"] = (f"up.{level}", f"decoder.{level}")
    return {**found, "head": "head"}


def unet(**options):
    return models.create("unet", **{"in_channels": 3, "num_classes": 1, "base": 8, **options})


PICTURES = {
    "overlay": lambda: drawing.overlay(NOISE, DISC, SHIFTED, title="T", score="Dice 0.74"),
    "overlay colour": lambda: drawing.overlay(COLOUR, LABELS, DISC, title="T"),
    "overlay empty target": lambda: drawing.overlay(NOISE, EMPTY, DISC, title="T"),
    "overlay empty both": lambda: drawing.overlay(NOISE, EMPTY, EMPTY, title="T"),
    "overlay full": lambda: drawing.overlay(NOISE, FULL, FULL, title="T"),
    "outlines 1": lambda: drawing.outlines([NOISE], [DISC], [EMPTY], names=["A"], title="T"),
    "outlines 4": lambda: drawing.outlines(
        [COLOUR] * 4,
        [DISC] * 4,
        [SHIFTED] * 4,
        names=["shift", "hole", "missed", "speck"],
        notes=["Dice 0.80\nHD95 12.3 px\nNSD 0.41\nlesion recall 0.50"] * 4,
        title="T",
    ),
    "gallery": lambda: drawing.gallery(
        [NOISE] * 24, [DISC] * 24, [SHIFTED] * 24, scores(24), title="T"
    ),
    "gallery 1": lambda: drawing.gallery([NOISE], [DISC], [SHIFTED], [0.5], title="T"),
    "gallery 3": lambda: drawing.gallery(
        [COLOUR] * 5, [EMPTY] * 5, [DISC] * 5, [np.nan, 0, 0, 0, 0], count=3, title="T"
    ),
    "maps": lambda: drawing.maps(
        [NOISE, SHARE, SHARE > 0.5, DISC],
        names=["image", "probability", "mask at 0.5", "reference"],
        kinds=["image", "share", "mask", "mask"],
        bars={"share": "probability"},
        target=DISC,
        title="T",
    ),
    "maps signed": lambda: drawing.maps(
        [SHARE - 0.5, 0 * SHARE],
        names=["a", "b"],
        kinds="signed",
        bars={"signed": "state"},
        title="T",
    ),
    "steps": lambda: drawing.steps(
        {"gate": np.stack([SHARE] * 6), "state": np.stack([SHARE - 0.5] * 6)},
        kinds=["share", "signed"],
        target=EMPTY,
        title="T",
    ),
    "gradient": lambda: drawing.gradient_square(SHARE * DISC, 30, (24, 24), title="T"),
    "gradient of nothing": lambda: drawing.gradient_square(0 * SHARE, 30, (24, 24), title="T"),
    "modalities": lambda: drawing.modalities(
        [NOISE, COLOUR, EMPTY, NOISE, COLOUR, NOISE],
        names=["dermoscopy", "ultrasound", "nuclei", "cardiac", "x-ray", "fracture"],
        title="T",
    ),
    "readers": lambda: drawing.readers(NOISE, DISC, SHIFTED, title="T"),
    "readers empty": lambda: drawing.readers(NOISE, EMPTY, EMPTY, title="T"),
    "tile family": lambda: drawing.tile_family(
        phantoms.generate(4, size=64, look="nuclei").images,
        {"random": ["train", "test", "val", "train"], "grouped": ["test"] * 4},
        title="T",
    ),
}
CHARTS = {
    "curves 7": lambda: drawing.curves(
        {name: scores(30).cumsum() / 30 + np.zeros((3, 1)) for name in NETS},
        compared=["unet", "sigrenet"],
        ylabel="validation Dice",
        title="T",
    ),
    "curves 1 epoch": lambda: drawing.curves({"unet": [0.5]}, ylabel="loss", title="T"),
    "curves 10 seeds": lambda: drawing.curves(
        {"training": scores(200).reshape(10, 20), "validation": scores(20)},
        ylabel="loss",
        title="T",
    ),
    "lines": lambda: drawing.lines(
        {"wider": ([3, 10, 30], [0.7, 0.8, 0.9]), "tighter": ([3, 10, 30], [0.7, 0.8, 0.9])},
        xlabel="radius (px)",
        ylabel="Dice",
        log="xy",
        marks={"two readers": 0.85},
        title="T",
    ),
    "lines 1 point": lambda: drawing.lines(
        {"attention_unet": ([1], [1], [0.5], [1.5]), "unet": ([2], [1])},
        joined=False,
        xlabel="x",
        ylabel="y",
        title="T",
    ),
    "histogram": lambda: drawing.histogram(
        {name: scores(50) for name in NETS[:6]}, xlabel="Dice", title="T"
    ),
    "histogram 1 value": lambda: drawing.histogram(
        {"unet": [0.5, np.nan]}, xlabel="Dice", limits=(0, 1), title="T"
    ),
    "bars": lambda: drawing.bars(
        {name: 10.0**i for i, name in enumerate(NETS)}, xlabel="parameters", title="T"
    ),
    "bars 1": lambda: drawing.bars({"unet": 0}, xlabel="parameters", title="T"),
    "cases 7": lambda: drawing.cases(
        {name: scores(134, i) for i, name in enumerate(NETS)},
        intervals=dict.fromkeys(NETS, (0.8, 0.75, 0.85)),
        title="T",
    ),
    "cases 1": lambda: drawing.cases({"per image": [0.7]}, title="T"),
    "cases marks": lambda: drawing.cases(
        {"attention_unet": [*scores(40), np.nan]},
        intervals={"attention_unet": (0.8, np.nan, np.nan)},
        centre="mean",
        marks={"median": 0.99, "pooled": 1.0},
        title="T",
    ),
    "roc": lambda: drawing.roc_and_pr(
        {"1 % lesion": (*RATES, 0.01), "30 % lesion": (*RATES, 0.3)},
        points={"1 % lesion": (0.01, 0.9)},
        title="T",
    ),
    "roc 7": lambda: drawing.roc_and_pr(dict.fromkeys(NETS, (*RATES, 0.05)), title="T"),
    "difficulty": lambda: drawing.difficulty_curve(
        scores(60), [*scores(59), np.nan], RNG.integers(0, 9, 60), title="T"
    ),
    "difficulty 1": lambda: drawing.difficulty_curve([0.5], [0.8], title="T"),
    "architecture": lambda: drawing.architecture(
        unet(base=16), stages(4), (3, 256, 256), accent=["bottleneck"], title="T"
    ),
    "architecture 12": lambda: drawing.architecture(
        unet(depth=5, skips=False), stages(5), (3, 64, 64), title="T"
    ),
}
ALL = {**PICTURES, **CHARTS}


@pytest.mark.parametrize("name", ALL)
def test_every_drawing_is_complete(name):
    check_drawing(*ALL[name](), limit=30_000 if name in CHARTS else 64_000)


def check_drawing(fig, alt, limit):
    """A drawing has a useful alt text, nothing of it is cut, and its PNG is small."""
    assert isinstance(fig, Figure)
    assert 25 <= len(alt) <= 250
    assert re.search(r"\d", alt) or "nothing" in alt
    assert "nan" not in alt
    check_texts(fig)
    data = figures.show(fig, alt)
    assert len(data) <= limit
    ring = np.array(Image.open(io.BytesIO(data)).convert("RGB"))
    ring[1:-1, 1:-1] = 255
    assert (ring == 255).all(), "something touches the edge of the picture"


def check_texts(fig):
    fig.draw_without_rendering()
    frame = fig.bbox
    ticks = {t for ax in fig.axes for t in (*ax.get_xticklabels(), *ax.get_yticklabels())}
    for text in fig.findobj(Text):
        if not text.get_visible() or not text.get_text().strip():
            continue
        assert text.get_fontsize() >= 9, text
        if text not in ticks:
            box = text.get_window_extent()
            assert frame.x0 <= box.x0, text
            assert box.x1 <= frame.x1, text
            assert frame.y0 <= box.y0, text
            assert box.y1 <= frame.y1, text


@pytest.mark.parametrize("name", ["overlay", "gallery", "curves 7", "cases 7", "architecture"])
def test_two_runs_give_equal_bytes(name):
    assert figures.png(ALL[name]()[0]) == figures.png(ALL[name]()[0])


@pytest.mark.parametrize("look", phantoms.LOOKS)
def test_a_gallery_of_phantoms_is_small(look):
    made = phantoms.generate(6, size=128, seed=1, look=look)
    worse = [np.roll(mask, 3, axis=0) for mask in made.masks]
    fig, _ = drawing.gallery(made.images, made.masks, worse, np.arange(6) / 6, title="T")
    assert len(figures.png(fig)) <= 64_000


def test_masks_must_fit_the_image():
    with pytest.raises(ValueError, match=r"\(10, 10\) on an image of \(48, 48\)"):
        drawing.overlay(NOISE, np.zeros((10, 10)), DISC, title="T")


def test_panels_are_six_at_most_and_lists_agree():
    with pytest.raises(ValueError, match="1 to 6 panels"):
        drawing.modalities([NOISE] * 7, names=["x"] * 7, title="T")
    with pytest.raises(ValueError, match="1 and 2"):
        drawing.maps([NOISE], names=["a", "b"], title="T")


def test_overlay_counts_the_pixels_it_draws():
    _, alt = drawing.overlay(NOISE, DISC, SHIFTED, title="T")
    both, extra, missed = (int(n.replace(",", "")) for n in re.findall(r"[\d,]*\d", alt))
    assert both + missed == DISC.sum()
    assert both + extra == SHIFTED.sum()


def test_an_empty_mask_is_said_in_words():
    fig, _ = drawing.overlay(NOISE, EMPTY, DISC, title="T")
    assert fig.axes[1].get_title() == "reference empty"
    fig, _ = drawing.outlines([NOISE], [DISC], [EMPTY], names=["A"], title="T")
    assert fig.axes[0].get_title() == "A\nnothing predicted"


def test_the_error_map_holds_the_exact_house_colours():
    fig, _ = drawing.overlay(NOISE, DISC, SHIFTED, title="T")
    drawn = fig.axes[2].images[0].get_array()
    assert tuple(drawn[24, 24]) == (0x9A, 0x9A, 0x9A)
    only_target = np.argwhere((DISC > 0) & (SHIFTED == 0))[0]
    assert tuple(drawn[tuple(only_target)]) == (0x00, 0x72, 0xB2)


def test_gallery_takes_fixed_ranks_worst_first():
    values = np.linspace(1, 0, 21)
    fig, alt = drawing.gallery([NOISE] * 21, [DISC] * 21, [DISC] * 21, values, title="T")
    titles = [ax.get_title() for ax in fig.axes]
    assert titles[0] == "0.00  rank 1/21"
    assert [t.split("rank ")[1] for t in titles] == [f"{r}/21" for r in (1, 5, 9, 13, 17, 21)]
    assert "0.000 (worst) to 1.000 (best)" in alt


def test_gallery_leaves_undefined_scores_out_and_says_so():
    _, alt = drawing.gallery([NOISE] * 2, [DISC] * 2, [DISC] * 2, [np.nan, 0.5], title="T")
    assert alt.endswith("Left out, score undefined: 1.")
    with pytest.raises(ValueError, match="defined score"):
        drawing.gallery([NOISE], [EMPTY], [EMPTY], [np.nan], title="T")


def test_calm_keeps_small_images_and_shrinks_large_ones():
    assert panels.calm(NOISE, 6).shape == (SIZE, SIZE, 3)
    assert panels.calm(np.zeros((400, 200), np.uint8), 6).shape == (100, 50, 3)
    assert np.unique(panels.calm(np.arange(256, dtype=np.uint8)[None], 1)).size == 32


def test_curves_name_the_seeds_and_the_band_in_the_axis_label():
    fig, alt = drawing.curves(
        {"unet": [[0.1, 0.5], [0.2, 0.6], [0.3, 0.9]]}, ylabel="Dice", title="T"
    )
    assert fig.axes[0].get_xlabel() == "epoch (median of 3 seeds; band: lowest to highest)"
    assert "ends at 0.600" in alt


def test_curves_turn_the_uncompared_grey():
    fig, _ = CHARTS["curves 7"]()
    tones = [line.get_color() for line in fig.axes[0].lines]
    assert tones.count(figures.TP) == 5


@settings(deadline=None)
@given(st.lists(st.floats(0, 200), min_size=1, max_size=8).map(sorted))
def test_labels_are_spread_inside_the_axes(wanted):
    placed = charts.spread(wanted, 11, 0, 200)
    assert np.all(np.diff(placed) >= 11 - 1e-6)
    assert placed[0] >= -1e-6
    assert placed[-1] <= 200 + 1e-6


def test_cases_are_ordered_by_centre_and_count_the_undefined():
    fig, alt = drawing.cases({"unet": [0.2, np.nan], "plnet": [0.9]}, title="T")
    assert [t.get_text() for t in fig.axes[0].get_yticklabels()] == ["U-Net\n1 undefined", "PL-Net"]
    assert "Worst case 0.200" in alt
    with pytest.raises(ValueError, match="one defined score"):
        drawing.cases({"unet": [np.nan]}, title="T")


def test_precision_follows_from_prevalence():
    """Sensitivity .9, specificity .99, prevalence .01: precision .476, area .995."""
    _, alt = CHARTS["roc"]()
    assert "1 % lesion 0.995 (precision 0.476 at the marker)" in alt
    with pytest.raises(ValueError, match="prevalence"):
        drawing.roc_and_pr({"a": (*RATES, 1.0)}, title="T")


def test_bars_refuse_what_has_no_length():
    with pytest.raises(ValueError, match="not negative"):
        drawing.bars({"a": -1}, xlabel="x", title="T")


def test_difficulty_bins_are_equally_filled():
    _, alt = drawing.difficulty_curve(np.arange(10), [1] * 8 + [0, 0], title="T")
    assert (
        "n = 10 from 10 cases. Mean 1.000 in the easiest to 0.000 in the hardest of 5 bins" in alt
    )


def test_the_diagram_shows_what_the_live_net_does():
    net = unet(base=64)
    found = {stage.name: stage for stage in diagram.measure(net, stages(4), (3, 256, 256))}
    assert (found["bottleneck"].channels, found["bottleneck"].side) == (1024, 16)
    assert found["dec 3"].sources == ["enc 3"]
    assert found["dec 0"].sources == ["enc 0"]
    assert found["enc 1"].sources == found["head"].sources == []
    assert sum(stage.weights for stage in found.values()) == 31_031_745
    assert not any(module._forward_hooks for module in net.modules())
    assert net.training


def test_the_diagram_counts_repeated_calls_and_sums():
    class Twice(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.a = torch.nn.Conv2d(3, 4, 1)
            self.b = torch.nn.Conv2d(4, 4, 1)
            self.c = torch.nn.Conv2d(4, 1, 1)

        def forward(self, x):
            first = self.a(x)
            return self.c(self.b(self.b(first)) + first)

    found = diagram.measure(Twice(), {"a": "a", "b": "b", "c": "c"}, (3, 8, 8))
    assert [(s.name, s.calls) for s in found] == [("a", 1), ("b", 2), ("c", 1)]
    assert found[2].sources == ["a"]


def test_the_diagram_refuses_unknown_modules():
    with pytest.raises(ValueError, match="no module 'neck'"):
        drawing.architecture(unet(), {"neck": "neck"}, (3, 32, 32), title="T")
    with pytest.raises(ValueError, match="1 to 12"):
        drawing.architecture(unet(), {}, (3, 32, 32), title="T")


def test_whole_numbers_have_whole_ticks():
    fig, _ = drawing.lines(
        {"loss": ([1, 2, 3], [0.3, 0.2, 0.1])}, title="T", xlabel="epoch", ylabel="loss"
    )
    ticks = fig.axes[0].get_xticks()
    assert len(ticks) >= 3
    assert all(tick % 1 == 0 for tick in ticks)
