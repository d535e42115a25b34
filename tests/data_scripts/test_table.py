import inspect
from pathlib import Path

import pytest

import data_scripts


@pytest.mark.parametrize("name", data_scripts.NAMES)
def test_every_script_follows_the_pattern(name):
    script = data_scripts.load(name)
    for label in ("TITLE", "MODALITY", "URL", "LICENCE", "CITATION", "ACCESS"):
        assert isinstance(getattr(script, label), str), label
    assert script.TITLE
    assert script.LICENCE
    assert script.ACCESS in ("open", "registration", "request", "generated")
    assert isinstance(script.FLAWS, tuple | list)
    assert all(isinstance(flaw, str) for flaw in script.FLAWS)
    assert list(inspect.signature(script.get).parameters)[:1] == ["to"]
    assert list(inspect.signature(script.prepare).parameters)[:3] == ["source", "to", "size"]


def test_every_script_in_the_folder_is_in_the_table():
    helpers = {"__init__", "common", "folder"}
    scripts = {path.stem for path in Path(data_scripts.__file__).parent.glob("*.py")} - helpers
    assert {f"data_scripts.{stem}" for stem in scripts} == set(data_scripts.NAMES.values())
