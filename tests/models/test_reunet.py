"""REUnet: the counts of the paper's reading and of the released code, to the unit."""

import pytest
import torch

from course_lib.models import measure
from course_lib.models.reunet import REUnet

# reading, wiring: trainable, with running statistics, GMAC at 256 x 256 x 3
COUNTS = {
    ("paper", "described"): (110_506_438, 111_097_734, 84.232),
    ("paper", "released"): (413_746, 426_322, 8.783),
    ("code", "described"): (145_848_040, 146_556_778, 101.077),
    ("code", "released"): (663_012, 679_014, 12.881),
}


@pytest.mark.parametrize(("reading", "wiring"), COUNTS)
def test_counts_are_hit_to_the_unit(reading, wiring):
    with torch.device("meta"):
        net = REUnet(reading=reading, wiring=wiring)
    trainable, total, gmac = COUNTS[reading, wiring]
    assert measure.count_parameters(net) == trainable
    assert measure.count_parameters(net, buffers=True) == total
    assert round(measure.count_macs(net, (3, 256, 256)) / 1e9, 3) == gmac


@pytest.mark.parametrize(
    ("options", "code", "paper"),
    [
        ({"intermediator": 0}, (115_247_079, 69.469), (57_144_037, 34.396)),
        ({"attention_gate": False}, (143_246_883, 99.398), (108_866_465, 83.188)),
        ({"gating_signal": False}, (141_330_472, 97.755), (110_205_510, 84.106)),
        ({"plain_blocks": 2}, (95_728_616, 66.627), (32_935_494, 30.928)),
        ({"plain_blocks": 4}, (19_589_352, 36.990), (14_913_414, 22.261)),
    ],
)
def test_ablations_hit_their_counts(options, code, paper):
    for reading, (trainable, gmac) in (("code", code), ("paper", paper)):
        with torch.device("meta"):
            net = REUnet(reading=reading, **options)
        assert measure.count_parameters(net) == trainable
        assert round(measure.count_macs(net, (3, 256, 256)) / 1e9, 3) == gmac


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


def test_the_dead_part_is_built_and_never_reached():
    net = REUnet(reading="code", wiring="released", keep_dead=True, base=4)
    dead = measure.unreached_parameters(net, torch.rand(2, 3, 32, 32))
    assert dead
    assert all(name.startswith("deep.") for name in dead)
    assert {name for name, _ in net.named_parameters() if name.startswith("deep.")} == set(dead)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"reading": "book"}, "reading must be 'paper' or 'code'"),
        ({"wiring": "loose"}, "wiring must be 'described' or 'released'"),
        ({"intermediator": 16}, "intermediator must be a whole number, 0 to 15"),
        ({"plain_blocks": 5}, "plain_blocks must be a whole number, 0 to 4"),
        ({"plain_blocks": 2, "intermediator": 0}, "plain_blocks=2 makes EB-6 plain"),
        ({"base": 5}, "base must be even"),
        ({"keep_dead": True}, "keep_dead needs wiring='released'"),
    ],
)
def test_wrong_options_are_refused(options, words):
    with pytest.raises(ValueError, match=words):
        REUnet(**{"base": 4, **options})


def test_sizes_that_do_not_fit_are_refused_with_the_next():
    net = REUnet(base=4).eval()
    with pytest.raises(ValueError, match="multiples of 16, the next size is 48x32"):
        net(torch.rand(1, 3, 40, 32))
    assert net(torch.rand(1, 3, 48, 32)).shape == (1, 1, 48, 32)
