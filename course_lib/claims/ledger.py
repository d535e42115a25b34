"""Reads ``notebooks/claims/<paper>.toml`` and refuses what does not hang together.

    [paper]                            # title, source, code: shown above the table
    [full_size]                        # parameters that a run must have to judge an accuracy
    [nets.unet]                        # counts that rules may name: nets.unet.parameters
    create = "unet"                    # tests build it and compare
    parameters = 31031745              # trainable; total: with the statistics of batch norm
    gmac = 48.167
    [[claim]]                          # in the order of the paper
    id = "X11"                         # letters, digits, dots and dashes
    where = "5"                        # section, table or figure of the paper
    claim = "The attention gate adds 3 % Dice"
    kind = "arithmetic"                # arithmetic, code, measured or silent; see KINDS
    quote = 0.03                       # what the paper says: a number, numbers or words
    given = { with = "T5.with.dice" }  # names for the rule: cells, counts, numbers
    rule = "round(with - without, 2) == quote"

A claim with ``columns`` and ``rows`` is a printed table: see tables.py.
"""

from __future__ import annotations

import fnmatch
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from course_lib import records
from course_lib.claims import rule as rules
from course_lib.claims import tables

NUMBER = (int, float)
TEXTS = ("id", "where", "claim", "kind", "measure", "unit", "protocol", "notebook", "data", "sweep",
         "record", "rule", "why")  # fmt: skip
FIELDS = dict.fromkeys(TEXTS, (str,)) | {
    "quote": (*NUMBER, str, list),
    "found": (*NUMBER, str, list),
    "given": (dict,),
    "setting": (dict,),
    "against": (dict,),
}
NET_COUNTS = ("parameters", "total", "gmac")
NET = {"create": (str,), "options": (dict,)} | dict.fromkeys(NET_COUNTS, NUMBER)
ALWAYS = ("id", "where", "claim", "kind")
# What each kind of evidence needs beyond ALWAYS, and what it must not have.
KINDS = {
    "arithmetic": (("quote", "rule"), ("record", "sweep", "setting", "against", "data", "why")),
    "code": (("quote", "found", "rule"), ("record", "sweep", "setting", "against", "data", "why")),
    "measured": (("quote", "measure"), ("found",)),
    "silent": ((), ("quote", "rule", "why", "record", "sweep", "setting", "against", "given")),
}
SCORES = ("dice", "iou", "precision", "recall", "specificity", "accuracy", "auc")
COUNTS = ("parameters", "gmac", "pixels", "images")
MEASURES = (*SCORES, *COUNTS, "gradient", "seconds", "updates", "memory")
MEASURED_NAMES = ("ours", "low", "high")
ID = re.compile(r"[A-Z]+[0-9]*(\.[a-z0-9+-]+)*")


@dataclass(frozen=True)
class Claim:
    """One statement of a paper. ``inputs`` are the values that its rule may name."""

    id: str
    where: str
    claim: str
    kind: str
    quote: float | str | list | None = None
    printed: str = ""
    measure: str = ""
    unit: str = ""
    protocol: str = ""
    notebook: str = ""
    data: str = ""
    sweep: str = ""
    record: str = ""
    rule: str = ""
    why: str = ""
    table: str = ""
    found: float | str | list | None = None
    given: Mapping = field(default_factory=dict)
    setting: Mapping = field(default_factory=dict)
    against: Mapping = field(default_factory=dict)
    inputs: Mapping = field(default_factory=dict)


@dataclass(frozen=True)
class Ledger:
    """All claims of one paper, in its order."""

    name: str
    paper: Mapping
    full_size: Mapping
    nets: Mapping
    claims: tuple[Claim, ...]
    values: Mapping[str, float]


def folder() -> Path:
    """Return where the ledgers are."""
    return records.ROOT / "notebooks" / "claims"


def papers() -> list[str]:
    """Name the papers that have a ledger."""
    return sorted(file.stem for file in folder().glob("*.toml"))


def read(paper: str) -> Ledger:
    """Read the ledger of a paper by its name, for example ``"reunet"``.

    Raises:
        ValueError: there is none, or something is wrong in it (file, claim and what).
    """
    if paper not in papers():
        raise ValueError(f"there is no ledger {paper!r}: use one of {', '.join(papers()) or '-'}")
    return read_file(folder() / f"{paper}.toml")


def read_file(file: Path) -> Ledger:
    """Read a ledger and check every claim.

    Raises:
        ValueError: the file is no TOML, or a claim has an unknown or a missing field, a value of
            another type, an id twice, or a rule that is not in the language or names something
            unknown: one line with file and id.
    """
    try:
        return _ledger(file.stem, tomllib.loads(file.read_text(encoding="utf-8")))
    except ValueError as error:  # errors of TOML and of UTF-8 are ValueErrors too
        raise ValueError(f"{file.name}: {error}") from None


def _ledger(name: str, content: dict) -> Ledger:
    for key in ("paper", "full_size", "nets"):
        _typed(content.setdefault(key, {}), (dict,), "the file", key)
    _known(content, ("paper", "full_size", "nets", "claim"), "the file")
    claims: dict[str, Claim] = {}
    values = _counts(content["nets"])
    for cell in _raw_claims(content.get("claim", [])):
        claim = _claim(cell)
        if claim.id in claims:
            raise ValueError(f"{claim.id}: this id is there twice")
        claims[claim.id] = claim
        values |= {claim.id: claim.quote} if isinstance(claim.quote, NUMBER) else {}
        values |= cell.numbers
    if not claims:
        raise ValueError("there is no [[claim]] in it")
    ready = tuple(_with_inputs(claim, values) for claim in claims.values())
    return Ledger(name, content["paper"], content["full_size"], content["nets"], ready, values)


def _raw_claims(listed) -> Iterator[tables.Cell]:
    if not isinstance(listed, list) or not all(isinstance(raw, dict) for raw in listed):
        raise ValueError("claim must be a list of tables: [[claim]]")
    for raw in listed:
        if raw.keys() & {"rows", "columns"}:
            yield from tables.cells(raw)
        else:
            yield tables.Cell(raw, "", _printed(raw.get("quote")), {})


def _counts(nets: Mapping) -> dict[str, float]:
    values = {}
    for name, net in nets.items():
        where = f"nets.{name}"
        _known(_typed(net, (dict,), "nets", name), tuple(NET), where)
        for key, value in net.items():
            _typed(value, NET[key], where, key)
        if "create" not in net:
            raise ValueError(f"{where}: create must name a net of course_lib.models")
        values |= {f"{where}.{key}": net[key] for key in NET_COUNTS if key in net}
    return values


def _known(table: Mapping, keys, where: str) -> None:
    unknown = [key for key in table if key not in keys]
    if unknown:
        raise ValueError(f"{where}: unknown field {unknown[0]!r}: use {', '.join(keys)}")


def _typed(value, kinds: tuple, where: str, name: str):
    if not isinstance(value, kinds) or isinstance(value, bool):
        wanted = " or ".join(dict.fromkeys(_WORDS[kind] for kind in kinds))
        raise ValueError(f"{where}: {name} = {value!r} must be {wanted}")
    return value


_WORDS = {int: "a number", float: "a number", str: "a text", list: "a list", dict: "a table"}


def _claim(cell: tables.Cell) -> Claim:
    """Check one claim by itself."""
    raw = cell.raw
    where = str(raw.get("id", "a claim without id"))
    _known(raw, tuple(FIELDS), where)
    for name, value in raw.items():
        _typed(value, FIELDS[name], where, name)
        for item in value if isinstance(value, list) else ():
            _typed(item, (*NUMBER, str), where, f"an item of {name}")
    _check_fields(raw, where)
    return Claim(**raw, printed=cell.printed, table=cell.table)


def _check_fields(raw: dict, where: str) -> None:
    missing = [name for name in ALWAYS if not raw.get(name)]
    if missing:
        raise ValueError(f"{where}: {missing[0]} is missing")
    if not ID.fullmatch(where):
        raise ValueError(f"{where}: an id looks like X1 or X1.breast-mri")
    if raw["kind"] not in KINDS:
        raise ValueError(f"{where}: unknown kind {raw['kind']!r}: use one of {', '.join(KINDS)}")
    needed, barred = KINDS[raw["kind"]]
    if raw["kind"] == "measured":
        needed, barred = _measured_fields(raw, needed, barred, where)
    for name in needed:
        if name not in raw:
            raise ValueError(f"{where}: a claim of kind {raw['kind']} needs {name}")
    for name in barred:
        if name in raw:
            raise ValueError(f"{where}: {name} has no meaning here (kind {raw['kind']})")


def _measured_fields(raw: dict, needed: tuple, barred: tuple, where: str) -> tuple[tuple, tuple]:
    if raw.get("measure") not in MEASURES:
        known = ", ".join(MEASURES)
        raise ValueError(f"{where}: unknown measure {raw.get('measure')!r}: use one of {known}")
    if "why" in raw:  # not comparable, so nothing is looked up
        return needed, (*barred, "rule", "record", "sweep", "data", "setting", "against", "given")
    if "sweep" in raw:
        return (*needed, "record", "rule"), (*barred, "data")
    return (*needed, "record", "rule", "notebook", "data"), barred


def _printed(quote) -> str:
    if isinstance(quote, list):
        return ", ".join(_printed(one) for one in quote)
    if isinstance(quote, NUMBER):
        return f"{quote:,}"
    return "" if quote is None else str(quote)


def _with_inputs(claim: Claim, values: Mapping[str, float]) -> Claim:
    """Look up what the rule may name, and refuse a rule that names something else."""
    if not claim.rule:
        return claim
    try:
        used = rules.names_in(claim.rule)
        inputs = {name: _given(source, values) for name, source in claim.given.items()}
        inputs |= {
            name: getattr(claim, name)
            for name in ("quote", "found")
            if name in used and getattr(claim, name) is not None
        }
        trial = dict.fromkeys(MEASURED_NAMES, 1.0) if claim.kind == "measured" else {}
        _same_names(used, {*inputs, *trial}, claim)
        rules.evaluate(claim.rule, inputs | trial)
    except ValueError as error:
        raise ValueError(f"{claim.id}: {error}") from None
    return Claim(**{**vars(claim), "inputs": inputs})


def _same_names(used: set[str], known: set[str], claim: Claim) -> None:
    unknown = sorted(used - known)
    if unknown:
        offered = ", ".join(sorted(known)) or "none"
        raise ValueError(f"the rule names the unknown value {unknown[0]!r}; known: {offered}")
    idle = sorted(claim.given.keys() - used)
    if idle:
        raise ValueError(f"given.{idle[0]} is not used by the rule")
    if claim.kind == "measured" and not used & set(MEASURED_NAMES):
        raise ValueError(f"the rule must use one of {', '.join(MEASURED_NAMES)}")


def _given(source, values: Mapping[str, float]) -> float | list[float]:
    """Return a number as it is, a cell by its id, or the list that patterns pick.

    ``"T2.*.duke.dice"`` picks many; in a list of patterns one that starts with ``-`` takes away.
    """
    if isinstance(source, NUMBER) and not isinstance(source, bool):
        return source
    patterns = source if isinstance(source, list) else [source]
    if not patterns or not all(isinstance(one, str) for one in patterns):
        raise ValueError(f"given takes a number, an id or a list of ids, got {source!r}")
    picked: list[str] = []
    for pattern in patterns:
        found = [name for name in values if fnmatch.fnmatchcase(name, pattern.removeprefix("-"))]
        if not found:
            raise ValueError(f"given names {pattern!r}, which no cell or count is called")
        if pattern.startswith("-"):
            picked = [name for name in picked if name not in found]
        else:
            picked += [name for name in found if name not in picked]
    if isinstance(source, str) and not set(source) & set("*?["):
        return values[source]
    return [values[name] for name in picked]
