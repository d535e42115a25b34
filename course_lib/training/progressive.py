"""External progressive learning: two stages of a net trained one after the other on every batch."""

from collections.abc import Iterable

from torch import Tensor

from course_lib.training.update import Forward, Loss, Strategy, one_step


def external_progressive(
    forward: Forward, images: Tensor, masks: Tensor, loss_fn: Loss
) -> Iterable[Tensor]:
    """Yield the loss of stage 1 by itself, then that of the whole net: two updates a batch.

    The first update runs stage 1 and its head, and leaves stage 2 alone. The second is a forward
    pass of its own through both stages, with the weights that the first one left behind. (The first
    one's graph cannot serve twice: backward frees it, and its weights have changed.) Nothing is
    detached, so the second update trains both stages, all but stage 1's head. One optimiser makes
    both updates, and skips what has no gradient; whether the paper's share a state is not stated.

    Stage 1 so runs forward and backward twice a batch: for ``PLNet`` 1.43 times the multiplications
    of a batch with one loss. Its running statistics move twice a batch, too.

    Source: PL-Net, section 3.2: later stages update the parameters of earlier ones as well.

    Args:
        forward: of a net with ``forward_stage1(images)``, which returns features and logits.
        images: ``(B, C, H, W)`` float32.
        masks: ``(B, H, W)`` int64 labels.
        loss_fn: the loss of the protocol.
    """
    _, logits = forward(images, "forward_stage1")
    yield loss_fn(logits, masks)
    yield loss_fn(forward(images), masks)


def joint(forward: Forward, images: Tensor, masks: Tensor, loss_fn: Loss) -> Iterable[Tensor]:
    """Yield the sum of the losses of all stages: one forward pass and one update a batch.

    The cheap variant, for nets with ``forward_stages``; not the paper's.
    """
    yield sum(loss_fn(logits, masks) for logits in forward(images, "forward_stages"))


EPL: dict[str, Strategy] = {
    "on": external_progressive,
    "joint": joint,
    "off": one_step,  # the last stage's loss alone, which still trains both stages
}
