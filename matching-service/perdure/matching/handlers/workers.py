"""What workers say of themselves: that they are there, and that they will poll no more. And who asks about that."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence

from temporalio.api.worker.v1 import WorkerHeartbeat, WorkerInfo, WorkerListInfo
from temporalio.api.workflowservice.v1 import (
    CountWorkersRequest,
    CountWorkersResponse,
    DescribeWorkerRequest,
    DescribeWorkerResponse,
    ListWorkersRequest,
    ListWorkersResponse,
    RecordWorkerHeartbeatRequest,
    RecordWorkerHeartbeatResponse,
    ShutdownWorkerRequest,
    ShutdownWorkerResponse,
)

from perdure.kernel.call import Call
from perdure.kernel.errors import InvalidArgument, NotFound
from perdure.kernel.ids import NamespaceId, TaskKind, TaskQueueKey
from perdure.matching import worker_query
from perdure.matching.known_workers import KnownWorkers
from perdure.matching.queues import TaskQueues

#: What the task queues of servers' own workers begin with, which lists leave out.
_SYSTEM_PREFIX = "temporal-sys-"
#: Where a page token has the last worker of its page.
_LAST = "l"
#: Heartbeats of one page, in bytes. Lists are sent in two forms, and clients take 4 MB unless they are told otherwise.
PAGE_BYTES_MAX = 2 * 1024 * 1024
#: How many workers a query is held against before others have their turn.
_IN_ONE_GO = 50


async def shutdown_worker(queues: TaskQueues, call: Call, request: ShutdownWorkerRequest) -> ShutdownWorkerResponse:
    """End the worker's polls, so that it gets no task that it would not work on, and drop its sticky queue."""
    namespace_id = NamespaceId(call.namespace_id)
    if request.worker_instance_key:
        queues.shut_down(namespace_id, request.worker_instance_key)
    if request.task_queue:
        for kind in TaskKind:
            if request.task_queue_types and int(kind) not in request.task_queue_types:
                continue
            for partition in queues.versions_of(TaskQueueKey(namespace_id, request.task_queue, kind)):
                if request.worker_instance_key:
                    partition.dismiss(request.worker_instance_key)
                partition.pollers.forget(request.identity)
    # Last, so that what waits there does not go to another poll of the same worker.
    if request.sticky_task_queue:
        queues.discard(TaskQueueKey(namespace_id, request.sticky_task_queue, TaskKind.WORKFLOW))
    return ShutdownWorkerResponse()


async def record_worker_heartbeat(
    workers: KnownWorkers, call: Call, request: RecordWorkerHeartbeatRequest
) -> RecordWorkerHeartbeatResponse:
    workers.record(NamespaceId(call.namespace_id), request.worker_heartbeat)
    return RecordWorkerHeartbeatResponse()


async def list_workers(workers: KnownWorkers, call: Call, request: ListWorkersRequest) -> ListWorkersResponse:
    """Pages are in the order of instance keys. A page size of zero means the greatest that there is."""
    meant = await _meant(workers, call, request)
    if meant and request.next_page_token:
        last = _last_of_page(request.next_page_token)
        meant = [worker for worker in meant if worker.worker_instance_key > last]
    size_max = workers.limits.visibility_page_size_max
    page = _page(meant, request.page_size if 0 < request.page_size < size_max else size_max)
    token = json.dumps({_LAST: page[-1].worker_instance_key}).encode() if len(page) < len(meant) else b""
    return ListWorkersResponse(
        # The older of the two fields, which clients of today still read.
        workers_info=[WorkerInfo(worker_heartbeat=worker) for worker in page],
        workers=map(_list_info, page),
        next_page_token=token,
    )


async def count_workers(workers: KnownWorkers, call: Call, request: CountWorkersRequest) -> CountWorkersResponse:
    return CountWorkersResponse(count=len(await _meant(workers, call, request)))


async def describe_worker(workers: KnownWorkers, call: Call, request: DescribeWorkerRequest) -> DescribeWorkerResponse:
    worker = workers.find(NamespaceId(call.namespace_id), request.worker_instance_key)
    if worker is None:
        raise NotFound(f"Worker {request.worker_instance_key} not found")
    return DescribeWorkerResponse(worker_info=WorkerInfo(worker_heartbeat=worker))


async def _meant(
    workers: KnownWorkers, call: Call, request: ListWorkersRequest | CountWorkersRequest
) -> list[WorkerHeartbeat]:
    means, with_system = worker_query.parse(request.query), request.include_system_workers
    meant = []
    for number, worker in enumerate(workers.all(NamespaceId(call.namespace_id)), 1):
        if (with_system or not worker.task_queue.startswith(_SYSTEM_PREFIX)) and means(worker):
            meant.append(worker)
        if number % _IN_ONE_GO == 0:
            await asyncio.sleep(0)
    return meant


def _page(workers: Sequence[WorkerHeartbeat], count_max: int) -> Sequence[WorkerHeartbeat]:
    """As many of the first as fit on a page."""
    size = 0
    for count, worker in enumerate(workers[:count_max]):
        size += worker.ByteSize()
        if size > PAGE_BYTES_MAX and count:
            return workers[:count]
    return workers[:count_max]


def _last_of_page(token: bytes) -> str:
    try:
        last = json.loads(token)[_LAST]
    except (ValueError, LookupError, TypeError, RecursionError):
        last = None
    if not isinstance(last, str):
        raise InvalidArgument("invalid next_page_token")
    return last


def _list_info(worker: WorkerHeartbeat) -> WorkerListInfo:
    """A heartbeat without its counters and measurements."""
    return WorkerListInfo(
        worker_instance_key=worker.worker_instance_key,
        worker_identity=worker.worker_identity,
        task_queue=worker.task_queue,
        deployment_version=worker.deployment_version if worker.HasField("deployment_version") else None,
        sdk_name=worker.sdk_name,
        sdk_version=worker.sdk_version,
        status=worker.status,
        start_time=worker.start_time if worker.HasField("start_time") else None,
        host_name=worker.host_info.host_name,
        worker_grouping_key=worker.host_info.worker_grouping_key,
        process_id=worker.host_info.process_id,
        plugins=worker.plugins,
        drivers=worker.drivers,
    )
