"""The sampler in the training loop: order, refusals, resume."""

import numpy as np
import pytest
from training_sample import discs, equal_weights, everything_random, fit_discs, make_protocol

from course_lib.curriculum import CurriculumSampler, Scores
from course_lib.training.batches import fingerprint


class Interrupted(Exception):
    pass


def interrupt(row):
    if row["epoch"] == 2:
        raise Interrupted


def make_sampler(scores=None, **changes):
    scores = np.linspace(1, 0, 22) if scores is None else scores
    options = {"seed": 1, "epochs": 5, "num_samples": 24, "batch_size": 4, "pacing": "linear"}
    return CurriculumSampler(scores, **{**options, **changes})


def scores_of(data, **changes):
    ids = tuple(data.cases["case_id"])
    return Scores(ids, np.linspace(0, 1, len(data)), "recon", data=fingerprint(data), **changes)


def test_a_resumed_run_equals_an_uninterrupted_one_bit_for_bit(tmp_path):
    whole, history = fit_discs(tmp_path / "a", everything_random(), sampler=make_sampler())
    with pytest.raises(Interrupted):
        fit_discs(tmp_path / "b", everything_random(), sampler=make_sampler(), log=interrupt)
    sampler = make_sampler()
    net, again = fit_discs(tmp_path / "b", everything_random(), sampler=sampler, resume=True)
    assert equal_weights(net.state_dict(), whole.state_dict())
    assert [row["loss"] for row in again.epochs] == [row["loss"] for row in history.epochs]
    assert (sampler.epoch, sampler.consumed) == (5, 0)


def test_a_resume_with_another_order_is_refused(tmp_path):
    with pytest.raises(Interrupted):
        fit_discs(tmp_path, everything_random(), sampler=make_sampler(), log=interrupt)
    others = {
        "other scores": make_sampler(np.arange(22.0)),
        "made with order = 'easy', not 'random'": make_sampler(order="random"),
        "made with pacing": make_sampler(pacing="root"),
    }
    for message, sampler in others.items():
        with pytest.raises(ValueError, match=message):
            fit_discs(tmp_path, everything_random(), sampler=sampler, resume=True)


@pytest.mark.parametrize("dry_run", [False, True])
@pytest.mark.parametrize(
    ("sampler", "message"),
    [
        (make_sampler(np.arange(21.0)), "scores of 21 cases, discs has 22"),
        (make_sampler(np.arange(23.0)), "scores of 23 cases, discs has 22"),
        (make_sampler(scores_of(discs(22, seed=5))), "these recon scores were made for other data"),
        (make_sampler(batch_size=8), r"for 8 cases an update .* has 4 \(1 x 4\)"),
        (make_sampler(epochs=9), "paces 9 epochs, the training has 5"),
    ],
)
def test_a_sampler_of_another_training_is_refused_before_it_starts(
    tmp_path, sampler, message, dry_run
):
    with pytest.raises(ValueError, match=message):
        fit_discs(tmp_path / "out", everything_random(), sampler=sampler, dry_run=dry_run)
    assert not (tmp_path / "out").exists()


def test_scores_of_the_training_cases_are_accepted(tmp_path):
    sampler = make_sampler(scores_of(discs(22)), epochs=1)
    fit_discs(tmp_path, make_protocol(epochs=1), sampler=sampler)
    assert (sampler.epoch, sampler.consumed) == (1, 0)
