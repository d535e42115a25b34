"""The house: imports point down, files stay small, nothing of a machine is left in the project."""

import ast
import re
import subprocess
import sys

import pytest

FLOORS = {
    "models": 1, "losses": 1, "metrics": 1, "data": 1, "records": 1,
    "training": 2,
    "curriculum": 3, "claims": 3, "teaching": 3, "figures": 3, "drawing": 3, "predict": 3,
    "export": 3,
    "demo": 4,
    "cli": 5,
}  # fmt: skip
# drawing is built on figures, and an overlay has its colours; nothing else reaches across its floor
ACROSS = {("drawing", "figures"), ("predict", "figures")}


def imported(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def rooms(names):
    found = set()
    for name in names:
        parts = name.split(".")
        if parts[0] == "course_lib" and len(parts) > 1 and parts[1] in FLOORS:
            found.add(parts[1])
    return found


def room_of(path, root):
    return path.relative_to(root / "course_lib").parts[0].removesuffix(".py")


def test_every_room_of_the_library_has_a_floor(root):
    here = {room_of(path, root) for path in (root / "course_lib").rglob("*.py")}
    assert here - {"__init__"} <= set(FLOORS)


def test_imports_point_down(root):
    wrong = []
    for path in (root / "course_lib").rglob("*.py"):
        room = room_of(path, root)
        if room == "__init__":
            continue
        for other in rooms(imported(path)) - {room}:
            down = FLOORS[other] < FLOORS[room]
            if not down and (room, other) not in ACROSS:
                wrong.append(f"{path.relative_to(root)} imports {other}")
    assert not wrong


@pytest.mark.parametrize(
    "folder", ["notebooks/source", "notebooks/checks", "data_scripts", "benchmarks"]
)
def test_the_fourth_floor_does_not_import_the_command_line(root, folder):
    for path in (root / folder).rglob("*.py"):
        if path.name != "__main__.py":  # a command line itself, with a page
            assert "cli" not in rooms(imported(path)), path.name


def test_library_imports_monai_where_asked_for_and_kornia_where_it_filters_only(root):
    for path in (root / "course_lib").rglob("*.py"):
        names = {name.split(".")[0] for name in imported(path) if name}
        if "monai" in names:  # inside a function; the next test sees to that
            assert path.name in {"mining.py", "windows.py"}
        if "kornia" in names:
            assert path.name in {"transforms.py", "boundary.py"}


def test_importing_the_library_is_light():
    code = (
        "import sys\n"
        "from course_lib import losses, metrics, models, records, training\n"
        "from course_lib.models import mining\n"
        "from course_lib.data import phantoms, prepared, splits, transforms\n"
        "heavy = {'monai', 'kornia', 'papermill', 'matplotlib', 'IPython'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def tracked(root):
    done = subprocess.run(
        ["git", "-C", str(root), "ls-files", "-z"], capture_output=True, text=True, check=False
    )
    if done.returncode:
        pytest.skip("not a git checkout, so the tracked files are not known")
    return [root / name for name in done.stdout.split("\0") if name and (root / name).is_file()]


def test_no_file_of_the_library_is_longer_than_400_lines(root):
    for path in (root / "course_lib").rglob("*.py"):
        assert len(path.read_text(encoding="utf-8").splitlines()) <= 400, path


def test_no_path_of_a_machine_is_in_the_project(root):
    pattern = re.compile(r"(?<![\w.])/(home|root|work|tmp/bash)[/_]\w")
    for path in tracked(root):
        if path.suffix in {".py", ".md", ".ipynb", ".toml", ".yml", ".json", ".csv", ""}:
            found = pattern.search(path.read_text(encoding="utf-8"))
            assert found is None, f"{path.relative_to(root)}: {found[0]}"


def test_the_project_ships_at_most_3_mb_of_images(root):
    kinds = {".png", ".jpg", ".npz", ".npy", ".tif", ".zip"}
    assert sum(p.stat().st_size for p in tracked(root) if p.suffix in kinds) <= 3_000_000
