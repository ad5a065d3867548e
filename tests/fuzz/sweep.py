"""Replaces each value of the documents of a store, and each column of its tables; tries every command.

    python tests/fuzz/sweep.py store05 store04

Where `run.py` draws, this is complete: all values that are not like another one of the same list, each
replaced by values of other types, and removed; after each, all that reads, exports or changes a store.
"""

from __future__ import annotations

import argparse
import io
import json
import signal
import sys
import tempfile
import warnings
from collections import Counter
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import pyarrow as pa
import pyarrow.parquet as pq
from fuzz.batches import Input
from fuzz.run import save, signature
from fuzz.worker import Worker

#: Seconds that all steps of an input may take.
_SECONDS = 60

#: Values of other types; the last one stands for the removal of the value.
GONE = object()
OTHERS = (7, -1.5, "x", [5], {"a": 1}, None, GONE)

KINDS = (
    "store04",
    "store05",
    "store06",
    "storeplain",
    "storeplate",
    "storetracks",
    "storeedited",
    "tables",
)


def places(value: Any) -> Iterator[tuple[Any, ...]]:
    """Paths of the values in a document; of items that have the same keys, those of the first one."""
    inner = value.items() if isinstance(value, dict) else ()
    seen = set()
    for key, item in [*enumerate(value)] if isinstance(value, list) else inner:
        found = [*places(item)]
        like = str(found) if found or isinstance(value, list) else key
        if like not in seen:
            seen.add(like)
            yield (key,)
            yield from ((key, *below) for below in found)


def changed(document: Any, path: tuple[Any, ...], other: object) -> bytes:
    """The document with another value at a path."""
    found = deepcopy(document)
    holder = found
    for key in path[:-1]:
        holder = holder[key]
    if other is GONE:
        del holder[path[-1]]
    else:
        holder[path[-1]] = other
    return json.dumps(found).encode()


def documents(data: bytes) -> Iterator[bytes]:
    """A document with each of its values replaced."""
    document = json.loads(data)
    for path in places(document):
        yield from (changed(document, path, other) for other in OTHERS)


def tables(data: bytes) -> Iterator[bytes]:
    """A table with each of its columns removed, or of another type."""
    table = pq.read_table(io.BytesIO(data))
    others = {
        pa.int8(): 1,
        pa.string(): "1",
        pa.list_(pa.string()): ["1"],
        pa.binary(): b"1",
        pa.bool_(): True,
        pa.null(): None,
    }
    for at, name in enumerate(table.column_names):
        yield _parquet(table.remove_column(at))
        for kind, value in others.items():
            column = pa.array([value] * len(table), kind)
            yield _parquet(table.set_column(at, name, column))
            yield _parquet(table.set_column(at, name, pa.nulls(len(table), kind)))


def _parquet(table: pa.Table) -> bytes:
    out = io.BytesIO()
    pq.write_table(table, out)
    return out.getvalue()


def inputs(kind: str, place: Path) -> Iterator[Input]:
    """All damaged inputs of a kind of store: its tables, or its documents.

    Where the root has a copy of all documents, that copy is damaged, which is what readers use.
    """
    if kind == "tables":
        files, vary = place.rglob("*.parquet"), tables
    else:
        copies = [place / ".zmetadata", place / "zarr.json"]
        copy = next((p for p in copies if p.exists() and b"consolidated_" in p.read_bytes()), None)
        files = place.rglob("*.json") if copy is None else iter([copy])
        vary = documents
    seen = set()
    for path in sorted(files):
        data = path.read_bytes()
        like = str([*places(json.loads(data))]) if vary is documents else path.name
        if like not in seen:
            seen.add(like)
            name = path.relative_to(place).as_posix()
            yield from (Input(kind, name, one, True) for one in vary(data))


def _late(*_: object) -> None:
    raise TimeoutError(f"it takes more than {_SECONDS} s")


def main() -> None:
    """Try all inputs of the kinds."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("kinds", nargs="*", default=[*KINDS])
    parser.add_argument("--every", type=int, default=1, help="only each n-th input")
    parser.add_argument("--first", type=int, default=0)
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    signal.signal(signal.SIGALRM, _late)
    seen: Counter[str] = Counter()
    tried = 0
    with tempfile.TemporaryDirectory(prefix="ngff-bio-sweep-") as folder:
        worker = Worker(Path(folder))
        for kind in given.kinds:
            every = [*inputs(kind, worker.made(kind))][given.first :: given.every]
            print(f"{kind}: {len(every)} inputs", flush=True)
            for one in every:
                tried += 1
                signal.setitimer(signal.ITIMER_REAL, _SECONDS)
                for step, what in worker.failures(one.kind, one.name, one.data):
                    mark = signature(what)
                    seen[mark] += 1
                    if seen[mark] == 1:
                        case = save(one, what)
                        (case / "step").write_text(step + "\n")
                        print(case, step, what, sep="\n", flush=True)
                signal.setitimer(signal.ITIMER_REAL, 0)
    print(f"{tried} tried, {len(seen)} ways to fail", *seen.items(), sep="\n")
    sys.exit(1 if seen else 0)


if __name__ == "__main__":
    main()
