"""Networks of MSST as pymss-core builds and saves them: separation at unity gain, and no code in the files is run."""

import importlib.util
import json
import pickle
from dataclasses import replace

import numpy as np
import pandas
import pytest
import torch
import yaml
from safetensors.torch import save_file
from torch import nn

from benchmark import __main__ as command
from benchmark.runs.pair import measure_pair, prepare
from benchmark.runs.result_key import differences, result_key
from benchmark.systems.catalog import load, parse_systems, resolve
from benchmark.systems.msst import MsstSystem
from benchmark.systems.msst_config import LABELS, read_config
from benchmark_fakes import ORIGIN, SETTINGS, MeasuringHere, make_pair
from conftest import synthetic_stems, write_track
from models.running.repository import ROOT
from models.tracks import STEMS, open_tracks
from msst_folders import CHUNK, INSTRUMENTS, description, write_folder

pytestmark = pytest.mark.usefixtures("short_filters", "short_warm_up")


@pytest.fixture
def root(tmp_path):
    """A data set of one track of a second."""
    write_track(tmp_path / "musdb18hq" / "test" / "song", synthetic_stems(seed=0, duration_s=1.0))
    return tmp_path / "musdb18hq"


@pytest.fixture
def noise():
    return np.random.default_rng(0).normal(scale=0.1, size=(2, 3 * CHUNK)).astype(np.float32)


@pytest.mark.parametrize("kind", LABELS)
@pytest.mark.filterwarnings("ignore:A window was not provided")
def test_one_chunk_is_what_the_network_makes_of_it(kind, tmp_path, noise):
    network = write_folder(tmp_path / "mine", description(kind, num_overlap=1))
    source = resolve(f"msst:{tmp_path / 'mine'}")
    assert source.label == f"{LABELS[kind]} (mine, local folder) [training data unknown]" and source.role == "peer"
    system = load(source)
    assert system.stems == STEMS and system.sample_rate == 44100
    assert system.parameters == sum(parameter.numel() for parameter in network.parameters())
    chunk = noise[:, :CHUNK]
    estimates = system.separate(chunk, 44_100)
    if kind.startswith("bandit"):  # MSST's STFT, which torchaudio normalises by the energy of the window
        for transform in (network.stft, network.istft):
            transform.window *= (2048 / (0.375 * 2048)) ** 0.5
    with torch.no_grad():
        if kind == "bandit":  # each channel by itself
            direct = torch.cat([network(torch.from_numpy(chunk[None, [channel]])) for channel in (0, 1)], dim=2)[0]
        else:
            direct = network(torch.from_numpy(chunk[None]))[0]
    for stem, expected in zip(INSTRUMENTS, direct.numpy(), strict=True):
        np.testing.assert_allclose(estimates[stem], expected, rtol=0, atol=1e-5)
        assert np.abs(expected).max() > 1e-3


def test_what_a_configuration_leaves_open_is_as_in_msst(tmp_path):
    """pymss-core alone leaves the lowest bin, and builds one layer less."""
    assert write_folder(tmp_path / "open").zero_dc
    assert not write_folder(tmp_path / "off", description(model={"zero_dc": False})).zero_dc
    mel = write_folder(tmp_path / "mel", description("mel_band_roformer"))
    layers = {name for name in mel.state_dict() if name.startswith("mask_estimators.0.to_freqs.0.0.")}
    assert {name.split(".")[5] for name in layers} == {"0", "2", "4"}  # of depth 2, as in published checkpoints


@pytest.mark.parametrize("kind", ["bandit", "bandit_v2"])
def test_the_stft_of_bandit_is_that_of_torchaudio_as_in_msst(kind, tmp_path, noise):
    from torchaudio.transforms import Spectrogram

    write_folder(tmp_path / kind, description(kind))
    network = load(resolve(f"msst:{tmp_path / kind}"))._network
    audio = torch.from_numpy(noise)
    expected = Spectrogram(2048, hop_length=512, power=None, normalized=True, pad_mode="constant")(audio)
    torch.testing.assert_close(network.stft(audio), expected, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(network.istft(expected, audio.shape[-1]), audio, rtol=0, atol=1e-5)


class Identity(nn.Module):
    """Every stem is the mixture; keeps the shapes of what it got."""

    def __init__(self, num_stems):
        super().__init__()
        self.num_stems, self.shapes = num_stems, []

    def forward(self, chunks):
        self.shapes.append(tuple(chunks.shape))
        return chunks[:, None].expand(-1, self.num_stems, -1, -1) if self.num_stems > 1 else chunks


def identity_system(tmp_path, **changes):
    file = tmp_path / "config.yaml"
    file.write_text(yaml.safe_dump(description()))
    config = replace(read_config(file), chunk_samples=1000, **changes)
    return MsstSystem(Identity(len(config.stems)), config, "cpu")


@pytest.mark.parametrize("num_samples", [1, 400, 999, 1000, 1001, 2600, 24_000])
@pytest.mark.parametrize("num_overlap", [1, 2, 7])
@pytest.mark.parametrize("normalize", [False, True])
def test_an_identity_network_gives_back_the_mixture(num_samples, num_overlap, normalize, tmp_path, noise):
    system = identity_system(tmp_path, num_overlap=num_overlap, normalize=normalize)
    mixture = noise[:, :num_samples] + np.float32(0.25)
    for estimate in system.separate(mixture, 44_100).values():
        np.testing.assert_allclose(estimate, mixture, rtol=0, atol=1e-6)
    assert {shape[1:] for shape in system._network.shapes} == {(2, 1000)}  # no other length
    assert max(shape[0] for shape in system._network.shapes) <= 2


def test_mono_other_rates_and_a_single_stem(tmp_path, noise):
    system = identity_system(tmp_path, stems=("vocals",), scored={"vocals": ("vocals",)})
    mono = noise[:1, :5000]
    np.testing.assert_allclose(system.separate(mono, 44_100)["vocals"], mono, rtol=0, atol=1e-6)
    assert system.separate(noise[:, :4800], 48_000)["vocals"].shape == (2, 4800)


def test_normalisation_is_that_of_the_whole_mixture(tmp_path, noise):
    system = identity_system(tmp_path, normalize=True)
    inputs_seen = []
    system._network.register_forward_pre_hook(lambda module, inputs: inputs_seen.append(inputs[0]))
    system.separate(noise[:, :600] * 3 + 1, 44_100)
    mono = inputs_seen[0][0, :, :600].mean(0)
    assert abs(float(mono.mean())) < 1e-5 and float(mono.std(correction=0)) == pytest.approx(1, abs=1e-5)
    silent = system.separate(np.zeros((2, 600), np.float32), 44_100)
    assert all((estimate == 0).all() for estimate in silent.values())


@pytest.mark.parametrize("kind", ["bs_roformer", "mel_band_roformer", "scnet", "mdx23c"])
def test_a_track_is_measured(kind, root, tmp_path):
    write_folder(tmp_path / kind, description(kind))
    source = resolve(f"msst:{tmp_path / kind}")
    (track, *_) = open_tracks(root, "test")
    measure_pair(*prepare(source, SETTINGS), make_pair(source, track), tmp_path / "out", SETTINGS, ORIGIN)
    (file,) = (tmp_path / "out").glob("tracks/*/*/*.json")
    result = json.loads(file.read_text())
    assert result["row"]["note"] == "trained on unknown" and result["key"]["packages"]["pymss_core"] == "0.1.14"
    assert set(result["scores"]["stems"]) == {*STEMS, "accompaniment"}
    assert np.isfinite(list(result["scores"]["sdr"].values())).all()


def test_the_command(root, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("benchmark.runs.serial.MeasuringProcess", MeasuringHere)
    two = description(instruments=["vocals", "other"], model={"num_stems": 2})
    write_folder(tmp_path / "two", two)
    name = f"msst:{tmp_path / 'two'}"
    arguments = ["run", "--data", str(root), "--systems", name, "--out", str(tmp_path / "out"), "--threads", "1"]
    assert command.main([*arguments, "--keep-estimates", "none"]) == 0
    assert "BS-RoFormer (two, local folder) [training data unknown]" in capsys.readouterr().out
    scores = pandas.read_csv(tmp_path / "out" / "scores.csv").query("system == @name and metric == 'sdr'")
    assert set(scores.stem) == {"vocals", "accompaniment"} and np.isfinite(scores.value).all()


def test_more_than_the_four_stems_count_as_other_and_the_row_says_so(tmp_path, noise):
    write_folder(tmp_path / "six", description(instruments=[*INSTRUMENTS, "Guitar", "piano"], model={"num_stems": 6}))
    source = resolve(f"msst:{tmp_path / 'six'}")
    assert source.note.endswith("; guitar, piano counted as other")
    system = load(source)
    outputs = system._separate_chunks(torch.from_numpy(noise[None, :, :CHUNK]))[0]
    system._config = replace(system._config, num_overlap=1)
    np.testing.assert_allclose(system.separate(noise[:, :CHUNK])["other"], outputs[3:].sum(0), rtol=0, atol=1e-5)
    write_folder(tmp_path / "three", description(instruments=["vocals", "bass", "piano"], model={"num_stems": 3}))
    assert resolve(f"msst:{tmp_path / 'three'}").note.endswith("; piano not scored")


@pytest.mark.parametrize(
    ("text", "flag"),
    [
        ("unknown", "training data unknown"),
        ("MUSDB18-HQ train", ""),
        ("97 tracks, from MUSDB18-HQ", ""),
        ("MUSDB18-HQ, MoisesDB", "extra data"),
        ("MUSDB18-HQ and 800 songs", "extra data"),
        ("MUSDB18-HQ train and test", "trained on the test set"),
    ],
)
def test_the_user_names_the_training_data(text, flag, tmp_path):
    write_folder(tmp_path / "mine")
    (tmp_path / "mine" / "bandsplit.yaml").write_text(f"training_data: {text}\n")
    source = resolve(f"msst:{tmp_path / 'mine'}")
    assert source.flag == flag and source.note.endswith(f"trained on {text}")


def test_weights_and_configuration_are_part_of_a_result(root, tmp_path):
    folder = tmp_path / "mine"
    write_folder(folder)
    (track, *_) = open_tracks(root, "test")

    def key():
        return result_key(resolve(f"msst:{folder}"), track, SETTINGS)

    first = key()
    assert first == key() and first["packages"]["pymss_core"] == "0.1.14"
    weights = torch.load(folder / "model.ckpt", weights_only=True)
    torch.save({name: tensor + 1 for name, tensor in weights.items()}, folder / "model.ckpt")
    second = key()
    (folder / "config.yaml").write_text((folder / "config.yaml").read_text() + "# changed\n")
    third = key()
    (folder / "bandsplit.yaml").write_text("training_data: MUSDB18-HQ\n")
    keys = [first, second, third, key()]
    assert len({each["digest"] for each in keys}) == 4
    assert all(differences(before, now) == ["the system's files"] for before, now in zip(keys, keys[1:], strict=False))


@pytest.mark.parametrize(
    ("save", "name"),
    [
        (lambda state, file: torch.save({"state_dict": state, "epoch": 3, "optimizer": {"lr": [0.1]}}, file), "a.ckpt"),
        (lambda state, file: torch.save({"model_state_dict": state}, file), "a.pt"),
        (lambda state, file: torch.save({"state": state}, file), "a.th"),
        (lambda state, file: save_file({k: v.contiguous().clone() for k, v in state.items()}, file), "a.safetensors"),
    ],
)
def test_every_form_of_checkpoint(save, name, tmp_path, noise):
    write_folder(tmp_path / "plain")
    write_folder(tmp_path / "mine", save=save, name=name)
    plain, mine = (load(resolve(f"msst:{tmp_path / folder}")).separate(noise)["bass"] for folder in ("plain", "mine"))
    np.testing.assert_array_equal(plain, mine)


class Malicious:
    """Writes a file when it is unpickled."""

    def __init__(self, file):
        self.file = file

    def __reduce__(self):
        return open, (str(self.file), "w")


@pytest.mark.parametrize("write", [torch.save, lambda held, file: file.write_bytes(pickle.dumps(held))])
def test_a_malicious_checkpoint_is_refused_and_not_run(write, tmp_path):
    folder, trace = tmp_path / "mine", tmp_path / "trace"
    write_folder(folder)
    write({"state_dict": Malicious(trace)}, folder / "model.ckpt")
    with pytest.raises(ValueError, match=r"model.ckpt: expected a file of weights only, got another \("):
        load(resolve(f"msst:{folder}"))
    assert not trace.exists()


def test_what_does_not_fit_together_is_one_line(tmp_path, noise):
    folder = tmp_path / "mine"
    write_folder(folder)
    file = folder / "config.yaml"
    file.write_text(yaml.safe_dump(description(model={"dim": 16})))
    with pytest.raises(
        ValueError, match="model.ckpt: expected weights of the BS-RoFormer in config.yaml, got others"
    ) as error:
        load(resolve(f"msst:{folder}"))
    assert "\n" not in str(error.value)
    file.write_text(yaml.safe_dump(description(model={"freqs_per_bands": [3, 4]})))
    with pytest.raises(
        ValueError, match="pymss-core cannot build this BS-RoFormer .AssertionError: the number of freq"
    ):
        load(resolve(f"msst:{folder}"))
    file.write_text(yaml.safe_dump(description(instruments=["vocals", "drums"])))
    system = load(resolve(f"msst:{folder}"))
    with pytest.raises(ValueError, match=r"expected an output \[1, 2, 2, 8064\].*, got \[1, 4, 2, 8064\]"):
        system.separate(noise[:, :100])


def test_wrong_folders_are_one_line(tmp_path, capsys):
    folder = tmp_path / "mine"
    write_folder(folder)
    assert parse_systems(f"msst:{folder}")[1] == f"msst:{folder}"

    def refused(name, message):
        assert command.main(["run", "--systems", name, "--out", str(tmp_path / "out")]) == 2
        error = capsys.readouterr().err
        assert error.startswith("benchmark: msst") and message in error and error.count("\n") == 1

    refused("msst", "expected msst:FOLDER, a folder with a config.yaml and one checkpoint")
    refused(f"msst:{tmp_path / 'nothing'}", "expected one config.yaml of MSST and one checkpoint (.ckpt, .pth")
    (folder / "second.pth").touch()
    refused(f"msst:{folder}", "got config.yaml, model.ckpt, second.pth")
    (folder / "second.pth").unlink()
    (folder / "config.yaml").rename(tmp_path / "moved")
    refused(f"msst:{folder}", "got model.ckpt")
    (tmp_path / "moved").rename(folder / "config.yaml")
    (folder / "bandsplit.yaml").write_text("trained_on: MUSDB18\n")
    with pytest.raises(ValueError, match="bandsplit.yaml: expected one line, training_data: NAME, NAME"):
        resolve(f"msst:{folder}")


def test_without_the_package_a_line_says_how_to_install_it(tmp_path, monkeypatch, capsys):
    found = importlib.util.find_spec
    monkeypatch.setattr("importlib.util.find_spec", lambda name, *rest: None if "pymss" in name else found(name, *rest))
    assert command.main(["run", "--systems", f"msst:{tmp_path}", "--out", str(tmp_path / "out")]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and error.endswith("pip install --no-deps -r requirements-peers.txt\n")
    ours, dev = ((ROOT / f"requirements-{name}.txt").read_text() for name in ("peers", "dev"))
    assert (pin := ours.splitlines()[-1]).startswith("pymss-core==") and pin in dev.splitlines()
