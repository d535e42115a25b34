"""REUnet: what its options change, what it sees, what it shows and what it refuses."""

import pytest
import torch
from torch import nn

from course_lib.models import measure
from course_lib.models.blocks import SqueezeExcite
from course_lib.models.dmbc import round8
from course_lib.models.reunet import REUnet

DEAD = {"reading": "code", "wiring": "released", "keep_dead": True}


@pytest.mark.parametrize(
    ("mu", "width"),
    [(1, 8), (8, 8), (12, 16), (16, 16), (19, 24), (20, 24), (27, 32), (6144, 6144)],
)
def test_widths_are_rounded_to_eights(mu, width):
    assert round8(mu) == width


def test_the_nine_tenths_rule_lifts_a_width():
    assert round8(27) == 32  # 24 is nearer, and below 24.3
    assert round8(99) == 96  # nearest, and above 89.1
    for mu in range(1, 400):
        candidates = [v for v in range(8, 480, 8) if v >= 0.9 * mu]
        nearest = min(candidates, key=lambda v: (abs(v - mu), -v))
        assert round8(mu) == nearest


def test_expansions_are_rounded_in_the_net():
    with torch.device("meta"):
        net = REUnet(base=2)  # EB-3 is given 3 channels: mu = 36, as near to 32 as to 40
    assert net.deep.eb3.chain[0].f1[0].out_channels == 40


@pytest.mark.parametrize("dropout", [0.0, 0.2])
def test_recomputing_changes_no_number(dropout):
    results = []
    for checkpoint in (False, True):
        torch.manual_seed(0)
        net = REUnet(base=2, intermediator=1, dropout=dropout, checkpoint=checkpoint)
        torch.manual_seed(1)
        logits = net(torch.rand(2, 3, 32, 32))
        logits.square().mean().backward()
        gradients = [p.grad for p in net.parameters()]
        results.append([logits, *gradients, *net.buffers()])
    assert all(torch.equal(a, b) for a, b in zip(*results, strict=True))


def test_dead_weights_change_no_bit_of_the_output():
    torch.manual_seed(0)
    net = REUnet(base=4, intermediator=1, **DEAD).eval()
    x = torch.rand(2, 3, 64, 64)
    with torch.no_grad():
        before = net.forward_features(x)
        logits = net(x)
        for p in net.deep.parameters():
            p.normal_()
        after = net.forward_features(x)
        assert torch.equal(net(x), logits)
    assert not torch.equal(before["db2"], after["db2"])  # computed, and read by no one
    assert not torch.equal(before["ag3"], after["ag3"])


def test_the_dead_part_is_the_only_difference_to_the_cut_net():
    torch.manual_seed(0)
    kept = REUnet(base=4, intermediator=1, **DEAD).eval()
    cut = REUnet(base=4, reading="code", wiring="released").eval()
    live = {n: p for n, p in kept.state_dict().items() if not n.startswith("deep.")}
    cut.load_state_dict(live, strict=True)
    x = torch.rand(1, 3, 48, 64)
    with torch.no_grad():
        assert torch.equal(cut(x), kept(x))


def opened(net):
    """Leave out what is no convolution and no pooling: a mean over the image, limits, sigmoids."""
    for module in list(net.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, (SqueezeExcite, nn.ReLU6, nn.Sigmoid)):
                setattr(module, name, nn.Identity())
    return net


@pytest.mark.parametrize("reading", ["paper", "code"])
def test_the_cut_net_sees_56_pixels(reading):
    layers = [(3, 1)] * 5 + [(2, 2)] + [(3, 1)] * 7  # stem, EB-1, pooling, EB-2
    layers += [(3, 1)] * 2 + [(3, 1)]  # DB-3 and the transposed convolution of the gate
    two_more_at_full_size = 2 * 2  # DB-4
    assert measure.receptive_field(layers) + two_more_at_full_size == 56
    cut = opened(REUnet(base=2, reading=reading, wiring="released"))
    assert measure.receptive_field(cut, (3, 96, 96)) == 56


def test_the_described_net_sees_more():
    described = opened(REUnet(base=2, intermediator=1))
    assert measure.receptive_field(described, (3, 96, 96)) == 96  # cut off at the border
    assert measure.receptive_field(described, (3, 96, 96), "eb2") < 56


GATES = {"agw": 8, "ag1": 8, "ag2": 4, "ag3": 2, "ag4": 1}  # pixels of the image per pixel
BLOCKS = {"eb1": 1, "eb2": 2, "eb3": 4, "eb4": 8, "eb5": 16, "eb6": 8, "eb7": 16}
DECODER = {"db1": 8, "db2": 4, "db3": 2, "db4": 1}


@pytest.fixture(scope="module")
def shown():
    torch.manual_seed(0)
    net, x = REUnet(base=4, intermediator=2), torch.rand(2, 3, 32, 48)
    with torch.no_grad():
        net(x)  # running statistics, so that maps keep their scale
        maps = net.eval().forward_features(x)
        return net, maps, net(x)


def test_maps_come_in_the_order_of_the_figure(shown):
    order = ["stem", "eb1", "eb2", "eb3", "eb4", "eb5", "agw", "eb6", "eb7"]
    order += ["ag1", "db1", "ag2", "db2", "ag3", "db3", "ag4", "db4"]
    expected = []
    for name in order:
        expected += [f"{name}_before_signal"] * name.startswith("eb") + [name]
    assert list(shown[1]) == expected


def test_maps_have_the_sizes_and_widths_of_the_figure(shown):
    net, maps, logits = shown
    for name, step in (BLOCKS | DECODER | GATES).items():
        assert maps[name].shape[2:] == (32 // step, 48 // step)
    assert [maps[name].shape[1] for name in BLOCKS] == [4, 6, 10, 20, 28, 48, 80]
    assert [maps[name].shape[1] for name in DECODER] == [20, 10, 6, 4]
    assert torch.equal(net.head(maps["db4"]), logits)


def test_coefficients_lie_between_0_and_1(shown):
    for name in GATES:
        a = shown[1][name]
        assert a.shape[1] == 1
        assert 0 < a.min() < a.max() < 1


@pytest.mark.parametrize("name", BLOCKS)
def test_before_and_after_the_signal_differ_by_what_the_last_block_was_given(shown, name):
    net, maps, _ = shown
    (last,) = (m.chain[-1] for path, m in net.named_modules() if path.split(".")[-1] == name)
    fx, after = maps[f"{name}_before_signal"], maps[name]
    assert not torch.allclose(fx, after)
    with torch.no_grad():
        torch.testing.assert_close(last.transform(after - fx), fx, atol=1e-4, rtol=1e-3)


def test_maps_of_the_ablations():
    x = torch.rand(1, 3, 32, 32)
    with torch.no_grad():
        maps = REUnet(base=4, attention_gate=False, gating_signal=False).eval().forward_features(x)
        for name in GATES:
            assert maps[name].eq(1).all()
        for name in BLOCKS:
            assert torch.equal(maps[name], maps[f"{name}_before_signal"])
        maps = REUnet(base=4, intermediator=0).eval().forward_features(x)
        assert not {"eb6", "eb6_before_signal", "agw"} & set(maps)
        maps = REUnet(base=4, wiring="released").eval().forward_features(x)
        assert [n for n in maps if "signal" not in n] == [
            "stem", "eb1", "eb2", "db3", "ag4", "db4",
        ]  # fmt: skip
        maps = REUnet(base=4, intermediator=2, **DEAD).eval().forward_features(x)
        assert set(BLOCKS) | set(GATES) | set(DECODER) <= set(maps)


def test_what_dropout_reaches():
    """In the code skips and upsampling see the whole map, in the paper no one does."""
    x = torch.rand(1, 3, 32, 32)
    for reading, whole in (("paper", False), ("code", True)):
        block = REUnet(base=4, reading=reading, dropout=0.5).eb1
        encoded = block(torch.rand(1, 4, 32, 32))
        assert torch.equal(encoded.signal.kept, encoded.after) == whole
        assert encoded.signal.onward.eq(0).float().mean() > 0.3
    net = REUnet(base=4, intermediator=1, dropout=0.0)
    with torch.no_grad():
        assert torch.equal(net(x.repeat(2, 1, 1, 1)), net(x.repeat(2, 1, 1, 1)))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"reading": "book"}, "reading must be 'paper' or 'code', got 'book'"),
        ({"wiring": "loose"}, "wiring must be 'described' or 'released', got 'loose'"),
        ({"intermediator": 16}, "intermediator must be a whole number, 0 to 15, got 16"),
        ({"intermediator": -1}, "intermediator must be a whole number, 0 to 15, got -1"),
        ({"intermediator": 1.5}, r"intermediator must be a whole number, 0 to 15, got 1\.5"),
        ({"plain_blocks": 5}, "plain_blocks must be a whole number, 0 to 4, got 5"),
        ({"plain_blocks": -1}, "plain_blocks must be a whole number, 0 to 4, got -1"),
        (
            {"plain_blocks": 2, "intermediator": 0},
            "plain_blocks=2 makes EB-6 plain.*plain_blocks 0 or 1, or intermediator 1 to 15",
        ),
        ({"base": 5}, "base must be even.*got 5, the next are 4 and 6"),
        ({"base": 0}, "base must be a whole number from 1, got 0"),
        ({"num_classes": 0}, "num_classes must be a whole number from 1, got 0"),
        ({"dropout": 1.0}, r"dropout must be from 0 to below 1, got 1\.0"),
        ({"keep_dead": True}, "keep_dead needs wiring='released'"),
    ],
)
def test_wrong_options_are_refused(options, words):
    with pytest.raises(ValueError, match=words):
        REUnet(**{"base": 4, **options})


def test_what_is_refused_in_one_reading_is_built_in_the_other():
    with torch.device("meta"):
        assert REUnet(reading="code", base=5).eb1.chain[0].norm.num_features == 5
        REUnet(intermediator=0, plain_blocks=1)
        REUnet(intermediator=15, plain_blocks=4)


@pytest.mark.parametrize("wiring", ["described", "released"])
def test_sizes_that_do_not_fit_are_refused_with_the_next(wiring):
    with torch.device("meta"):
        net = REUnet(base=4, wiring=wiring).eval()
        with pytest.raises(
            ValueError, match=r"40x32 px .* multiples of 16, the next size is 48x32"
        ):
            net(torch.rand(1, 3, 40, 32))
        assert net(torch.rand(1, 3, 48, 32)).shape == (1, 1, 48, 32)


def test_one_image_too_small_to_normalise_is_refused_where_it_matters():
    x = torch.rand(1, 3, 16, 16)
    with pytest.raises(ValueError, match="one image of 16x16 px"):
        REUnet(base=4)(x)
    assert REUnet(base=4, wiring="released")(x).shape == (1, 1, 16, 16)
