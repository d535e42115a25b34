"""Parts that several nets share."""

from numbers import Integral

import torch
from torch import Tensor, nn


class DoubleConv(nn.Sequential):
    """Two 3x3 convolutions with ReLU, optionally with batch normalisation before each ReLU.

    Maps ``(B, in_channels, H, W)`` to ``(B, out_channels, H, W)``; zero padding keeps the size.

    Args:
        in_channels: channels of the input.
        out_channels: channels after either convolution.
        norm: batch normalisation after each convolution.
        bias: bias of the convolutions; before batch normalisation it has no effect on the output.
    """

    def __init__(self, in_channels: int, out_channels: int, *, norm: bool, bias: bool):
        parts: list[nn.Module] = []
        for channels in (in_channels, out_channels):
            parts.append(nn.Conv2d(channels, out_channels, 3, padding=1, bias=bias))
            if norm:
                parts.append(nn.BatchNorm2d(out_channels))
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
    if not isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
        return
    connections = module.weight[0].numel()
    if isinstance(module, nn.ConvTranspose2d):
        connections = module.in_channels  # where the stride equals the kernel
    gain = 2 if followed_by_relu else 1
    nn.init.normal_(module.weight, std=(gain / connections) ** 0.5)
    if module.bias is not None:
        nn.init.zeros_(module.bias)


def check_images(x: Tensor, in_channels: int, smallest: int) -> None:
    """Refuse anything but ``(B, in_channels, H, W)`` with both sides of at least ``smallest`` px.

    Raises:
        ValueError: naming the shape that came and the one that is needed.
    """
    if x.ndim != 4 or x.shape[1] != in_channels:
        raise ValueError(f"images must be (B, {in_channels}, H, W), got {tuple(x.shape)}")
    if x.shape[2] < smallest or x.shape[3] < smallest:
        raise ValueError(
            f"images of {x.shape[2]}x{x.shape[3]} px are too small: "
            f"this net needs at least {smallest}x{smallest}"
        )


def check_multiple(x: Tensor, divisor: int) -> None:
    """Refuse images ``(B, C, H, W)`` whose sides are no multiples of ``divisor``.

    Raises:
        ValueError: naming the next size that fits.
    """
    height, width = x.shape[2:]
    if height % divisor or width % divisor:
        up = [(side + divisor - 1) // divisor * divisor for side in (height, width)]
        raise ValueError(
            f"images of {height}x{width} px do not fit: sides must be multiples of {divisor}, "
            f"the next size is {up[0]}x{up[1]}"
        )


def check_whole(smallest: int = 1, **values: int) -> None:
    """Refuse a value that is no whole number from ``smallest``.

    Raises:
        ValueError: naming the value.
    """
    for name, value in values.items():
        if not isinstance(value, Integral) or value < smallest:
            raise ValueError(f"{name} must be a whole number from {smallest}, got {value}")


def check_batch_statistics(x: Tensor, divisor: int) -> None:
    """Refuse a training batch whose bottleneck would hold one value a channel.

    Args:
        x: images ``(B, C, H, W)``.
        divisor: pixels of the image per pixel of the bottleneck, along a side.

    Raises:
        ValueError: since batch normalisation has no variance of a single value.
    """
    if len(x) == 1 and x.shape[2] <= divisor and x.shape[3] <= divisor:
        raise ValueError(
            f"one image of {x.shape[2]}x{x.shape[3]} px leaves batch normalisation a single value "
            f"a channel in training: give at least 2 images, or sides above {divisor} px"
        )
