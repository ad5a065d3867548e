"""Commands of the clouds' own tools that make a bucket public for browsers."""

from __future__ import annotations

import json
import shlex
from urllib.parse import urlsplit

from ngff_bio.storage.connection import cloud_of

#: Headers that scripts of other origins may read.
_EXPOSED = ["Content-Range", "Content-Length", "Accept-Ranges", "ETag"]

_CORS = {
    "AllowedOrigins": ["*"],
    "AllowedMethods": ["GET", "HEAD"],
    "AllowedHeaders": ["*"],
    "ExposeHeaders": _EXPOSED,
    "MaxAgeSeconds": 86400,
}


def policies(address: str) -> dict[str, str]:
    """Commands that make what is at an address public for browsers, by kind of server."""
    parts = urlsplit(address)
    bucket, path = parts.netloc.partition("@")[0], parts.path.strip("/")
    below = shlex.quote(f"ALIAS/{bucket}/{path}")
    everything = f"{path}/*" if path else "*"
    cors = json.dumps({"CORSRules": [_CORS]})
    statements = [
        {
            "Sid": "PublicRead",
            "Effect": "Allow",
            "Principal": "*",
            "Action": "s3:GetObject",
            "Resource": f"arn:aws:s3:::{bucket}/{everything}",
        },
        {  # with it a chunk that is not there is answered with 404, and not with 403
            "Sid": "PublicList",
            "Effect": "Allow",
            "Principal": "*",
            "Action": "s3:ListBucket",
            "Resource": f"arn:aws:s3:::{bucket}",
        },
    ]
    policy = json.dumps({"Version": "2012-10-17", "Statement": statements})
    block = "BlockPublicPolicy=false,RestrictPublicBuckets=false"
    google = json.dumps(
        [
            {
                "origin": ["*"],
                "method": ["GET", "HEAD"],
                "responseHeader": _EXPOSED,
                "maxAgeSeconds": 86400,
            }
        ]
    )
    exposed = " ".join(_EXPOSED)
    found = {
        "AWS": f"aws s3api put-public-access-block --bucket {bucket} "
        f"--public-access-block-configuration {block}\n"
        f"aws s3api put-bucket-policy --bucket {bucket} --policy {shlex.quote(policy)}\n"
        f"aws s3api put-bucket-cors --bucket {bucket} --cors-configuration '{cors}'\n"
        "(These replace a policy and CORS rules that the bucket has: merge them with what is there. "
        "PublicList lets everyone list the bucket. Without it a chunk that is not stored, because it "
        "is empty, is answered with 403: some readers take that for an error.)",
        "MinIO": f"mc anonymous set download {below}\n"
        "mc admin config set ALIAS api cors_allow_origin='*'   (the default)",
        "GCS": f"gcloud storage buckets add-iam-policy-binding gs://{bucket} "
        "--member=allUsers --role=roles/storage.objectViewer\n"
        f"echo '{google}' > cors.json && "
        f"gcloud storage buckets update gs://{bucket} --cors-file=cors.json",
        "Azure": "az storage account update --name ACCOUNT --allow-blob-public-access true\n"
        f"az storage container set-permission --name {bucket} --public-access blob\n"
        "az storage cors add --services b --methods GET HEAD OPTIONS --origins '*' "
        f"--allowed-headers '*' --exposed-headers {exposed} --max-age 86400",
    }
    wanted = {"s3": ("AWS", "MinIO"), "gs": ("GCS",), "az": ("Azure",)}
    return {name: found[name] for name in wanted.get(cloud_of(address), ())}
