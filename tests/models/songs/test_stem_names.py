"""Names by a template: safe on any system, inside the output folder, and none twice."""

from pathlib import Path

import pytest

from models.audio.tags import Tags
from models.songs.find import Song
from models.songs.names import check_targets, stem_paths, template_fields

OUT = Path("out")


def name(template: str, song: str = "music/a.b.mp3", folder: str = "", **tags: str) -> str:
    paths = stem_paths(Song(Path(song), Path(folder)), ["bass"], OUT, template, ".ogg", Tags(tags))
    return str(paths["bass"])


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("{stem}", "out/bass.ogg"),
        ("{song}/{stem}", "out/a.b/bass.ogg"),
        ("{artist} - {title} ({stem})", "out/Q - T (bass).ogg"),
        ("{album}/{track} {title}/{stem}", "out/L/03 T/bass.ogg"),
    ],
)
def test_templates(template, expected):
    assert name(template, artist="Q", title="T", album="L", track="3/12") == expected


def test_the_place_in_the_tree_is_kept():
    assert name("{song}/{stem}", folder="rock/live") == "out/rock/live/a.b/bass.ogg"


def test_without_tags():
    assert name("{artist} - {title} - {album} {track} ({stem})") == (
        "out/unknown artist - a.b - unknown album 00 (bass).ogg"
    )
    assert name("{artist} ({stem})", album_artist="Several") == "out/Several (bass).ogg"


@pytest.mark.parametrize(
    ("tag", "expected"),
    [
        ("AC/DC", "AC_DC"),
        ('a<b>:"c|?*\\', "a_b___c____"),
        ("..", "a.b"),
        ("../../etc", "_.._etc"),
        (" spaces. ", "spaces"),
        ("line\nbreak\x00\x7f", "line_break__"),
        ("nul", "_nul"),
        ("\u4e2d" * 200, "\u4e2d" * 33),
        ("{stem}{song.path}", "{stem}{song.path}"),
    ],
)
def test_values_are_safe(tag, expected):
    assert name("{title} ({stem})", title=tag) == f"out/{expected} (bass).ogg"


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("{title}", r"expected \{stem\} in it"),
        ("{stem} {year}", r"expected fields of \{song\}, \{stem\}"),
        ("{stem!r}", "expected fields of"),
        ("{stem:>9}", "expected fields of"),
        ("{stem} {song.path}", "expected fields of"),
        ("{}{stem}", "expected fields of"),
        ("{stem", "--names: .* in '{stem'"),
        ("../{stem}", "inside the output folder"),
        ("/tmp/{stem}", "inside the output folder"),
        ("{stem}/", "inside the output folder"),
    ],
)
def test_bad_templates(template, message):
    with pytest.raises(ValueError, match=message):
        template_fields(template)


def test_collisions(tmp_path):
    first, second = Song(tmp_path / "a.mp3"), Song(tmp_path / "a.wav")
    with pytest.raises(ValueError, match="a.mp3 and .*a.wav would both write to"):
        check_targets({first: [tmp_path / "x"], second: [tmp_path / "x"]})
    with pytest.raises(ValueError, match="a.wav is an input and would be overwritten"):
        check_targets({first: [tmp_path / "b" / ".." / "a.wav"], second: []})
    with pytest.raises(ValueError, match="would both write"):  # two stems of one song
        check_targets({first: [tmp_path / "x", tmp_path / "x"]})
    check_targets({first: [tmp_path / "x"], second: [tmp_path / "y"]})
