"""`perdure admin status`: the cluster at a glance, from its databases and its processes."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from contextlib import suppress
from itertools import groupby

import msgspec

from perdure.infra.cluster.access_status import AccessStatus, ControlPlaneStatus
from perdure.infra.cluster.access_status import ask as ask_access
from perdure.infra.cluster.server import internal_tls
from perdure.infra.cluster.status import BacklogStatus, ProcessStatus, ask
from perdure.infra.postgres import PostgresDatabases, PostgresShardStore, survey
from perdure.infra.postgres.shards import MOVER
from perdure.infra.postgres.survey import MemberRow, Replica
from perdure.infra.rpc import Channels
from perdure.infra.settings import Settings
from perdure.infra.startup import one_line
from perdure.kernel.errors import ServiceError
from perdure.kernel.ids import ShardId
from perdure.kernel.persistence.executions import StoreError
from perdure.kernel.persistence.shards import ShardLease
from perdure.kernel.runtime import Runtime
from perdure.kernel.transport import Transport

_BACKLOGS_SHOWN = 20


class MemberStatus(msgspec.Struct, frozen=True):
    """`process` is what it says of itself, None if it does not answer; `access` the same of tenants, None also for one
    that they do not call. Who is not `alive` has lost its lease.
    """

    id: str
    address: str
    roles: list[str]
    leaving: bool
    alive: bool
    lease_left_s: float
    process: ProcessStatus | None
    access: AccessStatus | None = None


class ShardRange(msgspec.Struct, frozen=True):
    """Shards in a row, first and last included, in one database and with one owner: an address, or "" for nobody.

    The epochs are the lowest and the highest of them.
    """

    first: int
    last: int
    database: str
    owner: str
    epoch_min: int
    epoch_max: int


class ClusterStatus(msgspec.Struct, frozen=True):
    """`unowned` counts shards that no living member owns. `control_plane` is None in an installation without."""

    shard_count: int
    unowned: int
    members: list[MemberStatus]
    shards: list[ShardRange]
    backlogs: list[BacklogStatus]
    replicas: list[Replica]
    control_plane: ControlPlaneStatus | None = None


async def read(settings: Settings) -> ClusterStatus:
    """Raises StoreError: a database cannot be read."""
    databases = await PostgresDatabases.open(settings.databases)
    transport = Channels(tls=internal_tls(settings.internal_tls))
    try:
        rows = await survey.members(databases)
        leases = {lease.shard: lease for lease in (await PostgresShardStore(databases).leases()).known}
        url = settings.control_plane.database
        members = list(await asyncio.gather(*(_member(transport, row, url is not None) for row in rows)))
        owners = {member.id: member.address for member in members if member.alive}
        shards = [_shard(ShardId(number), databases, leases, owners) for number in range(databases.shard_count)]
        return ClusterStatus(
            databases.shard_count,
            sum(not shard.owner for shard in shards),
            members,
            list(_joined(shards)),
            _largest(members),
            list(await survey.replicas(databases)),
            await _control_plane(url) if url is not None else None,
        )
    finally:
        await transport.close()
        await databases.close()


async def _control_plane(url: str) -> ControlPlaneStatus:
    # Late, because it loads a lot that clusters without tenants do without.
    from perdure.infra.tenancy import status as tenancy

    try:
        return await tenancy.read(url, Runtime().clock)
    except StoreError as error:
        return ControlPlaneStatus(trouble=one_line(error))


async def _member(transport: Transport, row: MemberRow, has_tenants: bool) -> MemberStatus:
    alive = row.lease_left_s > 0
    process = access = None
    if alive:
        with suppress(ServiceError):
            process = await ask(transport, row.address)
    if process is not None and process.member_id != row.id:
        # Somebody else listens there by now.
        process = None
    if process is not None and has_tenants:
        with suppress(ServiceError):
            access = await ask_access(transport, row.address)
    return MemberStatus(row.id, row.address, sorted(row.roles), row.leaving, alive, row.lease_left_s, process, access)


def _shard(
    shard: ShardId, databases: PostgresDatabases, leases: dict[ShardId, ShardLease], owners: dict[str, str]
) -> ShardRange:
    lease = leases.get(shard)
    epoch = lease.epoch if lease else 0
    owner = "" if lease is None else MOVER if lease.owner == MOVER else owners.get(lease.owner, "")
    return ShardRange(shard, shard, databases.holding(shard).name, owner, epoch, epoch)


def _joined(shards: Iterable[ShardRange]) -> Iterable[ShardRange]:
    for (database, owner), run in groupby(shards, lambda shard: (shard.database, shard.owner)):
        held = list(run)
        epochs = [shard.epoch_min for shard in held]
        yield ShardRange(held[0].first, held[-1].last, database, owner, min(epochs), max(epochs))


def _largest(members: Iterable[MemberStatus]) -> list[BacklogStatus]:
    backlogs = [backlog for member in members if member.process for backlog in member.process.backlogs]
    return sorted(backlogs, key=lambda backlog: -backlog.tasks)[:_BACKLOGS_SHOWN]


# For people -----------------------------------------------------------------------------------------------------------


def as_json(status: ClusterStatus) -> str:
    return msgspec.json.format(msgspec.json.encode(status)).decode()


def as_text(status: ClusterStatus) -> str:
    """Tables with spaces between their columns."""
    shards = f"{status.shard_count} shards, {status.unowned} without an owner"
    tables = [
        shards,
        _table("members", ("address", "roles", "state", "beat", "shards", "executions"), map(_shown, status.members)),
        _table("shards", ("owner", "database", "shards", "within", "epochs"), _shard_rows(status.shards)),
        _table(
            "commits",
            ("process", "database", "waiting", "under way", "mean", "commits"),
            (
                (member.address, each.database, each.queued, _ms(each.lag_s), _ms(each.mean_s), each.commits)
                for member in status.members
                if member.process
                for each in member.process.commits
            ),
        ),
        _table(
            "largest backlogs",
            ("namespace", "task queue", "kind", "partition", "tasks", "age", "polls"),
            (
                (
                    each.namespace,
                    each.task_queue,
                    each.kind,
                    each.partition,
                    each.tasks,
                    f"{each.age_s:.1f} s",
                    each.polls,
                )
                for each in status.backlogs
            ),
        ),
        _table(
            "replicas",
            ("database", "name", "address", "state", "sync", "behind", "delay"),
            (
                (
                    each.database,
                    each.name,
                    each.address,
                    each.state,
                    each.sync_state,
                    "?" if each.lag_bytes is None else f"{each.lag_bytes} bytes",
                    _delay(each.lag_s),
                )
                for each in status.replicas
            ),
        ),
    ]
    if status.control_plane is not None:
        tables += [_operations(status.control_plane), _table("access", _ACCESS_HEADS, _access_rows(status.members))]
    return "\n\n".join(tables)


_ACCESS_HEADS = ("process", "age", "control plane's database", "namespaces", "credentials", "principals", "accounts")


def _access_rows(members: Iterable[MemberStatus]) -> Iterable[tuple[object, ...]]:
    for member in members:
        if (known := member.access) is not None:
            counts = (known.records.get(kind, 0) for kind in ("namespace", "credential", "principal", "account"))
            yield member.address, f"{known.age_s:.1f} s", "answers" if known.is_answered else "away", *counts


def _operations(status: ControlPlaneStatus) -> str:
    if status.trouble:
        return f"operations: {status.trouble}"
    oldest = f" for {status.pending_age_s:.1f} s at most" if status.pending else ""
    return f"operations: {status.pending} pending{oldest}, {status.failed_lately} failed within an hour"


def _shown(member: MemberStatus) -> tuple[object, ...]:
    process = member.process
    state = "leaving" if member.leaving else "alive"
    if not member.alive:
        state = "gone"
    elif process is None:
        state = "no answer"
    roles = ",".join(member.roles)
    if process is None:
        return member.address, roles, state, "", "", ""
    return member.address, roles, state, f"{process.beat_age_s:.1f} s ago", process.shards, process.executions


def _shard_rows(shards: Iterable[ShardRange]) -> Iterable[tuple[object, ...]]:
    """A row for each owner and database: neighbours rarely have the same owner."""
    by_place: dict[tuple[str, str], list[ShardRange]] = {}
    for shard in shards:
        by_place.setdefault((shard.database, shard.owner), []).append(shard)
    for (database, owner), ranges in sorted(by_place.items()):
        count = sum(each.last - each.first + 1 for each in ranges)
        lowest, highest = min(each.epoch_min for each in ranges), max(each.epoch_max for each in ranges)
        within = f"{ranges[0].first}-{ranges[-1].last}"
        yield owner or "nobody", database, count, within, f"{lowest}-{highest}"


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.1f} ms"


def _delay(seconds: float | None) -> str:
    return "" if seconds is None else f"{seconds:.3f} s"


def _table(title: str, heads: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    cells = [list(map(str, row)) for row in rows]
    if not cells:
        return f"{title}: none"
    widths = [max(map(len, column)) for column in zip(heads, *cells, strict=True)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in (heads, *cells)]
    return "\n".join([title, *(f"  {line}".rstrip() for line in lines)])
