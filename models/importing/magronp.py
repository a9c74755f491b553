"""The layout of magronp/bsrnn: one network for each stem, or one for several."""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from models.importing.weights import LONGEST, Weights, grouped
from models.public.magronp import MagronpConfig, MagronpNetworkConfig

NAME = "magronp"
SEGMENT_S, OVERLAP = 12.0, 1 / 12
"""As in its own evaluation: chunks of 12 s, with cross-fades of 1 s."""
WINDOWS = ("stft.transf.window", "istft.transf.window")
LSTM_GATES = 4


def fits(weights: Weights) -> bool:
    """Whether the weights have this layout's names."""
    return "BN.0.1.weight" in weights.shapes


def read(weights: Weights, stems: tuple[str, ...] | None) -> tuple[MagronpNetworkConfig, dict[str, Tensor]]:
    """Read one network: its configuration, from names, shapes and hyper-parameters, and its weights under our names.

    Args:
        weights: of the network; this call replaces older names by the newer ones.
        stems: names of the stems, used if the file's hyper-parameters have none.

    Raises:
        ValueError: a weight is missing, unexpected or of another shape, or this kind of network is not supported.
    """
    weights.rename({name: f"maskers.0.{name}" for name in weights.shapes if name.startswith("mask.")})
    config = _config(weights, stems)
    weights.check(dict(expected_shapes(config)) | {name: (config.n_fft,) for name in WINDOWS if name in weights.shapes})
    return config, dict(_convert(weights, config))


def combine(networks: list[MagronpNetworkConfig]) -> MagronpConfig:
    """The configuration of a checkpoint of these networks."""
    return MagronpConfig(tuple(networks))


def _config(weights: Weights, stems: tuple[str, ...] | None) -> MagronpNetworkConfig:
    facts = weights.facts
    first = "separator.0."
    _check_supported(weights, facts)
    features = weights.shape("BN.0.1.weight")[0]
    inputs = [weights.shape(f"BN.{band}.1.weight")[1] for band in range(weights.count("BN.#.1.weight"))]
    n_fft = weights.shapes[WINDOWS[0]][0] if WINDOWS[0] in weights.shapes else _whole(facts, "n_fft", 2048)
    channels = _whole(facts, "nb_channels", 2)
    joint = sum(inputs) != n_fft + 2
    parts = 2 * (channels if joint else 1)  # real and imaginary part, of each channel
    if sum(inputs) != parts * (n_fft // 2 + 1) or any(number % parts for number in inputs):
        raise ValueError(
            f"{weights.path}: its bands take {sum(inputs)} numbers, expected {n_fft + 2} for an FFT of {n_fft} samples"
        )
    masks = weights.count("maskers.#.mask.0.1.weight")
    stems = _stems(weights, stems, masks)
    part = weights.shape(f"{first}time_net.norm.weight")[0]
    attention = weights.count(f"{first}attn_block.attn_conv_Q_#.0.weight")
    exchange = f"{first}tac_module.transform."
    has_exchange = f"{exchange}0.weight" in weights.shapes
    slope = "prelu" if f"{exchange}1.weight" in weights.shapes else "tanh"
    groups = facts.get("group_num", 1)
    return MagronpNetworkConfig(
        stems=stems,
        band_widths=tuple(number // parts for number in inputs),
        features=features,
        hidden=weights.shape(f"{first}time_net.main_layer.weight_hh_l0")[1],
        layers=weights.count("separator.#.time_net.norm.weight"),
        mask_hidden=weights.shape("maskers.0.mask.0.1.weight")[0],
        sample_rate=_whole(facts, "sample_rate", 44100),
        n_fft=n_fft,
        hop=_whole(facts, "n_hop", n_fft // 4),
        channels=channels,
        heads=max(1, features // max(1, part)),
        norm_groups=max(part // 16, 1) if groups is None else _whole(facts, "group_num", 1),
        attention_heads=attention,
        attention_features=weights.shape(f"{first}attn_block.attn_conv_Q_0.0.weight")[0] if attention else 0,
        exchange=slope if has_exchange else "none",
        exchange_hidden=weights.shape(f"{exchange}0.weight")[0] if has_exchange else 0,
        joint_channels=joint,
        last_is_rest=len(stems) == masks + 1,
        epsilon=_number(facts, "eps", 1e-7),
    )


def _check_supported(weights: Weights, facts: dict[str, Any]) -> None:
    recurrent = "separator.0.time_net.main_layer."
    if f"{recurrent}0.weight" in weights.shapes or "separator.0.time_net.norm.weight" not in weights.shapes:
        raise ValueError(f"{weights.path}: expected a network of LSTMs, got a convolutional one")
    gates, hidden = weights.shape(f"{recurrent}weight_hh_l0")
    if gates != LSTM_GATES * hidden or f"{recurrent}weight_hh_l0_reverse" not in weights.shapes:
        raise ValueError(f"{weights.path}: expected bidirectional LSTMs, got other recurrent layers")
    if facts.get("mask_ctxt") not in (None, 0):
        raise ValueError(f"{weights.path}: mask_ctxt is {facts['mask_ctxt']}; only 0 is supported")


def _stems(weights: Weights, stems: tuple[str, ...] | None, masks: int) -> tuple[str, ...]:
    """The hyper-parameter ``targets`` if the file has it, else the names given."""
    targets = weights.facts.get("targets")
    targets = [targets] if isinstance(targets, str) else targets
    if isinstance(targets, list) and targets and all(isinstance(it, str) and len(it) <= LONGEST for it in targets):
        stems = tuple(targets)
    if stems is None:
        raise ValueError(f"{weights.path}: it does not name its {masks} stems; name them with --stems A,B")
    if len(stems) not in (masks, masks + 1) or (len(stems) > masks and masks == 0):
        raise ValueError(
            f"{weights.path}: it has masks for {masks} stems, but {len(stems)} names: {', '.join(stems)[:100]}"
        )
    return stems


def _whole(facts: dict[str, Any], name: str, default: int) -> int:
    value = facts.get(name, default)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 < value < 10**9:
        raise ValueError(f"hyper-parameter {name}: expected a whole number, got {str(value)[:40]!r}")
    return value


def _number(facts: dict[str, Any], name: str, default: float) -> float:
    value = facts.get(name, default)
    if not isinstance(value, int | float) or not 0 < value < 1:
        raise ValueError(f"hyper-parameter {name}: expected a number between 0 and 1, got {str(value)[:40]!r}")
    return float(value)


def expected_shapes(config: MagronpNetworkConfig) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Names and shapes of the weights of a network in this layout, without the windows."""
    features, bands = config.features, len(config.band_widths)
    channels = config.channels if config.joint_channels else 1
    for band, width in enumerate(config.band_widths):
        inputs = 2 * width * channels
        yield from _affine(f"BN.{band}.0.", (inputs,))
        yield from _affine(f"BN.{band}.1.", (features, inputs, 1))
    part, hidden = features // config.heads, config.hidden
    for layer in range(config.layers):
        module = f"separator.{layer}."
        for net in ("time_net", "band_net"):
            yield from _affine(f"{module}{net}.norm.", (part,))
            for direction in ("", "_reverse"):
                yield f"{module}{net}.main_layer.weight_ih_l0{direction}", (LSTM_GATES * hidden, part)
                yield f"{module}{net}.main_layer.weight_hh_l0{direction}", (LSTM_GATES * hidden, hidden)
                yield f"{module}{net}.main_layer.bias_ih_l0{direction}", (LSTM_GATES * hidden,)
                yield f"{module}{net}.main_layer.bias_hh_l0{direction}", (LSTM_GATES * hidden,)
            yield from _affine(f"{module}{net}.proj.", (part, 2 * hidden))
        for name, _, outputs in _projections(config):
            yield from _affine(f"{module}attn_block.{name}.0.", (outputs, features, 1, 1))
            yield f"{module}attn_block.{name}.1.weight", (1,)
            yield f"{module}attn_block.{name}.2.gamma", (1, outputs, 1, bands)
            yield f"{module}attn_block.{name}.2.beta", (1, outputs, 1, bands)
        if config.exchange != "none":
            units = config.exchange_hidden
            shapes = {"transform": (units, features), "average": (units, units), "concat": (features, 2 * units)}
            for name, shape in shapes.items():
                yield from _affine(f"{module}tac_module.{name}.0.", shape)
                if config.exchange == "prelu":
                    yield f"{module}tac_module.{name}.1.weight", (1,)
    units = config.mask_hidden
    for mask in range(config.num_masks):
        for band, width in enumerate(config.band_widths):
            name = f"maskers.{mask}.mask.{band}."
            yield from _affine(f"{name}0.", (features,))
            yield from _affine(f"{name}1.", (units, features, 1))
            yield from _affine(f"{name}3.", (units, units, 1))
            yield from _affine(f"{name}5.", (4 * width * channels, units, 1))


def _affine(prefix: str, shape: tuple[int, ...]) -> Iterator[tuple[str, tuple[int, ...]]]:
    yield f"{prefix}weight", shape
    yield f"{prefix}bias", shape[:1]


def _projections(config: MagronpNetworkConfig) -> Iterator[tuple[str, str, int]]:
    """The attention's projections: their name, our name, features out."""
    if config.attention_heads:
        outputs = {"Q": config.attention_features, "K": config.attention_features}
        outputs["V"] = config.features // config.attention_heads
        for kind, ours in (("Q", "queries"), ("K", "keys"), ("V", "values")):
            for head in range(config.attention_heads):
                yield f"attn_conv_{kind}_{head}", ours, outputs[kind]
        yield "attn_concat_proj", "output", config.features


def _convert(weights: Weights, config: MagronpNetworkConfig) -> Iterator[tuple[str, Tensor]]:
    """The weights under our names."""
    for index, bands in enumerate(grouped(config.band_widths)):
        for kind in ("weight", "bias"):
            yield f"split.norms.{index}.{kind}", weights.stack(f"BN.{band}.0.{kind}" for band in bands)[:, None, None]
        yield f"split.linears.{index}.weight", weights.stack(f"BN.{band}.1.weight" for band in bands)[..., 0].mT
        yield f"split.linears.{index}.bias", weights.stack(f"BN.{band}.1.bias" for band in bands)[:, None]
    for layer in range(config.layers):
        module, ours = f"separator.{layer}.", f"sequence.{layer}."
        for theirs, axis in (("time_net", "over_time"), ("band_net", "over_bands")):
            for kind in ("weight", "bias"):
                yield f"{ours}{axis}.norm.{kind}", weights[f"{module}{theirs}.norm.{kind}"]
                yield f"{ours}{axis}.linear.{kind}", weights[f"{module}{theirs}.proj.{kind}"]
                for part in (f"{kind}_ih_l0", f"{kind}_hh_l0"):
                    for name in (part, f"{part}_reverse"):
                        yield f"{ours}{axis}.blstm.{name}", weights[f"{module}{theirs}.main_layer.{name}"]
        yield from _attention(weights, config, f"{module}attn_block.", f"{ours}attention.")
        if config.exchange != "none":
            yield from _exchange(weights, config, f"{module}tac_module.", f"{ours}exchange.")
    for mask in range(config.num_masks):
        yield from _mask(weights, config, f"maskers.{mask}.mask.", f"masks.{mask}.")


def _attention(weights: Weights, config: MagronpNetworkConfig, theirs: str, ours: str) -> Iterator[tuple[str, Tensor]]:
    places: dict[str, list[str]] = {}
    for name, place, _ in _projections(config):
        places.setdefault(place, []).append(f"{theirs}{name}")
    for place, names in places.items():
        yield f"{ours}{place}.linear.weight", torch.cat([weights[f"{name}.0.weight"][..., 0, 0] for name in names])
        yield f"{ours}{place}.linear.bias", torch.cat([weights[f"{name}.0.bias"] for name in names])
        yield f"{ours}{place}.slope", weights.stack(f"{name}.1.weight" for name in names)
        for kind, part in (("weight", "gamma"), ("bias", "beta")):
            values = weights.stack(f"{name}.2.{part}" for name in names)  # [heads, 1, E, 1, K]
            yield f"{ours}{place}.{kind}", values.transpose(2, 3)[:, 0]  # [heads, 1, E, K]


def _exchange(weights: Weights, config: MagronpNetworkConfig, theirs: str, ours: str) -> Iterator[tuple[str, Tensor]]:
    for name, place in (("transform", "transform"), ("average", "average"), ("concat", "concatenate")):
        for kind in ("weight", "bias"):
            yield f"{ours}{place}.{kind}", weights[f"{theirs}{name}.0.{kind}"]
    if config.exchange == "prelu":  # one slope under three names; their loader uses the last
        yield f"{ours}activation.weight", weights[f"{theirs}concat.1.weight"]


def _mask(weights: Weights, config: MagronpNetworkConfig, theirs: str, ours: str) -> Iterator[tuple[str, Tensor]]:
    every = range(len(config.band_widths))
    for kind in ("weight", "bias"):
        yield f"{ours}norm.{kind}", weights.stack(f"{theirs}{band}.0.{kind}" for band in every)[:, None, None]
    for number, place in ((1, "hidden"), (3, "deeper.0")):
        yield f"{ours}{place}.weight", weights.stack(f"{theirs}{band}.{number}.weight" for band in every)[..., 0].mT
        yield f"{ours}{place}.bias", weights.stack(f"{theirs}{band}.{number}.bias" for band in every)[:, None]
    for index, bands in enumerate(grouped(config.band_widths)):
        weight = weights.stack(f"{theirs}{band}.5.weight" for band in bands)[..., 0]  # [k, outputs, hidden]
        yield f"{ours}outputs.{index}.weight", _bins_first(weight, config).mT
        bias = weights.stack(f"{theirs}{band}.5.bias" for band in bands)  # [k, outputs]
        yield f"{ours}outputs.{index}.bias", _bins_first(bias, config)[:, None]


def _bins_first(outputs: Tensor, config: MagronpNetworkConfig) -> Tensor:
    """Reorder outputs: theirs is (channel, half of the GLU, part, bin), ours is (half, bin, channel, part)."""
    channels = config.channels if config.joint_channels else 1
    return outputs.unflatten(1, (channels, 2, 2, -1)).movedim((2, 4, 1, 3), (1, 2, 3, 4)).flatten(1, 4)
