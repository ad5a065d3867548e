"""Where and with which rights: options, profiles, the environment; and what an error says of it."""

from __future__ import annotations

import http.server
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from bucket_server import KEY, PUBLIC, SECRET, BucketServer
from fault_proxy import faulty
from test_bucket import serve

sys.path.insert(0, str(Path(__file__).parents[1] / "engine"))

from references import contents
from scenes import plate

import ngff_bio
from ngff_bio.engine import Settings, write_dataset
from ngff_bio.errors import ArgumentError, DependencyError, NgffBioError, StorageError
from ngff_bio.storage import FolderStorage, storage_at
from ngff_bio.storage.connection import connect

KEYS = {"access_key_id": KEY, "secret_access_key": SECRET}


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user without credentials."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    (tmp_path / ".aws").mkdir()
    return tmp_path


def write_profiles(home: Path, server: BucketServer) -> None:
    (home / ".aws" / "config").write_text(
        f"[default]\nregion = eu-west-1\n[profile lab]\nendpoint_url = {server.endpoint}\n"
        "region = us-east-1\ns3 =\n  max_concurrent_requests = 3\n[profile login]\n"
        "sso_session = x\nsso_account_id = 1\nsso_role_name = reader\n[sso-session x]\n"
        "sso_start_url = https://example.org\nsso_region = us-east-1\n"
    )
    (home / ".aws" / "credentials").write_text(
        f"[lab]\naws_access_key_id = {KEY}\naws_secret_access_key = {SECRET}\n"
    )


def test_a_profile_opens_a_bucket(
    home: Path, bucket_server: BucketServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_profiles(home, bucket_server)
    storage = storage_at("s3://bench/profile", {"profile": "lab"})
    storage.put("a", b"1")
    assert storage.get("a") == b"1"
    monkeypatch.setenv("AWS_PROFILE", "lab")
    assert storage_at("s3://bench/profile").get("a") == b"1"
    assert "region: us-east-1" in storage.connection.tried  # type: ignore[attr-defined]
    assert SECRET not in repr(storage.connection)  # type: ignore[attr-defined]


def test_the_environment_opens_a_bucket(
    bucket_server: BucketServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.setenv("AWS_ENDPOINT_URL", bucket_server.endpoint)
    storage = storage_at("s3://bench/environment")
    storage.put("a", b"1")
    assert storage.get("a") == b"1"


def test_a_profile_that_is_not_there_is_named_and_one_that_must_log_in_says_how(
    home: Path, bucket_server: BucketServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_profiles(home, bucket_server)
    with pytest.raises(ArgumentError, match=r"lab[\s\S]*found: lap[\s\S]*--profile NAME"):
        connect("s3://b/x", {"profile": "lap"})
    with pytest.raises(ArgumentError, match="aws sso login --profile login"):
        connect("s3://b/x", {"profile": "login"})
    monkeypatch.setitem(__import__("sys").modules, "boto3", None)
    with pytest.raises(DependencyError, match=r"ngff-bio\[aws\]"):
        connect("s3://b/x", {"profile": "login"})


@pytest.mark.parametrize(
    ("cloud", "given", "config"),
    [
        (
            "s3",
            {"key": "a", "secret": "b", "token": "c", "endpoint_url": "https://e"},
            {
                "access_key_id": "a",
                "secret_access_key": "b",
                "session_token": "c",
                "endpoint": "https://e",
            },
        ),
        (
            "s3",
            {"anon": True, "client_kwargs": {"endpoint_url": "https://e", "region_name": "r"}},
            {"skip_signature": True, "endpoint": "https://e", "region": "r"},
        ),
        ("s3", {"anon": "true", "client_kwargs.region_name": "r"}, {"region": "r"}),
        (
            "s3",
            {"AWS_ACCESS_KEY_ID": "a", "aws_region": "r"},
            {"access_key_id": "a", "region": "r"},
        ),
        ("gs", {"token": "anon"}, {"skip_signature": True}),
        ("gs", {"token": "/key.json"}, {"application_credentials": "/key.json"}),
        (
            "az",
            {"sas_token": "s", "azure_storage_account_name": "n"},
            {"sas_key": "s", "account_name": "n"},
        ),
    ],
)
def test_names_of_other_libraries_are_those_of_obstore(
    cloud: str, given: dict[str, Any], config: dict[str, Any]
) -> None:
    assert config.items() <= connect(f"{cloud}://b/x", given).config.items()


@pytest.mark.parametrize(
    "option", [{"use_ssl": "false"}, {"config_kwargs": {"s3": 1}}, {"client_kwargs.verify": "no"}]
)
def test_an_option_without_a_counterpart_is_refused_by_name(option: dict[str, Any]) -> None:
    with pytest.raises(ArgumentError, match=f"found: {next(iter(option))}"):
        connect("s3://b/x", {**KEYS, **option})


def raised(url: str, options: dict[str, Any]) -> str:
    """What opening a store says."""
    with pytest.raises(NgffBioError) as caught:
        ngff_bio.open(url, {"max_retries": 0, "connect_timeout": 2, **options})
    text = str(caught.value)
    assert SECRET not in text
    assert KEY not in text
    assert "run the same" not in text
    return text


def test_errors_say_what_was_tried_and_what_to_set(bucket_server: BucketServer) -> None:
    server = {"endpoint": bucket_server.endpoint}
    good = {**server, **KEYS, "region": "us-east-1"}
    for options, *words in (
        (server, "no credentials", "~/.aws", "--profile", "--anon"),
        ({}, "no credentials", "--anon"),
        ({**good, "secret_access_key": "no"}, "SignatureDoesNotMatch", "set it again"),
        ({**good, "access_key_id": "NO"}, "InvalidAccessKeyId", "does not know the access key"),
        (
            {**server, "anon": True},
            "access is denied",
            "anonymous",
            "not public",
            server["endpoint"],
        ),
        ({**KEYS, "endpoint": "127.0.0.1:9"}, "has no scheme", "https://127.0.0.1:9"),
        ({**good, "allow_http": "false"}, "allow_http=true"),
        ({**KEYS, "endpoint": "http://127.0.0.1:9"}, "no answer from http://127.0.0.1:9"),
        ({**KEYS, "acess_key": "typo"}, "unknown storage option", "acess_key", "access_key_id"),
        ({**KEYS, "timeout": "long"}, "timeout is not a number"),
        ({**KEYS, "skip_signature": "perhaps"}, "perhaps", "check the storage options"),
    ):
        text = raised("s3://bench/x.zarr", options)
        assert [w for w in words if w not in text] == [], text
    assert "no such bucket" in raised("s3://not-there/x.zarr", good)
    assert "no Zarr store" in raised(f"s3://{PUBLIC}/x.zarr", {**server, "anon": True})
    assert "account_name=NAME" in raised("az://container/x.zarr", {"account_key": "a2V5"})
    assert "of AWS" in raised("gs://bucket/x.zarr", {"profile": "lab"})


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (
            400,
            b"<Error><Code>AuthorizationHeaderMalformed</Code><Message>the region 'us-east-1' is "
            b"wrong; expecting 'eu-west-3'</Message><Region>eu-west-3</Region></Error>",
        ),
        (301, b"<Error><Code>PermanentRedirect</Code><Endpoint>x</Endpoint></Error>"),
    ],
)
def test_another_region_is_named(status: int, body: bytes) -> None:
    """As Amazon S3 answers where a signature has another region."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None: ...

    with serve(Handler) as endpoint:
        text = raised("s3://b/x.zarr", {**KEYS, "endpoint": endpoint})
    assert "in another region" in text
    assert ("region=eu-west-3" in text) == (status == 400)


def test_a_public_bucket_that_cannot_be_listed_denies_what_is_not_there(
    bucket_server: BucketServer,
) -> None:
    """Amazon S3 answers 403 instead of 404 there: documents that are looked for are missing."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found = self.path.endswith(".zgroup")
            body = b"{}" if found else b"<Error><Code>AccessDenied</Code></Error>"
            self.send_response(200 if found else 403)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Last-Modified", "Sat, 21 Nov 2026 00:00:00 GMT")
            self.send_header("ETag", '"1"')
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None: ...

    with serve(Handler) as endpoint:
        storage = storage_at("s3://b/x", {"anon": True, "endpoint": endpoint})
        assert storage.get("zarr.json") is None
        assert storage.get(".zgroup") == b"{}"
        with pytest.raises(StorageError, match="denied"):  # a chunk is not taken for an empty one
            storage.get("0/c/0")


def test_a_store_on_a_host_of_a_cloud_is_read_as_from_any_web_server() -> None:
    storage = storage_at("https://bucket.s3.amazonaws.com/x.zarr")
    assert type(storage.store).__name__ == "HTTPStore"  # type: ignore[attr-defined]


def test_a_server_that_is_away_for_a_while_is_waited_for(
    bucket_server: BucketServer, tmp_path: Path
) -> None:
    """Also a write whose answer got lost: it is made again."""
    began: list[float] = []
    seen = {"away": 0}

    def decide(method: str, path: str) -> tuple[str | None, int]:
        if "away.zarr" in path and method == "PUT":
            began.append(time.monotonic())
        away = len(began) > 3 and time.monotonic() - began[3] < 0.3
        seen["away"] += away
        return (
            "lost" if away and method == "PUT" and seen["away"] % 2 else "reset"
        ) if away else None, 0

    write_dataset(
        plate(fields=1, frames=1), FolderStorage(tmp_path / "a"), Settings(chunk=(32, 48))
    )
    with faulty(bucket_server.endpoint, decide) as endpoint:
        options = {**bucket_server.options, "endpoint": endpoint}
        ngff_bio.copy(tmp_path / "a", "s3://bench/away.zarr", storage_options=options)
    assert seen["away"]
    target = bucket_server.storage("away.zarr")
    assert contents(target) == contents(FolderStorage(tmp_path / "a"))


def test_a_listing_goes_on_after_its_last_key_when_the_server_is_back() -> None:
    """As Amazon S3 answers: pages, of which the second is asked for while the server is away."""
    pages = [f"{number:02}" for number in range(50)], ["50", "51"]
    asked: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            if "continuation-token" in self.path:
                self.close_connection = True
                self.connection.close()
                return
            rest = "start-after=x%2F49" in self.path
            listed = "".join(
                f"<Contents><Key>x/{key}</Key><Size>1</Size><ETag>e</ETag>"
                "<LastModified>2026-11-21T00:00:00.000Z</LastModified></Contents>"
                for key in pages[rest]
            )
            more = "" if rest else "<NextContinuationToken>two</NextContinuationToken>"
            body = f"<ListBucketResult>{listed}{more}</ListBucketResult>".encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None: ...

    with serve(Handler) as endpoint:
        storage = storage_at("s3://b/x", {**KEYS, "endpoint": endpoint, "max_retries": 1})
        assert [key for key, _ in storage.list()] == [*pages[0], *pages[1]]
    assert sum("start-after" in path for path in asked) == 1
