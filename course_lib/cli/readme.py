"""The generated parts of README.md: the Binder badge, the tables of notebooks and of costs."""

from __future__ import annotations

import math
import re
import tomllib
from collections.abc import Callable
from pathlib import Path

from course_lib import records
from course_lib.records import ROOT

README = ROOT / "README.md"


def budgets() -> dict:
    """Return seconds and peak MB by notebook and profile, from ``notebooks/budgets.toml``."""
    return tomllib.loads((ROOT / "notebooks" / "budgets.toml").read_text(encoding="utf-8"))


def current() -> str:
    """Return README.md as it is."""
    return README.read_text(encoding="utf-8")


def render(sources: list[Path]) -> str:
    """Return README.md with its generated parts made anew."""
    text = _replace(current(), "badge", _badge())
    text = _replace(text, "notebooks", _table(sources))
    return _replace(text, "costs", _costs())


def _replace(text: str, name: str, content: str) -> str:
    pattern = re.compile(rf"<!-- {name} -->.*<!-- /{name} -->", re.DOTALL)
    return pattern.sub(lambda _: f"<!-- {name} -->{content}<!-- /{name} -->", text)


def _badge() -> str:
    """The repository's address stands in pyproject.toml and nowhere else."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    name = project["urls"]["Repository"].removeprefix("https://github.com/")
    link = f"https://mybinder.org/v2/gh/{name}/HEAD?urlpath=lab/tree/notebooks"
    return f"[![Open in Binder](https://mybinder.org/badge_logo.svg)]({link})"


def _table(sources: list[Path]) -> str:
    rows = ["", "", "| notebook | question | minutes (fast) | peak memory |", "|---|---|---|---|"]
    for source in sources:
        title = re.search(r"^# # (.+)$", source.read_text(encoding="utf-8"), re.MULTILINE)[1]
        name, _, question = title.partition(": ")
        question = question[:1].upper() + question[1:]
        cost = budgets().get(source.stem, {}).get("fast")
        minutes = f"{math.ceil(cost['seconds'] / 6) / 10:.1f}" if cost else "-"
        memory = f"{cost['peak_mb']:.0f} MB" if cost else "-"
        rows.append(
            f"| [{name}](notebooks/{source.stem}.ipynb) | {question} | {minutes} | {memory} |"
        )
    return "\n".join([*rows, "", ""])


def _costs() -> str:
    """The newest committed result of every benchmark that a reader of README.md may ask for."""
    rows = ["", "", "| what | measured | machine, date |", "|---|---|---|"]
    for name, (what, told) in COSTS.items():
        found = records.committed("benchmarks", name)
        if found:
            where = found.get("machine") or (
                f"{found['cores']} cores {found['device_name']}, threads: {found['threads']}"
            )
            rows.append(f"| {what} | {told(found)} | {where}, {found['file'][-15:-5]} |")
    return "\n".join([*rows, "", ""])


def _loop(found: dict) -> str:
    extra = {name: 100 * (loop["cpu"]["ratio"] - 1) for name, loop in found["loops"].items()}
    return f"{extra['fit']:+.1f} % CPU time; MONAI's engine {extra['monai']:+.1f} %"


def _range(rows: list[dict], key: str) -> str:
    values = sorted(row[key] for row in rows)
    return f"{values[0]:.1f} to {values[-1]:.1f} times as fast"


def _models(found: dict) -> str:
    net = found["nets"]["sigrenet"]
    return (
        f"{net['parameters'] / 1e6:.2f} M parameters, {net['gmacs']:.2f} GMAC, "
        f"{net['forward']['ratio']:.2f} of the time"
    )


def _sampler(found: dict) -> str:
    cases, rows = list(found["epochs"].items())[-1]
    plain, mix = rows["plain"]["ms"], rows["curriculum, mix"]["ms"]
    return f"{mix:.1f} ms for {int(cases):,} cases; a plain one {plain:.1f} ms"


def _course(found: dict) -> str:
    count, minutes = len(found["notebooks"]), found["seconds_in_all"] / 60
    return f"{count} in {minutes:.0f} minutes, at most {found['highest_peak_mb']:.0f} MB"


COSTS: dict[str, tuple[str, Callable[[dict], str]]] = {  # by benchmark
    "loop": ("our training loop beside a bare one", _loop),
    "transforms": (
        "augmentation beside kornia's chain",
        lambda found: _range(found["rows"], "ratio"),
    ),
    "metrics": (
        "HD95 and NSD beside MONAI's",
        lambda found: _range(found["rows"], "monai_over_ours"),
    ),
    "models": ("a forward pass of SiGREnet beside MONAI's BasicUNet", _models),
    "phantoms": (
        "phantoms of 128 px, all looks",
        lambda found: f"{found['looks']['mixed']['128']:.0f} images a second",
    ),
    "sampler": ("drawing an epoch of a curriculum", _sampler),
    "sweep": (
        "a second worker of a sweep",
        lambda found: f"{found['speed_up']:.2f} times as fast",
    ),
    "course": ("all notebooks in the profile fast", _course),
}
