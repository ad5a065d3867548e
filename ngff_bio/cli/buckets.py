"""Options of every command that say where a bucket is and with which rights it is read and written."""

from __future__ import annotations

import functools
import inspect
import os
import sys
from pathlib import Path
from typing import Annotated, Any, cast

import typer

from ngff_bio.cli.options import PAIR, Command, keyword, parse_pairs, with_parameters
from ngff_bio.printing import printable

_panel = functools.partial(typer.Option, rich_help_panel="Buckets")
_KEYS = "endpoint=..., access_key_id=env:NAME, secret_access_key=@FILE, ...; repeatable."
_OPTIONS = {
    "source_option": Annotated[
        list[str] | None, _panel(help=f"Option of the source's bucket: {_KEYS}", metavar=PAIR)
    ],
    "storage_option": Annotated[
        list[str] | None, _panel(help=f"Option of the store's bucket: {_KEYS}", metavar=PAIR)
    ],
    "out_option": Annotated[
        list[str] | None, _panel(help=f"Option of the bucket of OUT: {_KEYS}", metavar=PAIR)
    ],
    "profile": Annotated[
        str | None, _panel(help="Profile of ~/.aws/config and ~/.aws/credentials.", metavar="NAME")
    ],
    "anon": Annotated[bool, _panel("--anon", help="Read public buckets without credentials.")],
    "endpoint": Annotated[
        str | None, _panel(help="URL of the server of the buckets, if not AWS.", metavar="URL")
    ],
    "region": Annotated[str | None, _panel(help="Region of the buckets.", metavar="NAME")],
}


def with_bucket_options(command: Command) -> Command:
    """Give a command the options of buckets, in place of its parameters for them.

    Those are ``source_options``, ``storage_options`` and ``out_options``. The options that name none
    of them hold for all; what is given by name wins.
    """
    signature = inspect.signature(command, eval_str=True)
    known = ("source_options", "storage_options", "out_options")
    places = [n for n in known if n in signature.parameters]
    hidden = {name.removesuffix("s") for name in known if name not in places}
    # A region of pixels has the name first: the bucket's is then an option with a name.
    shown = [n for n in _OPTIONS if n not in hidden and n not in signature.parameters]

    @functools.wraps(command)
    def run(**given: Any) -> None:
        words = {name: given.pop(name) for name in shown}
        for place in places:
            flag = f"--{place.removesuffix('s').replace('_', '-')}"
            given[place] = _options(words.get(place.removesuffix("s")), flag, words)
        command(**given)

    parameters = [p for p in signature.parameters.values() if p.name not in places]
    parameters += [keyword(n, _OPTIONS[n], False if n == "anon" else None) for n in shown]
    return cast("Command", with_parameters(run, parameters))


def _options(pairs: list[str] | None, flag: str, words: dict[str, Any]) -> dict[str, Any]:
    """Options of one place."""
    given = {name: _value(name, value, flag) for name, value in parse_pairs(pairs, flag).items()}
    names = {"profile": "profile", "anon": "skip_signature", "endpoint": "endpoint"}
    shared = {ours: words[n] for n, ours in {**names, "region": "region"}.items() if words.get(n)}
    rights = {"profile", "skip_signature", "anon", "access_key_id", "key", "aws_access_key_id"}
    if given.keys() & rights:
        shared = {k: v for k, v in shared.items() if k not in rights}
    if "endpoint_url" in given:
        shared.pop("endpoint", None)
    return shared | given


def _value(name: str, value: str, flag: str) -> str:
    """A value, or what a variable or file holds: a secret is then not in the list of processes."""
    from ngff_bio.errors import ArgumentError
    from ngff_bio.storage.failures import SECRET

    if value.startswith("env:"):
        if (found := os.environ.get(value[4:])) is None:
            raise ArgumentError(
                "a variable of the environment is not set",
                found=f"{flag} {name}={value}",
                hint=f"set it, or keep the value in a file: {flag} {name}=@FILE",
            )
        return found
    if value.startswith("@"):
        try:
            return Path(value[1:]).expanduser().read_text("utf-8").strip()
        except (OSError, ValueError) as error:
            raise ArgumentError(
                "the file with the value of an option cannot be read",
                file=value[1:],
                record=f"{flag} {name}",
                found=type(error).__name__,
            ) from error
    if SECRET.search(name) and "key_id" not in name:
        text = (
            f"warning: {flag} {name}=... shows a secret to all who can list the processes of this "
            f"machine: give {name}=env:VARIABLE or {name}=@FILE"
        )
        print(printable(text), file=sys.stderr)
    return value
