"""What Cellpose saves: ``*_seg.npy``, a NumPy file of one pickled dictionary, read without unpickling.

https://cellpose.readthedocs.io/en/latest/outputs.html. The pickle is interpreted here, and nothing in
it is called: only containers, numbers, text, paths, and what NumPy writes for arrays are known.
Anything else is refused. Bytes of arrays stay in the file.
"""

from __future__ import annotations

import io
import math
import pickletools
from dataclasses import dataclass, field
from pathlib import PurePosixPath, PureWindowsPath
from typing import Any, BinaryIO

import numpy as np

from ngff_bio.errors import SourceError
from ngff_bio.formats.arrays.image import ArrayImage
from ngff_bio.formats.arrays.npy import NpyArray
from ngff_bio.formats.limits import Limits
from ngff_bio.formats.problems import damage_named
from ngff_bio.model import SampleType, SourceFile, axes_from

#: Operations that are interpreted, elements of containers, and characters of text together.
_MOST_OPERATIONS, _MOST_TEXT = 4_000_000, 64 << 20

_ALLOWED = {
    ("numpy", "ndarray"),
    ("numpy", "dtype"),
    ("numpy.core.multiarray", "_reconstruct"),
    ("numpy._core.multiarray", "_reconstruct"),
    ("numpy.core.multiarray", "scalar"),
    ("numpy._core.multiarray", "scalar"),
} | {
    (module, f"{kind}Path")
    for module in ("pathlib", "pathlib._local")
    for kind in ("Posix", "PurePosix", "Windows", "PureWindows")
}


@dataclass(frozen=True, slots=True)
class _Bytes:
    """Bytes in the file."""

    offset: int
    size: int


@dataclass(slots=True)
class PickledArray:
    """An array in the file: NumPy's type, its shape, the order of its axes, and its bytes."""

    dtype: str = ""
    shape: tuple[int, ...] = ()
    fortran: bool = False
    data: _Bytes | list[Any] | None = None


@dataclass(slots=True)
class _Type:
    code: str
    order: str = "|"

    @property
    def text(self) -> str:
        return (self.order if self.order in "<>" else "") + self.code


@dataclass(frozen=True, slots=True)
class _Global:
    module: str
    name: str


@dataclass(slots=True)
class _Machine:
    """Interprets a pickle (the opcodes of `pickletools`) without calling anything."""

    stream: BinaryIO
    file: str
    stack: list[object] = field(default_factory=list)
    marks: list[list[object]] = field(default_factory=list)
    memo: dict[int, object] = field(default_factory=dict)
    text: int = 0

    def run(self) -> Any:
        for _ in range(_MOST_OPERATIONS):
            code = self.stream.read(1)
            op = _OPERATIONS.get(code.decode("latin-1"))
            if op is None:
                raise ValueError("not a pickle, or it ends early")
            if op.name == "STOP":
                return self.stack.pop()
            self._step(op)
        raise ValueError(f"more than {_MOST_OPERATIONS:,} operations")

    def _step(self, op: pickletools.OpcodeInfo) -> None:
        name, stack = op.name, self.stack
        if name in ("SHORT_BINBYTES", "BINBYTES", "BINBYTES8", "BYTEARRAY8"):
            width = {"SHORT_BINBYTES": 1, "BINBYTES": 4}.get(name, 8)
            size = int.from_bytes(self.stream.read(width), "little")
            stack.append(_Bytes(self.stream.tell(), size))
            self.stream.seek(size, io.SEEK_CUR)
            return
        before = self.stream.tell()
        if name in ("BINUNICODE", "BINUNICODE8") and not self._short_text(name):
            raise ValueError("more text than allowed")
        argument = None if op.arg is None else op.arg.reader(self.stream)
        self.text += self.stream.tell() - before
        if self.text > _MOST_TEXT:
            raise ValueError("more text than allowed")
        if name in _CONSTANTS:
            stack.append(_CONSTANTS[name])
        elif name in _LITERALS:
            stack.append(argument)
        elif name in ("PROTO", "FRAME"):
            pass
        elif name == "MARK":
            self.marks.append(stack)
            self.stack = []
        elif name in ("EMPTY_LIST", "EMPTY_DICT"):
            stack.append([] if name == "EMPTY_LIST" else {})
        elif name in ("TUPLE", "LIST", "DICT", "APPENDS", "SETITEMS", "POP_MARK"):
            self._collect(name, stack)
        elif name in ("TUPLE1", "TUPLE2", "TUPLE3"):
            count = int(name[-1])
            stack[-count:] = [tuple(stack[-count:])]
        elif name == "APPEND":
            value = stack.pop()
            _listed(stack[-1]).append(value)
        elif name == "SETITEM":
            value, key = stack.pop(), stack.pop()
            _mapped(stack[-1])[_key(key)] = value
        elif name in ("BINPUT", "LONG_BINPUT", "MEMOIZE"):
            self.memo[len(self.memo) if argument is None else int(argument)] = stack[-1]
        elif name in ("BINGET", "LONG_BINGET"):
            stack.append(self.memo[int(str(argument))])
        elif name == "GLOBAL":
            stack.append(self._global(*str(argument).split(" ", 1)))
        elif name == "STACK_GLOBAL":
            attribute, module = stack.pop(), stack.pop()
            stack.append(self._global(str(module), str(attribute)))
        elif name == "REDUCE":
            arguments, called = stack.pop(), stack.pop()
            stack.append(self._reduce(called, arguments))
        elif name == "BUILD":
            state = stack.pop()
            _build(stack[-1], state)
        else:
            raise self._refused(f"the operation {name}")

    def _short_text(self, name: str) -> bool:
        width = 4 if name == "BINUNICODE" else 8
        size = int.from_bytes(self.stream.read(width), "little")
        self.stream.seek(-width, io.SEEK_CUR)
        return size <= _MOST_TEXT

    def _collect(self, name: str, items: list[object]) -> None:
        """Put the elements since the mark into a container."""
        self.stack = self.marks.pop()
        if name == "TUPLE":
            self.stack.append(tuple(items))
        elif name == "LIST":
            self.stack.append(list(items))
        elif name in ("DICT", "SETITEMS"):
            if name == "DICT":
                self.stack.append({})
            pairs = zip(items[0::2], items[1::2], strict=True)
            _mapped(self.stack[-1]).update((_key(k), v) for k, v in pairs)
        elif name == "APPENDS":
            _listed(self.stack[-1]).extend(items)

    def _global(self, module: str, name: str) -> _Global:
        if (module, name) not in _ALLOWED:
            raise self._refused(f"{module}.{name}")
        return _Global(module, name)

    def _reduce(self, called: object, arguments: Any) -> object:
        match called, arguments:
            case _Global(name="_reconstruct"), (_Global(name="ndarray"), *_):
                return PickledArray()
            case _Global(name="dtype"), (str(code), *_):
                return _Type(code)
            case _Global(name="scalar"), (_Type(), _Bytes()):
                kind, data = arguments
                return self._scalar(kind, data)
            case _Global(module="pathlib" | "pathlib._local", name=kind), tuple(parts):
                path = PureWindowsPath if "Windows" in kind else PurePosixPath
                return str(path(*map(str, parts)))  # a name of an image: text here
        raise self._refused(f"a call of {getattr(called, 'name', type(called).__name__)}")

    def _scalar(self, kind: _Type, data: _Bytes) -> object:
        dtype = _plain(kind.text)
        if data.size != dtype.itemsize:
            raise ValueError("a number has another size than its type")
        back = self.stream.tell()
        self.stream.seek(data.offset)
        value = np.frombuffer(self.stream.read(data.size), dtype)[0].item()
        self.stream.seek(back)
        return value

    def _refused(self, what: str) -> SourceError:
        return SourceError(
            "a pickle that could run code is not read",
            file=self.file,
            expected="the dictionary that Cellpose saves: NumPy arrays, lists, text and numbers",
            found=what,
            hint="save the masks as TIFF or PNG in Cellpose, or leave the file out",
        )


_OPERATIONS = {op.code: op for op in pickletools.opcodes}
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False, "EMPTY_TUPLE": ()}
_LITERALS = {
    "BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT",
    "SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8",
}  # fmt: skip


def _listed(value: object) -> list[object]:
    if type(value) is not list:
        raise ValueError("elements are added to what is not a list")
    return value


def _mapped(value: object) -> dict[object, object]:
    if type(value) is not dict:
        raise ValueError("items are set in what is not a dictionary")
    return value


def _key(value: object) -> str | int | float | bool | None:
    if value is None or isinstance(value, str | int | float):
        return value
    raise ValueError("a key is neither text nor a number")


def _build(made: object, state: Any) -> None:
    """The state of an array or a type, as NumPy pickles it."""
    match made, state:
        case _Type(), (int(), str(order), *_):
            made.order = order
        case PickledArray(), (
            int(),
            tuple(shape),
            _Type(),
            bool(fortran),
            (_Bytes() | list()) as data,
        ):
            made.shape = tuple(int(n) for n in shape)
            made.dtype, made.fortran, made.data = state[2].text, fortran, data
        case _:
            raise ValueError("a state that is not one of a NumPy array")


def _plain(code: str) -> SampleType:
    """A type of numbers."""
    if len(code) > 8:
        raise ValueError("not a type of numbers")
    dtype = np.dtype(code)
    if dtype.kind not in "biuf":
        raise ValueError(f"not a type of numbers: {code!r}")
    return dtype


def read_seg_npy(file: SourceFile) -> dict[str, object]:
    """The dictionary of a file, with a `PickledArray` for each array.

    Raises
    ------
    ngff_bio.errors.SourceError
        If it is damaged, not such a file, or has a pickle that could run code.
    """
    with damage_named(file.name, "the NumPy file cannot be read"), file.open() as stream:
        version = np.lib.format.read_magic(stream)
        read = np.lib.format.read_array_header_1_0
        if version != (1, 0):
            read = np.lib.format.read_array_header_2_0
        shape, _, dtype = read(stream)
        if shape != () or dtype != np.dtype(object):
            raise SourceError(
                "the NumPy file is not one of Cellpose",
                file=file.name,
                expected="a dictionary",
                found=f"an array of {shape}, {dtype}",
                hint="save arrays as TIFF (tifffile.imwrite)",
            )
        found = _Machine(stream, file.name).run()
        value = found.data if isinstance(found, PickledArray) else None
        value = value[0] if isinstance(value, list) and len(value) == 1 else found
        if not isinstance(value, dict):
            raise ValueError("not a dictionary")
        return {str(k): v for k, v in value.items()}


def open_seg_npy(file: SourceFile, limits: Limits) -> ArrayImage:
    """The masks of a file of Cellpose: label values on yx or zyx. Small values are attributes.

    Raises
    ------
    ngff_bio.errors.SourceError
        If it is damaged, has no masks, or has a pickle that could run code.
    """
    content = read_seg_npy(file)
    masks = content.get("masks")
    if not isinstance(masks, PickledArray) or not isinstance(masks.data, _Bytes):
        raise SourceError(
            "the file of Cellpose has no masks",
            file=file.name,
            expected="an array `masks`",
            found=", ".join(content)[:200],
            hint="save the masks in Cellpose again",
        )
    shape = masks.shape
    while len(shape) > 2 and shape[0] == 1:
        shape = shape[1:]
    with damage_named(file.name, "the masks of the file of Cellpose cannot be read"):
        dtype = _plain(masks.dtype)
        size = math.prod(shape) * dtype.itemsize
        if len(shape) not in (2, 3) or size != masks.data.size or min(shape) < 1:
            raise ValueError(f"{size} bytes expected for {shape} of {dtype}")
        if masks.data.offset + masks.data.size > file.size:
            raise ValueError("the file is truncated")
    limits.check_member(size, file.name)
    pixels = NpyArray(file, shape, masks.dtype, masks.data.offset, masks.fortran)
    kept = {k: v for k, v in content.items() if _small(v) and k not in ("filename", "outlines")}
    letters = "zyx"[-len(shape) :]
    return ArrayImage(pixels, axes_from(letters), {"cellpose": kept})


def _small(value: object, depth: int = 3) -> bool:
    """Whether a value can be kept as JSON: a number, a short text, a short list of these."""
    if isinstance(value, list | tuple | dict):
        parts = value.values() if isinstance(value, dict) else value
        return depth > 0 and len(value) <= 16 and all(_small(v, depth - 1) for v in parts)
    if isinstance(value, float):
        return math.isfinite(value)
    return value is None or (isinstance(value, bool | int | str) and len(str(value)) < 200)
