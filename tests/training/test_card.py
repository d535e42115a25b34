"""A card comes back from a file as it was written, or is refused in one line."""

import json

import pytest
import torch

from course_lib import models
from course_lib.training.card import Card, card_of


def test_a_card_survives_a_file():
    net = models.create("sigrenet", in_channels=1, num_classes=3, channels=(4, 8), steps=1)
    card = card_of(net, 1, (24, 32), ("background", "left", "right"))
    assert net.training
    assert (card.net, card.in_channels, card.num_classes) == ("sigrenet", 1, 3)
    again = Card.from_json(card.to_json())
    assert again == card
    models.create(again.net, **again.options).load_state_dict(net.state_dict())


def test_a_net_of_ones_own_has_no_name():
    card = card_of(torch.nn.Conv2d(1, 1, 1), 1, (8, 8), ("background", "target"))
    assert (card.net, card.options) == ("", {})


@pytest.mark.parametrize("change", [{"size": None}, {"classes": 3}, {"unknown": 1}])
def test_text_that_is_no_card_is_refused(change):
    card = Card("", {}, 1, 1, (8, 8), ("background", "target"))
    text = json.dumps(json.loads(card.to_json()) | change)
    with pytest.raises(ValueError, match="this is no card of a net"):
        Card.from_json(text)
    with pytest.raises(ValueError, match="this is no card of a net"):
        Card.from_json("{")


def test_a_card_must_be_possible():
    with pytest.raises(ValueError, match="threshold must be between 0 and 1, got 1"):
        Card("", {}, 1, 1, (8, 8), ("background", "target"), threshold=1)
    with pytest.raises(ValueError, match="3 channels has 3 classes with the background, got 2"):
        Card("", {}, 1, 3, (8, 8), ("background", "target"))
