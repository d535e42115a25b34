"""Download a file once: resumed where it broke off, checked, and moved into place when whole."""

import contextlib
import http.client
import logging
import os
import re
import shutil
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pooch
from tqdm import tqdm

from course_lib.data import atomic

_CHUNK = 2**18
_PASSING = (408, 425, 429, 500, 502, 503, 504)


class _BrokenOff(Exception):
    """The connection failed in a way that another attempt may mend."""


def fetch(url: str, to: Path | str, sha256: str) -> Path:
    """Download ``url`` into the folder ``to`` under the last part of its address.

    What has arrived is kept in the folder ``NAME.download`` beside it, so that a later call
    goes on there, also after a kill. A bar is shown on a terminal.

    Args:
        url: An http or https address.
        to: Folder, made if missing.
        sha256: Digest (hex) that the whole file must have.

    Returns:
        The file. If it was there already with that digest, nothing is downloaded.

    Raises:
        ValueError: The server fails for good, the digest differs (both values are named and
            the download is removed), another file has that name, or the disk refuses.
    """
    name = unquote(Path(urlsplit(url).path).name)
    if urlsplit(url).scheme not in ("http", "https") or not name:
        raise ValueError(f"{url!r} is not an http address of a file")
    target = Path(to) / name
    if target.exists():
        _refuse_other(target, sha256)
        return target
    work = target.with_name(f"{name}.download")
    with atomic.one_line_errors(target), _quiet_pooch():
        work.mkdir(parents=True, exist_ok=True)
        try:
            pooch.retrieve(
                url,
                known_hash=f"sha256:{sha256}",
                fname=name,
                path=work,
                downloader=ResumingDownloader(work / f"{name}.part"),
            )
        finally:
            if not any(work.iterdir()):
                work.rmdir()
        (work / name).replace(target)
        atomic.sync_folder(target.parent)
        shutil.rmtree(work)
    return target


class ResumingDownloader:
    """A downloader for ``pooch.retrieve`` that goes on where an earlier one broke off.

    Bytes are collected in ``part``; a request asks for the rest with a Range header. A server
    that ignores the header is read from the start again. Breaks are retried as long as they
    bring the file further, else ``attempts`` times.
    """

    def __init__(
        self, part: Path, attempts: int = 5, timeout: float = 30, pause: float = 1
    ) -> None:
        """Set up a downloader.

        Args:
            part: File to collect the bytes in; it may hold the first ones already.
            attempts: How often to try without getting further.
            timeout: Seconds to wait for the server's next bytes.
            pause: Seconds before the second attempt; the pause doubles with each.
        """
        self.part, self.attempts, self.timeout, self.pause = part, attempts, timeout, pause

    def __call__(self, url: str, output_file: str, pooch: object = None) -> None:
        """Download ``url``, compare its length and move it to ``output_file``.

        Raises:
            ValueError: The server refuses, or every attempt broke off.
        """
        furthest, failed = self._size(), 0
        while True:
            try:
                self._go_on(url)
                break
            except _BrokenOff as error:
                failed = 0 if self._size() > furthest else failed + 1
                furthest = max(furthest, self._size())
                if failed >= self.attempts:
                    raise ValueError(
                        f"cannot download {url}: {error}; {furthest:,} bytes are kept, "
                        "try again later to go on from there"
                    ) from error
                time.sleep(self.pause * 2**failed if failed else 0)
        with self.part.open("rb+") as file:
            os.fsync(file.fileno())
        self.part.replace(output_file)

    def _size(self) -> int:
        return self.part.stat().st_size if self.part.exists() else 0

    def _go_on(self, url: str) -> None:
        """One request: ask for what is missing and append it."""
        start = self._size()
        response = self._request(url, start)
        if response is None:
            return
        with response:
            start, total = self._place(response, start)
            mode = "ab" if start else "wb"
            bar = tqdm(
                total=total,
                initial=start,
                desc=self.part.stem,
                unit="B",
                unit_scale=True,
                disable=None,
            )
            with atomic.one_line_errors(self.part), self.part.open(mode) as file, bar:
                for chunk in _chunks(response):
                    file.write(chunk)
                    file.flush()
                    bar.update(len(chunk))
        if total is not None and self._size() != total:
            raise _BrokenOff(f"the connection ended at {self._size():,} of {total:,} bytes")

    def _request(self, url: str, start: int) -> http.client.HTTPResponse | None:
        """Send the request; none means that the server has nothing beyond ``start``."""
        headers = {"User-Agent": "segmentation-course", "Accept-Encoding": "identity"}
        if start:
            headers["Range"] = f"bytes={start}-"
        request = urllib.request.Request(url, headers=headers)
        try:
            return urllib.request.urlopen(request, timeout=self.timeout)
        except urllib.error.HTTPError as error:
            if error.code == 416 and start:
                if error.headers.get("Content-Range") == f"bytes */{start}":
                    return None
                self.part.unlink()
                raise _BrokenOff("the part kept from before does not fit the file") from error
            if error.code in _PASSING:
                raise _BrokenOff(f"the server answers {error.code} {error.reason}") from error
            raise ValueError(
                f"cannot download {url}: the server answers {error.code} {error.reason}"
            ) from error
        except (OSError, http.client.HTTPException) as error:
            raise _BrokenOff(str(getattr(error, "reason", error)) or "no answer") from error

    def _place(self, response: http.client.HTTPResponse, start: int) -> tuple[int, int | None]:
        """Where the answer's first byte belongs, and the length of the whole file if known."""
        if response.status == 206:
            place = re.fullmatch(
                r"bytes (\d+)-\d+/(\d+|\*)", response.headers.get("Content-Range", "")
            )
            if place is None or int(place[1]) != start:
                self.part.unlink(missing_ok=True)
                raise _BrokenOff("the server sent another range than asked for")
            return start, None if place[2] == "*" else int(place[2])
        length = response.headers.get("Content-Length", "")
        return 0, int(length) if length.isdigit() else None


def _chunks(response: http.client.HTTPResponse) -> Iterator[bytes]:
    while True:
        try:
            chunk = response.read1(_CHUNK)
        except (OSError, http.client.HTTPException) as error:
            raise _BrokenOff(str(error) or type(error).__name__) from error
        if not chunk:
            return
        yield chunk


def _refuse_other(target: Path, sha256: str) -> None:
    found = pooch.file_hash(str(target)) if target.is_file() else "(not a file)"
    if found != sha256:
        raise ValueError(
            f"{target} exists with sha256 {found}, the published file has {sha256}; "
            "move it away, or prepare from it with --from"
        )


@contextlib.contextmanager
def _quiet_pooch() -> Iterator[None]:
    # pooch announces every download on stderr; the bar already does.
    logger = pooch.get_logger()
    before = logger.level
    logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        logger.setLevel(before)
