"""Leakage by sibling tiles: what a split holds, and that each net learns as its name says."""

import argparse

import numpy as np
import pandas as pd
import pytest
import torch

from benchmarks import siblings
from course_lib.data import phantoms, prepared

SMALL = {"size": 32, "base": 2, "updates": 2, "batch": 2, "rate": 1e-3, "fields": 2, "splits": 1}


def tiles(fields=9, each=4):
    """Cases of some fields of two families, in pieces."""
    field = np.repeat(np.arange(fields), each)
    family = np.where(field % 2, "gray_a", "colour_b")
    names = [f"case-{i}" for i in range(len(field))]
    return pd.DataFrame({"case_id": names, "group": field.astype(str), "family": family})


@pytest.fixture(scope="module")
def data():
    cases = tiles()
    made = phantoms.generate(len(cases), 32, seed=0)
    return prepared.from_arrays("tiles", made.images, made.masks, cases, made.classes)


def arguments(**changed):
    return argparse.Namespace(**SMALL | {"net": "unet", "data": "", "first_seed": 0} | changed)


def test_siblings_share_fields_with_the_test_and_strangers_only_their_family():
    cases = tiles()
    parts = siblings.draw(cases, 2, np.random.default_rng(0))
    fields = {name: set(cases.group[rows]) for name, rows in parts.items()}
    assert {name: len(rows) for name, rows in parts.items()} == dict.fromkeys(parts, 4)
    assert fields["siblings"] == fields["test"]
    assert not fields["test"] & (fields["strangers"] | fields["common"])
    assert not set(parts["test"]) & set(parts["siblings"])
    pairs = zip(parts["siblings"], parts["strangers"], strict=True)
    assert all(cases.family[a] == cases.family[b] for a, b in pairs)


def test_too_many_fields_are_refused():
    with pytest.raises(ValueError, match="9 fields have enough tiles: ask for 3 at most"):
        siblings.draw(tiles(), 4, np.random.default_rng(0))


def test_every_net_gives_a_result_that_names_it(data, monkeypatch):
    monkeypatch.setattr(prepared, "open", lambda _: data)
    for net, (said, *_) in siblings.NETS.items():
        found = siblings.measure(arguments(net=net))
        assert found["settings"]["net"] == said
        assert 0 <= found["summary"]["dice_out"] <= 1


def test_plnet_learns_with_external_progressive_learning(data):
    torch.manual_seed(0)
    before = siblings.models.create("plnet", base=2).state_dict()
    after = siblings.train(data, [0, 1, 2], arguments(net="plnet"), seed=0).state_dict()
    for name in ("head1.weight", "head2.weight", "stages.0.stem.0.conv.weight"):
        # one loss alone would leave head1 as it was drawn
        assert not torch.equal(before[name], after[name]), name
