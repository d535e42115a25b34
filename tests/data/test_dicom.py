"""DICOM files become the grey values that a reader would see, or are refused in one line."""

import numpy as np
import pytest

from course_lib.data.dicom import is_dicom, read_dicom
from tests.predict.samples import write_dicom


@pytest.fixture
def ramp():
    return np.arange(0, 4096, 16, dtype=np.uint16).reshape(16, 16)


def test_a_window_becomes_0_to_255(tmp_path, ramp):
    path = write_dicom(
        tmp_path / "a.dcm",
        ramp,
        RescaleSlope=1,
        RescaleIntercept=-1024,
        WindowCenter=[40, 500],
        WindowWidth=[401, 2000],
        PixelSpacing=[0.5, 0.25],
    )
    pixels, spacing = read_dicom(path)
    assert pixels.shape == (1, 1, 16, 16)
    assert spacing == (0.5, 0.25)
    units = ramp.astype(float) - 1024
    expected = np.rint(255 * ((units - 39.5) / 400 + 0.5).clip(0, 1))
    np.testing.assert_array_equal(pixels[0, 0], expected)


def test_white_is_high_in_monochrome1(tmp_path):
    dark = np.full((4, 4), 10, np.uint8)
    path = write_dicom(tmp_path / "a.dcm", dark, PhotometricInterpretation="MONOCHROME1")
    assert (read_dicom(path)[0] == 245).all()


def test_without_a_window_8_bits_stay_and_more_are_stretched(tmp_path, ramp):
    eight = (ramp // 16).astype(np.uint8)
    pixels, spacing = read_dicom(write_dicom(tmp_path / "a.dcm", eight))
    np.testing.assert_array_equal(pixels[0, 0], eight)
    assert spacing is None
    stretched = read_dicom(write_dicom(tmp_path / "b.dcm", ramp))[0]
    assert (stretched.min(), stretched.max()) == (0, 255)


def test_frames_and_colours_are_axes(tmp_path):
    frames = np.zeros((5, 4, 6), np.uint8)
    assert read_dicom(write_dicom(tmp_path / "a.dcm", frames))[0].shape == (1, 5, 4, 6)
    colour = np.zeros((4, 6, 3), np.uint8)
    colour[..., 2] = 7
    pixels = read_dicom(write_dicom(tmp_path / "b.dcm", colour))[0]
    assert pixels.shape == (3, 1, 4, 6)
    assert (pixels[2] == 7).all()


def test_a_file_is_known_by_its_content(tmp_path, ramp):
    assert is_dicom(write_dicom(tmp_path / "IM0001", ramp))
    (tmp_path / "other").write_bytes(b"nothing")
    assert not is_dicom(tmp_path / "other")
    assert not is_dicom(tmp_path / "missing")


def test_what_cannot_be_read_is_said_in_one_line(tmp_path, ramp):
    path = write_dicom(tmp_path / "a.dcm", ramp)
    (tmp_path / "cut.dcm").write_bytes(path.read_bytes()[:-100])
    (tmp_path / "text.dcm").write_text("no image")
    (tmp_path / "empty.dcm").write_bytes(b"")
    packed = write_dicom(tmp_path / "packed.dcm", ramp)
    content = packed.read_bytes().replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.2.9\0")
    packed.write_bytes(content)
    for name in ("cut.dcm", "text.dcm", "empty.dcm", "packed.dcm"):
        with pytest.raises(ValueError, match=f"{name} cannot be read as DICOM: ") as caught:
            read_dicom(tmp_path / name)
        assert "\n" not in str(caught.value)
    with pytest.raises(ValueError, match="there is no file"):
        read_dicom(tmp_path / "missing.dcm")


def test_palettes_are_refused(tmp_path):
    grey = np.zeros((4, 4), np.uint8)
    path = write_dicom(tmp_path / "a.dcm", grey, PhotometricInterpretation="PALETTE COLOR")
    with pytest.raises(ValueError, match=r"a\.dcm.*PALETTE COLOR.*grey or 8-bit RGB"):
        read_dicom(path)
