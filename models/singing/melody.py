"""The melody of a MIDI song: the notes of the track that is named after it."""

import io
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

NAMES = re.compile(r"melod|vocal|voice|sing|lead vox", re.IGNORECASE)
"""What the name of a melody's track has in it; "MELODY" in POP909."""
FEWEST_NOTES = 20
"""A song with fewer notes in the part that is sung is not used."""


@dataclass(frozen=True)
class Note:
    """Attributes: start_s and duration_s in seconds; pitch, a MIDI note (60 is middle C)."""

    start_s: float
    duration_s: float
    pitch: int


def read_melody(content: bytes) -> list[Note]:
    """The notes of a MIDI file's melody, one at a time: a note ends where the next begins.

    Raises:
        ValueError: not a MIDI file, a damaged one, or no track is named after a melody.
    """
    import mido

    try:
        file = mido.MidiFile(file=io.BytesIO(content), clip=True)
        melody = next((track for track in file.tracks if NAMES.search(track.name)), None)
        if melody is not None:
            tempos = [track for track in file.tracks if any(message.type == "set_tempo" for message in track)]
            file.tracks[:] = [melody, *(track for track in tempos if track is not melody)]
        notes = _notes(file)
    except Exception as error:  # mido raises many kinds of exceptions on a damaged file
        raise ValueError(f"not a usable MIDI file ({' '.join(str(error).split())[:120]})") from error
    if melody is None:
        raise ValueError("no track is named melody, vocals or voice")
    return notes


def draw_part(notes: Sequence[Note], seconds: float, generator: np.random.Generator) -> list[Note]:
    """The notes of a part that begins at a random place, with times from there on.

    Raises:
        ValueError: it has fewer than ``FEWEST_NOTES`` notes.
    """
    last_s = notes[-1].start_s if notes else 0.0
    start_s = generator.uniform(0, max(0.0, last_s - seconds))
    part = [note for note in notes if start_s <= note.start_s < start_s + seconds]
    if len(part) < FEWEST_NOTES:
        raise ValueError(f"{len(part)} notes in {seconds:g} s of its melody, fewer than {FEWEST_NOTES}")
    return [replace(note, start_s=note.start_s - start_s) for note in part]


def transpose(notes: Sequence[Note], semitones: int) -> list[Note]:
    """The notes, so many semitones higher."""
    return [replace(note, pitch=note.pitch + semitones) for note in notes]


def _notes(file: Any) -> list[Note]:
    now_s, sounding, notes = 0.0, {}, []
    for message in file:
        now_s += message.time
        if message.type == "note_on" and message.velocity:
            sounding[message.note] = now_s
        elif message.type in ("note_on", "note_off") and message.note in sounding:
            start_s = sounding.pop(message.note)
            notes.append(Note(start_s, now_s - start_s, message.note))
    notes.sort(key=lambda note: note.start_s)
    ends_s = [*(note.start_s for note in notes[1:]), float("inf")]
    return [
        replace(note, duration_s=min(note.duration_s, end_s - note.start_s))
        for note, end_s in zip(notes, ends_s, strict=True)
        if end_s > note.start_s
    ]
