"""KUIELab MDX-Net: onnxruntime computes what the network computes, and the STFT around it gives back what goes in."""

import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from benchmark.systems import mdxnet as mdxnet_system
from benchmark.systems.catalog import load, parse_systems, resolve
from benchmark.systems.mdxnet import FFT_PER_BIN, HOP, MdxNetSystem, StemNetwork
from models.metrics import global_sdr
from models.tracks import STEMS

BINS, FRAMES = 1024, 16


class SmallNetwork(nn.Module):
    """A network of the same interface and kinds of layers: a convolution, and a layer over frequency with a skip."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.conv = nn.Conv2d(4, 4, 3, padding=1)
        self.linear = nn.Linear(BINS, BINS, bias=False)

    def forward(self, x):  # [B, 4, F, L]
        hidden = torch.relu(self.conv(x))
        return hidden + self.linear(hidden.transpose(2, 3)).transpose(2, 3)


def export(network: SmallNetwork, file: Path, shape=(1, 4, BINS, FRAMES)) -> None:
    """Write the network as ONNX, out of its own weights."""
    from onnx import TensorProto, helper, numpy_helper, save

    weights = {
        "kernel": network.conv.weight,
        "bias": network.conv.bias,
        "matrix": network.linear.weight.T,
    }
    nodes = [
        helper.make_node("Conv", ["input", "kernel", "bias"], ["convolved"], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["convolved"], ["hidden"]),
        helper.make_node("Transpose", ["hidden"], ["turned"], perm=[0, 1, 3, 2]),
        helper.make_node("MatMul", ["turned", "matrix"], ["mixed"]),
        helper.make_node("Transpose", ["mixed"], ["back"], perm=[0, 1, 3, 2]),
        helper.make_node("Add", ["hidden", "back"], ["output"]),
    ]
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in ("input", "output")]
    initializers = [numpy_helper.from_array(value.detach().numpy().copy(), name) for name, value in weights.items()]
    graph = helper.make_graph(nodes, "small", values[:1], values[1:], initializers)
    file.parent.mkdir(parents=True, exist_ok=True)
    save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), file)


@pytest.fixture(autouse=True)
def empty_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))


@pytest.fixture
def noise():
    return np.random.default_rng(0).normal(scale=0.1, size=(2, 30_000)).astype(np.float32)


def run_torch(network):
    def run(spectrogram):
        with torch.no_grad():
            return network(torch.from_numpy(spectrogram)).numpy()

    return run


def test_onnxruntime_computes_what_the_network_computes(tmp_path, noise):
    networks = {stem: SmallNetwork(seed) for seed, stem in enumerate(STEMS) if stem != "bass"}
    for stem, network in networks.items():
        export(network, tmp_path / "mine" / f"{stem}.onnx")
    source = resolve(f"mdxnet:{tmp_path / 'mine'}")
    assert source.label == "KUIELab MDX-Net (mine, local folder)" and source.checkpoint.startswith("mine@")
    system = load(source)
    assert system.stems == ("vocals", "drums", "other") and system.sample_rate == 44100
    weights = sum(p.numel() for network in networks.values() for p in network.parameters())
    assert system.parameters == pytest.approx(weights, rel=0.01)
    estimates = system.separate(noise, 44_100)
    for stem, network in networks.items():
        direct = StemNetwork(run_torch(network), stem, BINS, FRAMES).separate(torch.from_numpy(noise)).numpy()
        np.testing.assert_allclose(estimates[stem], direct, rtol=0, atol=1e-5)
        assert np.abs(direct).max() > 0.01


def test_the_first_chunk_is_what_the_definition_says(noise):
    """Half a window of zeros, the STFT of a chunk, channels left re, left im, right re, right im, and back again."""
    network = SmallNetwork(0)
    stem = StemNetwork(run_torch(network), "other", BINS, FRAMES)
    n_fft, chunk = 4 * BINS, HOP * (FRAMES - 1)
    window = torch.hann_window(n_fft)
    padded = torch.cat([torch.zeros(2, n_fft // 2), torch.from_numpy(noise)], dim=1)[:, :chunk]
    left, right = torch.stft(padded, n_fft, HOP, window=window, return_complex=True)[:, :BINS]
    with torch.no_grad():
        made = network(torch.stack([left.real, left.imag, right.real, right.imag])[None])[0]
    spectrogram = torch.zeros(2, n_fft // 2 + 1, FRAMES, dtype=torch.complex64)
    spectrogram[0, :BINS] = torch.complex(made[0], made[1])
    spectrogram[1, :BINS] = torch.complex(made[2], made[3])
    expected = torch.istft(spectrogram, n_fft, HOP, window=window, length=chunk)[:, n_fft // 2 : -n_fft // 2]
    got = stem.separate(torch.from_numpy(noise))[:, : expected.shape[1]]
    torch.testing.assert_close(got, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("stem", STEMS)
@pytest.mark.parametrize("num_samples", [1, 7168, 30_000])
def test_an_identity_network_gives_back_what_lies_in_its_bins(stem, num_samples):
    """At the published sizes 2048 bins are 22, 14.7, 11 and 5.5 kHz; here a low tone lies in all."""
    time_s = np.arange(num_samples) / 44_100
    tone = np.stack([np.sin(2 * np.pi * 300 * time_s + 1), np.cos(2 * np.pi * 500 * time_s)]).astype(np.float32)
    network = StemNetwork(lambda spectrogram: spectrogram, stem, BINS, 2 * FRAMES)
    assert network.n_fft == FFT_PER_BIN[stem] * BINS
    estimate = network.separate(torch.from_numpy(tone)).numpy()
    assert estimate.shape == tone.shape
    if num_samples > 5000:
        inside = slice(500, -500)  # cut off at the ends, the tones have high frequencies too
        assert global_sdr(tone[:, inside], estimate[:, inside]) > 40


def test_published_sizes():
    sizes = {stem: StemNetwork(np.copy, stem, 2048, 256) for stem in STEMS}
    assert {stem: network.n_fft for stem, network in sizes.items()} == {
        "vocals": 6144,
        "drums": 4096,
        "bass": 16384,
        "other": 8192,
    }
    assert sizes["bass"].chunk_samples == 261_120
    for stem, num_bins, num_frames in (("bass", 2048, 16), ("drums", 512, 256)):
        with pytest.raises(
            ValueError, match=f"{stem}: a network of {num_bins} bins and {num_frames} frames is too small"
        ):
            StemNetwork(np.copy, stem, num_bins, num_frames)


def test_any_mixture_and_frames_left_open(tmp_path, noise):
    export(SmallNetwork(0), tmp_path / "vocals.onnx", shape=("batch", 4, BINS, "frames"))
    system = MdxNetSystem(str(tmp_path), "cpu")
    assert system._networks["vocals"].chunk_samples == HOP * 511
    for channels, num_samples, rate in ((2, 1, 44_100), (1, 3001, 44_100), (2, 3000, 48_000)):
        (estimate,) = system.separate(noise[:channels, :num_samples], rate).values()
        assert estimate.shape == (channels, num_samples) and np.isfinite(estimate).all()


def test_a_file_that_is_no_such_network_is_one_line(tmp_path):
    (tmp_path / "vocals.onnx").write_bytes(b"nothing")
    with pytest.raises(ValueError, match=r"vocals.onnx: expected a network, got none \("):
        load(resolve(f"mdxnet:{tmp_path}"))
    for shape in ((2, 4, BINS, FRAMES), ("batch", 4, "bins", FRAMES)):
        export(SmallNetwork(0), tmp_path / "vocals.onnx", shape)
        with pytest.raises(ValueError, match=r"vocals.onnx: expected a network that takes \[1, 4, bins, frames\], got"):
            load(resolve(f"mdxnet:{tmp_path}"))


def test_missing_networks_are_one_line(tmp_path):
    assert parse_systems("mdxnet")[1] == "mdxnet"
    for name in ("mdxnet", "mdxnet:onnx_A"):
        with pytest.raises(FileNotFoundError, match="has no weights on this machine: pass --download .* mdxnet:FOLDER"):
            resolve(name)
    with pytest.raises(FileNotFoundError, match=r"expected onnx_A, or a folder with STEM.onnx .* without any"):
        resolve(f"mdxnet:{tmp_path}")


def test_the_networks_that_saw_the_test_set_say_so(tmp_path):
    for folder in ("onnx_B", "mine"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "vocals.onnx").touch()
    assert "MUSDB18 test set: not comparable" in resolve(f"mdxnet:{tmp_path / 'onnx_B'}").note
    assert "test set" not in resolve(f"mdxnet:{tmp_path / 'mine'}").note


def test_official_networks_after_a_download(tmp_path, monkeypatch, noise):
    export(SmallNetwork(0), tmp_path / "small.onnx")
    with zipfile.ZipFile(tmp_path / "onnx_A.zip", "w") as archive:
        for stem in STEMS:
            archive.write(tmp_path / "small.onnx", f"onnx_A/{stem}.onnx")
    content = (tmp_path / "onnx_A.zip").read_bytes()
    fetched = []

    def fetch(url, file):
        fetched.append(url)
        Path(file).write_bytes(content)

    monkeypatch.setattr("torch.hub.download_url_to_file", fetch)
    with pytest.raises(OSError, match=r"mdxnet: the download failed \(expected a file with MD5"):
        resolve("mdxnet", download=True)
    monkeypatch.setattr(mdxnet_system, "OFFICIAL_MD5", mdxnet_system.hashlib.md5(content).hexdigest())
    source = resolve("mdxnet", download=True)
    assert fetched[-1] == "https://zenodo.org/records/5717356/files/onnx_A.zip"
    assert source.label == "KUIELab MDX-Net (onnx_A)" and resolve("mdxnet") == source and len(fetched) == 2
    assert not list(Path(source.location).glob("*.zip"))
    assert set(load(source).separate(noise, 44_100)) == set(STEMS)
