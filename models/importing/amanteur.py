"""The layout of amanteur/BandSplitRNN-PyTorch and of crlandsc's copy of it: one network for each stem."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from models.importing.weights import Weights, grouped
from models.presets.settings import read_yaml
from models.public.amanteur import AmanteurConfig, AmanteurNetworkConfig

NAME = "amanteur"
OVERLAP = 0.5
"""Chunks begin every 1.5 s, as the paper recommends; theirs begin every 0.5 s."""
NOT_NETWORK = ("featurizer.", "inverse_featurizer.", "augmentations.")
"""Prefixes of the entries of a Lightning checkpoint that are not part of the network."""
LSTM_GATES = 4
PARTS = 4
"""Real and imaginary part of two channels."""


def fits(weights: Weights) -> bool:
    """Whether the weights have this layout's names, with or without Lightning's prefix."""
    return any(name.removeprefix("model.") == "bandsplit.layernorms.0.weight" for name in weights.shapes)


def read(
    weights: Weights, stems: tuple[str, ...] | None, bins_first: bool = True
) -> tuple[AmanteurNetworkConfig, dict[str, Tensor]]:
    """Read one network: its configuration, from names, shapes and `hparams.yaml`, and its weights under our names.

    Args:
        weights: of the network; this call removes Lightning's prefix from their names.
        stems: the name of the stem.
        bins_first: whether to put the mask's outputs into our order; crlandsc's outputs keep theirs.

    Raises:
        ValueError: a weight is missing, unexpected or of another shape, or this kind of network is not supported.
    """
    weights.strip_prefix(NOT_NETWORK)
    config = _config(weights, stems)
    weights.check(dict(expected_shapes(config)))
    return config, dict(_convert(weights, config, bins_first))


def combine(networks: list[AmanteurNetworkConfig]) -> AmanteurConfig:
    """The configuration of a checkpoint of these networks."""
    return AmanteurConfig(tuple(networks))


def _config(weights: Weights, stems: tuple[str, ...] | None) -> AmanteurNetworkConfig:
    settings = _settings(weights.path)
    recurrent = "bandsequence.bsrnn.0.0.rnn."
    if f"{recurrent}weight_hh_l0" not in weights.shapes:
        raise ValueError(f"{weights.path}: expected a bottleneck of BLSTMs, but {recurrent}* is missing")
    gates, hidden = weights.shape(f"{recurrent}weight_hh_l0")
    if gates != LSTM_GATES * hidden or f"{recurrent}weight_hh_l0_reverse" not in weights.shapes:
        raise ValueError(f"{weights.path}: expected bidirectional LSTMs, got other recurrent layers")
    for name, wanted in {"return_mask": False, "complex_as_channel": True, "is_mono": False}.items():
        if settings.get(name, wanted) is not wanted:
            raise ValueError(f"{weights.path}: hparams.yaml has {name}: {settings[name]}; only {wanted} is supported")
    inputs = [
        weights.shape(f"bandsplit.layernorms.{band}.weight") for band in range(weights.count("bandsplit.layernorms.#."))
    ]
    bins, rest = divmod(sum(shape[0] for shape in inputs), PARTS)
    if rest or any(shape[0] % PARTS for shape in inputs) or bins % 2 == 0:
        raise ValueError(
            f"{weights.path}: expected bands of a stereo spectrogram, got {PARTS * bins + rest} values in all"
        )
    if stems is None or len(stems) != 1:
        raise ValueError(f"{weights.path}: the stem is unknown; name the file or its folder vocals, or give --stems")
    n_fft = 2 * (bins - 1)
    return AmanteurNetworkConfig(
        stems=stems,
        band_widths=tuple(shape[0] // PARTS for shape in inputs),
        frames=inputs[0][-1],
        features=weights.shape("bandsplit.fcs.0.weight")[0],
        hidden=hidden,
        layers=weights.count("bandsequence.bsrnn.#.0.groupnorm.weight"),
        mask_hidden=weights.shape("maskest.mlp.0.mlp.0.weight")[0],
        sample_rate=settings.get("sr", 44100),
        n_fft=n_fft,
        hop=n_fft // 4,
    )


def _settings(path: Path) -> dict[str, Any]:
    """The block `model` of the `hparams.yaml` next to a file. Other blocks may be private and are not used."""
    hparams = path.parent / "hparams.yaml"
    block = read_yaml(hparams).get("model") if hparams.is_file() else None
    return block if isinstance(block, dict) else {}


def expected_shapes(config: AmanteurNetworkConfig) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Names and shapes of the weights of a network in this layout, without Lightning's prefix."""
    features, frames, hidden = config.features, config.frames, config.hidden
    for band, width in enumerate(config.band_widths):
        inputs = PARTS * width
        for kind in ("weight", "bias"):
            yield f"bandsplit.layernorms.{band}.{kind}", (inputs, frames)
            yield f"maskest.layernorms.{band}.{kind}", (frames, features)
        yield from _affine(f"bandsplit.fcs.{band}.", (features, inputs))
        yield from _affine(f"maskest.mlp.{band}.mlp.0.", (config.mask_hidden, features))
        yield from _affine(f"maskest.mlp.{band}.mlp.2.", (inputs, config.mask_hidden))
        yield from _affine(f"maskest.mlp.{band}.mlp.3.linear.", (2 * inputs, inputs))
    for layer in range(config.layers):
        for axis in (0, 1):
            module = f"bandsequence.bsrnn.{layer}.{axis}."
            yield from _affine(f"{module}groupnorm.", (features,))
            for direction in ("", "_reverse"):
                yield f"{module}rnn.weight_ih_l0{direction}", (LSTM_GATES * hidden, features)
                yield f"{module}rnn.weight_hh_l0{direction}", (LSTM_GATES * hidden, hidden)
                yield f"{module}rnn.bias_ih_l0{direction}", (LSTM_GATES * hidden,)
                yield f"{module}rnn.bias_hh_l0{direction}", (LSTM_GATES * hidden,)
            yield from _affine(f"{module}fc.", (features, 2 * hidden))


def _affine(prefix: str, shape: tuple[int, ...]) -> Iterator[tuple[str, tuple[int, ...]]]:
    yield f"{prefix}weight", shape
    yield f"{prefix}bias", shape[:1]


def _convert(weights: Weights, config: AmanteurNetworkConfig, bins_first: bool) -> Iterator[tuple[str, Tensor]]:
    """The weights under our names."""
    every = range(len(config.band_widths))
    for index, bands in enumerate(grouped(config.band_widths)):
        for kind in ("weight", "bias"):
            norms = weights.stack(f"bandsplit.layernorms.{band}.{kind}" for band in bands)  # [k, inputs, L]
            yield f"split.norms.{index}.{kind}", norms.mT[:, None]
        yield f"split.linears.{index}.weight", weights.stack(f"bandsplit.fcs.{band}.weight" for band in bands).mT
        yield f"split.linears.{index}.bias", weights.stack(f"bandsplit.fcs.{band}.bias" for band in bands)[:, None]
        outputs = [_output(weights, f"maskest.mlp.{band}.mlp.", bins_first) for band in bands]
        yield f"mask.outputs.{index}.weight", torch.stack([weight for weight, _ in outputs]).mT
        yield f"mask.outputs.{index}.bias", torch.stack([bias for _, bias in outputs])[:, None]
    for layer in range(config.layers):
        for number, axis in ((0, "over_time"), (1, "over_bands")):
            module, ours = f"bandsequence.bsrnn.{layer}.{number}.", f"sequence.{layer}.{axis}."
            for kind in ("weight", "bias"):
                yield f"{ours}norm.{kind}", weights[f"{module}groupnorm.{kind}"]
                yield f"{ours}linear.{kind}", weights[f"{module}fc.{kind}"]
                for part in (f"{kind}_ih_l0", f"{kind}_hh_l0"):
                    for name in (part, f"{part}_reverse"):
                        yield f"{ours}blstm.{name}", weights[f"{module}rnn.{name}"]
    for kind in ("weight", "bias"):
        yield f"mask.norm.{kind}", weights.stack(f"maskest.layernorms.{band}.{kind}" for band in every)[:, None]
    yield "mask.hidden.weight", weights.stack(f"maskest.mlp.{band}.mlp.0.weight" for band in every).mT
    yield "mask.hidden.bias", weights.stack(f"maskest.mlp.{band}.mlp.0.bias" for band in every)[:, None]


def _output(weights: Weights, name: str, bins_first: bool) -> tuple[Tensor, Tensor]:
    """The mask's last two layers as one: weight [2 * outputs, hidden] and bias. No activation lies between them."""
    inner, outer = weights[f"{name}2.weight"].double(), weights[f"{name}3.linear.weight"].double()
    weight = outer @ inner
    bias = outer @ weights[f"{name}2.bias"].double() + weights[f"{name}3.linear.bias"].double()
    if bins_first:  # (half of the GLU, channel, part, bin) to (half, bin, channel, part)
        weight = weight.unflatten(0, (2, 2, 2, -1)).movedim(3, 1).flatten(0, 3)
        bias = bias.unflatten(0, (2, 2, 2, -1)).movedim(3, 1).flatten()
    return weight.float(), bias.float()
