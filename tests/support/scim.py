"""An identity provider, and the account whose users and groups it manages."""

from __future__ import annotations

from typing import Any

import httpx

from perdure.api.scim.application import PATH
from perdure.api.services import PROVISIONING_SERVICE
from tests.support.control_plane import HOME, ControlBench, Owner
from tests.support.people import Person

BASE = f"https://console.example{PATH}"
TYPE = "application/scim+json"
PATCH_SCHEMA = "urn:ietf:params:scim:api:messages:2.0:PatchOp"


class ScimClient:
    """Requests with a token; answers are decoded."""

    def __init__(self, bench: ControlBench, token: str) -> None:
        self.bench, self.token = bench, token

    async def send(
        self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None, **query: str
    ) -> httpx.Response:
        transport = httpx.ASGITransport(self.bench.control_plane.mounts[PATH], client=(HOME, 1234))
        async with httpx.AsyncClient(transport=transport, base_url="https://perdure") as client:
            sent = {"authorization": f"Bearer {self.token}", **(headers or {})}
            if body is not None and not isinstance(body, bytes):
                sent.setdefault("content-type", TYPE)
                answer = await client.request(method, f"{PATH}{path}", json=body, headers=sent, params=query or None)
            else:
                answer = await client.request(method, f"{PATH}{path}", content=body, headers=sent, params=query or None)
        if answer.status_code < 500:
            await self.bench.access.watch.look()
        return answer

    async def ok(self, method: str, path: str, body: Any = None, **query: str) -> Any:
        answer = await self.send(method, path, body, **query)
        assert answer.status_code < 300, answer.text
        return answer.json() if answer.content else None

    async def refused(self, method: str, path: str, body: Any = None, **query: str) -> tuple[int, str]:
        """The status and what kind of error it is."""
        answer = await self.send(method, path, body, **query)
        content = answer.json()
        assert content["schemas"] == ["urn:ietf:params:scim:api:messages:2.0:Error"]
        assert content["status"] == str(answer.status_code)
        assert content["detail"]
        return answer.status_code, content.get("scimType", "")

    async def user(self, user_name: str, **attributes: Any) -> Any:
        return await self.ok("POST", "/Users", {"userName": user_name, **attributes})

    async def group(self, name: str, *members: str, **attributes: Any) -> Any:
        listed = [{"value": member} for member in members]
        return await self.ok("POST", "/Groups", {"displayName": name, "members": listed, **attributes})

    async def patch(self, path: str, *operations: dict[str, Any]) -> Any:
        return await self.ok("PATCH", path, {"schemas": [PATCH_SCHEMA], "Operations": list(operations)})

    async def found(self, kind: str, filter: str) -> list[str]:
        """Names of those that a filter finds."""
        answer = await self.ok("GET", f"/{kind}", filter=filter)
        assert answer["totalResults"] == len(answer["Resources"])
        return [each.get("userName") or each["displayName"] for each in answer["Resources"]]


async def provisioning(bench: ControlBench, owner: Owner | Person) -> ScimClient:
    """What the account's identity provider has."""
    given = await bench.ask(PROVISIONING_SERVICE, "CreateProvisioningToken", {"displayName": "idp"}, owner.token)
    return ScimClient(bench, given.token)
