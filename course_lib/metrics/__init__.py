"""Metrics on masks: counts -> scores of one case -> table of cases -> summary with interval."""

from course_lib.metrics.calibration import Reliability, calibration_error, reliability
from course_lib.metrics.distances import boundary, boundary_distances, hausdorff, hd95, nsd
from course_lib.metrics.intervals import bootstrap_interval, t_interval
from course_lib.metrics.overlap import (
    Counts,
    accuracy,
    counts,
    dice,
    iou,
    lesion_recall,
    precision,
    recall,
    specificity,
)
from course_lib.metrics.roc import (
    PrecisionRecallCurve,
    RocCurve,
    auc,
    average_precision,
    precision_recall_curve,
    roc_curve,
)
from course_lib.metrics.summary import (
    Difference,
    fill_empty,
    over_seeds,
    paired_difference,
    pooled,
    summarise,
)
from course_lib.metrics.table import evaluate_cases
from course_lib.metrics.volumes import evaluate_volumes

__all__ = [
    "Counts",
    "Difference",
    "PrecisionRecallCurve",
    "Reliability",
    "RocCurve",
    "accuracy",
    "auc",
    "average_precision",
    "bootstrap_interval",
    "boundary",
    "boundary_distances",
    "calibration_error",
    "counts",
    "dice",
    "evaluate_cases",
    "evaluate_volumes",
    "fill_empty",
    "hausdorff",
    "hd95",
    "iou",
    "lesion_recall",
    "nsd",
    "over_seeds",
    "paired_difference",
    "pooled",
    "precision",
    "precision_recall_curve",
    "recall",
    "reliability",
    "roc_curve",
    "specificity",
    "summarise",
    "t_interval",
]
