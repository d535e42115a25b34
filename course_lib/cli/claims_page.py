"""The ledgers as a page, and as a section of the report (figures.md section 5)."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from pathlib import Path

from course_lib import claims, records
from course_lib.claims import Row, Verdict
from course_lib.cli import html
from course_lib.data import atomic

SIGNS = {
    Verdict.HOLDS: ("✓", "ok"),
    Verdict.FAILS: ("✕", "bad"),
    Verdict.NOT_COMPARABLE: ("≠", "warn"),
    Verdict.NOT_STATED: ("?", "meta"),
    Verdict.NOT_YET_MEASURED: ("\u2013", "meta"),
}
COLUMNS = {"Claim": "", "Where": "opt", "Paper": "", "Ours": "", "Verdict": ""}


def write(file: Path, papers: Sequence[str]) -> Path:
    """Write a page with the ledgers of some papers; returns the file.

    Raises:
        ValueError: a ledger does not hang together, or the file cannot be written.
    """
    judged = [row for paper in papers for row in claims.rows(paper)]
    counts = claims.summary(judged)
    title = f"Claims: {counts['holds']} hold, {counts['fails']} fail, of {len(judged)}"
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    meta = [now, ", ".join(papers), f"commit {records.git_commit() or 'unknown'}"]
    page = html.page(title, meta, [section_html(paper) for paper in papers])
    atomic.write_file(file, page.encode())
    return file


def section_html(paper: str) -> str:
    """Return the ledger of one paper as a section: a table, and one more for each printed table.

    Raises:
        ValueError: there is no such ledger, or it does not hang together.
    """
    book = claims.read(paper)
    judged = claims.judge(book)
    about = [str(value) for key, value in book.paper.items() if key != "name"]
    name = html.escape(str(book.paper.get("name", paper)))
    parts = [
        f'<section id="claims-{paper}"><h2>Claims of {name}</h2>',
        f'<p class="meta">{html.join(about)}</p>',
        html.table(COLUMNS, _lines(judged, paper), count=sentence(judged)),
        *(_cells(name, rows, paper) for name, rows in printed_tables(judged).items()),
        "</section>",
    ]
    return "\n".join(parts)


def sentence(judged: Sequence[Row]) -> str:
    """Return how many claims there are and how many have which verdict."""
    counts = [f"{count} {verdict}" for verdict, count in claims.summary(judged).items() if count]
    return f"{len(judged)} claims: {', '.join(counts)}."


def printed_tables(judged: Sequence[Row]) -> dict[str, list[Row]]:
    """Return the rows that are cells of a printed table, by table."""
    found: dict[str, list[Row]] = {}
    for row in judged:
        if row.claim.table:
            found.setdefault(row.claim.table, []).append(row)
    return found


def _lines(judged: Sequence[Row], paper: str) -> list[list[str]]:
    """Return one line a claim; a printed table is one line that leads to its cells."""
    lines, tables = [], printed_tables(judged)
    for row in judged:
        name = row.claim.table
        if not name:
            lines.append(_line(row))
        elif name in tables:
            cells = tables.pop(name)
            link = f'<a href="#claims-{paper}-{name}">{name}</a> {len(cells)} cells'
            verdicts = "<br>".join(
                f"{_verdict(Verdict(verdict), f'{count} ')}"
                for verdict, count in claims.summary(cells).items()
                if count
            )
            lines.append([link, html.escape(row.claim.where), "", "", verdicts])
    return lines


def _line(row: Row) -> list[str]:
    claim = row.claim
    ours = html.escape(row.ours_text)
    if row.interval:  # bounds stay on one line
        number, _, bounds = ours.rpartition(" [")
        ours = f'{number} <span class="n">[{bounds}</span>'
    seen = f"notebook {claim.notebook[:2]}" if claim.notebook else ""
    return [
        f"<strong>{claim.id}</strong> {html.escape(claim.claim)}{_small(claim.protocol, seen)}",
        html.escape(claim.where),
        html.escape(row.paper_text),
        ours + _small(row.note, row.file),
        _verdict(row.verdict) + _small(row.why),
    ]


def _small(*words: str) -> str:
    text = html.join(words)
    return f'<div class="meta">{text}</div>' if text else ""


def _verdict(verdict: Verdict, count: str = "") -> str:
    sign, kind = SIGNS[verdict]
    return f'<span class="{kind}"><span aria-hidden="true">{sign}</span> {count}{verdict}</span>'


def _cells(name: str, rows: Sequence[Row], paper: str) -> str:
    table = html.table(COLUMNS, [_line(row) for row in rows], label=f"cells of {name}")
    summary = f"{name}, {rows[0].claim.where}: {len(rows)} cells"
    return f'<details id="claims-{paper}-{name}"><summary>{summary}</summary>{table}</details>'
