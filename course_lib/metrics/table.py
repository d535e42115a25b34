"""The per-case table: one row for each case and foreground class, raw values, nothing averaged."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from course_lib.metrics import distances, overlap


def evaluate_cases(
    preds: Sequence[ArrayLike],
    targets: Sequence[ArrayLike],
    case_ids: Sequence[str],
    *,
    spacings: Sequence[distances.Spacing] | None = None,
    groups: Sequence[str] | None = None,
    classes: Sequence[str] | None = None,
    tolerance: float = 2.0,
    unit: str = "px",
) -> pd.DataFrame:
    """Compare predicted with reference masks and return one row for each case and class.

    Args:
        preds: one ``(H, W)`` mask a case, bool or integer labels; sizes may differ between cases.
        targets: the reference masks, each of the same size as its prediction.
        case_ids: one id a case, each once.
        spacings: (row, column) pixel size a case; None means ``(1.0, 1.0)``, with unit "px".
        groups: what each case belongs to (patient, slide); None: every case is its own group.
        classes: names of the labels 0..K-1, background first; None: ``("background",
            "foreground")``. Label 0 gets no row.
        tolerance: of NSD, in ``unit``.
        unit: of ``spacings``, "px" or "mm".

    Returns:
        Columns ``case_id, group, class_name, case, tp, fp, fn, tn, dice, iou, precision, recall,
        specificity, accuracy, lesion_recall, hd95, nsd, diagonal, tolerance, unit``. ``case`` is
        one of ok, both_empty, pred_empty, target_empty. Values are raw: 0/0 is NaN, the distance
        to an empty mask is inf; :func:`course_lib.metrics.fill_empty` turns them into reported
        ones. ``diagonal`` is the image diagonal in ``unit``.

    Raises:
        TypeError: for float masks.
        ValueError: for lists of different length, an id given twice, sizes that disagree, a label
            outside the classes, a wrong spacing or unit; the message names the case.
    """
    names = list(classes) if classes is not None else ["background", "foreground"]
    if len(names) < 2:
        raise ValueError(f"classes must name the background and at least one class, got {names}")
    groups = case_ids if groups is None else groups
    spacings = _spacings(spacings, len(case_ids), unit)
    distances.check_tolerance(tolerance)
    _check_cases(preds, targets, case_ids, groups, spacings)
    rows = []
    for pred, target, case_id, group, spacing in zip(
        preds, targets, case_ids, groups, spacings, strict=True
    ):
        labels = _labels(pred, target, case_id, len(names))
        for label, name in enumerate(names[1:], start=1):
            row = _row(labels[0] == label, labels[1] == label, spacing, tolerance)
            rows.append({"case_id": case_id, "group": group, "class_name": name, **row})
    return pd.DataFrame(rows).assign(tolerance=tolerance, unit=unit)


def _row(
    pred: np.ndarray, target: np.ndarray, spacing: distances.Spacing, tolerance: float
) -> dict:
    number = overlap.count_pixels(pred, target)
    lists = distances.distance_lists(pred, target, spacing)
    return {
        "case": case_of(number),
        **number._asdict(),
        **overlap.scores(number),
        "lesion_recall": overlap.touched_lesions(pred, target),
        "hd95": distances.hd95_of(*lists),
        "nsd": distances.nsd_of(*lists, tolerance),
        "diagonal": float(np.hypot(*np.multiply(pred.shape, spacing))),
    }


def case_of(number: overlap.Counts) -> str:
    """Return ok, both_empty, pred_empty or target_empty."""
    pred_empty, target_empty = number.tp + number.fp == 0, number.tp + number.fn == 0
    if pred_empty and target_empty:
        return "both_empty"
    if pred_empty:
        return "pred_empty"
    return "target_empty" if target_empty else "ok"


def _spacings(
    spacings: Sequence[distances.Spacing] | None, number: int, unit: str
) -> list[distances.Spacing]:
    if unit not in ("px", "mm"):
        raise ValueError(f'unit must be "px" or "mm", got {unit!r}')
    if spacings is None:
        if unit != "px":
            raise ValueError(f'unit "{unit}" needs spacings; without them distances are in "px"')
        return [(1.0, 1.0)] * number
    return list(spacings)


def _check_cases(
    preds: Sequence, targets: Sequence, case_ids: Sequence, groups: Sequence, spacings: Sequence
) -> None:
    lengths = [len(part) for part in (preds, targets, case_ids, groups, spacings)]
    if len(set(lengths)) != 1:
        raise ValueError(
            "preds, targets, case_ids, groups and spacings must be equally long, got "
            + ", ".join(map(str, lengths))
        )
    if not lengths[0]:
        raise ValueError("there is no case to evaluate")
    ids = pd.Index(case_ids)
    if ids.has_duplicates:
        twice = ids[ids.duplicated()][0]
        raise ValueError(f"case id {twice!r} is given more than once")
    for case_id, spacing in zip(case_ids, spacings, strict=True):
        try:
            distances.check_spacing(spacing)
        except ValueError as error:
            raise ValueError(f"case {case_id}: {error}") from None


def _labels(pred: ArrayLike, target: ArrayLike, case_id: str, classes: int) -> list[np.ndarray]:
    masks = [np.asarray(pred), np.asarray(target)]
    for name, mask in zip(("pred", "target"), masks, strict=True):
        if mask.dtype.kind not in "bui":
            raise TypeError(
                f"case {case_id}: {name} must be bool or integer labels, got {mask.dtype}; "
                "threshold it first"
            )
        if mask.ndim != 2 or mask.size == 0:
            raise ValueError(f"case {case_id}: {name} must be (H, W), got shape {mask.shape}")
        if mask.min() < 0 or mask.max() >= classes:
            raise ValueError(
                f"case {case_id}: {name} holds labels {mask.min()}..{mask.max()}; "
                f"labels must be 0..{classes - 1}"
            )
    if masks[0].shape != masks[1].shape:
        raise ValueError(
            f"case {case_id}: pred is {masks[0].shape} and target {masks[1].shape}; "
            "sizes must agree"
        )
    return masks
