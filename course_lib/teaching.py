"""What the notebooks say to a student: guesses revealed, exercises checked, hints given.

Exercises live in ``notebooks/checks/NN_*.py`` as a literal table ``EXERCISES``; this module only
compares. A check never stops a notebook: it returns the student's answer if it is right and the
course's own otherwise, so that everything below still runs. With COURSE_CHECK=strict (used to build
the solutions) anything but a right answer raises.
"""

from __future__ import annotations

import copy
import importlib.util
import math
import os
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

CHECKS = Path(__file__).resolve().parents[1] / "notebooks" / "checks"
# Absolute for scores; relative only as float32 needs it, so that a count off by 65 stays wrong.
ABSOLUTE, RELATIVE = 1e-4, 1e-6


@dataclass(frozen=True)
class Wrong:
    """A known wrong answer: what it gives on some of the cases (by index), and its own hint."""

    results: dict[int, Any]
    hint: str


@dataclass(frozen=True)
class Exercise:
    """One exercise: the right answer, cases that tell answers apart, hints in steps.

    ``reference`` is a function, or a set of letters for a read-and-choose exercise. ``cases`` is a
    tuple of argument tuples. ``wrong`` lists known wrong answers (for letters: ``Wrong({0: set},
    hint)``). ``model_answer`` is shown as the last hint of a read-and-choose exercise.
    """

    reference: Any
    hints: tuple[str, ...]
    cases: tuple[tuple, ...] = ()
    wrong: tuple[Wrong, ...] = ()
    model_answer: str = ""


@dataclass(frozen=True)
class Raised:
    """Stands for the result of a case in which the answer raised an exception."""

    kind: str


@dataclass(frozen=True)
class Verdict:
    """What a check found: status is ``passed``, ``not started`` or ``not yet``."""

    status: str
    message: str
    known: Wrong | None = field(default=None, compare=False)


def guess(question: str, mine, *, answer, **why: str) -> None:
    """Reveal the answer to a prediction; compare it with the student's guess if there is one.

    Args:
        question: its number, for example ``"P1"``.
        mine: a letter, a number, or None if the student made no guess.
        answer: the letter or the number (right within 10 %).
        why: for each wrong letter the thought that leads there.
    """
    if mine is None:
        shown = answer if isinstance(answer, str) else f"{answer:.4g}"
        print(f"{question}: the answer is {shown}. (You made no guess: next time, commit first.)")
    elif isinstance(answer, str):
        letter = str(mine).strip().strip("()").lower()
        if letter == answer:
            print(f"{question}: yes, {answer}.")
        else:
            reason = why.get(letter, "that is none of the options.")
            print(
                f"{question}: you said {letter}, the answer is {answer}. Behind {letter}: {reason}"
            )
    else:
        close = abs(float(mine) - answer) <= 0.1 * abs(answer)
        print(
            f"{question}: you said {mine}, the answer is {answer:.4g}"
            + (": close." if close else ".")
        )


def check(number: str, answer):
    """Check an exercise, say what was found, and return a right answer to go on with.

    Args:
        number: for example ``"03-2"``.
        answer: the student's function, or letters such as ``"BC"`` for read-and-choose.

    Returns:
        ``answer`` if it passes, else the reference.

    Raises:
        AssertionError: only with COURSE_CHECK=strict, if the answer does not pass.
    """
    exercise = _exercise(number)
    verdict = judge(exercise, answer)
    if os.environ.get("COURSE_CHECK") == "strict" and verdict.status != "passed":
        raise AssertionError(f"exercise {number}: {verdict.status}. {verdict.message}")
    sign = {"passed": "✓", "not started": "○", "not yet": "✕"}[verdict.status]
    print(f"{sign} {number} {verdict.status}. {verdict.message}".rstrip())
    return answer if verdict.status == "passed" else exercise.reference


def hint(number: str, step: int = 1) -> None:
    """Print one hint of an exercise, from where to look to nearly the line."""
    exercise = _exercise(number)
    steps = exercise.hints + ((exercise.model_answer,) if exercise.model_answer else ())
    chosen = min(max(step, 1), len(steps))
    print(f"Hint {chosen} of {len(steps)} for {number}: {steps[chosen - 1]}")


def judge(exercise: Exercise, answer) -> Verdict:
    """Compare an answer with the reference and with the known wrong answers, printing nothing."""
    if callable(exercise.reference):
        return _judge_function(exercise, answer)
    return _judge_letters(exercise, answer)


def _judge_letters(exercise: Exercise, answer) -> Verdict:
    if answer is None or answer == "":
        return Verdict("not started", "The course's answer is used below.")
    said = re.sub(r"\b(AND|OR)\b", " ", str(answer).upper())
    letters = {letter for letter in said if letter.isalpha()}
    if letters == set(exercise.reference):
        return Verdict("passed", "Now write two sentences on why, then read the last hint.")
    for wrong in exercise.wrong:
        if letters == set(wrong.results[0]):
            return Verdict("not yet", wrong.hint, wrong)
    return Verdict("not yet", exercise.hints[0])


def _judge_function(exercise: Exercise, answer) -> Verdict:
    if not callable(answer):
        return Verdict("not yet", f"A function is expected, this is a {type(answer).__name__}.")
    got = [_run(answer, case) for case in exercise.cases]
    if all(same(result, Raised("NotImplementedError")) for result in got):
        return Verdict("not started", "The course's own version is used below.")
    expected = [_run(exercise.reference, case) for case in exercise.cases]
    bad = [i for i, pair in enumerate(zip(got, expected, strict=True)) if not same(*pair)]
    if not bad:
        return Verdict("passed", "")
    for wrong in exercise.wrong:
        if all(same(got[i], value) for i, value in wrong.results.items()):
            return Verdict("not yet", wrong.hint, wrong)
    first = bad[0]
    message = f"Case {first + 1}: expected {_show(expected[first])}, got {_show(got[first])}."
    return Verdict("not yet", f"{message} Hint: {exercise.hints[0]}")


def same(a, b) -> bool:
    """Tell whether two results agree: numbers within 1e-4, NaN equal to NaN, shapes equal."""
    if isinstance(a, Raised) or isinstance(b, Raised):
        return type(a) is type(b) and a == b  # an array would compare element by element
    if a is None or b is None:
        return a is b  # NumPy reads None as NaN: a forgotten return would pass
    if isinstance(a, (tuple, list)) and isinstance(b, (tuple, list)):
        return len(a) == len(b) and all(same(x, y) for x, y in zip(a, b, strict=True))
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in b)
    if isinstance(a, (set, frozenset, str)) or isinstance(b, (set, frozenset, str)):
        return a == b
    try:
        a, b = (_array(value) for value in (a, b))
    except (TypeError, ValueError):
        return False
    if a.shape != b.shape:
        return False
    return bool(np.allclose(a, b, rtol=RELATIVE, atol=ABSOLUTE, equal_nan=True))


def _array(value) -> np.ndarray:
    if isinstance(value, torch.Tensor):
        value = value.detach().cpu().float().numpy()
    return np.asarray(value, dtype=float)


def _run(function: Callable, case: tuple):
    copies = copy.deepcopy(case)
    try:
        return function(*copies)
    except Exception as error:  # any failure of a student's code is a result to compare
        return Raised(type(error).__name__)


def _show(value) -> str:
    if isinstance(value, Raised):
        return f"the error {value.kind}"
    if isinstance(value, float):
        return "NaN" if math.isnan(value) else f"{value:.4g}"
    if isinstance(value, torch.Tensor):
        value = value.detach().cpu().numpy()
    text = np.array2string(value, precision=4) if isinstance(value, np.ndarray) else repr(value)
    return " ".join(text.split())[:160]


def _exercise(number: str) -> Exercise:
    table = load_checks(number.split("-")[0])
    if number not in table:
        raise ValueError(f"there is no exercise {number!r}: known are {', '.join(table)}")
    return table[number]


@cache
def load_checks(notebook: str) -> dict[str, Exercise]:
    """Load the table EXERCISES of notebook NN from ``notebooks/checks``."""
    files = sorted(CHECKS.glob(f"{notebook}_*.py"))
    if not files:
        raise ValueError(f"notebook {notebook!r} has no exercises in notebooks/checks")
    spec = importlib.util.spec_from_file_location(f"checks_{notebook}", files[0])
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.EXERCISES
