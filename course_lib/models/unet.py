"""U-Net: the rival that every other net of the course must beat."""

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional as F

from course_lib.models.blocks import (
    LAYERS,
    Concat,
    DoubleConv,
    DropSkip,
    check_batch_statistics,
    check_dims,
    check_images,
    check_whole,
    init_he,
)


class UNet(nn.Module):
    """U-Net for images of any size from ``2**depth`` pixels a side.

    ``(B, in_channels, H, W) float`` to logits ``(B, num_classes, H, W)``; one channel for a binary
    task. Level ``l`` has ``base * 2**l`` channels; ``depth`` levels lie above the bottleneck.
    With ``dims=3`` the same net for volumes ``(B, in_channels, D, H, W)``, every kernel a cube.

    Source: Ronneberger, Fischer, Brox, "U-Net", MICCAI 2015, figure 1 and section 3. For volumes:
    the baseline of PL-Net, section 4.4.3 (four poolings, two 3x3x3 convolutions a block); its
    widths and normalisation are not stated.

    Departures:
        - Convolutions pad with zeros, so that the output has the input's size; the paper's do not
          pad, and its skips are cropped (572 px in, 388 px out).
        - A side that is no multiple of ``2**depth`` is filled up to the next one with zeros, at the
          bottom and the right, and the logits are cut back.
        - The paper drops out units at the end of the encoder; its rate is not stated: left out.
        - Batch normalisation (``norm=True``) came later; here between convolution and ReLU.

    With the defaults, 3 channels in and 1 out it has 31,031,745 parameters, the U-Net of many
    comparison tables.

    Args:
        in_channels: channels of the image.
        num_classes: channels of the logits.
        base: channels of the first level.
        depth: number of poolings, 1 to 6.
        norm: batch normalisation after every 3x3 convolution.
        skips: skip connections; without them a decoder level sees the upsampled map only.
        bias: bias of the 3x3 convolutions; by default there is one where no batch normalisation
            would cancel it. (The count of 31,043,521 with batch normalisation includes them.)
        dims: 2 for images, 3 for volumes.

    Raises:
        ValueError: for a value out of range, and in ``forward`` for images that do not fit.
    """

    def __init__(
        self,
        in_channels: int,
        num_classes: int,
        *,
        base: int = 64,
        depth: int = 4,
        norm: bool = False,
        skips: bool = True,
        bias: bool | None = None,
        dims: int = 2,
    ):
        super().__init__()
        check_whole(in_channels=in_channels, num_classes=num_classes, base=base)
        if depth not in range(1, 7):
            raise ValueError(f"depth must be a whole number, 1 to 6, got {depth}")
        check_dims(dims)
        layers = LAYERS[dims]
        options = {"norm": norm, "bias": not norm if bias is None else bias, "dims": dims}
        widths = [base * 2**level for level in range(depth + 1)]
        self.in_channels = in_channels
        self.depth = depth
        self.dims = dims
        self.norm = norm
        self.encoder = nn.ModuleList(
            DoubleConv(before, after, **options)
            for before, after in zip([in_channels, *widths[:-2]], widths[:-1], strict=True)
        )
        self.pool = layers.pool(2)
        self.bottleneck = DoubleConv(widths[-2], widths[-1], **options)
        self.up = nn.ModuleList(layers.up(2 * c, c, 2, stride=2) for c in widths[:-1])
        self.join = Concat() if skips else DropSkip()
        self.decoder = nn.ModuleList(
            DoubleConv(2 * c if skips else c, c, **options) for c in widths[:-1]
        )
        self.head = layers.conv(base, num_classes, 1)
        self.apply(init_he)
        for linear in (*self.up, self.head):
            init_he(linear, followed_by_relu=False)

    def encode(self, x: Tensor) -> tuple[dict[str, Tensor], Tensor]:
        """Return the maps ``encoder0`` ... and ``bottleneck``, and the last of them by itself."""
        divisor = 2**self.depth
        check_images(x, self.in_channels, smallest=divisor, dims=self.dims)
        if self.training and self.norm:
            check_batch_statistics(x, divisor)
        x = _to_size(x, [(side + divisor - 1) // divisor * divisor for side in x.shape[2:]])
        maps = {}
        for level, block in enumerate(self.encoder):
            maps[f"encoder{level}"] = block(x)
            x = self.pool(maps[f"encoder{level}"])
        maps["bottleneck"] = x = self.bottleneck(x)
        return maps, x

    def forward_features(self, x: Tensor) -> dict[str, Tensor]:
        """Return all maps in the order in which they are computed.

        Returns:
            ``encoder0`` ..., ``bottleneck``, ..., ``decoder0``; the number is the level, whose map
            is ``(B, base * 2**level, H / 2**level, W / 2**level)`` for the filled-up H and W.
        """
        maps, x = self.encode(x)
        for level in reversed(range(self.depth)):
            x = self.join(maps[f"encoder{level}"], self.up[level](x))
            maps[f"decoder{level}"] = x = self.decoder[level](x)
        return maps

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits ``(B, num_classes, H, W)`` of images ``(B, in_channels, H, W)``."""
        logits = self.head(self.forward_features(x)["decoder0"])
        return _to_size(logits, x.shape[2:])


def _to_size(x: Tensor, sides: Sequence[int]) -> Tensor:
    """Fill up with zeros, or cut, at the far end of every side."""
    amounts = [to - side for side, to in zip(x.shape[2:], sides, strict=True)]
    return F.pad(x, [end for amount in reversed(amounts) for end in (0, amount)])


ABLATIONS = {"full": {}, "no_skips": {"skips": False}}


def unet(**overrides) -> UNet:
    """Build the classic net: base 64, biases, no batch normalisation (31,031,745 parameters)."""
    return UNet(**{"in_channels": 3, "num_classes": 1, **overrides})


def unet_bn(**overrides) -> UNet:
    """Build the classic net with batch normalisation in place of the biases (31,037,633)."""
    return UNet(**{"in_channels": 3, "num_classes": 1, "norm": True, **overrides})


def unet_small(**overrides) -> UNet:
    """Build the rival at laptop size: base 16 with batch normalisation (1,942,577 parameters)."""
    return UNet(**{"in_channels": 3, "num_classes": 1, "base": 16, "norm": True, **overrides})
