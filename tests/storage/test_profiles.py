"""Profiles whose keys come from a service or a program: each works, or says what to do.

The files are those of AWS's documentation; stand-ins for its services answer as its API references
have it (STS AssumeRole, SSO GetRoleCredentials).
"""

from __future__ import annotations

import hashlib
import http.server
import json
import os
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from bucket_server import KEY, SECRET, BucketServer
from test_bucket import serve

from ngff_bio.errors import ArgumentError, StorageError
from ngff_bio.storage import storage_at
from ngff_bio.storage.connection import connect

pytest.importorskip("boto3")
from botocore.tokens import SSOTokenProvider

CONFIG = """
[default]
region = eu-west-3
[profile base]
aws_access_key_id = AKBASE
aws_secret_access_key = base-secret
[profile role]
role_arn = arn:aws:iam::123456789012:role/reader
source_profile = base
region = eu-west-1
services = local
[profile no-source]
role_arn = arn:aws:iam::123456789012:role/reader
[profile login]
sso_session = lab
sso_account_id = 123456789012
sso_role_name = reader
region = eu-west-1
services = local
[profile role-by-login]
role_arn = arn:aws:iam::123456789012:role/reader
source_profile = login
region = eu-west-1
services = local
[profile program]
credential_process = {python} {home}/keys.py
[profile broken-program]
credential_process = {python} -c "import sys; sys.exit('the vault is sealed')"
[sso-session lab]
sso_start_url = https://lab.awsapps.com/start
sso_region = us-east-1
[services local]
sts =
  endpoint_url = {url}/sts
sso =
  endpoint_url = {url}/sso
s3 =
  endpoint_url = {s3}
"""


class Services(http.server.BaseHTTPRequestHandler):
    """STS and SSO; a request with `denied` is refused."""

    denied = False

    def log_message(self, *_: Any) -> None: ...

    def _reply(self, status: int, body: str, kind: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())

    def do_POST(self) -> None:
        asked = self.rfile.read(int(self.headers["Content-Length"])).decode()
        namespace = 'xmlns="https://sts.amazonaws.com/doc/2011-06-15/"'
        if self.denied:
            error = "<Code>AccessDenied</Code><Message>me may not sts:AssumeRole</Message>"
            body = f"<ErrorResponse {namespace}><Error>{error}</Error></ErrorResponse>"
            self._reply(403, body, "text/xml")
            return
        assert "Action=AssumeRole" in asked
        assert "role%2Freader" in asked
        signed_by = self.headers["Authorization"].partition("Credential=")[2].partition("/")[0]
        until = (datetime.now(UTC) + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
        keys = f"<AccessKeyId>{signed_by}-ROLE</AccessKeyId><SecretAccessKey>s</SecretAccessKey>"
        keys += f"<SessionToken>t</SessionToken><Expiration>{until}</Expiration>"
        keys = f"<AssumeRoleResult><Credentials>{keys}</Credentials></AssumeRoleResult>"
        self._reply(200, f"<AssumeRoleResponse {namespace}>{keys}</AssumeRoleResponse>", "text/xml")

    def do_GET(self) -> None:
        assert self.path.startswith("/sso/federation/credentials?")
        assert self.headers["x-amz-sso_bearer_token"] == "bearer"
        keys = {"accessKeyId": "ASSO", "secretAccessKey": "s", "sessionToken": "t"}
        until = (datetime.now(UTC) + timedelta(hours=1)).timestamp() * 1000
        body = json.dumps({"roleCredentials": {**keys, "expiration": int(until)}})
        self._reply(200, body, "application/json")


@pytest.fixture
def home(
    tmp_path: Path, bucket_server: BucketServer, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Path]:
    """A user with these profiles and a login."""
    for name in [n for n in os.environ if n.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    keys = {"Version": 1, "AccessKeyId": KEY, "SecretAccessKey": SECRET}
    (tmp_path / "keys.py").write_text(f"print({json.dumps(keys)!r})")
    login = tmp_path / ".aws/sso/cache" / f"{hashlib.sha1(b'lab').hexdigest()}.json"
    login.parent.mkdir(parents=True)
    # botocore looks for the home folder when it is imported.
    monkeypatch.setattr(SSOTokenProvider, "_SSO_TOKEN_CACHE_DIR", str(login.parent))
    token = {"startUrl": "https://lab.awsapps.com/start", "region": "us-east-1"}
    login.write_text(
        json.dumps({**token, "accessToken": "bearer", "expiresAt": "2099-01-01T00:00:00Z"})
    )
    places = {"python": sys.executable, "home": tmp_path, "s3": bucket_server.endpoint}
    with serve(Services) as url:
        (tmp_path / ".aws" / "config").write_text(CONFIG.format(url=url, **places))
        yield tmp_path


def test_keys_of_roles_logins_and_programs_are_requested(
    home: Path, bucket_server: BucketServer
) -> None:
    for profile, key in (
        ("role", "AKBASE-ROLE"),
        ("login", "ASSO"),
        ("role-by-login", "ASSO-ROLE"),
        ("program", KEY),
    ):
        made = connect("s3://b/x", {"profile": profile})
        given = made.provider()
        assert given["access_key_id"] == key
        # botocore may keep keys until 10 minutes before they expire: they are requested again by then.
        assert given["expires_at"] - datetime.now(UTC) <= timedelta(minutes=10)
        local = profile != "program"
        assert made.endpoint == (bucket_server.endpoint if local else "")
        assert made.region == ("eu-west-1" if local else "us-east-1 (the default)")
    options = {"profile": "program", "endpoint": bucket_server.endpoint}
    storage = storage_at("s3://bench/program", options)
    storage.put("a", b"1")
    assert storage.get("a") == b"1"


def test_a_profile_without_keys_says_what_it_has_and_what_to_do(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def said(profile: str) -> str:
        with pytest.raises(ArgumentError, match="gives no credentials") as caught:
            connect("s3://b/x", {"profile": profile})
        return str(caught.value)

    text = said("no-source")
    assert "profile no-source, with role_arn\n" in text
    assert "missing: source_profile" in text
    assert "correct it; `aws sts get-caller-identity --profile no-source`" in text
    assert "the vault is sealed" in said("broken-program")
    monkeypatch.setattr(Services, "denied", True)
    text = said("role")
    assert "me may not sts:AssumeRole" in text
    assert "sso login" not in text
    next((home / ".aws/sso/cache").iterdir()).unlink()
    for profile in ("login", "role-by-login"):
        assert "log in: aws sso login --profile login; " in said(profile)


def test_keys_of_the_environment_keep_the_region_of_the_profile(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKENV")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s")
    assert connect("s3://b/x", {}).region == "eu-west-3"
    monkeypatch.setenv("AWS_PROFILE", "base")
    made = connect("s3://b/x", {})
    assert made.credentials == "from AWS_ACCESS_KEY_ID"
    assert "access_key_id" not in made.config
    assert connect("s3://b/x", {"profile": "base"}).config["access_key_id"] == "AKBASE"


def test_a_login_that_ends_meanwhile_is_named(bucket_server: BucketServer) -> None:
    def ended() -> Any:
        raise ValueError("the login has ended")

    options = {"endpoint": bucket_server.endpoint, "credential_provider": ended}
    with pytest.raises(StorageError, match="could not be renewed") as caught:
        storage_at("s3://bench/ended", options).put("a", b"1")
    assert "the login has ended" in str(caught.value)
    assert "run the same command again" in str(caught.value)
