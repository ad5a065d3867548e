"""Iteration over a JSON object of any size in bounded memory: its members, and the elements of some.

A JSON text is read window by window. NumPy finds the quotes and brackets of a window at some GB/s.
The depth of each bracket follows from them, and so where each list and object in the outermost object
and each element of the requested ones begins and ends. What is outside of them is parsed at the end.
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from ngff_bio.errors import SourceError, plain_reason
from ngff_bio.formats.json.brackets import BracketScanner, Positions
from ngff_bio.formats.json.text import JsonObject, has_comments, invalid_json

#: Bytes that are scanned at once; larger windows are not faster.
WINDOW = 4 << 20

#: Nesting of brackets that is accepted; COCO needs five, and parsers fail at some hundred.
_MAX_DEPTH = 200

#: Largest size of all that is not inside of a list or an object of the outermost object.
_MAX_OUTSIDE = 16 << 20

#: Longest element: a mask of a whole slide takes some MB.
_MAX_ELEMENT = 256 << 20

_SPACE = b" \t\r\n"

#: What may stand between two elements.
SEPARATORS = _SPACE + b","

_KEY_AT_END = re.compile(rb'("(?:[^"\\]|\\.)*")\s*:\s*$')
_KEY = re.compile(rb'("(?:[^"\\]|\\.)*")\s*:\s*')


@dataclass(frozen=True, slots=True)
class Container:
    """A list or an object in the outermost object: bytes ``start`` to ``stop`` of the file."""

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
class JsonWalk:
    """An iterator over the elements of some members of the outermost object of a file.

    Parameters
    ----------
    stream, name
        The file, open for reading, and its name for errors.
    streamed
        Keys of the members whose elements are wanted.
    window
        Bytes that are scanned at once.
    progress
        Called with the number of bytes read so far.
    members
        Set when the iteration has ended. All members, in the order of the file: a `Container` for
        each list or object, else the value.
    """

    stream: BinaryIO
    name: str
    streamed: Collection[str] = ()
    window: int = WINDOW
    progress: Callable[[int], None] | None = None
    members: JsonObject = field(default_factory=dict)
    #: What is outside of lists and objects, each of which is replaced by ``[]``.
    _outside: bytearray = field(default_factory=bytearray)
    _containers: list[Container] = field(default_factory=list)
    _key_from: int = 0
    _current: str | None = None
    _opened: int = 0
    _opened_list: bool = False
    _kept: bytes = b""

    def __iter__(self) -> Iterator[Elements]:
        """Elements of the streamed members in the order of the file.

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
            before = scanner.depth
            places, opens, depth = scanner.feed(np.frombuffer(block, np.uint8))
            self._check_depth(depth, places, done)
            yield from self._window(block, done, before, places, opens, depth)
            done += len(block)
            if self.progress is not None:
                self.progress(done)
        if scanner.depth or not self._outside.strip():
            inside = "" if self._current is None else f", inside of {self._current!r}"
            raise SourceError(
                "the JSON ends before it is complete",
                file=self.name,
                expected="a closing bracket for each opening one",
                found=f"the end of the file after {done:,} bytes{inside}",
                hint="JSON has no comments: remove them"
                if has_comments(self._head())
                else "the file is truncated: download or copy it again, or leave it out with "
                "--exclude GLOB",
            )
        self.members = self._parsed()

    def _window(
        self,
        block: bytes,
        offset: int,
        before: int,
        places: Positions,
        opens: NDArray[np.bool_],
        depth: Positions,
    ) -> Iterator[Elements]:
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
                self._close(offset + stop, block[stop : stop + 1])
                level = 1
            else:
                self._outside += block[at:stop]
                if len(self._outside) > _MAX_OUTSIDE:
                    raise SourceError(
                        "the JSON has a value that is too long",
                        file=self.name,
                        record=f"byte {offset + at:,}",
                        expected=f"at most {_MAX_OUTSIDE:,} bytes outside of brackets",
                    )
                if index < 0:
                    return
                level = int(depth[index])
                bracket = block[stop : stop + 1]
                if level == 2:
                    self._open(offset + stop, bracket)
                else:
                    self._outside += bracket
                    if bracket == b"[":
                        raise self._not_an_object()
            at = stop + 1

    def _not_an_object(self) -> SourceError:
        return SourceError(
            "the outermost value of the JSON is not an object",
            file=self.name,
            expected='an object with "images" and "annotations"',
            hint="a list of results is not a COCO dataset: it lacks the images",
        )

    def _open(self, place: int, bracket: bytes) -> None:
        """A list or an object begins in the outermost one."""
        match = _KEY_AT_END.search(self._outside[self._key_from :])
        if match is None:
            raise self._malformed(place, "a key before the bracket", bracket.decode())
        try:
            self._current = json.loads(match[1])
        except ValueError as error:
            raise self._malformed(place, "a key before the bracket", plain_reason(error)) from error
        self._opened, self._opened_list, self._kept = place, bracket == b"[", b""

    def _close(self, place: int, bracket: bytes) -> None:
        if (bracket == b"]") != self._opened_list:
            raise self._malformed(place, "another closing bracket", bracket.decode())
        if self._current in self.streamed and self._kept.strip(_SPACE):
            raise self._malformed(place, f"an element of {self._current!r}", _start(self._kept))
        self._current, self._kept = None, b""
        self._containers.append(Container(self._opened, place + 1, self._opened_list))
        self._outside += b"[]"
        self._key_from = len(self._outside)

    def _parsed(self) -> JsonObject:
        try:
            pairs = json.loads(self._outside.decode(), object_pairs_hook=list)
        except (ValueError, RecursionError) as error:
            expected = "members of an object, each value followed by a comma"
            raise invalid_json(self.name, self._head(), error, expected=expected) from error
        if not isinstance(pairs, list):
            raise self._not_an_object()
        keys = [key for key, _ in pairs]
        if len(set(keys)) < len(keys):
            raise SourceError(
                "the outermost object has a key twice",
                file=self.name,
                record=next(k for k in keys if keys.count(k) > 1),
                expected="each key once",
                hint="rename or remove one of the two",
            )
        containers = iter(self._containers)
        return {key: next(containers) if value == [] else value for key, value in pairs}

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

    def _check_text(self, block: bytes, decoder: codecs.IncrementalDecoder, offset: int) -> None:
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
                found=f"byte 0x{error.object[error.start]:02x}",
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
