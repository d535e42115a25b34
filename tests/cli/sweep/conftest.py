"""A sweep over a notebook that ends in a second, in a folder of its own."""

import functools
import json
import os
import signal
import subprocess
import sys
import time

import nbformat
import psutil
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

PARAMETERS = """profile = ""  # str |smoke|fast|full: size of the run
seed = 0  # int 0..99: of everything
height = 1  # int 1..9: what is measured
look = "plain"  # str plain|odd|deadly: how
wait = 0.0  # float 0..60: seconds that it takes
out_dir = ""  # str: folder of results.json"""
WORK = """import json, os, pathlib, time
print("a line before the end")
time.sleep(wait)
if look == "deadly":  # kill the worker: the kernel's parent executes, its parent is the worker
    import psutil
    os.kill(psutil.Process().parents()[1].pid, 9)
    time.sleep(60)
if look == "odd" and not pathlib.Path(out_dir, "..", "..", "mended").exists():
    raise RuntimeError("odd looks are not measured")"""
RESULT = """names = ("profile", "seed", "height", "look", "wait", "out_dir")
values = {name: globals()[name] for name in names}
value = height + seed / 10
content = {"notebook": "90_tiny", "profile": profile, "parameters": values, "seeds": [seed],
           "records": {"score": {"value": value, "unit": "px", "n": 3, "interval": None},
                       "word": {"value": "yes", "unit": "", "n": None, "interval": [0, 1]}},
           "seconds": 1.0, "peak_mb": 90.0, "cores": 2, "threads": 1, "device": "cpu",
           "device_name": "x", "system": "s", "python": "3", "commit": "abc", "data": {},
           "finished": "now", "versions": {"torch": "2"}}
pathlib.Path(out_dir, "results.json").write_text(json.dumps(content))"""
SWEEP = """title = "Heights"
question = "How high?"
notebook = "90_tiny.ipynb"
record = "score"
seeds = {seeds}
fixed = {{ wait = {wait} }}
{rest}
"""


@pytest.fixture
def make_sweep(tmp_path):
    """Return a function that writes the notebook and a sweep file, and returns the file."""

    def make(rest="grid = { height = [1, 2] }", seeds="[0, 1]", wait=0.0, name="heights"):
        cells = [new_markdown_cell("# A tiny notebook")]
        cells.append(new_code_cell(PARAMETERS, metadata={"tags": ["parameters"]}))
        cells += [new_code_cell(WORK), new_code_cell(RESULT)]
        kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
        book = new_notebook(cells=cells, metadata={"kernelspec": kernel})
        for number, cell in enumerate(book.cells):
            cell.id = f"cell-{number}"
        nbformat.write(book, tmp_path / "90_tiny.ipynb")
        file = tmp_path / f"{name}.toml"
        file.write_text(SWEEP.format(seeds=seeds, wait=wait, rest=rest), encoding="utf-8")
        return file

    return make


def start(*arguments, **environment):
    """Start `course sweep` in a process and a session of its own, as from a terminal."""
    return subprocess.Popen(
        [sys.executable, "-m", "course_lib.cli", "sweep", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        # whoever started the tests in the background told them to ignore Ctrl-C
        preexec_fn=functools.partial(signal.signal, signal.SIGINT, signal.SIG_DFL),
        env=os.environ | environment,
    )


def finish(process, seconds=300):
    """Wait for a process; returns its exit code and all that it said."""
    text, _ = process.communicate(timeout=seconds)
    return process.returncode, text


def wait_for(condition, seconds=60):
    """Wait until a condition gives something true, and return that."""
    for _ in range(seconds * 20):
        found = condition()
        if found:
            return found
        time.sleep(0.05)
    raise AssertionError("it did not come about in time")


def done(out):
    """Return the finished runs of a folder with the time at which each was finished."""
    return {path.parent.name: path.stat().st_mtime_ns for path in out.glob("runs/*/run.json")}


def runs_of(process):
    """Return the processes below one that are making a run."""
    found = []
    for child in psutil.Process(process.pid).children(recursive=True):
        try:
            if "course_lib.cli.execute" in child.cmdline():
                found.append(child)
        except psutil.Error:
            continue
    return found


def rows(out):
    """Return the rows of results.csv as text."""
    return (out / "results.csv").read_text(encoding="utf-8").splitlines()[1:]


def leftovers(out):
    """Return what was not put in place."""
    return [path.name for path in out.rglob(".*")]


def read(file):
    return json.loads(file.read_text(encoding="utf-8"))
