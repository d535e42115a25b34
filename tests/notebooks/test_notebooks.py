"""The pattern of every notebook: tags in order, no leaks, alt text, sizes, no widget state."""

import json
import re

import nbformat
import pytest

from course_lib.cli import build, parameters

SOURCES = {source.stem: source for source in build.sources()}
NAMES = sorted(SOURCES)
LESSONS = [name for name in NAMES if name != "00_start_here"]
ONCE = ["goals", "budget", "parameters", "setup", "result", "keypoints", "next"]
CONTROL = {"parameters", "setup", "goals", "budget", "predict", "figure", "widget", "exercise"}
CONTROL |= {"check", "result", "claims", "keypoints", "next"}
CONTROL |= {"nbval-check-output", "nbval-ignore-output", "solution-only"}


def stored(name, folder="notebooks"):
    return nbformat.read(build.ROOT / folder / f"{name}.ipynb", as_version=4)


def solved(name):
    return stored(name, "notebooks/solutions")


def tags(cell):
    return cell.metadata.get("tags", [])


def pictures(notebook):
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            if "image/png" in output.get("data", {}):
                yield output


def test_built_notebooks_are_as_their_sources_say():
    assert build.stale() == []


@pytest.mark.parametrize("name", NAMES)
def test_cells_stand_in_the_agreed_order(name):
    cells = build.student(SOURCES[name]).cells
    assert re.match(rf"# {name[:2]} \S.*\?", cells[0].source)
    where = [[index for index, cell in enumerate(cells) if tag in tags(cell)] for tag in ONCE]
    assert all(len(found) == 1 for found in where), dict(zip(ONCE, where, strict=True))
    order = [found[0] for found in where]
    assert order == sorted(order)
    first_code = next(i for i, cell in enumerate(cells) if cell.cell_type == "code")
    assert tags(cells[first_code]) == ["parameters"]
    headings = [c for c in cells if c.cell_type == "markdown" and c.source.startswith("# ")]
    assert len(headings) == 1
    assert 25 <= len(cells) <= 70


@pytest.mark.parametrize("name", NAMES)
def test_tags_are_known(name):
    for cell in build.solution(SOURCES[name]).cells:
        for tag in tags(cell):
            assert tag in CONTROL or re.fullmatch(rf"ex-{name[:2]}-\d", tag), tag


@pytest.mark.parametrize("name", NAMES)
def test_parameters_can_be_read_and_hold_what_every_notebook_needs(name):
    table = parameters.read(build.ROOT / "notebooks" / f"{name}.ipynb")
    assert {"profile", "seed", "out_dir"} <= set(table)
    assert table["profile"].default == ""


@pytest.mark.parametrize("name", LESSONS)
def test_lessons_ask_before_they_show_and_hold_exercises_figures_and_a_control(name):
    cells = build.student(SOURCES[name]).cells
    assert sum("exercise" in tags(cell) for cell in cells) >= 3
    assert sum("predict" in tags(cell) for cell in cells) >= 3
    assert sum("widget" in tags(cell) for cell in cells) >= 1
    assert len(list(pictures(solved(name)))) >= 4


@pytest.mark.parametrize("name", NAMES)
def test_every_exercise_is_followed_by_its_check(name):
    cells = build.student(SOURCES[name]).cells
    for index, cell in enumerate(cells):
        if "exercise" in tags(cell):
            number = next(tag for tag in tags(cell) if tag.startswith("ex-"))
            assert "check" in tags(cells[index + 1])
            assert number in tags(cells[index + 1])
            assert f'check("{number[3:]}"' in cells[index + 1].source


@pytest.mark.parametrize("name", NAMES)
def test_no_line_of_a_solution_is_in_the_student_version(name):
    text = SOURCES[name].read_text(encoding="utf-8")
    student = (build.ROOT / "notebooks" / f"{name}.ipynb").read_text(encoding="utf-8")
    lines = {
        line.strip()
        for cell in build.student(SOURCES[name]).cells
        for line in cell.source.splitlines()
    }
    for block in re.findall(r"### BEGIN SOLUTION\n(.*?)### END SOLUTION", text, re.DOTALL):
        for line in block.splitlines():
            if "### STUB" not in line and len(line.strip()) > 12:
                assert line.strip() not in lines, line
    assert "SOLUTION" not in student


@pytest.mark.parametrize("name", NAMES)
def test_student_version_has_no_outputs_and_is_small(name):
    path = build.ROOT / "notebooks" / f"{name}.ipynb"
    for cell in stored(name).cells:
        assert not cell.get("outputs")
        assert cell.get("execution_count") is None
    assert path.stat().st_size <= 60_000


@pytest.mark.parametrize("name", NAMES)
def test_solution_was_run_without_errors_and_is_not_too_large(name):
    path = build.SOLUTIONS / f"{name}.ipynb"
    notebook = solved(name)
    assert path.stat().st_size <= 750_000
    assert "widgets" not in notebook.metadata
    for cell in notebook.cells:
        if cell.cell_type == "code":
            assert cell.execution_count
            kinds = {output.output_type for output in cell.outputs}
            assert "error" not in kinds
            if "nbval-check-output" in tags(cell):
                assert kinds, "nothing is stored that could be compared"


@pytest.mark.parametrize("name", NAMES)
def test_every_picture_has_alt_text_and_one_is_the_best(name):
    outputs = list(pictures(solved(name)))
    about = [output.metadata.get("image/png", {}) for output in outputs]
    assert all(20 <= len(item.get("alt", "")) <= 250 for item in about)
    assert sum(bool(item.get("key")) for item in about) == 1


@pytest.mark.parametrize("name", NAMES)
def test_lines_fit_the_page(name):
    for cell in build.student(SOURCES[name]).cells:
        limit = 88 if cell.cell_type == "markdown" or "parameters" in tags(cell) else 79
        for line in cell.source.splitlines():
            if not line.startswith(("|", "$$")):
                assert len(line) <= limit + ("budget" in tags(cell)) * 200, line


@pytest.mark.parametrize("name", NAMES)
def test_nothing_of_the_machine_is_stored(name):
    text = json.dumps(solved(name))
    assert not re.search(r"/(home|root|tmp|work)/", text)


def test_glossary_explains_the_words_of_these_notebooks(root):
    text = (root / "notebooks" / "glossary.md").read_text(encoding="utf-8").lower()
    for word in (
        "modality", "reference mask", "reader variability", "boundary", "lesion", "group",
        "leakage", "prevalence", "phantom", "sensitivity", "specificity", "ppv", "dice", "iou",
        "hd95", "nsd", "pooled", "empty-mask policy", "lesion recall", "auc", "logit",
        "skip connection", "receptive field", "bootstrap", "confidence interval",
    ):  # fmt: skip
        assert f"**{word}" in text or f"{word}**" in text or f" {word}," in text, word
