"""Two ways to ask a net more than once: window by window, and from eight sides."""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from course_lib.data.resize import size_pair
from course_lib.training.evaluate import evaluating, to_probabilities


def sliding(
    net: nn.Module, images: Tensor, size: int | tuple[int, int], *, overlap: float = 0.5
) -> Tensor:
    """Return the probabilities of images that are larger than those in training.

    The net sees windows of its training size, at full resolution. Where windows overlap their
    probabilities are averaged, each weighed by a Gaussian that falls from the window's middle to
    its border, since a net knows least there. Carried out by MONAI.

    Args:
        net: ``(B, C, H, W)`` to logits ``(B, K, H, W)``.
        images: ``(B, C, H, W) float`` in 0..1. Sides below the window's are filled up with 0.
        size: height and width of a window in px, one number for a square.
        overlap: part of a window's side that it shares with the next one, from 0 and below 1.

    Returns:
        ``(B, K, H, W)`` float32.

    Raises:
        ValueError: for an overlap out of range.

    Source: Isensee et al., "nnU-Net", Nature Methods 18, 2021, for the weights.
    """
    from monai.inferers import sliding_window_inference  # takes seconds to import

    if not 0 <= overlap < 1:
        raise ValueError(f"overlap must be from 0 and below 1, got {overlap}")
    with evaluating(net), torch.inference_mode():
        return sliding_window_inference(
            images, size_pair(size), 4, lambda x: to_probabilities(net(x)), overlap, "gaussian"
        )


class Views(NamedTuple):
    """What a net says of an image that is turned and mirrored."""

    mean: Tensor  # (B, K, H, W) probabilities, 0 to 1
    spread: Tensor  # (B, K, H, W) their standard deviation over the views, 0 to 0.5


def augmented(net: nn.Module, images: Tensor) -> Views:
    """Return the probabilities of images, averaged over mirrored and turned views.

    Each view is turned back before averaging. Square images have eight views, others the four that
    keep their sides. Where the views disagree a net is less sure than its probability says.

    Args:
        net: ``(B, C, H, W)`` to logits ``(B, K, H, W)``.
        images: ``(B, C, H, W) float`` in 0..1.
    """
    turns = range(4) if images.shape[2] == images.shape[3] else (0, 2)
    views = []
    with evaluating(net), torch.inference_mode():
        for turn in turns:
            for mirrored in (False, True):
                seen = torch.rot90(images, turn, (2, 3))
                seen = seen.flip(3) if mirrored else seen
                said = to_probabilities(net(seen.contiguous()))
                said = said.flip(3) if mirrored else said
                views.append(torch.rot90(said, -turn, (2, 3)))
    stacked = torch.stack(views)
    return Views(stacked.mean(0), stacked.std(0, correction=0))
