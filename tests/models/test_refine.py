"""Refiners of SiGREnet, each against its formula written out."""

import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from course_lib.models.refine import (
    ETA,
    GRRB,
    ConvLSTMRefiner,
    EtaReadout,
    LightGRRB,
    attend,
    convex_update,
    printed_update,
)
from course_lib.models.sigrenet_blocks import Style, Tanh, separable, standard

DS = Style(separable, nn.BatchNorm2d)


def grrb(**options):
    torch.manual_seed(0)
    block = GRRB(8, DS, **{"dependence": "full", "update": "printed", **options}).double()
    nn.init.normal_(block.gate[0].bias)
    return block, torch.randn(2, 8, 5, 6, dtype=torch.float64)


def states(refiner, f, steps):
    return [refined.state for refined in refiner(f, steps)]


def test_updates_are_the_hand_computed_ones():
    r, g, s = (
        torch.tensor(v, dtype=torch.float64)
        for v in ([0.5] * 3, [0.25, 0.5, 0.75], [1.0, -0.4, 0.2])
    )
    assert printed_update(r, g, s).tolist() == pytest.approx([0.75, 0.30, 0.65])
    assert convex_update(r, g, s).tolist() == pytest.approx([0.625, 0.05, 0.275])
    as_printed = (1 - g) * r + g * (r + s)
    torch.testing.assert_close(printed_update(r, g, s), as_printed)


@pytest.mark.parametrize(
    ("update", "expected"),
    [(printed_update, (0.75, 0.55, 0.70)), (convex_update, (0.625, 0.1125, 0.178125))],
)
def test_three_steps_of_one_number(update, expected):
    r = torch.tensor(0.5, dtype=torch.float64)
    for g, s, value in zip((0.25, 0.5, 0.75), (1.0, -0.4, 0.2), expected, strict=True):
        r = update(r, torch.tensor(g, dtype=torch.float64), torch.tensor(s, dtype=torch.float64))
        assert r.item() == pytest.approx(value, abs=1e-12)


@pytest.mark.parametrize("style", [DS, Style(standard, nn.BatchNorm2d)], ids=["ds", "std"])
def test_light_grrb_is_its_formula(style):
    torch.manual_seed(0)
    block, f = LightGRRB(6, style).double(), torch.randn(2, 6, 5, 4, dtype=torch.float64)
    nn.init.normal_(block.transform[-2].weight, std=0.5)
    nn.init.normal_(block.gate[0].bias)
    w, r = block.state_dict(), f
    g = torch.einsum("oi,bihw->bohw", w["gate.0.weight"][:, :, 0, 0], f)
    g = ((g + w["gate.0.bias"][:, None, None] + 3) / 6).clamp(0, 1)
    for state, maps in block(f, 3):
        kernel = w["transform.0.weight"]
        s = F.conv2d(r, kernel, padding=1, groups=6 // kernel.shape[1])
        if style is DS:
            s = torch.einsum("oi,bihw->bohw", w["transform.1.weight"][:, :, 0, 0], s)
        s = s.clamp(-1, 1)
        assert (s.abs() == 1).any()
        assert (s.abs() < 1).any()
        r = r + g * s
        torch.testing.assert_close(maps["increment"], s)
        torch.testing.assert_close(maps["gate"], g)
        torch.testing.assert_close(state, r)


def test_light_grrb_begins_near_the_map_itself():
    torch.manual_seed(0)
    f = torch.randn(2, 16, 12, 12).relu()
    block = LightGRRB(16, DS)
    first, second = states(block, f, 2)
    assert 0 < (first - f).std() < 0.2 * f.std()
    assert not torch.allclose(second - first, first - f, rtol=0.01)


def test_the_literal_recurrence_is_no_iteration():
    block, f = grrb(dependence="literal")
    steps = list(block(f, 6))
    s, g = steps[0].maps["increment"], steps[0].maps["gate"]
    for t, (state, maps) in enumerate(steps, start=1):
        torch.testing.assert_close(state, f + t * g * s)
        assert torch.equal(maps["increment"], s)
    assert s.abs().max() > 0.1


def test_tanh_is_tanh():
    x = torch.linspace(-30, 30, 6001)
    torch.testing.assert_close(Tanh()(x), x.tanh(), atol=2e-7, rtol=0)
    assert torch.autograd.gradcheck(Tanh(), x[2900:3100:20].double().requires_grad_())


@pytest.mark.parametrize("dependence", ["full", "gate", "literal"])
@pytest.mark.parametrize("update", ["printed", "convex"])
def test_grrb_is_its_formula(dependence, update):
    block, f = grrb(dependence=dependence, update=update)
    w = block.state_dict()
    r = f
    for state, maps in block(f, 3):
        u = f + r if dependence == "full" else f
        u = F.conv2d(u, w["transform.0.weight"], padding=1, groups=8)
        u = torch.einsum("oi,bihw->bohw", w["transform.1.weight"][:, :, 0, 0], u)
        # eight groups of one channel each: mean 0, variance 1
        u = (u - u.mean((2, 3), keepdim=True)) / (
            u.var((2, 3), keepdim=True, correction=0) + 1e-5
        ).sqrt()
        s = u.tanh()
        seen = f if dependence == "literal" else torch.cat([f, r], 1)
        g = torch.einsum("oi,bihw->bohw", w["gate.0.weight"][:, :, 0, 0], seen)
        g = 1 / (1 + torch.exp(-g - w["gate.0.bias"][:, None, None]))
        r = r + g * s if update == "printed" else (1 - g) * r + g * s
        torch.testing.assert_close(maps["increment"], s)
        torch.testing.assert_close(maps["gate"], g)
        torch.testing.assert_close(state, r)


def test_steps_differ_where_the_increment_sees_the_state():
    for dependence, differ in (("full", True), ("gate", True), ("literal", False)):
        block, f = grrb(dependence=dependence)
        r1, r2 = states(block, f, 2)
        assert ((r2 - r1) - (r1 - f)).abs().max().gt(1e-3).item() is differ


def test_the_convex_state_stays_bounded_and_the_printed_one_grows():
    printed, f = grrb()
    convex, _ = grrb(update="convex")
    assert states(convex, f, 30)[-1].abs().max() <= f.abs().max().clamp(min=1)
    assert states(printed, f, 30)[-1].std() > 2 * f.std()


def test_attention_is_a_softmax_over_steps():
    query, keys = torch.ones(1, 1, 1, 1), [torch.full((1, 1, 1, 1), k) for k in (0.0, 1.0, 2.0)]
    values = [torch.full((1, 1, 1, 1), v) for v in (1.0, 2.0, 4.0)]
    mixed, weights = attend(query, keys, values)
    e = [math.exp(k) for k in (0, 1, 2)]
    assert mixed.item() == pytest.approx((e[0] + 2 * e[1] + 4 * e[2]) / sum(e), abs=1e-6)
    assert mixed.item() == pytest.approx(3.240451, abs=1e-6)
    assert weights.flatten().tolist() == pytest.approx([v / sum(e) for v in e])


def test_attention_is_torchs_at_every_pixel():
    torch.manual_seed(0)
    q, *keys = torch.randn(5, 2, 6, 3, 4)
    values = list(torch.randn(4, 2, 7, 3, 4))
    mixed, _ = attend(q, keys, values)

    def tokens(maps):  # (B, H, W, n, channels): steps are tokens, pixels are batches
        return torch.stack(maps).permute(1, 3, 4, 0, 2)

    expected = F.scaled_dot_product_attention(tokens([q]), tokens(keys), tokens(values))
    torch.testing.assert_close(mixed, expected[..., 0, :].permute(0, 3, 1, 2))


def test_eta_looks_back_on_the_map_and_all_candidates():
    torch.manual_seed(0)
    block, f = ETA(8, DS).double(), torch.randn(2, 8, 5, 6, dtype=torch.float64)
    history, r = [f], f
    for t, (state, maps) in enumerate(block(f, 3), start=1):
        history.append(block.transform(f + r))
        q, keys = block.query(history[-1]), [block.key(h) for h in history]
        logits = torch.stack([(q * k).sum(1) for k in keys]) / 2  # d = 4
        a = logits.exp() / logits.exp().sum(0)
        r = sum(a[n][:, None] * h for n, h in enumerate(history))
        torch.testing.assert_close(maps["candidate"], history[-1])
        torch.testing.assert_close(maps["weights"], a.transpose(0, 1))
        torch.testing.assert_close(state, r)
        assert maps["weights"].shape == (2, t + 1, 5, 6)


def test_the_readout_weighs_all_states_by_the_last():
    torch.manual_seed(0)
    readout, history = EtaReadout(8), list(torch.randn(3, 2, 8, 5, 6))
    mixed, maps = readout(iter(history))
    expected, weights = attend(
        readout.query(history[-1]), [readout.key(r) for r in history], history
    )
    assert torch.equal(mixed, expected)
    assert torch.equal(maps["readout"], weights)
    torch.testing.assert_close(weights.sum(1), torch.ones(2, 5, 6))


def test_the_convlstm_reads_the_map_in_every_step_and_adds_it():
    torch.manual_seed(0)
    block, f = ConvLSTMRefiner(4), torch.randn(2, 4, 5, 6)
    state = None
    for refined in block(f, 3):
        state = block.cell(f, state)
        assert torch.equal(refined.state, f + state.h)
        assert set(refined.maps) == set("hcifog")
