import math
from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.data import DataLoader

from course_lib.curriculum import CurriculumSampler, Pacing, keyed
from course_lib.curriculum.pacing import NAMES

SCORES = [0.9, 0.1, 0.5, 0.3, 0.7, 0.2, 0.8, 0.4]
# seed 7, 4 epochs, linear from 0.25 with end 0.75; two independent implementations agree on them
GOLDEN = {
    "subset": ["51515115", "17537351", "27435112", "17465023"],
    "mix": ["55115115", "11535541", "15745310", "76231054"],
}
WORD = 2**64


def make(scores=SCORES, **changes):
    options = {"seed": 7, "epochs": 4, "num_samples": 8, "batch_size": 2}
    options["pacing"] = Pacing("linear", start=0.25, end=0.75)
    return CurriculumSampler(scores, **{**options, **changes})


def digits(draw):
    return "".join(map(str, draw))


samplers = st.builds(
    make,
    scores=st.lists(st.floats(-5, 5), min_size=1, max_size=30),
    seed=st.integers(0, WORD - 1),
    epochs=st.just(6),
    num_samples=st.sampled_from([8, 24, 40]),
    mode=st.sampled_from(["subset", "mix"]),
    order=st.sampled_from(["easy", "hard", "random"]),
    pacing=st.builds(
        lambda name, start, span, end: Pacing(name, start, start + span * (1 - start), end),
        st.sampled_from(NAMES),
        st.floats(0.01, 1),
        st.floats(0, 1),
        st.floats(0.1, 1),
    ),
)


# Golden draws


def mix64_by_hand(x):
    """The same hash in Python's unlimited whole numbers."""
    x = (x + 0x9E3779B97F4A7C15) % WORD
    x = ((x ^ x >> 30) * 0xBF58476D1CE4E5B9) % WORD
    x = ((x ^ x >> 27) * 0x94D049BB133111EB) % WORD
    return x ^ x >> 31


def test_keys():
    expected = (0x820E773FF2FB0DCF, 0x51C7C66126B7377A, 0x2C8E978F8C1F33DA, 0x1D5B330F5BD5CC1A)
    assert keyed.keys(4, (7, 0, 2, 0)).tolist() == list(expected)
    state = 0
    for number in (7, 0, 2, 0):
        state = mix64_by_hand(state ^ number)
    assert tuple(mix64_by_hand(state ^ mix64_by_hand(j)) for j in range(4)) == expected


@pytest.mark.parametrize("mode", GOLDEN)
def test_golden_draws(mode):
    sampler = make(mode=mode)
    assert [sampler.fraction(epoch) for epoch in range(4)] == pytest.approx([0.25, 0.5, 0.75, 1])
    assert [digits(sampler.draw(epoch)) for epoch in range(4)] == GOLDEN[mode]


@pytest.mark.parametrize(
    ("order", "ranking", "first"),
    [
        ("easy", "15372460", "51515115"),
        ("hard", "06427351", "60606006"),
        ("random", "37160254", "73737337"),
    ],
)
def test_golden_orders(order, ranking, first):
    sampler = make(order=order)
    assert digits(sampler.ranking(0)) == ranking
    assert digits(sampler.draw(0)) == first


def test_equal_scores_keep_the_order_of_their_indices():
    scores = [0.5, 0.1, 0.5, 0.1]
    assert digits(make(scores).ranking(0)) == "1302"
    assert digits(make(scores, order="hard").ranking(0)) == "0213"
    negative = make([-s for s in scores])
    assert digits(negative.ranking(0)) == "0213"


def test_every_case_is_equally_likely_at_every_place():
    table = np.zeros((20, 20))
    for epoch in range(4000):
        table[np.arange(20), keyed.shuffled(np.arange(20), (3, epoch, 2, 0))] += 1
    # chi-squared with 19 * 19 degrees of freedom: 361 expected, 0.1 % of the time above 449
    assert ((table - 200) ** 2 / 200).sum() < 449


# Properties


@given(samplers)
@settings(max_examples=60, deadline=None, derandomize=True, database=None)
def test_every_epoch_is_equally_long_and_balanced(sampler):
    for epoch in range(sampler.epochs):
        draw = sampler.draw(epoch)
        assert len(draw) == sampler.num_samples
        assert draw.dtype == np.int64
        allowed = sampler.ranking(epoch)[: math.ceil(sampler.pacing.final * sampler.num_cases)]
        assert set(draw) <= set(allowed)
        if sampler.mode == "subset":
            size = max(1, math.ceil(sampler.fraction(epoch) * sampler.num_cases - 1e-9))
            pool = sampler.ranking(epoch)[:size]
            counts = Counter(draw.tolist())
            assert set(counts) <= set(pool.tolist())
            times = {counts[case] for case in pool.tolist()}
            assert times <= {len(draw) // size, -(-len(draw) // size)}


@given(samplers, st.lists(st.integers(0, 5), max_size=8))
@settings(max_examples=40, deadline=None, derandomize=True, database=None)
def test_a_draw_does_not_depend_on_history(sampler, visited):
    expected = [sampler.draw(epoch) for epoch in range(6)]
    torch.manual_seed(sum(visited))
    np.random.seed(sum(visited))  # noqa: NPY002 - the global generator is what must not matter
    for epoch in visited:
        sampler.seek(epoch)
        list(sampler)
        assert np.array_equal(sampler.draw(epoch), expected[epoch])


@given(samplers, st.sampled_from([(1, 8), (2, 4), (4, 2), (8, 1)]), st.integers(0, 5))
@settings(max_examples=40, deadline=None, derandomize=True, database=None)
def test_ranks_together_draw_the_one_process_order(sampler, split, epoch):
    ranks, batch = split
    whole = sampler.draw(epoch)
    shares = []
    for rank in range(ranks):
        one = make(
            sampler.scores_at(0).values,
            seed=sampler.seed,
            epochs=6,
            num_samples=sampler.num_samples,
            mode=sampler.mode,
            order=sampler.order,
            pacing=sampler.pacing,
            batch_size=batch,
            rank=rank,
            world_size=ranks,
        )
        one.seek(epoch)
        assert len(one) == len(whole) // ranks
        shares.append(list(one))
    assert np.array_equal(np.stack(shares, 1).ravel(), whole)
    for start in range(0, len(shares[0]), batch):
        together = [case for share in shares for case in share[start : start + batch]]
        assert sorted(together) == sorted(whole[8 * start // batch : 8 * (start // batch + 1)])


@pytest.mark.parametrize("mode", GOLDEN)
@pytest.mark.parametrize("pacing", NAMES)
def test_all_cases_once_an_epoch_when_the_pacing_is_done(mode, pacing):
    sampler = make(pacing=Pacing(pacing, end=0.5), mode=mode)
    for epoch in (2, 3):
        assert sorted(sampler.draw(epoch)) == list(range(8))
    assert digits(sampler.draw(2)) != digits(sampler.draw(3))


def test_the_hardest_never_come_with_a_final_below_one():
    for mode in GOLDEN:
        sampler = make(pacing=Pacing(start=0.25, final=0.7, end=0.5), mode=mode, num_samples=80)
        seen = {int(case) for epoch in range(4) for case in sampler.draw(epoch)}
        assert seen == set(range(8)) - {0, 6}  # ceil(0.7 * 8) = 6 of 8


def test_mix_lets_the_hard_share_grow():
    sampler = make(np.arange(100.0), num_samples=200, epochs=10, mode="mix", pacing="linear")
    hard = [int((sampler.draw(epoch) >= 30).sum()) for epoch in range(10)]
    # 200 * (1 - 0.3) * epoch / 6, rounded, until all are in
    assert hard == [round(200 * 0.7 * min(1, epoch / 6)) for epoch in range(10)]


def test_hard_floor_holds_from_the_first_epoch():
    sampler = make(np.arange(100.0), num_samples=200, mode="mix", pacing="step", hard_floor=0.15)
    hard = [int((sampler.draw(epoch) >= 30).sum()) for epoch in range(4)]
    assert hard == [30, 30, 30, 140]


# Place in the epoch, workers, resume


def rest_of_training(sampler):
    """Draws from where the sampler stands to the end of training."""
    cases, start = list(sampler), sampler.epoch
    for epoch in range(start + 1, sampler.epochs):
        sampler.seek(epoch)
        cases += list(sampler)
    return cases


@pytest.mark.parametrize("ranks", [1, 2])
@pytest.mark.parametrize(("epoch", "updates"), [(0, 0), (0, 1), (1, 2), (2, 0), (3, 2), (4, 0)])
def test_seek_repeats_the_rest_of_an_uninterrupted_run(epoch, updates, ranks):
    options = {"batch_size": 2, "world_size": ranks, "rank": ranks - 1, "mode": "mix"}
    whole = rest_of_training(make(**options))
    stopped = make(**options)
    stopped.seek(epoch, updates)
    resumed = make(**options)
    resumed.load_state_dict(stopped.state_dict())
    expected = whole[epoch * 8 // ranks + updates * 2 :]
    assert len(resumed) == max(0, 8 // ranks - 2 * updates if epoch < 4 else 0)
    assert rest_of_training(resumed) == expected
    assert rest_of_training(stopped) == expected


@pytest.mark.parametrize("workers", [0, 2])
def test_loader_workers_change_nothing(workers):
    sampler = make(batch_size=4)
    sampler.seek(1, updates_done=1)
    loader = DataLoader(
        torch.arange(8), batch_size=4, sampler=sampler, num_workers=workers, prefetch_factor=None
    )
    assert [batch.tolist() for batch in loader] == [[7, 3, 5, 1]]
    assert (sampler.epoch, sampler.consumed) == (1, 4)
    sampler.seek(2)
    assert [batch.tolist() for batch in loader] == [[2, 7, 4, 3], [5, 1, 1, 2]]


def test_new_scores_hold_from_their_epoch_on(tmp_path):
    sampler = make()
    before = [digits(sampler.draw(epoch)) for epoch in range(4)]
    sampler.seek(2)
    sampler.update_scores([-s for s in SCORES], from_epoch=2)
    after = [digits(sampler.draw(epoch)) for epoch in range(4)]
    assert after[:2] == before[:2]
    assert after[2:] == [digits(make([-s for s in SCORES]).draw(epoch)) for epoch in (2, 3)]
    torch.save(sampler.state_dict(), tmp_path / "state.pt")
    resumed = make()
    resumed.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
    assert [digits(resumed.draw(epoch)) for epoch in range(4)] == after
    assert resumed.epoch == 2


def test_state_has_what_a_resume_needs():
    sampler = make()
    sampler.seek(1, 3)
    state = sampler.state_dict()
    assert (state["version"], state["seed"], state["epoch"], state["consumed"]) == (1, 7, 1, 6)
    assert len(state["scores_digest"]) == len(state["config_digest"]) == 64
    assert state["config_digest"] == make(batch_size=4).state_dict()["config_digest"]
    assert state["config_digest"] != make(seed=8).state_dict()["config_digest"]


# Wrong input


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"scores": SCORES[:7]}, "made with number of cases = 8, not 7"),
        ({"scores": SCORES[::-1]}, "made with other scores"),
        ({"seed": 8}, "made with seed = 7, not 8"),
        ({"epochs": 5}, "made with epochs = 4, not 5"),
        ({"num_samples": 16}, "made with num_samples = 8, not 16"),
        ({"mode": "mix"}, "made with mode = 'subset', not 'mix'"),
        ({"order": "hard"}, "made with order = 'easy', not 'hard'"),
        ({"pacing": "root"}, "made with pacing = {'name': 'linear'"),
        ({"batch_size": 4}, r"state \(case 6 of an epoch\) does not fit updates of 4 cases"),
    ],
)
def test_the_state_of_another_order_is_refused(changes, message):
    saved = make()
    saved.seek(1, 3)
    sampler = make(**changes)
    with pytest.raises(ValueError, match=message) as error:
        sampler.load_state_dict(saved.state_dict())
    assert "\n" not in str(error.value)
    assert (sampler.epoch, sampler.consumed) == (0, 0)


def test_a_state_of_another_version_is_refused():
    with pytest.raises(ValueError, match="version 2, not 1"):
        make().load_state_dict({**make().state_dict(), "version": 2})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"scores": [0.1, math.nan, 0.3]}, "score of case '1' is nan; scores must be finite"),
        ({"scores": [0.1, math.inf]}, "score of case '1' is inf"),
        ({"scores": []}, r"scores must be \(N,\) numbers, N from 1; got shape \(0,\)"),
        ({"scores": [[0.1]]}, r"got shape \(1, 1\)|1 scores for"),
        ({"scores": [0.1, None]}, "score of case '1' is nan"),
        ({"pacing": "cosine"}, "unknown pacing 'cosine'"),
        ({"pacing": 0.3}, "pacing must be a Pacing or the name of one, got 0.3"),
        ({"num_samples": 9}, r"multiple of world_size x batch_size \(1 x 2 = 2\), got 9"),
        ({"world_size": 3}, r"\(3 x 2 = 6\), got 8"),
        ({"mode": "all"}, "mode must be one of subset, mix, got 'all'"),
        ({"order": "anti"}, "order must be one of easy, hard, random, got 'anti'"),
        ({"seed": -1}, "seed must be a whole number 0 to"),
        ({"epochs": 0}, "epochs must be a whole number from 1, got 0"),
        ({"batch_size": 2.0}, "batch_size must be a whole number from 1, got 2.0"),
        ({"rank": 1}, "rank must be a whole number 0 to 0, got 1"),
        ({"hard_floor": 1.0, "mode": "mix"}, r"hard_floor must be in \[0, 1\), got 1.0"),
        ({"hard_floor": 0.1}, 'hard_floor needs mode="mix"'),
        ({"hard_floor": 0.1, "mode": "mix", "pacing": Pacing(start=1.0)}, "needs hard cases"),
    ],
)
def test_wrong_options_are_refused(changes, message):
    with pytest.raises(ValueError, match=message) as error:
        make(**changes)
    assert "\n" not in str(error.value)


def test_places_and_scores_that_do_not_exist_are_refused():
    sampler = make()
    for epoch in (-1, 4, 1.0):
        with pytest.raises(ValueError, match="epoch must be a whole number 0 to 3"):
            sampler.draw(epoch)
    with pytest.raises(ValueError, match="epoch must be a whole number 0 to 4, got 5"):
        sampler.seek(5)
    with pytest.raises(ValueError, match="updates_done must be a whole number 0 to 4, got 5"):
        sampler.seek(0, 5)
    sampler.seek(1, 1)
    with pytest.raises(ValueError, match="from_epoch must be a whole number from 2, got 1"):
        sampler.update_scores(SCORES, from_epoch=1)
    with pytest.raises(ValueError, match="new scores of 7 cases; this sampler has 8"):
        sampler.update_scores(SCORES[:7], from_epoch=2)
