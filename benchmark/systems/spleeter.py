"""Spleeter, from its own package in its own environment: the official 2-stem weights, or a local folder of others."""

from pathlib import Path
from typing import Any

import numpy as np

from benchmark.provenance.weights import EXTRA_DATA_FLAG, Source, file_hash
from benchmark.systems.interface import four_stems, separate_at
from benchmark.workers import spleeter_install
from benchmark.workers.process import Worker, WorkerSystem
from models.running.repository import ROOT

TWO_STEMS = "2stems"
WORKER = ROOT / "benchmark/workers/spleeter_program.py"
"""Runs in Spleeter's environment: nothing here imports it, so its content is part of the digest."""
NOTE = "trained on about 25,000 songs of its own; runs on the CPU"


def resolve_spleeter(name: str, variant: str) -> Source:
    """Find Spleeter's environment and the weights: those of 2 stems that come with it, or a model folder.

    Args:
        name: the system's name in the run.
        variant: "" or "2stems", or a folder as Deezer releases them, with `checkpoint` and `model.*`.

    Raises:
        FileNotFoundError: the environment is not installed, or the folder holds no model.
    """
    spleeter_install.check_installed()
    official = variant in ("", TWO_STEMS)
    folder = spleeter_install.two_stems() if official else Path(variant).expanduser()
    files = [folder / "checkpoint", *sorted(folder.glob("*.index")), *sorted(folder.glob("*.data-*"))]
    if len(files) < 3 or not files[0].is_file():
        raise FileNotFoundError(
            f"{name}: {folder} holds no Spleeter model: expected {TWO_STEMS}, or a folder with checkpoint, model.index"
            " and model.data-* (for example 4stems out of the 4stems.tar.gz that Deezer releases)"
        )
    model = TWO_STEMS if official else folder.resolve().name
    digest = file_hash(files)
    return Source(
        name,
        f"Spleeter ({model})" if official else f"Spleeter ({model}, local folder)",
        "spleeter",
        str(folder.resolve()),
        f"{model}@{digest}",
        f"{model}@{digest} in {spleeter_install.requirements_hash()}, worker {file_hash([WORKER])}",
        NOTE if official else "",
        flag=EXTRA_DATA_FLAG if official else "",
    )


class SpleeterSystem(WorkerSystem):
    """A Spleeter of 2, 4 or 5 stems in a process of its own, which is started here and answers for all tracks.

    Its masks end at 11 kHz, as in its own command: nothing above is in any stem.

    Attributes:
        stems, sample_rate, parameters: see System.
        worker: the process.
    """

    def __init__(self, folder: str, device: str) -> None:
        """Start the worker.

        Args:
            folder: the model.
            device: not used: its environment holds a TensorFlow for CPUs.
        """
        import torch

        threads = str(torch.get_num_threads())
        python = str(spleeter_install.python())
        self.worker = Worker(
            [python, "-E", "-s", "-m", "benchmark.workers.spleeter_program", folder, threads],
            "Spleeter",
            cwd=str(ROOT),
            TF_CPP_MIN_LOG_LEVEL="3",
            CUDA_VISIBLE_DEVICES="",
            OMP_NUM_THREADS=threads,
        )
        stems = dict.fromkeys(self.worker.ready["stems"], 0.0)
        self.stems = tuple(four_stems(stems)) if "drums" in stems else tuple(stems)
        self.sample_rate = int(self.worker.ready["sample_rate"])
        self.parameters = int(self.worker.ready["parameters"])

    def separate(self, mixture: np.ndarray, sample_rate: int | None = None) -> dict[str, np.ndarray]:
        """See System."""
        return separate_at(self.sample_rate, 2, self._separate, mixture, sample_rate)

    def _separate(self, mixture: Any) -> dict[str, Any]:
        import torch

        stems = {stem: torch.from_numpy(audio.copy()) for stem, audio in self.worker.separate(mixture.numpy()).items()}
        return four_stems(stems) if "drums" in stems else stems
