"""A small data set for the tests of the prepared format."""

import numpy as np
import pandas as pd

CLASSES = [{"name": "background", "colour": "#000000"}, {"name": "lesion", "colour": "#ff0000"}]


def sample(n=8, size=16, seed=0, **changes):
    """Arguments of `write` for a small set whose original sizes all differ."""
    rng = np.random.default_rng(seed)
    arguments = {
        "name": "sample",
        "images": rng.integers(0, 256, (n, 3, size, size), dtype=np.uint8),
        "masks": rng.integers(0, 2, (n, size, size), dtype=np.uint8),
        "masks_full": [rng.integers(0, 2, (20 + i, 31), dtype=np.uint8) for i in range(n)],
        "cases": pd.DataFrame(
            {"case_id": [f"{i:03}" for i in range(n)], "group": [f"p{i // 2}" for i in range(n)]}
        ),
        "classes": CLASSES,
        "modality": "test",
    }
    return arguments | changes


def names(path):
    return sorted(item.name for item in path.iterdir())
