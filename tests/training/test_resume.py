import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from training_sample import (
    discs,
    equal_weights,
    everything_random,
    fit_discs,
    last_state,
    make_net,
    make_protocol,
)

from course_lib import training

HERE = Path(__file__).parent


class Interrupted(Exception):
    pass


@pytest.fixture
def resource():
    return pytest.importorskip("resource", reason="needs Unix resource limits")


def interrupt_after(epoch):
    def log(row):
        if row["epoch"] == epoch:
            raise Interrupted

    return log


def without_seconds(history):
    return [{k: v for k, v in row.items() if k != "seconds"} for row in history.epochs]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """An uninterrupted run: net, history, folder."""
    out = tmp_path_factory.mktemp("whole")
    return *fit_discs(out, everything_random()), out


def check_equal(out, net, history, whole):
    whole_net, whole_history, whole_out = whole
    assert without_seconds(history) == without_seconds(whole_history)
    assert equal_weights(net.state_dict(), whole_net.state_dict())
    one, other = last_state(out), last_state(whole_out)
    assert equal_weights(one["net"], other["net"])
    moments, others = (state["optimiser"]["state"] for state in (one, other))
    assert moments.keys() == others.keys()
    assert all(equal_weights(moments[key], others[key]) for key in moments)


@pytest.mark.parametrize("epoch", [0, 2])
def test_a_resumed_run_equals_an_uninterrupted_one_bit_for_bit(tmp_path, whole, epoch):
    with pytest.raises(Interrupted):
        fit_discs(tmp_path, everything_random(), log=interrupt_after(epoch))
    assert len(last_state(tmp_path)["epochs"]) == epoch + 1
    torch.manual_seed(99)
    net, history = fit_discs(tmp_path, everything_random(), net=make_net(seed=7), resume=True)
    check_equal(tmp_path, net, history, whole)


@pytest.mark.skipif(os.name == "nt", reason="needs POSIX signals")
@pytest.mark.parametrize("point", ["after", "within", "writing"])
def test_after_kill_9_too(tmp_path, whole, point):
    command = [sys.executable, str(HERE / "killed_run.py"), str(tmp_path), point]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    epochs_done = {"after": 3, "within": 2, "writing": 1}[point]
    assert len(last_state(tmp_path)["epochs"]) == epochs_done
    assert len(list(tmp_path.glob(".*.tmp-*"))) == (point == "writing")
    net, history = fit_discs(tmp_path, everything_random(), resume=True)
    check_equal(tmp_path, net, history, whole)
    assert not list(tmp_path.glob(".*"))


def test_a_finished_run_only_loads_its_best_weights(tmp_path, whole):
    def never(*_):
        raise AssertionError

    whole_net, whole_history, out = whole
    net, history = fit_discs(out, everything_random(), net=make_net(seed=4), resume=True, log=never)
    assert history.epochs == whole_history.epochs
    assert equal_weights(net.state_dict(), whole_net.state_dict())


def test_without_a_checkpoint_it_starts_anew(tmp_path, whole):
    net, history = fit_discs(tmp_path / "new", everything_random(), resume=True)
    check_equal(tmp_path / "new", net, history, whole)


def test_without_resume_an_earlier_run_is_replaced(tmp_path):
    fit_discs(tmp_path, make_protocol(epochs=2))
    (tmp_path / "stopped.json").write_text("{}", encoding="utf-8")
    with pytest.raises(Interrupted):
        fit_discs(tmp_path, make_protocol(epochs=3), log=interrupt_after(0))
    assert len(last_state(tmp_path)["epochs"]) == 1
    assert not (tmp_path / "stopped.json").exists()


def test_the_early_stop_counts_on_after_a_resume(tmp_path):
    protocol = make_protocol(epochs=9, patience=3, min_delta=2.0)
    with pytest.raises(Interrupted):
        fit_discs(tmp_path, protocol, log=interrupt_after(1))
    _, history = fit_discs(tmp_path, protocol, resume=True)
    assert len(history.epochs) == 4


class CountingSampler:
    """A sampler whose draws depend on what it has learned."""

    def __init__(self, start):
        self.shift = start

    def draw(self, epoch):
        self.shift += 1
        return [(self.shift + i) % 22 for i in range(8)]

    def state_dict(self):
        return {"shift": self.shift}

    def load_state_dict(self, state):
        self.shift = state["shift"]


def test_a_sampler_with_state_goes_into_the_checkpoint(tmp_path):
    with pytest.raises(Interrupted):
        fit_discs(tmp_path, make_protocol(), sampler=CountingSampler(5), log=interrupt_after(1))
    sampler = CountingSampler(0)
    fit_discs(tmp_path, make_protocol(), sampler=sampler, resume=True)
    assert sampler.shift == 5 + 4


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"protocol": make_protocol(learning_rate=0.5)}, "learning_rate = 0.02, not 0.5"),
        ({"protocol": make_protocol(epochs=9)}, "epochs = 4, not 9"),
        ({"train": discs(22, seed=5)}, "other train cases"),
        ({"train": discs(22).subset(range(20))}, "other train cases"),
        ({"net": make_net(num_classes=2)}, "other net parameters"),
        ({"sampler": CountingSampler(0)}, "other sampler"),
        ({"strategy": lambda *_: []}, "other strategy"),
    ],
)
def test_a_checkpoint_of_another_run_is_refused_in_one_line(tmp_path, options, message):
    fit_discs(tmp_path, make_protocol(max_updates=1))
    before = (tmp_path / "last.pt").read_bytes()
    protocol = replace(options.get("protocol", make_protocol()), max_updates=1)
    options = {**options, "protocol": protocol}
    with pytest.raises(ValueError, match=message) as error:
        fit_discs(tmp_path, resume=True, **options)
    assert "\n" not in str(error.value)
    assert "last.pt" in str(error.value)
    assert (tmp_path / "last.pt").read_bytes() == before


@pytest.mark.parametrize("damage", [b"", b"no archive", None])
def test_a_damaged_checkpoint_is_refused_in_one_line(tmp_path, damage):
    fit_discs(tmp_path, make_protocol(max_updates=1))
    path = tmp_path / "last.pt"
    path.write_bytes(path.read_bytes()[:-500] if damage is None else damage)
    with pytest.raises(ValueError, match=r"last\.pt is damaged; remove it") as error:
        fit_discs(tmp_path, make_protocol(max_updates=1), resume=True)
    assert "\n" not in str(error.value)


def test_a_pickle_in_the_checkpoints_place_is_not_run(tmp_path):
    class Harmful:
        def __reduce__(self):
            return (exec, ("raise SystemExit('ran')",))

    torch.save({"version": 1, "net": Harmful()}, tmp_path / "last.pt")
    with pytest.raises(ValueError, match=r"last\.pt is damaged"):
        fit_discs(tmp_path, make_protocol(), resume=True)


def test_best_weights_of_another_net_or_none_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"best\.safetensors is missing"):
        training.load_best(tmp_path, make_net())
    fit_discs(tmp_path, make_protocol(max_updates=1))
    with pytest.raises(ValueError, match="weights of another net") as error:
        training.load_best(tmp_path, make_net(num_classes=3))
    assert "\n" not in str(error.value)


def test_a_full_disk_ends_the_run_in_one_line_and_keeps_the_last_checkpoint(tmp_path, resource):
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)

    def fill_disk(row):
        resource.setrlimit(resource.RLIMIT_FSIZE, (2000, limits[1]))

    try:
        with pytest.raises(ValueError, match=r"cannot write .*: File too large; free") as error:
            fit_discs(tmp_path, make_protocol(), log=fill_disk)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert "\n" not in str(error.value)
    assert len(last_state(tmp_path)["epochs"]) == 1
    assert not list(tmp_path.glob(".*"))


def test_an_output_below_a_file_is_refused_before_training(tmp_path):
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(ValueError, match=r"cannot write .*file/run: Not a directory; a file is"):
        fit_discs(tmp_path / "file" / "run", make_protocol())
