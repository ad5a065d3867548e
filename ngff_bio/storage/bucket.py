"""Objects in a bucket (S3, Google Cloud Storage, Azure), or read from a web server.

obstore makes the requests: it signs them, and repeats those that failed with 5xx, a broken
connection or a timeout, with growing pauses, up to a limit.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cached_property
from typing import Any, NoReturn, cast
from urllib.parse import urlsplit, urlunsplit

from ngff_bio.errors import ArgumentError, StorageError
from ngff_bio.storage.base import Buffer, Locality, Storage, pieces
from ngff_bio.storage.keys import refuse_escape

#: URL schemes of buckets, and of web servers.
BUCKETS = ("s3", "s3a", "gs", "az", "azure", "abfs", "abfss", "adl")
WEB = ("http", "https")

#: Azure does not know the request for "the last bytes of": there the size is requested first.
_NO_SUFFIX = ("az", "azure", "abfs", "abfss", "adl")

#: Web servers that were seen not to know it.
_found_without_suffix: set[str] = set()

#: Names that s3fs and gcsfs users know, and obstore's names for them.
_ALIASES = {
    "key": "access_key_id",
    "secret": "secret_access_key",
    "endpoint_url": "endpoint",
    "anon": "skip_signature",
}

#: Options of the HTTP client and of repeating, among those of the bucket.
_CLIENT = ("timeout", "connect_timeout", "read_timeout", "proxy_url", "allow_http", "user_agent")
_RETRY = ("max_retries", "retry_timeout")

#: What marks an option or a variable of the environment as secret.
_SECRET = re.compile(r"secret|password|token|sas|signature|key|credential", re.I)
_SECRET_IN_TEXT = re.compile(
    r"(?i)((?:sig|signature|x-amz-signature|x-amz-security-token|x-amz-credential|token|"
    r"x-goog-signature|x-goog-credential|awsaccesskeyid|authorization)(?:=|:\s*|>))[^&\s<\"']+"
)
_HIDDEN = "***"


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
        of its HTTP client (``timeout``, ``connect_timeout``, ``allow_http``; seconds), and
        ``max_retries`` and ``retry_timeout`` (seconds). What is not given comes from the
        environment, as each cloud's own tools have it (``AWS_ACCESS_KEY_ID``, ...).
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
    def store(self) -> Any:
        """The obstore store at the URL: for libraries that read through one."""
        try:
            return _open(self.address, self.options)
        except Exception as error:
            self._fail(error, "open", "")

    def put(self, key: str, data: Buffer | Sequence[Buffer]) -> int:
        """Write one object whole, in one request."""
        parts = pieces(data)
        whole = parts[0] if len(parts) == 1 else b"".join(parts)
        # One request: an object appears whole or not at all, and no part of it is ever left over.
        self._call("write", key, lambda o: o.put(self.store, key, whole, use_multipart=False))
        return len(whole)

    def compare_and_swap(self, key: str, before: bytes | None, after: bytes) -> bool:
        """Replace an object only if it still is ``before``: a conditional request."""
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
        if not self.address.startswith(_NO_SUFFIX) and self.address not in _found_without_suffix:
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
        found = self._call("read", key, lambda o: o.head(self.store, key))
        return None if found is None else int(found["size"])

    def list(self, prefix: str = "") -> Iterator[tuple[str, int]]:
        """Keys below ``prefix`` with their sizes."""
        self._listable()
        pages = self._call("list", prefix, lambda o: iter(o.list(self.store, prefix or None)))
        while (page := self._call("list", prefix, lambda o: next(pages, None))) is not None:
            yield from ((item["path"], int(item["size"])) for item in page)

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

    def delete(self, key: str) -> None:
        """Remove an object."""
        self._call("remove", key, lambda o: o.delete(self.store, key))

    def delete_all(self, prefix: str = "") -> None:
        """Remove everything below ``prefix``."""
        keys = [key for key, _ in self.list(prefix)]
        if keys:
            self._call("remove", prefix, lambda o: o.delete(self.store, keys))

    def rename(self, key: str, after: str) -> None:
        """Move an object to another key: the bucket copies it, then it is removed."""
        refuse_escape(after, self.url)
        self._call("move", key, lambda o: o.copy(self.store, key, after))
        self.delete(key)

    def _call(self, verb: str, key: str, ask: Callable[[Any], Any]) -> Any:
        """One request; ``None`` where there is no such object to read or remove."""
        refuse_escape(key, self.url)
        import obstore

        try:
            return ask(obstore)
        except FileNotFoundError as error:
            if verb == "write":
                self._fail(error, verb, key)
            return None
        except StorageError:
            raise
        except Exception as error:
            self._fail(error, verb, key)

    def _fail(self, error: Exception, verb: str, key: str) -> NoReturn:
        import obstore

        refused = (
            obstore.exceptions.PermissionDeniedError,
            obstore.exceptions.UnauthenticatedError,
        )
        if isinstance(error, refused):
            hint = "check the keys and their rights: storage options, or the cloud's own variables"
        elif isinstance(error, FileNotFoundError):
            hint = "check the name of the bucket"
        elif isinstance(
            error, ValueError | TypeError | obstore.exceptions.UnknownConfigurationKeyError
        ):
            hint = "check the storage options"
        elif self.address.startswith(WEB) and verb in ("write", "remove"):
            hint = "a web server can only be read; write to a folder or a bucket"
        else:
            hint = "run the same command again: it resumes where it stopped"
        # Not chained: the original contains requests and answers, which may contain keys.
        raise StorageError(
            f"cannot {verb}: {_first_line(scrubbed(str(error), self.options))}",
            file=f"{self.url}/{key}".rstrip("/"),
            hint=hint,
        ) from None


def _open(address: str, options: Mapping[str, Any]) -> Any:
    from obstore.store import from_url

    given = {_ALIASES.get(k, k): v for k, v in options.items()}
    client = {
        "timeout": 300.0,  # of one request: a shard over a slow line
        "connect_timeout": 10.0,
        **given.pop("client_options", {}),
        **{k: given.pop(k) for k in _CLIENT if k in given},
    }
    endpoint = str(
        given.get("endpoint")
        or given.get("aws_endpoint")
        or os.environ.get("AWS_ENDPOINT_URL")
        or os.environ.get("AWS_ENDPOINT")
        or address
    )
    if endpoint.startswith("http://"):
        client.setdefault("allow_http", True)
    retry = {
        "max_retries": 8,
        "retry_timeout": 120.0,  # about as long as a server takes to restart
        "backoff": {
            "init_backoff": timedelta(seconds=0.1),
            "max_backoff": timedelta(seconds=10),
            "base": 2,
        },
        **given.pop("retry_config", {}),
        **{k: given.pop(k) for k in _RETRY if k in given},
    }
    retry["max_retries"] = int(retry["max_retries"])
    retry["retry_timeout"] = _seconds(retry["retry_timeout"])
    for name in ("timeout", "connect_timeout", "read_timeout"):
        if name in client:
            client[name] = _seconds(client[name])
    provider = given.pop("credential_provider", None)
    more = {"client_options": client, "retry_config": retry}
    if not address.startswith(WEB):
        more["config"] = given
        if provider is not None:
            more["credential_provider"] = provider
    return from_url(address, **cast("Any", more))


def _seconds(value: Any) -> timedelta:
    if isinstance(value, timedelta):
        return value
    try:
        return timedelta(seconds=float(str(value).removesuffix("s")))
    except ValueError as error:
        raise ArgumentError("not a number of seconds", found=value) from error


def shown(address: str) -> str:
    """A URL for messages: without user, password, query and fragment."""
    parts = urlsplit(address)
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit((parts.scheme, host, parts.path, "", "")).rstrip("/")


def scrubbed(text: str, options: Mapping[str, Any]) -> str:
    """A message without any secret of the options, of the environment, or of a signed URL."""
    known = {str(v) for k, v in _flat(options) if _SECRET.search(_ALIASES.get(k, k))}
    known |= {
        v
        for k, v in os.environ.items()
        if k.startswith(("AWS_", "GOOGLE_", "AZURE_")) and _SECRET.search(k)
    }
    for secret in sorted((s for s in known if s), key=len, reverse=True):
        text = text.replace(secret, _HIDDEN)
    text = re.sub(r"(://)[^/\s@]+@", rf"\1{_HIDDEN}@", text)
    return _SECRET_IN_TEXT.sub(rf"\1{_HIDDEN}", text)


def _flat(options: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for key, value in options.items():
        if isinstance(value, Mapping):
            yield from _flat(value)
        else:
            yield str(key), value


def _first_line(text: str) -> str:
    """obstore's first paragraph; the rest is its own debugging view of the same."""
    return " ".join(text.split("\n\nDebug source:")[0].split())
