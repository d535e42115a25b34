"""What the benchmarks of nets count by themselves: memory and multiply-adds."""

import pytest
import torch
from torch import nn

from benchmarks.candidate import Candidate, PeakMemory
from course_lib.models.reunet import REUnet


def test_memory_is_that_of_the_tensors_alive():
    x = torch.zeros(250)
    with PeakMemory() as memory:
        a = x + 1
        b = (a * 2)[:10]
        view = x[3:]
        assert memory.live == 2000  # a slice keeps the whole storage, one of x makes none
        del a
        assert memory.live == 1000
    assert memory.peak == 2000
    assert len(b) + len(view) == 257


def test_what_autograd_keeps_equals_its_saved_tensors():
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
    with PeakMemory() as memory:
        loss = net(x).square().mean()
        assert memory.live == pytest.approx(expected, rel=0.01)
        loss.backward()
    assert memory.live >= 4 * sum(p.numel() for p in net.parameters())


def test_recomputing_needs_less():
    kept, recomputed = (
        Candidate(REUnet(base=2, intermediator=1, checkpoint=checkpoint), 64, 1)
        for checkpoint in (False, True)
    )
    assert recomputed.activations_mb < 0.1 * kept.activations_mb
    assert recomputed.peak_mb < 0.7 * kept.peak_mb


def test_a_step_counts_three_forwards():
    candidate = Candidate(nn.Conv2d(3, 5, 1), 8, batch=4)
    assert candidate.gmacs == pytest.approx(15 * 64 / 1e9)
    assert candidate.step_gmacs == pytest.approx(3 * 4 * 15 * 64 / 1e9)


@pytest.mark.slow
def test_every_form_of_inference_is_measured():
    pytest.importorskip("onnxruntime")
    from benchmarks.inference_forms import forms_of

    net = REUnet(base=2, wiring="released").eval()
    forms = forms_of(net, torch.rand(1, 3, 32, 32))
    expected = forms["eager"]()
    for name in ("channels_last", "fused", "fused_channels_last", "onnx_runtime"):
        torch.testing.assert_close(forms[name](), expected, atol=1e-5, rtol=1e-4)
    assert "compiled" in forms  # compiling takes too long for a test
