"""Documents of issuers that tenants have named, through the guard of addresses."""

from __future__ import annotations

import asyncio
from typing import Final

from perdure.api.outgoing.calls import CallFailed, GuardedCalls
from perdure.auth.oidc.issuers import Fetch, FetchFailed

DOCUMENT_BYTES_MAX: Final = 256 * 1024


def fetch_by(calls: GuardedCalls, timeout_s: float) -> Fetch:
    """Somebody waits for an answer meanwhile, and not for longer than that."""

    async def fetch(url: str) -> bytes:
        try:
            async with asyncio.timeout(timeout_s):
                return await calls.get(url, DOCUMENT_BYTES_MAX)
        except TimeoutError:
            raise FetchFailed(f"{url} did not answer within {timeout_s:g} seconds") from None
        except CallFailed as error:
            raise FetchFailed(str(error)) from None

    return fetch
