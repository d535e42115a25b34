"""course predict: what it prints, and one clear line for whatever cannot be predicted."""

import json

import numpy as np
import pytest
import safetensors.torch
import torch
from click.testing import CliRunner
from PIL import Image

from course_lib import export, models
from course_lib.cli.main import course
from course_lib.training.card import CARD
from tests.predict.samples import write_nifti


def run(*arguments):
    return CliRunner().invoke(course, ["predict", *map(str, arguments)])


@pytest.fixture
def image(tmp_path, disc):
    path = tmp_path / "a.png"
    Image.fromarray(disc).save(path)
    return path


@pytest.mark.parametrize("kind", ["trained", "exported"])
def test_an_image_is_segmented(kind, request, image, tmp_path):
    out = tmp_path / "out"
    done = run("--weights", request.getfixturevalue(kind), image, "--out", out)
    assert done.exit_code == 0, done.output
    assert "a.png: disc " in done.output
    assert "mean probability 0." in done.output
    assert len(list(out.iterdir())) == 3


def refused(arguments, out):
    """Return the one line of a refusal that left nothing behind."""
    done = run(*arguments, "--out", out)
    assert done.exit_code == 2, done.output
    assert not out.is_dir()
    (line,) = done.output.strip().splitlines()
    assert line.startswith("Error: ")
    return line


@pytest.mark.parametrize("kind", ["trained", "exported"])
@pytest.mark.parametrize("share", [0, 0.5, 0.99])
def test_truncated_weights(kind, share, request, image, tmp_path):
    whole = request.getfixturevalue(kind)
    cut = tmp_path / f"cut{whole.suffix}"
    content = whole.read_bytes()
    cut.write_bytes(content[: int(share * len(content))])
    line = refused(["--weights", cut, image], tmp_path / "out")
    assert f"{cut} is damaged" in line


def test_weights_of_another_net(trained, image, tmp_path):
    with safetensors.safe_open(trained, "pt") as opened:
        known = opened.metadata()
    other = tmp_path / "other.safetensors"
    safetensors.torch.save_file({"weight": torch.zeros(3)}, other, known)
    line = refused(["--weights", other, image], tmp_path / "out")
    assert "does not hold the weights of unet_bn, which it claims to be" in line


def test_weights_that_do_not_say_which_net_they_are(image, tmp_path):
    unknown = tmp_path / "unknown.safetensors"
    safetensors.torch.save_file({"weight": torch.zeros(3)}, unknown)
    assert "does not say which net it is" in refused(["--weights", unknown, image], tmp_path / "o")


def test_an_onnx_file_from_elsewhere(image, tmp_path):
    foreign = tmp_path / "foreign.onnx"
    net = torch.nn.Conv2d(1, 1, 1)
    torch.onnx.export(net, (torch.zeros(1, 1, 8, 8),), foreign, dynamo=True, verbose=False)
    assert "does not say which net it is" in refused(["--weights", foreign, image], tmp_path / "o")


def test_a_net_for_volumes(trained, image, tmp_path):
    with safetensors.safe_open(trained, "pt") as opened:
        card = json.loads(opened.metadata()[CARD]) | {"size": [8, 8, 8]}
    weights = tmp_path / "volumes.safetensors"
    content = safetensors.torch.load_file(trained)
    safetensors.torch.save_file(content, weights, {CARD: json.dumps(card)})
    assert "holds a net for volumes" in refused(["--weights", weights, image], tmp_path / "out")


def test_a_threshold_where_classes_compete(tmp_path, image):
    net = models.create("unet_bn", in_channels=1, num_classes=3, base=4, depth=2)
    export.to_onnx(net, tmp_path / "net.onnx", 16, classes=("background", "a", "b"))
    weights = ["--weights", tmp_path / "net.onnx", image]
    assert "leave the threshold out" in refused([*weights, "--threshold", 0.5], tmp_path / "out")
    assert run(*weights, "--out", tmp_path / "out").exit_code == 0


def test_weights_of_another_kind_or_none(image, tmp_path):
    assert "choose a .safetensors or .onnx" in refused(["--weights", image, image], tmp_path / "o")
    missing = tmp_path / "missing.onnx"
    assert f"there is no file {missing}" in refused(["--weights", missing, image], tmp_path / "o")


def test_an_image_that_is_none(trained, image, tmp_path):
    text, whole = tmp_path / "text.png", image.read_bytes()
    text.write_text("no image")
    assert f"cannot read {text}" in refused(["--weights", trained, image, text], tmp_path / "out")
    text.write_bytes(whole[: len(whole) // 2])
    assert f"cannot read {text}" in refused(["--weights", trained, image, text], tmp_path / "out")


def test_a_volume_without_a_slice(trained, tmp_path):
    volume = np.random.default_rng(0).integers(0, 255, (3, 20, 20), dtype=np.uint8)
    path = write_nifti(tmp_path / "a.nii", volume, (1, 1, 1))
    weights = ["--weights", trained]
    assert "--slice 0..2" in refused([*weights, path], tmp_path / "out")
    assert "none with the number 3" in refused([*weights, path, "--slice", 3], tmp_path / "out")
    assert run(*weights, path, "--slice", 2, "--out", tmp_path / "out").exit_code == 0


def test_other_channels_than_the_net_reads(trained, image, tmp_path):
    Image.open(image).convert("RGB").save(tmp_path / "rgb.png")
    line = refused(["--weights", trained, image, tmp_path / "rgb.png"], tmp_path / "out")
    assert "rgb.png: the image has 3 channels (RGB) but the net reads 1" in line


def test_out_is_a_file(trained, image, tmp_path):
    before = image.read_bytes()
    assert "is a file; choose a folder" in refused(["--weights", trained, image], image)
    assert image.read_bytes() == before


@pytest.mark.parametrize("threshold", [0, 1, "nan"])
def test_a_threshold_out_of_range(threshold, trained, image, tmp_path):
    line = refused(["--weights", trained, image, "--threshold", threshold], tmp_path / "out")
    assert "threshold must be between 0 and 1" in line


def test_two_images_of_one_name(trained, image, tmp_path):
    np.save(tmp_path / "a.npy", np.zeros((8, 8), np.uint8))
    line = refused(["--weights", trained, image, tmp_path / "a.npy"], tmp_path / "out")
    assert "two images are called a" in line
