"""Small nets as files."""

import dataclasses

import pytest
import safetensors.torch
import torch

from course_lib import models
from course_lib.demo import nets
from course_lib.training.card import CARD, card_of

SIZES = ((96, 128), (64, 64))  # px, of the images in training


@pytest.fixture(scope="session")
def weights(tmp_path_factory):
    """Return ONNX files of a net of colour images that claim to be trained at ``SIZES``."""
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    from course_lib import export

    folder = tmp_path_factory.mktemp("weights")
    files = folder / "wide.onnx", folder / "square.onnx"
    net = used("sigrenet_tiny")
    card = export.to_onnx(net, files[0], SIZES[0], threshold=0.4)
    # its sides are free: a second export, which takes long, would write the same net
    model = onnx.load(files[0])
    card = dataclasses.replace(card, size=SIZES[1])
    onnx.helper.set_model_props(model, {CARD: card.to_json()})
    onnx.save(model, files[1])
    return files


@pytest.fixture(scope="session")
def three_classes(tmp_path_factory):
    """Return a file such as training writes, of a net of three classes, and its ONNX file."""
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    folder = tmp_path_factory.mktemp("three_classes")
    net = used("sigrenet_tiny", num_classes=3)
    card = card_of(net, 3, (48, 48), ("background", "inner", "outer"))
    file = folder / "best.safetensors"
    safetensors.torch.save_file(net.state_dict(), file, metadata={CARD: card.to_json()})
    (written,) = nets.write([file], folder)
    return file, folder / written.file


def used(name, **options):
    """Return a net of fixed weights with running statistics that have seen images."""
    torch.manual_seed(0)
    net = models.create(name, steps=1, **options)
    with torch.no_grad():
        net(torch.rand(4, 3, 64, 64))
    return net
