"""How many phantoms a second are drawn, by look and size, on one core.

CPU time of this process counts, so that other jobs on the machine do not.

    OMP_NUM_THREADS=1 python benchmarks/phantoms.py
"""

import argparse
import time

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


def main() -> None:
    """Print a Markdown table of images a second (median over batches)."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=1.0, help="least time for a cell")
    seconds = parser.parse_args().seconds
    print("| look | " + " | ".join(f"{size} px" for size in SIZES) + " |")
    print("|---" * (len(SIZES) + 1) + "|")
    for look in ("mixed", *phantoms.LOOKS):
        rates = [images_per_second(look, size, seconds) for size in SIZES]
        print(f"| {look} | " + " | ".join(f"{rate:.0f}" for rate in rates) + " |", flush=True)


if __name__ == "__main__":
    main()
