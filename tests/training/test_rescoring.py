"""Scores that follow the training, and the loss that leaves the hardest images out."""

import numpy as np
import pytest
import torch
from training_sample import discs, equal_weights, everything_random, fit_discs, make_net

from course_lib import losses
from course_lib.curriculum import (
    CurriculumSampler,
    Rescoring,
    Scores,
    TruncatedLoss,
    difficulty,
)
from course_lib.training.batches import fingerprint

DATA = discs(22)


class Interrupted(Exception):
    pass


def interrupt(row):
    if row["epoch"] == 2:
        raise Interrupted


def make(score=None, **options):
    ids = tuple(DATA.cases["case_id"])
    scores = Scores(ids, np.linspace(0, 1, 22), "given", data=fingerprint(DATA))
    sampler = CurriculumSampler(
        scores, seed=1, epochs=5, num_samples=24, batch_size=4, pacing="linear"
    )
    score = score or (lambda net: difficulty.own_loss(net, DATA))
    return Rescoring(sampler, score, **{"every": 2, "warm_up": 1, "share": 0.5, **options})


def test_scores_move_after_the_warm_up_and_every_so_often(tmp_path):
    seen = []

    def score(net):
        seen.append(net.training)
        return difficulty.own_loss(net, DATA)

    sampler = make(score)
    fit_discs(tmp_path, everything_random(), sampler=sampler)
    starts = [start for start, _ in sampler.sampler.tables]
    assert starts == [0, 1, 3]  # not after the last epoch
    assert len(seen) == 2
    tables = [table for _, table in sampler.sampler.tables]
    assert [table.kind for table in tables] == ["given", "blended-loss", "blended-loss"]
    assert len({table.digest for table in tables}) == 3


def test_own_loss_is_dice_plus_cross_entropy_of_each_case_and_changes_nothing():
    net = make_net().train()
    found = difficulty.own_loss(net, DATA)
    assert net.training
    net.eval()
    images, masks = DATA.batch(range(22))
    with torch.inference_mode():
        logits = net(images)
        expected = [losses.dice_ce_loss(logits[i : i + 1], masks[i : i + 1]) for i in range(22)]
    assert found.values == pytest.approx([value.item() for value in expected], rel=1e-5)


def test_a_resumed_run_has_the_same_scores_and_weights_bit_for_bit(tmp_path):
    one, sampler = make(), make()
    whole, _ = fit_discs(tmp_path / "a", everything_random(), sampler=one)
    with pytest.raises(Interrupted):
        fit_discs(tmp_path / "b", everything_random(), sampler=make(), log=interrupt)
    net, _ = fit_discs(tmp_path / "b", everything_random(), sampler=sampler, resume=True)
    assert equal_weights(net.state_dict(), whole.state_dict())
    for (start, table), (other_start, other) in zip(
        one.sampler.tables, sampler.sampler.tables, strict=True
    ):
        assert (start, table.digest) == (other_start, other.digest)


def test_a_resume_with_other_options_is_refused(tmp_path):
    with pytest.raises(Interrupted):
        fit_discs(tmp_path, everything_random(), sampler=make(), log=interrupt)
    with pytest.raises(ValueError, match=r"made with rescoring .*'every': 2.* not .*'every': 1"):
        fit_discs(tmp_path, everything_random(), sampler=make(every=1), resume=True)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"every": 0}, "every must be a whole number from 1, got 0"),
        ({"warm_up": 0}, "warm_up must be a whole number from 1, got 0"),
        ({"share": 0}, r"share must be in \(0, 1\], got 0"),
    ],
)
def test_wrong_options_of_rescoring_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        make(**options)


# Truncation


def test_the_images_with_the_largest_losses_are_left_out_after_the_warm_up():
    net, (images, masks) = make_net(dropout=0.0), DATA.batch(range(8))
    strategy = TruncatedLoss(drop=0.3, warm_up=0.5)
    strategy.start_epoch(1, 4)
    (whole,) = strategy(net, images, masks, losses.dice_ce_loss)
    assert torch.isclose(whole, losses.dice_ce_loss(net(images), masks))
    strategy.start_epoch(2, 4)
    (kept,) = strategy(net, images, masks, losses.dice_ce_loss)
    logits = net(images)
    each = [losses.dice_ce_loss(logits[i : i + 1], masks[i : i + 1]).item() for i in range(8)]
    assert kept.item() == pytest.approx(np.mean(sorted(each)[:6]))  # floor(0.3 * 8) = 2


def test_it_trains(tmp_path):
    _, history = fit_discs(tmp_path, everything_random(), strategy=TruncatedLoss())
    assert len(history.epochs) == 5


@pytest.mark.parametrize("options", [{"drop": 0}, {"drop": 1}, {"warm_up": 1}, {"warm_up": -0.1}])
def test_wrong_options_of_truncation_are_refused(options):
    with pytest.raises(ValueError, match=r"must be in [(\[]0, 1\), got"):
        TruncatedLoss(**options)
