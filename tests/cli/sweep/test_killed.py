"""Whatever is killed, every run ends up there once, and nothing goes on in the dark."""

import os
import signal

import psutil

from tests.cli.sweep.conftest import done, finish, leftovers, rows, runs_of, start, wait_for


def test_a_worker_killed_in_mid_run_costs_a_retry(make_sweep, tmp_path):
    file, out = make_sweep(wait=4.0), tmp_path / "out"
    process = start(file, "--out", out, "--jobs", "2")
    run = wait_for(lambda: runs_of(process))[0]
    wait_for(lambda: leftovers(out))
    worker = run.parent()
    os.kill(worker.pid, signal.SIGKILL)
    wait_for(lambda: not run.is_running() or run.status() == psutil.STATUS_ZOMBIE, 10)
    code, text = finish(process)
    assert code == 0, text
    assert len(done(out)) == 4
    assert len(rows(out)) == 8
    assert "4 of 4 runs done, 4 of them now" in text
    assert not leftovers(out)


def test_a_run_that_kills_every_worker_is_given_up(make_sweep, tmp_path):
    file, out = make_sweep("grid = { look = ['deadly', 'plain'] }"), tmp_path / "out"
    code, text = finish(start(file, "--out", out, "--jobs", "2"))
    assert code == 1, text
    assert "FAILED look deadly, seed 0: 90_tiny: its workers died (out of memory?)" in text
    assert "2 of 4 runs done" in text
    assert "look deadly, seed 1: 90_tiny: its workers died" in (out / "index.html").read_text(
        encoding="utf-8"
    )


def test_ctrl_c_leaves_all_resumable(make_sweep, tmp_path):
    file, out = make_sweep(wait=2.0, seeds="[0, 1, 2]"), tmp_path / "out"
    process = start(file, "--out", out, "--jobs", "2")
    wait_for(lambda: done(out))
    wait_for(lambda: runs_of(process))
    below = psutil.Process(process.pid).children(recursive=True)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does it
    code, text = finish(process, 30)
    assert code == 130, text
    assert "the same command goes on" in text
    _, alive = psutil.wait_procs(below, timeout=10)
    assert not alive
    told = [path.read_text("utf-8") for path in out.glob("failed/*/outcome.json")]
    assert not told
    assert "Sweep heights:" in (out / "index.html").read_text(encoding="utf-8")
    before = done(out)
    assert 0 < len(before) < 6
    code, text = finish(start(file, "--out", out))
    assert code == 0, text
    after = done(out)
    assert len(after) == 6
    assert before.items() <= after.items()
    assert f"6 of 6 runs done, {6 - len(before)} of them now" in text
    assert not leftovers(out)


def test_a_killed_sweep_goes_on_and_leaves_no_process(make_sweep, tmp_path):
    file, out = make_sweep(wait=2.0), tmp_path / "out"
    process = start(file, "--out", out, "--jobs", "2")
    wait_for(lambda: done(out))
    wait_for(lambda: runs_of(process))
    below = psutil.Process(process.pid).children(recursive=True)
    process.kill()
    _, alive = psutil.wait_procs(below, timeout=30)
    assert not alive
    before = done(out)
    code, text = finish(start(file, "--out", out))
    assert code == 0, text
    assert len(done(out)) == 4
    assert before.items() <= done(out).items()
    assert f"{len(before)} done, 0 failed before, {4 - len(before)} to make" in text
    assert not leftovers(out)


def test_two_sweeps_on_one_folder(make_sweep, tmp_path):
    file, out = make_sweep(wait=1.0), tmp_path / "out"
    both = [start(file, "--out", out, "--jobs", "2") for _ in range(2)]
    for process in both:
        code, text = finish(process)
        assert code == 0, text
        assert "4 of 4 runs done" in text
    assert len(done(out)) == 4
    assert len(rows(out)) == 8
    assert not leftovers(out)
    code, text = finish(start(file, "--out", out))
    assert "4 of 4 runs done, 0 of them now" in text
