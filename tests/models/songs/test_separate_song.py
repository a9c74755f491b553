"""One song into stem files: long ones in blocks, sums in the files, samples beyond full scale."""

import threading

import numpy as np
import pytest
import soundfile
import torch

from models.audio.reader import read_audio
from models.separation.separator import NetworkSeparator
from models.separation.sums import ACCOMPANIMENT, RESIDUAL, SHARED, names_with_rest
from models.songs.separate_song import LOUDEST, Output, Stopped, separate_song
from scaled_copies import RATE, SETTINGS, STEMS, ScaledCopies, noise

LSB = 2.0**-15


def write_song(path, level=0.05, length=20_000, channels=2):
    """A song of 16 bits."""
    waveform = (level * noise(length, channels) / LSB).round().clip(-(2**15), 2**15 - 1) * LSB
    soundfile.write(path, waveform.T, RATE, subtype="PCM_16" if path.suffix == ".wav" else None)
    return waveform.astype(np.float32)


def separate(path, folder, output=None, stems=None, **options):
    separator = NetworkSeparator(ScaledCopies(), SETTINGS, stems=stems)
    output = output or Output()
    names = names_with_rest(separator.stems, output.sums)
    return separate_song(separator, path, {name: folder / f"{name}.wav" for name in names}, output, **options)


def read(written):
    return {stem: read_audio(file.path)[0] for stem, file in written.files.items()}


def test_long_song_in_blocks(tmp_path):
    """More than two reading blocks, through the file and back."""
    song = write_song(tmp_path / "song.wav", length=21 * RATE)
    written = separate(tmp_path / "song.wav", tmp_path, stems=["vocals"])
    assert [file.beyond for file in written.files.values()] == [0] and written.seconds == 21
    np.testing.assert_allclose(read(written)["vocals"], song, atol=1e-4)


def test_all_stems_by_default(tmp_path):
    write_song(tmp_path / "song.wav")
    written = separate(tmp_path / "song.wav", tmp_path / "out")
    assert [file.path.name for file in written.files.values()] == [f"{stem}.wav" for stem in STEMS]


@pytest.mark.parametrize("channels", [1, 2, 6])
@pytest.mark.parametrize(
    ("sums", "stems"), [(ACCOMPANIMENT, ["vocals"]), (RESIDUAL, ["bass", "drums"]), (SHARED, None)]
)
def test_files_sum_to_the_song_exactly(tmp_path, sums, stems, channels):
    """Null test: the song minus the sum of the files is digital silence, although the network's stems do not sum."""
    song = write_song(tmp_path / "song.wav", channels=channels)
    written = separate(tmp_path / "song.wav", tmp_path / "out", Output(sums=sums), stems)
    assert torch.equal(sum(read(written).values()), torch.from_numpy(song))
    assert tuple(written.files) == names_with_rest(stems or STEMS, sums)


def test_rescale_makes_all_stems_quieter_by_the_same_factor(tmp_path):
    song = write_song(tmp_path / "song.wav", level=0.2, length=30 * RATE // 2)
    written = separate(tmp_path / "song.wav", tmp_path / "out", Output(clip="rescale"))
    peak = 4 * np.abs(song).max()  # of the stem that is four times the song
    assert peak > 1 and written.gain == pytest.approx(LOUDEST / peak, rel=1e-5)
    for number, stem in enumerate(STEMS, start=1):
        np.testing.assert_allclose(read(written)[stem], written.gain * number * song, atol=LSB)
    assert read(written)["other"].abs().max() == pytest.approx(LOUDEST, abs=LSB)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(f"{stem}.wav" for stem in STEMS)


def test_rescale_leaves_a_song_in_the_range_as_it_is(tmp_path):
    write_song(tmp_path / "song.wav")
    rescaled = separate(tmp_path / "song.wav", tmp_path / "a", Output(clip="rescale"))
    clamped = separate(tmp_path / "song.wav", tmp_path / "b", Output(clip="clamp"))
    assert rescaled.gain == 1
    for stem in STEMS:
        assert rescaled.files[stem].path.read_bytes() == clamped.files[stem].path.read_bytes()


def test_rescaled_stems_sum_to_the_quieter_song(tmp_path):
    song = write_song(tmp_path / "song.wav", level=0.2)
    written = separate(tmp_path / "song.wav", tmp_path / "out", Output(sums=ACCOMPANIMENT, clip="rescale"), ["other"])
    assert written.gain < 1
    np.testing.assert_allclose(sum(read(written).values()), written.gain * song, atol=0.51 * LSB)


@pytest.mark.parametrize(
    ("sample_format", "clip", "kept"),
    [("wavfloat", None, True), ("wavfloat", "none", True), ("wavfloat", "clamp", False), ("wav24", None, False)],
)
def test_samples_beyond_full_scale(tmp_path, sample_format, clip, kept):
    song = write_song(tmp_path / "song.wav", level=0.2)
    written = separate(tmp_path / "song.wav", tmp_path / "out", Output(sample_format, clip=clip), ["other"])
    file = written.files["other"]
    assert file.peak == pytest.approx(4 * np.abs(song).max(), rel=1e-4)
    assert file.beyond == pytest.approx((np.abs(4 * song) > 1).sum(), abs=2) and file.beyond > 0
    expected = 4 * song if kept else np.clip(4 * song, -1, 1)
    np.testing.assert_allclose(read(written)["other"], expected, atol=1e-5)


@pytest.mark.parametrize("sample_format", ["wav16", "flac24"])
def test_a_format_of_integers_cannot_keep_them(sample_format):
    with pytest.raises(ValueError, match=f"--clip none needs a format .*wavfloat, mp3.*got {sample_format}"):
        Output(sample_format, clip="none")


def test_encoded_stems_are_cut_only_if_asked(tmp_path):
    write_song(tmp_path / "song.wav", level=0.2)
    separator = NetworkSeparator(ScaledCopies(), SETTINGS, stems=["other"])
    targets = {clip: {"other": tmp_path / clip / "other.ogg"} for clip in ("clamp", "none")}
    peaks = {}
    for clip, paths in targets.items():
        separate_song(separator, tmp_path / "song.wav", paths, Output("ogg", clip=clip))
        peaks[clip] = float(read_audio(paths["other"])[0].abs().max())
    assert peaks["none"] > 2 and peaks["clamp"] < 1.5


def test_mp3_of_six_channels_is_one_line_before_any_work(tmp_path):
    write_song(tmp_path / "song.wav", channels=6)
    separator = NetworkSeparator(ScaledCopies(), SETTINGS)
    with pytest.raises(ValueError, match="mp3 holds at most 2 channels, got 6"):
        separate_song(separator, tmp_path / "song.wav", {"bass": tmp_path / "o" / "b.mp3"}, Output("mp3"))
    assert not (tmp_path / "o").exists() and not separator.network.lengths


@pytest.mark.parametrize("clip", ["clamp", "rescale"])
def test_stopped(tmp_path, clip):
    write_song(tmp_path / "song.wav")
    stop = threading.Event()
    stop.set()
    with pytest.raises(Stopped):
        separate(tmp_path / "song.wav", tmp_path / "out", Output(clip=clip), stop=stop)
    assert list((tmp_path / "out").iterdir()) == []
