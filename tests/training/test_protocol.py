import dataclasses
import json
from dataclasses import replace

import pandas as pd
import pytest
import torch

from course_lib import losses, training
from course_lib.cli.sweep import design
from course_lib.data import splits
from course_lib.data.transforms import Augmentation
from course_lib.training import PROTOCOLS, Protocol


def test_reunet_preset_is_section_4_2():
    protocol = PROTOCOLS["reunet"]
    assert (protocol.optimiser, protocol.learning_rate, protocol.schedule) == (
        "adam",
        0.001,
        "fixed",
    )
    assert (protocol.epochs, protocol.batch, protocol.patience) == (150, 4, 5)
    assert (protocol.loss, protocol.clip) == ("cross_entropy", None)


def test_the_rest_of_reunets_protocol_is_there_too():
    sweep = design.read(design.find("reunet_paper"), "full")
    assert len(sweep.seeds) == 5
    assert sweep.fixed["size"] == 256
    assert "epochs" not in sweep.fixed  # so that the preset decides
    cases = pd.DataFrame({"case_id": range(100), "group": range(100)})
    parts = splits.make(cases, seed=0)
    assert parts.value_counts().to_dict() == {"train": 60, "val": 20, "test": 20}


def test_plnet_preset_is_section_4_2():
    protocol = PROTOCOLS["plnet"]
    assert (protocol.optimiser, protocol.learning_rate, protocol.schedule) == (
        "adam",
        1e-4,
        "fixed",
    )
    assert (protocol.epochs, protocol.batch, protocol.patience) == (200, 16, 20)
    assert protocol.loss == "dice"
    assert protocol.augmentation == Augmentation(flip=True, rotate=25, shift=0.15)


def test_sigrenet_preset_is_section_3_4():
    protocol = PROTOCOLS["sigrenet"]
    assert (protocol.optimiser, protocol.learning_rate, protocol.schedule) == (
        "adamw",
        0.001,
        "cosine",
    )
    assert (protocol.epochs, protocol.batch, protocol.patience) == (200, 16, 20)
    assert (protocol.loss, protocol.clip) == ("dice_ce", 5.0)
    assert (protocol.augmentation.flip, protocol.augmentation.rotate) == (True, 15)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("optimiser", "sgd"),
        ("learning_rate", 0),
        ("learning_rate", float("nan")),
        ("learning_rate", "0.1"),
        ("weight_decay", -0.1),
        ("schedule", "step"),
        ("epochs", 0),
        ("epochs", 2.5),
        ("batch", True),
        ("max_updates", 0),
        ("patience", -1),
        ("min_delta", -1),
        ("clip", 0.0),
        ("loss", "hinge"),
        ("augmentation", {"flip": True}),
        ("precision", "double"),
        ("seed", -1),
    ],
)
def test_a_wrong_value_is_refused_in_one_line_that_names_it(field, value):
    with pytest.raises(ValueError, match=f"^{field} must .*got") as error:
        replace(PROTOCOLS["course"], **{field: value})
    assert "\n" not in str(error.value)


def test_cosine_falls_from_the_learning_rate_to_zero():
    protocol = Protocol(learning_rate=0.2, schedule="cosine")
    assert protocol.rate(0) == 0.2
    assert protocol.rate(0.5) == pytest.approx(0.1)
    assert protocol.rate(1) == pytest.approx(0)
    assert replace(protocol, schedule="fixed").rate(0.7) == 0.2


def test_a_protocol_is_frozen_and_plain():
    protocol = PROTOCOLS["plnet"]
    with pytest.raises(dataclasses.FrozenInstanceError):
        protocol.epochs = 3
    assert json.loads(json.dumps(protocol.as_dict())) == protocol.as_dict()


def test_losses_by_name_are_those_of_the_library():
    logits, target = torch.randn(2, 3, 4, 4), torch.randint(3, (2, 4, 4))
    for name, function in training.LOSSES.items():
        assert function(logits, target) == getattr(losses, f"{name}_loss")(logits, target)
