"""Changed options: what is recorded, and what it means for tasks."""

from __future__ import annotations

import pytest
from temporalio.api.workflow.v1 import WorkflowExecutionOptions

from perdure.history.effects import OfferWorkflowTask
from perdure.history.machines import workflow, workflow_options
from perdure.kernel.errors import InvalidArgument, NotFound
from tests.support.playbook import Run, event, start

FIRST = WorkflowExecutionOptions(priority={"priority_key": 1})  # type: ignore[arg-type]


def priority_of(run: Run) -> int:
    return run.state.priority.priority_key


def test_the_pending_task_is_offered_again() -> None:
    run = start()
    run.decide(workflow_options.update, FIRST, ["priority"], "operator").expect(
        event("WorkflowExecutionOptionsUpdated", id=3, identity="operator"),
        OfferWorkflowTask(),
    )
    assert priority_of(run) == 1


def test_the_same_again_is_nothing() -> None:
    run = start()
    run.decide(workflow_options.update, FIRST, ["priority"], "")
    assert run.decide(workflow_options.update, FIRST, ["priority"], "").happened == []
    assert run.decide(workflow_options.update, WorkflowExecutionOptions(), [], "").happened == []


def test_what_does_not_exist_is_refused() -> None:
    run = start()
    for path in ("versioning_override.behavior",):
        with pytest.raises(InvalidArgument):
            run.decide(workflow_options.update, WorkflowExecutionOptions(), [path], "")
    run.decide(workflow.terminate, "", None, "")
    with pytest.raises(NotFound):
        run.decide(workflow_options.update, FIRST, ["priority"], "")
