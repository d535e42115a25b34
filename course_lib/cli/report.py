"""One self-contained HTML page for a folder of runs (figures.md section 5)."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

import nbformat

from course_lib import claims
from course_lib.cli import claims_page, html
from course_lib.cli.readme import budgets


@dataclass(frozen=True)
class Entry:
    """What one run left behind."""

    name: str
    title: str
    outcome: dict
    result: dict
    figure: tuple[str, str] | None
    page: str
    budget: dict

    @property
    def status(self) -> str:
        """passed, failed, or over budget (more seconds or memory than the budget says)."""
        if self.outcome["status"] == "failed":
            return "failed"
        over = self.budget and (
            self.result["seconds"] > self.budget["seconds"]
            or self.result["peak_mb"] > self.budget["peak_mb"]
        )
        return "over budget" if over else "passed"


def write(folder: Path) -> Path:
    """Write ``folder/index.html`` and one HTML page a notebook; returns the page.

    Every run in the folder is shown, each judged by the budget of its own profile; below them stand
    the claims of every paper that one of these notebooks speaks about.

    Raises:
        ValueError: if the folder holds no runs.
    """
    runs = sorted(path.parent for path in folder.glob("*/outcome.json"))
    if not runs:
        raise ValueError(f"{folder} holds no runs: start some with `course run`")
    limits = budgets()
    entries = [_entry(run, limits.get(run.name, {})) for run in runs]
    page = folder / "index.html"
    part = page.with_suffix(f".{os.getpid()}.part")
    part.write_text(_page(entries), encoding="utf-8")
    part.replace(page)
    return page


def _entry(run: Path, budgets_by_profile: dict) -> Entry:
    outcome = _read(run / "outcome.json")
    result = _read(run / "results.json")
    budget = budgets_by_profile.get(_read(run / "parameters.json").get("profile"), {})
    title, figure, page = run.name, None, ""
    try:
        notebook = nbformat.read(run / f"{run.name}.ipynb", as_version=4)
    except (OSError, ValueError):  # a run that was cut off may leave none, or half of one
        outcome["status"] = "failed"
        outcome["error"] = outcome["error"] or "the executed notebook cannot be read"
    else:
        first = notebook.cells[0].source.splitlines()[0] if notebook.cells else ""
        title = first.lstrip("# ") if first.startswith("#") else run.name
        figure = _best_figure(notebook)
        page = _export(notebook, run)
    return Entry(run.name, title, outcome, result, figure, page, budget)


def _read(file: Path) -> dict:
    """Read a JSON file; one that is missing or cut off counts as empty."""
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}


def _best_figure(notebook) -> tuple[str, str] | None:
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            about = output.get("metadata", {}).get("image/png", {})
            if about.get("key"):
                return output["data"]["image/png"].replace("\n", ""), about["alt"]
    return None


def _export(notebook, run: Path) -> str:
    target = run / f"{run.name}.html"
    target.write_text(html.exported(notebook), encoding="utf-8")
    return f"{run.name}/{target.name}"


def _page(entries: list[Entry]) -> str:
    good = sum(entry.status != "failed" for entry in entries)
    title = f"Course run: {good} of {len(entries)} notebooks passed"
    seconds = sum(entry.outcome["seconds"] for entry in entries)
    peak = max((entry.result.get("peak_mb", 0) for entry in entries), default=0)
    some = next((entry.result for entry in entries if entry.result), {})
    profiles = sorted({entry.result["profile"] for entry in entries if entry.result})
    meta = [
        some.get("finished", ""),
        f"profile {' and '.join(profiles)}" if profiles else "",
        f"{some.get('cores', '?')} cores, {some.get('device', '?')}",
        f"commit {some.get('commit') or 'unknown'}",
        f"torch {some.get('versions', {}).get('torch', '?')}",
        f"{seconds:.0f} s in all",
        f"highest peak {peak:.0f} MB",
    ]
    sections = [_section(entry) for entry in entries]
    ledgers = {paper: _claims(paper, entries) for paper in claims.papers()}
    body = [_attention(entries), _table(entries), _links(ledgers), *sections, *ledgers.values()]
    return html.page(title, meta, body)


def _claims(paper: str, entries: list[Entry]) -> str:
    """Return the ledger of a paper, empty where no claim names one of these notebooks.

    A ledger that does not hang together is one line: the runs are worth their page without it.
    """
    try:
        told = {claim.notebook for claim in claims.read(paper).claims}
        return claims_page.section_html(paper) if told & {e.name for e in entries} else ""
    except ValueError as error:
        head = f'<section id="claims-{paper}"><h2>Claims of {paper}</h2>'
        return f"{head}<pre>{html.escape(str(error))}</pre></section>"


def _links(ledgers: dict[str, str]) -> str:
    shown = [f'<a href="#claims-{name}">{name}</a>' for name, section in ledgers.items() if section]
    return f"<p>What the papers claim: {', '.join(shown)}</p>" if shown else ""


def _attention(entries: list[Entry]) -> str:
    lines = []
    for entry in entries:
        if entry.status == "failed":
            where = f"cell {entry.outcome['cell']}: " if entry.outcome["cell"] else ""
            cause = where + entry.outcome["error"]
        elif entry.status == "over budget":
            cause = f"over its budget of {entry.budget['seconds']:.0f} s, {_mb(entry.budget)}"
        else:
            continue
        link = f'<a href="#{entry.name}">{html.escape(entry.title)}</a>'
        lines.append(f"<li>{html.status(entry.status)} {link}: {html.escape(cause)}</li>")
    if not lines:
        return ""
    body = "\n".join(lines)
    return f'<section class="card"><h2>Look at these first</h2><ul>{body}</ul></section>'


def _mb(numbers: dict) -> str:
    return f"{numbers['peak_mb']:.0f} MB"


def _table(entries: list[Entry]) -> str:
    rows = []
    for entry in entries:
        share = ""
        if entry.budget and entry.result:
            share = f"{100 * entry.result['seconds'] / entry.budget['seconds']:.0f} %"
        short = entry.title.partition(":")[0]
        rows.append(
            (
                f'<a href="#{entry.name}">{html.escape(short)}</a>',
                html.status(entry.status),
                f"{entry.outcome['seconds']:.0f}",
                f"{entry.result['peak_mb']:.0f}" if entry.result else "-",
                share,
                str(len(entry.result.get("records", {}))),
            )
        )
    columns = {
        "Notebook": "",
        "Status": "",
        "Seconds": "n",
        "Peak MB": "n",
        "Share of time budget": "n opt",
        "Records": "n opt",
    }
    return "<h2>All runs</h2>" + html.table(columns, rows, f"Notebooks: {len(entries)}.")


def _section(entry: Entry) -> str:
    parts = [f'<section id="{entry.name}"><h2>{html.escape(entry.title)}</h2>']
    links = [f'<a href="{entry.page}">executed notebook</a>'] if entry.page else []
    if entry.result:
        links.append(f'<a href="{entry.name}/results.json">results.json of {entry.name}</a>')
    parts.append(f"<p>{html.status(entry.status)} · {' · '.join(links)}</p>")
    if entry.status == "failed":
        lines = "\n".join([entry.outcome["error"], *entry.outcome["lines"]])
        parts.append(f"<pre>{html.escape(lines)}</pre>")
    if entry.figure:
        parts.append(html.figure(*entry.figure))
    if entry.result:
        parts.append(_records(entry))
    return "\n".join([*parts, "</section>"])


def _records(entry: Entry) -> str:
    rows = (
        (
            html.escape(name),
            html.number(item["value"]),
            html.interval(item["interval"]),
            html.escape(item["unit"]),
            str(item["n"]) if item["n"] is not None else "",
        )
        for name, item in entry.result["records"].items()
    )
    columns = {"Record": "", "Value": "n", "Interval": "", "Unit": "", "n": "n"}
    shown = " open" if entry.figure else ""
    return (
        f"<details{shown}><summary>{len(entry.result['records'])} recorded results</summary>"
        f"{html.table(columns, rows, label=f'results of {entry.name}')}</details>"
    )
