"""Where bytes lie: folder, memory, zip, HTTP, bucket."""

from ngff_bio.storage.base import Buffer, Storage
from ngff_bio.storage.folder import FolderStorage
from ngff_bio.storage.memory import MemoryStorage
from ngff_bio.storage.places import storage_at

__all__ = ["Buffer", "FolderStorage", "MemoryStorage", "Storage", "storage_at"]
