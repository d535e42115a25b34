"""`course check`: versions, device, memory and threads of this machine, with advice."""

from __future__ import annotations

import os
import platform
import re
import shutil
from importlib import metadata

import psutil

from course_lib.records import ROOT, choose_device

LINE = re.compile(r"^([\w.-]+)==(\S+)")


def locked() -> dict[str, str]:
    """Return the versions of requirements.lock that hold on every platform."""
    text = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if " ; " not in line]
    return dict(match.groups() for line in lines if (match := LINE.match(line)))


def differing() -> list[str]:
    """Return one line for each package that is missing or has another version than the lock."""
    lines = []
    for name, version in locked().items():
        try:
            here = metadata.version(name).split("+")[0]
        except metadata.PackageNotFoundError:
            here = "missing"
        if here != version:
            lines.append(f"{name}: {here}, the lock has {version}")
    return lines


def describe() -> list[str]:
    """Return lines about this machine, and advice where something will be slow or will not fit."""
    import torch

    memory = psutil.virtual_memory()
    device = choose_device("auto")
    name = torch.cuda.get_device_name() if device.type == "cuda" else platform.machine()
    lines = [
        f"Python    {platform.python_version()} on {platform.system()}",
        f"PyTorch   {torch.__version__}",
        f"device    {device.type} ({name})",
        f"cores     {os.cpu_count()}, threads for PyTorch {torch.get_num_threads()}",
        f"memory    {memory.total / 1e9:.1f} GB, free {memory.available / 1e9:.1f} GB",
        f"disk      {shutil.disk_usage(ROOT).free / 1e9:.1f} GB free",
    ]
    if memory.available < 1.5e9:
        lines.append("advice    little memory is free: use --profile smoke, close other programs")
    if device.type == "cpu":
        lines.append("advice    no GPU: the profiles smoke and fast are made for this machine")
    else:
        lines.append("advice    a GPU is here: --profile full runs the papers' protocols")
    wrong = differing()
    if wrong:
        lines.append(f"advice    {len(wrong)} packages differ from requirements.lock, such as")
        lines += [f"          {line}" for line in wrong[:5]]
    else:
        lines.append("versions  as in requirements.lock")
    return lines
