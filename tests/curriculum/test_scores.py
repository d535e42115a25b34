import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from course_lib.curriculum import Scores


def make(values=(0.3, 0.1, 0.2), **about):
    ids = tuple(f"case{i}" for i in range(len(values)))
    return Scores(ids, values, **{"kind": "recon", **about})


def test_what_is_saved_is_read_again(tmp_path):
    about = {"seed": 3, "data": "d" * 64, "model": "m" * 64, "made_at_update": 120}
    about |= {"accuracy": 0.7, "seconds": 1.5, "cost_in_updates": 124.5}
    scores = make(**about)
    scores.save(tmp_path / "recon.npz")
    read = Scores.load(tmp_path / "recon.npz")
    assert vars(read) | {"values": None} == vars(scores) | {"values": None}
    assert np.array_equal(read.values, scores.values)
    assert read.digest == scores.digest
    assert [path.name for path in tmp_path.iterdir()] == ["recon.npz"]


@given(st.lists(st.floats(-1, 1), min_size=1, max_size=5), st.integers(0, 4))
@settings(deadline=None, derandomize=True, database=None)
def test_the_digest_is_that_of_ids_and_values(values, place):
    scores = make(values)
    assert make(values, seed=1).digest == scores.digest
    changed = list(values)
    changed[place % len(values)] += 1
    assert make(changed).digest != scores.digest
    other = Scores((*scores.ids[:-1], "other"), values, "recon")
    assert other.digest != scores.digest


def test_values_cannot_be_changed_and_are_a_copy():
    values = np.array([0.3, 0.1])
    scores = make(values)
    values[0] = 9
    assert scores.values[0] == 0.3
    with pytest.raises(ValueError, match="read-only"):
        scores.values[0] = 9


@pytest.mark.parametrize(
    ("ids", "values", "message"),
    [
        ("ab", [0.1, np.nan], "the score of case 'b' is nan; scores must be finite"),
        ("ab", [np.inf, 0.1], "the score of case 'a' is inf"),
        ("abc", [0.1, 0.2], "2 scores for 3 cases; give one a case"),
        ("aba", [0.1, 0.2, 0.3], "case 'a' is scored twice"),
        ("", [], "N from 1"),
    ],
)
def test_wrong_scores_are_refused(ids, values, message):
    with pytest.raises(ValueError, match=message):
        Scores(tuple(ids), np.array(values), "given")


def test_a_file_that_is_none_is_refused_in_one_line(tmp_path):
    with pytest.raises(ValueError, match=r"gone\.npz is missing; score the cases first"):
        Scores.load(tmp_path / "gone.npz")
    make().save(tmp_path / "cut.npz")
    content = (tmp_path / "cut.npz").read_bytes()
    (tmp_path / "cut.npz").write_bytes(content[: len(content) // 2])
    np.savez(tmp_path / "other.npz", values=[1.0])
    np.savez(tmp_path / "pickle.npz", ids=np.array([{}], dtype=object), values=[1.0])
    (tmp_path / "text.npz").write_text("no archive", encoding="utf-8")
    for name in ("cut", "other", "pickle", "text"):
        with pytest.raises(ValueError, match=rf"{name}\.npz is not a file of scores") as error:
            Scores.load(tmp_path / f"{name}.npz")
        assert "\n" not in str(error.value)
