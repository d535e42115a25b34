import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.spatial.distance import cdist

from course_lib import metrics
from course_lib.metrics import distances

PX = (1.0, 1.0)
mask_pairs = hnp.array_shapes(min_dims=2, max_dims=2, max_side=9).flatmap(
    lambda shape: st.tuples(hnp.arrays(bool, shape), hnp.arrays(bool, shape))
)
sizes = st.floats(0.25, 4)
repeatable = settings(max_examples=100, deadline=None, derandomize=True, database=None)


def square(rows, columns, shape=(24, 24)):
    mask = np.zeros(shape, bool)
    mask[rows[0] : rows[1], columns[0] : columns[1]] = True
    return mask


def disc(radius, size=41):
    y, x = np.mgrid[:size, :size] - size // 2
    return x**2 + y**2 <= radius**2


def pixels(*places, shape=(12, 12)):
    mask = np.zeros(shape, bool)
    mask[tuple(np.transpose(places))] = True
    return mask


# By hand


def test_two_pixels():
    # 3 rows and 4 columns apart: 5 px; with pixels of 2 x 0.5 mm: sqrt(6^2 + 2^2)
    pair = pixels((1, 1)), pixels((4, 5))
    for function in (metrics.hd95, metrics.hausdorff):
        assert function(*pair, PX) == 5
        assert function(*pair, (2, 0.5)) == pytest.approx(math.sqrt(40))
    assert metrics.nsd(*pair, PX, 4.99) == 0
    assert metrics.nsd(*pair, PX, 5) == 1


def test_square_shifted_by_three_rows():
    # 8 x 8 squares: the row that sticks out, 8 pixels, lies 3 rows from the other border
    pair = square((4, 12), (6, 14)), square((7, 15), (6, 14))
    assert metrics.hausdorff(*pair, PX) == 3
    assert metrics.hausdorff(*pair, (2, 0.5)) == 6
    # 8 of 28 border pixels at 3 px, so the 95th percentile is there too
    assert metrics.hd95(*pair, PX) == 3
    assert metrics.hd95(*pair, (2, 0.5)) == 6


def test_nsd_of_a_square_shifted_by_one_column():
    # 4 x 4 squares, 12 border pixels each, columns 2-5 and 3-6. On the first border: column 2 (4
    # pixels) is 1 px away; of columns 3 and 4 the top and bottom (4) are shared; column 5 has its
    # ends shared (2), its two middle pixels are 1 px from column 6. So 6 of 12 at distance 0.
    pair = square((2, 6), (2, 6)), square((2, 6), (3, 7))
    assert sorted(metrics.boundary_distances(*pair, PX)[0]) == [0] * 6 + [1] * 6
    assert metrics.nsd(*pair, PX, 0) == 0.5
    assert metrics.nsd(*pair, PX, 1) == 1


def test_hole_counts_as_border():
    ring = square((2, 9), (2, 9)) & ~square((5, 6), (5, 6))
    # outer border 24 pixels; the hole at (5, 5) adds its four neighbours
    assert distances.boundary(ring).sum() == 28
    # each of the four is at (4, 5), (6, 5), (5, 4), (5, 6): 2 px from the outer border
    assert metrics.hausdorff(ring, square((2, 9), (2, 9)), PX) == 2


def test_one_far_pixel_vanishes_from_hd95_and_not_from_hd():
    near = disc(10, 61)
    far = near.copy()
    far[50, 50] = True  # 20 rows and 20 columns from the centre
    # the disc's border has 56 pixels, so one more is below 5 %
    assert distances.boundary(near).sum() == 56
    assert metrics.hd95(far, near, PX) == 0
    rows, columns = np.nonzero(near)
    nearest = np.hypot(50 - rows, 50 - columns).min()
    assert metrics.hausdorff(far, near, PX) == pytest.approx(nearest)


@pytest.mark.parametrize(
    ("d_pt", "d_tp", "expected"),
    [  # linear percentile: position 0.95 (n - 1)
        ([0, 0, 0, 4], [0, 0], 0.85 * 4),  # position 2.85 between 0 and 4
        ([0] * 9 + [10], [0] * 20, 0.55 * 10),  # position 8.55 between 0 and 10
        ([1, 2], [3, 3, 3], 3),  # the other direction decides
        ([0] * 99 + [28.3], [0] * 99, 0),  # position 94.05 of 100: still 0
    ],
)
def test_percentile_of_each_direction_then_the_larger(d_pt, d_tp, expected):
    lists = np.array(d_pt, float), np.array(d_tp, float)
    assert distances.hd95_of(*lists) == pytest.approx(expected)
    assert distances.hd95_of(*lists[::-1]) == pytest.approx(expected)


def test_pixels_on_the_image_border_are_boundary():
    full = np.ones((5, 6), bool)
    assert distances.boundary(full).sum() == 30 - 3 * 4
    # without the image border a full mask would have no boundary at all
    # the middle pixel of 5 x 5 is 2 px from the border; the corner pixel sqrt(8) from the middle
    full, middle = np.ones((5, 5), bool), pixels((2, 2), shape=(5, 5))
    assert metrics.boundary_distances(middle, full, PX)[0] == [2]
    assert metrics.hausdorff(middle, full, PX) == pytest.approx(math.sqrt(8))


def test_empty_masks_give_the_value_of_the_formula():
    empty, one = np.zeros((12, 12), bool), pixels((3, 3))
    for function in (metrics.hd95, metrics.hausdorff):
        assert math.isnan(function(empty, empty, PX))
        assert function(empty, one, PX) == math.inf
        assert function(one, empty, PX) == math.inf
    assert math.isnan(metrics.nsd(empty, empty, PX, 1))
    assert metrics.nsd(empty, one, PX, 1) == 0
    assert metrics.nsd(one, empty, PX, 1) == 0


# Independent libraries


def brute_force(pred, target, spacing):
    """All distances between border pixels, written without a distance transform or a crop."""
    borders = []
    for mask in (pred, target):
        padded = np.pad(mask, 1)
        around = padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
        borders.append(np.argwhere(mask & ~around) * spacing)
    every = cdist(*borders)
    return every.min(1), every.min(0)


def test_agreement_with_all_pairs(random_pairs):
    for pred, target, spacing in random_pairs:
        expected = brute_force(pred, target, spacing)
        found = metrics.boundary_distances(pred, target, spacing)
        for one, other in zip(found, expected, strict=True):
            assert np.allclose(one, other)


@pytest.mark.filterwarnings("ignore:.*always_return_as_numpy.*:FutureWarning")
def test_agreement_with_monai(monai_metrics, random_pairs):
    import torch

    for pred, target, spacing in random_pairs:
        tensors = [torch.from_numpy(mask)[None, None] for mask in (pred, target)]
        flags = {"include_background": True, "spacing": list(spacing)}
        for function, percentile in ((metrics.hd95, 95), (metrics.hausdorff, None)):
            oracle = monai_metrics.compute_hausdorff_distance(
                *tensors,
                distance_metric="euclidean",
                percentile=percentile,
                directed=False,
                **flags,
            )
            # MONAI works in float32
            assert function(pred, target, spacing) == pytest.approx(oracle.item(), rel=1e-5)
        oracle = monai_metrics.compute_surface_dice(
            *tensors, class_thresholds=[1.5], use_subvoxels=False, **flags
        )
        found = metrics.nsd(pred, target, spacing, 1.5)
        assert found == pytest.approx(oracle.item(), abs=1e-6)


def test_medpy_has_our_distances_and_pools_the_directions_before_the_percentile(random_pairs):
    medpy = pytest.importorskip("medpy.metric.binary")
    for pred, target, spacing in random_pairs:
        flags = {"voxelspacing": spacing, "connectivity": 1}
        oracle = medpy.hd(pred, target, **flags)
        assert metrics.hausdorff(pred, target, spacing) == pytest.approx(oracle)
        both = np.concatenate(metrics.boundary_distances(pred, target, spacing))
        assert medpy.hd95(pred, target, **flags) == pytest.approx(np.percentile(both, 95))
        assert metrics.hd95(pred, target, spacing) >= np.percentile(both, 95) - 1e-9


@pytest.mark.filterwarnings("ignore::DeprecationWarning:surface_distance")
def test_hd95_agrees_with_surface_distance_on_shapes_where_the_definitions_meet():
    library = pytest.importorskip("surface_distance")
    # it measures between boundary elements at pixel corners; for a shift along one axis and for
    # these two discs both give the same number, 3.606
    shifted = square((4, 12), (6, 14)), square((7, 15), (6, 14))
    for pair, spacing in [(shifted, PX), (shifted, (2.0, 0.5)), ((disc(15), disc(12)), PX)]:
        lists = library.compute_surface_distances(*pair, spacing_mm=spacing)
        oracle = library.compute_robust_hausdorff(lists, 95)
        assert metrics.hd95(*pair, spacing) == pytest.approx(oracle)
    # NSD has another definition there: elements weighted by length
    lists = library.compute_surface_distances(*shifted, spacing_mm=(2.0, 0.5))
    assert library.compute_surface_dice_at_tolerance(lists, 1.0) != pytest.approx(
        metrics.nsd(*shifted, (2.0, 0.5), 1.0), abs=0.05
    )


# Properties


@repeatable
@given(mask_pairs, sizes, sizes, st.floats(0.5, 3))
def test_distances_scale_with_the_spacing(pair, row, column, factor):
    scaled = (factor * row, factor * column)
    for function in (metrics.hd95, metrics.hausdorff):
        expected = factor * function(*pair, (row, column))
        assert function(*pair, scaled) == pytest.approx(expected, nan_ok=True)


@repeatable
@given(mask_pairs, sizes, sizes, st.integers(0, 3))
def test_swapping_flips_and_padding_change_nothing(pair, row, column, width):
    # masks may touch the image border: there the outside of the image acts as background
    moved = [np.pad(mask[::-1, ::-1], width) for mask in pair[::-1]]
    for function in (metrics.hd95, metrics.hausdorff):
        expected = function(*pair, (row, column))
        assert function(*moved, (row, column)) == pytest.approx(expected, nan_ok=True)
    turned = [mask.T for mask in pair]
    expected = metrics.nsd(*pair, (row, column), 1.1)
    assert metrics.nsd(*moved, (row, column), 1.1) == pytest.approx(expected, nan_ok=True)
    assert metrics.nsd(*turned, (column, row), 1.1) == pytest.approx(expected, nan_ok=True)


@repeatable
@given(mask_pairs, st.lists(st.floats(0, 12), min_size=2, max_size=5))
def test_nsd_does_not_fall_with_the_tolerance_and_ends_at_one(pair, tolerances):
    assume(pair[0].any() and pair[1].any())
    values = [metrics.nsd(*pair, PX, tolerance) for tolerance in sorted(tolerances)]
    assert values == sorted(values)
    assert metrics.nsd(*pair, PX, metrics.hausdorff(*pair, PX)) == 1


@repeatable
@given(mask_pairs)
def test_hd95_is_at_most_hd_and_equal_masks_are_at_zero(pair):
    assume(pair[0].any() and pair[1].any())
    assert 0 <= metrics.hd95(*pair, PX) <= metrics.hausdorff(*pair, PX)
    assert metrics.hausdorff(pair[0], pair[0], PX) == 0
    assert metrics.nsd(pair[0], pair[0], PX, 0) == 1


# Wrong input


@pytest.mark.parametrize("spacing", [1.0, (1.0,), (1.0, 0.0), (1.0, -1.0), (math.nan, 1.0)])
def test_wrong_spacing_is_refused(spacing):
    pair = pixels((1, 1)), pixels((2, 2))
    for call in (metrics.hd95, metrics.hausdorff, lambda *a: metrics.nsd(*a, 1.0)):
        with pytest.raises(ValueError, match=r"spacing must be \(row, column\) sizes > 0, got"):
            call(*pair, spacing)


def test_spacing_has_no_default_and_masks_are_checked():
    pair = pixels((1, 1)), pixels((2, 2))
    with pytest.raises(TypeError, match="spacing"):
        metrics.hd95(*pair)
    with pytest.raises(TypeError, match="threshold first"):
        metrics.hd95(pair[0] * 0.7, pair[1], PX)
    with pytest.raises(ValueError, match="tolerance must be 0 or greater, got -1"):
        metrics.nsd(*pair, PX, -1)
