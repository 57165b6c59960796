"""Time skipping of single executions: its configuration, and waiting for a fast-forward."""

from __future__ import annotations

from temporalio.api.common.v1 import TimeSkippingConfig
from temporalio.api.workflowservice.v1 import PollWorkflowExecutionTimeSkippingRequest

from perdure.frontend.validation.rules import Scene, check_execution
from perdure.kernel.errors import InvalidArgument
from perdure.kernel.options import duration_fault
from perdure.kernel.prototime import length_ns

_NO_ID = "Time skipping config invalid: fast_forward_id must be set"


def check_config(config: TimeSkippingConfig, scene: Scene) -> None:
    """Also says how many skips there may be, if the client does not."""
    if config.max_session_skip_count <= 0:
        config.max_session_skip_count = max(scene.limits.time_skips_default, 1)
    if not config.HasField("fast_forward_config"):
        return
    if duration_fault(config.fast_forward_config.duration) or length_ns(config.fast_forward_config.duration) <= 0:
        raise InvalidArgument("Time skipping config invalid: fast_forward duration must be positive")
    if not config.fast_forward_config.id.strip():
        raise InvalidArgument(_NO_ID)
    if not config.enabled:
        raise InvalidArgument("time_skipping_config: cannot set fast_forward when enabled is false")


def check_poll(request: PollWorkflowExecutionTimeSkippingRequest, scene: Scene) -> None:
    check_execution(request, "workflow_execution")
    if not request.fast_forward_id.strip():
        raise InvalidArgument(_NO_ID)
