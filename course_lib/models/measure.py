"""What a net costs and what it sees: parameters, MACs, kept maps, receptive field, reach."""

import contextlib
import copy
import time
from collections.abc import Iterator, Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode


def count_parameters(net: nn.Module, buffers: bool = False) -> int:
    """Count the trainable numbers of a net.

    Args:
        net: any module; a parameter used twice counts once.
        buffers: add the floating-point buffers (running statistics of batch normalisation), which
            gives what Keras prints as "total".
    """
    count = sum(p.numel() for p in net.parameters() if p.requires_grad)
    if buffers:
        count += sum(b.numel() for b in net.buffers() if b.is_floating_point())
    return count


def count_macs(net: nn.Module, shape: tuple[int, ...]) -> int:
    """Count the multiply-accumulates of one ``forward`` in evaluation mode.

    Counted are convolutions, linear layers and matrix products, a transposed convolution on its
    input grid; not counted are biases, normalisation, activations, pooling and resizing. Nothing
    is computed: shapes alone pass through the net, on the meta device.

    Args:
        net: any module that takes images or volumes; left as it is.
        shape: ``(C, H, W)`` of one image in pixels, or ``(C, D, H, W)`` of one volume.

    Raises:
        ValueError: if ``shape`` is not three or four sizes, or if the net refuses it.
    """
    if len(shape) not in (3, 4):
        raise ValueError(f"shape must be (C, H, W) or (C, D, H, W), got {tuple(shape)}")
    state = {name: t.to("meta") for name, t in [*net.named_parameters(), *net.named_buffers()]}
    with _evaluating(net), torch.no_grad(), FlopCounterMode(display=False) as counter:
        torch.func.functional_call(net, state, torch.empty(1, *shape, device="meta"))
    return counter.get_total_flops() // 2  # a multiplication and an addition are two FLOPs


def receptive_field(
    layers: Sequence[tuple[int, int]] | nn.Module,
    shape: tuple[int, int, int] | None = None,
    feature: str | None = None,
) -> int:
    """Return how many input pixels along a side one output pixel depends on.

    Args:
        layers: ``(kernel, stride)`` of every layer in order, for the formula
            ``r += (kernel - 1) * j``, then ``j *= stride``; or a net, whose input gradient is
            measured.
        shape: for a net: ``(C, H, W)`` of the image in pixels, wider than the field. A result equal
            to a side of it means: that far at least.
        feature: for a net: the map of ``forward_features`` to look at; by default the logits.

    Returns:
        Pixels. Behind pooling and upsampling the field depends on the place by a few pixels; the
        measured one is that of the centre.

    Raises:
        ValueError: for a layer whose kernel or stride is below 1, or a net without a shape.

    >>> receptive_field([(3, 1), (3, 1), (2, 2), (3, 1)])
    10
    """
    if isinstance(layers, nn.Module):
        if shape is None:
            raise ValueError("the field of a net is measured on an image: give shape=(C, H, W)")
        return _measured_field(layers, shape, feature)
    field = jump = 1
    for kernel, stride in layers:
        if kernel < 1 or stride < 1:
            raise ValueError(f"kernel and stride must be at least 1, got ({kernel}, {stride})")
        field += (kernel - 1) * jump
        jump *= stride
    return field


def seconds_in_turns(
    nets: Mapping[str, nn.Module], x: Tensor, rounds: int
) -> dict[str, list[float]]:
    """Time the forward passes of nets that take turns on one thread, without gradients.

    Args:
        nets: name to net, each in the mode in which it is to be timed.
        x: input of all nets, such as ``(1, C, H, W)``.
        rounds: turns that count; one before them does not, for the first pass is slower.

    Returns:
        Name to wall seconds of every round.
    """
    seconds: dict[str, list[float]] = {name: [] for name in nets}
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.inference_mode():
            for _ in range(rounds + 1):
                for name, net in nets.items():
                    begun = time.perf_counter()
                    net(x)
                    seconds[name].append(time.perf_counter() - begun)
    finally:
        torch.set_num_threads(threads)
    return {name: times[1:] for name, times in seconds.items()}


def unreached_parameters(net: nn.Module, x: Tensor) -> list[str]:
    """Name the parameters that no output depends on, so that training leaves them as drawn.

    Backward runs through everything that ``forward_stages`` returns, or through ``forward`` where
    a net has no stages. Weights, gradients and running statistics of ``net`` stay as they are.

    Args:
        net: any net.
        x: images ``(B, C, H, W) float``.
    """
    names, parameters = zip(*net.named_parameters(), strict=True)
    with _evaluating(net), torch.enable_grad():
        outputs = getattr(net, "forward_stages", net)(x)
        loss = sum(t.float().square().mean() for t in tensors_of(outputs))
    gradients = torch.autograd.grad(loss, parameters, allow_unused=True)
    return [name for name, g in zip(names, gradients, strict=True) if g is None]


def kept_bytes(net: nn.Module, x: Tensor) -> int:
    """Measure the maps that one forward pass in training keeps for the backward pass, in bytes.

    Every storage counts once; weights and what has fewer than four axes are left out. A copy runs,
    so that running statistics of ``net`` stay as they are.

    Args:
        net: any net.
        x: images ``(B, C, H, W) float``.
    """
    net = copy.deepcopy(net).train()
    maps, weights = {}, {p.untyped_storage().data_ptr() for p in net.parameters()}

    def keep(t: Tensor) -> Tensor:
        place = t.untyped_storage().data_ptr()
        if t.dim() == 4 and place not in weights:
            maps[place] = t.untyped_storage().nbytes()
        return t

    with torch.enable_grad(), torch.autograd.graph.saved_tensors_hooks(keep, lambda t: t):
        out = net(x)  # holds the graph, so that no storage is given out twice
    del out
    return sum(maps.values())


def tensors_of(outputs) -> Iterator[Tensor]:
    """Yield every tensor of nested tuples, lists and dicts, in order."""
    if isinstance(outputs, Tensor):
        yield outputs
    elif isinstance(outputs, Mapping):
        yield from tensors_of(list(outputs.values()))
    elif isinstance(outputs, (tuple, list)):
        for part in outputs:
            yield from tensors_of(part)


def _measured_field(net: nn.Module, shape: tuple[int, int, int], feature: str | None) -> int:
    """Return the larger side of the box of input pixels with a gradient from the centre.

    Max pooling passes its gradient to one pixel of a window only. With equal positive weights a
    brightness ramp stays a ramp through every layer, so that pixel is the brightest corner: a ramp
    up and a ramp down show both ends of the field.
    """
    net = _averaging_copy(net)
    channels, height, width = shape
    ramp = torch.linspace(1, 2, height)[:, None] + torch.linspace(1, 2, width)
    touched = torch.zeros(height, width, dtype=torch.bool)
    for image in (ramp, ramp.flip(0, 1)):
        x = image.double().expand(1, channels, height, width).clone().requires_grad_()
        out = net(x) if feature is None else net.forward_features(x)[feature]
        centre = out[0, :, out.shape[2] // 2, out.shape[3] // 2].sum()
        touched |= torch.autograd.grad(centre, x)[0][0].ne(0).any(0)
    sides = [torch.nonzero(touched.any(axis)).flatten() for axis in (0, 1)]
    return max(int(side[-1] - side[0]) + 1 for side in sides)


def _averaging_copy(net: nn.Module) -> nn.Module:
    """Copy a net in float64, every weight the mean of its inputs and every normalisation off."""
    net = copy.deepcopy(net).cpu().double().eval()
    for name, p in net.named_parameters():
        is_weight = name.endswith("weight")
        p.data.fill_(1 / p[0].numel() if p.ndim > 1 else float(is_weight))
    for name, b in net.named_buffers():
        if b.is_floating_point():
            b.fill_(float(name.endswith("var")))
    return net


@contextlib.contextmanager
def _evaluating(net: nn.Module) -> Iterator[None]:
    """Put a net in evaluation mode, and every module of it back to its own mode afterwards."""
    modes = {module: module.training for module in net.modules()}
    net.eval()
    try:
        yield
    finally:
        for module, training in modes.items():
            module.training = training
