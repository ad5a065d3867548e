"""What hints and messages recommend exists: options of commands, of formats, and extras to install."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import click
import typer.main

from ngff_bio.cli import RENAMED
from ngff_bio.cli.app import app
from ngff_bio.sources import sources

ROOT = Path(__file__).resolve().parents[2]

OPTION = re.compile(r"(?<![\w-])--[a-z][a-z-]*[a-z]")
COMMAND = re.compile(r"`ngff-bio ([a-z]+)([^`]*)`")
SOURCE_OPTION = re.compile(r"-O ([a-z_]+)=|--option ([a-z_]+)=")
EXTRA = re.compile(r"ngff-bio\[([a-z, ]+)\]")


def texts() -> Iterator[tuple[Path, int, str]]:
    """File, line and text of every string of the package that is not a docstring.

    What is filled in at run time is shown as ``{}``.
    """
    for path in sorted((ROOT / "ngff_bio").rglob("*.py")):
        tree = ast.parse(path.read_text("utf-8"))
        inner = set()
        for node in ast.walk(tree):
            if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
                inner.add(id(node.value))  # a docstring
            elif isinstance(node, ast.JoinedStr):
                inner |= {id(part) for part in node.values}
                parts = (p.value if isinstance(p, ast.Constant) else "{}" for p in node.values)
                yield path, node.lineno, "".join(map(str, parts))
            elif isinstance(node, ast.Constant) and id(node) not in inner:
                yield path, node.lineno, str(node.value)


def options_of(command: click.Command) -> set[str]:
    names = (name for p in command.params for name in (*p.opts, *p.secondary_opts))
    return {*names, "--help"}


def commands() -> dict[str, click.Command]:
    group = typer.main.get_command(app)
    found = dict(group.commands)  # type: ignore[attr-defined]
    for name, command in list(found.items()):  # `labels add`
        found |= {f"{name} {n}": c for n, c in getattr(command, "commands", {}).items()}
    return {**found, "": group}


def test_every_option_that_a_text_names_is_an_option_of_a_command() -> None:
    # --debug is taken out of the arguments of any command before they are parsed.
    known = {"--debug"}.union(*(options_of(command) for command in commands().values()))
    renamed = {old for table in RENAMED.values() for old in table}
    named = [
        (path, line, option)
        for path, line, text in texts()
        if text not in renamed  # the table of old names itself
        and path.name != "policies.py"  # commands of other programs
        for option in OPTION.findall(text)
    ]
    assert len(named) > 20
    assert [f"{p.name}:{line} {option}" for p, line, option in named if option not in known] == []


def test_every_command_that_a_text_names_exists_with_its_options() -> None:
    wrong = []
    seen = 0
    for path, line, text in texts():
        for name, rest in COMMAND.findall(text):
            seen += 1
            command = commands().get(name)
            if command is None or not {*OPTION.findall(rest)} <= {*options_of(command), "--debug"}:
                wrong.append(f"{path.name}:{line} ngff-bio {name}{rest}")
    assert seen
    assert wrong == []


def test_every_source_option_that_a_text_names_is_an_option_of_its_format() -> None:
    """In a format's own module of that format; elsewhere of any."""
    by_module: dict[str, set[str]] = {}
    for source in sources().values():
        home = ".".join(source.read.__module__.split(".")[:3])
        by_module.setdefault(home, set()).update(source.options)
    everywhere = set().union(*by_module.values())
    named = []
    for path, line, text in texts():
        module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        own = [names for home, names in by_module.items() if f"{module}.".startswith(f"{home}.")]
        known = set().union(*own) if own else everywhere
        for match in SOURCE_OPTION.findall(text):
            named.append((path.name, line, "".join(match), known))
    assert named
    assert [f"{p}:{line} {name}" for p, line, name, known in named if name not in known] == []


def test_every_extra_that_a_text_names_can_be_installed() -> None:
    with (ROOT / "pyproject.toml").open("rb") as file:
        extras = tomllib.load(file)["project"]["optional-dependencies"]
    named = {
        name for *_, text in texts() for match in EXTRA.findall(text) for name in match.split(",")
    }
    assert {"cluster", "tracks"} <= named <= set(extras)
