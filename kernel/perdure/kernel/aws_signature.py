"""PURE: Signature Version 4 of AWS, by which everything that speaks S3 knows who asks.

All that is needed of S3 here are a few plain requests, which is why there is no library for it.
https://docs.aws.amazon.com/IAM/latest/UserGuide/create-signed-request.html
"""

from __future__ import annotations

import hmac
from datetime import datetime
from hashlib import sha256
from typing import Protocol
from urllib.parse import urlsplit

_ALGORITHM = "AWS4-HMAC-SHA256"
_SIGNED = "host;x-amz-content-sha256;x-amz-date"


class Credentials(Protocol):
    @property
    def region(self) -> str: ...

    @property
    def access_key_id(self) -> str: ...

    @property
    def secret_access_key(self) -> str: ...


def signed(credentials: Credentials, method: str, url: str, body: bytes, now: datetime) -> dict[str, str]:
    """The headers of a request to S3 whose path and query are quoted already; the query has no names twice."""
    parts = urlsplit(url)
    digest, time = sha256(body).hexdigest(), f"{now:%Y%m%dT%H%M%SZ}"
    scope = f"{now:%Y%m%d}/{credentials.region}/s3/aws4_request"
    headers = f"host:{parts.netloc}\nx-amz-content-sha256:{digest}\nx-amz-date:{time}\n"
    query = "&".join(sorted(parts.query.split("&")))
    request = f"{method}\n{parts.path}\n{query}\n{headers}\n{_SIGNED}\n{digest}"
    text = f"{_ALGORITHM}\n{time}\n{scope}\n{sha256(request.encode()).hexdigest()}"
    key = f"AWS4{credentials.secret_access_key}".encode()
    for part in scope.split("/"):
        key = _mac(key, part)
    granted = f"Credential={credentials.access_key_id}/{scope}, SignedHeaders={_SIGNED}"
    authorization = f"{_ALGORITHM} {granted}, Signature={_mac(key, text).hex()}"
    return {"authorization": authorization, "x-amz-content-sha256": digest, "x-amz-date": time}


def _mac(key: bytes, text: str) -> bytes:
    return hmac.new(key, text.encode(), "sha256").digest()
