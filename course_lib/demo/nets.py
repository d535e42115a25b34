"""The nets of the page: their files, and what the page must know of each."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import nn

from course_lib import export, predict
from course_lib.data import atomic
from course_lib.training.card import Card


@dataclass(frozen=True)
class Net:
    """What ``demo.json`` says of a net; ``file`` is as seen from the page, ``bytes`` its size."""

    title: str
    file: str
    bytes: int
    in_channels: int
    height: int
    width: int
    divisor: float
    threshold: float


def write(weights: Sequence[Path], into: Path) -> list[Net]:
    """Write every net as an ONNX file into the folder ``nets`` of the page.

    Args:
        weights: files that :func:`course_lib.predict.load` reads.
        into: folder of the page.

    Raises:
        ValueError: A file cannot be read, or its net cannot be exported or takes no images of 1 or
            3 channels.
    """
    loaded = [_load(file) for file in weights]
    titles = _titles(weights, [card for _, card in loaded])
    nets = []
    for number, (source, title, (net, card)) in enumerate(
        zip(weights, titles, loaded, strict=True), start=1
    ):
        name = f"nets/{number}.onnx"
        size = _write_onnx(into / name, net, card, source)
        known = (card.in_channels, *card.size, card.divisor, card.threshold)
        nets.append(Net(title, name, size, *known))
    return nets


def _load(file: Path) -> tuple[nn.Module, Card]:
    net, card = predict.load(file)
    if card.in_channels not in (1, 3):
        raise ValueError(
            f"{file} holds a net of {card.in_channels} channels; a browser has grey and RGB images"
        )
    return net, card


def _write_onnx(file: Path, net: nn.Module, card: Card, source: Path) -> int:
    """Write the net and return the size of the file in bytes."""
    if isinstance(net, predict.OnnxNet):
        atomic.write_file(file, source.read_bytes())
    else:
        export.to_onnx(net, file, card.size, classes=card.classes, threshold=card.threshold)
    return file.stat().st_size


def _titles(weights: Sequence[Path], cards: Sequence[Card]) -> list[str]:
    """Name the nets; those of the same name say which file they are."""
    names = [
        (card.net or file.stem) + (", pruned" if card.pruned else "")
        for file, card in zip(weights, cards, strict=True)
    ]
    return [
        f"{name} ({file.parent.name}/{file.name})" if names.count(name) > 1 else name
        for name, file in zip(names, weights, strict=True)
    ]
