"""Every net of the table goes through the doors of deployment: ONNX, and for SiGREnet int8."""

import numpy as np
import onnxruntime
import pytest
import torch

from course_lib import export, metrics, models, predict, training
from tests.test_model_contract import CONTRACTS
from tests.training.training_sample import discs, make_protocol


@pytest.mark.slow
@pytest.mark.parametrize("name", models.PRESETS)
def test_onnx_runtime_says_what_pytorch_says(name, tmp_path):
    torch.manual_seed(0)
    net = models.create(name, **CONTRACTS[name].small, num_classes=2)
    with torch.no_grad():
        net(torch.rand(4, 3, 64, 64))  # running statistics that have seen a batch
    card = export.to_onnx(net, tmp_path / "net.onnx", 64)
    assert card.net == name
    net.eval()
    session = onnxruntime.InferenceSession(
        tmp_path / "net.onnx", providers=["CPUExecutionProvider"]
    )
    for shape in ((3, 3, 64, 64), (1, 3, 96, 160)):
        images = torch.rand(shape)
        (logits,) = session.run(None, {"image": images.numpy()})
        with torch.no_grad():
            expected = net(images)
        error = (torch.from_numpy(logits) - expected).abs().max()
        assert error <= 1e-4 * max(1, expected.abs().max())


@pytest.mark.slow
def test_sigrenet_in_int8_is_a_third_as_large_and_as_good(tmp_path):
    torch.manual_seed(0)
    net = models.create("sigrenet", in_channels=1)
    data, unseen = discs(24, 32), discs(24, 32, seed=1)
    protocol = make_protocol(epochs=10, learning_rate=0.003)
    training.fit(net, data, unseen, protocol, tmp_path / "run", device="cpu")
    export.to_onnx(net, tmp_path / "float.onnx", 32, classes=tuple(data.class_names))
    export.quantise(tmp_path / "float.onnx", tmp_path / "int8.onnx", data.images)
    sizes, scores = [], []
    for name in ("float.onnx", "int8.onnx"):
        sizes.append((tmp_path / name).stat().st_size)
        said = training.predict(predict.load(tmp_path / name)[0], unseen.images, device="cpu")
        masks = said[:, 0].numpy() > 0.5
        scores.append(
            np.mean([metrics.dice(a, b > 0) for a, b in zip(masks, unseen.masks, strict=True)])
        )
    assert sizes[1] <= 0.35 * sizes[0]
    assert scores[0] > 0.8  # it has learned something that quantising could spoil
    assert abs(scores[1] - scores[0]) <= 0.01
