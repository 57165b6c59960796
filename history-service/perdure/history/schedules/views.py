"""PURE: what clients see of a schedule: its description, its entry in lists, and what the entry is found by."""

from __future__ import annotations

from collections.abc import Mapping

from temporalio.api.common.v1 import Memo, Payload, SearchAttributes, WorkflowExecution
from temporalio.api.enums.v1 import WorkflowExecutionStatus
from temporalio.api.schedule.v1 import Schedule as ScheduleDefinition
from temporalio.api.schedule.v1 import ScheduleActionResult, ScheduleInfo, ScheduleListInfo

from perdure.history.machines import schedule
from perdure.history.schedules.spec import with_defaults
from perdure.history.state.schedule import Action, Schedule
from perdure.kernel.clock import SECOND_NS
from perdure.kernel.ids import ExecutionKind
from perdure.kernel.namespace import Namespace
from perdure.kernel.persistence.visibility import SCHEDULE_INFO, VisibilityRecord
from perdure.kernel.prototime import timestamp
from perdure.kernel.visibility import attributes

FUTURE_TIMES_DESCRIBED = 10
#: What a list shows of each.
FUTURE_TIMES_LISTED = RECENT_ACTIONS_LISTED = 5
SPEC_ENTRIES_LISTED = 10


def definition(state: Schedule, custom: Mapping[str, int]) -> ScheduleDefinition:
    """The schedule as it is described; `custom` holds the types of the namespace's search attributes."""
    shown = ScheduleDefinition()
    shown.CopyFrom(state.definition)
    shown.spec.CopyFrom(with_defaults(state.definition.spec))
    if shown.action.HasField("start_workflow"):
        attributes.set_types(shown.action.start_workflow.search_attributes, custom)
    return shown


def info(state: Schedule, now: int) -> ScheduleInfo:
    """What the schedule has done and is about to do."""
    return ScheduleInfo(
        action_count=state.action_count,
        missed_catchup_window=state.missed_count,
        overlap_skipped=state.overlap_skipped_count,
        buffer_dropped=state.buffer_dropped_count,
        buffer_size=len(state.buffer),
        running_workflows=[
            WorkflowExecution(workflow_id=action.workflow_id, run_id=action.run_id) for action in state.started.values()
        ],
        recent_actions=[_result(action) for action in state.recent],
        future_action_times=[timestamp(at) for at in schedule.future_times(state, now, FUTURE_TIMES_DESCRIBED)],
        create_time=timestamp(state.created_at),
        update_time=timestamp(state.updated_at) if state.updated_at else None,
    )


def visibility_record(state: Schedule, namespace: Namespace, now: int) -> VisibilityRecord:
    """What list and count see of the schedule now. The memo has its list entry among the user's fields."""
    upcoming = schedule.future_times(state, now, FUTURE_TIMES_LISTED)
    listed = _list_info(state, upcoming)
    memo = Memo()
    memo.CopyFrom(state.memo)
    memo.fields[SCHEDULE_INFO].CopyFrom(
        Payload(metadata={"encoding": b"binary/protobuf"}, data=listed.SerializeToString())
    )
    found_by = attributes.decode_stored(state.search_attributes, namespace.search_attributes)
    found_by["TemporalSchedulePaused"] = state.definition.state.paused
    if upcoming:
        found_by["ScheduleNextActionTime"] = upcoming[0]
    if idle_until := schedule.idle_until(state):
        found_by["ScheduleIdleCloseTime"] = idle_until
    found_by["ScheduleRunningWorkflowCount"] = len(state.started)
    found_by["ScheduleBufferedStartsCount"] = len(state.buffer)
    return VisibilityRecord(
        namespace_id=state.namespace_id,
        workflow_id=state.workflow_id,
        run_id=state.run_id,
        kind=ExecutionKind.SCHEDULE,
        workflow_type=listed.workflow_type.name,
        task_queue="",
        status=state.status,
        start_time_ns=state.created_at,
        execution_time_ns=state.created_at,
        close_time_ns=state.closed_at or None,
        memo=memo.SerializeToString(),
        indexed_fields=state.search_attributes.SerializeToString(),
        search_attributes=found_by,
    )


def _list_info(state: Schedule, upcoming: list[int]) -> ScheduleListInfo:
    spec = with_defaults(state.definition.spec)
    spec.ClearField("timezone_data")
    for entries in (spec.structured_calendar, spec.exclude_structured_calendar, spec.interval):
        del entries[SPEC_ENTRIES_LISTED:]
    start = state.definition.action.start_workflow
    return ScheduleListInfo(
        spec=spec,
        workflow_type=start.workflow_type if state.definition.action.HasField("start_workflow") else None,
        notes=state.definition.state.notes,
        paused=state.definition.state.paused,
        recent_actions=[_result(action) for action in state.recent[-RECENT_ACTIONS_LISTED:]],
        future_action_times=[timestamp(at) for at in upcoming],
    )


def _result(action: Action) -> ScheduleActionResult:
    return ScheduleActionResult(
        schedule_time=timestamp(action.scheduled_at),
        actual_time=timestamp(action.started_at),
        start_workflow_result=WorkflowExecution(workflow_id=action.workflow_id, run_id=action.run_id),
        start_workflow_status=WorkflowExecutionStatus.ValueType(action.status),
    )


def start_attributes(state: Schedule, action: Action) -> SearchAttributes:
    """The search attributes of a workflow that the schedule starts."""
    found_by = SearchAttributes()
    found_by.CopyFrom(state.definition.action.start_workflow.search_attributes)
    nominal = action.nominal_at // SECOND_NS * SECOND_NS
    for name, value, kind in (
        ("TemporalScheduledStartTime", nominal, attributes.DATETIME),
        ("TemporalScheduledById", state.workflow_id, attributes.KEYWORD),
    ):
        found_by.indexed_fields[name].CopyFrom(attributes.encode_value(value, kind))
    return found_by
