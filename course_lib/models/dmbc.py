"""DMBC, the building block of REUnet's encoder: an inverted bottleneck with a gating signal."""

import math

from torch import Tensor, nn

from course_lib.models.blocks import SqueezeExcite


def round8(mu: float, divisor: int = 8) -> int:
    """Round a width to a multiple of ``divisor`` that is not below 0.9 ``mu``.

    Source: Chakraborty et al. 2025, equations 2 and 3. Equation 2 as printed divides by the
    square of the divisor (512 would become 16.06); meant is the nearest multiple.

    >>> round8(12), round8(20), round8(27)
    (16, 24, 32)
    """
    v = max(divisor, math.floor(mu + divisor / 2) // divisor * divisor)
    return v if v >= 0.9 * mu else v + divisor


class AddInput(nn.Module):
    """Gating signal, first case of equation 5: ``F(x) + x``."""

    def forward(self, fx: Tensor, x: Tensor) -> Tensor:
        """Return the sum ``(B, C, H, W)`` of a block's result and its input."""
        return fx + x


class AddProjection(nn.Module):
    """Gating signal, second case of equation 5: ``F(x) + Conv(x)``, where the widths differ."""

    def __init__(self, in_channels: int, out_channels: int, kernel: int):
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, kernel, padding=kernel // 2)

    def forward(self, fx: Tensor, x: Tensor) -> Tensor:
        """Return the sum ``(B, C, H, W)`` of a block's result and its projected input."""
        return fx + self.conv(x)


class NoSignal(nn.Module):
    """The ablation of Table 6: a block without its gating signal."""

    def forward(self, fx: Tensor, x: Tensor) -> Tensor:
        """Return ``F(x)`` unchanged."""
        return fx


def gating_signal(in_channels: int, out_channels: int, projection: int) -> nn.Module:
    """Choose the case of equation 5 by the widths; ``projection`` is the kernel of its conv."""
    if in_channels == out_channels:
        return AddInput()
    return AddProjection(in_channels, out_channels, projection)


class DMBC(nn.Module):
    """Dynamic mobile inverted bottleneck convolution: ``(B, C_i, H, W)`` to ``(B, C_k, H, W)``.

    Wide inside: a 1x1 convolution expands to ``d`` channels, a depthwise one looks around in
    space, a linear 1x1 convolution leads back, squeeze-excite weighs the channels, and the gating
    signal adds the input.

    Source: Chakraborty et al. 2025, figure 3 and equations 1 to 5.

    Departures:
        - The paper names a depthwise-separable convolution *followed by* a linear 1x1, which would
          be two 1x1 convolutions in a row; here, as in the released code, there is one.
        - Convolutions before a normalisation have no bias.

    Args:
        in_channels: C_i.
        out_channels: C_k.
        kernel: side of the depthwise kernel, 3 or 5.
        expansion: eta times w of equation 1.
        activations: after the expansion and after the depthwise convolution.
        signal: the gating signal, a module that maps ``(F(x), x)`` to the block's result.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        kernel: int,
        expansion: int,
        activations: tuple[type[nn.Module], type[nn.Module]],
        signal: nn.Module,
    ):
        super().__init__()
        first, second = activations
        d = round8(in_channels * expansion)  # equations 1 to 3
        self.f1 = nn.Sequential(
            nn.Conv2d(in_channels, d, 1, bias=False), nn.BatchNorm2d(d), first()
        )
        self.f2 = nn.Sequential(
            nn.Conv2d(d, d, kernel, padding=kernel // 2, groups=d, bias=False),
            nn.BatchNorm2d(d),
            second(),
            nn.Conv2d(d, out_channels, 1, bias=False),
        )
        self.ses = SqueezeExcite(out_channels)
        self.norm = nn.BatchNorm2d(out_channels)
        self.signal = signal

    def transform(self, x: Tensor) -> Tensor:
        """Return ``F(x)``: the block before its gating signal."""
        x = self.f1(x)  # H x W x C_i -> H x W x d
        x = self.f2(x)  # H x W x d -> H x W x C_k
        x = self.ses(x)  # equation 4
        return self.norm(x)

    def forward(self, x: Tensor) -> Tensor:
        """Return ``F(x)`` plus the gating signal."""
        return self.signal(self.transform(x), x)  # equation 5
