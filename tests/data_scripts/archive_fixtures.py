"""Small generated archives that look like the published ones, quirks included."""

import io
import signal
import subprocess
import sys
import time
import zipfile

import numpy as np
from PIL import Image

from data_scripts import common

SLOW = """
import os, sys, time
from pathlib import Path
slow = os.fsync
os.fsync = lambda handle: (time.sleep(0.5), slow(handle))
import data_scripts
data_scripts.load(sys.argv[1]).prepare(Path(sys.argv[2]), Path(sys.argv[3]), 32)
"""

LIMITED = """
import resource, sys
from pathlib import Path
import data_scripts
script = data_scripts.load(sys.argv[1])
resource.setrlimit(resource.RLIMIT_FSIZE, (3000, 3000))
try:
    script.prepare(Path(sys.argv[2]), Path(sys.argv[3]), 32)
except ValueError as error:
    print(error)
"""


def png(array, mode):
    """Bytes of a PNG; `array` has the values of `mode`."""
    file = io.BytesIO()
    image = Image.fromarray(np.asarray(array, dtype=np.uint8))
    (image.convert(mode) if image.mode != mode else image).save(file, "PNG")
    return file.getvalue()


def write_zip(path, members):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in members.items():
            file.writestr(name, content)
    return path


def group_ids():
    """Image ids of the published nuclei, by group."""
    table = common.read_table("dsb2018_groups.csv")
    return table.groupby("group").groups


def disc(shape, y, x, radius):
    rows, columns = np.ogrid[: shape[0], : shape[1]]
    return (rows - y) ** 2 + (columns - x) ** 2 <= radius**2


def nuclei_members(top=""):
    """Five cases: two halves of one field, inverted gray, colour, and one unknown id.

    Returns:
        Members of the archive, and the mask (h, w) bool of every case by its 8-digit id.
    """
    by_group = group_ids()
    pair = list(by_group["m000"][:2])
    inverted, colour = by_group["m002"][0], by_group["m003"][0]
    field = [disc((40, 96), 12, 20, 6), disc((40, 96), 12, 32, 6), disc((40, 96), 25, 48, 7)]
    field.append(disc((40, 96), 38, 80, 6))
    members, masks = {}, {}
    sides = (slice(0, 48), slice(48, 96))
    for case, side in zip(pair, sides, strict=True):
        nuclei = [nucleus[:, side] for nucleus in field]
        add_nuclei(members, masks, top, case, nuclei, (20, 20, 20), (60, 60, 60))
    nuclei = [disc((50, 36), 10, 10, 5), disc((50, 36), 10, 20, 5), disc((50, 36), 49, 18, 6)]
    add_nuclei(members, masks, top, inverted, nuclei, (230, 230, 230), (90, 90, 90))
    add_nuclei(members, masks, top, colour, nuclei, (220, 170, 220), (110, 40, 130))
    add_nuclei(members, masks, top, "f" * 64, nuclei[:1], (10, 10, 10), (200, 200, 200))
    return members, masks


def add_nuclei(members, masks, top, case, nuclei, ground, ink):
    nuclei = [nucleus for nucleus in nuclei if nucleus.any()]
    union = np.any(nuclei, axis=0)
    pixels = np.where(union[..., None], ink, ground)
    alpha = np.full((*union.shape, 1), 255)
    image = np.concatenate([pixels, alpha], axis=2)
    for folder in ("", "images/", "masks/"):
        members[f"{top}{case}/{folder}"] = b""
    members[f"{top}{case}/images/{case}.png"] = png(image, "RGBA")
    for i, nucleus in enumerate(nuclei):
        members[f"{top}{case}/masks/{i:064x}.png"] = png(nucleus * 255, "L")
    masks[case[:8]] = union


def busi_members(top="Dataset_BUSI_with_GT/"):
    """Eight cases with the quirks of the published archive.

    Returns:
        Members of the archive, and the mask (h, w) bool of every case by its id.
    """
    members, masks = {}, {}
    rng = np.random.default_rng(0)

    def add(kind, number, lesions, modes, pixels=None, overlay=False):
        if pixels is None:
            pixels = np.repeat(rng.integers(0, 200, (40, 50, 1)), 3, axis=2)
        if overlay:
            pixels[5, 5:20] = (250, 200, 0)
        stem = f"{top}{kind}/{kind} ({number})"
        members[f"{stem}.png"] = png(pixels, "RGB")
        for i, (lesion, mode) in enumerate(zip(lesions, modes, strict=True)):
            name = f"{stem}_mask.png" if i == 0 else f"{stem}_mask_{i}.png"
            members[name] = png(lesion * 255, mode)
        masks[f"{kind}_{number:03d}"] = np.any(lesions, axis=0)
        return pixels

    first, second, third = (disc((40, 50), 12, x, 6) for x in (10, 22, 40))
    nothing = np.zeros((40, 50), dtype=bool)
    add("benign", 4, [first, third], ["1", "RGBA"])
    add("benign", 195, [first, second, third], ["1", "1", "L"])
    add("benign", 261, [second], ["1"], overlay=True)
    twin = add("benign", 433, [third], ["1"])
    add("malignant", 145, [third], ["1"], pixels=twin)
    add("malignant", 53, [first, second], ["1", "1"])
    add("normal", 46, [nothing], ["RGB"])
    add("normal", 900, [nothing], ["RGB"])
    return members, masks


def killed_while_writing(script, source, to):
    """Kill -9 a preparation when its temporary folder is there."""
    process = subprocess.Popen([sys.executable, "-c", SLOW, script, source, to])
    deadline = time.monotonic() + 60
    while not list(to.parent.glob(f".{to.name}.tmp-*/images.npy")):
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not to.exists()
    assert list(to.parent.glob(f".{to.name}.tmp-*"))


def message_on_a_full_disk(script, source, to):
    run = subprocess.run(
        [sys.executable, "-c", LIMITED, script, source, to], capture_output=True, text=True
    )
    assert run.returncode == 0, run.stderr
    assert run.stdout.count("\n") == 1
    return run.stdout


def snapshot(folder):
    """Names, contents and times of all files."""
    return {
        path.relative_to(folder): (path.read_bytes(), path.stat().st_mtime_ns)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
