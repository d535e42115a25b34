"""`course claims`: text and page say the same; bad input is one line and exit code 2."""

import re
from html.parser import HTMLParser

import pytest
from click.testing import CliRunner

from course_lib import claims as ledgers
from course_lib import records
from course_lib.cli import claims_page
from course_lib.cli.claims import claims
from tests.claims.conftest import HEAD, MEASURED, SWEPT, Project

VOID = {"meta", "link", "br", "img"}


@pytest.fixture
def call():
    def invoke(*arguments):
        return CliRunner().invoke(claims, [str(argument) for argument in arguments])

    return invoke


@pytest.fixture(scope="module")
def section():
    return claims_page.section_html("reunet")


class Balance(HTMLParser):
    """Notes the tags that are open, every id and every link inside the page."""

    def __init__(self):
        super().__init__()
        self.open, self.ids, self.links = [], [], []

    def handle_starttag(self, tag, attributes):
        known = dict(attributes)
        self.ids += [known["id"]] if "id" in known else []
        self.links += [known["href"]] if tag == "a" else []
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_text_has_a_line_a_claim_and_the_sum(call):
    done = call("reunet")
    assert done.exit_code == 0
    lines = done.output.splitlines()
    judged = ledgers.rows("reunet")
    plain = [row for row in judged if not row.claim.table]
    assert len(lines) == len(plain) + 6 + 1  # six printed tables, each with one verdict
    assert any(line.startswith("✓ holds") and "X1.brain" in line for line in lines)
    counts = ledgers.summary(judged)
    assert lines[-1].startswith(f"reunet: {len(judged)} claims: {counts['holds']} holds, ")


def test_without_a_paper_all_are_shown(call):
    assert call().output == "".join(call(paper).output for paper in ledgers.papers())


def test_page_has_every_claim_with_sign_and_word(call, tmp_path):
    done = call("reunet", "--html", tmp_path / "new" / "claims.html")
    assert done.exit_code == 0, done.output
    page = (tmp_path / "new" / "claims.html").read_text(encoding="utf-8")
    judged = ledgers.rows("reunet")
    for row in judged:
        assert f"<strong>{row.claim.id}</strong>" in page
    for verdict, count in ledgers.summary(judged).items():
        sign, _ = claims_page.SIGNS[ledgers.Verdict(verdict)]
        shown = re.findall(rf'<span aria-hidden="true">{re.escape(sign)}</span> {verdict}', page)
        assert len(shown) == count
    assert [file.name for file in (tmp_path / "new").iterdir()] == ["claims.html"]


def test_page_is_well_formed_and_fetches_nothing(section):
    balance = Balance()
    balance.feed(section)
    assert not balance.open
    assert len(set(balance.ids)) == len(balance.ids)
    assert {link.removeprefix("#") for link in balance.links} <= set(balance.ids)
    assert "http" not in section


def test_text_of_a_ledger_is_escaped(tmp_path, monkeypatch):
    monkeypatch.setattr(records, "ROOT", tmp_path)
    folder = tmp_path / "notebooks" / "claims"
    folder.mkdir(parents=True)
    (folder / "odd.toml").write_text(
        '[paper]\ntitle = "A <b> & B"\n[[claim]]\nid = "X1"\nwhere = "<4>"\nclaim = "a < b"\n'
        'kind = "measured"\nquote = "<i>"\nmeasure = "dice"\nwhy = "x & <y>"\n',
        encoding="utf-8",
    )
    section = claims_page.section_html("odd")
    for text in ("A &lt;b&gt; &amp; B", "&lt;4&gt;", "a &lt; b", "&lt;i&gt;", "x &amp; &lt;y&gt;"):
        assert text in section


def test_measured_numbers_come_with_interval_seeds_and_file(call, tmp_path, monkeypatch):
    monkeypatch.setattr(records, "ROOT", tmp_path)
    project = Project(tmp_path)
    project.ledger(HEAD + MEASURED + SWEPT)
    project.run(("full", 32, 0, 0.85, [0.7, 0.9]))
    project.sweep(("True", 8, 0, 0.9), ("False", 8, 0, 0.5))
    section = claims_page.section_html("tiny")
    assert '0.85 <span class="n">[0.7, 0.9]</span>' in section
    file = "notebooks/results/05_reunet/busi-cpu-2026-01-02.json"
    assert f'<div class="meta">1 seed, n = 40 · {file}</div>' in section
    assert "0.4<div" in section
    assert "at teaching size, 1 seed" in section
    assert "ours: 0.85 [0.7, 0.9]; 1 seed, n = 40" in call("tiny").output


def test_an_unknown_paper_is_one_line_and_exit_code_2(call):
    done = call("renet")
    assert done.exit_code == 2
    assert (
        done.output
        == f"Error: there is no ledger 'renet': use one of {', '.join(ledgers.papers())}\n"
    )


@pytest.mark.parametrize("command", [[], ["tiny"], ["tiny", "--html", "page.html"]])
def test_a_broken_ledger_is_one_line_and_exit_code_2(call, tmp_path, monkeypatch, command):
    monkeypatch.setattr(records, "ROOT", tmp_path)
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "notebooks" / "claims"
    folder.mkdir(parents=True)
    (folder / "tiny.toml").write_text('[[claim]]\nid = "X1"\nwhat = 1\n', encoding="utf-8")
    done = call(*command)
    assert done.exit_code == 2
    assert done.output.startswith("Error: tiny.toml: X1: unknown field 'what': use ")
    assert done.output.count("\n") == 1
    assert not (tmp_path / "page.html").exists()


def test_no_ledger_and_no_place_for_the_page(call, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    done = call("reunet", "--html", tmp_path / "file" / "page.html")
    assert done.exit_code == 2
    assert "cannot write" in done.output
    monkeypatch.setattr(records, "ROOT", tmp_path)
    assert call().exit_code == 2
