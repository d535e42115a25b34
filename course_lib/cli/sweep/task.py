"""One run of a sweep, as a worker makes it."""

from __future__ import annotations

import json
from pathlib import Path

import nbformat

from course_lib.cli import html
from course_lib.cli.plan import Plan
from course_lib.cli.run import execute_one
from course_lib.cli.sweep import fingerprint, store
from course_lib.cli.sweep.planned import Order
from course_lib.data import atomic


class RunFailed(Exception):
    """A notebook that did not get to its end; the place and the last lines are in the outcome."""


def make(order: Order) -> str:
    """Make one run and put it in its place; returns its key.

    A run that is there already, from another sweep on the same folder, is not made again.

    Raises:
        RunFailed: the notebook failed; what it got to lies in ``failed/KEY``.
        ValueError: the code that this worker has is not the code that was planned.
    """
    folder = Path(order.folder)
    target = store.place(folder, order.key)
    if store.intact(target):
        return order.key
    _same_code(order)
    with atomic.new_folder(target, may_replace=store.damaged) as temporary:
        notebook = Path(order.notebook)
        values = order.parameters | {"out_dir": str(temporary)}
        plan = Plan(notebook, values, temporary, values["profile"], order.cell_seconds)
        outcome = execute_one(plan, order.threads, lambda _, at, of: _say(order, at, of))
        _without_the_place(temporary)
        if outcome.status != "passed":
            store.keep_failure(temporary, folder, order.key)
            raise RunFailed(f"{outcome.where()}: {outcome.error}")
        _same_code(order)
        _page(temporary / notebook.name)
        store.seal(temporary)
    store.forget_failure(folder, order.key)
    return order.key


def _same_code(order: Order) -> None:
    if fingerprint.code(Path(order.notebook)) != order.code:
        raise ValueError("notebook or library changed since the sweep started: start it again")


def _say(order: Order, at: int, of: int) -> None:
    """Tell the sweep how far this run is."""
    from distributed import get_worker

    worker = get_worker()
    message = {"key": order.key, "at": at, "of": of, "worker": str(worker.name)}
    worker.log_event(order.topic, message)


def _without_the_place(folder: Path) -> None:
    """The folder's temporary name says nothing about the result, so it is not kept."""
    for name in ("results.json", "parameters.json"):
        content = store.read_json(folder / name)
        content.get("parameters", content).pop("out_dir", None)
        if content:
            (folder / name).write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def _page(notebook: Path) -> None:
    page = html.exported(nbformat.read(notebook, as_version=4))
    notebook.with_suffix(".html").write_text(page, encoding="utf-8")
