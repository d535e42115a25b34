"""The pictures of a sweep's report, as (PNG, alt text)."""

from __future__ import annotations

import numpy as np
import pandas as pd

from course_lib import drawing, figures
from course_lib.cli.sweep import summary
from course_lib.cli.sweep.design import Sweep

Picture = tuple[bytes, str]
MOST_ROWS, MOST_COLUMNS = 6, 8  # of a heat map that can be read
MOST_RUNS = 24  # rows of the other two


def of_settings(sweep: Sweep, table: pd.DataFrame) -> list[Picture]:
    """Draw every run by setting; above it the heat map of two axes, or the trend along a number."""
    rows = summary.by_setting(sweep, table, sweep.record)
    if not rows["n"].any():
        return []
    pictures = [_runs(sweep, table, rows)] if len(rows) <= MOST_RUNS else []
    axes = {name: values for name, values in sweep.axes.items() if len(values) > 1}
    shape = [len(values) for values in axes.values()]
    if len(axes) == 2 and shape[0] <= MOST_ROWS and shape[1] <= MOST_COLUMNS:
        pictures.insert(0, _heat_map(sweep, rows, axes))
    elif len(axes) == 1 and _numeric(*axes.values()):
        pictures.insert(0, _trend(sweep, rows, *axes))
    return pictures


def of_differences(sweep: Sweep, rows: pd.DataFrame) -> list[Picture]:
    """Draw the differences with their intervals; nothing while there are none."""
    known = rows[rows["n"] > 0]
    if known.empty or len(known) > MOST_RUNS:
        return []
    reference = ", ".join(f"{name} {value}" for name, value in sweep.reference.items())
    return [
        _picture(
            drawing.forest(
                {row.label: (row.difference, row.low, row.high) for row in known.itertuples()},
                title="Which differences are larger than their doubt?",
                xlabel=f"{sweep.record}: setting minus {reference}",
                n=_counted(known["n"]),
                matters=sweep.matters,
                reference=reference,
            )
        )
    ]


def _runs(sweep: Sweep, table: pd.DataFrame, rows: pd.DataFrame) -> Picture:
    found = {
        sweep.label(one): summary.values(sweep, table, sweep.record, one)["value"].dropna()
        for one in sweep.settings
    }
    known = rows[rows["n"] > 0].set_index("label")
    return _picture(
        drawing.runs(
            {name: values.to_numpy() for name, values in found.items()},
            intervals={row.Index: (row.low, row.high) for row in known.itertuples()},
            title="How far do runs of one setting lie apart?",
            xlabel=f"{sweep.record} of a run",
        )
    )


def _heat_map(sweep: Sweep, rows: pd.DataFrame, axes: dict[str, list]) -> Picture:
    down, across = axes
    varied = [{name: setting.get(name) for name in axes} for setting in sweep.settings]
    means = dict(zip(map(_key, varied), rows.itertuples(), strict=True))

    def grid(value) -> np.ndarray:
        def cell(y, x) -> float:
            row = means.get(_key({down: y, across: x}))
            return np.nan if row is None else value(row)

        return np.array([[cell(y, x) for x in axes[across]] for y in axes[down]])

    return _picture(
        drawing.heat_map(
            grid(lambda row: row.mean),
            halves=grid(lambda row: (row.high - row.low) / 2),
            rows=list(map(str, axes[down])),
            columns=list(map(str, axes[across])),
            ylabel=down,
            xlabel=across,
            label=f"mean {sweep.record} over seeds (n = {_counted(rows['n'])})",
            title=f"What do {down} and {across} do together?",
        )
    )


def _trend(sweep: Sweep, rows: pd.DataFrame, axis: str) -> Picture:
    points = [
        (setting[axis], row.mean, row.low, row.high)
        for setting, row in zip(sweep.settings, rows.itertuples(), strict=True)
        if row.n
    ]
    values = sweep.axes[axis]
    return _picture(
        drawing.trend(
            {sweep.record: points},
            title=f"How does {sweep.record} go with {axis}?",
            xlabel=axis,
            ylabel=f"mean {sweep.record} over seeds (n = {_counted(rows['n'])})",
            log=min(values) > 0 and max(values) / min(values) >= 8,
        )
    )


def _picture(drawn: tuple) -> Picture:
    fig, alt = drawn
    return figures.png(fig), alt


def _numeric(values: list) -> bool:
    numbers = all(isinstance(v, (int, float)) and not isinstance(v, bool) for v in values)
    return numbers and len(values) > 2


def _key(setting: dict) -> tuple:
    return tuple(sorted((name, str(value)) for name, value in setting.items()))


def _counted(counts: pd.Series) -> str:
    low, high = int(counts.min()), int(counts.max())
    return str(low) if low == high else f"{low} to {high}"
