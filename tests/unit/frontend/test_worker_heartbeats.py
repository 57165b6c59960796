"""What is checked of what workers say of themselves, since it stays in memory."""

from __future__ import annotations

import pytest
from temporalio.api.worker.v1 import WorkerHeartbeat
from temporalio.api.workflowservice.v1 import RecordWorkerHeartbeatRequest, ShutdownWorkerRequest

from perdure.frontend.validation import CHECKS
from perdure.frontend.validation.rules import Scene
from perdure.kernel.errors import InvalidArgument
from perdure.kernel.limits import Limits
from perdure.kernel.runtime import Runtime
from tests.support.gateway import DEFAULT_NAMESPACE

SCENE = Scene(DEFAULT_NAMESPACE, Limits(), Runtime())


def of_size(size: int) -> WorkerHeartbeat:
    # A field this long has a head of three bytes.
    return WorkerHeartbeat(sdk_name="x" * (size - 3))


def test_the_size_of_a_heartbeat() -> None:
    size_max = SCENE.limits.worker_heartbeat_size_max
    fits, too_big = of_size(size_max), of_size(size_max + 1)
    record, shut_down = CHECKS["RecordWorkerHeartbeat"], CHECKS["ShutdownWorker"]
    record(RecordWorkerHeartbeatRequest(worker_heartbeat=[fits] * 100), SCENE)
    shut_down(ShutdownWorkerRequest(worker_heartbeat=fits), SCENE)
    with pytest.raises(InvalidArgument, match=r"WorkerHeartbeat exceeds size limit \(16385/16384\)"):
        record(RecordWorkerHeartbeatRequest(worker_heartbeat=[fits, too_big]), SCENE)
    with pytest.raises(InvalidArgument, match="WorkerHeartbeat exceeds size limit"):
        shut_down(ShutdownWorkerRequest(worker_heartbeat=too_big), SCENE)
    smaller = SCENE.limits.override({"limit.workerHeartbeatSize": size_max - 1})
    with pytest.raises(InvalidArgument, match=r"WorkerHeartbeat exceeds size limit \(16384/16383\)"):
        record(RecordWorkerHeartbeatRequest(worker_heartbeat=[fits]), SCENE._replace(limits=smaller))
