import numpy as np
import pytest
import torch

from course_lib import export, models, training
from tests.training.training_sample import discs, make_protocol

SIZE = 16


@pytest.fixture(scope="session")
def trained(tmp_path_factory):
    """Weights of a small net that finds bright discs of 16 px images, as training leaves them."""
    folder = tmp_path_factory.mktemp("run")
    torch.manual_seed(0)
    net = models.create("unet_bn", in_channels=1, base=4, depth=2)
    protocol = make_protocol(epochs=12, learning_rate=0.01)
    training.fit(net, discs(32, SIZE), discs(8, SIZE, seed=1), protocol, folder, device="cpu")
    return folder / "best.safetensors"


@pytest.fixture(scope="session")
def exported(trained, tmp_path_factory):
    """The same net as an ONNX file."""
    from course_lib import predict

    net, card = predict.load(trained)
    file = tmp_path_factory.mktemp("onnx") / "net.onnx"
    export.to_onnx(net, file, card.size, classes=card.classes)
    return file


@pytest.fixture
def disc():
    """An image of 40 x 60 px with a bright disc in the middle: (H, W) uint8."""
    y, x = np.mgrid[:40, :60]
    return np.where((y - 20) ** 2 + (x - 30) ** 2 < 100, 120, 30).astype(np.uint8)
