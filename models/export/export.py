"""Writes a network as an ONNX file."""

import json
import logging
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.onnx import symbolic_helper

from models.checkpoints.checkpoint import find_checkpoint, load_checkpoint
from models.export.real_networks import in_real_arithmetic
from models.presets.settings import to_mapping
from models.running import atomic

OPSET = 17
"""The oldest that has all operators; onnxruntime 1.13 and newer, and the browsers' onnxruntime-web, run it."""
TRACED_SAMPLES = 12_345
"""Length of the example that is traced; no length of the graph depends on it."""


def export_checkpoint(name_or_path: str | Path, path: Path) -> None:
    """Write a checkpoint as one ONNX graph: ``mixture`` [batch, channels, samples] to ``stems`` [batch, stems, ...].

    The graph takes any number of samples from one on. The file holds its constants, and as metadata the settings that
    ``models.onnx.separator`` needs: ``bandsplit``, a json object.

    Args:
        name_or_path: a checkpoint that ships, or a folder.
        path: the file; it is written whole or not at all.

    Raises:
        FileNotFoundError: there is no such checkpoint.
        ValueError: the network is no band-split RNN, or the package ``onnx`` is not installed.
    """
    folder = find_checkpoint(name_or_path)
    checkpoint = load_checkpoint(folder)
    network: Any = checkpoint.network
    facts = {
        "name": checkpoint.identity,
        "stems": list(network.stems),
        "sample_rate": network.sample_rate,
        "channels": network.channels,
        "hop": network.hop,
        "separate": to_mapping(checkpoint.preset.separate),
    }
    try:
        real = in_real_arithmetic(network)
    except ValueError as error:
        raise ValueError(f"{folder}: {error}") from None
    write_graph(real, network.channels, path, facts)


def write_graph(real: nn.Module, channels: int, path: Path, facts: dict[str, Any]) -> None:
    """Trace a module of ``models.export.real_networks`` and write it with ``facts`` as metadata."""
    try:
        import onnx
    except ModuleNotFoundError:
        raise ValueError("exporting needs the package onnx: pip install 'bandsplit[separate]'") from None
    path.parent.mkdir(parents=True, exist_ok=True)
    example = 0.1 * torch.randn(2, channels, TRACED_SAMPLES, generator=torch.Generator().manual_seed(0))
    with atomic.replacing(path) as part:
        _trace(real.eval(), example, part)
        model = onnx.load(str(part))
        entry = model.metadata_props.add()
        entry.key, entry.value = "bandsplit", json.dumps(facts)
        onnx.save(model, str(part))


def _unflatten(graph: Any, tensor: Any, dim: Any, sizes: Any) -> Any:
    """``unflatten`` to several sizes that depend on the input; PyTorch's own translation makes them constants."""
    rank = _rank(tensor)
    first = symbolic_helper._get_const(dim, "i", "dim") % rank

    def numbers(*values: int) -> Any:
        return graph.op("Constant", value_t=torch.tensor(values))

    shape = graph.op("Shape", tensor)
    before = graph.op("Slice", shape, numbers(0), numbers(first))
    after = graph.op("Slice", shape, numbers(first + 1), numbers(rank))
    if symbolic_helper._is_packed_list(sizes):
        parts = [graph.op("Reshape", size, numbers(1)) for size in symbolic_helper._unpack_list(sizes)]
    else:
        parts = [sizes]
    return graph.op("Reshape", tensor, graph.op("Concat", before, *parts, after, axis_i=0))


def _transpose_last(graph: Any, tensor: Any) -> Any:
    """``mT``, for which PyTorch has no translation."""
    rank = _rank(tensor)
    return graph.op("Transpose", tensor, perm_i=[*range(rank - 2), rank - 1, rank - 2])


def _rank(tensor: Any) -> int:
    """Dimensions of a tensor of the graph; tracing knows them all."""
    rank = symbolic_helper._get_tensor_rank(tensor)
    assert rank is not None
    return rank


TRANSLATIONS: dict[str, Callable[..., Any]] = {"aten::unflatten": _unflatten, "aten::mT": _transpose_last}


def _trace(real: nn.Module, example: Tensor, path: Path) -> None:
    """Write the graph. The exporter that traces is used: the newer one unrolls LSTMs over the frames."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    with warnings.catch_warnings(), torch.inference_mode():
        warnings.simplefilter("ignore")  # of lengths that could be constants; the tests run other lengths
        logger.setLevel(logging.ERROR)
        for operator, translation in TRANSLATIONS.items():
            torch.onnx.register_custom_op_symbolic(operator, translation, OPSET)
        try:
            torch.onnx.export(
                real,
                (example,),
                str(path),
                input_names=["mixture"],
                output_names=["stems"],
                dynamic_axes={"mixture": {0: "batch", 2: "samples"}, "stems": {0: "batch", 3: "samples"}},
                opset_version=OPSET,
                dynamo=False,
            )
        finally:
            for operator in TRANSLATIONS:
                torch.onnx.unregister_custom_op_symbolic(operator, OPSET)
            logger.setLevel(level)
