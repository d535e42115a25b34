"""Documents: links lead somewhere, commands exist, the two commands stand at the top."""

import re

import click
import pytest

from course_lib.cli.main import course

PAGES = ["README.md", "CONTRIBUTING.md", "NOTICE.md", "CHANGELOG.md", "notebooks/glossary.md"]


@pytest.mark.parametrize("page", PAGES)
def test_relative_links_lead_to_files(root, page):
    text = (root / page).read_text(encoding="utf-8")
    for link in re.findall(r"\]\(([^)#\s]+)\)", text):
        if not link.startswith("http"):
            assert (root / page).parent.joinpath(link).exists(), link


def test_the_two_commands_stand_at_the_top(root):
    head = (root / "README.md").read_text(encoding="utf-8").split("## For whom")[0]
    assert "make course" in head
    assert "make test" in head


@pytest.mark.parametrize("page", PAGES[:2])
def test_every_command_that_is_named_exists(root, page):
    text = (root / page).read_text(encoding="utf-8")
    for name in re.findall(r"(?:`|^)course (\w+)", text, re.MULTILINE):
        assert name in course.list_commands(click.Context(course)), name
    for target in re.findall(r"`make (\w+)", text):
        makefile = (root / "Makefile").read_text(encoding="utf-8")
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def test_pictures_have_alt_text(root):
    text = (root / "README.md").read_text(encoding="utf-8")
    assert all(len(alt) > 10 for alt in re.findall(r"!\[([^\]]*)\]", text))


def test_ci_calls_make_test(root):
    assert "make test" in (root / ".ci" / "run").read_text(encoding="utf-8")
    assert "make test" in (root / ".github/workflows/test.yml").read_text(encoding="utf-8")


def test_licences_of_shipped_data_are_named(root):
    text = (root / "NOTICE.md").read_text(encoding="utf-8")
    for name in ("phantoms", "nuclei-mini", "hippocampus", "nuclei", "BUSI"):
        assert f"| {name} |" in text
