import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import two_processes
from training_sample import equal_weights

HERE = Path(__file__).parent


@pytest.mark.slow
def test_two_processes_equal_one_with_the_doubled_batch(tmp_path):
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command = [sys.executable, *launcher, str(HERE / "two_processes.py"), str(tmp_path)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=200, check=False, env=environment
    )
    assert done.returncode == 0, done.stderr[-3000:]
    first, second = (torch.load(tmp_path / f"seen-{rank}.pt", weights_only=True) for rank in (0, 1))
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
