"""From the per-case table to reported numbers: empty masks, pooling, means with intervals."""

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
import pandas as pd

from course_lib.metrics import intervals, overlap

COUNTS = ["tp", "fp", "fn", "tn"]
SCORES = ["dice", "iou", "precision", "recall", "specificity", "accuracy"]
METRICS = [*SCORES, "lesion_recall", "nsd", "hd95"]
POLICIES = ("default", "drop")


class Difference(NamedTuple):
    """Mean of the per-image differences with its interval, over n cases."""

    mean: float
    low: float
    high: float
    n: int


def fill_empty(
    table: pd.DataFrame, policy: str = "default", diagonal: float | None = None
) -> pd.DataFrame:
    """Turn the raw values of cases with an empty mask into reported ones; the only place for it.

    Policy "default": both masks empty scores 1 (HD95 0); one of them empty scores 0 (HD95 the
    image diagonal). Policy "drop": cases whose reference is empty leave the table, as in many
    published tables, so that false alarms on healthy images vanish; the rest as in "default".
    Under both, specificity without any background pixel is 1: no false alarm was possible.

    Args:
        table: from :func:`course_lib.metrics.evaluate_cases`.
        policy: "default" or "drop".
        diagonal: replaces the table's column ``diagonal``, in the unit of the distances.

    Returns:
        A new table with finite values only.

    Raises:
        ValueError: for another policy, or where a diagonal is needed and there is none.
    """
    if policy not in POLICIES:
        raise ValueError(f"policy must be one of {', '.join(POLICIES)}, got {policy!r}")
    table = table.astype({name: float for name in METRICS if name in table})
    if policy == "drop":
        table = table[~table["case"].isin(["both_empty", "target_empty"])].reset_index(drop=True)
    both = table["case"] == "both_empty"
    one = table["case"].isin(["pred_empty", "target_empty"])
    for name in [name for name in METRICS if name in table and name != "accuracy"]:
        if name == "hd95":
            table.loc[both, name] = 0.0
            table.loc[one, name] = _diagonal(table, one, diagonal)
        elif name == "specificity":
            table[name] = table[name].fillna(1.0)
        else:
            table.loc[both, name] = 1.0
            table.loc[one, name] = 0.0
    return table


def pooled(table: pd.DataFrame) -> pd.DataFrame:
    """Add up the counts over all cases, then compute each score once; one row a class.

    Large objects dominate this number: it is not the mean of the per-image scores.

    Args:
        table: from :func:`course_lib.metrics.evaluate_cases`.

    Returns:
        Columns ``class_name, tp, fp, fn, tn, dice, iou, precision, recall, specificity, accuracy,
        n``; a score that is 0/0 over the whole set is NaN.
    """
    rows = []
    for name, part in table.groupby("class_name", sort=False):
        total = overlap.Counts(*(int(part[column].sum()) for column in COUNTS))
        row = {"class_name": name, **total._asdict(), **overlap.scores(total), "n": len(part)}
        rows.append(row)
    return pd.DataFrame(rows)


def summarise(
    table: pd.DataFrame,
    *,
    level: Literal["image", "pooled"],
    policy: str = "default",
    seed: int = 0,
    resamples: int = 9999,
) -> pd.DataFrame:
    """Summarise the per-case table at a stated level, with 95 % intervals over groups.

    Args:
        table: from :func:`course_lib.metrics.evaluate_cases`.
        level: "image" for the mean and median over images, "pooled" for one score from the added
            counts. There is no default: papers mix the two.
        policy: what empty masks score, see :func:`fill_empty`.
        seed: of the bootstrap.
        resamples: draws of whole groups.

    Returns:
        One row a class and metric. Columns ``class_name, metric, mean, median, low, high, n,
        n_empty, n_missed, n_false_alarm``; at level "pooled" the column ``pooled`` stands in the
        place of mean and median, and boundary metrics have no row. n counts the cases in the
        number, n_empty those in the table whose reference is empty, n_missed those with a
        reference and no prediction, n_false_alarm those with a prediction and no reference.

    Raises:
        ValueError: for another level or policy, or where no case is left.
    """
    if level not in ("image", "pooled"):
        raise ValueError(f'level must be "image" or "pooled", got {level!r}')
    rows = []
    for name, part in table.groupby("class_name", sort=False):
        filled = fill_empty(part, policy)
        if not len(filled):
            raise ValueError(f"class {name}: no case is left under policy {policy!r}")
        tail = _case_numbers(part, len(filled))
        numbers = _image_level if level == "image" else _pooled_level
        for metric, row in numbers(filled, seed, resamples).items():
            rows.append({"class_name": name, "metric": metric, **row, **tail})
    return pd.DataFrame(rows)


def paired_difference(
    first: pd.DataFrame,
    second: pd.DataFrame,
    metric: str,
    *,
    policy: str = "default",
    seed: int = 0,
    resamples: int = 9999,
) -> Difference:
    """Return the mean per-image difference second - first on the same cases, with its interval.

    The difference is taken case by case before the bootstrap, so that what both find hard cancels;
    comparing two separate intervals throws that away.

    Args:
        first: table of one model, one class (select with ``table[table.class_name == name]``).
        second: table of the other model, same cases in any order.
        metric: a column such as "dice".
        policy: see :func:`fill_empty`.
        seed: of the bootstrap.
        resamples: draws of whole groups.

    Raises:
        ValueError: where the tables hold other cases or more than one class.
    """
    tables = [fill_empty(table, policy).set_index("case_id") for table in (first, second)]
    for table in tables:
        if table.index.has_duplicates:
            raise ValueError("each table must hold one class and each case once; select a class")
    odd = tables[0].index.symmetric_difference(tables[1].index)
    if len(odd):
        raise ValueError(f"case {odd[0]} is in one table only; pairs need the same cases")
    difference = tables[1][metric].reindex(tables[0].index) - tables[0][metric]
    low, high = intervals.bootstrap_interval(difference, tables[0]["group"], seed, resamples)
    return Difference(float(difference.mean()), low, high, len(difference))


def over_seeds(runs: pd.DataFrame, by: Sequence[str], values: str = "value") -> pd.DataFrame:
    """Put the runs of each setting together: mean and 95 % interval over seeds (Student's t).

    Args:
        runs: one row a run, such as one record of a committed sweep.
        by: columns that make a setting; a missing value in one of them is a value of its own.
        values: column with the number of a run; where it is missing, the run does not count.

    Returns:
        One row a setting. Columns ``by``, ``mean, low, high, n``; NaN where no run counts, and
        bounds also where one does.
    """
    rows = []
    for setting, part in runs.groupby(list(by), dropna=False, sort=False):
        found = part[values].dropna().to_numpy(float)
        ends = intervals.t_interval(found) if found.size else (np.nan, np.nan)
        rows.append([*setting, found.mean() if found.size else np.nan, *ends, found.size])
    return pd.DataFrame(rows, columns=[*by, "mean", "low", "high", "n"])


def _image_level(table: pd.DataFrame, seed: int, resamples: int) -> dict[str, dict]:
    rows = {}
    for metric in [name for name in METRICS if name in table]:
        values = intervals.finite(table[metric], metric)
        low, high = intervals.bootstrap_interval(values, table["group"], seed, resamples)
        rows[metric] = {
            "mean": float(values.mean()),
            "median": float(np.median(values)),
            "low": low,
            "high": high,
        }
    return rows


def _pooled_level(table: pd.DataFrame, seed: int, resamples: int) -> dict[str, dict]:
    sums = intervals.group_sums(table[COUNTS].to_numpy(float), table["group"])
    rows = {}
    for metric, value in overlap.scores(overlap.Counts(*sums.sum(0))).items():

        def score(drawn: np.ndarray, metric: str = metric) -> np.ndarray:
            part, whole = overlap.fractions(*drawn.T)[metric]
            return np.divide(part, whole, out=np.full(len(drawn), np.nan), where=whole > 0)

        low, high = intervals.percentiles_over_draws(sums, score, seed, resamples)
        rows[metric] = {"pooled": value, "low": low, "high": high}
    return rows


def _case_numbers(table: pd.DataFrame, n: int) -> dict[str, int]:
    number = table["case"].value_counts()
    both, missed, false_alarm = (
        int(number.get(case, 0)) for case in ("both_empty", "pred_empty", "target_empty")
    )
    return {
        "n": n,
        "n_empty": both + false_alarm,
        "n_missed": missed,
        "n_false_alarm": false_alarm,
    }


def _diagonal(table: pd.DataFrame, rows: pd.Series, diagonal: float | None) -> float | pd.Series:
    if diagonal is not None:
        return float(diagonal)
    if "diagonal" not in table and rows.any():
        raise ValueError("an empty mask needs the image diagonal; give diagonal in distance units")
    return table.loc[rows, "diagonal"] if "diagonal" in table else np.nan
