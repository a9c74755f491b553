"""Published numbers in the page, and the plots of scores against multiply-accumulates."""

import csv
import re

import pytest

from benchmark.page.contents import read_contents
from benchmark.page.sections import PUBLISHED_FILE, cost_section, published_section, read_published
from models.macs import count_macs, gmacs_per_second
from models.peers import OpenUnmixConfig, OpenUnmixNetwork, SCNetConfig, SCNetNetwork
from models.presets.preset import load_preset
from models.tracks import STEMS
from page_run import make_run


def test_published_numbers_are_whole():
    rows = read_published()
    with PUBLISHED_FILE.open(newline="") as file:
        heads = ["model", "metric", *STEMS, "mean", "gmacs_per_second", "data_set", "extra_data", "source"]
        assert next(csv.reader(file)) == heads
    assert len(rows) == 24 and len({(row["model"], row["metric"], row["data_set"]) for row in rows}) == 24
    for row in rows:
        mean = sum(float(row[stem]) for stem in STEMS) / 4
        assert mean == pytest.approx(float(row["mean"]), abs=0.0101), row["model"]
        assert row["metric"] in ("cSDR", "global SDR") and row["extra_data"].split(",")[0] in (
            "yes",
            "no",
            "not stated",
        )
        assert row["data_set"] and row["source"].startswith("https://")


@pytest.mark.slow
def test_published_costs_are_our_counts_at_the_published_sizes():
    cost = {row["model"]: float(row["gmacs_per_second"]) for row in read_published() if row["gmacs_per_second"]}
    bsrnn = sum(gmacs_per_second(load_preset(f"paper-{stem}")) for stem in STEMS)
    assert cost["BSRNN"] == pytest.approx(bsrnn, rel=0.002)
    eleven_s = 11 * 44100
    scnet = count_macs(lambda: SCNetNetwork(SCNetConfig()), eleven_s, 2) / 11e9
    umx = count_macs(lambda: OpenUnmixNetwork(OpenUnmixConfig()), eleven_s, 2) / 11e9
    assert cost["SCNet small"] == pytest.approx(scnet, rel=0.01)
    assert cost["Open-Unmix (UMXHQ)"] == pytest.approx(umx, rel=0.05)


def test_published_numbers_are_drawn_against_their_cost():
    (plot,) = re.findall(r'aria-label="(published: [^"]*)"', published_section(read_published()))
    assert "SCNet small, global SDR 9.03 dB at 18.5" in plot and "Open-Unmix (UMXHQ), cSDR 5.41 dB at 1.5" in plot
    assert "Spleeter" not in plot  # its size is not counted


def test_a_run_is_drawn_against_the_multiplications_that_are_known(tmp_path):
    contents = read_contents(make_run(tmp_path, keep_audio_s=0))
    ours = contents.ours[0]
    ours.row["gmacs_per_second"] = 1.25
    (plot,) = re.findall(r'aria-label="mean over four stems against GMAC/s: ([^"]*)"', cost_section(contents))
    assert plot == f"{ours.short} {ours.score('sdr', 'mean'):.2f} dB at 1.25"
