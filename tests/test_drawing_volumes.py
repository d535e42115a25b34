"""A slice of a volume: which panels there are, which voxels they show, whose Dice they name."""

import numpy as np
import pytest

from course_lib import drawing


def sample():
    volume = np.random.default_rng(0).integers(0, 255, (4, 6, 8), dtype=np.uint8)
    target = np.zeros((4, 6, 8), np.uint8)
    target[1:3, 1:3, 2:6] = 1
    target[1:3, 3:5, 2:6] = 2
    found = np.where(target == 1, 1, 0).astype(np.uint8)
    return volume, target, {"one": found, "other": target}


def panels(fig):
    return [ax for ax in fig.axes if ax.get_images()]


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_every_panel_shows_the_slice_with_the_head_or_the_front_up(axis):
    volume, target, found = sample()
    fig, _ = drawing.volume_slice(
        volume, target, found, at=2, axis=axis, classes=["a", "b"], title="Two nets"
    )
    shown = [ax.get_images()[0].get_array() for ax in panels(fig)]
    assert len(shown) == 4
    expected = np.take(volume, 2, axis)[::-1]
    for picture in shown:
        assert picture.shape[:2] == expected.shape
        # panels have a few grey levels only
        assert np.abs(picture[..., 0].astype(int) - expected).max() < 8


def test_panels_name_net_class_and_the_dice_of_the_whole_volume():
    volume, target, found = sample()
    fig, alt = drawing.volume_slice(
        volume, target, found, at=0, axis=2, classes=["a", "b"], title="Two nets"
    )
    first, second, *others = panels(fig)
    # this slice lacks both classes, the volume does not
    assert first.get_title() == "one, a: Dice 1.000\nboth empty"
    assert second.get_title() == "one, b: Dice 0.000\nboth empty"
    assert [ax.get_title()[:8] for ax in others] == ["other, a", "other, b"]
    assert "one, b: Dice 0.000" in alt


def test_a_single_class_needs_no_name():
    volume, target, found = sample()
    fig, _ = drawing.volume_slice(volume, target > 0, found, at=1, title="Two nets")
    assert [ax.get_title() for ax in panels(fig)] == [
        "one: Dice 0.667",
        "other: Dice 0.667",
    ]
