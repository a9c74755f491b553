"""Fixtures for every test file: one seeded synthetic track, a small data set of such tracks, and no network."""

import dataclasses
import functools
import resource
import shutil
import signal
import socket
from pathlib import Path

import numpy as np
import pytest
import torch

from models.bsrnn import BSRNNConfig
from models.presets.preset import Preset
from models.presets.training import DataConfig, TrainConfig
from models.signal.chunking import SeparateConfig

SAMPLE_RATE = 44100
STEMS = ("vocals", "drums", "bass", "other")
# musdb's own validation list has the second of these; the other names are made up.
TRAIN_TRACK, VALID_TRACK, TEST_TRACK = "Tin Lantern - First Light", "Actions - One Minute Smile", "Nadir - Slow Tide"

TINY = Preset(
    "bsrnn",
    BSRNNConfig(
        stems=("vocals", "drums"),
        n_fft=1024,
        hop=512,
        bands="1k:4k,4k:16k",
        features=8,
        hidden=8,
        layers=1,
        mask_factor=1,
        norm="rms",
        level_inputs=True,
    ),
    DataConfig(crop_s=0.25, crops="random"),
    TrainConfig(batch=2, steps=12, optimizer="muon", lr=0.01, schedule="linear", ema=0.9, validate_every=5, patience=0),
    SeparateConfig(segment_s=2.0, overlap=0.1, batch=1),
)


def with_train(**changes) -> Preset:
    """TINY with other training settings."""
    return dataclasses.replace(TINY, train=dataclasses.replace(TINY.train, **changes))


def synthetic_stems(seed: int, duration_s: float = 3.0) -> dict[str, np.ndarray]:
    """A small piece of music: gliding voice, noise bursts, low line and chords, each [2, T] float32 and panned."""
    return {name: samples.copy() for name, samples in _synthesize(seed, duration_s).items()}


@functools.cache
def _synthesize(seed: int, duration_s: float) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    num_samples = round(duration_s * SAMPLE_RATE)
    time_s = np.arange(num_samples) / SAMPLE_RATE
    beat_s = 60 / rng.uniform(90, 140)
    root_hz = rng.uniform(45, 60)

    voice_hz = 220 + 80 * np.sin(2 * np.pi * 0.4 * time_s + rng.uniform(0, 6)) + 5 * np.sin(2 * np.pi * 5.5 * time_s)
    phase = 2 * np.pi * np.cumsum(voice_hz) / SAMPLE_RATE
    vocals = sum(np.sin(k * phase) / k**1.5 for k in range(1, 9)) * (0.6 + 0.4 * np.sin(2 * np.pi * 0.7 * time_s))

    since_beat_s = time_s % beat_s
    drums = rng.standard_normal(num_samples) * np.exp(-since_beat_s / 0.03)
    drums += 2 * np.sin(2 * np.pi * 60 * since_beat_s) * np.exp(-since_beat_s / 0.1)

    note = 2.0 ** (rng.integers(0, 12, num_samples // 1000 + 2) / 12)
    bass_hz = root_hz * note[(time_s / (2 * beat_s)).astype(int)]
    bass_phase = 2 * np.pi * np.cumsum(bass_hz) / SAMPLE_RATE
    bass = np.sin(bass_phase) + 0.4 * np.sin(2 * bass_phase)

    other = sum(np.sin(2 * np.pi * root_hz * ratio * time_s + rng.uniform(0, 6)) for ratio in (8, 10, 12, 16))

    stems = {}
    for name, mono in zip(STEMS, (vocals, drums, bass, other), strict=True):
        pan = np.array([[1.0], [1.0]]) + rng.uniform(-0.4, 0.4) * np.array([[1.0], [-1.0]])
        stereo = pan * mono
        stems[name] = (0.2 * stereo / np.abs(stereo).max()).astype(np.float32)
    return stems


def write_track(folder: Path, stems: dict[str, np.ndarray], with_mixture: bool = True) -> None:
    """Write one track folder of the MUSDB18-HQ layout as float wav, so that what is read back is exact."""
    import soundfile

    folder.mkdir(parents=True)
    files = dict(stems)
    if with_mixture:
        files["mixture"] = np.sum([stems[name] for name in STEMS], axis=0)
    for name, waveform in files.items():
        soundfile.write(folder / f"{name}.wav", waveform.T, SAMPLE_RATE, subtype="FLOAT")


@pytest.fixture
def stems() -> dict[str, np.ndarray]:
    """The four stems of the synthetic track, each [2, T] float32, 3 s at 44.1 kHz."""
    return synthetic_stems(seed=0)


@pytest.fixture
def mixture(stems: dict[str, np.ndarray]) -> np.ndarray:
    """The synthetic track's mixture [2, T] float32, the exact sum of `stems`."""
    return np.sum([stems[name] for name in STEMS], axis=0)


@pytest.fixture(scope="session")
def hq_original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `hq_root` is a copy of."""
    root = tmp_path_factory.mktemp("hq") / "musdb18hq"
    for seed, (split, name) in enumerate((("train", TRAIN_TRACK), ("train", VALID_TRACK), ("test", TEST_TRACK))):
        write_track(root / split / name, synthetic_stems(seed))
    return root


@pytest.fixture
def shipped(monkeypatch: pytest.MonkeyPatch) -> None:
    """The only checkpoint is called small; its network returns known multiples of the mixture."""
    import models.commands.separators  # noqa: F401 - it keeps the real functions, imported before they are replaced
    from models.checkpoints import checkpoint as checkpoint_module
    from scaled_copies import SETTINGS, FakePreset, ScaledCopies

    found = checkpoint_module.Checkpoint(ScaledCopies(), FakePreset(SETTINGS), {}, "small@1a2b3c4d")
    monkeypatch.setattr(checkpoint_module, "find_checkpoint", lambda name: {"small": "folder"}[name])
    monkeypatch.setattr(checkpoint_module, "load_checkpoint", lambda folder: {"folder": found}[folder])


@pytest.fixture
def hq_root(hq_original: Path, tmp_path: Path) -> Path:
    """A data set in the MUSDB18-HQ layout: one training, one validation (by musdb's list) and one test track."""
    return Path(shutil.copytree(hq_original, tmp_path / "musdb18hq"))


@pytest.fixture
def full_disk():
    """No file of this process may grow beyond 64 KiB."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2**16, hard))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    signal.signal(signal.SIGXFSZ, handler)


@pytest.fixture
def short_filters(monkeypatch: pytest.MonkeyPatch) -> None:
    """Score with distortion filters of 16 taps, not 512: a hundredth of the time, for tests of something else.

    SDR has no filters; ISR, SIR and SAR are other figures, but still figures.
    """
    monkeypatch.setattr("benchmark.scoring.bsseval.FILTER_TAPS", 16)


@pytest.fixture
def short_warm_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Warm systems up with a fifth of a second of noise, not 5 s."""
    monkeypatch.setattr("benchmark.runs.measure.WARM_UP_S", 0.2)


@pytest.fixture(autouse=True)
def one_thread() -> None:
    """Begin every test with one torch thread; the test before may have changed it."""
    torch.set_num_threads(1)


def _is_local(host: object) -> bool:
    name = host.decode() if isinstance(host, bytes) else host
    return name in (None, "", "localhost", "::1", "0.0.0.0", socket.gethostname()) or str(name).startswith("127.")


@pytest.fixture(autouse=True)
def no_network(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make every connection to another machine an error, in tests that are not marked `network`."""
    if request.node.get_closest_marker("network") is not None:
        return

    def check(host: object) -> None:
        if not _is_local(host):
            raise RuntimeError(f"a test tried to reach {host!r}; mark it `network` if it must")

    def checked(original):
        def connect(self, address):
            # Connecting a datagram socket sends nothing; programs use it to find their own address.
            if self.family in (socket.AF_INET, socket.AF_INET6) and not self.type & socket.SOCK_DGRAM:
                check(address[0])
            return original(self, address)

        return connect

    original_getaddrinfo = socket.getaddrinfo

    def getaddrinfo(host, *arguments, **options):
        check(host)
        return original_getaddrinfo(host, *arguments, **options)

    monkeypatch.setattr(socket.socket, "connect", checked(socket.socket.connect))
    monkeypatch.setattr(socket.socket, "connect_ex", checked(socket.socket.connect_ex))
    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
