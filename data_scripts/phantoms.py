"""Generated images whose difficulty is known; made on first use, nothing to download."""

from pathlib import Path

from course_lib.data import phantoms

TITLE = "Generated images with known difficulty, 64 px unless a size is given"
MODALITY = "generated: dermoscopy, ultrasound, nuclei, cardiac and X-ray looks"
URL = ""
LICENCE = "CC0-1.0"
CITATION = ""
ACCESS = "generated"
FLAWS = ("Not patients: good for learning how methods behave, no evidence about medicine.",)


def get(to: Path) -> Path:
    """Refuse: there is nothing to download.

    Raises:
        ValueError: Always.
    """
    raise ValueError(f"phantoms are generated, nothing is downloaded to {to}")


def prepare(source: Path | None, to: Path | str, size: int = 64) -> Path:
    """Generate the embedded set, also at another size; the same set in ``to`` is kept.

    Args:
        source: Not used; there is no archive.
        to: The folder to write.
        size: Side in px, 32 to 512.

    Returns:
        The folder.

    Raises:
        ValueError: The size is out of range, or ``to`` cannot be written.
    """
    return phantoms.prepare(to, n=600, size=size, seed=2026, look="mixed")
