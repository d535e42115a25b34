"""Every exercise: the right answer passes, each known wrong answer gets its own hint."""

import importlib.util
from pathlib import Path

import pytest

from course_lib import teaching
from course_lib.teaching import judge, load_checks, same

HERE = Path(__file__).parent


def answers(number):
    spec = importlib.util.spec_from_file_location("answers", HERE / f"answers_{number}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


NOTEBOOKS = sorted(path.name[:2] for path in teaching.CHECKS.glob("[0-9][0-9]_*.py"))
ALL = [
    (exercise, answers(notebook)) for notebook in NOTEBOOKS for exercise in load_checks(notebook)
]
IDS = [exercise for exercise, _ in ALL]


def find(name):
    return load_checks(name[:2])[name]


@pytest.mark.parametrize(("name", "known"), ALL, ids=IDS)
def test_reference_passes_and_gives_the_hand_checked_values(name, known):
    exercise = find(name)
    assert judge(exercise, exercise.reference).status == "passed"
    if callable(exercise.reference):
        got = [teaching._run(exercise.reference, case) for case in exercise.cases]
        assert len(got) == len(known.GOLDEN[name])
        for value, expected in zip(got, known.GOLDEN[name], strict=True):
            assert same(value, expected), f"{value} is not {expected}"


@pytest.mark.parametrize(("name", "known"), ALL, ids=IDS)
def test_stub_is_not_started(name, known):
    def stub(*arguments):
        raise NotImplementedError(f"exercise {name}")

    exercise = find(name)
    answer = stub if callable(exercise.reference) else ""
    assert judge(exercise, answer).status == "not started"


@pytest.mark.parametrize(("name", "known"), ALL, ids=IDS)
def test_every_known_wrong_answer_gets_its_own_hint(name, known):
    exercise = find(name)
    assert len(known.WRONG[name]) >= 2
    hints = set()
    for answer, part in known.WRONG[name]:
        verdict = judge(exercise, answer)
        assert verdict.status == "not yet"
        assert verdict.known is not None, f"{answer} is not recognised: {verdict.message}"
        assert part in verdict.message, f"{answer} got {verdict.message!r}"
        hints.add(verdict.message)
    assert hints == {wrong.hint for wrong in exercise.wrong}, "a hint that no wrong answer reaches"


@pytest.mark.parametrize(("name", "known"), ALL, ids=IDS)
def test_another_style_passes(name, known):
    assert judge(find(name), known.OTHER_STYLE[name]).status == "passed"


@pytest.mark.parametrize("name", IDS)
def test_hints_come_in_three_steps(name):
    exercise = find(name)
    assert len(exercise.hints) + bool(exercise.model_answer) >= 3


@pytest.mark.parametrize("notebook", [number for number in NOTEBOOKS if number != "00"])
def test_a_notebook_has_three_exercises(notebook):
    assert len(load_checks(notebook)) >= 3
