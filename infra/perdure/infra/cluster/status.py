"""How a process is, as it tells those who ask: operators, by way of `perdure admin status`."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from perdure.history.engine import Engine
from perdure.infra.cluster import wire
from perdure.infra.cluster.heartbeat import Heartbeat
from perdure.kernel.clock import SECOND_NS
from perdure.kernel.metrics import NameOf
from perdure.kernel.transport import Handler, IncomingCall, Transport
from perdure.matching.service import MatchingService

_STATUS = "/perdure.internal.Process/Status"
#: Backlogs that one process names, the largest.
_BACKLOGS_MAX = 20
_ANSWER_S = 3.0


class CommitStatus(msgspec.Struct, frozen=True):
    """The way of writes to one database: how many wait, how long the transaction lasts that is under way, and how
    long transactions took so far on average."""

    database: str
    queued: int
    lag_s: float
    mean_s: float
    commits: int


class BacklogStatus(msgspec.Struct, frozen=True):
    """Tasks that wait in one partition of a task queue, the age of the next one, and polls that wait."""

    namespace: str
    task_queue: str
    kind: str
    partition: int
    tasks: int
    age_s: float
    polls: int


class ProcessStatus(msgspec.Struct, frozen=True):
    """Evolution rule: new fields go to the end and have a default, as processes of two versions may meet."""

    member_id: str
    beat_age_s: float
    shards: int = 0
    executions: int = 0
    commits: list[CommitStatus] = []
    backlogs: list[BacklogStatus] = []


_decoder = msgspec.msgpack.Decoder(ProcessStatus)


def handlers(
    heartbeat: Heartbeat, engine: Engine | None, matching: MatchingService | None, name_of: NameOf
) -> Mapping[str, Handler]:
    """What every process serves, whatever its roles."""

    async def status(_: bytes, __: IncomingCall) -> bytes:
        return wire.encode(
            ProcessStatus(
                heartbeat.me.id,
                heartbeat.age_s,
                len(engine.shards) if engine else 0,
                engine.loaded_count if engine else 0,
                _commits(engine) if engine else [],
                _backlogs(matching, name_of) if matching else [],
            )
        )

    return {_STATUS: status}


async def ask(transport: Transport, address: str) -> ProcessStatus:
    """The status of the process there.

    Raises:
        ServiceError: as `Transport.call`.
    """
    return _decoder.decode(await transport.call(address, _STATUS, b"", timeout_s=_ANSWER_S))


def _commits(engine: Engine) -> list[CommitStatus]:
    def status_of(database: str, queued: int, lag_s: float, spent_s: float, commits: int) -> CommitStatus:
        return CommitStatus(database, queued, lag_s, spent_s / commits if commits else 0.0, commits)

    return [
        status_of(each.database, each.queued, each.lag_s, each.metrics.latency.sum, each.metrics.latency.count)
        for each in engine.committers
    ]


def _backlogs(matching: MatchingService, name_of: NameOf) -> list[BacklogStatus]:
    return [
        BacklogStatus(
            name_of(queue.namespace_id),
            queue.name,
            queue.kind.name.lower(),
            queue.partition,
            tasks,
            age_ns / SECOND_NS,
            polls,
        )
        for queue, tasks, age_ns, polls in matching.largest_backlogs(_BACKLOGS_MAX)
    ]
