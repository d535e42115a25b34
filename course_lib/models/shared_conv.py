"""A convolution that is called several times, with a batch normalisation of its own each time."""

from numbers import Real

from torch import Tensor, nn
from torch.nn import functional as F

from course_lib.models.blocks import LAYERS


class SharedConv(nn.Module):
    """Convolution, batch normalisation, ReLU: weights shared between calls, statistics not.

    Maps ``(B, before, H, W)`` to ``(B, after, H, W)``, the 3x3 kernel padded with zeros; with
    ``up=True`` a transposed convolution of stride 2, to ``(B, after, 2 * H, 2 * W)``. The maps of
    one call are distributed unlike those of another, so one set of running statistics would be
    right for neither.

    Args:
        before: channels of the input.
        after: channels of the output.
        calls: how often an image passes through.
        up: double the sides.
        dims: 2 for images, 3 for volumes.
    """

    def __init__(self, before: int, after: int, calls: int, *, up: bool = False, dims: int = 2):
        super().__init__()
        layers = LAYERS[dims]
        if up:
            self.conv = layers.up(before, after, 3, stride=2, padding=1, output_padding=1)
        else:
            self.conv = layers.conv(before, after, 3, padding=1)
        self.norms = nn.ModuleList(layers.norm(after) for _ in range(calls))

    def forward(self, x: Tensor, call: int) -> Tensor:
        """Return the map of call number ``call``, counted from 0."""
        return F.relu(self.norms[call](self.conv(x)), inplace=True)


class SharedConvReluFirst(SharedConv):
    """The same with ReLU before the normalisation, as in the released code of BiO-Net."""

    def forward(self, x: Tensor, call: int) -> Tensor:
        """Return the map of call number ``call``, counted from 0."""
        return self.norms[call](F.relu(self.conv(x), inplace=True))


def scaled_width(base: int, width: float) -> int:
    """Return ``base * width``, the channels of the first level.

    Raises:
        ValueError: for a width outside 0.5 to 2, or a product that is no whole number.
    """
    if not isinstance(width, Real) or not 0.5 <= width <= 2:
        raise ValueError(f"width must be a number from 0.5 to 2.0, got {width}")
    if base * width != int(base * width):
        raise ValueError(
            f"base * width must be a whole number of channels, got {base} * {width}; "
            f"with this base the width can be a multiple of 1/{base}"
        )
    return int(base * width)
