"""Stored names and foreign strings pass through one place each, as far as the source can tell.

Bytes of a store are read and written by a storage, which checks each key; names of exported files are
made by ``place_below``; strings are printed by the console of ``cli/output.py``, or cleaned by
``printable``. Each exception is listed with its reason; one that is no longer needed fails too.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

import pytest
from test_architecture import modules

#: Parts of the package that handle the content of a store, and what writes its names elsewhere.
STORES = (
    *("reader", "checks", "zarrio", "ngff", "viewing", "copying", "publishing", "opening"),
    *("editing", "compute", "engine", "conversion"),
)
WRITERS = ("export", "copying", "storage", "editing", "compute", "engine", "publishing", "viewing")

#: Calls that open, list or remove a file by its name: methods of a path, functions of os and shutil.
OPENING = {
    *("open", "read_bytes", "read_text", "write_bytes", "write_text", "rmtree", "unlink"),
    *("iterdir", "glob", "rglob", "scandir", "listdir", "walk", "mkdir", "makedirs", "rmdir"),
    *("touch", "symlink_to", "copyfile", "copytree", "FileIO", "ZipFile", "memmap", "fromfile"),
    *("os.remove", "os.rename", "os.replace", "shutil.move", "shutil.copy", "LocalStore"),
    *("imread", "imwrite", "TiffFile", "np.load", "np.save"),
}

#: Readers of tables: they take a name of a file, or an open file.
TABLES = {"read_csv", "read_table", "read_parquet", "ParquetFile", "ParquetWriter", "read_schema"}

#: Objects whose ``open`` takes no name of a file.
OPENED = {
    *("type(self)", "type(tree)", "NodeTree", "Hierarchy", "reader", "self", "part", "webbrowser"),
    *("zarr", "ngff_bio"),
}

#: Functions that open a file whose name is not from a store, or not a file.
OWN_FILES = {
    ("publishing.croissant", "_annotations"): "a file of a temporary folder",
    ("publishing.croissant", "_sha256"): "the same",
    ("publishing.croissant", "class_counts"): "the same",
    ("publishing.croissant", "write_annotations"): "the same",
    ("publishing.description", "_read"): "dataset.yaml, which the user names",
    ("checks.source.redraw", "_mask"): "an image in memory",
    ("compute.mapping", "map_images"): "opens a store",
    ("compute.measuring", "measure"): "the same",
    ("compute.results", "_encoded"): "an object in memory",
    ("compute.results", "load_array"): "the same",
    ("engine.resume.lease", "machine"): "a file of the system",
    ("engine.resume.lease", "started"): "the same, of a process by its number",
    ("engine.run.runners", "free_memory"): "the same",
    ("checks.spec.findings", "rule_table"): "a file of this package",
    ("zarrio.tables", "read_csv"): "an object in memory",
    ("zarrio.tables", "read_parquet"): "the same, or a file that the user names",
    ("ngff.attributes", "write_schemas"): "the folder of the schemas",
    ("reader.xarray.backend", "_mentions"): "the root documents of a place that the user names",
}

#: Functions that join a path with something else than a text of ours.
OWN_NAMES: dict[tuple[str, str], str] = {
    ("copying.archive", "copy_to_zip"): "the key of the archive itself, which the user names",
    ("engine.resume.discard", "discard"): "the same",
    ("export.output", "_replace"): "beside the destination, which the user names",
    ("export.output", "complete_or_nothing"): "the same",
    ("export.output", "place_below"): "this is the join of exported names",
    ("publishing.run", "publish"): "a name of ours",
    ("storage.connection", "_settle"): "the same",
    ("storage.folder", "_place"): "this is the join of keys",
    ("storage.folder", "compare_and_swap"): "beside a key that was joined",
    ("storage.folder", "remove_partial"): "names of a listing, without links",
    ("storage.profiles", "read_profile"): "a name of ours",
    ("storage.zip_writer", "__init__"): "beside the archive, which the user names",
    ("storage.zip_writer", "begun"): "the same",
    (
        "viewing.serve",
        "key_of",
    ): "a key that was checked; what it leads to is compared with the root",
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
            functions = ast.FunctionDef | ast.AsyncFunctionDef
            own = child.name if isinstance(child, functions) else inside
            yield own, child
            yield from walk(child, own)

    for module, tree in modules().items():
        name = module.partition(".")[2]
        if not packages or name.partition(".")[0] in packages:
            yield from (((name, inside), node) for inside, node in walk(tree, ""))


def opens(node: ast.AST) -> bool:
    """Whether a node opens, lists or removes a file by a name, or gives what does another name."""
    if isinstance(node, ast.ImportFrom):
        ours = (node.module or "").startswith("ngff_bio")
        return not ours and any(n.asname and n.name in OPENING for n in node.names)
    if isinstance(node, ast.Assign):
        return ast.unparse(node.value) in ("open", "os.open", "io.open", "builtins.open")
    if not isinstance(node, ast.Call):
        return False
    name = ast.unparse(node.func)
    owner, _, method = name.rpartition(".")
    # Tables are read from open files, which are named or made by a call.
    file = ast.unparse(node.args[0]) if node.args else ""
    if method in TABLES:
        return not file.endswith((")", "file", "stream", "buffer", "out"))
    return (method in OPENING and owner not in OPENED) or name in OPENING


def joins(node: ast.AST) -> bool:
    """Whether a path is joined with something that is not a text of ours."""
    if isinstance(node, ast.Call):
        name = ast.unparse(node.func)
        path = name in ("Path", "os.path.join") and len(node.args) > 1
        pure = name.endswith((".joinpath", ".with_name")) and "PurePosixPath" not in name
        return (path or pure) and not all(isinstance(a, ast.Constant) for a in node.args)
    if not isinstance(node, ast.BinOp) or not isinstance(node.op, ast.Div):
        return False
    left = ast.unparse(node.left)
    paths = any(word in left for word in ("place", "root", "folder", "path", "parent", "Path"))
    return paths and "len(" not in left and not isinstance(node.right, ast.Constant)


#: Functions that print; ``Console`` of rich, and methods of a logger, which print what they are given.
PRINTERS = {
    *("print", "typer.echo", "typer.secho", "click.echo", "rich.print", "Console", "warnings.warn"),
    *("warn", "traceback.print_exc", "traceback.print_exception", "sys.exit", "SystemExit"),
}
LEVELS = ("debug", "info", "warning", "error", "exception", "critical")


def prints(call: ast.Call) -> bool:
    """Whether a call prints, or warns, with something else than constants and cleaned strings."""
    name = ast.unparse(call.func)
    owner, _, method = name.rpartition(".")
    logs = method in LEVELS and ("log" in owner.lower() or "getLogger" in owner)
    if name not in PRINTERS and not name.endswith((".stdout.write", ".stderr.write")) and not logs:
        return False
    texts = call.args[:1] if "warn" in name and not logs else call.args
    clean = (isinstance(t, ast.Call) and ast.unparse(t.func) == "printable" for t in texts)
    constant = (isinstance(t, ast.Constant) for t in texts)
    needs = name in ("Console", "print", "traceback.print_exc", "traceback.print_exception")
    return not all(map(any, zip(clean, constant, strict=True))) or (needs and not texts)


def test_nothing_opens_a_file_by_a_name_of_a_store_but_storages() -> None:
    found = {at for at, n in nodes(STORES) if opens(n)}
    assert found == set(OWN_FILES)


def test_no_path_is_joined_with_a_name_of_a_store() -> None:
    found = {at for at, n in nodes(WRITERS) if joins(n)}
    assert found == set(OWN_NAMES)


def test_every_string_that_is_printed_is_clean() -> None:
    found = {at for at, n in nodes(()) if isinstance(n, ast.Call) and prints(n)}
    assert found == set(OWN_TEXTS)


@pytest.mark.parametrize(
    "code",
    [
        *("open(name)", "o = open", "from os import scandir as s", "os.replace(a, b)"),
        *("io.FileIO(name)", "path.iterdir()", "np.load(name)", "pq.ParquetFile(name)"),
        *("pd.read_csv(path)", "tifffile.imread(name)", "LocalStore(storage.root)"),
    ],
)
def test_what_opens_a_file_is_known(code: str) -> None:
    assert any(map(opens, ast.walk(ast.parse(code))))


@pytest.mark.parametrize(
    "code",
    [
        *("root / name", "os.path.join(root, name)", "place.joinpath(name)", "Path(root, name)"),
        *("file.with_name(name)", "Path(a) / b"),
    ],
)
def test_what_joins_a_path_is_known(code: str) -> None:
    assert any(map(joins, ast.walk(ast.parse(code))))


@pytest.mark.parametrize(
    "code",
    [
        *("print(name)", "print('image', name)", "print()", "warn(f'{name}')", "Console()"),
        *("logging.getLogger('a').error('%s', name)", "log.warning(name)", "sys.exit(name)"),
        *("sys.stderr.write(name)", "traceback.print_exc()", "print(printable(a) + name)"),
    ],
)
def test_what_prints_is_known(code: str) -> None:
    found = [n for n in ast.walk(ast.parse(code)) if isinstance(n, ast.Call)]
    assert any(map(prints, found))
    clean = ast.parse("print(printable(name), 'a', file=sys.stderr)", mode="eval").body
    assert isinstance(clean, ast.Call)
    assert not prints(clean)
