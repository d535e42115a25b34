"""Look for everything that can be wrong with a prepared data set."""

from pathlib import Path

import numpy as np
import pandas as pd

from course_lib.data import splits
from course_lib.data.prepared_read import file_problems, load_array, read_cases, read_descriptor


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
        problems += _table_problems(cases)
        problems += _array_problems(images, masks, cases, len(about["classes"]))
        if (folder / "masks_full.npy").exists():
            full = load_array(folder / "masks_full.npy")
            problems += _full_problems(full, cases, len(about["classes"]))
    except ValueError as error:
        return [*problems, str(error)]
    for path in sorted((folder / "splits").glob("*.csv")):
        problems += _split_problems(folder, path.stem, cases)
    return problems


def _table_problems(cases: pd.DataFrame) -> list[str]:
    missing = [c for c in ("case_id", "group", "height", "width", "offset") if c not in cases]
    if missing:
        raise ValueError(f"cases.csv lacks the columns {', '.join(missing)}")
    twice = cases.case_id[cases.case_id.duplicated()].unique()
    problems = [f"cases.csv has the case {case!r} more than once" for case in twice]
    if cases[["case_id", "group"]].isna().to_numpy().any():
        problems.append("cases.csv has rows without case_id or group")
    return problems


def _array_problems(
    images: np.ndarray, masks: np.ndarray, cases: pd.DataFrame, num_classes: int
) -> list[str]:
    problems = []
    counts = (len(images), len(masks), len(cases))
    if len(set(counts)) > 1:
        problems.append("{} images, {} masks and {} cases do not go together".format(*counts))
    if images.dtype != np.uint8 or masks.dtype != np.uint8:
        problems.append(f"arrays must be uint8, not {images.dtype} and {masks.dtype}")
    if images.ndim < 4 or images.shape[2:] != masks.shape[1:]:
        problems.append(f"images {images.shape} and masks {masks.shape} differ in size")
    for i, mask in enumerate(masks):
        if mask.max() >= num_classes:
            problems.append(
                f"mask {i} has the label {mask.max()}, {num_classes} classes are declared"
            )
    return problems


def _full_problems(full: np.ndarray, cases: pd.DataFrame, num_classes: int) -> list[str]:
    columns = cases[["height", "width", "offset"]]
    if columns.isna().to_numpy().any():
        return ["cases.csv lacks height, width or offset of an untouched mask"]
    height, width, offset = columns.to_numpy(dtype=np.int64).T
    area = height * width
    expected = np.concatenate([[0], np.cumsum(area)[:-1]])
    if (offset != expected).any() or full.size != area.sum():
        return ["masks_full.npy does not fit height, width and offset in cases.csv"]
    return [
        f"the untouched mask of {case!r} has a label outside the {num_classes} classes"
        for case, start, size in zip(cases.case_id, offset, area, strict=True)
        if full[start : start + size].max() >= num_classes
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
