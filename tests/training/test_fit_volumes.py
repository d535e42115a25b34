"""Training on volumes: the nets with ``dims=3``, the strategies, and what is validated."""

import numpy as np
import pytest
import torch
from training_sample import make_protocol

from course_lib import metrics, models, training
from course_lib.data import phantoms, prepared
from course_lib.data.transforms import Augmentation
from course_lib.training import EPL
from course_lib.training.validate import dice_of_images

EASY = {"contrast": 0.1, "noise": 0.1, "softness": 0.1, "smallness": 0.2, "clutter": 0.3}
TABLE_7 = {  # a net each, and how it is trained
    "unet": ("unet", {"base": 4, "depth": 2, "norm": True}, "off"),
    "ipl": ("plnet", {"base": 4, "depths": (2,)}, "off"),
    "ipl and epl": ("plnet", {"base": 4, "depths": (2, 3)}, "on"),
}


def volumes(number, seed=0, size=16):
    made = phantoms.generate_volume(number, size, seed, **EASY)
    return prepared.from_arrays("volumes", made.images, made.masks, made.cases, made.classes)


def make_net(case):
    name, options, _ = TABLE_7[case]
    torch.manual_seed(0)
    return models.create(name, in_channels=1, num_classes=1, dims=3, **options)


def fit_volumes(tmp_path, case, net, **changes):
    protocol = make_protocol(augmentation=Augmentation(flip=True), learning_rate=0.01, **changes)
    strategy = EPL[TABLE_7[case][2]]
    sets = volumes(12), volumes(4, seed=1)
    return training.fit(net, *sets, protocol, tmp_path, device="cpu", strategy=strategy)


@pytest.mark.parametrize("case", TABLE_7)
def test_the_nets_of_table_7_learn(tmp_path, case):
    net = make_net(case)
    history = fit_volumes(tmp_path, case, net, epochs=10)
    losses = [row["loss"] for row in history.epochs]
    assert losses[-1] < 0.7 * losses[0]
    assert history.best_value > 0.7


def test_the_dice_of_an_epoch_is_that_of_the_predicted_volumes(tmp_path):
    net = make_net("unet")
    history = fit_volumes(tmp_path, "unet", net, epochs=2)
    data = volumes(4, seed=1)
    predicted = training.predict(net, data, device="cpu")[:, 0].numpy() > 0.5
    layout = (-1, 16)  # slices laid under one another have the same counts
    scores = [
        metrics.dice(p.reshape(layout), m.reshape(layout) > 0)
        for p, m in zip(predicted, data.masks, strict=True)
    ]
    assert history.best_value == pytest.approx(np.mean(scores), abs=1e-6)


def test_dice_of_images_takes_several_classes_of_volumes():
    random = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 3, 4, 5, 6, generator=random)
    masks = torch.randint(3, (2, 4, 5, 6), generator=random)
    flat = dice_of_images(logits.reshape(2, 3, 20, 6), masks.reshape(2, 20, 6), 3)
    assert torch.equal(dice_of_images(logits, masks, 3), flat)


def test_a_dry_run_takes_volumes(tmp_path):
    net, data = make_net("ipl and epl"), volumes(4)
    found = training.fit(
        net, data, data, make_protocol(), tmp_path, device="cpu", strategy=EPL["on"], dry_run=True
    )
    assert found.images == found.logits == (4, 1, 16, 16, 16)
    assert found.without_gradient == []


def test_what_is_for_images_alone_says_so(tmp_path):
    data, turning = volumes(2), make_protocol(augmentation=Augmentation(rotate=10))
    with pytest.raises(ValueError, match="volumes can be flipped and nothing else"):
        training.fit(make_net("unet"), data, data, turning, tmp_path, device="cpu")
    with pytest.raises(ValueError, match="holds volumes, whose distances are not measured"):
        training.evaluate(make_net("unet"), data, device="cpu")
