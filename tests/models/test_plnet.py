"""PL-Net: an independent forward, and every arrow of equation 2."""

import json

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from course_lib import models
from course_lib.models.measure import receptive_field
from course_lib.models.plnet import ABLATIONS, PLNet
from tests.models.test_bionet import calls_of
from tests.models.test_plnet_counts import built
from tests.test_model_contract import GOLDEN, draw, settled


class Reference:
    """The net without the class: figure 1 and equations 1 and 2, level by level.

    A step is written as the block and number it has there; how often a convolution was called so
    far decides which of its normalisations is due.
    """

    def __init__(self, weights, *, steps=2, ipl=True, fuse="sum", depths=(3, 4), down="conv_pool"):
        self.w, self.calls = weights, {}
        self.steps, self.ipl, self.fuse, self.depths = steps, ipl, fuse, depths
        self.pool_first = down == "pool_conv"

    def layer(self, x, name, up=False):
        volumes = x.ndim == 5
        weight, bias = self.w[f"{name}.conv.weight"], self.w[f"{name}.conv.bias"]
        if up:
            conv = F.conv_transpose3d if volumes else F.conv_transpose2d
            x = conv(x, weight, bias, stride=2, padding=1, output_padding=1)
        else:
            x = (F.conv3d if volumes else F.conv2d)(x, weight, bias, padding=1)
        call = self.calls[name] = self.calls.get(name, -1) + 1
        names = ("running_mean", "running_var", "weight", "bias")
        x = F.batch_norm(x, *(self.w[f"{name}.norms.{call}.{n}"] for n in names))
        return x.clamp(min=0)

    def block(self, x, name, count):
        for step in range(count):
            x = self.layer(x, f"{name}.convs.{step}")
        return x

    def stage(self, x, s, given):
        depth, pool = self.depths[s], F.max_pool3d if x.ndim == 5 else F.max_pool2d
        for i in range(3):
            x = self.layer(x, f"stages.{s}.stem.{i}")
        stem, back = x, given
        for count in range(1, self.steps + 1) if self.ipl else [self.steps]:
            x, skips = stem, []
            for level in range(depth):
                joined = torch.cat((back[level] if back else x, x), 1)  # eq. 2
                if s == 1 and level == 0:
                    skips.append(x)
                else:
                    joined = self.block(joined, f"stages.{s}.encoder.{level}.steps", count)
                    skips.append(joined)
                x = pool(joined, 2) if self.pool_first else joined
                x = self.layer(x, f"stages.{s}.down.{level}.conv")
                x = x if self.pool_first else pool(x, 2)
            x = bottom = self.block(x, f"stages.{s}.bottom", count)
            back = {}
            for level in range(depth - 1, -1, -1):
                x = self.layer(x, f"stages.{s}.up.{level}", up=True)
                x = torch.cat((skips[level], x), 1)  # eq. 1
                x = back[level] = self.block(x, f"stages.{s}.decoder.{level}", count)
        return back | {depth: bottom}

    def __call__(self, x):
        conv = F.conv3d if x.ndim == 5 else F.conv2d
        first = last = self.stage(x, 0, None)
        top = last[0]
        if len(self.depths) == 2:
            last = self.stage(x, 1, first)
            top = last[0] + first[0] if self.fuse == "sum" else last[0]
            top = self.layer(top, "fusion.0")
        return conv(top, self.w["head2.weight"], self.w["head2.bias"])


VARIANTS = [
    {},
    {"steps": 1},
    {"steps": 3},
    {"ipl": False},
    {"ipl": False, "steps": 3},
    {"fuse": "last"},
    {"down": "pool_conv"},
    {"depths": (4,)},
    {"depths": (2, 2)},
]


@pytest.mark.parametrize("options", VARIANTS, ids=str)
@pytest.mark.parametrize("dims", [2, 3])
def test_forward_equals_an_independent_one(options, dims):
    torch.manual_seed(0)
    size = {2: (32, 48), 3: (16, 16, 32)}[dims]
    net = PLNet(2, 3, base=2, width=1.5, dims=dims, **options)
    net(torch.randn(4, 2, *size))
    net.eval()
    x = torch.randn(2, 2, *size)
    reference = Reference(net.state_dict(), **options)
    expected = reference(x)
    with torch.no_grad():
        torch.testing.assert_close(net(x), expected, atol=1e-5, rtol=1e-5)
    norms = {n for n in net.state_dict() if n.endswith("running_var")}
    used = {
        f"{n}.norms.{i}.running_var" for n, last in reference.calls.items() for i in range(last + 1)
    }
    assert used == norms  # every call has its own, and none is left over


@pytest.mark.parametrize(
    ("name", "ablation"),
    [*(("plnet", ablation) for ablation in ABLATIONS), ("plnet_dagger", "full")],
)
def test_signed_off_numbers_come_from_the_independent_forward_too(name, ablation):
    reference = Reference(
        settled(name, ablation, torch.float64).state_dict(), **ABLATIONS[ablation]
    )
    logits = reference(draw(2, 64, 64).double()).flatten()
    stored = json.loads(GOLDEN.read_text(encoding="utf-8"))[f"{name}-{ablation}"]
    numbers = logits[torch.linspace(0, len(logits) - 1, 16).long()].tolist()
    assert numbers == pytest.approx(stored, abs=1e-4)


@pytest.mark.parametrize("steps", [1, 2, 3])
def test_passes_share_convolutions_and_no_normalisation(steps):
    net = PLNet(3, 1, base=2, steps=steps)
    for name, number in calls_of(net, draw(2, 32, 32)).items():
        once = "stem" in name or "fusion" in name
        step = int(name.split("convs.")[1]) if "convs" in name else 0
        assert number == (1 if once else steps - step), name
    counts = [m.num_batches_tracked for m in net.modules() if isinstance(m, nn.BatchNorm2d)]
    assert set(map(int, counts)) == {1}


def test_a_further_step_adds_convolutions_and_further_passes_none():
    weights = {
        (steps, ipl): [n for n, p in built(steps=steps, ipl=ipl).named_parameters() if p.ndim == 4]
        for steps in (1, 2)
        for ipl in (False, True)
    }
    assert weights[1, True] == weights[1, False]
    assert weights[2, True] == weights[2, False]
    more = set(weights[2, True]) - set(weights[1, True])
    assert more
    assert all("convs.1" in name for name in more)
    one = [built(steps=1, ipl=ipl).state_dict().keys() for ipl in (False, True)]
    assert one[0] == one[1]


def test_stages_share_nothing():
    net = PLNet(3, 1, base=2)
    first, second = ({id(p) for p in stage.parameters()} for stage in net.stages)
    assert not first & second


# Every arrow of equation 2 but the first case: from which pass of which stage to which, and where.
ARROWS = [
    ("stage1_pass1", "stage1_pass2", range(3)),
    ("stage1_pass2", "stage2_pass1", range(4)),
    ("stage2_pass1", "stage2_pass2", range(4)),
]


def partner_halves(net, stage, level):
    """The weights that act on the partner of a level."""
    conv = net.stages[stage].down[0].conv if (stage, level) == (1, 0) else None
    conv = conv or net.stages[stage].encoder[level].steps.convs[0]
    weight = conv.conv.weight
    return weight.data[:, : weight.shape[1] // 2]


@pytest.mark.parametrize(
    ("source", "target", "level"), [(a, b, level) for a, b, levels in ARROWS for level in levels]
)
def test_every_arrow_of_equation_2_carries_a_gradient(source, target, level):
    """With the halves for all other partners at zero, what is left comes through this one."""
    torch.manual_seed(0)
    net = PLNet(3, 1, base=4)
    for stage, depth in enumerate((3, 4)):
        for other in range(depth):
            if (stage, other) != (int(target[5]) - 1, level):
                partner_halves(net, stage, other).zero_()
    # stage 2 takes its level 3 from stage 1's bottom; its own level 0 has no block, so look below
    start = f"{source}_decoder{level}"
    if (source[:6], target[:6], level) == ("stage1", "stage2", 3):
        start = f"{source}_bottom"
    end = f"{target}_encoder{1 if target.startswith('stage2') and level == 0 else level}"

    def gradient():
        maps = net.forward_features(draw(2, 32, 32))
        weighed = (maps[end] * torch.arange(maps[end].shape[-1])).sum()
        (found,) = torch.autograd.grad(weighed, maps[start], allow_unused=True)
        return 0 if found is None else found.abs().max()

    assert gradient() > 1e-3
    partner_halves(net, int(target[5]) - 1, level).zero_()
    assert gradient() == 0


@pytest.mark.parametrize("level", [0, 1, 2])
def test_in_the_first_pass_a_block_of_stage_1_sees_its_input_twice(level):
    """Both halves of the weights act on the same map: adding them up changes nothing."""
    torch.manual_seed(0)
    net = PLNet(3, 1, base=4, steps=1).eval()
    x = draw(2, 32, 32)
    with torch.no_grad():
        expected = net.forward_features(x)[f"stage1_pass1_encoder{level}"]
        half = partner_halves(net, 0, level)
        weight = net.stages[0].encoder[level].steps.convs[0].conv.weight
        weight.data[:, half.shape[1] :] += half
        half.zero_()
        found = net.forward_features(x)[f"stage1_pass1_encoder{level}"]
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


def test_the_receptive_field_grows_with_every_step_and_stage():
    net = PLNet(1, 1, base=2, steps=3, depths=(1, 2))
    names = [f"stage{stage}_pass{p}_decoder0" for stage in (1, 2) for p in (1, 2, 3)]
    fields = [receptive_field(net, (1, 256, 256), name) for name in names]
    assert fields == sorted(set(fields))
    assert fields[-1] < 256


def test_the_receptive_field_of_stage_1_at_full_depth():
    net = PLNet(1, 1, base=1)
    names = [f"stage1_pass{p}_decoder0" for p in (1, 2)]
    first, second = (receptive_field(net, (1, 256, 256), name) for name in names)
    # the stem sees 7 px, a step 2 px more, and what lies above the top is at least the bottom's
    assert receptive_field(net, (1, 64, 64), "stage1_pass1_encoder0") == 9
    assert 58 < first < second < 256


def test_stage_1_alone_runs_no_part_of_stage_2():
    net = PLNet(3, 2, base=2)
    stage1 = net.forward_stage1(draw(2, 32, 32))
    stage1.logits.square().mean().backward()
    assert {n.split(".")[1] for n, p in net.named_parameters() if p.grad is not None} >= {"0"}
    reached = [n for n, p in net.named_parameters() if p.grad is not None]
    assert all(n.startswith(("stages.0.", "head1.")) for n in reached)
    assert len(reached) == sum(
        n.startswith(("stages.0.", "head1.")) for n, _ in net.named_parameters()
    )
    tracked = [
        m.num_batches_tracked for m in net.stages[1].modules() if isinstance(m, nn.BatchNorm2d)
    ]
    assert not any(tracked)


def test_the_last_stages_loss_reaches_everything_but_the_first_head():
    net = PLNet(3, 2, base=2)
    net(draw(2, 32, 32)).square().mean().backward()
    dead = [n for n, p in net.named_parameters() if p.grad is None]
    assert dead == ["head1.weight", "head1.bias"]


def test_stages_are_those_that_the_parts_give():
    torch.manual_seed(0)
    net, x = PLNet(3, 2, base=2).eval(), draw(2, 32, 32)
    with torch.no_grad():
        outputs = net.forward_stages(x)
        features, logits = net.forward_stage1(x)
        assert torch.equal(outputs.stage1, logits)
        assert torch.equal(outputs.stage2, net(x))
        assert torch.equal(outputs.summed, logits + net(x))
        maps = net.forward_features(x)
        names = [f"stage1_pass2_{n}" for n in ("decoder0", "decoder1", "decoder2", "bottom")]
        assert all(torch.equal(f, maps[n]) for f, n in zip(features, names, strict=True))
        assert torch.equal(net.head2(maps["fused"]), net(x))


def test_a_single_stage_has_one_output():
    net = PLNet(3, 1, base=2, depths=(4,)).eval()
    outputs = net.forward_stages(draw(2, 32, 32))
    assert outputs.stage1 is None
    assert torch.equal(outputs.summed, outputs.stage2)
    with pytest.raises(ValueError, match="a single stage: give two depths"):
        net.forward_stage1(draw(2, 32, 32))


def test_weights_fit_nets_of_either_fuse():
    torch.manual_seed(0)
    net = PLNet(3, 1, base=2).eval()
    other = PLNet(3, 1, base=2, fuse="last").eval()
    other.load_state_dict(net.train().state_dict(), strict=True)
    assert not torch.equal(other(draw(2, 32, 32)), net.eval()(draw(2, 32, 32)))


def test_features_come_in_order_with_their_sizes():
    features = PLNet(3, 1, base=2, depths=(1, 2)).forward_features(draw(2, 16, 24))
    shapes = {0: (2, 16, 24), 1: (4, 8, 12), 2: (8, 4, 6)}
    expected = []
    for stage, depth in ((1, 1), (2, 2)):
        for p in (1, 2):
            name = f"stage{stage}_pass{p}"
            expected += [(f"{name}_encoder{level}", shapes[level]) for level in range(depth)]
            expected.append((f"{name}_bottom", shapes[depth]))
            expected += [
                (f"{name}_decoder{level}", shapes[level]) for level in reversed(range(depth))
            ]
    expected.append(("fused", shapes[0]))
    assert [(name, tuple(value.shape[1:])) for name, value in features.items()] == expected


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"steps": 0}, "steps must be 1, 2 or 3, got 0"),
        ({"steps": 4}, "steps must be 1, 2 or 3, got 4"),
        ({"steps": 2.0}, "steps must be 1, 2 or 3, got 2.0"),
        ({"dims": 4}, r"dims must be 2 \(images\) or 3 \(volumes\), got 4"),
        ({"fuse": "mean"}, "fuse must be sum or last, got 'mean'"),
        ({"down": "stride"}, "down must be conv_pool or pool_conv, got 'stride'"),
        ({"width": 0.25}, "width must be a number from 0.5 to 2.0, got 0.25"),
        ({"width": 2.25}, "width must be a number from 0.5 to 2.0, got 2.25"),
        ({"width": 0.7}, r"whole number of channels, got 32 \* 0.7; .* a multiple of 1/32"),
        ({"base": 0}, "base must be a whole number from 1, got 0"),
        ({"in_channels": 0}, "in_channels must be a whole number from 1, got 0"),
        ({"depths": ()}, r"depths must be one or two whole numbers, 1 to 6.*got \(\)"),
        ({"depths": 4}, "depths must be one or two whole numbers, 1 to 6.*got 4"),
        ({"depths": (3, 5)}, r"the second at most one more than the first, got \(3, 5\)"),
        ({"depths": (3, 4, 5)}, r"depths must be one or two whole numbers.*got \(3, 4, 5\)"),
        ({"depths": (0,)}, r"depths must be one or two whole numbers, 1 to 6.*got \(0,\)"),
    ],
)
def test_values_out_of_range_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        models.create("plnet", **options)


def test_a_size_that_does_not_fit_names_the_next_one():
    with pytest.raises(ValueError, match="multiples of 16, the next size is 48x96"):
        models.create("plnet", base=2)(draw(2, 40, 90))
    net = models.create("plnet", in_channels=1, base=2, dims=3, depths=(4, 5))
    with pytest.raises(
        ValueError, match=r"40x32x90 vx .* multiples of 32, the next size is 64x32x96"
    ):
        net(torch.randn(2, 1, 40, 32, 90))
    with pytest.raises(ValueError, match="at least 2 volumes, or sides above 32 vx"):
        net(torch.randn(1, 1, 32, 32, 32))
