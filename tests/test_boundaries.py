"""Stored names and foreign strings pass through one place each, as far as the source can tell.

Bytes of a store are read and written by a storage, which checks each key; names of exported files are
made by ``place_below``; strings are printed by the console of ``cli/output.py``, or cleaned by
``printable``. Each exception is listed with its reason; one that is no longer needed fails too.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from test_architecture import modules

#: Parts of the package that handle the content of a store, and what writes its names elsewhere.
STORES = ("reader", "checks", "zarrio", "ngff", "viewing", "copying", "publishing")
WRITERS = ("export", "copying", "storage")

#: Calls that open or remove a file by its name.
OPENING = {"open", "read_bytes", "read_text", "write_bytes", "write_text", "rmtree", "unlink"}

#: Objects whose ``open`` takes no name of a file.
OPENED = {"type(self)", "NodeTree", "Hierarchy", "reader", "self", "part", "webbrowser", "zarr"}

#: Functions that open a file whose name is not from a store, or not a file.
OWN_FILES = {
    ("publishing.croissant", "_sha256"): "a file of a temporary folder",
    ("publishing.croissant", "write_annotations"): "the same",
    ("publishing.description", "_read"): "dataset.yaml, which the user names",
    ("checks.source.redraw", "_mask"): "an image in memory",
    ("checks.spec.findings", "rule_table"): "a file of this package",
    ("ngff.attributes", "write_schemas"): "the folder of the schemas",
    ("reader.xarray.backend", "_mentions"): "the root documents of a place that the user names",
}

#: Functions that join a path with something else than a text of ours.
OWN_NAMES: dict[tuple[str, str], str] = {
    ("copying.archive", "copy_to_zip"): "the key of the archive itself, which the user names",
    ("export.formats.label_folders", "write_cellpose"): "train or test",
    ("export.formats.label_folders", "write_stardist"): "train or test",
}

#: Functions that print or warn with strings of ours, or with ones that are clean.
OWN_TEXTS = {
    ("cli", "current_options"): "names of our options",
    ("cli.app", "_version"): "our version",
    ("cli.options", "parse_options"): "names of our options",
    ("cli.output", "__init__"): "the progress bar: it prints no string of a source",
    ("cli.output", "print_json"): "JSON in ASCII",
    ("deprecation", "wrapper"): "names of our parameters",
    ("model", "__getattr__"): "names of our classes",
}

Place = tuple[str, str]


def nodes(packages: tuple[str, ...]) -> Iterator[tuple[Place, ast.AST]]:
    """Each node of the modules below some packages (all if none), with its module and function."""

    def walk(node: ast.AST, inside: str) -> Iterator[tuple[str, ast.AST]]:
        for child in ast.iter_child_nodes(node):
            own = child.name if isinstance(child, ast.FunctionDef) else inside
            yield own, child
            yield from walk(child, own)

    for module, tree in modules().items():
        name = module.partition(".")[2]
        if not packages or name.partition(".")[0] in packages:
            yield from (((name, inside), node) for inside, node in walk(tree, ""))


def opens(call: ast.Call) -> bool:
    """Whether a call opens or removes a file by a name."""
    owner, _, method = ast.unparse(call.func).rpartition(".")
    return method in OPENING and owner not in OPENED


def joins(node: ast.BinOp) -> bool:
    """Whether a path is joined with something that is not a text of ours."""
    if not isinstance(node.op, ast.Div):
        return False
    left = ast.unparse(node.left)
    paths = any(word in left for word in ("place", "root", "folder", "path", "parent"))
    return paths and not isinstance(node.right, ast.Constant)


def prints(call: ast.Call) -> bool:
    """Whether a call prints, or warns, with something else than a constant or a cleaned string."""
    name = ast.unparse(call.func)
    if name not in ("print", "typer.echo", "typer.secho", "Console", "warnings.warn") and not (
        name.endswith((".stdout.write", ".stderr.write"))
    ):
        return False
    text = call.args[0] if call.args else None
    clean = isinstance(text, ast.Call) and ast.unparse(text.func) == "printable"
    return not clean and not isinstance(text, ast.Constant)


def test_nothing_opens_a_file_by_a_name_of_a_store_but_storages() -> None:
    found = {at for at, n in nodes(STORES) if isinstance(n, ast.Call) and opens(n)}
    assert found == set(OWN_FILES)


def test_no_path_is_joined_with_a_name_of_a_store() -> None:
    found = {at for at, n in nodes(WRITERS) if isinstance(n, ast.BinOp) and joins(n)}
    assert found == set(OWN_NAMES)


def test_every_string_that_is_printed_is_clean() -> None:
    found = {at for at, n in nodes(()) if isinstance(n, ast.Call) and prints(n)}
    assert found == set(OWN_TEXTS)
