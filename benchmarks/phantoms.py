"""How many phantoms a second are drawn, by look and size, on one core.

CPU time of this process counts, so that other jobs on the machine do not.

    OMP_NUM_THREADS=1 python -m benchmarks.phantoms --json result.json
"""

import time

import pandas as pd

from benchmarks import common
from course_lib.data import phantoms

SIZES = (32, 64, 128, 256, 512)


def images_per_second(look: str, size: int, seconds: float) -> float:
    """Median rate over batches drawn for at least that long."""
    n = max(4, 20 * 128 // size)
    phantoms.generate(2, size=size, look=look)
    rates: list[float] = []
    end = time.perf_counter() + seconds
    while len(rates) < 3 or time.perf_counter() < end:
        start = time.process_time()
        phantoms.generate(n, size=size, seed=1, look=look, start=n * len(rates))
        rates.append(n / (time.process_time() - start))
    return sorted(rates)[len(rates) // 2]


def measure(sizes: list[int], seconds: float) -> dict:
    """Return images a second (median over batches) of every look, by size."""
    looks = {
        look: {str(size): round(images_per_second(look, size, seconds), 1) for size in sizes}
        for look in ("mixed", *phantoms.LOOKS)
    }
    return {"measure": "images a CPU second", "seconds": seconds, "looks": looks}


def table(result: dict) -> pd.DataFrame:
    """Return one row a look."""
    rows = [
        {"look": look, **{f"{size} px (images/s)": rate for size, rate in rates.items()}}
        for look, rates in result["looks"].items()
    ]
    return pd.DataFrame(rows)


def main() -> None:
    """Measure and print."""
    parser = common.parser(__doc__)
    parser.add_argument("--seconds", type=float, default=1.0, help="least time for a cell")
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES, help="px")
    given = common.parse(parser, seconds=0.1, sizes=SIZES[:3])
    result = measure(given.sizes, given.seconds)
    common.report("phantoms", result, table(result), given)


if __name__ == "__main__":
    main()
