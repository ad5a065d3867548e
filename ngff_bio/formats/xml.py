"""XML documents of tools and instruments: parsed without entities, and as JSON values and back.

As JSON an element without attributes and children is its text; any other is an object of its
attributes (``@name``), its text (``#text``) and its children, of which several of one name are a list.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import accumulate
from typing import Any
from xml.etree import ElementTree

from ngff_bio.errors import SourceError
from ngff_bio.formats.problems import SourceRecord
from ngff_bio.model import SourceFile

Element = ElementTree.Element

#: Levels of elements in a record.
_DEEPEST = 64

#: Bytes at the start of a file in which its root element is looked for.
_SNIFFED = 4096


def parse_xml(data: bytes, name: str, tag: str | None = None) -> Element:
    """The root element of a document; of this `tag`, if one is given.

    Raises
    ------
    ngff_bio.errors.SourceError
        If it is not well-formed XML, defines entities, or has another root element.
    """
    from defusedxml import DefusedXmlException
    from defusedxml.ElementTree import fromstring

    try:
        root: Element = fromstring(data, forbid_dtd=True)
    except (DefusedXmlException, *_NOT_XML) as error:
        raise _not_xml(error, name, empty=not data.strip()) from error
    if tag is not None and root.tag != tag:
        raise SourceError(
            "the file is not of the format",
            file=name,
            expected=f"the root element {tag}",
            found=root.tag,
        )
    return root


#: What parsers raise for bytes that are not XML.
_NOT_XML = (ElementTree.ParseError, ValueError, LookupError, RecursionError)


def _not_xml(error: Exception, name: str, *, empty: bool) -> SourceError:
    from defusedxml import DefusedXmlException

    if isinstance(error, DefusedXmlException):
        return SourceError(
            "the file defines XML entities or a document type, which is not allowed",
            file=name,
            expected="plain XML, as annotation tools write it",
            found=type(error).__name__,
            hint="export the annotations again, or remove the declaration",
        )
    return SourceError(
        "the file is not valid XML",
        file=name,
        expected="well-formed XML",
        found="an empty file" if empty else str(error),
        hint="the file is probably damaged or truncated: download or copy it again",
    )


def local_name(element: Element) -> str:
    """Name of an element without its namespace."""
    return str(element.tag).rpartition("}")[2]


def stream_xml(file: SourceFile, tags: Iterable[str]) -> Iterator[Element]:
    """Elements of some names (without namespace) of a large document, each dropped after its use.

    Elements below one of them are part of it, and are not given by themselves.

    Raises
    ------
    ngff_bio.errors.SourceError
        If it is not well-formed XML, or defines entities.
    """
    from defusedxml import DefusedXmlException
    from defusedxml.ElementTree import iterparse

    wanted, open_tags = frozenset(tags), 0
    with file.open() as stream:
        try:
            above: list[Element] = []
            for event, element in iterparse(stream, ("start", "end"), forbid_dtd=True):
                known = local_name(element) in wanted
                if event == "start":
                    above.append(element)
                    open_tags += known
                    continue
                above.pop()
                open_tags -= known
                if known and not open_tags:
                    yield element
                if not open_tags:
                    element.clear()
                    if above:
                        above[-1].remove(element)
        except (DefusedXmlException, *_NOT_XML) as error:
            raise _not_xml(error, file.name, empty=not file.size) from error


def root_tag(file: SourceFile) -> str | None:
    """Name of the root element, from the first kilobytes; ``None`` if they are not XML."""
    found = _root(file)
    return found[0] if found else None


def root_attributes(file: SourceFile) -> dict[str, str]:
    """Attributes of the root element, from the first kilobytes."""
    found = _root(file)
    return found[1] if found else {}


def _root(file: SourceFile) -> tuple[str, dict[str, str]] | None:
    from xml.parsers.expat import ExpatError, ParserCreate

    tags: list[tuple[str, dict[str, str]]] = []
    parser = ParserCreate()
    parser.StartElementHandler = lambda tag, attributes: tags.append((tag, attributes))
    with suppress(ExpatError, LookupError, ValueError):  # an encoding that is not known
        parser.Parse(file.read_range(0, min(file.size, _SNIFFED)), False)
    return tags[0] if tags else None


def as_json(element: Element, depth: int = 0) -> Any:
    """An element as a JSON value; see the module.

    Raises
    ------
    ngff_bio.errors.SourceError
        If elements are nested too deeply.
    """
    if depth > _DEEPEST:
        raise SourceError(
            "XML elements are nested too deeply",
            record=element.tag,
            expected=f"at most {_DEEPEST} levels",
            hint="if it is not an annotation file, leave it out with --exclude GLOB",
        )
    children: dict[str, list[object]] = {}
    for child in element:
        children.setdefault(child.tag, []).append(as_json(child, depth + 1))
    text = element.text or ""
    if not element.attrib and not children:
        return text
    found: dict[str, object] = {f"@{name}": value for name, value in element.attrib.items()}
    if text.strip():
        found["#text"] = text
    found.update({tag: v[0] if len(v) == 1 else v for tag, v in children.items()})
    return found


def from_json(tag: str, value: object) -> Element:
    """The element of a JSON value that `as_json` gave."""
    element = Element(tag)
    if not isinstance(value, Mapping):
        element.text = "" if value is None else str(value)
        return element
    for key, member in value.items():
        if key.startswith("@"):
            element.set(key[1:], str(member))
        elif key == "#text":
            element.text = str(member)
        else:
            for one in member if isinstance(member, list) else [member]:
                element.append(from_json(key, one))
    return element


def take_children(root: Element, parent: str, child: str) -> list[int]:
    """Take the elements `child` out of all elements `parent`; their number in each.

    What is left is the part of a document that belongs to no record.
    """
    counts = []
    for one in list(root.iter(parent)):
        kept = [c for c in one if c.tag != child]
        counts.append(len(one) - len(kept))
        one[:] = kept
    return counts


def put_children(
    root: Element,
    parent: str,
    child: str,
    counts: Sequence[int],
    found: Iterable[tuple[int, object]],
) -> None:
    """Put elements back that `take_children` took: the position of each among all, and its JSON."""
    parents, ends = list(root.iter(parent)), list(accumulate(counts))
    for place, value in sorted(found, key=lambda one: one[0]):
        parents[bisect_right(ends, place)].append(from_json(child, value))


def write_xml(root: Element) -> bytes:
    """A document, indented, in UTF-8."""
    ElementTree.indent(root)
    text: bytes = ElementTree.tostring(root, "utf-8", xml_declaration=True)
    return text + b"\n"


def number_of(element: Element, key: str, at: SourceRecord, *, of_child: bool = False) -> float:
    """A number in an attribute of an element, or in a child element.

    Raises
    ------
    ngff_bio.errors.SourceError
        If it is missing, or not a finite number.
    """
    text = element.findtext(key) if of_child else element.get(key)
    try:
        value = float(text or "")
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise at.member(f".{key}").error(
            "a value is missing" if text is None else "a value is not a number",
            expected="a number",
            found="no such value" if text is None else repr(text)[:80],
        )
    return value


def children(element: Element, *tags: str) -> Iterator[Element]:
    """Children of one of the names, in the order of the document."""
    return (child for child in element if child.tag in tags)
