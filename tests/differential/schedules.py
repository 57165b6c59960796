"""The vocabulary of scenarios about schedules."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from temporalio.api.enums.v1 import WorkflowExecutionStatus
from temporalio.api.workflowservice.v1 import DescribeScheduleResponse

from tests.differential.script import Script

#: A moment for triggers and backfills, so that they do not depend on the time of the day.
NOON = 1_800_000_000


def action(s: Script, **start: Any) -> dict[str, Any]:
    """What a schedule does: start a scripted workflow."""
    return {
        "start_workflow": {
            "workflow_id": s.name("w"),
            "workflow_type": {"name": "Scripted"},
            "task_queue": {"name": s.name("main")},
            **start,
        }
    }


def create(s: Script, name: str = "s", *, refused: bool = False, start: Any = None, **fields: Any) -> Any:
    """Create a schedule; `fields` are those of the request, or else of the schedule itself."""
    request = {key: fields.pop(key) for key in _REQUEST_FIELDS if key in fields}
    request.setdefault("request_id", f"create-{name}")
    definition = {"action": action(s, **(start or {})), **fields}
    request.setdefault("schedule", definition)
    return s.call("CreateSchedule", schedule_id=s.name(name), refused=refused, **request)


_REQUEST_FIELDS = ("request_id", "schedule", "memo", "search_attributes", "initial_patch")


def update(s: Script, name: str = "s", *, refused: bool = False, start: Any = None, **fields: Any) -> Any:
    request = {key: fields.pop(key) for key in (*_REQUEST_FIELDS, "conflict_token") if key in fields}
    request.setdefault("schedule", {"action": action(s, **(start or {})), **fields})
    return s.call("UpdateSchedule", schedule_id=s.name(name), refused=refused, **request)


def patch(s: Script, name: str = "s", *, refused: bool = False, request_id: str = "", **fields: Any) -> Any:
    return s.call(
        "PatchSchedule", schedule_id=s.name(name), refused=refused, request_id=request_id, patch=fields or None
    )


def trigger(s: Script, second: int, policy: str = "UNSPECIFIED", name: str = "s", **fields: Any) -> Any:
    """Fire by hand, as if it was a certain second."""
    wanted = {"overlap_policy": f"SCHEDULE_OVERLAP_POLICY_{policy}", "scheduled_time": {"seconds": NOON + second}}
    return patch(s, name, trigger_immediately=wanted, **fields)


def describe(s: Script, name: str = "s", **fields: Any) -> DescribeScheduleResponse:
    response = s.call("DescribeSchedule", schedule_id=s.name(name), **fields)
    assert isinstance(response, DescribeScheduleResponse)
    return response


def describe_when(s: Script, condition: Callable[[DescribeScheduleResponse], bool], name: str = "s") -> None:
    """Describe when something holds of the schedule: the real server takes its time over what it was told."""
    s.await_until(lambda: condition(describe(s, name, silent=True)))
    describe(s, name)


def actions(count: int) -> Callable[[DescribeScheduleResponse], bool]:
    """So many workflows have been started."""
    return lambda described: described.info.action_count == count


def ended(*numbers: int) -> Callable[[DescribeScheduleResponse], bool]:
    """The recent actions with these numbers are known to have ended, and so the others are not."""
    running = WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_RUNNING

    def condition(described: DescribeScheduleResponse) -> bool:
        recent = described.info.recent_actions
        closed = {number for number, each in enumerate(recent) if each.start_workflow_status != running}
        return closed == set(numbers)

    return condition


def matching(s: Script, start: int, end: int, name: str = "s") -> None:
    """Note when the schedule fires between two seconds."""
    response = s.call(
        "ListScheduleMatchingTimes",
        schedule_id=s.name(name),
        start_time={"seconds": start},
        end_time={"seconds": end},
        silent=True,
    )
    s.part("ListScheduleMatchingTimes", " ".join(str(each.ToNanoseconds()) for each in response.start_time))
