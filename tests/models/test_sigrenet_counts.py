"""SiGREnet: parameters and multiply-adds, to the unit, and the ratios that the paper claims."""

import pytest
import torch
from torch import nn

from course_lib import models
from course_lib.models import measure
from course_lib.models.refine import GRRB, ConvLSTMRefiner
from course_lib.models.sigrenet_blocks import Style, separable, standard
from tests.closed_forms_sigrenet import refiner_parameters, sigrenet_macs, sigrenet_parameters

DS, STD = Style(separable, nn.BatchNorm2d), Style(standard, nn.BatchNorm2d)

# preset, refiner: parameters, deployed, refiners, GMAC of forward (256 x 256 x 3)
COUNTS = {
    ("sigrenet", "grrb"): (423_605, 423_361, 68_160, 1.4625),
    ("sigrenet", "light"): (401_365, 401_121, 45_920, 1.1270),
    ("sigrenet", "eta"): (385_349, 385_105, 29_904, 1.1333),
    ("sigrenet", "convlstm"): (1_923_125, 1_922_881, 1_567_680, 15.3010),
    ("sigrenet", "none"): (355_445, 355_201, 0, 0.8055),
    ("sigrenet_wide", "grrb"): (3_671_573, 3_670_849, 596_160, 12.0317),
    ("sigrenet_wide", "light"): (3_474_293, 3_473_569, 398_880, 9.0118),
    ("sigrenet_wide", "eta"): (3_328_133, 3_327_409, 252_720, 8.9363),
    ("sigrenet_wide", "convlstm"): (17_178_773, 17_178_049, 14_103_360, 136.8963),
    ("sigrenet_wide", "none"): (3_075_413, 3_074_689, 0, 6.4367),
    ("sigrenet_tiny", "grrb"): (31_004, 30_945, 4_704, 0.2864),
    ("sigrenet_tiny", "light"): (29_548, 29_489, 3_248, 0.2487),
    ("sigrenet_tiny", "eta"): (28_708, 28_649, 2_408, 0.2544),
    ("sigrenet_tiny", "convlstm"): (123_292, 123_233, 96_992, 2.0064),
    ("sigrenet_tiny", "none"): (26_300, 26_241, 0, 0.1944),
}
PRESET = {
    "sigrenet": {},
    "sigrenet_wide": {"channels": (48, 96, 192, 384, 768)},
    "sigrenet_tiny": {"channels": (8, 16, 32, 64), "steps": 2},
}


def count(name, **options):
    """Parameters, deployed, of the refiners, MACs; each equal to its closed form."""
    with torch.device("meta"):
        net = models.create(name, **options)
    channels = net.in_channels
    of_refiners = sum(measure.count_parameters(level.refiner) for level in net.decoder)
    counted = (
        measure.count_parameters(net),
        net.deploy_parameters(),
        of_refiners,
        measure.count_macs(net, (channels, 256, 256)),
    )
    options = {**PRESET[name], **options}
    heads = options.pop("recon_head", False) * (net.head.in_channels + 1) * channels
    assert counted[0] == sigrenet_parameters(**options) + heads
    assert counted[1] == sigrenet_parameters(**options, aux=False)
    assert counted[3] == sigrenet_macs(256, 256, **options)
    return counted


@pytest.fixture(scope="module")
def table():
    return {key: count(key[0], refiner=key[1]) for key in COUNTS}


@pytest.mark.parametrize("key", COUNTS, ids="-".join)
def test_counts_are_hit(table, key):
    *parameters, macs = table[key]
    assert (*parameters, round(macs / 1e9, 4)) == COUNTS[key]


def test_the_count_table_is_printed(table):
    """To be read with ``pytest -s``."""
    lines = [f"{'preset':14} {'refiner':9} {'total':>10} {'deployed':>10} {'refiners':>10}    GMAC"]
    for (name, refiner), (total, deployed, refiners, macs) in table.items():
        lines.append(
            f"{name:14} {refiner:9} {total:10,} {deployed:10,} {refiners:10,} {macs / 1e9:8.4f}"
        )
    print("\n" + "\n".join(lines))
    assert len(lines) == 1 + len(COUNTS)


@pytest.mark.parametrize(
    ("options", "parameters", "gmac"),
    [
        ({"fusion": False}, 415_237, 1.4038),
        ({"readout": "eta"}, 429_109, 1.5045),
        ({"dependence": "literal"}, 401_845, 0.9574),
        ({"dependence": "gate"}, 423_605, 1.2929),
        ({"update": "convex"}, 423_605, 1.4625),
        ({"conv": "std"}, 2_323_109, 6.0136),
        ({"conv": "std", "refiner": "none"}, 2_083_029, 3.7990),
        ({"norm": "group"}, 423_605, 1.4625),
        ({"recon_head": True}, 423_656, 1.4625),
        ({"in_channels": 1}, 423_285, None),
        ({"num_classes": 2}, 423_866, None),
        ({"steps": 1}, 423_605, 1.0245),
        ({"steps": 2}, 423_605, 1.2435),
        ({"steps": 4}, 423_605, 1.6816),
        ({"steps": 6}, 423_605, 2.1196),
        ({"channels": (40, 80, 160, 320, 640)}, 2_559_485, 8.4339),
    ],
)
def test_variants_hit_their_counts(options, parameters, gmac):
    total, *_, macs = count("sigrenet", **options)
    assert total == parameters
    assert gmac is None or round(macs / 1e9, 4) == gmac


def test_where_the_parameters_are():
    with torch.device("meta"):
        net = models.create("sigrenet")
    parts = {
        "encoder": net.encoder,
        "decoder": nn.ModuleList(level.block for level in net.decoder),
        "refiners": nn.ModuleList(level.refiner for level in net.decoder),
        "laterals": net.fuse.lateral,
        "smooth": net.fuse.smooth,
        "head": net.head,
        "aux": net.aux_heads,
    }
    assert {name: measure.count_parameters(part) for name, part in parts.items()} == {
        "encoder": 184_416, "decoder": 162_400, "refiners": 68_160, "laterals": 7_936,
        "smooth": 432, "head": 17, "aux": 244,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("dependence", "style", "ratios"),
    [
        ("full", DS, (16.1, 19.3, 22.6, 23.6)),
        ("literal", DS, (20.7, 26.3, 32.9, 35.2)),
        ("full", STD, (6.4, 6.5, 6.5, 6.5)),
        ("literal", STD, (7.0, 7.1, 7.2, 7.2)),
    ],
)
def test_how_many_times_smaller_than_a_convlstm_depends_on_the_reading(dependence, style, ratios):
    """The paper says 7 to 8 times; the standard convolution with the literal gate comes near."""
    for c, ratio in zip((8, 16, 64, 256), ratios, strict=True):
        block = GRRB(c, style, dependence=dependence, update="printed")
        counted = measure.count_parameters(block)
        assert counted == refiner_parameters(c, "grrb", dependence, "ds" if style is DS else "std")
        lstm = measure.count_parameters(ConvLSTMRefiner(c))
        assert lstm == refiner_parameters(c, "convlstm")
        assert round(lstm / counted, 1) == ratio


def test_the_wide_preset_is_in_the_claimed_range_below_grenet():
    with torch.device("meta"):
        wide, grenet = models.create("sigrenet_wide"), models.create("grenet")
    share = wide.deploy_parameters() / measure.count_parameters(grenet)
    assert round(100 * (1 - share), 1) == 46.1
