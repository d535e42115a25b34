import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import two_processes
from training_sample import discs, equal_weights

from course_lib import losses
from course_lib.training import UniformSampler

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The folder of the two processes, and what each of them saw."""
    tmp_path = tmp_path_factory.mktemp("two")
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command = [sys.executable, *launcher, str(HERE / "two_processes.py"), str(tmp_path)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=200, check=False, env=environment
    )
    assert done.returncode == 0, done.stderr[-3000:]
    seen = [torch.load(tmp_path / f"seen-{rank}.pt", weights_only=True) for rank in (0, 1)]
    return tmp_path, *seen


@pytest.mark.slow
def test_two_processes_equal_one_with_the_doubled_batch(trained):
    tmp_path, first, second = trained
    alone = two_processes.train(tmp_path / "alone", batch=8)
    # 22 cases in batches of 8: the last one is short, 3 cases a process
    assert len(first["gradients"]) == len(alone["gradients"]) == 3 * 3
    for ours, theirs, expected in zip(
        first["gradients"], second["gradients"], alone["gradients"], strict=True
    ):
        for one, other, whole in zip(ours, theirs, expected, strict=True):
            assert torch.equal(one, other)
            torch.testing.assert_close(one, whole, rtol=1e-4, atol=1e-5)
    # the first update starts from equal weights, so only the order of sums differs
    for one, whole in zip(first["gradients"][0], alone["gradients"][0], strict=True):
        torch.testing.assert_close(one, whole, rtol=1e-5, atol=1e-7)
    assert equal_weights(first["net"], second["net"])
    assert first["rows"] == second["rows"]
    for row, expected in zip(first["rows"], alone["rows"], strict=True):
        assert row == pytest.approx(expected, rel=1e-3)
    by_curriculum = two_processes.train_by_curriculum(tmp_path / "alone", batch=8, processes=1)
    assert first["curriculum"] == second["curriculum"]
    for row, expected in zip(first["curriculum"], by_curriculum, strict=True):
        assert row == pytest.approx(expected, rel=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize("case", two_processes.PARTLY_TRAINED)
def test_parameters_that_a_loss_leaves_out_do_not_stop_two_processes(trained, case):
    _, first, second = trained
    ours, theirs = first["partly"][case], second["partly"][case]
    assert equal_weights(ours["gradients"], theirs["gradients"])
    assert equal_weights(ours["net"], theirs["net"])
    assert len(ours["gradients"]) < len(list(two_processes.make_partly_trained(case).parameters()))


@pytest.mark.slow
@pytest.mark.parametrize("case", ["plnet off", "bionet"])
def test_their_gradients_are_the_mean_of_two_plain_ones(trained, case):
    _, first, _ = trained
    data, order = discs(22), UniformSampler(22, seed=0).draw(0)[:8]
    expected = {}
    for rank in (0, 1):
        net = two_processes.make_partly_trained(case)
        images, masks = data.batch(order[rank::2])
        losses.dice_ce_loss(net(images), masks).backward()
        for name, p in net.named_parameters():
            if p.grad is not None:
                expected[name] = expected.get(name, 0) + p.grad / 2
    assert expected.keys() == first["partly"][case]["gradients"].keys()
    torch.testing.assert_close(first["partly"][case]["gradients"], expected, rtol=1e-4, atol=1e-6)
