"""Spleeter through its own package in its own environment: the official 2-stem weights, or a local model folder."""

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
"""Runs in Spleeter's environment and is not imported here, so its content is part of the digest."""
NOTE = "trained on about 25,000 other songs; runs on the CPU"


def resolve_spleeter(name: str, variant: str) -> Source:
    """Find Spleeter's environment and the weights: the installed ones of 2 stems, or a model folder.

    Args:
        name: the system's name in the run.
        variant: "" or "2stems", or a folder in the form of Deezer's releases, with `checkpoint` and `model.*`.

    Raises:
        FileNotFoundError: the environment is not installed, or the folder holds no model.
    """
    spleeter_install.check_installed()
    official = variant in ("", TWO_STEMS)
    folder = spleeter_install.two_stems() if official else Path(variant).expanduser()
    files = [folder / "checkpoint", *sorted(folder.glob("*.index")), *sorted(folder.glob("*.data-*"))]
    if len(files) < 3 or not files[0].is_file():
        raise FileNotFoundError(
            f"{name}: expected {TWO_STEMS}, or a folder with checkpoint, model.index and model.data-*, got {folder};"
            " unpack a release of Deezer there, for example 4stems.tar.gz"
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
    """A Spleeter of 2, 4 or 5 stems in its own process, which is started here and separates all tracks.

    Its masks end at 11 kHz, as in its own command: no stem has content above.

    Attributes:
        stems, sample_rate, parameters: see System.
        worker: the process.
    """

    def __init__(self, folder: str, device: str) -> None:
        """Start the worker.

        Args:
            folder: of the model.
            device: not used: its environment has TensorFlow for CPUs only.
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
