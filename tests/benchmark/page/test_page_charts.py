"""benchmark.page.charts and spectrogram: scales, box plots and pictures of given values."""

import io
import math

import numpy as np
import pytest
from PIL import Image

from benchmark.page.charts import Box, BoxRow, Point, box_plot, linear_scale, log_scale, scatter
from benchmark.page.charts import _label_heights as label_heights
from benchmark.page.markup import json_island, number, table
from benchmark.page.spectrogram import HEIGHT, HIGH_HZ, LOW_HZ, level_db, picture


@pytest.mark.parametrize("values", [[0.1], [-3.0, 8.2], [-40.0, -39.9], [1e-9, 1e9], [5.0, 5.0], []])
def test_a_linear_scale_holds_its_values(values):
    scale = linear_scale(values)
    assert scale.share(scale.low) == 0 and scale.share(scale.high) == 1
    assert all(scale.low <= value <= scale.high for value in values)
    assert list(scale.ticks) == sorted(set(scale.ticks)) and 2 <= len(scale.ticks) <= 9
    assert scale.share(scale.high + 1) == 1 and scale.share(scale.low - 1) == 0


@pytest.mark.parametrize("values", [[0.06, 0.38], [2.3e6, 7e6], [0.001, 100], [1]])
def test_equal_steps_of_a_log_scale_are_equal_ratios(values):
    scale = log_scale(values)
    assert scale.ticks and all(0 < scale.share(value) < 1 for value in values)
    steps = [scale.share(value) for value in (values[0], values[0] * 1.1, values[0] * 1.21)]
    assert steps[1] - steps[0] == pytest.approx(steps[2] - steps[1])


def test_a_box_is_tukeys():
    box = Box.of([0, 1, 2, 3, 4, 5, 6, 7, 100])
    assert (box.low, box.lower, box.median, box.upper, box.high) == (0, 2, 4, 6, 7)
    assert Box.of([3.0]) == Box(3, 3, 3, 3, 3)


def test_every_track_is_a_dot_that_leads_to_it():
    values = [(index, f"<song {index}>", float(index)) for index in range(9)] + [(9, "far", 1000.0)]
    drawn = box_plot("vocals", "dB", [BoxRow("a <b>", "ours", values), BoxRow("none", "peer", [])])
    assert drawn.count("<circle") == 10 and 'data-track="9"' in drawn and drawn.count("beyond") == 1
    assert "&lt;song 3&gt;: 3.00 dB" in drawn and "<b>" not in drawn and "none" not in drawn


def test_many_tracks_leave_only_outliers_as_dots():
    values = [(index, "song", math.sin(index)) for index in range(500)] + [(500, "far", 50.0)]
    assert box_plot("vocals", "dB", [BoxRow("a", "ours", values)]).count("<circle") == 1


def test_a_scatter_plot_names_its_points():
    points = [Point("a & b", "ours", 0.1, 4.0, 3.5, 4.5), Point("c", "peer", 0.4, 2.0, 2.0, 2.0)]
    drawn = scatter(
        "title", "cost", "score", points, [Point("bound", "bound", 0, 3.0, 3, 3), Point("off", "", 0, 90.0, 9, 9)]
    )
    assert drawn.count('class="point"') == 2 and "a &amp; b" in drawn and ">bound<" in drawn and ">off<" not in drawn
    assert scatter("title", "cost", "score", [], []) == ""


def test_labels_keep_clear_of_each_other():
    places = [(0.5, 100.0), (0.5, 104.0), (0.52, 108.0), (0.9, 100.0)]
    heights = label_heights(places, ["middle"] * 4, ["a label"] * 4)
    assert all(abs(a - b) >= 14 for index, a in enumerate(heights[:3]) for b in heights[:index])
    assert heights[3] == 90


def test_a_tone_is_dark_in_its_row():
    rate, hz = 44100, 1000.0
    tone = np.sin(2 * np.pi * hz * np.arange(2 * rate) / rate)[None]
    level = level_db(tone, rate)
    row = HEIGHT - 1 - int(HEIGHT * math.log(hz / LOW_HZ) / math.log(HIGH_HZ / LOW_HZ))
    assert level.shape == (HEIGHT, 120) and np.abs(np.argmax(level[:, 10:-10], axis=0) - row).max() <= 1
    image = np.asarray(Image.open(io.BytesIO(picture(level, level.max()))).convert("L")).astype(int)
    assert image.shape == level.shape and image[row, 60] < 60 and image[5, 60] > 200


@pytest.mark.parametrize(("num_samples", "rate"), [(1, 44100), (500, 44100), (44100, 8000), (3_000_000, 44100)])
def test_any_length_and_rate_has_a_picture(num_samples, rate):
    level = level_db(np.zeros((2, num_samples), np.float32), rate)
    assert level.shape[0] == HEIGHT and 16 <= level.shape[1] <= 480
    assert np.asarray(Image.open(io.BytesIO(picture(level, 0.0))).convert("L")).min() > 250  # silence is white


def test_content_cannot_end_a_data_element():
    island = json_island("x", ["</script><!--", "a&b\u2028"])
    assert island.count("<") == 2 and "</script><!--" not in island
    with pytest.raises(ValueError, match="JSON"):
        json_island("x", math.nan)


def test_a_missing_number_is_a_dash_that_is_not_sorted():
    text = table("c", ["a", "b"], [[number(-1.234), number(math.nan)]], words=())
    assert 'data-sort="-1.234">\u22121.23</th>' in text and "<td>–</td>" in text
