"""What a run depends on: code and values, not comments, prose or layout."""

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from course_lib.cli.sweep import fingerprint

MODULE = '''"""A room."""
from course_lib import deeper

RATE = 0.1  # a comment


def run(x):
    """Say what it does."""
    return deeper.twice(x) * RATE
'''


@pytest.fixture
def project(tmp_path, monkeypatch):
    """Return the folder of a small library, and a notebook that imports it."""
    library = tmp_path / "course_lib"
    (library / "other").mkdir(parents=True)
    (library / "__init__.py").write_text("", encoding="utf-8")
    (library / "room.py").write_text(MODULE, encoding="utf-8")
    (library / "deeper.py").write_text("def twice(x):\n    return 2 * x\n", encoding="utf-8")
    (library / "late.py").write_text("LATE = 1\n", encoding="utf-8")
    (library / "other" / "__init__.py").write_text("OTHER = 1\n", encoding="utf-8")
    (tmp_path / "checks").mkdir()
    (tmp_path / "checks" / "90_x.py").write_text(
        "def check():\n    from course_lib import late\n", encoding="utf-8"
    )
    monkeypatch.setattr(fingerprint, "ROOT", tmp_path)
    write(tmp_path, "%time 1\nfrom course_lib.room import run\nawait run(3)")
    return tmp_path


def write(folder, code, prose="Some words"):
    cells = [new_markdown_cell(prose), new_code_cell(code)]
    nbformat.write(new_notebook(cells=cells), folder / "90_x.ipynb")


def digest(folder):
    return fingerprint.code(folder / "90_x.ipynb")


def edit(file, old, new):
    text = file.read_text(encoding="utf-8")
    assert old in text
    file.write_text(text.replace(old, new), encoding="utf-8")


def test_words_do_not_change_it(project):
    before = digest(project)
    room = project / "course_lib" / "room.py"
    edit(room, "# a comment", "# another one")
    edit(room, "A room.", "A large room.")
    edit(room, "Say what it does.", "Say it otherwise.")
    edit(room, "RATE = 0.1", "RATE = (\n    0.1\n)")
    assert digest(project) == before
    write(project, "%time 1\nfrom course_lib.room import run\nawait run(3)", prose="Other words")
    assert digest(project) == before
    edit(project / "course_lib" / "other" / "__init__.py", "1", "2")  # nobody imports it
    assert digest(project) == before


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("course_lib/room.py", "RATE = 0.1", "RATE = 0.2"),
        ("course_lib/deeper.py", "2 * x", "3 * x"),  # imported by what is imported
        ("course_lib/late.py", "1", "2"),  # imported inside a function of the checks
        ("course_lib/__init__.py", "", "X = 1\n"),
        ("checks/90_x.py", "late", "deeper"),
    ],
)
def test_code_that_is_imported_changes_it(project, file, old, new):
    before = digest(project)
    (project / file).write_text(
        (project / file).read_text(encoding="utf-8").replace(old, new), encoding="utf-8"
    )
    assert digest(project) != before


def test_code_of_the_notebook_changes_it(project):
    before = digest(project)
    write(project, "%time 1\nfrom course_lib.room import run\nawait run(4)")
    assert digest(project) != before


def test_the_real_notebook_depends_on_what_it_uses(root):
    files = fingerprint._closure({"course_lib.training"})
    names = {file.relative_to(root / "course_lib").as_posix() for file in files}
    assert {"training/fit.py", "losses/overlap.py", "data/transforms.py"} <= names
    assert not [name for name in names if name.startswith("cli/")]


def test_a_key_tells_values_and_data_apart():
    one = fingerprint.key("code", "data", {"seed": 0, "epochs": 1})
    assert one == fingerprint.key("code", "data", {"epochs": 1, "seed": 0})
    others = {
        fingerprint.key("code", "data", {"seed": 1, "epochs": 1}),
        fingerprint.key("code", "other", {"seed": 0, "epochs": 1}),
        fingerprint.key("other", "data", {"seed": 0, "epochs": 1}),
        fingerprint.key("code", "data", {"seed": 0}),
    }
    assert len(others | {one}) == 5
