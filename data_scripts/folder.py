"""A person's own images and masks: two folders of files with the same names.

A mask belongs to the image of the same stem; ``_mask`` or ``_segmentation`` may follow it
(``lesion7.jpg`` and ``lesion7.png``, ``lesion7_mask.png`` or ``lesion7_segmentation.png``).
"""

import hashlib
import re
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from course_lib.data import images as image_files
from course_lib.data import prepared, splits
from course_lib.data.resize import resize_images, resize_masks
from data_scripts import NAMES

# The colours of Okabe and Ito, which colour-blind eyes tell apart; more classes start again.
COLOURS = ("#e69f00", "#56b4e9", "#009e73", "#f0e442", "#0072b2", "#d55e00", "#cc79a7")


def prepare(
    images: Path | str,
    masks: Path | str,
    to: Path | str,
    size: int,
    name: str,
    classes: Sequence[str] | None = None,
    group_pattern: str | None = None,
) -> Path:
    """Write the prepared folder ``to`` from a folder of images and a folder of masks.

    All files are read before anything is written. With 3 groups or more the split ``default``
    (60, 20, 20 %) is written too.

    Args:
        images: Folder of PNG, TIFF, JPEG or NPY images.
        masks: Folder of masks; values 0 and 1 or 0 and 255 for two classes, else 0..K-1.
        to: The folder to write.
        size: Side in px of the prepared images; scores are still computed at original size.
        name: Name of the set; the names of the public sets are taken.
        classes: Names of the labels, background first; none means background and foreground.
        group_pattern: Regular expression with one pair of brackets around what one patient's
            file stems share, such as ``(P[0-9]+)_``. None: every file is a group of its own.

    Returns:
        The folder.

    Raises:
        ValueError: A name that is taken, an empty folder, an image or mask without its partner,
            a file that cannot be read, a mask of another size than its image, a label outside
            the classes. One line that names up to five files.
    """
    for label in (name, Path(to).name):
        _refuse_taken(label)
    names = _class_names(classes)
    pairs = _pairs(Path(images), Path(masks))
    groups = _groups(list(pairs), group_pattern)
    pictures, full = _load_all(pairs, size, len(names))
    cases = pd.DataFrame(
        {
            "case_id": list(pairs),
            "group": groups,
            "source_file": [image.name for image, _ in pairs.values()],
            "source_sha256": [_sha256(image) for image, _ in pairs.values()],
        }
    )
    return prepared.write(
        to,
        name=name,
        images=pictures,
        masks=np.stack([resize_masks(mask, size) for mask in full]),
        masks_full=full,
        cases=cases,
        classes=[
            {"name": label, "colour": COLOURS[(i - 1) % len(COLOURS)] if i else "#000000"}
            for i, label in enumerate(names)
        ],
        modality="own images",
        options={"size": size, "group_pattern": group_pattern or ""},
        splits={"default": splits.make(cases)} if len(set(groups)) >= 3 else {},
    )


def _refuse_taken(name: str) -> None:
    """Refuse a name under which a public set is looked for, such as ``nuclei-256``."""
    for taken in NAMES:
        if re.fullmatch(re.escape(taken) + r"(-\d+)?", name):
            raise ValueError(
                f"the name {name!r} belongs to the data set {taken}; choose another name"
            )


def _class_names(classes: Sequence[str] | None) -> list[str]:
    names = [str(label).strip() for label in classes or ("background", "foreground")]
    if isinstance(classes, str) or len(names) < 2 or "" in names or len(set(names)) < len(names):
        raise ValueError(
            f"classes must be 2 or more different names, background first, not {classes!r}"
        )
    return names


def _pairs(images: Path, masks: Path) -> dict[str, tuple[Path, Path]]:
    """Image and mask of every stem, sorted by stem."""
    if images.resolve() == masks.resolve():
        raise ValueError(f"images and masks are both {images}; put the masks into their own folder")
    pictures = _by_key(images, "images", lambda stem: stem)

    def image_stem(stem: str) -> str:
        bare = re.sub(r"_(mask|segmentation)$", "", stem)
        return stem if stem in pictures else bare

    labels = _by_key(masks, "masks", image_stem)
    alone = [f"{path.name} (no mask)" for key, path in pictures.items() if key not in labels]
    alone += [f"{path.name} (no image)" for key, path in labels.items() if key not in pictures]
    if alone:
        raise ValueError(
            f"{len(alone)} file(s) without a partner of the same name: {_first(alone)}; "
            "add or remove them"
        )
    return {key: (pictures[key], labels[key]) for key in sorted(pictures)}


def _by_key(folder: Path, what: str, key: Callable[[str], str]) -> dict[str, Path]:
    if not folder.is_dir():
        raise ValueError(f"no folder {folder} with {what}")
    found: dict[str, Path] = {}
    twice = []
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() not in image_files.SUFFIXES or path.name.startswith("."):
            continue
        if found.setdefault(key(path.stem), path) is not path:
            twice.append(path.name)
    if twice:
        raise ValueError(f"{folder} has several files of one name: {_first(twice)}; keep one each")
    if not found:
        raise ValueError(
            f"no {what} in {folder}; it needs files ending in {', '.join(image_files.SUFFIXES)}"
        )
    return found


def _groups(stems: list[str], pattern: str | None) -> list[str]:
    """What must not be torn apart: the bracketed part of every stem, else the stem."""
    if not pattern:
        return stems
    try:
        search = re.compile(pattern)
    except re.error as error:
        raise ValueError(f"group pattern {pattern!r} is no regular expression: {error}") from error
    if search.groups != 1:
        raise ValueError(f"group pattern {pattern!r} needs one pair of brackets, as in (P[0-9]+)_")
    matches = [search.search(stem) for stem in stems]
    missed = [stem for stem, match in zip(stems, matches, strict=True) if not (match and match[1])]
    if missed:
        raise ValueError(f"group pattern {pattern!r} finds nothing in: {_first(missed)}")
    return [match[1] for match in matches]


def _load_all(
    pairs: dict[str, tuple[Path, Path]], size: int, num_classes: int
) -> tuple[np.ndarray, list[np.ndarray]]:
    """Resized images (N, C, size, size) and untouched masks (h, w), all uint8."""
    images, masks, errors = [], [], {}
    for image_path, mask_path in pairs.values():
        try:
            image = image_files.read_image(image_path)
            masks.append(image_files.read_mask(mask_path, num_classes, image.shape[1:]))
            images.append(resize_images(image[None], size)[0])
        except ValueError as error:
            errors[image_path.name] = error
    if errors:
        raise ValueError(
            f"{len(errors)} of {len(pairs)} pairs cannot be used ({_first(list(errors))}); "
            f"the first: {next(iter(errors.values()))}"
        )
    channels = max(len(image) for image in images)
    images = [np.broadcast_to(image, (channels, *image.shape[1:])) for image in images]
    return np.stack(images), masks


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _first(names: list[str]) -> str:
    """Up to five names."""
    return ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")
