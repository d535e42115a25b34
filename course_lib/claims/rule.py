"""Rules of the ledger: comparisons of named numbers, evaluated without ``eval``.

    round(ours - max(others), 2) >= quote

A rule may use numbers, names, ``+ - * / **``, comparisons, and the functions below; it ends in true
or false. A name stands for a number, a text or a list of either; texts only know ``==`` and ``!=``.
"""

from __future__ import annotations

import ast
import math
import operator
from collections.abc import Iterator, Mapping, Sequence

Value = float | str | bool | list

LONGEST, DEEPEST, LARGEST_EXPONENT = 300, 40, 64
ARITHMETIC = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: operator.pow,
}
ORDER = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}
SAMENESS = {ast.Eq: operator.eq, ast.NotEq: operator.ne}


def evaluate(rule: str, values: Mapping[str, float | str | Sequence]) -> bool:
    """Say whether a rule is true for these values.

    Args:
        rule: at most 300 characters, for example ``"abs(ours - quote) <= 0.02"``.
        values: what each name stands for: a finite number, a text, or a list of either.

    Raises:
        ValueError: for anything that is not in the language, an unknown name, a number that is not
            finite, or a rule that does not end in true or false.
    """
    known = {name: _clean(value, name) for name, value in values.items()}
    try:
        answer = _value(_parse(rule), known)
    except OverflowError:
        raise ValueError("a number in the rule becomes too large") from None
    except ZeroDivisionError:
        raise ValueError("the rule divides by zero") from None
    if not isinstance(answer, bool):
        raise ValueError("the rule does not end in true or false: compare with < <= == != >= >")
    return answer


def compared(rule: str, values: Mapping[str, float | str | Sequence]) -> list[float]:
    """Return the numbers that a rule compares, left to right, for people to look at.

    Left out are constants, what is no number, and ``quote``, which stands beside them anyway. Empty
    for a rule that is neither a comparison nor ``all()`` or ``any()`` of some.
    """
    known = {name: _clean(value, name) for name, value in values.items()}
    tree = _parse(rule)
    parts = tree.args if isinstance(tree, ast.Call) else [tree]
    sides = [side for part in parts if isinstance(part, ast.Compare) for side in _sides(part)]
    told = [s for s in sides if not isinstance(s, ast.Constant) and ast.unparse(s) != "quote"]
    numbers = [_value(side, known) for side in told]
    return [number for number in numbers if _is_number(number)]


def _sides(comparison: ast.Compare) -> list[ast.expr]:
    return [comparison.left, *comparison.comparators]


def names_in(rule: str) -> set[str]:
    """Return the names of values that a rule uses, after checking that it is well formed.

    Raises:
        ValueError: for anything that is not in the language of rules.
    """
    return set(_check(_parse(rule)))


def _parse(rule: str) -> ast.expr:
    if len(rule) > LONGEST:
        raise ValueError(f"the rule is longer than {LONGEST} characters")
    try:
        tree = ast.parse(rule.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise ValueError(f"the rule {rule!r} is not an expression") from None
    if _depth(tree) > DEEPEST:
        raise ValueError("the rule is nested too deeply")
    list(_check(tree))
    return tree


def _depth(tree: ast.expr) -> int:
    level, depth = [tree], 0
    while level:
        level = [child for node in level for child in ast.iter_child_nodes(node)]
        depth += 1
    return depth


def _check(node: ast.expr) -> Iterator[str]:
    """Yield the names of values below a node; refuse whatever is not listed here."""
    match node:
        case ast.Constant(value=number) if _is_number(number):
            return
        case ast.Name(id=name):
            yield name
        case ast.UnaryOp(op=ast.USub(), operand=part):
            yield from _check(part)
        case ast.BinOp(left=left, op=op, right=right) if type(op) in ARITHMETIC:
            yield from _check(left)
            yield from _check(right)
        case ast.Compare(ops=ops):
            _refuse_unless(all(type(op) in ORDER | SAMENESS for op in ops), node)
            for part in _sides(node):
                yield from _check(part)
        case ast.Call(func=ast.Name(id=name), args=parts, keywords=[]):
            _refuse_unless(name in FUNCTIONS, node)
            for part in parts:
                yield from _check(part)
        case _:
            _refuse_unless(False, node)


def _refuse_unless(allowed: bool, node: ast.expr) -> None:
    if not allowed:
        raise ValueError(
            f"{ast.unparse(node)[:60]!r} is not allowed in a rule: use numbers, names, + - * / **, "
            f"comparisons and {', '.join(FUNCTIONS)}"
        )


def _value(node: ast.expr, known: Mapping[str, Value]) -> Value:
    """Return the value of a node that :func:`_check` has let pass."""
    match node:
        case ast.Constant(value=number):
            return _finite(float(number))
        case ast.Name(id=name):
            if name not in known:
                raise ValueError(f"the rule names {name!r}, which is not a value of the claim")
            return known[name]
        case ast.UnaryOp(operand=part):
            return -_number(_value(part, known))
        case ast.BinOp(left=left, op=op, right=right):
            return _arithmetic(op, _number(_value(left, known)), _number(_value(right, known)))
        case ast.Compare(ops=ops):
            parts = [_value(part, known) for part in _sides(node)]
            pairs = zip(ops, parts, parts[1:], strict=False)
            truths = [_compare(op, one, two) for op, one, two in pairs]  # all: none may be wrong
            return all(truths)
        case ast.Call(func=function, args=parts):
            return FUNCTIONS[function.id](*(_value(part, known) for part in parts))


def _arithmetic(op: ast.operator, left: float, right: float) -> float:
    if isinstance(op, ast.Pow) and abs(right) > LARGEST_EXPONENT:
        raise ValueError(f"an exponent in the rule is beyond {LARGEST_EXPONENT}")
    return _finite(ARITHMETIC[type(op)](left, right))


def _compare(op: ast.cmpop, one: Value, two: Value) -> bool:
    if type(op) in ORDER:
        return ORDER[type(op)](_number(one), _number(two))
    return SAMENESS[type(op)](one, two)


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _number(value: object) -> float:
    if not _is_number(value):
        raise ValueError(f"the rule calculates with {value!r}, which is not a number")
    return value


def _finite(value: object) -> float:
    if isinstance(value, complex) or not math.isfinite(value):
        raise ValueError("a number in the rule is not finite")
    return value


def _clean(value: object, name: str) -> Value:
    if isinstance(value, str):
        return value
    if isinstance(value, (list, tuple)):
        return [_clean(item, name) for item in value]
    if not _is_number(value):
        raise ValueError(f"the value {name!r} of a rule must be a number, a text or a list")
    return _finite(float(value))


def _flat(parts: Sequence[Value]) -> list:
    flat = [one for part in parts for one in (part if isinstance(part, list) else [part])]
    if not flat:
        raise ValueError("a function of the rule is given no value")
    return flat


def _numbers(parts: Sequence[Value]) -> list[float]:
    return [_number(one) for one in _flat(parts)]


def _truths(parts: Sequence[Value]) -> list[bool]:
    flat = _flat(parts)
    if not all(isinstance(one, bool) for one in flat):
        raise ValueError("all() and any() take comparisons")
    return flat


def _round(*parts: Value) -> float:
    if len(parts) not in (1, 2):
        raise ValueError("round() takes a number and, if wanted, its decimals")
    digits = _number(parts[1]) if len(parts) == 2 else 0
    if digits not in range(-12, 13):
        raise ValueError("round() takes whole decimals from -12 to 12")
    return float(round(_number(parts[0]), int(digits)))


def _abs(*parts: Value) -> float:
    if len(parts) != 1:
        raise ValueError("abs() takes one number")
    return abs(_number(parts[0]))


FUNCTIONS = {
    "abs": _abs,
    "min": lambda *parts: min(_numbers(parts)),
    "max": lambda *parts: max(_numbers(parts)),
    "mean": lambda *parts: math.fsum(_numbers(parts)) / len(_numbers(parts)),
    "round": _round,
    "all": lambda *parts: all(_truths(parts)),
    "any": lambda *parts: any(_truths(parts)),
}
