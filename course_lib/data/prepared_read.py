"""Read and check the single files of a prepared folder."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pandas as pd

DESCRIPTOR = "datapackage.json"
MEND = "remove the folder and prepare it again"
COLUMNS_READ = ("case_id", "group", "height", "width", "offset", "spacing_y", "spacing_x")


def read_descriptor(folder: Path) -> dict:
    """Read ``datapackage.json`` of a prepared data set.

    Raises:
        ValueError: The file is missing, is not JSON, describes something else, or an entry
            that the library reads is missing or of the wrong kind.
    """
    try:
        about = json.loads((folder / DESCRIPTOR).read_text(encoding="utf-8"))
        paths = {resource["path"] for resource in about["resources"]}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"{folder} is not a prepared data set: its {DESCRIPTOR} is missing or broken"
        ) from error
    if not {"images.npy", "masks.npy", "cases.csv"} <= paths:
        raise ValueError(f"{folder} is not a prepared data set: {DESCRIPTOR} lacks images or masks")
    problem = _descriptor_problem(about)
    if problem:
        raise ValueError(f"{folder} is damaged: in {DESCRIPTOR} {problem}; {MEND}")
    return about


def _descriptor_problem(about: dict) -> str:
    """Name the first entry of the wrong kind; empty where all is well."""
    for item in about["resources"]:
        path, size, digest = (item.get(key) for key in ("path", "bytes", "hash"))
        if not isinstance(path, str) or path != Path(path.replace("\\", "/")).name or path == "..":
            return f"the path {path!r} is not the bare name of a file"
        if type(size) is not int or size < 0:
            return f"bytes of {path} is {size!r} instead of a whole number"
        if not (isinstance(digest, str) and digest.startswith("sha256:")):
            return f"hash of {path} is {digest!r} instead of sha256:..."
    for key in ("name", "modality"):
        if not isinstance(about.get(key), str):
            return f"{key} is {about.get(key)!r} instead of text"
    for key, field, fewest in (("classes", "name", 2), ("dropped", "case_id", 0)):
        items = about.get(key, [])
        named = isinstance(items, list) and all(
            isinstance(item, dict) and isinstance(item.get(field), str) for item in items
        )
        if not named or len(items) < fewest:
            return f"{key} is {items!r:.60} instead of a list of entries with {field}"
    return ""


def file_hash(path: Path) -> str:
    """Give the digest of a file as the descriptor states it, ``"sha256:<hex>"``."""
    with path.open("rb") as file:
        return "sha256:" + hashlib.file_digest(file, "sha256").hexdigest()


def file_problems(folder: Path, about: dict, verify: str) -> list[str]:
    """Compare the files with the descriptor, by size or also by hash."""
    problems = []
    for item in about["resources"]:
        path = folder / item["path"]
        if not path.is_file():
            problems.append(f"{item['path']} is missing")
        elif path.stat().st_size != item["bytes"]:
            problems.append(
                f"{item['path']} has {path.stat().st_size} bytes instead of {item['bytes']}"
            )
        elif verify == "hash" and file_hash(path) != item["hash"]:
            problems.append(f"{item['path']} has another sha256 than datapackage.json states")
    return problems


def read_cases(path: Path) -> pd.DataFrame:
    """Read ``cases.csv``; ids stay text (``007``), empty numbers become NaN."""
    text = ("case_id", "group", "source_file", "source_sha256")
    try:
        table = pd.read_csv(
            path,
            dtype=dict.fromkeys(text, str),
            keep_default_na=False,
            na_values=[""],
            encoding="utf-8",
        )
        return table.fillna({"source_file": "", "source_sha256": ""})
    except ValueError as error:
        reason = " ".join(str(error).split())
        raise ValueError(f"{path} is not a table of cases ({reason}); {MEND}") from error


def load_array(path: Path) -> np.ndarray:
    """Open a ``.npy`` file as a read-only memory map, without pickle."""
    try:
        return np.load(path, mmap_mode="r", allow_pickle=False)
    except Exception as error:  # a damaged header ends in errors of any kind
        raise ValueError(f"{path} is not a numpy array ({error}); {MEND}") from error


def array_problems(images: np.ndarray, masks: np.ndarray, cases: pd.DataFrame) -> list[str]:
    """Say why arrays and case table do not go together: kind, counts, sizes, columns."""
    missing = [column for column in COLUMNS_READ if column not in cases]
    if missing:
        return [f"cases.csv lacks the columns {', '.join(missing)}"]
    if images.dtype != np.uint8 or masks.dtype != np.uint8:
        return [f"arrays must be uint8, not {images.dtype} and {masks.dtype}"]
    if images.ndim not in (4, 5) or masks.ndim != images.ndim - 1:
        return [
            f"images must be (N, C, H, W) and masks (N, H, W), not {images.shape}, {masks.shape}"
        ]
    problems = []
    counts = (len(images), len(masks), len(cases))
    if len(set(counts)) > 1:
        problems.append("{} images, {} masks and {} cases do not go together".format(*counts))
    if images.shape[2:] != masks.shape[1:]:
        problems.append(f"images {images.shape} and masks {masks.shape} differ in size")
    return problems


def full_problems(full: np.ndarray, cases: pd.DataFrame) -> list[str]:
    """Say why the flat array of the untouched masks does not fit the case table."""
    if full.dtype != np.uint8 or full.ndim != 1:
        return [f"masks_full.npy must be flat and uint8, not {full.shape} {full.dtype}"]
    columns = cases[["height", "width", "offset"]].apply(pd.to_numeric, errors="coerce")
    if columns.isna().to_numpy().any():
        return ["cases.csv lacks height, width or offset of an untouched mask"]
    height, width, offset = columns.to_numpy(dtype=np.int64).T
    area = height * width
    expected = np.concatenate([[0], np.cumsum(area)[:-1]])
    if (offset != expected).any() or full.size != area.sum():
        return ["masks_full.npy does not fit height, width and offset in cases.csv"]
    return []
