"""A net from a file of weights: what training wrote (safetensors), or what was exported (ONNX)."""

from pathlib import Path

import safetensors.torch
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from course_lib import models
from course_lib.models.widths import take_widths
from course_lib.training.card import CARD, Card


class OnnxNet(nn.Module):
    """A net that ONNX Runtime computes on the CPU: images ``(B, C, H, W)`` to logits."""

    def __init__(self, session):
        super().__init__()
        self.session = session

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits ``(B, K, H, W)`` on the images' device."""
        (logits,) = self.session.run(None, {"image": images.cpu().numpy()})
        return torch.from_numpy(logits).to(images.device)


def load(file: Path | str) -> tuple[nn.Module, Card]:
    """Return the net of a file, ready for inference, and its card.

    Args:
        file: ``best.safetensors`` of a training of this course, or an ``.onnx`` file of
            :func:`course_lib.export.to_onnx` or :func:`course_lib.export.quantise`.

    Raises:
        ValueError: the file is missing, damaged, of another kind, does not say which net it is, or
            holds a net for volumes.
    """
    file = Path(file)
    if not file.is_file():
        raise ValueError(f"there is no file {file}")
    readers = {".safetensors": _safetensors, ".onnx": _onnx}
    if file.suffix.lower() not in readers:
        raise ValueError(f"{file} is no file of weights; choose a .safetensors or .onnx file")
    net, card = readers[file.suffix.lower()](file)
    if len(card.size) != 2:
        raise ValueError(f"{file} holds a net for volumes; predictions are made of images only")
    return net, card


def _safetensors(file: Path) -> tuple[nn.Module, Card]:
    try:
        with safe_open(file, "pt") as opened:
            known = opened.metadata() or {}
        weights = safetensors.torch.load_file(file)
    except SafetensorError as error:
        raise ValueError(f"{file} is damaged or no safetensors file ({error})") from error
    card = _card(file, known)
    if not card.net:
        raise ValueError(
            f"{file} holds a net that models.create did not make; export it with export.to_onnx"
        )
    try:
        net = models.create(card.net, **card.options)
        if card.pruned:
            take_widths(net, weights)
        net.load_state_dict(weights)
    except (ValueError, TypeError, RuntimeError) as error:
        raise ValueError(
            f"{file} does not hold the weights of {card.net}, which it claims to be: was the net "
            "changed after models.create?"
        ) from error
    return models.for_inference(net), card


def _onnx(file: Path) -> tuple[nn.Module, Card]:
    import onnxruntime

    try:
        session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    except Exception as error:  # damaged bytes end in errors of many kinds
        raise ValueError(f"{file} is damaged or no ONNX file; export the net again") from error
    return OnnxNet(session), _card(file, session.get_modelmeta().custom_metadata_map)


def _card(file: Path, known: dict[str, str]) -> Card:
    if CARD not in known:
        raise ValueError(
            f"{file} does not say which net it is; train it with training.fit, or export it with "
            "export.to_onnx"
        )
    return Card.from_json(known[CARD])
