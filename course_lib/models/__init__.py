"""The nets of the course, built by name."""

from collections.abc import Callable

from torch import nn

from course_lib.models import measure
from course_lib.models.unet import UNet, unet, unet_bn, unet_small

__all__ = ["NAMES", "PRESETS", "UNet", "create", "measure"]

# One line a preset; a net's own name is its preset as published.
PRESETS: dict[str, Callable[..., nn.Module]] = {
    "unet": unet,
    "unet_bn": unet_bn,
    "unet_small": unet_small,
}
# Preset -> class: where its options, departures and ablations are written down.
NETS: dict[str, type[nn.Module]] = {
    "unet": UNet,
}
NAMES = tuple(NETS)


def create(name: str, **options) -> nn.Module:
    """Build a net by the name of a preset.

    Args:
        name: a key of ``PRESETS``.
        **options: arguments of the net's class that replace the preset's, for example
            ``in_channels=1, num_classes=4, base=16``; without them nets map 3 channels to 1.

    Returns:
        The net with freshly drawn weights, in training mode.

    Raises:
        ValueError: for an unknown name, or a value that the net refuses.
        TypeError: for an option that the net does not have.
    """
    if name not in PRESETS:
        raise ValueError(f"no net is called {name!r}; choose one of {', '.join(PRESETS)}")
    return PRESETS[name](**options)
