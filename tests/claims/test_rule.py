"""Rules are a small language: what is not in it is refused, and nothing is executed."""

import ast
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from course_lib.claims import evaluate, names_in
from course_lib.claims.rule import compared

VALUES = {"a": 2, "b": 0.5, "many": [1, 2, 6], "word": "ReLU", "words": ["x", "y"]}
NO_RULE = "(not allowed in a rule)|(is not an expression)"
REFUSED = [
    "a.real > 1", "().__class__ == 1", "many[0] == 1", "[1, 2] == many", "(lambda: 1)() == 1",
    "[x for x in many] == many", "open(a) == 1", "__import__(a) == 1", "eval(word) == 1",
    "a if b else a", "a and b", "not a", "a in many", "a is b", "a // b == 4", "a % b == 0",
    "a @ b == 1", "a | b == 1", "a << 2 == 8", "+a == 2", "~a == 1", "{1: 2} == a", "{a} == a",
    "'ReLU' == word", "word == b'x'", "f'{a}' == word", "None == a", "True", "... == a", "1j == a",
    "max(*many) == 6", "round(a, ndigits=1) == 2", "max.real == 1", "(max)(max)(a) == 1",
    "(a := 3) == 3", "a = 3", "await a", "yield", "a; b", "", "a >", "import os", "*many",
    "getattr(a, word) == 1", "print(a) == 1",
]  # fmt: skip


@pytest.mark.parametrize(
    ("rule", "true"),
    [
        ("a > b", True),
        ("a < b", False),
        ("b <= 0.5 <= a", True),
        ("1 > b > a", False),
        ("round(a / 3, 2) == 0.67", True),
        ("abs(-a) == 2", True),
        ("mean(many) == 3", True),
        ("mean(1, 2, many) == 12 / 5", True),
        ("min(many) + max(many, 7) == 8", True),
        ("all(a > b, max(many) == 6)", True),
        ("all(a > b, a < b)", False),
        ("any(a < b, a != b)", True),
        ("a ** 10 == 1024", True),
        ("-a - -2 == 0", True),
        ("word == word", True),
        ("word == words", False),
        ("word != a", True),
    ],
)
def test_rules_mean_what_they_say(rule, true):
    assert evaluate(rule, VALUES) is true


@pytest.mark.parametrize("rule", REFUSED)
def test_everything_else_is_refused(rule):
    with pytest.raises(ValueError, match=NO_RULE):
        names_in(rule)
    with pytest.raises(ValueError, match=NO_RULE):
        evaluate(rule, VALUES)


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ("a > other", "names 'other'"),
        ("a + b", "true or false"),
        ("a", "true or false"),
        ("word > 1", "not a number"),
        ("many + 1 > 1", "not a number"),
        ("(a > b) + 1 == 2", "not a number"),
        ("max(word) == 1", "not a number"),
        ("all(a, b)", "take comparisons"),
        ("max() == 1", "no value"),
        ("abs(a, b) == 1", "one number"),
        ("round(a, 0.5) == 1", "whole decimals"),
        ("round(a, 1, 1) == 1", "decimals"),
        ("a / (b - b) == 1", "divides by zero"),
        ("0 ** -1 == 1", "divides by zero"),
        ("(-a) ** b == 1", "not finite"),
        ("1e999 > a", "not finite"),
        ("9 ** 9 ** 9 > a", "exponent"),
        ("a ** -65 < 1", "exponent"),
        ("(((1e9 ** 20) ** 20) ** 20) > 1", "too large"),
        ("1e300 * 1e300 > 1", "not finite"),
        ("a" + " + a" * 200 + " > 1", "longer than"),
        ("(" * 250 + "a > 1", "not an expression"),
        ("-" * 100 + "a > 1", "nested too deeply"),
    ],
)
def test_a_rule_that_cannot_be_computed_is_a_value_error(rule, message):
    with pytest.raises(ValueError, match=message):
        evaluate(rule, VALUES)


def test_values_must_be_finite_numbers_texts_or_lists():
    for value in (math.nan, math.inf, None, True, {"x": 1}, [1, None]):
        with pytest.raises(ValueError, match="number"):
            evaluate("x == 1", {"x": value})


SNIPPETS = st.sampled_from(
    ["a", "b", "many", "word", "1", "2.5", "(", ")", "+", "-", "*", "**", "/", "<", "==", ",", ".",
     "[", "]", "max", "all", "round", "__class__", "lambda", ":", "if", "else", "for", "in", "{",
     "}", "'x'", "\\", "\0", "\n", "#", "=", "open", "🐍", "9" * 400]
)  # fmt: skip
TEXTS = st.one_of(st.text(max_size=60), st.lists(SNIPPETS, max_size=25).map(" ".join))


@settings(max_examples=600, deadline=None)
@given(TEXTS)
def test_any_text_gives_true_false_or_a_value_error(text):
    try:
        assert evaluate(text, VALUES) in (True, False)
    except ValueError:
        return
    nodes = {type(node) for node in ast.walk(ast.parse(text.strip(), mode="eval"))}
    assert not nodes & {ast.Attribute, ast.Subscript, ast.Lambda, ast.List, ast.Starred}


def test_names_and_compared_numbers():
    assert names_in("round(a - max(many), 2) >= quote") == {"a", "many", "quote"}
    assert compared("round(a - max(many), 2) >= quote", VALUES | {"quote": 1}) == [-4]
    assert compared("1 < a < b", VALUES) == [2, 0.5]
    assert compared("all(a > 1, b > mean(many))", VALUES) == [2, 0.5, 3]
    assert compared("word == quote", VALUES | {"quote": "x"}) == []
