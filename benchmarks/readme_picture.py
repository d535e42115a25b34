"""Draw the picture at the top of README.md: `python benchmarks/readme_picture.py`."""

from pathlib import Path

from course_lib import drawing, figures
from course_lib.data import phantoms

LOOKS = ("dermoscopy", "ultrasound", "nuclei", "cardiac", "xray")
TARGET = Path(__file__).parents[1] / "notebooks" / "results" / "readme.png"


def main() -> None:
    """Write one case a look, with its mask as an outline."""
    made = [phantoms.generate(1, size=128, seed=7, look=look) for look in LOOKS]
    fig, alt = drawing.outlines(
        [one.images[0] for one in made],
        [one.masks[0] for one in made],
        [0 * one.masks[0] for one in made],
        names=list(LOOKS),
        title="Generated images in five looks; the outline is the exact mask",
    )
    TARGET.write_bytes(figures.show(fig, alt))


if __name__ == "__main__":
    main()
