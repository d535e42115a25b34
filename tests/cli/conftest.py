"""Tiny notebooks that finish in a second or two, in a folder of their own."""

import nbformat
import pytest
from click.testing import CliRunner
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from course_lib.cli import plan, report
from course_lib.cli.main import course

PARAMETERS = """profile = ""  # str |smoke|fast|full: size of the run
epochs = 2  # int 1..10: passes
rate = 0.1  # float 0..1: learning rate
look = "mixed"  # str mixed|nuclei: which images
mine = "a"  # str a|b|...: an open list
shuffle = True  # bool: order
out_dir = ""  # str: folder of results.json"""
RESULT = """import json, pathlib
names = ("profile", "epochs", "rate", "look", "mine", "shuffle", "out_dir")
values = {name: globals()[name] for name in names}
content = {"notebook": "90_tiny", "profile": profile or "fast", "parameters": values,
           "seconds": 1.0, "seeds": [0],
           "records": {"x": {"value": 0.5, "unit": "px", "n": 3, "interval": [0.4, 0.6]}},
           "peak_mb": 90.0, "cores": 2, "device": "cpu", "commit": "abc", "finished": "now",
           "versions": {"torch": "2"}}
pathlib.Path(out_dir, "results.json").write_text(json.dumps(content))"""


def notebook(*code, result=RESULT):
    cells = [new_markdown_cell("# A tiny notebook")]
    cells.append(new_code_cell(PARAMETERS, metadata={"tags": ["parameters"]}))
    cells += [new_code_cell(text) for text in code]
    cells += [new_code_cell(result)] if result else []
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    return new_notebook(cells=cells, metadata={"kernelspec": kernel})


@pytest.fixture
def course_of(tmp_path, monkeypatch):
    """Return a function that makes notebooks the only ones of the course."""

    def place(**notebooks):
        for name, content in notebooks.items():
            nbformat.write(content, tmp_path / f"{name}.ipynb")
        monkeypatch.setattr(plan, "NOTEBOOKS", tmp_path)
        monkeypatch.setattr(report, "budgets", dict)
        return tmp_path

    return place


@pytest.fixture
def cli():
    def call(*arguments):
        return CliRunner().invoke(course, [str(argument) for argument in arguments])

    return call
