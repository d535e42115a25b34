"""The ledgers of the course: rules can come out false, counts are true, cells fit together."""

import random
import re
import subprocess

import pytest
import torch

from course_lib import claims, models
from course_lib.claims.ledger import COUNTS, MEASURED_NAMES, folder
from course_lib.claims.rule import compared

BOOKS = {paper: claims.read(paper) for paper in claims.papers()}
RULED = [
    pytest.param(claim, id=f"{paper}-{claim.id}")
    for paper, book in BOOKS.items()
    for claim in book.claims
    if claim.rule
]
NETS = [
    pytest.param(net, id=f"{paper}-{name}")
    for paper, book in BOOKS.items()
    for name, net in book.nets.items()
]
REUNET = BOOKS["reunet"].values
SETS = ("duke", "brats2020", "kits2023", "fracatlas", "inbreast")


def values_of(claim):
    """Return inputs of a rule; what no one measured yet is a typical number."""
    trial = dict(zip(MEASURED_NAMES, (0.3, 0.2, 0.4), strict=True))
    names = claims.names_in(claim.rule)
    return dict(claim.inputs) | {name: v for name, v in trial.items() if name in names}


def others(value, values):
    """Yield other values of the same kind: far, near, and taken from the other inputs."""
    if isinstance(value, str):
        yield from (v for v in values.values() if isinstance(v, str))
        yield "something else"
    elif isinstance(value, list):
        yield from (v for v in values.values() if isinstance(v, list) and len(v) == len(value))
        for one in (lambda v: v - 1, lambda v: v + 1, lambda v: v * 0.98, lambda v: v * 1.02):
            yield [one(v) for v in value]
        yield from ([v + d if i == j else v for j, v in enumerate(value)]
                    for i in range(len(value)) for d in (-1, 1))  # fmt: skip
    else:
        yield from (v for v in values.values() if isinstance(v, (int, float)))
        yield from (0.0, value - 1, value + 1, value * 0.5, value * 2, value * 0.98, value * 1.02)
        yield from (-value, -1e6, 1e6)


@pytest.mark.parametrize("claim", RULED)
def test_every_rule_can_come_out_false_and_true(claim):
    values = values_of(claim)
    now = claims.evaluate(claim.rule, values)
    if now:  # each input counts: changing it alone makes the rule false
        for name in values:
            changed = [values | {name: other} for other in others(values[name], values)]
            assert False in {truth(claim.rule, one) for one in changed}, name
    else:
        assert any(truth(claim.rule, changed) for changed in redraws(claim, values))


def redraws(claim, values):
    """Yield many sets of inputs, each drawn from what stands in the claim and near to it."""
    shown = dict(enumerate(compared(claim.rule, values)))
    pools = {n: [v, *others(v, values | shown), *scaled(v)] for n, v in values.items()}
    draw = random.Random(0)
    for _ in range(20_000):
        yield {name: draw.choice(pool) for name, pool in pools.items()}


def scaled(value):
    """Return an eighth of a number to its fourfold: a ratio can come to lie within bounds."""
    return [value * part / 8 for part in range(1, 33)] if isinstance(value, (int, float)) else []


def truth(rule, values):
    try:
        return claims.evaluate(rule, values)
    except ValueError:  # such as a division by zero: neither true nor false
        return None


def test_no_measured_verdict_without_a_committed_file(root):
    done = subprocess.run(
        ["git", "-C", str(root), "ls-files", "notebooks/results"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    tracked = set(done.stdout.split()) if done.returncode == 0 else None
    for paper in BOOKS:
        for row in claims.rows(paper):
            assert row.verdict in claims.summary([])
            if row.claim.kind != "measured":
                assert not row.file
                continue
            if row.verdict in ("holds", "fails"):
                assert tracked is None or row.file in tracked, row.claim.id
                assert row.claim.measure in COUNTS or "teaching" not in row.note
            if row.verdict == "not comparable":
                assert row.why


@pytest.mark.parametrize("net", NETS)
def test_counts_are_those_of_the_nets(net):
    with torch.device("meta"):
        made = models.create(net["create"], **net.get("options", {}))
    if "parameters" in net:
        assert models.measure.count_parameters(made) == net["parameters"]
    if "total" in net:
        assert models.measure.count_parameters(made, buffers=True) == net["total"]
    if "gmac" in net:
        macs = models.measure.count_macs(made, (3, 256, 256))
        assert round(macs / 1e9, 3) == net["gmac"]


@pytest.mark.parametrize("paper", BOOKS)
def test_dice_and_iou_of_a_cell_belong_together(paper):
    """For one image Dice = 2 IoU / (1 + IoU); means over images lie between IoU and that."""
    values, half, pairs = BOOKS[paper].values, 0.005, 0
    printed = {"reunet": 60 + 12 + 7 + 2 + 6, "plnet": 40 + 32 + 19 + 9 + 36 + 3}
    for name, iou in values.items():
        dice = values.get(name.removesuffix(".iou") + ".dice")
        if name.startswith("T") and name.endswith(".iou") and dice is not None:
            pairs += 1
            whole = 100 if iou > 1 else 1  # printed in %
            highest = 2 * (iou + half) * whole / (whole + iou + half)
            assert iou - half <= dice + half, name
            assert dice - half <= highest, name
    assert pairs == printed.get(paper, 0)


def test_every_table_of_reunet_is_there():
    cells = [claim for claim in BOOKS["reunet"].claims if claim.table]
    sizes = {t: sum(c.table == t for c in cells) for t in ("T1", "T2", "T3", "T4", "T5", "T6")}
    assert sizes == {"T1": 5, "T2": 120, "T3": 24, "T4": 28, "T5": 8, "T6": 12}
    assert sum(name.endswith(".sd") for name in REUNET) == 120


def test_every_claim_and_slip_of_reunet_is_there():
    heads = {re.match(r"[A-Z]\d+", claim.id)[0] for claim in BOOKS["reunet"].claims}
    assert {f"X{n}" for n in range(1, 17)} <= heads
    assert {f"S{n}" for n in range(1, 15)} <= heads
    assert {f"D{n}" for n in range(1, 17)} <= heads


def test_every_table_of_plnet_is_there():
    cells = [claim for claim in BOOKS["plnet"].claims if claim.table]
    sizes = {t: sum(c.table == t for c in cells) for t in ("T2", "T3", "T4", "T5", "T6", "T7")}
    # Without a score: four nets on PH2, and some of DSNet and Double U-Net.
    assert sizes == {"T2": 80, "T3": 19 * 10 - 24, "T4": 19 * 4 - 1, "T5": 18, "T6": 72, "T7": 6}
    assert sum(name.endswith(".sd") for name in BOOKS["plnet"].values) == 11 * 4


def test_every_claim_and_slip_of_plnet_is_there():
    heads = {re.match(r"[A-Z]\d+", claim.id)[0] for claim in BOOKS["plnet"].claims}
    assert {f"X{n}" for n in range(1, 41)} <= heads
    assert {f"S{n}" for n in range(1, 19)} <= heads
    assert {f"T{n}" for n in range(1, 8)} | {"F3", "N1", "N2"} <= heads


def test_fields_of_plnet_are_those_of_the_net():
    """Stage 1 alone; stage 2 takes a canvas of 768 px, and a minute."""
    given = next(claim for claim in BOOKS["plnet"].claims if claim.id == "X5.field").inputs
    net = models.create("plnet", in_channels=1, base=2, depths=(3,))
    for number in (1, 2):
        feature = f"stage1_pass{number}_decoder0"
        measured = models.measure.receptive_field(net, (1, 224, 224), feature=feature)
        assert measured == given[f"stage1_pass{number}"]


def test_every_claim_of_sigrenet_is_there_and_placeholders_stay_open():
    rows = {row.claim.id: row for row in claims.rows("sigrenet")}
    assert {f"X{n}" for n in range(1, 28)} <= {name.partition(".")[0] for name in rows}
    for name in ("X6", "X7.dice", "X7.gain", "X7.iou"):  # printed as X, Y, Z
        assert rows[name].verdict == "not stated by the paper"


def test_ratios_of_sigrenet_depend_on_the_reading():
    verdicts = {row.claim.id: row.verdict for row in claims.rows("sigrenet", "X1", "X2", "X3")}
    held = {name for name, verdict in verdicts.items() if verdict == "holds"}
    assert held == {"X1.standard-literal", "X2.layer", "X2.tiny", "X3.wide", "X3.wide72-released"}


@pytest.mark.parametrize("name", SETS)
def test_the_last_row_of_table_2_is_the_best(name):
    for measure in ("iou", "dice"):
        column = [v for k, v in REUNET.items() if re.fullmatch(rf"T2\..*\.{name}\.{measure}", k)]
        assert len(column) == 12
        assert max(column) == column[-1] > max(column[:-1])


def test_notebooks_of_claims_exist_or_are_planned(root):
    made = {file.stem for file in (root / "notebooks" / "source").glob("*.py")}
    for book in BOOKS.values():
        for claim in book.claims:
            if claim.notebook:
                assert re.fullmatch(r"(0\d|1[0-4])_[a-z_]+", claim.notebook), claim.id
                same = {name for name in made if name[:2] == claim.notebook[:2]}
                assert same <= {claim.notebook}, claim.id


def test_ledgers_name_no_machine():
    for file in folder().glob("*.toml"):
        assert not re.search(r"(?<!\w)/(home|root|tmp)/", file.read_text(encoding="utf-8"))
