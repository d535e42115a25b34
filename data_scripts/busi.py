"""Breast ultrasound (BUSI): the published archive, or the same cases reduced to 256 px."""

import dataclasses
import hashlib
import io
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
from tqdm import tqdm

from course_lib.data import archives, prepared, splits
from course_lib.data.resize import resize_images, resize_masks
from data_scripts import common

TITLE = "Breast ultrasound images (BUSI)"
MODALITY = "breast ultrasound"
ACCESS = "open"
URL = "https://scholar.cu.edu.eg/Dataset_BUSI.zip"
SHA256 = "b2ce09f6063a31a73f628b6a6ee1245187cbaec225e93e563735691d68654de7"
PAGE = "https://scholar.cu.edu.eg/?q=afahmy/pages/dataset"
LICENCE = "free to download from its authors, with citation; no licence text in the archive"
CITATION = "Al-Dhabyani et al., Data in Brief 28, 104863 (2020), doi 10.1016/j.dib.2019.104863"
FLAWS = (
    "No patient is named (780 images of 600 patients): column group joins images that look like "
    "one scan (586 groups); other scans of one patient stay unlinked.",
    "benign (433) and malignant (145) are the same image with two labels; column same_pixels_as "
    "names such twins, and 8 groups span two classes.",
    "The 133 normal images have empty masks, which changes averages of Dice; keep_normal=False "
    "leaves them out.",
    "16 images carry colour overlays (column colour_overlay); many carry text, calipers or lines.",
    "17 cases have several masks, which are joined (column n_masks).",
    "Criticised by Pawlowska et al., Data in Brief 48, 109247 (2023): duplicates, lesions with two "
    "labels, other body parts, drawn marks.",
    "Do not publish the images again: no licence text was found, and mirrors state different ones.",
    "The published sha256 comes from a third party, so an archive is judged by its content.",
)

VERSION = "1"
CLASSES = [
    {"name": "background", "colour": "#000000"},
    {"name": "lesion", "colour": "#e69f00"},
]
_MEMBER = re.compile(
    r"(?:.+/)?(benign|malignant|normal)/\1 \((\d+)\)(_mask(?:_\d+)?)?\.png", re.IGNORECASE
)
_REDUCED = re.compile(r"(.+/)?(images|masks)/((benign|malignant|normal)_\d{3})\.png")
_COLUMNS = ("case", "orig_file", "n_masks", "colour_overlay")


@dataclasses.dataclass
class Case:
    """Where the files of a case lie, and what the table of a reduced archive says of it."""

    case_id: str
    image: str
    masks: list[str]
    known: dict = dataclasses.field(default_factory=dict)

    @property
    def kind(self) -> str:
        """``benign``, ``malignant`` or ``normal``."""
        return self.case_id.split("_")[0]


def get(to: Path) -> Path:
    """Download the published archive into the folder ``to``, made if missing.

    Returns:
        The archive.

    Raises:
        ValueError: The download fails.
    """
    return common.fetch(URL, Path(to), SHA256, PAGE)


def prepare(source: Path | str, to: Path | str, size: int = 256, keep_normal: bool = True) -> Path:
    """Write the prepared folder ``to``; if it is there with the same options, do nothing.

    The mask of a case is the union of its mask files. The split ``default`` (60, 20, 20 %, by
    group, spread over the classes) is written too.

    Args:
        source: The published archive or the folder it was unpacked to; or the archive of the
            same cases reduced to 256 px (``images/``, ``masks/``, ``cases.csv``). Masks are
            then judged at those 256 px, and title and options say so.
        to: The folder to write.
        size: Side in px of the prepared images; scores are still computed at the size of the
            masks in ``source``.
        keep_normal: Keep the images without a lesion, whose masks are empty.

    Returns:
        The folder.

    Raises:
        ValueError: ``source`` holds something else, a file is damaged or has no partner, a
            mask has another size than its image or other values than black and white, or
            ``to`` cannot be written.
    """
    to = Path(to)
    with archives.open_source(source) as opened:
        found, others, reduced = find_cases(opened)
        judged = "original size"
        if reduced:
            judged = f"{common.read_picture(opened, found[0].image).width} px"
        options = {"size": size, "keep_normal": keep_normal, "masks_judged_at": judged}
        options |= common.describe_origin(opened, SHA256)
        if common.is_current(to, VERSION, options):
            return to
        wanted = [case for case in found if keep_normal or case.kind != "normal"]
        loaded = [
            load(opened, case, size)
            for case in tqdm(wanted, desc="busi", unit="image", disable=None)
        ]
    images, full, rows = zip(*loaded, strict=True)
    cases = _mark_twins(pd.DataFrame(rows))
    untouched = all(mask.shape == (size, size) for mask in full)
    enough = cases.group.nunique() >= len(splits.PARTS)
    return prepared.write(
        to,
        name="busi",
        images=np.stack(images),
        masks=np.stack([resize_masks(mask, size) for mask in full]),
        masks_full=None if untouched else full,
        cases=cases,
        classes=CLASSES,
        modality=MODALITY,
        title=f"{TITLE}, masks judged at {judged}",
        licence=LICENCE,
        citation=CITATION,
        source=PAGE,
        options=options,
        dropped=[
            *(
                {"case_id": c.case_id, "reason": "normal: no lesion"}
                for c in found
                if c not in wanted
            ),
            *common.other_files(others),
        ],
        splits={"default": splits.make(cases, stratify="class")} if enough else {},
        version=VERSION,
    )


def find_cases(source: common.Source) -> tuple[list[Case], list[str], bool]:
    """Sort the members of an archive.

    Returns:
        The cases, the members that belong to none, and whether they are reduced to 256 px.

    Raises:
        ValueError: Neither of the two layouts, or an image or mask without its partner.
    """
    tables = [name for name in source.names if name.split("/")[-1] == "cases.csv"]
    reduced = bool(tables) and any(_REDUCED.fullmatch(name) for name in source.names)
    images, masks, others = _sort(source.names, _reduced_place if reduced else _published_place)
    if not images:
        example = f" (it holds {source.names[0]!r})" if source.names else ""
        raise ValueError(
            f"{source.path} is not the BUSI archive{example}; it must hold "
            "benign/benign (1).png, benign/benign (1)_mask.png and so on"
        )
    common.check_pairs(source, images, masks)
    known = _read_known(source, tables[0], images) if reduced else {}
    cases = [
        Case(case, images[case][0], masks[case], known.get(case, {})) for case in sorted(images)
    ]
    return cases, [name for name in others if not (reduced and name == tables[0])], reduced


def _published_place(name: str) -> tuple[str, bool] | None:
    """Case id, and whether it is a mask; none for a file that belongs to no case."""
    match = _MEMBER.fullmatch(name)
    return match and (f"{match[1].lower()}_{int(match[2]):03d}", match[3] is not None)


def _reduced_place(name: str) -> tuple[str, bool] | None:
    match = _REDUCED.fullmatch(name)
    return match and (match[3], match[2] == "masks")


def _sort(
    names: list[str], place: Callable[[str], tuple[str, bool] | None]
) -> tuple[dict[str, list[str]], dict[str, list[str]], list[str]]:
    """Image members and mask members of every case, and the other members."""
    images: dict[str, list[str]] = {}
    masks: dict[str, list[str]] = {}
    others = []
    for name in names:
        found = place(name)
        if found is None:
            others.append(name)
        else:
            (masks if found[1] else images).setdefault(found[0], []).append(name)
    return images, masks, others


def _read_known(source: common.Source, name: str, images: dict) -> dict[str, dict]:
    """What the table of a reduced archive says of every case."""
    try:
        table = pd.read_csv(io.BytesIO(source.read(name)), encoding="utf-8")
    except (ValueError, UnicodeDecodeError) as error:
        raise ValueError(f"{source.path}: {name!r} is not a table: {error}") from error
    if not set(_COLUMNS) <= set(table):
        raise ValueError(f"{source.path}: {name!r} needs the columns {', '.join(_COLUMNS)}")
    known = {row["case"]: row for row in table[[*_COLUMNS]].to_dict("records")}
    missing = sorted(set(images) ^ set(known))
    if missing or len(known) != len(table):
        raise ValueError(f"{source.path}: {name!r} and the images disagree, see {missing[:1]}")
    return known


def load(source: common.Source, case: Case, size: int) -> tuple[np.ndarray, np.ndarray, dict]:
    """Read one case.

    Returns:
        Image (1, size, size) uint8, mask (h, w) uint8 with {0, 1} as in the archive, row of the
        table.
    """
    image = common.read_picture(source, case.image)
    if image.mode not in ("L", "RGB", "RGBA"):
        raise ValueError(f"{source.path}: {case.image!r} has the mode {image.mode}, not RGB")
    colours = np.asarray(image.convert("RGB"))
    gray = np.asarray(image.convert("RGB").convert("L"))
    mask = np.zeros(gray.shape, dtype=bool)
    for name in case.masks:
        mask |= common.read_binary_mask(source, name, image.size)
    overlay = (colours != colours[..., :1]).any()
    row = {
        "case_id": case.case_id,
        "group": _GROUPS.get(case.case_id, f"alone-{case.case_id}"),
        "source_file": case.known.get("orig_file", case.image),
        "source_sha256": hashlib.sha256(source.read(case.image)).hexdigest(),
        "class": case.kind,
        "n_masks": int(case.known.get("n_masks", len(case.masks))),
        "colour_overlay": int(case.known.get("colour_overlay", overlay)),
        "pixels": hashlib.sha256(gray.tobytes()).hexdigest(),
    }
    return resize_images(gray[None, None], size)[0], mask.astype(np.uint8), row


def _mark_twins(cases: pd.DataFrame) -> pd.DataFrame:
    """Name the first case with the same pixels, and join the groups of both."""
    first = cases.groupby("pixels").case_id.transform("first")
    cases["same_pixels_as"] = first.where(first != cases.case_id, "")
    groups = cases.set_index("case_id").group
    for case, twin in zip(cases.case_id, first, strict=True):
        if groups[case] != groups[twin]:
            groups[groups == groups[case]] = groups[twin]
    cases["group"] = groups.to_numpy()
    return cases.drop(columns="pixels")


_GROUPS = common.read_table("busi_groups.csv").group.to_dict()
