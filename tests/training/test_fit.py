import pandas as pd
import pytest
import safetensors.torch
import torch
from training_sample import (
    discs,
    equal_weights,
    everything_random,
    fit_discs,
    last_state,
    make_net,
    make_protocol,
)

from course_lib import training
from course_lib.training.batches import Batches


def test_it_learns_and_keeps_the_best_epoch(tmp_path):
    net, history = fit_discs(tmp_path, make_protocol(epochs=12))
    values = [row["val_dice"] for row in history.epochs]
    assert history.best_value == max(values) > 0.9
    assert history.best_epoch == values.index(max(values))
    assert not net.training
    assert equal_weights(
        net.state_dict(), safetensors.torch.load_file(tmp_path / "best.safetensors")
    )
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "best.json",
        "best.safetensors",
        "last.pt",
    ]


def test_history_is_a_table_of_plain_numbers(tmp_path):
    _, history = fit_discs(tmp_path, make_protocol(epochs=2))
    table = history.as_frame()
    assert isinstance(table, pd.DataFrame)
    assert {"epoch", "loss", "val_loss", "val_dice", "grad_norm", "lr", "seconds"} == set(table)
    assert list(table["epoch"]) == [0, 1]
    assert all(type(value) in (int, float) for row in history.epochs for value in row.values())


def test_same_seed_same_weights_and_another_seed_other_weights(tmp_path):
    one, _ = fit_discs(tmp_path / "a", everything_random())
    torch.rand(3)
    same, _ = fit_discs(tmp_path / "b", everything_random())
    other, _ = fit_discs(tmp_path / "c", everything_random(seed=1))
    assert equal_weights(one.state_dict(), same.state_dict())
    assert not equal_weights(one.state_dict(), other.state_dict())


def test_global_generator_is_left_as_found(tmp_path):
    net = make_net()
    torch.manual_seed(5)
    expected = torch.rand(4)
    torch.manual_seed(5)
    fit_discs(tmp_path, everything_random(max_updates=1), net=net)
    assert torch.equal(torch.rand(4), expected)


def test_validation_dice_is_that_of_metrics_at_this_size(tmp_path):
    from course_lib import metrics

    net, history = fit_discs(tmp_path, make_protocol(epochs=2))
    table = training.evaluate(net, discs(9, seed=1), device="cpu")
    summary = metrics.summarise(table, level="image")
    dice = summary.loc[summary["metric"] == "dice", "mean"].item()
    assert history.best_value == pytest.approx(dice, abs=1e-7)


def test_patience_stops_after_so_many_epochs_without_gain(tmp_path):
    # a gain of more than 2 is impossible, so only the first epoch counts as one
    _, history = fit_discs(tmp_path, make_protocol(epochs=9, patience=2, min_delta=2.0))
    assert len(history.epochs) == 3


def test_equal_values_go_to_the_earlier_epoch():
    rows = [{"val_dice": value} for value in (0.2, 0.5, 0.5, 0.4)]
    history = training.History(rows)
    assert (history.best_epoch, history.best_value) == (1, 0.5)
    assert history.epochs_without_gain(0.0) == 2
    assert history.epochs_without_gain(0.4) == 3


def test_log_gets_every_row_after_its_checkpoint(tmp_path):
    seen = []
    _, history = fit_discs(
        tmp_path,
        make_protocol(epochs=3),
        log=lambda row: seen.append((row, len(last_state(tmp_path)["epochs"]))),
    )
    assert seen == [(row, i + 1) for i, row in enumerate(history.epochs)]


class Recorder:
    """A sampler of given indices, and a strategy that counts and keeps batch sizes."""

    def __init__(self, indices):
        self.indices, self.epochs, self.sizes = indices, [], []

    def draw(self, epoch):
        self.epochs.append(epoch)
        return self.indices

    def __call__(self, forward, images, masks, loss_fn):
        self.sizes.append(len(images))
        yield loss_fn(forward(images), masks)


def test_batches_follow_the_sampler_and_max_updates(tmp_path):
    recorder = Recorder([0, 0, 3, 3, 5, 5, 7, 7, 9, 9])
    fit_discs(tmp_path, make_protocol(epochs=2), sampler=recorder, strategy=recorder)
    assert recorder.epochs == [0, 1]
    assert recorder.sizes == [4, 4, 2] * 2
    cut = Recorder(range(10))
    fit_discs(tmp_path, make_protocol(epochs=1, max_updates=2), sampler=cut, strategy=cut)
    assert cut.sizes == [4, 4]


def test_uniform_sampler_draws_every_case_once_in_a_new_order():
    sampler = training.UniformSampler(50, seed=3)
    first, second = sampler.draw(0), sampler.draw(1)
    assert sorted(first) == sorted(second) == list(range(50))
    assert list(first) != list(second)
    assert list(first) == list(training.UniformSampler(50, seed=3).draw(0))


def test_a_strategy_steps_after_every_loss(tmp_path):
    net, weights = make_net(dropout=0.0), []

    def stage_by_stage(forward, images, masks, loss_fn):
        weights.append(net.first[0].weight.detach().clone())
        yield loss_fn(forward(images, "forward_stages")[0], masks)
        weights.append(net.first[0].weight.detach().clone())
        assert net.heads[1].weight.grad is None
        yield loss_fn(forward(images), masks)
        assert net.heads[0].weight.grad is None

    fit_discs(tmp_path, make_protocol(epochs=1, max_updates=1), net=net, strategy=stage_by_stage)
    final = last_state(tmp_path)["net"]["first.0.weight"]
    assert len(weights) == 2
    assert not torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[1], final)


def test_the_learning_rate_follows_the_updates(tmp_path):
    rates = []

    def spy(forward, images, masks, loss_fn):
        yield loss_fn(forward(images), masks)
        rates.append(optimiser_of(spy).param_groups[0]["lr"])

    original = torch.optim.Adam.__init__

    def optimiser_of(_):
        return spy.optimiser

    def keep(self, *args, **kwargs):
        original(self, *args, **kwargs)
        spy.optimiser = self

    protocol = make_protocol(optimiser="adam", schedule="cosine", epochs=2, batch=11)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.optim.Adam, "__init__", keep)
        fit_discs(tmp_path, protocol, strategy=spy)
    assert rates == pytest.approx([protocol.rate(share) for share in (0, 0.25, 0.5, 0.75)])


def test_clipping_limits_the_step_but_not_the_recorded_norm(tmp_path):
    def gradient_norm(clip, folder):
        kept = []

        def spy(forward, images, masks, loss_fn):
            yield loss_fn(forward(images), masks)
            kept.append(
                torch.nn.utils.get_total_norm(
                    [p.grad for p in net.parameters() if p.grad is not None]
                ).item()
            )

        net = make_net()
        _, history = fit_discs(
            tmp_path / folder,
            make_protocol(epochs=1, max_updates=1, clip=clip),
            net=net,
            strategy=spy,
        )
        return kept[0], history.epochs[0]["grad_norm"]

    free, recorded = gradient_norm(None, "free")
    clipped, recorded_too = gradient_norm(free / 10, "clipped")
    assert free == pytest.approx(recorded) == pytest.approx(recorded_too)
    assert clipped == pytest.approx(free / 10, rel=1e-3)


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_half_precision_trains_float32_weights(tmp_path, precision):
    seen = []

    def spy(forward, images, masks, loss_fn):
        logits = forward(images)
        seen.append(logits.dtype)
        yield loss_fn(logits, masks)

    net, history = fit_discs(tmp_path, make_protocol(epochs=8, precision=precision), strategy=spy)
    assert set(seen) == {{"bf16": torch.bfloat16, "fp16": torch.float16}[precision]}
    assert {p.dtype for p in net.parameters()} == {torch.float32}
    assert history.best_value > 0.8


def test_three_classes(tmp_path):
    net = make_net(num_classes=3)
    history = training.fit(
        net,
        discs(30, classes=3),
        discs(10, classes=3, seed=1),
        make_protocol(epochs=12),
        tmp_path,
        device="cpu",
    )
    assert history.best_value > 0.7
    table = training.evaluate(net, discs(10, classes=3, seed=2), device="cpu")
    assert list(table["class_name"].unique()) == ["disc", "bright"]


def test_dry_run_tells_and_changes_nothing(tmp_path):
    net = make_net()
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    found = training.fit(
        net, discs(22), discs(9), make_protocol(), tmp_path / "none", device="cpu", dry_run=True
    )
    assert (found.images, found.logits) == ((4, 1, 16, 16), (4, 1, 16, 16))
    assert found.parameters == sum(p.numel() for p in net.parameters())
    assert found.without_gradient == ["heads.0.weight", "heads.0.bias"]
    assert (found.updates_per_epoch, found.updates) == (6, 24)
    assert found.loss > 0
    assert found.grad_norm > 0
    assert "heads.0.bias" in str(found)
    assert equal_weights(net.state_dict(), before)
    assert net.training
    assert all(p.grad is None for p in net.parameters())
    assert not (tmp_path / "none").exists()


def test_a_net_with_other_channels_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"gives 3 channels .* 2 classes.*num_classes=1$"):
        fit_discs(tmp_path, make_protocol(), net=make_net(num_classes=3))


def test_empty_parts_and_empty_draws_are_refused(tmp_path):
    nothing = discs(3).subset([])
    with pytest.raises(ValueError, match=r"^train holds no case"):
        training.fit(make_net(), nothing, discs(3), make_protocol(), tmp_path)
    with pytest.raises(ValueError, match=r"^validation holds no case"):
        training.fit(make_net(), discs(3), nothing, make_protocol(), tmp_path)
    with pytest.raises(ValueError, match="epoch 0: the sampler drew 0 cases, less than 1"):
        fit_discs(tmp_path, make_protocol(), sampler=Recorder([]))
    for wrong in (-1, 22):
        with pytest.raises(ValueError, match=f"the sampler drew case {wrong} of 0..21"):
            fit_discs(tmp_path, make_protocol(), sampler=Recorder([3, wrong]))
    with pytest.raises(ValueError, match="strategy yielded no loss"):
        fit_discs(tmp_path, make_protocol(), strategy=lambda *_: [])


def test_a_set_that_lies_on_the_device_gives_the_same_batches(monkeypatch):
    from course_lib.training import batches

    data, device = discs(12).subset([3, 1, 11, 5]), torch.device("cpu")
    sliced = Batches(data, device)
    monkeypatch.setattr(batches, "fits", lambda *_: True)
    resident = Batches(data, device)
    assert sliced.resident is None
    assert resident.resident[0].dtype == torch.uint8
    for one, other in zip(sliced.read([2, 0]), resident.read([2, 0]), strict=True):
        assert torch.equal(one, other)
        assert one.dtype == other.dtype


def test_deterministic_gives_the_settings_back():
    before = torch.are_deterministic_algorithms_enabled()
    with training.deterministic():
        assert torch.are_deterministic_algorithms_enabled()
    assert torch.are_deterministic_algorithms_enabled() == before
