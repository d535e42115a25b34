"""The ledger: what a paper claims, and what this course can say about each claim.

rule: the small language of rules. ledger: reads and checks ``notebooks/claims/<paper>.toml``.
tables: printed tables as one claim a cell. evidence: committed results. judge: the verdicts.
"""

from course_lib.claims.judge import Row, Verdict, judge, rows, summary, table
from course_lib.claims.ledger import Claim, Ledger, papers, read, read_file
from course_lib.claims.rule import evaluate, names_in

__all__ = [
    "Claim",
    "Ledger",
    "Row",
    "Verdict",
    "evaluate",
    "judge",
    "names_in",
    "papers",
    "read",
    "read_file",
    "rows",
    "summary",
    "table",
]
