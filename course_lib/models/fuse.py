"""The form of a net for inference: batch normalisation folded into the layer before it.

In evaluation mode batch normalisation is a scale and a shift a channel. A convolution straight
before it takes both into its weights and its bias; squeeze-excite, which scales the channels
anyway, takes them along. One pass over the map less for every pair, and the same outputs.
"""

import copy
from collections import Counter
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm as BatchNorm
from torch.nn.modules.conv import _ConvNd as Convolution
from torch.nn.utils.fusion import fuse_conv_bn_eval
from torch.overrides import TorchFunctionMode

from course_lib.models.blocks import SqueezeExcite
from course_lib.models.measure import tensors_of

TRANSPOSED = (nn.ConvTranspose2d, nn.ConvTranspose3d)
TAKERS = (nn.Conv2d, nn.Conv3d, *TRANSPOSED, SqueezeExcite)  # a subclass may do more: left alone
SIDE = 64  # px of the image whose way through the net is watched: a multiple of every net's divisor


class Folding(NamedTuple):
    """What can be folded in a net, by the names of its modules."""

    pairs: dict[str, str]  # a normalisation, and the layer that takes it
    left: dict[str, str]  # a normalisation that stays, and why


def fuse(net: nn.Module) -> nn.Module:
    """Return a copy of a net in evaluation mode, batch normalisation folded where possible.

    ``forward`` and ``forward_stages`` return what they did, but for rounding; a map of
    ``forward_features`` from between a layer and its normalisation would now be the normalised one.
    The copy can be exported, but no longer trained as before.

    Args:
        net: any net that takes images; left as it is.

    Raises:
        ValueError: if nothing can be folded, with the reason. ``folding`` lists all reasons.
    """
    found = folding(net)
    if not found.pairs:
        reasons = [f"{name} {reason}" for name, reason in found.left.items()]
        why = reasons[0] if reasons else "it has no batch normalisation"
        raise ValueError(f"{type(net).__name__} cannot be fused: {why}")
    return _folded(net, found)


def for_inference(net: nn.Module) -> nn.Module:
    """Return a copy of a net in the form for inference on a CPU that PyTorch alone gives.

    Evaluation mode, batch normalisation folded where possible, weights in the memory format
    channels last, which all maps then take over from the first convolution; images come in either
    format. A net without batch normalisation gains from the memory format alone, a net for volumes
    from folding alone: in 3-D the convolutions do not keep that format.

    Depthwise nets gain most. Of plain eager's time REUnet (reading of the code, base 32, one image
    of 256 px, one thread) takes 0.83 as described and 0.60 with the released wiring;
    ``torch.compile`` of the form 0.60 and 0.30, half a minute of compiling apart; exported to ONNX
    Runtime, which brings its own convolutions, 0.31 and 0.16: the fastest where it can be used.
    (CPU time, notebooks/results/benchmarks/inference_forms-cpu-2026-11-30.json.)

    Args:
        net: any net that takes images; left as it is.
    """
    fused = _folded(net, folding(net))
    images = _first_convolution(fused).weight.ndim == 4
    return fused.to(memory_format=torch.channels_last) if images else fused


def folding(net: nn.Module) -> Folding:
    """Find out which batch normalisations of a net can be folded, and why the others cannot.

    A layer can take a normalisation if its results are read by nothing else, and if the
    normalisation reads nothing else, as often as both are called. An image passes through
    ``forward_stages`` (``forward`` where there is none) on the meta device, where nothing is
    computed.

    Args:
        net: any net that takes images; left as it is.
    """
    net = _skeleton(net)
    first = _first_convolution(net)
    image = first.weight.new_empty(1, first.in_channels, *[SIDE] * (first.weight.ndim - 2))
    modules = dict(net.named_modules())
    watch = _Watch(modules)
    with torch.no_grad(), watch:
        outputs = getattr(net, "forward_stages", net)(image)
    watch.read.update(id(t) for t in tensors_of(outputs))
    found = Folding({}, {})
    for name, norm in modules.items():
        if isinstance(norm, BatchNorm):
            layer, reason = _layer_before(name, norm, watch)
            if layer and type(modules[layer]) in TRANSPOSED and modules[layer].groups > 1:
                reason = f"follows {layer}, a transposed convolution in groups"
            if reason:
                found.left[name] = reason
            else:
                found.pairs[name] = layer
    return found


class ScaledSqueezeExcite(nn.Module):
    """Squeeze-excite that took a batch normalisation along: ``a * SE(x) + b`` a channel.

    Maps ``(B, C, H, W)`` to the same shape in one pass; ``a`` joins the weights of the channels.
    """

    def __init__(self, se: SqueezeExcite, norm: BatchNorm):
        super().__init__()
        scale = norm.weight * torch.rsqrt(norm.running_var + norm.eps)
        self.weigh = se.weigh
        self.register_buffer("scale", scale.detach())
        self.register_buffer("shift", (norm.bias - norm.running_mean * scale).detach())

    def forward(self, x: Tensor) -> Tensor:
        """Return the weighed, scaled and shifted map ``(B, C, H, W)``."""
        weights = self.weigh(x.mean((2, 3))) * self.scale
        return torch.addcmul(self.shift[:, None, None], x, weights[:, :, None, None])


class _Watch(TorchFunctionMode):
    """Notes which layer's result each normalisation reads, and how often every result is read."""

    def __init__(self, modules: dict[str, nn.Module]):
        super().__init__()
        self.made: dict[int, str] = {}  # id of a result: name of its layer
        self.read: Counter[int] = Counter()  # id of a result: readers
        self.given: dict[str, list[int]] = {}  # name of a normalisation: ids of its inputs
        self.alive: list[Tensor] = []  # so that an id stays one tensor's
        for name, module in modules.items():
            if type(module) in TAKERS:
                module.register_forward_hook(self._note_result(name))
            elif isinstance(module, BatchNorm):
                module.register_forward_pre_hook(self._note_input(name))

    def _note_result(self, name: str):
        def hook(module, args, result):
            self.made[id(result)] = name
            self.alive.append(result)

        return hook

    def _note_input(self, name: str):
        def hook(module, args):
            self.given.setdefault(name, []).append(id(args[0]))
            self.alive.append(args[0])

        return hook

    def __torch_function__(self, func, types, args=(), kwargs=None):
        """Call an operation; reading a shape is no reading."""
        result = func(*args, **(kwargs or {}))
        if result is None or any(True for _ in tensors_of(result)):
            self.read.update(id(t) for t in tensors_of([args, kwargs]) if id(t) in self.made)
        return result


def _layer_before(name: str, norm: BatchNorm, watch: _Watch) -> tuple[str | None, str]:
    """Return the layer that can take a normalisation, and an empty reason; or why there is none."""
    inputs = watch.given.get(name, [])
    layers = {watch.made.get(i) for i in inputs}
    if not inputs:
        return None, "is not reached"
    if norm.running_mean is None or norm.weight is None:
        return None, "has no running statistics, or no weights"
    if None in layers:
        return None, "does not directly follow a convolution"
    if len(layers) > 1:
        return None, f"follows several layers: {', '.join(sorted(layers))}"
    (layer,) = layers
    results = {i for i, maker in watch.made.items() if maker == layer}
    others = [n for n, ids in watch.given.items() if n != name and results & set(ids)]
    if others:
        return None, f"shares {layer} with {', '.join(others)}"
    if results != set(inputs) or any(watch.read[i] > 1 for i in results):
        return None, f"is not the only one to read the result of {layer}"
    return layer, ""


def _folded(net: nn.Module, found: Folding) -> nn.Module:
    """Copy a net in evaluation mode, with these normalisations folded."""
    net = copy.deepcopy(net).eval()
    modules = dict(net.named_modules())
    swap: dict[nn.Module, nn.Module] = {}
    for norm, layer in found.pairs.items():
        taker, taken = modules[layer], modules[norm]
        if isinstance(taker, SqueezeExcite):
            swap[taker] = ScaledSqueezeExcite(taker, taken)
        else:
            swap[taker] = fuse_conv_bn_eval(taker, taken, transpose=type(taker) in TRANSPOSED)
        swap[taken] = nn.Identity()
    for parent in modules.values():
        for name, child in list(parent._modules.items()):  # a module may have several parents
            if child in swap:
                setattr(parent, name, swap[child])
    return net


def _skeleton(net: nn.Module) -> nn.Module:
    """Copy a net without its numbers, in evaluation mode."""
    empty: dict[int, object] = {}
    for p in net.parameters():
        empty[id(p)] = nn.Parameter(p.to("meta"), requires_grad=False)
    for b in net.buffers():
        empty[id(b)] = b.to("meta")
    return copy.deepcopy(net, empty).eval()


def _first_convolution(net: nn.Module) -> nn.Module:
    return next(m for m in net.modules() if isinstance(m, Convolution))
