"""ONNX files: the same numbers, free sizes, and a card that says which net it is."""

import numpy as np
import onnxruntime as ort
import pytest
import torch
from torch import nn

from course_lib import export, models
from course_lib.training.card import CARD, Card


def session(file):
    return ort.InferenceSession(file, providers=["CPUExecutionProvider"])


def run(file, images):
    return session(file).run(None, {"image": images.numpy()})[0]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """A net whose running statistics have seen a batch, and its file."""
    torch.manual_seed(0)
    net = models.create("sigrenet_tiny", in_channels=1, steps=1)
    with torch.no_grad():
        net(torch.rand(4, 1, 32, 32))
    file = tmp_path_factory.mktemp("onnx") / "net.onnx"
    export.to_onnx(net, file, 32, classes=("background", "nucleus"), threshold=0.4)
    return net, file


def test_batch_and_sides_are_free(tiny):
    net, file = tiny
    net.eval()
    for shape in ((1, 1, 32, 32), (3, 1, 40, 57)):
        images = torch.rand(shape)
        with torch.no_grad():
            expected = net(images).numpy()
        np.testing.assert_allclose(run(file, images), expected, atol=1e-4)


def test_the_file_carries_its_card(tiny):
    _, file = tiny
    text = session(file).get_modelmeta().custom_metadata_map[CARD]
    options = {"in_channels": 1, "steps": 1}
    classes = ("background", "nucleus")
    assert Card.from_json(text) == Card("sigrenet_tiny", options, 1, 1, (32, 32), classes, 0.4)


def test_the_file_says_nothing_of_the_machine_it_was_made_on(tiny):
    _, file = tiny
    assert b".py" not in file.read_bytes()


def test_quantised_weights_are_smaller_and_the_card_stays(tiny, tmp_path):
    _, file = tiny
    images = np.random.default_rng(0).integers(0, 256, (4, 1, 32, 32), dtype=np.uint8)
    export.quantise(file, tmp_path / "int8.onnx", images)
    about = session(tmp_path / "int8.onnx").get_modelmeta().custom_metadata_map
    assert about[CARD] == session(file).get_modelmeta().custom_metadata_map[CARD]
    assert (tmp_path / "int8.onnx").stat().st_size < file.stat().st_size


class Fixed(nn.Module):
    """Knows every pixel by its place: only one size fits."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 1, 3, padding=1)
        self.places = nn.Parameter(torch.rand(64, 64))

    def forward(self, x):
        return self.conv(x) + self.places


def test_a_net_of_fixed_sides_keeps_a_free_batch(tmp_path):
    net = Fixed()
    export.to_onnx(net, tmp_path / "net.onnx", 64)
    images = torch.rand(3, 1, 64, 64)
    np.testing.assert_allclose(run(tmp_path / "net.onnx", images), net(images).detach(), atol=1e-5)
    assert session(tmp_path / "net.onnx").get_inputs()[0].shape[1:] == [1, 64, 64]


class Undecided(nn.Module):
    """Looks at a number before it goes on, which no graph can hold."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 1, 3, padding=1)

    def forward(self, x):
        y = self.conv(x)
        return y if float(y.mean()) > 0 else -y


def test_what_cannot_be_exported_is_said_in_one_line(tmp_path):
    with pytest.raises(ValueError, match=r"Undecided cannot be exported to ONNX: \w") as caught:
        export.to_onnx(Undecided(), tmp_path / "net.onnx", 64)
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.iterdir())


class Restless(nn.Module):
    """Never says the same twice."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 1, 3, padding=1)

    def forward(self, x):
        return self.conv(x) + torch.rand_like(x)


def test_a_file_that_computes_something_else_is_not_written(tmp_path):
    with pytest.raises(ValueError, match="Restless computes something else in ONNX Runtime"):
        export.to_onnx(Restless(), tmp_path / "net.onnx", 64)
    assert not list(tmp_path.iterdir())


def test_what_cannot_be_quantised_is_said_in_one_line(tiny, tmp_path):
    _, file = tiny
    (tmp_path / "text.onnx").write_text("no net")
    grey, colour = np.zeros((2, 1, 32, 32), np.uint8), np.zeros((2, 3, 32, 32), np.uint8)
    for source, images in ((tmp_path / "text.onnx", grey), (file, colour)):
        with pytest.raises(ValueError, match=f"cannot quantise .*{source.name}") as caught:
            export.quantise(source, tmp_path / "out.onnx", images)
        assert "\n" not in str(caught.value)
    with pytest.raises(ValueError, match=r"calibration images must be \(N, C, H, W\)"):
        export.quantise(file, tmp_path / "out.onnx", grey[0])
    assert not (tmp_path / "out.onnx").exists()
