"""Records that stand for a pickle's objects, and the limits on their number and depth."""

from dataclasses import dataclass, field
from typing import Any

MAX_OBJECTS = 10**7
"""Largest number of containers in a pickle; one that is referred to several times counts as often."""
MAX_DEPTH = 200
"""Largest number of containers inside each other."""


@dataclass(frozen=True, eq=False)
class Name:
    """A class or function that a pickle refers to by name."""

    text: str


@dataclass(eq=False)
class Placeholder:
    """Stands for an object that was not created: its class, and the data that the pickle has for it.

    Attributes:
        name: of its class, with the module.
        arguments: of its constructor.
        state: its attributes.
        items: its keys and values.
        members: items appended to it.
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
        storage: the object of the pickle's persistent id.
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
    """Check the number and depth of containers. Files beyond these limits are made to exhaust memory or the stack.

    Raises:
        ValueError: more than `MAX_OBJECTS` containers, or more than `MAX_DEPTH` inside each other.
    """
    counts: dict[int, int] = {}  # containers in each container, itself included
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
        elif id(child) not in path:  # a container inside itself counts once
            if len(stack) > MAX_DEPTH:
                raise ValueError(f"its pickle is nested deeper than {MAX_DEPTH} levels: made to exhaust the stack")
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
