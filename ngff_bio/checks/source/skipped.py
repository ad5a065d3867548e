"""Images that a conversion with ``--on-error skip`` left out, since their source cannot be read."""

from __future__ import annotations

from collections.abc import Collection

from ngff_bio.checks.store.arrayinfo import blocks
from ngff_bio.errors import NgffBioError
from ngff_bio.model import InstanceLayer, Pixels, RunVolume, SourceDataset, SourceImage


def without_left_out(
    dataset: SourceDataset, paths: Collection[str]
) -> tuple[SourceDataset, list[str]]:
    """The dataset without images that are not in a store for a reason, and the reasons.

    An image whose source can be read, and that is not in the store all the same, stays: it is
    missing.

    Parameters
    ----------
    paths
        Groups of the store.
    """
    kept: list[SourceImage] = []
    notes: list[str] = []
    for image in dataset.images:
        why = None if image.path in paths else _damage(image)
        if why is None:
            kept.append(image)
        else:
            notes.append(f"{image.path} was left out when it was converted: {why}")
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
    except NgffBioError as error:
        return f"{error.what} ({error.file})" if error.file else error.what
    except OSError as error:
        return str(error)
    return None
