"""Patches as a dataset of PyTorch; the only module that needs torch."""

from __future__ import annotations

from typing import Any

from ngff_bio.errors import DependencyError
from ngff_bio.reader.analysis.patches import Patch, Patches

try:
    import torch
    from torch.utils.data import Dataset as _TorchDataset
except ImportError as _error:
    raise DependencyError(
        "torch is not installed", expected="torch", hint="pip install 'ngff-bio[torch]'"
    ) from _error

import numpy as np


# Without torch's types its Dataset is Any, which mypy refuses as a base; with them nothing is amiss.
class TorchPatches(_TorchDataset[dict[str, Any]]):  # type: ignore[misc,unused-ignore]
    """Patches for a ``DataLoader``; workers may fork or spawn.

    An item is a dictionary: ``image`` float32 (channel, y, x) in 0..1 for integer pixels, a tensor
    of int64 for each label image below ``labels``, and for each one of instances ``boxes``
    (n, 4 or 6), ``values`` (n,) and ``classes`` (n,) as numbers of ``class_names`` (-1 for none).
    Boxes differ in number: pass :func:`collate` to the loader.

    Parameters
    ----------
    patches
        What :func:`ngff_bio.patches` made.
    class_names
        Names that classes are numbered by.
    """

    def __init__(self, patches: Patches, class_names: tuple[str, ...] = ()) -> None:
        self.patches = patches
        self.class_names = tuple(class_names)

    def __len__(self) -> int:
        return len(self.patches)

    def set_epoch(self, epoch: int) -> None:
        """Other random patches for another pass."""
        self.patches.set_epoch(epoch)

    def __getitem__(self, number: int) -> dict[str, Any]:
        return self._tensors(self.patches[number])

    def _tensors(self, patch: Patch) -> dict[str, Any]:
        image = patch.image if patch.image.ndim > len(self.patches.size) else patch.image[None]
        pixels = torch.from_numpy(image.astype(np.float32))
        if image.dtype.kind in "ui":
            pixels /= float(np.iinfo(image.dtype).max)
        numbers = {name: i for i, name in enumerate(self.class_names)}
        return {
            "image": pixels,
            "labels": {n: torch.from_numpy(v.astype(np.int64)) for n, v in patch.labels.items()},
            "objects": {
                n: {
                    "values": torch.from_numpy(o.values),
                    "boxes": torch.from_numpy(o.boxes),
                    "classes": torch.tensor(
                        [numbers.get(c, -1) if c is not None else -1 for c in o.classes],
                        dtype=torch.int64,
                    ),
                }
                for n, o in patch.objects.items()
            },
        }


def collate(items: list[dict[str, Any]]) -> dict[str, Any]:
    """A batch: images and labels stacked, objects as a list."""
    return {
        "image": torch.stack([item["image"] for item in items]),
        "labels": {
            name: torch.stack([item["labels"][name] for item in items])
            for name in items[0]["labels"]
        },
        "objects": [item["objects"] for item in items],
    }
