"""`course sweep`: what is wrong is said in one line before anything starts."""

import pytest

from course_lib.cli.sweep import workers


def refuse(cli, *arguments):
    result = cli("sweep", *arguments)
    assert result.exit_code == 2, result.output
    lines = result.output.splitlines()
    return lines[-1], lines[:-1]


@pytest.mark.parametrize(
    ("rest", "seeds", "part"),
    [
        ("grid = { height = [1] }\nhights = 3", "[0]", "hights is unknown: use title, question"),
        ("[grid]\nhight = [1]", "[0]", "90_tiny has no parameter 'hight'. Valid: profile"),
        ("grid = { height = [] }", "[0]", "grid.height = [] must be a list of at least one value"),
        ("grid = {}", "[0]", "grid is empty"),
        ("grid = { height = [1, 10] }", "[0]", "height = 10 is outside 1..9. Valid: height (int"),
        ("grid = { height = ['2'] }", "[0]", "height = '2' is not of type int"),
        ("grid = { height = [1, 1] }", "[0]", "the setting {'height': 1} is there twice"),
        ("grid = { seed = [1] }", "[0]", "seed is set by the sweep itself"),
        ("grid = { height = [1] }", "[]", "seeds is empty"),
        ("grid = { height = [1] }", "[0, 0]", "names one twice"),
        ("grid = { height = [1] }", "[0, 100]", "seed = 100 is outside 0..99"),
        ("grid = { height = [1] }", "7", "seeds = 7 must be a list"),
        ("settings = []", "[0]", "settings must be a list of at least one table"),
        ("grid = { height = [1] }\nsettings = [{}]", "[0]", "grid and settings are both given"),
        ("grid = { wait = [1.0, 2.0] }", "[0]", "wait is both fixed and varied"),
        (
            "grid = { height = [1, 2] }\nreference = { height = 3 }",
            "[0]",
            "the setting {'height': 1} has no reference: {'height': 3} is not run",
        ),
        (
            "grid = { height = [1] }\nreference = { look = 'odd' }",
            "[0]",
            "reference names look, which is not varied",
        ),
        ("resources = { gpu = 1 }", "[0]", "resources.gpu is unknown: use threads or gpus"),
        ("resources = { threads = 0 }", "[0]", "resources.threads = 0 must be a whole number"),
        ("matters = true", "[0]", "matters = True must be a number"),
        ("[smoke]\nseed = [1]", "[0]", "[smoke] seed is unknown"),
        ("grid = { height = [1", "[0]", "heights.toml: "),
    ],
)
def test_a_wrong_file_is_refused(make_sweep, cli, tmp_path, rest, seeds, part):
    file = make_sweep(rest, seeds)
    message, before = refuse(cli, file, "--out", tmp_path / "out")
    assert part in message
    assert message.startswith("Error: heights.toml: ")
    assert not before
    assert not (tmp_path / "out").exists()


def test_missing_keys_and_files_are_named(make_sweep, cli, tmp_path):
    file = make_sweep()
    text = file.read_text(encoding="utf-8")
    file.write_text(text.replace("record =", "# record ="), encoding="utf-8")
    assert "heights.toml: record is missing" in refuse(cli, file)[0]
    file.write_text(text.replace("90_tiny", "91_other"), encoding="utf-8")
    assert "there is no notebook '91_other.ipynb' beside it" in refuse(cli, file)[0]
    file.write_text(text.replace("90_tiny.ipynb", "77"), encoding="utf-8")
    assert "there is no notebook '77': use one of 00" in refuse(cli, file)[0]


def test_an_unknown_sweep_is_refused_with_the_known_ones(cli, tmp_path):
    for name in ("sedes", tmp_path / "no.toml"):
        message, _ = refuse(cli, name)
        assert f"there is no sweep '{name}': use one of " in message
        assert "losses, " in message
        assert ", seeds, " in message
    assert ", training_size, or the path" in message


def test_missing_data_is_refused(cli, tmp_path):
    file = tmp_path / "lungs.toml"
    file.write_text(
        'title = "x"\nquestion = "y"\nnotebook = "03"\nrecord = "dice_mean"\nseeds = [0]\n'
        'grid = { data = ["phantoms", "no-such-set"] }\n',
        encoding="utf-8",
    )
    message, before = refuse(cli, file, "--dry-run")
    assert "no-such-set" in message
    assert not before


def test_a_folder_of_something_else_is_refused(make_sweep, cli, tmp_path):
    file = make_sweep()
    out = tmp_path / "out"
    out.mkdir()
    (out / "thesis.md").write_text("mine", encoding="utf-8")
    assert "holds other things than a sweep" in refuse(cli, file, "--out", out)[0]
    (out / "sweep.json").write_text(
        '{"sweep": "losses", "profile": "fast", "notebook": "03_unet"}', encoding="utf-8"
    )
    message = refuse(cli, file, "--out", out)[0]
    assert "holds a sweep with sweep 'losses', not 'heights': choose another --out" in message
    assert (out / "thesis.md").read_text(encoding="utf-8") == "mine"


def test_a_folder_that_cannot_be_written_is_refused(make_sweep, cli, tmp_path):
    file = make_sweep()
    (tmp_path / "file").write_text("x", encoding="utf-8")
    message = refuse(cli, file, "--out", tmp_path / "file" / "out")[0]
    assert "cannot write" in message
    assert "choose another folder" in message


def test_a_scheduler_that_does_not_answer(make_sweep, cli, tmp_path, monkeypatch):
    monkeypatch.setattr(workers, "ANSWER", 1)
    arguments = (make_sweep(), "--out", tmp_path / "out", "--scheduler")
    message = refuse(cli, *arguments, "tcp://127.0.0.1:1")[0]
    assert "no scheduler answers at 'tcp://127.0.0.1:1'" in message
    assert "no scheduler answers at 'nonsense'" in refuse(cli, *arguments, "nonsense")[0]
    assert (
        "--jobs is for workers on this machine"
        in refuse(cli, *arguments, "tcp://127.0.0.1:1", "--jobs", "2")[0]
    )


def test_more_gpus_than_there_are(make_sweep, cli, tmp_path):
    file = make_sweep("resources = { gpus = 99 }")
    message = refuse(cli, file, "--out", tmp_path / "out")[0]
    assert "a run needs 99 GPUs and this machine has" in message
