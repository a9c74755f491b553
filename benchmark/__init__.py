"""The benchmark: several systems separate the same tracks, and the same scorer scores them.

In: systems and a data set. Out: a folder of results, tables and a report. Command: `python -m benchmark`.

>>> import benchmark
>>> benchmark.run(systems={"mine": my_separator}, tracks="DIR", out="out/r").summary
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from benchmark.api import run

__all__ = ["run"]


def __getattr__(name: str) -> Any:
    """Import the run on first use: `python -m benchmark --help` needs none of it."""
    if name in __all__:
        from benchmark import api

        return getattr(api, name)
    raise AttributeError(f"module 'benchmark' has no attribute {name!r}")
