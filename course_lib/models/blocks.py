"""Parts that several nets share."""

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


def init_he(module: nn.Module) -> None:
    """Draw convolution weights from N(0, 2 / incoming connections) and set biases to 0.

    For ``net.apply(init_he)``. The incoming connections of a transposed convolution whose stride
    equals its kernel are its input channels.

    Source: He et al. 2015, equation 10; Ronneberger et al. 2015, section 3.
    """
    if isinstance(module, nn.ConvTranspose2d):
        nn.init.normal_(module.weight, std=(2 / module.in_channels) ** 0.5)
    elif isinstance(module, nn.Conv2d):
        nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
    else:
        return
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
