"""Objects in a bucket (S3, Google Cloud Storage, Azure), or read from a web server.

obstore makes the requests: it signs them, and repeats those that failed with 5xx, a broken
connection or a timeout, with growing pauses, up to a limit.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NoReturn, cast

from ngff_bio.errors import NgffBioError, StorageError
from ngff_bio.storage.base import Buffer, Locality, Storage, pieces
from ngff_bio.storage.connection import WEB, Connection, cloud_of, connect, open_store
from ngff_bio.storage.failures import (
    failure,
    is_ambiguous_denial,
    is_missing_bucket,
    is_unreachable,
    shown,
)
from ngff_bio.storage.keys import refuse_escape

#: Web servers that were seen not to know the request for "the last bytes of".
_found_without_suffix: set[str] = set()

#: Seconds for which a server that cannot be reached any more is waited for: it may be restarted.
_PATIENCE = 60

#: Bytes of a part of an upload in parts: S3 takes no smaller ones than 5 MB, except for the last.
_PART = 8 << 20

#: Without it, buckets serve a page as bytes that a browser saves instead of showing it.
_CONTENT_TYPES = {
    "html": "text/html; charset=utf-8",
    "md": "text/markdown; charset=utf-8",
    "json": "application/json",
}

#: Documents that are looked for, and often are not there.
_PROBED = ("zarr.json", ".zgroup", ".zarray", ".zattrs", ".zmetadata")
_OWN = (".ngff_bio/", "ngff_bio/")


@dataclass(frozen=True)
class BucketStorage(Storage):
    """Storage behind a URL.

    Parameters
    ----------
    address
        ``s3://bucket/path``, ``gs://bucket/path``, ``az://container/path``, or
        ``https://host/path`` to read.
    options
        Of obstore (``endpoint``, ``region``, ``access_key_id``, ``skip_signature``, ...), those
        of its HTTP client (``timeout``, ``connect_timeout``, ``allow_http``; seconds),
        ``max_retries`` and ``retry_timeout`` (seconds), and ``profile``, one of ``~/.aws``. What
        is not given comes from the environment, as each cloud's own tools have it
        (``AWS_ACCESS_KEY_ID``, ...), or from the profile ``AWS_PROFILE`` or ``default``.
    """

    address: str = field(repr=False)
    options: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)

    def __repr__(self) -> str:
        return f"BucketStorage({self.url!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        return (BucketStorage, (self.address, dict(self.options)))

    @property
    def url(self) -> str:
        """The URL without user, password and query."""
        return shown(self.address)

    @property
    def locality(self) -> Locality:
        """Every machine with access to the bucket sees the objects."""
        return "network"

    @cached_property
    def connection(self) -> Connection:
        """Credentials, endpoint, region, settings of requests."""
        try:
            return connect(self.address, self.options)
        except NgffBioError as error:
            error.file = error.file or self.url
            raise

    @property
    def secrets(self) -> Mapping[str, Any]:
        """Options as they are given and as they are used, which may be keys of a profile."""
        return {**self.options, "used": self.connection.config}

    @cached_property
    def store(self) -> Any:
        """The obstore store at the URL: for libraries that read through one."""
        connection = self.connection
        try:
            return open_store(self.address, connection)
        except Exception as error:
            self._fail(error, "open", "")

    @cached_property
    def _refused(self) -> list[tuple[Exception, str]]:
        """Requests for documents that may not be there, which were refused."""
        return []

    def raise_refusal(self) -> None:
        """Raise if a document was taken for missing because access to it was denied."""
        if self._refused:
            self._fail(self._refused[0][0], "read", self._refused[0][1])

    def put(self, key: str, data: Buffer | Sequence[Buffer]) -> int:
        """Write one object whole, in one request."""
        parts = pieces(data)
        whole = parts[0] if len(parts) == 1 else b"".join(parts)
        # One request: an object appears whole or not at all, and no part of it is ever left over.
        more: Any = {"use_multipart": False}
        if kind := _CONTENT_TYPES.get(key.rpartition(".")[2]):
            more["attributes"] = {"Content-Type": kind}
        self._call("write", key, lambda o: o.put(self.store, key, whole, **more))
        return len(whole)

    def put_pieces(self, key: str, data: Iterable[bytes], size: int) -> None:
        """Write one object of about `size` bytes in several requests; it appears whole or not at all.

        An upload that is interrupted leaves nothing that can be seen; one that is killed leaves parts
        that the bucket's rules may have to remove.

        Raises
        ------
        ngff_bio.errors.StorageError
            If it cannot be written.
        """
        self.check_writable()
        refuse_escape(key, self.url)
        import obstore

        part = -(-size // parts_of(size))
        part = max(part + (part >> 3), _PART)
        more: Any = {"use_multipart": True, "chunk_size": part, "max_concurrency": 4}
        source = iter(data)
        try:
            # obstore asks for pieces in a thread in which it cannot be called: these may be read by it.
            with ThreadPoolExecutor(1) as thread:
                asked = iter(lambda: thread.submit(next, source, None).result(), None)
                obstore.put(self.store, key, cast("Any", asked), **more)
        except NgffBioError:  # of the pieces
            raise
        except (obstore.exceptions.BaseError, FileNotFoundError) as error:
            self._fail(error, "upload", key)

    def compare_and_swap(self, key: str, before: bytes | None, after: bytes) -> bool:
        """Replace an object only if it still is ``before``: a conditional request."""
        self.check_writable()
        import obstore

        try:
            if before is None:
                obstore.put(self.store, key, after, mode="create")
                return True
            found = obstore.get(self.store, key)
            if bytes(found.bytes()) != before:
                return False
            known = {n: v for n in ("e_tag", "version") if (v := found.meta.get(n)) is not None}
            obstore.put(self.store, key, after, mode=cast("Any", known))
        except (
            obstore.exceptions.AlreadyExistsError,
            obstore.exceptions.PreconditionError,
            FileNotFoundError,
        ):
            return False
        except (NotImplementedError, obstore.exceptions.NotSupportedError):
            if self.get(key) != before:  # no conditional requests: compare, then put
                return False
            self.put(key, after)
        except Exception as error:
            self._fail(error, "write", key)
        return True

    def get(self, key: str) -> bytes | None:
        """All bytes of an object, or ``None``."""
        found = self._call("read", key, lambda o: o.get(self.store, key).bytes())
        return None if found is None else bytes(found)

    def get_range(self, key: str, start: int, length: int) -> bytes | None:
        """Part of an object, or ``None``; a negative ``start`` counts from the end."""
        if start >= 0:
            found = self._call(
                "read", key, lambda o: o.get_range(self.store, key, start=start, length=length)
            )
            return None if found is None else bytes(found)
        # Azure does not know the request for "the last bytes of": there the size is requested first.
        if cloud_of(self.address) != "az" and self.address not in _found_without_suffix:
            try:
                return self._rest(key, {"suffix": -start}, length)
            except StorageError:
                if not self.address.startswith(WEB):
                    raise
                # Simple web servers know ranges, but not "the last bytes of": tried only once.
        size = self.size(key)
        if size is None:
            return None
        found = self._rest(key, {"offset": max(size + start, 0)}, length)
        _found_without_suffix.add(self.address)
        return found

    def _rest(self, key: str, where: Any, length: int) -> bytes | None:
        ask: Any = {"range": where}
        found = self._call("read", key, lambda o: o.get(self.store, key, options=ask).bytes())
        return None if found is None else bytes(found)[:length]

    def size(self, key: str) -> int | None:
        """Size in bytes, or ``None``."""
        found = self.version(key)
        return None if found is None else found[0]

    def version(self, key: str) -> tuple[int, str] | None:
        """Size in bytes, and what changes when the object does; ``None`` if there is none."""
        first: Any = {"range": (0, 1)}
        signed = self.address.startswith(WEB) and "?" in self.address  # for GET, and not for HEAD
        found = self._call(
            "read",
            key,
            lambda o: (
                o.get(self.store, key, options=first).meta if signed else o.head(self.store, key)
            ),
        )
        return None if found is None else (int(found["size"]), _version(found))

    def list(self, prefix: str = "") -> Iterator[tuple[str, int]]:
        """Keys below ``prefix`` with their sizes."""
        return ((key, size) for key, size, _ in self.versions(prefix))

    def versions(self, prefix: str = "") -> Iterator[tuple[str, int, str]]:
        """Keys below ``prefix`` with their sizes, and what changes when the object does: its ETag."""
        self._listable()
        pages: Any = None
        last: str | None = None

        def next_page(o: Any) -> Any:
            nonlocal pages
            pages = pages or iter(o.list(self.store, prefix or None, offset=last))
            try:
                return next(pages, None)
            except Exception:  # raised again; of any type, since the iterator is of no use after it
                pages = None  # a new one begins after the last key
                raise

        while (page := self._call("list", prefix, next_page)) is not None:
            for item in page:
                last = item["path"]
                yield last, int(item["size"]), _version(item)

    def folders(self, prefix: str = "") -> Sequence[str]:
        """Names directly below ``prefix`` that have keys below them, sorted."""
        self._listable()
        found = self._call(
            "list", prefix, lambda o: o.list_with_delimiter(self.store, prefix or None)
        )
        paths = () if found is None else found["common_prefixes"]
        return sorted(path.rstrip("/").rpartition("/")[2] for path in paths)

    def _listable(self) -> None:
        if self.address.startswith(WEB):
            raise StorageError(
                "a web server cannot be listed",
                file=self.url,
                hint="it can only be read, key by key; write to a folder or a bucket",
            )

    def check_writable(self) -> None:
        """Raise if it is a web server.

        Raises
        ------
        ngff_bio.errors.StorageError
            It can only be read.
        """
        if self.address.startswith(WEB):
            raise StorageError(
                "a web server can only be read",
                file=self.url,
                hint="write to a folder or a bucket",
            )

    def delete(self, key: str) -> None:
        """Remove an object."""
        self._call("remove", key, lambda o: o.delete(self.store, key))

    def delete_all(self, prefix: str = "", known: Iterable[str] = ()) -> None:
        """Remove everything below ``prefix``, and ``known`` keys, which a listing need not show yet."""
        keys = [key for key, _ in self.list(prefix)]
        if keys:
            self._call("remove", prefix, lambda o: o.delete(self.store, keys))
        for key in set(known).difference(keys):
            self.delete(key)

    def rename(self, key: str, after: str) -> None:
        """Move an object to another key: the bucket copies it, then it is removed."""
        refuse_escape(after, self.url)
        self._call("move", key, lambda o: o.copy(self.store, key, after))
        self.delete(key)

    def _call(self, verb: str, key: str, ask: Callable[[Any], Any]) -> Any:
        """One request; ``None`` where there is no such object to read or remove."""
        refuse_escape(key, self.url)
        if verb in ("write", "remove", "move"):
            self.check_writable()
        import obstore

        began: float | None = None
        while True:
            try:
                found = ask(obstore)
                self.__dict__["answered"] = True
                return found
            except FileNotFoundError as error:
                if verb == "write" or is_missing_bucket(error):
                    self._fail(error, verb, key)
                self.__dict__["answered"] = True
                return None
            except NgffBioError:
                raise
            except Exception as error:
                if verb == "read" and is_ambiguous_denial(error) and _is_probed(key):
                    if not self._refused:  # one is enough to raise
                        self._refused.append((error, key))
                    return None
                began = began or time.monotonic()
                if time.monotonic() - began > _PATIENCE or not self._is_away(error):
                    self._fail(error, verb, key)
                time.sleep(0.5)

    def _is_away(self, error: Exception) -> bool:
        """Whether a server that has answered before cannot be reached now."""
        patient = "answered" in self.__dict__ and self.connection.retry["max_retries"] > 0
        return patient and is_unreachable(error)

    def _fail(self, error: BaseException, verb: str, key: str) -> NoReturn:
        # Not chained: the original contains requests and answers, which may contain keys.
        file = f"{self.url}/{key}".rstrip("/")
        raise failure(error, verb, file, self.address, self.connection, self.secrets) from None


def parts_of(size: int) -> int:
    """Number of parts in which an object is uploaded: S3 takes 10,000."""
    return min(max(1, -(-size // _PART)), 8000)


def _version(item: Mapping[str, Any]) -> str:
    return str(item["e_tag"] or item["last_modified"])


def _is_probed(key: str) -> bool:
    return key.startswith(_OWN) or key.rpartition("/")[2] in _PROBED
