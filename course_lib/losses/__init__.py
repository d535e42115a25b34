"""Segmentation losses: a function for each formula, and a thin Module that holds its arguments.

All functions take raw logits ``(B, K, H, W)`` and a reference mask of integer labels ``(B, H, W)``.
``K = 1`` is the binary task: sigmoid, labels {0, 1}, and a mask ``(B, 1, H, W)`` is accepted too.
``K > 1`` is the multi-class task: softmax, labels 0..K-1, label 0 being the background.

Half-precision logits are lifted to float32 first, because a float16 sum over 512 x 512 pixels
overflows to infinity; float64 stays float64.

Labels are checked on the CPU only. On a GPU the check would stall the queue at every step, so
whoever loads the data calls :func:`check_labels` there once.

Dice, cross-entropy and focal loss are in ``overlap.py``, what looks at borders in ``boundary.py``,
SiGREnet's sum of four terms in ``hybrid.py``.
"""

from course_lib.losses.boundary import (
    BoundaryLoss,
    DistanceMaps,
    LaplacianBoundaryLoss,
    boundary_loss,
    distance_map,
    laplacian_boundary_loss,
)
from course_lib.losses.hybrid import (
    HybridLoss,
    HybridWeights,
    boundary_weight,
    consistency_loss,
    hybrid_loss,
    hybrid_terms,
    masked_l1_loss,
)
from course_lib.losses.inputs import check_labels
from course_lib.losses.overlap import (
    CrossEntropyLoss,
    DiceCELoss,
    DiceLoss,
    FocalLoss,
    cross_entropy_loss,
    dice_ce_loss,
    dice_loss,
    focal_loss,
    pixel_cross_entropy,
    pooled_reference,
    soft_dice_ce_loss,
)

__all__ = [
    "BoundaryLoss",
    "CrossEntropyLoss",
    "DiceCELoss",
    "DiceLoss",
    "DistanceMaps",
    "FocalLoss",
    "HybridLoss",
    "HybridWeights",
    "LaplacianBoundaryLoss",
    "boundary_loss",
    "boundary_weight",
    "check_labels",
    "consistency_loss",
    "cross_entropy_loss",
    "dice_ce_loss",
    "dice_loss",
    "distance_map",
    "focal_loss",
    "hybrid_loss",
    "hybrid_terms",
    "laplacian_boundary_loss",
    "masked_l1_loss",
    "pixel_cross_entropy",
    "pooled_reference",
    "soft_dice_ce_loss",
]
