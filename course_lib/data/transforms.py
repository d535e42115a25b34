"""Batched image operations on the images' own device: augmentation, filters, normalisation.

Images are ``(B, C, H, W) float`` in 0..1 and masks ``(B, H, W)`` integer labels.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

ELASTIC_POINTS = 6  # control points of the elastic field along a side

_RANGES = {
    "rotate": (0, 180),
    "shift": (0, 0.5),
    "scale": (0, 0.9),
    "elastic": (0, 0.05),
    "brightness": (0, 1),
    "contrast": (0, 1),
    "gamma": (0, 4),
    "noise": (0, 1),
}


@dataclass(frozen=True)
class Augmentation:
    """Strengths of the random changes of ``augment``; the default changes nothing.

    Raises:
        ValueError: for a strength outside its range.
    """

    flip: bool = False
    """Left-right and up-down, each for half of the images; the only change for volumes."""
    rotate: float = 0.0
    """Degrees, 0..180: the angle is drawn from -rotate..rotate."""
    shift: float = 0.0
    """Fraction of each side, 0..0.5: drawn from -shift..shift, along both axes."""
    scale: float = 0.0
    """0..0.9: the size of things is multiplied by a factor drawn from 1-scale..1+scale."""
    elastic: float = 0.0
    """Fraction of each side, 0..0.05: 6x6 control points move by draws from -elastic..elastic
    along both axes, the pixels between them follow. Above 0.05 an image would begin to fold."""
    brightness: float = 0.0
    """0..1: a grey value drawn from -brightness..brightness is added."""
    contrast: float = 0.0
    """0..1: the distance to the mean grey is multiplied by a factor from 1-contrast..1+contrast."""
    gamma: float = 0.0
    """0..4: grey values are raised to a power whose logarithm is drawn from +-log(1 + gamma)."""
    noise: float = 0.0
    """0..1: standard deviation of Gaussian noise, added to half of the images."""

    def __post_init__(self):
        for name, (low, high) in _RANGES.items():
            value = getattr(self, name)
            if not low <= value <= high:
                raise ValueError(f"{name} must be {low} to {high}, got {value}")

    @property
    def warps(self) -> bool:
        """Whether pixels leave the grid, so that images are resampled."""
        return any((self.rotate, self.shift, self.scale, self.elastic))

    @property
    def recolours(self) -> bool:
        """Whether grey values change."""
        return any((self.brightness, self.contrast, self.gamma, self.noise))


def augment(
    images: Tensor, masks: Tensor, augmentation: Augmentation, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Change every image of a batch at random, and its mask with it.

    Flips, rotation, shift, scale and elastic displacement become one sampling grid, applied once:
    to the image bilinearly, to the mask with the nearest label. What comes from beyond the border
    is a reflection, of image and mask alike. Flips alone move pixels without resampling.

    All draws come from ``generator`` and none of them depends on a strength: switching noise on
    does not change the angles. torch's global generator is left as it was.

    Args:
        images: ``(B, C, H, W) float32`` in 0..1; volumes ``(B, C, D, H, W)`` can be flipped.
        masks: ``(B, H, W)`` integer labels, on the same device; ``(B, D, H, W)`` of volumes.
        augmentation: the strengths.
        generator: where the randomness comes from.

    Returns:
        Images, in 0..1, and masks of the same shapes, dtypes and device; the very same tensors if
        everything is off.

    Raises:
        ValueError: for shapes or dtypes that do not fit, or for anything but flips of volumes.
    """
    _check_batch(images, masks)
    if images.ndim == 5 and (augmentation.warps or augmentation.recolours):
        raise ValueError(f"volumes can be flipped and nothing else; got {augmentation}")
    random = {"generator": generator, "device": generator.device}
    draws = torch.rand(9, len(images), **random).to(images.device)
    control = torch.rand(len(images), 2, ELASTIC_POINTS, ELASTIC_POINTS, **random)
    noise_seed = int(torch.randint(2**31, (), **random))
    coins, (angle, scale, *shift), tints = draws[:2] < 0.5, 2 * draws[2:6] - 1, 2 * draws[6:] - 1
    if augmentation.warps:
        matrix = _sampling_matrix(coins, angle, scale, torch.stack(shift), augmentation, images)
        grid = F.affine_grid(matrix, list(images.shape), align_corners=False)
        if augmentation.elastic:
            bends = augmentation.elastic * (2 * control - 1)
            grid = grid + elastic_field(bends.to(images.device), images.shape[2:])
        images = _sample(images, grid, "bilinear")
        masks = _sample(masks[:, None].float(), grid, "nearest")[:, 0].to(masks.dtype)
    elif augmentation.flip:
        for coin, axis in zip(coins, (-1, -2), strict=True):
            of_case = coin.reshape(-1, *[1] * (masks.ndim - 1))
            images = torch.where(of_case[:, None], images.flip(axis), images)
            masks = torch.where(of_case, masks.flip(axis), masks)
    if augmentation.recolours:
        images = _recolour(images, tints, augmentation, noise_seed)
    return images, masks


def _check_batch(images: Tensor, masks: Tensor) -> None:
    if images.ndim not in (4, 5) or images.dtype != torch.float32:
        raise ValueError(
            "images must be (B, C, H, W) float32, or (B, C, D, H, W) for volumes; "
            f"got {tuple(images.shape)} {images.dtype}"
        )
    expected = (images.shape[0], *images.shape[2:])
    if masks.shape != expected or masks.is_floating_point() or masks.dtype == torch.bool:
        raise ValueError(
            f"masks must be integer labels of shape {tuple(expected)} to fit the images, "
            f"got {tuple(masks.shape)} {masks.dtype}"
        )


def _sampling_matrix(
    coins: Tensor,
    angle: Tensor,
    scale: Tensor,
    shift: Tensor,
    augmentation: Augmentation,
    images: Tensor,
) -> Tensor:
    """Return ``(B, 2, 3)``: from a place in the output to the place in the input it shows.

    Places are in -1..1 along each side; the rotation is one of pixels, so the sides enter it.
    """
    height, width = images.shape[2:]
    radians = torch.deg2rad(augmentation.rotate * angle)
    factor = 1 / (1 + augmentation.scale * scale)
    signs = 1 - 2 * (coins & augmentation.flip).float()  # (2, B): left-right, up-down
    cos, sin = factor * radians.cos(), factor * radians.sin()
    x, y = augmentation.shift * 2 * shift
    rows = [signs[0] * cos, signs[0] * sin * height / width, x]
    rows += [-signs[1] * sin * width / height, signs[1] * cos, y]
    return torch.stack(rows, dim=1).reshape(-1, 2, 3)


def elastic_field(control: Tensor, size: tuple[int, int]) -> Tensor:
    """Return the smooth displacement through control points, as ``grid_sample`` wants it.

    Args:
        control: ``(B, 2, points, points) float32``, displacement along x and y in fractions of
            the side; the outer points lie on the border.
        size: height and width in px.

    Returns:
        ``(B, H, W, 2) float32`` in units of half a side.
    """
    field = F.interpolate(2 * control, size=size, mode="bicubic", align_corners=True)
    return field.permute(0, 2, 3, 1)


def _sample(maps: Tensor, grid: Tensor, mode: str) -> Tensor:
    return F.grid_sample(maps, grid, mode=mode, padding_mode="reflection", align_corners=False)


def _recolour(images: Tensor, tints: Tensor, augmentation: Augmentation, noise_seed: int) -> Tensor:
    """Change grey values by kornia; ``tints`` is ``(3, B)`` in -1..1."""
    from kornia import augmentation as kornia_augmentation  # costs 3 s: only who needs it pays
    from kornia import enhance

    if augmentation.gamma:
        power = torch.exp(tints[0] * torch.tensor(augmentation.gamma).log1p())
        images = enhance.adjust_gamma(images, power)
    if augmentation.contrast:
        factor = 1 + augmentation.contrast * tints[1]
        images = enhance.adjust_contrast_with_mean_subtraction(images, factor)
    if augmentation.brightness:
        images = enhance.adjust_brightness(images, augmentation.brightness * tints[2])
    if augmentation.noise:
        with torch.random.fork_rng(devices=[]):  # kornia draws from the global CPU generator
            torch.default_generator.manual_seed(noise_seed)
            images = kornia_augmentation.RandomGaussianNoise(std=augmentation.noise)(images)
    return images.clamp(0, 1)


def median_filter(images: Tensor, size: int = 3) -> Tensor:
    """Replace each pixel by the median of its ``size`` x ``size`` neighbours, channel by channel.

    Removes single outliers (salt and pepper) and keeps straight edges. The border is reflected.

    Args:
        images: ``(B, C, H, W) float``, any range; sides of more than ``size // 2`` px.
        size: odd, in px.

    Raises:
        ValueError: if ``size`` is even or below 1.
    """
    if size < 1 or size % 2 == 0:
        raise ValueError(f"size must be odd and at least 1, got {size}")
    half = size // 2
    padded = F.pad(images, (half, half, half, half), mode="reflect")
    windows = padded.unfold(2, size, 1).unfold(3, size, 1)  # (B, C, H, W, size, size)
    return windows.flatten(-2).median(dim=-1).values


def gaussian_filter(images: Tensor, sigma: float) -> Tensor:
    """Smooth with a Gaussian of standard deviation ``sigma`` px, cut off at 4 sigma.

    The border is reflected.

    Args:
        images: ``(B, C, H, W) float``, any range; sides of more than ``4 * sigma`` px.
        sigma: in px, above 0.

    Raises:
        ValueError: if ``sigma`` is not above 0.
    """
    if not sigma > 0:
        raise ValueError(f"sigma must be above 0 px, got {sigma}")
    half = int(4 * sigma + 0.5)
    offsets = torch.arange(-half, half + 1, device=images.device, dtype=images.dtype)
    weights = torch.softmax(-(offsets**2) / (2 * sigma**2), dim=0)
    padded = F.pad(images, (half, half, half, half), mode="reflect").flatten(0, 1)[:, None]
    smooth = F.conv2d(F.conv2d(padded, weights[:, None][None, None]), weights[None, None, None])
    return smooth.reshape(images.shape)


def z_score(images: Tensor) -> Tensor:
    """Give each channel of each image mean 0 and standard deviation 1.

    A constant channel becomes 0.

    Args:
        images: ``(B, C, H, W) float``, any range.
    """
    mean = images.mean((2, 3), keepdim=True)
    spread = (images - mean).square().mean((2, 3), keepdim=True).sqrt()
    constant = images.amin((2, 3), keepdim=True) == images.amax((2, 3), keepdim=True)
    return torch.where(constant, 0, (images - mean) / spread)


def unit_range(images: Tensor) -> Tensor:
    """Stretch each image so that its darkest value becomes 0 and its brightest 1.

    The channels of an image share both, which keeps its colours' order. A constant image becomes 0.

    Args:
        images: ``(B, C, H, W) float``, any range.
    """
    low, high = images.amin((1, 2, 3), keepdim=True), images.amax((1, 2, 3), keepdim=True)
    return _divide(images - low, high - low)


def grey_world(images: Tensor) -> Tensor:
    """Remove a colour cast: scale the channels of each image to a common mean.

    Assumes that a scene is grey on average. The common mean is the mean of the channel means;
    values above 1 are cut. A black channel stays black.

    Args:
        images: ``(B, C, H, W) float`` in 0..1.

    Source: Buchsbaum, "A spatial processor model for object colour perception", 1980.
    """
    means = images.mean((2, 3), keepdim=True)
    return _divide(images * means.mean(1, keepdim=True), means).clamp(0, 1)


def _divide(values: Tensor, by: Tensor) -> Tensor:
    """Divide, where a divisor of 0 gives 0."""
    return torch.where(by > 0, values / by, torch.zeros_like(values))
