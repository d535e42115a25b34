"""What a notebook measured: one results.json a run, written last.

A run is started by the notebook's setup cell, collects records, and is finished by its result cell.
The file holds what is needed to judge the numbers later: parameters, seeds, data and split digests,
versions, machine, git commit, seconds and peak memory (architecture.md section 8).
"""

from __future__ import annotations

import datetime
import json
import math
import os
import platform
import random
import subprocess
import sys
import time
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch  # where it is needed it is imported: what only reads records starts fast

ROOT = Path(__file__).resolve().parents[1]
PROFILES = ("smoke", "fast", "full")
PACKAGES = ("torch", "numpy", "scipy", "pandas", "kornia", "safetensors")

_current: Run | None = None


@dataclass
class Run:
    """One execution of one notebook."""

    notebook: str
    profile: str
    seed: int
    device: torch.device
    out_dir: Path
    parameters: dict
    started: float
    records: dict = field(default_factory=dict)
    data: dict = field(default_factory=dict)

    def pick(self, *, smoke, fast, full):
        """Return the value that belongs to this run's profile."""
        return {"smoke": smoke, "fast": fast, "full": full}[self.profile]

    def uses(self, data, split: str = "default") -> None:
        """Note the digests of a prepared data set and of one of its splits."""
        file = Path(data.folder) / "splits" / f"{split}.csv"
        self.data[data.name] = {
            "digest": data.digest,
            "split": split,
            "split_digest": _file_digest(file) if file.is_file() else None,
        }


def start(notebook: str, parameters: dict) -> Run:
    """Start the record of a run: seed everything, choose the device, start the clock.

    Args:
        notebook: name as in ``notebooks/source``, for example ``"03_unet"``.
        parameters: the values of the notebook's parameters cell. ``profile`` (empty: environment
            variable COURSE_PROFILE, else "fast"), ``seed``, ``device`` ("auto" takes cuda, then
            mps, then cpu) and ``out_dir`` (empty: below COURSE_OUT, else below ``runs``) are used.

    Raises:
        ValueError: for an unknown profile or device.
    """
    import torch

    global _current
    profile = parameters.get("profile") or os.environ.get("COURSE_PROFILE") or "fast"
    if profile not in PROFILES:
        raise ValueError(f"profile {profile!r} is unknown: use one of {', '.join(PROFILES)}")
    seed = int(parameters.get("seed", 0))
    random.seed(seed)
    np.random.seed(seed % 2**32)  # noqa: NPY002 libraries that a student adds may use the old state
    torch.manual_seed(seed)
    default = Path(os.environ.get("COURSE_OUT") or ROOT / "runs" / "notebooks") / notebook
    _current = Run(
        notebook=notebook,
        profile=profile,
        seed=seed,
        device=choose_device(parameters.get("device", "auto")),
        out_dir=Path(parameters.get("out_dir") or default).resolve(),
        parameters={**parameters, "profile": profile},
        started=time.perf_counter(),
    )
    _current.out_dir.mkdir(parents=True, exist_ok=True)
    (_current.out_dir / "results.json").unlink(missing_ok=True)
    return _current


def choose_device(name: str = "auto") -> torch.device:
    """Turn ``auto``, ``cpu``, ``cuda`` or ``mps`` into a device that this machine has."""
    import torch

    present = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }
    if name == "auto":
        return torch.device(next(kind for kind, here in present.items() if here))
    if name not in present:
        raise ValueError(f"device {name!r} is unknown: use auto, cpu, cuda or mps")
    if not present[name]:
        raise ValueError(f"device {name!r} is not on this machine: use auto or cpu")
    return torch.device(name)


def record(
    name: str,
    value: float,
    unit: str = "",
    n: int | None = None,
    interval: tuple[float, float] | None = None,
) -> None:
    """Keep one measured number of the current run.

    Args:
        name: what was measured, unique in the notebook, for example ``"dice_mean"``.
        value: the exact number, string or bool; a float that is not finite is kept as null.
        unit: for example ``"px"`` or ``"s"``; empty for a share or a count.
        n: how many cases (or seeds) stand behind it.
        interval: lower and upper bound, 95 % unless the notebook says otherwise.

    Raises:
        RuntimeError: if no run was started.
    """
    if _current is None:
        raise RuntimeError("no run is started: run the notebook's setup cell first")
    entry = {"value": _plain(value), "unit": unit, "n": None if n is None else int(n)}
    entry["interval"] = None if interval is None else [_plain(bound) for bound in interval]
    _current.records[name] = entry


def finish() -> list[dict]:
    """Write results.json and return one row a record (name, value, interval, unit, n)."""
    if _current is None:
        raise RuntimeError("no run is started: run the notebook's setup cell first")
    run = _current
    result = {
        "notebook": run.notebook,
        "profile": run.profile,
        "parameters": {
            key: str(v) if isinstance(v, Path) else v for key, v in run.parameters.items()
        },
        "seeds": [run.seed],
        "data": run.data,
        "records": run.records,
        "seconds": round(time.perf_counter() - run.started, 2),
        "peak_mb": round(peak_memory_mb(), 1),
        "finished": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        **environment(run.device),
    }
    write_json(run.out_dir / "results.json", result)
    return [{"name": name, **entry} for name, entry in run.records.items()]


def cost() -> str:
    """Return seconds and peak memory of the current run so far, for its last cell."""
    if _current is None:
        raise RuntimeError("no run is started: run the notebook's setup cell first")
    seconds = time.perf_counter() - _current.started
    return f"{seconds:.0f} s and {peak_memory_mb():.0f} MB in the {_current.profile} profile"


def committed(notebook: str, data: str) -> dict | None:
    """Return the newest committed result of a notebook on a data set, None if there is none.

    The file ``notebooks/results/<notebook>/<data>-<device>-<date>.json`` holds ``runs``, a list of
    results as :func:`finish` writes them, one a seed or setting; ``file`` is added here.
    """
    files = (ROOT / "notebooks" / "results" / notebook).glob(f"{data}-*-????-??-??.json")
    newest = max(files, key=lambda file: file.stem[-10:], default=None)
    if newest is None:
        return None
    content = json.loads(newest.read_text(encoding="utf-8"))
    return {**content, "file": newest.relative_to(ROOT).as_posix()}


def committed_sweep(name: str, profile: str = "*") -> dict | None:
    """Return the newest committed results of a sweep, None if there are none.

    Args:
        name: of the sweep, as in ``notebooks/sweeps``.
        profile: smoke, fast or full; by default any.

    Returns:
        What ``notebooks/results/sweeps/<name>/<profile>-<device>-<date>.json`` says (title,
        settings, machines, failures), with ``file`` and ``table``: a DataFrame with one row a run
        and recorded value (the sweep's parameters, ``seed``, ``record``, ``value``, ``unit``, ...).
    """
    import pandas as pd

    files = (ROOT / "notebooks" / "results" / "sweeps" / name).glob(f"{profile}-*-????-??-??.json")
    newest = max(files, key=lambda file: file.stem[-10:], default=None)
    if newest is None:
        return None
    content = json.loads(newest.read_text(encoding="utf-8"))
    table = pd.read_csv(newest.with_suffix(".csv"), keep_default_na=True)
    return {**content, "file": newest.relative_to(ROOT).as_posix(), "table": table}


def environment(device: torch.device) -> dict:
    """Describe the machine and the versions, without names of hosts, users or folders."""
    import torch

    name = platform.machine()
    if device.type == "cuda":
        name = torch.cuda.get_device_name(device)
    return {
        "device": device.type,
        "device_name": name,
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "system": platform.system(),
        "python": platform.python_version(),
        "versions": {package: _version(package) for package in PACKAGES},
        "commit": git_commit(),
    }


def git_commit() -> str | None:
    """Return the commit of the course, with ``+changes`` where files differ, None without git."""
    try:
        head = _git("rev-parse", "--short=12", "HEAD")
        return head + ("+changes" if _git("status", "--porcelain", "--untracked-files=no") else "")
    except (OSError, subprocess.CalledProcessError):
        return None


def peak_memory_mb() -> float:
    """Return the highest resident memory of this process so far, in MB (10^6 bytes)."""
    if sys.platform == "win32":
        import psutil

        return psutil.Process().memory_info().peak_wset / 1e6
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1e6 if sys.platform == "darwin" else peak * 1024 / 1e6


def write_json(path: Path, content: dict) -> None:
    """Write JSON beside ``path`` and move it into place: a reader never sees half of it."""
    text = json.dumps(content, indent=1, allow_nan=False) + "\n"
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        with part.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def _plain(value):
    if isinstance(value, (bool, str)) or value is None:
        return value
    if isinstance(value, (int, np.integer)):
        return int(value)
    number = float(value)
    return number if math.isfinite(number) else None


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _git(*words: str) -> str:
    done = subprocess.run(
        ["git", "-C", str(ROOT), *words], capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def _file_digest(file: Path) -> str:
    import hashlib

    return hashlib.sha256(file.read_bytes()).hexdigest()
