"""A web page that runs exported nets in the browser: a folder that any web server can hand out."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from course_lib.data import atomic
from course_lib.demo import examples, nets, runtime

PAGE = Path(__file__).with_name("page")
HOUSE = Path(__file__).parents[1] / "cli" / "report.css"  # how all pages of the course look


def write(weights: Sequence[Path], out: Path) -> Path:
    """Write the page with its nets, its examples and ONNX Runtime for browsers.

    The page needs nothing from elsewhere. It brings images to the size in training and
    probabilities back to the image as :mod:`course_lib.predict` does.

    Args:
        weights: files of nets to show beside one another; see
            :func:`course_lib.predict.load`.
        out: a folder that does not exist yet or is empty.

    Returns:
        The folder.

    Raises:
        ValueError: ``out`` is a file or holds something, a file of weights cannot be used,
            ONNX Runtime cannot be fetched, or the disk refuses. Nothing is written then.
    """
    out = out.resolve()
    if out.exists() and not _is_empty(out):
        raise ValueError(f"{out} is a file or holds files; give --out a new or empty folder")
    with atomic.new_folder(out, may_replace=_is_empty) as folder:
        shown = nets.write(weights, folder)
        runtime.unpack(folder / "runtime")
        channels = min(net.in_channels for net in shown)
        about = {
            "nets": [asdict(net) for net in shown],
            "examples": examples.write(folder, channels),
        }
        for file in PAGE.iterdir():
            atomic.write_file(folder / file.name, file.read_bytes())
        atomic.write_file(folder / "house.css", HOUSE.read_bytes())
        atomic.write_file(folder / "demo.json", json.dumps(about, indent=1).encode())
    return out


def _is_empty(folder: Path) -> bool:
    return folder.is_dir() and not any(folder.iterdir())
