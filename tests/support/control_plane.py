"""A control plane with all of its parts but a transport, over a data plane that only remembers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

from argon2 import PasswordHasher
from google.protobuf.descriptor import ServiceDescriptor
from google.protobuf.json_format import ParseDict
from google.protobuf.message_factory import GetMessageClass
from google.protobuf.timestamp_pb2 import Timestamp
from temporalio.api.cloud.cloudservice.v1 import GetAsyncOperationRequest
from temporalio.api.cloud.operation.v1 import AsyncOperation

from perdure.api.calls import ControlCall
from perdure.api.data import ControlDatabase
from perdure.api.founding import found, give_key
from perdure.api.people.events import SignInEvent
from perdure.api.people.passwords import Passwords
from perdure.api.people.people import People
from perdure.api.resources.endpoints import NamespaceEndpoints
from perdure.api.sealing import KEY_BYTES, Sealer
from perdure.api.services import CLOUD_SERVICE, IDENTITY_SERVICE
from perdure.auth.oidc.issuers import Fetch
from perdure.auth.policy.grants import Grants
from perdure.frontend.handlers.deletion import NamespaceDeletion
from perdure.frontend.namespaces import Namespaces
from perdure.frontend.nexus_endpoints import NexusEndpoints
from perdure.infra.sqlite import SqliteDatabase, SqliteNexusEndpointStore
from perdure.infra.tenancy.access import Access
from perdure.infra.tenancy.control_plane import ControlPlane
from perdure.infra.tenancy.data_plane import SharedNamespaces
from perdure.kernel.clock import VirtualClock
from perdure.kernel.identity import KnownCaller, Principal, PrincipalKind
from perdure.kernel.limits import ControlLimits
from perdure.kernel.mailer import Mail
from perdure.kernel.namespace import DAY_NS
from perdure.kernel.news import LocalNews
from perdure.kernel.runtime import Runtime
from tests.support.fakes import MemoryNamespaces, RecordingReclaimer
from tests.support.memory_usage import MemoryUsage

_STEP_S = 0.01


class Owner(NamedTuple):
    """The owner of an account of his own, with an API key."""

    account_id: str
    user_id: str
    token: str


#: As weak as can be: what is tested is what is done with them.
_HASHER = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
HOME = "192.0.2.1"
#: Of what a bench with a clock of its own knows.
_AGE_S_MAX = 600


class KeptMail:
    """A mailer that keeps what it is given."""

    def __init__(self) -> None:
        self.mails: list[Mail] = []

    async def send(self, mail: Mail) -> None:
        self.mails.append(mail)


class ControlBench:
    """`call` is what a client does, `person` what he does with IdentityService; their requests are dicts, as in proto3
    JSON.
    """

    def __init__(
        self,
        url: str,
        database: ControlDatabase,
        limits: ControlLimits,
        runtime: Runtime | None = None,
        fetch: Fetch | None = None,
    ) -> None:
        self.url = url
        self._limits = limits
        self.usage = MemoryUsage()
        self.runtime = runtime or Runtime()
        self.sealer = Sealer([bytes(KEY_BYTES)], self.runtime.entropy)
        self.database = database
        self.mailer = KeptMail()
        self.events: list[SignInEvent] = []
        self.namespaces = MemoryNamespaces()
        news = LocalNews()
        self.access = Access(self.runtime, database, news)
        self._directory = directory = Namespaces(self.namespaces)
        self.endpoints = NexusEndpoints(SqliteNexusEndpointStore(SqliteDatabase.open(None)), self.runtime.clock)
        self._deletion = NamespaceDeletion(self.runtime, directory, RecordingReclaimer(), self.endpoints.store)
        self.data_plane = SharedNamespaces(directory, self._deletion, self.endpoints)
        self.people = People(Passwords(self.runtime.entropy, _HASHER), observe=self.events.append)
        self.control_plane = ControlPlane(
            self.runtime,
            self.access,
            self.data_plane,
            news,
            lambda: NamespaceEndpoints(
                "api.example:7233", "{namespace}.example:7233", "https://console.example", "https://pages.example"
            ),
            self.usage,
            self.sealer,
            limits,
            connections={"office": ["192.0.2.0/24"]},
            mailer=self.mailer,
            people=self.people,
            fetch=fetch,
        )

    def forget(self) -> None:
        """As if the process had just started: what it remembers of namespaces may have been changed behind its back."""
        self._directory._by_id.clear()
        self._directory._by_name.clear()

    async def start(self, *, still: bool) -> None:
        await self.access.start()
        if not still:
            self.control_plane.start()

    @asynccontextmanager
    async def another(self) -> AsyncIterator[ControlBench]:
        """Another process of the same control plane."""
        database = await ControlDatabase.open(self.url)
        async with _running(ControlBench(self.url, database, self._limits, self.runtime)) as other:
            yield other

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
        return await self.control_plane.call(rpc, request_of(rpc, request or {}), token)

    async def call_from(self, address: str, token: str, rpc: str, request: Mapping[str, Any]) -> Any:
        """The same from somewhere."""
        caller = KnownCaller({"authorization": f"Bearer {token}"}, address)
        return await self.control_plane.endpoint(CLOUD_SERVICE.methods_by_name[rpc])(request_of(rpc, request), caller)

    async def person(
        self, rpc: str, request: Mapping[str, Any] | None = None, token: str = "", address: str = HOME
    ) -> Any:
        """Raises what the handler raises."""
        method = IDENTITY_SERVICE.methods_by_name[rpc]
        metadata = {"user-agent": "test", **({"authorization": f"Bearer {token}"} if token else {})}
        message = ParseDict(dict(request or {}), GetMessageClass(method.input_type)())
        answer = await self.control_plane.endpoint(method)(message, KnownCaller(metadata, address))
        if token or rpc == "ResetPassword":
            # It may have ended a session, which is noticed soon, but not at once.
            await self.access.watch.look()
        return answer

    async def ask(
        self, service: ServiceDescriptor, rpc: str, request: Mapping[str, Any], token: str = "", address: str = HOME
    ) -> Any:
        """Serve a call of any service, and see to it that what it changed is known. Raises what the handler raises."""
        method = service.methods_by_name[rpc]
        metadata = {"authorization": f"Bearer {token}"} if token else {}
        message = ParseDict(dict(request), GetMessageClass(method.input_type)())
        answer = await self.control_plane.endpoint(method)(message, KnownCaller(metadata, address))
        await self.access.watch.look()
        return answer

    async def mailed(self, to: str) -> str:
        """The ticket in the last mail to somebody."""
        mail = await self.last_mail(to)
        return next(word for word in mail.text.split() if word.startswith("pdt_"))

    async def last_mail(self, to: str) -> Mail:
        await self.control_plane.outbox.sent()
        return next(mail for mail in reversed(self.mailer.mails) if mail.to == to)

    async def pass_time(self, duration_ns: int) -> None:
        """Of a bench with a clock that stands still."""
        clock = self.runtime.clock
        assert isinstance(clock, VirtualClock)
        clock.advance(duration_ns)
        if self.access.watch.age_s > _AGE_S_MAX:
            await self.access.watch.look()

    async def done(self, token: str, rpc: str, request: Mapping[str, Any]) -> Any:
        """The answer to a mutation, once what it asks for has come about."""
        answer = await self.call(token, rpc, request)
        await self.until_done(token, answer.async_operation.id)
        return answer

    async def until_done(self, token: str, operation_id: str) -> None:
        """Return once an operation is fulfilled, and known to whoever is asked."""
        asked = GetAsyncOperationRequest(async_operation_id=operation_id)
        while True:
            operation = (await self.control_plane.call("GetAsyncOperation", asked, token)).async_operation
            if operation.state == AsyncOperation.STATE_FULFILLED:
                await self.access.watch.look()
                return
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

    @asynccontextmanager
    async def own_call(self, owner: Owner) -> AsyncIterator[ControlCall]:
        """A call in a transaction of its own, for what no RPC leads to."""
        async with self.database.writing() as transaction:
            yield ControlCall(
                principal=Principal(PrincipalKind.USER, owner.user_id, account_id=owner.account_id),
                grants=Grants(owner.account_id),
                transaction=transaction,
                now_ns=self.runtime.clock.now_ns(),
                entropy=self.runtime.entropy,
                limits=ControlLimits(),
                policy=self.access.policy,
                regions=(),
                endpoints=NamespaceEndpoints(),
                people=self.people,
                sealer=self.sealer,
                usage=self.usage,
            )

    def time_in(self, duration_ns: int) -> str:
        return self.time_at(self.runtime.clock.now_ns() + duration_ns)

    def time_at(self, instant_ns: int) -> str:
        time = Timestamp()
        time.FromNanoseconds(instant_ns)
        return str(time.ToJsonString())


def request_of(rpc: str, request: Mapping[str, Any]) -> Any:
    return ParseDict(dict(request), GetMessageClass(CLOUD_SERVICE.methods_by_name[rpc].input_type)())


@asynccontextmanager
async def control_bench(
    url: str,
    limits: ControlLimits | None = None,
    *,
    still: bool = False,
    runtime: Runtime | None = None,
    fetch: Fetch | None = None,
) -> AsyncIterator[ControlBench]:
    """Running, on an empty database; nothing happens by itself if it is `still`. `fetch` gets documents of issuers."""
    database = await ControlDatabase.open(url, migrate=True)
    bench = ControlBench(url, database, limits or ControlLimits(), runtime, fetch)
    async with _running(bench, still=still):
        yield bench


@asynccontextmanager
async def _running(bench: ControlBench, *, still: bool = False) -> AsyncIterator[ControlBench]:
    await bench.start(still=still)
    try:
        yield bench
    finally:
        await bench.stop()
