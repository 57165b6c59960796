"""The loops that keep a process in its cluster, on stores that fail in ways that nobody has thought of."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, cast

from perdure.frontend.namespaces import Namespaces
from perdure.infra.cluster.heartbeat import Heartbeat
from perdure.infra.cluster.namespace_watch import NamespaceWatch
from perdure.infra.cluster.node import ClusterNode, Place, Stores
from perdure.infra.rpc import Channels
from perdure.kernel.clock import VirtualClock
from perdure.kernel.entropy import Entropy
from perdure.kernel.limits import Limits
from perdure.kernel.membership import Member, Role
from perdure.kernel.namespace import Namespace
from perdure.kernel.news import NoNews
from perdure.kernel.persistence.executions import StoreUnavailable
from perdure.kernel.persistence.namespaces import NamespaceStore
from perdure.kernel.runtime import Runtime
from tests.support import virtual_time

LEASE_S = 3.0
ME = Member("me", "me", frozenset(Role))


class Store:
    """Implements `MembershipStore`, and what a `NamespaceWatch` asks; fails as it is told."""

    def __init__(self) -> None:
        self.failures: list[Exception] = []
        self.calls = 0

    async def beat(self, member: Member, lease_ns: int) -> Sequence[Member]:
        self._called()
        return [member]

    async def leave(self, member_id: str) -> None:
        self._called()

    async def revision(self) -> int:
        return 1

    async def changed_since(self, revision: int) -> tuple[int, Sequence[Namespace]]:
        self._called()
        return 1, []

    def _called(self) -> None:
        self.calls += 1
        if self.failures:
            raise self.failures.pop(0)


def in_virtual_time(main: Callable[[Store], Coroutine[Any, Any, None]]) -> None:
    async def body() -> None:
        async with asyncio.timeout(60):
            await main(Store())

    virtual_time.run(VirtualClock(), body())


def test_beats_go_on_after_any_failure() -> None:
    async def main(store: Store) -> None:
        heartbeat = Heartbeat(store, LEASE_S, NoNews())
        await heartbeat.start(ME)
        store.failures = [RuntimeError("a bug"), StoreUnavailable("away")]
        lease_ends_s = heartbeat.lease_ends_s
        await asyncio.sleep(LEASE_S)
        assert not store.failures
        assert heartbeat.lease_ends_s > lease_ends_s
        assert heartbeat.failures == 2
        await heartbeat.stop()

    in_virtual_time(main)


def test_a_listener_that_fails_keeps_nobody_from_hearing() -> None:
    async def main(store: Store) -> None:
        heartbeat = Heartbeat(store, LEASE_S, NoNews())
        heard = []

        def fail() -> None:
            raise RuntimeError("a bug")

        heartbeat.listen(fail)
        heartbeat.listen(lambda: heard.append(True))
        await heartbeat.start(ME)
        assert heard
        await heartbeat.stop()

    in_virtual_time(main)


def test_namespaces_are_watched_after_any_failure() -> None:
    async def main(store: Store) -> None:
        namespaces = cast(NamespaceStore, store)
        watch = NamespaceWatch(namespaces, Namespaces(namespaces), NoNews())
        await watch.start()
        store.failures = [RuntimeError("a bug")]
        await asyncio.sleep(10)
        assert store.calls > 2
        await watch.stop()

    in_virtual_time(main)


def test_a_process_says_when_it_is_not_the_one_to_ask() -> None:
    async def main(store: Store) -> None:
        stores: Any = Stores(*[cast(Any, store)] * 8)
        place = Place([Role.GATEWAY], 1, LEASE_S, "host")
        clock = VirtualClock()
        node = ClusterNode(Runtime(clock, Entropy(1)), Limits(), place, stores, Channels(), NoNews())
        await asyncio.sleep(1)
        await node.start("address")
        assert (node.reluctance, node.defect) == ("", "")
        store.failures = [StoreUnavailable("away")] * 1000
        await asyncio.sleep(4 * LEASE_S)
        assert "no heartbeat" in node.reluctance
        assert not node.defect, "another process would have none either"
        store.failures.clear()
        await asyncio.sleep(LEASE_S)
        assert not node.reluctance
        store.failures = [cast(Any, asyncio.CancelledError())] * 2
        await asyncio.sleep(LEASE_S)
        assert node.reluctance == node.defect != ""
        store.failures.clear()
        await node.leave()
        assert (node.reluctance, node.defect) == ("on its way out", "")
        await node.stop()

    in_virtual_time(main)
