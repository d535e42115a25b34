import hashlib
import http.server
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pooch
import pytest

from course_lib.data import download

CONTENT = os.urandom(300_000)
SHA = hashlib.sha256(CONTENT).hexdigest()


class Handler(http.server.BaseHTTPRequestHandler):
    """Serves CONTENT; the server's attributes say how it misbehaves."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        server = self.server
        server.ranges.append(self.headers.get("Range"))
        if server.statuses:
            status = server.statuses.pop(0)
            if status:
                return self.send_error(status)
        start = 0
        if self.headers.get("Range") and server.honours_range:
            start = int(self.headers["Range"].removeprefix("bytes=").removesuffix("-"))
            if start >= len(CONTENT):
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{len(CONTENT)}")
                self.send_header("Content-Length", "0")
                return self.end_headers()
        self.send_response(206 if start else 200)
        if start:
            first = start + server.shift
            span = f"bytes {first}-{len(CONTENT) - 1}/{len(CONTENT)}"
            self.send_header("Content-Range", span)
        body = CONTENT[start:]
        if server.tells_length:
            self.send_header("Content-Length", str(len(body)))
        self.send_header("Connection", "close")
        self.end_headers()
        self.send_body(body)
        return None

    def send_body(self, body):
        stop = self.server.breaks.pop(0) if self.server.breaks else None
        for at in range(0, len(body), 10_000):
            if stop is not None and at >= stop:
                break
            self.wfile.write(body[at : at + 10_000])
            self.wfile.flush()
            time.sleep(self.server.delay)
        self.close_connection = True

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.ranges, server.statuses, server.breaks = [], [], []
    server.honours_range, server.tells_length, server.shift, server.delay = True, True, 0, 0
    server.url = f"http://127.0.0.1:{server.server_port}/set/a%20set.zip"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def no_pause(monkeypatch):
    monkeypatch.setattr(time, "sleep", lambda _: None)


def one_line(error):
    assert "\n" not in str(error.value)


def test_downloads_once(server, tmp_path):
    path = download.fetch(server.url, tmp_path / "raw", SHA)
    assert path == tmp_path / "raw" / "a set.zip"
    assert path.read_bytes() == CONTENT
    assert [p.name for p in path.parent.iterdir()] == ["a set.zip"]
    assert download.fetch(server.url, tmp_path / "raw", SHA) == path
    assert server.ranges == [None]


def test_broken_connections_are_resumed(server, tmp_path):
    server.breaks = [100_000, 50_000]
    path = download.fetch(server.url, tmp_path, SHA)
    assert path.read_bytes() == CONTENT
    assert server.ranges == [None, "bytes=100000-", "bytes=150000-"]


def test_server_that_ignores_range_is_read_from_the_start(server, tmp_path):
    server.honours_range, server.breaks = False, [100_000]
    assert download.fetch(server.url, tmp_path, SHA).read_bytes() == CONTENT
    assert server.ranges == [None, "bytes=100000-"]


def test_server_that_sends_another_range_is_asked_again(server, tmp_path, no_pause):
    server.shift, server.breaks = 5, [100_000]
    assert download.fetch(server.url, tmp_path, SHA).read_bytes() == CONTENT
    assert server.ranges == [None, "bytes=100000-", None]


def test_unknown_length_is_judged_by_the_checksum(server, tmp_path):
    server.tells_length = False
    assert download.fetch(server.url, tmp_path, SHA).read_bytes() == CONTENT


def kept(folder, size):
    work = folder / "a set.zip.download"
    work.mkdir()
    part = work / "a set.zip.part"
    part.write_bytes(CONTENT[:size])
    return part


def test_whole_part_of_a_killed_run_needs_no_byte(server, tmp_path):
    kept(tmp_path, len(CONTENT))
    assert download.fetch(server.url, tmp_path, SHA).read_bytes() == CONTENT
    assert server.ranges == [f"bytes={len(CONTENT)}-"]


def test_part_longer_than_the_file_is_dropped(server, tmp_path, no_pause):
    part = kept(tmp_path, len(CONTENT))
    part.write_bytes(CONTENT + b"more")
    assert download.fetch(server.url, tmp_path, SHA).read_bytes() == CONTENT


def test_wrong_checksum_names_both_values_and_leaves_nothing(server, tmp_path):
    wrong = "0" * 64
    with pytest.raises(ValueError, match=wrong) as error:
        download.fetch(server.url, tmp_path, wrong)
    one_line(error)
    assert SHA in str(error.value)
    assert list(tmp_path.iterdir()) == []


def test_part_of_another_version_is_caught_and_the_next_call_mends_it(server, tmp_path):
    kept(tmp_path, 1000).write_bytes(bytes(1000))
    with pytest.raises(ValueError, match=SHA):
        download.fetch(server.url, tmp_path, SHA)
    assert download.fetch(server.url, tmp_path, SHA).read_bytes() == CONTENT


def test_other_file_in_the_way_is_not_touched(server, tmp_path):
    (tmp_path / "a set.zip").write_bytes(b"mine")
    with pytest.raises(ValueError, match=f"exists with sha256 .*{SHA}") as error:
        download.fetch(server.url, tmp_path, SHA)
    one_line(error)
    assert (tmp_path / "a set.zip").read_bytes() == b"mine"
    assert server.ranges == []


def test_missing_file_on_the_server_fails_at_once(server, tmp_path):
    server.statuses = [404]
    with pytest.raises(ValueError, match=r"cannot download .*: the server answers 404") as error:
        download.fetch(server.url, tmp_path, SHA)
    one_line(error)
    assert server.ranges == [None]


def test_passing_trouble_is_waited_for(server, tmp_path, no_pause):
    server.statuses = [503, 503]
    assert download.fetch(server.url, tmp_path, SHA).read_bytes() == CONTENT
    assert len(server.ranges) == 3


def test_gives_up_without_progress_and_keeps_the_part(server, tmp_path, no_pause):
    server.breaks = [20_000] + [0] * 50
    with pytest.raises(ValueError, match="20,000 bytes are kept") as error:
        download.fetch(server.url, tmp_path, SHA)
    one_line(error)
    assert len(server.ranges) == 1 + 5
    server.breaks = []
    assert download.fetch(server.url, tmp_path, SHA).read_bytes() == CONTENT
    assert server.ranges[-1] == "bytes=20000-"


def test_no_server(tmp_path, no_pause):
    with pytest.raises(ValueError, match=r"cannot download .*refused") as error:
        download.fetch("http://127.0.0.1:9/a.zip", tmp_path, SHA)
    one_line(error)


@pytest.mark.parametrize("url", ["file:///etc/passwd", "http://127.0.0.1/", "a.zip"])
def test_only_files_over_http(tmp_path, url):
    with pytest.raises(ValueError, match="not an http address of a file"):
        download.fetch(url, tmp_path, SHA)


def test_place_below_a_file(server, tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(ValueError, match="cannot write ") as error:
        download.fetch(server.url, tmp_path / "file" / "raw", SHA)
    one_line(error)


def test_works_as_a_plain_downloader_of_pooch(server, tmp_path):
    path = pooch.retrieve(
        server.url,
        known_hash=f"sha256:{SHA}",
        fname="b.zip",
        path=tmp_path,
        downloader=download.ResumingDownloader(tmp_path / "b.part"),
    )
    assert Path(path).read_bytes() == CONTENT


CODE = """
import sys
from course_lib.data import download
try:
    download.fetch(*sys.argv[1:])
except ValueError as error:
    print(error)
"""


def test_prints_nothing_off_a_terminal(server, tmp_path):
    command = [sys.executable, "-c", CODE, server.url, tmp_path, SHA]
    run = subprocess.run(command, capture_output=True)
    assert (run.stdout, run.stderr) == (b"", b"")
    assert (tmp_path / "a set.zip").read_bytes() == CONTENT


@pytest.mark.skipif(os.name == "nt", reason="needs POSIX signals")
def test_resumes_after_kill(server, tmp_path):
    server.delay = 0.05
    process = subprocess.Popen([sys.executable, "-c", CODE, server.url, tmp_path, SHA])
    part = tmp_path / "a set.zip.download" / "a set.zip.part"
    deadline = time.monotonic() + 20
    while not (part.exists() and part.stat().st_size >= 50_000):
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (tmp_path / "a set.zip").exists()
    size = part.stat().st_size
    server.delay = 0
    assert download.fetch(server.url, tmp_path, SHA).read_bytes() == CONTENT
    assert server.ranges == [None, f"bytes={size}-"]
    assert [p.name for p in tmp_path.iterdir()] == ["a set.zip"]


def test_full_disk_is_one_line(server, tmp_path):
    resource = pytest.importorskip("resource", reason="needs Unix resource limits")
    run = subprocess.run(
        [sys.executable, "-c", CODE, server.url, tmp_path, SHA],
        capture_output=True,
        text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000)),
    )
    assert "cannot write" in run.stdout, run.stderr
    assert "File too large" in run.stdout
    assert run.stdout.count("\n") == 1
    assert not (tmp_path / "a set.zip").exists()
