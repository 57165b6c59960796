"""Archives in buckets of anything that speaks S3: an object for each file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from urllib.parse import quote
from xml.etree import ElementTree

from perdure.kernel.archive.places import Place
from perdure.kernel.archive.store import ArchiveFailed
from perdure.kernel.aws_signature import signed
from perdure.kernel.clock import SECOND_NS, Clock

if TYPE_CHECKING:
    import httpx

TIMEOUT_S = 30.0
_OK, _NOT_FOUND = 200, 404
_NO_SUCH_KEY = b"<Code>NoSuchKey</Code>"


@dataclass(frozen=True, slots=True)
class S3Access:
    """`endpoint` is a URL; objects are at `<endpoint>/<bucket>/...`."""

    endpoint: str
    region: str
    access_key_id: str
    secret_access_key: str


class Buckets:
    """`aclose` is called once."""

    def __init__(self, access: S3Access, clock: Clock) -> None:
        # Late, because most have no archive, or have it in a directory.
        import httpx

        self._access = access
        self._clock = clock
        self._client = httpx.AsyncClient(timeout=TIMEOUT_S, follow_redirects=False, trust_env=False)

    async def aclose(self) -> None:
        await self._client.aclose()

    async def put(self, place: Place, name: str, data: bytes) -> None:
        await self._send("PUT", f"{place.bucket}/{_key(place, name)}", body=data)

    async def get(self, place: Place, name: str) -> bytes | None:
        response = await self._send("GET", f"{place.bucket}/{_key(place, name)}", may_be_missing=True)
        return response.content if response.status_code == _OK else None

    async def names(self, place: Place, prefix: str, after: str, limit: int) -> Sequence[str]:
        found: list[str] = []
        # A bucket gives no more than a thousand at a time.
        while len(found) < limit:
            query = {
                "list-type": "2",
                "max-keys": str(limit - len(found)),
                "prefix": _key(place, prefix),
                "start-after": _key(place, found[-1] if found else after or prefix),
            }
            text = "&".join(f"{name}={quote(value, safe='')}" for name, value in sorted(query.items()))
            response = await self._send("GET", place.bucket, text)
            keys, more = _listed(response.content)
            found += [key.removeprefix(_key(place, "")) for key in keys]
            if not keys or not more:
                break
        return found[:limit]

    async def _send(
        self, method: str, path: str, query: str = "", body: bytes = b"", *, may_be_missing: bool = False
    ) -> httpx.Response:
        import httpx

        url = f"{self._access.endpoint.rstrip('/')}/{quote(path)}{'?' if query else ''}{query}"
        now = datetime.fromtimestamp(self._clock.now_ns() // SECOND_NS, UTC)
        headers = signed(self._access, method, url, body, now)
        try:
            response = await self._client.request(method, url, content=body, headers=headers)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise ArchiveFailed(f"{self._access.endpoint} cannot be reached: {type(error).__name__}") from None
        missing = may_be_missing and response.status_code == _NOT_FOUND and _NO_SUCH_KEY in response.content
        if response.status_code != _OK and not missing:
            raise ArchiveFailed(f"the bucket answered {response.status_code} to {method}")
        return response


def _key(place: Place, name: str) -> str:
    return "/".join((*place.parts, name))


def _listed(answer: bytes) -> tuple[list[str], bool]:
    """The keys in an answer to a list, and whether there are more of them."""
    try:
        root = ElementTree.fromstring(answer)
    except ElementTree.ParseError:
        raise ArchiveFailed("the bucket's list cannot be read") from None
    keys = [each.text or "" for each in root.iter() if _local(each.tag) == "Key"]
    more = any(_local(each.tag) == "IsTruncated" and each.text == "true" for each in root)
    return keys, more


def _local(tag: str) -> str:
    return tag.rpartition("}")[2]
