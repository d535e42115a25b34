"""Look for everything that can be wrong with a prepared data set."""

from pathlib import Path

import numpy as np
import pandas as pd

from course_lib.data import splits
from course_lib.data.prepared_read import (
    array_problems,
    file_problems,
    full_problems,
    load_array,
    read_cases,
    read_descriptor,
)


def verify(folder: Path | str) -> list[str]:
    """Check counts, sizes, label values, digests, ids, and the splits for leaks.

    Returns:
        One line a problem; empty where all is well.

    Raises:
        ValueError: The folder is not a prepared data set at all.
    """
    folder = Path(folder)
    about = read_descriptor(folder)
    problems = file_problems(folder, about, "hash")
    try:
        cases = read_cases(folder / "cases.csv")
        images, masks = (load_array(folder / f"{name}.npy") for name in ("images", "masks"))
        unfit = array_problems(images, masks, cases)
        if unfit:
            return problems + unfit
        problems += _table_problems(cases)
        problems += _label_problems(masks, len(about["classes"]))
        if (folder / "masks_full.npy").exists():
            full = load_array(folder / "masks_full.npy")
            unfit = full_problems(full, cases)
            problems += unfit or _full_label_problems(full, cases, len(about["classes"]))
    except ValueError as error:
        return [*problems, str(error)]
    for path in sorted((folder / "splits").glob("*.csv")):
        problems += _split_problems(folder, path.stem, cases)
    return problems


def _table_problems(cases: pd.DataFrame) -> list[str]:
    twice = cases.case_id[cases.case_id.duplicated()].unique()
    problems = [f"cases.csv has the case {case!r} more than once" for case in twice]
    if cases[["case_id", "group"]].isna().to_numpy().any():
        problems.append("cases.csv has rows without case_id or group")
    return problems


def _label_problems(masks: np.ndarray, num_classes: int) -> list[str]:
    return [
        f"mask {i} has the label {mask.max()}, {num_classes} classes are declared"
        for i, mask in enumerate(masks)
        if mask.max() >= num_classes
    ]


def _full_label_problems(full: np.ndarray, cases: pd.DataFrame, num_classes: int) -> list[str]:
    return [
        f"the untouched mask of {case.case_id!r} has a label outside the {num_classes} classes"
        for case in cases.itertuples()
        if full[int(case.offset) :][: int(case.height) * int(case.width)].max() >= num_classes
    ]


def _split_problems(folder: Path, name: str, cases: pd.DataFrame) -> list[str]:
    try:
        table = splits.read(folder, name).set_index("case_id").part
    except ValueError as error:
        return [str(error)]
    problems = []
    parts = cases.case_id.map(table)
    if parts.isna().any():
        missing = cases.case_id[parts.isna()].iloc[0]
        problems.append(f"split {name!r} leaves out {parts.isna().sum()} cases, first {missing!r}")
    unknown = sorted(set(table.index) - set(cases.case_id))
    if unknown:
        problems.append(f"split {name!r} has {len(unknown)} unknown cases, first {unknown[0]!r}")
    problems += [
        f"split {name!r} leaks: the group {group!r} lies in more than one part"
        for group in splits.check(cases, parts)
    ]
    return problems
