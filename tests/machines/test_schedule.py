"""What a schedule does, as a playbook: time passes, workflows start and end, and the schedule says what it wants."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp
from temporalio.api.common.v1 import Memo, Payload, Payloads, SearchAttributes
from temporalio.api.enums.v1 import ScheduleOverlapPolicy, WorkflowExecutionStatus
from temporalio.api.failure.v1 import Failure
from temporalio.api.schedule.v1 import (
    BackfillRequest,
    IntervalSpec,
    Schedule,
    ScheduleAction,
    SchedulePatch,
    SchedulePolicies,
    ScheduleSpec,
    ScheduleState,
    TriggerImmediatelyRequest,
)
from temporalio.api.workflow.v1 import NewWorkflowExecutionInfo

from perdure.history.effects import Effect, StartAction, StopAction
from perdure.history.fold import replay
from perdure.history.kinds.schedule import ScheduleAgenda
from perdure.history.machines import schedule
from perdure.history.schedules import views
from perdure.history.schedules.spec import Occurrence, Times
from perdure.history.state import schedule as states
from perdure.history.state.changes import AnyChange
from perdure.history.state.codec import decode_changes, decode_state, encode_changes, encode_state
from perdure.history.state.schedule import Stop
from perdure.history.transition import BaseTransition
from perdure.kernel.clock import SECOND_NS
from perdure.kernel.entropy import Entropy
from perdure.kernel.errors import FailedPrecondition
from perdure.kernel.ids import RunId, WorkflowId
from perdure.kernel.limits import Limits
from tests.simulation.cluster import NAMESPACE

MINUTE = 60
HOUR = 3600
SKIP = ScheduleOverlapPolicy.SCHEDULE_OVERLAP_POLICY_SKIP
BUFFER_ONE = ScheduleOverlapPolicy.SCHEDULE_OVERLAP_POLICY_BUFFER_ONE
BUFFER_ALL = ScheduleOverlapPolicy.SCHEDULE_OVERLAP_POLICY_BUFFER_ALL
CANCEL_OTHER = ScheduleOverlapPolicy.SCHEDULE_OVERLAP_POLICY_CANCEL_OTHER
TERMINATE_OTHER = ScheduleOverlapPolicy.SCHEDULE_OVERLAP_POLICY_TERMINATE_OTHER
ALLOW_ALL = ScheduleOverlapPolicy.SCHEDULE_OVERLAP_POLICY_ALLOW_ALL

COMPLETED = WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_COMPLETED
FAILED = WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_FAILED
TIMED_OUT = WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_TIMED_OUT
CANCELED = WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_CANCELED

#: Midnight, so that a time of day is a number of seconds since then.
DAWN = int(datetime(2026, 11, 22, tzinfo=UTC).timestamp())


class Playbook:
    """A schedule that fires each minute, unless said otherwise, and the world around it in which nothing goes wrong.

    Instants are seconds since the schedule was made, at midnight.
    """

    def __init__(
        self,
        policy: ScheduleOverlapPolicy.ValueType = SKIP,
        *,
        patch: SchedulePatch | None = None,
        **definition: object,
    ) -> None:
        self.state = states.Schedule(NAMESPACE.id, WorkflowId("s"), RunId("5e55107e-0000-4000-8000-000000000001"))
        self.now = 0
        self.effects: list[Effect] = []
        self._wanted: list[str] = []
        self._journal: list[AnyChange] = []
        wanted = self.definition(policy, **definition)
        self.do(lambda tx: schedule.create(tx, wanted, Memo(), SearchAttributes(), "create", patch or SchedulePatch()))

    @staticmethod
    def definition(policy: ScheduleOverlapPolicy.ValueType = SKIP, every: int = MINUTE, **fields: object) -> Schedule:
        policies = {name: fields.pop(name) for name in ("catchup_window", "pause_on_failure") if name in fields}
        definition = Schedule(
            spec=ScheduleSpec(interval=[IntervalSpec(interval=Duration(seconds=every))] if every else []),
            action=ScheduleAction(start_workflow=NewWorkflowExecutionInfo(workflow_id="w")),
            policies=SchedulePolicies(overlap_policy=policy, **policies),  # type: ignore[arg-type]
        )
        for name, value in fields.items():
            getattr(definition, name).CopyFrom(value)
        return definition

    def do(self, decision: Callable[[schedule.ScheduleTransition], None]) -> None:
        """Decide, as the shard does."""
        now = (DAWN + self.now) * SECOND_NS
        tx: schedule.ScheduleTransition = BaseTransition(self.state, now, Entropy(1), Limits(), NAMESPACE)
        decision(tx)
        self._journal += tx.changes
        starts = [effect for effect in tx.effects if isinstance(effect, StartAction)]
        self._wanted += [self.state.starting[start.action_id].workflow_id[-9:-1] for start in starts]
        self.effects += [effect for effect in tx.effects if effect not in starts]

    def at(self, second: int) -> list[str]:
        """Let time pass, with an alarm whenever the schedule wants one; returns what it then wants started."""
        agenda = ScheduleAgenda(self.state)
        while self.state.running and (alarm := agenda.next_deadline(0, 0)) and alarm <= (DAWN + second) * SECOND_NS:
            before = self.state.processed_until, self.state.next_backfill_at, self.state.status
            self.now = max(self.now, -(-alarm // SECOND_NS) - DAWN)
            self.do(agenda.expire)
            assert before != (self.state.processed_until, self.state.next_backfill_at, self.state.status), "no progress"
        self.now = second
        return self.wanted()

    def wake_late(self, second: int) -> list[str]:
        """No alarm rang until now."""
        self.now = second
        self.do(ScheduleAgenda(self.state).expire)
        return self.wanted()

    def wanted(self) -> list[str]:
        """The workflows that were to be started since the last question."""
        wanted, self._wanted = self._wanted, []
        return wanted

    def stops(self) -> list[Stop]:
        """How running workflows were to be stopped since the last question."""
        ids = [effect.action_id for effect in self.effects if isinstance(effect, StopAction)]
        self.effects = [effect for effect in self.effects if not isinstance(effect, StopAction)]
        return [self.state.started[action_id].stop for action_id in ids]

    def start(self) -> None:
        """All starts that are wanted are made, and those that are wanted after them."""
        while self.state.starting:
            action_id = next(iter(self.state.starting))
            self.do(lambda tx, action_id=action_id: schedule.action_started(tx, action_id, f"run-{action_id}"))  # type: ignore[misc]

    def close(
        self,
        status: WorkflowExecutionStatus.ValueType = COMPLETED,
        result: str = "",
        failure: Failure | None = None,
    ) -> list[str]:
        """The oldest workflow that runs ends; returns what is wanted next."""
        action_id = next(each.action_id for each in self.state.recent if each.status == states.RUNNING)
        workflow_id = next(each.workflow_id for each in self.state.recent if each.action_id == action_id)
        payloads = Payloads(payloads=[Payload(data=result.encode())]) if result else None
        self.do(
            lambda tx: schedule.action_closed(tx, action_id, workflow_id, f"run-{action_id}", status, payloads, failure)
        )
        return self.wanted()

    def patch(self, request_id: str = "", **fields: object) -> list[str]:
        self.do(lambda tx: schedule.patch(tx, SchedulePatch(**fields), request_id))  # type: ignore[arg-type]
        return self.wanted()

    def check_journal(self) -> None:
        """The state is a fold over what was written."""
        again = states.Schedule(*self.state.key[:3])
        replay(again, [], decode_changes(encode_changes(self._journal)))
        again.state_transitions = self.state.state_transitions
        assert again == self.state
        assert decode_state(states.Schedule, encode_state(self.state)) == self.state


def seconds(at: int) -> Timestamp:
    return Timestamp(seconds=DAWN + at)


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
