import dataclasses

import numpy as np
import pytest
import torch
from torch import nn
from training_sample import discs, make_net

from course_lib import training


class Copy(nn.Module):
    """Logits that are the image, black -6 and white 6."""

    def forward(self, x):
        return 12 * x[:, :1] - 6


def half_size():
    """A square of 8 x 8 px in an untouched mask of 16 px, prepared at 8 px; known spacing."""
    data = discs(1)
    mask = np.zeros((1, 16, 16), np.uint8)
    mask[0, 4:12, 2:10] = 1
    data = dataclasses.replace(data, all_images=255 * mask[:, None], all_masks=mask, all_full=mask)
    return dataclasses.replace(
        data.resized(8), cases=data.cases.assign(spacing_y=0.5, spacing_x=2.0)
    )


def test_masks_are_compared_at_the_original_size_with_its_spacing():
    row = training.evaluate(Copy(), half_size(), device="cpu").iloc[0]
    # enlarging blends 3 : 1 across the border, so 0.5 brings the square back exactly
    assert (row.tp, row.fp, row.fn, row.tn) == (64, 0, 0, 192)
    assert (row.case_id, row.dice, row.hd95, row.unit) == ("disc000", 1.0, 0.0, "mm")
    assert row.diagonal == pytest.approx(np.hypot(16 * 0.5, 16 * 2.0))


def test_probabilities_are_thresholded_after_they_are_enlarged():
    row = training.evaluate(Copy(), half_size(), device="cpu", threshold=0.2).iloc[0]
    # one more pixel on each side has 1/4 > 0.2, but 3/16 beside the corners and 1/16 in them
    assert (row.tp, row.fp) == (64, 4 * 6)


def test_several_classes_take_the_largest():
    class Three(nn.Module):
        def forward(self, x):
            levels = (255 * x / 90).round()
            return torch.cat([-((levels - k) ** 2) for k in range(3)], 1)

    data = discs(6, classes=3)
    data = dataclasses.replace(data, all_images=(data.masks[:, None] * 90).astype(np.uint8))
    table = training.evaluate(Three(), data, device="cpu")
    assert list(table["class_name"]) == ["disc", "bright"] * 6
    assert set(table["case"]) == {"ok", "both_empty"}
    assert set(table.loc[table["case"] == "ok", "dice"]) == {1.0}


def test_predict_takes_bytes_floats_and_data_sets():
    net, data = make_net().train(), discs(5)
    from_bytes = training.predict(net, data.images, device="cpu", batch=2)
    from_floats = training.predict(
        net, torch.from_numpy(data.images / np.float32(255)), device="cpu"
    )
    from_data = training.predict(net, data, device="cpu")
    assert from_bytes.shape == (5, 1, 16, 16)
    assert from_bytes.dtype == torch.float32
    torch.testing.assert_close(from_bytes, from_floats)
    torch.testing.assert_close(from_bytes, from_data)
    net.eval()
    with torch.no_grad():
        expected = net(data.batch(range(5))[0]).sigmoid()
    torch.testing.assert_close(from_bytes, expected)


def test_probabilities_of_classes_sum_to_one():
    probabilities = training.predict(make_net(num_classes=3), discs(2).images, device="cpu")
    torch.testing.assert_close(probabilities.sum(1), torch.ones(2, 16, 16))


def test_the_net_keeps_its_mode():
    net = make_net().train()
    before = net.first[1].running_mean.clone()
    training.evaluate(net, discs(3), device="cpu")
    assert net.training
    assert torch.equal(net.first[1].running_mean, before)


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="gives 3 channels"):
        training.evaluate(make_net(num_classes=3), discs(2), device="cpu")
    with pytest.raises(ValueError, match="threshold must be between 0 and 1"):
        training.evaluate(make_net(), discs(2), device="cpu", threshold=1.5)
    with pytest.raises(ValueError, match=r"images must be \(N, C, H, W\)"):
        training.predict(make_net(), discs(2).images[0], device="cpu")
