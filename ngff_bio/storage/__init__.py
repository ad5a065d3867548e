"""Where bytes lie: folder, memory, bucket, web server."""

from ngff_bio.storage.base import Buffer, Reach, Storage
from ngff_bio.storage.bucket import BucketStorage
from ngff_bio.storage.folder import FolderStorage
from ngff_bio.storage.memory import MemoryStorage
from ngff_bio.storage.places import storage_at

__all__ = [
    "BucketStorage",
    "Buffer",
    "FolderStorage",
    "MemoryStorage",
    "Reach",
    "Storage",
    "storage_at",
]
