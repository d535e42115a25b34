"""What the benchmarks of the refinement build and sum up."""

import numpy as np
import pytest
import torch

from benchmarks import refinement, refinement_speed
from course_lib.models.refine import GRRB
from course_lib.models.sigrenet_blocks import Style, group_norm, separable


def test_the_widened_net_has_as_many_numbers_as_the_refined_one():
    counts = {arm: refinement.build(arm).deploy_parameters() for arm in ("none", "widened", "grrb")}
    assert counts["none"] < 0.9 * counts["grrb"]
    assert counts["widened"] == pytest.approx(counts["grrb"], rel=0.02)


def test_detached_steps_have_the_same_states_and_no_gradient_between_them():
    torch.manual_seed(0)
    block = GRRB(4, Style(separable, group_norm), dependence="full", update="printed")
    f = torch.randn(1, 4, 6, 6)
    gradients = []
    for refiner in (block, refinement.Detached(block)):
        *_, before, last = refiner(f, 3)
        gradients.append(
            torch.autograd.grad(last.state.sum(), before.maps["increment"], allow_unused=True)[0]
        )
    states = [[step.state for step in r(f, 3)] for r in (block, refinement.Detached(block))]
    torch.testing.assert_close(*states)
    assert gradients[0].abs().max() > 0
    assert gradients[1] is None


def test_the_gate_near_0_is_the_only_thing_that_differs():
    torch.manual_seed(0)
    usual = refinement.build("grrb").state_dict()
    torch.manual_seed(0)
    closed = refinement.build("gate near 0").state_dict()
    differ = {name for name in usual if not torch.equal(usual[name], closed[name])}
    assert differ == {f"decoder.{level}.refiner.gate.0.bias" for level in (0, 1)}


def test_differences_are_paired_by_seed():
    dice = {"widened": (0.5, 0.7), "grrb": (0.6, 0.8)}
    rows = [
        {"arm": arm, "seed": seed, "dice_at_steps": {str(t): d for t in refinement.TESTED}}
        for arm, values in dice.items()
        for seed, d in enumerate(values)
    ]
    found = refinement.summarise(rows)["grrb"]
    assert found["dice"] == 0.7
    assert found["difference"] == 0.1
    assert found["interval"] == [0.1, 0.1]


def test_speed_is_the_median_ratio_of_the_better_form():
    seconds = {
        "grenet pytorch": np.array([9.0, 12.0, 15.0]),
        "grenet onnx_runtime": [6.0, 8.0, 9.0],
    }
    assert refinement_speed.speed(
        np.array(refinement_speed.best(seconds, "grenet")), np.array([2.0, 4.0, 3.0])
    ) == pytest.approx(3.0)
