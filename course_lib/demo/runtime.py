"""The files of ONNX Runtime for browsers: fetched once from the npm registry, then kept."""

import os
import shutil
import subprocess
import tarfile
from pathlib import Path

from course_lib.data import atomic, download, prepared

VERSION = "1.30.0"
# Of the archive whose integrity the registry states as
# sha512-q0y+JrrtukXSzsBWEMccVfqX25LRmosXHF+CaRJmg8pZClzcV7svNc4rKY3jL02Vb7QmRMDs1SigqR4CXAfKYQ==
SHA256 = "d2228df7e4616bc3348bf504ee888f3bec43789a273f0a63f3e68d203ce3bf71"
# The smallest set that computes on the CPU alone.
FILES = ("ort.wasm.bundle.min.mjs", "ort-wasm-simd-threaded.wasm")
PUBLIC = "https://registry.npmjs.org"


def archive() -> Path:
    """Return where the archive is kept (33 MB): among the downloads of the data sets."""
    return prepared.data_root() / "raw" / f"onnxruntime-web-{VERSION}.tgz"


def fetch() -> Path:
    """Return the archive, downloaded if it is not kept yet.

    Raises:
        ValueError: It cannot be downloaded, or what came or lies there is another file.
    """
    name = archive().name
    address = f"{_registry()}/onnxruntime-web/-/{name}"
    try:
        return download.fetch(address, archive().parent, SHA256)
    except ValueError as error:
        page = f"{PUBLIC}/onnxruntime-web/-/{name}"
        raise ValueError(
            f"{error} (a browser gets the file from {page}; put it into {archive().parent})"
        ) from error


def unpack(into: Path) -> None:
    """Write ``FILES`` into a folder, from the archive.

    Raises:
        ValueError: As :func:`fetch`, or the folder cannot be written.
    """
    with tarfile.open(fetch(), "r:gz") as packed:
        for name in FILES:
            atomic.write_file(into / name, packed.extractfile(f"package/dist/{name}").read())


def _registry() -> str:
    """Return the registry that npm would ask: its own variable, its settings, the public one."""
    chosen = os.environ.get("NPM_CONFIG_REGISTRY")
    npm = shutil.which("npm")
    if not chosen and npm:
        asked = [npm, "config", "get", "registry"]
        chosen = subprocess.run(asked, capture_output=True, text=True, check=False).stdout.strip()
    return chosen.rstrip("/") if (chosen or "").startswith("http") else PUBLIC
