"""The parameters cell of a notebook, read and enforced before a kernel starts.

A line reads ``epochs = 8  # int 1..1000: passes over the training cases`` or
``data = "phantoms"  # str phantoms|nuclei|...: which images``. A text range that starts with ``|``
also allows the empty text; one that ends in ``...`` allows any other text.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat

LINE = re.compile(
    r"^(?P<name>\w+) = (?P<default>.+?)"
    r"  # (?P<kind>int|float|bool|str)\s*(?P<range>[^:]*): (?P<help>.+)$"
)
KINDS = {"int": int, "float": float, "bool": bool, "str": str}


@dataclass(frozen=True)
class Parameter:
    """One line of a parameters cell."""

    name: str
    default: Any
    kind: str
    range: str
    help: str

    def describe(self) -> str:
        """Return one line for a list of valid parameters."""
        return f"{self.name} ({' '.join(filter(None, (self.kind, self.range)))}): {self.help}"

    def accept(self, value: Any) -> Any:
        """Return the value in the parameter's type; ValueError if type or range is wrong."""
        if self.kind == "float" and isinstance(value, int) and not isinstance(value, bool):
            value = float(value)
        if type(value) is not KINDS[self.kind]:
            raise ValueError(f"{self.name} = {value!r} is not of type {self.kind}")
        if not self._in_range(value):
            raise ValueError(f"{self.name} = {value!r} is outside {self.range}")
        return value

    def parse(self, text: str) -> Any:
        """Turn text from the command line into an accepted value."""
        if self.kind == "str":
            return self.accept(text)
        try:
            value = ast.literal_eval({"true": "True", "false": "False"}.get(text, text))
        except (ValueError, SyntaxError):
            raise ValueError(f"{self.name} = {text!r} is not of type {self.kind}") from None
        return self.accept(value)

    def _in_range(self, value: Any) -> bool:
        if not self.range:
            return True
        if self.kind == "str":
            options = self.range.split("|")
            return value in options or (options[-1] == "..." and value != "")
        low, high = (float(bound) for bound in self.range.split(".."))
        return low <= value <= high


def read(notebook: Path) -> dict[str, Parameter]:
    """Read the parameters of a notebook by name; ValueError if its cell is not as it must be."""
    cells = [
        cell
        for cell in nbformat.read(notebook, as_version=4).cells
        if "parameters" in cell.metadata.get("tags", [])
    ]
    if len(cells) != 1:
        raise ValueError(f"{notebook.name} has {len(cells)} cells tagged parameters: it needs one")
    return parse_cell(cells[0].source, notebook.name)


def parse_cell(source: str, where: str) -> dict[str, Parameter]:
    """Parse the text of a parameters cell."""
    found = {}
    for line in source.splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        match = LINE.match(line)
        if match is None:
            raise ValueError(f"{where}: cannot read the parameter line {line!r}")
        parts = match.groupdict()
        parameter = Parameter(
            name=parts["name"],
            default=ast.literal_eval(parts["default"]),
            kind=parts["kind"],
            range=parts["range"].strip(),
            help=parts["help"],
        )
        parameter.accept(parameter.default)
        found[parameter.name] = parameter
    return found


def validate(known: dict[str, Parameter], given: dict[str, str], where: str) -> dict[str, Any]:
    """Check text values against a notebook's parameters and return them in their types.

    Raises:
        ValueError: for an unknown name, a wrong type or a value out of range, with the valid ones.
    """
    return _checked(known, given, where, Parameter.parse)


def accept(known: dict[str, Parameter], given: dict[str, Any], where: str) -> dict[str, Any]:
    """Check typed values, as from a file; see :func:`validate`."""
    return _checked(known, given, where, Parameter.accept)


def _checked(known: dict, given: dict, where: str, check: Callable) -> dict[str, Any]:
    unknown = sorted(set(given) - set(known))
    if unknown:
        valid = "; ".join(parameter.describe() for parameter in known.values())
        raise ValueError(f"{where} has no parameter {unknown[0]!r}. Valid: {valid}")
    try:
        return {name: check(known[name], value) for name, value in given.items()}
    except ValueError as error:
        name = str(error).split(" = ")[0]
        raise ValueError(f"{where}: {error}. Valid: {known[name].describe()}") from None
