import numpy as np
import pytest
from matplotlib.colors import to_rgba

from course_lib import figures, training
from course_lib.drawing.training import learning_curves, protocol_table, settings

TWO = {
    "plnet": {"batch": ("16", True), "clipping": ("none", False)},
    "other": {"batch": ("4", True), "clipping": ("norm 5", True)},
}
CURVES = {"training": ([1, 2, 3], [0.9, 0.5, 0.2]), "validation": ([1, 2, 3], [0.9, 0.6, 0.8])}


def test_a_cell_a_setting_and_grey_where_the_source_is_silent():
    fig, alt = protocol_table(TWO, title="T")
    ax = fig.axes[0]
    assert [label.get_text() for label in ax.get_xticklabels()] == ["PL-Net", "other"]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["batch", "clipping"]
    assert [text.get_text() for text in ax.texts] == ["16", "none", "4", "norm 5"]
    grey = [cell.get_facecolor() == to_rgba(figures.GRID) for cell in ax.patches]
    assert grey == [False, True, False, False]
    assert "does not state: PL-Net 1, other 0" in alt
    assert figures.show(fig, alt)[:4] == b"\x89PNG"


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({}, "at least one"),
        ({"a": {}}, "at least one"),
        ({"a": {"x": ("1", True)}, "b": {"y": ("1", True)}}, "the same settings"),
        ({"a": {str(i): ("", True) for i in range(15)}}, "1 sources of 15"),
    ],
)
def test_a_table_that_cannot_be_read_is_refused(columns, message):
    with pytest.raises(ValueError, match=message):
        protocol_table(columns, title="T")


def test_events_stand_at_their_epochs_with_their_names_apart():
    fig, alt = learning_curves(
        CURVES, {"least loss": 2, "stopped": 3}, title="T", ylabel="cross-entropy"
    )
    ax = fig.axes[0]
    upright = [line.get_xdata()[0] for line in ax.lines[len(CURVES) :]]
    assert upright == [2, 3]
    labels = {text.get_text(): text for text in ax.texts}
    assert labels["least loss"].xy[0] == 2
    heights = [labels[name].get_position()[1] for name in ("least loss", "stopped")]
    assert heights[1] - heights[0] >= 11  # points between their baselines
    assert alt.startswith("least loss: epoch 2; stopped: epoch 3. cross-entropy against epoch.")


def test_long_curves_have_few_markers_and_make_small_pictures():
    epochs = np.arange(200)
    fig, alt = learning_curves({"a": (epochs, np.sqrt(epochs))}, {}, title="T", ylabel="y")
    assert fig.axes[0].lines[0].get_markevery() == 16
    assert len(figures.show(fig, alt)) < 30_000


def test_every_protocol_can_be_said_in_words():
    told = {name: settings(protocol) for name, protocol in training.PROTOCOLS.items()}
    assert told["plnet"]["augmentation"] == "flip, rotate 25, shift 0.15"
    assert told["reunet"]["augmentation"] == "none"
    assert told["reunet"]["epochs (patience)"] == "150 (5)"
    assert told["course"]["epochs (patience)"] == "20 (none)"
    assert told["sigrenet"]["precision"] == "mixed"
    for loss in training.LOSSES:
        assert settings(training.Protocol(loss=loss))["loss"]
