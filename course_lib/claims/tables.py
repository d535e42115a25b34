"""Printed tables in the ledger: one line a row, one claim a cell.

    [[claim]]
    id = "T5"
    where = "Table 5"
    claim = "FracAtlas, {row} attention gate: {column}"
    kind = "measured"
    columns = ["precision", "recall", "iou", "dice"]
    why = "which 500 images is not stated"
    [claim.rows]
    with = "0.91 0.84 0.80 0.85"

The cells are called ``T5.with.dice``. Their text is kept as printed; ``0.93±0.02`` also gives
``T2.reunet.duke.dice.sd``. The last word of a column is its measure. ``why`` may be a table, keyed
by the first word of a column.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

FIELDS = {
    "id": str, "where": str, "claim": str, "kind": str, "columns": list, "rows": dict,
    "why": (str, dict), "protocol": str, "notebook": str,
}  # fmt: skip
OPTIONAL = ("protocol", "notebook")
CELL = re.compile(r"(-?\d+(?:\.\d+)?)(?:±(\d+(?:\.\d+)?))?")


@dataclass(frozen=True)
class Cell:
    """A claim as :mod:`ledger` takes it, its table, its text as printed, and its deviation."""

    raw: dict
    table: str
    printed: str
    numbers: dict[str, float]


def cells(table: dict) -> Iterator[Cell]:
    """Turn a table into plain claims, in reading order.

    Raises:
        ValueError: an unknown or missing field, a row that is shorter or longer than ``columns``, a
            cell that is no number, a column without its reason.
    """
    name = str(table.get("id", "a table without id"))
    for key in table:
        if key not in FIELDS:
            raise ValueError(f"{name}: unknown field {key!r}: a table has {', '.join(FIELDS)}")
    for key, kind in FIELDS.items():
        if key not in OPTIONAL and not table.get(key):
            raise ValueError(f"{name}: {key} is missing")
        if key in table and not isinstance(table[key], kind):
            raise ValueError(f"{name}: {key} is of the wrong type: see the example in tables.py")
    columns = [str(column) for column in table["columns"]]
    for row, line in table["rows"].items():
        words = line.split() if isinstance(line, str) else []
        if len(words) != len(columns):
            raise ValueError(
                f"{name}.{row}: must be a text with {len(columns)} numbers, one a column"
            )
        for column, word in zip(columns, words, strict=True):
            yield _cell(table, row, column, word)


def _cell(table: dict, row: str, column: str, word: str) -> Cell:
    ident = f"{table['id']}.{row}.{column}"
    match = CELL.fullmatch(word)
    if not match:
        raise ValueError(f"{ident}: {word!r} is not a number such as 0.93 or 0.93±0.02")
    first = column.partition(".")[0]
    why = table["why"].get(first) if isinstance(table["why"], dict) else table["why"]
    if not why:
        raise ValueError(f"{ident}: why has no reason for {first!r}")
    raw = {key: table[key] for key in ("where", "kind", *OPTIONAL) if key in table} | {
        "id": ident,
        "claim": table["claim"].replace("{row}", row).replace("{column}", column.replace(".", " ")),
        "quote": float(match[1]),
        "measure": column.rpartition(".")[2],
        "why": why,
    }
    deviation = {f"{ident}.sd": float(match[2])} if match[2] else {}
    return Cell(raw, table["id"], word, deviation)
