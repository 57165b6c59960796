"""Who owns which shard, and the fence that keeps earlier owners from writing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

from perdure.kernel.ids import ShardId


class ShardLease(NamedTuple):
    """A shard's last owner, by member id, and the epoch in which it took the shard. No owner: it was given back."""

    shard: ShardId
    epoch: int
    owner: str


class ShardStore(Protocol):
    """The fence itself is checked by `ExecutionStore.write`, in the transaction that it protects."""

    async def acquire(self, shards: Sequence[ShardId], owner: str) -> Mapping[ShardId, int]:
        """Take the shards: raise their epochs and return the new ones. Every earlier owner's writes fail from here on.

        All that earlier owners wrote, and nothing that they have yet to write, is seen by reads that follow.

        Shards that cannot be taken now, because they are being moved to another database, are left out.
        """
        ...

    async def release(self, epochs: Mapping[ShardId, int]) -> None:
        """Give shards back. One that has a new epoch is not ours to give and is left alone."""
        ...

    async def leases(self) -> Sequence[ShardLease]:
        """All shards that ever had an owner, ordered by shard. One may be missing while it is being moved."""
        ...
