"""GetWorkflowExecutionHistory and its reverse."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from temporalio.api.enums.v1 import HistoryEventFilterType
from temporalio.api.history.v1 import History
from temporalio.api.workflowservice.v1 import (
    GetWorkflowExecutionHistoryRequest,
    GetWorkflowExecutionHistoryResponse,
    GetWorkflowExecutionHistoryReverseRequest,
    GetWorkflowExecutionHistoryReverseResponse,
)

from perdure.history import archived, histories
from perdure.history.engine import Engine
from perdure.history.kinds.workflow import LoadedExecution
from perdure.history.shard import Shard
from perdure.history.tasks import HistoryPage, decode_page, promised_events
from perdure.kernel.call import Call
from perdure.kernel.clock import SECOND_NS
from perdure.kernel.errors import InvalidArgument, NotFound

#: Clients for people, who are shown what is written; SDKs also see what a running task will have written.
_PLAIN_READERS = frozenset({"temporal-cli", "temporal-ui"})
_CLOSE_EVENT = HistoryEventFilterType.HISTORY_EVENT_FILTER_TYPE_CLOSE_EVENT


async def get_workflow_execution_history(
    engine: Engine, call: Call, request: GetWorkflowExecutionHistoryRequest
) -> GetWorkflowExecutionHistoryResponse:
    """Events of a run, page by page; with `wait_new_event`, an open run's last page waits for more.

    A wait that ends without news answers with no events and a token to go on with. Of a run that is gone it is what the
    archive has.
    """
    page = _page(request)
    execution = request.execution
    try:
        loaded = await engine.get(call, execution.workflow_id, page.run_id if page else execution.run_id)
    except NotFound:
        count = _count(engine, request.maximum_page_size)
        if (response := await archived.history(engine, call, request, page, count)) is None:
            raise
        return response
    if page is None:
        page = HistoryPage(loaded.key.run_id, 1)
    shard = loaded.shard
    if page.task_started_event_id:
        return await _task_page(shard, loaded, page, _count(engine, request.maximum_page_size))
    if request.history_event_filter_type == _CLOSE_EVENT:
        return await _close_event(engine, call, loaded, page, wait=request.wait_new_event)
    return await _all_events(engine, call, shard, loaded, page, request)


def _page(request: GetWorkflowExecutionHistoryRequest) -> HistoryPage | None:
    if not request.next_page_token:
        return None
    page = decode_page(request.next_page_token)
    if request.execution.run_id and request.execution.run_id != page.run_id:
        raise InvalidArgument("RunId in the request does not match the NextPageToken.")
    return page


def _count(engine: Engine, asked: int) -> int:
    limit = engine.limits.history_page_size_max
    return min(asked, limit) if asked > 0 else limit


async def _all_events(
    engine: Engine,
    call: Call,
    shard: Shard,
    loaded: LoadedExecution,
    page: HistoryPage,
    request: GetWorkflowExecutionHistoryRequest,
) -> GetWorkflowExecutionHistoryResponse:
    shard.flush(loaded, call.namespace)
    if request.wait_new_event:
        loaded = await _wait(engine, call, loaded, page.next_event_id)
        shard = loaded.shard
    # A history that is read once ends where it ended when the reading began.
    end = page.until or loaded.state.next_event_id
    running = loaded.state.running
    await loaded.committed()
    events = await histories.read(shard, loaded, page.next_event_id, end, _count(engine, request.maximum_page_size))
    reached = events[-1].event_id + 1 if events else page.next_event_id
    response = GetWorkflowExecutionHistoryResponse(history=History(events=events))
    if reached < end:
        until = 0 if request.wait_new_event else end
        response.next_page_token = HistoryPage(page.run_id, reached, until=until).encode()
    elif request.wait_new_event and running:
        response.next_page_token = HistoryPage(page.run_id, reached).encode()
    elif loaded.state.workflow_task is not None and call.metadata.get("client-name") not in _PLAIN_READERS:
        response.history.events.extend(promised_events(loaded.state, loaded.state.workflow_task, identity=""))
    return response


async def _close_event(
    engine: Engine, call: Call, loaded: LoadedExecution, page: HistoryPage, *, wait: bool
) -> GetWorkflowExecutionHistoryResponse:
    if wait:
        loaded = await _wait(engine, call, loaded, closed=True)
    response = GetWorkflowExecutionHistoryResponse(history=History())
    await loaded.committed()
    close_event = loaded.state.close_event
    if close_event is not None:
        response.history.events.append(close_event)
    elif wait:
        response.next_page_token = page.encode()
    return response


async def _wait(
    engine: Engine, call: Call, loaded: LoadedExecution, from_event_id: int = 0, *, closed: bool = False
) -> LoadedExecution:
    """The run as soon as there is something from `from_event_id` on (or it is closed), or when time is up.

    Raises:
        NotFound: the run was deleted meanwhile.
        NotOwner: its shard has another owner by now.
    """
    now = engine.runtime.clock.now_ns()
    deadline = now + engine.limits.long_poll_ns
    if call.deadline_ns is not None:
        deadline = min(deadline, call.deadline_ns)
    with suppress(TimeoutError):
        async with asyncio.timeout((deadline - now) / SECOND_NS):
            while loaded.state.running and (closed or loaded.state.next_event_id <= from_event_id):
                await loaded.next_commit()
                if loaded.shard.closed:
                    # It was forgotten with its shard, and there will be no news of what we have here.
                    loaded = await engine.get(call, loaded.key.workflow_id, loaded.key.run_id)
                if not closed:
                    loaded.shard.flush(loaded, call.namespace)
    return loaded


async def _task_page(
    shard: Shard, loaded: LoadedExecution, page: HistoryPage, count: int
) -> GetWorkflowExecutionHistoryResponse:
    """The rest of the history that a worker needs for the workflow task it holds."""
    events = list(await histories.read(shard, loaded, page.next_event_id, page.until, count))
    reached = events[-1].event_id + 1 if events else page.until
    response = GetWorkflowExecutionHistoryResponse()
    if reached < page.until:
        response.next_page_token = HistoryPage(
            page.run_id, reached, until=page.until, task_started_event_id=page.task_started_event_id
        ).encode()
    else:
        task = loaded.state.workflow_task
        if task is not None and task.started_event_id == page.task_started_event_id:
            events += promised_events(loaded.state, task, task.identity)
    response.history.CopyFrom(History(events=events))
    return response


async def get_workflow_execution_history_reverse(
    engine: Engine, call: Call, request: GetWorkflowExecutionHistoryReverseRequest
) -> GetWorkflowExecutionHistoryReverseResponse:
    """Events of a run, newest first."""
    execution = request.execution
    page = decode_page(request.next_page_token) if request.next_page_token else None
    if page is not None and execution.run_id and execution.run_id != page.run_id:
        raise InvalidArgument("RunId in the request does not match the NextPageToken.")
    loaded = await engine.get(call, execution.workflow_id, page.run_id if page else execution.run_id)
    shard = loaded.shard
    shard.flush(loaded, call.namespace)
    end = page.next_event_id if page else loaded.state.next_event_id
    await loaded.committed()
    events = await histories.read_reverse(shard, loaded, end, _count(engine, request.maximum_page_size))
    response = GetWorkflowExecutionHistoryReverseResponse(history=History(events=events))
    if events and events[-1].event_id > 1:
        response.next_page_token = HistoryPage(loaded.key.run_id, events[-1].event_id).encode()
    return response
