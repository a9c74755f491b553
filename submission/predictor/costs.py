"""Measures, on noise, how long each network takes for a second of audio on this machine."""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from models.separation.separator import NetworkSeparator

WARM_UP_S = 1.0
WARM_UP_RUNS = 3
WARM_UP_LIMIT_S = 0.5
MEASURING_LIMIT_S = 60.0
"""The class must be built in 300 s. On a busy machine a first run takes seconds, so it must not be the only one."""


def measure_costs(
    networks: Mapping[str, NetworkSeparator], channels: int, sample_rate: int, clock: Callable[[], float]
) -> dict[tuple[str, str], float]:
    """Seconds of work for a second of audio, by (network, precision); a precision that fails here is left out.

    Args:
        networks: by name.
        channels: of the networks.
        sample_rate: of the networks, Hz.
        clock: seconds, from any zero.
    """
    generator = torch.Generator().manual_seed(0)
    noise = 0.1 * torch.randn(1, channels, round(WARM_UP_S * sample_rate), generator=generator)
    costs = {}
    begun = clock()
    for precision in ("float32", "half"):
        for name, network in networks.items():
            if precision == "half" and clock() - begun > MEASURING_LIMIT_S:
                continue  # too slow: half precision is not measured
            try:
                times, is_usable = _time(network, noise, precision, begun, clock)
            except RuntimeError:
                if precision == "float32":
                    raise
                continue
            if is_usable or precision == "float32":
                costs[name, precision] = min(times) / WARM_UP_S
    return costs


def separate_in(precision: str, network: NetworkSeparator, chunks: Tensor) -> Tensor:
    """Chunks [B, C, t] to stems [B, S, C, t], float32.

    Args:
        precision: "float32", or "half": float16 on a GPU, bfloat16 on a CPU.
        network: the network.
        chunks: on the CPU.
    """
    if precision == "float32":
        return network.separate_chunks(chunks)
    dtype = torch.float16 if network.device.type == "cuda" else torch.bfloat16
    with torch.autocast(network.device.type, dtype):
        return network.separate_chunks(chunks)


def _time(
    network: NetworkSeparator, noise: Tensor, precision: str, begun: float, clock: Callable[[], float]
) -> tuple[list[float], bool]:
    """Seconds of each run on the noise (the first includes set-up), and whether the result was finite."""
    times: list[float] = []
    is_usable = True
    while len(times) < WARM_UP_RUNS and is_usable:
        start = clock()
        is_usable = bool(separate_in(precision, network, noise).isfinite().all())
        end = clock()
        times.append(end - start)
        if sum(times) > WARM_UP_LIMIT_S and (len(times) > 1 or end - begun > MEASURING_LIMIT_S):
            break
    return times, is_usable
