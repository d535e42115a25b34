"""What is left when a write is cut short: by the system, by kill -9, by another process."""

import errno
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import psutil
import pytest
from prepared_sample import names, sample

from course_lib.data import atomic, prepared, splits

pytestmark = pytest.mark.skipif(os.name == "nt", reason="needs POSIX signals and limits")

HEAD = """
    import os, resource, sys, time
    from pathlib import Path
    from course_lib.data import atomic, prepared, splits
    from prepared_sample import sample
    folder = Path(sys.argv[1])
"""


def start(folder, *codes):
    """Run a script in another process."""
    return subprocess.Popen(
        [sys.executable, "-c", "".join(map(textwrap.dedent, (HEAD, *codes))), str(folder)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(__file__).parent)},
    )


PAUSE = {
    # after the first array has reached the disk
    "between files": """
        synced = os.fsync
        def pause(handle):
            synced(handle)
            print("now", flush=True)
            time.sleep(60)
        os.fsync = pause
    """,
    # the old set is moved away, the new one not yet in place
    "between renames": """
        rename = Path.rename
        def pause(self, target):
            if Path(target) == folder:
                print("now", flush=True)
                time.sleep(60)
            return rename(self, target)
        Path.rename = pause
    """,
}


@pytest.mark.parametrize("place", PAUSE)
@pytest.mark.parametrize("existing", [False, True])
def test_kill_9_leaves_all_or_nothing(tmp_path, place, existing):
    folder = tmp_path / "set"
    if existing:
        prepared.write(folder, **sample())
    process = start(folder, PAUSE[place], "prepared.write(folder, **sample(seed=1))")
    assert process.stdout.readline() == "now\n", process.stderr.read()
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert len(names(tmp_path)) >= 1 + (existing and place == "between files")
    if existing and place == "between files":
        assert prepared.verify(folder) == []
        assert (prepared.open(folder).images == sample()["images"]).all()
    else:
        assert not folder.exists()
    # the next write cleans up after the dead process
    prepared.write(folder, **sample(seed=1))
    assert names(tmp_path) == ["set"]
    assert prepared.verify(folder) == []


def test_a_living_process_keeps_its_temporary_folder(tmp_path):
    with atomic.new_folder(tmp_path / "set", lambda old: True) as busy:
        (busy / "half").write_text("...", encoding="utf-8")
        prepared.write(tmp_path / "set", **sample())
        assert (busy / "half").exists()
    assert names(tmp_path) == ["set"]


def test_a_full_disk_is_one_line_and_leaves_nothing(tmp_path):
    code = """
    resource.setrlimit(resource.RLIMIT_FSIZE, (4000, 4000))
    for write in (
        lambda: prepared.write(folder / "set", **sample()),
        lambda: splits.write(folder / "set", "default", map(str, range(999)), ["train"] * 999),
    ):
        try:
            write()
        except ValueError as error:
            print(error)
    """
    out, errors = start(tmp_path, code).communicate()
    lines = out.splitlines()
    assert errors == ""
    assert len(lines) == 2
    assert lines[0].startswith(f"cannot write {tmp_path / 'set'}: File too large; free space")
    assert "default.csv: File too large" in lines[1]
    assert not list(tmp_path.rglob("*.npy")) + list(tmp_path.rglob(".*"))


def test_no_space_left_keeps_the_old_set(tmp_path, monkeypatch):
    folder = prepared.write(tmp_path / "set", **sample())

    def full(handle):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ValueError, match="set: No space left on device; free space there"):
        prepared.write(folder, **sample(seed=1))
    monkeypatch.undo()
    assert names(tmp_path) == ["set"]
    assert (prepared.open(folder, verify="hash").images == sample()["images"]).all()


def test_a_path_below_a_file_is_one_line(tmp_path):
    (tmp_path / "file").write_text("a file", encoding="utf-8")
    ending = "(Not a directory|File exists); a file is in the way; choose another folder$"
    for folder in (tmp_path / "file" / "set", tmp_path / "file" / "deep" / "set"):
        with pytest.raises(ValueError, match=f"cannot write .*set: {ending}"):
            prepared.write(folder, **sample())
        with pytest.raises(ValueError, match=f"cannot write .*csv: {ending}"):
            splits.write(folder, "default", ["a"], ["train"])
    assert names(tmp_path) == ["file"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_place_below_a_device_is_no_question_of_space():
    with pytest.raises(ValueError, match=r"cannot write /dev/full/x: .*; a file is in the way"):
        atomic.write_file(Path("/dev/full/x"), b"content")


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("ENOSPC", "free space there or choose another folder"),
        ("EDQUOT", "free space there or choose another folder"),
        ("EACCES", "the place is not writable; choose another folder"),
        ("EROFS", "the place is not writable; choose another folder"),
        ("EIO", "choose another folder"),
    ],
)
def test_the_advice_fits_the_reason(tmp_path, name, advice):
    number = getattr(errno, name)
    with (
        pytest.raises(ValueError, match="cannot write") as error,
        atomic.one_line_errors(tmp_path),
    ):
        raise OSError(number, os.strerror(number))
    assert str(error.value) == f"cannot write {tmp_path}: {os.strerror(number)}; {advice}"


def test_processes_that_write_at_once_agree(tmp_path):
    code = """
    print("ready", flush=True)
    while not (folder.parent / "go").exists():
        pass
    for i in range(10):
        prepared.write(folder.with_name(f"set{i}"), **sample())
        prepared.open(folder.with_name(f"set{i}"), verify="hash")
    """
    crowd = [start(tmp_path / "set", code) for _ in range(2)]
    for process in crowd:
        process.stdout.readline()
    (tmp_path / "go").touch()
    for process in crowd:
        assert process.communicate()[1] == ""
    assert names(tmp_path) == ["go", *sorted(f"set{i}" for i in range(10))]


def test_leftovers_go_only_when_nobody_is_at_them(tmp_path):
    target = tmp_path / "table.csv"
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    head = atomic._temporary_name(target).name.split(f"-{os.getpid()}-")[0]
    left = tmp_path / f"{head}-{process.pid}-0123abcd"
    left.touch()
    os.utime(left, (time.time() + 1,) * 2)
    atomic.write_file(target, b"1")
    assert left.exists()  # its process lives
    os.utime(left, (time.time() - 3600,) * 2)
    atomic.write_file(target, b"2")
    assert not left.exists()  # that process began after the file: the number was used anew
    left.touch()
    process.kill()
    while psutil.Process(process.pid).status() != psutil.STATUS_ZOMBIE:
        time.sleep(0.01)
    atomic.write_file(target, b"3")
    assert not left.exists()  # dead, though nobody has waited for it yet
    process.communicate()
