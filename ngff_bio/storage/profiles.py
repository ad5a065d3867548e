"""Credentials of AWS as its own tools find them: ``~/.aws/config`` and ``~/.aws/credentials``.

Static keys are read here. Those that must be requested (SSO, roles, a process) come from boto3.
"""

from __future__ import annotations

import configparser
import os
import re
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from ngff_bio.errors import ArgumentError, closest_names, import_optional

#: Members of a profile whose keys must be requested from a service or a program.
_REQUESTED = (
    *("sso_session", "sso_start_url", "role_arn", "credential_process"),
    *("web_identity_token_file", "credential_source", "login_session"),
)

#: botocore renews what expires within 10 minutes: obstore may not keep it longer.
_RENEWED_AFTER = timedelta(minutes=10)


@dataclass(frozen=True)
class Profile:
    """What a profile gives; ``config`` has names of obstore and may hold a secret.

    ``members`` are the names of what it has; ``requested`` says that its keys must be requested, for
    which ``login`` is the profile to log in with, if it is one of SSO.
    """

    name: str
    config: dict[str, str] = field(default_factory=dict, repr=False)
    members: tuple[str, ...] = ()
    requested: bool = False
    login: str | None = None

    def without_keys(self) -> Profile:
        """Its region and endpoint."""
        config = {k: v for k, v in self.config.items() if k in ("region", "endpoint")}
        return replace(self, config=config, requested=False)

    def provider(self) -> Any:
        """Gives credentials and renews them when they expire.

        Raises
        ------
        ngff_bio.errors.DependencyError
            If boto3 is not installed.
        ngff_bio.errors.ArgumentError
            If the profile cannot be used, or its login has expired.
        """
        boto3 = import_optional("boto3", "ngff-bio[aws]")
        from obstore.auth.boto3 import Boto3CredentialProvider

        try:
            provider = Boto3CredentialProvider(
                boto3.Session(profile_name=self.name), ttl=_RENEWED_AFTER
            )
            provider()  # an expired login is an error here, and not in a request
        except Exception as error:
            act = f"log in: aws sso login --profile {self.login}" if self.login else "correct it"
            raise ArgumentError(
                "the AWS profile gives no credentials",
                record=f"profile {self.name}, with {', '.join(self.members)}",
                found=str(error) or type(error).__name__,
                hint=f"{act}; `aws sts get-caller-identity --profile {self.name}` must give an answer",
            ) from None
        return provider


def read_profile(name: str | None) -> Profile:
    """A profile of the files of AWS; ``None`` for ``AWS_PROFILE``, or else ``default`` if there is one.

    Raises
    ------
    ngff_bio.errors.ArgumentError
        If there is no profile of this name, or a file cannot be read.
    """
    wanted = name or os.environ.get("AWS_PROFILE")
    files = [
        Path(os.environ.get(variable) or Path.home() / ".aws" / file).expanduser()
        for variable, file in (
            ("AWS_CONFIG_FILE", "config"),
            ("AWS_SHARED_CREDENTIALS_FILE", "credentials"),
        )
    ]
    profiles: dict[str, dict[str, str]] = {}
    for file in files:
        for section, members in _read(file).items():
            profiles.setdefault(section, {}).update(members)
    if wanted and wanted not in profiles:
        variable = "" if name else ", or unset AWS_PROFILE"
        hint = f"give one of these names with --profile NAME{variable}"
        if not profiles:
            hint = f"make it: aws configure --profile {wanted}{variable}"
        raise ArgumentError(
            "there is no such AWS profile",
            file=", ".join(map(str, files)),
            expected=closest_names(wanted, profiles) or "a profile: these files have none",
            found=wanted,
            hint=hint,
        )
    own = wanted or "default"
    found = profiles.get(own, {})
    services = profiles.get(f"services {found.get('services')}", {}).get("s3", "")
    endpoint = dict(re.findall(r"^\s*(\w+)\s*=\s*(\S+)", services, re.M)).get("endpoint_url")
    names = {
        "aws_access_key_id": "access_key_id",
        "aws_secret_access_key": "secret_access_key",
        "aws_session_token": "session_token",
        "region": "region",
        "endpoint_url": "endpoint",
    }
    config = {ours: found[theirs] for theirs, ours in names.items() if found.get(theirs)}
    config |= {"endpoint": endpoint} if endpoint else {}
    requested = "access_key_id" not in config and any(found.get(k) for k in _REQUESTED)
    through = found.get("source_profile", own)
    sso = not {"sso_session", "sso_start_url"}.isdisjoint(profiles.get(through, {}))
    return Profile(own, config, tuple(found), requested, through if sso else None)


def _read(file: Path) -> dict[str, dict[str, str]]:
    """Sections of a file by the name of the profile."""
    parser = configparser.RawConfigParser(strict=False, default_section="")
    try:
        parser.read(file, encoding="utf-8")
    except (configparser.Error, OSError, ValueError) as error:
        raise ArgumentError(
            "the file of AWS profiles cannot be read",
            file=file,
            found=type(error).__name__,  # its text may hold a key
            hint="correct the file, or give the keys as environment variables",
        ) from None
    return {
        section.removeprefix("profile ").strip(): dict(parser[section])
        for section in parser.sections()
    }
