"""`--commit-results`: the table of a sweep and what it needs to be judged, small, for git."""

from __future__ import annotations

from pathlib import Path

from course_lib.cli.plan import NOTEBOOKS
from course_lib.cli.sweep import store, summary
from course_lib.cli.sweep.drive import State
from course_lib.data import atomic
from course_lib.records import write_json

MACHINE = ("device", "device_name", "cores", "threads", "system", "python", "versions", "commit")


def keep(state: State, date: str) -> list[Path]:
    """Write ``results/sweeps/NAME/PROFILE-DEVICE-DATE.csv`` and ``.json``; returns both.

    The table has one row a run and recorded value (see summary.tidy); the other file says what was
    asked, on which machines and from which commits, and what failed.

    Raises:
        ValueError: no run is done, so there is nothing to keep.
    """
    runs = state.finished()
    if not runs:
        raise ValueError("no run is done, so there is nothing to keep")
    sweep = state.sweep
    table = summary.tidy(sweep, runs, state.folder)
    results = [store.read_json(store.place(state.folder, r.key) / "results.json") for r in runs]
    machines = {str(one): one for one in ({k: r[k] for k in MACHINE} for r in results)}
    about = {
        "sweep": sweep.name,
        "title": sweep.title,
        "question": sweep.question,
        "notebook": sweep.notebook.stem,
        "profile": sweep.profile,
        "record": sweep.record,
        "matters": sweep.matters,
        "reference": sweep.reference,
        "fixed": sweep.fixed,
        "axes": sweep.axes,
        "seeds": list(sweep.seeds),
        "data": {name: one for r in results for name, one in r["data"].items()},
        "runs": len(state.runs),
        "done": len(runs),
        "failed": [
            {"setting": run.setting, "seed": run.seed, "error": state.failed[run.key]["error"]}
            for run in state.runs
            if run.key in state.failed
        ],
        "date": date,
        "machines": list(machines.values()),
    }
    device = "+".join(sorted({result["device"] for result in results}))
    file = NOTEBOOKS / "results" / "sweeps" / sweep.name / f"{sweep.profile}-{device}-{date}.csv"
    text = table.drop(columns=["notebook", "profile"]).to_csv(index=False, float_format="%.6g")
    atomic.write_file(file, text.encode())
    write_json(file.with_suffix(".json"), about)
    return [file, file.with_suffix(".json")]
