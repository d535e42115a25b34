"""The report of a sweep and its table: written anew as runs finish, each by rename."""

from __future__ import annotations

import datetime
import io
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from course_lib import records
from course_lib.cli import html
from course_lib.cli.sweep import plots, store, summary
from course_lib.data import atomic

if TYPE_CHECKING:
    from course_lib.cli.sweep.drive import State

REFRESH = 20  # seconds after which an open page of a running sweep reloads itself


def write(state: State, running: bool) -> Path:
    """Write results.parquet, results.csv and index.html; returns the page."""
    table = summary.tidy(state.sweep, state.finished(), state.folder)
    atomic.write_file(state.folder / "results.csv", table.to_csv(index=False).encode())
    parquet = io.BytesIO()
    table.to_parquet(parquet, index=False)
    atomic.write_file(state.folder / "results.parquet", parquet.getbuffer())
    file = state.folder / "index.html"
    atomic.write_file(file, _page(state, table, running).encode())
    return file


def _page(state: State, table: pd.DataFrame, running: bool) -> str:
    sweep = state.sweep
    title = f"Sweep {sweep.name}: {len(state.done)} of {len(state.runs)} runs done"
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    meta = [
        now,
        f"profile {sweep.profile}",
        f"notebook {sweep.notebook.stem}",
        f"commit {records.git_commit() or 'unknown'}",
        f"{table.drop_duplicates('key')['seconds'].sum():.0f} s in all runs",
    ]
    body = [
        f"<p>{html.escape(sweep.title)}. <strong>{html.escape(sweep.question)}</strong></p>",
        _plan(state, running),
        _failures(state),
        _settings(state, table),
        _differences(state, table),
        _others(state, table),
        _runs(state, table),
    ]
    return html.page(title, meta, body, refresh=REFRESH if running else None)


def _plan(state: State, running: bool) -> str:
    sweep = state.sweep
    axes = " x ".join(f"{len(values)} {name}" for name, values in sweep.axes.items())
    done, failed, all_ = len(state.done), len(state.failed), len(state.runs)
    seeds = f"{len(sweep.seeds)} seed{'s' if len(sweep.seeds) > 1 else ''}"
    words = [axes, seeds, f"{done} done, {failed} failed, {all_ - done - failed} left"]
    if sweep.fixed:
        words.append(", ".join(f"{name} = {value}" for name, value in sweep.fixed.items()))
    line = f"<p>{html.join(words)}</p>"
    if not running:
        return line
    bar = f'<progress id="bar" max="{all_}" value="{done + failed}"></progress>'
    return f'{line}<p><label for="bar">Runs ended</label> {bar}</p>'


def _failures(state: State) -> str:
    lines = []
    for run in state.runs:
        outcome = state.failed.get(run.key)
        if outcome is None:
            continue
        cell = f", cell {outcome['cell']}" if outcome["cell"] else ""
        what = f"{state.sweep.label(run.setting)}, seed {run.seed}"
        where = f"{state.sweep.notebook.stem}{cell}"
        lines.append(
            f"<li>{html.status('failed')} {html.escape(what)}: {html.escape(where)}: "
            f"{html.escape(outcome['error'])}"
            f"<pre>{html.escape(chr(10).join(outcome['lines']))}</pre></li>"
        )
    if not lines:
        return ""
    body = "\n".join(lines)
    return f'<section class="card"><h2>Look at these first</h2><ul>{body}</ul></section>'


def _settings(state: State, table: pd.DataFrame) -> str:
    sweep = state.sweep
    rows = summary.by_setting(sweep, table, sweep.record)
    columns = {
        "Setting": "",
        f"Mean of {sweep.record}": "n",
        "95 % interval": "n",
        "SD of runs": "n opt",
        "n seeds": "n",
        "Seconds": "n opt",
        "Peak MB": "n opt",
    }
    cells = [
        (
            html.escape(row.label),
            _value(row.mean),
            _bounds(row.low, row.high),
            _value(row.sd),
            f"{row.n}" + (f" (+{row.undefined} undefined)" if row.undefined else ""),
            html.MISSING if pd.isna(row.seconds) else f"{row.seconds:.0f}",
            html.MISSING if pd.isna(row.peak_mb) else f"{row.peak_mb:.0f}",
        )
        for row in rows.itertuples()
    ]
    unit = _unit(table, sweep.record)
    count = (
        f"{len(rows)} settings, {sweep.record}{unit}. Interval: 95 % of the mean over training "
        "seeds (Student's t); it says nothing about other test cases."
    )
    drawn = [html.figure(png, alt) for png, alt in plots.of_settings(sweep, table)]
    return "\n".join(["<h2>Settings</h2>", *drawn, html.table(columns, cells, count)])


def _differences(state: State, table: pd.DataFrame) -> str:
    sweep = state.sweep
    rows = summary.differences(sweep, table, sweep.record)
    if rows.empty:
        return ""
    columns = {"Setting": "", "Reference": "", "Difference": "n", "95 % interval": "n", "n": "n"}
    cells = [
        (
            html.escape(row.label),
            html.escape(row.reference),
            _value(row.difference, signed=True),
            _bounds(row.low, row.high, signed=True),
            str(row.n),
        )
        for row in rows.itertuples()
    ]
    count = (
        f"{len(rows)} comparisons, paired by seed: setting minus reference, mean over seeds, 95 % "
        "interval over training seeds (Student's t), not corrected for the number of comparisons."
    )
    if sweep.matters is not None:
        count += f" Differences up to {sweep.matters:g} were said beforehand not to matter."
    drawn = [html.figure(png, alt) for png, alt in plots.of_differences(sweep, rows)]
    return "\n".join(["<h2>Differences</h2>", *drawn, html.table(columns, cells, count)])


def _others(state: State, table: pd.DataFrame) -> str:
    """All other records, mean and spread only."""
    sweep = state.sweep
    names = [name for name in table["record"].unique() if name != sweep.record]
    numeric = [name for name in names if table.loc[table["record"] == name, "value"].notna().any()]
    if not numeric:
        return ""
    cells = []
    for name in numeric:
        for row in summary.by_setting(sweep, table, name).itertuples():
            value = f"{_value(row.mean)} ± {_value(row.sd)}" if row.n > 1 else _value(row.mean)
            unit = html.escape(_unit(table, name).strip(" ()"))
            cells.append((html.escape(name), html.escape(row.label), value, unit, str(row.n)))
    columns = {"Record": "", "Setting": "", "Mean ± SD": "n", "Unit": "", "n": "n"}
    listed = html.table(columns, cells, label="all other records")
    return f"<details><summary>{len(numeric)} other records</summary>{listed}</details>"


def _runs(state: State, table: pd.DataFrame) -> str:
    """Every run of the plan with its state and a link to what it left."""
    cost = table.drop_duplicates("key").set_index("key")
    cells = []
    for run in state.runs:
        link, status, seconds, peak = "", "waiting", html.MISSING, html.MISSING
        if run.key in state.done:
            page = f"{store.place(Path(), run.key).as_posix()}/{state.sweep.notebook.stem}.html"
            link, status = f'<a href="{page}">executed notebook</a>', "passed"
            if run.key in cost.index:
                seconds = f"{cost.loc[run.key, 'seconds']:.0f}"
                peak = f"{cost.loc[run.key, 'peak_mb']:.0f}"
        elif run.key in state.failed:
            page = f"failed/{run.key}/{state.sweep.notebook.stem}.ipynb"
            there = (state.folder / page).is_file()
            link, status = f'<a href="{page}">up to the failure</a>' if there else "", "failed"
        elif run.key in state.running:
            status = "running"
        label = html.escape(state.sweep.label(run.setting))
        cells.append((label, str(run.seed), html.status(status), seconds, peak, link))
    columns = {
        "Setting": "", "Seed": "n", "Status": "", "Seconds": "n opt", "Peak MB": "n opt",
        "Notebook": "",
    }  # fmt: skip
    return "<h2>All runs</h2>" + html.table(columns, cells, f"{len(cells)} runs.")


def _unit(table: pd.DataFrame, record: str) -> str:
    units = table.loc[table["record"] == record, "unit"]
    return f" ({units.iloc[0]})" if len(units) and units.iloc[0] else ""


def _value(value: float, signed: bool = False) -> str:
    if pd.isna(value):
        return html.MISSING
    text = f"{value:+.4f}" if signed else f"{value:.4g}"
    return text.replace("-", html.MINUS)


def _bounds(low: float, high: float, signed: bool = False) -> str:
    return html.MISSING if pd.isna(low) else f"[{_value(low, signed)}, {_value(high, signed)}]"
