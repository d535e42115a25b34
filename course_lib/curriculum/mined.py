"""GREnet's curricula: which pixels a second network is sure of, from its shallow decoder down.

First the second network is trained (``models.mining.MiningNet`` with the strategy
``training.EPL["joint"]``, one loss for each of its outputs). Then ``MinedSteps`` trains the
segmentation network: step t learns from curriculum t and from the whole mask.
"""

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn

from course_lib.training.update import Forward, Loss

OUTPUTS = (1, 2, 4)  # of the four, for three curricula
THRESHOLD = 0.75


def pixel_curricula(
    outputs: Sequence[Tensor],
    masks: Tensor,
    *,
    use: Sequence[int] = OUTPUTS,
    threshold: float = THRESHOLD,
) -> Tensor:
    """Return the mask of every step: the pixels revealed so far, all others background.

    A pixel of the reference mask is revealed once an output gives its class a probability above the
    threshold. Thresholded maps are not nested by themselves; here each step keeps what the one
    before it has revealed.

    Args:
        outputs: logits ``(B, K, H, W)`` of the mining network, the shallowest first. K = 1:
            sigmoid; K > 1: softmax, label 0 being the background.
        masks: ``(B, H, W)`` integer labels.
        use: the output of each curriculum, counted from 1.
        threshold: above 0 and below 1.

    Returns:
        ``(T, B, H, W)`` labels of the masks' type, T = ``len(use)``.

    Raises:
        ValueError: for a threshold out of range, an output that is not there, or a wrong shape.

    Source: Wang et al. 2024 (GREnet); outputs and threshold as in its released code.

    Example:
        >>> outputs = [torch.full((1, 1, 1, 2), 2.0), torch.tensor([[[[-2.0, 2.0]]]])]
        >>> pixel_curricula(outputs, torch.tensor([[[1, 0]]]), use=(1, 2)).tolist()
        [[[[1, 0]]], [[[1, 0]]]]
    """
    if not 0 < threshold < 1:
        raise ValueError(f"threshold must be above 0 and below 1, got {threshold}")
    for number in use:
        if number not in range(1, len(outputs) + 1):
            raise ValueError(f"output {number} is not there: the mining network has {len(outputs)}")
    size = (outputs[0].shape[0], *outputs[0].shape[2:])
    if masks.shape != size:
        raise ValueError(f"masks must be (B, H, W) = {size}, got {tuple(masks.shape)}")
    revealed = torch.zeros_like(masks, dtype=torch.bool)
    steps = []
    for number in use:
        revealed = revealed | (_probability(outputs[number - 1], masks) > threshold)
        steps.append(torch.where(revealed, masks, 0))
    return torch.stack(steps)


def _probability(logits: Tensor, masks: Tensor) -> Tensor:
    """Return the probability ``(B, H, W)`` of the foreground, or of the mask's own class."""
    if logits.shape[1] == 1:
        return logits[:, 0].float().sigmoid()
    return logits.float().softmax(1).gather(1, masks[:, None].long())[:, 0]


class MinedSteps:
    """A strategy for ``training.fit``: step t is supervised by curriculum t and by the whole mask.

    The loss is the mean over both targets of all steps.

    Args:
        miner: the trained mining network, on the device of the images. It is put in evaluation
            mode and left as it is.
        use: see ``pixel_curricula``; as many as the segmentation network has steps.
        threshold: see ``pixel_curricula``.
    """

    def __init__(
        self, miner: nn.Module, use: Sequence[int] = OUTPUTS, threshold: float = THRESHOLD
    ) -> None:
        self.miner = miner.eval()
        self.use = tuple(use)
        self.threshold = threshold

    def __call__(
        self, forward: Forward, images: Tensor, masks: Tensor, loss_fn: Loss
    ) -> Iterable[Tensor]:
        """Yield the loss of one batch.

        Raises:
            ValueError: for a net with another number of steps than there are curricula.
        """
        with torch.no_grad():
            outputs = self.miner.forward_stages(images)
        curricula = pixel_curricula(outputs, masks, use=self.use, threshold=self.threshold)
        stages = forward(images, "forward_stages")
        if len(stages) != len(curricula):
            raise ValueError(
                f"the net has {len(stages)} steps, but there are {len(curricula)} curricula: "
                "choose steps and use alike"
            )
        losses = [
            loss_fn(logits, target)
            for logits, curriculum in zip(stages, curricula, strict=True)
            for target in (curriculum, masks)
        ]
        yield torch.stack(losses).mean()
