"""The nets of the course, built by name."""

from collections.abc import Callable

from torch import nn

from course_lib.models import attention_unet, bionet, grenet, measure, plnet, reunet, sigrenet, unet
from course_lib.models.fuse import for_inference, fuse

__all__ = [
    "NAMES",
    "PRESETS",
    "attention_unet",
    "bionet",
    "create",
    "for_inference",
    "fuse",
    "grenet",
    "measure",
    "plnet",
    "reunet",
    "sigrenet",
    "unet",
]

# One line a preset; the one with the net's own name is the net as published.
PRESETS: dict[str, Callable[..., nn.Module]] = {
    "unet": unet.unet,
    "unet_bn": unet.unet_bn,
    "unet_small": unet.unet_small,
    "attention_unet": attention_unet.attention_unet,
    "reunet": reunet.reunet,
    "reunet_released": reunet.reunet_released,
    "reunet_base8": reunet.reunet_base8,
    "reunet_base4": reunet.reunet_base4,
    "grenet": grenet.grenet,
    "sigrenet": sigrenet.sigrenet,
    "sigrenet_wide": sigrenet.sigrenet_wide,
    "sigrenet_tiny": sigrenet.sigrenet_tiny,
    "bionet": bionet.bionet,
    "plnet": plnet.plnet,
    "plnet_dagger": plnet.plnet_dagger,
}
# The nets themselves; every other preset is one of them with other options.
NAMES = ("unet", "attention_unet", "reunet", "grenet", "bionet", "plnet", "sigrenet")


def create(name: str, **options) -> nn.Module:
    """Build a net by the name of a preset.

    Args:
        name: a key of ``PRESETS``.
        **options: arguments of the net's class that replace the preset's, for example
            ``in_channels=1, num_classes=4, base=16``; without them nets map 3 channels to 1.

    Returns:
        The net with freshly drawn weights, in training mode; ``net.recipe`` is the name and the
        options, so that a file of its weights can say which net they belong to.

    Raises:
        ValueError: for an unknown name, or a value that the net refuses.
        TypeError: for an option that the net does not have.
    """
    if name not in PRESETS:
        raise ValueError(f"no net is called {name!r}; choose one of {', '.join(PRESETS)}")
    net = PRESETS[name](**options)
    net.recipe = (name, options)
    return net
