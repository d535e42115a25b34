"""Tasks that need no masks: filling in what was hidden, and telling how an image was turned.

Images are z-scored one by one first. Without it a dim image has small errors whatever the net
does, and a curriculum by reconstruction error becomes its own opposite.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional as F

from course_lib import losses
from course_lib.curriculum.keyed import shuffled
from course_lib.data.transforms import z_score

if TYPE_CHECKING:
    from course_lib.training.update import Forward, Loss

_BLOCKS = 6  # tag of the keyed shuffle; 1 to 5 belong to the sampler


class Reconstruct:
    """A strategy for ``fit``: half of the blocks of each image are hidden, the net fills them in.

    Hidden pixels are 0, the mean of a z-scored image. The error counts where they are.

    Args:
        block: side of a block in px, from 1.
        normalise: z-score the images first; else hidden pixels are black.
    """

    def __init__(self, block: int, normalise: bool = True) -> None:
        self.block = block
        self.normalise = normalise

    def settings(self) -> dict:
        """Return what a resumed training must have in common with its beginning."""
        return vars(self)

    def __call__(
        self, forward: "Forward", images: Tensor, masks: Tensor, loss_fn: "Loss"
    ) -> Iterable[Tensor]:
        """Yield the error of one batch."""
        images = z_score(images) if self.normalise else images
        hidden = random_blocks(len(images), tuple(images.shape[2:]), self.block).to(images.device)
        made = forward(images * ~hidden, "forward_reconstruction")
        yield losses.masked_l1_loss(made, images, hidden).mean()


class Rotate:
    """A strategy for ``fit``: each image is turned by 0 to 3 quarters, the net tells how many.

    Source: Gidaris, Singh, Komodakis 2018.
    """

    def __call__(
        self, forward: "Forward", images: Tensor, masks: Tensor, loss_fn: "Loss"
    ) -> Iterable[Tensor]:
        """Yield the cross-entropy of one batch."""
        check_square(images)
        quarters = torch.randint(4, (len(images),))
        turned = [torch.rot90(x, int(q), (1, 2)) for x, q in zip(images, quarters, strict=True)]
        logits = forward(z_score(torch.stack(turned)), "forward_rotation")
        yield F.cross_entropy(logits.float(), quarters.to(images.device))


def block_size(size: Iterable[int]) -> int:
    """Return the default side of a block: 8 px up to 128 px, 16 above."""
    return 8 if max(size) <= 128 else 16


def random_blocks(number: int, size: tuple[int, int], block: int) -> Tensor:
    """Hide half of the blocks of each image, drawn from torch's global generator.

    Returns:
        ``(number, 1, *size)`` bool on the CPU.
    """
    cells = _cells(size, block)
    order = torch.rand(number, cells[0] * cells[1]).argsort(1)
    return _grow(order < cells[0] * cells[1] // 2, cells, size, block)


def keyed_blocks(size: tuple[int, int], block: int, seed: int, pair: int) -> Tensor:
    """Hide half of the blocks; which ones follows from (seed, pair) and the size alone.

    Returns:
        ``(1, 1, *size)`` bool on the CPU; its opposite hides the other half.
    """
    cells = _cells(size, block)
    number = torch.arange(cells[0] * cells[1])
    order = torch.from_numpy(shuffled(number.numpy(), (seed, _BLOCKS, pair)))
    hidden = torch.zeros(1, len(number), dtype=torch.bool)
    hidden[0, order[: len(number) // 2]] = True
    return _grow(hidden, cells, size, block)


def check_square(images: Tensor) -> None:
    """Raise ValueError unless images ``(B, C, H, W)`` can be turned in place."""
    if images.shape[2] != images.shape[3]:
        raise ValueError(f"rotation needs square images, got {tuple(images.shape[2:])} px")


def _cells(size: tuple[int, int], block: int) -> tuple[int, int]:
    if not 1 <= block <= max(size) // 2:
        raise ValueError(f"block must be 1 to {max(size) // 2} px, half a side, got {block}")
    return -(-size[0] // block), -(-size[1] // block)


def _grow(hidden: Tensor, cells: tuple[int, int], size: tuple[int, int], block: int) -> Tensor:
    """Turn ``(B, cells)`` into ``(B, 1, *size)``; blocks at the far border may be cut."""
    grid = hidden.reshape(-1, 1, *cells)
    grid = grid.repeat_interleave(block, 2).repeat_interleave(block, 3)
    return grid[..., : size[0], : size[1]]
