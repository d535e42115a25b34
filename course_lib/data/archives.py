"""Read files out of a zip archive from elsewhere, or out of the folder it was unpacked to.

Everything that can be wrong with a zip is looked for before the first member is read: names that
lead outside, links, bombs. Members are read straight from the archive; nothing is unpacked to
be read.
"""

import collections
import hashlib
import os
import stat
import zipfile
import zlib
from pathlib import Path

MAX_BYTES = 4 * 2**30
MAX_RATIO = 200
_SMALL = 2**20  # a blank picture may shrink a thousandfold and harms nobody
_BROKEN = (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, NotImplementedError)


class ZipSource:
    """The members of a checked zip archive; a context manager.

    Attributes:
        path: The archive.
        names: Names of its files with ``/`` between folders, sorted; folders are left out.
    """

    def __init__(
        self, path: Path | str, max_bytes: int = MAX_BYTES, max_ratio: float = MAX_RATIO
    ) -> None:
        """Open and check an archive.

        Args:
            path: The zip file.
            max_bytes: Most bytes that all members may have when unpacked.
            max_ratio: Most bytes that a byte of a member may unpack to (members above 1 MiB).

        Raises:
            ValueError: Not a whole zip file, or a member with an unsafe name, a link, a
                password, a name that comes twice, or a bomb.
        """
        self.path = Path(path)
        if not self.path.is_file():
            raise ValueError(f"no file {self.path}")
        try:
            self._zip = zipfile.ZipFile(self.path)
        except _BROKEN as error:
            raise ValueError(
                f"{self.path} is not a whole zip file (truncated, or of another kind): get it again"
            ) from error
        try:
            members = self._zip.infolist()
            for member in members:
                _refuse_unsafe(self.path, member)
            _refuse_twice(self.path, members)
            _refuse_bomb(self.path, members, max_bytes, max_ratio)
        except ValueError:
            self.close()
            raise
        self.names = sorted(member.filename for member in members if not member.is_dir())

    def __enter__(self) -> "ZipSource":
        return self

    def __exit__(self, *_) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._zip.close()

    def read(self, name: str) -> bytes:
        """Read a member whole; its checksum is compared.

        Raises:
            ValueError: No such member, or it is damaged.
        """
        try:
            return self._zip.read(name)
        except KeyError as error:
            raise ValueError(f"{self.path} has no member {name!r}") from error
        except (*_BROKEN, RuntimeError) as error:
            raise ValueError(
                f"{self.path}: member {name!r} is damaged ({error}): get the archive again"
            ) from error

    def sha256(self) -> str:
        """SHA-256 (hex) of the archive."""
        with self.path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()


class FolderSource:
    """The files below a folder, read like the members of a zip archive.

    Attributes:
        path: The folder.
        names: Names of its files relative to it with ``/`` between folders, sorted.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self.names = sorted(
            Path(folder, file).relative_to(self.path).as_posix()
            for folder, _, files in os.walk(self.path)
            for file in files
        )

    def __enter__(self) -> "FolderSource":
        return self

    def __exit__(self, *_) -> None:
        pass

    def read(self, name: str) -> bytes:
        """Read a file whole.

        Raises:
            ValueError: It cannot be read.
        """
        try:
            return (self.path / name).read_bytes()
        except OSError as error:
            raise ValueError(f"cannot read {self.path / name}: {error.strerror}") from error

    def sha256(self) -> str:
        """SHA-256 (hex) over the names and contents of all files."""
        digest = hashlib.sha256()
        for name in self.names:
            digest.update(f"{name}\n{hashlib.sha256(self.read(name)).hexdigest()}\n".encode())
        return digest.hexdigest()


def open_source(path: Path | str) -> ZipSource | FolderSource:
    """Open a zip archive, or the folder that it was unpacked to.

    Raises:
        ValueError: There is nothing at ``path``, or the archive is refused (see ZipSource).
    """
    return FolderSource(path) if Path(path).is_dir() else ZipSource(path)


def _refuse_unsafe(path: Path, member: zipfile.ZipInfo) -> None:
    name = member.orig_filename
    mode = stat.S_IFMT(member.external_attr >> 16)
    reason = ""
    if not name or name.startswith("/") or ".." in name.split("/"):
        reason = "leads outside the archive"
    elif any(sign in name for sign in "\\:\0"):
        reason = "has a sign in its name that no member should have"
    elif mode == stat.S_IFLNK:
        reason = "is a symbolic link"
    elif mode not in (0, stat.S_IFREG, stat.S_IFDIR):
        reason = "is neither a file nor a folder"
    elif member.flag_bits & 1:
        reason = "needs a password"
    if reason:
        raise ValueError(
            f"{path}: member {name!r} {reason}; nothing was unpacked, "
            "get the archive from its publisher"
        )


def _refuse_twice(path: Path, members: list[zipfile.ZipInfo]) -> None:
    for name, count in collections.Counter(m.filename for m in members).most_common(1):
        if count > 1:
            raise ValueError(f"{path}: member {name!r} comes {count} times; pack it again")


def _refuse_bomb(
    path: Path, members: list[zipfile.ZipInfo], max_bytes: int, max_ratio: float
) -> None:
    largest = max(members, key=lambda member: member.file_size, default=None)
    total = sum(member.file_size for member in members)
    if total > max_bytes:
        raise ValueError(
            f"{path} would unpack to {total:,} bytes, more than {max_bytes:,} "
            f"(largest member {largest.filename!r}); nothing was unpacked"
        )
    for member in members:
        if member.file_size > max(_SMALL, max_ratio * member.compress_size):
            raise ValueError(
                f"{path}: member {member.filename!r} would unpack from {member.compress_size:,} "
                f"to {member.file_size:,} bytes, like a zip bomb; nothing was unpacked"
            )
    packed = sum(member.compress_size for member in members)
    if packed > path.stat().st_size:
        raise ValueError(
            f"{path}: members overlap (largest {largest.filename!r}), like a zip bomb; "
            "nothing was unpacked"
        )
