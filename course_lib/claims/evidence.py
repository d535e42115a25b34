"""What committed result files say about a measured claim (``notebooks/results``).

Two forms are read: results of a notebook, ``<notebook>/<data>-<device>-<date>.json`` with one entry
a run, and tables of a sweep, ``sweeps/<name>/<profile>-<device>-<date>.csv`` with one row a run and
recorded value beside a ``.json`` that says what was asked.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from course_lib import metrics, records
from course_lib.claims.ledger import COUNTS, Claim


@dataclass(frozen=True)
class Sample:
    """One recorded value of one run."""

    parameters: Mapping
    profile: str
    seed: str
    value: float | None
    interval: tuple[float, float] | None
    n: int | None


@dataclass(frozen=True)
class Measured:
    """What the runs say together. ``value`` is None where a run recorded no finite number.

    ``interval`` is over seeds (Student's t) for two or more of them, else the recorded one.
    ``full`` is False at teaching size: such a value is shown and judges nothing.
    """

    value: float | None
    interval: tuple[float, float] | None
    seeds: int
    n: int | None
    full: bool
    file: str


def find(claim: Claim, full_size: Mapping) -> Measured | None:
    """Return the newest committed evidence for a measured claim, None if there is none.

    Runs at the paper's size (profile ``full`` and every parameter of ``full_size``) come before any
    others; counts are the same at any size.

    Raises:
        ValueError: a result file is damaged, lacks the record, has no such parameter, or has
            several runs of one seed that fit.
    """
    small = None
    for file in _newest_first(claim):
        samples = _samples(file, claim)
        full, rivals = (
            [s for s in samples if claim.measure in COUNTS or _is_full(s, size)]
            for size in (full_size, _size_of_rival(claim, full_size))
        )
        measured = _together(claim, full, rivals, file, True)
        if measured:
            return measured
        largest = _largest(samples)
        small = small or _together(claim, largest, largest, file, False)
    return small


def _newest_first(claim: Claim) -> list[Path]:
    results = records.ROOT / "notebooks" / "results"
    if claim.sweep:
        files = (results / "sweeps" / claim.sweep).glob("*-????-??-??.csv")
    else:
        files = (results / claim.notebook).glob(f"{claim.data}-*-????-??-??.json")
    return sorted(files, key=lambda file: (file.stem[-10:], file.name), reverse=True)


def _samples(file: Path, claim: Claim) -> list[Sample]:
    try:
        found = (_of_sweep if claim.sweep else _of_notebook)(file, claim.record)
    except (OSError, LookupError, TypeError, AttributeError, ValueError, csv.Error) as error:
        why = f"no {error}" if isinstance(error, LookupError) else error
        raise ValueError(f"{_short(file)} cannot be read as results: {why}") from None
    if not found:
        raise ValueError(f"{_short(file)} has no record {claim.record!r}")
    for name in {**claim.setting, **claim.against}:
        if not any(name in sample.parameters for sample in found):
            raise ValueError(f"setting names {name!r}, which the runs in {_short(file)} lack")
    return found


def _of_notebook(file: Path, record: str) -> list[Sample]:
    found = []
    for run in json.loads(file.read_text(encoding="utf-8"))["runs"]:
        item = run["records"].get(record)
        if item is None:
            continue
        bounds = item["interval"] or (None, None)
        interval = None if None in bounds else (bounds[0], bounds[1])
        value = _number(item["value"], record)
        found.append(
            Sample(
                run["parameters"], run["profile"], str(run["seeds"][0]), value, interval, item["n"]
            )
        )
    return found


def _of_sweep(file: Path, record: str) -> list[Sample]:
    about = json.loads(file.with_suffix(".json").read_text(encoding="utf-8"))
    found = []
    with file.open(encoding="utf-8", newline="") as lines:
        for row in csv.DictReader(lines):
            if row["record"] != record:
                continue
            value = _number(row.get("text") or row["value"] or None, record)
            bounds = row.get("low"), row.get("high")
            interval = (float(bounds[0]), float(bounds[1])) if all(bounds) else None
            n = int(float(row["n"])) if row.get("n") else None
            profile = row.get("profile") or about["profile"]
            found.append(Sample(row, profile, row["seed"], value, interval, n))
    return found


def _number(value, record: str) -> float | None:
    try:
        return None if value is None else float(value)
    except ValueError:
        raise ValueError(f"record {record!r} is no number: {value!r}") from None


def _is_full(sample: Sample, full_size: Mapping) -> bool:
    return sample.profile == "full" and _fits(sample, full_size)


def _size_of_rival(claim: Claim, full_size: Mapping) -> Mapping:
    """Another net has a width of its own; all else is as in the paper."""
    own_width = "net" in claim.against
    return {name: v for name, v in full_size.items() if name != "base" or not own_width}


def _fits(sample: Sample, setting: Mapping) -> bool:
    return all(_same(sample.parameters.get(name), wanted) for name, wanted in setting.items())


def _same(given, wanted) -> bool:
    """Compare a parameter, which is a text in a table of a sweep, with a wanted value."""
    if isinstance(wanted, bool) or isinstance(given, bool):
        return str(given).lower() == str(wanted).lower()
    if isinstance(wanted, (int, float)):
        try:
            return float(given) == wanted
        except (TypeError, ValueError):
            return False
    return given == wanted


def _largest(samples: list[Sample]) -> list[Sample]:
    profile = next((p for p in reversed(records.PROFILES) for s in samples if s.profile == p), "")
    return [sample for sample in samples if sample.profile == profile]


def _together(
    claim: Claim, samples: list[Sample], rivals: list[Sample], file: Path, full: bool
) -> Measured | None:
    ours = _by_seed(samples, claim.setting, file)
    if not ours:
        return None
    interval = next(iter(ours.values())).interval
    values = {seed: sample.value for seed, sample in ours.items()}
    if claim.against:
        others = _by_seed(rivals, claim.against, file)
        values = {s: _minus(v, others[s].value) for s, v in values.items() if s in others}
        interval = None
    if not values:
        return None
    n = next(iter(ours.values())).n
    if None in values.values():
        return Measured(None, None, len(values), n, full, _short(file))
    if len(values) > 1:
        interval = metrics.t_interval(list(values.values()))
    mean = sum(values.values()) / len(values)
    return Measured(mean, interval, len(values), n, full, _short(file))


def _minus(one: float | None, two: float | None) -> float | None:
    return None if one is None or two is None else one - two


def _by_seed(samples: list[Sample], setting: Mapping, file: Path) -> dict[str, Sample]:
    fitting = [sample for sample in samples if _fits(sample, setting)]
    seeds = {sample.seed: sample for sample in fitting}
    if len(seeds) < len(fitting):
        raise ValueError(f"{_short(file)} has several runs of one seed: say more in setting")
    return seeds


def _short(file: Path) -> str:
    return file.relative_to(records.ROOT).as_posix()
