"""Small networks of all supported MSST architectures, in folders like those of a user."""

from pathlib import Path

import torch
import yaml
from torch import nn

from benchmark.systems.msst import build_network
from benchmark.systems.msst_config import read_config

CHUNK = 63 * 128
INSTRUMENTS = ["drums", "vocals", "bass", "other"]
ROFORMER = {
    "dim": 8,
    "depth": 1,
    "stereo": True,
    "num_stems": 4,
    "time_transformer_depth": 1,
    "freq_transformer_depth": 1,
    "dim_head": 4,
    "heads": 2,
    "stft_n_fft": 512,
    "stft_hop_length": 128,
    "stft_win_length": 512,
    "mask_estimator_depth": 2,
    "mlp_expansion_factor": 1,
}
BS_ROFORMER = ROFORMER | {"freqs_per_bands": [16] * 15 + [17]}
MEL_BAND_ROFORMER = ROFORMER | {"num_bands": 12, "sample_rate": 44100}
BANDIT = {
    "stems": INSTRUMENTS,
    "n_bands": 16,
    "n_sqm_modules": 1,
    "emb_dim": 8,
    "rnn_dim": 8,
    "rnn_type": "GRU",
    "mlp_dim": 8,
    "n_fft": 2048,
    "win_length": 2048,
    "hop_length": 512,
    "window_fn": "hann_window",
    "hidden_activation": "Tanh",
}


def conformer(settings):
    return {name.replace("transformer", "conformer"): value for name, value in settings.items()}


NETWORKS = {
    "bs_roformer": BS_ROFORMER,
    "bs_conformer": conformer(BS_ROFORMER),
    "mel_band_roformer": MEL_BAND_ROFORMER,
    "mel_band_conformer": conformer(MEL_BAND_ROFORMER),
    "scnet": {
        "sources": INSTRUMENTS,
        "dims": [4, 8, 8],
        "nfft": 512,
        "hop_size": 128,
        "win_size": 512,
        "band_SR": [0.175, 0.392, 0.433],
        "band_stride": [1, 4, 16],
        "band_kernel": [3, 4, 16],
        "conv_depths": [1, 1, 1],
        "num_dplayer": 2,
    },
    "mdx23c": {
        "act": "gelu",
        "bottleneck_factor": 4,
        "growth": 4,
        "norm": "InstanceNorm",
        "num_blocks_per_scale": 1,
        "num_channels": 4,
        "num_scales": 2,
        "num_subbands": 4,
        "scale": [2, 2],
    },
    "bandit": BANDIT | {"in_channel": 1, "band_specs": "musical"},
    "bandit_v2": BANDIT | {"in_channels": 1, "band_type": "musical"},
}


def description(kind="bs_roformer", instruments=INSTRUMENTS, target=None, model=None, **inference):
    """A config.yaml of MSST for a small network of a kind."""
    return {
        "audio": {
            "chunk_size": CHUNK,
            "num_channels": 2,
            "sample_rate": 44100,
            "dim_f": 256,
            "hop_length": 128,
            "n_fft": 512,
        },
        "kwargs" if kind == "bandit_v2" else "model": NETWORKS[kind] | (model or {}),
        "training": {"instruments": instruments, "target_instrument": target},
        "inference": {"batch_size": 2, "num_overlap": 2, **inference},
    }


def write_folder(folder: Path, values=None, save=torch.save, name="model.ckpt") -> nn.Module:
    """Write a folder with a config.yaml and random weights of the network of pymss-core; returns the network."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "config.yaml"
    file.write_text(yaml.safe_dump(values or description()))
    torch.manual_seed(0)
    network = build_network(read_config(file), file).eval()
    save(network.state_dict(), folder / name)
    return network
