"""The workflow task: normal, transient and speculative; sticky; its time-outs; what is buffered while it runs."""

from __future__ import annotations

import pytest
from temporalio.api.enums.v1 import WorkflowTaskFailedCause
from temporalio.api.history.v1 import HistoryEvent
from temporalio.api.update.v1 import Request

from perdure.history.effects import OfferWorkflowTask, ResolveUpdate
from perdure.history.machines import update, workflow, workflow_task
from perdure.history.state.changes import (
    HeartbeatContinued,
    StickySet,
    UpdateAdmitted,
    UpdateRemoved,
    UpdateSent,
    UpdatesUnsent,
    WorkflowTaskDropped,
    WorkflowTaskNormalized,
    WorkflowTaskScheduled,
    WorkflowTaskStarted,
)
from perdure.history.state.execution import WorkflowTaskType
from perdure.history.visibility import changes_visibility
from perdure.kernel.clock import SECOND_NS
from perdure.kernel.errors import NotFound
from perdure.kernel.limits import Limits
from perdure.kernel.rpc import TaskObsolete
from tests.differential import commands as c
from tests.differential import updates as u
from tests.support.playbook import Play, Run, buffered, change, effect, event, failure, start

TRANSIENT, SPECULATIVE = WorkflowTaskType.TRANSIENT, WorkflowTaskType.SPECULATIVE
PANIC = WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_WORKFLOW_WORKER_UNHANDLED_FAILURE
STICKY = {
    "sticky_attributes": {
        "worker_task_queue": {"name": "worker-1", "normal_name": "orders"},
        "schedule_to_start_timeout": {"seconds": 5},
    }
}


def fail(run: Run) -> Play:
    """The worker reports that the workflow's code failed."""

    def decision(tx: object) -> None:
        task = workflow_task.of_token(run.state, run.token())
        workflow_task.fail(tx, task, PANIC, failure("panic"), "worker")  # type: ignore[arg-type]
        workflow_task.schedule(tx)  # type: ignore[arg-type]

    return run.decide(decision)


def signal(run: Run, name: str = "go") -> Play:
    return run.decide(workflow.signal, name, None, "", None, "")


def admit(run: Run, update_id: str = "u") -> Play:
    return run.decide(update.admit, Request(meta={"update_id": update_id}, input={"name": "change"}))  # type: ignore[arg-type]


# Normal


def test_a_run_begins_with_a_task() -> None:
    run = start()
    run.beginning.expect(
        event("WorkflowExecutionStarted", id=1),
        event("WorkflowTaskScheduled", id=2, task_queue="orders", start_to_close_timeout=10, attempt=1),
        OfferWorkflowTask(),
    )
    run.take_task().expect(event("WorkflowTaskStarted", id=3, scheduled_event_id=2, identity="worker"))
    run.answer(binary_checksum="v1").expect(
        event("WorkflowTaskCompleted", id=4, scheduled_event_id=2, started_event_id=3, binary_checksum="v1")
    )
    assert run.wakes_after is None


def test_at_most_one_task_is_pending() -> None:
    run = start()
    signal(run).expect(event("WorkflowExecutionSignaled", id=3))
    assert run.task.scheduled_event_id == 2


def test_a_task_is_taken_once() -> None:
    run = start()
    run.take_task()
    with pytest.raises(TaskObsolete):
        run.take_task()


def test_a_hint_of_another_attempt_is_obsolete() -> None:
    run = start()
    for scheduled_event_id, stamp in ((1, 1), (2, 2)):
        with pytest.raises(TaskObsolete):
            run.decide(workflow_task.start, "worker", "poll", scheduled_event_id, stamp)


def test_an_answer_that_comes_too_late_is_refused() -> None:
    run = start()
    run.take_task()
    token = run.token()
    run.wake()
    with pytest.raises(NotFound, match=r"Workflow task not found\."):
        workflow_task.of_token(run.state, token)


def test_a_worker_that_is_silent_loses_the_task() -> None:
    run = start()
    run.take_task()
    assert run.wakes_after == 10
    run.wake().expect(
        event("WorkflowTaskTimedOut", scheduled_event_id=2, started_event_id=3, timeout_type="START_TO_CLOSE"),
        change(WorkflowTaskScheduled, type=TRANSIENT),
        OfferWorkflowTask(),
    )


def test_a_worker_learns_when_the_history_gets_long() -> None:
    run = start(limits=Limits(history_count_suggest_continue_as_new=2))
    run.take_task().expect(
        event(
            "WorkflowTaskStarted",
            suggest_continue_as_new=True,
            suggest_continue_as_new_reasons=["TOO_MANY_HISTORY_EVENTS"],
        )
    )


# Buffered


def test_what_arrives_during_a_task_comes_after_it() -> None:
    run = start()
    run.take_task()
    signal(run, "one").expect(buffered("WorkflowExecutionSignaled", id=0, signal_name="one"))
    signal(run, "two").expect(buffered("WorkflowExecutionSignaled", id=0, signal_name="two"))
    run.answer().expect(
        event("WorkflowTaskCompleted", id=4),
        event("WorkflowExecutionSignaled", id=5, signal_name="one"),
        event("WorkflowExecutionSignaled", id=6, signal_name="two"),
        event("WorkflowTaskScheduled", id=7),
        OfferWorkflowTask(),
    )


def test_a_workflow_does_not_close_before_it_has_seen_everything() -> None:
    run = start()
    run.take_task()
    signal(run)
    run.answer(c.complete()).expect(
        event("WorkflowTaskFailed", id=4, cause="UNHANDLED_COMMAND", failure="UnhandledCommand"),
        event("WorkflowExecutionSignaled", id=5),
        change(WorkflowTaskNormalized),
        event("WorkflowTaskScheduled", id=6, attempt=1),
        OfferWorkflowTask(),
    )


# Transient: later attempts


def test_a_second_attempt_leaves_no_events_until_it_succeeds() -> None:
    run = start()
    run.take_task()
    fail(run).expect(
        event("WorkflowTaskFailed", id=4, failure="panic", cause="WORKFLOW_WORKER_UNHANDLED_FAILURE"),
        change(WorkflowTaskScheduled, type=TRANSIENT, timeout=10 * SECOND_NS, queue="orders"),
        OfferWorkflowTask(),
    )
    run.take_task().expect(change(WorkflowTaskStarted, identity="worker"))
    fail(run).expect(
        change(WorkflowTaskDropped, attempt=3),
        change(WorkflowTaskScheduled, type=TRANSIENT),
        OfferWorkflowTask(),
    )
    run.take_task()
    run.answer().expect(
        change(WorkflowTaskNormalized),
        event("WorkflowTaskScheduled", id=5, attempt=3),
        event("WorkflowTaskStarted", id=6, scheduled_event_id=5, identity="worker"),
        event("WorkflowTaskCompleted", id=7, scheduled_event_id=5, started_event_id=6),
    )
    assert run.state.workflow_task_attempt == 1


def test_attempts_that_keep_failing_take_longer_and_longer() -> None:
    run = start()
    timeouts = []
    for _ in range(14):
        run.take_task()
        timeouts.append(run.wakes_after)
        fail(run)
    assert timeouts == [10, 10, 10, 15, 20, 30, 50, 90, 170, 330, 610, 610, 610, 610]


def test_a_transient_task_gives_way_to_what_arrives_before_it_is_taken() -> None:
    run = start()
    run.take_task()
    fail(run)
    signal(run).expect(event("WorkflowExecutionSignaled", id=5))
    run.take_task().expect(
        change(WorkflowTaskNormalized),
        event("WorkflowTaskScheduled", id=6, attempt=1),
        event("WorkflowTaskStarted", id=7, scheduled_event_id=6),
    )


def test_after_a_failure_with_news_the_next_attempt_is_a_normal_one() -> None:
    run = start()
    run.take_task()
    signal(run)
    fail(run).expect(
        event("WorkflowTaskFailed", id=4),
        event("WorkflowExecutionSignaled", id=5),
        change(WorkflowTaskNormalized),
        event("WorkflowTaskScheduled", id=6, attempt=1),
        OfferWorkflowTask(),
    )


def test_repeated_nonsense_is_left_to_time_out() -> None:
    run = start()
    run.turn(c.cancel_timer("unknown"))
    run.turn(c.cancel_timer("unknown")).expect()
    run.wake().expect(
        change(WorkflowTaskDropped, attempt=3),
        change(WorkflowTaskScheduled, type=TRANSIENT),
        OfferWorkflowTask(),
    )


# Sticky


def sticky_run() -> Run:
    run = start()
    run.turn(**STICKY).expect(
        event("WorkflowTaskCompleted"), change(StickySet, queue="worker-1", timeout=5 * SECOND_NS)
    )
    return run


def test_the_next_task_goes_to_the_worker_that_has_the_workflow_in_its_cache() -> None:
    run = sticky_run()
    signal(run).expect(
        event("WorkflowExecutionSignaled"),
        event("WorkflowTaskScheduled", task_queue="worker-1"),
        OfferWorkflowTask(),
    )
    assert run.task.sticky


def test_a_sticky_worker_that_does_not_come_is_nobodys_failure() -> None:
    run = sticky_run()
    signal(run)
    assert run.wakes_after == 5
    run.wake().expect(
        event("WorkflowTaskTimedOut", timeout_type="SCHEDULE_TO_START", started_event_id=0),
        event("WorkflowTaskScheduled", task_queue="orders", attempt=1),
        OfferWorkflowTask(),
    )
    assert run.wakes_after is None


def test_a_failure_on_a_sticky_worker_may_be_its_caches_and_is_no_attempt() -> None:
    run = sticky_run()
    signal(run)
    run.take_task()
    fail(run).expect(
        event("WorkflowTaskFailed"),
        event("WorkflowTaskScheduled", task_queue="orders", attempt=1),
        OfferWorkflowTask(),
    )


def test_a_worker_without_cache_ends_stickiness() -> None:
    run = sticky_run()
    signal(run)
    run.turn().expect(event("WorkflowTaskCompleted"), change(StickySet, queue=""))


def test_stickiness_can_be_reset() -> None:
    run = sticky_run()
    run.decide(workflow_task.reset_sticky).expect(change(StickySet, queue="", timeout=0))
    run.decide(workflow_task.reset_sticky).expect()
    signal(run)
    assert run.task.queue == "orders"


# Speculative


def with_history() -> Run:
    """A run whose first task is behind it."""
    run = start()
    run.turn()
    return run


def test_an_update_alone_makes_a_speculative_task() -> None:
    run = with_history()
    admit(run).expect(
        change(UpdateAdmitted),
        change(WorkflowTaskScheduled, type=SPECULATIVE),
        OfferWorkflowTask(),
    )
    run.take_task().expect(change(WorkflowTaskStarted), change(UpdateSent, update_id="u"))


def test_an_update_that_is_rejected_leaves_no_trace() -> None:
    run = with_history()
    admit(run)
    message, *_ = run.take_task().result
    play = run.answer(messages=[u.rejected(message)])
    play.expect(
        change(WorkflowTaskDropped, attempt=1),
        change(UpdateRemoved, update_id="u"),
        effect(ResolveUpdate, update_id="u", outcome={"failure": "no"}),
    )
    # The worker's cache is wound back to the task before.
    assert play.result.reset_history_event_id == 3
    assert len(run.history) == 4


def test_a_speculative_task_gives_way_to_what_arrives_before_it_is_taken() -> None:
    run = with_history()
    admit(run)
    signal(run).expect(event("WorkflowExecutionSignaled", id=5))
    run.take_task().expect(
        change(WorkflowTaskNormalized),
        event("WorkflowTaskScheduled", id=6),
        event("WorkflowTaskStarted", id=7, scheduled_event_id=6),
        change(UpdateSent, update_id="u"),
    )


def test_a_speculative_task_that_fails_is_written_down() -> None:
    run = with_history()
    admit(run)
    run.take_task()
    fail(run).expect(
        change(WorkflowTaskNormalized),
        event("WorkflowTaskScheduled", id=5),
        event("WorkflowTaskStarted", id=6),
        event("WorkflowTaskFailed", id=7, scheduled_event_id=5, started_event_id=6),
        change(UpdatesUnsent),
        change(WorkflowTaskScheduled, type=TRANSIENT),
        OfferWorkflowTask(),
    )


def test_a_speculative_task_during_which_something_arrives_is_written_down() -> None:
    run = with_history()
    admit(run)
    message, *_ = run.take_task().result
    signal(run)
    run.answer(messages=[u.rejected(message)]).expect(
        change(WorkflowTaskNormalized),
        event("WorkflowTaskScheduled", id=5),
        event("WorkflowTaskStarted", id=6),
        event("WorkflowTaskCompleted", id=7),
        change(UpdateRemoved, update_id="u"),
        event("WorkflowExecutionSignaled", id=8),
        event("WorkflowTaskScheduled", id=9),
        effect(ResolveUpdate, update_id="u"),
        OfferWorkflowTask(),
    )


def test_what_gives_way_stays_with_its_worker() -> None:
    run = sticky_run()
    admit(run)
    assert run.task.sticky
    signal(run)
    run.take_task().expect(
        change(WorkflowTaskNormalized),
        event("WorkflowTaskScheduled", task_queue="worker-1"),
        event("WorkflowTaskStarted"),
        change(UpdateSent),
    )


def test_a_speculative_task_that_its_sticky_worker_does_not_take() -> None:
    run = sticky_run()
    admit(run)
    assert run.wakes_after == 5
    run.wake().expect(
        change(WorkflowTaskNormalized),
        event("WorkflowTaskScheduled", id=5, task_queue="worker-1"),
        event("WorkflowTaskTimedOut", id=6, timeout_type="SCHEDULE_TO_START", scheduled_event_id=5),
        event("WorkflowTaskScheduled", id=7, task_queue="orders"),
        OfferWorkflowTask(),
    )


# Heartbeats


def test_a_worker_that_needs_more_time_gets_another_task() -> None:
    run = start()
    run.wait(1)
    run.turn(force_create_new_workflow_task=True).expect(
        event("WorkflowTaskCompleted", id=4),
        event("WorkflowTaskScheduled", id=5),
        change(HeartbeatContinued, original_scheduled_at=run.at(-1)),
        OfferWorkflowTask(),
    )


def test_a_worker_does_not_get_more_time_for_ever() -> None:
    run = start(limits=Limits(workflow_task_heartbeat_timeout_ns=60 * SECOND_NS))
    for _ in range(12):
        run.take_task()
        run.wait(5)
        run.answer(force_create_new_workflow_task=True)
    run.take_task()
    run.wait(5)
    play = run.answer(force_create_new_workflow_task=True).expect(
        event("WorkflowTaskTimedOut", timeout_type="START_TO_CLOSE"),
        change(WorkflowTaskScheduled, type=TRANSIENT),
        OfferWorkflowTask(),
    )
    assert play.result.heartbeat_timed_out


def test_a_worker_can_have_the_next_task_with_the_answer() -> None:
    run = start()
    run.take_task()
    signal(run)
    play = run.answer(return_new_workflow_task=True).expect(
        event("WorkflowTaskCompleted", id=4),
        event("WorkflowExecutionSignaled", id=5),
        event("WorkflowTaskScheduled", id=6),
        event("WorkflowTaskStarted", id=7, identity="worker"),
    )
    assert play.result.task is run.task


def test_lists_find_a_run_whose_tasks_keep_failing_until_one_succeeds() -> None:
    run = start()
    shown = []
    for _ in range(6):
        run.take_task()
        fail(run)
        shown.append("TemporalReportedProblems" in run.state.search_attributes.indexed_fields)
    assert shown == [False] * 4 + [True] * 2
    run.turn()
    assert "TemporalReportedProblems" not in run.state.search_attributes.indexed_fields


def test_only_failures_write_such_a_run_into_lists_again() -> None:
    run = start()
    written = []
    for _ in range(6):
        run.take_task()
        written.append(_is_written(run, fail(run)))
        assert not _is_written(run, signal(run))
    assert written == [False] * 4 + [True] * 2
    assert _is_written(run, run.turn())


def _is_written(run: Run, play: Play) -> bool:
    events = [each for each in play.happened if isinstance(each, HistoryEvent)]
    changes = [each for each in play.happened if not isinstance(each, HistoryEvent)]
    return changes_visibility(run.state, events, changes)  # type: ignore[arg-type]
