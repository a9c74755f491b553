"""Writes the page: its own files and the network."""

import html
import json
import shutil
from pathlib import Path

from models.onnx.graph import Graph, GraphFacts
from models.presets.settings import to_mapping
from models.running import atomic

FOLDER = Path(__file__).parent
PLAYER = FOLDER / "player.js"
"""Plays streams and changes between them in place; the benchmark's report has it too."""
OWN_FILES = ("page.css", "page.js", "player.js", "separate.js", "worker.js")
NETWORK = "network.onnx"


def write_page(graph: Path, out: Path) -> None:
    """Write the page's folder, all but ``ort`` with onnxruntime-web; ``index.html`` comes last.

    Args:
        graph: a file of ``models export``.
        out: the folder, made if absent; may hold ``graph`` under its own name already.

    Raises:
        FileNotFoundError: there is no such graph.
        ValueError: not a graph of ``models export``.
    """
    facts = Graph(graph).facts
    out.mkdir(parents=True, exist_ok=True)
    if graph.resolve() != (out / NETWORK).resolve():
        with atomic.replacing(out / NETWORK) as part:
            shutil.copyfile(graph, part)
    for name in OWN_FILES:
        atomic.write_text(out / name, (FOLDER / name).read_text("utf-8"))
    atomic.write_text(out / "index.html", render(facts))


def render(facts: GraphFacts) -> str:
    """The page's html; what the scripts need of the network is in it as json."""
    island = json.dumps(to_mapping(facts)).replace("<", "\\u003c")
    *first, last = map(html.escape, facts.stems)
    stems = f"{', '.join(first)} and {last}" if first else last
    text = (FOLDER / "index.html").read_text("utf-8")
    return text.replace("{{network}}", html.escape(facts.name)).replace("{{stems}}", stems).replace("{{facts}}", island)
