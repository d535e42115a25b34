import numpy as np
import pytest
import torch

from course_lib import metrics


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def test_bins_by_hand():
    # .25 and .45 share the lower bin of two, .5 belongs to the upper one, and so does 1
    curve = metrics.reliability([0.25, 0.45, 0.5, 1.0], [0, 1, 1, 1], bins=2)
    assert curve.probability == pytest.approx([0.35, 0.75])
    assert curve.frequency == pytest.approx([0.5, 1.0])
    assert curve.count.tolist() == [2, 2]
    assert metrics.calibration_error(curve) == pytest.approx((0.15 + 0.25) / 2)


def test_an_empty_bin_is_undefined_and_weighs_nothing():
    curve = metrics.reliability([0.9, 0.9], [True, False], bins=3)
    assert np.isnan(curve.probability).tolist() == [True, True, False]
    assert np.isnan(curve.frequency).tolist() == [True, True, False]
    assert metrics.calibration_error(curve) == pytest.approx(0.4)


def test_bins_weigh_as_their_pixels():
    curve = metrics.reliability([0.9] * 9 + [0.1], [1] * 9 + [1])
    assert metrics.calibration_error(curve) == pytest.approx(0.9 * 0.1 + 0.1 * 0.9)


def test_honest_probabilities_have_no_error_and_squeezed_ones_have(rng):
    p = rng.uniform(size=200_000)
    y = rng.uniform(size=p.size) < p
    assert metrics.calibration_error(metrics.reliability(p, y)) < 0.005
    # p -> (p + .5) / 2 is off by |p - .5| / 2, on average 1/8
    squeezed = metrics.calibration_error(metrics.reliability((p + 0.5) / 2, y))
    assert squeezed == pytest.approx(1 / 8, abs=0.005)


def test_one_constant_can_be_calibrated_and_worthless():
    y = np.arange(100) < 30
    curve = metrics.reliability(np.full(100, 0.3), y)
    assert metrics.calibration_error(curve) == pytest.approx(0)


def test_curve_and_error_agree_with_monai(monai_metrics, rng):
    p = rng.uniform(size=(1, 1, 40, 50)).astype(np.float32)
    y = rng.uniform(size=p.shape) < p**2
    probability, frequency, count = monai_metrics.calibration_binning(
        torch.from_numpy(p), torch.from_numpy(y).float(), num_bins=15
    )
    ours = metrics.reliability(p, y, bins=15)
    assert ours.count.tolist() == count[0, 0].tolist()
    assert ours.probability == pytest.approx(probability[0, 0].numpy(), abs=1e-5)
    assert ours.frequency == pytest.approx(frequency[0, 0].numpy(), abs=1e-5)
    oracle = monai_metrics.CalibrationErrorMetric(num_bins=15, include_background=True)
    oracle(torch.from_numpy(p), torch.from_numpy(y).float())
    assert metrics.calibration_error(ours) == pytest.approx(float(oracle.aggregate()), abs=1e-5)


@pytest.mark.parametrize(
    ("p", "y", "bins", "error", "words"),
    [
        ([0.5], [1.0], 10, TypeError, "threshold it first"),
        ([0.5, 0.5], [1], 10, ValueError, "shapes must agree"),
        ([1.5], [1], 10, ValueError, "sigmoid"),
        ([np.nan], [1], 10, ValueError, "0..1"),
        ([0.5], [2], 10, ValueError, "choose a class"),
        ([0.5], [1], 0, ValueError, "1 or more"),
        ([], np.zeros(0, int), 10, ValueError, "no pixel"),
    ],
)
def test_bad_input(p, y, bins, error, words):
    with pytest.raises(error, match=words):
        metrics.reliability(p, y, bins)
