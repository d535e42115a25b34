"""Runs seven benchmarks that the course is judged by and writes one page of their tables.

    OMP_NUM_THREADS=1 python -m benchmarks --small --out runs/bench

Every benchmark runs in a process of its own and leaves ``NAME.json`` beside ``index.html``.
"""

import argparse
import importlib
import json
import subprocess
import sys
from pathlib import Path

import pandas as pd

from course_lib.cli import html
from course_lib.data import atomic
from course_lib.records import ROOT

NAMES = ("loop", "models", "phantoms", "sampler", "curriculum", "sweep", "course")


def run(name: str, small: bool, out: Path) -> None:
    """Run one benchmark.

    Raises:
        subprocess.CalledProcessError: it fails; what it said stands above.
    """
    print(f"== {name}", flush=True)
    command = [sys.executable, "-m", f"benchmarks.{name}", "--json", str(out / f"{name}.json")]
    subprocess.run([*command, *(["--small"] if small else [])], check=True, cwd=ROOT)


def page(results: dict[str, dict]) -> str:
    """Return the page of all tables; ``results`` is what each benchmark wrote, by name."""
    parts = [section(name, result) for name, result in results.items()]
    some = next(iter(results.values()))
    meta = [
        some["date"],
        f"{some['cores']} cores, {some['device_name']}, threads: {some['threads']}",
        f"commit {some['commit'] or 'unknown'}",
        f"torch {some['versions']['torch']}",
    ]
    size = "small sizes: a look, not a result" if some["small"] else "full sizes"
    return html.page(f"Benchmarks, {size}", meta, parts)


def section(name: str, result: dict) -> str:
    """Return the table of one benchmark with what it says of itself."""
    module = importlib.import_module(f"benchmarks.{name}")
    about = module.__doc__.partition("\n\n")[0].replace("\n", " ").replace("`", "")
    rows = module.table(result)
    first, *others = rows.columns
    columns = {html.escape(first): ""} | {
        html.escape(column): "n" if pd.api.types.is_numeric_dtype(rows[column]) else ""
        for column in others
    }
    cells = [
        [html.escape(cell) if isinstance(cell, str) else number(cell) for cell in row]
        for row in rows.itertuples(index=False)
    ]
    return (
        f'<section id="{name}"><h2>{name}</h2><p>{html.escape(about)}</p>'
        f"{html.table(columns, cells, label=name)}"
        f'<p class="meta">{html.escape(result["command"])} · '
        f'<a href="{name}.json">{name}.json</a></p></section>'
    )


def number(value: float) -> str:
    """Return a measured number, an en dash where there is none."""
    return html.MISSING if pd.isna(value) else html.number(value)


def main() -> None:
    """Run all benchmarks and write the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--small", action="store_true", help="a few minutes in all")
    parser.add_argument("--out", type=Path, default=ROOT / "runs" / "bench")
    given = parser.parse_args()
    out = given.out.resolve()
    for name in NAMES:
        run(name, given.small, out)
    results = {
        name: json.loads((out / f"{name}.json").read_text(encoding="utf-8")) for name in NAMES
    }
    atomic.write_file(out / "index.html", page(results).encode())
    print(f"page: {out / 'index.html'}")


if __name__ == "__main__":
    main()
