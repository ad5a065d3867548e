"""``map_images``: a function of an image with its labels, applied to all images of a dataset."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from typing import Any

from ngff_bio.compute.map_work import Mapped, MapWork, Target
from ngff_bio.compute.pieces import Over, make_cut
from ngff_bio.compute.result_writer import ResultWriter
from ngff_bio.compute.workers import start_pool
from ngff_bio.editing.additions import FOLDERS
from ngff_bio.editing.changes import check_name
from ngff_bio.editing.values import class_values
from ngff_bio.engine.write.update import held_store
from ngff_bio.errors import ArgumentError
from ngff_bio.model import OnError
from ngff_bio.reader import Dataset, Image, open
from ngff_bio.storage import Storage


def map_images(
    dataset: Dataset | str | os.PathLike[str] | Storage,
    function: Callable[[Any], Any],
    *,
    select: Mapping[str, object] | Iterable[str] | None = None,
    over: Over = "image",
    block: int | Mapping[str, int] | None = None,
    overlap: int | Mapping[str, int] = 0,
    level: int = 0,
    labels: Sequence[str] | None = None,
    write: str | None = None,
    classes: Mapping[int, str] | None = None,
    overwrite: bool = False,
    resume: bool = True,
    on_error: OnError = "stop",
    author: str | None = None,
    cluster: Any = None,
    workers: int = 0,
    memory: int = 0,
    storage_options: Mapping[str, Any] | None = None,
) -> Mapped:
    """Apply a function to every image of a dataset, with its labels, and optionally write the results.

    The function gets an ``xarray.Dataset`` in memory, as :meth:`Image.level` has it: the variable
    ``image`` and one for each label image, with ``attrs["path"]``. It returns an array (labels, an
    image), or rows: a data frame, a dictionary, several, or a number.

    With ``write`` the results go into the store in one transaction when all are there. What is done is
    kept until then: the same call after an interruption does only the rest, and ends with the same
    bytes.

    Parameters
    ----------
    dataset
        An open dataset, or a place to open.
    function
        A cluster's workers must be able to import what it uses.
    select
        Images: conditions as of :meth:`Dataset.select` (``{"well": "C7"}``), or paths; all if ``None``.
    over
        What the function gets at a time: an ``image``, a ``frame`` (one time point), a ``plane``
        (y, x, with all channels), or a ``block`` of a frame. Axes t and z that it does not extend
        along are missing.
    block
        Size of a block: a number for y and x, or pixels by axis; 1024 if ``None``.
    overlap
        Pixels that a block shares with each neighbour, a number or by axis. Of what the function
        returns only the inner part is kept; an object that two neighbours see there is one object.
    level
        Resolution level; labels and images can be written for level 0.
    labels
        Label images that the function gets; all but hidden ones if ``None``.
    write
        ``labels/NAME``, ``images/NAME`` (beside each image: ``image.derived``) or ``tables/NAME``.
        Objects of the pieces of an image get values of their own.
    classes
        Name of each value, if ``labels/NAME`` are classes and not objects.
    overwrite
        Whether what has the same name is replaced.
    resume
        Whether results that an interrupted run left are taken. They are those of the same function
        (its code, and functions, numbers and texts of its module that it uses, not other modules) of
        the same pixels, labels and metadata.
    on_error
        ``stop``: the first failure ends the work. ``skip``: images with a failure are left out, and
        listed in the result.
    author
        Who is named in the attributes; the name of the user if ``None``.
    cluster
        A ``distributed.Client`` or the address of a scheduler; if ``None``, the current client of this
        process, else threads.
    workers
        Number of threads; one per processor if 0.
    memory
        Bytes that all workers may take together; 0 for half of what is free.

    Raises
    ------
    ngff_bio.errors.FunctionError
        If the function fails.
    ngff_bio.errors.ArgumentError
        If the function returns something that cannot be written: another shape, labels that are not
        integers or of more than 32 bits; or if a piece is too large for a worker.
    ngff_bio.errors.StoreExistsError
        If an image has something of this name.
    ngff_bio.errors.StoreBusyError
        If another process is writing into the store, or has changed it meanwhile.
    ngff_bio.errors.WorkerError
        If workers of the cluster lack a package, or do not see the store.
    ngff_bio.errors.StorageError
        If the store cannot be written.
    """
    opened = dataset if isinstance(dataset, Dataset) else open(dataset, storage_options)
    target = None if write is None else _target(write, classes, level)
    cut = make_cut(over, block, overlap)
    images = _selected(opened, select)
    with ExitStack() as stack:
        pool = start_pool(cluster, workers, memory)
        stack.callback(pool.close)
        work = MapWork(function, images, cut, level, labels, target, on_error, pool)
        if target is None:
            pool.check(opened.nodes.storage, function, writing=False)
            return work.collect()
        held = stack.enter_context(held_store(opened.nodes.storage))
        opened.nodes.refresh()  # others may have written since it was opened
        pool.check(held.storage, function, writing=True)
        writing = ResultWriter(work, target, held, classes, author)
        result = writing.run(overwrite=overwrite, resume=resume)
    opened.nodes.refresh()
    return result


def _target(write: str, classes: Mapping[int, str] | None, level: int) -> Target:
    kind, _, name = write.partition("/")
    if kind not in FOLDERS:
        raise ArgumentError(
            "nothing that can be written",
            expected="labels/NAME, images/NAME or tables/NAME",
            found=write,
        )
    check_name(name)
    if kind != "tables" and level != 0:
        raise ArgumentError("labels and images are written for level 0", found=f"level {level}")
    if kind != "labels" and classes is not None:
        raise ArgumentError("only labels have classes", expected="write='labels/NAME'", found=write)
    class_values(classes)
    return Target(kind, name)  # type: ignore[arg-type]  # one of FOLDERS


def _selected(dataset: Dataset, select: Mapping[str, object] | Iterable[str] | None) -> list[Image]:
    if select is None:
        return [dataset[path] for path in dataset]
    if isinstance(select, Mapping):
        return dataset.select(**{str(k): v for k, v in select.items()})
    if isinstance(select, str):
        raise ArgumentError(
            "no selection", expected="paths of images, or conditions", found=repr(select)
        )
    return [dataset[path] for path in dict.fromkeys(select)]
