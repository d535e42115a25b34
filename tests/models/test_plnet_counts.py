"""PL-Net: the published counts, to the unit."""

import pytest
import torch
from torch import nn

from course_lib import models
from course_lib.models.measure import count_macs, count_parameters
from course_lib.models.plnet import PLNet
from tests.closed_forms_plnet import plnet_macs, plnet_parameters, plnet_total

# options; trainable, with running statistics; the paper's "M"; GMAC at 224, pooling last or first
COUNTS = {
    "no IPL n=1": ({"ipl": False, "steps": 1}, 10_825_602, 10_834_562, "10.33", 24.365, 18.816),
    "no IPL n=2": ({"ipl": False}, 15_725_730, 15_738_978, "15.03", 31.302, 25.753),
    "no IPL n=3": ({"ipl": False, "steps": 3}, 20_625_858, 20_643_394, None, 38.238, 32.689),
    "IPL n=2": ({}, 15_734_242, 15_756_002, "15.03", 53.267, 42.169),
    "IPL n=3": ({"steps": 3}, 20_647_170, 20_686_018, "19.73", 89.105, 72.457),
    "Ocs 0.5": ({"width": 0.5}, 3_946_674, 3_957_618, "3.77", 13.613, 10.839),
    "Ocs 0.75": ({"width": 0.75}, 8_860_106, 8_876_458, "8.47", 30.174, 23.932),
    "Ocs 1.25": ({"width": 1.25}, 24_569_082, 24_596_250, "23.46", 82.891, 65.550),
    "Ocs 1.5": ({"width": 1.5}, 35_364_626, 35_397_202, "33.76", 119.047, 94.076),
    "Ocs 1.75": ({"width": 1.75}, 48_120_874, 48_158_858, "45.93", 161.735, 127.747),
    "Ocs 2": ({"width": 2}, 62_837_826, 62_881_218, "59.97", 210.954, 166.562),
}
NOT_MET = {"no IPL n=2": "15.01"}  # the one figure of the paper that the reconstruction misses


def built(**options):
    with torch.device("meta"):
        return PLNet(**{"in_channels": 3, "num_classes": 1, **options})


@pytest.mark.parametrize("name", COUNTS)
def test_counts_are_hit_to_the_unit(name):
    options, trainable, total, printed, *gmac = COUNTS[name]
    net = built(**options)
    assert count_parameters(net) == plnet_parameters(**options) == trainable
    assert count_parameters(net, buffers=True) == plnet_total(**options) == total
    if printed is not None:
        assert f"{total / 2**20:.2f}" == NOT_MET.get(name, printed)
    for down, expected in zip(("conv_pool", "pool_conv"), gmac, strict=True):
        macs = count_macs(built(down=down, **options), (3, 224, 224))
        assert macs == plnet_macs(224, 224, down=down, **options)
        assert round(macs / 1e9, 3) == expected


OTHERS = {  # in the paper's tables 1, 3 and 4
    "U-Net": ("unet", {}, "29.59"),
    "BiO-Net t=3": ("bionet", {}, "14.30"),
    "BiO-Net INT": ("bionet", {"integrate": True}, "14.30"),
}


def test_the_table_of_counts_beside_the_papers_figures():
    """Printed with ``pytest -rP``."""
    rows = {
        name: ("plnet", options, printed) for name, (options, *_, printed, _, _) in COUNTS.items()
    }
    print("                trainable       total       Mi   paper    GMAC")
    missed = set()
    for name, (net, options, printed) in (rows | OTHERS).items():
        with torch.device("meta"):
            net = models.create(net, **options)
        total, gmac = count_parameters(net, buffers=True), count_macs(net, (3, 224, 224)) / 1e9
        if printed is not None and f"{total / 2**20:.2f}" != printed:
            missed.add(name)
        print(
            f"{name:12} {count_parameters(net):12,} {total:11,} {total / 2**20:8.4f} "
            f"{printed or '-':>7} {gmac:7.3f}{'  not met' if name in missed else ''}"
        )
    # PL-Net's own only miss, and BiO-Net's 14.30, which no reading meets for both of its rows
    assert missed == {"no IPL n=2", "BiO-Net t=3", "BiO-Net INT"}


@pytest.mark.parametrize(
    ("options", "total"),
    [
        ({"in_channels": 1}, 15_754_850),
        ({"num_classes": 4}, 15_756_200),
        ({"fuse": "last"}, 15_756_002),
    ],
)
def test_channels_and_classes_count(options, total):
    assert count_parameters(built(**options), buffers=True) == plnet_total(**options) == total


def test_parts_count_what_the_prototype_had():
    net = built()
    parts = (*net.stages, net.head1, net.head2, net.fusion)
    assert [count_parameters(part) for part in parts] == [3_143_584, 12_581_280, 33, 33, 9_312]


def test_training_stage_by_stage_costs_1_43_times_one_loss():
    class Stage1(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = built()

        def forward(self, x):
            return self.net.forward_stage1(x).logits

    alone, whole = count_macs(Stage1(), (3, 224, 224)), count_macs(built(), (3, 224, 224))
    assert round(alone / 1e9, 2) == 23.17
    assert int(100 * (alone + whole) / whole) == 143


@pytest.mark.parametrize(
    ("base", "totals", "gmac"),
    [
        (8, (2_362_817, 2_365_729, 11_818_106), (1.67, 3.39)),
        (16, (9_439_617, 9_445_441, 47_219_954), (6.67, 13.52)),
        (32, (37_735_169, 37_746_817, 188_774_882), (None, None)),
    ],
)
def test_counts_for_volumes(base, totals, gmac):
    common = {"in_channels": 1, "dims": 3, "base": base}
    variants = ({"depths": (4,), "ipl": False}, {"depths": (4,)}, {"depths": (4, 5)})
    for variant, total, expected in zip(variants, totals, (None, *gmac), strict=True):
        net, options = built(**common, **variant), {**common, **variant}
        assert count_parameters(net, buffers=True) == plnet_total(**options) == total
        macs = count_macs(net, (1, 32, 32, 32))
        assert macs == plnet_macs(32, 32, 32, **options)
        assert expected is None or round(macs / 1e9, 2) == expected
