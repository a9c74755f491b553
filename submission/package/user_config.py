"""Reads the checkpoints that a `user_config.py` names from its syntax, without running it.

Literals of names can be read: a tuple or list, on several lines, annotated, unpacked, added, or through a constant. A
value that only running the code would give is reported with its line.
"""

import ast
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

USER_CONFIG = Path("my_submission/user_config.py")
CLASS = "MySeparationModel"
OURS = "BandsplitPredictor"
SETTINGS = ("ensemble", "fallbacks")
_ADVICE = 'write it as names, ensemble = ("small",) or fallbacks = ()'
_DEEPEST = 8
"""The longest chain of constants that refer to each other."""

Names = tuple[str, ...]


def read_checkpoints(text: str) -> tuple[Names, Names]:
    """The names in a `user_config.py`: the ensemble and the fallbacks; empty for a class that is not ours.

    Raises:
        ValueError: the file is not valid Python, or a class of ours lacks a setting, or has one that cannot be read.
    """
    reader = _Reader(text)
    ensemble, fallbacks = (reader.names(setting) for setting in SETTINGS)
    return ensemble, fallbacks


def is_ours(text: str) -> bool:
    """Whether the class of a `user_config.py` is a BandsplitPredictor."""
    try:
        return _Reader(text).is_ours
    except ValueError:
        return False


def write_checkpoints(text: str, ensemble: Sequence[str], fallbacks: Sequence[str]) -> str:
    """The text of a `user_config.py` with these names instead.

    Raises:
        ValueError: see `read_checkpoints`; or both settings use the same expression.
    """
    reader = _Reader(text)
    edits = []
    for setting, names in zip(SETTINGS, (ensemble, fallbacks), strict=True):
        reader.names(setting)
        if (value := reader.value(setting)) is not None:
            literal = repr(tuple(names)).replace("'", '"')
            edits.append((*_span(text, value), literal))
    changed = text
    for start, end, literal in sorted(edits, reverse=True):
        changed = changed[:start] + literal + changed[end:]
    try:
        is_right = read_checkpoints(changed) == (tuple(ensemble), tuple(fallbacks))
    except ValueError:
        is_right = False
    if not is_right:
        raise ValueError(f"{USER_CONFIG}: expected a tuple of names for each setting, got another form; {_ADVICE}")
    return changed


class _Reader:
    """The class of a `user_config.py`, with its base classes in the same file."""

    def __init__(self, text: str) -> None:
        try:
            self._body = ast.parse(text).body
        except (SyntaxError, ValueError) as error:
            raise ValueError(f"{USER_CONFIG}: expected valid Python, got an error ({error}); fix the file") from None
        self._constants = dict(_assignments(self._body))
        alias = self._constants.get(CLASS)
        classes = {node.name: node for node in self._body if isinstance(node, ast.ClassDef)}
        self._chain: list[ast.ClassDef] = []
        queue = [alias.id if isinstance(alias, ast.Name) else CLASS]
        while queue:
            node = classes.pop(queue.pop(0), None)
            if node is not None:
                self._chain.append(node)
                queue += [ast.unparse(base) for base in node.bases]
        bases = [ast.unparse(base) for node in self._chain for base in node.bases]
        self.is_ours = any(base.split(".")[-1] == OURS for base in bases)

    def names(self, setting: str) -> Names:
        """The names of a setting.

        Raises:
            ValueError: see `read_checkpoints`.
        """
        try:
            value = self.value(setting)
            if value is None and self.is_ours:
                raise ValueError(f"{USER_CONFIG}: {CLASS} sets no {setting}; {_ADVICE}")
            return () if value is None else self._names(value, setting)
        except ValueError:
            if self.is_ours:
                raise
            return ()  # in other classes these attributes may mean something else

    def value(self, setting: str) -> ast.expr | None:
        """The expression that a setting is assigned; None where the file does not set it.

        Raises:
            ValueError: it is set in another way than by plain assignment.
        """
        owners = [*(node.name for node in self._chain), CLASS]
        attributes = {f"{owner}.{setting}" for owner in owners}
        for statement in self._body:
            parts = (part for part in ast.walk(statement) if isinstance(part, ast.Attribute))
            stored: list[ast.AST] = [part for part in parts if _binds(part, setting)]
            if len(stored) > sum(name in attributes for name, _ in _assignments([statement])):
                raise _unreadable(setting, stored[0])
        from_outside = [value for name, value in _assignments(self._body) if name in attributes]
        for node in self._chain:
            for statement in node.body:
                stored = [part for part in _own_scope(statement) if _binds(part, setting)]
                if len(stored) > sum(name == setting for name, _ in _assignments([statement])):
                    raise _unreadable(setting, stored[0])
        inside = ([value for name, value in _assignments(node.body) if name == setting] for node in self._chain)
        return next((values[-1] for values in (from_outside, *inside) if values), None)

    def _names(self, value: ast.expr, setting: str) -> Names:
        names = self._evaluate(value, 0)
        if isinstance(names, str) or not all(isinstance(name, str) and name for name in names):
            raise ValueError(f"{USER_CONFIG}:{value.lineno}: {setting} is {ast.unparse(value)}; {_ADVICE}")
        return names

    def _evaluate(self, node: ast.expr, depth: int) -> Any:
        """A string, or a tuple of such values."""
        match node:
            case ast.Constant(value=str(text)):
                return text
            case ast.Tuple(elts=parts) | ast.List(elts=parts):
                found: list[Any] = []
                for part in parts:
                    if isinstance(part, ast.Starred):
                        found += self._evaluate(part.value, depth)
                    else:
                        found.append(self._evaluate(part, depth))
                return tuple(found)
            case ast.BinOp(left=left, op=ast.Add(), right=right):
                first, second = self._evaluate(left, depth), self._evaluate(right, depth)
                if type(first) is type(second):
                    return first + second
            case ast.Call(func=ast.Name(id="tuple" | "list"), args=[only], keywords=[]):
                return tuple(self._evaluate(only, depth))
            case ast.Name(id=name) if depth < _DEEPEST:
                inner = [dict(_assignments(owner.body)) for owner in self._chain]
                value = next((scope[name] for scope in (*inner, self._constants) if name in scope), None)
                if value is not None:
                    return self._evaluate(value, depth + 1)
        shown = ast.unparse(node)
        raise ValueError(f"{USER_CONFIG}:{node.lineno}: cannot read `{shown}` without running it; {_ADVICE}")


def _assignments(body: Sequence[ast.stmt]) -> Iterator[tuple[str, ast.expr]]:
    """Names and attributes that statements assign, each with its value; `a, b = 1, 2` gives two."""
    for statement in body:
        if isinstance(statement, ast.AnnAssign) and statement.value is not None:
            yield ast.unparse(statement.target), statement.value
        elif isinstance(statement, ast.Assign):
            for target in statement.targets:
                yield from _unpacked(target, statement.value)


def _unpacked(target: ast.expr, value: ast.expr) -> Iterator[tuple[str, ast.expr]]:
    if isinstance(target, ast.Name | ast.Attribute):
        yield ast.unparse(target), value
    elif isinstance(target, ast.Tuple | ast.List) and isinstance(value, ast.Tuple | ast.List):
        parts = (*target.elts, *value.elts)
        if len(target.elts) == len(value.elts) and not any(isinstance(part, ast.Starred) for part in parts):
            for inner, part in zip(target.elts, value.elts, strict=True):
                yield from _unpacked(inner, part)


def _own_scope(statement: ast.AST) -> Iterator[ast.AST]:
    """A statement and its parts, without the bodies of functions and classes."""
    yield statement
    if not isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda):
        for part in ast.iter_child_nodes(statement):
            yield from _own_scope(part)


def _binds(node: ast.AST, name: str) -> bool:
    """Whether a node binds a name, or an attribute of that name."""
    match node:
        case ast.Name(id=found, ctx=ast.Store() | ast.Del()) | ast.Attribute(attr=found, ctx=ast.Store() | ast.Del()):
            return found == name
        case ast.FunctionDef(name=found) | ast.AsyncFunctionDef(name=found) | ast.ClassDef(name=found):
            return found == name
        case ast.alias(name=found, asname=other):
            return (other or found) == name
    return False


def _unreadable(setting: str, node: ast.AST) -> ValueError:
    line = getattr(node, "lineno", 1)
    return ValueError(f"{USER_CONFIG}:{line}: cannot read the value of {setting} without running the file; {_ADVICE}")


def _span(text: str, node: ast.expr) -> tuple[int, int]:
    """The position of an expression in a text: its first character and the one after its last."""
    lines = text.encode().splitlines(keepends=True)  # ast counts columns in bytes
    assert node.end_lineno is not None and node.end_col_offset is not None
    places = ((node.lineno, node.col_offset), (node.end_lineno, node.end_col_offset))
    begin, end = (len(b"".join(lines[: line - 1]) + lines[line - 1][:column]) for line, column in places)
    raw = text.encode()
    return len(raw[:begin].decode()), len(raw[:end].decode())
