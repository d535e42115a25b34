"""The per-case table of volumes: overlap alone, since distances are measured in images only."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from course_lib.metrics import overlap
from course_lib.metrics.table import case_of


def evaluate_volumes(
    preds: Sequence[np.ndarray],
    targets: Sequence[np.ndarray],
    case_ids: Sequence[str],
    *,
    groups: Sequence[str] | None = None,
    classes: Sequence[str] | None = None,
) -> pd.DataFrame:
    """Compare predicted with reference labels and return one row for each volume and class.

    Args:
        preds: one ``(D, H, W)`` array a volume, bool or integer labels.
        targets: the reference labels, each of the same size as its prediction.
        case_ids: one id a volume.
        groups: what each volume belongs to (patient); None: every one is its own group.
        classes: names of the labels 0..K-1, background first; None: ``("background",
            "foreground")``. Label 0 gets no row.

    Returns:
        The columns of :func:`evaluate_cases` that need no distance: ``case_id, group, class_name,
        case, tp, fp, fn, tn, dice, iou, precision, recall, specificity, accuracy``. Values are raw:
        0/0 is NaN; ``fill_empty``, ``pooled`` and ``summarise`` take the table.

    Raises:
        ValueError: for lists of different length, or sizes that disagree.
    """
    names = ["background", "foreground"] if classes is None else list(classes)
    groups = case_ids if groups is None else groups
    lengths = [len(part) for part in (preds, targets, case_ids, groups)]
    if len(set(lengths)) != 1:
        raise ValueError(f"preds, targets, case_ids and groups must be equally long, got {lengths}")
    rows = []
    for pred, target, case_id, group in zip(preds, targets, case_ids, groups, strict=True):
        if pred.shape != target.shape:
            raise ValueError(
                f"case {case_id}: pred is {pred.shape} and target {target.shape}; sizes must agree"
            )
        for label, name in enumerate(names[1:], start=1):
            number = overlap.count_pixels(pred == label, target == label)
            row = {"case_id": case_id, "group": group, "class_name": name}
            row |= {"case": case_of(number), **number._asdict(), **overlap.scores(number)}
            rows.append(row)
    return pd.DataFrame(rows)
