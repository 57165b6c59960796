"""Who owns which shard, and the fence that keeps earlier owners from writing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from typing import NamedTuple, Protocol

from perdure.kernel.ids import ShardId


class ShardLease(NamedTuple):
    """A shard's last owner, by member id, and the epoch in which it took the shard. No owner: it was given back."""

    shard: ShardId
    epoch: int
    owner: str


class ShardLeases(NamedTuple):
    """What is known of all shards that ever had an owner, ordered by shard, and of which nothing is known now."""

    known: Sequence[ShardLease]
    unknown: Set[ShardId] = frozenset()


class ShardStore(Protocol):
    """The fence itself is checked by `ExecutionStore.write`, in the transaction that it protects."""

    async def acquire(
        self, shards: Sequence[ShardId], owner: str, seen: Mapping[ShardId, int] | None = None
    ) -> Mapping[ShardId, int]:
        """Take the shards: raise their epochs and return the new ones. Every earlier owner's writes fail from here on.

        `seen` says in which epochs the reason to take them was seen, 0 for before the first. A shard whose epoch is
        another by now is left alone: whoever has raised it may not be known to the caller, and may be showing what he
        holds. Shards that `seen` does not name are taken from anybody.

        All that earlier owners wrote, and nothing that they have yet to write, is seen by reads that follow.

        Shards that cannot be taken now are left out: they have another epoch than was seen, are being moved to another
        database, or theirs cannot be reached.

        Raises:
            StoreError: there are shards, and no database of theirs can be written.
        """
        ...

    async def release(self, epochs: Mapping[ShardId, int]) -> None:
        """Give shards back. One that has a new epoch is not ours to give and is left alone.

        Raises:
            StoreError: some of them could not be given back.
        """
        ...

    async def leases(self) -> ShardLeases:
        """Who owns what. A shard may be missing while it is being moved.

        Raises:
            StoreError: no database can be read.
        """
        ...
