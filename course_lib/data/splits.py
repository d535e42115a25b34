"""Split cases into train, validation and test without tearing a group apart.

A split is made once from a seed, written to ``splits/NAME.csv`` of the prepared folder and read
ever after, so that every result can name the split it was measured on.
"""

import hashlib
import io
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from course_lib.data import atomic

PARTS = ("train", "val", "test")


def make(
    cases: pd.DataFrame,
    seed: int = 0,
    fractions: Sequence[float] = (0.6, 0.2, 0.2),
    stratify: str | None = None,
) -> pd.Series:
    """Give every case a part: ``"train"``, ``"val"`` or ``"test"``.

    Greedy: the largest group first (equal ones in an order drawn from ``seed``), each to the
    part that lacks most cases. The size of every part ends within one (the largest) group of
    its fraction; with few groups a wanted part still gets one rather than staying empty.
    With ``stratify`` a group counts under its most frequent value, and goes to that part
    among those still short of the value which lacks most cases in total.

    Args:
        cases: One row a case, with column ``group``.
        seed: Seed of the order of groups of equal size.
        fractions: Wanted shares of train, val and test, sum 1.
        stratify: A column of ``cases`` whose values should be spread evenly, or none.

    Returns:
        Series of parts with the index of ``cases``.

    Raises:
        ValueError: Bad fractions, fewer groups than parts, or an unknown or incomplete column.
    """
    shares = np.asarray(fractions, dtype=float)
    if shares.shape != (3,) or (shares < 0).any() or abs(shares.sum() - 1) > 1e-6:
        raise ValueError(
            f"fractions must be three shares of train, val and test with sum 1, not {fractions}"
        )
    numbers = _assign(cases, shares, seed, stratify)
    return pd.Series(np.array(PARTS)[numbers], index=cases.index, name="part")


def kfold(
    cases: pd.DataFrame, k: int, seed: int = 0, stratify: str | None = None
) -> list[pd.Series]:
    """Cut the cases into ``k`` folds; split ``i`` tests on fold ``i`` and validates on the next.

    Args:
        cases: One row a case, with column ``group``.
        k: Number of folds, at least 3 (test, validation and something to train on).
        seed: Seed of the order of groups of equal size.
        stratify: As in :func:`make`.

    Returns:
        ``k`` series of parts; every case is tested on exactly once.

    Raises:
        ValueError: ``k`` is below 3 or above the number of groups, or the column is unknown.
    """
    if k < 3:
        raise ValueError(f"k must be at least 3 (train, val, test), not {k}")
    folds = _assign(cases, np.full(k, 1 / k), seed, stratify)
    splits = []
    for i in range(k):
        parts = np.full(len(cases), "train", dtype=object)
        parts[folds == (i + 1) % k] = "val"
        parts[folds == i] = "test"
        splits.append(pd.Series(parts, index=cases.index, name="part", dtype=str))
    return splits


def _assign(cases: pd.DataFrame, shares: np.ndarray, seed: int, stratify: str | None) -> np.ndarray:
    """Number of the part of every case, (N,) int."""
    groups, names = pd.factorize(cases["group"])
    if (groups < 0).any():
        raise ValueError("column group is empty in some rows; every case needs a group")
    wanted = int((shares > 0).sum())
    if len(names) < wanted:
        raise ValueError(f"only {len(names)} groups for {wanted} parts; give more groups of cases")
    strata, values = _strata(cases, stratify)
    sizes = np.bincount(groups)
    # A group counts under its most frequent value.
    table = np.zeros((len(names), values), dtype=int)
    np.add.at(table, (groups, strata), 1)
    label = table.argmax(axis=1)

    order = np.random.default_rng(seed).permutation(len(names))
    order = order[np.argsort(-sizes[order], kind="stable")]
    lack = np.outer(shares, np.bincount(label, weights=sizes, minlength=values))
    part_of_group = np.full(len(names), -1)
    for position, group in enumerate(order):
        total = lack.sum(axis=1)
        short = lack[:, label[group]] > 1e-9
        empty = (shares > 0) & ~np.isin(np.arange(len(shares)), part_of_group)
        if empty.sum() == len(order) - position:
            short = empty
        part = int(np.where(short, total, -np.inf).argmax())
        part_of_group[group] = part
        lack[part, label[group]] -= sizes[group]
    return part_of_group[groups]


def _strata(cases: pd.DataFrame, column: str | None) -> tuple[np.ndarray, int]:
    """Number of the value of every case (N,) and how many values there are."""
    if column is None:
        return np.zeros(len(cases), dtype=int), 1
    if column not in cases:
        raise ValueError(f"no column {column!r} to stratify by; there are {', '.join(cases)}")
    strata, values = pd.factorize(cases[column], sort=True)
    if (strata < 0).any():
        raise ValueError(f"column {column!r} is empty in some rows; cannot stratify by it")
    return strata, len(values)


def write(folder: Path | str, name: str, case_ids: Iterable[str], parts: Iterable[str]) -> Path:
    """Write ``splits/<name>.csv`` of the prepared folder; a split is never changed afterwards.

    Returns:
        The path of the file.

    Raises:
        ValueError: Another split of that name exists, an id comes twice, a part is unknown, or
            the folder cannot be written to.
    """
    path = _path(folder, name)
    content = encode(case_ids, parts)
    if path.exists():
        if path.read_bytes() != content:
            raise ValueError(
                f"{path} exists and differs; a split is written once, choose another name"
            )
        return path
    atomic.write_file(path, content)
    return path


def encode(case_ids: Iterable[str], parts: Iterable[str]) -> bytes:
    """The bytes of a split file: CSV with columns ``case_id, part``, UTF-8."""
    ids, parts = list(map(str, case_ids)), list(map(str, parts))
    if len(ids) != len(parts):
        raise ValueError(f"{len(ids)} case ids but {len(parts)} parts; give one part a case")
    frame = pd.DataFrame({"case_id": ids, "part": parts}, dtype=str)
    _refuse_bad(frame, "the split")
    return frame.to_csv(index=False, lineterminator="\n").encode("utf-8")


def read(folder: Path | str, name: str = "default") -> pd.DataFrame:
    """Read a split.

    Returns:
        Data frame with columns ``case_id`` and ``part``, in the order of the file.

    Raises:
        ValueError: No such split (the message lists those that exist), or a broken file.
    """
    path = _path(folder, name)
    if not path.is_file():
        found = sorted(file.stem for file in path.parent.glob("*.csv"))
        raise ValueError(
            f"no split {name!r} in {folder} (found: {', '.join(found) or 'none'}); "
            "make one with splits.make and splits.write"
        )
    try:
        frame = pd.read_csv(io.BytesIO(path.read_bytes()), dtype=str, keep_default_na=False)
    except (ValueError, OSError) as error:
        raise ValueError(f"{path} is not a CSV file of a split: {error}") from error
    if list(frame.columns) != ["case_id", "part"]:
        raise ValueError(f"{path} must have the columns case_id,part, not {','.join(frame)}")
    _refuse_bad(frame, str(path))
    return frame


def digest(frame: pd.DataFrame) -> str:
    """SHA-256 (hex) of a split; the order of its rows does not matter."""
    lines = sorted(f"{case},{part}\n" for case, part in zip(frame.case_id, frame.part, strict=True))
    return hashlib.sha256("".join(lines).encode("utf-8")).hexdigest()


def check(cases: pd.DataFrame, parts: Iterable[str]) -> list[str]:
    """Names of the groups that lie in more than one part: leaks, sorted.

    Args:
        cases: One row a case, with column ``group``.
        parts: The part of every row, in the same order.
    """
    sides = pd.Series(list(parts)).groupby(cases["group"].to_numpy()).nunique()
    return sorted(sides.index[sides > 1])


def _path(folder: Path | str, name: str) -> Path:
    if not name or Path(name).name != name or name.startswith("."):
        raise ValueError(f"{name!r} is not a name for a split; use letters and digits")
    return Path(folder) / "splits" / f"{name}.csv"


def _refuse_bad(frame: pd.DataFrame, where: str) -> None:
    unknown = sorted(set(frame.part) - set(PARTS))
    if unknown:
        raise ValueError(f"{where} has the part {unknown[0]!r}; parts are {', '.join(PARTS)}")
    twice = frame.case_id[frame.case_id.duplicated()]
    if len(twice):
        raise ValueError(f"{where} has the case {twice.iloc[0]!r} twice; every case once")
