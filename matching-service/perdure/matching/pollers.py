"""Who has polled a queue lately."""

from __future__ import annotations

from temporalio.api.taskqueue.v1 import PollerInfo
from temporalio.api.workflowservice.v1 import (
    PollActivityTaskQueueRequest,
    PollNexusTaskQueueRequest,
    PollWorkflowTaskQueueRequest,
)

from perdure.kernel.clock import SECOND_NS

PollRequest = PollWorkflowTaskQueueRequest | PollActivityTaskQueueRequest | PollNexusTaskQueueRequest

#: How long a worker is remembered after its last poll.
RETENTION_NS = 300 * SECOND_NS
#: Workers remembered per queue; beyond it the one that was silent for longest is forgotten.
POLLERS_REMEMBERED_MAX = 1_000
#: What a worker that sets no limit of its own is reported with.
_UNLIMITED_RATE = 100_000.0


class PollerHistory:
    """The workers that polled one queue, by their identity, with the last request of each."""

    def __init__(self) -> None:
        #: In the order of last access, which is when each last began or ended a poll.
        self._pollers: dict[str, tuple[int, PollRequest]] = {}

    def __len__(self) -> int:
        return len(self._pollers)

    def touch(self, request: PollRequest, now_ns: int) -> None:
        """A poll of this worker begins or ends."""
        identity = request.identity
        if not identity:
            return
        self._pollers.pop(identity, None)
        self._pollers[identity] = (now_ns, request)
        if len(self._pollers) > POLLERS_REMEMBERED_MAX:
            del self._pollers[next(iter(self._pollers))]

    def forget(self, identity: str) -> None:
        self._pollers.pop(identity, None)

    def expire(self, now_ns: int) -> None:
        """Forget those whose last access is too long ago."""
        expired = [identity for identity, (at_ns, _) in self._pollers.items() if at_ns <= now_ns - RETENTION_NS]
        for identity in expired:
            del self._pollers[identity]

    def describe(self, now_ns: int) -> list[PollerInfo]:
        """The workers as DescribeTaskQueue shows them, the latest first."""
        self.expire(now_ns)
        return [_info(at_ns, request) for at_ns, request in reversed(self._pollers.values())]


def _info(last_access_ns: int, request: PollRequest) -> PollerInfo:
    info = PollerInfo(identity=request.identity, rate_per_second=_UNLIMITED_RATE)
    info.last_access_time.FromNanoseconds(last_access_ns)
    if isinstance(request, PollActivityTaskQueueRequest) and request.task_queue_metadata.HasField(
        "max_tasks_per_second"
    ):
        info.rate_per_second = request.task_queue_metadata.max_tasks_per_second.value
    if request.HasField("worker_version_capabilities"):
        info.worker_version_capabilities.CopyFrom(request.worker_version_capabilities)
    if request.HasField("deployment_options"):
        info.deployment_options.CopyFrom(request.deployment_options)
    return info
