"""UTAU voice banks: folders of recorded syllables with an ``oto.ini``, which says where in a recording each lies."""

import math
from dataclasses import dataclass
from pathlib import Path

OTO = "oto.ini"
_ENCODINGS = ("utf-8-sig", "cp932", "shift_jisx0213")
_BREATHS = ("息", "吸")


@dataclass(frozen=True)
class Entry:
    """One syllable of a recording; times in milliseconds.

    Attributes:
        offset_ms: where it begins in the recording.
        fixed_ms: from the offset on, what is never stretched: the consonant and the vowel's begin.
        cutoff_ms: where it ends: counted from the recording's end, or, if negative, from the offset.
        preutterance_ms: from the offset to the vowel's begin, which lies on the note's begin.
    """

    offset_ms: float
    fixed_ms: float
    cutoff_ms: float
    preutterance_ms: float


@dataclass(frozen=True)
class VoiceBank:
    """The recordings of one singer at one pitch.

    Attributes:
        folder: where they are.
        recordings: the syllables of each file, by its name.
    """

    folder: Path
    recordings: dict[str, tuple[Entry, ...]]


def find_voice_banks(folder: Path) -> list[VoiceBank]:
    """The banks of a folder and of all folders below it; a bank with several pitches has a folder for each.

    Raises:
        FileNotFoundError: no folder, or no bank with a recording in it.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f"--voices: expected a folder with a voice bank, got {folder}")
    banks = [read_voice_bank(path.parent) for path in sorted(folder.rglob(OTO))]
    if not (banks := [bank for bank in banks if bank.recordings]):
        raise FileNotFoundError(f"--voices: no {OTO} whose recordings exist in {folder}")
    return banks


def read_voice_bank(folder: Path) -> VoiceBank:
    """Read a bank's ``oto.ini``: lines ``file.wav=alias,offset,fixed,cutoff,preutterance,overlap``.

    Other lines, files that do not exist and recordings of breaths are left out. The encoding is UTF-8 or Japanese.
    """
    recordings: dict[str, list[Entry]] = {}
    for line in _decoded((folder / OTO).read_bytes()).splitlines():
        name, _, values = line.partition("=")
        entry = _entry(values.split(","))
        if entry and name.lower().endswith(".wav") and not any(breath in name for breath in _BREATHS):
            recordings.setdefault(name, []).append(entry)
    return VoiceBank(folder, {name: tuple(of) for name, of in recordings.items() if (folder / name).is_file()})


def _entry(values: list[str]) -> Entry | None:
    try:
        numbers = [float(value or 0) for value in values[1:5]]
    except ValueError:
        return None
    return Entry(*numbers) if len(numbers) == 4 and all(map(math.isfinite, numbers)) else None


def _decoded(content: bytes) -> str:
    for encoding in _ENCODINGS:
        try:
            return content.decode(encoding)
        except UnicodeDecodeError:
            continue
    return content.decode("cp932", "replace")
