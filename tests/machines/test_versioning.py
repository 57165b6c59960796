"""Versions of workers: which one a run goes on with."""

from __future__ import annotations

import pytest
from temporalio.api.command.v1 import Command
from temporalio.api.enums.v1 import ContinueAsNewInitiator
from temporalio.api.history.v1 import WorkflowExecutionStartedEventAttributes

from perdure.history.effects import OfferActivityTask, OfferWorkflowTask
from perdure.history.machines import versioning, workflow, workflow_task
from perdure.history.machines.versioning import ActivityStart
from perdure.history.state.versioning import AUTO_UPGRADE, PINNED, behavior, in_transition, version
from perdure.kernel.deployments.records import VersionId
from tests.differential import commands as c
from tests.support.playbook import Run, start

ONE, TWO = VersionId("shop", "1"), VersionId("shop", "2")
_RETRY = ContinueAsNewInitiator.CONTINUE_AS_NEW_INITIATOR_RETRY
_CRON = ContinueAsNewInitiator.CONTINUE_AS_NEW_INITIATOR_CRON_SCHEDULE
_AS_NEW = ContinueAsNewInitiator.CONTINUE_AS_NEW_INITIATOR_WORKFLOW


def begin(run: Run, worker: VersionId | None) -> None:
    run.take_task()
    run.decide(lambda tx: versioning.task_started(tx, run.task, worker, worker, 3))


def turn(run: Run, worker: VersionId, how: int, *commands: Command) -> None:
    begin(run, worker)
    answer(run, worker, how, *commands)


def answer(run: Run, worker: VersionId, how: int, *commands: Command) -> None:
    options = {"deployment_name": worker.deployment, "build_id": worker.build_id, "worker_versioning_mode": 2}
    run.answer(*commands, versioning_behavior=how, deployment_options=options)


def of(run: Run) -> tuple[int, VersionId | None]:
    return behavior(run.state.versioning), version(run.state.versioning)


def signal(run: Run) -> None:
    run.decide(workflow.signal, "go", None, "", None, "")


def inherited(
    run: Run, initiator: ContinueAsNewInitiator.ValueType, how: int = 0
) -> WorkflowExecutionStartedEventAttributes:
    attributes = WorkflowExecutionStartedEventAttributes()
    attributes.CopyFrom(run.state.started)
    versioning.inherit(attributes, run.state, initiator, as_new_behavior=how)
    return attributes


def test_a_run_comes_to_the_version_of_its_worker() -> None:
    run = start()
    begin(run, ONE)
    assert in_transition(run.state.versioning)
    assert of(run) == (AUTO_UPGRADE, ONE)
    answer(run, ONE, PINNED)
    assert not in_transition(run.state.versioning)
    assert of(run) == (PINNED, ONE)


def test_who_is_pinned_wants_his_own_workers() -> None:
    run = start()
    turn(run, ONE, PINNED)
    assert versioning.wants_other_worker(run.state, TWO)
    assert versioning.wants_other_worker(run.state, None)
    assert not versioning.wants_other_worker(run.state, ONE)


def test_a_transition_ends_stickiness_and_lets_activities_wait() -> None:
    run = start()
    turn(run, ONE, AUTO_UPGRADE, c.schedule_activity("q"))
    signal(run)
    begin(run, TWO)
    assert run.state.sticky_queue == ""
    for worker in (ONE, TWO, None):
        assert versioning.activity_start(run.state, worker, TWO, version_has_queue=True) is ActivityStart.LATER
    offered = run.answer(
        versioning_behavior=AUTO_UPGRADE,
        deployment_options={"deployment_name": "shop", "build_id": "2", "worker_versioning_mode": 2},
    )
    assert OfferActivityTask(5) in offered.happened
    assert versioning.activity_start(run.state, TWO, TWO, version_has_queue=True) is ActivityStart.NOW


def test_an_activity_may_be_ahead_of_its_run() -> None:
    run = start()
    turn(run, ONE, AUTO_UPGRADE, c.schedule_activity("q"))
    assert versioning.activity_start(run.state, TWO, TWO, version_has_queue=False) is ActivityStart.TRANSITION
    assert versioning.activity_start(run.state, TWO, ONE, version_has_queue=False) is ActivityStart.NOW
    played = run.decide(versioning.follow_activity, TWO, 4)
    assert OfferWorkflowTask() in played.happened
    assert of(run) == (AUTO_UPGRADE, TWO)


def test_activities_of_pinned_runs() -> None:
    run = start()
    turn(run, ONE, PINNED, c.schedule_activity("q"))
    assert versioning.activity_start(run.state, TWO, TWO, version_has_queue=True) is ActivityStart.ELSEWHERE
    assert versioning.activity_start(run.state, TWO, TWO, version_has_queue=False) is ActivityStart.NOW


def test_a_task_of_the_version_before_is_followed_by_one_of_the_next() -> None:
    run = start()
    turn(run, ONE, AUTO_UPGRADE, c.schedule_activity("q"))
    signal(run)
    run.take_task()
    run.decide(versioning.follow_activity, TWO, 4)
    answer(run, ONE, AUTO_UPGRADE)
    assert of(run) == (AUTO_UPGRADE, TWO)
    assert run.task.started_event_id == 0


def test_a_worker_is_told_once_that_its_queue_goes_elsewhere() -> None:
    run = start()
    turn(run, ONE, PINNED)
    assert versioning.target_changed(run.state, TWO)
    assert not versioning.target_changed(run.state, ONE)

    signal(run)
    pending = run.task
    run.decide(workflow_task.start, "w", "r", pending.scheduled_event_id, pending.attempt, version_changed=True)
    run.decide(lambda tx: versioning.task_started(tx, run.task, ONE, TWO, 3))
    declined = inherited(run, _AS_NEW).declined_target_version_upgrade.deployment_version
    assert (declined.deployment_name, declined.build_id) == TWO


@pytest.mark.parametrize(("initiator", "inherits"), [(_AS_NEW, True), (_RETRY, False), (_CRON, False)])
def test_what_the_next_run_has_of_a_pinned_one(initiator: ContinueAsNewInitiator.ValueType, inherits: bool) -> None:
    run = start()
    turn(run, ONE, PINNED)
    assert inherited(run, initiator).HasField("inherited_pinned_version") is inherits
    assert not inherited(run, initiator).HasField("inherited_auto_upgrade_info")


@pytest.mark.parametrize(("initiator", "inherits"), [(_AS_NEW, True), (_RETRY, True), (_CRON, False)])
def test_what_the_next_run_has_of_another(initiator: ContinueAsNewInitiator.ValueType, inherits: bool) -> None:
    run = start()
    turn(run, ONE, AUTO_UPGRADE)
    assert inherited(run, initiator).HasField("inherited_auto_upgrade_info") is inherits
    assert not inherited(run, initiator).HasField("inherited_pinned_version")


def test_who_continues_as_new_may_ask_to_be_upgraded() -> None:
    run = start()
    turn(run, ONE, PINNED)
    attributes = inherited(run, _AS_NEW, 1)
    assert not attributes.HasField("inherited_pinned_version")
    assert attributes.inherited_auto_upgrade_info.continue_as_new_initial_versioning_behavior == 1
