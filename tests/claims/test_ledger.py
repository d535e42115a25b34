"""A ledger that does not hang together is one clear line with file and id."""

import pytest

from course_lib import claims, records
from tests.claims.conftest import SWEPT

CLAIM = """
[[claim]]
id = "X1"
where = "4"
claim = "It gains"
kind = "arithmetic"
quote = 0.03
given = { own = "T1.own.dice", others = ["T1.*.dice", "-T1.own.*"] }
rule = "round(own - max(others), 2) >= quote"
"""
TABLE = """
[[claim]]
id = "T1"
where = "Table 1"
claim = "{row} {column} {0} {"
kind = "measured"
columns = ["dice", "iou"]
why = "the images are not named"
[claim.rows]
own = "0.90±0.02 0.80"
"u-net" = "0.86 0.7"
"""
NET = """
[nets.unet]
create = "unet"
parameters = 31031745
"""


def ledger(tmp_path, text):
    file = tmp_path / "tiny.toml"
    file.write_text(text, encoding="utf-8")
    return claims.read_file(file)


def test_a_table_becomes_one_claim_a_cell(tmp_path):
    book = ledger(tmp_path, CLAIM + TABLE)
    ids = ["X1", "T1.own.dice", "T1.own.iou", "T1.u-net.dice", "T1.u-net.iou"]
    assert [claim.id for claim in book.claims] == ids
    cell = book.claims[1]
    assert (cell.quote, cell.printed, cell.measure, cell.table) == (0.9, "0.90±0.02", "dice", "T1")
    assert cell.claim == "own dice {0} {"  # braces of others stay as they are
    assert book.values["T1.own.dice.sd"] == 0.02
    assert book.claims[0].inputs == {"own": 0.9, "others": [0.86], "quote": 0.03}


def test_one_reason_a_column(tmp_path):
    text = TABLE.replace('columns = ["dice", "iou"]', 'columns = ["a.dice", "b.iou"]')
    with pytest.raises(ValueError, match=r"tiny\.toml: T1\.own\.b\.iou: why has no reason for 'b'"):
        ledger(tmp_path, text.replace('why = "the images are not named"', 'why = { a = "none" }'))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("quote = 0.03", "quot = 0.03", "X1: unknown field 'quot'"),
        ('where = "4"', "", "X1: where is missing"),
        ('claim = "It gains"', 'claim = ""', "X1: claim is missing"),
        ('where = "4"', "where = 4", "X1: where = 4 must be a text"),
        ("quote = 0.03", "quote = true", "X1: quote = True must be a number or a text or a list"),
        ("quote = 0.03", "quote = [1, [2]]", "X1: an item of quote"),
        ("quote = 0.03", "", "X1: a claim of kind arithmetic needs quote"),
        ('kind = "arithmetic"', 'kind = "guess"', "X1: unknown kind 'guess': use one of"),
        ('kind = "arithmetic"', 'kind = "silent"', "X1: quote has no meaning here"),
        ('kind = "arithmetic"', 'kind = "code"', "X1: a claim of kind code needs found"),
        ('id = "X1"', 'id = "x 1"', "x 1: an id looks like"),
        ('id = "X1"', "", "a claim without id: id is missing"),
        ('id = "X1"', 'id = "T1.own.dice"', "T1.own.dice: this id is there twice"),
        ("own - max", "owner - max", "X1: the rule names the unknown value 'owner'; known: others"),
        ("own - max(others)", "own", "X1: given.others is not used"),
        ('"T1.own.dice"', '"T1.me.dice"', "X1: given names 'T1.me.dice', which no cell or count"),
        ('"T1.own.dice"', "true", "X1: given takes a number, an id or a list"),
        ('"-T1.own.*"', '"-T9.*"', "X1: given names '-T9"),
        (">= quote", "+ quote", "X1: the rule does not end in true or false"),
        ("round(", "print(", "X1: .* is not allowed in a rule"),
        (">= quote", ">= quote.real", "X1: 'quote.real' is not allowed in a rule"),
        ('own = "0.90±0.02 0.80"', 'own = "0.90±0.02"', "T1.own: must be a text with 2 numbers"),
        ('own = "0.90±0.02 0.80"', "own = 0.9", "T1.own: must be a text with 2 numbers"),
        ("0.86 0.7", "0.86 -", "T1.u-net.iou: '-' is not a number"),
        ('columns = ["dice", "iou"]', 'columns = ["dice", "style"]', "unknown measure 'style'"),
        ('columns = ["dice", "iou"]', 'columns = "dice"', "T1: columns is of the wrong type"),
        ('columns = ["dice", "iou"]', "", "T1: columns is missing"),
        ('why = "the images are not named"', "", "T1: why is missing"),
        ('why = "the images are not named"', 'rule = "1 > 0"', "T1: unknown field 'rule'"),
        ('record = "dice_mean"', "", "X2: a claim of kind measured needs record"),
        ('sweep = "gate"', "", "X2: a claim of kind measured needs notebook"),
        ('sweep = "gate"', 'sweep = "gate"\ndata = "busi"', "X2: data has no meaning here"),
        ('measure = "dice"', 'measure = "style"', "X2: unknown measure 'style'"),
        ('rule = "low > 0"', 'rule = "1 > 0"', "X2: the rule must use one of ours, low, high"),
        ('rule = "low > 0"', 'rule = "lowest > 0"', "X2: the rule names the unknown value"),
        ('rule = "low > 0"', 'rule = "low > 0"\nwhy = "x"', "X2: rule has no meaning here"),
        ("parameters = 31031745", 'parameters = "many"', "nets.unet: parameters = 'many' must be"),
        ("parameters = 31031745", 'total = "many"', "nets.unet: total = 'many' must be"),
        ("parameters = 31031745", "params = 1", "nets.unet: unknown field 'params'"),
        ('create = "unet"', "", "nets.unet: create must name"),
        ("[nets.unet]", "[net.unet]", "the file: unknown field 'net'"),
        ('[nets.unet]\ncreate = "unet"', "[nets]\nunet = 3", "nets: unet = 3 must be a table"),
        ('id = "X2"', 'id = "X2"\ncell = { numbers = { "X9" = 1 } }', "X2: unknown field 'cell'"),
        ("[[claim]]", "[claim", "tiny.toml: "),
    ],
)
def test_bad_input_is_one_line_with_file_and_id(tmp_path, old, new, message):
    text = NET + CLAIM + TABLE + SWEPT
    assert old in text
    with pytest.raises(ValueError, match=r"^tiny\.toml: ") as raised:
        ledger(tmp_path, text.replace(old, new))
    assert "\n" not in str(raised.value)
    assert raised.match(message.replace("(", r"\("))


@pytest.mark.parametrize("text", ["", "claim = 3", "claim = [3]", "[[claim]]\nid = 4"])
def test_a_file_without_claims_is_refused(tmp_path, text):
    with pytest.raises(ValueError, match=r"^tiny\.toml: "):
        ledger(tmp_path, text)


def test_a_file_that_is_no_utf8_is_refused(tmp_path):
    (tmp_path / "tiny.toml").write_bytes(b'[paper]\ntitle = "\xff"')
    with pytest.raises(ValueError, match=r"^tiny\.toml: "):
        claims.read_file(tmp_path / "tiny.toml")


def test_an_unknown_paper_names_the_known_ones(tmp_path, monkeypatch):
    with pytest.raises(ValueError, match=r"no ledger 'renet': use one of .*reunet"):
        claims.read("renet")
    with pytest.raises(ValueError, match="no ledger"):
        claims.read("../claims/reunet")
    monkeypatch.setattr(records, "ROOT", tmp_path)
    assert claims.papers() == []
