"""A control plane with all of its parts but a transport, over a data plane that only remembers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

from google.protobuf.json_format import ParseDict
from google.protobuf.message_factory import GetMessageClass
from temporalio.api.cloud.cloudservice.v1 import GetAsyncOperationRequest
from temporalio.api.cloud.operation.v1 import AsyncOperation

from perdure.api.data import ControlDatabase
from perdure.api.founding import found, give_key
from perdure.api.resources.endpoints import NamespaceEndpoints
from perdure.api.service import CLOUD_SERVICE
from perdure.frontend.handlers.deletion import NamespaceDeletion
from perdure.frontend.namespaces import Namespaces
from perdure.infra.tenancy.access import Access
from perdure.infra.tenancy.control_plane import ControlPlane
from perdure.infra.tenancy.data_plane import SharedNamespaces
from perdure.kernel.limits import ControlLimits
from perdure.kernel.namespace import DAY_NS
from perdure.kernel.news import LocalNews
from perdure.kernel.runtime import Runtime
from tests.support.fakes import MemoryNamespaces, RecordingReclaimer

_STEP_S = 0.01


class Owner(NamedTuple):
    """The owner of an account of his own, with an API key."""

    account_id: str
    user_id: str
    token: str


class ControlBench:
    """`call` is what a client does; its requests are dicts, as in proto3 JSON."""

    def __init__(self, database: ControlDatabase, limits: ControlLimits) -> None:
        self.runtime = Runtime()
        self.database = database
        self.namespaces = MemoryNamespaces()
        news = LocalNews()
        self.access = Access(self.runtime, database, news)
        self._directory = directory = Namespaces(self.namespaces)
        self._deletion = NamespaceDeletion(self.runtime, directory, RecordingReclaimer())
        self.data_plane = SharedNamespaces(directory, self._deletion)
        self.control_plane = ControlPlane(
            self.runtime,
            self.access,
            self.data_plane,
            news,
            lambda: NamespaceEndpoints("api.example:7233", "{namespace}.example:7233", "https://console.example"),
            limits,
        )

    def forget(self) -> None:
        """As if the process had just started: what it remembers of namespaces may have been changed behind its back."""
        self._directory._by_id.clear()
        self._directory._by_name.clear()

    async def start(self) -> None:
        await self.access.start()
        self.control_plane.start()

    async def stop(self) -> None:
        await self.control_plane.stop()
        await self._deletion.stop()
        await self.access.stop()
        await self.database.aclose()

    async def account(self, email: str = "owner@example.com") -> Owner:
        founded = await found(self.database, self.runtime, self.access.policy, email)
        token = await give_key(self.database, self.runtime, self.access.policy, founded.owner, "key", DAY_NS)
        await self.access.watch.look()
        return Owner(founded.account.id, founded.owner.id, token)

    async def call(self, token: str, rpc: str, request: Mapping[str, Any] | None = None) -> Any:
        """Raises what the handler raises."""
        message = GetMessageClass(CLOUD_SERVICE.methods_by_name[rpc].input_type)()
        return await self.control_plane.call(rpc, ParseDict(dict(request or {}), message), token)

    async def done(self, token: str, rpc: str, request: Mapping[str, Any]) -> Any:
        """The answer to a mutation, once what it asks for has come about."""
        answer = await self.call(token, rpc, request)
        asked = GetAsyncOperationRequest(async_operation_id=answer.async_operation.id)
        while True:
            operation = (await self.control_plane.call("GetAsyncOperation", asked, token)).async_operation
            if operation.state == AsyncOperation.STATE_FULFILLED:
                await self.access.watch.look()
                return answer
            assert not operation.failure_reason, operation.failure_reason
            # The work is done by a loop of its own, which has no signal for others.
            await asyncio.sleep(_STEP_S)

    async def service_account(self, owner: Owner, role: str = "ROLE_DEVELOPER", **namespaces: str) -> tuple[str, str]:
        """One with this account role and with permissions on namespaces: its id, and an API key."""
        spec = {
            "name": f"machine-{self.runtime.entropy.uuid()[:8]}",
            "access": {
                "accountAccess": {"role": role},
                "namespaceAccesses": {name: {"permission": each} for name, each in namespaces.items()},
            },
        }
        made = await self.done(owner.token, "CreateServiceAccount", {"spec": spec})
        return made.service_account_id, await self.key(owner, made.service_account_id)

    async def key(self, owner: Owner, service_account_id: str) -> str:
        spec = {
            "ownerId": service_account_id,
            "ownerType": "OWNER_TYPE_SERVICE_ACCOUNT",
            "displayName": "key",
            "expiryTime": self.time_in(DAY_NS),
        }
        made = await self.done(owner.token, "CreateApiKey", {"spec": spec})
        return str(made.token)

    def time_in(self, duration_ns: int) -> str:
        from google.protobuf.timestamp_pb2 import Timestamp

        time = Timestamp()
        time.FromNanoseconds(self.runtime.clock.now_ns() + duration_ns)
        return str(time.ToJsonString())


@asynccontextmanager
async def control_bench(directory: Path, limits: ControlLimits | None = None) -> AsyncIterator[ControlBench]:
    """Running, on a database file in the directory."""
    database = await ControlDatabase.open(f"sqlite:///{directory / 'control-plane.db'}", migrate=True)
    bench = ControlBench(database, limits or ControlLimits())
    await bench.start()
    try:
        yield bench
    finally:
        await bench.stop()
