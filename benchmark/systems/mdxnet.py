"""KUIELab MDX-Net: its published TFC-TDF-U-Nets, one ONNX file for each stem, through onnxruntime.

The challenge entry also blends in a Demucs and mixes the stems by a 1x1 convolution; both are left out here. The ONNX
files hold only the networks; the STFT is computed here.
"""

import hashlib
import zipfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmark.provenance.weights import TEST_SET_FLAG, TEST_SET_NOTE, Source, download_weights, file_hash, torch_cache
from benchmark.systems.interface import separate_at
from models.running import atomic
from models.tracks import STEMS

SAMPLE_RATE = 44100
HOP = 1024
FFT_PER_BIN = {"vocals": 3, "drums": 2, "bass": 8, "other": 4}
"""FFT size over the network's number of bins. All networks have the same number of bins, of different widths."""
OPEN_FRAMES = 512
"""Frames of a chunk if the network's file leaves the number open, as in the published separation."""
OFFICIAL = "onnx_A"
OFFICIAL_URL = "https://zenodo.org/records/5717356/files/onnx_A.zip"
OFFICIAL_MD5 = "72605d3722ebef18c353f831abdbfc07"
NOTE = "networks only, without the entry's Demucs and mixer; runs on the CPU"
Run = Callable[[np.ndarray], np.ndarray]
"""A network: maps a spectrogram [1, 4, F, L] to one of the same shape."""


def resolve_mdxnet(name: str, variant: str, download: bool) -> Source:
    """Find the networks: the official ones of leaderboard A, or those of a folder.

    Args:
        name: the system's name in the run.
        variant: "" or "onnx_A", or a folder with `STEM.onnx`.
        download: whether the official ones may be downloaded (110 MB).

    Raises:
        FileNotFoundError: the networks are missing.
    """
    official = variant in ("", OFFICIAL)
    folder = torch_cache() / f"mdxnet-{OFFICIAL}" if official else Path(variant).expanduser()
    if official and not all(file.is_file() for file in _official_files(folder)):
        if not download:
            raise FileNotFoundError(
                f"{name} has no weights on this machine: pass --download to fetch them, or mdxnet:FOLDER"
            )
        download_weights(name, partial(_download, folder))
    files = [folder / f"{stem}.onnx" for stem in STEMS if (folder / f"{stem}.onnx").is_file()]
    if not files:
        raise FileNotFoundError(
            f"{name}: expected {OFFICIAL}, or a folder with STEM.onnx for some STEM of {', '.join(STEMS)}, got {folder}"
            " without any"
        )
    model = OFFICIAL if official else folder.resolve().name
    # The networks of leaderboard B were trained with the test set as well.
    saw_test_set = model == "onnx_B"
    note, flag = (f"{TEST_SET_NOTE}; {NOTE}", TEST_SET_FLAG) if saw_test_set else (NOTE, "")
    checkpoint = f"{model}@{file_hash(files)}"
    label = f"KUIELab MDX-Net ({model})" if official else f"KUIELab MDX-Net ({model}, local folder)"
    return Source(name, label, "mdxnet", str(folder.resolve()), checkpoint, checkpoint, note, flag=flag)


def _official_files(folder: Path) -> list[Path]:
    return [folder / f"{stem}.onnx" for stem in STEMS]


def _download(folder: Path) -> None:
    """Download and unpack the official networks; each file is complete when it appears in the folder."""
    import torch

    folder.mkdir(parents=True, exist_ok=True)
    archive = folder / "download.zip"
    try:
        torch.hub.download_url_to_file(OFFICIAL_URL, str(archive))
        if hashlib.md5(archive.read_bytes()).hexdigest() != OFFICIAL_MD5:
            raise OSError(f"expected a file with MD5 {OFFICIAL_MD5}, got another; try again")
        with zipfile.ZipFile(archive) as content:
            members = {Path(member).name: member for member in content.namelist()}
            for file in _official_files(folder):
                atomic.write_bytes(file, content.read(members[file.name]))
    finally:
        archive.unlink(missing_ok=True)


class StemNetwork:
    """The network of one stem, with its STFT.

    The mixture is cut into chunks of a fixed number of frames. Half a window at both ends of each chunk is discarded,
    because the STFT reaches beyond the chunk there. Bins above those of the network are silent.

    Source: Kim et al., "KUIELab-MDX-Net: A Two-Stream Neural Network for Music Demixing", 2021.

    Attributes:
        n_fft: FFT size.
        trim: samples at both ends of a chunk that are not used.
        chunk_samples: length of a chunk.
    """

    def __init__(self, run: Run, stem: str, num_bins: int, num_frames: int) -> None:
        """Derive the STFT from the network's input size.

        Args:
            run: the network.
            stem: the stem that it separates.
            num_bins: F, bins of its input.
            num_frames: L, frames of its input.

        Raises:
            ValueError: with so few bins or frames no sample of a chunk could be used.
        """
        self._run, self._num_bins = run, num_bins
        self.n_fft = FFT_PER_BIN[stem] * num_bins
        self.trim = self.n_fft // 2
        self.chunk_samples = HOP * (num_frames - 1)
        if self.n_fft <= HOP or self.chunk_samples <= 2 * self.trim:
            raise ValueError(
                f"{stem}: a network of {num_bins} bins and {num_frames} frames is too small for a hop of {HOP} samples"
            )

    def separate(self, mixture: Any) -> Any:
        """Separate a tensor [2, T] into one of the same shape."""
        import torch

        num_samples = mixture.shape[-1]
        step = self.chunk_samples - 2 * self.trim
        padded = torch.nn.functional.pad(mixture, (self.trim, self.trim + -num_samples % step))
        output = torch.empty(2, num_samples)
        for start in range(0, num_samples, step):
            chunk = self._separate_chunk(padded[:, start : start + self.chunk_samples])
            stop = min(start + step, num_samples)
            output[:, start:stop] = chunk[:, self.trim : self.trim + stop - start]
        return output

    def _separate_chunk(self, chunk: Any) -> Any:
        import torch

        window = torch.hann_window(self.n_fft)
        spectrogram = torch.stft(chunk, self.n_fft, HOP, window=window, return_complex=True)  # [2, n_fft / 2 + 1, L]
        # Channels of the network: real and imaginary part of the left channel, then of the right.
        parts = torch.view_as_real(spectrogram[:, : self._num_bins]).permute(0, 3, 1, 2)  # [2, 2, F, L]
        estimate = self._run(parts.reshape(1, 4, *parts.shape[2:]).numpy())
        separated = torch.zeros_like(spectrogram)
        separated[:, : self._num_bins] = torch.view_as_complex(
            torch.from_numpy(estimate).reshape(parts.shape).permute(0, 2, 3, 1).contiguous()
        )
        return torch.istft(separated, self.n_fft, HOP, window=window, length=chunk.shape[-1])


class MdxNetSystem:
    """The networks of a folder, one for each stem, on the CPU.

    Attributes:
        stems, sample_rate: see System.
        parameters: the files' size divided by 4 bytes (float32); the graphs in them are negligible.
    """

    sample_rate = SAMPLE_RATE

    def __init__(self, folder: str, device: str) -> None:
        """Load the networks.

        Args:
            folder: of the networks.
            device: not used: the pinned onnxruntime runs on CPUs only.

        Raises:
            ValueError: a file is not a network, or its input has another shape.
        """
        files = {stem: Path(folder) / f"{stem}.onnx" for stem in STEMS}
        files = {stem: file for stem, file in files.items() if file.is_file()}
        self._networks = dict(_load(files))
        self.stems = tuple(self._networks)
        self.parameters = sum(file.stat().st_size // 4 for file in files.values())

    def separate(self, mixture: np.ndarray, sample_rate: int | None = None) -> dict[str, np.ndarray]:
        """See System."""
        return separate_at(SAMPLE_RATE, 2, self._separate, mixture, sample_rate)

    def _separate(self, mixture: Any) -> dict[str, Any]:
        return {stem: network.separate(mixture) for stem, network in self._networks.items()}


def _load(files: dict[str, Path]) -> Iterator[tuple[str, StemNetwork]]:
    import onnxruntime
    import torch

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    for stem, file in files.items():
        try:
            session = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime has many error classes
            raise ValueError(f"{file}: expected a network, got none ({' '.join(str(error).split())[:200]})") from error
        inputs = session.get_inputs()
        shape = inputs[0].shape  # a text or None: the file leaves this size open
        whole = [size if isinstance(size, int) else None for size in shape]
        if len(inputs) != 1 or len(shape) != 4 or whole[0] not in (1, None) or whole[1] != 4 or whole[2] is None:
            raise ValueError(f"{file}: expected a network that takes [1, 4, bins, frames], got {shape}")
        network = partial(_run, session, inputs[0].name)
        yield stem, StemNetwork(network, stem, whole[2], whole[3] or OPEN_FRAMES)


def _run(session: Any, name: str, spectrogram: np.ndarray) -> np.ndarray:
    (estimate,) = session.run(None, {name: spectrogram})
    return estimate
