"""Random variations of a song (tempo, transposition, instruments, soundfont), drawn from a seed."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from models.rendering.soundfont import Soundfont

DRUM_CHANNEL = 9
"""Channel 10 of General MIDI, counted from 0."""
TEMPO_FACTORS = (0.85, 1.15)
TRANSPOSE_SEMITONES = (-4, 4)
FAMILY = 8
"""General MIDI orders its programs in families of eight: pianos, chromatic percussion, organs, guitars, basses, ..."""
KEPT_PROGRAMS = frozenset({47, 55, *range(112, 128)})
"""Timpani, orchestra hit, percussion and sound effects: they are not exchanged with others of their family."""
EXCHANGED_KITS = frozenset({0, 8, 16, 24, 25, 32, 40})
"""Standard, room, power, electronic, analog, jazz and brush kit have the same drums on the same keys."""


@dataclass(frozen=True)
class Variation:
    """What is changed in one rendering.

    Attributes:
        tempo_factor: above 1 is faster.
        transpose_semitones: of every note that is no drum.
        programs: for each of the 16 channels, the program that replaces each of the 128 programs (drums: drum kits).
    """

    tempo_factor: float
    transpose_semitones: int
    programs: tuple[tuple[int, ...], ...]

    def program(self, channel: int, program: int) -> int:
        """The program that a channel plays instead of the written one."""
        return self.programs[channel][program]

    def note(self, channel: int, note: int) -> int:
        """The note that a channel plays instead of the written one, an octave off if it is outside of MIDI's range."""
        if channel == DRUM_CHANNEL:
            return note
        note += self.transpose_semitones
        return note - 12 if note > 127 else note + 12 if note < 0 else note


def draw_soundfont(seed: int, song_sha256: str, index: int, soundfonts: Sequence[Soundfont]) -> Soundfont:
    """The soundfont of a song's variation ``index``; the same arguments always give the same one."""
    return soundfonts[int(_generator(seed, song_sha256, index, 0).integers(len(soundfonts)))]


def draw_variation(seed: int, song_sha256: str, index: int, soundfont: Soundfont) -> Variation:
    """Draw a song's variation ``index``; the same arguments always give the same one.

    A program is replaced by one of its family that the soundfont has, so a bass stays a bass; different programs of a
    channel stay different. The drums get one of the kits that share General MIDI's keys.
    """
    generator = _generator(seed, song_sha256, index, 1)
    tempo_factor = round(float(generator.uniform(*TEMPO_FACTORS)), 4)
    transpose = int(generator.integers(TRANSPOSE_SEMITONES[0], TRANSPOSE_SEMITONES[1] + 1))
    kit_offset = int(generator.integers(64))
    offsets = generator.integers(64, size=(16, 128 // FAMILY))
    kits = sorted(EXCHANGED_KITS & soundfont.drum_kits)
    programs = []
    for channel in range(16):
        if channel == DRUM_CHANNEL:
            row = [_rotate(kits, kit_offset, kit) if kit in EXCHANGED_KITS else kit for kit in range(128)]
        else:
            row = [
                program
                if program in KEPT_PROGRAMS
                else _rotate(_family(program, soundfont), int(offsets[channel, program // FAMILY]), program)
                for program in range(128)
            ]
        programs.append(tuple(row))
    return Variation(tempo_factor, transpose, tuple(programs))


def _generator(seed: int, song_sha256: str, index: int, purpose: int) -> np.random.Generator:
    return np.random.default_rng([seed, int(song_sha256[:16], 16), index, purpose])


def _family(program: int, soundfont: Soundfont) -> list[int]:
    first = program // FAMILY * FAMILY
    return sorted(set(range(first, first + FAMILY)) & soundfont.programs - KEPT_PROGRAMS)


def _rotate(choices: list[int], offset: int, program: int) -> int:
    if not choices:
        return program
    return choices[((choices.index(program) if program in choices else 0) + offset) % len(choices)]
