"""Band-Split RNN music demixing: the network, its training, and separation.

>>> from models import load_separator
>>> stems = load_separator("small").separate(mixture, sample_rate)  # [C, T] in, {stem: [C, T]} out
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from models.separation.separator import NetworkSeparator, Separator, load_separator

__all__ = ["NetworkSeparator", "Separator", "load_separator"]


def __getattr__(name: str) -> Any:
    """Import the separator, which imports torch, on first use of one of these names."""
    if name in __all__:
        from models.separation import separator

        return getattr(separator, name)
    raise AttributeError(f"module 'models' has no attribute {name!r}")
