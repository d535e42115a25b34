"""The prepared data set: a folder that numpy alone can read.

======================  =======================================================================
``images.npy``          (N, C, H, W) uint8; volumes (N, C, D, H, W)
``masks.npy``           (N, H, W) uint8 label indices 0..K-1
``masks_full.npy``      the untouched masks, one flat uint8 array; absent where the prepared
                        size is the original one
``cases.csv``           one row a case: ``case_id, group, source_file, source_sha256, height,
                        width, offset, spacing_y, spacing_x`` and what else is known of it;
                        height, width, offset (into ``masks_full``) and spacing (mm) are those
                        of the untouched mask
``datapackage.json``    Frictionless Data Package: name, version, modality, classes, licence,
                        options, dropped cases with reasons, bytes and sha256 of each file
``splits/NAME.csv``     ``case_id, part``; written once (see ``splits``)
======================  =======================================================================

Arrays are opened memory-mapped and read-only. Images were resized by area, masks by nearest
pixel centre (see ``resize``); scores are computed on the untouched masks.
"""

import os
import re
from collections.abc import Callable
from pathlib import Path

from course_lib.data import atomic
from course_lib.data.dataset import Dataset, from_arrays
from course_lib.data.prepared_read import (
    MEND,
    array_problems,
    file_problems,
    full_problems,
    load_array,
    read_cases,
    read_descriptor,
)
from course_lib.data.prepared_verify import verify
from course_lib.data.prepared_write import write
from course_lib.data.resize import size_pair

__all__ = ["EMBEDDED", "Dataset", "data_root", "from_arrays", "locate", "open", "verify", "write"]


def data_root() -> Path:
    """Folder of the prepared sets: the variable COURSE_DATA, else ``data`` beside the library."""
    chosen = os.environ.get("COURSE_DATA")
    return Path(chosen) if chosen else Path(__file__).parents[2] / "data"


def open(name: str | Path, size: int | None = None, verify: str = "sizes") -> Dataset:
    """Open a prepared data set, memory-mapped and read-only.

    Args:
        name: A folder, or a name looked up in :func:`data_root`: the folder ``name-<size>``
            where a size is given, else ``name``, else the only ``name-<number>``. The embedded
            sets (:data:`EMBEDDED`) are created on first use.
        size: Height and width in px. An embedded set that lies there in another size is
            resized in memory.
        verify: ``"sizes"`` compares the size of every file with the descriptor, ``"hash"`` the
            sha256 too (about 1 s a GB).

    Raises:
        ValueError: There is no such set (the message says how to get it), several sizes of it,
            or its files are not those that its descriptor states.
    """
    if verify not in ("sizes", "hash"):
        raise ValueError(f'verify must be "sizes" or "hash", not {verify!r}')
    dataset = _read(locate(name, size), verify)
    return dataset if size is None else _at_size(dataset, size, embedded=str(name) in EMBEDDED)


def _at_size(dataset: Dataset, size: int, embedded: bool) -> Dataset:
    if size_pair(size) == dataset.all_images.shape[-2:]:
        return dataset
    if embedded:
        return dataset.resized(size)
    height, width = dataset.all_images.shape[-2:]
    raise ValueError(
        f"{dataset.folder} is {height} x {width} px, not {size}; "
        f"open it without a size and call .resized({size})"
    )


def locate(name: str | Path, size: int | None = None) -> Path:
    """Find the folder that :func:`open` means by ``name``; make an embedded set if missing.

    Raises:
        ValueError: There is no such set, or several sizes of it.
    """
    root = data_root()
    if isinstance(name, Path) or "/" in name or os.sep in name:
        return Path(name)
    if size is not None and (root / f"{name}-{size}").is_dir():
        return root / f"{name}-{size}"
    if name in EMBEDDED:
        _create(name, root / name)
    if (root / name).is_dir():
        return root / name
    pattern = re.compile(re.escape(name) + r"-\d+")
    found = sorted(path.name for path in root.glob("*") if pattern.fullmatch(path.name))
    if size is None and len(found) == 1:
        return root / found[0]
    if size is None and found:
        raise ValueError(f"several sizes of {name!r}: {', '.join(found)}; name one of them")
    if not found and (Path(name) / "datapackage.json").is_file():
        return Path(name)
    wanted = f" --size {size}" if size else ""
    there = f" (there is {', '.join(found)})" if found else ""
    raise ValueError(
        f"no data set {name!r} in {root}{there}; get it with: "
        f"course data prepare {name} --from PATH{wanted}"
    )


def _create(name: str, folder: Path) -> None:
    """Make an embedded set if it is missing; of two processes at once the first one wins."""
    if folder.exists():
        return
    with atomic.new_folder(folder, may_replace=lambda _: False) as temporary:
        inner = temporary / name
        EMBEDDED[name](inner)
        for path in list(inner.iterdir()):
            path.rename(temporary / path.name)
        inner.rmdir()


def _phantoms(folder: Path) -> None:
    from course_lib.data import phantoms

    phantoms.prepare(folder, n=600, size=64, seed=2026, look="mixed")


def _nuclei_mini(folder: Path) -> None:
    from course_lib.data import nuclei_mini

    nuclei_mini.expand(folder)


EMBEDDED: dict[str, Callable[[Path], None]] = {"phantoms": _phantoms, "nuclei-mini": _nuclei_mini}


def _read(folder: Path, verify: str) -> Dataset:
    if not folder.is_dir():
        raise ValueError(f"no data set at {folder}; give the folder of a prepared set")
    about = read_descriptor(folder)
    problems = file_problems(folder, about, verify)
    if problems:
        raise ValueError(f"{folder} is damaged: {problems[0]}; {MEND}")
    arrays = {
        item["path"]: load_array(folder / item["path"])
        for item in about["resources"]
        if item["path"].endswith(".npy")
    }
    images, masks, full = (arrays.get(f"{key}.npy") for key in ("images", "masks", "masks_full"))
    cases = read_cases(folder / "cases.csv")
    problems = array_problems(images, masks, cases)
    if full is not None and not problems:
        problems = full_problems(full, cases)
    if problems:
        raise ValueError(f"{folder} is damaged: {problems[0]}; {MEND}")
    return Dataset(
        name=about["name"],
        folder=folder,
        cases=cases,
        descriptor=about,
        all_images=images,
        all_masks=masks,
        all_full=masks if full is None else full,
    )
