"""What is to be run: notebooks found by number, every parameter checked before a kernel starts."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from course_lib.cli import parameters
from course_lib.records import ROOT, choose_device

NOTEBOOKS = ROOT / "notebooks"
CELL_SECONDS = {"smoke": 300, "fast": 600, "full": 24 * 3600}
NAME = re.compile(r"^\d\d_\w+$")
OWN_OPTIONS = {"profile": "--profile", "out_dir": "--out"}
SAFE = "parameters.json"  # stands in every folder that a run made, so that only those are replaced


@dataclass(frozen=True)
class Plan:
    """A notebook with its checked parameters and its own folder of results."""

    notebook: Path
    parameters: dict[str, Any]
    folder: Path
    profile: str
    cell_seconds: int


def find(numbers: tuple[str, ...]) -> list[Path]:
    """Return the student notebooks with these numbers (all of them if none is given)."""
    known = {
        path.stem[:2]: path for path in sorted(NOTEBOOKS.glob("*.ipynb")) if NAME.match(path.stem)
    }
    if not known:
        raise ValueError("there are no notebooks yet: run `course build` first")
    unknown = [number for number in numbers if number.zfill(2) not in known]
    if unknown:
        raise ValueError(f"there is no notebook {unknown[0]!r}: use one of {', '.join(known)}")
    return [known[number.zfill(2)] for number in numbers] or list(known.values())


def plan(
    notebooks: list[Path],
    profile: str,
    wide: dict[str, str],
    exact: dict[str, str],
    out: Path,
    cell_seconds: int | None = None,
) -> list[Plan]:
    """Check every parameter of every notebook before anything starts.

    Args:
        notebooks: student notebooks.
        profile: smoke, fast or full.
        wide: values (as text) for the notebooks that have such a parameter, at least one of them.
        exact: values that every one of the notebooks must have.
        out: folder; each run gets its own one below.
        cell_seconds: longest time of one cell; None: as the profile says.

    Raises:
        ValueError: for a parameter that is unknown or out of range, a device or a data set that is
            not there, or an output folder that holds other things.
    """
    known = {path: parameters.read(path) for path in notebooks}
    for name in wide:
        if not any(name in table for table in known.values()):
            raise ValueError(f"none of the chosen notebooks has a parameter {name!r}")
    for name in exact:
        if name in OWN_OPTIONS:
            raise ValueError(f"-p {name} is not for here: use {OWN_OPTIONS[name]}")
    plans = []
    for path, table in known.items():
        asked = {name: text for name, text in wide.items() if name in table} | exact
        values = parameters.validate(table, asked, path.stem)
        _check_surroundings(values)
        folder = (out / path.stem).resolve()
        _check_folder(folder)
        values |= {"profile": profile, "out_dir": str(folder)}
        plans.append(Plan(path, values, folder, profile, cell_seconds or CELL_SECONDS[profile]))
    return plans


def _check_surroundings(values: dict[str, Any]) -> None:
    if "device" in values:
        choose_device(values["device"])
    if "data" in values:
        from course_lib.data import prepared

        prepared.open(values["data"], verify="hash")


def _check_folder(folder: Path) -> None:
    """A run starts in an empty folder, so refuse one that anything but a run has filled."""
    there = next(parent for parent in folder.parents if parent.exists())
    if not there.is_dir():
        raise ValueError(f"{there} is a file: choose another --out")
    if folder.is_dir() and any(folder.iterdir()) and not (folder / SAFE).is_file():
        raise ValueError(f"{folder} holds other things than a run: choose another --out")
