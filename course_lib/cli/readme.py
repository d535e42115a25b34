"""The generated parts of README.md: the Binder badge and the table of notebooks."""

from __future__ import annotations

import math
import re
import tomllib
from pathlib import Path

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
    return _replace(text, "notebooks", _table(sources))


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
