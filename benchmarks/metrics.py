"""HD95 and NSD of one pair of masks: ours beside MONAI's, interleaved, medians and their ratio.

Both get the same pairs and compute both numbers with the same definition; the largest difference
between the results is printed beside the times.

    OMP_NUM_THREADS=1 python -m benchmarks.metrics --pairs 40 --json result.json
"""

import time
import warnings

import numpy as np
import pandas as pd
import torch
from monai.metrics import compute_hausdorff_distance, compute_surface_dice
from scipy.ndimage import gaussian_filter

from benchmarks import common
from course_lib.metrics import distances

SIZES = ((64, 64), (128, 128), (256, 256), (512, 767))
TOLERANCE = 2.0
Pair = tuple[np.ndarray, np.ndarray]


def blobs(size: tuple[int, int], rng: np.random.Generator) -> Pair:
    """Many smooth objects all over the image, as nuclei have; a fifth of the pixels."""
    base, other = (gaussian_filter(rng.standard_normal(size), size[0] / 20) for _ in range(2))
    fields = base, base + 0.5 * other
    return tuple(field > np.quantile(field, 0.8) for field in fields)


def lesion(size: tuple[int, int], rng: np.random.Generator) -> Pair:
    """One disc of an eighth of the height, predicted a little off."""
    rows, columns = np.indices(size)
    radius = size[0] / 8
    centre = [rng.uniform(2 * radius, side - 2 * radius) for side in size]
    shift = rng.uniform(-radius / 4, radius / 4, 2)
    return tuple(
        np.hypot(rows - centre[0] - move[0], columns - centre[1] - move[1]) < radius
        for move in ((0, 0), shift)
    )


def ours(pair: Pair, spacing: tuple[float, float]) -> tuple[float, float]:
    """HD95 and NSD from one pair of distance lists."""
    lists = distances.boundary_distances(*pair, spacing)
    return distances.hd95_of(*lists), distances.nsd_of(*lists, TOLERANCE)


def monais(pair: Pair, spacing: tuple[float, float]) -> tuple[float, float]:
    """HD95 and NSD by MONAI with the flags that give our definition."""
    tensors = [torch.from_numpy(mask)[None, None] for mask in pair]
    flags = {"include_background": True, "spacing": list(spacing)}
    hd95 = compute_hausdorff_distance(*tensors, percentile=95, directed=False, **flags)
    nsd = compute_surface_dice(*tensors, [TOLERANCE], use_subvoxels=False, **flags)
    return hd95.item(), nsd.item()


def compare(make, size: tuple[int, int], pairs: int, seed: int) -> dict:
    """Median milliseconds a pair of both, taking turns on the same pairs."""
    rng = np.random.default_rng(seed)
    seconds, apart = {ours: [], monais: []}, 0.0
    for number in range(pairs + 2):
        pair, spacing = make(size, rng), tuple(rng.uniform(0.5, 2, 2))
        found = {}
        for function in (ours, monais) if number % 2 else (monais, ours):
            start = time.perf_counter()
            found[function] = function(pair, spacing)
            seconds[function].append(time.perf_counter() - start)
        apart = max(apart, np.abs(np.subtract(found[ours], found[monais])).max())
    mine, theirs = (1e3 * float(np.median(seconds[key][2:])) for key in (ours, monais))
    return {
        "masks": make.__name__,
        "size": list(size),
        "pairs": pairs,
        "ours_ms": round(mine, 3),
        "monai_ms": round(theirs, 3),
        "monai_over_ours": round(theirs / mine, 2),
        "largest_difference": float(apart),
    }


def table(result: dict) -> pd.DataFrame:
    """Return one row a kind of masks and size."""
    rows = [{**row, "size": "{} x {}".format(*row["size"])} for row in result["rows"]]
    return pd.DataFrame(rows)


def main() -> None:
    """Measure and print."""
    parser = common.parser(__doc__)
    parser.add_argument("--pairs", type=int, default=40)
    parser.add_argument("--seed", type=int, default=0)
    given = common.parse(parser, pairs=5)
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore", ".*always_return_as_numpy.*", FutureWarning)
    rows = [
        compare(make, size, given.pairs, given.seed) for make in (blobs, lesion) for size in SIZES
    ]
    result = {"seed": given.seed, "rows": rows}
    common.report("metrics", result, table(result), given, ["monai"])


if __name__ == "__main__":
    main()
