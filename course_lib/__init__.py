"""The library behind the notebooks of the segmentation course."""

__version__ = "0.1.0"
