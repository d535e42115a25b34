"""`course check`: versions, device, memory, advice."""

from course_lib.cli import machine


def test_check_says_what_this_machine_is(cli):
    result = cli("check")
    assert result.exit_code == 0, result.output
    for word in ("Python", "PyTorch", "device", "cores", "memory", "advice"):
        assert word in result.output


def test_a_version_that_differs_is_named(monkeypatch):
    monkeypatch.setattr(machine, "locked", lambda: {"numpy": "1.0", "no-such-package": "2.0"})
    lines = machine.differing()
    assert lines[0].endswith("the lock has 1.0")
    assert lines[1] == "no-such-package: missing, the lock has 2.0"
    assert any("differ from requirements.lock" in line for line in machine.describe())
