"""The command ``sing``: melodies of MIDI songs sung by voice banks, as track folders for training."""

import argparse
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from models.rendering.track_folders import find_midi, finished_duration_s, new_track, unfinished_cleared, write_track
from models.running.arguments import check_at_least
from models.running.folder_lock import sole_writer
from models.running.hashes import names_and_hashes, sha256
from models.singing.line import sing
from models.singing.melody import Note, draw_part, read_melody, transpose
from models.singing.studio import arrange, produce
from models.singing.voice import SAMPLE_RATE, Voice, analyse
from models.singing.voice_bank import OTO, VoiceBank, find_voice_banks

SINGER = 1
"""Raise this number whenever the same arguments sing other lines."""
PART_S = 50.0
"""Length of the part of a song that is sung, in seconds; its last note and the room's echo come on top."""
_TAIL_S = 1.0
_SHIFT = (-2, 5)  # semitones from the pitch of the recordings to the line's median
_FORMANTS = (0.9, 1.12)


@dataclass(frozen=True)
class Line:
    """One track to sing.

    Attributes:
        bank: who sings.
        inputs: everything that determines the track's audio.
    """

    bank: VoiceBank
    inputs: dict[str, Any]

    @property
    def name(self) -> str:
        """The track's name; no other line of the command has it."""
        voice = re.sub(r"[^-\w .()+]", "_", "-".join(self.bank.folder.absolute().parts[-2:]))[-60:]
        return f"{voice}-{self.inputs['voice_sha256'][:8]}-{self.inputs['line']:03d}"

    def generator(self, purpose: int) -> np.random.Generator:
        """Random numbers of this line: those of purpose 0 are the same for all lines of its voice."""
        voice, line = int(self.inputs["voice_sha256"][:16], 16), self.inputs["line"] if purpose else 0
        return np.random.default_rng([self.inputs["seed"], voice, line, purpose])


def run(args: argparse.Namespace) -> int:
    """Sing all lines that do not exist yet."""
    for option, value, least in (("lines", args.lines, 1), ("seed", args.seed, 0), ("recordings", args.recordings, 1)):
        check_at_least(option, value, least)
    found = [bank for folder in args.voices for bank in find_voice_banks(folder)]
    banks = list({bank.folder.resolve(): bank for bank in found}.values())
    songs = find_midi(args.midi)
    durations_s, sung = [], 0
    with sole_writer(args.out), unfinished_cleared(args.out):
        total = len(banks) * args.lines
        with tqdm(total=total, desc="sing", unit="line", file=sys.stderr, disable=None) as progress:
            for lines in (_lines_of(bank, songs, args) for bank in banks):
                voice: Voice | None = None
                for line in lines:
                    duration_s = finished_duration_s(args.out / line.name, line.inputs)
                    if duration_s is None:
                        voice = voice or analyse(line.bank, args.recordings, line.generator(0))
                        duration_s = _sing_track(line, voice, songs, args.out)
                        sung += 1
                    durations_s.append(duration_s)
                    progress.update()
    minutes = sum(durations_s) / 60
    print(f"{args.out}: {len(durations_s)} lines of {len(banks)} voices, {minutes:.1f} minutes; {sung} sung now")
    return 0


def _lines_of(bank: VoiceBank, songs: Mapping[str, Path], args: argparse.Namespace) -> list[Line]:
    """The lines of a voice."""
    inputs = {
        "singer": SINGER,
        "seed": args.seed,
        "recordings": args.recordings,
        "voice": bank.folder.name,
        "voice_sha256": sha256(bank.folder / OTO, *(bank.folder / name for name in sorted(bank.recordings))),
        "songs": names_and_hashes((songs[song].name, song) for song in sorted(songs)),
    }
    return [Line(bank, {**inputs, "line": index}) for index in range(args.lines)]


def _sing_track(line: Line, voice: Voice, songs: Mapping[str, Path], out: Path) -> float:
    """Sing one line, completely or not at all; returns its duration in seconds.

    Raises:
        ValueError: none of the songs has a melody.
        OSError: the folder cannot be written.
    """
    generator = line.generator(1)
    song, part = _draw_melody(songs, generator)
    shift = round(voice.pitch + generator.uniform(*_SHIFT) - float(np.median([note.pitch for note in part])))
    formant = generator.uniform(*_FORMANTS)
    length_s = min(PART_S, max(note.start_s + note.duration_s for note in part)) + _TAIL_S

    def sung(semitones: int, size: float) -> np.ndarray:
        return sing(transpose(part, shift + semitones), voice, length_s, formant * size, generator)

    stereo = produce(arrange(sung, generator), generator)
    facts = {**line.inputs, "midi": song.name, "transpose_semitones": shift, "formant": round(formant, 4)}
    with new_track(out, line.name) as folder:
        return write_track(folder, {"vocals": stereo}, SAMPLE_RATE, facts)


def _draw_melody(songs: Mapping[str, Path], generator: np.random.Generator) -> tuple[Path, Sequence[Note]]:
    """Part of a random song's melody; songs without one are passed over."""
    reason = ""
    for index in generator.permutation(len(songs)):
        path = songs[sorted(songs)[index]]
        try:
            return path, draw_part(read_melody(path.read_bytes()), PART_S, generator)
        except ValueError as error:
            reason = f"{path}: {error}"
    raise ValueError(f"--midi: no melody in any of {len(songs)} songs; the last was {reason}")
