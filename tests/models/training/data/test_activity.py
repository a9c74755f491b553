"""Activity detection: the paper's rule to the letter, found once for each pack."""

import dataclasses
import json

import numpy as np
import pytest

from models.training.data import activity
from models.training.data.activity import salient_index, salient_starts, segment_length
from models.training.data.packs import Pack, PackedTrack

RATE = 1000
SEGMENT, CHUNK = 6 * RATE, 600


def chunks(levels):
    """A stem [2, T] whose chunks of 0.6 s have these root mean squares, each a trace above the one before."""
    levels = np.array(levels) * (1 + 1e-6 * np.arange(len(levels)))
    signs = np.where(np.arange(CHUNK) % 2, 1.0, -1.0)
    return np.tile((levels[:, None] * signs).reshape(-1), (2, 1)).astype(np.float32)


def test_segments_of_six_seconds_overlap_by_half():
    loud = salient_starts(chunks([0.1] * 100), RATE)
    assert loud == list(range(9 * RATE, 54 * RATE + 1, 3 * RATE))  # the lowest 15 % are the first 15 chunks: 9 s
    assert segment_length(100 * CHUNK, RATE) == SEGMENT


def test_more_than_half_of_the_chunks_must_exceed_the_threshold():
    for active, kept in ((5, False), (6, True)):
        levels = [0.0] * 40
        levels[20 : 20 + active] = [0.1] * active
        assert (20 * CHUNK in salient_starts(chunks(levels), RATE)) is kept


def test_the_quantile_is_over_the_whole_track_and_not_over_a_segment():
    levels = [0.1] * 90 + [0.01] * 10  # the last tenth is quieter, yet far above the floor
    starts = salient_starts(chunks(levels), RATE)
    assert 60 * CHUNK in starts and 90 * CHUNK not in starts
    assert salient_starts(chunks(levels[90:]), RATE) == [0]  # alone, the same segment plays


def test_the_floor_is_absolute():
    assert salient_starts(chunks([0.99e-3] * 20), RATE) == []
    assert salient_starts(chunks([0.0] * 10 + [1.1e-3] * 10), RATE) == [10 * CHUNK]


def test_energy_is_the_root_of_the_mean_square():
    audio = chunks([0.0] * 20)
    audio[:, 10 * CHUNK :: 100] = 0.008  # mean of the absolute value 0.00008, root mean square 0.0008
    assert salient_starts(audio, RATE) == []
    audio[:, 10 * CHUNK :: 100] = 0.012  # 0.00012 and 0.0012
    assert salient_starts(audio, RATE) == [10 * CHUNK]


def test_a_silent_stem_has_no_segment_and_short_ones_are_one_segment():
    assert salient_starts(np.zeros((2, 30 * RATE), dtype=np.float32), RATE) == []
    noise = np.random.default_rng(0).standard_normal((2, 2500))
    assert salient_starts(noise, RATE) == [0] and segment_length(2500, RATE) == 2500
    assert salient_starts(noise[:, :9], RATE) == [] and segment_length(9, RATE) == 0


def test_integers_are_scaled():
    audio = np.round(chunks([0.0] * 10 + [0.5] * 10) * 1000).astype(np.int16)
    assert salient_starts(audio, RATE, scale=1e-3) == [10 * CHUNK]
    assert salient_starts(audio, RATE, scale=1e-6) == []


@pytest.fixture
def pack(tmp_path):
    tracks = []
    for name, split in (("a", "train"), ("b", "train"), ("c", "valid")):
        levels = np.linspace(1000, 2000, 20) * (np.arange(20) >= (10 if name == "a" else 0))
        audio = np.stack([chunks(levels), np.zeros((2, 20 * CHUNK))]).astype(np.int16)
        np.save(tmp_path / f"{name}.npy", audio)
        tracks.append(PackedTrack(name, split, tmp_path / f"{name}.npy", 1e-4, (False, True)))
    return Pack(tmp_path, ("x", "y"), RATE, tuple(tracks), "made")


def counted(monkeypatch):
    calls = []
    original = salient_starts
    monkeypatch.setattr(activity, "salient_starts", lambda *given: calls.append(given) or original(*given))
    return calls


def test_the_index_is_found_once(pack, monkeypatch):
    calls = counted(monkeypatch)
    first = salient_index(pack)
    assert set(first) == {"a.npy", "b.npy"} and first["a.npy"] == [[10 * CHUNK], []]
    assert len(calls) == 4
    monkeypatch.setattr(PackedTrack, "audio", lambda track: pytest.fail("reads audio again"))
    assert salient_index(pack) == first


def test_only_new_tracks_are_looked_at(pack, monkeypatch):
    calls = counted(monkeypatch)
    salient_index(dataclasses.replace(pack, tracks=pack.tracks[:1]))
    assert len(calls) == 2
    both = salient_index(pack)
    assert len(calls) == 4
    assert list(salient_index(dataclasses.replace(pack, tracks=pack.tracks[:1]))) == ["a.npy"]
    assert salient_index(pack) == both and len(calls) == 4


@pytest.mark.parametrize("change", ["rule", "damage"])
def test_another_rule_or_a_damaged_file_is_found_anew(pack, monkeypatch, change):
    first = salient_index(pack)
    path = pack.folder / "salient.json"
    if change == "rule":
        stored = json.loads(path.read_text())
        stored["rule"]["quantile"] = 0.2
        stored["tracks"]["a.npy"] = [[0], [0]]
        path.write_text(json.dumps(stored))
    else:
        path.write_text(path.read_text()[:-20])
    assert salient_index(pack) == first


def test_a_pack_that_cannot_be_written_still_serves(pack, monkeypatch, capsys):
    def refuse(path, text):
        raise PermissionError("read-only")

    monkeypatch.setattr(activity.atomic, "write_text", refuse)
    assert salient_index(pack)["b.npy"][0]
    assert "salient.json: not kept" in capsys.readouterr().err
