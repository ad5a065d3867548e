"""How the package hangs together: no import circles, no homonyms, no reaching into others.

Imports are read from the source, wherever they stand: at the top, inside functions, for type checking
only. Exceptions are listed by name; one that is no longer needed fails too, so that the lists shrink.
"""

from __future__ import annotations

import ast
from collections import Counter, defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = "ngff_bio"
LIBRARIES = ("tifffile", "xarray", "zarr")

#: Modules that still import each other in a circle.
KNOWN_CIRCLES: set[str] = set()

#: Files of more than `MOST_LINES` lines, and why they are one idea.
MOST_LINES = 400
LONG_FILES: dict[str, str] = {}

#: Private names of another part of the package, or of a library, without a comment: (module, name).
KNOWN_REACHES: set[tuple[str, str]] = set()

#: Public classes of one name.
KNOWN_HOMONYMS: set[str] = set()


@cache
def modules() -> dict[str, ast.Module]:
    """The syntax tree of each module by its dotted name."""
    found = {}
    for path in sorted((ROOT / PACKAGE).rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        found[name] = ast.parse(path.read_text("utf-8"), str(path))
    return found


def path_of(module: str) -> Path:
    path = ROOT.joinpath(*module.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def imported(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """Module and name of each import of our own, at any depth; the name of ``import a.b`` is empty."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, "") for alias in node.names if _own(alias.name))
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, "imports are absolute"
            if _own(node.module or ""):
                yield from ((str(node.module), alias.name) for alias in node.names)


def _own(module: str) -> bool:
    return module.partition(".")[0] == PACKAGE


@cache
def graph() -> dict[str, set[str]]:
    """The modules that each module imports."""
    edges: dict[str, set[str]] = {name: set() for name in modules()}
    for name, tree in modules().items():
        for module, member in imported(tree):
            target = f"{module}.{member}" if f"{module}.{member}" in edges else module
            edges[name].add(target)
    return edges


def circles(edges: dict[str, set[str]]) -> set[frozenset[str]]:
    """Strongly connected components of more than one module (Kosaraju's two walks)."""
    order: list[str] = []
    seen: set[str] = set()

    def walk(start: str, following: dict[str, set[str]], out: list[str]) -> None:
        stack = [(start, iter(sorted(following[start])))]
        seen.add(start)
        while stack:
            node, rest = stack[-1]
            fresh = next((n for n in rest if n not in seen), None)
            if fresh is None:
                out.append(node)
                stack.pop()
            else:
                seen.add(fresh)
                stack.append((fresh, iter(sorted(following[fresh]))))

    for node in sorted(edges):
        if node not in seen:
            walk(node, edges, order)
    back: dict[str, set[str]] = {name: set() for name in edges}
    for node, targets in edges.items():
        for target in targets:
            back[target].add(node)
    seen.clear()
    found = set()
    for node in reversed(order):
        if node not in seen:
            component: list[str] = []
            walk(node, back, component)
            if len(component) > 1:
                found.add(frozenset(component))
    return found


def test_imports_are_counted_wherever_they_stand() -> None:
    source = (
        "import ngff_bio.a\nif TYPE_CHECKING:\n    from ngff_bio.b import C\n"
        "def f():\n    from ngff_bio.d import e\n    import numpy"
    )
    found = {("ngff_bio.a", ""), ("ngff_bio.b", "C"), ("ngff_bio.d", "e")}
    assert set(imported(ast.parse(source))) == found


def test_circles_are_found() -> None:
    edges = {"a": {"b"}, "b": {"c"}, "c": {"a", "d"}, "d": {"e"}, "e": {"d"}, "f": {"a"}}
    assert circles(edges) == {frozenset("abc"), frozenset("de")}


def test_no_modules_import_each_other_in_a_circle() -> None:
    found = circles(graph())
    inside = {module for circle in found for module in circle}
    assert inside - KNOWN_CIRCLES == set(), _shown(found)
    assert KNOWN_CIRCLES - inside == set(), "these are in no circle any more: delete them"


def _shown(found: set[frozenset[str]]) -> str:
    lines = []
    for circle in found:
        for module in sorted(circle):
            lines.append(f"{module} -> {', '.join(sorted(graph()[module] & circle))}")
    return "\n".join(["modules that import each other in a circle:", *lines])


def test_no_two_public_classes_have_one_name() -> None:
    places = defaultdict(list)
    for name, tree in modules().items():
        for node in tree.body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places[node.name].append(name)
    found = {name: where for name, where in places.items() if len(where) > 1}
    assert set(found) - KNOWN_HOMONYMS == set(), found
    assert KNOWN_HOMONYMS - set(found) == set(), "these are gone: delete them from the list"


def test_a_long_file_is_listed_with_its_reason() -> None:
    found = {
        name: lines
        for name in modules()
        if (lines := len(path_of(name).read_text("utf-8").splitlines())) > MOST_LINES
    }
    assert set(found) - set(LONG_FILES) == set(), found
    assert set(LONG_FILES) - set(found) == set(), "these are short now: delete them from the list"


def package_of(module: str) -> str:
    """The part of the package that a module belongs to: ``ngff_bio.engine``."""
    return ".".join(module.split(".")[:2])


def _private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__")


@cache
def defined() -> dict[str, set[str]]:
    """Every name that each part of the package defines: functions, classes, variables, attributes."""
    names: dict[str, set[str]] = defaultdict(set)
    for module, tree in modules().items():
        own = names[package_of(module)]
        for node in ast.walk(tree):
            match node:
                case ast.FunctionDef(name=name) | ast.ClassDef(name=name) | ast.arg(arg=name):
                    own.add(name)
                case ast.Attribute(attr=name, ctx=ast.Store()) | ast.Name(id=name, ctx=ast.Store()):
                    own.add(name)
    return names


def private_names() -> Iterator[tuple[str, int, str]]:
    """Module, line and name of every private name that a part of the package did not define itself.

    Another part's or a library's: as an attribute, as an import, or as a module that is not part of
    the library's documented interface (``zarr.core``, ``xarray.core``).
    """
    for module, tree in modules().items():
        own = package_of(module)
        for node in ast.walk(tree):
            match node:
                case ast.Attribute(attr=name) if _private(name) and name not in defined()[own]:
                    yield module, node.lineno, name
                case ast.ImportFrom(module=str(source), names=members):
                    parts = [*source.split("."), *(member.name for member in members)]
                    private = [part for part in parts if _private(part)]
                    if ".core" in source and parts[0] in LIBRARIES:
                        yield module, node.lineno, source
                    elif private:
                        home = ".".join(parts[: parts.index(private[0])])
                        if package_of(source) != own and not f"{module}.".startswith(f"{home}."):
                            yield module, node.lineno, private[0]


def test_private_names_of_libraries_have_a_comment_on_what_is_missing() -> None:
    found = set()
    for module, number, name in private_names():
        lines = path_of(module).read_text("utf-8").splitlines()
        if not any("#" in line for line in lines[max(number - 4, 0) : number]):
            found.add((module, name))
    assert found - KNOWN_REACHES == set()
    assert KNOWN_REACHES - found == set(), "these are gone: delete them from the list"


def test_modules_of_tests_have_names_of_their_own() -> None:
    """Else pytest cannot collect them together: folders of tests are not packages."""
    seen = Counter(p.name for p in (ROOT / "tests").rglob("*.py") if p.name != "__init__.py")
    assert [name for name, count in seen.items() if count > 1] == []
