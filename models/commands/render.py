"""The command ``render``: folders of MIDI files into track folders for training."""

import argparse
import contextlib
import json
import re
import shutil
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from models.rendering.levels import balance, remove_offset
from models.rendering.midi import read_messages, split_song, write_midi
from models.rendering.soundfont import Soundfont, open_soundfont
from models.rendering.synthesis import SAMPLE_RATE, Synthesizer
from models.rendering.variation import draw_soundfont, draw_variation
from models.running import atomic
from models.running.arguments import check_at_least
from models.running.folder_lock import sole_writer
from models.running.hashes import sha256
from models.running.processors import num_cpus
from models.tracks import RENDER_FILE, STEMS

RENDERER = 2
"""Raise this number whenever the same arguments render other audio."""
MIDI_SUFFIXES = (".mid", ".midi")
_UNFINISHED = ".unfinished"


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
    songs = _songs(args.midi)
    renditions = [
        Rendition(path, sha256, index, args.seed, draw_soundfont(args.seed, sha256, index, soundfonts))
        for sha256, path in songs.items()
        for index in range(args.variations)
    ]
    with sole_writer(args.out), _cleared(args.out / _UNFINISHED):
        durations_s, rendered, skipped = _render_all(renditions, args.out, synthesizer, jobs)
    if not durations_s:
        raise ValueError(f"no usable MIDI file: all {len(skipped)} were skipped")
    print(
        f"{args.out}: {len(durations_s)} tracks, {sum(durations_s) / 3600:.2f} hours; "
        f"{rendered} rendered now, {len(skipped)} MIDI files skipped"
    )
    return 0


def _songs(folders: Sequence[Path]) -> dict[str, Path]:
    """The MIDI files anywhere below some folders, by their SHA-256; of equal files the first."""
    songs: dict[str, Path] = {}
    for folder in folders:
        if not folder.is_dir():
            raise FileNotFoundError(f"--midi: expected a folder of MIDI files, got {folder}")
        for path in sorted(folder.rglob("*")):
            if path.suffix.lower() in MIDI_SUFFIXES and not path.name.startswith(".") and path.is_file():
                songs.setdefault(sha256(path), path)
    if not songs:
        raise FileNotFoundError(
            f"--midi: no {' or '.join(MIDI_SUFFIXES)} files in {', '.join(str(folder) for folder in folders)}"
        )
    return songs


@contextlib.contextmanager
def _cleared(unfinished: Path) -> Iterator[None]:
    """Clear away what a killed process left unfinished, and what this one leaves."""
    shutil.rmtree(unfinished, ignore_errors=True)
    try:
        yield
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


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
            if (duration_s := _finished_duration_s(rendition, out)) is not None:
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


def _finished_duration_s(rendition: Rendition, out: Path) -> float | None:
    """The duration of a track that exists and was rendered from the same inputs, else None."""
    try:
        facts = json.loads((out / rendition.name / RENDER_FILE).read_text(encoding="utf-8"))
        if all(facts[name] == value for name, value in rendition.inputs.items()):
            return float(facts["duration_s"])
    except (OSError, ValueError, KeyError, TypeError):
        pass
    return None


def _render(rendition: Rendition, out: Path, synthesizer: Synthesizer) -> float:
    """Render one track, completely or not at all; returns its duration in seconds.

    Raises:
        ValueError: the song cannot be rendered.
        OSError: the folder cannot be written.
    """
    import torch

    from models.audio.writer import write_audio

    try:
        content = rendition.midi.read_bytes()
    except OSError as error:
        raise ValueError(f"cannot be read ({error.strerror})") from None
    variation = draw_variation(rendition.seed, rendition.sha256, rendition.index, rendition.soundfont)
    song = split_song(read_messages(content), variation)
    folder = out / _UNFINISHED / rendition.name
    folder.mkdir(parents=True)
    try:
        rendered = {}
        for stem, messages in song.messages.items():
            midi = folder / f"{stem}.mid"
            write_midi(messages, song.end_s, midi)
            audio = synthesizer.render(midi, song.end_s, rendition.soundfont)
            rendered[stem] = remove_offset(audio, SAMPLE_RATE)
            midi.unlink()
        stems = balance(rendered)
        silence = np.zeros_like(next(iter(stems.values())))
        for stem in STEMS:
            waveform = torch.from_numpy(stems.get(stem, silence))
            write_audio(folder / f"{stem}.flac", waveform, SAMPLE_RATE, "flac16")
        facts = {
            **rendition.inputs,
            "tempo_factor": variation.tempo_factor,
            "transpose_semitones": variation.transpose_semitones,
            "programs": [
                {"channel": channel + 1, "written": written, "played": played}
                for channel, written, played in song.programs
            ],
            "duration_s": silence.shape[-1] / SAMPLE_RATE,
        }
        atomic.write_json(folder / RENDER_FILE, facts)
        target = out / rendition.name
        shutil.rmtree(target, ignore_errors=True)
        folder.rename(target)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return facts["duration_s"]
