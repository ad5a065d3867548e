"""What may be printed, logged or stored of a foreign string: no secret, nothing that a terminal obeys.

Errors, reports and the consoles of the command line pass every string through here, so that no other
place has to remember it.
"""

from __future__ import annotations

import re
from typing import Any

#: User and password of a URL; a password may have what it must not, as ``/``, but not begin as a port.
_USER = re.compile(r"(://)(?:[^/\s?#]*|[^/\s?#@:]*:(?!\d*(?:[/?#]|$))[^\s@]*)@")

#: Parameters of a query whose value is a secret: those of signed URLs of S3, Google and Azure, tokens.
_PARAMETER = re.compile(
    r"([?&;#](?:x-(?:amz|goog|ms)-[\w-]*|code|sas|"
    r"[\w.-]*(?:sig|token|secret|pass|pwd|key|credential|auth|jwt|hmac|session)[\w.-]*)=)"
    r"[^&;#\s\"'<>]*",
    re.IGNORECASE,
)

HIDDEN = "***"


def without_secrets(text: str) -> str:
    """A text whose URLs have no user, no password and no signature or token in their query."""
    if "@" in text:
        text = _USER.sub(rf"\1{HIDDEN}@", text)
    return _PARAMETER.sub(rf"\1{HIDDEN}", text) if "=" in text else text


def printable(text: str) -> str:
    """A text on one line that a terminal only shows, without secrets.

    White space becomes a space; other control characters, those that change the direction of writing
    (U+202E) and lone surrogates become escapes: ``\\x1b``, ``\\u202e``.
    """
    text = without_secrets(text)
    if text.isprintable():
        return text
    return "".join(
        c if c.isprintable() else " " if c in "\n\r\t" or c.isspace() else _escaped(c) for c in text
    )


def _escaped(character: str) -> str:
    return character.encode("unicode_escape", "surrogatepass").decode("ascii")


def clean_json(value: Any) -> Any:
    """A JSON value of a report whose strings are as :func:`without_secrets` returns them."""
    if isinstance(value, str):
        return without_secrets(value)
    if isinstance(value, dict):
        return {clean_json(key): clean_json(item) for key, item in value.items()}
    return [clean_json(item) for item in value] if isinstance(value, list | tuple) else value
