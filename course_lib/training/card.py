"""What a file of weights says about itself: which net it is, and what images it was trained on."""

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import torch
from torch import nn

if TYPE_CHECKING:
    from course_lib.data.dataset import Dataset

CARD = "card"  # in the metadata of a file of weights, .safetensors and .onnx
DIVISOR = 255  # of 8-bit grey values: all images of the course enter a net as 0..1


@dataclass(frozen=True)
class Card:
    """Enough to use a net without the code that trained it.

    Raises:
        ValueError: for a threshold outside 0..1, or classes that do not fit the net's channels.
    """

    net: str
    """Preset, a key of ``models.PRESETS``; empty if the net did not come from ``models.create``."""
    options: dict
    """What ``models.create`` was given besides the preset."""
    in_channels: int
    num_classes: int
    """Channels of the logits; 1 for a binary task."""
    size: tuple[int, ...]
    """Height and width in px (of volumes depth, height and width) of the images in training."""
    classes: tuple[str, ...]
    """Names of the labels 0..K-1, background first."""
    threshold: float = 0.5
    """Of binary probabilities."""
    divisor: float = DIVISOR
    """What 8-bit grey values are divided by before they enter the net."""
    pruned: bool = False
    """The layers have fewer channels than the preset says; the weights' shapes tell how many."""

    def __post_init__(self):
        if not 0 < self.threshold < 1:
            raise ValueError(f"threshold must be between 0 and 1, got {self.threshold}")
        wanted = 2 if self.num_classes == 1 else self.num_classes
        if len(self.classes) != wanted:
            raise ValueError(
                f"a net of {self.num_classes} channels has {wanted} classes with the background, "
                f"got {len(self.classes)}: {', '.join(self.classes)}"
            )

    def to_json(self) -> str:
        """Return the card as text, as it lies in files."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> "Card":
        """Read what :meth:`to_json` wrote.

        Raises:
            ValueError: for text that is no card.
        """
        try:
            content = json.loads(text)
            lists = {key: tuple(content[key]) for key in ("size", "classes")}
            options = {key: _as_given(value) for key, value in content["options"].items()}
            return cls(**{**content, **lists, "options": options})
        except (KeyError, TypeError, AttributeError, json.JSONDecodeError) as error:
            raise ValueError(f"this is no card of a net: {text[:60]!r}") from error


def card_of(
    net: nn.Module, in_channels: int, size: tuple[int, ...], classes: tuple[str, ...], **known
) -> Card:
    """Describe a net; its logits are counted by one image of zeros.

    Args:
        net: a net from ``models.create``, on any device.
        in_channels: channels of the image.
        size: height and width in px of the images in training; of volumes depth too.
        classes: names of the labels 0..K-1, background first.
        **known: other fields of the card.

    Raises:
        ValueError: as :class:`Card`, or if the net refuses such an image.
    """
    weight = next(net.parameters())
    training = net.training
    with torch.no_grad():
        channels = net.eval()(weight.new_zeros(1, in_channels, *size)).shape[1]
    net.train(training)
    name, options = getattr(net, "recipe", ("", {}))
    known["pruned"] = getattr(net, "pruned", False)
    return Card(name, options, in_channels, channels, tuple(size), tuple(classes), **known)


def card_for(net: nn.Module, data: "Dataset") -> Card:
    """Describe a net that is trained on a data set."""
    channels, *size = data.all_images.shape[1:]
    return card_of(net, channels, tuple(size), tuple(data.class_names))


def _as_given(value):
    """Return tuples where JSON has lists."""
    return tuple(map(_as_given, value)) if isinstance(value, list) else value
