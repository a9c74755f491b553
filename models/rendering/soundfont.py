"""SoundFont 2 files: checks the format and reads the list of presets."""

import hashlib
import struct
from dataclasses import dataclass
from pathlib import Path

DRUM_BANK = 128
_PRESET_BYTES = 38  # a record begins with name, program and bank; the last record only marks the end of the list


@dataclass(frozen=True)
class Soundfont:
    """A soundfont on disk.

    Attributes:
        path: the file.
        sha256: of its content.
        programs: General MIDI programs 0 to 127 that its bank 0 has.
        drum_kits: the drum kits it has, by program.
    """

    path: Path
    sha256: str
    programs: frozenset[int]
    drum_kits: frozenset[int]


def open_soundfont(path: Path) -> Soundfont:
    """Read a soundfont's list of presets.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: not a soundfont, or it is truncated or has no presets.

    Source: SoundFont Technical Specification 2.04, sections 4 and 7.2.
    """
    if not path.is_file():
        raise FileNotFoundError(f"--soundfont: no file {path}; expected a SoundFont 2 file (.sf2)")
    content = path.read_bytes()
    if content[:4] != b"RIFF" or content[8:12] != b"sfbk":
        raise ValueError(f"--soundfont: expected a SoundFont 2 file, got a file of another format: {path}")
    presets = _presets(content)
    if not presets:
        raise ValueError(f"--soundfont: {path} holds no presets, or is cut short; fetch it again")
    return Soundfont(
        path,
        hashlib.sha256(content).hexdigest(),
        frozenset(program for bank, program in presets if bank == 0),
        frozenset(program for bank, program in presets if bank == DRUM_BANK),
    )


def _presets(content: bytes) -> list[tuple[int, int]]:
    """Bank and program of every preset; empty if the file is truncated."""
    position = 12
    while position + 12 <= len(content):
        name, size = struct.unpack_from("<4sI", content, position)
        if name == b"LIST" and content[position + 8 : position + 12] == b"pdta":
            position += 12  # into the list, whose first chunk is the preset headers
            name, size = struct.unpack_from("<4sI", content.ljust(position + 8, b"\0"), position)
            if name != b"phdr" or position + 8 + size > len(content):
                return []
            records = range(position + 8, position + 8 + size - 2 * _PRESET_BYTES + 1, _PRESET_BYTES)
            return [struct.unpack_from("<20xHH", content, record)[::-1] for record in records]
        position += 8 + size + size % 2
    return []
