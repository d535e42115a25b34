"""The verdict on a claim: computed from the ledger and the committed results, never stored."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import pandas as pd

from course_lib.claims import evidence, ledger
from course_lib.claims import rule as rules
from course_lib.claims.ledger import Claim, Ledger


class Verdict(StrEnum):
    """What can be said about a claim today."""

    HOLDS = "holds"
    FAILS = "fails"
    NOT_COMPARABLE = "not comparable"
    NOT_STATED = "not stated by the paper"
    NOT_YET_MEASURED = "not yet measured"


@dataclass(frozen=True)
class Row:
    """A claim with its verdict.

    ``ours`` is what stands against the paper's words: a measured number, the numbers that the rule
    compares, or what the released code has. ``interval`` is its 95 % bounds, ``note`` says how it
    came about ("at teaching size, 3 seeds"), ``file`` names the committed results, ``why`` is the
    reason of "not comparable".
    """

    claim: Claim
    verdict: Verdict
    ours: float | str | list | None = None
    interval: tuple[float, float] | None = None
    note: str = ""
    file: str = ""
    why: str = ""

    @property
    def paper_text(self) -> str:
        """What the paper says, as printed, with its unit."""
        return f"{self.claim.printed} {self.claim.unit}".strip()

    @property
    def ours_text(self) -> str:
        """What stands against it, numbers with their interval; empty where there is nothing."""
        values = self.ours if isinstance(self.ours, list) else [self.ours]
        pair = len(values) == 2 and self.claim.found is None
        words = (" against " if pair else ", ").join(_word(v) for v in values if v is not None)
        low_high = "" if self.interval is None else " [{:.4g}, {:.4g}]".format(*self.interval)
        return words + low_high


def _word(value: float | str) -> str:
    if isinstance(value, str):
        return value
    return f"{value:,.0f}" if value == round(value) else f"{value:.4g}"


def rows(paper: str, *heads: str) -> list[Row]:
    """Judge the claims of a paper, in its order.

    Args:
        paper: name of its ledger, for example ``"reunet"``.
        heads: beginnings of the ids that are wanted, such as ``"X6"`` or ``"T4.13"``; none: all.

    Raises:
        ValueError: there is no such ledger or no such id, or the ledger or a result file does not
            hang together.
    """
    found = judge(ledger.read(paper))
    for head in heads:
        if not any(_begins(row, head) for row in found):
            raise ValueError(f"{paper}.toml has no claim whose id begins with {head!r}")
    return [row for row in found if not heads or any(_begins(row, head) for head in heads)]


def _begins(row: Row, head: str) -> bool:
    return f"{row.claim.id}.".startswith(f"{head}.")


def table(paper: str, *heads: str) -> pd.DataFrame:
    """Return claims as a notebook shows them: one row each.

    Columns: ``claim, where, paper, ours, verdict`` (texts) and ``protocol`` (what differs from the
    paper's); the index is the id. Arguments and errors as in :func:`rows`.
    """
    judged = rows(paper, *heads)
    return pd.DataFrame(
        {
            "claim": [row.claim.claim for row in judged],
            "where": [row.claim.where for row in judged],
            "paper": [row.paper_text for row in judged],
            "ours": [", ".join(filter(None, (row.ours_text, row.note))) for row in judged],
            "verdict": [": ".join(filter(None, (row.verdict, row.why))) for row in judged],
            "protocol": [row.claim.protocol for row in judged],
        },
        index=pd.Index([row.claim.id for row in judged], name="id"),
    )


def judge(book: Ledger) -> list[Row]:
    """Judge every claim of a ledger.

    Raises:
        ValueError: a committed result file does not hold what a claim expects; file and id.
    """
    return [_row(claim, book) for claim in book.claims]


def summary(judged: Sequence[Row]) -> dict[str, int]:
    """Count the verdicts; every verdict has an entry."""
    counts = Counter(row.verdict for row in judged)
    return {str(verdict): counts[verdict] for verdict in Verdict}


def _row(claim: Claim, book: Ledger) -> Row:
    if claim.kind == "silent":
        return Row(claim, Verdict.NOT_STATED, ours=claim.found)
    if claim.why:
        return Row(claim, Verdict.NOT_COMPARABLE, why=claim.why)
    if claim.kind != "measured":
        return _computed(claim)
    try:
        return _measured(claim, evidence.find(claim, book.full_size))
    except ValueError as error:
        raise ValueError(f"{book.name}.toml: {claim.id}: {error}") from None


def _computed(claim: Claim) -> Row:
    verdict = _verdict(rules.evaluate(claim.rule, claim.inputs))
    if claim.found is not None:
        note = "in the released code" if claim.kind == "code" else ""
        return Row(claim, verdict, ours=claim.found, note=note)
    return Row(claim, verdict, ours=rules.compared(claim.rule, claim.inputs))


def _measured(claim: Claim, found: evidence.Measured | None) -> Row:
    if found is None:
        return Row(claim, Verdict.NOT_YET_MEASURED)
    note = f"{found.seeds} seeds" if found.seeds > 1 else "1 seed"
    if found.n:
        note += f", n = {found.n}"
    if not found.full:
        note = f"at teaching size, {note}"
    inputs = {**claim.inputs, "ours": found.value}
    if found.interval:
        inputs |= {"low": found.interval[0], "high": found.interval[1]}
    verdict = Verdict.NOT_YET_MEASURED
    missing = [n for n in sorted(rules.names_in(claim.rule)) if inputs.get(n) is None]
    if missing:
        note += ", undefined" if found.value is None else ", no interval"
    elif found.full:
        verdict = _verdict(rules.evaluate(claim.rule, inputs))
    return Row(claim, verdict, found.value, found.interval, note, found.file)


def _verdict(true: bool) -> Verdict:
    return Verdict.HOLDS if true else Verdict.FAILS
