"""The command `course`: every subcommand is a thin call into the room that does the work."""

from __future__ import annotations

import datetime
import importlib
import os
import subprocess
import sys
from pathlib import Path

import click

from course_lib.cli import build as builder
from course_lib.cli import keep as keeper
from course_lib.cli import machine
from course_lib.cli import plan as planner
from course_lib.cli import run as runner
from course_lib.cli.errors import one_line_errors, short
from course_lib.records import PROFILES, ROOT

ELSEWHERE = {
    "claims": "course_lib.cli.claims",
    "data": "course_lib.cli.data",
    "demo": "course_lib.cli.demo",
    "predict": "course_lib.cli.predict",
    "sweep": "course_lib.cli.sweep.command",
}


class Group(click.Group):
    """Imports a command that has a file of its own when it is asked for: the others start fast."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands."""
        return sorted([*super().list_commands(ctx), *ELSEWHERE])

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command by its name, None if there is none."""
        if cmd_name in ELSEWHERE:
            return getattr(importlib.import_module(ELSEWHERE[cmd_name]), cmd_name)
        return super().get_command(ctx, cmd_name)


@click.group(cls=Group, context_settings={"help_option_names": ["-h", "--help"]})
def course() -> None:
    """Run, build and test the segmentation course."""


@course.command()
@one_line_errors
def check() -> None:
    """Show versions, device, memory and threads of this machine, with advice."""
    for line in machine.describe():
        click.echo(line)


@course.command()
@click.argument("numbers", nargs=-1, metavar="[NN]...")
@click.option(
    "--profile",
    type=click.Choice(PROFILES),
    default="fast",
    show_default=True,
    help="Size of the run: for tests, for a laptop, for a GPU.",
)
@click.option("--data", default="", help="Prepared data set, for the notebooks that take one.")
@click.option("--device", default="", help="auto, cpu, cuda or mps.")
@click.option(
    "-p",
    "exact",
    nargs=2,
    multiple=True,
    metavar="NAME VALUE",
    help="A parameter: type and range stand in the parameters cell. May be repeated.",
)
@click.option(
    "--jobs",
    type=click.IntRange(1, 64),
    default=1,
    show_default=True,
    help="Notebooks that run at a time.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=ROOT / "runs" / "course",
    help="Folder of the runs and the report; by default runs/course.",
)
@click.option("--timeout", type=click.IntRange(1), help="Seconds that one cell may take.")
@click.option("--keep", is_flag=True, help="Keep the results in notebooks/results.")
@one_line_errors
def run(numbers, profile, data, device, exact, jobs, out, timeout, keep) -> None:
    """Run notebooks headless (all, or those with the given numbers) and write a report."""
    from course_lib.cli import report as reporter

    wide = {name: text for name, text in (("data", data), ("device", device)) if text}
    names = [name for name, _ in exact]
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise ValueError(f"-p {twice[0]} is given twice: which value is meant?")
    plans = planner.plan(planner.find(numbers), profile, wide, dict(exact), out, timeout)
    outcomes = runner.execute_with_bars(plans, jobs)
    page = reporter.write(out)
    click.echo(f"Report: {short(page)}")
    if keep:
        for file in keeper.keep(plans, outcomes, datetime.date.today().isoformat()):
            click.echo(f"Kept: {short(file)}")
    failed = [outcome for outcome in outcomes if outcome.status != "passed"]
    for outcome in failed:
        click.echo(f"FAILED {outcome.where()}: {outcome.error}", err=True)
        for line in outcome.lines:
            click.echo(f"    {line}", err=True)
    if failed:
        names = ", ".join(outcome.name for outcome in failed)
        click.echo(f"{len(failed)} of {len(outcomes)} notebooks failed: {names}", err=True)
        sys.exit(1)


@course.command()
@click.option("--check", is_flag=True, help="Only say which notebooks are stale; exit code 1 then.")
@one_line_errors
def build(check) -> None:
    """Make the notebooks from notebooks/source."""
    if check:
        names = builder.stale()
        for name in names:
            click.echo(f"stale: {name} (run `course build`)")
        sys.exit(1 if names else 0)
    for name in builder.build():
        click.echo(f"wrote {name}")


@course.command()
@click.option(
    "--to",
    type=click.Path(path_type=Path),
    default=ROOT / "work",
    help="Folder of the copies; by default work.",
)
@click.option("--open/--no-open", "launch", default=True, help="Open JupyterLab there.")
@one_line_errors
def work(to, launch) -> None:
    """Copy notebooks that are not there yet into work/ and open JupyterLab; overwrites nothing."""
    to.mkdir(parents=True, exist_ok=True)
    for notebook in planner.find(()):
        target = to / notebook.name
        try:
            with target.open("xb") as file:
                file.write(notebook.read_bytes())
            click.echo(f"copied {target.name}")
        except FileExistsError:
            click.echo(f"kept   {target.name}")
    if launch:
        command = [sys.executable, "-m", "jupyterlab", f"--ServerApp.root_dir={to.resolve()}"]
        sys.exit(subprocess.call(command, env=os.environ | {"PYTHONPATH": str(ROOT)}))


@course.command()
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=ROOT / "runs" / "course",
    help="Folder of the runs and the report; by default runs/course.",
)
@one_line_errors
def report(out) -> None:
    """Write the report of a folder of runs anew."""
    from course_lib.cli import report as reporter

    click.echo(f"Report: {short(reporter.write(out))}")


if __name__ == "__main__":
    course()
