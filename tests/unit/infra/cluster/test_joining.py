from __future__ import annotations

from collections.abc import Sequence

from perdure.infra.cluster.heartbeat import Heartbeat
from perdure.kernel.membership import Member, Role, candidates
from perdure.kernel.news import NoNews


class Beats:
    """Remembers what members say of themselves."""

    def __init__(self) -> None:
        self.heard: list[Member] = []

    async def beat(self, member: Member, lease_ns: int) -> Sequence[Member]:
        self.heard.append(member)
        return [member]

    async def leave(self, member_id: str) -> None:
        self.heard.clear()


async def test_a_process_has_a_share_only_between_joining_and_leaving() -> None:
    """Others let go of what is to be its: for one that is gone at once they must not."""
    store = Beats()
    heartbeat = Heartbeat(store, 60.0, NoNews())
    await heartbeat.start(Member("a", "host:1", frozenset({Role.MATCHING})))
    assert candidates(heartbeat.members, Role.MATCHING) == []
    await heartbeat.join()
    assert [member.id for member in candidates(heartbeat.members, Role.MATCHING)] == ["a"]
    await heartbeat.leave()
    assert candidates(heartbeat.members, Role.MATCHING) == []
    await heartbeat.stop()
    assert store.heard == []
