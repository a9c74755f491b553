"""Tags and covers go from a song into the files of its stems, in every format that has them."""

import subprocess

import pytest
import torch

from models.audio.encoder import EncodedWriter
from models.audio.formats import ENCODED, extension
from models.audio.reader import read_audio
from models.audio.tagged_flac import TaggedFlacWriter
from models.audio.tags import Tags, read_tags
from models.audio.writer import write_audio

RATE = 44100
VALUES = {"title": "A; b = c # d \\ e", "artist": "\u266b \u4e2d & Co", "album": "One\nTwo", "track": "3/12"}
NOISE = torch.randn(2, 50_000, generator=torch.Generator().manual_seed(0)).mul(0.1).clamp(-1, 1)
TAGGED = ("flac16", "flac24", *ENCODED)


@pytest.fixture(scope="module")
def covers(tmp_path_factory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("covers")
    source = ["-f", "lavfi", "-i", "testsrc=s=64x64", "-frames:v", "1"]
    for name in ("jpg", "png"):
        subprocess.run(["ffmpeg", "-v", "error", *source, folder / f"c.{name}"], check=True)
    return {"image/jpeg": (folder / "c.jpg").read_bytes(), "image/png": (folder / "c.png").read_bytes()}


def write(folder, name, tags):
    kind = EncodedWriter if name in ENCODED else TaggedFlacWriter
    path = folder / f"x{extension(name)}"
    with kind(path, RATE, 2, name, tags) as writer:
        for block in NOISE.split(20_000, dim=-1):
            writer.write(block)
    assert list(folder.iterdir()) == [path]
    return path


@pytest.mark.parametrize("kind", ["image/jpeg", "image/png", ""])
@pytest.mark.parametrize("name", TAGGED)
def test_tags_and_cover_are_kept(tmp_path, covers, name, kind):
    tags = Tags(VALUES, covers.get(kind, b""), kind)
    path = write(tmp_path, name, tags)
    found = read_tags(path)
    assert {field: found.values.get(field) for field in VALUES} == VALUES
    assert (found.cover, found.cover_type) == (tags.cover, kind)
    assert read_audio(path)[0].shape[0] == 2
    assert read_tags(path, with_cover=False) == Tags(found.values)


@pytest.mark.parametrize("name", TAGGED)
def test_a_song_without_tags(tmp_path, name):
    assert read_tags(write(tmp_path, name, Tags())) == Tags()


@pytest.mark.parametrize("name", ["flac16", "flac24"])
def test_tags_leave_the_samples_of_a_flac_file_as_they_are(tmp_path, name):
    write_audio(tmp_path / "plain", NOISE, RATE, name)
    plain = read_audio(tmp_path / "plain")[0]
    (tmp_path / "plain").unlink()
    assert torch.equal(read_audio(write(tmp_path, name, Tags(VALUES)))[0], plain)


def test_tags_of_the_file_and_of_loudness_are_left_out(tmp_path):
    tags = Tags({"title": "T", "replaygain_track_gain": "-7 dB", "R128_TRACK_GAIN": "1", "language": "eng"})
    assert read_tags(write(tmp_path, "flac16", tags)).values == {"title": "T"}


def test_files_without_tags(tmp_path, monkeypatch):
    (tmp_path / "x.wav").write_text("words")
    assert read_tags(tmp_path / "x.wav") == Tags() == read_tags(tmp_path / "gone.mp3")
    (tmp_path / "x.wav").unlink()
    path = write(tmp_path, "mp3", Tags(VALUES))
    monkeypatch.setenv("PATH", str(tmp_path))  # without ffmpeg
    assert read_tags(path) == Tags()


def test_a_picture_that_moves_is_no_cover(tmp_path):
    source = ["-f", "lavfi", "-i", "testsrc=s=64x64:d=0.5", "-f", "lavfi", "-i", "sine=d=0.5"]
    target = ["-c:v", "mjpeg", "-metadata", "title=Clip", tmp_path / "x.mkv"]
    subprocess.run(["ffmpeg", "-v", "error", *source, *target], check=True)
    assert read_tags(tmp_path / "x.mkv") == Tags({"title": "Clip"})


def test_no_room_for_the_tags(tmp_path, full_disk):
    with pytest.raises(OSError, match="x.flac: .*disk full"):
        write(tmp_path, "flac16", Tags({"lyrics": "la " * 40_000}))
    assert list(tmp_path.iterdir()) == []
