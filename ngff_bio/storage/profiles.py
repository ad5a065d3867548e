"""Credentials of AWS as its own tools find them: ``~/.aws/config`` and ``~/.aws/credentials``.

Static keys are read here. Those that must be requested (SSO, roles, a process) come from boto3.
"""

from __future__ import annotations

import configparser
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ngff_bio.errors import ArgumentError, closest_names, import_optional

#: Members of a profile whose keys must be requested from a service or a program.
_REQUESTED = (
    *("sso_session", "sso_start_url", "role_arn", "credential_process"),
    *("web_identity_token_file", "credential_source", "login_session"),
)


@dataclass(frozen=True)
class Profile:
    """What a profile gives; ``config`` has names of obstore and may hold a secret."""

    name: str
    config: dict[str, str] = field(default_factory=dict, repr=False)
    requested: bool = False
    sso: bool = False

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
            provider = Boto3CredentialProvider(boto3.Session(profile_name=self.name))
            provider()  # an expired login is an error here, and not in a request
        except Exception as error:
            raise ArgumentError(
                "the AWS profile gives no credentials",
                found=f"{self.name}: {error}",
                hint=f"log in again: aws sso login --profile {self.name}"
                if self.sso
                else f"correct its section of the files of AWS: aws configure --profile {self.name}",
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
        variable = "" if name else " as AWS_PROFILE or"
        hint = f"give one of these names{variable} with --profile NAME"
        if not profiles:
            hint = "make it: aws configure --profile NAME" + (
                "" if name else ", or unset AWS_PROFILE"
            )
        raise ArgumentError(
            "there is no such AWS profile",
            file=", ".join(map(str, files)),
            expected=closest_names(wanted, profiles) or "a profile: these files have none",
            found=wanted,
            hint=hint,
        )
    found = profiles.get(wanted or "default", {})
    names = {
        "aws_access_key_id": "access_key_id",
        "aws_secret_access_key": "secret_access_key",
        "aws_session_token": "session_token",
        "region": "region",
        "endpoint_url": "endpoint",
    }
    config = {ours: found[theirs] for theirs, ours in names.items() if found.get(theirs)}
    requested = "access_key_id" not in config and any(found.get(k) for k in _REQUESTED)
    sso = any(found.get(k) for k in ("sso_session", "sso_start_url"))
    return Profile(wanted or "default", config, requested, sso)


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
