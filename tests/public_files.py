"""Writes weight files of public codebases with small random networks, and runs what is imported from them."""

from pathlib import Path

import torch

import public_layouts as layouts
from models import load_separator
from models.__main__ import main

FACTS = {"n_hop": layouts.HOP, "n_fft": layouts.N_FFT, "eps": 1e-7, "group_num": 1}


def magronp_file(path: Path, seed: int = 0, facts: dict | None = None, change=lambda state: state, **options) -> Path:
    """A Lightning checkpoint as magronp's code writes it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    options = {"layers": 1, "attention": 0, "exchange": ""} | options
    state = change(layouts.draw(layouts.magronp_keys(**options), seed))
    targets = options.get("targets", (path.stem,))
    facts = {"targets": list(targets), **FACTS} if facts is None else facts
    torch.save({"state_dict": state, "hyper_parameters": facts, "epoch": 7}, path)
    return path


def amanteur_file(path: Path, seed: int = 0, prefix: str = "", change=lambda state: state) -> Path:
    """A bare state dict as amanteur's code writes it, or with Lightning's prefix."""
    path.parent.mkdir(parents=True, exist_ok=True)
    state = change(layouts.draw(layouts.amanteur_keys(layers=1), seed))
    if prefix:
        state = {f"{prefix}{name}": value for name, value in state.items()}
        state["featurizer.window"] = torch.hann_window(layouts.N_FFT)
        torch.save({"state_dict": state, "callbacks": {}}, path)
    else:
        torch.save(state, path)
    return path


def fails(capsys, *arguments) -> str:
    """The one line that a command prints before exit code 2."""
    assert main([str(argument) for argument in arguments]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    return line


def output(folder: Path | str, **options) -> torch.Tensor:
    """The stems of a mixture by a checkpoint's network, [S, C, T]."""
    with torch.no_grad():
        network = load_separator(str(folder), device="cpu", **options).network
        return network(layouts.mixture(700, 1)[None]).waveforms[0]


def without(state, part):
    return {name: value for name, value in state.items() if part not in name}
