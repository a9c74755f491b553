"""The `page` command: a folder with a web page that separates songs in the browser.

python -m models page --runtime npm --out page
python -m http.server --directory page
"""

import argparse

from models.browser import runtime
from models.browser.build import NETWORK, write_page


def run(args: argparse.Namespace) -> int:
    """Run the `page` command. The network is exported unless a graph is named.

    Returns:
        The exit status, 0.

    Raises:
        FileNotFoundError: there is no such checkpoint or graph, or no onnxruntime-web in the folder.
        ValueError: the network cannot be exported, or onnxruntime-web cannot be fetched.
    """
    runtime.provide(args.runtime, args.out / "ort")
    graph = args.onnx
    if graph is None:
        from models.export.export import export_checkpoint

        graph = args.out / NETWORK
        export_checkpoint(args.checkpoint, graph)
    write_page(graph, args.out)
    size = sum(path.stat().st_size for path in args.out.rglob("*") if path.is_file())
    print(f"{args.out / 'index.html'} ({size / 1e6:.0f} MB): python -m http.server --directory {args.out}")
    return 0
