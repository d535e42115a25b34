"""From a trained net to a smaller, faster file that runs without PyTorch: ONNX, int8, pruning."""

import copy
import logging
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd

from course_lib import models
from course_lib.data import atomic
from course_lib.data.resize import size_pair
from course_lib.models.fuse import SIDE
from course_lib.models.measure import tensors_of
from course_lib.training.card import CARD, DIVISOR, Card, card_of
from course_lib.training.evaluate import evaluating

TOLERANCE = 1e-4  # between PyTorch and ONNX Runtime, beside the largest logit where that is above 1
STEPS = (1, 2, 4, 8, 16, 32, 64)  # px: sides may have to be multiples of one of them


def to_onnx(
    net: nn.Module,
    file: Path | str,
    size: int | tuple[int, int],
    *,
    classes: tuple[str, ...] = ("background", "foreground"),
    threshold: float = 0.5,
) -> Card:
    """Write a net as one ONNX file that maps ``image`` to ``logits``.

    ``image`` is ``(batch, in_channels, height, width) float32`` in 0..1. The batch is free, and so
    are the sides where the net's layers allow it (in the multiples that the net itself asks for);
    otherwise they are ``size``. The form is the one for inference: heads of training left out,
    batch normalisation folded. The file carries its card: see :class:`course_lib.training.card`.

    Before the file is written, ONNX Runtime and PyTorch are compared on random images.

    Args:
        net: a net for images; left as it is.
        file: where to write; replaced if it exists.
        size: height and width in px of the images in training, one number for a square.
        classes: names of the labels 0..K-1, background first.
        threshold: of binary probabilities.

    Returns:
        The card in the file.

    Raises:
        ValueError: if the net cannot be exported (with the reason), computes something else in ONNX
            Runtime (by more than 1e-4), or the file cannot be written.
    """
    height, width = size_pair(size)
    card = card_of(net, _in_channels(net), (height, width), classes, threshold=threshold)
    try:
        form = _deployed(net)
        content = _serialised(form, card)
    except RuntimeError as error:  # all that torch.export and the ONNX exporter raise
        reason = _first_line(error.__cause__ or error)
        raise ValueError(f"{type(net).__name__} cannot be exported to ONNX: {reason}") from error
    _compare(form, content, card)
    atomic.write_file(Path(file), content)
    return card


def quantise(onnx_file: Path | str, out_file: Path | str, images: np.ndarray | Tensor) -> None:
    """Write an ONNX file again with int8 weights and uint8 maps.

    Static quantisation: every output channel of a convolution has its own scale, every map one,
    from the range it takes on the given images.

    Args:
        onnx_file: what :func:`to_onnx` wrote.
        out_file: where to write; replaced if it exists. The card is taken over.
        images: for calibration ``(N, C, H, W)`` uint8, or float in 0..1; of the size in training, a
            few dozen such as those to come, none of them a test image.

    Raises:
        ValueError: the file is no ONNX file, the images do not fit, or nothing can be written.

    Source: Krishnamoorthi, "Quantizing deep convolutional networks for efficient inference", 2018,
        section 3; carried out by ONNX Runtime.
    """
    import onnx
    from onnxruntime import quantization
    from onnxruntime.quantization.shape_inference import quant_pre_process

    images = _fractions(images)
    with tempfile.TemporaryDirectory() as folder:
        prepared, out = Path(folder) / "prepared.onnx", Path(folder) / "int8.onnx"
        try:
            with _quiet():
                quant_pre_process(onnx_file, prepared, skip_symbolic_shape=True)
                quantization.quantize_static(
                    prepared,
                    out,
                    _Images(images),
                    quant_format=quantization.QuantFormat.QDQ,
                    per_channel=True,
                    activation_type=quantization.QuantType.QUInt8,
                    weight_type=quantization.QuantType.QInt8,
                )
        except Exception as error:  # damaged bytes and images of another shape: errors of any kind
            reason = _first_line(error)
            raise ValueError(f"cannot quantise {onnx_file} by these images: {reason}") from error
        model = onnx.load(out)
    _shorten(model)
    atomic.write_file(Path(out_file), model.SerializeToString())


def _shorten(model) -> None:
    """Number the maps of an ONNX model: long names would be a fifth of a small int8 net's file."""
    del model.graph.value_info[:]
    numbers = {value.name: value.name for value in (*model.graph.input, *model.graph.output)}
    numbers[""] = ""  # an optional input that is left out
    for node in model.graph.node:
        node.name = ""
        for names in (node.input, node.output):
            names[:] = [numbers.setdefault(name, f"{len(numbers):x}") for name in names]
    for weight in model.graph.initializer:
        weight.name = numbers.setdefault(weight.name, f"{len(numbers):x}")


def prune(net: nn.Module, share: float) -> nn.Module:
    """Return a copy of a net with the weakest channels of every layer removed, to be trained again.

    Structured pruning: the filters with the smallest mean of absolute weights go, and with them
    everything that read or scaled their maps, so that the copy has fewer parameters and operations.
    Layers whose channels are added to each other lose the same ones. The logits keep their
    channels. The copy is a net like any other: ``training.fit`` trains it, its file of weights is
    read by ``predict.load``, ``to_onnx`` exports it. Its ``pruned`` is True, as is its card's.

    Args:
        net: a net for images, from ``models.create``; left as it is. What ``forward_stages`` does
            not reach, such as the head of a pretext task, is not adapted.
        share: part of the channels of every layer to remove, above 0 and below 1.

    Raises:
        ValueError: for a share out of range, or a net in which channels are tied to each other in a
            way that is not found by following one image through it: GREnet's, whose memory is
            filled up with zeros and cut into four gates.

    Source: Li et al., "Pruning filters for efficient ConvNets", 2017; which layers depend on each
        other is found by torch-pruning (Fang et al., "DepGraph", CVPR 2023).
    """
    import torch_pruning

    if not 0 < share < 1:
        raise ValueError(f"share must be between 0 and 1, got {share}")
    smaller = copy.deepcopy(net).cpu()
    image = torch.zeros(1, _in_channels(net), SIDE, SIDE)
    try:
        with evaluating(smaller), torch.enable_grad(), _quiet():
            shape = smaller(image).shape
            torch_pruning.pruner.MagnitudePruner(
                smaller,
                image,
                torch_pruning.importance.MagnitudeImportance(p=1),
                pruning_ratio=share,
                ignored_layers=[m for m in smaller.modules() if _channels(m) == shape[1]],
                forward_fn=lambda net, x: list(_outputs(net, x)),
                output_transform=lambda outputs: sum(t.sum() for t in outputs),
            ).step()
            if {t.shape[1] for t in _outputs(smaller, image)} != {shape[1]}:
                raise ValueError("the channels of its logits would change")
    except Exception as error:  # what the tracer does not know ends in errors of any kind
        raise ValueError(
            f"{type(net).__name__} cannot be pruned: torch-pruning does not see how its channels "
            f"depend on each other ({_first_line(error)})"
        ) from error
    smaller.pruned = True
    return smaller.to(next(net.parameters()).device)


def _outputs(net: nn.Module, image: Tensor) -> Iterator[Tensor]:
    """Yield all logits that training looks at."""
    return tensors_of(getattr(net, "forward_stages", net)(image))


def _channels(module: nn.Module) -> int | None:
    """Return the output channels of a convolution."""
    return module.out_channels if isinstance(module, _ConvNd) else None


def _in_channels(net: nn.Module) -> int:
    """Return the channels of the images that a net reads."""
    return next(m for m in net.modules() if isinstance(m, _ConvNd)).in_channels


class _Images:
    """Hands calibration images to ONNX Runtime, one at a time."""

    def __init__(self, images: np.ndarray):
        self.rest = iter(images)

    def get_next(self) -> dict[str, np.ndarray] | None:
        image = next(self.rest, None)
        return None if image is None else {"image": image[None]}


def _first_line(error: BaseException) -> str:
    """Return the first line of what an error says, or its kind if it says nothing."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__)


def _fractions(images: np.ndarray | Tensor) -> np.ndarray:
    """Return images ``(N, C, H, W)`` float32 in 0..1."""
    images = np.asarray(images)
    if images.ndim != 4 or not len(images):
        raise ValueError(f"calibration images must be (N, C, H, W), got {images.shape}")
    return images.astype(np.float32) / (DIVISOR if images.dtype == np.uint8 else 1)


def _deployed(net: nn.Module) -> nn.Module:
    """Return a copy of the net as inference needs it, on the CPU."""
    net = net.deployed() if hasattr(net, "deployed") else net
    return models.for_inference(net).cpu().to(memory_format=torch.contiguous_format)


def _serialised(net: nn.Module, card: Card) -> bytes:
    """Return the ONNX file of a net, with free sides or, where that fails, with those of size."""
    (height, width), step = card.size, _step(net, card)
    batch = {0: torch.export.Dim("batch", min=1)}
    sides = {2: _side("height", height, step), 3: _side("width", width, step)}
    try:  # torch.export takes sides that are equal, or of one pixel at the bottom, for fixed ones
        model = _traced(net, (2, card.in_channels, 2 * height, 3 * width), batch | sides)
    except torch.onnx.OnnxExporterError:
        model = _traced(net, (2, card.in_channels, height, width), batch)
    return _without_traces(model, card)


def _traced(net: nn.Module, shape: tuple[int, ...], free: dict):
    """Return the ONNX model of a net for images of a shape, some of whose axes are free."""
    with _quiet():
        program = torch.onnx.export(
            net,
            (torch.zeros(shape),),
            input_names=["image"],
            output_names=["logits"],
            dynamic_shapes=(free,),
            dynamo=True,
            external_data=False,
            verbose=False,
        )
    return program.model


def _without_traces(model, card: Card) -> bytes:
    """Return the file without the stack trace of every node: a fifth of a small net's."""
    import onnx_ir

    for node in model.graph.all_nodes():
        node.metadata_props.clear()
        node.doc_string = None
    model.metadata_props.clear()
    model.metadata_props[CARD] = card.to_json()
    written = onnx_ir.serde.serialize_model(model)
    del written.graph.value_info[:]  # shapes, which a reader infers again
    return written.SerializeToString()


def _side(name: str, trained: int, step: int):
    """Return a free side in multiples of a step."""
    return (
        torch.export.Dim(name, min=2 * trained)
        if step == 1
        else step * torch.export.Dim(name, min=2)
    )


def _step(net: nn.Module, card: Card) -> int:
    """Return the smallest step in px by which the sides may differ from those in training."""
    height, width = card.size
    net = copy.deepcopy(net).to("meta")  # where nothing is computed
    for step in STEPS:
        try:
            net(torch.zeros(1, card.in_channels, height + step, width + step, device="meta"))
        except (ValueError, RuntimeError):
            continue
        return step
    return 1


def _compare(net: nn.Module, content: bytes, card: Card) -> None:
    """Refuse a file that does not compute what the net computes."""
    import onnxruntime

    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    image = torch.rand(2, card.in_channels, *card.size, generator=torch.Generator().manual_seed(0))
    (found,) = session.run(None, {"image": image.numpy()})
    with torch.no_grad():
        expected = net(image).numpy()
    error = np.abs(found - expected).max() / max(1, np.abs(expected).max())
    if not error <= TOLERANCE:
        raise ValueError(
            f"{type(net).__name__} computes something else in ONNX Runtime: logits differ by "
            f"{error:.1e}, at most {TOLERANCE:.0e} is allowed"
        )


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep back what the exporters tell their own developers."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
