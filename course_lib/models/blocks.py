"""Parts that several nets share."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Integral

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Layers:
    """The layers for images or for volumes, and what messages call one of them."""

    conv: type[nn.Module]
    up: type[nn.Module]
    norm: type[nn.Module]
    pool: type[nn.Module]
    axes: str
    noun: str
    unit: str


LAYERS = {
    2: Layers(nn.Conv2d, nn.ConvTranspose2d, nn.BatchNorm2d, nn.MaxPool2d, "HW", "image", "px"),
    3: Layers(nn.Conv3d, nn.ConvTranspose3d, nn.BatchNorm3d, nn.MaxPool3d, "DHW", "volume", "vx"),
}


class DoubleConv(nn.Sequential):
    """Two 3x3 convolutions with ReLU, optionally with batch normalisation before each ReLU.

    Maps ``(B, in_channels, H, W)`` to ``(B, out_channels, H, W)``; zero padding keeps the size.
    With ``dims=3`` the same for volumes ``(B, in_channels, D, H, W)``.

    Args:
        in_channels: channels of the input.
        out_channels: channels after either convolution.
        norm: batch normalisation after each convolution.
        bias: bias of the convolutions; before batch normalisation it has no effect on the output.
        dims: 2 for images, 3 for volumes.
    """

    def __init__(
        self, in_channels: int, out_channels: int, *, norm: bool, bias: bool, dims: int = 2
    ):
        layers = LAYERS[dims]
        parts: list[nn.Module] = []
        for channels in (in_channels, out_channels):
            parts.append(layers.conv(channels, out_channels, 3, padding=1, bias=bias))
            if norm:
                parts.append(layers.norm(out_channels))
            parts.append(nn.ReLU())
        super().__init__(*parts)


class Concat(nn.Module):
    """Put the skip's channels before the upsampled ones: ``(B, S + U, H, W)``."""

    def forward(self, skip: Tensor, upsampled: Tensor) -> Tensor:
        """Return both maps, one behind the other along the channels."""
        return torch.cat([skip, upsampled], dim=1)


class DropSkip(nn.Module):
    """Let the decoder see the upsampled map only: the ablation of the skip connection."""

    def forward(self, skip: Tensor, upsampled: Tensor) -> Tensor:
        """Return ``upsampled`` unchanged."""
        return upsampled


class SqueezeExcite(nn.Module):
    """Weigh every channel of an image by a number from 0 to 1 that all its channels decide.

    Maps ``(B, channels, H, W)`` to the same shape: mean over the image, a matrix to half the
    channels, ReLU, a matrix back, sigmoid, times the map.

    Source: Hu et al. 2018, section 3; Chakraborty et al. 2025, equation 4.
    """

    def __init__(self, channels: int):
        super().__init__()
        self.weigh = nn.Sequential(
            nn.Linear(channels, channels // 2, bias=False),
            nn.ReLU(),
            nn.Linear(channels // 2, channels, bias=False),
            nn.Sigmoid(),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return the weighed map ``(B, channels, H, W)``."""
        return x * self.weigh(x.mean((2, 3)))[:, :, None, None]


def init_he(module: nn.Module, followed_by_relu: bool = True) -> None:
    """Draw a convolution's weights from N(0, gain / incoming connections); set its bias to 0.

    The gain is 2 before a ReLU, which halves the power of its input, and 1 where none follows: so
    the maps keep their scale from layer to layer. Modules without such weights stay as they are,
    so that ``net.apply(init_he)`` reaches all convolutions of a net.

    Source: He et al. 2015, equation 10; Ronneberger et al. 2015, section 3.
    """
    transposed = isinstance(module, (nn.ConvTranspose2d, nn.ConvTranspose3d))
    if not transposed and not isinstance(module, (nn.Conv2d, nn.Conv3d)):
        return
    connections = module.weight[0].numel()
    if transposed:  # the mean over the pixels: with a stride each one sees a part of the kernel
        taps = math.prod(module.kernel_size) / math.prod(module.stride)
        connections = module.in_channels * taps
    gain = 2 if followed_by_relu else 1
    nn.init.normal_(module.weight, std=(gain / connections) ** 0.5)
    if module.bias is not None:
        nn.init.zeros_(module.bias)


def check_dims(dims: int) -> None:
    """Refuse anything but 2 (images) and 3 (volumes).

    Raises:
        ValueError: naming the value.
    """
    if dims not in LAYERS:
        raise ValueError(f"dims must be 2 (images) or 3 (volumes), got {dims}")


def check_images(x: Tensor, in_channels: int, smallest: int, dims: int = 2) -> None:
    """Refuse anything but ``(B, in_channels, H, W)`` with all sides of at least ``smallest`` px.

    With ``dims=3`` it is ``(B, in_channels, D, H, W)`` that is asked for.

    Raises:
        ValueError: naming the shape that came and the one that is needed.
    """
    layers = LAYERS[dims]
    if x.ndim != 2 + dims or x.shape[1] != in_channels:
        needed = ", ".join(("B", str(in_channels), *layers.axes))
        raise ValueError(f"{layers.noun}s must be ({needed}), got {tuple(x.shape)}")
    sides = x.shape[2:]
    if any(side < smallest for side in sides):
        raise ValueError(
            f"{layers.noun}s of {_times(sides)} {layers.unit} are too small: "
            f"this net needs at least {_times([smallest] * dims)}"
        )


def check_multiple(x: Tensor, divisor: int) -> None:
    """Refuse images ``(B, C, H, W)``, or volumes, whose sides are no multiples of ``divisor``.

    Raises:
        ValueError: naming the next size that fits.
    """
    sides = x.shape[2:]
    if any(side % divisor for side in sides):
        layers = LAYERS[len(sides)]
        up = [(side + divisor - 1) // divisor * divisor for side in sides]
        raise ValueError(
            f"{layers.noun}s of {_times(sides)} {layers.unit} do not fit: sides must be multiples "
            f"of {divisor}, the next size is {_times(up)}"
        )


def _times(sides: Sequence[int]) -> str:
    return "x".join(str(side) for side in sides)


def check_whole(smallest: int = 1, **values: int) -> None:
    """Refuse a value that is no whole number from ``smallest``.

    Raises:
        ValueError: naming the value.
    """
    for name, value in values.items():
        if not isinstance(value, Integral) or value < smallest:
            raise ValueError(f"{name} must be a whole number from {smallest}, got {value}")


def check_channels(channels: tuple[int, ...]) -> None:
    """Refuse widths of a U-shape's levels that are no whole numbers from 1, or of one level only.

    Raises:
        ValueError: naming the width, or the levels.
    """
    check_whole(**{f"channels[{level}]": width for level, width in enumerate(channels)})
    if len(channels) < 2:
        raise ValueError(f"channels must name at least 2 levels, got {channels}")


def check_batch_statistics(x: Tensor, divisor: int) -> None:
    """Refuse a training batch whose bottleneck would hold one value a channel.

    Args:
        x: images ``(B, C, H, W)``, or volumes.
        divisor: pixels of the image per pixel of the bottleneck, along a side.

    Raises:
        ValueError: since batch normalisation has no variance of a single value.
    """
    sides = x.shape[2:]
    if len(x) == 1 and all(side <= divisor for side in sides):
        layers = LAYERS[len(sides)]
        raise ValueError(
            f"one {layers.noun} of {_times(sides)} {layers.unit} leaves batch normalisation "
            f"a single value a channel in training: give at least 2 {layers.noun}s, "
            f"or sides above {divisor} {layers.unit}"
        )
