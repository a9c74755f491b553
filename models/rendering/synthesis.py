"""Renders MIDI to audio with fluidsynth, one process for each file."""

import shutil
import subprocess
import threading
from pathlib import Path

import numpy as np

from models.rendering.midi import TAIL_S
from models.rendering.soundfont import Soundfont

SAMPLE_RATE = 44100
PROGRAM = "fluidsynth"
_POLYPHONY = 1024  # voices: enough that fluidsynth never drops one, so that the stems add up to the whole song


class Synthesizer:
    """Runs fluidsynth, from any number of threads.

    Raises:
        FileNotFoundError: there is no fluidsynth.
    """

    def __init__(self) -> None:
        program = shutil.which(PROGRAM)
        if program is None:
            raise FileNotFoundError(f"{PROGRAM} not found: rendering needs it (Debian: sudo apt-get install {PROGRAM})")
        self._program = program
        self._lock = threading.Lock()
        self._running: set[subprocess.Popen[bytes]] = set()
        self._stopped = False

    def render(self, midi: Path, end_s: float, soundfont: Soundfont) -> np.ndarray:
        """Render a MIDI file.

        The samples are floats, so they cannot clip. They come through a pipe, so no temporary file is needed.

        Args:
            midi: the file.
            end_s: when its last note ends, in seconds.
            soundfont: the instruments.

        Returns:
            float32 [2, T] at ``SAMPLE_RATE``.

        Raises:
            ValueError: fluidsynth failed.
            InterruptedError: ``stop`` was called.
        """
        command = [self._program, "-q", "-n", "-i", "-f", "/dev/null"]  # do not read the user's settings
        command += ["-o", f"synth.polyphony={_POLYPHONY}", "-o", "synth.dynamic-sample-loading=1"]
        command += ["-r", str(SAMPLE_RATE), "-T", "raw", "-O", "float", "-E", "little", "-F", "/dev/stdout"]
        command += [str(soundfont.path.absolute()), str(midi.absolute())]
        with self._lock:
            if self._stopped:
                raise InterruptedError("rendering was stopped")
            # A new session: Ctrl-C goes to this process only, and `stop` ends fluidsynth.
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,
            )
            self._running.add(process)
        try:
            output, messages = process.communicate()
        finally:
            with self._lock:
                self._running.discard(process)
        if self._stopped:
            raise InterruptedError("rendering was stopped")
        audio = np.frombuffer(output[: len(output) // 8 * 8], "<f4").reshape(-1, 2).T
        if process.returncode or audio.shape[-1] < (end_s + TAIL_S / 2) * SAMPLE_RATE or not np.isfinite(audio).all():
            last_words = messages.decode(errors="replace").strip().splitlines()[-1:]
            reason = f"exit code {process.returncode}, {audio.shape[-1] / SAMPLE_RATE:.1f} of {end_s:.1f} s"
            raise ValueError(f"{PROGRAM} failed: {' '.join([reason, *last_words])}")
        return audio

    def stop(self) -> None:
        """End all running processes; rendering is not possible afterwards."""
        with self._lock:
            self._stopped = True
            for process in self._running:
                process.kill()
