"""SiGREnet: the net against an independent forward, in training and at inference."""

import json
import math
import weakref
from collections import Counter

import pytest
import torch
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode

from course_lib import models
from course_lib.models import measure
from course_lib.models.measure import tensors_of
from course_lib.models.sigrenet import ABLATIONS, REFINERS, SiGREnet
from tests.test_model_contract import GOLDEN, draw, settled

SMALL = (4, 8, 12)


def build(**options):
    torch.manual_seed(0)
    return SiGREnet(3, 1, **{"channels": SMALL, **options})


def bn(x, w, name):
    names = ("running_mean", "running_var", "weight", "bias")
    return F.batch_norm(x, *(w[f"{name}.{n}"] for n in names))


def group(x, w, name):
    groups = math.gcd(x.shape[1], 8)
    return F.group_norm(x, groups, w[f"{name}.weight"], w[f"{name}.bias"])


def convolve(x, w, name, ds):
    if not ds:
        return F.conv2d(x, w[f"{name}.weight"], padding=1)
    x = F.conv2d(x, w[f"{name}.weight"], padding=1, groups=x.shape[1])
    first, number = name.rsplit(".", 1)
    return F.conv2d(x, w[f"{first}.{int(number) + 1}.weight"])


def res(x, w, name, first_ds=True):
    k = 1 + first_ds  # the number of convolutions in front of the first normalisation
    y = bn(convolve(x, w, f"{name}.body.0", first_ds), w, f"{name}.body.{k}").relu()
    y = bn(convolve(y, w, f"{name}.body.{k + 2}", True), w, f"{name}.body.{k + 4}")
    if f"{name}.shortcut.0.weight" in w:
        x = bn(F.conv2d(x, w[f"{name}.shortcut.0.weight"]), w, f"{name}.shortcut.1")
    return (x + y).relu()


def refine(f, w, name, refiner, steps):
    r, h, c = f, torch.zeros_like(f), torch.zeros_like(f)
    history = [f]
    for _ in range(steps):
        if refiner in ("grrb", "eta"):
            u = group(convolve(f + r, w, f"{name}.transform.0", True), w, f"{name}.transform.2")
        if refiner == "grrb":
            both = torch.cat([f, r], 1)
            g = F.conv2d(both, w[f"{name}.gate.0.weight"], w[f"{name}.gate.0.bias"]).sigmoid()
            r = (1 - g) * r + g * (r + u.tanh())
        elif refiner == "light":
            weight, bias = w[f"{name}.gate.0.weight"], w[f"{name}.gate.0.bias"]
            g = F.hardsigmoid(F.conv2d(f, weight, bias))
            r = r + g * convolve(r, w, f"{name}.transform.0", True).clamp(-1, 1)
        elif refiner == "eta":
            history.append(u.relu())
            q = F.conv2d(history[-1], w[f"{name}.query.weight"])
            k = torch.stack([F.conv2d(v, w[f"{name}.key.weight"]) for v in history])
            a = ((q * k).sum(2) / q.shape[1] ** 0.5).softmax(0)
            r = (a[:, :, None] * torch.stack(history)).sum(0)
        elif refiner == "convlstm":
            both = torch.cat([f, h], 1)
            gates = F.conv2d(
                both, w[f"{name}.cell.conv.weight"], w[f"{name}.cell.conv.bias"], padding=1
            )
            i, forget, o, g = gates.chunk(4, 1)
            c = forget.sigmoid() * c + i.sigmoid() * g.tanh()
            h = o.sigmoid() * c.tanh()
            r = f + h
    return r


def up(x, like):
    return F.interpolate(x, size=like.shape[2:], mode="bilinear")


def reference(x, w, levels, refiner, steps):
    """The net with fusion and batch normalisation, without its classes."""
    maps = []
    for level in range(levels):
        maps.append(res(x, w, f"encoder.{level}", first_ds=level > 0))
        x = F.max_pool2d(maps[-1], 2)
    for level in reversed(range(levels - 1)):
        both = torch.cat([up(maps[level + 1], maps[level]), maps[level]], 1)
        f = res(both, w, f"decoder.{level}.block")
        maps[level] = refine(f, w, f"decoder.{level}.refiner", refiner, steps)
    p = torch.zeros(())
    for level in reversed(range(levels)):
        p = F.conv2d(maps[level], w[f"fuse.lateral.{level}.weight"]) + (
            up(p, maps[level]) if p.ndim else p
        )
    p = bn(convolve(p, w, "fuse.smooth.0", True), w, "fuse.smooth.2").relu()
    return F.conv2d(maps[0] + p, w["head.weight"], w["head.bias"])


@pytest.mark.parametrize("refiner", REFINERS)
def test_forward_equals_an_independent_one(refiner):
    net = build(refiner=refiner).double()
    net(torch.randn(4, 3, 32, 48, dtype=torch.float64))
    net.eval()
    x = torch.randn(2, 3, 17, 22, dtype=torch.float64)
    for steps in (None, 5):
        expected = reference(x, net.state_dict(), 3, refiner, steps or 3)
        torch.testing.assert_close(net(x, steps), expected)


@pytest.mark.parametrize("refiner", ["full", "light", "eta", "convlstm", "none"])
def test_signed_off_numbers_come_from_the_independent_forward_too(refiner):
    net = settled("sigrenet", refiner)
    weights = net.state_dict()
    kind = "grrb" if refiner == "full" else refiner
    logits = reference(draw(2, 64, 64), weights, len(net.encoder), kind, 3).flatten()
    stored = json.loads(GOLDEN.read_text(encoding="utf-8"))[f"sigrenet-{refiner}"]
    numbers = logits[torch.linspace(0, len(logits) - 1, 16).long()].tolist()
    assert numbers == pytest.approx(stored, abs=1e-4)


@pytest.mark.parametrize("size", [(16, 16), (17, 33), (64, 50)])
def test_any_size_from_the_smallest(size):
    torch.manual_seed(0)
    net = models.create("sigrenet", channels=(4, 4, 4, 4, 8), num_classes=2).eval()
    assert net(torch.randn(1, 3, *size)).shape == (1, 2, *size)


def test_one_image_trains_where_the_bottleneck_has_more_than_one_pixel():
    net = build()
    assert net(torch.randn(1, 3, 8, 4)).requires_grad
    for sides in ((4, 4), (7, 7)):
        with pytest.raises(ValueError, match="at least 2 images, or sides above 7 px"):
            net(torch.randn(1, 3, *sides))
    assert build(norm="group")(torch.randn(1, 3, 4, 4)).requires_grad


def test_groups_leave_no_running_statistics():
    net = build(norm="group")
    assert list(net.buffers()) == []


# --- training


@pytest.mark.parametrize("ablation", ["full", "light", "eta", "convlstm", "none", "readout_eta"])
def test_stages_are_every_scale_and_step(ablation):
    net = build(**ABLATIONS[ablation]).eval()
    x = torch.randn(2, 3, 16, 24)
    stages, features = net.forward_stages(x), net.forward_features(x)
    steps = range(1, 2 if ablation == "none" else 4)
    assert [(a.scale, a.step) for a in stages.aux] == [(i, t) for i in (1, 0) for t in steps]
    for scale, step, logits in stages.aux:
        assert logits.shape == (2, 1, 16 >> scale, 24 >> scale)
        state = features[f"scale{scale}_t{step}_state"]
        torch.testing.assert_close(logits, net.aux_heads[scale](state))
    assert torch.equal(stages.logits, net(x))


def test_the_default_has_twelve_auxiliary_outputs():
    with torch.device("meta"):
        stages = models.create("sigrenet").forward_stages(torch.empty(2, 3, 64, 64))
    assert len(stages.aux) == 12


def test_aux_heads_learn_from_the_aux_loss_alone_and_all_else_from_the_output():
    net = build()
    net(torch.randn(2, 3, 16, 16)).square().mean().backward()
    without = {name for name, p in net.named_parameters() if p.grad is None}
    assert without == {name for name, _ in net.named_parameters() if name.startswith("aux_heads.")}
    net.zero_grad()
    sum(
        a.logits.square().mean() for a in net.forward_stages(torch.randn(2, 3, 16, 16)).aux
    ).backward()
    assert all(p.grad is not None for p in net.aux_heads.parameters())


def test_heads_of_pretexts_are_built_when_asked_for_and_reached_by_their_own_forward():
    x = torch.randn(2, 3, 16, 24)
    with pytest.raises(ValueError, match="build it with recon_head=True"):
        build().forward_reconstruction(x)
    with pytest.raises(ValueError, match="build it with rotation_head=True"):
        build().forward_rotation(x)
    net = build(recon_head=True, rotation_head=True)
    assert net.forward_reconstruction(x).shape == x.shape
    assert net.forward_rotation(x).shape == (2, 4)
    for method, head in (
        ("forward_reconstruction", "recon_head"),
        ("forward_rotation", "rotation_head"),
    ):
        net.zero_grad()
        getattr(net, method)(x).square().mean().backward()
        reached = {name for name, p in net.named_parameters() if p.grad is not None}
        assert {f"{head}.weight", f"{head}.bias", "encoder.0.body.0.weight"} <= reached


@pytest.mark.parametrize("ablation", ["full", "light", "eta", "convlstm", "readout_eta"])
def test_recomputing_changes_no_number_and_keeps_less(ablation):
    results, kept = [], []
    for checkpoint in (False, True):
        net, saved = build(checkpoint=checkpoint, **ABLATIONS[ablation]), {}
        x = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(1))

        def pack(t, saved=saved):
            saved[t.untyped_storage().data_ptr()] = t.untyped_storage().nbytes()
            return t

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda t: t):
            stages = net.forward_stages(x)
        kept.append(sum(saved.values()))
        sum(t.square().mean() for t in tensors_of(stages)).backward()
        results.append([*tensors_of(stages), *(p.grad for p in net.parameters()), *net.buffers()])
    assert all(torch.equal(a, b) for a, b in zip(*results, strict=True))
    assert kept[1] < 0.8 * kept[0]


# --- inference


class Alive(TorchDispatchMode):
    """The most bytes that were alive at once, of what was made inside."""

    def __init__(self):
        super().__init__()
        self.users, self.now, self.most = Counter(), 0, 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        outputs = func(*args, **(kwargs or {}))
        for t in tensors_of(outputs):
            storage = t.untyped_storage()
            key, size = storage._cdata, storage.nbytes()
            self.now += size if self.users[key] == 0 else 0
            self.users[key] += 1
            weakref.finalize(t, self.drop, key, size)
        self.most = max(self.most, self.now)
        return outputs

    def drop(self, key, size):
        self.users[key] -= 1
        self.now -= size if self.users[key] == 0 else 0


@pytest.mark.parametrize("ablation", ["full", "gate", "literal", "convex", "light", "convlstm"])
def test_more_steps_take_no_more_memory(ablation):
    net = build(**ABLATIONS[ablation]).eval()
    peaks = []
    for steps in (2, 3, 8):
        with torch.no_grad(), Alive() as alive:
            net.decoder[0].readout(
                net.run(net.decoder[0].refiner, torch.zeros(1, 4, 16, 16), steps)
            )
        peaks.append(alive.most)
    assert peaks[0] == peaks[1] == peaks[2] > 0


def test_steps_may_change_at_inference():
    net = build().eval()
    x = torch.randn(1, 3, 16, 16)
    assert torch.equal(net(x, steps=3), net(x))
    assert (net(x, steps=1) - net(x, steps=6)).abs().max() > 1e-4
    assert len(net.forward_stages(x, steps=5).aux) == 10
    assert net.forward_features(x, steps=2).keys() < net.forward_features(x).keys()
    for wrong in (0, 1.5):
        with pytest.raises(ValueError, match=f"steps must be a whole number from 1, got {wrong}"):
            net(x, steps=wrong)


def test_other_steps_of_the_literal_recurrence_come_with_a_warning():
    net = build(dependence="literal").eval()
    x = torch.randn(1, 3, 16, 16)
    net(x, steps=3)
    with pytest.warns(UserWarning, match="6 steps in place of 3 change nothing but their factor"):
        net(x, steps=6)


def test_a_deployed_net_has_no_heads_of_training_and_the_same_logits():
    net = build(recon_head=True, rotation_head=True).eval()
    lean, x = net.deployed(), torch.randn(2, 3, 16, 24)
    assert torch.equal(lean(x), net(x))
    assert not any("head" in name for name in lean.state_dict() if not name.startswith("head."))
    assert measure.count_parameters(lean) == net.deploy_parameters()
    assert lean.forward_stages(x).aux == []
    assert torch.equal(lean.forward_stages(x).logits, net(x))
    assert net.forward_stages(x).aux  # the net itself keeps them


def test_features_carry_states_gates_and_weights():
    net = build(steps=2, readout="eta")
    features = net.forward_features(torch.randn(1, 3, 12, 16))
    steps = [f"t{t}_{name}" for t in (1, 2) for name in ("increment", "gate", "state")]
    assert list(features) == [
        "encoder0", "encoder1", "bottleneck",
        "decoder1", *(f"scale1_{name}" for name in steps), "scale1_readout", "scale1_refined",
        "decoder0", *(f"scale0_{name}" for name in steps), "scale0_readout", "scale0_refined",
        "pyramid2", "pyramid1", "pyramid0", "final",
    ]  # fmt: skip
    assert 0 < features["scale0_t1_gate"].min() < features["scale0_t1_gate"].max() < 1
    assert features["scale0_t1_gate"].shape == (1, 4, 12, 16)
    assert features["scale0_readout"].shape == (1, 2, 12, 16)
    eta = build(refiner="eta").eval().forward_features(torch.randn(1, 3, 12, 16))
    assert eta["scale1_t3_weights"].shape == (1, 4, 6, 8)
    torch.testing.assert_close(eta["scale1_t3_weights"].sum(1), torch.ones(1, 6, 8))
    memory = build(refiner="convlstm").eval().forward_features(torch.randn(1, 3, 12, 16))
    assert {f"scale0_t3_{name}" for name in "ifogch"} <= set(memory)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"refiner": "gru"}, "refiner must be one of grrb, light, eta, convlstm, none, got 'gru'"),
        ({"readout": "first"}, "readout must be one of last, eta, got 'first'"),
        ({"dependence": "none"}, "dependence must be one of full, gate, literal, got 'none'"),
        ({"update": "gru"}, "update must be one of printed, convex, got 'gru'"),
        ({"conv": "dw"}, "conv must be one of ds, std, got 'dw'"),
        ({"norm": "layer"}, "norm must be one of batch, group, got 'layer'"),
        ({"steps": 0}, "steps must be a whole number from 1, got 0"),
        ({"channels": (8,)}, r"channels must name at least 2 levels, got \(8,\)"),
        ({"channels": (8, -1)}, r"channels\[1\] must be a whole number from 1, got -1"),
        (
            {"refiner": "eta", "update": "convex"},
            "belong to refiner='grrb': leave them out for 'eta'",
        ),
        ({"readout": "eta", "steps": 1}, "needs a refiner and steps of at least 2.* steps=1"),
        ({"readout": "eta", "refiner": "none"}, "needs a refiner.* got refiner='none'"),
    ],
)
def test_wrong_options_are_refused(options, words):
    with pytest.raises(ValueError, match=words):
        models.create("sigrenet", **options)
