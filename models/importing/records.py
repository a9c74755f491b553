"""What a pickle's objects become when none of them is made, and the limit on how many they may be."""

from dataclasses import dataclass, field
from typing import Any

MAX_OBJECTS = 10**7
"""Most containers in a pickle, each counted as often as it is referred to."""
MAX_DEPTH = 200
"""Deepest nesting of containers."""


@dataclass(frozen=True, eq=False)
class Name:
    """A class or function that a pickle refers to by name."""

    text: str


@dataclass(eq=False)
class Placeholder:
    """An object that was not made: its class, and what the pickle would have handed to it.

    Attributes:
        name: of its class, with the module.
        arguments: of its construction.
        state: what it would have been set to.
        items: key and value pairs that it would have been given.
        members: what would have been appended to it.
    """

    name: str
    arguments: Any = ()
    state: Any = None
    items: list[tuple[Any, Any]] = field(default_factory=list)
    members: list[Any] = field(default_factory=list)


@dataclass(frozen=True, eq=False)
class TensorRecord:
    """A tensor that was not read yet.

    Attributes:
        storage: what the pickle's persistent id stands for.
        offset: of its first element, elements.
        shape: its size in each dimension.
        stride: elements between neighbours in each dimension.
    """

    storage: Any
    offset: int
    shape: tuple[int, ...]
    stride: tuple[int, ...]

    @property
    def numel(self) -> int:
        """Elements."""
        number = 1
        for size in self.shape:
            number *= size
        return number


def check_size(root: Any) -> None:
    """Refuse what is deeper, or unfolds to more, than any checkpoint: such files are made to exhaust their reader.

    Raises:
        ValueError: it is beyond `MAX_DEPTH` or `MAX_OBJECTS`.
    """
    counts: dict[int, int] = {}  # objects under each container, it included
    path = {id(root)}
    stack: list[tuple[Any, list[Any]]] = [(root, _children(root))]
    totals = [1]
    while stack:
        node, rest = stack[-1]
        if not rest:
            stack.pop()
            path.discard(id(node))
            counts[id(node)] = total = totals.pop()
            if totals:
                totals[-1] += total
            if total > MAX_OBJECTS:
                raise ValueError(f"its pickle unfolds to more than {MAX_OBJECTS} containers: made to exhaust memory")
            continue
        child = rest.pop()
        if id(child) in counts:
            totals[-1] += counts[id(child)]
        elif id(child) not in path:  # an object that holds itself is met once
            if len(stack) > MAX_DEPTH:
                raise ValueError(f"its pickle is nested deeper than {MAX_DEPTH} levels: made to exhaust its reader")
            path.add(id(child))
            stack.append((child, _children(child)))
            totals.append(1)


def _children(node: Any) -> list[Any]:
    """The containers inside a container."""
    if isinstance(node, dict):
        inside = [*node.keys(), *node.values()]
    elif isinstance(node, list | tuple):
        inside = list(node)
    elif isinstance(node, Placeholder):
        inside = [node.arguments, node.state, *(part for pair in node.items for part in pair), *node.members]
    else:
        inside = []
    return [child for child in inside if isinstance(child, dict | list | tuple | Placeholder)]
