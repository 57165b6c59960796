"""Schedules: their definition, what they start, and what their lists show."""

from collections.abc import Callable
from datetime import timedelta

from temporalio.api.workflowservice.v1 import DescribeScheduleResponse

from tests.differential import commands as c
from tests.differential.compare import scenario
from tests.differential.schedules import (
    NOON,
    action,
    actions,
    create,
    describe,
    describe_when,
    ended,
    matching,
    patch,
    trigger,
    update,
)
from tests.differential.script import Script, payload, payloads

_HOURLY = {"interval": [{"interval": timedelta(hours=1)}]}


@scenario
def test_definition(s: Script) -> None:
    create(
        s,
        spec={
            "cron_string": ["CRON_TZ=Europe/Berlin 0 9-17/2 * * mon-fri # office"],
            "calendar": [{"hour": "3", "day_of_week": "sun,3-7/2", "comment": "c"}],
            "structured_calendar": [{"second": [{"start": 5}], "month": [{"start": 1, "end": 12, "step": 3}]}],
            "interval": [{"interval": timedelta(minutes=5), "phase": timedelta(seconds=7)}],
            "exclude_calendar": [{"day_of_month": "13", "hour": "*", "minute": "*", "second": "*"}],
            "start_time": {"seconds": NOON},
            "end_time": {"seconds": NOON * 2},
            "jitter": timedelta(seconds=3),
        },
        start={
            "input": payloads("in"),
            "workflow_execution_timeout": timedelta(hours=3),
            "workflow_run_timeout": timedelta(hours=2),
            "workflow_task_timeout": timedelta(seconds=5),
            "retry_policy": {"maximum_attempts": 3},
            "memo": {"fields": {"m": payload("1")}},
            "search_attributes": {"indexed_fields": {"CustomKeyword": payload("action")}},
            "header": {"fields": {"h": payload("x")}},
            "user_metadata": {"summary": payload("summary")},
            "priority": {"priority_key": 2, "fairness_key": "f", "fairness_weight": 2.0},
        },
        policies={
            "overlap_policy": "SCHEDULE_OVERLAP_POLICY_BUFFER_ALL",
            "catchup_window": timedelta(minutes=1),
            "pause_on_failure": True,
            "keep_original_workflow_id": True,
        },
        state={"notes": "notes", "paused": True, "limited_actions": True, "remaining_actions": 7},
        memo={"fields": {"of": payload("the schedule")}},
        search_attributes={"indexed_fields": {"CustomKeyword": payload("schedule")}},
    )
    describe(s)


@scenario
def test_defaults(s: Script) -> None:
    create(s)
    describe(s)
    create(s, "short", policies={"catchup_window": timedelta(seconds=1)})
    describe(s, "short")
    create(s, "empty", schedule=None)
    describe(s, "empty")


@scenario
def test_create_twice(s: Script) -> None:
    create(s, spec=_HOURLY)
    create(s, spec=_HOURLY)
    create(s, request_id="another", refused=True)
    s.call("DeleteSchedule", schedule_id=s.name("s"))
    create(s, request_id="another")


@scenario
def test_refused_definitions(s: Script) -> None:
    for start in (
        {"workflow_id": "x" * 990},
        {"workflow_type": None},
        {"workflow_type": {"name": "x" * 1001}},
        {"task_queue": None},
        {"task_queue": {"name": "/_sys/x"}},
        {"cron_schedule": "* * * * *"},
        {"workflow_id_reuse_policy": 3},
        {"workflow_run_timeout": timedelta(seconds=-1)},
        {"search_attributes": {"indexed_fields": {"Nope": payload("x")}}},
        {"search_attributes": {"indexed_fields": {"CustomInt": payload("x")}}},
    ):
        create(s, start=start, refused=True)
        update(s, start=start, refused=True)
    for spec in (
        {"cron_string": ["* * * *"]},
        {"cron_string": ["TZ=Nowhere * * * * *"]},
        {"cron_string": ["TZ=UTC 0 0 * * *", "0 0 * * *"]},
        {"calendar": [{"hour": "25", "month": "x"}]},
        {"structured_calendar": [{"hour": [{"start": 24}]}]},
        {"interval": [{}]},
        {"interval": [{"interval": timedelta(seconds=5), "phase": timedelta(seconds=5)}]},
        {"timezone_name": "Nowhere"},
    ):
        create(s, spec=spec, refused=True)
    create(s, request_id="", refused=True)
    create(s, request_id="x" * 1001, refused=True)
    s.call("CreateSchedule", schedule_id="x" * 1000, request_id="r", schedule={"action": action(s)}, refused=True)
    create(s, search_attributes={"indexed_fields": {"Nope": payload("x")}}, refused=True)
    s.call("UpdateSchedule", schedule_id=s.name("s"), refused=True)
    patch(s, refused=True)
    patch(s, pause="x" * 1001, refused=True)


@scenario
def test_unknown_schedules(s: Script) -> None:
    s.call("DescribeSchedule", schedule_id=s.name("s"), refused=True)
    update(s, refused=True)
    patch(s, pause="x", refused=True)
    s.call("DeleteSchedule", schedule_id=s.name("s"), refused=True)


@scenario
def test_a_schedule_that_was_deleted(s: Script) -> None:
    create(s)
    s.call("DeleteSchedule", schedule_id=s.name("s"))
    s.call("DescribeSchedule", schedule_id=s.name("s"), refused=True)


@scenario
def test_matching_times(s: Script) -> None:
    calendars = [
        {"cron_string": ["0 12 * * *"]},
        {"cron_string": ["TZ=America/New_York 30 1,2 * * *"]},
        {"cron_string": ["TZ=Europe/Berlin 30 1-3 * * *"]},
        {"cron_string": ["TZ=Australia/Lord_Howe */20 1-2 * * sun"]},
        {"cron_string": ["@every 7h/13m", "0 0 1 * *"]},
        {"calendar": [{"day_of_month": "29", "month": "2"}]},
        {"cron_string": ["*/30 * * * *"], "exclude_calendar": [{"hour": "0-22", "minute": "*", "second": "*"}]},
        {"interval": [{"interval": timedelta(days=1)}], "end_time": {"seconds": 1_775_000_000}},
        {"cron_string": ["* * * * * * *"]},
    ]
    for number, spec in enumerate(calendars):
        create(s, f"s{number}", spec=spec, state={"paused": True})
        # Around both clock changes of 2026.
        for start in (1_772_900_000, 1_774_700_000, 1_792_850_000, 1_793_450_000):
            matching(s, start, start + 3 * 86_400, f"s{number}")


@scenario
def test_what_is_started(s: Script) -> None:
    create(
        s,
        start={
            "input": payloads("in"),
            "workflow_run_timeout": timedelta(hours=2),
            "retry_policy": {"maximum_attempts": 1},
            "memo": {"fields": {"m": payload("1")}},
            "search_attributes": {"indexed_fields": {"CustomKeyword": payload("action")}},
            "header": {"fields": {"h": payload("x")}},
            "user_metadata": {"summary": payload("summary")},
            "priority": {"priority_key": 2},
        },
    )
    trigger(s, 0)
    describe_when(s, actions(1))
    task = s.poll()
    s.note(task.workflow_execution.workflow_id)
    s.complete(task, c.complete("one"))
    name = "w-2027-01-15T08:00:00Z"
    s.history(name)
    s.describe(name)
    describe_when(s, ended(0))


@scenario
def test_results_and_failures_are_carried_over(s: Script) -> None:
    create(s)
    endings = [
        c.complete("one"),
        c.fail("oops"),
        c.fail("again"),
        c.complete("two"),
        c.cancel(),
        c.complete("three"),
    ]
    for number, ending in enumerate(endings):
        trigger(s, number)
        s.complete(s.poll(), ending)
        describe_when(s, ended(*range(number + 1)))
        s.history(f"w-2027-01-15T08:00:0{number}Z")


@scenario
def test_pause_on_failure(s: Script) -> None:
    create(s, policies={"pause_on_failure": True})
    trigger(s, 0)
    s.step(c.fail("oops"))
    describe_when(s, lambda described: described.schedule.state.paused)
    patch(s, unpause="go on")
    describe_when(s, lambda described: not described.schedule.state.paused)


@scenario
def test_the_last_run_of_a_chain_counts(s: Script) -> None:
    create(s, policies={"pause_on_failure": True}, start={"retry_policy": {"maximum_attempts": 2}})
    trigger(s, 0)
    s.step(c.continue_as_new(task_queue={"name": s.name("main")}, retry_policy={"maximum_attempts": 2}))
    describe_when(s, actions(1))
    s.step(c.fail("once"))
    trigger(s, 1)
    describe_when(s, _skipped(1))
    s.step(c.complete())
    describe_when(s, ended(0))


def _overlap(s: Script, policy: str, first: Callable[[DescribeScheduleResponse], bool]) -> None:
    """Fire three times while a workflow runs. `first` says that the second one was dealt with."""
    create(s, policies={"overlap_policy": f"SCHEDULE_OVERLAP_POLICY_{policy}"})
    trigger(s, 0)
    describe_when(s, actions(1))
    trigger(s, 1)
    # The real server forgets a patch if another follows at once.
    describe_when(s, first)
    trigger(s, 2)


def _buffered(count: int) -> Callable[[DescribeScheduleResponse], bool]:
    return lambda described: described.info.buffer_size == count


def _skipped(count: int) -> Callable[[DescribeScheduleResponse], bool]:
    return lambda described: described.info.overlap_skipped == count


@scenario
def test_skip(s: Script) -> None:
    _overlap(s, "SKIP", _skipped(1))
    describe_when(s, _skipped(2))
    s.step(c.complete())
    trigger(s, 3)
    describe_when(s, actions(2))


@scenario
def test_buffer_one(s: Script) -> None:
    _overlap(s, "BUFFER_ONE", _buffered(1))
    describe_when(s, _skipped(1))
    s.step(c.complete())
    describe_when(s, actions(2))


@scenario
def test_buffer_all(s: Script) -> None:
    _overlap(s, "BUFFER_ALL", _buffered(1))
    describe_when(s, _buffered(2))
    s.step(c.complete())
    describe_when(s, actions(2))
    s.step(c.complete())
    describe_when(s, actions(3))


@scenario
def test_cancel_other(s: Script) -> None:
    _overlap(s, "CANCEL_OTHER", _buffered(1))
    describe_when(s, _buffered(2))
    s.await_event("w-2027-01-15T08:00:00Z", "WORKFLOW_EXECUTION_CANCEL_REQUESTED")
    s.step(c.cancel())
    describe_when(s, actions(2))
    s.history("w-2027-01-15T08:00:00Z")
    s.note(s.poll().workflow_execution.workflow_id)


@scenario
def test_terminate_other(s: Script) -> None:
    create(s, policies={"overlap_policy": "SCHEDULE_OVERLAP_POLICY_TERMINATE_OTHER"})
    trigger(s, 0)
    describe_when(s, actions(1))
    trigger(s, 1)
    describe_when(s, actions(2))
    s.history("w-2027-01-15T08:00:00Z")


@scenario
def test_allow_all(s: Script) -> None:
    _overlap(s, "ALLOW_ALL", actions(2))
    describe_when(s, actions(3))


@scenario
def test_the_trigger_has_the_last_word(s: Script) -> None:
    create(s)
    trigger(s, 0)
    describe_when(s, actions(1))
    trigger(s, 1, "ALLOW_ALL")
    describe_when(s, actions(2))
    trigger(s, 2, "BUFFER_ALL")
    describe_when(s, _buffered(1))


@scenario
def test_repeated_patches(s: Script) -> None:
    create(s, policies={"overlap_policy": "SCHEDULE_OVERLAP_POLICY_BUFFER_ALL"})
    for _ in range(3):
        trigger(s, 0, request_id="one")
    describe_when(s, actions(1))
    patch(s, pause="last", request_id="two")
    describe_when(s, lambda described: described.schedule.state.paused)


@scenario
def test_pause_and_unpause(s: Script) -> None:
    create(s, spec=_HOURLY, state={"notes": "first"})
    patch(s, pause="why")
    describe_when(s, lambda described: described.schedule.state.paused)
    trigger(s, 0)
    describe_when(s, actions(1))
    patch(s, unpause="why not")
    describe_when(s, lambda described: not described.schedule.state.paused)
    patch(s, pause="both", unpause="at once")
    describe_when(s, lambda described: described.schedule.state.notes == "at once")


@scenario
def test_initial_patch(s: Script) -> None:
    wanted = {"scheduled_time": {"seconds": NOON}}
    create(s, spec=_HOURLY, initial_patch={"trigger_immediately": wanted, "pause": "at once"})
    # It is paused from the start, and fires a little later.
    describe_when(s, actions(1))


@scenario
def test_backfill(s: Script) -> None:
    create(s, spec=_HOURLY, state={"paused": True})
    backfill = {
        "start_time": {"seconds": NOON},
        "end_time": {"seconds": NOON + 7200},
        "overlap_policy": "SCHEDULE_OVERLAP_POLICY_ALLOW_ALL",
    }
    patch(s, backfill_request=[backfill])
    describe_when(s, actions(3))
    backfill["overlap_policy"] = "SCHEDULE_OVERLAP_POLICY_BUFFER_ALL"
    backfill["start_time"] = {"seconds": NOON + 3600 * 10}
    backfill["end_time"] = {"seconds": NOON + 3600 * 12}
    patch(s, backfill_request=[backfill])
    # The first of them is started, and the others wait for it.
    describe_when(s, lambda described: actions(4)(described) and _buffered(2)(described))


@scenario
def test_it_fires_by_itself(s: Script) -> None:
    create(
        s,
        spec={"interval": [{"interval": timedelta(seconds=1)}]},
        policies={"overlap_policy": "SCHEDULE_OVERLAP_POLICY_ALLOW_ALL"},
        state={"limited_actions": True, "remaining_actions": 2},
    )
    describe_when(s, actions(2))
    s.note(s.poll().workflow_execution.workflow_id)


@scenario
def test_update(s: Script) -> None:
    create(s, spec=_HOURLY, memo={"fields": {"m": payload("1")}}, state={"notes": "first"})
    described = describe(s)
    update(
        s,
        spec={"cron_string": ["0 0 * * *"]},
        state={"paused": True, "notes": "second"},
        start={"workflow_type": {"name": "Other"}},
        conflict_token=described.conflict_token,
    )
    describe_when(s, lambda described: described.schedule.state.paused)
    update(s)
    describe_when(s, lambda described: not described.schedule.state.paused)


@scenario
def test_an_update_with_an_old_token(s: Script) -> None:
    create(s)
    update(s, state={"notes": "first"}, conflict_token=(1).to_bytes(8, "big"))
    describe_when(s, lambda described: described.schedule.state.notes == "first")
    update(s, state={"notes": "second"}, conflict_token=(1).to_bytes(8, "big"), refused=True)


@scenario
def test_update_of_search_attributes(s: Script) -> None:
    fields = {"CustomKeyword": payload("one"), "CustomText": payload("some words")}
    create(s, search_attributes={"indexed_fields": fields})
    describe(s)
    sent: list[object] = [
        None,
        {"indexed_fields": {"CustomKeyword": payload("two")}},
        {"indexed_fields": {}},
        {"indexed_fields": {"CustomText": payload("other words")}},
    ]
    for number, search_attributes in enumerate(sent):
        update(s, state={"notes": str(number)}, search_attributes=search_attributes)
        describe_when(s, lambda described, number=number: described.schedule.state.notes == str(number))


@scenario
def test_update_of_the_memo(s: Script) -> None:
    create(s, memo={"fields": {"m": payload("1")}})
    update(s, memo={"fields": {"m": payload("2")}}, refused=True)
    describe(s)


@scenario
def test_lists(s: Script) -> None:
    mine = {"indexed_fields": {"CustomKeyword": payload(s.name("mine"))}}
    create(s, "a", spec=_HOURLY, search_attributes=mine, memo={"fields": {"m": payload("1")}})
    create(s, "b", search_attributes=mine, state={"paused": True, "notes": "notes"})
    create(s, "c", spec=_HOURLY)
    attribute = f"CustomKeyword = '{s.name('mine')}'"

    def count(query: str) -> int:
        return int(s.call("CountSchedules", query=query, silent=True).count)

    s.await_until(lambda: count(f"{attribute} AND TemporalSchedulePaused = true") == 1)
    s.await_until(lambda: count(f"{attribute} AND TemporalSchedulePaused = false") == 1)
    s.await_until(lambda: count(f"ScheduleId = '{s.name('c')}'") == 1)
    for query in (
        f"{attribute} AND TemporalSchedulePaused = true",
        f"{attribute} AND TemporalSchedulePaused = false",
        f"ScheduleId = '{s.name('c')}'",
        f"ScheduleId STARTS_WITH '{s.name('')}' AND {attribute} AND NOT TemporalSchedulePaused = true",
        f"ScheduleId IN ('{s.name('a')}', 'nothing')",
        f"ScheduleId = '{s.name('nothing')}'",
    ):
        s.call("ListSchedules", query=query)
        s.call("CountSchedules", query=query)
    s.call("CountWorkflowExecutions", query=attribute)
    s.call("DeleteSchedule", schedule_id=s.name("a"))
    s.await_until(lambda: count(attribute) == 1)
    s.call("ListSchedules", query=attribute)


@scenario
def test_refused_lists(s: Script) -> None:
    for query in (
        "WorkflowId = 'x'",
        "ExecutionStatus = 'Running'",
        "StartTime > '2020-01-01T00:00:00Z'",
        "CloseTime IS NULL",
        "TemporalNamespaceDivision = 'x'",
        "TemporalScheduledById = 'x' OR TemporalSchedulePaused = true",
        "BuildIds = 'x'",
        "Nope = 1",
        "NOT (RunId = 'x')",
    ):
        s.call("ListSchedules", query=query, refused=True)
        s.call("CountSchedules", query=query, refused=True)


@scenario
def test_workflows_outlive_their_schedule(s: Script) -> None:
    create(s)
    trigger(s, 0)
    describe_when(s, actions(1))
    s.call("DeleteSchedule", schedule_id=s.name("s"))
    s.step(c.complete())
    s.history("w-2027-01-15T08:00:00Z")


@scenario
def test_matching_times_that_cannot_be(s: Script) -> None:
    create(s, spec=_HOURLY)
    backwards = {"start_time": {"seconds": NOON + 86_400}, "end_time": {"seconds": NOON}}
    s.call("ListScheduleMatchingTimes", schedule_id=s.name("s"), refused=True, **backwards)
    s.call("ListScheduleMatchingTimes", schedule_id=s.name("s"), refused=True)
    s.call("ListScheduleMatchingTimes", schedule_id=s.name("nowhere"), refused=True, **backwards)
    s.call("ListScheduleMatchingTimes", schedule_id="", refused=True, **backwards)
