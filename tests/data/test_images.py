import io
import os
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from course_lib.data.images import read_image, read_mask

RNG = np.random.default_rng(0)
GRAY = RNG.integers(0, 256, (20, 30), dtype=np.uint8)
COLOUR = RNG.integers(0, 256, (20, 30, 3), dtype=np.uint8)


def save(path, array, mode=None, **options):
    image = Image.fromarray(array)
    (image.convert(mode) if mode else image).save(path, **options)
    return path


@pytest.mark.parametrize("suffix", ["png", "tif", "tiff"])
def test_lossless_pictures_come_back_exactly(tmp_path, suffix):
    assert (read_image(save(tmp_path / f"a.{suffix}", GRAY)) == GRAY[None]).all()
    colour = read_image(save(tmp_path / f"b.{suffix}", COLOUR))
    assert colour.dtype == np.uint8
    assert (colour == COLOUR.transpose(2, 0, 1)).all()


def test_jpeg_and_compressed_tiff(tmp_path):
    smooth = np.add.outer(np.arange(20), np.arange(30)).astype(np.uint8)
    read = read_image(save(tmp_path / "a.JPG", smooth, quality=95))
    assert np.abs(read[0].astype(int) - smooth).max() <= 4
    read = read_image(save(tmp_path / "a.tif", GRAY, compression="tiff_lzw"))
    assert (read == GRAY[None]).all()


@pytest.mark.parametrize(
    ("array", "expected"),
    [
        (GRAY, GRAY[None]),
        (COLOUR, COLOUR.transpose(2, 0, 1)),
        (COLOUR.transpose(2, 0, 1), COLOUR.transpose(2, 0, 1)),
        (GRAY / 255, GRAY[None]),
        (GRAY > 100, (GRAY > 100)[None] * 255),
    ],
)
def test_numpy_arrays_of_the_usual_shapes(tmp_path, array, expected):
    np.save(tmp_path / "a.npy", array)
    assert (read_image(tmp_path / "a.npy") == expected).all()


def test_alpha_is_dropped_and_palettes_are_looked_up(tmp_path):
    path = save(tmp_path / "a.png", np.dstack([COLOUR, np.full((20, 30), 255, np.uint8)]))
    assert (read_image(path) == COLOUR.transpose(2, 0, 1)).all()
    few = (GRAY // 64) * 64
    assert (read_image(save(tmp_path / "p.png", few, "P")) == few[None]).all()
    assert set(np.unique(read_image(save(tmp_path / "b.png", few, "1")))) == {0, 255}


def test_the_rotation_noted_by_a_camera_is_applied(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # the top of the scene lies at the right side of the file
    path = save(tmp_path / "a.png", GRAY, exif=exif)
    assert (read_image(path)[0] == np.rot90(GRAY, -1)).all()


@pytest.mark.parametrize("suffix", ["png", "tif", "jpg"])
def test_truncated_pictures_are_refused(tmp_path, suffix):
    path = save(tmp_path / f"a.{suffix}", RNG.integers(0, 256, (200, 200), dtype=np.uint8))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(ValueError, match=rf"cannot read .*a\.{suffix}: .*must be a whole PNG"):
        read_image(path)


def test_truncated_arrays_are_refused(tmp_path):
    np.save(tmp_path / "a.npy", GRAY)
    content = (tmp_path / "a.npy").read_bytes()
    for length in (0, 4, 60, 128, len(content) - 1):
        (tmp_path / "a.npy").write_bytes(content[:length])
        with pytest.raises(ValueError, match="cannot read"):
            read_image(tmp_path / "a.npy")


@pytest.mark.parametrize("suffix", ["png", "tif", "jpg", "npy"])
@pytest.mark.parametrize("content", [b"", b"not a picture", b"%!PS-Adobe EPSF\n"])
def test_files_that_are_something_else_are_refused(tmp_path, suffix, content):
    path = tmp_path / f"a.{suffix}"
    path.write_bytes(content)
    with pytest.raises(ValueError, match="cannot read") as caught:
        read_image(path)
    assert "\n" not in str(caught.value)


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(["PNG", "TIFF", "JPEG", "npy"]), st.data())
def test_a_damaged_file_gives_an_image_or_one_line(tmp_path_factory, kind, data):
    buffer = io.BytesIO()
    np.save(buffer, COLOUR) if kind == "npy" else Image.fromarray(COLOUR).save(buffer, kind)
    content = bytearray(buffer.getvalue())
    for _ in range(data.draw(st.integers(1, 6))):
        # most of the structure lies at the two ends
        place = data.draw(st.one_of(st.integers(0, 200), st.integers(-200, -1)))
        content[place % len(content)] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.getbasetemp() / f"damaged.{kind.lower()}"
    path.write_bytes(bytes(content))
    for read in (read_image, read_mask):
        message = ""
        try:
            assert read(path).dtype == np.uint8
        except ValueError as error:
            message = str(error)
        assert "\n" not in message


class Trap:
    """Its pickle makes a folder when it is loaded."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def test_pickles_are_never_loaded(tmp_path):
    (tmp_path / "t.npy").write_bytes(pickle.dumps(Trap(tmp_path / "sprung")))
    with pytest.raises(ValueError, match="cannot read"):
        read_image(tmp_path / "t.npy")
    assert not (tmp_path / "sprung").exists()
    np.save(tmp_path / "a.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(ValueError, match="cannot read"):
        read_image(tmp_path / "a.npy")
    np.savez(tmp_path / "b.npz", a=GRAY)
    (tmp_path / "b.npz").rename(tmp_path / "b.npy")
    with pytest.raises(ValueError, match="not one array of numbers"):
        read_image(tmp_path / "b.npy")


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_nan_pixels_are_refused(tmp_path, bad):
    array = np.zeros((8, 8), dtype=np.float32)
    array[2, 3] = bad
    np.save(tmp_path / "a.npy", array)
    Image.fromarray(array).save(tmp_path / "a.tif")
    for name in ("a.npy", "a.tif"):
        for read in (read_image, read_mask):
            with pytest.raises(ValueError, match=f"{name} has 1 pixels that are NaN or infinite"):
                read(tmp_path / name)


def test_depths_and_shapes_that_need_a_decision_are_refused(tmp_path):
    Image.fromarray(GRAY.astype(np.uint16) * 16).save(tmp_path / "a.png")
    with pytest.raises(ValueError, match=r"a\.png has the mode I;16"):
        read_image(tmp_path / "a.png")
    save(tmp_path / "a.jpg", COLOUR, "CMYK")
    with pytest.raises(ValueError, match="has the mode CMYK"):
        read_image(tmp_path / "a.jpg")
    for array in (GRAY.astype(np.int16), GRAY.astype(float)):
        np.save(tmp_path / "a.npy", array)
        with pytest.raises(ValueError, match=r"an image is uint8, or fractions in 0\.\.1"):
            read_image(tmp_path / "a.npy")
    for shape in ((4,), (4, 5, 6), (1, 2, 3, 4), (0, 4)):
        np.save(tmp_path / "a.npy", np.zeros(shape, np.uint8))
        with pytest.raises(ValueError, match="has the shape"):
            read_image(tmp_path / "a.npy")


def test_stacks_bombs_and_missing_files_are_refused(tmp_path, monkeypatch):
    pages = [Image.fromarray(GRAY), Image.fromarray(GRAY)]
    pages[0].save(tmp_path / "a.tif", save_all=True, append_images=pages[1:])
    with pytest.raises(ValueError, match="holds 2 pages"):
        read_image(tmp_path / "a.tif")
    with pytest.raises(ValueError, match=r"no file .*b\.png"):
        read_image(tmp_path / "b.png")
    path = save(tmp_path / "c.png", GRAY)
    for limit in (400, 100):  # Pillow warns above the limit and fails above twice the limit
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
        with pytest.raises(ValueError, match=f"more than {limit} pixels"):
            read_image(path)


@pytest.mark.parametrize("mode", ["L", "1", "RGB", "RGBA", "P"])
def test_binary_masks_of_every_mode(tmp_path, mode):
    mask = (GRAY > 128).astype(np.uint8)
    path = save(tmp_path / "m.png", mask * 255, mode)
    if mode == "P":  # the index is the label, whatever its colour
        image = Image.fromarray(mask, "P")
        image.putpalette([9, 9, 9, 255, 0, 0])
        image.save(path)
    assert (read_mask(path) == mask).all()


def test_jpeg_masks_are_cut_at_the_middle(tmp_path):
    mask = np.zeros((32, 32), dtype=np.uint8)
    mask[5:21, 6:22] = 1
    path = save(tmp_path / "m.jpg", mask * 255, quality=80)
    assert len(np.unique(np.asarray(Image.open(path)))) > 2
    assert (read_mask(path) == mask).all()
    with pytest.raises(ValueError, match="3 classes allow"):
        read_mask(path, num_classes=3)
    with pytest.raises(ValueError, match=r"p\.jpg is a photograph"):
        read_mask(save(tmp_path / "p.jpg", GRAY))


def test_labels_of_several_classes(tmp_path):
    labels = GRAY % 4
    np.save(tmp_path / "m.npy", labels.astype(np.float32))
    assert (read_mask(tmp_path / "m.npy", 4) == labels).all()
    save(tmp_path / "m.png", labels)
    assert (read_mask(tmp_path / "m.png", 4) == labels).all()
    with pytest.raises(ValueError, match=r"m\.png has the label 3; 3 classes allow 0\.\.2"):
        read_mask(tmp_path / "m.png", 3)
    np.save(tmp_path / "m.npy", labels.astype(int) - 1)
    with pytest.raises(ValueError, match="label -1"):
        read_mask(tmp_path / "m.npy", 4)
    np.save(tmp_path / "m.npy", labels / 2)
    with pytest.raises(ValueError, match="labels are whole numbers"):
        read_mask(tmp_path / "m.npy", 4)


def test_masks_with_colours_or_another_size_are_refused(tmp_path):
    with pytest.raises(ValueError, match="has colours"):
        read_mask(save(tmp_path / "m.png", COLOUR))
    path = save(tmp_path / "m.png", GRAY * 0)
    with pytest.raises(ValueError, match="is 30 x 20 px but its image is 20 x 30"):
        read_mask(path, shape=(30, 20))
    assert read_mask(path, shape=(20, 30)).shape == (20, 30)
