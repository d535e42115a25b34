"""REUnet's counts for every option and either reading, to the unit, in one table.

Those of the reading "code" are what Keras counts in the authors' graph.
"""

import re
from collections import Counter
from functools import cache

import pytest
import torch

from course_lib.models import measure
from course_lib.models.reunet import REUnet

RELEASED = {"wiring": "released"}
# options; code, then paper: trainable, with running statistics, GMAC at 256 x 256
TABLE = {
    "described": ({}, (145_848_040, 146_556_778, 101.077), (110_506_438, 111_097_734, 84.232)),
    "released": (RELEASED, (663_012, 679_014, 12.881), (413_746, 426_322, 8.783)),
    "intermediator 0": (
        {"intermediator": 0},
        (115_247_079, 115_776_105, 69.469),
        (57_144_037, 57_477_733, 34.396),
    ),
    "intermediator 5": (
        {"intermediator": 5},
        (132_024_040, 132_630_378, 87.562),
        (79_940_038, 80_377_734, 54.296),
    ),
    "intermediator 7": (
        {"intermediator": 7},
        (135_480_040, 136_111_978, 90.941),
        (87_581_638, 88_057_734, 61.780),
    ),
    "intermediator 9": (
        {"intermediator": 9},
        (138_936_040, 139_593_578, 94.319),
        (95_223_238, 95_737_734, 69.264),
    ),
    "intermediator 11": (
        {"intermediator": 11},
        (142_392_040, 143_075_178, 97.698),
        (102_864_838, 103_417_734, 76.748),
    ),
    "intermediator 15": (
        {"intermediator": 15},
        (149_304_040, 150_038_378, 104.455),
        (118_148_038, 118_777_734, 91.716),
    ),
    "no attention gate": (
        {"attention_gate": False},
        (143_246_883, 143_952_677, 99.398),
        (108_866_465, 109_456_801, 83.188),
    ),
    "no gating signal": (
        {"gating_signal": False},
        (141_330_472, 142_039_210, 97.755),
        (110_205_510, 110_796_806, 84.106),
    ),
    "A1": (
        {"plain_blocks": 1},
        (125_644_008, 126_264_682, 96.194),
        (79_949_382, 80_427_526, 76.856),
    ),
    "A2": (
        {"plain_blocks": 2},
        (95_728_616, 96_159_338, 66.627),
        (32_935_494, 33_165_574, 30.928),
    ),
    "A3": (
        {"plain_blocks": 3},
        (34_783_720, 34_972_778, 51.755),
        (20_836_134, 20_958_182, 27.986),
    ),
    "A4": (
        {"plain_blocks": 4},
        (19_589_352, 19_657_578, 36.990),
        (14_913_414, 14_959_942, 22.261),
    ),
    "base 16": ({"base": 16}, (37_478_520, 37_832_890, 26.168), (28_462_502, 28_758_150, 21.850)),
    "base 8": ({"base": 8}, (9_877_888, 10_055_074, 6.991), (7_533_574, 7_681_398, 5.859)),
    "base 4": ({"base": 4}, (2_723_604, 2_812_198, 1.973), (2_092_370, 2_166_282, 1.663)),
    "released, base 8": (
        {**RELEASED, "base": 8},
        (50_748, 54_750, 0.937),
        (33_214, 36_358, 0.659),
    ),
    "released, base 4": (
        {**RELEASED, "base": 4},
        (15_792, 17_794, 0.278),
        (10_756, 12_328, 0.202),
    ),
    "1 input channel": (
        {"in_channels": 1},
        (145_847_464, 146_556_202, 101.039),
        (110_505_862, 111_097_158, 84.195),
    ),
    "4 classes": (
        {"num_classes": 4},
        (145_848_145, 146_556_889, 101.083),
        (110_506_537, 111_097_833, 84.239),
    ),
}


@cache
def counted(variant, reading):
    options = {"reading": reading, **TABLE[variant][0]}
    with torch.device("meta"):
        net = REUnet(**options)
    macs = measure.count_macs(net, (options.get("in_channels", 3), 256, 256))
    parameters = measure.count_parameters(net), measure.count_parameters(net, buffers=True)
    return (*parameters, round(macs / 1e9, 3))


@pytest.mark.parametrize("reading", ["code", "paper"])
@pytest.mark.parametrize("variant", TABLE)
def test_counts_are_hit_to_the_unit(variant, reading):
    _, code, paper = TABLE[variant]
    assert counted(variant, reading) == (code if reading == "code" else paper)


def test_print_the_table_of_counts():
    """``pytest -s`` shows it: counted here, whatever is written above."""
    columns = f"{'trainable':>12}{'total':>12}{'GMAC':>9}"
    print(f"\n{'256 x 256':<18}{'code':^33}{'paper':^33}\n{'variant':<18}{columns}{columns}")
    for variant in TABLE:
        cells = [counted(variant, reading) for reading in ("code", "paper")]
        row = "".join(f"{p:>12,}{total:>12,}{gmac:>9.3f}" for p, total, gmac in cells)
        print(f"{variant:<18}{row}")


# the reading "code" at base 32, released wiring: what training reaches, and what it does not
LIVE = {
    "stem": 896, "eb1": 24_064, "eb2": 509_120, "db3": 74_112, "ag4": 17_729, "db4": 37_056,
    "head": 35,
}  # fmt: skip
DEAD = {
    "eb3": 2_986_624, "eb4": 16_080_640, "eb5": 64_486_912, "agw": 1_116_673, "eb6": 32_276_224,
    "eb7": 23_746_048, "ag1": 1_116_673, "db1": 2_360_832, "ag2": 279_809, "db2": 590_592,
    "ag3": 70_273,
}  # fmt: skip


def test_census_of_what_the_released_wiring_leaves_out():
    with torch.device("meta"):
        net = REUnet(reading="code", wiring="released", keep_dead=True)
        dead = set(measure.unreached_parameters(net, torch.empty(1, 3, 64, 64)))
    live, unreached = Counter(), Counter()
    for name, p in net.named_parameters():
        part = re.search(r"\b(stem|eb\d|ag[w\d]|db\d|head)\b", name)[0]
        (unreached if name in dead else live)[part] += p.numel()
    assert live == LIVE
    assert unreached == DEAD
    assert sum(LIVE.values()) == 663_012
    assert sum(DEAD.values()) == 145_111_300


@pytest.mark.parametrize("reading", ["paper", "code"])
def test_nothing_is_unreached_otherwise(reading):
    for options in ({}, RELEASED):
        with torch.device("meta"):
            net = REUnet(reading=reading, **options)
            assert measure.unreached_parameters(net, torch.empty(1, 3, 64, 64)) == []


@pytest.mark.parametrize("option", ["intermediator", "plain_blocks"])
def test_ablations_of_dead_blocks_change_no_released_net(option):
    """Tables 3 and 4, repeated with the released wiring, would compare a net with itself."""
    nets = []
    for options in ({}, {option: 3}):
        torch.manual_seed(0)
        nets.append(REUnet(base=4, wiring="released", **options))
    state, other = (net.state_dict() for net in nets)
    assert all(torch.equal(other.pop(name), value) for name, value in state.items())
    assert not other
