import hashlib
import os
import stat
import warnings
import zipfile

import pytest

from course_lib.data import archives


def make_zip(path, members, compression=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(path, "w", compression) as file, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a name that comes twice
        for name, content in members:
            file.writestr(name, content)
    return path


def one_line(error):
    text = str(error.value)
    assert "\n" not in text
    return text


def special(name, mode):
    info = zipfile.ZipInfo(name)
    info.create_system = 3
    info.external_attr = mode << 16
    return info


def test_reads_members_sorted_and_without_folders(tmp_path):
    path = make_zip(tmp_path / "a.zip", [("b/2.txt", b"two"), ("b/", b""), ("a 1.txt", b"one")])
    with archives.open_source(path) as source:
        assert source.names == ["a 1.txt", "b/2.txt"]
        assert source.read("b/2.txt") == b"two"
        assert source.sha256() == hashlib.sha256(path.read_bytes()).hexdigest()
        with pytest.raises(ValueError, match=r"no member 'b/3\.txt'"):
            source.read("b/3.txt")


def test_folder_reads_like_the_zip(tmp_path):
    path = make_zip(tmp_path / "a.zip", [("top/b/2.txt", b"two"), ("top/1.txt", b"one")])
    folder = tmp_path / "out"
    with zipfile.ZipFile(path) as file:
        file.extractall(folder)
    with archives.open_source(folder) as unpacked, archives.open_source(path) as packed:
        assert unpacked.names == packed.names
        assert [unpacked.read(n) for n in unpacked.names] == [packed.read(n) for n in packed.names]
        first = unpacked.sha256()
    (folder / "top/1.txt").write_bytes(b"eno")
    assert archives.open_source(folder).sha256() != first


@pytest.mark.parametrize(
    "name",
    ["../evil.txt", "a/../../evil.txt", "/etc/evil.txt", "C:/evil.txt", "..\\evil.txt", "a/.."],
)
def test_names_that_lead_outside_are_refused(tmp_path, name):
    path = make_zip(tmp_path / "evil.zip", [("good.txt", b"x"), (name, b"evil")])
    with pytest.raises(ValueError, match=r"evil\.zip: member ") as error:
        archives.open_source(path)
    assert repr(name) in one_line(error)
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("mode", "word"), [(stat.S_IFLNK | 0o777, "symbolic link"), (stat.S_IFIFO | 0o644, "neither")]
)
def test_links_and_pipes_are_refused(tmp_path, mode, word):
    path = make_zip(tmp_path / "link.zip", [(special("here", mode), b"/etc/passwd")])
    with pytest.raises(ValueError, match=f"link.zip: member 'here' .*{word}") as error:
        archives.open_source(path)
    one_line(error)


def test_password_is_refused(tmp_path):
    path = make_zip(tmp_path / "a.zip", [("a.txt", b"text")])
    content = bytearray(path.read_bytes())
    content[content.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"a\.zip: member 'a\.txt' needs a password"):
        archives.open_source(path)


def test_name_that_comes_twice_is_refused(tmp_path):
    path = make_zip(tmp_path / "a.zip", [("a.txt", b"one"), ("a.txt", b"two")])
    with pytest.raises(ValueError, match=r"'a\.txt' comes 2 times"):
        archives.open_source(path)


def test_bomb_is_refused_by_ratio_before_anything_is_read(tmp_path):
    path = make_zip(tmp_path / "bomb.zip", [("zeros.bin", bytes(8 * 2**20))])
    assert path.stat().st_size < 20_000
    with pytest.raises(ValueError, match=r"bomb\.zip: member 'zeros\.bin' .*8,388,608") as error:
        archives.open_source(path)
    one_line(error)
    assert list(tmp_path.iterdir()) == [path]


def test_small_blank_file_is_no_bomb(tmp_path):
    path = make_zip(tmp_path / "a.zip", [("blank.bin", bytes(2**20))])
    with archives.open_source(path) as source:
        assert source.read("blank.bin") == bytes(2**20)


def test_bomb_is_refused_by_total(tmp_path):
    path = make_zip(tmp_path / "a.zip", [(f"{i}.bin", os.urandom(1000)) for i in range(5)])
    archives.ZipSource(path, max_bytes=5000).close()
    with pytest.raises(ValueError, match=r"5,000 bytes, more than 4,999 \(largest member "):
        archives.ZipSource(path, max_bytes=4999)


def test_overlapping_members_are_refused(tmp_path):
    """Two entries of the directory that share one stream, as in bombs that keep the ratio low."""
    path = make_zip(tmp_path / "a.zip", [("a", os.urandom(5000))], zipfile.ZIP_STORED)
    content = path.read_bytes()
    start, end = content.index(b"PK\x01\x02"), content.index(b"PK\x05\x06")
    entry = content[start:end]
    count = (2).to_bytes(2, "little")
    tail = bytearray(content[end:])
    tail[8:12] = count + count
    tail[12:16] = (2 * len(entry)).to_bytes(4, "little")
    path.write_bytes(content[:end] + entry.replace(b"a", b"b") + bytes(tail))
    with pytest.raises(ValueError, match=r"a\.zip: members overlap"):
        archives.open_source(path)


def test_lying_size_never_unpacks_more_than_it_says(tmp_path):
    path = make_zip(tmp_path / "a.zip", [("a.bin", bytes(2**21))])
    content = path.read_bytes()
    small = (100).to_bytes(4, "little")
    path.write_bytes(content.replace((2**21).to_bytes(4, "little"), small))
    with (
        archives.open_source(path) as source,
        pytest.raises(ValueError, match=r"a\.zip: member 'a\.bin' is damaged"),
    ):
        source.read("a.bin")


@pytest.mark.parametrize("cut", [0, 10, 0.5, -1])
def test_truncated_or_foreign_file(tmp_path, cut):
    whole = make_zip(tmp_path / "whole.zip", [("a", os.urandom(5000))]).read_bytes()
    path = tmp_path / "cut.zip"
    path.write_bytes(whole[: int(len(whole) * cut) if isinstance(cut, float) else cut])
    with pytest.raises(ValueError, match=r"cut\.zip is not a whole zip file") as error:
        archives.open_source(path)
    one_line(error)


def test_damaged_member_is_named(tmp_path):
    path = make_zip(tmp_path / "a.zip", [("a", b"first"), ("b", os.urandom(5000))])
    content = bytearray(path.read_bytes())
    content[3000] ^= 255
    path.write_bytes(content)
    with archives.open_source(path) as source:
        assert source.read("a") == b"first"
        with pytest.raises(ValueError, match=r"a\.zip: member 'b' is damaged") as error:
            source.read("b")
    one_line(error)


def test_empty_zip_has_no_names(tmp_path):
    assert archives.open_source(make_zip(tmp_path / "a.zip", [])).names == []


def test_missing_file(tmp_path):
    with pytest.raises(ValueError, match=r"no file .*gone\.zip"):
        archives.open_source(tmp_path / "gone.zip")
