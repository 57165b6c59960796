"""A member that beats and cannot be called: how often it is told that there is room for tasks of a queue."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from perdure.infra.cluster.history_router import HistoryRouter
from perdure.kernel.clock import VirtualClock
from perdure.kernel.ids import NamespaceId, TaskKind, TaskQueueKey
from perdure.kernel.membership import Member, Role
from perdure.kernel.transport import PeerUnreachable
from tests.support import virtual_time

ME, OTHER = (Member(name, name, frozenset(Role)) for name in ("me", "other"))
QUEUE = TaskQueueKey(NamespaceId("ns"), "orders", TaskKind.WORKFLOW)


class Members:
    me = ME
    members = (ME, OTHER)

    def listen(self, looked: Callable[[], None]) -> None:
        pass

    def look(self) -> None:
        pass


class Cut:
    """A network that lets nothing through until it is mended."""

    def __init__(self) -> None:
        self.calls = 0
        self.mended = False

    async def call(self, *_: Any, **__: Any) -> bytes:
        self.calls += 1
        if not self.mended:
            raise PeerUnreachable("other", "cut", may_have_executed=False)
        return b""


def test_it_is_told_by_one_at_a_time_and_once_when_it_can_be_called() -> None:
    clock = VirtualClock()

    async def main() -> None:
        network = Cut()
        router = HistoryRouter(Members(), network, clock, 4, None)  # type: ignore[arg-type]
        before = len(asyncio.all_tasks())
        for _ in range(500):
            router.redispatch(QUEUE)
            await asyncio.sleep(0.01)
        assert len(asyncio.all_tasks()) == before + 1
        assert network.calls < 20
        network.mended = True
        network.calls = 0
        await asyncio.sleep(60)
        assert network.calls == 1
        assert len(asyncio.all_tasks()) == before
        router.redispatch(QUEUE)
        await asyncio.sleep(1)
        assert network.calls == 2
        await router.stop()

    virtual_time.run(clock, main())
