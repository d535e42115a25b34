"""`course demo`: what the folder holds, and bad input in one line."""

import json
import re
import shlex

import pytest
import safetensors.torch
import torch
from click.testing import CliRunner
from PIL import Image

from course_lib import demo, export, models, predict
from course_lib.cli.demo import demo as command
from course_lib.cli.main import course
from course_lib.demo import examples, runtime
from course_lib.training.card import CARD, card_of


@pytest.fixture(autouse=True)
def no_runtime(monkeypatch):
    """Take ONNX Runtime for browsers as given: it is not downloaded in tests."""

    def unpack(into):
        into.mkdir()
        for name in runtime.FILES:
            (into / name).write_bytes(b"")

    monkeypatch.setattr(runtime, "unpack", unpack)


def refusal(weights, out):
    """Return the one line with which the command refuses."""
    given = [part for file in weights for part in ("--weights", str(file))]
    done = CliRunner().invoke(command, [*given, "--out", str(out)])
    assert done.exit_code == 2, done.output
    lines = done.output.strip().splitlines()
    assert len(lines) == 1
    return lines[0]


def test_the_folder_holds_page_nets_examples_and_runtime(weights, tmp_path):
    site = demo.write(weights, tmp_path / "site")
    about = json.loads((site / "demo.json").read_text())
    assert [net["title"].split("/")[-1] for net in about["nets"]] == ["wide.onnx)", "square.onnx)"]
    assert (about["nets"][0]["height"], about["nets"][0]["width"]) == (96, 128)
    assert about["nets"][0]["threshold"] == 0.4
    named = [net["file"] for net in about["nets"]]
    named += [example[kind] for example in about["examples"] for kind in ("image", "mask")]
    named += [f"runtime/{name}" for name in runtime.FILES]
    named += ["index.html", "demo.js", "demo.css", "house.css"]
    assert all((site / name).is_file() for name in named)
    written = [(site / net["file"]).read_bytes() for net in about["nets"]]
    assert written == [file.read_bytes() for file in weights]
    assert sum("(generated)" in example["title"] for example in about["examples"]) == 5
    assert sum("(real)" in example["title"] for example in about["examples"]) == 3


def test_without_javascript_the_page_names_a_command_that_works(weights, tmp_path):
    site = demo.write(weights[:1], tmp_path / "site")
    page = (site / "index.html").read_text(encoding="utf-8")
    said = re.search(r"<noscript>(.+?)</noscript>", page, re.DOTALL)[1]
    assert "JavaScript and WebAssembly" in said
    words = re.search(r"<code>course (.+?)</code>", said)[1]
    files = {"NET.onnx": site / "nets" / "1.onnx", "IMAGE.png": site / "examples" / "1-image.png"}
    given = [str(files.get(word, word)) for word in shlex.split(words)]
    given[given.index("masks")] = str(tmp_path / "masks")
    done = CliRunner().invoke(course, given)
    assert done.exit_code == 0, done.output
    assert (tmp_path / "masks" / "1-image_mask.png").is_file()


def test_what_training_wrote_is_exported(three_classes):
    trained, exported = three_classes
    image = torch.rand(1, 3, 48, 48)
    logits = []
    for file in (trained, exported):
        net, card = predict.load(file)
        assert card.classes == ("background", "inner", "outer")
        with torch.no_grad():
            logits.append(net(image))
    torch.testing.assert_close(*logits, atol=1e-4, rtol=1e-4)


def test_a_pruned_net_is_called_so(tmp_path):
    files = [tmp_path / f"{name}.onnx" for name in ("whole", "pruned")]
    torch.manual_seed(0)
    net = models.create("unet_small", base=4)
    for file, one in zip(files, (net, export.prune(net, 0.5)), strict=True):
        export.to_onnx(one, file, 32)
    about = json.loads((demo.write(files, tmp_path / "site") / "demo.json").read_text())
    assert [shown["title"] for shown in about["nets"]] == ["unet_small", "unet_small, pruned"]


def test_nets_of_grey_images_get_grey_examples(tmp_path):
    entries = examples.write(tmp_path, channels=1)
    assert len(entries) >= 4
    for entry in entries:
        image = Image.open(tmp_path / entry["image"]).convert("RGB")
        assert all(red == green == blue for _, (red, green, blue) in image.getcolors(256))


@pytest.mark.parametrize("name", ["notes.txt", "page.onnx", "page.safetensors", "missing.onnx"])
def test_weights_of_another_kind_are_refused(tmp_path, name):
    file = tmp_path / name
    if name != "missing.onnx":
        file.write_text("no net")
    assert name in refusal([file], tmp_path / "site")
    assert not (tmp_path / "site").exists()


def test_a_truncated_file_of_weights_is_refused(weights, tmp_path):
    file = tmp_path / "half.onnx"
    file.write_bytes(weights[0].read_bytes()[:50_000])
    assert "half.onnx is damaged" in refusal([weights[1], file], tmp_path / "site")
    assert [path.name for path in tmp_path.iterdir()] == ["half.onnx"]


def test_a_net_of_more_channels_than_pictures_have_is_refused(tmp_path):
    net = models.create("sigrenet_tiny", in_channels=2, steps=1)
    card = card_of(net, 2, (32, 32), ("background", "nucleus"))
    file = tmp_path / "two.safetensors"
    safetensors.torch.save_file(net.state_dict(), file, metadata={CARD: card.to_json()})
    assert "2 channels" in refusal([file], tmp_path / "site")


def test_nothing_that_exists_is_written_over(weights, tmp_path):
    (tmp_path / "file").write_text("mine")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "kept.txt").write_text("mine")
    for name in ("file", "full"):
        assert "new or empty folder" in refusal(weights[:1], tmp_path / name)
    assert (tmp_path / "file").read_text() == "mine"
    assert [path.name for path in (tmp_path / "full").iterdir()] == ["kept.txt"]


def test_an_empty_folder_is_filled(weights, tmp_path):
    (tmp_path / "site").mkdir()
    assert (demo.write(weights[:1], tmp_path / "site") / "index.html").is_file()


def test_a_failed_download_leaves_nothing(weights, tmp_path, monkeypatch):
    def fail(into):
        raise ValueError("cannot download the runtime; try again later")

    monkeypatch.setattr(runtime, "unpack", fail)
    assert "cannot download" in refusal(weights[:1], tmp_path / "site")
    assert not list(tmp_path.iterdir())
