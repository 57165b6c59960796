"""Requests about schedules. When a schedule is to fire is checked by history, which has to know what it means."""

from __future__ import annotations

from temporalio.api.enums.v1 import WorkflowIdReusePolicy as Reuse
from temporalio.api.schedule.v1 import Schedule, SchedulePatch
from temporalio.api.workflow.v1 import NewWorkflowExecutionInfo
from temporalio.api.workflowservice.v1 import (
    CreateScheduleRequest,
    DeleteScheduleRequest,
    DescribeScheduleRequest,
    ListScheduleMatchingTimesRequest,
    PatchScheduleRequest,
    UpdateScheduleRequest,
)

from perdure.frontend.validation.rules import (
    Scene,
    byte_length,
    check_blob,
    check_override,
    check_search_attributes,
    check_user_task_queue,
    check_workflow_id,
    too_long,
)
from perdure.frontend.validation.start import check_timeouts
from perdure.kernel.clock import SECOND_NS
from perdure.kernel.errors import InvalidArgument
from perdure.kernel.options import check_priority, check_retry_policy
from perdure.kernel.prototime import timestamp

NOTES_LENGTH_MAX = 1000
#: The reference server's schedules are workflows whose ids begin like this; ids that it has no room for are refused.
_ID_PREFIX = "temporal-sys-scheduler:"
#: What a schedule appends to the id of each workflow that it starts.
_TIME_SUFFIX = "-2009-11-10T23:00:00Z"
#: Nanoseconds since 1970 fit into 63 bits until then.
_INSTANT_S_MAX = 2**63 // SECOND_NS

AnyRequest = DescribeScheduleRequest | DeleteScheduleRequest | ListScheduleMatchingTimesRequest


def check_schedule_id(request: AnyRequest, scene: Scene) -> None:
    _check_schedule_id(request.schedule_id)


def check_create(request: CreateScheduleRequest, scene: Scene) -> None:
    check_workflow_id(_ID_PREFIX + request.schedule_id, scene.limits)
    _check_schedule_id(request.schedule_id)
    if not request.request_id:
        raise InvalidArgument("RequestId is not set on request.")
    _check_request_id(request.request_id, scene)
    _check_definition(request.schedule, scene)
    check_search_attributes(request.search_attributes, scene)
    check_blob(request.schedule.ByteSize() + request.initial_patch.ByteSize(), scene.limits)
    if request.memo.ByteSize() > scene.limits.memo_size_max:
        raise InvalidArgument("Memo size exceeds limit.")
    _check_patch(request.initial_patch)


def check_update(request: UpdateScheduleRequest, scene: Scene) -> None:
    _check_request_id(request.request_id, scene)
    _check_definition(request.schedule, scene)
    check_search_attributes(request.search_attributes, scene)
    if not request.schedule.action.HasField("start_workflow"):
        raise InvalidArgument("Only StartWorkflow action is supported for schedules")
    check_blob(request.schedule.ByteSize(), scene.limits)
    if request.memo.ByteSize() > scene.limits.memo_size_max:
        raise InvalidArgument("Memo size exceeds limit.")
    _check_schedule_id(request.schedule_id)


def check_patch(request: PatchScheduleRequest, scene: Scene) -> None:
    if not request.HasField("patch"):
        raise InvalidArgument("Patch is not set on request.")
    _check_request_id(request.request_id, scene)
    patch = request.patch
    _check_patch(patch)
    if patch.HasField("trigger_immediately") and not patch.trigger_immediately.HasField("scheduled_time"):
        patch.trigger_immediately.scheduled_time.CopyFrom(timestamp(scene.runtime.clock.now_ns()))
    check_blob(patch.ByteSize(), scene.limits)
    _check_schedule_id(request.schedule_id)


def _check_schedule_id(schedule_id: str) -> None:
    if not schedule_id:
        raise InvalidArgument("ScheduleId is not set on request.")


def _check_request_id(request_id: str, scene: Scene) -> None:
    if too_long(request_id, scene.limits):
        raise InvalidArgument("RequestId length exceeds limit.")


def _check_patch(patch: SchedulePatch) -> None:
    if any(byte_length(notes) > NOTES_LENGTH_MAX for notes in (patch.pause, patch.unpause)):
        raise InvalidArgument("Schedule notes exceeds limit.")
    if not 0 <= patch.trigger_immediately.scheduled_time.seconds < _INSTANT_S_MAX:
        raise InvalidArgument("ScheduledTime of TriggerImmediately is out of range.")


def _check_definition(schedule: Schedule, scene: Scene) -> None:
    if schedule.action.HasField("start_workflow"):
        _check_start(schedule.action.start_workflow, scene)


def _check_start(start: NewWorkflowExecutionInfo, scene: Scene) -> None:
    limits = scene.limits
    check_workflow_id(start.workflow_id + _TIME_SUFFIX, limits)
    if not start.workflow_type.name:
        raise InvalidArgument("WorkflowType is not set on request.")
    if too_long(start.workflow_type.name, limits):
        raise InvalidArgument("WorkflowType length exceeds limit.")
    check_user_task_queue(start, "task_queue", limits)
    check_timeouts(start)
    if start.cron_schedule:
        raise InvalidArgument("Scheduled workflow must not contain CronSchedule")
    if start.workflow_id_reuse_policy not in (
        Reuse.WORKFLOW_ID_REUSE_POLICY_UNSPECIFIED,
        Reuse.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE,
    ):
        raise InvalidArgument("Scheduled workflow must not contain WorkflowIDReusePolicy")
    if start.HasField("retry_policy"):
        policy = type(start.retry_policy)()
        policy.CopyFrom(start.retry_policy)
        check_retry_policy(policy)
    check_priority(start.priority)
    if start.HasField("versioning_override"):
        check_override(start.versioning_override)
    check_search_attributes(start.search_attributes, scene)
