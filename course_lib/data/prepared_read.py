"""Read and check the single files of a prepared folder."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pandas as pd

DESCRIPTOR = "datapackage.json"


def read_descriptor(folder: Path) -> dict:
    """Read ``datapackage.json`` of a prepared data set.

    Raises:
        ValueError: The file is missing, is not JSON, or describes something else.
    """
    try:
        about = json.loads((folder / DESCRIPTOR).read_text(encoding="utf-8"))
        paths = {resource["path"] for resource in about["resources"]}
        complete = {"name", "classes", "modality"} <= set(about)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"{folder} is not a prepared data set: its {DESCRIPTOR} is missing or broken"
        ) from error
    if not complete or not {"images.npy", "masks.npy", "cases.csv"} <= paths:
        raise ValueError(f"{folder} is not a prepared data set: {DESCRIPTOR} lacks images or masks")
    return about


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
        raise ValueError(f"{path} is not a table of cases: {error}") from error


def load_array(path: Path) -> np.ndarray:
    """Open a ``.npy`` file as a read-only memory map, without pickle."""
    try:
        return np.load(path, mmap_mode="r", allow_pickle=False)
    except Exception as error:  # a damaged header ends in errors of any kind
        raise ValueError(f"{path} is not a numpy array: {error}; prepare the set again") from error
