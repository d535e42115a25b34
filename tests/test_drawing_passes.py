import pytest
import torch
from matplotlib.patches import FancyArrowPatch, Rectangle
from torch import nn

from course_lib import figures
from course_lib.drawing.passes import passes, trace
from course_lib.models.bionet import BiONet
from course_lib.models.plnet import PLNet


class Loop(nn.Module):
    """Level a, below it b; from the second pass on, a reads c's map of the pass before."""

    def __init__(self, times):
        super().__init__()
        self.times = times
        self.a, self.b = nn.Conv2d(2, 1, 1), nn.Conv2d(1, 3, 1)
        self.c, self.unused = nn.Conv2d(4, 1, 1), nn.Conv2d(1, 1, 1)

    def forward(self, x):
        back = x
        for _ in range(self.times):
            a = self.a(torch.cat([back, x], 1))
            back = self.c(torch.cat([a, self.b(a)], 1))
        return back


STAGES = {"a": "a", "b": "b", "c": "c"}
PLACES = {"a": (0, 0), "b": (0.5, 1), "c": (1, 0)}
SHAPE = (1, 8, 8)


def test_a_map_of_an_earlier_pass_comes_back_and_one_of_this_pass_does_not():
    found = trace(Loop(3), STAGES, SHAPE)
    assert found.calls == {"a": 3, "b": 3, "c": 3}
    assert found.channels == {"a": 1, "b": 3, "c": 1}
    assert found.flow == [("a", "b"), ("b", "c")]
    assert set(found.forward) == {("a", "c"), ("b", "c")}
    assert found.backward == [("c", "a")]


def test_one_pass_has_nothing_to_come_back():
    assert trace(Loop(1), STAGES, SHAPE).backward == []


def test_bionet_reads_its_decoder_again_and_plnet_the_stage_before_as_well():
    stages = {f"enc {k}": f"encoder.{k}.1" for k in range(2)}
    stages |= {f"dec {k}": f"decoder.{k}.1" for k in range(2)}
    found = trace(BiONet(1, 1, t=2, base=4, depth=2), stages, (1, 16, 16))
    assert set(found.backward) == {("dec 0", "enc 0"), ("dec 1", "enc 1")}
    assert set(found.forward) == {("enc 0", "dec 0"), ("enc 1", "dec 1")}
    parts = {f"{way} {s}": f"stages.{s}.{way}coder.0" for s in (0, 1) for way in ("en", "de")}
    found = trace(PLNet(1, 1, base=4, depths=(1, 2)), parts, (1, 16, 16))
    assert found.backward == [("de 0", "en 0"), ("de 1", "en 1")]
    assert set(found.forward) == {("en 0", "de 0"), ("de 0", "en 1"), ("en 1", "de 1")}


def test_every_stage_is_a_box_with_its_passes_and_the_net_is_left_as_it_was():
    net = Loop(2).train()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    fig, alt = passes(net, STAGES, PLACES, SHAPE, title="T")
    assert net.training
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    kinds = [type(patch) for patch in fig.axes[0].patches]
    assert kinds.count(Rectangle) == 3
    assert kinds.count(FancyArrowPatch) == 4  # a to b; a and b to c, each once; c back to a
    assert "a \N{MULTIPLICATION SIGN}2\n1" in [text.get_text() for text in fig.axes[0].texts]
    assert alt == (
        "Diagram of a net in 3 stages, passed 2 times; 2 skips within a pass, 1 from the pass "
        "before: c to a."
    )
    assert figures.show(fig, alt)[:4] == b"\x89PNG"


def test_a_wrong_stage_is_refused():
    with pytest.raises(ValueError, match="no module 'd'"):
        trace(Loop(1), {"a": "d"}, SHAPE)
    with pytest.raises(ValueError, match=r"does not call 'unused' \(a\)"):
        trace(Loop(1), {"a": "unused"}, SHAPE)
    with pytest.raises(ValueError, match="every stage needs a place"):
        passes(Loop(1), STAGES, {"a": (0, 0)}, SHAPE, title="T")
