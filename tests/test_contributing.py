"""The three recipes of CONTRIBUTING.md, each followed in a copy of the project."""

import os
import shutil
import subprocess
import sys

import pytest

NET = '''"""A net of one convolution."""

from torch import nn

from course_lib.models.blocks import check_images

ABLATIONS = {"full": {}}


class Pixelwise(nn.Conv2d):
    """Logits of each pixel from its neighbours."""

    def __init__(self, in_channels=3, num_classes=1, *, kernel=3):
        super().__init__(in_channels, num_classes, kernel, padding="same")

    def forward(self, x):
        check_images(x, self.in_channels, smallest=1)
        return super().forward(x)
'''
CONTRACT = """
from course_lib.models import pixelwise

CONTRACTS["pixelwise"] = Contract(
    pixelwise.ABLATIONS,
    lambda in_channels=3, num_classes=1, kernel=3: (in_channels * kernel**2 + 1) * num_classes,
    lambda h, w, in_channels=3, num_classes=1, kernel=3: (
        h * w * in_channels * kernel**2 * num_classes
    ),
)
CASES = ["""
DATA = '''"""Grey squares."""

import numpy as np
import pandas as pd

from course_lib.data import prepared

TITLE, MODALITY, URL, LICENCE, CITATION = "Squares", "drawn", "", "CC0-1.0", ""
ACCESS, FLAWS = "open", ()


def get(to):
    """Refuse."""
    raise ValueError("nothing to download: use --from")


def prepare(source, to, size=16):
    """Draw squares."""
    masks = np.zeros((4, size, size), np.uint8)
    masks[:, 2:6, 2:6] = 1
    cases = pd.DataFrame({"case_id": list("abcd"), "group": list("abcd")})
    classes = [{"name": "background", "colour": "#000000"}, {"name": "square", "colour": "#ffffff"}]
    return prepared.write(to, name="squares", images=100 * masks[:, None], masks=masks,
                          cases=cases, classes=classes, modality=MODALITY)
'''
NOTEBOOK = """# %% [markdown]
# # 90 Tiny: does it run?

# %% tags=["parameters"]
profile = ""  # str |smoke|fast|full: size of the run
seed = 0  # int 0..9: of nothing
out_dir = ""  # str: folder of results.json

# %% tags=["setup"]
from course_lib import records

run = records.start("90_tiny", {"profile": profile, "seed": seed, "out_dir": out_dir})
records.record("one", 1)

# %% tags=["result"]
rows = records.finish()
"""


@pytest.fixture
def copy(root, tmp_path):
    for folder in ("course_lib", "data_scripts", "tests"):
        keep = shutil.ignore_patterns("__pycache__", "*.npz")
        shutil.copytree(root / folder, tmp_path / folder, ignore=keep)
    for name in ("pyproject.toml", "README.md", "requirements.lock"):
        shutil.copy(root / name, tmp_path)
    (tmp_path / "notebooks" / "source").mkdir(parents=True)
    (tmp_path / "notebooks" / "checks").mkdir()
    return tmp_path


def call(copy, *arguments):
    environment = os.environ | {"PYTHONPATH": str(copy), "COURSE_DATA": str(copy / "data")}
    done = subprocess.run(
        [sys.executable, "-m", *arguments],
        cwd=copy,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def add(path, before, line):
    text = path.read_text(encoding="utf-8")
    assert before in text
    path.write_text(text.replace(before, line + before, 1), encoding="utf-8")


@pytest.mark.slow
def test_a_net_joins_the_contract_suite_by_one_file_and_its_lines(copy):
    (copy / "course_lib" / "models" / "pixelwise.py").write_text(NET, encoding="utf-8")
    tables = copy / "course_lib" / "models" / "__init__.py"
    add(tables, "}\n# The nets", '    "pixelwise": pixelwise.Pixelwise,\n')
    add(tables, "\n__all__", "from course_lib.models import pixelwise\n")
    suite = copy / "tests" / "test_model_contract.py"
    suite.write_text(
        suite.read_text(encoding="utf-8").replace("CASES = [", CONTRACT.strip("\n"), 1),
        encoding="utf-8",
    )
    call(copy, "tests.test_model_contract")
    out = call(
        copy, "pytest", "tests/test_model_contract.py", "-p", "no:cacheprovider",
        "-k", "pixelwise and (shapes or parameters or macs or golden or state)",
    )  # fmt: skip
    assert "passed" in out


def test_a_data_set_joins_by_one_file_and_one_line(copy):
    (copy / "data_scripts" / "squares.py").write_text(DATA, encoding="utf-8")
    add(
        copy / "data_scripts" / "__init__.py",
        '    "busi":',
        '    "squares": "data_scripts.squares",\n',
    )
    assert "squares" in call(copy, "course_lib.cli", "data", "list")
    out = call(copy, "course_lib.cli", "data", "prepare", "squares", "--from", "x", "--size", "16")
    assert "4 cases" in out
    call(copy, "course_lib.cli", "data", "verify", "squares")


@pytest.mark.slow
def test_a_notebook_joins_by_its_source_and_a_budget(copy):
    (copy / "notebooks" / "source" / "90_tiny.py").write_text(NOTEBOOK, encoding="utf-8")
    budget = "[90_tiny]\nfast = { seconds = 60, peak_mb = 900 }\n"
    (copy / "notebooks" / "budgets.toml").write_text(budget, encoding="utf-8")
    built = call(copy, "course_lib.cli", "build")
    assert "wrote notebooks/solutions/90_tiny.ipynb" in built
    assert "[90 Tiny](notebooks/90_tiny.ipynb) | Does it run?" in (copy / "README.md").read_text(
        "utf-8"
    )
    call(copy, "course_lib.cli", "build", "--check")
    call(copy, "course_lib.cli", "run", "90")
    assert "1 of 1 notebooks passed" in (copy / "runs/course/index.html").read_text("utf-8")
