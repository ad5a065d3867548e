"""Patches as a PyTorch dataset; the only module that needs torch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from ngff_bio.errors import import_optional
from ngff_bio.reader.analysis.patches import Patches, training_arrays

torch = import_optional("torch", "ngff-bio[torch]")

if TYPE_CHECKING:
    from torch.utils.data import Dataset as _Dataset
    from torch.utils.data import IterableDataset as _IterableDataset
else:
    _data = import_optional("torch.utils.data", "ngff-bio[torch]")
    _Dataset, _IterableDataset = _data.Dataset, _data.IterableDataset

#: A dictionary of tensors, dictionaries and lists.
Item = dict[str, Any]


# Without torch's types its Dataset is Any, which mypy refuses as a base.
class TorchPatches(_Dataset[Item]):  # type: ignore[misc,unused-ignore]
    """Patches for a ``DataLoader``; workers may fork or spawn.

    An item has the tensors ``image``, ``labels`` and ``objects`` that
    :func:`.training_arrays` describes. The number of objects differs between patches: pass
    :func:`collate` to the loader.

    Parameters
    ----------
    patches
        Result of :func:`ngff_bio.patches`.
    class_names
        Names of classes; the position of a name is its number.
    """

    def __init__(self, patches: Patches, class_names: tuple[str, ...] = ()) -> None:
        self.patches = patches
        self.class_names = tuple(class_names)

    def __len__(self) -> int:
        return len(self.patches)

    def set_epoch(self, epoch: int) -> None:
        """Draw other random patches for another epoch."""
        self.patches.set_epoch(epoch)

    def __getitem__(self, number: int) -> Item:
        patch = self.patches[number]
        return _tensors(training_arrays(patch, len(self.patches.size), self.class_names))


class IterablePatches(_IterableDataset[Item]):  # type: ignore[misc,unused-ignore]
    """Patches as a stream: each worker of a ``DataLoader`` has its own part, and so has each rank.

    Parameters
    ----------
    patches, class_names
        As of :class:`TorchPatches`.
    shuffle
        Whether the order is another one in each epoch.
    rank, ranks
        Of distributed training: the number of this process, and how many there are.
    """

    def __init__(
        self,
        patches: Patches,
        class_names: tuple[str, ...] = (),
        *,
        shuffle: bool = True,
        rank: int = 0,
        ranks: int = 1,
    ) -> None:
        self.items = TorchPatches(patches, class_names)
        self.shuffle, self.rank, self.ranks = shuffle, rank, ranks

    def set_epoch(self, epoch: int) -> None:
        """Draw other random patches, in another order, for another epoch."""
        self.items.set_epoch(epoch)

    def __iter__(self) -> Iterator[Item]:
        info = torch.utils.data.get_worker_info()
        worker, workers = (info.id, info.num_workers) if info is not None else (0, 1)
        patches = self.items.patches
        numbers = patches.order() if self.shuffle else range(len(patches))
        for number in numbers[self.rank * workers + worker :: self.ranks * workers]:
            yield self.items[int(number)]


def _tensors(item: Item) -> Item:
    return {
        name: _tensors(value) if isinstance(value, dict) else torch.from_numpy(value)
        for name, value in item.items()
    }


def collate(items: list[Item]) -> Item:
    """A batch: images and labels stacked, objects as a list."""
    return {
        "image": torch.stack([item["image"] for item in items]),
        "labels": {
            name: torch.stack([item["labels"][name] for item in items])
            for name in items[0]["labels"]
        },
        "objects": [item["objects"] for item in items],
    }
