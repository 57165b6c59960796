"""Standalone Nexus operations: whatever the process forgets between two steps, the outcome is the same."""

from __future__ import annotations

from typing import Any

from temporalio.api.enums.v1 import NexusOperationExecutionStatus as Status
from temporalio.api.failure.v1 import Failure
from temporalio.api.nexus.v1 import Response
from temporalio.api.workflowservice.v1 import StartNexusOperationExecutionRequest

from perdure.history.effects import CancelNexusOperation, StartNexusOperation
from perdure.history.fold import replay
from perdure.history.kinds.operation import OperationAgenda
from perdure.history.machines import nexus_operation, standalone_nexus
from perdure.history.machines.standalone_nexus import StandaloneOperation
from perdure.history.state.codec import decode_changes, decode_state, encode_changes, encode_state
from perdure.history.state.operation_execution import OPERATION_KEY, OperationExecution
from perdure.kernel.clock import SECOND_NS, VirtualClock
from perdure.kernel.entropy import Entropy
from perdure.kernel.ids import RunId, WorkflowId
from perdure.kernel.limits import Limits
from perdure.kernel.mail import OperationClosed
from perdure.kernel.nexus_failures import handler_failure
from perdure.kernel.rpc import NexusAnswer
from tests.support.playbook import NAMESPACE


class Forgetful:
    """An operation whose state is folded anew from its journal before each step."""

    def __init__(self) -> None:
        self.clock = VirtualClock()
        self._journal: list[bytes] = []
        request = StartNexusOperationExecutionRequest(
            operation_id="pay", endpoint="pay", service="s", operation="o", request_id="start"
        )
        self.decide(lambda tx: standalone_nexus.begin(tx, request, "endpoint-1"))

    @property
    def state(self) -> OperationExecution:
        state = OperationExecution(NAMESPACE.id, WorkflowId("pay"), RunId("run-1"))
        for record in self._journal:
            replay(state, [], decode_changes(record))
        assert decode_state(OperationExecution, encode_state(state)) == state
        return state

    def decide(self, decision: Any) -> None:
        tx = StandaloneOperation(self.state, self.clock.now_ns(), Entropy(1), Limits(), NAMESPACE)
        decision(tx)
        self._journal.append(encode_changes(tx.changes))

    def told(self, decision: Any, said: Any) -> None:
        def decide(tx: StandaloneOperation) -> None:
            for news in decision(tx, tx.state.operation, said):
                standalone_nexus.record(tx, tx.state.operation, news)

        self.decide(decide)

    @property
    def owed(self) -> Any:
        return OperationAgenda(self.state).outstanding(self.clock.now_ns())


def test_an_operation_goes_on_where_it_was() -> None:
    run = Forgetful()
    assert run.owed == [StartNexusOperation(OPERATION_KEY)]
    run.told(nexus_operation.answer_start, NexusAnswer(failure=handler_failure("UNAVAILABLE", "later")))
    assert run.owed == []
    run.clock.advance_to(OperationAgenda(run.state).next_deadline(run.clock.now_ns(), 0))
    assert run.owed == [StartNexusOperation(OPERATION_KEY)]
    run.decide(lambda tx: standalone_nexus.request_cancel(tx, "me", "enough", "cancel"))
    assert run.owed == [StartNexusOperation(OPERATION_KEY)], "nobody can be told before it has begun"
    response = Response()
    response.start_operation.async_success.operation_token = "token"
    run.told(nexus_operation.answer_start, NexusAnswer(response=response))
    assert run.owed == [CancelNexusOperation(OPERATION_KEY)]
    run.told(nexus_operation.answer_cancel, NexusAnswer(response=Response()))
    assert run.owed == []
    letter = OperationClosed("run-1", OPERATION_KEY, "", "token", 1, [], failure=Failure(message="no"), canceled=True)
    run.told(nexus_operation.told_end, letter)
    assert run.state.status == Status.NEXUS_OPERATION_EXECUTION_STATUS_CANCELED
    assert run.owed == []
    now = run.clock.now_ns()
    assert OperationAgenda(run.state).next_deadline(now, SECOND_NS) == now + SECOND_NS, "it is kept for the retention"


def test_the_end_may_be_told_before_the_start() -> None:
    run = Forgetful()
    run.told(nexus_operation.told_end, OperationClosed("run-1", OPERATION_KEY, "", "token", 5, []))
    state = run.state
    assert state.status == Status.NEXUS_OPERATION_EXECUTION_STATUS_COMPLETED
    assert (state.operation.token, state.operation.started_at, state.operation.attempts) == ("token", 5, 1)
