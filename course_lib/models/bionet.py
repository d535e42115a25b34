"""BiO-Net: a U-Net that is run several times, its decoder feeding back into its encoder."""

from functools import partial
from numbers import Integral

import torch
from torch import Tensor, nn

from course_lib.models.blocks import (
    check_batch_statistics,
    check_images,
    check_multiple,
    check_whole,
    init_he,
)
from course_lib.models.shared_conv import SharedConvReluFirst, scaled_width


class BiONet(nn.Module):
    """BiO-Net for images whose sides are multiples of ``2**(depth + 1)`` (32 px).

    ``(B, in_channels, H, W) float`` to logits ``(B, num_classes, H, W)``; one channel for a binary
    task. An image passes once through a stem and a pooling, then ``t`` times through the same
    encoder and decoder at half its size and below, then once through the last block. Level ``l``
    has ``base * width * 2**l`` channels.

    A forward skip is a U-Net's. A backward skip takes the decoder's map of a level into the
    encoder's block of that level in the next pass; in the first pass, where there is none, the
    block sees its input twice. All passes share their convolutions and none of their batch
    normalisations.

    Source: Xiang et al., "BiO-Net", MICCAI 2020, and its released code for Keras. The first
    convolution of the stem has ``base * width`` channels, as there.

    With the defaults, 3 channels in and 1 out, it has 14,984,001 parameters, and 15,013,697 with
    the running statistics (14.32 Mi; PL-Net's tables print 14.30 M).

    Departures:
        - The released code for PyTorch shares the bottom block's normalisations between passes;
          here, as in Keras, every pass has its own.
        - Keras' momentum 0.01 makes the running statistics almost those of the last batch; here it
          is PyTorch's default.
        - The transposed convolution pads as in PyTorch, which shifts its result by a pixel against
          Keras'.
        - Without ``integrate`` the last up-convolution of all passes but the last one feeds
          nothing. It is not computed; its normalisations, which the published counts include, are
          kept and never trained.

    Args:
        in_channels: channels of the image.
        num_classes: channels of the logits.
        t: passes, 1 to 3.
        integrate: the last block sees the decoded maps of all passes ("INT"), not of the last only.
        width: multiplies all channels, 0.5 to 2.0; ``base * width`` must be whole.
        base: channels of the first level.
        depth: levels above the bottom, 1 to 5.

    Raises:
        ValueError: for a value out of range, and in ``forward`` for images that do not fit.
    """

    def __init__(
        self,
        in_channels: int,
        num_classes: int,
        *,
        t: int = 3,
        integrate: bool = False,
        width: float = 1.0,
        base: int = 32,
        depth: int = 4,
    ):
        super().__init__()
        check_whole(in_channels=in_channels, num_classes=num_classes, base=base)
        if not isinstance(t, Integral) or t not in (1, 2, 3):
            raise ValueError(f"t must be 1, 2 or 3 passes, got {t}")
        if depth not in range(1, 6):
            raise ValueError(f"depth must be a whole number, 1 to 5, got {depth}")
        widths = [scaled_width(base, width) * 2**level for level in range(depth + 1)]
        self.in_channels = in_channels
        self.divisor = 2 ** (depth + 1)
        self.t = t
        self.collected = range(t) if integrate else range(t - 1, t)  # the passes the end looks at
        once, shared = partial(SharedConvReluFirst, calls=1), partial(SharedConvReluFirst, calls=t)
        first = widths[0]
        self.stem = nn.ModuleList(
            [once(in_channels, first), once(first, first), once(first, first)]
        )
        self.pool = nn.MaxPool2d(2)
        self.encoder = nn.ModuleList(
            nn.ModuleList([shared(2 * c, c), shared(c, c)]) for c in widths[:-1]
        )
        self.down = nn.ModuleList(shared(c, 2 * c) for c in widths[:-1])
        deepest = widths[-1]
        self.bottom = nn.ModuleList([shared(deepest, deepest), shared(deepest, deepest)])
        self.up = nn.ModuleList(shared(c, c, up=True) for c in widths)  # from level 0 to the bottom
        self.decoder = nn.ModuleList(
            nn.ModuleList([shared(2 * c + c, c), shared(c, c)]) for c in widths[:-1]
        )
        self.post = nn.ModuleList([once(len(self.collected) * first, first), once(first, first)])
        self.head = nn.Conv2d(first, num_classes, 1)
        self.apply(init_he)
        init_he(self.head, followed_by_relu=False)

    def forward_features(self, x: Tensor) -> dict[str, Tensor]:
        """Return all maps in the order in which they are computed.

        Returns:
            ``stem``; for every pass ``pass1_encoder0`` ..., ``pass1_bottom``, ...,
            ``pass1_decoder0``, where the last number is the level, whose map is ``(B, base * width
            * 2**level, H / 2**(level + 1), W / 2**(level + 1))``; ``post``, of the image's size.
        """
        check_images(x, self.in_channels, smallest=self.divisor)
        check_multiple(x, self.divisor)
        if self.training:
            check_batch_statistics(x, self.divisor)
        maps = {"stem": _through(self.stem, x, 0)}
        x = self.pool(maps["stem"])
        decoded, tops = None, []
        for number in range(self.t):
            encoded, bottom = self.encode(x, decoded, number)
            decoded = self.decode(encoded, bottom, number)
            tops.append(decoded[0])
            name = f"pass{number + 1}"
            maps |= {f"{name}_encoder{level}": e for level, e in enumerate(encoded)}
            maps[f"{name}_bottom"] = bottom
            maps |= {
                f"{name}_decoder{level}": decoded[level] for level in reversed(range(len(decoded)))
            }
        x = _beside(*(self.up[0](tops[number], number) for number in self.collected))
        maps["post"] = _through(self.post, x, 0)
        return maps

    def encode(self, x: Tensor, back: list[Tensor] | None, number: int) -> tuple[list, Tensor]:
        """Return the maps of pass ``number`` from level 0 down, and the bottom's.

        Args:
            x: the stem's map, pooled.
            back: the decoder's maps of the pass before, from level 0 down; None in the first.
            number: of the pass, from 0.
        """
        maps = []
        for level, (block, down) in enumerate(zip(self.encoder, self.down, strict=True)):
            x = _through(block, _beside(x, x if back is None else back[level]), number)
            maps.append(x)
            x = self.pool(down(x, number))
        return maps, _through(self.bottom, x, number)

    def decode(self, encoded: list[Tensor], x: Tensor, number: int) -> list[Tensor]:
        """Return the decoder's maps of pass ``number`` from level 0 down."""
        maps = []
        for level in reversed(range(len(encoded))):
            x = _beside(self.up[level + 1](x, number), encoded[level])
            x = _through(self.decoder[level], x, number)
            maps.insert(0, x)
        return maps

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits ``(B, num_classes, H, W)`` of images ``(B, in_channels, H, W)``."""
        return self.head(self.forward_features(x)["post"])


def _through(convolutions: nn.ModuleList, x: Tensor, call: int) -> Tensor:
    for convolution in convolutions:
        x = convolution(x, call)
    return x


def _beside(*maps: Tensor) -> Tensor:
    return maps[0] if len(maps) == 1 else torch.cat(maps, dim=1)


ABLATIONS = {
    "full": {},
    "one_pass": {"t": 1},
    "integrated": {"integrate": True},
}


def bionet(**overrides) -> BiONet:
    """Build the net that PL-Net is compared with: t = 3, base 32 (14,984,001 parameters)."""
    return BiONet(**{"in_channels": 3, "num_classes": 1, **overrides})
