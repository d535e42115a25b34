"""One notebook run in a process of its own: papermill, with progress and errors as JSON lines.

Used by run.py as ``python -m course_lib.cli.execute SOURCE TARGET PARAMETERS.json``. A process of
its own can be killed as a whole when it takes too long, and its memory is its own.
"""

from __future__ import annotations

import json
import logging
import os
import re
import sys
import threading
from pathlib import Path

import nbformat
import papermill
from nbclient.exceptions import CellTimeoutError, DeadKernelError
from papermill.engines import NBClientEngine, papermill_engines
from papermill.exceptions import PapermillExecutionError

ANSI = re.compile(r"\x1b\[[0-9;]*m")


class TrackingEngine(NBClientEngine):
    """Papermill's own engine, which also says which cell it starts.

    After a kernel died papermill's saved notebook shows every cell as completed, so the number of
    the last cell that was started is the only way to tell where it happened.
    """

    last = 0

    @classmethod
    def execute_managed_notebook(cls, nb_man, kernel_name, **options):
        """Run the notebook; see papermill.engines."""
        original = nb_man.cell_start

        def cell_start(cell, cell_index=None, **more):
            TrackingEngine.last = cell_index
            say(cell=cell_index, cells=len(nb_man.nb.cells))
            return original(cell, cell_index=cell_index, **more)

        nb_man.cell_start = cell_start
        return super().execute_managed_notebook(nb_man, kernel_name, **options)


def say(**message) -> None:
    """Send one JSON line to the parent process."""
    print(json.dumps(message), file=sys.stdout, flush=True)


def separate_output() -> None:
    """Keep standard output for messages alone.

    The kernel inherits file 1, and a cell may write there: from now on file 1 is the log, and
    ``sys.stdout`` a copy of what it was.
    """
    sys.stdout = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)


def end_with_parent() -> None:
    """End this process when its parent is gone: nobody would take the result.

    The parent holds the other end of standard input and never writes; the kernel in its turn
    watches this process.
    """

    def watch() -> None:
        os.read(0, 1)  # not sys.stdin: its lock would be held when the interpreter shuts down
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def last_lines(target: str, cell: int) -> list[str]:
    """Return the last lines that a cell printed, else those of its source."""
    try:
        found = nbformat.read(target, as_version=4).cells[cell]
    except (OSError, ValueError, IndexError):
        return []
    printed = "".join(output.get("text", "") for output in found.get("outputs", []))
    return (printed or found.source).splitlines()[-6:]


def main(source: str, target: str, parameters: str, timeout: str) -> int:
    """Run one notebook; returns 0, or 1 after having said what went wrong and in which cell."""
    logging.getLogger("papermill").setLevel(logging.ERROR)
    papermill_engines.register("tracking", TrackingEngine)
    try:
        papermill.execute_notebook(
            source,
            target,
            parameters=json.loads(Path(parameters).read_text(encoding="utf-8")),
            engine_name="tracking",
            kernel_name="python3",
            progress_bar=False,
            log_output=False,
            execution_timeout=int(timeout),
        )
    except PapermillExecutionError as error:
        # papermill puts an error cell on top of what it saves, so count from the engine's own index
        last = [ANSI.sub("", line) for line in "\n".join(error.traceback).splitlines()][-6:]
        say(error=f"{error.ename}: {error.evalue}", at=TrackingEngine.last, lines=last)
        return 1
    except DeadKernelError:
        lines = last_lines(target, TrackingEngine.last)
        say(error="the kernel died (out of memory?)", at=TrackingEngine.last, lines=lines)
        return 1
    except CellTimeoutError:
        lines = last_lines(target, TrackingEngine.last)
        say(error=f"a cell took longer than {timeout} s", at=TrackingEngine.last, lines=lines)
        return 1
    return 0


if __name__ == "__main__":
    end_with_parent()
    separate_output()
    sys.exit(main(*sys.argv[1:]))
