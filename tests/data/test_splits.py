import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from course_lib.data import splits


def table(sizes, values=None):
    groups = [f"g{i}" for i, size in enumerate(sizes) for _ in range(size)]
    cases = pd.DataFrame({"case_id": [f"c{i}" for i in range(len(groups))], "group": groups})
    if values is not None:
        cases["kind"] = [values[i] for i, size in enumerate(sizes) for _ in range(size)]
    return cases.sample(frac=1, random_state=0)


SIZES = st.lists(st.integers(1, 7), min_size=3, max_size=60)


@settings(max_examples=60, deadline=None)
@given(SIZES, st.integers(0, 2**31))
def test_no_group_is_torn_and_every_case_has_a_part(sizes, seed):
    cases = table(sizes)
    parts = splits.make(cases, seed)
    assert splits.check(cases, parts) == []
    assert parts.index.equals(cases.index)
    assert set(parts) == set(splits.PARTS)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(1, 4), min_size=25, max_size=60), st.integers(0, 2**31))
def test_parts_end_within_one_group_of_their_share(sizes, seed):
    parts = splits.make(table(sizes), seed, (0.5, 0.3, 0.2))
    for part, share in zip(splits.PARTS, (0.5, 0.3, 0.2), strict=True):
        assert abs((parts == part).sum() - share * sum(sizes)) <= max(sizes)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(1, 4), st.sampled_from("abc")), min_size=40, max_size=80),
    st.integers(0, 2**31),
)
def test_every_value_of_the_stratum_ends_within_two_groups_of_its_share(pairs, seed):
    sizes, values = zip(*pairs, strict=True)
    cases = table(sizes, values)
    parts = splits.make(cases, seed, stratify="kind")
    assert splits.check(cases, parts) == []
    for value in set(values):
        held = parts[cases.kind == value]
        for part, share in zip(splits.PARTS, (0.6, 0.2, 0.2), strict=True):
            assert abs((held == part).sum() - share * len(held)) <= 2 * max(sizes)


def test_large_groups_come_first_so_that_small_ones_even_out():
    cases = table([12] + [1] * 48)
    for seed in range(10):
        counts = splits.make(cases, seed).value_counts().to_dict()
        assert counts == {"train": 36, "val": 12, "test": 12}


def test_stratifying_by_many_rare_values_keeps_the_sizes():
    cases = table([1] * 20, [f"v{i}" for i in range(20)])
    assert splits.make(cases, stratify="kind").value_counts().to_dict() == {
        "train": 12,
        "val": 4,
        "test": 4,
    }


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(1, 5), min_size=5, max_size=40), st.integers(3, 5), st.integers(0, 99))
def test_every_case_is_tested_and_validated_once_in_k_folds(sizes, k, seed):
    cases = table(sizes)
    folds = splits.kfold(cases, k, seed)
    assert len(folds) == k
    assert all(splits.check(cases, parts) == [] for parts in folds)
    for part in ("test", "val"):
        assert (np.sum([parts == part for parts in folds], axis=0) == 1).all()


def test_the_seed_decides():
    cases = table([1] * 50)
    assert splits.make(cases, 3).equals(splits.make(cases, 3))
    assert not splits.make(cases, 3).equals(splits.make(cases, 4))
    both = zip(splits.kfold(cases, 5, 1), splits.kfold(cases, 5, 1), strict=True)
    assert all(one.equals(two) for one, two in both)


def test_a_part_with_no_share_stays_empty():
    assert set(splits.make(table([2] * 10), 0, (0.8, 0.2, 0))) == {"train", "val"}


@pytest.mark.parametrize("fractions", [(0.5, 0.5), (0.6, 0.3, 0.3), (1.2, -0.1, -0.1)])
def test_fractions_that_are_no_shares_are_refused(fractions):
    with pytest.raises(ValueError, match="sum 1"):
        splits.make(table([1] * 9), 0, fractions)


def test_impossible_splits_are_refused():
    cases = table([4, 4])
    with pytest.raises(ValueError, match="only 2 groups for 3 parts"):
        splits.make(cases)
    with pytest.raises(ValueError, match="k must be at least 3"):
        splits.kfold(cases, 2)
    with pytest.raises(ValueError, match="no column 'kind' to stratify by"):
        splits.make(table([1] * 9), stratify="kind")
    with pytest.raises(ValueError, match="empty in some rows"):
        splits.make(table([1] * 3, ["a", None, "b"]), stratify="kind")
    with pytest.raises(ValueError, match="every case needs a group"):
        splits.make(pd.DataFrame({"group": ["a", None, "b", "c"]}))


def test_written_once_and_read_back(tmp_path):
    cases = table([2] * 10)
    parts = splits.make(cases)
    path = splits.write(tmp_path, "default", cases.case_id, parts)
    frame = splits.read(tmp_path, "default")
    assert list(frame.case_id) == list(cases.case_id)
    assert list(frame.part) == list(parts)
    assert splits.write(tmp_path, "default", cases.case_id, parts) == path

    other = splits.make(cases, seed=1)
    with pytest.raises(ValueError, match="written once"):
        splits.write(tmp_path, "default", cases.case_id, other)
    assert splits.read(tmp_path).equals(frame)
    assert [file.name for file in path.parent.iterdir()] == ["default.csv"]


def test_the_digest_names_the_split_and_not_its_order():
    frame = pd.DataFrame({"case_id": ["a", "b"], "part": ["train", "test"]})
    assert splits.digest(frame) == splits.digest(frame[::-1])
    assert splits.digest(frame) != splits.digest(frame.assign(part=["test", "train"]))
    # sha256 of "a,train\nb,test\n"
    assert splits.digest(frame).startswith("878eac4e")


def test_leaks_are_named():
    cases = pd.DataFrame({"group": ["p1", "p1", "p2", "p3", "p3"]})
    assert splits.check(cases, ["train", "test", "val", "val", "train"]) == ["p1", "p3"]


@pytest.mark.parametrize(
    ("ids", "parts", "words"),
    [
        (["a", "a"], ["train", "test"], "'a' twice"),
        (["a"], ["training"], "'training'; parts are train, val, test"),
        (["a", "b"], ["train"], "2 case ids but 1 parts"),
    ],
)
def test_a_wrong_split_is_not_written(tmp_path, ids, parts, words):
    with pytest.raises(ValueError, match=words):
        splits.write(tmp_path, "default", ids, parts)
    assert list(tmp_path.iterdir()) == []


def test_names_that_leave_the_folder_are_refused(tmp_path):
    for name in ("../other", "", ".hidden", "a/b"):
        with pytest.raises(ValueError, match="not a name for a split"):
            splits.read(tmp_path, name)


def test_a_missing_or_broken_split_is_named(tmp_path):
    splits.write(tmp_path, "tuning", ["a"], ["train"])
    with pytest.raises(ValueError, match=r"no split 'default' .*found: tuning"):
        splits.read(tmp_path)
    (tmp_path / "splits" / "default.csv").write_bytes(b"case,part\na,train\n")
    with pytest.raises(ValueError, match="must have the columns case_id,part"):
        splits.read(tmp_path)
    (tmp_path / "splits" / "default.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ValueError, match="is not a CSV file of a split"):
        splits.read(tmp_path)
    (tmp_path / "splits" / "default.csv").write_bytes(b"")
    with pytest.raises(ValueError, match="is not a CSV file of a split"):
        splits.read(tmp_path)
