import numpy as np
import pytest


@pytest.fixture(scope="session")
def monai_metrics():
    return pytest.importorskip("monai.metrics")


@pytest.fixture(scope="session")
def random_pairs():
    """Twenty pairs of smooth random masks, none empty, each with a spacing."""
    from scipy.ndimage import gaussian_filter

    rng = np.random.default_rng(7)

    def mask(noise):
        field = gaussian_filter(noise, 2.5)
        return field > np.quantile(field, 0.7)

    pairs = []
    for _ in range(20):
        size = rng.integers(24, 48, 2)
        base, other = rng.standard_normal((2, *size))
        pred, target = mask(base + 0.7 * other), mask(base)
        pairs.append((pred, target, tuple(rng.uniform(0.3, 3, 2))))
    return pairs
