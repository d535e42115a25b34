import numpy as np
import pytest

from course_lib.data import prepared, splits
from data_scripts import phantoms


def test_another_size_is_written_once_with_its_split(tmp_path):
    folder = phantoms.prepare(None, str(tmp_path / "Mine"), 32)
    data = prepared.open(folder)
    assert (data.name, data.images.shape) == ("phantoms", (600, 3, 32, 32))
    # stratified by look, so that rounding may move a case of each of the looks
    shares = [len(data.split()[part]) / len(data) for part in splits.PARTS]
    assert shares == pytest.approx([0.6, 0.2, 0.2], abs=0.01)
    before = folder.stat().st_ino
    assert phantoms.prepare(None, folder, 32).stat().st_ino == before
    phantoms.prepare(None, folder, 48)
    assert prepared.open(folder).images.shape[-1] == 48
    assert np.concatenate(list(prepared.open(folder).split().values())).size == 600
    assert prepared.verify(folder) == []


def test_sizes_out_of_range_and_downloads_are_refused(tmp_path):
    with pytest.raises(ValueError, match="size must be 32 to 512, got 16"):
        phantoms.prepare(None, tmp_path / "out", 16)
    with pytest.raises(ValueError, match="nothing is downloaded"):
        phantoms.get(tmp_path)
    assert list(tmp_path.iterdir()) == []
