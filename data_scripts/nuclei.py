"""Nuclei of the 2018 Data Science Bowl (stage 1, training part; BBBC038)."""

import hashlib
import re
from pathlib import Path

import numpy as np
import pandas as pd
from tqdm import tqdm

from course_lib.data import archives, prepared, splits
from course_lib.data.resize import resize_images, resize_masks
from data_scripts import common

TITLE = "Nuclei in microscopy images (Data Science Bowl 2018, stage 1)"
MODALITY = "fluorescence and stained microscopy"
ACCESS = "open"
URL = "https://data.broadinstitute.org/bbbc/BBBC038/stage1_train.zip"
SHA256 = "dcb6edc2690f137406638b2309581a71522c4dff19157d118453b448dcddcb68"
PAGE = "https://bbbc.broadinstitute.org/BBBC038"
LICENCE = "CC0-1.0"
CITATION = (
    "Caicedo et al., Nature Methods 16, 1247 (2019), doi 10.1038/s41592-019-0612-7; "
    "BBBC038v1, Broad Bioimage Benchmark Collection"
)
FLAWS = (
    "Many images are neighbouring tiles of one field: column group joins them (268 groups); "
    "a split at random leaks.",
    "130 images stay alone in their group, some only because their neighbour was not published; "
    "images of one plate or patient that do not touch are not linked.",
    "115 of the 670 cases were corrected by others later: column later_fixes counts the changed "
    "mask files; the masks here are those first published.",
    "6 cases were judged not repairable; drop_unrepairable=True leaves them out.",
    "546 images are bright nuclei on dark ground, 124 the reverse; many gray ones are very dark.",
    "The mask joins touching nuclei: it tells nucleus from ground, it does not count.",
    "The published sha256 comes from a third party, so an archive is judged by its content.",
)

VERSION = "1"
CLASSES = [
    {"name": "background", "colour": "#000000"},
    {"name": "nucleus", "colour": "#e69f00"},
]
UNREPAIRABLE = {
    "7b38c917": "one mask for the whole image",
    "12aeefb1": "annotation judged wrong (124 masks)",
    "74a77855": "annotation judged wrong (24 masks)",
    "19f0653c": "annotation judged wrong (70 masks)",
    "adc315bd": "annotation judged wrong (5 masks)",
    "c304a1fd": "annotation judged wrong (253 masks)",
}
_MEMBER = re.compile(r"(?:.+/)?([0-9a-f]{64})/(images|masks)/[^/]+\.png")


def get(to: Path) -> Path:
    """Download the published archive (79 MiB) into the folder ``to``, made if missing.

    Returns:
        The archive.

    Raises:
        ValueError: The download fails.
    """
    return common.fetch(URL, Path(to), SHA256, PAGE)


def prepare(
    source: Path | str, to: Path | str, size: int = 256, drop_unrepairable: bool = False
) -> Path:
    """Write the prepared folder ``to``; if it is there with the same options, do nothing.

    The mask of a case is the union of its nuclei. The split ``default`` (60, 20, 20 %, by
    group, spread over the families) is written too.

    Args:
        source: The archive or the folder it was unpacked to, with any folder on top.
        to: The folder to write.
        size: Side in px of the prepared images; scores are still computed at original size.
        drop_unrepairable: Leave out the 6 cases whose masks were judged not repairable.

    Returns:
        The folder.

    Raises:
        ValueError: ``source`` holds something else, a file is damaged, a mask has another size
            than its image or other values than 0 and 255, or ``to`` cannot be written.
    """
    to = Path(to)
    with archives.open_source(source) as opened:
        found, others = find_cases(opened)
        options = {"size": size, "drop_unrepairable": drop_unrepairable}
        options |= common.describe_origin(opened, SHA256)
        if common.is_current(to, VERSION, options):
            return to
        wanted = [case for case in found if not (drop_unrepairable and case[:8] in UNREPAIRABLE)]
        dropped = [
            {"case_id": case[:8], "reason": f"not repairable: {UNREPAIRABLE[case[:8]]}"}
            for case in found
            if case not in wanted
        ]
        loaded = [
            load(opened, case, *found[case], size)
            for case in tqdm(wanted, desc="nuclei", unit="image", disable=None)
        ]
    images, masks_full, rows = zip(*loaded, strict=True)
    cases = pd.DataFrame(rows)
    enough = cases.group.nunique() >= len(splits.PARTS)
    return prepared.write(
        to,
        name="nuclei",
        images=np.stack(images),
        masks=np.stack([resize_masks(mask, size) for mask in masks_full]),
        masks_full=masks_full,
        cases=cases,
        classes=CLASSES,
        modality=MODALITY,
        title=TITLE,
        licence=LICENCE,
        citation=CITATION,
        source=URL,
        options=options,
        dropped=[*dropped, *common.other_files(others)],
        splits={"default": splits.make(cases, stratify="family")} if enough else {},
        version=VERSION,
    )


def find_cases(source: common.Source) -> tuple[dict[str, tuple[str, list[str]]], list[str]]:
    """Sort the members of an archive.

    Returns:
        Image id -> (image member, its mask members), and the members that belong to no case.

    Raises:
        ValueError: Not the layout of this set, or an image without masks, or the reverse.
    """
    images: dict[str, list[str]] = {}
    masks: dict[str, list[str]] = {}
    others = []
    for name in source.names:
        match = _MEMBER.fullmatch(name)
        if match is None:
            others.append(name)
        else:
            kind = images if match[2] == "images" else masks
            kind.setdefault(match[1], []).append(name)
    if not images:
        example = f" (it holds {source.names[0]!r})" if source.names else ""
        raise ValueError(
            f"{source.path} is not the nuclei archive{example}; it must hold "
            "<id>/images/<id>.png and <id>/masks/*.png, ids of 64 hex digits"
        )
    common.check_pairs(source, images, masks, shown=8)
    return {case: (images[case][0], masks[case]) for case in sorted(images)}, others


def load(
    source: common.Source, case: str, image_name: str, mask_names: list[str], size: int
) -> tuple[np.ndarray, np.ndarray, dict]:
    """Read one case.

    Returns:
        Image (3, size, size) uint8, untouched mask (h, w) uint8 with {0, 1}, row of the table.
    """
    image = common.read_picture(source, image_name)
    if image.mode not in ("L", "RGB", "RGBA"):
        raise ValueError(f"{source.path}: {image_name!r} has the mode {image.mode}, not RGBA")
    pixels = np.asarray(image.convert("RGB"))
    mask = np.zeros(pixels.shape[:2], dtype=bool)
    for name in mask_names:
        mask |= common.read_binary_mask(source, name, image.size)
    table = _TABLE
    known = case in table.index
    row = {
        "case_id": case[:8],
        "group": table.group[case] if known else f"alone-{case[:8]}",
        "source_file": image_name,
        "source_sha256": hashlib.sha256(source.read(image_name)).hexdigest(),
        "family": family(pixels),
        "n_nuclei": len(mask_names),
        "later_fixes": int(table.later_fixes[case]) if known else None,
    }
    small = resize_images(np.moveaxis(pixels, -1, 0)[None], size)[0]
    return small, mask.astype(np.uint8), row


def family(pixels: np.ndarray) -> str:
    """Kind, ground and size of an image, such as ``gray_dark_256x256``.

    Args:
        pixels: (h, w, 3) uint8.
    """
    height, width = pixels.shape[:2]
    gray = (pixels == pixels[..., :1]).all()
    ground = "dark" if np.median(pixels) < 128 else "bright"
    return f"{'gray' if gray else 'colour'}_{ground}_{width}x{height}"


_TABLE = common.read_table("dsb2018_groups.csv")
