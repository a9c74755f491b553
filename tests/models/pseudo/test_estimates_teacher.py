"""Another system's estimates as a teacher: both layouts, and what does not fit."""

import json
import shutil

import numpy as np
import pytest
import soundfile
from unlabelled_songs import write_song

from conftest import SAMPLE_RATE, STEMS, synthetic_stems
from models.pseudo.estimates import EstimatesTeacher, estimated_stems
from models.pseudo.songs import find_unlabelled

STEREO = synthetic_stems(0, 1.0)
MIXTURE = np.sum(list(STEREO.values()), axis=0)


@pytest.fixture
def songs(tmp_path):
    for name in ("album/one", "album/two"):
        write_song(tmp_path / "songs" / f"{name}.wav", MIXTURE * (1 if name.endswith("one") else 0.5))
    return find_unlabelled([tmp_path / "songs"], tmp_path / "out")


def write_estimates(folder, gain=1.0, stems=STEMS):
    for stem in stems:
        write_song(folder / f"{stem}.wav", gain * STEREO[stem])


@pytest.fixture
def estimates(tmp_path, songs):
    write_estimates(tmp_path / "est" / "album" / "one")
    write_estimates(tmp_path / "est" / "album" / "two", 0.5)
    return tmp_path / "est"


def test_parts_of_each_song_are_those_of_its_estimates(estimates, songs):
    teacher = EstimatesTeacher(estimates, ("vocals", "bass"), songs, SAMPLE_RATE)
    for song, gain in zip(songs, (1, 0.5), strict=True):
        given = teacher.separate(song, song.read(SAMPLE_RATE), 1000, 3000)
        assert list(given) == ["vocals", "bass"]
        assert np.array_equal(given["bass"], np.float32(gain) * STEREO["bass"][:, 1000:3000])
    assert teacher.name == "estimates of est"
    assert estimated_stems(estimates, ("bass", "guitar", "vocals")) == ("bass", "vocals")


def test_the_identity_is_that_of_the_files(estimates, songs):
    before = [EstimatesTeacher(estimates, ("vocals",), songs, SAMPLE_RATE).identity(song) for song in songs]
    write_song(estimates / "album" / "two" / "vocals.wav", STEREO["drums"])
    after = [EstimatesTeacher(estimates, ("vocals",), songs, SAMPLE_RATE).identity(song) for song in songs]
    assert before[0] == after[0] and before[1] != after[1]


def test_a_folder_of_the_songs_name_elsewhere_will_do_but_not_two(estimates, songs):
    shutil.move(estimates / "album", estimates / "other place")
    EstimatesTeacher(estimates, ("vocals",), songs, SAMPLE_RATE)
    shutil.copytree(estimates / "other place" / "two", estimates / "third" / "two")
    with pytest.raises(ValueError, match="'album/two' has estimates in .*two and .*two; name the folder of one system"):
        EstimatesTeacher(estimates, ("vocals",), songs, SAMPLE_RATE)


def test_the_stems_of_a_single_song_may_lie_in_the_folder_itself(tmp_path, songs):
    write_estimates(tmp_path / "stems")
    EstimatesTeacher(tmp_path / "stems", STEMS, songs[:1], SAMPLE_RATE)
    with pytest.raises(ValueError, match="no estimate of vocals, drums, bass, other of the song 'album/one'"):
        EstimatesTeacher(tmp_path / "stems", STEMS, songs, SAMPLE_RATE)


def test_a_missing_stem_is_named(tmp_path, songs):
    write_estimates(tmp_path / "est" / "one", stems=("vocals", "drums"))
    message = "no estimate of bass of the song 'album/one'; expected album/one/bass.wav or the like"
    with pytest.raises(ValueError, match=message):
        EstimatesTeacher(tmp_path / "est", ("vocals", "bass"), songs[:1], SAMPLE_RATE)


def test_estimates_of_another_length_are_refused_and_other_rates_converted(tmp_path, songs):
    folder, mixture = tmp_path / "est" / "one", songs[0].read(SAMPLE_RATE)
    write_song(folder / "vocals.wav", STEREO["vocals"][:, ::2], SAMPLE_RATE // 2)
    teacher = EstimatesTeacher(tmp_path / "est", ("vocals",), songs[:1], SAMPLE_RATE)
    assert teacher.separate(songs[0], mixture, 0, SAMPLE_RATE)["vocals"].shape == (2, SAMPLE_RATE)
    write_song(folder / "vocals.wav", STEREO["vocals"][:, :-2])
    teacher = EstimatesTeacher(tmp_path / "est", ("vocals",), songs[:1], SAMPLE_RATE)
    with pytest.raises(
        ValueError, match="expected an estimate as long as its song, 44100 samples at 44100 Hz, got 44098"
    ):
        teacher.separate(songs[0], mixture, 0, 100)


def test_the_benchmarks_files_are_read_with_their_gain_and_name(tmp_path, songs):
    folder = tmp_path / "run" / "estimates" / "spleeter" / "test" / "one-1a2b"
    folder.mkdir(parents=True)
    soundfile.write(folder / "vocals.flac", STEREO["vocals"].T / 4, SAMPLE_RATE, subtype="PCM_24")
    files = {stem: {"file": "vocals.flac", "exponent": 2} for stem in ("vocals", "other")}
    about = {"separation": {}, "files": files, "result": {"key": {"track": "one"}}}
    (folder / "estimates.json").write_text(json.dumps(about))
    teacher = EstimatesTeacher(tmp_path / "run", ("other",), songs[:1], SAMPLE_RATE)
    given = teacher.separate(songs[0], songs[0].read(SAMPLE_RATE), 0, 4000)["other"]
    assert np.allclose(given, STEREO["vocals"][:, :4000], atol=1e-6)
    (folder / "estimates.json").write_text("{}")
    with pytest.raises(ValueError, match="estimates.json: damaged"):
        EstimatesTeacher(tmp_path / "run", ("other",), songs[:1], SAMPLE_RATE)
