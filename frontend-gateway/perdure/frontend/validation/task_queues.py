"""What users set of task queues."""

from __future__ import annotations

from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.workflowservice.v1 import UpdateTaskQueueConfigRequest

from perdure.frontend.validation.rules import Scene, byte_length
from perdure.kernel.errors import InvalidArgument
from perdure.kernel.options import FAIRNESS_KEY_LENGTH_MAX, RESERVED_TASK_QUEUE_PREFIX, check_task_queue_name

_REASON_LENGTH_MAX = 1000


def check_update_config(request: UpdateTaskQueueConfigRequest, scene: Scene) -> None:
    if not request.task_queue:
        raise InvalidArgument("missing task queue name")
    if request.task_queue.startswith(RESERVED_TASK_QUEUE_PREFIX):
        raise InvalidArgument(
            f"task queue family name cannot have prefix {RESERVED_TASK_QUEUE_PREFIX} {request.task_queue}"
        )
    check_task_queue_name(request.task_queue, scene.limits, partition=False)
    if request.task_queue_type not in TaskQueueType.values() or not request.task_queue_type:
        raise InvalidArgument("TaskQueueType is not set on request.")
    _check_rate(request, "update_queue_rate_limit", "rate limit", "UpdateQueueRateLimit")
    _check_rate(
        request,
        "update_fairness_key_rate_limit_default",
        "fairness key rate limit",
        "UpdateFairnessKeyRateLimitDefault",
    )
    _check_length("Identity", request.identity, scene.limits.id_length_max)
    _check_weights(request, scene.limits.fairness_overrides_max)


def _check_rate(request: UpdateTaskQueueConfigRequest, field: str, called: str, label: str) -> None:
    update: UpdateTaskQueueConfigRequest.RateLimitUpdate = getattr(request, field)
    if not update.HasField("rate_limit"):
        # As in the real server, nobody looks at why a limit was lifted. It is stored, so it has a limit here.
        _check_length(f"{label}.Reason", update.reason, _REASON_LENGTH_MAX)
        return
    if request.task_queue_type == TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW:
        raise InvalidArgument(f"Setting {called} on workflow task queues is not allowed.")
    # Not a number is neither more nor less than anything.
    if not update.rate_limit.requests_per_second >= 0:
        raise InvalidArgument(f"RequestsPerSecond for {label} rate limit must be non-negative.")
    _check_length(f"{label}.Reason", update.reason, _REASON_LENGTH_MAX)


def _check_length(field: str, text: str, length_max: int) -> None:
    if byte_length(text) > length_max:
        raise InvalidArgument(f"{field} field too long (max {length_max} characters).")


def _check_weights(request: UpdateTaskQueueConfigRequest, overrides_max: int) -> None:
    weights, unset = request.set_fairness_weight_overrides, request.unset_fairness_weight_overrides
    if (total := len(weights) + len(unset)) > overrides_max:
        raise InvalidArgument(f"too many fairness weight overrides in request: got {total}, maximum {overrides_max}")
    for key in (*weights, *unset):
        if not key:
            raise InvalidArgument("fairness weight override key must not be empty")
        if byte_length(key) > FAIRNESS_KEY_LENGTH_MAX:
            raise InvalidArgument("fairness key length exceeds limit")
    for key, weight in weights.items():
        if not weight > 0:
            raise InvalidArgument(f'invalid fairness weight weight for key "{key}": must be greater than zero')
    for key in unset:
        if key in weights:
            raise InvalidArgument(f'fairness weight override key "{key}" present in both set and unset lists')
