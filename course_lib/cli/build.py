"""Makes the notebooks from their sources: a student version with stubs, a solution that was run.

``notebooks/source/NN_name.py`` (jupytext percent) is the only thing that people edit.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import tempfile
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from course_lib.cli import readme
from course_lib.records import ROOT

SOURCE = ROOT / "notebooks" / "source"
STUDENT = ROOT / "notebooks"
SOLUTIONS = ROOT / "notebooks" / "solutions"
BEGIN, END, STUB = "### BEGIN SOLUTION", "### END SOLUTION", "### STUB: "
KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}
WIDGET = "application/vnd.jupyter.widget-view+json"


def sources() -> list[Path]:
    """Return the notebook sources in order."""
    return sorted(SOURCE.glob("[0-9][0-9]_*.py"))


def student(source: Path) -> NotebookNode:
    """Return the student version: stubs for solutions, no outputs."""
    return _notebook(source, solution=False)


def solution(source: Path) -> NotebookNode:
    """Return the solution version, not yet run."""
    return _notebook(source, solution=True)


def build() -> list[str]:
    """Write what is stale; returns the names of the files that were written."""
    written = []
    SOLUTIONS.mkdir(exist_ok=True)
    for source in sources():
        target = STUDENT / f"{source.stem}.ipynb"
        if _text(student(source)) != _read(target):
            _write(target, _text(student(source)))
            written.append(f"notebooks/{target.name}")
        target = SOLUTIONS / target.name
        if not _same_cells(solution(source), target):
            _write(target, _text(_executed(source)))
            written.append(f"notebooks/solutions/{target.name}")
    if readme.render(sources()) != readme.current():
        _write(readme.README, readme.render(sources()))
        written.append("README.md")
    return written


def stale() -> list[str]:
    """Return the notebooks that differ from their sources or have none, and a stale README."""
    found, names = [], {source.stem for source in sources()}
    if readme.render(sources()) != readme.current():
        found.append("README.md")
    for source in sources():
        if _text(student(source)) != _read(STUDENT / f"{source.stem}.ipynb"):
            found.append(f"notebooks/{source.stem}.ipynb")
        if not _same_cells(solution(source), SOLUTIONS / f"{source.stem}.ipynb"):
            found.append(f"notebooks/solutions/{source.stem}.ipynb")
    for folder in (STUDENT, SOLUTIONS):
        orphans = [path for path in folder.glob("[0-9]*.ipynb") if path.stem not in names]
        found += [str(path.relative_to(ROOT)) for path in sorted(orphans)]
    return found


def _executed(source: Path) -> NotebookNode:
    from nbclient.exceptions import CellExecutionError

    try:
        return execute(solution(source))
    except CellExecutionError as error:
        name = f"notebooks/source/{source.name}"
        raise ValueError(f"{name} does not run: {error.ename}: {error.evalue}") from error


def execute(notebook: NotebookNode) -> NotebookNode:
    """Run a solution in the smoke profile with strict checks and keep its outputs."""
    from nbclient import NotebookClient

    before = dict(os.environ)
    os.environ |= {"COURSE_PROFILE": "smoke", "COURSE_CHECK": "strict", "PYTHONWARNINGS": "ignore"}
    try:
        with tempfile.TemporaryDirectory() as out:
            os.environ["COURSE_OUT"] = out
            NotebookClient(
                notebook,
                timeout=600,
                kernel_name="python3",
                resources={"metadata": {"path": str(STUDENT)}},
            ).execute()
    finally:
        os.environ.clear()
        os.environ.update(before)
    return _clean(notebook)


def _notebook(source: Path, solution: bool) -> NotebookNode:
    import jupytext

    parsed = jupytext.read(source)
    cells, seen = [], {}
    for cell in parsed.cells:
        tags = cell.metadata.get("tags", [])
        if "solution-only" in tags and not solution:
            continue
        if cell.cell_type == "code":
            cell.source = _solved(cell.source) if solution else _stubbed(cell.source, tags)
        if "budget" in tags:
            cell.source = cell.source.replace("{{budget}}", _budget(source.stem))
        cell.metadata = NotebookNode({"tags": tags} if tags else {})
        digest = hashlib.sha256((cell.cell_type + cell.source).encode()).hexdigest()[:8]
        seen[digest] = seen.get(digest, 0) + 1
        cell.id = digest if seen[digest] == 1 else f"{digest}-{seen[digest]}"
        cells.append(cell)
    metadata = {"kernelspec": KERNEL, "language_info": {"name": "python"}}
    return nbformat.v4.new_notebook(cells=cells, metadata=metadata)


def _solved(text: str) -> str:
    keep = [
        line
        for line in text.splitlines()
        if line.strip() not in (BEGIN, END) and not line.strip().startswith(STUB)
    ]
    return "\n".join(keep)


def _stubbed(text: str, tags: list[str]) -> str:
    """Replace solution lines by the lines kept for the student, or by the error of a stub."""
    number = next((tag[3:] for tag in tags if tag.startswith("ex-")), "")
    lines, kept, inside = [], [], False
    for line in text.splitlines():
        bare = line.strip()
        if bare == BEGIN:
            inside, kept = True, []
            indent = line[: len(line) - len(line.lstrip())]
        elif bare == END:
            inside = False
            lines += kept or [f'{indent}raise NotImplementedError("exercise {number}")']
        elif inside and bare.startswith(STUB):
            kept.append(line.replace(STUB, "", 1))
        elif not inside:
            lines.append(line)
    return "\n".join(lines)


def _budget(name: str) -> str:
    table = readme.budgets().get(name, {})
    rows = [
        f"{profile}: {row['seconds']:.0f} s and {row['peak_mb']:.0f} MB"
        for profile, row in table.items()
    ]
    return "; ".join(rows) if rows else "not measured yet"


def _clean(notebook: NotebookNode) -> NotebookNode:
    """Drop what differs from run to run or needs a live widget."""
    notebook.metadata = NotebookNode({"kernelspec": KERNEL, "language_info": {"name": "python"}})
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        if cell.cell_type != "code":
            continue
        cell.outputs = [
            output
            for output in cell.outputs
            if WIDGET not in output.get("data", {}) and output.get("name") != "stderr"
        ]
    return notebook


def _same_cells(made: NotebookNode, path: Path) -> bool:
    """Compare cell by cell without outputs; a solution must also have been run."""
    if not path.is_file():
        return False
    stored = nbformat.read(path, as_version=4)
    ran = all(cell.execution_count for cell in stored.cells if cell.cell_type == "code")

    def key(cell):
        return cell.cell_type, cell.source, cell.metadata.get("tags", []), cell.id

    return ran and [key(cell) for cell in made.cells] == [key(cell) for cell in stored.cells]


def _text(notebook: NotebookNode) -> str:
    text = nbformat.writes(notebook)
    text = re.sub(r"0x[0-9a-f]{8,}", "0x0", text)
    return json.dumps(json.loads(text), indent=1, ensure_ascii=False, sort_keys=True) + "\n"


def _read(path: Path) -> str | None:
    return path.read_text(encoding="utf-8") if path.is_file() else None


def _write(path: Path, text: str) -> None:
    part = path.with_suffix(f".{os.getpid()}.part")
    part.write_text(text, encoding="utf-8")
    part.replace(path)
