"""The commands `course data ...`: list, show, get, prepare and verify data sets."""

from __future__ import annotations

from pathlib import Path

import click

import data_scripts
from course_lib.cli.errors import one_line_errors
from course_lib.data import prepared

OPEN_TO = click.Path(path_type=Path)
# Options of `prepare` beyond --to and --size; a set that is not named here has --from alone.
OPTIONS = {
    "folder": ["images", "masks", "title", "classes", "group_pattern"],
    "phantoms": [],
    "nuclei-mini": [],
    "nuclei": ["source", "drop_unrepairable"],
    "busi": ["source", "without_normal"],
}


@click.group()
def data() -> None:
    """List, show, get, prepare and verify data sets."""


@data.command("list")
@one_line_errors
def list_() -> None:
    """One line a data set: how to get it, and whether it is prepared."""
    for name in data_scripts.NAMES:
        script = data_scripts.load(name)
        state = ", ".join(folder.name for folder in _folders(name)) or "not prepared"
        click.echo(f"{name:<12} {script.ACCESS:<12} {state:<24} {script.TITLE}")
    for folder in _own_folders():
        click.echo(f"{folder.name:<12} {'your own':<12} {'prepared':<24} {folder.name}")


@data.command()
@click.argument("name")
@one_line_errors
def show(name) -> None:
    """Licence, citation, known flaws and the prepared folder of one data set."""
    if name in data_scripts.NAMES:
        script = data_scripts.load(name)
        for label in ("TITLE", "MODALITY", "ACCESS", "URL", "LICENCE", "CITATION"):
            click.echo(f"{label.lower():<9} {getattr(script, label) or '-'}")
        for flaw in script.FLAWS:
            click.echo(f"flaw      {flaw}")
        folders = _folders(name)
    else:
        folders = [prepared.open(name).folder]
    for folder in folders:
        click.echo(prepared.open(folder).describe())
    if not folders:
        click.echo(f"not prepared: run `course data prepare {name}`")


@data.command()
@click.argument("name")
@click.option("--to", type=OPEN_TO, default=None, help="Folder; default: data/raw.")
@one_line_errors
def get(name, to) -> None:
    """Download the published files of a data set, or say where they can be had."""
    target = data_scripts.load(name).get(to or prepared.data_root() / "raw")
    click.echo(f"{name}: {target}")


@data.command()
@click.argument("name")
@click.option("--from", "source", type=OPEN_TO, help="The published archive, if you have it.")
@click.option("--images", type=OPEN_TO, help="Your own images (with NAME `folder`).")
@click.option("--masks", type=OPEN_TO, help="Your own masks, with the names of the images.")
@click.option("--as", "title", default="mine", help="Name of your own data set.")
@click.option("--classes", default="", help="Of your own masks: background,liver,tumour.")
@click.option("--group-pattern", default="", help=r"Of your file names: '(patient\d+)_.*'.")
@click.option("--to", type=OPEN_TO, default=None, help="Folder to write; default: below data/.")
@click.option("--size", type=click.IntRange(16, 2048), default=None, help="Pixels a side.")
@click.option("--drop-unrepairable", is_flag=True, help="nuclei: leave out the 6 bad cases.")
@click.option("--without-normal", is_flag=True, help="busi: leave out scans without a lesion.")
@one_line_errors
def prepare(name, to, size, **options) -> None:
    """Write a data set in the prepared format: `prepare nuclei --from stage1_train.zip`."""
    _refuse_foreign_options(name)
    if name == "folder":
        folder = _prepare_own(to, size or 256, options)
    else:
        folder = _prepare_known(name, to, size, options)
    ready = prepared.open(folder)
    click.echo(ready.describe())
    dropped = ready.descriptor.get("dropped", [])
    for case in dropped:
        click.echo(f"dropped {case['case_id']}: {case['reason']}")


@data.command()
@click.argument("name")
@one_line_errors
def verify(name) -> None:
    """Check counts, sizes, label values, digests and splits; exit code 2 if something is wrong."""
    folder = prepared.locate(name)
    problems = prepared.verify(folder)
    if problems:
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        mend = "remove the folder and prepare it again"
        raise ValueError(f"{folder.name}: {problems[0]}{more}; {mend}")
    click.echo(f"{folder.name}: all files agree with datapackage.json, no group is torn by a split")


def _refuse_foreign_options(name: str) -> None:
    """An option that the data set does not have would be ignored in silence."""
    context = click.get_current_context()
    for parameter in context.command.params:
        given = context.get_parameter_source(parameter.name).name == "COMMANDLINE"
        if given and parameter.name not in {"name", "to", "size", *OPTIONS.get(name, ["source"])}:
            raise ValueError(f"{name} has no option {parameter.opts[0]}")


def _prepare_own(to: Path | None, size: int, options: dict) -> Path:
    if not (options["images"] and options["masks"]):
        raise ValueError("your own images need --images DIR --masks DIR")
    from data_scripts import folder

    title = options["title"]
    return folder.prepare(
        options["images"],
        options["masks"],
        to or prepared.data_root() / title,
        size,
        title,
        classes=options["classes"].split(",") if options["classes"] else None,
        group_pattern=options["group_pattern"] or None,
    )


def _prepare_known(name: str, to: Path | None, size: int | None, options: dict) -> Path:
    script = data_scripts.load(name)
    if name in prepared.EMBEDDED:
        if to is None and size is None:
            return prepared.open(name).folder
        own = {} if size is None else {"size": size}
        return script.prepare(None, to or prepared.data_root() / f"{name}-{size}", **own)
    size = size or 256
    extra = {"drop_unrepairable": True} if options["drop_unrepairable"] else {}
    extra |= {"keep_normal": False} if options["without_normal"] else {}
    source = options["source"] or script.get(prepared.data_root() / "raw")
    return script.prepare(source, to or prepared.data_root() / f"{name}-{size}", size, **extra)


def _folders(name: str) -> list[Path]:
    root = prepared.data_root()
    found = [root / name, *sorted(root.glob(f"{name}-[0-9]*"))]
    return [folder for folder in found if (folder / "datapackage.json").is_file()]


def _own_folders() -> list[Path]:
    known = {folder for name in data_scripts.NAMES for folder in _folders(name)}
    ready = {file.parent for file in prepared.data_root().glob("*/datapackage.json")}
    return sorted(ready - known)
