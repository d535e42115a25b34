import doctest

import numpy as np
import pytest
import torch
from scipy.ndimage import distance_transform_edt

from course_lib import losses

# The 4 x 4 example whose values were worked out in float64 beside MONAI, PyTorch and kornia.
LOGITS = [[3, 2, 0.5, -1], [2, -0.5, 1, -2], [1.5, 1, -1, -2.5], [-0.5, -1.5, 0.5, -3]]
MASK = [[1, 1, 1, 0], [1, 1, 1, 0], [1, 1, 0, 0], [0, 0, 0, 0]]
WITH_TARGET = {
    "dice": losses.dice_loss,
    "ce": losses.cross_entropy_loss,
    "dice_ce": losses.dice_ce_loss,
    "focal": losses.focal_loss,
}


@pytest.fixture
def example():
    return torch.tensor(LOGITS, dtype=torch.float64)[None, None], torch.tensor(MASK)[None]


@pytest.fixture(scope="session")
def monai_losses():
    return pytest.importorskip("monai.losses")


def random_case(classes, seed=0, batch=3, size=8, dtype=torch.float64):
    rng = torch.Generator().manual_seed(seed)
    logits = 3 * torch.randn(batch, classes, size, size, generator=rng, dtype=dtype)
    return logits, torch.randint(max(2, classes), (batch, size, size), generator=rng)


def one_hot(target, classes):
    return torch.nn.functional.one_hot(target, classes).movedim(-1, 1)


# Golden values


@pytest.mark.parametrize(("smooth", "value"), [(1.0, 0.234063580), (1e-5, 0.248732136)])
def test_dice_of_the_example(example, smooth, value):
    assert losses.dice_loss(*example, smooth).item() == pytest.approx(value, abs=1e-9)


def test_dice_of_two_classes_is_the_mean_of_background_and_foreground(example):
    logits, target = example
    two = torch.cat([torch.zeros_like(logits), logits], 1)
    background = losses.dice_loss(-logits, 1 - target).item()
    assert background == pytest.approx(0.232873036, abs=1e-9)
    assert losses.dice_loss(two, target).item() == pytest.approx(0.233468307, abs=1e-9)


def test_cross_entropy_of_the_example(example):
    logits, target = example
    two = torch.cat([torch.zeros_like(logits), logits], 1)
    assert losses.cross_entropy_loss(logits, target).item() == pytest.approx(0.319314357, abs=1e-9)
    assert losses.cross_entropy_loss(two, target).item() == pytest.approx(0.319314357, abs=1e-9)


def test_dice_ce_is_the_sum(example):
    value = 0.234063580 + 0.319314357
    assert losses.dice_ce_loss(*example).item() == pytest.approx(value, abs=2e-9)


def test_distance_map_of_the_example():
    r2, r5 = 2**0.5, 5**0.5
    expected = [
        [1 - 2 * r2, -1, 0, 1],
        [-1, 1 - r2, 0, 1],
        [0, 0, 1, r2],
        [1, 1, r2, r5],
    ]
    found = losses.distance_map(np.array(MASK, np.uint8)[None])
    assert found.shape == (1, 1, 4, 4)
    assert found.dtype == torch.float32
    assert torch.allclose(found[0, 0], torch.tensor(expected), atol=1e-6)


def test_boundary_of_the_example(example):
    logits, target = example
    distance = losses.distance_map(target)
    # the map is stored in float32: values up to 2.3 are rounded by up to 1.2e-7
    assert losses.boundary_loss(logits, distance).item() == pytest.approx(-0.084313717, abs=1e-7)
    perfect = losses.boundary_loss(1e4 * (2.0 * target[:, None] - 1), distance)
    assert perfect.item() == pytest.approx(-0.265165043, abs=1e-7)


def test_dice_is_taken_for_each_image_before_the_mean(example):
    logits, target = example
    batch = torch.cat([logits, torch.full_like(logits, -3)]), torch.cat([target, 0 * target])
    # second image: no overlap, sum of p is 16 sigmoid(-3)
    empty = 1 - 1 / (16 / (1 + np.exp(3)) + 1)
    expected = (0.234063580 + empty) / 2
    assert losses.dice_loss(*batch).item() == pytest.approx(expected, abs=1e-9)
    assert expected == pytest.approx(0.3327, abs=5e-5)  # pooled over the batch it is 0.2669


def test_focal_by_hand():
    # p of the reference class is 1/2 in each pixel: (1/2)^2 ln 2
    logits, target = torch.zeros(1, 1, 2, 2), torch.tensor([[[0, 1], [1, 0]]])
    assert losses.focal_loss(logits, target).item() == pytest.approx(np.log(2) / 4)
    # p is 1/4 among four equal classes: (3/4)^2 ln 4
    assert losses.focal_loss(torch.zeros(1, 4, 2, 2), target).item() == pytest.approx(
        9 / 16 * np.log(4)
    )


@pytest.mark.parametrize("classes", [1, 3])
def test_focal_without_gamma_is_cross_entropy(classes):
    case = random_case(classes)
    assert torch.isclose(losses.focal_loss(*case, gamma=0), losses.cross_entropy_loss(*case))


# The independent library


@pytest.mark.parametrize("smooth", [1.0, 1e-5])
def test_binary_dice_agrees_with_monai(monai_losses, smooth):
    logits, target = random_case(1)
    oracle = monai_losses.DiceLoss(
        sigmoid=True, smooth_nr=smooth, smooth_dr=smooth, batch=False, squared_pred=False
    )
    found = losses.dice_loss(logits, target, smooth)
    assert torch.isclose(found, oracle(logits, target[:, None].double()), atol=1e-9)


def test_multiclass_dice_and_ce_agree_with_monai(monai_losses):
    logits, target = random_case(4)
    flags = {"softmax": True, "to_onehot_y": True, "include_background": True, "batch": False}
    dice = monai_losses.DiceLoss(**flags, smooth_nr=1.0, smooth_dr=1.0)
    both = monai_losses.DiceCELoss(**flags, smooth_nr=1.0, smooth_dr=1.0)
    assert torch.isclose(losses.dice_loss(logits, target), dice(logits, target[:, None]))
    assert torch.isclose(losses.dice_ce_loss(logits, target), both(logits, target[:, None]))


def test_focal_agrees_with_monai(monai_losses):
    logits, target = random_case(1)
    binary = monai_losses.FocalLoss(gamma=2.0, alpha=None, use_softmax=False)
    found = losses.focal_loss(logits, target)
    assert torch.isclose(found.float(), binary(logits.float(), target[:, None]))
    logits, target = random_case(3)
    multi = monai_losses.FocalLoss(gamma=1.5, alpha=None, use_softmax=True, to_onehot_y=True)
    # MONAI divides by the classes too
    found = losses.focal_loss(logits, target, 1.5)
    assert torch.isclose(found.float(), 3 * multi(logits.float(), target[:, None]))


# Gradients


@pytest.mark.parametrize("classes", [1, 3])
@pytest.mark.parametrize("name", WITH_TARGET)
def test_gradcheck(name, classes):
    logits, target = random_case(classes, batch=2, size=3)
    logits.requires_grad_()
    assert torch.autograd.gradcheck(lambda z: WITH_TARGET[name](z, target), (logits,))


@pytest.mark.parametrize("classes", [1, 3])
def test_gradcheck_of_boundary(classes):
    logits, target = random_case(classes, batch=2, size=3)
    distance = losses.distance_map(target, max(2, classes))
    logits.requires_grad_()
    assert torch.autograd.gradcheck(lambda z: losses.boundary_loss(z, distance), (logits,))


@pytest.mark.parametrize(
    ("size", "smooth", "expected"), [(16, 1.0, 0.0669), (256, 1.0, 3.06e-4), (16, 1e-5, 7.85e-7)]
)
def test_empty_target_gives_a_gradient(size, smooth, expected):
    logits = torch.full((1, 1, size, size), -3.0, dtype=torch.float64, requires_grad=True)
    losses.dice_loss(logits, torch.zeros(1, size, size, dtype=torch.long), smooth).backward()
    # d/dz of 1 - s / (n p + s), summed over n pixels: s n p (1 - p) / (n p + s)^2
    n, p = size**2, 1 / (1 + np.exp(3))
    closed_form = smooth * n * p * (1 - p) / (n * p + smooth) ** 2
    assert logits.grad.sum().item() == pytest.approx(closed_form, rel=1e-9)
    assert closed_form == pytest.approx(expected, rel=5e-3)
    assert (logits.grad > 0).all()  # every pixel is pushed towards background


def test_a_few_steps_empty_an_empty_image():
    logits = torch.full((1, 1, 16, 16), -1.0, requires_grad=True)
    optimiser = torch.optim.Adam([logits], lr=0.2)
    target = torch.zeros(1, 16, 16, dtype=torch.long)
    for _ in range(100):
        optimiser.zero_grad()
        losses.dice_loss(logits, target).backward()
        optimiser.step()
    assert losses.dice_loss(logits, target).item() < 0.05


@pytest.mark.parametrize("name", WITH_TARGET)
@pytest.mark.parametrize("classes", [1, 3])
def test_confident_logits_stay_finite(name, classes):
    logits, target = random_case(classes)
    logits = (100 * logits).float().requires_grad_()
    loss = WITH_TARGET[name](logits, target)
    loss.backward()
    assert torch.isfinite(loss)
    assert torch.isfinite(logits.grad).all()


# Behaviour


@pytest.mark.parametrize("name", WITH_TARGET)
@pytest.mark.parametrize("classes", [1, 3])
def test_perfect_is_zero(name, classes):
    target = random_case(classes)[1]
    chosen = target[:, None] if classes == 1 else one_hot(target, classes)
    assert WITH_TARGET[name](40.0 * (2 * chosen - 1), target).item() < 1e-6


@pytest.mark.parametrize("name", WITH_TARGET)
def test_order_of_images_does_not_matter(name):
    logits, target = random_case(3)
    order = [2, 0, 1]
    assert torch.isclose(
        WITH_TARGET[name](logits, target), WITH_TARGET[name](logits[order], target[order])
    )


@pytest.mark.parametrize("name", WITH_TARGET)
def test_binary_mask_may_have_a_channel_and_be_bool(name):
    logits, target = random_case(1)
    expected = WITH_TARGET[name](logits, target)
    for same in (target[:, None], target.bool(), target.to(torch.uint8)):
        assert torch.equal(WITH_TARGET[name](logits, same), expected)


@pytest.mark.parametrize("name", WITH_TARGET)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_summed_in_float32(name, dtype):
    logits = torch.full((1, 1, 512, 512), 2.0, dtype=dtype)
    target = torch.ones(1, 512, 512, dtype=torch.long)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = WITH_TARGET[name](logits, target)
    assert loss.dtype == torch.float32
    assert torch.isclose(loss, WITH_TARGET[name](logits.float(), target), rtol=1e-6)


def test_modules_hold_the_arguments():
    case = random_case(1)
    pairs = [
        (losses.DiceLoss(0.5), losses.dice_loss(*case, 0.5)),
        (losses.CrossEntropyLoss(), losses.cross_entropy_loss(*case)),
        (losses.DiceCELoss(0.5), losses.dice_ce_loss(*case, 0.5)),
        (losses.FocalLoss(3.0), losses.focal_loss(*case, 3.0)),
    ]
    for module, value in pairs:
        assert torch.equal(module(*case), value)
    distance = losses.distance_map(case[1])
    found = losses.BoundaryLoss()(case[0], distance)
    assert torch.equal(found, losses.boundary_loss(case[0], distance))


# Distance maps


@pytest.mark.parametrize("value", [0, 1])
def test_map_without_a_border_is_zero(value):
    assert not losses.distance_map(np.full((2, 5, 5), value)).any()


def test_map_of_absent_class_is_zero_and_of_the_others_not():
    masks = torch.zeros(1, 6, 6, dtype=torch.long)
    masks[0, 2:4, 2:4] = 2
    found = losses.distance_map(masks, num_classes=4)
    assert found.shape == (1, 3, 6, 6)
    assert [bool(part.any()) for part in found[0]] == [False, True, False]
    expected = np.where(masks[0] == 2, 0, distance_transform_edt(masks[0] != 2))
    assert np.allclose(found[0, 1], expected)  # every pixel of a 2 x 2 square touches the outside


def test_boundary_leaves_the_background_channel_out():
    logits, target = random_case(3)
    distance = losses.distance_map(target, 3)
    expected = (logits.softmax(1)[:, 1:] * distance).mean()
    assert torch.isclose(losses.boundary_loss(logits, distance), expected)


def test_docstring_examples():
    result = doctest.testmod(losses.overlap)
    assert (result.attempted, result.failed) == (3, 0)


# Wrong input


@pytest.mark.parametrize("name", WITH_TARGET)
@pytest.mark.parametrize(
    ("logits", "target", "message"),
    [
        ((1, 4, 4), (1, 4, 4), r"logits must be \(B, K, H, W\), got shape \(1, 4, 4\)"),
        ((2, 1, 4, 4), (2, 4, 5), r"target must be \(2, 4, 4\) .* got \(2, 4, 5\)"),
        ((2, 3, 4, 4), (2, 3, 4, 4), r"target must be \(2, 4, 4\)"),
        ((0, 1, 4, 4), (0, 4, 4), "target is empty"),
    ],
)
def test_wrong_shape_is_refused(name, logits, target, message):
    with pytest.raises(ValueError, match=message):
        WITH_TARGET[name](torch.zeros(logits), torch.zeros(target, dtype=torch.long))


@pytest.mark.parametrize("name", WITH_TARGET)
@pytest.mark.parametrize(("classes", "label"), [(1, 255), (1, 2), (3, 3), (3, -1)])
def test_label_outside_the_classes_is_refused(name, classes, label):
    logits, target = random_case(classes)
    target[0, 0, 0] = label
    with pytest.raises(
        ValueError, match=rf"label {label}; labels must be 0\.\.{max(2, classes) - 1}"
    ):
        WITH_TARGET[name](logits, target)


@pytest.mark.parametrize("name", WITH_TARGET)
def test_float_target_is_refused(name):
    logits, target = random_case(1)
    with pytest.raises(ValueError, match="target must hold integer labels"):
        WITH_TARGET[name](logits, target.float())


def test_wrong_arguments_are_refused():
    case = random_case(1)
    with pytest.raises(ValueError, match="smooth must be greater than 0, got 0"):
        losses.dice_loss(*case, 0)
    with pytest.raises(ValueError, match="gamma must be 0 or greater, got -1"):
        losses.focal_loss(*case, -1)
    with pytest.raises(ValueError, match=r"distance must be \(3, 1, 8, 8\)"):
        losses.boundary_loss(case[0], case[1])
    with pytest.raises(ValueError, match=r"masks must be \(B, H, W\)"):
        losses.distance_map(np.zeros((4, 4), int))
    with pytest.raises(ValueError, match="label 2"):
        losses.distance_map(np.full((1, 4, 4), 2))


# Volumes


@pytest.mark.parametrize("name", WITH_TARGET)
@pytest.mark.parametrize("classes", [1, 3])
def test_a_volume_scores_as_its_slices_laid_under_one_another(name, classes):
    rng = torch.Generator().manual_seed(3)
    logits = torch.randn(2, classes, 4, 5, 6, generator=rng, dtype=torch.float64)
    target = torch.randint(max(2, classes), (2, 4, 5, 6), generator=rng)
    flat = WITH_TARGET[name](logits.reshape(2, classes, 20, 6), target.reshape(2, 20, 6))
    torch.testing.assert_close(WITH_TARGET[name](logits, target), flat)


def test_dice_of_a_volume_is_monai_s(monai_losses):
    rng = torch.Generator().manual_seed(4)
    logits = torch.randn(2, 3, 4, 5, 6, generator=rng)
    target = torch.randint(3, (2, 4, 5, 6), generator=rng)
    theirs = monai_losses.DiceLoss(
        softmax=True, to_onehot_y=True, smooth_nr=1.0, smooth_dr=1.0, include_background=True
    )
    torch.testing.assert_close(losses.dice_loss(logits, target), theirs(logits, target[:, None]))


def test_losses_of_images_alone_say_so():
    logits, target = torch.zeros(1, 1, 4, 4, 4), torch.zeros(1, 4, 4, 4, dtype=torch.int64)
    for loss in (losses.pixel_cross_entropy, losses.laplacian_boundary_loss):
        with pytest.raises(ValueError, match=r"logits must be \(B, K, H, W\), got"):
            loss(logits, target)
    with pytest.raises(ValueError, match=r"those of volumes are \(B, K, D, H, W\)$"):
        losses.dice_loss(logits[0, 0], target[0])
