"""What a net costs and what it sees: parameters, MACs, receptive field, reach."""

from torch import nn


def count_parameters(net: nn.Module, buffers: bool = False) -> int:
    """Count the trainable numbers of a net.

    Args:
        net: any module; a parameter used twice counts once.
        buffers: add the floating-point buffers (running statistics of batch normalisation), which
            is what Keras prints as "total".
    """
    count = sum(p.numel() for p in net.parameters() if p.requires_grad)
    if buffers:
        count += sum(b.numel() for b in net.buffers() if b.is_floating_point())
    return count
