"""What benchmarks/models.py counts by itself: memory, medians and ratios."""

import importlib.util

import numpy as np
import pytest
import torch
from torch import nn

from course_lib.models.reunet import REUnet


@pytest.fixture(scope="module")
def bench(root):
    pytest.importorskip("onnxruntime")
    spec = importlib.util.spec_from_file_location("bench", root / "benchmarks" / "models.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_memory_is_that_of_the_tensors_alive(bench):
    x = torch.zeros(250)
    with bench.PeakMemory() as memory:
        a = x + 1
        b = (a * 2)[:10]
        view = x[3:]
        assert memory.live == 2000  # a slice keeps the whole storage, one of x makes none
        del a
        assert memory.live == 1000
    assert memory.peak == 2000
    assert len(b) + len(view) == 257


def test_what_autograd_keeps_equals_its_saved_tensors(bench):
    net, x = REUnet(base=2, reading="code", intermediator=1), torch.rand(2, 3, 32, 32)
    given = {t.untyped_storage()._cdata for t in [*net.parameters(), *net.buffers(), x]}
    saved = {}

    def keep(t):
        saved[t.untyped_storage()._cdata] = t
        return t

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda t: t):
        loss = net(x).square().mean()
    expected = sum(t.untyped_storage().nbytes() for key, t in saved.items() if key not in given)
    del loss
    saved.clear()
    with bench.PeakMemory() as memory:
        loss = net(x).square().mean()
        assert memory.live == pytest.approx(expected, rel=0.01)
        loss.backward()
    assert memory.live >= 4 * sum(p.numel() for p in net.parameters())


def test_recomputing_needs_less(bench):
    kept, recomputed = (
        bench.Candidate(REUnet(base=2, intermediator=1, checkpoint=checkpoint), 64, 1)
        for checkpoint in (False, True)
    )
    assert recomputed.activations_mb < 0.1 * kept.activations_mb
    assert recomputed.peak_mb < 0.7 * kept.peak_mb


def test_a_step_counts_three_forwards(bench):
    candidate = bench.Candidate(nn.Conv2d(3, 5, 1), 8, batch=4)
    assert candidate.gmacs == pytest.approx(15 * 64 / 1e9)
    assert candidate.step_gmacs == pytest.approx(3 * 4 * 15 * 64 / 1e9)


def test_ratios_are_medians_of_the_rounds(bench):
    times = np.array([[1.0, 1.0], [2.0, 1.0], [9.0, 1.0]])
    reference = np.array([[2.0, 4.0], [2.0, 4.0], [3.0, 4.0]])
    found = bench.summary(times, reference)
    assert (found["ms"], found["ratio"]) == (2000, 1)
    assert (found["cpu_ms"], found["cpu_ratio"]) == (1000, 0.25)


def test_tasks_take_turns_and_the_first_round_does_not_count(bench):
    calls = []
    seconds = bench.in_turns({"a": lambda: calls.append("a"), "b": lambda: calls.append("b")}, 2)
    assert "".join(calls) == "abbaab"
    assert {name: times.shape for name, times in seconds.items()} == {"a": (2, 2), "b": (2, 2)}


@pytest.mark.slow
def test_every_form_of_inference_is_measured(bench):
    net = REUnet(base=2, wiring="released").eval()
    forms = bench.forms_of(net, torch.rand(1, 3, 32, 32))
    expected = forms["eager"]()
    for name in ("channels_last", "fused", "fused_channels_last", "onnx_runtime"):
        torch.testing.assert_close(forms[name](), expected, atol=1e-5, rtol=1e-4)
    assert "compiled" in forms  # compiling takes too long for a test
