"""The builder: stubs without leaks, equal bytes twice, stale notebooks noticed."""

import nbformat
import pytest

from course_lib.cli import build, readme

HEAD = """# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 90 Tiny

# %% [markdown] tags=["budget"]
# {{budget}}

# %% tags=["exercise", "ex-90-1"]
def double(x):
    \"\"\"Twice.\"\"\"
    ### BEGIN SOLUTION
    secret = x + x
    return secret
    ### END SOLUTION

# %% tags=["exercise", "ex-90-2"]
def half(x):
    ### BEGIN SOLUTION
    ### STUB: return x / 3
    return x / 2
    ### END SOLUTION

# %% tags=["solution-only"]
print("only here")

# %%
print(1)

# %%
print(1)
"""


@pytest.fixture
def tiny(tmp_path, monkeypatch):
    for name in ("SOURCE", "STUDENT", "SOLUTIONS"):
        folder = tmp_path / name.lower()
        folder.mkdir()
        monkeypatch.setattr(build, name, folder)
    monkeypatch.setattr(build, "ROOT", tmp_path)
    monkeypatch.setattr(readme, "README", tmp_path / "README.md")
    (tmp_path / "README.md").write_text("<!-- notebooks --><!-- /notebooks -->", encoding="utf-8")
    source = tmp_path / "source" / "90_tiny.py"
    source.write_text(HEAD, encoding="utf-8")
    return source


def text_of(notebook):
    return "\n".join(cell.source for cell in notebook.cells)


def test_student_gets_stubs_and_nothing_of_the_solution(tiny):
    text = text_of(build.student(tiny))
    assert 'raise NotImplementedError("exercise 90-1")' in text
    assert "return x / 3" in text
    for secret in ("secret", "x / 2", "only here", "SOLUTION", "STUB"):
        assert secret not in text
    assert "not measured yet" in text


def test_solution_holds_no_markers(tiny):
    text = text_of(build.solution(tiny))
    assert "secret = x + x" in text
    assert "x / 2" in text
    assert "x / 3" not in text
    assert "SOLUTION" not in text


def test_two_builds_give_equal_bytes_and_distinct_ids(tiny):
    first, second = build.student(tiny), build.student(tiny)
    assert nbformat.writes(first) == nbformat.writes(second)
    ids = [cell.id for cell in first.cells]
    assert len(ids) == len(set(ids))
    nbformat.validate(first)


def test_build_writes_once_and_check_notices_every_change(tiny, tmp_path):
    assert len(build.build()) == 3
    assert "[90 Tiny](notebooks/90_tiny.ipynb)" in (tmp_path / "README.md").read_text("utf-8")
    assert build.build() == []
    assert build.stale() == []
    solution = nbformat.read(tmp_path / "solutions" / "90_tiny.ipynb", as_version=4)
    assert "only here" in str(solution.cells)
    assert "widgets" not in solution.metadata
    tiny.write_text(HEAD + "\nprint(2)\n", encoding="utf-8")
    assert len(build.stale()) == 2
    tiny.write_text(HEAD, encoding="utf-8")
    (tmp_path / "student" / "91_orphan.ipynb").write_text("{}", encoding="utf-8")
    assert build.stale() == ["student/91_orphan.ipynb"]


def test_a_source_that_does_not_run_is_named(tiny):
    tiny.write_text(HEAD + "\n# %%\n1 / 0\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"90_tiny\.py does not run: ZeroDivisionError"):
        build.build()
