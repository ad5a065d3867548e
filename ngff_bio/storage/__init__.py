"""Where bytes are kept: folder, memory, zip, bucket, web server."""

from ngff_bio.storage.base import Buffer, Locality, ReadOnlyStorage, Storage, open_object
from ngff_bio.storage.below import StorageBelow
from ngff_bio.storage.bucket import BucketStorage
from ngff_bio.storage.folder import FolderStorage
from ngff_bio.storage.keys import checked_key, is_key, is_relative, join_key, leads_out
from ngff_bio.storage.memory import MemoryStorage
from ngff_bio.storage.places import storage_above, storage_at
from ngff_bio.storage.zipped import ZipStorage

__all__ = [
    "BucketStorage",
    "Buffer",
    "FolderStorage",
    "Locality",
    "MemoryStorage",
    "ReadOnlyStorage",
    "Storage",
    "StorageBelow",
    "ZipStorage",
    "checked_key",
    "is_key",
    "is_relative",
    "join_key",
    "leads_out",
    "open_object",
    "storage_above",
    "storage_at",
]
