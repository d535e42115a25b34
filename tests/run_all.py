"""Runs every test of the project, each step once, and ends non-zero if one of them failed.

    python tests/run_all.py

Steps: pytest over the library, data scripts, builds and documents; nbval over the student notebooks
(they must run to the end) and over the solutions (marked cells must give what is stored; all text
must, where a notebook trains no net); then the budgets, read from what those very runs recorded.
"""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
RUNS = ROOT / "runs" / "test"
PARALLEL = ["-n", "2", "--dist", "loadfile"]
NBVAL = ["--nbval-current-env", "--nbval-sanitize-with", "tests/sanitize.cfg", *PARALLEL]


def step(name: str, *arguments: str, **environment: str) -> int:
    """Run pytest with these arguments; returns its exit code."""
    begun = time.perf_counter()
    command = [sys.executable, "-m", "pytest", *arguments]
    code = subprocess.call(command, cwd=ROOT, env=os.environ | environment)
    print(f"== {name}: exit code {code}, {time.perf_counter() - begun:.0f} s", flush=True)
    return code


def notebooks(folder: str) -> list[str]:
    """Return the paths of the notebooks in a folder."""
    return [str(path.relative_to(ROOT)) for path in sorted((ROOT / folder).glob("*.ipynb"))]


def trains(solution: str) -> bool:
    """Tell whether a notebook trains a net, so that its numbers differ between machines."""
    source = ROOT / "notebooks" / "source" / f"{Path(solution).stem}.py"
    return "training.fit(" in source.read_text(encoding="utf-8")


def main() -> int:
    """Run all steps."""
    shutil.rmtree(RUNS, ignore_errors=True)
    quiet = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "COURSE_PROFILE": "smoke"}
    quiet["PYTHONWARNINGS"] = "ignore:.*encryption.*"
    student = {"COURSE_OUT": str(RUNS / "student")}
    solved = {"COURSE_OUT": str(RUNS / "solutions"), "COURSE_CHECK": "strict"}
    lessons = notebooks("notebooks/solutions")
    training = [path for path in lessons if trains(path)]
    still = [path for path in lessons if path not in training]
    codes = [
        step("library", "tests", "--ignore=tests/after", *PARALLEL, OMP_NUM_THREADS="1"),
        step("students", "--nbval-lax", *NBVAL, *notebooks("notebooks"), **quiet, **student),
        step("solutions", "--nbval-lax", *NBVAL, *training, **quiet, **solved),
        step("solutions, strict", "--nbval", *NBVAL, *still, **quiet, **solved),
        step("budgets", "tests/after"),
    ]
    return int(any(codes))


if __name__ == "__main__":
    sys.exit(main())
