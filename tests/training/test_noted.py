"""What training notes of its batches, and labels instead of probabilities."""

import numpy as np
import torch

from course_lib import losses, models, training
from course_lib.training.update import Forward


def test_the_last_loss_and_the_time_of_every_batch_are_noted():
    torch.manual_seed(0)
    net = models.create("plnet", in_channels=1, base=2)
    noted = training.Noted(training.EPL["on"])
    images, masks = torch.rand(2, 1, 16, 16), torch.zeros(2, 16, 16, dtype=torch.long)
    for number in (1, 2):
        made = [v.item() for v in noted(Forward(net, None, 2), images, masks, losses.dice_loss)]
        assert len(made) == 2
        assert noted.losses[-1] == made[-1]
        assert len(noted.losses) == len(noted.seconds) == number
    assert all(seconds > 0 for seconds in noted.seconds)


def test_labels_are_thresholded_or_the_largest_class():
    images = np.random.default_rng(0).integers(0, 255, (3, 1, 8, 8), dtype=np.uint8)
    torch.manual_seed(0)
    for classes in (1, 3):
        net = torch.nn.Conv2d(1, classes, 3, padding=1)
        probabilities = training.predict(net, images, device="cpu")
        labels = training.predict_labels(net, images, device="cpu", threshold=0.6)
        expected = probabilities[:, 0] > 0.6 if classes == 1 else probabilities.argmax(1)
        assert labels.dtype == np.uint8
        np.testing.assert_array_equal(labels, expected)
        assert len(np.unique(labels)) > 1
