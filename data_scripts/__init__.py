"""One file a public data set: where it is, what it asks, how it is prepared.

To add a data set, write ``data_scripts/NAME.py`` beside its siblings and name it in ``NAMES``.
The file holds, as plain text,

- ``TITLE``, ``MODALITY``: what a student reads in ``course data list``;
- ``URL``, ``LICENCE``, ``CITATION``: where it is published and on which terms;
- ``ACCESS``: ``"open"``, ``"registration"``, ``"request"``, or ``"generated"``;
- ``FLAWS``: what is known to be wrong with the published files, one line each;

and two functions:

- ``get(to) -> Path`` downloads the published archive into the folder ``to`` (checksum, resume),
  or raises a ``ValueError`` that says where a licence has to be accepted;
- ``prepare(source, to, size=256) -> Path`` reads the published archive ``source`` and writes the
  prepared folder ``to`` with ``course_lib.data.prepared.write``: every oddity of the files is
  handled or the case is dropped with a reason, ``group`` joins what must not be torn apart, and
  the split ``default`` is made by group.

``folder`` does the same for a person's own images and masks.
"""

import importlib
from types import ModuleType

NAMES = {
    "phantoms": "data_scripts.phantoms",
    "nuclei-mini": "data_scripts.nuclei_mini",
    "nuclei": "data_scripts.nuclei",
    "busi": "data_scripts.busi",
}


def load(name: str) -> ModuleType:
    """Import the script of a data set.

    Raises:
        ValueError: There is no script of that name; the message lists those there are.
    """
    if name not in NAMES:
        raise ValueError(
            f"no data set {name!r}; there are {', '.join(NAMES)}, and folder for your own images"
        )
    return importlib.import_module(NAMES[name])
