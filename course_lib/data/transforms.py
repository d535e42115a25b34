"""Augmentation of batches of images and masks on their own device."""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Augmentation:
    """Strengths of the random changes; the default changes nothing."""

    flip: bool = False


def augment(
    images: Tensor,
    masks: Tensor,
    augmentation: Augmentation,
    generator: torch.Generator,
) -> tuple[Tensor, Tensor]:
    """Change a batch at random, image and mask alike."""
    if augmentation.flip:
        for axis in (-1, -2):
            coin = torch.rand(len(images), generator=generator) < 0.5
            coin = coin.to(images.device)
            images = torch.where(coin[:, None, None, None], images.flip(axis), images)
            masks = torch.where(coin[:, None, None], masks.flip(axis), masks)
    return images, masks
