"""The nuclei that come with the course; this script made the file, and can make it again.

``python -m data_scripts.nuclei_mini stage1_train.zip`` writes ``course_lib/data/nuclei_mini.npz``.
"""

import argparse
import io
import json
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd

from course_lib.data import archives, atomic
from course_lib.data import nuclei_mini as shipped
from course_lib.data.resize import resize_masks
from data_scripts import common, nuclei

TITLE = "About 100 images of nuclei (Data Science Bowl 2018), 128 px, shipped with the course"
MODALITY = nuclei.MODALITY
ACCESS = "open"
URL = nuclei.URL
SHA256 = nuclei.SHA256
LICENCE = nuclei.LICENCE
CITATION = nuclei.CITATION
FLAWS = (
    "Masks are judged at 128 px: big images were shrunk up to eightfold, so small nuclei are "
    "a few pixels wide.",
    "Rare families of images are more frequent here than in the full set.",
    *nuclei.FLAWS[:3],
)

SIZE = 128
CASES = 100
SEED = 2018


def get(to: Path) -> Path:
    """Refuse: there is nothing to download.

    Raises:
        ValueError: Always.
    """
    raise ValueError(f"nuclei-mini comes with the course, nothing is downloaded to {to}")


def prepare(source: Path | None, to: Path | str, size: int = SIZE) -> Path:
    """Write the prepared folder ``to`` from the file that comes with the course.

    The same set in ``to`` is kept.

    Args:
        source: Not used.
        to: The folder to write.
        size: 128; other sizes are made from the full set.

    Returns:
        The folder.

    Raises:
        ValueError: Another size, or ``to`` cannot be written.
    """
    if size != SIZE:
        raise ValueError(
            f"nuclei-mini is {SIZE} px only, not {size}; prepare nuclei for other sizes"
        )
    return shipped.expand(to)


def choose(cases: pd.DataFrame) -> list[str]:
    """Choose about ``CASES`` cases: whole groups, drawn per family.

    A family gets its share of ``CASES``, at least 2; groups are drawn in an order shuffled by
    ``SEED`` and taken while they fit, the first one always.

    Args:
        cases: Columns ``case_id, group, family``, one row a case.

    Returns:
        Case ids in the order of ``cases``.
    """
    rng = np.random.default_rng(SEED)
    chosen: list[str] = []
    for _, members in cases.groupby("family", sort=True):
        share = max(2, round(CASES * len(members) / len(cases)))
        taken = 0
        for group in rng.permutation(sorted(members.group.unique())):
            ids = members.case_id[members.group == group]
            if taken == 0 or taken + len(ids) <= share:
                chosen += list(ids)
                taken += len(ids)
    return [case for case in cases.case_id if case in set(chosen)]


def make(source: Path | str, to: Path | str = shipped.FILE) -> Path:
    """Make the shipped file from the published archive.

    Args:
        source: The archive of the full set, or the folder it was unpacked to.
        to: The npz file to write.

    Raises:
        ValueError: ``source`` holds something else or is damaged, ``to`` cannot be written.
    """
    with archives.open_source(source) as opened:
        found, _ = nuclei.find_cases(opened)
        table = _table(opened, found)
        wanted = set(choose(table[~table.case_id.isin(nuclei.UNREPAIRABLE)]))
        full = {case: members for case, members in found.items() if case[:8] in wanted}
        loaded = [nuclei.load(opened, case, *members, SIZE) for case, members in full.items()]
        origin = common.describe_origin(opened, SHA256)
    images, masks, rows = zip(*loaded, strict=True)
    cases = pd.DataFrame(rows)
    cases["original_height"], cases["original_width"] = zip(
        *(mask.shape for mask in masks), strict=True
    )
    content = io.BytesIO()
    np.savez_compressed(
        content,
        images=np.stack(images),
        masks=np.stack([resize_masks(mask, SIZE) for mask in masks]),
        cases=np.array(cases.to_csv(index=False, lineterminator="\n")),
        about=np.array(json.dumps(_about(origin))),
    )
    atomic.write_file(Path(to), content.getvalue())
    return Path(to)


def _table(source: common.Source, found: Iterable[str]) -> pd.DataFrame:
    """Case id, group and family of every case, without reading its masks."""
    groups = common.read_table("dsb2018_groups.csv").group
    rows = []
    for case, (image, _) in found.items():
        pixels = np.asarray(common.read_picture(source, image).convert("RGB"))
        rows.append((case[:8], groups[case], nuclei.family(pixels)))
    return pd.DataFrame(rows, columns=["case_id", "group", "family"])


def _about(origin: dict[str, str]) -> dict:
    """The descriptor's fields, as ``prepared.write`` takes them."""
    return {
        "name": "nuclei-mini",
        "title": TITLE,
        "modality": MODALITY,
        "licence": LICENCE,
        "citation": CITATION,
        "source": URL,
        "classes": nuclei.CLASSES,
        "options": {
            "size": SIZE,
            "masks_judged_at": f"{SIZE} px",
            "chosen": f"whole groups by family, seed {SEED}, without the unrepairable cases",
            **origin,
        },
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Make nuclei_mini.npz from the full set.")
    parser.add_argument("source", help="stage1_train.zip")
    print(make(parser.parse_args().source))
