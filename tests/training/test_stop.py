import json

import pytest
import torch
from torch import nn
from training_sample import discs, fit_discs, last_state, make_net, make_protocol

from course_lib.training import one_step
from course_lib.training.update import NonFinite, apply


class Faulty:
    """The default strategy, whose loss is spoilt in one update."""

    def __init__(self, update, spoil):
        self.update, self.spoil, self.count, self.before = update, spoil, 0, None

    def __call__(self, forward, images, masks, loss_fn):
        logits = forward(images)
        if self.count == self.update:
            self.before = [p.detach().clone() for p in forward.net.parameters()]
            yield self.spoil(logits)
        else:
            yield loss_fn(logits, masks)
        self.count += 1


SPOILT = {
    "nan loss": lambda logits: logits.mean() * float("nan"),
    "infinite loss": lambda logits: logits.mean() + float("inf"),
    "gradient only": lambda logits: (logits - logits.detach()).abs().sum().sqrt(),
}


@pytest.mark.parametrize("kind", SPOILT)
def test_it_stops_before_the_update_and_names_the_cases(tmp_path, kind):
    net, fault = make_net(), Faulty(6 + 2, SPOILT[kind])
    order = list(range(21, -1, -1))

    class Backwards:
        def draw(self, epoch):
            return order

    with pytest.raises(FloatingPointError, match=r"^epoch 1, update 2: loss .*disc013") as error:
        fit_discs(tmp_path, make_protocol(), net=net, strategy=fault, sampler=Backwards())
    message = str(error.value)
    ids = ["disc013", "disc012", "disc011", "disc010"]
    assert ", ".join(ids) in message
    assert "\n" not in message
    assert all(torch.equal(a, b) for a, b in zip(net.parameters(), fault.before, strict=True))
    about = json.loads((tmp_path / "stopped.json").read_text(encoding="utf-8"))
    assert about["case_ids"] == ids
    assert (about["epoch"], about["update"]) == (1, 2)
    assert len(last_state(tmp_path)["epochs"]) == 1
    assert all(tensor.isfinite().all() for tensor in last_state(tmp_path)["net"].values())


def test_a_resumed_run_comes_to_the_same_stop(tmp_path):
    class BadCase:
        """A loss that is NaN for a batch of one case only."""

        __qualname__ = "bad_case"

        def __call__(self, forward, images, masks, loss_fn):
            loss = loss_fn(forward(images), masks)
            yield loss * float("nan") if (images == images[0]).all() else loss

    data = discs(22)

    class SameCase:
        def draw(self, epoch):
            return [0, 1, 2, 3] if epoch < 2 else [0, 1, 2, 3, 7, 7, 7, 7]

    messages = []
    for resume in (False, True):
        with pytest.raises(FloatingPointError) as error:
            fit_discs(
                tmp_path,
                make_protocol(),
                train=data,
                strategy=BadCase(),
                sampler=SameCase(),
                resume=resume,
            )
        messages.append(str(error.value))
    assert messages[0] == messages[1]
    assert messages[0].startswith("epoch 2, update 1:")
    options = {"train": data, "sampler": SameCase(), "resume": True}
    mended = type("Mended", (), {"__qualname__": "bad_case", "__call__": staticmethod(one_step)})()
    fit_discs(tmp_path, make_protocol(), strategy=mended, **options)
    assert not (tmp_path / "stopped.json").exists()


def test_fp16_skips_overflowing_updates_until_no_scale_is_left():
    weight = nn.Parameter(torch.ones(3))
    optimiser = torch.optim.Adam([weight])
    scaler = torch.amp.GradScaler("cpu", init_scale=4.0, backoff_factor=0.5)

    def overflowing():
        return (weight - weight.detach()).abs().sum().sqrt()

    for _ in range(2):
        apply(overflowing(), optimiser, scaler, clip=1.0)
    assert torch.equal(weight, torch.ones(3))
    assert scaler.get_scale() == 1.0
    with pytest.raises(NonFinite):
        apply(overflowing(), optimiser, scaler, clip=1.0)
