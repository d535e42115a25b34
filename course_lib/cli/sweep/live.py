"""What a waiting user sees: a bar with the time left, and the runs that are being made."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table

from course_lib.cli.sweep import planned
from course_lib.cli.sweep.drive import State


@contextmanager
def table(state: State) -> Iterator[Callable[[State], None]]:
    """Give a function that shows the state: a live table, or one line a run where none is seen."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield _Lines(console)
        return
    with Live(console=console, refresh_per_second=2, transient=True) as screen:
        yield lambda now: screen.update(_screen(now))


class _Lines:
    """One line whenever a run ends."""

    def __init__(self, console: Console) -> None:
        self.console, self.told = console, None

    def __call__(self, state: State) -> None:
        news = (len(state.done), len(state.failed))
        if news == self.told:
            return
        self.told = news
        done, failed = news
        self.console.print(
            f"{done} of {len(state.runs)} runs done, {failed} failed, {left(state)}",
            highlight=False,
        )


def left(state: State) -> str:
    """Return the time left in words: by the runs made so far, at first by the budget."""
    waiting = len(state.left())
    elapsed = time.monotonic() - state.begun
    if state.made:
        seconds = waiting * elapsed / state.made
    else:
        budget = planned.seconds_of_a_run(state.sweep)
        if budget is None:
            return "time left not known"
        seconds = waiting * budget / state.workers - elapsed
    seconds = max(0, seconds)
    return f"about {seconds / 60:.0f} min left" if seconds > 90 else f"about {seconds:.0f} s left"


def _screen(state: State) -> Group:
    bar = Progress(
        TextColumn("runs"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}")
    )
    failed = f", {len(state.failed)} failed" if state.failed else ""
    ended = len(state.done) + len(state.failed)
    bar.add_task(left(state) + failed, total=len(state.runs), completed=ended)
    rows = Table("setting", "seed", "cell", "seconds", "worker")
    for run in state.runs:
        now = state.running.get(run.key)
        if now:
            seconds = f"{time.monotonic() - now['begun']:.0f}"
            cell = f"{now['at']} of {now['of']}"
            label = state.sweep.label(run.setting)
            rows.add_row(label, str(run.seed), cell, seconds, now["worker"])
    return Group(bar, rows)
