"""Text in drawings: a font of the system with most letters, or else the one that Pillow has."""

from __future__ import annotations

import unicodedata
from contextlib import suppress
from functools import lru_cache

import PIL.ImageDraw
import PIL.ImageFont

Font = PIL.ImageFont.FreeTypeFont | PIL.ImageFont.ImageFont

#: Font files as Linux, Windows and macOS have them.
_FONTS = ("DejaVuSans.ttf", "LiberationSans-Regular.ttf", "arial.ttf", "Arial Unicode.ttf")

#: Characters of a line, whatever the length of names in a store.
_LONGEST = 100

#: What is written instead of letters that a font may lack.
_INSTEAD = {"µ": "u", "μ": "u"}


@lru_cache(maxsize=32)
def font_of(size: int) -> Font:
    """A font of a height in pixels."""
    for name in _FONTS:
        with suppress(OSError):
            return PIL.ImageFont.truetype(name, size)
    return PIL.ImageFont.load_default(size)


def writable(text: str, font: Font) -> str:
    """Text in one line, cut if it is long, with letters that the font lacks replaced."""
    text = text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."
    lacking = bytes(font.getmask("\uffff"))
    written = ""
    for letter in text:
        parts = (letter, _INSTEAD.get(letter, ""), unicodedata.normalize("NFKD", letter)[:1], "?")
        known = (p for p in parts if p.isprintable() and p and bytes(font.getmask(p)) != lacking)
        written += next(known, "?")
    return written


def fitted(text: str, font: Font, width: int) -> str:
    """The end of a text that fits into a width in pixels: of a path, that is its name."""
    text = writable(text, font)
    while font.getlength(text) > width and len(text) > 1:
        text = text[1:]
    return text
