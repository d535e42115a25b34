"""The demo page in a real browser: its masks are those of Python."""

import io

import numpy as np
import pytest
from PIL import Image

from course_lib import demo, predict
from course_lib.data.resize import resize_images
from course_lib.demo import runtime
from tests.demo import browser

STATUS = "document.getElementById('status').textContent"
ANSWERED = f"{STATUS}.includes('answered in')"
REDS = (0xE6, 0x56)  # of the colours of labels 1 and 2
# Between probabilities: two builds of ONNX Runtime differ by 1e-5 or so; a grey value that lies
# between two whole ones, which happens in two of ten thousand pixels, may be rounded either way.
SAME_SIZE, RESIZED = 1e-4, 5e-3


@pytest.fixture(scope="module")
def files(weights, three_classes):
    return [*weights, three_classes[1]]


@pytest.fixture(scope="module")
def page(files, tmp_path_factory):
    executable = browser.find()
    if executable is None:
        pytest.skip("no Chromium is installed, so the page is not tried in a browser")
    if not runtime.archive().is_file():
        pytest.skip("onnxruntime-web is not fetched; `course demo` does it once")
    profile = tmp_path_factory.mktemp("profile")
    site = demo.write(files, tmp_path_factory.mktemp("demo") / "site")
    with (
        browser.serving(site.parent) as (address, _),  # pages of GitHub lie in a folder, too
        browser.opened(executable, profile, f"{address}/site/") as opened,
    ):
        opened.site, opened.address = site, f"{address}/site/"
        opened.wait_for(ANSWERED)
        yield opened


def labels_on(page, net):
    """Read the mask of a net from its canvas: (H, W) labels."""
    address = page.evaluate(f"document.querySelectorAll('canvas.mask')[{net}].toDataURL()")
    pixels = np.asarray(Image.open(io.BytesIO(browser.content_of(address))).convert("RGBA"))
    labels = np.select([pixels[..., 0] == red for red in REDS], [1, 2])
    assert ((labels > 0) == (pixels[..., 3] > 0)).all()
    return labels


def move_threshold(page, value):
    page.evaluate(
        f"(() => {{ const slider = document.getElementById('threshold'); slider.value = {value};"
        "slider.dispatchEvent(new Event('input')); })()"
    )


def agree(page, files, image):
    """Compare the masks of all nets with Python's."""
    picture = predict.read(image)
    for number, file in enumerate(files):
        net, card = predict.load(file)
        probabilities = predict.segment(net, card, picture, 0.5).probabilities
        close = SAME_SIZE if picture.pixels.shape[1:] == card.size else RESIZED
        if card.num_classes == 1:
            expected, sure = binary(page, probabilities[0], close)
        else:
            expected, sure = largest(probabilities, close)
        found = labels_on(page, number)
        assert found.shape == expected.shape
        assert (found == expected)[sure].all()
        assert (found == expected).mean() > 0.999


def binary(page, probabilities, close):
    """Set a threshold between the probabilities; return labels, and where they are sure."""
    threshold = round(float(np.quantile(probabilities, 0.7)), 2)
    move_threshold(page, threshold)
    marked = probabilities > threshold
    assert 0.02 < marked.mean() < 0.98
    return marked.astype(int), np.abs(probabilities - threshold) > close


def largest(probabilities, close):
    """Return the labels of the largest probability, and where they are sure."""
    second, first = np.sort(probabilities, axis=0)[-2:]
    return probabilities.argmax(0), first - second > 2 * close


def choose_example(page, number):
    page.evaluate(f"document.querySelectorAll('#examples input')[{number}].click()")
    page.wait_for(ANSWERED)


def choose_own(page, file):
    page.choose_file("#file", file)
    page.wait_for(f"{STATUS}.startsWith('{file.name}')")


@pytest.mark.parametrize("number", [0, 5], ids=["generated", "real"])
def test_masks_of_an_example_are_those_of_python(page, files, number):
    choose_example(page, number)
    agree(page, files, page.site / f"examples/{number + 1}-image.png")


@pytest.mark.parametrize("shape", [(201, 300), (50, 40), (96, 128), (64, 64)], ids=str)
def test_masks_of_an_image_of_any_size_are_those_of_python(page, files, tmp_path, shape):
    rough = np.random.default_rng(1).integers(0, 256, (1, 3, 9, 7), dtype=np.uint8)
    image = resize_images(rough, shape)[0]
    file = tmp_path / f"own {shape[0]}.png"
    Image.fromarray(np.moveaxis(image, 0, -1)).save(file)
    choose_own(page, file)
    agree(page, files, file)


def test_an_image_can_be_dropped_on_the_page(page, files):
    choose_example(page, 0)
    page.evaluate(
        "fetch('examples/2-image.png').then(answer => answer.blob()).then(blob => {"
        "const dropped = new DataTransfer();"
        "dropped.items.add(new File([blob], 'dropped.png'));"
        "dispatchEvent(new DragEvent('drop', {dataTransfer: dropped})); })"
    )
    page.wait_for(f"{STATUS}.startsWith('dropped.png') && {ANSWERED}")
    agree(page, files, page.site / "examples/2-image.png")


@pytest.mark.parametrize("old", [(201, 300), (64, 48), (256, 256), (512, 1000)], ids=str)
def test_images_are_resized_as_in_training(page, old):
    image = np.random.default_rng(0).integers(0, 256, (1, 1, *old), dtype=np.uint8)
    expected = resize_images(image, (96, 128))[0, 0].astype(int)
    found = page.evaluate(
        f"import('./resize.js').then(({{byArea}}) => Array.from(byArea({{width: {old[1]}, "
        f"height: {old[0]}, values: Uint8Array.from({image.ravel().tolist()})}}, 128, 96).values))"
    )
    difference = np.abs(np.reshape(found, expected.shape) - expected)
    assert difference.max() <= 1
    assert (difference > 0).mean() < 0.001


def test_the_keyboard_moves_the_threshold_and_the_mask(page):
    choose_example(page, 0)
    move_threshold(page, 0.5)
    before = labels_on(page, 0).sum()
    page.evaluate("document.getElementById('threshold').focus()")
    for _ in range(5):
        page.press("ArrowLeft", 37)
    assert page.evaluate("document.getElementById('chosen').textContent") == "0.45"
    assert labels_on(page, 0).sum() > before


def test_the_keyboard_reaches_examples_file_threshold_and_measuring(page):
    page.evaluate("document.querySelector('#examples input').focus()")
    page.press("ArrowRight", 39)
    page.wait_for(f"{STATUS}.startsWith('heart') && {ANSWERED}")
    reached = []
    for _ in range(5):
        page.press("Tab", 9)
        reached.append(
            page.evaluate("document.activeElement.id || document.activeElement.className")
        )
    assert reached[:4] == ["file", "threshold", "scroll", "measure"]


def test_nets_are_compared_by_size_time_and_dice(page):
    choose_example(page, 0)
    page.evaluate("document.getElementById('measure').click()")
    page.wait_for(f"{STATUS}.includes('median of 7')")
    rows = page.evaluate("[...document.querySelectorAll('#table tr')].map(row => row.innerText)")
    for number, (row, name) in enumerate(zip(rows, ("wide", "square", "1"), strict=True), start=1):
        title, size, time, _, dice = row.split("\t")
        assert f"{name}.onnx" in title
        assert float(size) == round(
            page.site.joinpath(f"nets/{number}.onnx").stat().st_size / 1e6, 2
        )
        middle, low, high = (int(part.strip(" ,[]")) for part in time.split())
        assert low <= middle <= high
        assert 0 <= float(dice) <= 1


def test_what_is_no_image_is_one_line_and_the_page_goes_on(page, tmp_path):
    (tmp_path / "notes.png").write_text("no picture")
    choose_own(page, tmp_path / "notes.png")
    assert "try a PNG or a JPEG" in page.evaluate(STATUS)
    glassy = Image.new("RGBA", (20, 20), (1, 2, 3, 4))
    glassy.save(tmp_path / "glassy.png")
    choose_own(page, tmp_path / "glassy.png")
    assert "alpha channel" in page.evaluate(STATUS)
    Image.fromarray(np.zeros((20, 20), np.uint16)).save(tmp_path / "deep.png")
    choose_own(page, tmp_path / "deep.png")
    assert "16 bits" in page.evaluate(STATUS)
    choose_example(page, 2)


def test_it_says_first_that_it_is_no_medical_device(page):
    text = page.evaluate("document.body.innerText")
    assert text.startswith("Teaching material, not a medical device.")


def test_nothing_comes_from_elsewhere(page):
    asked = page.evaluate("performance.getEntriesByType('resource').map(entry => entry.name)")
    assert any(name.endswith(".wasm") for name in asked)
    assert all(name.startswith(page.address) for name in asked)


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", [400, 1200])
def test_no_width_makes_the_page_scroll_sideways(page, width, dark):
    page.resize(width, 900, dark)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (background == "rgb(22, 22, 22)") is dark
