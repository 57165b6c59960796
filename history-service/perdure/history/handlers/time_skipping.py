"""PollWorkflowExecutionTimeSkipping."""

from __future__ import annotations

import asyncio

from temporalio.api.common.v1 import TimeSkippingFastForwardInfo
from temporalio.api.enums.v1 import FastForwardPollingResult
from temporalio.api.workflowservice.v1 import (
    PollWorkflowExecutionTimeSkippingRequest,
    PollWorkflowExecutionTimeSkippingResponse,
)

from perdure.history.engine import Engine
from perdure.history.kinds.workflow import LoadedExecution
from perdure.history.machines import time_skipping
from perdure.kernel.call import Call
from perdure.kernel.clock import SECOND_NS

_Response = PollWorkflowExecutionTimeSkippingResponse
_COMPLETED = FastForwardPollingResult.FAST_FORWARD_POLLING_RESULT_FAST_FORWARD_COMPLETED
_FAILED = FastForwardPollingResult.FAST_FORWARD_POLLING_RESULT_FAST_FORWARD_FAILED
_TIMEOUT = FastForwardPollingResult.FAST_FORWARD_POLLING_RESULT_POLL_TIMEOUT


async def poll_workflow_execution_time_skipping(
    engine: Engine, call: Call, request: PollWorkflowExecutionTimeSkippingRequest
) -> PollWorkflowExecutionTimeSkippingResponse:
    """Wait until a fast-forward has come to its end, in this run or one that goes on from it, or never will."""
    execution = request.workflow_execution
    loaded = await engine.get(call, execution.workflow_id, execution.run_id)
    first = _forward(loaded)
    now = engine.runtime.clock.now_ns()
    deadline = min(now + engine.limits.long_poll_ns, call.deadline_ns or now + engine.limits.long_poll_ns)
    try:
        async with asyncio.timeout((deadline - now) / SECOND_NS):
            while True:
                answer = _answer(loaded, request.fast_forward_id, first)
                if answer is not None:
                    await loaded.committed()
                    return answer
                successor = loaded.state.successor_run_id
                if successor and not loaded.state.running:
                    await loaded.committed()
                    loaded = await engine.get(call, execution.workflow_id, successor)
                else:
                    await loaded.next_commit()
    except TimeoutError:
        await loaded.committed()
        return _Response(fast_forward_info=first, fast_forward_polling_result=_TIMEOUT)


def _answer(loaded: LoadedExecution, wanted: str, first: TimeSkippingFastForwardInfo | None) -> _Response | None:
    """None while it is under way. `first` is how it was found."""
    state = loaded.state
    found = _forward(loaded)
    if found is None or found.fast_forward_id != wanted:
        return _failed(found, "the requested fast_forward_id does not match the execution's current fast-forward")
    if first is not None and found.target_time != first.target_time:
        return _failed(found, "the fast-forward was reset")
    if found.has_completed:
        return _Response(fast_forward_info=found, fast_forward_polling_result=_COMPLETED)
    if not state.running:
        if state.successor_run_id:
            return None
        return _failed(found, "the execution ended before the fast-forward completed")
    if state.time_skipping is not None and not state.time_skipping.enabled:
        return _failed(found, "time skipping was disabled before the fast-forward completed")
    return None


def _failed(found: TimeSkippingFastForwardInfo | None, why: str) -> _Response:
    return _Response(fast_forward_info=found, fast_forward_polling_result=_FAILED, failed_reason=why)


def _forward(loaded: LoadedExecution) -> TimeSkippingFastForwardInfo | None:
    skipping = loaded.state.time_skipping
    if skipping is None or not skipping.target:
        return None
    return time_skipping.shown(skipping, loaded.now_ns).fast_forward_info
