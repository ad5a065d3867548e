"""Workers of a cluster are asked, before the work, whether they can do it."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from ngff_bio._version import __version__
from ngff_bio.engine.resume.lease import LEASE
from ngff_bio.engine.run.tasks import SAME_PACKAGES, ClusterTasks
from ngff_bio.errors import SourceError, WorkerError
from ngff_bio.model import SourceFile
from ngff_bio.printing import without_secrets
from ngff_bio.storage import Storage, StorageBelow

#: Number of workers that are asked.
_ASKED = 32

#: Bytes of a source file that are compared, and of a document: all of it can be megabytes.
_HEAD = 1 << 12
_START = 64 << 10


@dataclass(frozen=True)
class Seen:
    """Something that each worker must see: what it reads of it is equal to what is read here."""

    kind: str
    url: str
    read: Callable[[], bytes]


def written_store(storage: Storage) -> Seen:
    """A store that may be written to: its lease is known only to those who see it."""
    whole = storage
    while isinstance(whole, StorageBelow):
        whole = whole.storage
    return Seen("store", whole.url, partial(_lease, whole))


def read_store(storage: Storage) -> Seen:
    """A store that is read: the documents of its root."""
    roots = ("zarr.json", ".zmetadata", ".zattrs", ".zgroup")
    return Seen("store", storage.url, partial(_objects, storage, roots))


def source_file(file: SourceFile) -> Seen:
    """A file of a source: its size and its first bytes."""
    return Seen("source", str(file.path or file.name), partial(_head, file))


def check_workers(
    tasks: ClusterTasks[Any], things: Sequence[Seen], function: object = None
) -> None:
    """Raise if workers of a cluster lack the package or a function, or do not see what they must.

    Raises
    ------
    ngff_bio.errors.WorkerError
        Which worker, and why.
    """
    import cloudpickle

    expected = [digest_of(thing) for thing in things]
    for _ in range(3):
        asked = list(tasks.workers())[:_ASKED]
        answers = tasks.run_on(asked, ask, things, cloudpickle.dumps(function))
        # Those that died meanwhile did not answer.
        answers = {w: a for w, a in answers.items() if not isinstance(a, OSError)}
        if answers:
            break
    for worker, answer in answers.items():
        if isinstance(answer, BaseException):
            raise WorkerError(
                "a worker of the cluster cannot load what it needs",
                record=worker,
                expected=f"ngff_bio {__version__}, and the modules of the function",
                found=f"{type(answer).__name__}: {answer}",
                hint=SAME_PACKAGES,
            )
        version, seen = answer
        if version != __version__:
            raise WorkerError(
                "a worker of the cluster has another version of this package",
                record=worker,
                expected=f"ngff_bio {__version__}",
                found=version,
                hint=SAME_PACKAGES,
            )
        for thing, here, there in zip(things, expected, seen, strict=True):
            if here != there:
                refused = there.startswith(PermissionError.__name__)
                cannot = "may not use" if refused else "does not see"
                raise WorkerError(
                    f"a worker of the cluster {cannot} the {thing.kind}",
                    file=thing.url,
                    record=worker,
                    expected="the same file system as here, or a bucket",
                    found=None if len(there) == len(here) else there,
                    hint="mount the folder on the workers at the same path, with the same rights, or "
                    f"have the {thing.kind} in a bucket",
                )


def ask(things: Sequence[Seen], function: bytes) -> tuple[str, list[str]]:
    """Run by a worker: its version of this package, and what it sees."""
    import cloudpickle

    cloudpickle.loads(function)  # of our own user, who could send any task
    return __version__, [digest_of(thing) for thing in things]


def digest_of(thing: Seen) -> str:
    """Digest of what is read of something, or the error."""
    try:
        return hashlib.sha256(thing.read()).hexdigest()
    except (OSError, SourceError) as error:
        cause = error.__cause__ if isinstance(error.__cause__, OSError) else error
        return without_secrets(f"{type(cause).__name__}: {cause}")


def _objects(storage: Storage, keys: Sequence[str]) -> bytes:
    return b"\0".join(storage.get_range(k, 0, _START) or b"" for k in keys)


def _lease(storage: Storage) -> bytes:
    """The lease; refused where nothing can be written: on file systems that are read-only, too."""
    if os.path.isdir(storage.url) and not os.access(storage.url, os.W_OK):
        raise PermissionError("the folder cannot be written to")
    return _objects(storage, (LEASE,))


def _head(file: SourceFile) -> bytes:
    return file.size.to_bytes(8) + file.read_range(0, _HEAD)
