"""Refuse arrays and case tables that would make a broken data set, with one line each."""

import re
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

COLUMNS = (
    "case_id",
    "group",
    "source_file",
    "source_sha256",
    "height",
    "width",
    "offset",
    "spacing_y",
    "spacing_x",
)


def _case_name(table: pd.DataFrame, i: int) -> str:
    return f"case {table.case_id.iloc[i]!r}"


def check_arrays(
    images: np.ndarray, masks: np.ndarray, masks_full: Sequence | None, classes: Sequence[Mapping]
) -> None:
    """Refuse arrays whose dtypes or shapes do not go together, and classes that are none."""
    for what, array in (("images", images), ("masks", masks)):
        if not isinstance(array, np.ndarray) or array.dtype != np.uint8:
            kind = getattr(array, "dtype", type(array).__name__)
            raise ValueError(f"{what} must be a uint8 array, not {kind}")
    if images.ndim not in (4, 5) or 0 in images.shape:
        raise ValueError(f"images must be (N, C, H, W), none of them 0, not {images.shape}")
    expected = (len(images), *images.shape[2:])
    if masks.shape != expected:
        raise ValueError(f"masks must be {expected} like the images, not {masks.shape}")
    if masks_full is not None and len(masks_full) != len(images):
        raise ValueError(f"{len(masks_full)} untouched masks for {len(images)} images")
    if masks_full is not None and images.ndim == 5:
        raise ValueError("untouched masks of another size are for images, not for volumes")
    if not 2 <= len(classes) <= 256:
        raise ValueError(f"classes must name 2 to 256 labels, background first, not {len(classes)}")
    for item in classes:
        if not item.get("name") or not re.fullmatch("#[0-9a-fA-F]{6}", item.get("colour", "")):
            raise ValueError(
                f'a class is {{"name": "lesion", "colour": "#rrggbb"}}, not {dict(item)}'
            )


def check_labels(
    masks: np.ndarray, masks_full: Sequence | None, names: pd.Series, num_classes: int
) -> None:
    """Refuse labels outside the classes."""
    for i, name in enumerate(names):
        for mask in (masks[i],) if masks_full is None else (masks[i], masks_full[i]):
            if mask.max() >= num_classes:
                raise ValueError(
                    f"case {name!r} has the label {mask.max()}; "
                    f"{num_classes} classes allow 0..{num_classes - 1}"
                )


def complete_cases(
    cases: pd.DataFrame, masks: np.ndarray, masks_full: Sequence | None
) -> pd.DataFrame:
    """Check the case table and fill the required columns, these first."""
    for column in ("case_id", "group"):
        if column not in cases:
            raise ValueError(f"cases lack the column {column!r}; there are {', '.join(cases)}")
    if len(cases) != len(masks):
        raise ValueError(f"{len(cases)} rows of cases for {len(masks)} images")
    table = cases.reset_index(drop=True).copy()
    for column in ("case_id", "group"):
        empty = table[column].isna() | (table[column].astype(str).str.strip() == "")
        if empty.any():
            raise ValueError(f"column {column!r} is empty in row {empty.argmax()} of the cases")
        table[column] = table[column].astype(str)
    twice = table.case_id[table.case_id.duplicated()]
    if len(twice):
        raise ValueError(f"case_id {twice.iloc[0]!r} comes twice; every case needs its own")
    for column in ("source_file", "source_sha256"):
        table[column] = table[column].fillna("").astype(str) if column in table else ""
    _fill_sizes(table, masks, masks_full)
    _check_spacing(table)
    return table[[*COLUMNS, *(c for c in table if c not in COLUMNS)]]


def _fill_sizes(table: pd.DataFrame, masks: np.ndarray, masks_full: Sequence | None) -> None:
    full = list(masks) if masks_full is None else masks_full
    for i, mask in enumerate(full):
        if mask.dtype != np.uint8 or (masks.ndim == 3 and mask.ndim != 2) or mask.size == 0:
            raise ValueError(
                f"the untouched mask of {_case_name(table, i)} must be (h, w) uint8, "
                f"not {mask.shape} {mask.dtype}"
            )
    sizes = np.array([mask.shape[-2:] for mask in full])
    for column, values in zip(("height", "width"), sizes.T, strict=True):
        if column in table and (table[column].to_numpy() != values).any():
            i = int((table[column].to_numpy() != values).argmax())
            raise ValueError(
                f"{column} of {_case_name(table, i)} is {table[column].iloc[i]} in the table "
                f"but its mask has {values[i]}"
            )
        table[column] = values
    table["offset"] = ""
    if masks_full is not None:
        table["offset"] = np.concatenate([[0], np.cumsum(sizes.prod(axis=1))[:-1]])


def _check_spacing(table: pd.DataFrame) -> None:
    for column in ("spacing_y", "spacing_x"):
        if column not in table:
            table[column] = np.nan
        table[column] = pd.to_numeric(table[column])
    spacing = table[["spacing_y", "spacing_x"]].to_numpy()
    known = ~np.isnan(spacing)
    bad = (known[:, 0] != known[:, 1]) | (known & ~((spacing > 0) & np.isfinite(spacing))).any(1)
    if bad.any():
        raise ValueError(
            f"spacing of {_case_name(table, bad.argmax())} must be two numbers of mm above 0, "
            f"or empty, not {tuple(spacing[bad.argmax()])}"
        )
