"""`course run`: refused before a kernel starts, and honest about how a run ended."""

import json

import nbformat
import pytest

from course_lib.cli import plan, report, run
from tests.cli.conftest import notebook


def refuse(cli, *arguments):
    result = cli("run", "90", *arguments)
    assert result.exit_code == 2
    lines = result.output.splitlines()
    assert len(lines) == 1
    return lines[0]


@pytest.mark.parametrize(
    ("name", "value", "part"),
    [
        ("epoch", "3", "90_tiny has no parameter 'epoch'. Valid: profile (str |smoke|fast|full)"),
        ("epochs", "three", "epochs = 'three' is not of type int. Valid: epochs (int 1..10): pa"),
        ("epochs", "1.5", "epochs = 1.5 is not of type int"),
        ("epochs", "0", "epochs = 0 is outside 1..10"),
        ("epochs", "11", "epochs = 11 is outside 1..10"),
        ("rate", "2", "rate = 2.0 is outside 0..1"),
        ("rate", "nan", "rate = 'nan' is not of type float"),
        ("look", "lung", "look = 'lung' is outside mixed|nuclei"),
        ("mine", "", "mine = '' is outside a|b|..."),
        ("shuffle", "1", "shuffle = 1 is not of type bool"),
    ],
)
def test_wrong_parameters_are_refused_before_a_kernel_starts(
    course_of, cli, name, value, part, tmp_path
):
    course_of(**{"90_tiny": notebook()})
    message = refuse(cli, "-p", name, value, "--out", tmp_path / "out")
    assert part in message
    assert not (tmp_path / "out").exists()


def test_unknown_notebook_and_missing_data_set_are_named(course_of, cli, tmp_path):
    folder = course_of(**{"90_tiny": notebook()})
    for number in ("17", "090", "x"):
        assert f"no notebook '{number}': use one of 90" in refuse(cli, number)
    with_data = notebook()
    with_data.cells[1].source += '\ndata = "phantoms"  # str phantoms|...: which images'
    nbformat.write(with_data, folder / "90_tiny.ipynb")
    assert "no-such-set" in refuse(cli, "--data", "no-such-set")


def test_option_that_no_notebook_takes_is_refused(course_of, cli):
    course_of(**{"90_tiny": notebook()})
    assert "none of the chosen notebooks has a parameter 'device'" in refuse(cli, "--device", "cpu")


def test_output_below_a_file_is_refused(course_of, cli, tmp_path):
    course_of(**{"90_tiny": notebook()})
    (tmp_path / "file").write_text("x", encoding="utf-8")
    assert "file" in refuse(cli, "--out", tmp_path / "file" / "out")


def test_a_good_run_passes_its_parameters_and_writes_the_report(course_of, cli, tmp_path):
    course_of(**{"90_tiny": notebook()})
    out = tmp_path / "out"
    result = cli("run", "90", "-p", "epochs", "7", "-p", "mine", "z", "--out", out)
    assert result.exit_code == 0, result.output
    kept = json.loads((out / "90_tiny" / "results.json").read_text(encoding="utf-8"))
    assert kept["parameters"]["epochs"] == 7
    assert kept["parameters"]["mine"] == "z"
    assert kept["parameters"]["profile"] == "fast"
    page = (out / "index.html").read_text(encoding="utf-8")
    assert "Course run: 1 of 1 notebooks passed" in page
    assert "[0.4, 0.6]" in page
    assert (out / "90_tiny" / "90_tiny.html").is_file()


def test_failures_end_their_own_run_only(course_of, cli, tmp_path):
    course_of(
        **{
            "90_fails": notebook("print('fine')", "1 / 0"),
            "91_dies": notebook("import os, signal\nos.kill(os.getpid(), signal.SIGKILL)"),
            "92_silent": notebook(result=None),
            "93_other": notebook("profile = 'full'"),
            "94_good": notebook(),
        }
    )
    out = tmp_path / "out"
    result = cli("run", "--jobs", "2", "--out", out)
    assert result.exit_code == 1
    assert "4 of 5 notebooks failed: 90_fails, 91_dies, 92_silent, 93_other" in result.output
    ends = {
        path.parent.name: json.loads(path.read_text(encoding="utf-8"))
        for path in out.glob("*/outcome.json")
    }
    assert "ZeroDivisionError" in ends["90_fails"]["error"]
    assert ends["90_fails"]["cell"] == 5  # title, parameters, injected parameters, print, this
    assert any("1 / 0" in line for line in ends["90_fails"]["lines"])
    assert any("SIGKILL" in line for line in ends["91_dies"]["lines"])
    assert "kernel died" in ends["91_dies"]["error"]
    assert ends["91_dies"]["cell"] == 4
    assert "no results.json" in ends["92_silent"]["error"]
    assert "another value of profile" in ends["93_other"]["error"]
    assert ends["94_good"]["status"] == "passed"
    partly = nbformat.read(out / "90_fails" / "90_fails.ipynb", as_version=4)
    assert any("fine" in str(cell.get("outputs", "")) for cell in partly.cells)
    page = (out / "index.html").read_text(encoding="utf-8")
    assert "Course run: 1 of 5 notebooks passed" in page
    assert "Look at these first" in page


def test_a_cell_that_takes_too_long_is_stopped(course_of, cli, tmp_path, monkeypatch):
    monkeypatch.setattr(run, "GRACE", 20)
    course_of(**{"90_slow": notebook("import time\ntime.sleep(60)")})
    result = cli("run", "90", "--timeout", "3", "--out", tmp_path / "out")
    assert result.exit_code == 1
    assert "longer than 3 s" in result.output
    assert "cell 4" in result.output


def test_a_run_that_ctrl_c_ended_has_not_failed(course_of, tmp_path, monkeypatch):
    course_of(**{"90_tiny": notebook("print(1)")})
    (item,) = plan.plan(plan.find(()), "fast", {}, {}, tmp_path / "out")
    stopped = tmp_path / "python"
    stopped.write_text("#!/bin/sh\nkill -INT $$\n", encoding="utf-8")
    stopped.chmod(0o755)
    monkeypatch.setattr(run.sys, "executable", str(stopped))
    with pytest.raises(InterruptedError):
        run.execute_one(item, 1, lambda *_: None)
    assert not (item.folder / "outcome.json").exists()


def test_report_of_an_empty_folder_is_refused(cli, tmp_path):
    result = cli("report", "--out", tmp_path)
    assert result.exit_code == 2
    assert "holds no runs" in result.output


def test_a_notebook_without_a_parameters_cell_is_refused(course_of, cli):
    bare = notebook()
    bare.cells[1].metadata = {}
    course_of(**{"90_bare": bare})
    assert "0 cells tagged parameters" in refuse(cli)


def test_kept_results_hold_one_run_a_setting_and_no_path(course_of, cli, tmp_path):
    course_of(**{"90_tiny": notebook()})
    for epochs in ("7", "8", "7"):
        arguments = ("run", "90", "--keep", "-p", "epochs", epochs, "--out", tmp_path / "out")
        result = cli(*arguments)
        assert result.exit_code == 0, result.output
    (file,) = (tmp_path / "results" / "90_tiny").glob("none-cpu-*.json")
    text = file.read_text(encoding="utf-8")
    kept = json.loads(text)
    assert [run["parameters"]["epochs"] for run in kept["runs"]] == [7, 8]
    assert str(tmp_path) not in text


def test_what_a_cell_writes_to_the_real_output_harms_no_run(course_of, cli, tmp_path):
    noisy = notebook("import os\nos.write(1, b'hello\\n5\\n\\xff\\n')")
    course_of(**{"90_noisy": noisy, "91_good": notebook()})
    result = cli("run", "--out", tmp_path / "out")
    assert result.exit_code == 0, result.output


def test_a_folder_that_holds_other_things_is_not_touched(course_of, cli, tmp_path):
    course_of(**{"90_tiny": notebook()})
    mine = tmp_path / "out" / "90_tiny"
    mine.mkdir(parents=True)
    (mine / "notes.txt").write_text("mine", encoding="utf-8")
    assert "holds other things than a run" in refuse(cli, "--out", tmp_path / "out")
    assert (mine / "notes.txt").read_text(encoding="utf-8") == "mine"


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (("-p", "profile", "full"), "use --profile"),
        (("-p", "out_dir", "x"), "use --out"),
        (("-p", "epochs", "3", "-p", "epochs", "5"), "epochs is given twice"),
    ],
)
def test_values_that_would_be_overwritten_are_refused(course_of, cli, arguments, part):
    course_of(**{"90_tiny": notebook()})
    assert part in refuse(cli, *arguments)


def test_a_device_that_is_not_here_is_refused_before_a_kernel_starts(course_of, cli, monkeypatch):
    with_device = notebook()
    with_device.cells[1].source += '\ndevice = "auto"  # str auto|cpu|cuda|mps: where to train'
    course_of(**{"90_tiny": with_device})
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert "not on this machine" in refuse(cli, "--device", "cuda")


def test_a_full_disk_fails_the_run_with_its_name(course_of, tmp_path):
    resource = pytest.importorskip("resource", reason="needs Unix resource limits")
    course_of(**{"90_tiny": notebook("print('x' * 300_000)")})
    plans = plan.plan(plan.find(()), "fast", {}, {}, tmp_path / "out")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
    try:
        (outcome,) = run.execute(plans, 1, lambda *_: None, lambda _: None)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert outcome.status == "failed"
    assert not (tmp_path / "out" / "90_tiny" / "results.json").exists()
    assert "0 of 1 notebooks passed" in report.write(tmp_path / "out").read_text("utf-8")
