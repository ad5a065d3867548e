"""What a conversion left out of a store: as the store records it, and as its source has it."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

from ngff_bio.checks.reading import blocks
from ngff_bio.checks.store.documents import texts
from ngff_bio.errors import NgffBioError, StorageError, StoreError
from ngff_bio.model import (
    InstanceLayer,
    Notice,
    Pixels,
    RunVolume,
    SourceDataset,
    SourceImage,
)
from ngff_bio.ngff.attributes import NOT_READ, SKIPPED
from ngff_bio.ngff.schema_version import KEY
from ngff_bio.storage import Storage
from ngff_bio.zarrio.documents import attributes_of, load_node


def conversion_of(storage: Storage) -> dict[str, Any]:
    """What a store records of its conversion: source format, options, what was left out."""
    try:
        root = load_node(storage, "", 3) or load_node(storage, "", 2)
        own = attributes_of(root).get(KEY)
    except StoreError:  # reported where the store is checked
        return {}
    own = own if isinstance(own, dict) else {}
    recorded = own.get("dataset") if own.get("kind") == "image" else own
    return recorded if isinstance(recorded, dict) else {}


def files_not_read(recorded: dict[str, object]) -> list[str]:
    """Names of files that the conversion did not read, as the store records them."""
    found: list[str] = []
    for listed in _dict(_dict(recorded.get("attributes")).get(NOT_READ)).values():
        names = texts(_dict(listed).get("names"))
        count = _dict(listed).get("count")
        found += names
        if isinstance(count, int) and count > len(names):
            found.append(f"and {count - len(names)} more")
    return found


def records_skipped(recorded: dict[str, object], dataset: SourceDataset | None) -> list[Notice]:
    """What the conversion skipped: as the store records it, and as reading the source again does."""
    listed = _dict(recorded.get("attributes")).get(SKIPPED)
    found = {}
    for one in listed if isinstance(listed, list) else ():
        what, file, record = (texts([_dict(one).get(k)]) for k in ("what", "file", "record"))
        count = _dict(one).get("count")
        notice = Notice(
            "skipped",
            "".join(what),
            file[0] if file else None,
            record[0] if record else None,
            count if isinstance(count, int) else 1,
        )
        found[notice.what, notice.file] = notice
    if dataset is not None:
        unread = dataset.account.unread
        for notice in dataset.notices:
            if notice.kind == "skipped" and not {notice.file, notice.record} & unread.keys():
                found.setdefault((notice.what, notice.file), notice)
    return list(found.values())


def without_skipped(
    dataset: SourceDataset, groups: Collection[str]
) -> tuple[SourceDataset, list[str]]:
    """The dataset without the images that the conversion skipped, and why it skipped each.

    An image that is not among the groups of the store although its source can be read is not dropped:
    it is missing.
    """
    kept: list[SourceImage] = []
    notes: list[str] = []
    for image in dataset.images:
        why = None if image.path in groups else _damage(image)
        if why is None:
            kept.append(image)
        else:
            notes.append(f"{image.path} was skipped by the conversion: {why}")
    return dataset.with_images(kept), notes


def _damage(image: SourceImage) -> str | None:
    """What is wrong with the source of an image; ``None`` if all of it can be read."""
    sources: list[Pixels] = [image.pixels]
    try:
        for layer in image.labels:
            if isinstance(layer, InstanceLayer):
                for t in range(max(len(image.frames), 1)):
                    layer.instances.read(t)
            else:
                given = (layer.pixels, layer.compare)
                sources += [p for p in given if not isinstance(p, RunVolume | None)]
        for pixels in sources:
            for region in blocks(pixels.shape, pixels.read_block_shape):
                pixels.read(region)
    except StorageError:  # what a server does not give now is not damaged
        raise
    except NgffBioError as error:
        return f"{error.what} ({error.file})" if error.file else error.what
    except OSError as error:
        return str(error)
    return None


def _dict(value: object) -> dict[str, object]:
    return value if isinstance(value, dict) else {}


def other_place(names: Iterable[str], converted: Collection[str]) -> str | None:
    """How a place differs from the source that was converted: the folder in it, or that it is in.

    Parameters
    ----------
    names
        Of the files at the place.
    converted
        Of the files that were converted.

    Returns
    -------
    str or None
        ``below/``: the source is that folder of the place; ``../below/``: the place is that folder of
        the source; ``None`` if any file is where it was, or all are of another source.
    """
    there = set(names)
    if not converted or not there.isdisjoint(converted):
        return None
    for name in converted:
        end = f"/{name}"
        below = next((n for n in sorted(there) if n.endswith(end)), None)
        if below is not None:
            return below.removesuffix(name)
    for name in sorted(there):
        above = next((n for n in sorted(converted) if n.endswith(f"/{name}")), None)
        if above is not None:
            return f"../{above.removesuffix(name)}"
    return None
