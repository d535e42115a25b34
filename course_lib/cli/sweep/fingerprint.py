"""What a run depends on, as digests: when one changes, a finished run is made again.

Comments, docstrings and layout of the library do not change a result, so they do not count; of a
notebook its code cells count, not its prose.
"""

from __future__ import annotations

import ast
import hashlib
import json
from functools import lru_cache
from pathlib import Path
from typing import Any

import nbformat
from IPython.core.inputtransformer2 import TransformerManager

from course_lib.records import ROOT

PACKAGE = "course_lib"


def key(notebook_code: str, data: str, parameters: dict[str, Any]) -> str:
    """Return the name of a run: a digest of all that its result depends on.

    Args:
        notebook_code: from :func:`code`.
        data: digest of the prepared data set; empty for a notebook without one.
        parameters: the values given to the notebook, with profile and seed, without the folder.
    """
    return _digest(json.dumps([notebook_code, data, parameters], sort_keys=True))[:16]


def code(notebook: Path) -> str:
    """Return a digest of a notebook's code cells and of every library file that they import.

    Imports are followed through the files, those inside functions too; the checks of the notebook
    count, because an exercise that is not solved yet runs their solution.
    """
    cells = _code_cells(notebook)
    names = {name for text in cells for name in _imported(_tree(text))}
    checks = notebook.parent / "checks" / f"{notebook.stem}.py"
    files = [checks] if checks.is_file() else []
    names |= {name for file in files for name in _look(file)[1]}
    files += _closure(names)
    return _digest("\0".join(["\n".join(cells), *(_look(file)[0] for file in files)]))


def _code_cells(notebook: Path) -> list[str]:
    cells = nbformat.read(notebook, as_version=4).cells
    plain = TransformerManager()  # turns %magics into Python
    return [plain.transform_cell(cell.source) for cell in cells if cell.cell_type == "code"]


def _tree(text: str) -> ast.AST:
    # cells may await at top level
    return compile(text, "", "exec", ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)


def _imported(tree: ast.AST) -> set[str]:
    """Return the dotted names of the library that a tree imports, with possible attributes."""
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return {name for name in names if name.split(".")[0] == PACKAGE}


def _closure(names: set[str]) -> list[Path]:
    """Return the files behind these names and behind all that they import, sorted."""
    found: set[Path] = set()
    waiting = list(names)
    while waiting:
        for file in _files(waiting.pop()):
            if file not in found:
                found.add(file)
                waiting += _look(file)[1]
    return sorted(found)


def _files(name: str) -> list[Path]:
    """Return the files that importing a dotted name runs: its packages, and itself if a module."""
    parts = name.split(".")
    places = [ROOT.joinpath(*parts[: i + 1]) for i in range(len(parts))]
    files = [place / "__init__.py" for place in places] + [places[-1].with_suffix(".py")]
    return [file for file in files if file.is_file()]


def _look(file: Path) -> tuple[str, set[str]]:
    """Return the bare code of a file and what it imports; a file is read once while it stays."""
    return _look_at(file, file.stat().st_mtime_ns)


@lru_cache(maxsize=1000)
def _look_at(file: Path, changed: int) -> tuple[str, set[str]]:
    tree = _tree(file.read_text(encoding="utf-8"))
    names = _imported(tree)
    for node in ast.walk(tree):
        for field, body in ast.iter_fields(node):
            if isinstance(body, list) and body and isinstance(body[0], ast.stmt):
                setattr(node, field, [part for part in body if not _is_text(part)] or [ast.Pass()])
    return f"{file.name}\n{ast.unparse(tree)}", names


def _is_text(statement: ast.stmt) -> bool:
    """Tell a docstring, or the text below an attribute, from code."""
    value = statement.value if isinstance(statement, ast.Expr) else None
    return isinstance(value, ast.Constant) and isinstance(value.value, str)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
