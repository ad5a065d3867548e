"""How a bucket or web server is reached: options, the environment and files of the cloud's own tools.

One set of names for all verbs and functions: those of obstore. Names of s3fs, gcsfs and adlfs for the
same are understood; the others are refused by name.
"""

from __future__ import annotations

import os
import re
from base64 import b64encode
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cache
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any, cast
from urllib.parse import unquote, urlsplit

from ngff_bio.errors import ArgumentError, StorageError
from ngff_bio.storage.profiles import Profile, read_profile

#: URL schemes of buckets by cloud, and of web servers.
S3 = ("s3", "s3a")
GOOGLE = ("gs",)
AZURE = ("az", "azure", "abfs", "abfss", "adl")
BUCKETS = (*S3, *GOOGLE, *AZURE)
WEB = ("http", "https")

#: Names of other libraries, and obstore's names for them.
_ALIASES = {
    "endpoint_url": "endpoint",
    "client_kwargs.endpoint_url": "endpoint",
    "client_kwargs.region_name": "region",
    "region_name": "region",
    "anon": "skip_signature",
}
_ALIASES_OF = {
    "s3": {"key": "access_key_id", "secret": "secret_access_key", "token": "session_token"},
    "gs": {"token": "application_credentials", "endpoint": "base_url"},
    "az": {"sas_token": "sas_key"},
}

#: Options of other libraries that have no counterpart.
_REFUSED = {
    "use_ssl": "give the scheme in the endpoint: http:// or https://",
    "requester_pays": "use request_payer=true",
    "connection_string": "give account_name and account_key",
    "s3_additional_kwargs": "use server_side_encryption, sse_kms_key_id",
    "project": "leave it out: a project is not needed",
}

#: Options of the HTTP client and of repeating, among those of the bucket.
_CLIENT = (
    *("timeout", "connect_timeout", "read_timeout", "proxy_url", "allow_http", "user_agent"),
    *("root_certificate", "default_headers", "allow_invalid_certificates", "pool_idle_timeout"),
)
_SECONDS = ("timeout", "connect_timeout", "read_timeout", "pool_idle_timeout")
_RETRY = ("max_retries", "retry_timeout")

#: What gives credentials, by cloud: options, and starts of variables of the environment.
_CREDENTIALS = {
    "s3": ("access_key_id", "web_identity_token_file", "container_credentials_relative_uri"),
    "gs": ("service_account", "service_account_key", "application_credentials", "bearer_token"),
    "az": (
        *("account_key", "access_key", "sas_key", "token", "bearer_token", "client_id"),
        *("use_emulator", "use_azure_cli", "federated_token_file"),
    ),
}
_VARIABLES = {
    "s3": ("AWS_ACCESS_KEY_ID", "AWS_WEB_IDENTITY", "AWS_CONTAINER_CREDENTIALS", "AWS_SKIP"),
    "gs": ("GOOGLE_APPLICATION_CREDENTIALS", "GOOGLE_SERVICE", "GOOGLE_BEARER", "GOOGLE_SKIP"),
    "az": (
        *("AZURE_STORAGE_ACCOUNT_KEY", "AZURE_STORAGE_ACCESS", "AZURE_STORAGE_SAS", "AZURE_CLIENT"),
        *("AZURE_STORAGE_TOKEN", "AZURE_STORAGE_CLIENT", "AZURE_FEDERATED", "AZURE_USE"),
        *("AZURE_SKIP", "AZURE_MSI", "MSI_ENDPOINT", "IDENTITY_ENDPOINT"),
    ),
}
_GCLOUD = Path(".config", "gcloud", "application_default_credentials.json")

#: Address of the service that gives machines in a cloud their credentials.
_METADATA = "169.254.169.254"


@dataclass
class Connection:
    """Everything that opens a bucket or web server; ``repr`` holds no secret.

    ``credentials``, ``endpoint`` and ``region`` say what is tried, for errors.
    """

    config: dict[str, Any] = field(default_factory=dict, repr=False)
    client: dict[str, Any] = field(default_factory=dict, repr=False)
    retry: dict[str, Any] = field(default_factory=dict, repr=False)
    provider: Any = field(default=None, repr=False)
    credentials: str = "none"
    endpoint: str = ""
    region: str = ""

    @property
    def tried(self) -> str:
        """Credentials, endpoint and region, in words."""
        parts = [("credentials", self.credentials), ("endpoint", self.endpoint)]
        parts += [("region", self.region)] if self.region else []
        return ", ".join(f"{name}: {value}" for name, value in parts if value)


def connect(address: str, options: Mapping[str, Any]) -> Connection:
    """How the place at a URL is reached.

    Raises
    ------
    ngff_bio.errors.ArgumentError
        If an option is unknown or has a wrong value, or there is no such profile.
    ngff_bio.errors.StorageError
        If there are no credentials.
    """
    cloud = cloud_of(address)
    given = dict(_renamed(cloud, options))
    made = Connection(client=_client(given), retry=_retry(given))
    made.provider = given.pop("credential_provider", None)
    profile = given.pop("profile", None)
    if cloud == "web":
        made.endpoint = address
        parts = urlsplit(address)
        if parts.username is not None:  # obstore does not take them from the URL
            who = f"{unquote(parts.username)}:{unquote(parts.password or '')}".encode()
            headers = {"authorization": f"Basic {b64encode(who).decode()}"}
            made.client["default_headers"] = {**headers, **made.client.get("default_headers", {})}
    else:
        made.config = given
        _settle(made, cloud, profile)
    endpoint = urlsplit(made.endpoint)
    if made.endpoint and (endpoint.scheme not in WEB or not endpoint.netloc):
        raise ArgumentError(
            "the endpoint has no scheme",
            expected=f"https://{made.endpoint}, or http:// where it has no certificate",
            found=made.endpoint,
            hint="give it as --endpoint https://HOST, or endpoint=https://HOST",
        )
    if endpoint.scheme == "http":
        made.client.setdefault("allow_http", True)
    return made


def cloud_of(address: str) -> str:
    """``s3``, ``gs``, ``az`` or ``web``."""
    scheme = address.partition("://")[0]
    kinds = {"s3": S3, "gs": GOOGLE, "az": AZURE}
    return next((cloud for cloud, schemes in kinds.items() if scheme in schemes), "web")


def _settle(made: Connection, cloud: str, name: str | None) -> None:
    """Add credentials, endpoint and region from where the cloud's own tools have them."""
    config, environ = made.config, os.environ
    anonymous = is_true(config.get("skip_signature"))
    source = "the options" if made.provider or any(k in config for k in _CREDENTIALS[cloud]) else ""
    if not source and not name:
        found = (v for v in environ if environ[v] and v.startswith(_VARIABLES[cloud]))
        source = next(found, "")
    profile = Profile("")
    if cloud == "s3":
        if not anonymous:
            profile = read_profile(name)
            if (
                source and not name
            ):  # keys are given: only the region and endpoint are of the profile
                profile = profile.without_keys()
            elif profile.config.get("access_key_id") or profile.requested:
                source = f"profile {profile.name}"
        if profile.requested:
            made.provider = profile.provider()
        for key in ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT"):
            if environ.get(key):
                config.setdefault("endpoint", environ[key])
        region = environ.get("AWS_REGION") or environ.get("AWS_DEFAULT_REGION")
        if region:
            config.setdefault("region", region)
        for key, value in profile.config.items():
            config.setdefault(key, value)
        made.region = str(config.get("region", "us-east-1 (the default)"))
    elif name is not None:
        raise ArgumentError("a profile is one of AWS", expected="an s3:// URL", found=name)
    if cloud == "gs" and not source and (Path.home() / _GCLOUD).exists():
        source = "gcloud's application default credentials"
    made.endpoint = str(config.get("endpoint") or config.get("base_url") or "")
    made.credentials = "none (anonymous)" if anonymous else f"from {source}" if source else "none"
    if not source and not anonymous:
        if made.endpoint or not _in_a_cloud():
            raise StorageError("there are no credentials for the bucket", **_advice(cloud, profile))
        made.credentials = "those of this machine's role"


def _advice(cloud: str, profile: Profile) -> dict[str, str]:
    looked = {
        "s3": "options, AWS_ACCESS_KEY_ID, profile 'default' in ~/.aws, the role of this machine",
        "gs": "options, GOOGLE_APPLICATION_CREDENTIALS, gcloud's login, the role of this machine",
        "az": "options, AZURE_STORAGE_ACCOUNT_KEY and others, the role of this machine",
    }
    give = {
        "s3": "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or give --profile NAME",
        "gs": "set GOOGLE_APPLICATION_CREDENTIALS, or run `gcloud auth application-default login`",
        "az": "set AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY",
    }
    return {
        "expected": f"one of: {looked[cloud]}",
        "found": "none of them"
        + (f"; profile {profile.name} has {', '.join(profile.members)}" if profile.members else ""),
        "hint": f"{give[cloud]}; for a public bucket give --anon (skip_signature=true)",
    }


@cache
def _in_a_cloud() -> bool:
    """Whether a service gives this machine credentials: asked once, for at most a second."""
    if is_true(os.environ.get("AWS_EC2_METADATA_DISABLED")):
        return False
    connection = HTTPConnection(_METADATA, timeout=1)
    try:
        connection.request("GET", "/")
        return connection.getresponse().status != 403  # as it answers where it is switched off
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()


def _renamed(cloud: str, options: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    aliases = {**_ALIASES, **_ALIASES_OF.get(cloud, {})}
    for name, value in flat(options):
        name = re.sub("^(aws|google|azure_storage|azure)_", "", name.lower())
        if cloud == "gs" and name == "token" and value == "anon":
            name, value = "skip_signature", True
        name = aliases.get(name, name)
        name = aliases.get(name, name)  # endpoint_url of Google
        if name in _REFUSED or "." in name or "kwargs" in name:
            raise ArgumentError(
                "an option of another library, which has no counterpart here",
                expected="an option of obstore: endpoint, region, access_key_id, timeout, ...",
                found=name,
                hint=_REFUSED.get(name, "leave it out, or see the documentation of obstore"),
            )
        if value is not None:
            yield name, value


def flat(options: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Options by name; those of obstore's nested settings without the name of the setting."""
    for key, value in options.items():
        if isinstance(value, Mapping) and key != "default_headers":
            prefix = "" if key in ("client_options", "retry_config", "config") else f"{key}."
            yield from ((f"{prefix}{name}", inner) for name, inner in flat(value))
        else:
            yield str(key), value


def _client(given: dict[str, Any]) -> dict[str, Any]:
    """Take the options of the HTTP client out of those of the bucket."""
    found = {
        "timeout": 300,  # of one request: a shard over a slow line
        "connect_timeout": 10,
        **{k: given.pop(k) for k in _CLIENT if k in given},
    }
    return {k: _seconds(k, v) if k in _SECONDS else v for k, v in found.items()}


def _retry(given: dict[str, Any]) -> dict[str, Any]:
    found = {
        "max_retries": 8,
        "retry_timeout": 120,
        **{k: given.pop(k) for k in _RETRY if k in given},
    }
    try:
        retries = int(found["max_retries"])
    except ValueError:
        raise ArgumentError("max_retries is not a number", found=found["max_retries"]) from None
    return {
        "max_retries": retries,
        "retry_timeout": _seconds("retry_timeout", found["retry_timeout"]),
        "backoff": given.pop(
            "backoff",
            {
                "init_backoff": timedelta(seconds=0.1),
                "max_backoff": timedelta(seconds=10),
                "base": 2,
            },
        ),
    }


def _seconds(name: str, value: Any) -> timedelta:
    if isinstance(value, timedelta):
        return value
    try:
        return timedelta(seconds=float(str(value).removesuffix("s")))
    except ValueError:
        raise ArgumentError(f"{name} is not a number of seconds", found=value) from None


def is_true(value: Any) -> bool:
    """Whether an option is set, as obstore reads texts."""
    return str(value).lower() in ("true", "1", "yes", "y", "on", "t")


def open_store(address: str, made: Connection) -> Any:
    """The obstore store at a URL."""
    from obstore.store import HTTPStore, from_url

    more: dict[str, Any] = {"client_options": made.client, "retry_config": made.retry}
    if cloud_of(address) == "web":  # from_url takes hosts of AWS and Azure for buckets
        return HTTPStore.from_url(address, **more)
    if made.provider is not None:
        more["credential_provider"] = made.provider
    return from_url(address, config=cast("Any", made.config), **more)
