"""Errors of obstore as ours: what was tried, and what to set; without secrets."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from ngff_bio.errors import StorageError, closest_names
from ngff_bio.storage.connection import Connection, cloud_of, flat, is_true

#: What marks an option or a variable of the environment as secret.
SECRET = re.compile(r"secret|password|token|sas|(?<!skip_)signature|key|credential", re.I)
_SECRET_IN_TEXT = re.compile(
    r"(?i)((?:sig|signature|x-amz-signature|x-amz-security-token|x-amz-credential|token|"
    r"x-goog-signature|x-goog-credential|awsaccesskeyid)(?:=|:\s*|>)|authorization(?:=|:\s*)"
    r"(?:bearer |basic |sharedkey )?)[^&\s<\"']+"
)
_HIDDEN = "***"

_STATUS = re.compile(r"status code: (\d{3})")
_CODE = re.compile(r"<Code>(\w+)</Code>")
_MESSAGE = re.compile(r"<Message>([^<]*)</Message>")
_REGION = re.compile(r"expecting '([\w-]+)'|<Region>([\w-]+)</Region>")
_NO_BUCKET = ("NoSuchBucket", "ContainerNotFound", "The specified bucket does not exist")

#: What to do about what a server says, by its code.
_HINTS = {
    "SignatureDoesNotMatch": "the secret key does not belong to the access key: set it again",
    "InvalidAccessKeyId": "the server does not know the access key: check it, the endpoint, and the "
    "session token if one is given",
    "ExpiredToken": "the session has expired: log in again, or renew the session token",
    "InvalidToken": "the session token is not valid: renew it, or leave it out",
    "RequestTimeTooSkewed": "the clock of this machine is wrong: set it",
    "InvalidBucketName": "check the name of the bucket",
}
_NAMES = (
    *("endpoint", "region", "access_key_id", "secret_access_key", "session_token"),
    *("skip_signature", "virtual_hosted_style_request", "profile", "allow_http", "timeout"),
    *("account_name", "account_key", "sas_key", "service_account", "use_emulator"),
)


def failure(
    error: BaseException,
    verb: str,
    file: str,
    address: str,
    connection: Connection,
    options: Mapping[str, Any],
) -> StorageError:
    """The error of a request: what the server said, what was tried, what to set."""
    text = scrubbed(str(error), options)
    status = int(m[1]) if (m := _STATUS.search(text)) else None
    code = m[1] if (m := _CODE.search(text)) else ""
    said = f"{status or ''} {code}".strip()
    message = m[1] if (m := _MESSAGE.search(text)) else ""
    found = f"{said}: {message}" if said and message else said or _first_line(text)
    web = cloud_of(address) == "web"
    what, hint = f"cannot {verb}: {_first_line(text)}", ""
    if isinstance(error, FileNotFoundError) or _names_no_bucket(text):
        what, hint = "there is no such bucket", "check its name, the endpoint, and the region"
    elif region := _REGION.search(text):
        what = "the bucket is in another region"
        hint = f"give --storage-option region={region[1] or region[2]} (or --source-option)"
    elif status in (301, 307) or "redirect without LOCATION" in text:
        what, hint = (
            "the bucket is in another region",
            "give it as --storage-option region=NAME (or --source-option)",
        )
    elif status == 400 and not code:  # an answer to HEAD has no text
        hint = "the server does not state why: check the region, the endpoint and the keys"
    elif "External AWS credential provider" in text:
        what = "the credentials could not be renewed"
        hint = "log in again, then run the same command again: what writes resumes"
    elif status in (401, 403) or type(error).__name__ in (
        "PermissionDeniedError",
        "UnauthenticatedError",
    ):
        what = f"cannot {verb}: access is denied"
        hint = _HINTS.get(code, "") or _denied(verb, web, connection)
    elif type(error).__name__ == "UnknownConfigurationKeyError":
        name = re.sub(r".*?'([^']*)'.*", r"\1", text, flags=re.S)
        what, found = "unknown storage option", name
        hint = f"did you mean {closest_names(name, _NAMES)}? check the storage options"
    elif "Range request not supported" in text:
        what, found = "the web server sends no parts of files (ranges)", ""
        hint = "copy the store by `ngff-bio copy`, which reads whole files, or use another server"
    elif "builder error" in text and not is_true(connection.client.get("allow_http")):
        what = "the endpoint is http://, and allow_http is false"
        hint = "give allow_http=true, or an endpoint with https://"
    elif "Account must be specified" in text:
        what, hint = "no account is given", "give --storage-option account_name=NAME"
    elif isinstance(error, ValueError | TypeError) or "Config error" in text:
        hint = "check the storage options"
    elif is_unreachable(error):
        what = f"cannot {verb}: no answer from {connection.endpoint or 'the server'}"
        found, hint = _first_line(text), "check the endpoint, and that the server is reachable"
    if not hint:
        hint = "the server or the network failed, also when the request was repeated"
        if verb != "read":
            hint += ": run the same command again"
            hint += "" if verb == "upload" else ", it resumes where it stopped"
    if found in what:
        found = ""
    return StorageError(
        what, file=file, found=found or None, hint=f"{hint} (tried with {connection.tried})"
    )


def _names_no_bucket(text: str) -> bool:
    return any(name in text for name in _NO_BUCKET)


def is_missing_bucket(error: BaseException) -> bool:
    """Whether the object is missing because its bucket is."""
    return _names_no_bucket(str(error))


def is_unreachable(error: BaseException) -> bool:
    """Whether nothing answered at all."""
    return any(s in str(error) for s in ("error sending request", "error trying to connect"))


def is_ambiguous_denial(error: BaseException) -> bool:
    """Whether a server that refuses a request may mean that there is no such object.

    That is what S3 answers where the bucket may not be listed.
    """
    if type(error).__name__ not in ("PermissionDeniedError", "UnauthenticatedError"):
        return False
    code = _CODE.search(str(error))
    return code is None or code[1] == "AccessDenied"


def _denied(verb: str, web: bool, connection: Connection) -> str:
    if web:
        return (
            "the web server does not give this file to everyone: check the URL, or write "
            "USER:PASSWORD@ before its host"
        )
    if connection.credentials.startswith("none"):
        return "the bucket is not public for this: give credentials, as with --profile NAME"
    needed = {
        "read": "GetObject",
        "list": "ListBucket",
        "write": "PutObject",
        "upload": "PutObject",
    }
    return (
        f"these credentials may not {verb} here: check the keys and their rights "
        f"(s3:{needed.get(verb, 'DeleteObject')})"
    )


def shown(address: str) -> str:
    """A URL for messages: without user, password, query and fragment."""
    parts = urlsplit(address)
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit((parts.scheme, host, parts.path, "", "")).rstrip("/")


def scrubbed(text: str, options: Mapping[str, Any]) -> str:
    """A message without any secret of the options, of the environment, or of a signed URL."""
    known = {str(v) for k, v in flat(options) if SECRET.search(k)}
    known |= {
        v
        for k, v in os.environ.items()
        if k.startswith(("AWS_", "GOOGLE_", "AZURE_")) and SECRET.search(k)
    }
    for secret in sorted((s for s in known if s), key=len, reverse=True):
        text = text.replace(secret, _HIDDEN)
    text = re.sub(r"(://)[^/\s@]+@", rf"\1{_HIDDEN}@", text)
    return _SECRET_IN_TEXT.sub(rf"\1{_HIDDEN}", text)


def _first_line(text: str) -> str:
    """obstore's first paragraph; the rest is its own debugging view of the same."""
    return " ".join(text.split("\n\nDebug source:")[0].split())
