"""A student's work is safe: `course work` never overwrites."""

from tests.cli.conftest import notebook


def test_copies_what_is_missing_and_keeps_what_is_there(course_of, cli, tmp_path):
    course_of(**{"90_tiny": notebook(), "91_more": notebook()})
    work = tmp_path / "work"
    work.mkdir()
    (work / "90_tiny.ipynb").write_text("my answers", encoding="utf-8")
    result = cli("work", "--no-open", "--to", work)
    assert result.exit_code == 0, result.output
    assert (work / "90_tiny.ipynb").read_text(encoding="utf-8") == "my answers"
    assert "A tiny notebook" in (work / "91_more.ipynb").read_text(encoding="utf-8")
    assert "kept   90_tiny.ipynb" in result.output


def test_a_link_to_a_students_file_is_not_followed(course_of, cli, tmp_path):
    course_of(**{"90_tiny": notebook()})
    work = tmp_path / "work"
    work.mkdir()
    (tmp_path / "mine.ipynb").write_text("mine", encoding="utf-8")
    (work / "90_tiny.ipynb").symlink_to(tmp_path / "mine.ipynb")
    cli("work", "--no-open", "--to", work)
    assert (tmp_path / "mine.ipynb").read_text(encoding="utf-8") == "mine"


def test_work_below_a_file_is_refused(course_of, cli, tmp_path):
    course_of(**{"90_tiny": notebook()})
    (tmp_path / "work").write_text("x", encoding="utf-8")
    result = cli("work", "--no-open", "--to", tmp_path / "work")
    assert result.exit_code == 2
