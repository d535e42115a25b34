"""ONNX Runtime for browsers: from which registry, checked, and what is taken out."""

import hashlib
import io
import tarfile

import pytest

from course_lib.demo import runtime
from tests.demo import browser


@pytest.fixture
def registry(tmp_path, monkeypatch):
    """A registry on this machine whose archive is the pinned one; gives (address, requests)."""
    folder = tmp_path / "registry" / "onnxruntime-web" / "-"
    folder.mkdir(parents=True)
    monkeypatch.setenv("COURSE_DATA", str(tmp_path / "data"))
    content = archive_of({f"package/dist/{name}": name.encode() for name in runtime.FILES})
    (folder / runtime.archive().name).write_bytes(content)
    monkeypatch.setattr(runtime, "SHA256", hashlib.sha256(content).hexdigest())
    with browser.serving(tmp_path / "registry") as (address, asked):
        monkeypatch.setenv("NPM_CONFIG_REGISTRY", f"{address}/")
        yield address, asked


def archive_of(files):
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return packed.getvalue()


def test_fetched_once_from_the_registry_of_npm_and_kept(registry, tmp_path):
    _, asked = registry
    runtime.unpack(tmp_path / "one")
    runtime.unpack(tmp_path / "two")
    assert asked == [f"/onnxruntime-web/-/onnxruntime-web-{runtime.VERSION}.tgz"]
    assert sorted(file.name for file in (tmp_path / "two").iterdir()) == sorted(runtime.FILES)
    assert (tmp_path / "one" / runtime.FILES[0]).read_bytes() == runtime.FILES[0].encode()


def test_another_file_than_the_pinned_one_is_refused_and_not_kept(registry, monkeypatch):
    monkeypatch.setattr(runtime, "SHA256", "0" * 64)
    with pytest.raises(ValueError, match="sha256") as caught:
        runtime.fetch()
    assert "\n" not in str(caught.value)
    assert not runtime.archive().exists()


def test_a_registry_without_the_archive_is_one_line_that_helps(registry, monkeypatch):
    monkeypatch.setenv("NPM_CONFIG_REGISTRY", f"{registry[0]}/elsewhere")
    with pytest.raises(ValueError, match=r"the server answers 404.*put it into") as caught:
        runtime.fetch()
    assert "\n" not in str(caught.value)


def test_without_a_chosen_registry_the_public_one_is_asked(monkeypatch):
    monkeypatch.delenv("NPM_CONFIG_REGISTRY", raising=False)
    monkeypatch.setattr(runtime.shutil, "which", lambda name: None)
    assert runtime._registry() == "https://registry.npmjs.org"
