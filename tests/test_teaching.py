"""Guesses, checks and hints: what a student is told."""

import math

import numpy as np
import pytest
import torch

from course_lib import teaching
from course_lib.teaching import Exercise, Raised, Wrong, judge, same

DOUBLE = Exercise(
    reference=lambda x: 2 * x,
    cases=((1,), (3,), (-2,)),
    hints=("Look at the number.", "Twice.", "2 * x"),
    wrong=(Wrong({0: 1, 1: 9, 2: 4}, "That is the square."),),
)
LETTERS = Exercise(
    reference="BC",
    hints=("What is the purpose?",),
    wrong=(Wrong({0: {"B"}}, "What does a speck do?"),),
    model_answer="Because it counts.",
)


def stub(x):
    raise NotImplementedError


@pytest.mark.parametrize(
    ("answer", "status", "part"),
    [
        (lambda x: x + x, "passed", ""),
        (stub, "not started", "own version"),
        (lambda x: x * x, "not yet", "square"),
        (lambda x: x, "not yet", "Case 1: expected 2, got 1"),
        (lambda: 1, "not yet", "the error TypeError"),
        (7, "not yet", "a int"),
    ],
)
def test_function_verdicts(answer, status, part):
    verdict = judge(DOUBLE, answer)
    assert verdict.status == status
    assert part in verdict.message


@pytest.mark.parametrize(
    ("answer", "status", "part"),
    [
        ("b, c", "passed", "two sentences"),
        ("CB", "passed", ""),
        ("B and C", "passed", ""),
        ("", "not started", ""),
        (None, "not started", ""),
        ("b", "not yet", "speck"),
        ("A", "not yet", "purpose"),
    ],
)
def test_letter_verdicts(answer, status, part):
    verdict = judge(LETTERS, answer)
    assert verdict.status == status
    assert part in verdict.message


def test_a_case_is_not_changed_by_the_answer_that_comes_first():
    def clears(x):
        x[:] = 0
        return 0

    exercise = Exercise(lambda x: x.sum(), ("add",), cases=((np.ones(3),),))
    assert judge(exercise, clears).status == "not yet"
    assert judge(exercise, lambda x: x.sum()).status == "passed"


def test_a_list_that_an_answer_sorts_is_whole_for_the_next():
    exercise = Exercise(lambda x: x[0], ("add",), cases=(([3, 1],),))
    assert judge(exercise, lambda x: sorted(x)[0]).status == "not yet"
    assert judge(exercise, lambda x: x.sort() or x[0]).status == "not yet"
    assert judge(exercise, lambda x: x[0]).status == "passed"


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        (math.nan, math.nan, True),
        (None, math.nan, False),
        (None, None, True),
        (math.inf, math.inf, True),
        (1.00001, 1, True),
        (1.001, 1, False),
        (torch.ones(2), np.ones(2), True),
        (torch.ones(2), torch.ones(3), False),
        ((1, [2.0, 3]), [1, (2, 3)], True),
        ((1, 2), (1, 2, 3), False),
        (Raised("ValueError"), Raised("ValueError"), True),
        (Raised("ValueError"), 1, False),
        (Raised("ValueError"), np.ones(2), False),
        ({"a": 1}, {"a": 1.0}, True),
        ({"a": 1}, {"b": 1}, False),
        ({"a"}, {"a"}, True),
        ("a", 1, False),
        (None, 1, False),
        (True, 1, True),
    ],
)
def test_same(a, b, expected):
    assert same(a, b) is expected


def test_check_returns_the_right_function_and_never_raises(monkeypatch, capsys):
    monkeypatch.setattr(teaching, "load_checks", lambda number: {"99-1": DOUBLE})
    monkeypatch.delenv("COURSE_CHECK", raising=False)

    def mine(x):
        return x + x

    assert teaching.check("99-1", mine) is mine
    assert teaching.check("99-1", stub) is DOUBLE.reference
    assert "99-1 not started" in capsys.readouterr().out


def test_strict_check_raises(monkeypatch):
    monkeypatch.setattr(teaching, "load_checks", lambda number: {"99-1": DOUBLE})
    monkeypatch.setenv("COURSE_CHECK", "strict")
    with pytest.raises(AssertionError, match=r"99-1: not yet\. That is the square"):
        teaching.check("99-1", lambda x: x * x)


def test_hints_come_in_steps(monkeypatch, capsys):
    monkeypatch.setattr(teaching, "load_checks", lambda number: {"99-1": DOUBLE, "99-2": LETTERS})
    for step in (1, 3, 9):
        teaching.hint("99-1", step)
    teaching.hint("99-2", 2)
    out = capsys.readouterr().out
    assert "Hint 1 of 3 for 99-1: Look" in out
    assert out.count("Hint 3 of 3 for 99-1: 2 * x") == 2
    assert "Hint 2 of 2 for 99-2: Because" in out


def test_unknown_exercise_is_named(monkeypatch):
    monkeypatch.setattr(teaching, "load_checks", lambda number: {"99-1": DOUBLE})
    with pytest.raises(ValueError, match=r"no exercise '99-7': known are 99-1"):
        teaching.check("99-7", stub)


def test_guess_reveals_with_and_without_a_guess(capsys):
    teaching.guess("P1", None, answer="b", a="loss is no score")
    teaching.guess("P1", "(B)", answer="b", a="loss is no score")
    teaching.guess("P1", "a", answer="b", a="loss is no score")
    teaching.guess("P2", 0.21, answer=0.2)
    teaching.guess("P2", 0.9, answer=0.2)
    lines = capsys.readouterr().out.splitlines()
    assert "the answer is b" in lines[0]
    assert lines[1] == "P1: yes, b."
    assert "loss is no score" in lines[2]
    assert lines[3].endswith("close.")
    assert "close" not in lines[4]
