"""Voice banks are read as their makers write them: Japanese or UTF-8, one folder for each pitch, with stray lines."""

import pytest
from voice_banks import write_voice_bank

from models.singing.voice_bank import Entry, find_voice_banks, read_voice_bank

CONTENT = """#Charset:UTF-8
か.wav=- か,100,150,-1000,80,40
か.wav=a か,500,90.5,30,60,20
か.wav=short,1,2
か.wav=words,one,two,three,four,five
か.wav=inf,1,2,inf,4,5
吸.wav=breath,100,150,-1000,80,40
missing.wav=- さ,100,150,-1000,80,40
か.frq=- か,100,150,-1000,80,40
か.wav=empty,,,-200,,
"""


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp932"])
def test_entries_in_every_encoding(tmp_path, encoding):
    (tmp_path / "oto.ini").write_bytes(CONTENT.encode(encoding))
    for name in ("か.wav", "吸.wav", "か.frq"):
        (tmp_path / name).write_bytes(b"")
    assert read_voice_bank(tmp_path).recordings == {
        "か.wav": (Entry(100, 150, -1000, 80), Entry(500, 90.5, 30, 60), Entry(0, 0, -200, 0))
    }


def test_bytes_of_no_encoding_cost_their_line_only(tmp_path):
    (tmp_path / "oto.ini").write_bytes(b"\xff\xff\x81.wav=- x,1,2,3,4,5\na.wav=- a,1,2,3,4,5\n")
    (tmp_path / "a.wav").write_bytes(b"")
    assert read_voice_bank(tmp_path).recordings == {"a.wav": (Entry(1, 2, 3, 4),)}


def test_a_bank_of_several_pitches_is_several_voices(tmp_path):
    for pitch in ("A3", "C4"):
        write_voice_bank(tmp_path / "bank" / pitch)
    (tmp_path / "bank" / "oto.ini").write_text("nothing.wav=- x,1,2,3,4,5\n")
    assert [bank.folder.name for bank in find_voice_banks(tmp_path)] == ["A3", "C4"]


def test_no_bank_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="no oto.ini whose recordings exist in"):
        find_voice_banks(tmp_path)
    with pytest.raises(FileNotFoundError, match="expected a folder with a voice bank, got .*missing"):
        find_voice_banks(tmp_path / "missing")
