"""DescribeTaskQueue and ListTaskQueuePartitions. Asking about a queue does not bring it into being."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from google.protobuf.internal.containers import RepeatedCompositeFieldContainer
from temporalio.api.enums.v1 import (
    BuildIdTaskReachability,
    DescribeTaskQueueMode,
    TaskQueueKind,
    TaskQueueType,
)
from temporalio.api.taskqueue.v1 import (
    PollerInfo,
    TaskQueuePartitionMetadata,
    TaskQueueStats,
    TaskQueueStatus,
    TaskQueueTypeInfo,
    TaskQueueVersionInfo,
    TaskQueueVersioningInfo,
)
from temporalio.api.workflowservice.v1 import (
    DescribeTaskQueueRequest,
    DescribeTaskQueueResponse,
    ListTaskQueuePartitionsRequest,
    ListTaskQueuePartitionsResponse,
)

from perdure.kernel.call import Call
from perdure.kernel.deployments.records import VersionQueue
from perdure.kernel.deployments.routing import Routing
from perdure.kernel.errors import InvalidArgument
from perdure.kernel.ids import NamespaceId, TaskKind, TaskQueueKey
from perdure.matching.partition import Partition
from perdure.matching.queues import TaskQueues, configured

#: The name of "no version": all workers are unversioned.
_UNVERSIONED = "__unversioned__"
_KINDS: dict[int, TaskKind] = {
    TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY: TaskKind.ACTIVITY,
    TaskQueueType.TASK_QUEUE_TYPE_NEXUS: TaskKind.NEXUS,
}
_NEVER = datetime(1, 1, 1, tzinfo=UTC)


async def describe_task_queue(
    queues: TaskQueues, call: Call, request: DescribeTaskQueueRequest, number: int = 0
) -> DescribeTaskQueueResponse:
    """Pollers, backlog and limits of a task queue, or of one partition of it.

    Raises:
        InvalidArgument: statistics, or the enhanced mode, of a sticky queue.
    """
    name = request.task_queue.name
    sticky = request.task_queue.kind == TaskQueueKind.TASK_QUEUE_KIND_STICKY
    if request.api_mode == DescribeTaskQueueMode.DESCRIBE_TASK_QUEUE_MODE_ENHANCED:
        if sticky:
            raise InvalidArgument(
                "Enhanced DescribeTaskQueue is not valid for a sticky queue, use api_mode=UNSPECIFIED or "
                "a normal queue."
            )
        return _enhanced(queues, call, request, number)
    if request.report_stats and sticky:
        raise InvalidArgument("DescribeTaskQueue stats are only supported for the root partition")
    kind = _KINDS.get(request.task_queue_type, TaskKind.WORKFLOW)
    parts = [
        _described(queues, request, partition, sticky=sticky)
        for partition in _partitions(queues, call, name, kind, number)
    ]
    response = merged(parts)
    if not sticky:
        routing = queues.deployments.routing(NamespaceId(call.namespace_id), VersionQueue(name, kind))
        response.versioning_info.CopyFrom(_versioning(routing))
    return response


def _described(
    queues: TaskQueues, request: DescribeTaskQueueRequest, partition: Partition, *, sticky: bool
) -> DescribeTaskQueueResponse:
    """One partition, for workers of one version or of none."""
    response = DescribeTaskQueueResponse(pollers=partition.pollers.describe(queues.runtime.clock.now_ns()))
    if request.include_task_queue_status:
        response.task_queue_status.CopyFrom(
            TaskQueueStatus(backlog_count_hint=partition.backlog_count, rate_per_second=partition.rate)
        )
    if request.report_stats:
        by_priority = partition.stats()
        response.stats.CopyFrom(_total(list(by_priority.values())))
        for priority, stats in by_priority.items():
            response.stats_by_priority_key[priority].CopyFrom(stats)
    if request.report_config and (config := queues.configurations.config_of(configured(partition.queue))):
        response.config.CopyFrom(config)
    response.effective_rate_limit.requests_per_second = partition.rate
    response.effective_rate_limit.rate_limit_source = partition.rate_source
    return response


async def list_task_queue_partitions(
    queues: TaskQueues, call: Call, request: ListTaskQueuePartitionsRequest
) -> ListTaskQueuePartitionsResponse:
    """The partitions of a task queue: one of each type."""
    only = [TaskQueuePartitionMetadata(key=request.task_queue.name, owner_host_name=queues.host_name)]
    return ListTaskQueuePartitionsResponse(activity_task_queue_partitions=only, workflow_task_queue_partitions=only)


def _enhanced(
    queues: TaskQueues, call: Call, request: DescribeTaskQueueRequest, number: int
) -> DescribeTaskQueueResponse:
    """The older shape of the answer: by build id and type. Unversioned workers are the build id ""."""
    response = DescribeTaskQueueResponse()
    versions = request.versions
    if request.HasField("versions") and not (versions.unversioned or versions.all_active or "" in versions.build_ids):
        return response
    info = TaskQueueVersionInfo()
    for kind in TaskKind:
        if request.task_queue_types and int(kind) not in request.task_queue_types:
            continue
        partitions = _partitions(queues, call, request.task_queue.name, kind, number)
        type_info = TaskQueueTypeInfo()
        if request.report_pollers:
            for partition in partitions:
                _add_pollers(type_info.pollers, partition.pollers.describe(queues.runtime.clock.now_ns()))
        if request.report_stats:
            stats = [each for partition in partitions for each in partition.stats().values()]
            type_info.stats.CopyFrom(_total(stats))
        info.types_info[kind].CopyFrom(type_info)
    if request.report_task_reachability:
        info.task_reachability = BuildIdTaskReachability.BUILD_ID_TASK_REACHABILITY_REACHABLE
    response.versions_info[""].CopyFrom(info)
    return response


def merged(parts: Sequence[DescribeTaskQueueResponse]) -> DescribeTaskQueueResponse:
    """The description of a queue from those of its partitions, the root first."""
    whole = parts[0]
    for part in parts[1:]:
        _add_pollers(whole.pollers, part.pollers)
        whole.task_queue_status.backlog_count_hint += part.task_queue_status.backlog_count_hint
        if part.HasField("stats"):
            whole.stats.CopyFrom(_total([whole.stats, part.stats]))
        for priority, stats in part.stats_by_priority_key.items():
            whole.stats_by_priority_key[priority].CopyFrom(_total([whole.stats_by_priority_key[priority], stats]))
        for version, info in part.versions_info.items():
            for kind, of_kind in info.types_info.items():
                of_whole = whole.versions_info[version].types_info[kind]
                _add_pollers(of_whole.pollers, of_kind.pollers)
                if of_kind.HasField("stats"):
                    of_whole.stats.CopyFrom(_total([of_whole.stats, of_kind.stats]))
    return whole


def _add_pollers(known: RepeatedCompositeFieldContainer[PollerInfo], more: Iterable[PollerInfo]) -> None:
    """A worker that polls several partitions is one poller, which was there last when it was last anywhere. Workers of
    several versions are several.
    """
    by_identity = {_identity(poller): poller for poller in known}
    for poller in more:
        same = by_identity.get(_identity(poller))
        if same is None:
            known.append(poller)
        elif poller.last_access_time.ToNanoseconds() > same.last_access_time.ToNanoseconds():
            same.CopyFrom(poller)


def _identity(poller: PollerInfo) -> tuple[str, str, str]:
    return poller.identity, poller.deployment_options.deployment_name, poller.deployment_options.build_id


def _partitions(queues: TaskQueues, call: Call, name: str, kind: TaskKind, number: int) -> list[Partition]:
    """Of all versions that there are here."""
    queue = TaskQueueKey(NamespaceId(call.namespace_id), name, kind, number)
    return queues.versions_of(queue) or [queues.unused(queue)]


def _versioning(routing: Routing) -> TaskQueueVersioningInfo:
    info = TaskQueueVersioningInfo(
        current_version=routing.current.old_form if routing.current else _UNVERSIONED,
        ramping_version_percentage=routing.percentage,
    )
    if routing.current:
        info.current_deployment_version.deployment_name, info.current_deployment_version.build_id = routing.current
    if routing.percentage:
        info.ramping_version = routing.ramping.old_form if routing.ramping else _UNVERSIONED
    if routing.percentage and routing.ramping:
        info.ramping_deployment_version.deployment_name, info.ramping_deployment_version.build_id = routing.ramping
    if routing.changed_at_ns:
        info.update_time.FromNanoseconds(routing.changed_at_ns)
    else:
        info.update_time.FromDatetime(_NEVER)
    return info


def _total(stats: list[TaskQueueStats]) -> TaskQueueStats:
    total = TaskQueueStats(
        approximate_backlog_count=sum(each.approximate_backlog_count for each in stats),
        tasks_add_rate=sum(each.tasks_add_rate for each in stats),
        tasks_dispatch_rate=sum(each.tasks_dispatch_rate for each in stats),
        rate_limiting_active=any(each.rate_limiting_active for each in stats),
    )
    total.approximate_backlog_age.FromNanoseconds(
        max((each.approximate_backlog_age.ToNanoseconds() for each in stats), default=0)
    )
    return total
