"""Whatever is decided in whatever order: what `Run._check` says holds after each decision.

The journal folds to the state, through the codec; the history has no gaps; the agenda that was kept up to date says the
same as one made anew; and nothing becomes owed that nobody is told of.
"""

from __future__ import annotations

import contextlib
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule
from temporalio.api.activity.v1 import ActivityOptions
from temporalio.api.command.v1 import Command
from temporalio.api.common.v1 import RetryPolicy, WorkflowExecution
from temporalio.api.enums.v1 import (
    CancelExternalWorkflowExecutionFailedCause,
    EventType,
    SignalExternalWorkflowExecutionFailedCause,
    StartChildWorkflowExecutionFailedCause,
    WorkflowTaskFailedCause,
)
from temporalio.api.history.v1 import HistoryEvent
from temporalio.api.nexus.v1 import Response
from temporalio.api.protocol.v1 import Message
from temporalio.api.update.v1 import Request

from perdure.history.machines import (
    activity,
    activity_control,
    child,
    external,
    nexus_operation,
    pause,
    update,
    workflow,
    workflow_task,
)
from perdure.history.state.changes import OrphanHandled, ParentNotified
from perdure.history.state.execution import Execution, UpdateStage, WorkflowTask
from perdure.kernel.clock import SECOND_NS
from perdure.kernel.errors import InvalidArgument, ServiceError
from perdure.kernel.limits import Limits
from perdure.kernel.mail import OperationClosed
from perdure.kernel.nexus_failures import handler_failure
from perdure.kernel.rpc import NexusAnswer, TaskObsolete
from tests.differential import commands as c
from tests.differential import updates as u
from tests.support import reports
from tests.support.playbook import Run, failure, recorded, start, wind_back

NAMES = st.sampled_from(["a", "b", "c"])
SECONDS = st.sampled_from([0, 1, 3, 20])
REPORTS = st.sampled_from(["heartbeat", "complete", "fail", "fail for good", "fail and go on", "cancel"])
PARENT = {
    "parent_workflow_namespace": "default",
    "parent_workflow_namespace_id": "namespace-1",
    "parent_workflow_execution": {"workflow_id": "parent", "run_id": "parent-run"},
    "parent_initiated_event_id": 5,
}


ACTIVITY_OPTIONS = st.fixed_dictionaries(
    {"start_to_close_timeout": st.sampled_from([{"seconds": 5}, {"seconds": 60}])},
    optional={
        "schedule_to_close_timeout": st.just({"seconds": 30}),
        "schedule_to_start_timeout": st.just({"seconds": 2}),
        "heartbeat_timeout": st.just({"seconds": 3}),
        "retry_policy": st.sampled_from([{"maximum_attempts": 1}, {"maximum_attempts": 3}]),
        "request_eager_execution": st.booleans(),
    },
)
OPERATION_OPTIONS = st.fixed_dictionaries(
    {},
    optional={
        "schedule_to_close_timeout": st.just({"seconds": 30}),
        "schedule_to_start_timeout": st.just({"seconds": 2}),
        "start_to_close_timeout": st.just({"seconds": 5}),
    },
)
OPERATION_NEWS = st.sampled_from(
    ["away", "no", "done", "started", "closed", "failed", "canceled", "cancel away", "heard"]
)
POLICIES = st.sampled_from([None, "PARENT_CLOSE_POLICY_ABANDON", "PARENT_CLOSE_POLICY_REQUEST_CANCEL"])


def commands(state: Execution) -> st.SearchStrategy[list[Command]]:
    """Commands that make sense to a workflow in this state, and now and then one that does not."""
    choices = [
        st.builds(c.marker, NAMES),
        st.builds(lambda name, policy: c.start_child(name, "orders", parent_close_policy=policy), NAMES, POLICIES),
        st.builds(c.signal_external, NAMES),
        st.builds(lambda name: c.cancel_external(f"other-{name}"), NAMES),
        st.builds(lambda options: c.schedule_nexus("pay", **options), OPERATION_OPTIONS),
    ]
    if unused := [name for name in "abcd" if name not in state.activity_ids]:
        choices += 2 * [
            st.builds(
                lambda name, options: c.schedule_activity("acts", name, **options),
                st.sampled_from(unused),
                ACTIVITY_OPTIONS,
            )
        ]
    if unused := [name for name in "abcd" if name not in state.timers]:
        choices.append(st.builds(c.start_timer, st.sampled_from(unused), SECONDS))
    if uncancelled := [key for key, each in state.activities.items() if not each.cancel_requested]:
        choices.append(st.builds(c.cancel_activity, st.sampled_from(uncancelled)))
    if unwanted := [key for key, each in state.operations.items() if each.cancel is None]:
        choices.append(st.builds(c.cancel_nexus, st.sampled_from(unwanted)))
    fired = [each.timer_fired_event_attributes.timer_id for each in state.buffered]
    if cancellable := [*state.timers, *filter(None, fired)]:
        choices.append(st.builds(c.cancel_timer, st.sampled_from(cancellable)))
    sensible = st.lists(st.one_of(*choices), max_size=4, unique_by=lambda each: each.command_type)
    return st.integers(0, 9).flatmap(lambda n: sensible if n != 7 else st.just([c.cancel_timer("unknown")]))


CLOSING = st.sampled_from(
    [None] * 30 + [c.complete(), c.fail(), c.cancel(), c.continue_as_new()],
)


class AnySequence(RuleBasedStateMachine):
    """Clients, workers, other executions and time at work on one run."""

    run: Run

    @initialize(
        parent=st.booleans(),
        retry=st.booleans(),
        cron=st.booleans(),
        timeout=st.sampled_from([0, 0, 0, 300]),
        small=st.booleans(),
        busy=st.booleans(),
    )
    def begin(self, parent: bool, retry: bool, cron: bool, timeout: int, small: bool, busy: bool) -> None:
        fields: dict[str, Any] = dict(PARENT) if parent else {}
        if retry:
            fields["retry_policy"] = RetryPolicy(initial_interval={"seconds": 1}, maximum_attempts=3)  # type: ignore[arg-type]
        if timeout:
            fields["workflow_run_timeout"] = {"seconds": timeout}
        limits = Limits(in_flight_updates_max=2, history_count_max=40) if small else Limits()
        self.run = start(limits=limits, cron_schedule="* * * * *" if cron else "", **fields)
        self.messages: list[Message] = []
        if busy:
            self.run.turn(c.schedule_activity("acts", "a"), c.start_timer("b", 20), c.start_child("c", "orders"))
            self.run.decide(activity.start, self.run.activity("a").scheduled_event_id, 0, "worker")

    @property
    def state(self) -> Execution:
        return self.run.state

    @property
    def pending_task(self) -> WorkflowTask | None:
        return self.state.workflow_task if self.state.running else None

    def attempt(self, *arguments: Any, **options: Any) -> Any:
        """A decision that may be refused, but must not break."""
        try:
            return self.run.decide(*arguments, **options)
        except (ServiceError, TaskObsolete):
            return None

    # Clients

    @rule(name=NAMES, request_id=st.sampled_from(["", "r1", "r2"]))
    def signal(self, name: str, request_id: str) -> None:
        self.attempt(workflow.signal, name, None, "client", None, request_id)

    @rule()
    def request_cancel(self) -> None:
        self.attempt(workflow.request_cancel, "why", "client", "request")

    @rule(name=NAMES)
    def admit_update(self, name: str) -> None:
        self.attempt(update.admit, Request(meta={"update_id": name}, input={"name": "change"}))  # type: ignore[arg-type]

    @rule(sure=st.integers(0, 9))
    def terminate(self, sure: int) -> None:
        if sure == 7:
            self.attempt(workflow.terminate, "enough", None, "client")

    @rule(paused=st.booleans())
    def pause(self, paused: bool) -> None:
        self.attempt(pause.pause if paused else pause.unpause, "operator", "why", "request")

    @precondition(lambda self: self.run.history[-1].event_id > 3)
    @rule(data=st.data())
    def reset(self, data: st.DataObject) -> None:
        event_id = data.draw(st.integers(2, self.run.history[-1].event_id))
        with contextlib.suppress(InvalidArgument):
            self.run, _ = wind_back(self.run, event_id)

    @rule()
    def reset_sticky(self) -> None:
        if self.state.running:
            self.run.decide(workflow_task.reset_sticky)

    # The worker of the workflow

    @precondition(lambda self: self.pending_task and not self.pending_task.started_event_id)
    @rule()
    def take_task(self) -> None:
        self.messages = self.run.take_task().result

    @precondition(lambda self: self.pending_task)
    @rule(
        data=st.data(),
        closing=CLOSING,
        sticky=st.booleans(),
        force=st.booleans(),
        inline=st.booleans(),
        verdict=st.sampled_from([u.accepted, u.rejected, None]),
    )
    def answer(self, data: st.DataObject, closing: Command | None, verdict: Any, **options: bool) -> None:
        fields: dict[str, Any] = {
            "force_create_new_workflow_task": options["force"] and not self.state.holds_tasks,
            "return_new_workflow_task": options["inline"],
        }
        if options["sticky"]:
            fields["sticky_attributes"] = {
                "worker_task_queue": {"name": "sticky"},
                "schedule_to_start_timeout": {"seconds": 4},
            }
        if not self.run.task.started_event_id:
            self.take_task()
        said = [verdict(message) for message in self.messages] if verdict else []
        decided = data.draw(commands(self.state))
        play = self.run.answer(*decided, *([closing] if closing else []), messages=said, **fields)
        self.messages = play.result.messages if hasattr(play.result, "messages") else []

    @precondition(lambda self: self.pending_task and self.pending_task.started_event_id)
    @rule()
    def fail_task(self) -> None:
        cause = WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_WORKFLOW_WORKER_UNHANDLED_FAILURE

        def fail(tx: Any) -> None:
            workflow_task.fail(tx, tx.state.workflow_task, cause, failure("panic"), "worker")
            workflow_task.schedule(tx)

        self.run.decide(fail)

    @rule(data=st.data())
    def complete_update(self, data: st.DataObject) -> None:
        task = self.pending_task
        accepted = [each for each in self.state.updates.values() if each.stage is UpdateStage.ACCEPTED]
        if task is None or not task.started_event_id or not accepted:
            return
        chosen = data.draw(st.sampled_from(accepted))
        request = Message(id=f"{chosen.update_id}/request", protocol_instance_id=chosen.update_id)
        request.body.Pack(Request(meta={"update_id": chosen.update_id}))  # type: ignore[arg-type]
        self.run.answer(messages=[u.completed(request)])

    # Workers of activities

    @precondition(lambda self: self.state.activities)
    @rule(data=st.data())
    def take_activity(self, data: st.DataObject) -> None:
        pending = data.draw(st.sampled_from(list(self.state.activities.values())))
        self.attempt(activity.start, pending.scheduled_event_id, pending.stamp, "worker")

    @precondition(lambda self: self.state.running and any(each.started for each in self.state.activities.values()))
    @rule(
        data=st.data(),
        how=REPORTS,
    )
    def report_activity(self, data: st.DataObject, how: str) -> None:
        pending = data.draw(st.sampled_from([each for each in self.state.activities.values() if each.started]))
        if how == "heartbeat":
            self.attempt(activity.heartbeat, pending, None, "worker")
        elif how == "complete":
            self.attempt(reports.complete, pending, None, "worker")
        elif how == "cancel":
            self.attempt(reports.cancel, pending, None, "worker")
        else:
            delay: dict[str, Any] = {"next_retry_delay": {"seconds": 0}} if "go on" in how else {}
            self.attempt(reports.fail, pending, failure(non_retryable="good" in how, **delay), "worker")

    @precondition(lambda self: self.state.running and self.state.activities)
    @rule(data=st.data(), how=st.sampled_from(["pause", "unpause", "reset", "change", "restore"]), anew=st.booleans())
    def control_activity(self, data: st.DataObject, how: str, anew: bool) -> None:
        pending = data.draw(st.sampled_from(list(self.state.activities.values())))
        if how == "pause":
            self.attempt(activity_control.pause, pending, "operator", "why", "request")
        elif how == "unpause":
            self.attempt(activity_control.unpause, pending, reset_attempts=anew, reset_heartbeat=anew, jitter=0)
        elif how == "reset":
            options = {"reset_heartbeat": anew, "keep_paused": anew, "restore_options": not anew}
            self.attempt(activity_control.reset, pending, **options, jitter=SECOND_NS)
        elif how == "change":
            changed = ActivityOptions(start_to_close_timeout={"seconds": 2})  # type: ignore[arg-type]
            self.attempt(activity_control.update_options, pending, changed, ["start_to_close_timeout"])
        else:
            self.attempt(activity_control.restore_options, pending)

    # Other executions

    @precondition(lambda self: self.state.running and self.state.children)
    @rule(data=st.data(), how=st.sampled_from(["started", "failed", "closed"]))
    def hear_of_child(self, data: st.DataObject, how: str) -> None:
        pending = data.draw(st.sampled_from(list(self.state.children.values())))
        execution = WorkflowExecution(workflow_id="child", run_id="child-run")
        if how == "closed":
            closed = HistoryEvent(event_type=EventType.EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED)
            self.run.decide(child.closed, pending, execution, closed)
        elif pending.started:
            return
        elif how == "started":
            self.run.decide(child.started, pending, "child-run")
        else:
            cause = StartChildWorkflowExecutionFailedCause.START_CHILD_WORKFLOW_EXECUTION_FAILED_CAUSE_UNSPECIFIED
            self.run.decide(child.start_failed, pending, cause)

    @precondition(lambda self: self.state.operations and self.state.running)
    @rule(data=st.data(), how=OPERATION_NEWS)
    def hear_of_operation(self, data: st.DataObject, how: str) -> None:
        operation = data.draw(st.sampled_from(list(self.state.operations.values())))
        if how in ("closed", "failed", "canceled"):
            failed = failure() if how != "closed" else None
            letter = OperationClosed(
                "run", operation.scheduled_event_id, "", "token", 1, [], failure=failed, canceled=how == "canceled"
            )
            self.attempt(recorded(nexus_operation.told_end), operation, letter)
        elif how in ("cancel away", "heard"):
            if operation.wants_cancel:
                answer = NexusAnswer(failure=handler_failure("UNAVAILABLE", "") if how != "heard" else None)
                self.attempt(recorded(nexus_operation.answer_cancel), operation, answer)
        elif operation.wants_start:
            kind = {"away": "UNAVAILABLE", "no": "NOT_FOUND"}.get(how)
            response = Response()
            if how == "started":
                response.start_operation.async_success.operation_token = "token"
            else:
                response.start_operation.sync_success.SetInParent()
            answer = NexusAnswer(failure=handler_failure(kind, "")) if kind else NexusAnswer(response=response)
            self.attempt(recorded(nexus_operation.answer_start), operation, answer)

    @precondition(lambda self: self.state.signals_out)
    @rule(delivered=st.booleans())
    def hear_of_signal(self, delivered: bool) -> None:
        pending = next(iter(self.state.signals_out.values()))
        cause = SignalExternalWorkflowExecutionFailedCause.SIGNAL_EXTERNAL_WORKFLOW_EXECUTION_FAILED_CAUSE_UNSPECIFIED
        if delivered:
            self.run.decide(external.signal_delivered, pending)
        else:
            self.run.decide(external.signal_failed, pending, cause)

    @precondition(lambda self: self.state.cancels_out)
    @rule(delivered=st.booleans())
    def hear_of_cancel(self, delivered: bool) -> None:
        pending = next(iter(self.state.cancels_out.values()))
        cause = CancelExternalWorkflowExecutionFailedCause.CANCEL_EXTERNAL_WORKFLOW_EXECUTION_FAILED_CAUSE_UNSPECIFIED
        if delivered:
            self.run.decide(external.cancel_delivered, pending)
        else:
            self.run.decide(external.cancel_failed, pending, cause)

    @precondition(lambda self: not self.state.running)
    @rule()
    def settle_what_the_end_entails(self) -> None:
        if self.state.owes_parent:
            self.run.decide(lambda tx: tx.change(ParentNotified()))
        for orphan in list(self.state.orphans):
            self.run.decide(lambda tx, orphan=orphan: tx.change(OrphanHandled(orphan)))

    # Time

    @rule(seconds=SECONDS)
    def wait(self, seconds: int) -> None:
        self.run.wait(seconds)

    @precondition(lambda self: self.state.running and self.run.wakes_after is not None)
    @rule()
    def wake(self) -> None:
        self.run.wake()


AnySequence.TestCase.settings = settings(max_examples=150, stateful_step_count=40, deadline=None, database=None)
TestAnySequence = AnySequence.TestCase
