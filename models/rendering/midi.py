"""Splits General MIDI songs into one MIDI file for each stem.

Channel 10 is "drums", programs 33 to 40 (counted from 1) are "bass", everything else is "other".
Drum parts on further channels, selected by GS or XG messages, are not recognised: they are "other".
"""

import io
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from models.rendering.variation import DRUM_CHANNEL, Variation

if TYPE_CHECKING:
    from mido import Message

RENDERED_STEMS = ("drums", "bass", "other")
BASS_PROGRAMS = range(32, 40)
MAX_DURATION_S = 600.0
"""Longer songs are cut here: a loop or a damaged tempo can make a song of hours."""
TAIL_S = 2.0
"""Seconds after the last note, in which it fades."""
_TICKS_PER_BEAT, _TEMPO_US_PER_BEAT = 500, 500_000  # one tick is one millisecond


@dataclass(frozen=True)
class SplitSong:
    """A song, varied and split.

    Attributes:
        messages: for each stem that has notes: (time in seconds, message) pairs.
        end_s: when the last note ends, in seconds.
        programs: the programs in use: (channel from 0, written program, played program).
    """

    messages: "dict[str, list[tuple[float, Message]]]"
    end_s: float
    programs: tuple[tuple[int, int, int], ...]


def read_messages(content: bytes) -> "list[tuple[float, Message]]":
    """Read a MIDI file's channel and system-exclusive messages, with their times in seconds.

    Raises:
        ValueError: not a MIDI file, a damaged one, or one of a kind that cannot be played (type 2, SMPTE time).
    """
    import mido

    try:
        file = mido.MidiFile(file=io.BytesIO(content), clip=True)
        if file.type == 2:
            raise ValueError("it is of type 2, separate patterns and no song")
        if file.ticks_per_beat <= 0:
            raise ValueError("its time is in SMPTE frames, not in beats")
        now_s, messages = 0.0, []
        for message in file:
            now_s += message.time
            if message.type == "sysex" or hasattr(message, "channel") and not message.is_meta:
                messages.append((now_s, message))
        return messages
    except Exception as error:  # mido raises many kinds of exceptions on a damaged file
        raise ValueError(f"not a usable MIDI file ({_first_line(error)})") from error


def split_song(messages: "list[tuple[float, Message]]", variation: Variation) -> SplitSong:
    """Vary a song and distribute its notes to the stems.

    The program of a note's channel at the start of the note selects its stem; the note also ends in this stem. All
    other messages (controllers, bends, programs) go to all stems, as in the whole song. A system-exclusive message may
    reset the programs, so each channel's program is sent again before its next note.
    """
    from mido import Message

    parts: dict[str, list[tuple[float, Message]]] = {stem: [] for stem in RENDERED_STEMS}
    program = [0] * 16
    unsent = set(range(16))
    sounding: dict[tuple[int, int], set[str]] = {}
    used: set[tuple[int, int, int]] = set()
    with_notes: set[str] = set()
    end_s = 0.0

    def send(message: Message, stems: "tuple[str, ...] | set[str]" = RENDERED_STEMS) -> None:
        for stem in stems:
            parts[stem].append((now_s, message))

    def send_program(channel: int) -> None:
        played = variation.program(channel, program[channel])
        send(Message("program_change", channel=channel, program=played))
        unsent.discard(channel)

    now_s = 0.0
    for score_s, message in messages:
        if score_s / variation.tempo_factor > MAX_DURATION_S:
            break
        now_s = score_s / variation.tempo_factor
        if message.type == "sysex":
            send(message)
            unsent = set(range(16))
            continue
        channel = message.channel
        if message.type == "program_change":
            program[channel] = message.program
            send_program(channel)
        elif message.type == "note_on" and message.velocity > 0:
            if channel in unsent:
                send_program(channel)
            stem = _stem(channel, program[channel])
            sounding.setdefault((channel, message.note), set()).add(stem)
            with_notes.add(stem)
            used.add((channel, program[channel], variation.program(channel, program[channel])))
            send(message.copy(note=variation.note(channel, message.note)), {stem})
            end_s = now_s
        elif message.type in ("note_on", "note_off"):
            stems = sounding.pop((channel, message.note), set())
            if stems:
                send(message.copy(note=variation.note(channel, message.note)), stems)
                end_s = now_s
        elif message.type == "polytouch":
            send(message.copy(note=variation.note(channel, message.note)))
        else:
            send(message)
    for stem in parts:
        parts[stem] = [(time_s, message) for time_s, message in parts[stem] if time_s <= end_s]
    now_s = end_s
    for channel in range(16):
        for control in (64, 66, 123):  # both pedals up, all notes off: no note sounds beyond the end
            send(Message("control_change", channel=channel, control=control, value=0))
    return SplitSong({stem: parts[stem] for stem in RENDERED_STEMS if stem in with_notes}, end_s, tuple(sorted(used)))


def write_midi(messages: "list[tuple[float, Message]]", end_s: float, path: Path) -> None:
    """Write messages to a MIDI file that lasts ``TAIL_S`` longer than ``end_s``."""
    from mido import MetaMessage, MidiFile, MidiTrack

    track = MidiTrack([MetaMessage("set_tempo", tempo=_TEMPO_US_PER_BEAT)])
    last = 0
    for time_s, message in messages:
        tick = round(1000 * time_s)
        track.append(message.copy(time=tick - last))
        last = tick
    track.append(MetaMessage("end_of_track", time=round(1000 * (end_s + TAIL_S)) - last))
    MidiFile(type=0, ticks_per_beat=_TICKS_PER_BEAT, tracks=[track]).save(path)


def _stem(channel: int, program: int) -> str:
    return "drums" if channel == DRUM_CHANNEL else "bass" if program in BASS_PROGRAMS else "other"


def _first_line(error: Exception) -> str:
    return " ".join(str(error).split())[:120] or type(error).__name__
