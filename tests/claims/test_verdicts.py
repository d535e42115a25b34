"""Verdicts come from committed results; small runs judge no accuracy."""

import pytest

from course_lib import claims
from tests.claims.conftest import HEAD, MEASURED, SWEPT

OPEN = "not yet measured"


def first(project):
    return claims.rows("tiny")[0]


def second(project):
    return claims.rows("tiny")[1]


def test_nothing_is_measured_without_a_committed_file(project):
    for row in claims.rows("tiny"):
        assert (row.verdict, row.ours, row.file) == (OPEN, None, "")


@pytest.mark.parametrize(("value", "verdict"), [(0.85, "holds"), (0.75, "fails")])
def test_a_run_at_full_size_judges(project, value, verdict):
    project.run(("full", 32, 0, value, [0.7, 0.9]))
    row = first(project)
    assert (row.verdict, row.ours, row.interval) == (verdict, value, (0.7, 0.9))
    assert row.note == "1 seed, n = 40"
    assert row.file == "notebooks/results/05_reunet/busi-cpu-2026-01-02.json"


@pytest.mark.parametrize(
    ("profile", "base"), [("smoke", 32), ("fast", 32), ("full", 8), ("full", 0), ("full", None)]
)
def test_small_runs_are_shown_and_judge_nothing(project, profile, base):
    project.run((profile, base, 0, 0.99))
    row = first(project)
    assert (row.verdict, row.ours) == (OPEN, 0.99)
    assert row.note.startswith("at teaching size")


def test_a_newer_small_run_does_not_hide_an_older_full_one(project):
    project.run(("full", 32, 0, 0.85), name="busi-cuda-2026-01-02")
    project.run(("fast", 32, 0, 0.10), name="busi-cpu-2026-03-01")
    assert (first(project).verdict, first(project).ours) == ("holds", 0.85)
    project.run(("full", 32, 0, 0.70), name="busi-cuda-2026-04-01")
    assert (first(project).verdict, first(project).ours) == ("fails", 0.70)


def test_full_runs_of_a_file_are_not_mixed_with_small_ones(project):
    project.run(("full", 32, 0, 0.9), ("full", 32, 1, 0.8), ("fast", 32, 2, 0.1))
    row = first(project)
    assert row.ours == pytest.approx(0.85)
    assert row.note == "2 seeds, n = 40"
    assert row.interval == pytest.approx((0.85 - 0.6353, 0.85 + 0.6353), abs=1e-3)  # t = 12.706


def test_a_count_is_the_same_at_any_size(project):
    text = MEASURED.replace('measure = "dice"', 'measure = "parameters"')
    project.ledger(HEAD + text)
    project.run(("smoke", 4, 0, 0.85))
    assert first(project).verdict == "holds"


def test_differences_of_a_sweep_are_paired_by_seed(project):
    gains = {0: 0.03, 1: 0.04, 2: 0.05}
    on = [("True", 32, seed, 0.5 * (seed + 1) / 3 + gain) for seed, gain in gains.items()]
    off = [("False", 32, seed, 0.5 * (seed + 1) / 3) for seed in gains]
    project.sweep(*on, *off, ("False", 32, 7, 0.9))
    row = second(project)
    assert row.verdict == "holds"
    assert row.ours == pytest.approx(0.04)
    assert row.interval == pytest.approx((0.04 - 0.02484, 0.04 + 0.02484), abs=1e-4)  # t = 4.303
    assert row.note == "3 seeds, n = 40"


@pytest.mark.parametrize(("column", "full"), [("net", True), ("gate", False)])
def test_only_another_net_may_have_another_width(project, column, full):
    project.ledger(HEAD + SWEPT.replace("gate = ", f"{column} = "))
    project.sweep(*[("True", 32, seed, 0.9 + seed / 99) for seed in range(3)],
                  *[("False", 64, seed, 0.8) for seed in range(3)])  # fmt: skip
    table = project.results / "sweeps" / "gate" / "full-cpu-2026-01-02.csv"
    table.write_text(table.read_text().replace("key,gate", f"key,{column}"))
    row = first(project)
    assert row.ours == pytest.approx(0.1 + 1 / 99)
    assert row.verdict == ("holds" if full else OPEN)


def test_one_seed_has_no_interval_to_judge_by(project):
    project.sweep(("True", 32, 0, 0.9), ("False", 32, 0, 0.1))
    row = second(project)
    assert (row.verdict, row.note) == (OPEN, "1 seed, n = 40, no interval")


def test_a_value_that_is_undefined_for_a_seed_judges_nothing(project):
    project.sweep(("True", 32, 0, ""), ("True", 32, 1, 0.9), ("False", 32, 0, 0.1),
                  ("False", 32, 1, 0.1))  # fmt: skip
    row = second(project)
    assert (row.verdict, row.ours) == (OPEN, None)
    assert "undefined" in row.note


@pytest.mark.parametrize(("profile", "base"), [("fast", 32), ("smoke", 32), ("full", 8)])
def test_a_small_sweep_judges_nothing(project, profile, base):
    rows = [(gate, base, seed, 0.5 + 0.1 * (gate == "True")) for gate in ("True", "False")
            for seed in (0, 1)]  # fmt: skip
    project.sweep(*rows, profile=profile)
    row = second(project)
    assert row.verdict == OPEN
    assert row.note.startswith("at teaching size, 2 seeds")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('record = "dice_mean"', 'record = "dice"', "has no record 'dice'"),
        ("{ gate = true }", "{ gates = true }", "setting names 'gates', which the runs in"),
        ("{ gate = true }", "{}", "has several runs of one seed: say more in setting"),
        ('"low > 0"', '"ours / (ours - ours) > 0"', "the rule divides by zero"),
    ],
)
def test_a_claim_that_does_not_fit_its_file_is_one_line(project, old, new, message):
    project.sweep(("True", 32, 0, 0.9), ("False", 32, 0, 0.1))
    assert old in SWEPT
    project.ledger(HEAD + SWEPT.replace(old, new))
    with pytest.raises(ValueError, match=rf"^tiny\.toml: X2: .*{message}"):
        claims.rows("tiny")


@pytest.mark.parametrize("text", ["{", '{"runs": 3}', '{"runs": [{"records": {}}]}', "[]", "\xff"])
def test_a_damaged_result_file_is_one_line(project, text):
    project.run(("full", 32, 0, 0.9))
    file = project.results / "05_reunet" / "busi-cpu-2026-01-02.json"
    file.write_text(text, encoding="latin-1")
    with pytest.raises(ValueError, match=r"^tiny\.toml: X1: .*busi-cpu-2026-01-02\.json"):
        claims.rows("tiny")


def test_a_record_that_is_no_number_is_one_line(project):
    project.run(("full", 32, 0, "high"))
    with pytest.raises(ValueError, match=r"X1: .*record 'dice_mean' is no number: 'high'"):
        claims.rows("tiny")


def test_rows_by_the_beginning_of_their_ids(project):
    assert [row.claim.id for row in claims.rows("tiny", "X1")] == ["X1"]
    assert [row.claim.id for row in claims.rows("tiny", "X2", "X1")] == ["X1", "X2"]
    with pytest.raises(ValueError, match=r"tiny\.toml has no claim whose id begins with 'X'"):
        claims.rows("tiny", "X")
    assert claims.summary(claims.rows("tiny")) == {
        "holds": 0, "fails": 0, "not comparable": 0, "not stated by the paper": 0, OPEN: 2,
    }  # fmt: skip


def test_the_table_of_a_notebook(project):
    project.run(("full", 32, 0, 0.85, [0.7, 0.9]))
    table = claims.table("tiny", "X1")
    assert list(table.index) == ["X1"]
    assert list(table.loc["X1"]) == [
        "The net is good", "5", "0.8", "0.85 [0.7, 0.9], 1 seed, n = 40", "holds", "",
    ]  # fmt: skip
