"""The worker program of Spleeter, run by the Python of its environment; it imports only `messages` of our code.

    .venv-spleeter/bin/python -m benchmark.workers.spleeter_program MODEL_FOLDER THREADS

`process.Worker` starts it and sends it mixtures. The graph is built and the weights are read once. Spleeter's own
command does both for each song, with a bit-identical result.
"""

import contextlib
import os
import re
import resource
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import numpy as np

from benchmark.workers.messages import PROTOCOL, read_message, write_message

SAMPLE_RATE = 44100
CONVOLUTIONS_PER_STEM = 7
"""Convolutions of one stem's U-Net, without transposed ones: their number in a checkpoint gives its stems."""
CONFIGURATIONS = {2: "2stems", 4: "4stems", 5: "5stems"}


def main() -> int:
    """Answer mixtures until the input closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    output = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # libraries print to stdout, which is for messages only
    folder, threads = Path(sys.argv[1]), int(sys.argv[2])

    def progress(text: str) -> None:
        write_message(output, "progress", text=text)

    try:
        stems, parameters, separate = load(folder, threads, progress)
    except Exception as error:
        write_message(output, "error", reason=_reason(error))
        return 1
    write_message(output, "ready", protocol=PROTOCOL, stems=list(stems), sample_rate=SAMPLE_RATE, parameters=parameters)
    while True:
        try:
            _, mixture = read_message(sys.stdin.buffer)
        except EOFError:
            return 0
        _answer(output, stems, separate, mixture)


def load(
    folder: Path, threads: int, progress: Callable[[str], None]
) -> tuple[tuple[str, ...], int, Callable[[np.ndarray], dict[str, np.ndarray]]]:
    """Build Spleeter's graph and read a checkpoint into it.

    Args:
        folder: an official model folder.
        threads: CPU threads.
        progress: called with a text at each step.

    Returns:
        Its stems, the number of its weights, and a function that separates a stereo mixture [2, T] at 44.1 kHz.

    Raises:
        ValueError: the folder holds no checkpoint of a Spleeter model.
    """
    progress("importing TensorFlow")
    import tensorflow as tf
    from spleeter.model import EstimatorSpecBuilder, InputProviderFactory
    from spleeter.utils.configuration import load_configuration

    progress(f"reading {folder}")
    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    checkpoint = tf.train.latest_checkpoint(str(folder))
    if checkpoint is None:
        raise ValueError(f"{folder}: expected the checkpoint that its `checkpoint` file names, got none")
    names = [name for name, _ in tf.train.list_variables(checkpoint)]
    convolutions = sum(bool(re.fullmatch(r"conv2d(_\d+)?/kernel", name)) for name in names)
    configuration = CONFIGURATIONS.get(convolutions // CONVOLUTIONS_PER_STEM)
    if configuration is None or convolutions % CONVOLUTIONS_PER_STEM:
        raise ValueError(f"{folder}: expected a Spleeter model of 2, 4 or 5 stems, got {convolutions} convolutions")
    parameters = load_configuration(f"spleeter:{configuration}") | {"MWF": False}
    graph = tf.Graph()
    with graph.as_default():
        provider = InputProviderFactory.get(parameters)
        features = provider.get_input_dict_placeholders()
        waveforms = dict(EstimatorSpecBuilder(features, parameters).outputs)
        waveforms.pop("audio_id")
        session = tf.compat.v1.Session()
        tf.compat.v1.train.Saver().restore(session, checkpoint)
        num_weights = sum(int(np.prod(variable.shape)) for variable in tf.compat.v1.trainable_variables())

    def separate(mixture: np.ndarray) -> dict[str, np.ndarray]:
        return session.run(waveforms, provider.get_feed_dict(features, mixture.T, ""))

    return tuple(waveforms), num_weights, separate


def _answer(output: IO[bytes], stems: tuple[str, ...], separate: Callable[..., Any], mixture: Any) -> None:
    _reset_peak_memory()
    cpu_s = _cpu_s()
    try:
        waveforms = separate(mixture)
        samples = np.stack([waveforms[stem].T for stem in stems])
    except Exception as error:
        write_message(output, "error", reason=_reason(error))
        return
    write_message(output, "stems", samples, cpu_s=_cpu_s() - cpu_s, peak_memory_bytes=_peak_memory_bytes())


def _reason(error: Exception) -> str:
    lines = [line for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0][:300]}" if lines else type(error).__name__


def _cpu_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def _reset_peak_memory() -> None:
    with contextlib.suppress(OSError):  # not Linux: the peak is then that of all tracks so far
        Path("/proc/self/clear_refs").write_text("5")


def _peak_memory_bytes() -> int:
    try:
        return int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) * 1024
    except (OSError, IndexError):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


if __name__ == "__main__":
    sys.exit(main())
