"""Iteration over a JSON object of any size in bounded memory: its members, and the elements of some.

A JSON text is read window by window. NumPy finds the quotes and brackets of a window at some GB/s.
The depth of each bracket follows from them, and so where each member of the outermost object and each
element of the requested members begins and ends. What lies between is left to a real parser.
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from ngff_bio.errors import SourceError
from ngff_bio.formats.json.text import has_comments, invalid_json

Positions = NDArray[np.int64]

#: Bytes that are scanned at once; larger windows are not faster.
WINDOW = 4 << 20

#: Nesting of brackets that is accepted; COCO needs five, and parsers fail at some hundred.
_MAX_DEPTH = 200

#: Longest value outside of brackets, with the white space around it.
_MAX_GAP = 16 << 20

#: Longest element: a mask of a whole slide takes some MB.
_MAX_ELEMENT = 256 << 20

#: Replaces a list or an object where only what is around it is parsed.
_MARK = b"[]"

_SPACE = b" \t\r\n"

#: What may stand between two elements.
SEPARATORS = _SPACE + b","

_KEY = re.compile(rb'("(?:[^"\\]|\\.)*")\s*:\s*')
_QUOTE, _BACKSLASH, _BRACKETS = ord('"'), ord("\\"), 0x7F


@dataclass(frozen=True, slots=True)
class Scalar:
    """A member of the outermost object that is a string, a number, true, false or null."""

    key: str
    value: Any


@dataclass(frozen=True, slots=True)
class Container:
    """A member that is a list or an object: bytes ``start`` to ``stop`` of the file."""

    key: str
    start: int
    stop: int
    is_list: bool


@dataclass(frozen=True, slots=True)
class Elements:
    """Consecutive whole elements of a requested member.

    Parameters
    ----------
    key
        The member.
    is_list
        Whether it is a list; else it is an object, and each element begins with its key.
    text
        From the first byte of the first element to the last byte of the last one.
    offset
        Position of `text` in the file.
    starts, stops
        int64, position of each element in `text`. In an object, an element begins right after the
        one before it, with comma and key.
    lead
        What separates `text` from the element before it.
    """

    key: str
    is_list: bool
    text: bytes
    offset: int
    starts: Positions
    stops: Positions
    lead: bytes = b""

    def items(self) -> Iterator[tuple[str | None, bytes]]:
        """Key, where they have one, and JSON text of each element."""
        for start, stop in zip(self.starts.tolist(), self.stops.tolist(), strict=True):
            yield split_element(self.text[start:stop], is_list=self.is_list)


def split_element(text: bytes, *, is_list: bool) -> tuple[str | None, bytes]:
    """Key, in an object, and JSON text of an element that may begin with a comma."""
    text = text.lstrip(SEPARATORS)
    if is_list:
        return None, text
    match = _KEY.match(text)
    if match is None:
        raise ValueError("no key")
    return json.loads(match[1]), text[match.end() :]


@dataclass(slots=True)
class BracketScanner:
    """Brackets outside of strings, block after block of one text."""

    depth: int = 0
    in_string: bool = False
    escapes: bool = False

    def feed(self, block: NDArray[np.uint8]) -> tuple[Positions, NDArray[np.bool_], Positions]:
        """Positions in `block`, whether each opens, and the depth after it."""
        # [ ] { } become 0x7F with these bits set; so do Y, _, y and DEL, which are sorted out next.
        found = np.flatnonzero(((block | 0x26) == _BRACKETS) | (block == _QUOTE))
        code = block[found]
        quote = code == _QUOTE
        escaped = self._escaped(block)
        if escaped.size:
            quote &= ~np.isin(found, escaped)
        inside = (np.cumsum(quote) + self.in_string) % 2 == 1
        if inside.size:
            self.in_string = bool(inside[-1])
        opens = (code == 0x5B) | (code == 0x7B)
        keep = (opens | (code == 0x5D) | (code == 0x7D)) & ~inside
        found, opens = found[keep], opens[keep]
        depth: Positions = np.cumsum(np.where(opens, 1, -1)) + self.depth
        if depth.size:
            self.depth = int(depth[-1])
        return found, opens, depth

    def _escaped(self, block: NDArray[np.uint8]) -> Positions:
        """Positions of characters that follow an odd number of backslashes."""
        slashes = np.flatnonzero(block == _BACKSLASH)
        carried, self.escapes = self.escapes, False
        if not slashes.size:
            return np.zeros(1 if carried else 0, np.int64)
        first = np.flatnonzero(np.diff(slashes, prepend=-2) != 1)
        lengths = np.diff(first, append=slashes.size)
        after: Positions = slashes[first] + lengths
        if carried and slashes[0] == 0:
            lengths[0] += 1
        odd: Positions = after[lengths % 2 == 1]
        if carried and slashes[0] != 0:
            odd = np.concatenate(([0], odd))
        if odd.size and odd[-1] == block.size:
            self.escapes = True
            odd = odd[:-1]
        return odd


@dataclass(slots=True)
class JsonWalk:
    """An iterator over the members of the outermost object of a file.

    Parameters
    ----------
    stream, name
        The file, open for reading, and its name for errors.
    streamed
        Keys of the members whose elements are wanted; of others only the position is returned.
    window
        Bytes that are scanned at once.
    progress
        Called with the number of bytes read so far.
    """

    stream: BinaryIO
    name: str
    streamed: Collection[str] = ()
    window: int = WINDOW
    progress: Callable[[int], None] | None = None
    _gap: bytearray = field(default_factory=bytearray)
    _keys: list[str] = field(default_factory=list)
    _current: str | None = None
    _opened: int = 0
    _opened_list: bool = False
    _kept: bytes = b""
    _ended: bool = False

    def __iter__(self) -> Iterator[Scalar | Container | Elements]:
        """Members in the order of the file.

        Raises
        ------
        ngff_bio.errors.SourceError
            If it is not a JSON object: truncated, not UTF-8, with comments, nested too deeply, a key
            twice.
        """
        scanner = BracketScanner()
        decoder = codecs.getincrementaldecoder("utf-8")()
        done = 0
        while block := self.stream.read(self.window):
            if done == 0 and block.startswith(codecs.BOM_UTF8):
                block = b" " * len(codecs.BOM_UTF8) + block[len(codecs.BOM_UTF8) :]
            self._check_text(block, decoder, done)
            array = np.frombuffer(block, np.uint8)
            before = scanner.depth
            places, opens, depth = scanner.feed(array)
            self._check_depth(depth, places, done)
            yield from self._window(block, done, before, places, opens, depth)
            done += len(block)
            if self.progress is not None:
                self.progress(done)
        if not self._ended:
            inside = "" if self._current is None else f", inside of {self._current!r}"
            raise SourceError(
                "the JSON ends before it is complete",
                file=self.name,
                expected="a closing bracket for each opening one",
                found=f"the end of the file after {done:,} bytes{inside}",
                hint="JSON has no comments: remove them"
                if has_comments(self._head())
                else "the file is truncated: download or copy it again",
            )

    def _window(
        self,
        block: bytes,
        offset: int,
        before: int,
        places: Positions,
        opens: NDArray[np.bool_],
        depth: Positions,
    ) -> Iterator[Scalar | Container | Elements]:
        """Cut a window at the brackets of the outermost levels."""
        outer = np.flatnonzero(np.where(opens, depth <= 2, depth <= 1))
        inner = np.flatnonzero(np.where(opens, depth == 3, depth == 2))
        at = 0  # end of the part of the window that has been handled
        level = before
        for index in [*outer.tolist(), -1]:
            stop = len(block) if index < 0 else int(places[index])
            if level >= 2:
                if self._current in self.streamed:
                    chosen = inner[(places[inner] >= at) & (places[inner] < stop)]
                    yield from self._elements(
                        block, offset, at, stop, places[chosen], opens[chosen]
                    )
                if index < 0:
                    return
                yield self._close(block, offset, stop)
                at, level = stop + 1, 1
                continue
            self._collect(block[at:stop], offset + at)
            if index < 0:
                return
            at = stop + 1
            level = int(depth[index])
            if level == 2:
                yield from self._open(block, offset, stop)
            elif level == 0:
                yield from self._end(block, offset, stop)
            elif block[stop] != ord("{"):
                raise SourceError(
                    "the outermost value of the JSON is not an object",
                    file=self.name,
                    expected='an object with "images" and "annotations"',
                    found="a list",
                    hint="a list of results is not a COCO dataset: it lacks the images",
                )

    def _collect(self, piece: bytes, offset: int) -> None:
        """Keep what stands between members until it can be parsed."""
        if self._ended and piece.strip(_SPACE):
            raise self._malformed(offset, "nothing after the outermost object", _start(piece))
        self._gap += piece
        if len(self._gap) > _MAX_GAP:
            raise SourceError(
                "a value outside of brackets is too long",
                file=self.name,
                record=f"byte {offset:,}",
                expected=f"at most {_MAX_GAP:,} bytes",
            )

    def _open(self, block: bytes, offset: int, place: int) -> Iterator[Scalar]:
        """A list or an object begins in the outermost one: which key is before it?"""
        pairs = self._pairs(bytes(self._gap) + _MARK + b"}", offset + place)
        self._gap.clear()
        yield from (Scalar(*pair) for pair in pairs[:-1])
        self._current, self._opened = pairs[-1][0], offset + place
        self._opened_list = block[place] == ord("[")
        self._kept = b""

    def _close(self, block: bytes, offset: int, place: int) -> Container:
        is_list = block[place] == ord("]")
        if is_list != self._opened_list:
            raise self._malformed(offset + place, "another closing bracket", chr(block[place]))
        key = self._current or ""
        self._current = None
        if key in self.streamed and self._kept.strip(_SPACE):
            raise self._malformed(offset + place, f"an element of {key!r}", _start(self._kept))
        self._kept = b""
        self._gap += _MARK  # stands for the member in what is parsed next
        return Container(key, self._opened, offset + place + 1, is_list)

    def _end(self, block: bytes, offset: int, place: int) -> Iterator[Scalar]:
        if block[place] != ord("}"):
            raise self._malformed(offset + place, "a brace at the end", "]")
        pairs = self._pairs(bytes(self._gap) + b"}", offset + place)
        self._gap.clear()
        self._ended = True
        yield from (Scalar(*pair) for pair in pairs)

    def _pairs(self, text: bytes, place: int) -> list[tuple[str, Any]]:
        """Members between two brackets: the text from one to the next, made an object of its own."""
        if self._keys:
            rest = text.removeprefix(_MARK).lstrip(_SPACE)
            if not rest.startswith((b",", b"}")):
                raise self._malformed(place, "a comma", _start(rest))
            text = rest.removeprefix(b",")
            if rest.startswith(b",") and text.lstrip(_SPACE).startswith(b"}"):
                raise self._malformed(place, "another member after the comma", "}")
        text = b"{" + text
        try:
            pairs: list[tuple[str, Any]] = json.loads(text, object_pairs_hook=list)
        except (ValueError, RecursionError) as error:
            raise self._malformed(place, "members of an object", f"{error}") from error
        for key, _ in pairs:
            if key in self._keys:
                raise SourceError(
                    "the outermost object has a key twice",
                    file=self.name,
                    record=key,
                    expected="each key once",
                    hint="rename or remove one of the two",
                )
            self._keys.append(key)
        return pairs

    def _elements(
        self,
        block: bytes,
        offset: int,
        begin: int,
        end: int,
        places: Positions,
        opens: NDArray[np.bool_],
    ) -> Iterator[Elements]:
        """Whole elements between two places of a window; the rest is kept for the next one."""
        start = offset + begin - len(self._kept)
        text = self._kept + block[begin:end] if self._kept else block[begin:end]
        shift = len(text) - (end - begin)
        stops = places[~opens] + (1 - begin + shift)
        if not stops.size:
            self._kept = text
            if len(text) > _MAX_ELEMENT:
                raise SourceError(
                    "an element is too large",
                    file=self.name,
                    record=f"{self._current!r}, byte {start:,}",
                    expected=f"at most {_MAX_ELEMENT:,} bytes",
                )
            return
        last = int(stops[-1])
        self._kept = text[last:]
        first = 0
        if self._opened_list:
            starts = places[opens] - begin + shift
            if not opens[0]:  # the first one began in an earlier window
                starts = np.concatenate(([_skipped(text)], starts))
            starts = starts[: stops.size]
            lead = text[: int(starts[0])].strip(_SPACE)
            due = b"" if start == self._opened + 1 else b","
            if lead != due:
                raise self._malformed(start, "a comma between elements", _start(lead))
            first = int(starts[0])
        else:
            if text.lstrip(_SPACE).startswith(b",") == (start == self._opened + 1):
                raise self._malformed(start, "a comma between elements", _start(text))
            starts = np.concatenate(([0], stops[:-1]))
        yield Elements(
            self._current or "",
            self._opened_list,
            text[first:last],
            start + first,
            starts - first,
            stops - first,
            text[:first],
        )

    def _check_text(self, block: bytes, decoder: Any, offset: int) -> None:
        if block.isascii() and not decoder.getstate()[0]:
            return
        try:
            decoder.decode(block)
        except UnicodeDecodeError as error:
            raise SourceError(
                "the JSON is not UTF-8",
                file=self.name,
                record=f"byte {max(offset + error.start, 0):,}",
                expected="UTF-8, as RFC 8259 requires",
                found=error,
                hint="save the file as UTF-8 (`iconv -f LATIN1 -t UTF-8` for old files)",
            ) from error

    def _check_depth(self, depth: Positions, places: Positions, offset: int) -> None:
        if not depth.size:
            return
        if int(depth.max()) > _MAX_DEPTH:
            place = int(places[np.argmax(depth > _MAX_DEPTH)])
            raise SourceError(
                "the JSON is nested too deeply",
                file=self.name,
                record=f"byte {offset + place:,}",
                expected=f"at most {_MAX_DEPTH} brackets inside each other",
                found="more",
            )
        if int(depth.min()) < 0:
            place = int(places[np.argmax(depth < 0)])
            raise self._malformed(offset + place, "an opening bracket before a closing one", "none")

    def _malformed(self, place: int, expected: str, found: str) -> SourceError:
        record = f"about byte {place:,}"
        return invalid_json(self.name, self._head(), found, record=record, expected=expected)

    def _head(self) -> bytes:
        """The start of the file, to look for what may be wrong."""
        if not self.stream.seekable():
            return b""
        self.stream.seek(0)
        return self.stream.read(1 << 16)


def _skipped(text: bytes) -> int:
    """Position of the first bracket after white space and a comma."""
    return len(text) - len(text.lstrip(SEPARATORS))


def _start(text: bytes) -> str:
    return repr(text[:30])
