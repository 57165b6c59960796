"""Who takes part in the cluster, and who of them owns what.

Ownership follows from the list of members alone: rendezvous hashing (Thaler and Ravishankar, 1998) gives every item to
the member with the highest score for it, so that everybody who sees the same members names the same owner without
asking anybody, and a member that joins or leaves moves its own share and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from enum import StrEnum
from hashlib import blake2b
from typing import NamedTuple, Protocol
from zlib import crc32

from perdure.kernel.ids import NamespaceId, ShardId, WorkflowId

#: Of one cluster. Each costs every process a little, and more than processes are of no use.
SHARDS_MAX = 16_384


class Role(StrEnum):
    """What a process can be; one process may be several."""

    GATEWAY = "gateway"
    HISTORY = "history"
    MATCHING = "matching"
    CONTROL_PLANE = "control-plane"


#: The roles that every cluster needs.
DATA_PLANE = (Role.GATEWAY, Role.HISTORY, Role.MATCHING)


class Member(NamedTuple):
    """One process of the cluster.

    `id` is made anew at every start. `address` is `host:port` of its internal gRPC. A member that is `leaving` still
    answers, but gets no share of anything.
    """

    id: str
    address: str
    roles: frozenset[Role]
    leaving: bool = False


class Membership(Protocol):
    """One process's view of the cluster, itself included."""

    @property
    def me(self) -> Member: ...

    @property
    def members(self) -> Sequence[Member]:
        """Who was alive when this process last looked, ordered by id."""
        ...

    @property
    def lease_ends_s(self) -> float:
        """Until when, on the event loop's clock, all others take this process for alive."""
        ...

    def listen(self, looked: Callable[[], None]) -> None:
        """Have `looked` called on the event loop whenever this process has looked, changed or not."""
        ...

    def look(self) -> None:
        """Look as soon as possible: something seems to have changed."""
        ...

    async def refresh(self) -> None:
        """Look now: `members` are then as they were after this was called.

        Raises:
            StoreError: the store of the members cannot be used.
        """
        ...


def shard_of(namespace_id: NamespaceId, workflow_id: WorkflowId, shard_count: int) -> ShardId:
    """The shard of a workflow id, whatever its kind. The hash is for ever: stored data depends on it."""
    return ShardId(crc32(f"{namespace_id}\0{workflow_id}".encode()) % shard_count)


def candidates(members: Iterable[Member], role: Role) -> list[Member]:
    """Those who can own something in a role."""
    return [member for member in members if role in member.roles and not member.leaving]


def owner(item: str, members: Sequence[Member]) -> Member | None:
    """Whose item it is among `candidates`; None if there are none."""
    return max(members, key=lambda member: (_score(item, member.id), member.id), default=None)


def shard_item(shard: ShardId) -> str:
    """What a shard is called when its owner is looked for."""
    return f"shard {shard}"


def queue_item(namespace_id: NamespaceId, name: str, partition: int = 0) -> str:
    """What a partition of a task queue is called when its owner is looked for. Both kinds of tasks have one owner."""
    return f"queue {namespace_id} {partition} {name}"


def _score(item: str, member_id: str) -> bytes:
    return blake2b(f"{member_id}\0{item}".encode(), digest_size=8).digest()
