"""A data set in the hands of a reader: arrays, cases, and what is known about them."""

import dataclasses
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from course_lib.data import splits
from course_lib.data.prepared_check import check_arrays, check_labels, complete_cases
from course_lib.data.resize import resize_images, resize_masks, size_pair


@dataclasses.dataclass(frozen=True, eq=False)
class Dataset:
    """Images, masks and what is known about every case.

    ``all_images``, ``all_masks`` and ``all_full`` are the whole arrays (memory maps for an
    opened folder); ``rows`` says which of them belong to this set. So a subset costs no memory
    as long as it is read through :meth:`batch` and :meth:`mask_full`.
    """

    name: str
    folder: Path | None  # none: lives in memory only
    cases: pd.DataFrame  # one row a case, index 0..N-1
    descriptor: dict
    all_images: np.ndarray
    all_masks: np.ndarray
    all_full: np.ndarray  # flat where cases.offset is known, else one mask a row
    rows: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.cases)

    @cached_property
    def images(self) -> np.ndarray:
        """(N, C, H, W) uint8."""
        return self.all_images if self.rows is None else self.all_images[self.rows]

    @cached_property
    def masks(self) -> np.ndarray:
        """(N, H, W) uint8 label indices."""
        return self.all_masks if self.rows is None else self.all_masks[self.rows]

    @property
    def class_names(self) -> list[str]:
        """Names of the labels 0..K-1, background first."""
        return [item["name"] for item in self.descriptor["classes"]]

    @property
    def num_classes(self) -> int:
        """Number of labels K with the background; 2 for a binary task."""
        return len(self.descriptor["classes"])

    @property
    def digest(self) -> str:
        """SHA-256 (hex) over the hashes of the files: which data a result was measured on."""
        lines = [f"{item['path']} {item['hash']}\n" for item in self.descriptor["resources"]]
        if "resized" in self.descriptor:
            lines.append(f"resized {self.descriptor['resized']}\n")
        return hashlib.sha256("".join(lines).encode()).hexdigest()

    @property
    def unit(self) -> str:
        """``"mm"`` where the spacing of every case is known, else ``"px"``."""
        known = self.cases[["spacing_y", "spacing_x"]].notna().to_numpy().all()
        return "mm" if known else "px"

    def spacing(self, i: int) -> tuple[float, float]:
        """Height and width of a pixel of the untouched mask in :attr:`unit`."""
        if self.unit == "px":
            return 1.0, 1.0
        row = self.cases.iloc[i]
        return float(row.spacing_y), float(row.spacing_x)

    def mask_full(self, i: int) -> np.ndarray:
        """(h, w) uint8: the untouched mask of case ``i`` at its original size."""
        row = self.cases.iloc[i]
        if pd.isna(row.offset):
            return self.all_full[i if self.rows is None else self.rows[i]]
        start, height, width = int(row.offset), int(row.height), int(row.width)
        return self.all_full[start : start + height * width].reshape(height, width)

    def subset(self, indices: Iterable[int]) -> "Dataset":
        """Choose cases, by index or by a boolean per case; nothing is copied."""
        chosen = self._indices(indices)
        return dataclasses.replace(
            self,
            cases=self.cases.iloc[chosen].reset_index(drop=True),
            rows=chosen if self.rows is None else self.rows[chosen],
        )

    def resized(self, size: int | tuple[int, int]) -> "Dataset":
        """Resize in memory: images by area, masks by nearest; untouched masks stay untouched.

        Args:
            size: Height and width in px, one number for a square.

        Raises:
            ValueError: The size is not a size, or the set holds volumes.
        """
        pair = size_pair(size)
        if self.all_images.ndim != 4:
            raise ValueError(f"{self.name} holds volumes; only sets of images can be resized")
        if pair == self.all_images.shape[2:]:
            return self
        images, masks = self.images, self.masks
        full, rows = self.all_full, None
        if self.cases.offset.isna().any():  # one untouched mask a row, so keep step with rows
            full = full if self.rows is None else full[self.rows]
        return dataclasses.replace(
            self,
            descriptor={**self.descriptor, "resized": list(pair)},
            all_images=resize_images(images, pair),
            all_masks=resize_masks(masks, pair),
            all_full=full,
            rows=rows,
        )

    def split(self, name: str = "default") -> dict[str, np.ndarray]:
        """Read a split: part -> indices of its cases, ascending.

        Raises:
            ValueError: The set lives in memory only, has no such split, or the split leaves a
                case out.
        """
        if self.folder is None:
            raise ValueError(f"{self.name} lives in memory only; make a split with splits.make")
        table = splits.read(self.folder, name).set_index("case_id").part
        parts = self.cases.case_id.map(table)
        if parts.isna().any():
            missing = self.cases.case_id[parts.isna()].iloc[0]
            raise ValueError(f"split {name!r} of {self.folder} leaves out the case {missing!r}")
        return {part: np.flatnonzero(parts == part) for part in splits.PARTS}

    def batch(
        self, indices: Iterable[int], device: str | torch.device = "cpu"
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Read cases as tensors.

        Returns:
            Images (B, C, H, W) float32 in 0..1 and masks (B, H, W) int64, on ``device``.
        """
        rows = self._indices(indices)
        if self.rows is not None:
            rows = self.rows[rows]
        images = torch.from_numpy(np.asarray(self.all_images[rows])).to(device)
        masks = torch.from_numpy(np.asarray(self.all_masks[rows])).to(device)
        return images.float().div_(255), masks.long()

    def describe(self) -> str:
        """A few lines: what it is, how much, where from."""
        about = self.descriptor
        size = " x ".join(map(str, self.all_images.shape[2:]))
        licences = ", ".join(item.get("title", item["name"]) for item in about.get("licenses", []))
        return "\n".join(
            [
                f"{about.get('title') or self.name}: {about['modality']}",
                f"{len(self)} cases in {self.cases.group.nunique()} groups, "
                f"{self.all_images.shape[1]} channels, {size} px",
                f"classes: {', '.join(self.class_names)}",
                f"licence: {licences or 'not stated'}",
                f"left out: {len(about.get('dropped', []))} cases",
            ]
        )

    def _indices(self, indices: Iterable[int]) -> np.ndarray:
        chosen = np.asarray(indices if hasattr(indices, "__len__") else list(indices))
        if chosen.dtype == bool:
            if chosen.shape != (len(self),):
                raise ValueError(f"{chosen.size} booleans for {len(self)} cases; give one a case")
            return np.flatnonzero(chosen)
        if chosen.size and (chosen.ndim != 1 or chosen.dtype.kind not in "iu"):
            raise ValueError(f"case indices are whole numbers, not {chosen.dtype} {chosen.shape}")
        chosen = chosen.astype(np.int64)
        if len(chosen) and not (-len(self) <= chosen.min() and chosen.max() < len(self)):
            raise ValueError(f"case indices go from 0 to {len(self) - 1}, not to {chosen.max()}")
        return chosen % max(len(self), 1)


def from_arrays(
    name: str,
    images: np.ndarray,
    masks: np.ndarray,
    cases: pd.DataFrame,
    classes: Sequence[Mapping[str, str]],
    modality: str = "",
) -> Dataset:
    """Make a data set that lives in memory only, such as fresh phantoms.

    Args:
        name: Its name.
        images: (N, C, H, W) uint8.
        masks: (N, H, W) uint8 label indices; also the untouched masks.
        cases: One row a case with at least ``case_id`` and ``group``.
        classes: As in :func:`write`.
        modality: What kind of picture.

    Raises:
        ValueError: As :func:`write`.
    """
    check_arrays(images, masks, None, classes)
    table = complete_cases(cases, masks, None).assign(offset=np.nan)
    check_labels(masks, None, table.case_id, len(classes))
    contents = (
        ("images.npy", np.ascontiguousarray(images)),
        ("masks.npy", np.ascontiguousarray(masks)),
        ("cases.csv", table.to_csv(index=False).encode()),
    )
    resources = [
        {"path": path, "hash": f"sha256:{hashlib.sha256(content).hexdigest()}"}
        for path, content in contents
    ]
    about = {"name": name, "title": name, "modality": modality, "dropped": []}
    about |= {"classes": [dict(item) for item in classes], "resources": resources}
    return Dataset(name, None, table, about, images, masks, masks)
