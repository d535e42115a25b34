"""What the runs of a sweep say together: one tidy table, means with spread, paired differences."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd

from course_lib import metrics
from course_lib.cli.sweep import store
from course_lib.cli.sweep.design import Sweep
from course_lib.cli.sweep.planned import Run

OWN_COLUMNS = (
    "key", "notebook", "profile", "seed", "record", "value", "text", "unit", "n", "low", "high",
    "seconds", "peak_mb", "device",
)  # fmt: skip


def tidy(sweep: Sweep, runs: Iterable[Run], folder: Path) -> pd.DataFrame:
    """Return one row per finished run and recorded value.

    Columns: ``key, notebook, profile``, the parameters given by the sweep, ``seed, record, value``
    (float; NaN where undefined), ``text`` (of a record that is no number), ``unit, n, low, high``
    (interval of that record), ``seconds, peak_mb`` (of the notebook), ``device``.
    """
    names = [name for name in [*sweep.fixed, *sweep.axes] if name not in OWN_COLUMNS]
    columns = [*OWN_COLUMNS[:3], *names, *OWN_COLUMNS[3:]]
    rows = [row for run in runs for row in _rows(sweep, run, folder)]
    kinds = dict.fromkeys(("value", "n", "low", "high", "seconds", "peak_mb"), "float64")
    return pd.DataFrame(rows, columns=columns).astype(kinds)


def _rows(sweep: Sweep, run: Run, folder: Path) -> Iterable[dict]:
    result = store.read_json(store.place(folder, run.key) / "results.json")
    for name, item in result["records"].items():
        low, high = item["interval"] or (None, None)
        plain = isinstance(item["value"], str)
        yield {
            "key": run.key,
            "notebook": sweep.notebook.stem,
            **run.parameters,
            "record": name,
            "value": None if plain else item["value"],
            "text": item["value"] if plain else "",
            "unit": item["unit"],
            "n": item["n"],
            "low": low,
            "high": high,
            "seconds": result["seconds"],
            "peak_mb": result["peak_mb"],
            "device": result["device"],
        }


def by_setting(sweep: Sweep, table: pd.DataFrame, record: str) -> pd.DataFrame:
    """Return one row a setting: mean of a record over seeds, its spread and its interval.

    Columns: ``label, n`` (seeds with a value), ``undefined``, ``mean``, ``sd`` (of single runs,
    NaN for one), ``low, high`` (95 % interval of the mean over training seeds, Student's t),
    ``seconds`` (mean) and ``peak_mb`` (highest). A setting without runs has n = 0 and NaN.
    """
    rows = []
    for setting in sweep.settings:
        part = values(sweep, table, record, setting)
        kept = part["value"].dropna().to_numpy()
        low, high = metrics.t_interval(kept) if kept.size else (np.nan, np.nan)
        rows.append(
            {
                "label": sweep.label(setting),
                "n": kept.size,
                "undefined": len(part) - kept.size,
                "mean": kept.mean() if kept.size else np.nan,
                "sd": kept.std(ddof=1) if kept.size > 1 else np.nan,
                "low": low,
                "high": high,
                "seconds": part["seconds"].mean(),
                "peak_mb": part["peak_mb"].max(),
            }
        )
    return pd.DataFrame(rows)


def differences(sweep: Sweep, table: pd.DataFrame, record: str) -> pd.DataFrame:
    """Return one row a setting that has a reference: differences paired by seed.

    Columns: ``label, reference, n`` (seeds that both have), ``difference`` (setting minus
    reference, mean over seeds), ``low, high`` (95 % interval over training seeds, Student's t; NaN
    for one seed). Equal seeds mean equal cases and equal order, so their difference varies less
    than either.
    """
    rows = []
    for setting in sweep.settings:
        partner = sweep.partner(setting)
        if partner is None:
            continue
        ours, theirs = (
            values(sweep, table, record, one).set_index("seed")["value"]
            for one in (setting, partner)
        )
        paired = (ours - theirs).dropna().to_numpy()
        low, high = metrics.t_interval(paired) if paired.size else (np.nan, np.nan)
        rows.append(
            {
                "label": sweep.label(setting),
                "reference": sweep.label(partner),
                "n": paired.size,
                "difference": paired.mean() if paired.size else np.nan,
                "low": low,
                "high": high,
            }
        )
    return pd.DataFrame(rows, columns=["label", "reference", "n", "difference", "low", "high"])


def values(sweep: Sweep, table: pd.DataFrame, record: str, setting: dict) -> pd.DataFrame:
    """Return the rows of one record in one setting, one a seed."""
    chosen = table["record"] == record
    for name in sweep.axes:
        chosen &= table[name] == setting[name] if name in setting else table[name].isna()
    return table[chosen]
