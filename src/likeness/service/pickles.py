"""Reading pickles of arrays, lists, tuples, dicts, texts and numbers, and of nothing else, without running any of them.

A pickle is a program that names functions to call. Here no function is ever looked up by its name: the instructions
are read one by one, those that only build plain data are followed, and the few names by which numpy and the standard
library write down an array stand for this module's own, checked way of making one. Everything else is refused.
"""

from __future__ import annotations

import math
import pickletools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from likeness.errors import PickleRefused

MOST_BYTES = 512 << 20
"""A longer file is refused: it would hold more than 400,000 encodings."""
MOST_INSTRUCTIONS = 100_000_000

_ARRAYS = ("numpy.core.multiarray", "numpy._core.multiarray")
_NAMES: dict[tuple[str, str], str] = {
    **{(module, "_reconstruct"): "reconstruct" for module in _ARRAYS},
    **{(module, "scalar"): "scalar" for module in _ARRAYS},
    **{(f"numpy.{core}.numeric", "_frombuffer"): "from buffer" for core in ("core", "_core")},
    ("numpy", "ndarray"): "ndarray",
    ("numpy", "dtype"): "dtype",
    ("_codecs", "encode"): "encode",
}
"""The names that are understood, and what they stand for here."""

_PUSHES = frozenset(
    (
        "INT",
        "BININT",
        "BININT1",
        "BININT2",
        "LONG",
        "LONG1",
        "LONG4",
        "STRING",
        "BINSTRING",
        "SHORT_BINSTRING",
        "BINBYTES",
        "SHORT_BINBYTES",
        "BINBYTES8",
        "BYTEARRAY8",
        "UNICODE",
        "SHORT_BINUNICODE",
        "BINUNICODE",
        "BINUNICODE8",
        "FLOAT",
        "BINFLOAT",
    )
)
"""Instructions that push their argument."""
_CONSTANTS: dict[str, Callable[[], Any]] = {
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
    "EMPTY_LIST": list,
    "EMPTY_TUPLE": tuple,
    "EMPTY_DICT": dict,
}
_MARK = object()


class Named:
    """A name that the pickle wants to call; it can only be handed to `_call`."""

    __slots__ = ("meaning",)

    def __init__(self, meaning: str) -> None:
        self.meaning = meaning


class Kind:
    """What an array is made of: floats of 2 to 8 bytes, integers, or texts."""

    __slots__ = ("code", "order")

    def __init__(self, code: str) -> None:
        self.code, self.order = code, "="

    def dtype(self) -> np.dtype[Any]:
        """numpy's name for it, if it is one of those that are taken."""
        allowed = self.code in ("f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8")
        text = self.code[:1] == "U" and self.code[1:].isdigit() and int(self.code[1:]) <= 1000
        if not (allowed or text) or self.order not in ("<", ">", "=", "|"):
            raise _refusal(f"an array of {self.code[:20]!r}")
        return np.dtype(f"{self.order}{self.code}")


class Array:
    """An array that the pickle describes; `values` is there once it is described wholly."""

    __slots__ = ("values",)

    def __init__(self, values: NDArray[Any] | None = None) -> None:
        self.values = values


def read_pickle(path: Path) -> Any:
    """What a pickle in a file holds; arrays as `Array`, all else as the plain values that they are.

    Raises:
        PickleRefused: it cannot be read, is too long, damaged, no pickle, or holds anything else.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise PickleRefused(f"{str(path)!r} cannot be read: {error.strerror}") from error
    if len(data) > MOST_BYTES:
        raise PickleRefused(f"{str(path)!r} is longer than {MOST_BYTES >> 20} MiB", hint="write several smaller files")
    try:
        return parse_pickle(data)
    except PickleRefused as error:
        raise PickleRefused(f"{str(path)!r}: {error.message}", hint=error.hint) from None


def parse_pickle(data: bytes) -> Any:
    """As `read_pickle`, from bytes."""
    try:
        return _Reader().run(data)
    except PickleRefused:
        raise
    except (ValueError, TypeError, IndexError, KeyError, AttributeError, OverflowError, MemoryError) as error:
        raise PickleRefused(f"it is no whole pickle ({type(error).__name__})", hint="save it again") from None


class _Reader:
    """A stack, marks on it, and what was put aside to be taken again."""

    def __init__(self) -> None:
        self.stack: list[Any] = []
        self.aside: dict[int, Any] = {}

    def run(self, data: bytes) -> Any:
        for count, (instruction, argument, _) in enumerate(pickletools.genops(data)):
            if count > MOST_INSTRUCTIONS:
                raise _refusal("more instructions than any list of faces needs")
            name = instruction.name
            if name == "STOP":
                return self.stack.pop()
            self._follow(name, argument)
        raise ValueError("no end")

    def _follow(self, name: str, argument: Any) -> None:
        stack = self.stack
        if name in _PUSHES:
            stack.append(argument)
        elif name in _CONSTANTS:
            stack.append(_CONSTANTS[name]())
        elif name in ("PROTO", "FRAME"):
            return
        elif name == "MARK":
            stack.append(_MARK)
        elif name in ("GET", "BINGET", "LONG_BINGET"):
            stack.append(self.aside[int(argument)])
        elif name in ("PUT", "BINPUT", "LONG_BINPUT"):
            self.aside[int(argument)] = stack[-1]
        elif name == "MEMOIZE":
            self.aside[len(self.aside)] = stack[-1]
        elif name in ("GLOBAL", "STACK_GLOBAL"):
            self._name(argument)
        elif name == "REDUCE":
            arguments = stack.pop()
            stack.append(_call(stack.pop(), arguments))
        elif name == "BUILD":
            state = stack.pop()
            _describe(stack[-1], state)
        elif not self._collect(name):
            raise _refusal(f"an instruction that plain data does not need ({name})")

    def _collect(self, name: str) -> bool:
        """Follow an instruction that makes or fills a list, tuple or dict."""
        stack = self.stack
        if name in ("TUPLE1", "TUPLE2", "TUPLE3"):
            size = int(name[-1])
            stack[-size:] = [tuple(stack[len(stack) - size :])]
        elif name == "TUPLE":
            stack.append(tuple(self._marked()))
        elif name == "LIST":
            stack.append(self._marked())
        elif name == "DICT":
            stack.append(_pairs(self._marked()))
        elif name == "APPEND":
            item = stack.pop()
            _expect(stack[-1], list).append(item)
        elif name == "APPENDS":
            items = self._marked()
            _expect(stack[-1], list).extend(items)
        elif name == "SETITEM":
            value, key = stack.pop(), stack.pop()
            _expect(stack[-1], dict).update(_pairs([key, value]))
        elif name == "SETITEMS":
            items = self._marked()
            _expect(stack[-1], dict).update(_pairs(items))
        else:
            return False
        return True

    def _marked(self) -> list[Any]:
        """All above the last mark, taken off with it."""
        at = len(self.stack) - 1
        while self.stack[at] is not _MARK:
            at -= 1
            if at < 0:
                raise ValueError("no mark")
        items = self.stack[at + 1 :]
        del self.stack[at:]
        return items

    def _name(self, argument: Any) -> None:
        if argument is None:
            name = self.stack.pop()
            module = self.stack.pop()
        else:
            module, _, name = str(argument).partition(" ")
        meaning = _NAMES.get((module, name)) if isinstance(module, str) and isinstance(name, str) else None
        if meaning is None:
            raise _refusal(f"an object of {_named(module)}.{_named(name)}")
        self.stack.append(Named(meaning))


def _call(named: Any, arguments: Any) -> Any:
    """What a call of one of the known names gives, made here."""
    meaning = _expect(named, Named).meaning
    given = _expect(arguments, tuple)
    if meaning == "reconstruct" and isinstance(given[0], Named) and given[0].meaning == "ndarray":
        return Array()
    if meaning == "dtype":
        return Kind(_expect(given[0], str))
    if meaning == "encode" and len(given) == 2 and given[1] in ("latin1", "latin-1"):
        return _expect(given[0], str).encode("latin-1")
    if meaning == "scalar":
        return _array(given[0], (1,), given[1], fortran=False)[0].item()
    if meaning == "from buffer":
        buffer, kind, shape, order = given
        return Array(_array(kind, shape, buffer, fortran=order == "F"))
    raise _refusal("a call that no array needs")


def _describe(target: Any, state: Any) -> None:
    """Complete an array (version, shape, kind, whether in Fortran's order, bytes), or a kind's byte order."""
    given = _expect(state, tuple)
    if isinstance(target, Kind):
        order = _expect(given[1], str)
        target.order = "=" if order == "|" else order
        return
    _, shape, kind, fortran, content = given
    _expect(target, Array).values = _array(kind, shape, content, fortran=bool(fortran))


def _array(kind: Any, shape: Any, content: Any, *, fortran: bool) -> NDArray[Any]:
    """An array of at most two dimensions from its bytes, of which there must be exactly as many as it takes."""
    dtype = _expect(kind, Kind).dtype()
    sizes = _expect(shape, tuple)
    if len(sizes) > 2 or not all(isinstance(size, int) and 0 <= size <= MOST_BYTES for size in sizes):
        shown = str(sizes)[:60] if all(type(size) is int for size in sizes[:5]) and len(sizes) < 5 else "unknown"
        raise _refusal(f"an array of shape {shown}")
    if isinstance(content, str):  # as Python 2 wrote bytes
        content = content.encode("latin-1")
    data = bytes(content) if type(content) in (bytes, bytearray) else _expect(content, bytes)
    if math.prod(sizes) * dtype.itemsize != len(data):
        raise _refusal("an array of another size than its bytes")
    return np.frombuffer(data, dtype).reshape(sizes, order="F" if fortran else "C")


def _pairs(items: list[Any]) -> dict[Any, Any]:
    keys = items[::2]
    if len(items) % 2 or not all(isinstance(key, str | int) for key in keys):
        raise _refusal("a dict whose keys are no texts")
    return dict(zip(keys, items[1::2], strict=True))


def _expect(value: Any, kind: type) -> Any:
    if type(value) is not kind:
        raise _refusal(f"a {type(value).__name__} where a {kind.__name__} belongs")
    return value


def _named(part: Any) -> str:
    """A part of a name for a message; lists of lists of lists, of which a short pickle can make endless texts, not."""
    return part[:60] if isinstance(part, str) else f"a {type(part).__name__}"


def _refusal(what: str) -> PickleRefused:
    return PickleRefused(
        f"it holds {what}, and is not read: a pickle can do harm when it is opened",
        hint="pickles of arrays, lists, tuples, dicts, texts and numbers are read",
    )
