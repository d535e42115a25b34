"""Distances between the boundaries of two masks: HD95, Hausdorff distance, NSD.

Definition used throughout. The boundary of a mask is the set of its pixels that have a 4-neighbour
outside it; a mask pixel on the image border counts as boundary. Each boundary pixel has a distance
to the nearest boundary pixel of the other mask, between pixel centres. Libraries differ here (MedPy
pools both directions, surface-distance measures boundary elements), so HD95 and NSD are always
quoted with their definition.

``spacing`` is the (row, column) size of a pixel: distances come in its unit, px for (1.0, 1.0).
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike
from scipy.ndimage import distance_transform_edt

from course_lib.metrics.overlap import as_masks

Spacing = tuple[float, float]


def hd95(pred: ArrayLike, target: ArrayLike, spacing: Spacing) -> float:
    """Return the larger of the two directed 95th percentiles of the boundary distances.

    Args:
        pred: ``(H, W)`` bool or integers {0, 1}, the predicted mask.
        target: ``(H, W)`` bool or integers {0, 1}, the reference mask.
        spacing: (row, column) pixel size; required, ``(1.0, 1.0)`` for px.

    Returns:
        Distance in the unit of ``spacing``; one mask empty: inf; both empty: NaN.

    Raises:
        TypeError: for float masks.
        ValueError: for other values, masks of two sizes, or a spacing that is not two sizes > 0.

    Source: Maier-Hein et al. 2024 (Metrics Reloaded), doi 10.1038/s41592-023-02151-z. Same numbers
    as MONAI ``compute_hausdorff_distance(percentile=95)``.
    """
    return hd95_of(*boundary_distances(pred, target, spacing))


def hausdorff(pred: ArrayLike, target: ArrayLike, spacing: Spacing) -> float:
    """Return the Hausdorff distance, the largest of all boundary distances: one pixel decides.

    Arguments, errors and empty masks as :func:`hd95`.
    """
    lists = boundary_distances(pred, target, spacing)
    return _worse_direction(lists, np.max)


def nsd(pred: ArrayLike, target: ArrayLike, spacing: Spacing, tolerance: float) -> float:
    """Return the normalised surface Dice: the share of boundary pixels within the tolerance.

    Boundary pixels of both masks are counted together.

    Args:
        pred: as in :func:`hd95`.
        target: as in :func:`hd95`.
        spacing: as in :func:`hd95`.
        tolerance: accepted distance in the unit of ``spacing``, >= 0; best taken from how far two
            readers differ.

    Returns:
        0..1; one mask empty: 0; both empty: NaN.

    Raises:
        TypeError: for float masks.
        ValueError: as :func:`hd95`, and for a negative tolerance.

    Source: Nikolov et al. 2018, with boundary pixels in place of boundary elements. Same numbers as
    MONAI ``compute_surface_dice(use_subvoxels=False)``.
    """
    check_tolerance(tolerance)
    return nsd_of(*boundary_distances(pred, target, spacing), tolerance)


def boundary(mask: np.ndarray) -> np.ndarray:
    """Return the boundary pixels of a bool mask ``(H, W)`` as a bool mask of the same size."""
    inner = np.zeros_like(mask)
    inner[1:-1, 1:-1] = (
        mask[:-2, 1:-1] & mask[2:, 1:-1] & mask[1:-1, :-2] & mask[1:-1, 2:] & mask[1:-1, 1:-1]
    )
    return mask & ~inner


def boundary_distances(
    pred: ArrayLike, target: ArrayLike, spacing: Spacing
) -> tuple[np.ndarray, np.ndarray]:
    """Return the distances from each boundary pixel of one mask to the boundary of the other.

    Arguments and errors as :func:`hd95`.

    Returns:
        Two float64 lists: prediction to reference, reference to prediction. A list is empty where
        its mask is, and all inf where only the other mask is empty.
    """
    check_spacing(spacing)
    return distance_lists(*as_masks(pred, target), spacing)


def distance_lists(
    pred: np.ndarray, target: np.ndarray, spacing: Spacing
) -> tuple[np.ndarray, np.ndarray]:
    """Return :func:`boundary_distances` of bool masks and a spacing that were checked already."""
    # nothing outside the union's bounding box changes a distance, and the box is often small
    box = _bounding_box(pred | target)
    if box is None:
        return np.empty(0), np.empty(0)
    edges = boundary(pred[box]), boundary(target[box])
    return _from_to(*edges, spacing), _from_to(*edges[::-1], spacing)


def hd95_of(pred_to_target: np.ndarray, target_to_pred: np.ndarray) -> float:
    """Return HD95 from the two lists of :func:`boundary_distances`."""
    return _worse_direction((pred_to_target, target_to_pred), lambda d: np.percentile(d, 95))


def nsd_of(pred_to_target: np.ndarray, target_to_pred: np.ndarray, tolerance: float) -> float:
    """Return NSD from the two lists of :func:`boundary_distances`."""
    both = np.concatenate([pred_to_target, target_to_pred])
    return float(np.mean(both <= tolerance)) if both.size else float("nan")


def check_spacing(spacing: Spacing) -> None:
    """Raise ValueError unless spacing is two finite sizes > 0."""
    sizes = np.asarray(spacing, dtype=float)
    if sizes.shape != (2,) or not np.all(np.isfinite(sizes) & (sizes > 0)):
        raise ValueError(f"spacing must be (row, column) sizes > 0, got {spacing}")


def check_tolerance(tolerance: float) -> None:
    """Raise ValueError unless tolerance is 0 or greater."""
    if not tolerance >= 0:
        raise ValueError(f"tolerance must be 0 or greater, got {tolerance}")


def _worse_direction(
    lists: tuple[np.ndarray, np.ndarray], statistic: Callable[[np.ndarray], float]
) -> float:
    sizes = [distances.size for distances in lists]
    if not any(sizes):
        return float("nan")
    if not all(sizes):
        return float("inf")
    return float(max(statistic(distances) for distances in lists))


def _from_to(start: np.ndarray, end: np.ndarray, spacing: Spacing) -> np.ndarray:
    if not end.any():
        return np.full(np.count_nonzero(start), np.inf)
    # the nearest pixel only: distances of the whole image would be computed to be thrown away
    nearest = distance_transform_edt(
        ~end, sampling=spacing, return_distances=False, return_indices=True
    )
    places = np.nonzero(start)
    offsets = [
        (to[places] - at) * size for to, at, size in zip(nearest, places, spacing, strict=True)
    ]
    return np.sqrt(offsets[0] ** 2 + offsets[1] ** 2)


def _bounding_box(mask: np.ndarray) -> tuple[slice, slice] | None:
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    if not rows.size:
        return None
    return slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
