"""External progressive learning: what each update may touch, and a loop without the library."""

import pytest
import torch
from training_sample import discs, equal_weights, fit_discs, make_protocol

from course_lib import losses, models, training
from course_lib.training import EPL


def make_net(**options):
    torch.manual_seed(0)
    return models.create("plnet", in_channels=1, base=4, depths=(1, 2), **options)


def snapshot(net):
    return {name: p.detach().clone() for name, p in net.named_parameters()}


def changed(before, after):
    """The parts of the net in which a parameter differs."""
    names = [name for name, p in after.items() if not torch.equal(p, before[name])]
    return {
        ".".join(name.split(".")[:2]) if "stages" in name else name.split(".")[0] for name in names
    }


def fit_once(tmp_path, strategy, net, resume=False, **changes):
    """One batch of four discs, no augmentation, Adam and Dice."""
    protocol = make_protocol(
        **{"epochs": 1, "max_updates": 1, "optimiser": "adam", "loss": "dice", **changes}
    )
    return fit_discs(tmp_path, protocol, net=net, strategy=strategy, resume=resume)


class Watched:
    """A strategy that keeps the parameters before every loss, and after the last one."""

    def __init__(self, strategy, net):
        self.strategy, self.net, self.seen, self.batches = strategy, net, [], []

    def __call__(self, forward, images, masks, loss_fn):
        self.batches.append((images, masks))
        for loss in self.strategy(forward, images, masks, loss_fn):
            self.seen.append(snapshot(self.net))
            yield loss
        self.seen.append(snapshot(self.net))


@pytest.mark.parametrize(
    ("epl", "updates"),
    [
        ("on", [{"stages.0", "head1"}, {"stages.0", "stages.1", "fusion", "head2"}]),
        ("joint", [{"stages.0", "stages.1", "fusion", "head1", "head2"}]),
        ("off", [{"stages.0", "stages.1", "fusion", "head2"}]),
    ],
)
def test_every_update_touches_the_parts_it_should(tmp_path, epl, updates):
    net = make_net()
    watched = Watched(EPL[epl], net)
    fit_once(tmp_path, watched, net)
    steps = zip(watched.seen, watched.seen[1:], strict=False)
    assert [changed(before, after) for before, after in steps] == updates


def test_a_frozen_stage_1_stays_as_drawn(tmp_path):
    net = make_net()
    net.stages[0].requires_grad_(False)
    before = snapshot(net)
    fit_once(tmp_path, EPL["off"], net)
    assert changed(before, snapshot(net)) == {"stages.1", "fusion", "head2"}


def by_hand(net, batches, epl, rate):
    """The same training in a plain loop."""
    net.train()
    optimiser = torch.optim.Adam(net.parameters(), lr=rate)

    def step(loss):
        for p in net.parameters():
            p.grad = None
        loss.backward()
        optimiser.step()

    for images, masks in batches:
        if epl == "on":
            step(losses.dice_loss(net.forward_stage1(images)[1], masks))
        if epl == "joint":
            stage1, stage2 = net.forward_stages(images)
            step(losses.dice_loss(stage1, masks) + losses.dice_loss(stage2, masks))
        else:
            step(losses.dice_loss(net(images), masks))
    return net.eval()


@pytest.mark.parametrize("epl", EPL)
def test_fit_equals_a_plain_loop(tmp_path, epl):
    net = make_net()
    watched = Watched(EPL[epl], net)
    fit_once(tmp_path, watched, net, max_updates=3)
    assert len(watched.batches) == 3
    expected = by_hand(make_net(), watched.batches, epl, rate=0.02)
    assert equal_weights(net.state_dict(), expected.state_dict())


def test_the_second_loss_sees_what_the_first_update_left(tmp_path):
    """Its gradient for stage 1 is that of a whole forward pass at the weights in between."""
    net = make_net()
    watched = Watched(EPL["on"], net)
    fit_once(tmp_path, watched, net)
    other = make_net()
    ((images, masks),) = watched.batches
    other.load_state_dict(watched.seen[1], strict=False)
    losses.dice_loss(other(images), masks).backward()
    left = [name for name, p in other.named_parameters() if p.grad is None]
    assert left == ["head1.weight", "head1.bias"]
    assert other.stages[0].stem[0].conv.weight.grad.abs().max() > 1e-6


def test_one_graph_cannot_serve_both_updates(tmp_path):
    def reusing(forward, images, masks, loss_fn):
        stage1, stage2 = forward(images, "forward_stages")
        loss = loss_fn(stage2, masks)
        yield loss_fn(stage1, masks)
        yield loss

    with pytest.raises(RuntimeError, match="backward through the graph a second time"):
        fit_once(tmp_path, reusing, make_net())


@pytest.mark.parametrize("epl", EPL)
def test_it_learns(tmp_path, epl):
    protocol = make_protocol(epochs=10, loss="dice_ce", learning_rate=0.01)
    _, history = fit_discs(tmp_path, protocol, net=make_net(), strategy=EPL[epl])
    assert history.best_value > 0.9


@pytest.mark.parametrize(
    ("epl", "left_out"), [("on", []), ("joint", []), ("off", ["head1.weight", "head1.bias"])]
)
def test_a_dry_run_counts_what_any_of_the_losses_reaches(tmp_path, epl, left_out):
    net = make_net()
    found = training.fit(
        net, discs(4), discs(4), make_protocol(), tmp_path, strategy=EPL[epl], dry_run=True
    )
    assert found.without_gradient == left_out


def test_a_resumed_run_must_keep_its_strategy(tmp_path):
    net = make_net()
    fit_once(tmp_path, EPL["on"], net)
    with pytest.raises(ValueError, match="other strategy"):
        fit_once(tmp_path, EPL["joint"], net, resume=True)


def test_a_net_of_one_stage_says_so(tmp_path):
    torch.manual_seed(0)
    net = models.create("plnet", in_channels=1, base=4, depths=(1,))
    with pytest.raises(ValueError, match="a single stage: give two depths"):
        fit_once(tmp_path, EPL["on"], net)
