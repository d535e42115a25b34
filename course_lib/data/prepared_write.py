"""Write a data set in the prepared format (see ``prepared`` for what lies in the folder)."""

import hashlib
import io
import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from course_lib.data import atomic
from course_lib.data import splits as split_files
from course_lib.data.prepared_check import check_arrays, check_labels, complete_cases
from course_lib.data.prepared_read import file_hash, read_descriptor


def write(
    folder: Path | str,
    *,
    name: str,
    images: np.ndarray,
    masks: np.ndarray,
    cases: pd.DataFrame,
    classes: Sequence[Mapping[str, str]],
    modality: str,
    title: str = "",
    licence: str = "",
    citation: str = "",
    source: str = "",
    options: Mapping | None = None,
    dropped: Iterable[Mapping[str, str]] = (),
    masks_full: Sequence[np.ndarray] | None = None,
    splits: Mapping[str, Iterable[str]] | None = None,
    version: str = "1",
) -> Path:
    """Write a prepared data set: a reader sees all of it or nothing.

    Everything goes into a temporary sibling folder, is flushed to the disk and renamed. A
    prepared set with the same content is kept as it is, another prepared set is replaced.

    Args:
        folder: The folder to make, such as ``data/nuclei-256``.
        name: Name of the set, lower-case letters, digits, ``.``, ``_`` and ``-``.
        images: (N, C, H, W) uint8, or (N, C, D, H, W) for volumes.
        masks: (N, H, W) uint8 label indices 0..K-1, or (N, D, H, W).
        cases: One row a case with at least ``case_id`` (unique) and ``group`` (what must never
            be torn apart). ``spacing_y`` and ``spacing_x`` are mm per pixel of the untouched
            mask, empty where unknown. Further columns are kept.
        classes: For each label 0..K-1 ``{"name": ..., "colour": "#rrggbb"}``.
        modality: What kind of picture, such as ``"breast ultrasound"``.
        title: A line about the set.
        licence: Licence of the data.
        citation: What to cite.
        source: Where the data came from (a title or an address).
        options: What the preparation was told, such as ``{"size": 256}``.
        dropped: Cases left out, each ``{"case_id": ..., "reason": ...}``.
        masks_full: The untouched masks, (h, w) uint8 each, or none where the prepared size is
            the original size.
        splits: Splits to write with the set: name -> the part of every case.
        version: Version of the preparation.

    Returns:
        The folder.

    Raises:
        ValueError: One line about the first thing wrong in the arguments, or why the folder
            cannot be written (full disk, a file in the way, another folder in the way).
    """
    folder = Path(folder)
    check_arrays(images, masks, masks_full, classes)
    table = complete_cases(cases, masks, masks_full)
    check_labels(masks, masks_full, table.case_id, len(classes))
    if not re.fullmatch(r"[a-z0-9][a-z0-9._-]*", name):
        raise ValueError(f"the name of a set is lower-case letters, digits, . _ -, not {name!r}")
    splits = splits or {}
    for key, parts in splits.items():
        torn = split_files.check(table, parts)
        if torn:
            raise ValueError(
                f"split {key!r} tears the group {torn[0]!r} apart; keep it in one part"
            )
    _refuse_other_folder(folder)  # before the arrays are written, and again at the end

    about = {"name": name, "title": title or name, "version": version}
    about |= _credits(licence, source, citation)
    about |= {
        "modality": modality,
        "classes": [dict(c) for c in classes],
        "options": dict(options or {}),
        "dropped": [dict(case) for case in dropped],
    }

    def may_replace(old: Path) -> bool:
        _refuse_other_folder(old)
        return not _same(old, about)

    with atomic.new_folder(folder, may_replace) as temporary:
        about["resources"] = [
            _write_array(temporary, "images", images),
            _write_array(temporary, "masks", masks),
        ]
        if masks_full is not None:
            about["resources"].append(_write_flat(temporary, "masks_full", masks_full))
        text = table.to_csv(index=False, lineterminator="\n")
        about["resources"].append(_write_text(temporary, "cases", "csv", text))
        for key, parts in splits.items():
            split_files.write(temporary, key, table.case_id, parts)
        text = json.dumps(about, indent=2, ensure_ascii=False) + "\n"
        _write_text(temporary, "datapackage", "json", text)
    for key, parts in splits.items():  # the folder may be an older one that was kept
        split_files.write(folder, key, table.case_id, parts)
    return folder


def _credits(licence: str, source: str, citation: str) -> dict:
    """Give the descriptor's fields of origin; a field that would be empty is left out."""
    fields = {}
    if licence:
        short = re.sub(r"[^A-Za-z0-9._-]+", "-", licence).strip("-")
        fields["licenses"] = [{"name": short, "title": licence}]
    if source:
        fields["sources"] = [{"title": source}]
        if re.match("https?://", source):
            fields["sources"][0]["path"] = source
    if citation:
        fields["citation"] = citation
    return fields


def _refuse_other_folder(folder: Path) -> None:
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return
    if not folder.is_dir():
        raise ValueError(f"cannot write {folder}: it is a file; choose another folder")
    try:
        read_descriptor(folder)
    except ValueError as error:
        raise ValueError(
            f"cannot write {folder}: it holds other things; choose a new or empty folder"
        ) from error


def _same(old: Path, about: dict) -> bool:
    """Whether the folder holds just what ``about`` describes, byte for byte."""
    try:
        return read_descriptor(old) == json.loads(json.dumps(about)) and all(
            file_hash(old / resource["path"]) == resource["hash"] for resource in about["resources"]
        )
    except (OSError, ValueError):
        return False


class _HashedFile:
    """A file to write to that counts and hashes what passes."""

    def __init__(self, file) -> None:
        self.file, self.bytes, self.sha256 = file, 0, hashlib.sha256()

    def write(self, data: bytes) -> int:
        self.sha256.update(data)
        self.bytes += len(data)
        return self.file.write(data)


def _write_file(folder: Path, name: str, kind: str, chunks: Iterable[bytes]) -> dict:
    """Write and flush one file; give its entry of the descriptor."""
    path = folder / f"{name}.{kind}"
    with path.open("xb") as raw:
        file = _HashedFile(raw)
        for chunk in chunks:
            file.write(chunk)
        raw.flush()
        os.fsync(raw.fileno())
    return {
        "name": name.replace("_", "-"),
        "path": path.name,
        "format": kind,
        "bytes": file.bytes,
        "hash": f"sha256:{file.sha256.hexdigest()}",
    }


def _write_text(folder: Path, name: str, kind: str, text: str) -> dict:
    return _write_file(folder, name, kind, [text.encode("utf-8")])


def _write_array(folder: Path, name: str, array: np.ndarray) -> dict:
    return _write_file(folder, name, "npy", _npy_chunks(array.shape, array))


def _write_flat(folder: Path, name: str, arrays: Sequence[np.ndarray]) -> dict:
    total = sum(array.size for array in arrays)
    return _write_file(folder, name, "npy", _npy_chunks((total,), arrays))


def _npy_chunks(shape: tuple[int, ...], arrays: Iterable[np.ndarray]) -> Iterator[bytes]:
    """Give the bytes of a uint8 ``.npy`` file piece by piece."""
    # np.save on a real file hides the system's reason when the disk is full.
    header = io.BytesIO()
    fields = {"descr": "|u1", "fortran_order": False, "shape": tuple(map(int, shape))}
    np.lib.format.write_array_header_1_0(header, fields)
    yield header.getvalue()
    for array in arrays:
        yield array.tobytes()
