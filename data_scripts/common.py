"""What the scripts of public data sets share: download, reading pictures, when nothing is to do."""

import io
import struct
import zlib
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from course_lib.data import archives, download
from course_lib.data.prepared_read import file_problems, read_descriptor

Source = archives.ZipSource | archives.FolderSource

_MAX_PIXELS = 2**26
_JUNK = ("__MACOSX/", ".DS_Store", "Thumbs.db", "desktop.ini")


def fetch(url: str, to: Path, sha256: str, page: str) -> Path:
    """Download an archive; a failure says where a browser gets it.

    Raises:
        ValueError: As :func:`download.fetch`.
    """
    try:
        return download.fetch(url, to, sha256)
    except ValueError as error:
        raise ValueError(
            f"{error} (a browser gets the file from {page}; then give it with --from PATH)"
        ) from error


def describe_origin(source: Source, published: str) -> dict[str, str]:
    """Options that say which archive a set was made of, for the descriptor.

    Args:
        source: The archive, already judged by its content.
        published: SHA-256 (hex) of the published one.
    """
    found = source.sha256()
    note = "the published archive, byte for byte"
    if found != published:
        note = f"judged by its content; the published archive has sha256 {published}"
    return {"archive_sha256": found, "archive": note}


def is_current(folder: Path, version: str, options: dict) -> bool:
    """Whether ``folder`` holds a whole set made by ``version`` with these options.

    Raises:
        ValueError: The folder holds other things.
    """
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return False
    try:
        about = read_descriptor(folder)
    except ValueError as error:
        raise ValueError(
            f"cannot write {folder}: it holds other things; choose a new or empty folder"
        ) from error
    same = about.get("version") == version and about.get("options") == options
    split = folder / "splits" / "default.csv"
    return same and split.is_file() and not file_problems(folder, about, "hash")


def check_pairs(source: Source, images: dict, masks: dict, shown: int = 64) -> None:
    """Refuse an archive in which a case has not exactly one image and at least one mask.

    Args:
        source: The archive, for the message.
        images: Members that are images, by case.
        masks: Members that are masks, by case.
        shown: Characters of a case that the message shows.

    Raises:
        ValueError: Names the first such case.
    """
    for case in sorted(images.keys() | masks.keys()):
        if len(images.get(case, ())) != 1 or case not in masks:
            raise ValueError(
                f"{source.path}: case {case[:shown]} has {len(images.get(case, ()))} images and "
                f"{len(masks.get(case, ()))} masks; it needs one image and its masks"
            )


def other_files(names: Iterable[str]) -> list[dict[str, str]]:
    """Entries of the dropped list for files that belong to no case."""
    return [
        {"case_id": name, "reason": "not a file of the published layout"}
        for name in sorted(names)
        if not any(junk in name for junk in _JUNK)
    ]


def read_table(name: str) -> pd.DataFrame:
    """Read a table of ``groups/``, with the first column as index."""
    path = Path(__file__).parent / "groups" / name
    return pd.read_csv(path, index_col=0, encoding="utf-8")


def read_picture(source: Source, name: str) -> Image.Image:
    """Decode a whole PNG.

    Raises:
        ValueError: Not a PNG, truncated, or too large to be a picture of a data set.
    """
    content = source.read(name)
    try:
        image = Image.open(io.BytesIO(content), formats=("PNG",))
        if image.width * image.height > _MAX_PIXELS:
            raise ValueError(f"{image.width} x {image.height} px are more than {_MAX_PIXELS:,}")
        image.load()
    except (OSError, ValueError, SyntaxError, EOFError, Image.DecompressionBombError) as error:
        raise _bad_picture(source, name, error) from error
    except (struct.error, zlib.error, OverflowError, MemoryError) as error:
        raise _bad_picture(source, name, error) from error
    return image


def read_binary_mask(source: Source, name: str, size: tuple[int, int]) -> np.ndarray:
    """Decode a mask PNG of mode 1, L, LA, RGB or RGBA whose pixels are black or white.

    Args:
        source: The archive.
        name: The member.
        size: Width and height in px of the image that it belongs to.

    Returns:
        (h, w) bool.

    Raises:
        ValueError: It cannot be read, has another size, or other values than black and white.
    """
    image = read_picture(source, name)
    if image.size != size:
        raise ValueError(
            f"{source.path}: mask {name!r} is {image.width} x {image.height} px but its image is "
            f"{size[0]} x {size[1]}; both must have the same size"
        )
    if image.mode in ("LA", "RGBA"):
        image = image.convert(image.mode[:-1])
    pixels = np.asarray(image)
    if image.mode == "RGB" and (pixels == pixels[..., :1]).all():
        pixels = pixels[..., 0]
    if image.mode == "1":
        return pixels
    # 255 + 1 is 0 in uint8, so only 0 and 255 leave no bit above the lowest.
    if image.mode not in ("L", "RGB") or pixels.ndim != 2 or ((pixels + 1) & 254).any():
        raise ValueError(
            f"{source.path}: mask {name!r} (mode {image.mode}) has other values than 0 and 255"
        )
    return pixels > 0


def _bad_picture(source: Source, name: str, error: BaseException) -> ValueError:
    reason = " ".join(str(error).split()) or type(error).__name__
    return ValueError(
        f"{source.path}: {name!r} is not a whole PNG ({reason}); get the archive again"
    )
