"""The second network of GREnet: it mines which pixels of an image are easy."""

from torch import Tensor, nn

from course_lib.models.blocks import check_images, check_whole

SMALLEST = 32  # px; instance normalisation has no variance of a single pixel at the bottleneck
LAYERS, HEADS = 2, 4


class TokenMixer(nn.Module):
    """A transformer encoder over the pixels of a map: ``(B, channels, H, W)`` to the same shape.

    It adds no positions: those at the border are known from the zero padding of the convolutions,
    and the sides of the map stay free.
    """

    def __init__(self, channels: int):
        super().__init__()
        layer = nn.TransformerEncoderLayer(
            channels, HEADS, 2 * channels, dropout=0.0, norm_first=True, batch_first=True
        )
        self.layers = nn.TransformerEncoder(layer, LAYERS, enable_nested_tensor=False)

    def forward(self, x: Tensor) -> Tensor:
        """Return the map after every pixel has looked at all others."""
        tokens = self.layers(x.flatten(2).transpose(1, 2))  # (B, H W, channels)
        return tokens.transpose(1, 2).reshape(x.shape)


class MiningNet(nn.Module):
    """UNet++ with an output on every one of its four nested decoders, a transformer at its bottom.

    ``(B, in_channels, H, W) float`` to logits ``(B, num_classes, H, W)``; one channel for a binary
    task. Sides of any size from 32 pixels. What a shallow decoder is sure of already is easy:
    ``curriculum.mined`` makes nested curricula of the four outputs.

    Source: Wang et al., "GREnet: Gradually recurrent network with curriculum learning for 2-D
    medical image segmentation", IEEE TNNLS 35(7), 2024; UNet++: Zhou et al. 2018.

    Departures:
        - MONAI's UNet++ at a width for teaching and a small transformer in place of 64 to 1024
          channels and 12 layers of a pretrained one. No squeeze-excite.

    MONAI is imported when such a net is built, not before.

    Args:
        in_channels: channels of the image.
        num_classes: channels of the logits.
        channels: of the five levels; the last one a multiple of 4, the heads of the transformer.

    Raises:
        ValueError: for a value out of range, and in ``forward`` for images that do not fit.
        ImportError: where MONAI is not installed.
    """

    def __init__(
        self,
        in_channels: int,
        num_classes: int,
        *,
        channels: tuple[int, int, int, int, int] = (8, 8, 16, 32, 64),
    ):
        super().__init__()
        check_whole(in_channels=in_channels, num_classes=num_classes)
        check_whole(**{f"channels[{level}]": width for level, width in enumerate(channels)})
        if len(channels) != 5 or channels[-1] % HEADS:
            raise ValueError(
                f"channels must name five levels, the last one a multiple of {HEADS}, "
                f"got {channels}"
            )
        from monai.networks.nets import BasicUNetPlusPlus  # takes about ten seconds

        self.in_channels = in_channels
        self.net = BasicUNetPlusPlus(
            spatial_dims=2,
            in_channels=in_channels,
            out_channels=num_classes,
            features=(*channels, channels[0]),
            deep_supervision=True,
        )
        self.net.conv_4_0 = nn.Sequential(self.net.conv_4_0, TokenMixer(channels[-1]))

    def forward_stages(self, x: Tensor) -> tuple[Tensor, ...]:
        """Return the logits ``(B, num_classes, H, W)`` of all decoders, the shallowest first."""
        check_images(x, self.in_channels, SMALLEST)
        return tuple(self.net(x))

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits of the deepest decoder."""
        return self.forward_stages(x)[-1]
