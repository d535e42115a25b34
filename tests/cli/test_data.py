"""`course data`: what there is, own images in, damage noticed, errors in one line."""

import numpy as np
import pytest
from PIL import Image

from course_lib.data import prepared


@pytest.fixture
def own(tmp_path, monkeypatch):
    monkeypatch.setenv("COURSE_DATA", str(tmp_path / "data"))
    for kind in ("images", "masks"):
        (tmp_path / kind).mkdir()
    rng = np.random.default_rng(0)
    for number in range(6):
        image = rng.integers(0, 255, (40, 50), np.uint8)
        mask = np.zeros((40, 50), np.uint8)
        mask[10 : 20 + number, 10:30] = 255
        Image.fromarray(image).save(tmp_path / "images" / f"case{number}.png")
        Image.fromarray(mask).save(tmp_path / "masks" / f"case{number}.png")
    return tmp_path


def prepare(cli, folder, *more):
    return cli(
        "data", "prepare", "folder", "--images", folder / "images", "--masks", folder / "masks",
        "--as", "mine", "--size", "32", *more,
    )  # fmt: skip


def test_own_images_are_prepared_listed_shown_and_verified(own, cli):
    result = prepare(cli, own)
    assert result.exit_code == 0, result.output
    ready = prepared.open("mine")
    assert len(ready) == 6
    assert ready.mask_full(0).shape == (40, 50)
    assert "mine" in cli("data", "list").output
    assert "6 cases" in cli("data", "show", "mine").output
    done = cli("data", "verify", "mine")
    assert done.exit_code == 0, done.output


def test_damage_is_found(own, cli):
    prepare(cli, own)
    file = own / "data" / "mine" / "images.npy"
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.chmod(0o644)
    file.write_bytes(content)
    result = cli("data", "verify", "mine")
    assert result.exit_code == 2
    assert "images.npy" in result.output
    assert "prepare it again" in result.output


@pytest.mark.parametrize("name", ["nuclei", "busi", "phantoms", "nuclei-mini"])
def test_known_sets_say_licence_and_flaws(own, cli, name):
    result = cli("data", "show", name)
    assert result.exit_code == 0, result.output
    assert "licence" in result.output
    assert "flaw" in result.output


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (("show", "no-such"), "no-such"),
        (("verify", "no-such"), "course data prepare no-such"),
        (("prepare", "no-such", "--from", "x.zip"), "no data set 'no-such'"),
        (("prepare", "folder"), "your own images need --images DIR --masks DIR"),
        (("prepare", "nuclei", "--images", "x"), "nuclei has no option --images"),
        (("prepare", "phantoms", "--from", "x"), "phantoms has no option --from"),
        (("prepare", "folder", "--from", "x"), "folder has no option --from"),
        (("prepare", "nuclei", "--from", "no.zip"), "no.zip"),
        (("get", "phantoms"), "generated"),
        (("prepare", "busi", "--drop-unrepairable"), "busi has no option --drop-unrepairable"),
        (("prepare", "nuclei", "--without-normal"), "nuclei has no option --without-normal"),
    ],
)
def test_errors_are_one_line_with_exit_code_2(own, cli, arguments, part):
    result = cli("data", *arguments)
    assert result.exit_code == 2, result.output
    lines = result.output.splitlines()
    assert len(lines) == 1
    assert part in lines[0]
    assert not list((own / "data").glob("*")) if (own / "data").exists() else True


def test_an_unpaired_image_stops_everything(own, cli):
    (own / "masks" / "case3.png").unlink()
    result = prepare(cli, own)
    assert result.exit_code == 2
    assert "case3" in result.output
    assert not (own / "data" / "mine").exists()


def test_output_below_a_file_is_refused(own, cli):
    (own / "file").write_text("x", encoding="utf-8")
    result = prepare(cli, own, "--to", own / "file" / "mine")
    assert result.exit_code == 2


def test_own_images_take_groups_from_their_names(own, cli):
    result = prepare(cli, own, "--group-pattern", r"case(\d)", "--classes", "background,spot")
    assert result.exit_code == 0, result.output
    ready = prepared.open("mine")
    assert list(ready.cases["group"].astype(str)) == list("012345")
    assert ready.class_names == ["background", "spot"]


def test_phantoms_are_made_at_another_size(own, cli, monkeypatch):
    from course_lib.data import phantoms

    make = phantoms.prepare
    monkeypatch.setattr(phantoms, "prepare", lambda to, n, **more: make(to, n=5, **more))
    result = cli("data", "prepare", "phantoms", "--size", "32")
    assert result.exit_code == 0, result.output
    assert prepared.open("phantoms", size=32).images.shape == (5, 3, 32, 32)
