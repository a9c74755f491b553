"""The songs without stems of a training run: who labels them, and when the student replaces its teacher."""

import math
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from torch import nn
from tqdm import tqdm

from models.checkpoints.checkpoint import WEIGHTS, load_checkpoint, save_checkpoint
from models.presets.preset import Preset
from models.pseudo.material import count_labels, more_music
from models.pseudo.pool import LabelledPart, ScannedSong, check_disk, label_song, pool_bytes, scan
from models.pseudo.settings import RunSettings
from models.pseudo.songs import song_list
from models.pseudo.teachers import Source, open_teachers
from models.running import atomic
from models.running.keyed_results import read_keyed
from models.training.data.mixing import RandomMixer
from models.training.data.origin import read_origin
from models.training.data.packs import Pack
from models.training.record.log import say
from models.training.validation import validation_sdr
from models.training.world import World

T = TypeVar("T")
R = TypeVar("R")
TEACHERS, BASELINE = "teachers", "baseline.json"
MOST_NAMES = 200
"""Songs that a model card names; the others are counted."""


class Lessons:
    """A teacher labels songs, and the student that learns from them replaces it when its validation is better.

    In a run's folder, ``pool/`` holds the labelled parts and, in ``teachers/step-N``, the weights that label them now.
    The teacher follows from the rows of metrics: the weights of the best validation that is above the first teacher's,
    over the stems that this network gives. Estimates of other systems are never replaced.

    Source: Luo & Yu 2022 (arXiv 2209.15174), semi-supervised fine-tuning. Differs: the paper labels the segments of
    each batch, here all of them are labelled beforehand; and with several stems in one network, see ``material``.

    Args:
        preset: of the run.
        pack: with stems; its validation tracks decide.
        folder: of the pool.
        settings: songs, teachers and share.
        world: the processes that train together; they share the songs out among them.
    """

    def __init__(self, preset: Preset, pack: Pack, folder: Path, settings: RunSettings, world: World) -> None:
        settings.check_validation(pack)
        self.preset, self.pack, self.folder, self.settings, self.world = preset, pack, folder, settings, world
        self.stems, self.rate = preset.model.stems, preset.model.sample_rate
        self._songs: list[ScannedSong] = []
        self._step: int | None = None
        self._names: list[str] = []
        self._network = next((source for source in settings.teachers if source.is_network), None)
        self._baseline = -math.inf

    def follow(
        self, rows: Sequence[Mapping[str, Any]], now: int, average: nn.Module, is_stopped: Callable[[], bool]
    ) -> RandomMixer | None:
        """See ``models.training.music.Music``."""
        if self._step is None:
            self._begin(is_stopped)
        step = self._teacher_step(rows)
        if step == self._step:
            return None
        self._keep_teacher(step, now, average)
        sources = [self._replaced(source, step) if step else source for source in self.settings.teachers]
        parts = self._label(sources, is_stopped)
        self._step = step
        if self.world.rank == 0:
            self._forget_teachers()
            say(f"labelled by {' and '.join(self._names)}: {count_labels(parts, self.stems)}")
        more = more_music(parts, self.stems, self.pack.stems, self.settings.share)
        is_spatial = getattr(self.preset.model, "stereo", "folded") == "spatial"
        return RandomMixer(self.pack, self.preset.data, self.stems, self.preset.train.seed, is_spatial, more)

    def origins(self) -> str:
        """See ``models.training.music.Music``."""
        songs = [f"songs without stems of {read_origin(root)}" for root in self.settings.roots]
        return ", ".join([*songs, *(f"labels of {source.path.resolve().name}" for source in self.settings.teachers)])

    def facts(self) -> dict[str, str]:
        """See ``models.training.music.Music``."""
        minutes = sum(part.stop - part.start for song in self._songs for part in song.parts) / self.rate / 60
        names = song_list([song.song.name for song in self._songs], MOST_NAMES)
        return {
            "unlabelled_songs": f"{len(self._songs)} songs, {minutes:.1f} minutes with activity: {names}",
            "teacher": " and ".join(self._names),
        }

    def _begin(self, is_stopped: Callable[[], bool]) -> None:
        """Find the active parts of the songs, and what the first teacher is worth."""
        found = self._in_turns(self.settings.songs, lambda song: scan(song, self.folder, self.rate), is_stopped, "scan")
        self._songs = [song for song in found if song.parts]
        if self.world.rank == 0:
            for song in found:
                if not song.parts:
                    say(f"left out: {song.song.name} ({song.error or 'no activity'})")
        if not self._songs:
            raise ValueError(
                f"--unlabelled: expected a song with activity, got none in {len(found)}; see the lines above"
            )
        if self.world.rank == 0:
            minutes = sum(song.num_samples for song in self._songs) / self.rate / 60
            disk = check_disk(self.folder, pool_bytes(self._songs, len(self.stems)))
            say(f"{len(self._songs)} songs without stems, {minutes:.1f} minutes; their pool needs {disk}")
        if self._network:
            self._baseline = self._first_sdr(self._network)

    def _first_sdr(self, source: Source) -> float:
        """Validation SDR of the first teacher, mean over the stems that it gives, dB; measured once."""
        checkpoint = load_checkpoint(source.path)
        path, key = self.folder / BASELINE, {"teacher": checkpoint.identity, "stems": list(source.stems)}
        scores = read_keyed(path, key, lambda stored: {str(stem): float(sdr) for stem, sdr in stored["sdr"].items()})
        if scores is None:
            network = checkpoint.network.to(self.world.device)
            scores = validation_sdr(network, self.pack, self.preset.separate, self.world, source.stems)
            if self.world.rank == 0:
                atomic.write_json(path, {"key": key, "sdr": scores})
        mean = _mean(scores)
        if self.world.rank == 0:
            say(f"teacher {checkpoint.identity}: validation SDR {mean:.2f} dB; a better student replaces it")
        return mean

    def _teacher_step(self, rows: Sequence[Mapping[str, Any]]) -> int:
        """The step whose weights teach after these rows of metrics; 0: the first teacher."""
        best, step = self._baseline, 0
        if not self._network:
            return 0
        for row in rows:
            if "valid_sdr" in row:
                mean = _mean({stem: row.get(f"valid_{stem}") for stem in self._network.stems})
                if mean > best:
                    best, step = mean, row["step"]
        return step

    def _weights(self, step: int) -> Path:
        return self.folder / TEACHERS / f"step-{step}"

    def _replaced(self, source: Source, step: int) -> Source:
        return Source(self._weights(step), source.stems, True) if source.is_network else source

    def _keep_teacher(self, step: int, now: int, average: nn.Module) -> None:
        """Write the weights of a step, which is now, unless they are there: those of a step before are."""
        is_there = not step or (self._weights(step) / WEIGHTS).is_file()  # written last
        if not is_there and step != now:
            raise ValueError(f"{self._weights(step)}: these weights label the songs and are not there; begin a new run")
        if not is_there and self.world.rank == 0:
            card = f"# Teacher\n\nWeights of step {step} of this run; they label its songs without stems.\n"
            save_checkpoint(self._weights(step), average.state_dict(), self.preset, {"steps": step}, card)
        self.world.gather(None)

    def _forget_teachers(self) -> None:
        for path in (self.folder / TEACHERS).glob("step-*"):
            if path != self._weights(self._step or 0):
                shutil.rmtree(path, ignore_errors=True)

    def _label(self, sources: Sequence[Source], is_stopped: Callable[[], bool]) -> list[LabelledPart]:
        teachers = open_teachers(sources, [song.song for song in self._songs], self.rate, self.world.device)
        self._names = [f"{teacher.name} ({', '.join(teacher.stems)})" for teacher in teachers]

        def label(song: ScannedSong) -> list[LabelledPart]:
            return label_song(song, teachers, self.stems, self.rate, self.folder, is_stopped)

        return [part for parts in self._in_turns(self._songs, label, is_stopped, "label") for part in parts]

    def _in_turns(
        self, items: Sequence[T], work: Callable[[T], R], is_stopped: Callable[[], bool], what: str
    ) -> list[R]:
        """What ``work`` makes of each item, in order; the processes share the items out among them.

        Raises:
            KeyboardInterrupt: one of them was asked to stop.
        """
        results: list[R] = []
        hidden = True if self.world.rank else None
        for first in tqdm(range(0, len(items), self.world.size), what, unit="song", file=sys.stderr, disable=hidden):
            mine = items[first : first + self.world.size][self.world.rank :][:1]
            gathered = self.world.gather(([work(item) for item in mine], is_stopped()))
            if any(stopped for _, stopped in gathered):
                raise KeyboardInterrupt
            results += [result for found, _ in gathered for result in found]
        return results


def _mean(scores: Mapping[str, float | None]) -> float:
    """Of the stems that have a score."""
    known = [score for score in scores.values() if score is not None]
    return sum(known) / len(known) if known else -math.inf
