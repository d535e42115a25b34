"""The loss of four terms in the training loop: what is added, what is logged, what is resumed."""

import pytest
import torch
from torch import nn
from training_sample import discs, equal_weights, fit_discs, make_protocol

from course_lib import losses, models, training
from course_lib.curriculum import RegionStep
from course_lib.losses import HybridWeights
from course_lib.training import HybridStep


class Net(nn.Module):
    """Logits, auxiliary logits at two scales and two steps, and a reconstruction."""

    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(1, 6, 3, padding=1), nn.ReLU())
        self.head, self.recon_head = nn.Conv2d(6, 1, 1), nn.Conv2d(6, 1, 1)
        self.aux_heads = nn.ModuleList(nn.Conv2d(6, 1, 1) for _ in range(4))

    def forward(self, x):
        return self.head(self.body(x))

    def forward_stages(self, x):
        maps = self.body(x)
        half = nn.functional.avg_pool2d(maps, 2)
        places = ((1, 1, half), (1, 2, half), (0, 1, maps), (0, 2, maps))
        heads = zip(places, self.aux_heads, strict=True)
        return [(scale, step, head(m)) for (scale, step, m), head in heads], self.head(maps)

    def forward_reconstruction(self, x):
        return self.recon_head(self.body(x))


def make():
    torch.manual_seed(0)
    return Net()


def call(net):
    """Stand for what fit hands to a strategy."""
    return lambda images, method="forward": getattr(net, method)(images)


@pytest.fixture(scope="module")
def batch():
    return discs(4).batch(range(4))


def test_the_loss_is_the_weighted_sum_of_the_four_terms(batch):
    net, step = make(), HybridStep(auxiliary=0)
    torch.manual_seed(5)
    (loss,) = step(call(net), *batch, None)
    images, masks = batch
    torch.manual_seed(5)
    noisy = net(images + 0.1 * torch.randn_like(images))
    assert torch.isclose(loss, losses.hybrid_loss(net(images), masks, noisy))
    assert set(step.finish_epoch()) == {
        "loss_dice", "loss_ce", "loss_boundary", "loss_consistency"
    }  # fmt: skip


def test_a_flipped_copy_is_compared_flipped_back(batch):
    net, step = make(), HybridStep(self_supervised="flip", auxiliary=0)
    images, masks = batch
    (loss,) = step(call(net), images, masks, None)
    back = net(images.flip(-1)).flip(-1)
    assert torch.isclose(loss, losses.hybrid_loss(net(images), masks, back))
    assert losses.consistency_loss(net(images), back) > 0


def test_auxiliary_logits_count_by_step_and_scale(batch):
    net, (images, masks) = make(), batch
    plain = HybridWeights(boundary=0, consistency=0)
    step = HybridStep(plain, auxiliary=0.5)
    (loss,) = step(call(net), images, masks, None)
    aux, logits = net.forward_stages(images)
    half = losses.pooled_reference(masks, 1, (8, 8))
    coarse = [losses.soft_dice_ce_loss(z, half) for scale, _, z in aux if scale]
    fine = [losses.dice_ce_loss(z, masks) for scale, _, z in aux if not scale]
    expected = sum((one + 2 * two) / 3 for one, two in (coarse, fine)) / 2
    assert torch.isclose(loss, losses.dice_ce_loss(logits, masks) + expected / 2)
    assert step.finish_epoch()["loss_auxiliary"] == pytest.approx(expected.item())


def test_kervadecs_weight_grows_and_his_maps_are_kept(batch):
    net, (images, masks) = make(), batch
    step = HybridStep(HybridWeights(consistency=0), boundary="kervadec", auxiliary=0)
    distance = losses.distance_map(masks)
    for epoch, weight in ((0, 0.0), (1, 0.01), (30, 0.3), (90, 0.5)):
        step.start_epoch(epoch, 100)
        (loss,) = step(call(net), images, masks, None)
        expected = losses.dice_ce_loss(net(images), masks)
        expected = expected + weight * losses.boundary_loss(net(images), distance)
        assert torch.isclose(loss, expected)
    step(call(net), images.flip(-1), masks.flip(-1), None)
    assert step.maps.computed == len({m.numpy().tobytes() for m in masks})


def test_reconstruction_is_of_hidden_parts_only(batch):
    net, seen = make(), []

    class Spy(Net):
        def forward_reconstruction(self, x):
            seen.append(x)
            return super().forward_reconstruction(x)

    net = Spy()
    step = HybridStep(self_supervised="reconstruction", auxiliary=0)
    (loss,) = step(call(net), *batch, None)
    hidden = (seen[0] == 0).float().mean()
    assert 0.2 < hidden < 0.8
    terms = step.finish_epoch()
    assert "loss_consistency" not in terms
    total = terms["loss_dice"] + terms["loss_ce"] + 0.1 * terms["loss_boundary"]
    assert loss.item() == pytest.approx(total + 0.1 * terms["loss_reconstruction"])


def test_means_of_the_terms_are_in_the_history_and_start_anew_each_epoch(tmp_path):
    _, history = fit_discs(tmp_path, make_protocol(epochs=3), net=make(), strategy=HybridStep())
    table = history.as_frame()
    terms = table[["loss_dice", "loss_ce", "loss_boundary", "loss_consistency", "loss_auxiliary"]]
    weighted = terms @ [1, 1, 0.1, 0.1, 0.5]
    # 22 cases in batches of 4: fit weighs the last, short batch less
    assert weighted.to_numpy() == pytest.approx(table["loss"].to_numpy(), rel=0.1)
    assert terms["loss_dice"].iloc[-1] < terms["loss_dice"].iloc[0]


class Interrupted(Exception):
    pass


def interrupt(row):
    if row["epoch"] == 1:
        raise Interrupted


@pytest.mark.parametrize(
    "strategy",
    [HybridStep, lambda: HybridStep(boundary="kervadec"), lambda: RegionStep(by="step")],
    ids=["laplacian", "kervadec", "regions"],
)
def test_a_resumed_run_equals_an_uninterrupted_one_bit_for_bit(tmp_path, strategy):
    protocol = make_protocol()
    whole, history = fit_discs(tmp_path / "a", protocol, net=make(), strategy=strategy())
    with pytest.raises(Interrupted):
        fit_discs(tmp_path / "b", protocol, net=make(), strategy=strategy(), log=interrupt)
    net, again = fit_discs(tmp_path / "b", protocol, net=make(), strategy=strategy(), resume=True)
    assert equal_weights(net.state_dict(), whole.state_dict())
    assert (
        again.as_frame().drop(columns="seconds").equals(history.as_frame().drop(columns="seconds"))
    )


def test_a_resume_with_other_settings_is_refused(tmp_path):
    protocol = make_protocol(epochs=2)
    fit_discs(tmp_path, protocol, net=make(), strategy=HybridStep())
    for other in (HybridStep(noise=0.2), HybridStep(HybridWeights(boundary=0.2))):
        with pytest.raises(ValueError, match="made with other strategy settings"):
            fit_discs(tmp_path, protocol, net=make(), strategy=other, resume=True)


def test_a_dry_run_works_and_reaches_all_but_the_other_heads(tmp_path):
    found = training.fit(
        make(), discs(8), discs(4), make_protocol(), tmp_path,
        device="cpu", strategy=HybridStep(), dry_run=True,
    )  # fmt: skip
    assert found.without_gradient == ["recon_head.weight", "recon_head.bias"]


@pytest.mark.parametrize("strategy", [HybridStep(), RegionStep(by="step", warm_up=0)])
def test_sigrenet_is_reached_whole(tmp_path, strategy):
    torch.manual_seed(0)
    net = models.create("sigrenet", in_channels=1, channels=(4, 8, 8), steps=2)
    options = {"device": "cpu", "strategy": strategy, "dry_run": True}
    found = training.fit(net, discs(8), discs(4), make_protocol(), tmp_path, **options)
    assert found.without_gradient == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"boundary": "sobel"}, "boundary must be one of laplacian, kervadec, got 'sobel'"),
        ({"self_supervised": "colour"}, "self_supervised must be one of noise, flip, recon"),
        ({"noise": -0.1}, "noise must be 0 or greater, got -0.1"),
        ({"auxiliary": float("nan")}, "auxiliary must be 0 or greater, got nan"),
    ],
)
def test_wrong_options_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        HybridStep(**options)
