"""Pins: one lock, and everything that installs agrees with it."""

import re
import tomllib
from importlib import metadata

from packaging.requirements import Requirement
from packaging.version import Version

from course_lib.cli.machine import locked


def project(root):
    return tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def asked_for(root):
    about = project(root)
    groups = [about["dependencies"], *about["optional-dependencies"].values()]
    return [Requirement(text) for group in groups for text in group]


def canonical(name):
    return re.sub(r"[-_.]+", "-", name).lower()


def test_every_range_contains_its_locked_version(root):
    lock = {canonical(name): version for name, version in locked().items()}
    for requirement in asked_for(root):
        version = lock[canonical(requirement.name)]
        assert requirement.specifier.contains(version), f"{requirement} excludes {version}"


def test_installed_versions_are_the_locked_ones():
    lock = {canonical(name): version for name, version in locked().items()}
    for distribution in metadata.distributions():
        name = canonical(distribution.metadata["Name"])
        if name in lock:
            assert distribution.version.split("+")[0] == lock[name], name


def test_lock_holds_plain_public_versions_once(root):
    text = (root / "requirements.lock").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    names = [canonical(line.split("==")[0]) for line in lines]
    assert len(names) == len(set(names))
    for line in lines:
        assert re.fullmatch(r"[\w.-]+==[\w.]+( ; \w+ == '\w+')?", line), line


def test_pytorch_is_the_agreed_one_and_torchvision_is_absent():
    assert locked()["torch"] == "2.13.0"
    assert "torchvision" not in locked()


def test_no_cuda_packages_came_along():
    names = [distribution.metadata["Name"] or "" for distribution in metadata.distributions()]
    if Version(metadata.version("torch")).local in (None, "cpu"):
        assert not [name for name in names if name.startswith("nvidia-")]


def test_conda_and_binder_take_their_versions_from_the_lock(root):
    conda = (root / "environment.yml").read_text(encoding="utf-8")
    binder = (root / "binder" / "requirements.txt").read_text(encoding="utf-8")
    assert "-c requirements.lock" in conda
    assert "-c ../requirements.lock" in binder
    for text in (conda, binder):
        pins = re.findall(r"(\w[\w.-]*)\s*={1,2}\s*[\d.]+", text)
        assert set(pins) <= {"python"}, pins
    extra = {canonical(r.name) for r in asked_for(root)}
    plain = {canonical(line) for line in binder.splitlines() if re.fullmatch(r"[\w-]+", line)}
    notebooks = {
        canonical(Requirement(text).name)
        for text in project(root)["dependencies"]
        + project(root)["optional-dependencies"]["notebooks"]
    }
    assert plain == notebooks
    assert plain <= extra


def test_python_agrees_everywhere(root):
    runtime = (root / "binder" / "runtime.txt").read_text(encoding="utf-8").strip()
    conda = (root / "environment.yml").read_text(encoding="utf-8")
    assert runtime == "python-3.11"
    assert "python=3.11" in conda
    assert project(root)["requires-python"].startswith(">=3.11")
