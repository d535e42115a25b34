"""Scores of difficulty: formulas by hand, agreement with a known truth, cache, controls."""

import math

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from course_lib import training
from course_lib.curriculum import CurriculumSampler, Scores, difficulty, pretext, scoring
from course_lib.data import phantoms, prepared
from course_lib.training.batches import fingerprint

CLASSES = [{"name": name, "colour": "#888888"} for name in ("background", "disc")]
PROTOCOL = training.Protocol(learning_rate=0.01, epochs=4, batch=8, precision="float32", seed=3)


class TinyNet(nn.Module):
    """One body and three heads."""

    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(1, 8, 5, padding=2), nn.ReLU(), nn.Conv2d(8, 8, 5, padding=2), nn.ReLU()
        )
        self.head, self.recon_head = nn.Conv2d(8, 1, 1), nn.Conv2d(8, 1, 1)
        self.rotation_head = nn.Linear(4 * 8, 4)

    def forward(self, x):
        return self.head(self.body(x))

    def forward_reconstruction(self, x):
        return self.recon_head(self.body(x))

    def forward_rotation(self, x):
        quadrants = nn.functional.adaptive_avg_pool2d(self.body(x), 2)
        return self.rotation_head(quadrants.flatten(1))


def tiny(seed=0):
    torch.manual_seed(seed)
    return TinyNet()


def discs(number=24, size=32, seed=0, contrast=None, upright=False):
    """Discs whose noise grows with ``difficulty``; upright ones are brighter towards the top."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[:size, :size]
    images, masks = np.empty((number, 1, size, size)), np.empty((number, size, size), np.uint8)
    truth = random.permutation(number) / number
    for i in range(number):
        centre = random.uniform(10, size - 10, 2)
        masks[i] = (y - centre[0]) ** 2 + (x - centre[1]) ** 2 < random.uniform(4, 8) ** 2
        level = 100 if contrast is None else contrast[0] + truth[i] * (contrast[1] - contrast[0])
        noise = 4 + 30 * truth[i] if contrast is None else 8
        images[i, 0] = 60 + level * masks[i] + noise * random.standard_normal((size, size))
        if upright:
            images[i, 0] += 3 * (size - y)
    ids = [f"disc{i:02d}" for i in range(number)]
    cases = pd.DataFrame({"case_id": ids, "group": ids, "difficulty": truth})
    images = images.clip(0, 255).astype(np.uint8)
    return prepared.from_arrays("discs", images, masks, cases, CLASSES)


# Masks


@pytest.mark.parametrize("size", [(32, 32), (24, 40), (33, 31)])
def test_keyed_masks_hide_half_of_the_blocks_and_depend_on_seed_and_pair_only(size):
    mask = pretext.keyed_blocks(size, 8, seed=1, pair=0)
    assert mask.shape == (1, 1, *size)
    cells = -(-size[0] // 8) * -(-size[1] // 8)
    assert int(mask[0, 0, ::8, ::8].sum()) == cells // 2
    rows, columns = (torch.arange(side) // 8 * 8 for side in size)
    assert torch.equal(mask[0, 0], mask[0, 0][rows][:, columns])  # blocks are whole
    torch.manual_seed(8)
    assert torch.equal(mask, pretext.keyed_blocks(size, 8, seed=1, pair=0))
    assert not torch.equal(mask, pretext.keyed_blocks(size, 8, seed=2, pair=0))
    assert not torch.equal(mask, pretext.keyed_blocks(size, 8, seed=1, pair=1))


def test_random_masks_hide_half_of_each_image_in_its_own_way():
    torch.manual_seed(0)
    masks = pretext.random_blocks(6, (32, 48), 8)
    assert masks.shape == (6, 1, 32, 48)
    assert masks.float().mean((1, 2, 3)).tolist() == [0.5] * 6
    assert len({mask.numpy().tobytes() for mask in masks}) == 6


def test_block_sizes():
    assert [pretext.block_size((s, s)) for s in (64, 128, 256)] == [8, 8, 16]
    for block in (0, 17):
        with pytest.raises(ValueError, match=f"block must be 1 to 16 px, half a side, got {block}"):
            pretext.keyed_blocks((32, 32), block, 0, 0)


# Reconstruction


class Blank(TinyNet):
    """Fills in nothing."""

    def forward_reconstruction(self, x):
        return 0 * super().forward_reconstruction(x)


def test_the_formula_by_hand(tmp_path):
    data = discs(5)
    found = difficulty.recon(data, Blank(), PROTOCOL, tmp_path, pairs=1, device="cpu")
    mask = pretext.keyed_blocks((32, 32), 8, seed=3, pair=0)[0, 0].numpy()
    for value, image in zip(found.values, data.images[:, 0] / 255, strict=True):
        z = np.abs((image - image.mean()) / image.std())
        assert value == pytest.approx((z[mask].mean() + z[~mask].mean()) / 2, rel=1e-5)


def test_it_sees_only_what_is_not_hidden(tmp_path):
    seen = []

    class Spy(TinyNet):
        def forward_reconstruction(self, x):
            if not self.training:
                seen.append((x == 0).float().mean().item())
            return super().forward_reconstruction(x)

    difficulty.recon(discs(5), Spy(), PROTOCOL, tmp_path, pairs=2, device="cpu")
    assert seen == [0.5] * 4


def test_error_ranks_noise_and_learning_lowers_it(tmp_path):
    data, net = discs(), tiny()
    scores = difficulty.recon(data, net, PROTOCOL, tmp_path, device="cpu")
    assert (scores.kind, scores.seed, scores.made_at_update) == ("recon", 3, 4 * 3)
    assert scores.data == fingerprint(data)
    assert scores.model == scoring.digest_of(net) != scoring.digest_of(tiny())
    assert difficulty.agreement(scores, difficulty.truth(data)) > 0.9
    longer = training.Protocol(learning_rate=0.01, epochs=20, batch=8, precision="float32", seed=3)
    better = difficulty.recon(data, tiny(), longer, tmp_path, device="cpu")
    assert better.values.mean() < scores.values.mean()


def test_raw_grey_values_would_turn_contrast_upside_down(tmp_path):
    data = discs(contrast=(120, 20))  # harder: less contrast, equal noise
    truth = difficulty.truth(data)
    scores = difficulty.recon(data, tiny(), PROTOCOL, tmp_path, device="cpu")
    assert difficulty.agreement(scores, truth) > 0.5
    raw = difficulty.recon(data, tiny(), PROTOCOL, tmp_path, normalise=False, device="cpu")
    assert difficulty.agreement(raw, truth) < -0.5


def test_scores_are_found_again_and_the_net_with_them(tmp_path, monkeypatch):
    data, net = discs(12), tiny()
    first = difficulty.recon(data, net, PROTOCOL, tmp_path, device="cpu")
    assert len(list(tmp_path.iterdir())) == 1
    with monkeypatch.context() as patch:
        patch.setattr(scoring, "Batches", None)
        again = tiny()
        second = difficulty.recon(data, again, PROTOCOL, tmp_path, device="cpu")
    assert vars(second) | {"values": 0, "accuracy": 0} == vars(first) | {"values": 0, "accuracy": 0}
    assert np.array_equal(first.values, second.values)
    assert scoring.digest_of(again) == scoring.digest_of(net)
    for changes in ({"data": data.subset(range(11))}, {"block": 4}, {"net": tiny(1)}):
        options = {"data": data, "net": tiny(), "device": "cpu", **changes}
        found = difficulty.recon(
            options.pop("data"), options.pop("net"), PROTOCOL, tmp_path, **options
        )
        assert found.digest != first.digest
    assert len(list(tmp_path.iterdir())) == 4


def test_other_images_can_be_learned_from_and_the_cost_is_stated(tmp_path):
    data = discs(10)
    scores = difficulty.recon(
        data, tiny(), PROTOCOL, tmp_path, learn_from=discs(20, seed=1), pairs=3, device="cpu"
    )
    assert len(scores) == 10
    assert scores.made_at_update == 4 * 3  # 20 cases in batches of 8
    assert scores.cost_in_updates == pytest.approx(12 + 6 * 10 / (3 * 8))
    assert scores.seconds > 0


def test_bars_are_shown_only_when_asked_for(tmp_path, capsys):
    for folder, shown in (("a", False), ("b", True)):
        difficulty.recon(
            discs(5), tiny(), PROTOCOL, tmp_path / folder, device="cpu", progress=shown
        )
        printed = capsys.readouterr()
        assert printed.out == ""
        assert ("scoring" in printed.err) == ("learning to score" in printed.err) == shown


# Rotation


def test_rotation_confidence_by_hand_and_its_accuracy(tmp_path):
    data, net = discs(16, upright=True), tiny()
    protocol = training.Protocol(learning_rate=0.01, epochs=15, batch=8, precision="float32")
    scores = difficulty.rotation(data, net, protocol, tmp_path, device="cpu")
    assert scores.accuracy > 0.6
    images = torch.from_numpy(data.images).float() / 255
    mean, std = images.mean((2, 3), keepdim=True), images.std((2, 3), keepdim=True, correction=0)
    z = (images - mean) / std
    with torch.inference_mode():
        sure = [net.forward_rotation(z.rot90(q, (2, 3))).softmax(1)[:, q] for q in range(4)]
    assert np.allclose(scores.values, 1 - torch.stack(sure).mean(0), atol=1e-5)
    assert difficulty.rotation(data, tiny(), protocol, tmp_path).accuracy == scores.accuracy


def test_a_net_that_cannot_tell_the_turns_is_refused(tmp_path):
    protocol = training.Protocol(learning_rate=1e-9, epochs=1, batch=8)
    with pytest.raises(ValueError, match="of the turns right, less than 35%; train the pretext"):
        difficulty.rotation(discs(16), tiny(), protocol, tmp_path, device="cpu")
    assert not list(tmp_path.rglob("scores.npz"))


def test_rotation_needs_square_images(tmp_path):
    data = discs(8).resized((16, 32))
    with pytest.raises(ValueError, match=r"rotation needs square images, got \(16, 32\) px"):
        difficulty.rotation(data, tiny(), PROTOCOL, tmp_path, device="cpu")


# Controls


def test_truth_is_the_phantoms_own():
    made = phantoms.generate(5, size=32, seed=1)
    data = prepared.from_arrays("p", made.images, made.masks, made.cases, made.classes)
    scores = difficulty.truth(data)
    assert scores.values.tolist() == made.cases["difficulty"].tolist()
    real = prepared.from_arrays(
        "real", made.images, made.masks, made.cases[["case_id", "group"]], made.classes
    )
    with pytest.raises(ValueError, match="real has no known difficulty; only phantoms have"):
        difficulty.truth(real)


def test_random_scores_give_the_samplers_random_order():
    data = discs(9)
    options = {"seed": 7, "epochs": 2, "num_samples": 9, "batch_size": 3, "pacing": "linear"}
    by_score = CurriculumSampler(difficulty.random(data, 7), **options)
    by_order = CurriculumSampler(difficulty.truth(data), order="random", **options)
    for epoch in range(2):
        assert by_score.draw(epoch).tolist() == by_order.draw(epoch).tolist()
    other = difficulty.random(data, 8)
    assert other.values.tolist() != difficulty.random(data, 7).values.tolist()


def test_anti_is_the_samplers_hard_order():
    truth = difficulty.truth(discs(9))
    options = {"seed": 7, "epochs": 2, "num_samples": 9, "batch_size": 3, "pacing": "linear"}
    one = CurriculumSampler(difficulty.anti(truth), **options)
    other = CurriculumSampler(truth, order="hard", **options)
    assert one.draw(0).tolist() == other.draw(0).tolist()
    assert difficulty.anti(truth).kind == "anti-truth"
    assert difficulty.agreement(truth, difficulty.anti(truth)) == -1


def square_cases():
    """A bright square, a dim square, a bright bar, and a case without foreground."""
    images, masks = np.zeros((4, 1, 16, 16), np.uint8), np.zeros((4, 16, 16), np.uint8)
    masks[:2, 4:8, 4:8] = 1
    masks[2, 4:5, :] = 1
    for i, level in enumerate((200, 50, 200)):
        images[i, 0][masks[i] > 0] = level
    cases = pd.DataFrame({"case_id": list("abcd"), "group": list("abcd")})
    return prepared.from_arrays("squares", images, masks, cases, CLASSES)


def test_manual_orders_by_hand(tmp_path):
    data = square_cases()
    contrast = difficulty.manual(data, "contrast").values
    assert contrast == pytest.approx([-200 / 255, -50 / 255, -200 / 255, -50 / 255 + 1])
    shape = difficulty.manual(data, "shape").values
    # squares of side 4: 16^2 / 16; the bar of 1 x 16: 34^2 / 16
    assert shape.tolist() == [16, 16, 72.25, 73.25]
    path = tmp_path / "order.csv"
    path.write_text("case_id,score\nd,4\nb,2\na,1\nc,3\nz,9\n", encoding="utf-8")
    assert difficulty.manual(data, path).values.tolist() == [1, 2, 3, 4]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("case_id,score\na,1\nb,2\nd,3\n", "has no score for case 'c'"),
        ("case_id,score\na,1\nb,\nc,1\nd,1\n", "score of case 'b' is nan"),
        ("case_id,score\na,1\na,2\nb,1\nc,1\nd,1\n", "scores case 'a' twice"),
        ("case_id,score\na,easy\n", "must be a CSV file with columns case_id, score"),
        ("id,score\na,1\n", "must be a CSV file with columns case_id, score"),
        ("", "must be a CSV file with columns case_id, score"),
        (None, "is missing; give a CSV file"),
    ],
)
def test_a_wrong_manual_file_is_refused_in_one_line(tmp_path, text, message):
    path = tmp_path / "order.csv"
    if text is not None:
        path.write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=message) as error:
        difficulty.manual(square_cases(), path)
    assert "\n" not in str(error.value)


def test_an_unknown_manual_order_is_refused():
    with pytest.raises(ValueError, match="by must be contrast, shape or the Path of a CSV file"):
        difficulty.manual(square_cases(), "taste")


def test_a_teacher_scores_cases_that_it_did_not_see_and_finds_wrong_masks(tmp_path):
    data = discs(24)
    masks = data.masks.copy()
    wrong = [3, 8, 14]
    masks[wrong] = 1 - masks[wrong]
    data = prepared.from_arrays("discs", data.images, masks, data.cases, CLASSES)
    seen = {}

    def make_net():
        net = tiny()
        seen[len(seen)] = net
        return net

    scores = difficulty.teacher(data, make_net, PROTOCOL, tmp_path, device="cpu")
    assert len(seen) == 3
    assert set(np.argsort(scores.values)[-3:]) == set(wrong)
    assert scores.made_at_update == 3 * 4 * 2  # 16 cases a fold in batches of 8
    assert difficulty.teacher(data, tiny, PROTOCOL, tmp_path).digest == scores.digest
    folders = [path.name for path in next(tmp_path.iterdir()).iterdir()]
    assert sorted(folders) == ["fold-0", "fold-1", "fold-2", "scores.npz"]


# Together


def test_agreement_is_spearmans():
    ids = tuple("abcd")
    one, other = Scores(ids, [1, 2, 3, 4], "x"), Scores(ids, [10, 20, 40, 30], "y")
    # two ranks differ by 1: 1 - 6 * 2 / (4 * 15)
    assert difficulty.agreement(one, other) == pytest.approx(0.8)
    assert math.isnan(difficulty.agreement(one, Scores(ids, [1, 1, 1, 1], "z")))
    with pytest.raises(ValueError, match="scores of other cases"):
        difficulty.agreement(one, Scores(tuple("abce"), [1, 2, 3, 4], "x"))


def test_ranks_inside_groups():
    scores = Scores(tuple("abcdef"), [5, 1, 30, 10, 3, 20], "recon")
    found = difficulty.within(scores, ["x", "x", "y", "y", "x", "y"])
    assert found.values == pytest.approx([1, 1 / 3, 1, 1 / 3, 2 / 3, 2 / 3])
    assert found.kind == "recon-within"
    with pytest.raises(ValueError, match="2 groups for 6 cases; give one a case"):
        difficulty.within(scores, ["x", "y"])


def test_new_scores_move_old_ones_by_a_tenth():
    ids = tuple("abcd")
    old, new = Scores(ids, [0.9, 0.1, 0.5, 0.3], "recon"), Scores(ids, [1, 2, 3, 4], "teacher")
    first = difficulty.blend(old, new)
    assert first.kind == "blended-teacher"
    assert first.values == pytest.approx(
        [0.9 * 1 + 0.025, 0.9 * 0.25 + 0.05, 0.9 * 0.75 + 0.075, 0.9 * 0.5 + 0.1]
    )
    second = difficulty.blend(first, new)
    assert second.values == pytest.approx(0.9 * first.values + 0.1 * np.array([1, 2, 3, 4]) / 4)
