"""The command ``render``: folders of MIDI files into track folders for training."""

import argparse
import re
import sys
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tqdm import tqdm

from models.rendering.levels import balance, remove_offset
from models.rendering.midi import read_messages, split_song, write_midi
from models.rendering.soundfont import Soundfont, open_soundfont
from models.rendering.synthesis import SAMPLE_RATE, Synthesizer
from models.rendering.track_folders import find_midi, finished_duration_s, new_track, unfinished_cleared, write_track
from models.rendering.variation import draw_soundfont, draw_variation
from models.running.arguments import check_at_least
from models.running.folder_lock import sole_writer
from models.running.processors import num_cpus

RENDERER = 2
"""Raise this number whenever the same arguments render other audio."""


@dataclass(frozen=True)
class Rendition:
    """One track to render.

    Attributes:
        midi: the song's file.
        sha256: of the song.
        index: which of its variations.
        seed: of the variation.
        soundfont: the instruments.
    """

    midi: Path
    sha256: str
    index: int
    seed: int
    soundfont: Soundfont

    @property
    def name(self) -> str:
        """The track's name; no other song or variation has it."""
        song = re.sub(r"[^-\w .()+]", "_", self.midi.stem)[:60]
        return f"{song}-{self.sha256[:8]}-{self.index}"

    @property
    def inputs(self) -> dict[str, Any]:
        """Everything that determines the track's audio."""
        return {
            "renderer": RENDERER,
            "midi": self.midi.name,
            "midi_sha256": self.sha256,
            "soundfont": self.soundfont.path.name,
            "soundfont_sha256": self.soundfont.sha256,
            "seed": self.seed,
            "variation": self.index,
        }


def run(args: argparse.Namespace) -> int:
    """Render all tracks that do not exist yet."""
    jobs = num_cpus() if args.jobs is None else args.jobs
    for option, value, least in (("variations", args.variations, 1), ("seed", args.seed, 0), ("jobs", jobs, 1)):
        check_at_least(option, value, least)
    soundfonts = [open_soundfont(path) for path in args.soundfont]
    synthesizer = Synthesizer()
    songs = find_midi(args.midi)
    renditions = [
        Rendition(path, sha256, index, args.seed, draw_soundfont(args.seed, sha256, index, soundfonts))
        for sha256, path in songs.items()
        for index in range(args.variations)
    ]
    with sole_writer(args.out), unfinished_cleared(args.out):
        durations_s, rendered, skipped = _render_all(renditions, args.out, synthesizer, jobs)
    if not durations_s:
        raise ValueError(f"no usable MIDI file: all {len(skipped)} were skipped")
    print(
        f"{args.out}: {len(durations_s)} tracks, {sum(durations_s) / 3600:.2f} hours; "
        f"{rendered} rendered now, {len(skipped)} MIDI files skipped"
    )
    return 0


def _render_all(
    renditions: Sequence[Rendition], out: Path, synthesizer: Synthesizer, jobs: int
) -> tuple[list[float], int, set[Path]]:
    """Render in parallel; a song that cannot be rendered is skipped with a line on stderr.

    Returns:
        The durations of all tracks in seconds, the number of tracks rendered now, and the skipped files.
    """
    durations_s: list[float] = []
    rendered = 0
    skipped: set[Path] = set()
    executor = ThreadPoolExecutor(jobs)
    try:
        futures: dict[Future[float], Rendition] = {}
        for rendition in renditions:
            if (duration_s := finished_duration_s(out / rendition.name, rendition.inputs)) is not None:
                durations_s.append(duration_s)
            else:
                futures[executor.submit(_render, rendition, out, synthesizer)] = rendition
        with tqdm(total=len(futures), desc="render", unit="track", file=sys.stderr, disable=None) as progress:
            for future in as_completed(futures):
                midi = futures.pop(future).midi  # an exception holds the audio of its call: free it
                try:
                    durations_s.append(future.result())
                    rendered += 1
                except ValueError as error:
                    if midi not in skipped:
                        tqdm.write(f"skipped {midi}: {error}", file=sys.stderr)
                    skipped.add(midi)
                progress.update()
    finally:
        synthesizer.stop()
        executor.shutdown(cancel_futures=True)
    return durations_s, rendered, skipped


def _render(rendition: Rendition, out: Path, synthesizer: Synthesizer) -> float:
    """Render one track, completely or not at all; returns its duration in seconds.

    Raises:
        ValueError: the song cannot be rendered.
        OSError: the folder cannot be written.
    """
    try:
        content = rendition.midi.read_bytes()
    except OSError as error:
        raise ValueError(f"cannot be read ({error.strerror})") from None
    variation = draw_variation(rendition.seed, rendition.sha256, rendition.index, rendition.soundfont)
    song = split_song(read_messages(content), variation)
    with new_track(out, rendition.name) as folder:
        rendered = {}
        for stem, messages in song.messages.items():
            midi = folder / f"{stem}.mid"
            write_midi(messages, song.end_s, midi)
            audio = synthesizer.render(midi, song.end_s, rendition.soundfont)
            rendered[stem] = remove_offset(audio, SAMPLE_RATE)
            midi.unlink()
        facts = {
            **rendition.inputs,
            "tempo_factor": variation.tempo_factor,
            "transpose_semitones": variation.transpose_semitones,
            "programs": [
                {"channel": channel + 1, "written": written, "played": played}
                for channel, written, played in song.programs
            ],
        }
        return write_track(folder, balance(rendered), SAMPLE_RATE, facts)
