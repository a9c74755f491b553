"""The `export` command: a checkpoint becomes one ONNX graph.

python -m models export small --onnx small.onnx
python -m models separate song.mp3 --onnx small.onnx --out stems/
"""

import argparse

from models.export.export import export_checkpoint


def run(args: argparse.Namespace) -> int:
    """Run the `export` command.

    Returns:
        The exit status, 0.

    Raises:
        FileNotFoundError: there is no such checkpoint.
        ValueError: the network is no band-split RNN, or the package onnx is not installed.
    """
    export_checkpoint(args.checkpoint, args.onnx)
    print(f"{args.checkpoint} -> {args.onnx} ({args.onnx.stat().st_size / 1e6:.1f} MB)")
    return 0
