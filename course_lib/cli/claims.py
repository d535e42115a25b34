"""The command `course claims`: what papers claim, and what can be said about it."""

from __future__ import annotations

from pathlib import Path

import click

from course_lib import claims as ledgers
from course_lib.claims import Row, Verdict
from course_lib.cli import claims_page
from course_lib.cli.errors import one_line_errors


@click.command()
@click.argument("paper", required=False)
@click.option("--html", "page", type=click.Path(path_type=Path), help="Write a page instead.")
@one_line_errors
def claims(paper, page) -> None:
    """Judge the claims of one paper, or of all: holds, fails, or why nothing can be said."""
    papers = [paper] if paper else ledgers.papers()
    if not papers:
        raise ValueError("there is no ledger in notebooks/claims")
    if page:
        click.echo(f"Page: {claims_page.write(page, papers)}")
        return
    for name in papers:
        for line in lines(name):
            click.echo(line)


def lines(paper: str) -> list[str]:
    """Return the ledger of a paper as text: one line a claim, one a printed table, then the sum."""
    judged = ledgers.rows(paper)
    tables = claims_page.printed_tables(judged)
    told = []
    for row in judged:
        name = row.claim.table
        if not name:
            told.append(_line(row))
        elif name in tables:
            told += _cells(name, tables.pop(name))
    return [*told, f"{paper}: {claims_page.sentence(judged)}"]


def _line(row: Row) -> str:
    claim = row.claim
    words = [f"{_verdict(row.verdict)} {claim.id} ({claim.where}) {claim.claim}"]
    if claim.printed:
        words.append(f"paper: {row.paper_text}")
    if row.ours is not None:
        words.append(f"ours: {row.ours_text}")
    words += [word for word in (row.note, row.file, row.why, claim.protocol) if word]
    return "; ".join(words)


def _cells(name: str, rows: list[Row]) -> list[str]:
    counts = {verdict: n for verdict, n in ledgers.summary(rows).items() if n}
    return [
        f"{_verdict(Verdict(verdict))} {name} ({rows[0].claim.where}) {count} cells"
        for verdict, count in counts.items()
    ]


def _verdict(verdict: Verdict) -> str:
    return f"{claims_page.SIGNS[verdict][0]} {verdict:<21}"
