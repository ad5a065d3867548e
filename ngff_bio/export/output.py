"""Files of an export: written beside the destination, then renamed to it when they are complete."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from errno import ENOSPC
from functools import partial
from pathlib import Path, PurePosixPath

from ngff_bio.errors import ArgumentError, NgffBioError, StorageError, StoreExistsError
from ngff_bio.parallel import shared_pool
from ngff_bio.printing import without_secrets
from ngff_bio.storage import BucketStorage, Storage, storage_at

#: Bytes of a file that is sent to a bucket in one request.
_WHOLE = 16 << 20


@contextmanager
def complete_or_nothing(out: Path, *, overwrite: bool, store: str) -> Iterator[Path]:
    """A path beside `out` to write to; it is renamed to `out` if the block succeeds.

    Parameters
    ----------
    out
        Destination: a file or folder.
    overwrite
        Whether to replace an existing destination, once the new one is complete.
    store
        Path or URL of the store, which is never overwritten.

    Raises
    ------
    ngff_bio.errors.StoreExistsError
        If `out` exists and `overwrite` is false.
    ngff_bio.errors.ArgumentError
        If replacing `out` would remove the store.
    ngff_bio.errors.StorageError
        If writing fails.
    """
    out = Path(os.path.abspath(out))
    _check_destination(out, overwrite, store)
    beside = out.with_name(f".{out.name}.{os.getpid()}.unfinished")
    try:
        _remove(beside)
        out.parent.mkdir(parents=True, exist_ok=True)
        yield beside
        _replace(out, beside)
    except NgffBioError:  # some are OSErrors too, with a better message
        raise
    except OSError as error:
        full = error.errno == ENOSPC
        raise StorageError(
            f"cannot write the export: {error.strerror or error}",
            file=out,
            hint="free some space and run the command again" if full else None,
        ) from error
    finally:
        with suppress(OSError):
            _remove(beside)


@contextmanager
def output_at(
    out: str | os.PathLike[str],
    options: Mapping[str, object] | None,
    *,
    overwrite: bool,
    store: str,
) -> Iterator[Path]:
    """As :func:`complete_or_nothing`, also for a URL: what the block writes is then sent there.

    Raises
    ------
    ngff_bio.errors.NgffBioError
        As :func:`complete_or_nothing`, or if the bucket cannot be written to.
    """
    text = os.fspath(out)
    if "://" not in text:
        with complete_or_nothing(Path(out), overwrite=overwrite, store=store) as beside:
            yield beside
        return
    above, _, name = text.rstrip("/").rpartition("/")
    storage = storage_at(above, options)
    before = {k for k in (name,) if storage.size(k) is not None}
    before |= {key for key, _ in storage.list(name)}
    place = f"{storage.url}/{name}"
    if before and not overwrite:
        raise _exists(place)
    if f"{store}/".startswith(f"{place}/") or f"{place}/".startswith(f"{store}/"):
        raise _replaces_store(place)
    with tempfile.TemporaryDirectory() as folder:
        beside = place_below(Path(folder), name)
        yield beside
        files = [beside] if beside.is_file() else [f for f in beside.rglob("*") if f.is_file()]
        sent = {f.relative_to(folder).as_posix(): f for f in files}
        pool = shared_pool(remote=True)
        list(pool.imap(partial(_send, storage, *one) for one in sent.items()))
        for key in before - sent.keys():
            storage.delete(key)


def _send(storage: Storage, key: str, file: Path) -> None:
    size = file.stat().st_size
    if size <= _WHOLE or not isinstance(storage, BucketStorage):
        storage.put(key, file.read_bytes())
        return
    with file.open("rb") as opened:  # in parts: not all of it in memory
        storage.put_pieces(key, iter(partial(opened.read, 1 << 20), b""), size)


def shown(out: str | os.PathLike[str]) -> str:
    """A destination for reports: a path, or a URL without secrets."""
    text = os.fspath(out)
    return without_secrets(text) if "://" in text else str(Path(text))


def _exists(place: object) -> StoreExistsError:
    return StoreExistsError(
        "the destination exists",
        file=place,
        hint="choose another destination, or replace it with --overwrite",
    )


def _replaces_store(place: object) -> ArgumentError:
    return ArgumentError(
        "the export would replace the exported store or a part of it",
        file=place,
        hint="choose a destination outside of the store",
    )


def _check_destination(out: Path, overwrite: bool, store: str) -> None:
    place, kept = out.resolve(), Path(store).resolve()
    if kept in place.parents:
        raise _replaces_store(out)
    if not os.path.lexists(out):
        return
    if not overwrite:
        raise _exists(out)
    if place == kept or place in kept.parents:
        raise _replaces_store(out)
    if place in (Path.cwd(), *Path.cwd().parents) or os.path.ismount(place):
        raise ArgumentError(
            "the export would replace the current folder",
            file=out,
            hint="choose a new folder for the export",
        )


def _replace(out: Path, beside: Path) -> None:
    if not os.path.lexists(beside):
        return
    if out.is_dir() and not out.is_symlink():
        # A folder cannot be renamed over another one, so the old one is renamed first.
        old = out.with_name(f".{out.name}.{os.getpid()}.old")
        os.rename(out, old)
        try:
            os.rename(beside, out)
        except OSError:
            os.rename(old, out)
            raise
        shutil.rmtree(old, ignore_errors=True)
        return
    if beside.is_dir() and os.path.lexists(out):
        out.unlink()
    os.replace(beside, out)


def _remove(place: Path) -> None:
    if place.is_dir() and not place.is_symlink():
        shutil.rmtree(place, ignore_errors=True)
    else:
        place.unlink(missing_ok=True)


def place_below(root: Path, name: str) -> Path:
    """Path of a file below `root` by a name from the source; creates its folders.

    Names come from files of unknown origin: parts that lead out of `root` are dropped.
    """
    parts = [p for p in name.replace("\\", "/").split("/") if p not in ("", ".", "..")]
    if parts and parts[0].endswith(":") and len(parts) > 1:
        parts = parts[1:]
    place = root.joinpath(*(p.replace("\0", "") for p in parts or ["unnamed"]))
    place.parent.mkdir(parents=True, exist_ok=True)
    return place


def target(place: Path, name: str) -> Path:
    """Where to write a file: `place` itself if the export is one file, else `name` below it."""
    return place_below(place, name) if place.is_dir() else place


def check_one_file(place: Path, names: Sequence[str], content: str) -> None:
    """Raise an ArgumentError if the export is one file, but has the content of several."""
    if not place.is_dir() and len(names) > 1:
        more = ", ..." if len(names) > 5 else ""
        raise ArgumentError(
            f"one file cannot contain several {content}",
            found=f"{len(names)} {content}: {', '.join(names[:5])}{more}",
            hint="choose a folder, or select one with --image and --labels",
        )


def unused_name(name: str, used: set[str]) -> str:
    """A file name that differs from all in `used` without its suffix; adds it to them."""
    path, number = PurePosixPath(name), 1
    while str(path.with_suffix("")).lower() in used:
        number += 1
        path = PurePosixPath(name).with_stem(f"{PurePosixPath(name).stem}-{number}")
    used.add(str(path.with_suffix("")).lower())
    return str(path)


def write_json(file: Path, content: object, *, indent: int | None = 2) -> None:
    """Write a JSON file in UTF-8."""
    file.write_text(json.dumps(content, ensure_ascii=False, indent=indent), encoding="utf-8")
