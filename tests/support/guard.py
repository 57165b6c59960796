"""A guard on records as they are published, without a control plane."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from perdure.auth import secrets
from perdure.auth.access.records import (
    AccessRecord,
    AccountRecord,
    CredentialRecord,
    NamespaceAccessRecord,
    PrincipalRecord,
    Removed,
)
from perdure.auth.access.view import AccessView
from perdure.auth.access.watch import AccessWatch
from perdure.auth.certificates.issuing import Issued, generate_authority, generate_leaf
from perdure.auth.guard import GatewayGuard
from perdure.auth.policy.decisions import Policy
from perdure.kernel.clock import SECOND_NS, VirtualClock
from perdure.kernel.entropy import Entropy
from perdure.kernel.identity import KnownCaller, PrincipalKind
from perdure.kernel.ids import NamespaceName
from perdure.kernel.namespace import DAY_NS
from perdure.kernel.news import LocalNews

ORDERS, OTHERS = NamespaceName("orders.acme12"), NamespaceName("orders.other1")
SERVICE = "temporal.api.workflowservice.v1.WorkflowService"
START = f"{SERVICE}.StartWorkflowExecution"
NOW = datetime(2026, 11, 23, tzinfo=UTC)
ADDRESS = "10.1.2.3"


class Published:
    """An `AccessStore` in a list."""

    def __init__(self) -> None:
        self.changes: list[AccessRecord | Removed] = []
        self.reads = 0

    async def changed_since(self, revision: int, limit: int) -> tuple[int, Sequence[AccessRecord | Removed]]:
        self.reads += 1
        found = self.changes[revision : revision + limit]
        return revision + len(found), found


class GuardBench:
    def __init__(self, proxies: tuple[str, ...] = ()) -> None:
        self.clock = VirtualClock(int(NOW.timestamp()) * SECOND_NS)
        self.store, self.view, self.news = Published(), AccessView(), LocalNews()
        self.watch = AccessWatch(self.store, self.view, self.news, self.clock)
        self.guard = GatewayGuard(self.clock, self.view, self.watch, Policy.load(), proxies)
        self.authority = generate_authority("acme", timedelta(days=300), NOW)
        self.publish(AccountRecord("acme12"), AccountRecord("other1"))
        self.publish(self.namespace(ORDERS), self.namespace(OTHERS, authorities=b"", certificates=False))

    def namespace(self, name: NamespaceName, **changes: object) -> NamespaceAccessRecord:
        given = {"authorities": self.authority.certificate_pem, "api_keys": True, "certificates": True, **changes}
        return NamespaceAccessRecord(name, name.rpartition(".")[2], **given)  # type: ignore[arg-type]

    def publish(self, *changes: AccessRecord | Removed) -> None:
        """As if the watch had just read it."""
        self.store.changes += changes
        self.view.learn(changes)
        self.watch._revision = len(self.store.changes)
        self.watch._read_at_ns = self.clock.now_ns()
        self.watch.is_answered = True

    def advance(self, duration_ns: int) -> None:
        """Time passes, and the watch goes on reading."""
        self.clock.advance(duration_ns)
        self.publish()

    def key(self, namespaces: dict[NamespaceName, int] | None = None, **changes: object) -> str:
        """The secret of a new key whose owner may write."""
        secret = secrets.give(secrets.SecretKind.API_KEY, Entropy())
        owner = f"owner of {secret.id}"
        self.publish(
            PrincipalRecord(owner, "acme12", PrincipalKind.SERVICE_ACCOUNT, "m", (5,), namespaces or {ORDERS: 2}),
            CredentialRecord(
                **{
                    "id": secret.id,
                    "kind": "pdk",
                    "owner_id": owner,
                    "secret_hash": secret.secret_hash,
                    "expires_at_ns": self.clock.now_ns() + DAY_NS,
                    **changes,
                }  # type: ignore[arg-type]
            ),
        )
        return secret.text

    async def by_key(
        self, key: str, rpc: str = START, namespace: NamespaceName = ORDERS, address: str = ADDRESS
    ) -> None:
        await self.guard.admit(rpc, KnownCaller({"authorization": f"Bearer {key}"}, address), namespace)

    async def by_certificate(self, pem: bytes, namespace: NamespaceName = ORDERS, rpc: str = START) -> str:
        admitted = await self.guard.admit(rpc, KnownCaller({}, ADDRESS, pem.decode()), namespace)
        return admitted.principal.name

    def leaf(self, authority: Issued | None = None, name: str = "worker") -> bytes:
        return generate_leaf(authority or self.authority, NOW, organization="acme", common_name=name).certificate_pem
