"""What every net of the course keeps to, for every preset and every ablation.

A new net joins by one line in CONTRACTS, its closed forms in closed_forms.py, and stored numbers:
``python -m tests.test_model_contract`` adds the missing ones; say in the commit why they are right.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch.export import Dim
from torch.nn import functional as F

from course_lib import models
from course_lib.models import attention_unet, bionet, grenet, plnet, reunet, sigrenet, unet
from course_lib.models.measure import tensors_of
from tests.closed_forms import (
    attention_unet_macs,
    attention_unet_parameters,
    unet_macs,
    unet_parameters,
)
from tests.closed_forms_plnet import (
    bionet_macs,
    bionet_parameters,
    plnet_macs,
    plnet_parameters,
)
from tests.closed_forms_reunet import (
    reunet_cancelled,
    reunet_macs,
    reunet_parameters,
    reunet_unreached,
)
from tests.closed_forms_sigrenet import (
    grenet_macs,
    grenet_parameters,
    sigrenet_macs,
    sigrenet_parameters,
)

GOLDEN = Path(__file__).parent / "golden" / "models.json"


@dataclass(frozen=True)
class Contract:
    """What one preset promises; sizes in pixels."""

    ablations: dict[str, dict]
    parameters: Callable[..., int]  # (**options) -> count, all options of the preset
    macs: Callable[..., int]  # (height, width, **options) -> count
    preset: dict = field(default_factory=dict)  # the options in which it departs from its class
    small: dict = field(default_factory=dict)  # options for the tests that compute something
    smallest: int = 16
    divisor: int = 1  # of the sides; 1: any size from the smallest
    steps: int = 60  # at most, until one batch is known by heart
    learning_rate: float = 1e-2
    exported: tuple[str, ...] | None = None  # ablations worth the time of an export; None: all
    rounding: float = 5e-2  # of bfloat16, beside the largest logit
    # (name, **options) -> is it a parameter whose effect a normalisation takes out again
    cancelled: Callable[..., bool] = lambda name, **options: False
    # (name, **options) -> is it a parameter that no output depends on
    unreached: Callable[..., bool] = lambda name, **options: False


# Of nets that are passed several times, 75 convolutions and more from image to logits: each
# rounding to bfloat16 (2**-9) adds its share.
DEEP = {"rounding": 0.1}


def reunet_contract(ablations, preset=None, small=None, exported=()):
    return Contract(
        ablations,
        reunet_parameters,
        reunet_macs,
        preset=preset or {},
        small={"dropout": 0.0, **(small or {})},  # with it no batch is known by heart
        divisor=16,
        steps=120,  # without gating signal
        cancelled=reunet_cancelled,
        unreached=reunet_unreached,
        exported=exported,
        **DEEP,
    )


CONTRACTS = {
    "unet": Contract(
        unet.ABLATIONS,
        unet_parameters,
        unet_macs,
        small={"base": 4},
        steps=150,  # slow without normalisation
        learning_rate=2e-3,
    ),
    "unet_bn": Contract(
        unet.ABLATIONS, unet_parameters, unet_macs, preset={"norm": True}, small={"base": 4}
    ),
    "unet_small": Contract(
        unet.ABLATIONS,
        unet_parameters,
        unet_macs,
        preset={"norm": True, "base": 16},
        small={"base": 8},
    ),
    "attention_unet": Contract(
        attention_unet.ABLATIONS,
        attention_unet_parameters,
        attention_unet_macs,
        small={"base": 4},
    ),
    "grenet": Contract(
        grenet.ABLATIONS,
        grenet_parameters,
        grenet_macs,
        small={"channels": (8, 16, 32)},
        smallest=4,
        steps=150,  # slow without normalisation
        learning_rate=2e-3,
    ),
    "bionet": Contract(
        bionet.ABLATIONS,
        bionet_parameters,
        bionet_macs,
        small={"base": 4},
        smallest=32,
        divisor=32,
        steps=150,  # four images leave four values a channel at its bottom
        **DEEP,
        # bionet.py, departures
        unreached=lambda name, t=3, integrate=False, **_: (
            not integrate and name.startswith(tuple(f"up.0.norms.{i}." for i in range(t - 1)))
        ),
    ),
    "plnet": Contract(
        plnet.ABLATIONS,
        plnet_parameters,
        plnet_macs,
        small={"base": 5},
        divisor=16,
        **DEEP,
        cancelled=lambda name, **options: name.endswith(".conv.bias"),
    ),
    "plnet_dagger": Contract(
        {"full": {}},
        plnet_parameters,
        plnet_macs,
        preset={"width": 0.5},
        small={"base": 8},
        divisor=16,
        **DEEP,
        cancelled=lambda name, **options: name.endswith(".conv.bias"),
    ),
    "sigrenet": Contract(
        sigrenet.ABLATIONS,
        sigrenet_parameters,
        sigrenet_macs,
        small={"channels": (8, 16)},
        smallest=2,
    ),
    "sigrenet_wide": Contract(
        {"full": {}},
        sigrenet_parameters,
        sigrenet_macs,
        preset={"channels": (48, 96, 192, 384, 768)},
        small={"channels": (12, 24)},
        smallest=2,
    ),
    "sigrenet_tiny": Contract(
        {"full": {}},
        sigrenet_parameters,
        sigrenet_macs,
        preset={"channels": (8, 16, 32, 64), "steps": 2},
        small={"channels": (8, 16, 16)},
        smallest=4,
    ),
    "reunet": reunet_contract(
        reunet.ABLATIONS, small={"base": 4, "intermediator": 1}, exported=("full",)
    ),
    "reunet_released": reunet_contract(
        {"full": {}, "dead": {"keep_dead": True}},
        preset={"reading": "code", "wiring": "released"},
        small={"base": 4, "intermediator": 1},
        exported=("full",),
    ),
    "reunet_base8": reunet_contract({"full": {}}, preset={"base": 8}, small={"plain_blocks": 4}),
    "reunet_base4": reunet_contract({"full": {}}, preset={"base": 4}, small={"plain_blocks": 3}),
}
CASES = [(name, ablation) for name, c in CONTRACTS.items() for ablation in c.ablations]
EXPORTED = [
    (name, ablation)
    for name, ablation in CASES
    if CONTRACTS[name].exported is None or ablation in CONTRACTS[name].exported
]
every_case = pytest.mark.parametrize(
    ("name", "ablation"), [pytest.param(*case, id="-".join(case)) for case in CASES]
)


def chosen(name, ablation):
    return {**CONTRACTS[name].small, **CONTRACTS[name].ablations[ablation]}


def build(name, ablation, seed=0, **options):
    torch.manual_seed(seed)
    return models.create(name, **{**chosen(name, ablation), **options})


def draw(batch, height, width, channels=3):
    return torch.randn(batch, channels, height, width, generator=torch.Generator().manual_seed(1))


def settled(name, ablation, dtype=torch.float32):
    """A net in evaluation mode whose running statistics have seen a batch."""
    net = build(name, ablation).to(dtype)
    with torch.no_grad():
        net(draw(4, 64, 64).to(dtype))
    return net.eval()


def golden_numbers(name, ablation):
    """In float64: a hundred normalisations blow up the rounding of another machine 10,000-fold."""
    with torch.no_grad():
        logits = settled(name, ablation, torch.float64)(draw(2, 64, 64).double()).flatten()
    return logits[torch.linspace(0, len(logits) - 1, 16).long()].tolist()


def test_every_preset_and_net_is_under_contract():
    assert set(CONTRACTS) == set(models.PRESETS)
    assert set(models.NAMES) <= set(models.PRESETS)


def test_an_unknown_name_is_refused():
    with pytest.raises(ValueError, match=r"'unot'.*unet"):
        models.create("unot")


@every_case
def test_shapes(name, ablation):
    contract = CONTRACTS[name]
    sizes = [(64, 64), (33, 47), (40, 72), (contract.smallest, contract.smallest)]
    net = build(name, ablation, in_channels=1, num_classes=3)
    for height, width in sizes:
        if height % contract.divisor or width % contract.divisor:
            with pytest.raises(ValueError, match=f"multiple.* {contract.divisor}"):
                net(draw(2, height, width, channels=1))
            continue
        for mode in (True, False):
            logits = net.train(mode)(draw(2, height, width, channels=1))
            assert type(logits) is torch.Tensor
            assert logits.shape == (2, 3, height, width)
            assert logits.dtype == torch.float32


@every_case
def test_wrong_images_are_refused_by_name(name, ablation):
    net = build(name, ablation)
    smallest = CONTRACTS[name].smallest
    with pytest.raises(ValueError, match=rf"{smallest - 1}x64 px.*{smallest}x{smallest}"):
        net(draw(2, smallest - 1, 64))
    with pytest.raises(ValueError, match=r"\(B, 3, H, W\).*\(2, 1, 64, 64\)"):
        net(draw(2, 64, 64, channels=1))
    with pytest.raises(ValueError, match=r"\(B, 3, H, W\).*\(3, 64, 64\)"):
        net(draw(2, 64, 64)[0])


def named(net, name, ablation, kind):
    """Name the parameters that the contract calls ``cancelled`` or ``unreached``."""
    contract, options = CONTRACTS[name], CONTRACTS[name].preset | chosen(name, ablation)
    return {n for n, _ in net.named_parameters() if getattr(contract, kind)(n, **options)}


def moved(net):
    """Name the parameters whose gradient stands out from rounding, in float64.

    The loss is the distance from noise: the mean square of a map that ends in a normalisation has
    no gradient.
    """
    net.double()
    outputs = getattr(net, "forward_stages", net)(draw(4, 64, 64).double())
    sum((t - torch.randn_like(t)).square().mean() for t in tensors_of(outputs)).backward()
    largest = {n: p.grad.abs().max() for n, p in net.named_parameters() if p.grad is not None}
    floor = 1e-11 * max(largest.values())
    return {n for n, g in largest.items() if g > floor}


@every_case
def test_every_parameter_gets_a_gradient(name, ablation):
    net = build(name, ablation)
    due = {n for n, _ in net.named_parameters()}
    due -= named(net, name, ablation, "unreached") | named(net, name, ablation, "cancelled")
    reached = moved(net)
    for seed in range(1, 8):  # a squeeze-excite of two units is drawn dead now and then
        if reached >= due:
            break
        reached |= moved(build(name, ablation, seed))
    assert sorted(due - reached) == []
    assert sorted(reached - due) == []


@every_case
def test_what_no_output_depends_on_is_declared(name, ablation):
    net = build(name, ablation)
    found = models.measure.unreached_parameters(net, draw(1, 64, 64))
    assert set(found) == named(net, name, ablation, "unreached")


@every_case
def test_images_of_a_batch_do_not_mix(name, ablation):
    net = settled(name, ablation).double()  # float32 sums in another order for another batch size
    x = draw(3, 64, 64).double().requires_grad_()
    batched = net(x)
    (gradient,) = torch.autograd.grad(batched[1].sum(), x)
    assert gradient[1].abs().max() > 0
    assert gradient[0].abs().max() == 0
    assert gradient[2].abs().max() == 0
    with torch.no_grad():
        for image, logits in zip(x, batched, strict=True):
            torch.testing.assert_close(net(image[None])[0], logits, atol=1e-10, rtol=1e-10)


@every_case
def test_weights_survive_safetensors(name, ablation, tmp_path):
    net = settled(name, ablation)
    state = net.state_dict()
    assert len({t.untyped_storage().data_ptr() for t in state.values()}) == len(state)
    save_file({n: t.contiguous() for n, t in state.items()}, tmp_path / "net.safetensors")
    other = build(name, ablation).eval()
    other.load_state_dict(load_file(tmp_path / "net.safetensors"), strict=True)
    assert torch.equal(other(draw(2, 64, 64)), net(draw(2, 64, 64)))


@every_case
def test_parameters_and_macs_equal_the_closed_forms(name, ablation):
    contract = CONTRACTS[name]
    options = {**contract.preset, **contract.ablations[ablation]}
    with torch.device("meta"):
        net = models.create(name, **contract.ablations[ablation])
    assert models.measure.count_parameters(net) == contract.parameters(**options)
    assert models.measure.count_macs(net, (3, 512, 512)) == contract.macs(512, 512, **options)


@every_case
def test_one_batch_can_be_learned_by_heart(name, ablation):
    net = build(name, ablation)
    side = torch.arange(32)
    rows = torch.tensor([10, 20, 12, 22])[:, None, None, None]
    distance = (side[:, None] - rows) ** 2 + (side - rows.flip(0)) ** 2
    y = (distance < 60).float()  # four discs
    x = draw(4, 32, 32) + 2 * y
    optimizer = torch.optim.AdamW(net.parameters(), lr=CONTRACTS[name].learning_rate)
    for _ in range(CONTRACTS[name].steps):
        logits = net(x)
        guess = (logits > 0).float()
        dice = 2 * (guess * y).sum((1, 2, 3)) / (guess + y).sum((1, 2, 3))
        if dice.mean() > 0.95:
            return
        loss = F.binary_cross_entropy_with_logits(logits, y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    pytest.fail(f"Dice is {dice.mean():.3f} after {CONTRACTS[name].steps} steps")


@every_case
def test_forward_is_the_last_stage(name, ablation):
    net = settled(name, ablation)
    x = draw(2, 64, 64)
    with torch.no_grad():
        *_, last = tensors_of(getattr(net, "forward_stages", net)(x))
        assert torch.equal(net(x), last)


@every_case
def test_features_are_named_maps_of_the_batch(name, ablation):
    features = settled(name, ablation).forward_features(draw(2, 64, 64))
    assert len(features) > 2
    for value in features.values():
        assert value.shape[0] == 2
        assert torch.isfinite(value).all()


@pytest.mark.parametrize(
    ("name", "ablation"), [pytest.param(*case, id="-".join(case)) for case in EXPORTED]
)
def test_exports_with_a_free_batch_and_free_sides(name, ablation):
    net, contract = settled(name, ablation), CONTRACTS[name]
    step = contract.divisor
    axes = {0: Dim("batch", min=1)}
    least = 2 * contract.smallest // step  # one pixel at the bottleneck is a case of its own
    for axis, side in ((2, "height"), (3, "width")):
        free = Dim(side, min=least, max=4096)
        axes[axis] = free if step == 1 else step * free
    exported = torch.export.export(net, (draw(2, 64, 96),), dynamic_shapes=(axes,)).module()
    for shape in ((1, 64, 64), (3, 96, 160)):
        x = draw(*shape)
        torch.testing.assert_close(exported(x), net(x), atol=1e-6, rtol=1e-5)


@every_case
def test_channels_last_changes_nothing_and_stays(name, ablation):
    # in float64, since float32 sums come in another order for another layout
    net = build(name, ablation, num_classes=2).eval().double()
    x = draw(2, 64, 64).double()
    with torch.no_grad():
        expected = net(x)
        logits = net.to(memory_format=torch.channels_last)(
            x.contiguous(memory_format=torch.channels_last)
        )
    torch.testing.assert_close(logits, expected, atol=1e-10, rtol=1e-10)
    assert logits.is_contiguous(memory_format=torch.channels_last)


@every_case
def test_bfloat16_is_close(name, ablation):
    net = settled(name, ablation)
    with torch.no_grad():
        expected = net(draw(2, 64, 64))
        with torch.autocast("cpu", torch.bfloat16):
            logits = net(draw(2, 64, 64)).float()
    assert torch.isfinite(logits).all()
    assert (logits - expected).abs().max() < CONTRACTS[name].rounding * expected.abs().max()


@every_case
def test_the_same_seed_gives_the_same_bits(name, ablation):
    gradients = []
    torch.use_deterministic_algorithms(True)
    try:
        for _ in range(2):
            net = build(name, ablation)
            net(draw(2, 64, 64)).square().mean().backward()
            gradients.append([p.grad for p in net.parameters() if p.grad is not None])
    finally:
        torch.use_deterministic_algorithms(False)
    assert gradients[0]
    assert all(torch.equal(a, b) for a, b in zip(*gradients, strict=True))


@every_case
def test_logits_are_those_signed_off(name, ablation):
    stored = json.loads(GOLDEN.read_text(encoding="utf-8"))[f"{name}-{ablation}"]
    assert golden_numbers(name, ablation) == pytest.approx(stored, abs=1e-4)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@every_case
def test_a_gpu_gives_the_same_logits(name, ablation):
    net = settled(name, ablation)
    with torch.no_grad():
        expected = net(draw(2, 64, 64))
        logits = net.cuda()(draw(2, 64, 64).cuda()).cpu()
    assert (logits - expected).abs().max() < 1e-2 * expected.abs().max()  # TF32 convolutions


def add_missing_numbers():
    stored = json.loads(GOLDEN.read_text(encoding="utf-8")) if GOLDEN.exists() else {}
    for name, ablation in CASES:
        key = f"{name}-{ablation}"
        if key not in stored:
            stored[key] = [round(value, 6) for value in golden_numbers(name, ablation)]
    lines = [f"  {json.dumps(key)}: {json.dumps(stored[key])}" for key in sorted(stored)]
    GOLDEN.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


if __name__ == "__main__":
    torch.set_num_threads(1)
    add_missing_numbers()
