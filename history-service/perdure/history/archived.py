"""The history of a workflow run that is only in the archive."""

from __future__ import annotations

from temporalio.api.enums.v1 import HistoryEventFilterType
from temporalio.api.history.v1 import History
from temporalio.api.workflowservice.v1 import GetWorkflowExecutionHistoryRequest, GetWorkflowExecutionHistoryResponse

from perdure.history.engine import Engine
from perdure.history.histories import PAGE_BYTES_MAX
from perdure.history.tasks import HistoryPage
from perdure.kernel.archive import files
from perdure.kernel.archive.store import ArchiveFailed
from perdure.kernel.call import Call
from perdure.kernel.errors import Unavailable
from perdure.kernel.ids import ExecutionKey, NamespaceId, RunId, WorkflowId

_CLOSE_EVENT = HistoryEventFilterType.HISTORY_EVENT_FILTER_TYPE_CLOSE_EVENT


async def history(
    engine: Engine, call: Call, request: GetWorkflowExecutionHistoryRequest, page: HistoryPage | None, count: int
) -> GetWorkflowExecutionHistoryResponse | None:
    """A page of it; None if it is not there either, or was never to be. As with the real server, the run must be named.

    Raises:
        Unavailable: the archive cannot be read now.
    """
    uri, run_id = call.namespace.history_archival.uri, request.execution.run_id or (page.run_id if page else "")
    if not uri or request.skip_archival or not files.is_run_id(run_id):
        return None
    key = ExecutionKey(NamespaceId(call.namespace_id), WorkflowId(request.execution.workflow_id), RunId(run_id))
    try:
        file = await engine.archive.get(uri, files.history_name(key))
        events = files.history_in(file) if file is not None else None
    except ArchiveFailed as error:
        raise Unavailable(f"the archive cannot be read now: {error}") from error
    if events is None:
        return None
    if request.history_event_filter_type == _CLOSE_EVENT:
        return GetWorkflowExecutionHistoryResponse(history=History(events=events[-1:]), archived=True)
    response = GetWorkflowExecutionHistoryResponse(archived=True)
    response.history.SetInParent()
    size, first = 0, page.next_event_id if page else 1
    for event in events:
        if event.event_id < first:
            continue
        if len(response.history.events) >= count or size > PAGE_BYTES_MAX:
            response.next_page_token = HistoryPage(run_id, event.event_id).encode()
            break
        size += event.ByteSize()
        response.history.events.append(event)
    return response
