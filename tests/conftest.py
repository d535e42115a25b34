"""Shared fixtures: one thread, the repository root, and the real data where it is at hand."""

import os
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).resolve().parents[1]
torch.set_num_threads(1)


@pytest.fixture(scope="session")
def root():
    return ROOT


@pytest.fixture(scope="session")
def shared_data():
    """Folder of real images; it is not part of the project."""
    shared = Path(os.environ.get("COURSE_SHARED", ROOT.parent / "shared"))
    if not (shared / "data").is_dir():
        pytest.skip(
            f"real images are not at hand: set COURSE_SHARED (looked in {shared.name}/data)"
        )
    return shared / "data"
