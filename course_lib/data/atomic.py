"""Write a file or a folder so that a reader sees all of it or nothing."""

import errno
import os
import platform
import re
import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

_ADVICE = {
    "free space there or choose another folder": ("ENOSPC", "EFBIG", "EDQUOT"),
    "a file is in the way; choose another folder": ("EEXIST", "ENOTDIR", "EISDIR"),
    "the place is not writable; choose another folder": ("EACCES", "EPERM", "EROFS"),
}
CLOCK = 5  # seconds by which a file system's clock may be behind


@contextmanager
def one_line_errors(target: Path) -> Iterator[None]:
    """Turn an ``OSError`` met while writing into one line for the user.

    Raises:
        ValueError: Names ``target``, the system's reason (no space left, not a directory) and
            what helps against it.
    """
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        raise ValueError(f"cannot write {target}: {reason}; {_advice(error.errno)}") from error


def _advice(number: int | None) -> str:
    name = errno.errorcode.get(number, "")
    fitting = (advice for advice, names in _ADVICE.items() if name in names)
    return next(fitting, "choose another folder")


def write_file(path: Path, content: bytes | memoryview) -> None:
    """Write ``content`` beside ``path``, flush it to the disk and rename it to ``path``.

    Raises:
        ValueError: The disk is full, the place is not writable, or lies below a file.
    """
    with one_line_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        _remove_leftovers(path)
        temporary = _temporary_name(path)
        try:
            with temporary.open("xb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
            sync_folder(path.parent)
        finally:
            temporary.unlink(missing_ok=True)


@contextmanager
def new_folder(target: Path, may_replace: Callable[[Path], bool]) -> Iterator[Path]:
    """Give a temporary sibling of ``target`` to fill; rename it to ``target`` at the end.

    Files put into it are to be flushed by who writes them. If ``target`` exists by then, it is
    replaced where ``may_replace(target)`` is true and kept (the new one is dropped) where not.
    If anything fails the temporary folder is removed and ``target`` stays as it was.

    Raises:
        ValueError: The disk is full, the place is not writable, or lies below a file.
    """
    with one_line_errors(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        _remove_leftovers(target)
        temporary = _temporary_name(target)
        temporary.mkdir()
        try:
            yield temporary
            sync_folder(temporary)
            _place(temporary, target, may_replace)
            sync_folder(target.parent)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)


def _place(temporary: Path, target: Path, may_replace: Callable[[Path], bool]) -> None:
    # A second process may place its own folder between any two lines here, hence the loop.
    for _ in range(100):
        old = _temporary_name(target)
        try:
            if target.exists():
                if not may_replace(target):
                    return
                target.rename(old)
            temporary.rename(target)
            return
        except (FileNotFoundError, FileExistsError):
            continue
        except OSError as error:
            if error.errno != errno.ENOTEMPTY:
                raise
        finally:
            shutil.rmtree(old, ignore_errors=True)
    raise OSError(errno.EBUSY, "other processes keep writing there")


def sync_folder(folder: Path) -> None:
    """Flush the names in ``folder`` to the disk (Windows has no such call and needs none)."""
    if os.name == "nt":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _temporary_name(target: Path) -> Path:
    return target.with_name(f".{target.name}.tmp-{_host()}-{os.getpid()}-{secrets.token_hex(4)}")


def _remove_leftovers(target: Path) -> None:
    """Remove temporary siblings of ``target`` whose process on this machine is dead."""
    pattern = re.compile(re.escape(f".{target.name}.tmp-{_host()}-") + r"(\d+)-[0-9a-f]{8}")
    for sibling in target.parent.iterdir():
        match = pattern.fullmatch(sibling.name)
        if match is None or _in_use(sibling, int(match[1])):
            continue
        if sibling.is_dir():
            shutil.rmtree(sibling, ignore_errors=True)
        else:
            sibling.unlink(missing_ok=True)


def _in_use(temporary: Path, pid: int) -> bool:
    """Tell whether the process that began a temporary file or folder may still be at it.

    A process that ended but was not yet waited for is dead; one that is younger than the file has
    only inherited the number.
    """
    try:
        import psutil
    except ImportError:  # a machine that only trains may lack it; leftovers stay
        return True
    try:
        process = psutil.Process(pid)
        ended = process.status() == psutil.STATUS_ZOMBIE
        return not ended and process.create_time() <= temporary.stat().st_mtime + CLOCK
    except psutil.AccessDenied:
        return True
    except (psutil.NoSuchProcess, FileNotFoundError):
        return False


def _host() -> str:
    return re.sub(r"[^A-Za-z0-9]", "", platform.node()) or "host"
