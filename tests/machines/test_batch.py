"""Batch jobs: from page to page, and how they end."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from temporalio.api.enums.v1 import WorkflowExecutionStatus
from temporalio.api.workflowservice.v1 import StartBatchOperationRequest

from perdure.history.effects import RunBatch
from perdure.history.fold import replay
from perdure.history.kinds.batch import BatchAgenda
from perdure.history.machines import batch
from perdure.history.state.batch import Batch, Target
from perdure.history.state.codec import decode_changes, decode_state, encode_changes, encode_state
from perdure.history.transition import BaseTransition
from perdure.kernel.entropy import Entropy
from perdure.kernel.errors import NotFound
from perdure.kernel.ids import NamespaceId, RunId, WorkflowId
from perdure.kernel.limits import Limits
from tests.support.playbook import NAMESPACE

A, B, C = (Target(name, "run") for name in "abc")


class Job:
    """A job and the changes that have made it, which fold to the same again."""

    def __init__(self, **fields: Any) -> None:
        self.state = Batch(NamespaceId("n"), WorkflowId("job"), RunId("run"))
        self._journal = b""
        self._changes: list[Any] = []
        self.decide(batch.start, StartBatchOperationRequest(job_id="job", **fields))

    def decide(self, decision: Callable[..., None], *arguments: Any) -> list[Any]:
        tx = BaseTransition(self.state, 7, Entropy(1), Limits(), NAMESPACE)
        decision(tx, *arguments)
        self._changes += tx.changes
        folded = Batch(NamespaceId("n"), WorkflowId("job"), RunId("run"))
        replay(folded, [], decode_changes(encode_changes(self._changes)))
        folded.state_transitions = self.state.state_transitions
        assert folded == self.state == decode_state(Batch, encode_state(self.state))
        return tx.effects

    @property
    def status(self) -> str:
        name = WorkflowExecutionStatus.Name(WorkflowExecutionStatus.ValueType(self.state.status))
        return name.removeprefix("WORKFLOW_EXECUTION_STATUS_")


def test_pages_follow_each_other_until_the_last() -> None:
    job = Job(visibility_query="x")
    job.decide(batch.counted, 3)
    job.decide(batch.listed, [A, B], b"next")
    job.decide(batch.progressed, 0, 1, 0)
    assert job.state.targets == [B]
    job.decide(batch.progressed, 1, 0, 1)
    assert (job.status, job.state.targets, job.state.next_page_token) == ("RUNNING", [], b"next")
    job.decide(batch.listed, [C], b"")
    job.decide(batch.progressed, 2, 1, 0)
    assert (job.status, job.state.completed, job.state.failed, job.state.closed_at) == ("COMPLETED", 2, 1, 7)


def test_those_that_are_listed_are_the_only_page() -> None:
    job = Job(
        executions=[{"workflow_id": "a", "run_id": "run"}], target_executions=[{"business_id": "b", "run_id": "run"}]
    )
    assert (job.state.targets, job.state.total, job.state.all_listed) == ([A, B], 2, True)
    job.decide(batch.progressed, 0, 2, 0)
    assert job.status == "COMPLETED"


def test_work_begins_at_once() -> None:
    job = Job(visibility_query="x")
    assert job.decide(batch.start, StartBatchOperationRequest(job_id="job")) == [RunBatch()]


def test_a_stop_keeps_count_of_what_was_done() -> None:
    job = Job(executions=[{"workflow_id": "a", "run_id": "run"}, {"workflow_id": "b", "run_id": "run"}])
    job.decide(batch.stop, "enough")
    job.decide(batch.progressed, 0, 1, 0)
    assert (job.status, job.state.completed, job.state.reason) == ("TERMINATED", 1, "enough")
    with pytest.raises(NotFound):
        job.decide(batch.stop, "again")


def test_it_is_kept_as_long_as_workflows_are() -> None:
    job = Job(visibility_query="x")
    assert (BatchAgenda(job.state).owes, BatchAgenda(job.state).next_deadline(7, 100)) == (True, 0)
    job.decide(batch.complete)
    assert (BatchAgenda(job.state).owes, BatchAgenda(job.state).next_deadline(7, 100)) == (False, 107)


def test_a_job_that_cannot_go_on() -> None:
    job = Job(visibility_query="x")
    job.decide(batch.fail, "no such attribute")
    assert (job.status, job.state.reason) == ("FAILED", "no such attribute")


def test_what_is_reported_twice_counts_once() -> None:
    job = Job(executions=[{"workflow_id": name, "run_id": "run"} for name in "abc"])
    job.decide(batch.progressed, 0, 1, 0)
    job.decide(batch.progressed, 0, 2, 0)
    assert (job.state.targets, job.state.completed) == ([B, C], 1)


def test_the_runs_that_were_meant_are_remembered() -> None:
    job = Job(executions=[{"workflow_id": name} for name in "abc"])
    job.decide(batch.named, [A, B])
    assert job.state.targets == [A, B, Target("c", "")]
