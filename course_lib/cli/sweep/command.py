"""`course sweep`: plan, check, run, report."""

from __future__ import annotations

import datetime
import importlib.util
import sys
from pathlib import Path

import click

from course_lib.cli import run as runner
from course_lib.cli.errors import one_line_errors, short
from course_lib.cli.sweep import design
from course_lib.records import PROFILES, ROOT

STOPPED = 130  # the exit code of a program that Ctrl-C ended


@click.command()
@click.argument("name", metavar="NAME|FILE")
@click.option(
    "--profile",
    type=click.Choice(PROFILES),
    default="fast",
    show_default=True,
    help="Size of every run; a sweep may be smaller in smoke.",
)
@click.option("--scheduler", metavar="ADDRESS", help="A dask scheduler; else workers start here.")
@click.option("--jobs", type=click.IntRange(1, 256), help="Workers here; by default one a core.")
@click.option("--dry-run", is_flag=True, help="Check and print the plan, start nothing.")
@click.option("--retry-failed", is_flag=True, help="Make failed runs again, too.")
@click.option("--out", type=click.Path(path_type=Path), help="Folder of the results.")
@click.option("--commit-results", is_flag=True, help="Keep a small table in notebooks/results.")
@one_line_errors
def sweep(name, profile, scheduler, jobs, dry_run, retry_failed, out, commit_results) -> None:
    """Run a notebook over a grid of settings and seeds (notebooks/sweeps); goes on where it was."""
    missing = [part for part in ("distributed", "pyarrow") if not importlib.util.find_spec(part)]
    if missing:
        raise ValueError(f"a sweep needs {missing[0]}: pip install -e '.[notebooks,sweep]'")
    if scheduler and jobs:
        raise ValueError("--jobs is for workers on this machine: a --scheduler has its own")
    from course_lib.cli.sweep import drive, live, planned, store, workers

    asked = design.read(design.find(name), profile)
    jobs = jobs or max(1, runner.cores() // asked.threads)
    folder = (out or ROOT / "runs" / "sweeps" / f"{asked.name}-{profile}").resolve()
    runs = planned.runs(asked)
    state = drive.look(asked, runs, folder, retry_failed)
    total, done, failed = len(runs), len(state.done), len(state.failed)
    told = planned.describe(asked, total, done, failed, None if scheduler else jobs)
    click.echo("\n".join(told))
    if dry_run:
        return
    store.claim(folder, asked)
    click.echo(f"report    {short(folder / 'index.html')}")
    if state.left():
        try:
            with workers.connect(asked, scheduler, min(jobs, len(state.left()))) as client:
                workers.check(client, asked, folder)
                with live.table(state) as show:
                    drive.drive(client, state, show)
        except (KeyboardInterrupt, ConnectionError) as error:
            from course_lib.cli.sweep import page

            page.write(state, running=False)
            why = "stopped" if isinstance(error, KeyboardInterrupt) else str(error)
            click.echo(
                f"{why}: {len(state.done)} of {total} runs are done; the same command goes on"
            )
            sys.exit(STOPPED if isinstance(error, KeyboardInterrupt) else 1)
    from course_lib.cli.sweep import keep, page

    page.write(state, running=False)
    click.echo(f"{len(state.done)} of {total} runs done, {state.made} of them now")
    if commit_results:
        date = datetime.date.today().isoformat()
        for file in keep.keep(state, date):
            click.echo(f"Kept: {short(file)}")
    _tell_failures(state)


def _tell_failures(state) -> None:
    for run in state.runs:
        if run.key not in state.failed:
            continue
        outcome = state.failed[run.key]
        cell = f", cell {outcome['cell']}" if outcome["cell"] else ""
        what = f"{state.sweep.label(run.setting)}, seed {run.seed}"
        where = f"{state.sweep.notebook.stem}{cell}"
        click.echo(f"FAILED {what}: {where}: {outcome['error']}", err=True)
        for line in outcome["lines"]:
            click.echo(f"    {line}", err=True)
    if state.failed:
        click.echo(f"{len(state.failed)} runs failed: --retry-failed makes them again", err=True)
        sys.exit(1)
