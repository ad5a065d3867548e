"""Public buckets: their address on the web, and a check that everyone can read it."""

from __future__ import annotations

import http.client
import os
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlsplit

from ngff_bio.errors import ArgumentError, NgffBioError
from ngff_bio.storage.connection import WEB, cloud_of, connect
from ngff_bio.storage.failures import shown

#: A page of another origin, as that of a viewer.
_ORIGIN = "https://neuroglancer-demo.appspot.com"

#: Seconds between requests to a server that does not answer.
_PAUSES = (0.5, 1, 2)


def public_url(address: str, options: Mapping[str, Any]) -> str | None:
    """Where everyone reads what is at an address; ``None`` where it is not known, as for a folder."""
    if "://" not in address or address.startswith("file://"):
        return None
    parts = urlsplit(address)
    cloud, path = cloud_of(address), quote(parts.path.rstrip("/"))
    if cloud == "web":
        return address.rstrip("/")
    connection = connect(address, options)
    (bucket, _, host), config = parts.netloc.partition("@"), connection.config
    if cloud == "gs":
        base: str | None = connection.endpoint or "https://storage.googleapis.com"
    elif cloud == "az":
        account = (
            config.get("account_name") or host.partition(".")[0]
        )  # abfss://container@account...
        account = account or os.environ.get("AZURE_STORAGE_ACCOUNT_NAME")
        base = connection.endpoint or (account and f"https://{account}.blob.core.windows.net")
    else:
        base = connection.endpoint
    if base:
        return f"{base.rstrip('/')}/{bucket}{path}"
    if cloud == "az":
        return None
    region = str(config.get("region", "us-east-1"))
    if "." in bucket:  # the certificate of a host does not hold for a name with dots
        return f"https://s3.{region}.amazonaws.com/{bucket}{path}"
    return f"https://{bucket}.s3.{region}.amazonaws.com{path}"


def checked_url(url: str) -> str:
    """A public URL that was given, to which keys can be added.

    Raises
    ------
    ngff_bio.errors.ArgumentError
        If it is not one.
    """
    parts = urlsplit(url)
    if (
        parts.scheme not in WEB
        or not parts.netloc
        or "@" in parts.netloc
        or "?" in url
        or "#" in url
    ):
        raise ArgumentError(
            "the URL of the store is not a public one",
            expected="https://HOST/PATH, without user and query",
            found=shown(url),
        )
    return url.rstrip("/")


@dataclass(frozen=True)
class Check:
    """One thing that an anonymous browser needs, and whether the server gives it."""

    what: str
    passed: bool
    found: str = ""


def check_public(url: str, document: str) -> list[Check]:
    """Read a document as a viewer in a browser does: without credentials, from another origin.

    Parameters
    ----------
    url
        Public URL of the store.
    document
        Key of a document that is there: ``zarr.json``.
    """
    try:
        whole = _first_answer(f"{url}/{document}")
        part = _ask(f"{url}/{document}", Range="bytes=1-4")
        asked = {"Access-Control-Request-Method": "GET", "Access-Control-Request-Headers": "range"}
        preflight = _ask(f"{url}/{document}", "OPTIONS", **asked)
        missing = _ask(f"{url}/there-is-no-such-object")
    except (OSError, http.client.HTTPException, NgffBioError) as error:
        found = str(error) or type(error).__name__
        return [Check("the server answers", False, f"{found}: the same command checks again")]
    allowed = whole[1].get("access-control-allow-origin", "")
    headers = preflight[1].get("access-control-allow-headers", "")
    return [
        Check("everyone may read", whole[0] == 200, f"status {whole[0]}"),
        Check(
            "ranges of objects are sent",
            part[0] == 206 and part[2] == whole[2][1:5],
            f"status {part[0]}, {len(part[2])} bytes",
        ),
        Check(
            "pages of other origins may read (CORS)",
            allowed in ("*", _ORIGIN),
            f"Access-Control-Allow-Origin: {allowed or 'none'}",
        ),
        Check(
            "pages of other origins may read ranges (CORS)",
            preflight[0] in (200, 204) and (headers == "*" or "range" in headers.lower()),
            f"status {preflight[0]}, Access-Control-Allow-Headers: {headers or 'none'}",
        ),
        Check("what is not there is answered with 404", missing[0] == 404, f"status {missing[0]}"),
    ]


def _first_answer(url: str) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body; a server that is just being started again is waited for."""
    for pause in _PAUSES:
        with suppress(OSError, http.client.HTTPException):
            if (answer := _ask(url))[0] < 500:
                return answer
        time.sleep(pause)
    return _ask(url)


def _ask(url: str, method: str = "GET", **headers: str) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body of one request without credentials."""
    parts = urlsplit(url)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.netloc, timeout=20)
    try:
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, parts.path, headers={"Origin": _ORIGIN, **given})
        answer = connection.getresponse()
        body = answer.read(1 << 26)
        return answer.status, {k.lower(): v for k, v in answer.getheaders()}, body
    finally:
        connection.close()
