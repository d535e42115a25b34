"""The validation of an epoch: loss and mean Dice at the size of the prepared images."""

import torch
from torch import Tensor

from course_lib.training.batches import Batches
from course_lib.training.evaluate import evaluating
from course_lib.training.update import Forward, Loss


def validate(forward: Forward, batches: Batches, size: int, loss_fn: Loss) -> dict:
    """Return ``val_loss`` (mean over cases) and ``val_dice`` (mean over images and classes).

    The Dice is computed on the device from counts; it equals the mean over images that
    :func:`course_lib.metrics.summarise` gives with the default policy for empty masks, at this
    size. Distances are left to :func:`course_lib.training.evaluate`.
    """
    data = batches.data
    losses, scores = [], []
    with evaluating(forward.net), torch.inference_mode():
        for start in range(0, len(data), size):
            images, masks = batches.read(range(start, min(start + size, len(data))))
            logits = forward(images)
            losses.append(loss_fn(logits, masks).detach() * len(images))
            scores.append(dice_of_images(logits, masks, data.num_classes))
    return {
        "val_loss": float(torch.stack(losses).sum()) / len(data),
        "val_dice": float(torch.cat(scores).mean()),
    }


def dice_of_images(logits: Tensor, masks: Tensor, num_classes: int) -> Tensor:
    """Return the Dice ``(B, num_classes - 1)`` float32 of every image and foreground class.

    A class that neither the prediction nor the mask has scores 1, one that only one has 0.

    Args:
        logits: ``(B, K, H, W)``, or ``(B, K, D, H, W)`` of volumes.
        masks: integer labels, the same without K.
        num_classes: labels including the background.
    """
    labels = (logits[:, 0] > 0).long() if logits.shape[1] == 1 else logits.argmax(1)
    dice = []
    for k in range(1, num_classes):
        predicted, wanted = (labels == k).flatten(1), (masks == k).flatten(1)
        size = predicted.sum(1) + wanted.sum(1)
        overlap = 2 * (predicted & wanted).sum(1)
        dice.append(torch.where(size > 0, overlap / size.clamp(min=1), 1.0))
    return torch.stack(dice, 1)
