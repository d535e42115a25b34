"""Nets whose layers have fewer channels than their preset says, as pruning leaves them."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase
from torch.nn.modules.conv import _ConvNd


def take_widths(net: nn.Module, weights: Mapping[str, Tensor]) -> None:
    """Give every layer of a net the channels that a set of weights has; the numbers are not loaded.

    Args:
        net: a net from ``models.create``; changed in place.
        weights: the ``state_dict`` of the same net after pruning. What does not belong to the net,
            or has another kernel, is passed over, so that ``load_state_dict`` refuses it.
    """
    for path, layer in net.named_modules():
        depthwise = isinstance(layer, _ConvNd) and 1 < layer.groups == layer.in_channels
        tensors = [*layer.named_parameters(recurse=False), *layer.named_buffers(recurse=False)]
        for name, own in tensors:
            wanted = weights.get(f"{path}.{name}" if path else name, own)
            if wanted.dim() == own.dim() and wanted.shape[2:] == own.shape[2:]:
                own.data = torch.empty(wanted.shape, dtype=own.dtype, device=own.device)
        _count_channels(layer, depthwise)


def _count_channels(layer: nn.Module, depthwise: bool) -> None:
    """Make a layer's own numbers of channels agree with its weight."""
    if isinstance(layer, _ConvNd):
        first, second = layer.weight.shape[:2]
        layer.groups = first if depthwise else layer.groups
        channels = (first, second * layer.groups)
        names = ("out_channels", "in_channels")
        for name, count in zip(names[::-1] if layer.transposed else names, channels, strict=True):
            setattr(layer, name, count)
    elif isinstance(layer, _NormBase):
        layer.num_features = len(layer.weight)
    elif isinstance(layer, nn.GroupNorm):
        layer.num_channels = len(layer.weight)
    elif isinstance(layer, nn.Linear):
        layer.out_features, layer.in_features = layer.weight.shape
