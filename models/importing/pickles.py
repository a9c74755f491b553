"""Reads a pickle's data without running it: a stack machine that imports nothing and calls nothing.

Plain containers and numbers are returned as they are. A tensor becomes a `TensorRecord`: its place in the file. An
object of any other class becomes a `Placeholder` that holds the pickle's data of it.
"""

import pickletools
import sys
from collections.abc import Callable, Mapping
from typing import Any

from models.importing.records import Name, Placeholder, TensorRecord, check_size

MAX_BYTES = 64 * 2**20
"""Largest pickle that is read. That of a network of 100 million weights has 0.1 MB, without its storages."""

HARMLESS = {
    *("_codecs", "abc", "argparse", "builtins", "collections", "copyreg", "dataclasses", "datetime", "decimal", "enum"),
    *("fractions", "functools", "logging", "numbers", "operator", "pathlib", "random", "re", "types", "typing", "uuid"),
    "weakref",
}
"""Modules of the standard library that checkpoints may refer to; all others are refused as an attack."""
HARMFUL_BUILTINS = {
    *("__import__", "breakpoint", "compile", "delattr", "eval", "exec", "exit", "input", "open", "quit", "setattr"),
    *("globals", "locals", "vars"),
}
REBUILD_TENSOR = ("torch._utils._rebuild_tensor_v2", "torch._utils._rebuild_tensor")
REBUILD_PARAMETER = ("torch._utils._rebuild_parameter", "torch._utils._rebuild_parameter_with_state")
DICTS = ("collections.OrderedDict", "collections.defaultdict", "builtins.dict")


def read_pickle(data: bytes, persistent: Callable[[Any], Any]) -> Any:
    """Read a pickle.

    Args:
        data: the pickle.
        persistent: returns the object of a persistent id.

    Raises:
        ValueError: it is damaged or too large, or refers to a module or function that can do harm.
    """
    if len(data) > MAX_BYTES:
        raise ValueError(f"expected a pickle of at most {MAX_BYTES} bytes, got {len(data)}")
    try:
        root = _Machine(persistent).run(data)
    except (IndexError, KeyError, TypeError, AttributeError, RecursionError, MemoryError, OverflowError) as error:
        raise ValueError(f"its pickle is damaged ({type(error).__name__})") from None
    check_size(root)
    return root


class _Mark:
    """The object that MARK pushes."""


class _Machine:
    """The pickle virtual machine, without the instructions that import or call."""

    def __init__(self, persistent: Callable[[Any], Any]) -> None:
        self._persistent = persistent
        self._stack: list[Any] = []
        self._memo: dict[int, Any] = {}

    def run(self, data: bytes) -> Any:
        for opcode, argument, _ in pickletools.genops(data):
            name = opcode.name
            if name == "STOP":
                return self._stack.pop()
            if name in VALUES:
                self._stack.append(argument)
            elif name in CONSTANTS:
                self._stack.append(CONSTANTS[name]())
            elif (method := STEPS.get(name)) is not None:
                method(self, argument)
            elif name not in ("PROTO", "FRAME"):
                raise ValueError(f"its pickle has the instruction {name}, which no checkpoint needs")
        raise ValueError("its pickle is cut short")

    def _pop_mark(self) -> list[Any]:
        """Pop the last mark and all items above it; returns the items."""
        items: list[Any] = []
        while not isinstance(item := self._stack.pop(), _Mark):
            items.append(item)
        return items[::-1]

    def mark(self, _: Any) -> None:
        self._stack.append(_Mark())

    def pop(self, _: Any) -> None:
        self._stack.pop()

    def pop_mark(self, _: Any) -> None:
        self._pop_mark()

    def duplicate(self, _: Any) -> None:
        self._stack.append(self._stack[-1])

    def get(self, index: Any) -> None:
        self._stack.append(self._memo[int(index)])

    def put(self, index: Any) -> None:
        self._memo[int(index)] = self._stack[-1]

    def memoize(self, _: Any) -> None:
        self._memo[len(self._memo)] = self._stack[-1]

    def tuple_of(self, count: int) -> None:
        items = [self._stack.pop() for _ in range(count)]
        self._stack.append(tuple(items[::-1]))

    def tuple_of_marked(self, _: Any) -> None:
        self._stack.append(tuple(self._pop_mark()))

    def list_of_marked(self, _: Any) -> None:
        self._stack.append(self._pop_mark())

    def dict_of_marked(self, _: Any) -> None:
        items = self._pop_mark()
        self._stack.append({})
        self._set(items)

    def append(self, _: Any) -> None:
        item = self._stack.pop()
        self._extend([item])

    def append_marked(self, _: Any) -> None:
        self._extend(self._pop_mark())

    def _extend(self, items: list[Any]) -> None:
        target = self._stack[-1]
        target = target.members if isinstance(target, Placeholder) else target
        if not isinstance(target, list):
            raise ValueError("its pickle is damaged (appends to something that is not a list)")
        target.extend(items)

    def set_item(self, _: Any) -> None:
        value, key = self._stack.pop(), self._stack.pop()
        self._set([key, value])

    def set_marked(self, _: Any) -> None:
        self._set(self._pop_mark())

    def _set(self, items: list[Any]) -> None:
        target = self._stack[-1]
        pairs = list(zip(items[::2], items[1::2], strict=True))
        if isinstance(target, Placeholder):
            target.items.extend(pairs)
        elif isinstance(target, dict):
            for key, value in pairs:
                # The hash of a deeply nested tuple can take forever, so other keys become placeholders.
                target[key if isinstance(key, str | int | float | bytes | None) else Placeholder("key", key)] = value
        else:
            raise ValueError("its pickle is damaged (sets items of something that is not a mapping)")

    def name(self, argument: str) -> None:
        module, _, name = argument.partition(" ")
        self._stack.append(_checked_name(module, name))

    def name_on_stack(self, _: Any) -> None:
        name, module = self._stack.pop(), self._stack.pop()
        self._stack.append(_checked_name(module, name))

    def persist(self, _: Any) -> None:
        self._stack.append(self._persistent(self._stack.pop()))

    def reduce(self, _: Any) -> None:
        arguments, function = self._stack.pop(), self._stack.pop()
        self._stack.append(_made(function, arguments))

    def new_object(self, _: Any) -> None:
        arguments, cls = self._stack.pop(), self._stack.pop()
        self._stack.append(_made(cls, arguments))

    def new_object_with_names(self, _: Any) -> None:
        names, arguments, cls = self._stack.pop(), self._stack.pop(), self._stack.pop()
        self._stack.append(_made(cls, (arguments, names)))

    def object_of_marked(self, _: Any) -> None:
        cls, *arguments = self._pop_mark()
        self._stack.append(_made(cls, tuple(arguments)))

    def instance(self, argument: str) -> None:
        module, _, name = argument.partition(" ")
        arguments = self._pop_mark()
        self._stack.append(_made(_checked_name(module, name), tuple(arguments)))

    def build(self, _: Any) -> None:
        state, target = self._stack.pop(), self._stack[-1]
        if isinstance(target, Placeholder):
            target.state = state


VALUES = {
    *("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT", "STRING", "BINSTRING"),
    *("SHORT_BINSTRING", "UNICODE", "SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8", "BINBYTES", "SHORT_BINBYTES"),
    *("BINBYTES8", "BYTEARRAY8"),
}
CONSTANTS: Mapping[str, Callable[[], Any]] = {
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
    "EMPTY_LIST": list,
    "EMPTY_TUPLE": tuple,
    "EMPTY_DICT": dict,
    "EMPTY_SET": lambda: Placeholder("builtins.set"),
}
STEPS: Mapping[str, Callable[[_Machine, Any], None]] = {
    "MARK": _Machine.mark,
    "POP": _Machine.pop,
    "POP_MARK": _Machine.pop_mark,
    "DUP": _Machine.duplicate,
    **dict.fromkeys(("GET", "BINGET", "LONG_BINGET"), _Machine.get),
    **dict.fromkeys(("PUT", "BINPUT", "LONG_BINPUT"), _Machine.put),
    "MEMOIZE": _Machine.memoize,
    "TUPLE": _Machine.tuple_of_marked,
    "TUPLE1": lambda machine, _: machine.tuple_of(1),
    "TUPLE2": lambda machine, _: machine.tuple_of(2),
    "TUPLE3": lambda machine, _: machine.tuple_of(3),
    **dict.fromkeys(("LIST", "FROZENSET"), _Machine.list_of_marked),
    "DICT": _Machine.dict_of_marked,
    "APPEND": _Machine.append,
    **dict.fromkeys(("APPENDS", "ADDITEMS"), _Machine.append_marked),
    "SETITEM": _Machine.set_item,
    "SETITEMS": _Machine.set_marked,
    "GLOBAL": _Machine.name,
    "STACK_GLOBAL": _Machine.name_on_stack,
    "BINPERSID": _Machine.persist,
    "REDUCE": _Machine.reduce,
    "NEWOBJ": _Machine.new_object,
    "NEWOBJ_EX": _Machine.new_object_with_names,
    "OBJ": _Machine.object_of_marked,
    "INST": _Machine.instance,
    "BUILD": _Machine.build,
}


def _checked_name(module: Any, name: Any) -> Name:
    """The name as a record.

    Raises:
        ValueError: it is in a module of the standard library outside ``HARMLESS``, or in ``HARMFUL_BUILTINS``.
    """
    if not isinstance(module, str) or not isinstance(name, str):
        raise ValueError("its pickle is damaged (a name that is not text)")
    module = {"__builtin__": "builtins", "copy_reg": "copyreg"}.get(module, module)
    top, first = module.split(".")[0], name.split(".")[0]
    if (top in sys.stdlib_module_names and top not in HARMLESS) or (top == "builtins" and first in HARMFUL_BUILTINS):
        asked = f"{module}.{name}".encode("ascii", "replace").decode()[:80]
        raise ValueError(f"its pickle asks for {asked}: an attack; no code was run; do not use this file")
    return Name(f"{module}.{name}")


def _made(maker: Any, arguments: Any) -> Any:
    """The result of a call, without the call: a tensor's record, a dictionary, or a placeholder for anything else."""
    name = maker.text if isinstance(maker, Name) else "unknown"
    if name in REBUILD_TENSOR:
        return _tensor(arguments)
    if name in REBUILD_PARAMETER and isinstance(arguments, tuple) and isinstance(arguments[0], TensorRecord):
        return arguments[0]
    if name in DICTS and (arguments == () or name == "collections.defaultdict"):
        return {}
    return Placeholder(name, arguments)


def _tensor(arguments: Any) -> TensorRecord:
    storage, offset, shape, stride = arguments[:4]
    shape, stride = (_sizes(value) for value in (shape, stride))
    if len(shape) != len(stride):
        raise ValueError("its pickle is damaged (a tensor's shape and stride differ in length)")
    (offset,) = _sizes((offset,))
    return TensorRecord(storage, offset, shape, stride)


def _sizes(value: Any) -> tuple[int, ...]:
    if isinstance(value, Placeholder) and value.name == "torch.Size":
        (value,) = value.arguments
    if not isinstance(value, tuple) or len(value) > 16:
        raise ValueError("its pickle is damaged (a tensor's shape is not a short tuple)")
    for size in value:
        if not isinstance(size, int) or not 0 <= size < 2**48:
            raise ValueError("its pickle is damaged (a tensor's size is not a number in range)")
    return value
