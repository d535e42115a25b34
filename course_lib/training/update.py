"""One update: forward, loss, backward, look at the gradients, step."""

import math
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn

from course_lib.training.evaluate import check_channels

Loss = Callable[[Tensor, Tensor], Tensor]
Strategy = Callable[["Forward", Tensor, Tensor, Loss], Iterable[Tensor]]


class Forward(nn.Module):
    """Calls a method of the net under autocast.

    It is what DistributedDataParallel wraps, so that methods other than ``forward`` are covered.

    Args:
        net: the net.
        dtype: of autocast; None: float32.
        num_classes: of the data, with the background; logits must fit.
    """

    def __init__(self, net: nn.Module, dtype: torch.dtype | None, num_classes: int) -> None:
        super().__init__()
        self.net = net
        self.dtype = dtype
        self.num_classes = num_classes

    def forward(self, images: Tensor, method: str = "forward") -> Any:
        """Return what ``net.method(images)`` returns; for ``forward`` logits (B, K, H, W)."""
        with torch.autocast(images.device.type, self.dtype, enabled=self.dtype is not None):
            if method != "forward":
                return getattr(self.net, method)(images)
            logits = self.net(images)
        check_channels(logits, self.num_classes)
        return logits


def one_step(forward: Forward, images: Tensor, masks: Tensor, loss_fn: Loss) -> Iterable[Tensor]:
    """Yield the loss of one batch: the default strategy, and the pattern of all others.

    A strategy yields scalar losses. After each one ``fit`` runs backward and steps the optimiser,
    and only then asks for the next; so a net with stages is trained one stage after another by::

        def stage_by_stage(forward, images, masks, loss_fn):
            yield loss_fn(forward(images, "forward_stages")[0], masks)
            yield loss_fn(forward(images), masks)

    Args:
        forward: ``forward(images)`` gives logits, ``forward(images, "name")`` calls another method
            of the net.
        images: ``(B, C, H, W)`` float32.
        masks: ``(B, H, W)`` int64 labels.
        loss_fn: the loss of the protocol.
    """
    yield loss_fn(forward(images), masks)


class NonFinite(Exception):
    """A loss or a gradient is not finite; carries both values."""

    def __init__(self, loss: float, norm: float) -> None:
        super().__init__(loss, norm)
        self.loss = loss
        self.norm = norm


def apply(
    loss: Tensor, optimiser: torch.optim.Optimizer, scaler: torch.amp.GradScaler, clip: float | None
) -> tuple[float, float]:
    """Run backward on a loss and step, unless loss or gradients are not finite.

    Returns:
        The loss and the norm of all gradients before clipping.

    Raises:
        NonFinite: before the weights change. With fp16 the scaler skips an update whose gradients
            overflow and lowers its scale; there it is raised once no scale is left to lower.
    """
    optimiser.zero_grad(set_to_none=True)
    scaler.scale(loss).backward()
    scaler.unscale_(optimiser)
    parameters = [p for group in optimiser.param_groups for p in group["params"]]
    norm = nn.utils.get_total_norm([p.grad for p in parameters if p.grad is not None])
    # one transfer for both numbers: on a GPU each one waits for the queue
    value, size = torch.stack([loss.detach().float(), norm.float()]).tolist()
    may_skip = scaler.is_enabled() and scaler.get_scale() > 1
    if not math.isfinite(value) or not (math.isfinite(size) or may_skip):
        raise NonFinite(value, size)
    if clip is not None and size > clip:
        nn.utils.clip_grads_with_norm_(parameters, clip, norm)
    scaler.step(optimiser)
    scaler.update()
    return value, size


def autocast_type(precision: str, device: torch.device) -> torch.dtype | None:
    """Return the dtype of autocast, None for plain float32."""
    if precision == "auto":
        if device.type != "cuda":
            return None
        precision = "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp16"
    return {"float32": None, "bf16": torch.bfloat16, "fp16": torch.float16}[precision]


def make_optimiser(net: nn.Module, name: str, rate: float, decay: float) -> torch.optim.Optimizer:
    """Return Adam or AdamW over all trainable parameters."""
    kind = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[name]
    return kind((p for p in net.parameters() if p.requires_grad), lr=rate, weight_decay=decay)
