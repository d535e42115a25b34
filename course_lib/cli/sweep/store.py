"""The folder of a sweep: what it belongs to, which runs are whole, which failed.

    sweep.json                which sweep this is
    runs/KEY/                 one finished run: notebook, its page, results.json, cases.csv
    runs/KEY/run.json         the digests of these files
    failed/KEY/               one failed run: what the notebook got to, outcome.json
    results.parquet, results.csv, index.html

A finished run is put together under a temporary name beside its place, with host and process id,
and renamed last.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

from course_lib.cli.sweep.design import Sweep
from course_lib.data import atomic

KEPT = {".ipynb", ".html", ".json", ".csv", ".txt"}  # weights are not: they are the big part


def claim(folder: Path, sweep: Sweep) -> None:
    """Make a folder this sweep's own, or see that it is.

    Raises:
        ValueError: the folder holds another sweep or other things, or cannot be written.
    """
    about = {"sweep": sweep.name, "profile": sweep.profile, "notebook": sweep.notebook.stem}
    file = folder / "sweep.json"
    if file.is_file():
        there = read_json(file)
        wrong = [name for name in about if there.get(name) != about[name]]
        if wrong:
            raise ValueError(
                f"{folder} holds a sweep with {wrong[0]} {there.get(wrong[0])!r}, not "
                f"{about[wrong[0]]!r}: choose another --out"
            )
    elif folder.is_dir() and any(folder.iterdir()):
        raise ValueError(f"{folder} holds other things than a sweep: choose another --out")
    atomic.write_file(file, json.dumps(about, indent=1).encode())


def place(folder: Path, key: str) -> Path:
    """Return where a finished run lies."""
    return folder / "runs" / key


def seal(temporary: Path) -> None:
    """Drop what is not kept of a finished run and write the digests of the rest, last."""
    for child in list(temporary.iterdir()):
        if child.is_dir():
            shutil.rmtree(child)
        elif child.suffix not in KEPT:
            child.unlink()
    digests = {file.name: _digest(file) for file in sorted(temporary.iterdir())}
    atomic.write_file(temporary / "run.json", json.dumps({"files": digests}).encode())


def intact(run: Path) -> bool:
    """Tell whether a finished run is there, every file of it whole."""
    digests = read_json(run / "run.json").get("files", {})
    try:
        return "results.json" in digests and all(
            _digest(run / name) == digest for name, digest in digests.items()
        )
    except OSError:
        return False


def damaged(run: Path) -> bool:
    """Tell whether what lies in the place of a run may be replaced."""
    return not intact(run)


def keep_failure(temporary: Path, folder: Path, key: str) -> None:
    """Copy what a failed run left to where failures lie."""
    target = folder / "failed" / key
    with atomic.new_folder(target, may_replace=lambda _: True) as copy:
        for file in temporary.iterdir():
            if file.is_file() and file.suffix in KEPT:
                shutil.copyfile(file, copy / file.name)


def note_failure(folder: Path, key: str, outcome: dict) -> None:
    """Keep the outcome of a run whose workers could not say anything any more."""
    atomic.write_file(folder / "failed" / key / "outcome.json", json.dumps(outcome).encode())


def failure(folder: Path, key: str) -> dict:
    """Return the outcome of a failed run; empty if it has not failed."""
    return read_json(folder / "failed" / key / "outcome.json")


def forget_failure(folder: Path, key: str) -> None:
    """Let a failed run be made again."""
    shutil.rmtree(folder / "failed" / key, ignore_errors=True)


def read_json(file: Path) -> dict:
    """Read a JSON object; one that is missing or cut off counts as empty."""
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()
