"""Small random networks in the public layouts, and a plain version of each layer for comparison."""

import itertools
import math

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

N_FFT, HOP = 128, 32
WIDTHS = (3, 3, 5, 5, 8, 5, 36)
"""Bins of the bands, 65 in all; the widths 3 and 5 are repeated, one of them out of order."""
FRAMES = 7
FOUR = ("vocals", "bass", "drums", "other")

Keys = list[tuple[str, tuple[int, ...]]]


def draw(keys: Keys, seed: int) -> dict[str, Tensor]:
    """Weights from a seed, by the rule of ../shared/reference/parity/README.md."""
    rng = np.random.default_rng(seed)
    state = {}
    for name, shape in keys:
        if name.endswith("window"):
            state[name] = torch.hann_window(shape[0])
            continue
        values = rng.standard_normal(shape).astype(np.float32)
        if len(shape) == 1 or "norm" in name.lower() or "gamma" in name or "beta" in name:
            values = 0.1 * values + np.float32(name.endswith(("weight", "gamma")))
        else:
            values = values / np.sqrt(np.float32(math.prod(shape[1:])))
        state[name] = torch.from_numpy(values.astype(np.float32))
    return state


def mixture(num_samples: int, seed: int) -> Tensor:
    """A mixture [2, num_samples], as in ../shared/reference/parity/README.md."""
    rng, time_s = np.random.default_rng(seed), np.arange(num_samples) / 44100
    glide = 1 + 0.01 * np.sin(3 * time_s)
    tones = [(0.2, 110), (0.15, 440), (0.1, 1760), (0.05, 7040)]
    music = sum(level * np.sin(2 * np.pi * hz * time_s * glide) for level, hz in tones)
    left = music + 0.05 * rng.standard_normal(num_samples)
    right = 0.7 * music + 0.05 * rng.standard_normal(num_samples)
    return torch.from_numpy(np.stack([left, right]).astype(np.float32))


def affine(prefix: str, *shape: int) -> Keys:
    return [(f"{prefix}.weight", shape), (f"{prefix}.bias", shape[:1])]


def lstm(prefix: str, inputs: int, hidden: int) -> Keys:
    shapes = {"weight_ih": (4 * hidden, inputs), "weight_hh": (4 * hidden, hidden)}
    shapes |= {"bias_ih": (4 * hidden,), "bias_hh": (4 * hidden,)}
    return [(f"{prefix}.{name}_l0{way}", shape) for way in ("", "_reverse") for name, shape in shapes.items()]


def magronp_keys(
    targets=("vocals",), features=8, hidden=6, layers=2, heads=1, attention=2, queries=3, exchange="prelu", joint=False
) -> Keys:
    """Names and shapes of a network of magronp's; ``exchange`` is "prelu", "tanh" or ""."""
    channels, part = 2 if joint else 1, features // heads
    keys: Keys = [("stft.transf.window", (N_FFT,)), ("istft.transf.window", (N_FFT,))]
    for band, width in enumerate(WIDTHS):
        inputs = 2 * channels * width
        keys += affine(f"BN.{band}.0", inputs) + affine(f"BN.{band}.1", features, inputs, 1)
    for layer in range(layers):
        module = f"separator.{layer}"
        for net in ("time_net", "band_net"):
            keys += affine(f"{module}.{net}.norm", part) + lstm(f"{module}.{net}.main_layer", part, hidden)
            keys += affine(f"{module}.{net}.proj", part, 2 * hidden)
        projections = [(f"{kind}_{head}", queries) for head in range(attention) for kind in "QK"]
        projections += [(f"V_{head}", features // attention) for head in range(attention)]
        for name, outputs in [(f"attn_conv_{name}", outputs) for name, outputs in projections] + (
            [("attn_concat_proj", features)] if attention else []
        ):
            prefix = f"{module}.attn_block.{name}"
            keys += affine(f"{prefix}.0", outputs, features, 1, 1) + [(f"{prefix}.1.weight", (1,))]
            keys += [(f"{prefix}.2.{part}", (1, outputs, 1, len(WIDTHS))) for part in ("gamma", "beta")]
        if exchange:
            shapes = {"transform": (16, features), "average": (16, 16), "concat": (features, 32)}
            for name, shape in shapes.items():
                keys += affine(f"{module}.tac_module.{name}.0", *shape)
                keys += [(f"{module}.tac_module.{name}.1.weight", (1,))] if exchange == "prelu" else []
    for mask, (band, width) in itertools.product(range(len(targets)), enumerate(WIDTHS)):
        prefix = f"maskers.{mask}.mask.{band}"
        keys += affine(f"{prefix}.0", features) + affine(f"{prefix}.1", 12, features, 1)
        keys += affine(f"{prefix}.3", 12, 12, 1) + affine(f"{prefix}.5", 4 * channels * width, 12, 1)
    return keys


def amanteur_keys(features=8, hidden=6, layers=2, mask_hidden=10) -> Keys:
    """Names and shapes of a network of amanteur's or crlandsc's."""
    keys: Keys = []
    for band, width in enumerate(WIDTHS):
        keys += [(f"bandsplit.layernorms.{band}.{kind}", (4 * width, FRAMES)) for kind in ("weight", "bias")]
        keys += [(f"maskest.layernorms.{band}.{kind}", (FRAMES, features)) for kind in ("weight", "bias")]
        keys += affine(f"bandsplit.fcs.{band}", features, 4 * width)
        prefix = f"maskest.mlp.{band}.mlp"
        keys += affine(f"{prefix}.0", mask_hidden, features) + affine(f"{prefix}.2", 4 * width, mask_hidden)
        keys += affine(f"{prefix}.3.linear", 8 * width, 4 * width)
    for layer, axis in itertools.product(range(layers), (0, 1)):
        prefix = f"bandsequence.bsrnn.{layer}.{axis}"
        keys += affine(f"{prefix}.groupnorm", features) + lstm(f"{prefix}.rnn", features, hidden)
        keys += affine(f"{prefix}.fc", features, 2 * hidden)
    return keys


def spectrogram(waveform: Tensor) -> Tensor:
    """[B, C, T] to [B, C, F, L]."""
    window = torch.hann_window(N_FFT)
    return torch.stft(
        waveform.flatten(0, 1), N_FFT, HOP, window=window, pad_mode="reflect", return_complex=True
    ).unflatten(0, waveform.shape[:2])


def waveform(spectrogram: Tensor, length: int) -> Tensor:
    """[B, S, C, F, L] to [B, S, C, T]."""
    lead = spectrogram.shape[:-2]
    window = torch.hann_window(N_FFT)
    return torch.istft(spectrogram.flatten(0, -3), N_FFT, HOP, window=window, length=length).unflatten(0, lead)


def run_lstm(state: dict[str, Tensor], prefix: str, sequences: Tensor) -> Tensor:
    hidden = state[f"{prefix}weight_hh_l0"].shape[1]
    layer = nn.LSTM(sequences.shape[-1], hidden, batch_first=True, bidirectional=True)
    layer.load_state_dict({name: state[f"{prefix}{name}"] for name in layer.state_dict()})
    return layer(sequences)[0]


@torch.no_grad()
def magronp_estimate(state: dict[str, Tensor], mixtures: Tensor, groups: int = 1, rest: bool = False) -> Tensor:
    """Mixtures [B, C, T] to stems [B, S, C, T], as magronp's network does."""

    def of(name: str) -> Tensor:
        return state[name]

    def conv(name: str, features: Tensor) -> Tensor:
        return functional.conv1d(features, of(f"{name}.weight"), of(f"{name}.bias"))

    def norm(name: str, features: Tensor, groups: int = 1) -> Tensor:
        return functional.group_norm(features, groups, of(f"{name}.weight"), of(f"{name}.bias"), 1e-7)

    def project(name: str, bands: Tensor) -> Tensor:  # [B, N, L, K] to [B, E, L, K]
        out = functional.conv2d(bands, of(f"{name}.0.weight"), of(f"{name}.0.bias"))
        out = functional.prelu(out, of(f"{name}.1.weight"))
        mean, power = out.mean((1, 3), keepdim=True), out.var((1, 3), keepdim=True, unbiased=False)
        return (out - mean) / (power + 1e-7).sqrt() * of(f"{name}.2.gamma") + of(f"{name}.2.beta")

    batch, channels, length = mixtures.shape
    peak = mixtures.abs().amax((1, 2), keepdim=True)
    mixed = spectrogram(mixtures / peak)
    joint = of("BN.0.1.weight").shape[1] == 4 * WIDTHS[0]
    examples = mixed if joint else mixed.flatten(0, 1)[:, None]  # [B', C', F, L]
    parts = examples.split(WIDTHS, dim=2)
    bands = []
    for band, part in enumerate(parts):
        inputs = torch.stack([part.real, part.imag], dim=2).flatten(1, 3)  # channel, part, bin
        bands.append(conv(f"BN.{band}.1", norm(f"BN.{band}.0", inputs)))
    bands = torch.stack(bands, dim=1)  # [B', K, N, L]
    num_bands, features, num_frames = bands.shape[1:]
    for layer in range(sum(name.endswith("time_net.norm.weight") for name in state)):
        module = f"separator.{layer}"
        size = of(f"{module}.time_net.norm.weight").shape[0]
        heads = bands.unflatten(2, (features // size, size)).transpose(1, 2).flatten(0, 1)  # [B' * heads, K, n, L]
        for net, axis in (("time_net", 1), ("band_net", 3)):
            rows = heads.movedim(axis, 1).flatten(0, 1) if axis == 1 else heads.permute(0, 3, 2, 1).flatten(0, 1)
            normed = norm(f"{module}.{net}.norm", rows, groups).mT
            out = run_lstm(state, f"{module}.{net}.main_layer.", normed)
            rows = rows + functional.linear(out, of(f"{module}.{net}.proj.weight"), of(f"{module}.{net}.proj.bias")).mT
            rows = rows.unflatten(0, (len(heads), -1))
            heads = rows if axis == 1 else rows.permute(0, 3, 2, 1)
        bands = heads.unflatten(0, (len(bands), -1)).transpose(1, 2).flatten(2, 3)
        if f"{module}.tac_module.concat.0.weight" in state:
            slope = state.get(f"{module}.tac_module.concat.1.weight")  # their loader uses the last of three
            act = torch.tanh if slope is None else lambda x, slope=slope: functional.prelu(x, slope)

            def layer_of(name: str, x: Tensor, module=module, act=act) -> Tensor:
                prefix = f"{module}.tac_module.{name}.0"
                return act(functional.linear(x, of(f"{prefix}.weight"), of(f"{prefix}.bias")))

            each = bands.unflatten(0, (batch, -1)).permute(0, 2, 4, 1, 3)  # [B, K, L, C, N]
            own = layer_of("transform", each)
            shared = layer_of("average", own.mean(3)).unsqueeze(3).expand_as(own)
            each = each + layer_of("concat", torch.cat([own, shared], dim=-1))
            bands = each.permute(0, 3, 1, 4, 2).flatten(0, 1)
        count = sum(name.startswith(f"{module}.attn_block.attn_conv_Q") for name in state) // 5
        if count:
            block, image = f"{module}.attn_block", bands.permute(0, 2, 3, 1)  # [B', N, L, K]
            outs = []
            for head in range(count):
                query, key, value = (project(f"{block}.attn_conv_{kind}_{head}", image) for kind in "QKV")
                query, key = (each.transpose(1, 2).flatten(2) for each in (query, key))
                weights = (query @ key.mT / query.shape[-1] ** 0.5).softmax(-1)  # [B', L, L]
                outs.append(torch.einsum("blm,bemk->belk", weights, value))
            bands = (image + project(f"{block}.attn_concat_proj", torch.cat(outs, dim=1))).permute(0, 3, 1, 2)
    stems = []
    for mask in range(1 + max(int(name.split(".")[1]) for name in state if name.startswith("maskers."))):
        bins = []
        for band, part in enumerate(parts):
            name = f"maskers.{mask}.mask.{band}"
            out = conv(f"{name}.1", norm(f"{name}.0", bands[:, band])).tanh()
            out = conv(f"{name}.5", conv(f"{name}.3", out).tanh())
            out = out.unflatten(1, (part.shape[1], 2, 2, -1))  # channel, half, part, bin
            out = out[:, :, 0] * out[:, :, 1].sigmoid()
            bins.append(torch.complex(out[:, :, 0], out[:, :, 1]) * part)
        stems.append(torch.cat(bins, dim=2).reshape(batch, channels, *mixed.shape[2:]))
    if rest:
        stems.append(mixed - sum(stems))
    assert num_bands == len(WIDTHS) and num_frames == mixed.shape[-1]
    return waveform(torch.stack(stems, dim=1), length) * peak[:, None]


@torch.no_grad()
def amanteur_estimate(state: dict[str, Tensor], mixtures: Tensor, scrambled: bool) -> Tensor:
    """Mixtures [B, 2, T] to [B, 1, 2, T], as amanteur's network does, or crlandsc's (``scrambled``)."""

    def linear(name: str, features: Tensor) -> Tensor:
        return functional.linear(features, state[f"{name}.weight"], state[f"{name}.bias"])

    def layer_norm(name: str, features: Tensor) -> Tensor:
        return functional.layer_norm(features, features.shape[1:], state[f"{name}.weight"], state[f"{name}.bias"])

    mixed = spectrogram(mixtures)
    mean = mixed.mean((1, 2, 3), keepdim=True)
    deviation = mixed.std((1, 2, 3), keepdim=True)
    standard = (mixed - mean) / (deviation + 1e-5)
    bands = []
    for band, part in enumerate(standard.split(WIDTHS, dim=2)):
        inputs = torch.view_as_real(part).permute(0, 1, 4, 2, 3).flatten(1, 3)  # channel, part, bin
        bands.append(linear(f"bandsplit.fcs.{band}", layer_norm(f"bandsplit.layernorms.{band}", inputs).mT))
    bands = torch.stack(bands, dim=1)  # [B, K, L, N]
    for layer, axis in itertools.product(range(sum("0.fc.weight" in name for name in state)), (0, 1)):
        prefix = f"bandsequence.bsrnn.{layer}.{axis}"
        rows = bands.flatten(0, 1)
        weight, bias = state[f"{prefix}.groupnorm.weight"], state[f"{prefix}.groupnorm.bias"]
        normed = functional.group_norm(rows.mT, rows.shape[-1], weight, bias).mT
        bands = (rows + linear(f"{prefix}.fc", run_lstm(state, f"{prefix}.rnn.", normed))).unflatten(0, bands.shape[:2])
        bands = bands.transpose(1, 2).contiguous()
    masks = []
    for band, width in enumerate(WIDTHS):
        name = f"maskest.mlp.{band}.mlp"
        out = linear(f"{name}.0", layer_norm(f"maskest.layernorms.{band}", bands[:, band])).tanh()
        out = functional.glu(linear(f"{name}.3.linear", linear(f"{name}.2", out)), dim=-1)  # [B, L, 4 * width]
        out = out if scrambled else out.mT
        masks.append(out.reshape(len(out), 2, 2, width, -1))
    mask = torch.cat(masks, dim=3)
    estimate = torch.complex(mask[:, :, 0], mask[:, :, 1]) * standard * deviation + mean
    return waveform(estimate[:, None], mixtures.shape[-1])
