"""Attention U-Net: the U-Net of this course with an additive gate on every skip."""

from torch import Tensor, nn
from torch.nn import functional as F

from course_lib.models.blocks import init_he
from course_lib.models.unet import UNet


class GridGate(nn.Module):
    """Additive attention gate: a coarser map decides where a skip is worth attention.

    The skip ``(B, channels, H, W)`` and the map one level below it ``(B, 2 * channels, H / 2,
    W / 2)`` are projected to half the skip's channels at the coarser size, added, and reduced to
    one coefficient a pixel.

    Source: Oktay et al., "Attention U-Net", MIDL 2018, figure 2 and equations 1 and 2.

    Departures:
        - No convolution and normalisation of the result, which the authors' code adds to the paper.
    """

    def __init__(self, channels: int):
        super().__init__()
        between = channels // 2
        self.skip = nn.Conv2d(channels, between, 1, stride=2, bias=False)  # W_x
        self.gating = nn.Conv2d(2 * channels, between, 1)  # W_g, b_g
        self.psi = nn.Conv2d(between, 1, 1)
        self.apply(init_he)
        init_he(self.psi, followed_by_relu=False)

    def forward(self, skip: Tensor, below: Tensor) -> tuple[Tensor, Tensor]:
        """Return the gated skip, and its coefficients ``(B, 1, H, W)`` from 0 to 1."""
        coarse = self.psi(F.relu(self.skip(skip) + self.gating(below))).sigmoid()
        a = F.interpolate(coarse, scale_factor=2, mode="bilinear")
        return a * skip, a


class AttentionUNet(UNet):
    """U-Net with batch normalisation, its skips gated by the decoder.

    ``(B, in_channels, H, W) float`` to logits ``(B, num_classes, H, W)``; one channel for a binary
    task. Sizes, padding and widths are those of ``UNet``.

    Source: Oktay et al., "Attention U-Net", MIDL 2018, figure 1.

    Departures:
        - The paper's net is for volumes, gates all skips but the first, and supervises every
          decoder level; here images, gates on all skips, one output.

    Args:
        in_channels: channels of the image.
        num_classes: channels of the logits.
        base: channels of the first level, at least 2.
        depth: number of poolings, 1 to 6.

    Raises:
        ValueError: for a value out of range, and in ``forward`` for images that do not fit.
    """

    def __init__(self, in_channels: int, num_classes: int, *, base: int = 64, depth: int = 4):
        super().__init__(in_channels, num_classes, base=base, depth=depth, norm=True)
        if base < 2:
            raise ValueError(f"base must be at least 2, since gates halve the channels, got {base}")
        self.gates = nn.ModuleList(GridGate(base * 2**level) for level in range(depth))

    def forward_features(self, x: Tensor) -> dict[str, Tensor]:
        """Return all maps in the order in which they are computed.

        Returns:
            The maps of ``UNet``, and before each ``decoder0`` ... the coefficients ``gate0`` ... of
            its skip, ``(B, 1, H / 2**level, W / 2**level)``, for the filled-up H and W.
        """
        maps, x = self.encode(x)
        for level in reversed(range(self.depth)):
            skip, a = self.gates[level](maps[f"encoder{level}"], x)
            x = self.decoder[level](self.join(skip, self.up[level](x)))
            maps |= {f"gate{level}": a, f"decoder{level}": x}
        return maps


ABLATIONS = {"full": {}}  # without its gates it is ``unet_bn``


def attention_unet(**overrides) -> AttentionUNet:
    """Build the net at the rival's width: base 64 (31,560,837 parameters)."""
    return AttentionUNet(**{"in_channels": 3, "num_classes": 1, **overrides})
