"""Writing beside and renaming, so that what lies at the destination is always whole."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ngff_bio.errors import ArgumentError, NgffBioError, StorageError, StoreExistsError


@contextmanager
def whole_or_nothing(out: Path, *, overwrite: bool, store: str) -> Iterator[Path]:
    """A place beside `out` to write to; it becomes `out` if the block ends well.

    Parameters
    ----------
    out
        File or folder that the export shall be.
    overwrite
        Whether what lies there is replaced; it stays until the new one is whole.
    store
        Where the store lies, which is never overwritten.

    Raises
    ------
    ngff_bio.errors.StoreExistsError
        If something lies at `out` and `overwrite` is false.
    ngff_bio.errors.ArgumentError
        If replacing `out` would take the store with it.
    ngff_bio.errors.StorageError
        If writing fails.
    """
    out = Path(os.path.abspath(out))
    _refuse(out, overwrite, store)
    beside = out.with_name(f".{out.name}.{os.getpid()}.unfinished")
    _remove(beside)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        yield beside
        _replace(out, beside)
    except NgffBioError:  # some are OSErrors too, and say more
        raise
    except OSError as error:
        mend = "free some space and run the command again" if error.errno == 28 else None
        raise StorageError(
            f"cannot write the export: {error.strerror or error}", file=out, hint=mend
        ) from error
    finally:
        _remove(beside)


def _refuse(out: Path, overwrite: bool, store: str) -> None:
    if not os.path.lexists(out):
        return
    if not overwrite:
        raise StoreExistsError(
            "something lies at the destination",
            file=out,
            hint="name another place, or say --overwrite to replace it",
        )
    place, kept = out.resolve(), Path(store).resolve()
    if place == kept or place in kept.parents or kept in place.parents:
        raise ArgumentError(
            "the export would replace the store that it comes from, or a part of it",
            file=out,
            hint="name a place outside of the store",
        )
    if place in (Path.cwd(), *Path.cwd().parents) or os.path.ismount(place):
        raise ArgumentError(
            "the export would replace the folder that you are in",
            file=out,
            hint="name a place of its own for the export",
        )


def _replace(out: Path, beside: Path) -> None:
    if not os.path.lexists(beside):
        return
    if out.is_dir() and not out.is_symlink():
        # A folder cannot be renamed over another: the old one steps aside for a moment.
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
    """Path of a file below `root` by a name that a source gave; its folders are made.

    Parts that would lead out of `root` are left out: a name comes from a file that anyone may have
    written.
    """
    parts = [p for p in name.replace("\\", "/").split("/") if p not in ("", ".", "..")]
    if parts and parts[0].endswith(":") and len(parts) > 1:
        parts = parts[1:]
    place = root.joinpath(*(p.replace("\0", "") for p in parts or ["unnamed"]))
    place.parent.mkdir(parents=True, exist_ok=True)
    return place
