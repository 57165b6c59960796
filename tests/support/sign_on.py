"""Single sign-on in tests: the browser, and what an account sets up."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import httpx
from google.protobuf.json_format import ParseDict
from google.protobuf.message_factory import GetMessageClass

from perdure.api.people import browsers, pending
from perdure.api.services import SIGN_ON_SERVICE
from perdure.kernel.identity import KnownCaller
from tests.support.control_plane import ControlBench

PAGES = "https://pages.example"
VERIFIER = "v" * 43
DEVELOPER = {"accountRole": "developer"}
LAPTOP = "198.51.100.1"


async def call(bench: ControlBench, token: str, rpc: str, request: Mapping[str, Any] | None = None) -> Any:
    """An RPC of SignOnService. Raises what the handler raises."""
    method = SIGN_ON_SERVICE.methods_by_name[rpc]
    message = ParseDict(dict(request or {}), GetMessageClass(method.input_type)())
    caller = KnownCaller({"authorization": f"Bearer {token}"})
    answer = await bench.control_plane.endpoint(method)(message, caller)
    await bench.access.watch.look()
    return answer


class Browser:
    """One browser, which keeps what it is told to keep; `client` is for whatever else it does at our pages."""

    def __init__(self, bench: ControlBench, address: str = LAPTOP) -> None:
        self._bench = bench
        self.secret = browsers.new(bench.runtime.entropy)
        site = bench.control_plane.mounts["/sign-on"]
        self.client = httpx.AsyncClient(
            transport=httpx.ASGITransport(site, client=(address, 1)),
            base_url=PAGES,
            cookies={"__Host-perdure-browser": self.secret},
        )

    async def begin(self, account_id: str = "") -> str:
        """A pending sign-in of a program on this machine, which this browser has confirmed. Its id."""
        request = {"codeChallenge": pending.challenge_of(VERIFIER), "accountId": account_id}
        begun = await self._bench.person("BeginBrowserSignIn", request)
        confirmation = {"pendingId": begun.pending_id, "userCode": begun.user_code, "browser": self.secret}
        await self._bench.person("ConfirmBrowserSignIn", confirmation)
        return str(begun.pending_id)

    async def set_out(self, connection_id: str, pending_id: str) -> str:
        """The provider's address that it is sent to."""
        answer = await self.client.get(f"/sign-on/{connection_id}/start", params={"request": pending_id})
        assert answer.status_code == 303, answer.text
        return str(answer.headers["location"])

    async def open(self, url: str) -> httpx.Response:
        """A page of ours, wherever it is meant to be."""
        parts = urlsplit(url)
        return await self.client.get(f"{parts.path}?{parts.query}")

    async def exchange(self, pending_id: str) -> Any:
        """What the program has of it. Raises what the handler raises."""
        request = {"pendingId": pending_id, "codeVerifier": VERIFIER}
        answer = (await self._bench.person("CompleteBrowserSignIn", request)).signed_in
        await self._bench.access.watch.look()
        return answer
