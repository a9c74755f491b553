"""Soundfonts: the one that `make setup` installs is read, and other files are refused."""

import struct
from pathlib import Path

import pytest

from models.rendering.soundfont import open_soundfont

TIM = Path("/usr/share/sounds/sf2/TimGM6mb.sf2")


def test_general_midi_soundfont_has_all_programs_and_its_kits():
    soundfont = open_soundfont(TIM)
    assert soundfont.programs == set(range(128))
    assert soundfont.drum_kits == {0, 8, 16, 24, 25, 32, 40, 48}


@pytest.mark.parametrize("length", [0, 11, 12, 20, 5_000_000])
def test_cut_short(tmp_path, length):
    path = tmp_path / "short.sf2"
    path.write_bytes(TIM.read_bytes()[:length])
    with pytest.raises(ValueError, match=r"short\.sf2"):
        open_soundfont(path)


def test_presets_cut_short(tmp_path):
    path = tmp_path / "short.sf2"
    content = TIM.read_bytes()
    path.write_bytes(content[: content.index(b"phdr") + 100])
    with pytest.raises(ValueError, match="holds no presets, or is cut short"):
        open_soundfont(path)


def test_another_kind_of_file(tmp_path):
    (tmp_path / "sound.wav").write_bytes(b"RIFF" + struct.pack("<I", 4) + b"WAVE")
    with pytest.raises(ValueError, match="expected a SoundFont 2 file"):
        open_soundfont(tmp_path / "sound.wav")
    for missing in (tmp_path, tmp_path / "none.sf2"):
        with pytest.raises(FileNotFoundError, match="no file"):
            open_soundfont(missing)
