"""The report page: what failed comes first, tables can be reached, nothing is fetched."""

import json
import re

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from course_lib import claims, records
from course_lib.cli import claims_page, report

PIXEL = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGA"
    "WjR9awAAAABJRU5ErkJggg=="
)


def place(folder, name, status="passed", **outcome):
    run = folder / name
    run.mkdir()
    shown = new_output(
        "display_data",
        {"image/png": PIXEL},
        metadata={"image/png": {"alt": "Dots <fall> from 0.9 to 0.5.", "key": True}},
    )
    cells = [new_markdown_cell(f"# {name[:2]} A & B"), new_code_cell("1", outputs=[shown])]
    nbformat.write(new_notebook(cells=cells), run / f"{name}.ipynb")
    end = {"status": status, "seconds": 5.0, "cell": None, "error": "", "lines": []} | outcome
    (run / "parameters.json").write_text('{"profile": "fast"}', encoding="utf-8")
    (run / "outcome.json").write_text(json.dumps(end), encoding="utf-8")
    if status == "passed":
        records = {"dice": {"value": None, "unit": "", "n": None, "interval": None}}
        result = {
            "profile": "fast",
            "seconds": 5.0,
            "peak_mb": 300.0,
            "records": records,
            "cores": 2,
        }
        result |= {"device": "cpu", "commit": None, "finished": "t", "versions": {"torch": "2"}}
        (run / "results.json").write_text(json.dumps(result), encoding="utf-8")


@pytest.fixture
def page(tmp_path, monkeypatch):
    budgets = {"01_slow": {"fast": {"seconds": 2, "peak_mb": 500}}}
    budgets["00_good"] = {"fast": {"seconds": 10, "peak_mb": 500}}
    monkeypatch.setattr(report, "budgets", lambda: budgets)
    place(tmp_path, "00_good")
    place(tmp_path, "01_slow")
    place(tmp_path, "02_bad", "failed", cell=7, error="ValueError: <b>", lines=["a < b"])
    return report.write(tmp_path).read_text(encoding="utf-8")


def test_what_needs_a_look_comes_first(page):
    assert "Course run: 2 of 3 notebooks passed" in page
    attention = page[page.index("Look at these first") : page.index("All runs")]
    assert "cell 7: ValueError: &lt;b&gt;" in attention
    assert "over its budget of 2 s, 500 MB" in attention
    assert "00_good" not in attention


def test_status_is_a_word_and_not_a_sign_alone(page):
    for word in ("passed", "failed", "over budget"):
        assert re.search(rf'<span aria-hidden="true">.</span> {word}', page)


def test_figures_keep_their_alt_text(page, tmp_path):
    assert page.count('alt="Dots &lt;fall&gt; from 0.9 to 0.5."') == 3
    exported = (tmp_path / "00_good" / "00_good.html").read_text(encoding="utf-8")
    assert "Dots" in re.search(r"<img[^>]*>", exported)[0]


def test_text_is_escaped_and_undefined_values_are_named(page):
    assert "A &amp; B" in page
    assert "a &lt; b" in page
    assert "undefined" in page


def test_the_page_fetches_nothing(page):
    assert not re.search(r'(src|href)="https?:', page)
    assert "<script" not in page


def test_tables_have_scopes_and_can_be_reached_by_keyboard(page):
    assert page.count('role="region" tabindex="0"') >= 3
    assert 'scope="col"' in page
    assert 'scope="row"' in page


def test_half_a_notebook_is_a_failed_run_and_spares_the_others(page, tmp_path):
    file = tmp_path / "00_good" / "00_good.ipynb"
    file.write_text(file.read_text(encoding="utf-8")[:100], encoding="utf-8")
    text = report.write(tmp_path).read_text(encoding="utf-8")
    assert "Course run: 1 of 3 notebooks passed" in text
    assert "the executed notebook cannot be read" in text


def test_claims_of_a_paper_stand_below_the_notebooks_that_speak_about_them(tmp_path):
    place(tmp_path, "05_reunet")
    page = report.write(tmp_path).read_text(encoding="utf-8")
    assert page.index('<section id="05_reunet">') < page.index(claims_page.section_html("reunet"))
    assert page.index('href="#claims-reunet"') < page.index('<section id="05_reunet">')
    assert claims_page.sentence(claims.rows("reunet")) in page
    assert not re.search(r'(src|href)="https?:', page)


def test_no_ledger_where_no_notebook_of_it_was_run(page):
    assert "claims-" not in page


def test_a_broken_ledger_costs_its_section_and_not_the_page(tmp_path, monkeypatch):
    monkeypatch.setattr(records, "ROOT", tmp_path)
    folder = tmp_path / "notebooks" / "claims"
    folder.mkdir(parents=True)
    (folder / "tiny.toml").write_text('[[claim]]\nid = "<X1>"\nwhat = 1\n', encoding="utf-8")
    runs = tmp_path / "runs"
    runs.mkdir()
    place(runs, "05_reunet")
    page = report.write(runs).read_text(encoding="utf-8")
    assert "Course run: 1 of 1 notebooks passed" in page
    assert "<pre>tiny.toml: &lt;X1&gt;: unknown field" in page
