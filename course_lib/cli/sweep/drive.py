"""A sweep from start to end: orders go out, results come in, table and page grow."""

from __future__ import annotations

import secrets
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from distributed import CancelledError, Client, KilledWorker, wait

from course_lib.cli.sweep import planned, store, task
from course_lib.cli.sweep.design import Sweep
from course_lib.cli.sweep.planned import Run

RETRIES = 1  # of a run whose notebook failed; a run whose worker died has three, as dask's default
FIRST = 20  # seconds until the first table and page
SHARE = 0.05  # of the time may go into table and page while the sweep runs


@dataclass
class State:
    """Where a sweep stands, by the keys of its runs."""

    sweep: Sweep
    runs: list[Run]
    folder: Path
    done: set[str] = field(default_factory=set)
    failed: dict[str, dict] = field(default_factory=dict)
    running: dict[str, dict] = field(default_factory=dict)
    begun: float = field(default_factory=time.monotonic)
    made: int = 0  # in this start of the sweep
    workers: int = 1

    def left(self) -> list[Run]:
        """Return the runs that are neither done nor failed."""
        return [run for run in self.runs if run.key not in self.done | self.failed.keys()]

    def finished(self) -> list[Run]:
        """Return the runs that are done, in the order of the plan."""
        return [run for run in self.runs if run.key in self.done]


def look(sweep: Sweep, runs: list[Run], folder: Path, retry_failed: bool) -> State:
    """Find out what is done: whole results only; a failure stands unless it is to be retried."""
    state = State(sweep, runs, folder)
    for run in runs:
        if store.intact(store.place(folder, run.key)):
            state.done.add(run.key)
        elif not retry_failed and (outcome := store.failure(folder, run.key)):
            state.failed[run.key] = outcome
    return state


def drive(client: Client, state: State, show: Callable[[State], None]) -> None:
    """Make all runs that are left; a failed one is noted and the others go on.

    Raises:
        ConnectionError: the scheduler went away. What is done stays done.
    """
    topic = f"course-sweep-{secrets.token_hex(8)}"
    client.subscribe_topic(topic, lambda event: _note(state, event[1]))
    waiting = deque(state.left())
    futures: dict = {}
    clock = _Clock()
    _hand_out(client, state, topic, waiting, futures)
    while futures:
        for future in _ended(client, list(futures)):
            _settle(state, futures.pop(future), future)
        _hand_out(client, state, topic, waiting, futures)
        show(state)
        clock.write(state)


def _hand_out(client: Client, state: State, topic: str, waiting: deque, futures: dict) -> None:
    """Order as many runs as there are free places: dask binds more to a worker ahead of time.

    A run that waits behind a long one, while another worker idles, costs the sweep a whole turn.
    """
    try:
        places = client.nthreads()
    except (OSError, TimeoutError) as error:
        raise ConnectionError("the scheduler went away") from error
    state.workers = len(places)
    while waiting and len(futures) < max(1, sum(places.values())):
        run = waiting.popleft()
        order = planned.order(state.sweep, run, state.folder, topic)
        name = f"{run.key}-{topic}"  # two sweeps on one scheduler are two sets of tasks
        resources = {"GPU": state.sweep.gpus} if state.sweep.gpus else None
        future = client.submit(
            task.make, order, key=name, retries=RETRIES, resources=resources, pure=False
        )
        futures[future] = run


def _note(state: State, message: dict) -> None:
    """Keep how far a run is; called by the client's own thread."""
    before = state.running.get(message["key"], {})
    fresh = before.get("worker") == message["worker"] and before["at"] <= message["at"]
    begun = before["begun"] if fresh else time.monotonic()
    state.running[message["key"]] = {**message, "begun": begun}


def _ended(client: Client, futures: list) -> list:
    try:
        return list(wait(futures, timeout=1, return_when="FIRST_COMPLETED").done)
    except TimeoutError:
        if client.status != "running":
            raise ConnectionError("the scheduler went away") from None
        return []
    except CancelledError:
        raise ConnectionError("the scheduler went away") from None


def _settle(state: State, run: Run, future) -> None:
    state.running.pop(run.key, None)
    if future.status == "finished":
        state.done.add(run.key)
        state.made += 1
        return
    if future.status == "cancelled":
        raise ConnectionError("the scheduler went away")
    error = future.exception()
    outcome = store.failure(state.folder, run.key)
    if not isinstance(error, task.RunFailed) or not outcome:
        outcome = {"error": f"{type(error).__name__}: {error}", "cell": None, "lines": []}
    if isinstance(error, KilledWorker):
        outcome["error"] = "its workers died (out of memory?)"
        store.note_failure(state.folder, run.key, outcome)
    state.failed[run.key] = outcome


class _Clock:
    """Lets table and page be written now and then: it takes a second or two each time."""

    def __init__(self) -> None:
        self.due = time.monotonic() + FIRST
        self.shown = -1

    def write(self, state: State) -> None:
        news = len(state.done) + len(state.failed)
        if news in (self.shown, len(state.runs)) or time.monotonic() < self.due:
            return
        begun = time.monotonic()
        from course_lib.cli.sweep import page  # takes seconds, better while runs are made

        page.write(state, running=True)
        self.shown = news
        self.due = time.monotonic() + (time.monotonic() - begun) / SHARE
