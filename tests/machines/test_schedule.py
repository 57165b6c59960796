"""What a schedule does when its times come, and when it is told to."""

from __future__ import annotations

import pytest
from google.protobuf.duration_pb2 import Duration
from temporalio.api.enums.v1 import ScheduleOverlapPolicy, WorkflowExecutionStatus
from temporalio.api.failure.v1 import Failure
from temporalio.api.schedule.v1 import (
    BackfillRequest,
    IntervalSpec,
    ScheduleAction,
    SchedulePatch,
    ScheduleSpec,
    ScheduleState,
    TriggerImmediatelyRequest,
)

from perdure.history.effects import StartAction, StopAction
from perdure.history.kinds.schedule import ScheduleAgenda
from perdure.history.machines import schedule
from perdure.history.schedules import views
from perdure.history.schedules.spec import Occurrence, Times
from perdure.history.state import schedule as states
from perdure.history.state.schedule import Stop
from perdure.kernel.clock import SECOND_NS
from perdure.kernel.errors import FailedPrecondition
from tests.support.schedule_playbook import (
    ALLOW_ALL,
    BUFFER_ALL,
    BUFFER_ONE,
    CANCEL_OTHER,
    CANCELED,
    COMPLETED,
    DAWN,
    FAILED,
    HOUR,
    MINUTE,
    SKIP,
    TERMINATE_OTHER,
    TIMED_OUT,
    Playbook,
    seconds,
)


def test_it_fires_when_its_time_comes() -> None:
    book = Playbook()
    assert book.at(59) == []
    assert book.at(60) == ["00:01:00"]
    book.start()
    assert book.close() == []
    assert book.at(130) == ["00:02:00"]
    assert book.state.action_count == 1
    book.check_journal()


def test_skip() -> None:
    book = Playbook(SKIP)
    book.at(60)
    book.start()
    assert book.at(180) == []
    assert book.close() == []
    assert book.state.overlap_skipped_count == 2
    assert book.at(240) == ["00:04:00"]


def test_what_is_being_started_counts_as_running() -> None:
    book = Playbook(SKIP)
    assert book.at(60) == ["00:01:00"]
    assert book.at(120) == []
    assert book.state.overlap_skipped_count == 1


def test_buffer_one() -> None:
    book = Playbook(BUFFER_ONE)
    book.at(60)
    book.start()
    assert book.at(240) == []
    assert len(book.state.buffer) == 1
    assert book.state.overlap_skipped_count == 2
    assert book.close() == ["00:02:00"]
    book.check_journal()


def test_buffer_all() -> None:
    book = Playbook(BUFFER_ALL)
    book.at(60)
    book.start()
    assert book.at(240) == []
    for expected in ("00:02:00", "00:03:00", "00:04:00"):
        assert book.close() == [expected]
        book.start()
    assert book.close() == []
    assert book.state.overlap_skipped_count == 0
    book.check_journal()


@pytest.mark.parametrize(("policy", "stop"), [(CANCEL_OTHER, Stop.CANCEL), (TERMINATE_OTHER, Stop.TERMINATE)])
def test_the_running_one_makes_room(policy: ScheduleOverlapPolicy.ValueType, stop: Stop) -> None:
    book = Playbook(policy)
    book.at(60)
    book.start()
    assert book.at(180) == []
    assert book.stops() == [stop], "asked once"
    # Of those that waited meanwhile the last one is made.
    assert book.close(CANCELED) == ["00:03:00"]
    assert book.state.overlap_skipped_count == 0
    book.check_journal()


def test_one_that_is_being_started_is_stopped_when_it_runs() -> None:
    book = Playbook(TERMINATE_OTHER)
    book.at(120)
    assert book.stops() == []
    book.start()
    assert book.stops() == [Stop.TERMINATE]


def test_terminate_goes_beyond_cancel() -> None:
    book = Playbook(CANCEL_OTHER)
    book.at(60)
    book.start()
    book.at(120)
    assert book.stops() == [Stop.CANCEL]
    assert book.patch(trigger_immediately=TriggerImmediatelyRequest(overlap_policy=TERMINATE_OTHER)) == []
    assert book.stops() == [Stop.TERMINATE]


def test_allow_all() -> None:
    book = Playbook(ALLOW_ALL)
    book.at(60)
    book.start()
    assert book.at(120) == ["00:02:00"]
    book.start()
    info = views.info(book.state, book.now)
    assert not info.running_workflows, "those that may overlap are not in anybody's way"
    assert len(info.recent_actions) == 2
    book.close(COMPLETED, "ignored")
    assert book.state.last_result is None
    assert [action.status for action in book.state.recent] == [COMPLETED, states.RUNNING]
    book.check_journal()


def test_one_that_may_overlap_is_forgotten_in_the_end() -> None:
    book = Playbook(ALLOW_ALL, pause_on_failure=True)
    book.at(11 * MINUTE)
    book.start()
    book.do(lambda tx: schedule.action_closed(tx, 1, "w", "run-1", FAILED, None, None))
    assert not book.state.definition.state.paused
    book.do(lambda tx: schedule.action_closed(tx, 2, "w", "run-2", FAILED, None, None))
    assert book.state.definition.state.paused


def test_an_outcome_that_overtakes_the_news_of_the_start() -> None:
    book = Playbook()
    book.at(60)
    [action_id] = book.state.starting
    book.do(lambda tx: schedule.action_closed(tx, action_id, "w", "run-1", COMPLETED, None, None))
    assert not book.state.starting
    assert book.state.action_count == 1
    book.do(lambda tx: schedule.action_started(tx, action_id, "run-1"))
    book.do(lambda tx: schedule.action_closed(tx, action_id, "w", "run-1", COMPLETED, None, None))
    assert book.state.action_count == 1
    assert [action.status for action in book.state.recent] == [COMPLETED]
    book.check_journal()


def test_a_start_that_is_refused() -> None:
    book = Playbook(BUFFER_ALL)
    book.at(120)
    [action_id] = book.state.starting
    book.do(lambda tx: schedule.action_refused(tx, action_id))
    assert book.state.action_count == 0
    assert [action.workflow_id[-9:-1] for action in book.state.starting.values()] == ["00:02:00"]


def test_results_are_carried_over() -> None:
    book = Playbook()
    book.at(60)
    book.start()
    book.close(COMPLETED, "one")
    assert book.state.last_result is not None
    book.at(120)
    book.start()
    book.close(FAILED, failure=Failure(message="oops"))
    assert book.state.last_result.payloads[0].data == b"one"
    assert book.state.last_failure is not None
    book.at(180)
    book.start()
    book.close(COMPLETED, "two")
    assert book.state.last_result.payloads[0].data == b"two"
    assert book.state.last_failure is None


@pytest.mark.parametrize(
    ("status", "failure", "notes"),
    [
        (FAILED, Failure(message="oops"), "paused due to workflow failure: w-2026-11-22T00:01:00Z: oops"),
        (TIMED_OUT, None, "paused due to workflow timeout: w-2026-11-22T00:01:00Z"),
        (CANCELED, None, ""),
    ],
)
def test_pause_on_failure(status: WorkflowExecutionStatus.ValueType, failure: Failure | None, notes: str) -> None:
    book = Playbook(pause_on_failure=True)
    book.at(60)
    book.start()
    book.close(status, failure=failure)
    assert book.state.definition.state.notes == notes
    assert book.state.definition.state.paused == bool(notes)
    assert book.state.conflict_token == (2 if notes else 1)


def test_paused_time_is_not_made_up_for() -> None:
    book = Playbook(BUFFER_ALL)
    book.now = 30
    book.patch(pause="why")
    assert ScheduleAgenda(book.state).next_deadline(0, 0) == 0
    assert book.at(300) == []
    assert book.patch(unpause="why not") == []
    assert book.state.definition.state.notes == "why not"
    assert book.at(360) == ["00:06:00"]
    assert book.state.missed_count == 0
    book.check_journal()


def test_what_was_due_before_a_pause_happens() -> None:
    book = Playbook()
    book.now = 90
    assert book.patch(pause="too late for the first") == ["00:01:00"]


def test_a_paused_schedule_can_be_triggered() -> None:
    book = Playbook(state=ScheduleState(paused=True))
    book.now = 90
    assert book.patch(trigger_immediately=TriggerImmediatelyRequest()) == ["00:01:30"]


def test_buffered_starts_are_dropped_by_a_pause() -> None:
    book = Playbook(BUFFER_ALL)
    book.at(60)
    book.start()
    book.at(180)
    book.patch(pause="enough")
    assert len(book.state.buffer) == 2
    assert book.close() == []
    assert not book.state.buffer
    assert book.state.overlap_skipped_count == 0


def test_remaining_actions() -> None:
    book = Playbook(ALLOW_ALL, state=ScheduleState(limited_actions=True, remaining_actions=2))
    assert book.at(60) == ["00:01:00"]
    assert book.state.conflict_token == 2
    assert len(views.info(book.state, book.now).future_action_times) == 1
    assert book.at(600) == ["00:02:00"]
    assert book.state.definition.state.remaining_actions == 0
    assert book.patch(trigger_immediately=TriggerImmediatelyRequest()) == ["00:10:00"], "by hand is always possible"
    book.check_journal()


def test_the_catchup_window() -> None:
    book = Playbook(BUFFER_ALL, catchup_window=Duration(seconds=150))
    assert book.wake_late(600) == ["00:08:00"]
    assert len(book.state.buffer) == 2
    assert book.state.missed_count == 7
    assert book.wake_late(601) == []
    assert book.state.missed_count == 7, "each is missed once"
    book.check_journal()


def test_what_has_waited_longer_than_the_catchup_window_is_missed() -> None:
    book = Playbook(BUFFER_ALL, catchup_window=Duration(seconds=150))
    book.at(60)
    book.start()
    assert book.at(90) == []
    book.patch(trigger_immediately=TriggerImmediatelyRequest(overlap_policy=BUFFER_ALL))
    book.at(300)
    book.start()
    assert book.close() == ["00:01:30"], "what was asked for by hand is never too late"
    book.start()
    assert book.close() == ["00:03:00"]
    assert book.state.missed_count == 1
    assert book.state.overlap_skipped_count == 0
    book.check_journal()


def test_the_shortest_catchup_window() -> None:
    book = Playbook(catchup_window=Duration(seconds=1))
    assert book.wake_late(69) == ["00:01:00"]


def test_the_buffer_is_bounded() -> None:
    book = Playbook(BUFFER_ALL, every=1)
    book.at(1)
    book.start()
    book.now = 5 * HOUR
    book.do(ScheduleAgenda(book.state).expire)
    book.at(5 * HOUR)
    assert len(book.state.buffer) == schedule.BUFFER_MAX
    assert book.state.buffer_dropped_count == 5 * HOUR - 1 - schedule.BUFFER_MAX
    assert book.patch(trigger_immediately=TriggerImmediatelyRequest()) == []
    assert book.state.buffer_dropped_count == 5 * HOUR - schedule.BUFFER_MAX
    book.check_journal()


def test_after_a_long_pause_not_everything_starts_at_once() -> None:
    book = Playbook(ALLOW_ALL, every=1)
    wanted = book.wake_late(HOUR)
    assert len(wanted) == schedule.STARTING_MAX
    wanted += book.at(HOUR)
    assert len(wanted) == len(book.state.starting) == schedule.STARTING_MAX
    assert len(book.state.buffer) + len(book.state.starting) == schedule.BUFFER_MAX
    assert book.state.buffer_dropped_count == HOUR - schedule.BUFFER_MAX
    book.do(lambda tx: schedule.action_started(tx, 1, "run-1"))
    book.do(lambda tx: schedule.action_refused(tx, 2))
    assert len(book.wanted()) == 2, "one for each that is done"
    book.start()
    assert book.state.action_count == schedule.BUFFER_MAX - 1
    assert not book.state.buffer
    book.check_journal()


def test_backfill() -> None:
    book = Playbook(SKIP, state=ScheduleState(paused=True))
    book.now = 10 * HOUR
    wanted = book.patch(
        backfill_request=[BackfillRequest(start_time=seconds(60), end_time=seconds(150), overlap_policy=ALLOW_ALL)]
    )
    assert wanted == ["00:01:00", "00:02:00"], "both ends belong to it"
    assert not book.state.backfills
    book.check_journal()


def test_long_backfills_go_step_by_step() -> None:
    book = Playbook(state=ScheduleState(paused=True))
    book.now = 10 * HOUR
    ranges = [
        BackfillRequest(start_time=seconds(0), end_time=seconds(15 * MINUTE), overlap_policy=ALLOW_ALL),
        BackfillRequest(start_time=seconds(HOUR), end_time=seconds(HOUR + MINUTE), overlap_policy=ALLOW_ALL),
    ]
    wanted = book.patch(backfill_request=ranges)
    assert len(wanted) == schedule.BACKFILL_STARTS_PER_STEP
    book.start()
    wanted += book.at(10 * HOUR + 1)
    assert wanted == [f"00:{minute:02}:00" for minute in range(16)] + ["01:00:00", "01:01:00"]
    book.check_journal()


def test_a_backfill_waits_for_room_in_the_buffer() -> None:
    book = Playbook(every=1, state=ScheduleState(paused=True))
    book.now = 10 * HOUR
    book.patch(
        backfill_request=[BackfillRequest(start_time=seconds(1), end_time=seconds(2000), overlap_policy=BUFFER_ALL)]
    )
    book.at(11 * HOUR)
    assert 0 <= len(book.state.buffer) - schedule.BUFFER_MAX // 2 < schedule.BACKFILL_STARTS_PER_STEP
    assert ScheduleAgenda(book.state).next_deadline(0, 0) == 0
    while len(book.state.buffer) >= schedule.BUFFER_MAX // 2:
        assert ScheduleAgenda(book.state).next_deadline(0, 0) == 0
        book.start()
        book.close()
    assert ScheduleAgenda(book.state).next_deadline(0, 0) != 0
    assert book.state.buffer_dropped_count == 0


def test_repeated_requests() -> None:
    book = Playbook(ALLOW_ALL)
    book.now = 30
    assert book.patch("one", trigger_immediately=TriggerImmediatelyRequest()) == ["00:00:30"]
    assert book.patch("one", trigger_immediately=TriggerImmediatelyRequest()) == []
    book.do(lambda tx: schedule.update(tx, Playbook.definition(), None, None, b"", "two"))
    token = book.state.conflict_token
    book.do(lambda tx: schedule.update(tx, Playbook.definition(), None, None, b"", "two"))
    assert book.state.conflict_token == token


def test_the_first_patch() -> None:
    book = Playbook(patch=SchedulePatch(trigger_immediately=TriggerImmediatelyRequest(), pause="at once"))
    assert book.wanted() == ["00:00:00"]
    assert book.state.definition.state.paused


def test_an_update_takes_effect_at_once() -> None:
    book = Playbook()
    book.now = 90
    seen = schedule.conflict_token(book.state)
    book.do(lambda tx: schedule.update(tx, Playbook.definition(every=25), None, None, seen, ""))
    assert book.wanted() == ["00:01:00"]
    assert book.at(99) == []
    book.start()
    book.close()
    assert book.at(100) == ["00:01:40"], "times before the update are not made up for"
    book.check_journal()


def test_an_update_by_who_has_not_seen_the_newest_definition() -> None:
    book = Playbook()
    current, other = schedule.conflict_token(book.state), (7).to_bytes(8, "big")
    for seen in (other, b"short", current + b"x", current[::-1], bytes(8)):
        with pytest.raises(FailedPrecondition, match="mismatched conflict token"):
            book.do(lambda tx, seen=seen: schedule.update(tx, Playbook.definition(), None, None, seen, ""))  # type: ignore[misc]
    book.do(lambda tx: schedule.update(tx, Playbook.definition(), None, None, current, ""))
    book.do(lambda tx: schedule.update(tx, Playbook.definition(), None, None, b"", ""))
    assert book.state.conflict_token == 3


def test_a_slow_schedule_becomes_a_fast_one(monkeypatch: pytest.MonkeyPatch) -> None:
    book = Playbook(every=30 * 24 * HOUR)
    book.now = 20 * 24 * HOUR
    book.do(lambda tx: schedule.update(tx, Playbook.definition(every=1), None, None, b"", ""))
    searches = 0
    search = Times.next_after

    def counted(times: Times, after_ns: int, seed: str) -> Occurrence | None:
        nonlocal searches
        searches += 1
        return search(times, after_ns, seed)

    monkeypatch.setattr(Times, "next_after", counted)
    [first, *_] = views.info(book.state, (DAWN + book.now) * SECOND_NS).future_action_times
    assert first == seconds(book.now + 1)
    assert len(book.at(book.now + 1)) == 1
    assert searches < 50, "times before the update are not gone through"
    book.check_journal()


def test_jitter_is_not_lost_to_an_earlier_wake() -> None:
    hourly = IntervalSpec(interval=Duration(seconds=HOUR))
    book = Playbook(ALLOW_ALL, spec=ScheduleSpec(interval=[hourly], jitter=Duration(seconds=1800)))
    due = ScheduleAgenda(book.state).next_deadline(0, 0) // SECOND_NS - DAWN
    assert HOUR < due < HOUR + 1800
    book.now = HOUR + (due - HOUR) // 2
    assert book.patch(unpause="between the nominal time and the real one") == []
    assert book.at(due + 1) == ["01:00:00"]


def test_a_schedule_with_nothing_left_to_do_ends() -> None:
    book = Playbook(state=ScheduleState(limited_actions=True, remaining_actions=1))
    book.at(60)
    book.start()
    assert ScheduleAgenda(book.state).next_deadline(0, 0) == 0, "a workflow of it still runs"
    book.close()
    book.at(60 + 7 * 24 * HOUR - 1)
    assert book.state.running
    book.at(60 + 7 * 24 * HOUR)
    assert book.state.status == COMPLETED
    assert book.state.closed_at
    book.check_journal()


def test_a_zone_that_is_not_known_any_more() -> None:
    book = Playbook()
    book.state.definition.spec.timezone_name = "Europe/Nowhere"
    assert book.wake_late(120) == []
    assert not views.info(book.state, (DAWN + 120) * SECOND_NS).future_action_times
    book.do(lambda tx: schedule.update(tx, Playbook.definition(), None, None, b"", ""))
    assert book.at(180) == ["00:03:00"]


def test_what_is_owed_after_a_crash() -> None:
    book = Playbook(TERMINATE_OTHER)
    book.at(60)
    agenda = ScheduleAgenda(book.state)
    [action_id] = book.state.starting
    assert agenda.owes
    assert agenda.outstanding(0) == [StartAction(action_id)]
    book.start()
    assert not agenda.owes
    book.at(120)
    assert agenda.outstanding(0) == [StopAction(action_id)]
    book.do(lambda tx: schedule.stop_sent(tx, action_id))
    assert not agenda.owes


def test_a_schedule_without_an_action() -> None:
    book = Playbook(action=ScheduleAction())
    assert book.patch(trigger_immediately=TriggerImmediatelyRequest()) == []
    assert not book.state.buffer
    book.check_journal()
