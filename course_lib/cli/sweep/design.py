"""A sweep file, read and checked: which notebook, which settings, which seeds.

title = "Which loss?"                  # a few words
question = "Does the loss matter?"     # what the report answers
notebook = "03"                        # number of a course notebook, or a path from this file
record = "dice_mean"                   # the record that is compared
seeds = [0, 1, 2]
matters = 0.01                         # optional: smaller differences do not matter
reference = { loss = "dice_ce" }       # optional: what the others are compared with
fixed = { data = "phantoms" }          # optional: the same in all runs
grid = { loss = ["dice_ce", "dice"] }  # all combinations; or settings = [{...}, {...}]
resources = { threads = 1, gpus = 0 }  # optional: of one run
[smoke]                                # optional: what is other in this profile
seeds = [0]
"""

from __future__ import annotations

import itertools
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from course_lib.cli import parameters, plan
from course_lib.records import PROFILES, ROOT

FOLDER = ROOT / "notebooks" / "sweeps"
NEEDED = {"title": str, "question": str, "notebook": str, "record": str, "seeds": list}
OPTIONAL = {
    "matters": (int, float),
    "reference": dict,
    "fixed": dict,
    "grid": dict,
    "settings": list,
    "resources": dict,
}
OWN = ("profile", "out_dir", "seed")  # parameters that the sweep sets itself


@dataclass(frozen=True)
class Sweep:
    """A checked sweep in one profile. ``settings`` are the values that differ between runs."""

    name: str
    profile: str
    title: str
    question: str
    notebook: Path
    record: str
    seeds: tuple[int, ...]
    settings: tuple[dict[str, Any], ...]
    fixed: dict[str, Any] = field(default_factory=dict)
    reference: dict[str, Any] = field(default_factory=dict)
    matters: float | None = None
    threads: int = 1
    gpus: int = 0

    @property
    def axes(self) -> dict[str, list]:
        """Names of what differs, each with its values in the order of the file."""
        names = list(dict.fromkeys(name for one in self.settings for name in one))
        values = {name: [one[name] for one in self.settings if name in one] for name in names}
        return {name: list(dict.fromkeys(found)) for name, found in values.items()}

    def label(self, setting: dict[str, Any]) -> str:
        """Return a setting in words: the values of what really differs."""
        axes = self.axes
        told = [n for n in setting if len(axes[n]) > 1 or any(n not in s for s in self.settings)]
        return ", ".join(f"{name} {setting[name]}" for name in told) or "the one setting"

    def partner(self, setting: dict[str, Any]) -> dict[str, Any] | None:
        """Return the setting that this one is compared with; None for a reference itself."""
        wanted = {**setting, **self.reference}
        return None if not self.reference or wanted == setting else wanted


def find(name: str) -> Path:
    """Return the file of a sweep: a path, or the name of one in ``notebooks/sweeps``."""
    file = Path(name) if name.endswith(".toml") else FOLDER / f"{name}.toml"
    if file.is_file():
        return file
    known = ", ".join(sorted(path.stem for path in FOLDER.glob("*.toml")))
    raise ValueError(f"there is no sweep {name!r}: use one of {known}, or the path of a .toml file")


def read(file: Path, profile: str) -> Sweep:
    """Read a sweep file for one profile and check all that it says.

    Raises:
        ValueError: with the file and what is wrong in it.
    """
    try:
        content = tomllib.loads(file.read_text(encoding="utf-8"))
        return _sweep(file, profile, content)
    except ValueError as error:  # a TOML error is one too
        raise ValueError(f"{file.name}: {error}") from None


def _sweep(file: Path, profile: str, content: dict) -> Sweep:
    sizes = {name: content.pop(name) for name in PROFILES if name in content}
    for name, size in sizes.items():
        if not isinstance(size, dict):
            raise ValueError(f"[{name}] must be a table of keys that differ in this profile")
        _check_keys(size, f"[{name}] ")
    size = sizes.get(profile, {})
    if "grid" in size or "settings" in size:
        content = {key: content[key] for key in content if key not in ("grid", "settings")}
    content = {**content, **size}
    _check_keys(content, "")
    missing = [key for key in NEEDED if key not in content]
    if missing:
        raise ValueError(f"{missing[0]} is missing")
    notebook = _notebook(file, content["notebook"])
    known = parameters.read(notebook)
    if "seed" not in known:
        raise ValueError(f"{notebook.stem} has no parameter seed, so runs cannot be repeated")
    resources = _resources(content.get("resources", {}))
    sweep = Sweep(
        name=file.stem,
        profile=profile,
        title=content["title"],
        question=content["question"],
        notebook=notebook,
        record=content["record"],
        seeds=_seeds(content["seeds"], known["seed"]),
        settings=_settings(content, known, notebook.stem),
        fixed=_accept(content.get("fixed", {}), known, notebook.stem),
        reference=_accept(content.get("reference", {}), known, notebook.stem),
        matters=content.get("matters"),
        **resources,
    )
    _check_together(sweep)
    return sweep


def _check_keys(table: dict, where: str) -> None:
    valid = NEEDED | OPTIONAL
    for key, value in table.items():
        if key not in valid:
            raise ValueError(f"{where}{key} is unknown: use {', '.join(valid)} or {_sizes()}")
        if not isinstance(value, valid[key]) or isinstance(value, bool):
            kind = "a number" if key == "matters" else f"a {valid[key].__name__}"
            raise ValueError(f"{where}{key} = {value!r} must be {kind}")


def _sizes() -> str:
    return ", ".join(f"[{name}]" for name in PROFILES)


def _notebook(file: Path, name: str) -> Path:
    if not name.endswith(".ipynb"):
        return plan.find((name,))[0]
    notebook = (file.parent / name).resolve()
    if not notebook.is_file():
        raise ValueError(f"there is no notebook {name!r} beside it")
    return notebook


def _seeds(seeds: list, known: parameters.Parameter) -> tuple[int, ...]:
    if not seeds:
        raise ValueError("seeds is empty: give at least one, such as seeds = [0, 1, 2]")
    if len(set(map(str, seeds))) < len(seeds):
        raise ValueError(f"seeds = {seeds} names one twice")
    return tuple(known.accept(seed) for seed in seeds)


def _settings(content: dict, known: dict, where: str) -> tuple[dict, ...]:
    """Return the settings of a grid or of a list; one empty setting where there is neither."""
    if "grid" in content and "settings" in content:
        raise ValueError("grid and settings are both given: use one of them")
    if "grid" in content:
        grid = content["grid"]
        for name, values in grid.items():
            if not isinstance(values, list) or not values:
                raise ValueError(f"grid.{name} = {values!r} must be a list of at least one value")
        if not grid:
            raise ValueError("grid is empty: name a parameter and its values")
        listed = [
            dict(zip(grid, values, strict=True)) for values in itertools.product(*grid.values())
        ]
    else:
        listed = content.get("settings", [{}])
        if not listed or not all(isinstance(one, dict) for one in listed):
            raise ValueError("settings must be a list of at least one table of parameters")
    accepted = [_accept(one, known, where) for one in listed]
    twice = [one for i, one in enumerate(accepted) if one in accepted[:i]]
    if twice:
        raise ValueError(f"the setting {twice[0]} is there twice")
    return tuple(accepted)


def _accept(values: dict, known: dict[str, parameters.Parameter], where: str) -> dict:
    for name in values:
        if name in OWN:
            raise ValueError(f"{name} is set by the sweep itself and cannot be given")
    return parameters.accept(known, values, where)


def _resources(given: dict) -> dict[str, int]:
    lowest = {"threads": 1, "gpus": 0}
    for name, value in given.items():
        if name not in lowest:
            raise ValueError(f"resources.{name} is unknown: use {' or '.join(lowest)}")
        if type(value) is not int or value < lowest[name]:
            raise ValueError(
                f"resources.{name} = {value!r} must be a whole number from {lowest[name]}"
            )
    return given


def _check_together(sweep: Sweep) -> None:
    both = [name for name in sweep.axes if name in sweep.fixed]
    if both:
        raise ValueError(f"{both[0]} is both fixed and varied")
    foreign = [name for name in sweep.reference if name not in sweep.axes]
    if foreign:
        raise ValueError(f"reference names {foreign[0]}, which is not varied")
    for setting in sweep.settings:
        partner = sweep.partner(setting)
        if partner is not None and partner not in sweep.settings:
            raise ValueError(f"the setting {setting} has no reference: {partner} is not run")
