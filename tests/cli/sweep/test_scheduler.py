"""A scheduler that is there already, with workers started by hand."""

import contextlib
import os
import shutil
import subprocess
import sys

import psutil
import pytest

from tests.cli.sweep.conftest import done, finish, leftovers, read, rows, start, wait_for


@contextlib.contextmanager
def dask(folder, *arguments, **environment):
    """Run a part of dask's own command line, and end it with all that it started."""
    process = subprocess.Popen(
        [sys.executable, "-m", "dask", *map(str, arguments)],
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=os.environ | environment,
    )
    below = []
    try:
        yield process
    finally:
        with contextlib.suppress(psutil.Error):
            below = psutil.Process(process.pid).children(recursive=True)
        process.terminate()
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
        for child in psutil.wait_procs(below, timeout=5)[1]:
            child.kill()


@contextlib.contextmanager
def scheduler(folder):
    """Start a scheduler on a free port; gives its process and its address."""
    file = folder / "scheduler.json"
    arguments = ("scheduler", "--port", "0", "--host", "127.0.0.1", "--no-dashboard", "--no-show")
    with dask(folder, *arguments, "--scheduler-file", file) as process:
        wait_for(file.is_file)
        yield process, wait_for(lambda: file.stat().st_size and read(file))["address"]


def worker(address, folder, *more, **environment):
    """Start a worker that gives up soon when its scheduler is gone."""
    arguments = ("worker", address, "--nthreads", "1", "--no-dashboard", "--death-timeout", "5")
    return dask(folder, *arguments, "--local-directory", folder, *more, **environment)


def test_two_workers_started_by_hand_and_a_scheduler_killed(make_sweep, tmp_path):
    file, out = make_sweep(wait=2.0, seeds="[0, 1, 2]"), tmp_path / "out"
    with contextlib.ExitStack() as stack:
        process, address = stack.enter_context(scheduler(tmp_path))
        for _ in range(2):
            stack.enter_context(worker(address, tmp_path))
        sweep = start(file, "--out", out, "--scheduler", address)
        wait_for(lambda: len(done(out)) >= 2)
        process.kill()
        code, text = finish(sweep)
        assert code == 1, text
        assert "the scheduler went away" in text
        assert "the same command goes on" in text
    before = done(out)
    assert 2 <= len(before) < 6
    assert not (out / "failed").exists()
    code, text = finish(start(file, "--out", out))
    assert code == 0, text
    assert len(done(out)) == 6
    assert before.items() <= done(out).items()
    assert f"6 of 6 runs done, {6 - len(before)} of them now" in text
    assert len(rows(out)) == 12
    assert not leftovers(out)


def test_workers_that_cannot_make_the_runs_are_refused(make_sweep, tmp_path, root):
    file, out = make_sweep(), tmp_path / "out"
    without, other = tmp_path / "without", tmp_path / "other"
    (without / "course_lib").mkdir(parents=True)
    (without / "course_lib" / "__init__.py").write_text(
        "raise ImportError('No module named course_lib')", encoding="utf-8"
    )
    shutil.copytree(root / "course_lib", other / "course_lib")
    with (other / "course_lib" / "__init__.py").open("a", encoding="utf-8") as text:
        text.write('__version__ = "0.0.9"\n')
    with scheduler(tmp_path) as (_, address):
        call = (file, "--out", out, "--scheduler", address)
        for folder, words in (
            (without, "cannot import it (No module named course_lib): install the course there"),
            (other, "it has course 0.0.9, here is 0.1.0: install the same version there"),
        ):
            with worker(address, tmp_path, PYTHONPATH=str(folder)):
                code, text = finish(start(*call))
                assert code == 2, text
                assert words in text.splitlines()[-1]
                assert text.splitlines()[-1].startswith("Error: worker tcp://")
    assert not done(out)
    assert not leftovers(out)


@pytest.mark.parametrize("gpus", [0, 1])
def test_a_scheduler_without_what_a_run_needs(make_sweep, tmp_path, gpus):
    file, out = make_sweep(f"resources = {{ gpus = {gpus} }}"), tmp_path / "out"
    with scheduler(tmp_path) as (_, address), contextlib.ExitStack() as stack:
        if gpus:
            stack.enter_context(worker(address, tmp_path))
        code, text = finish(start(file, "--out", out, "--scheduler", address))
    assert code == 2, text
    words = "no worker offers 1 GPU" if gpus else "the scheduler has no workers after 15 s"
    assert words in text.splitlines()[-1]


def test_a_gpu_run_goes_to_a_worker_that_offers_one(make_sweep, tmp_path):
    rest = "resources = { gpus = 1 }\ngrid = { height = [1] }"
    file, out = make_sweep(rest, seeds="[0]"), tmp_path / "out"
    with scheduler(tmp_path) as (_, address), worker(address, tmp_path, "--resources", "GPU=1"):
        code, text = finish(start(file, "--out", out, "--scheduler", address))
    assert code == 0, text
    assert "1 of 1 runs done, 1 of them now" in text
