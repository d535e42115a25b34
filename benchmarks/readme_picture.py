"""Draw the picture at the top of README.md: `python benchmarks/readme_picture.py`."""

from pathlib import Path

from course_lib import figures
from course_lib.data import phantoms
from course_lib.drawing import panels

LOOKS = ("dermoscopy", "ultrasound", "nuclei", "cardiac", "xray")
TARGET = Path(__file__).parents[1] / "notebooks" / "results" / "readme.png"


def main() -> None:
    """Write one case a look, with its mask as an outline."""
    title = "Generated images in five looks; the outline is the exact mask"
    fig, axes = figures.new(1, len(LOOKS), height=1.9, title=title)
    for ax, look in zip(axes, LOOKS, strict=True):
        made = phantoms.generate(1, size=128, seed=7, look=look)
        figures.image(ax, made.images[0])
        panels.outline(ax, made.masks[0] > 0, figures.TARGET)
        ax.set_title(look)
    alt = f"One generated image for each of {', '.join(LOOKS)}, its mask outlined in blue."
    TARGET.write_bytes(figures.show(fig, alt))


if __name__ == "__main__":
    main()
