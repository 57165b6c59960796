"""Lists of the workflows that are in the archive."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from temporalio.api.workflow.v1 import WorkflowExecutionInfo
from temporalio.api.workflowservice.v1 import (
    ListArchivedWorkflowExecutionsRequest,
    ListArchivedWorkflowExecutionsResponse,
)

from perdure.frontend.attribute_names import parse_for
from perdure.frontend.pipeline import NamespacedHandler
from perdure.kernel.archive import files
from perdure.kernel.archive.store import ArchiveFailed, ArchiveStore
from perdure.kernel.call import Call
from perdure.kernel.errors import InvalidArgument, Unavailable
from perdure.kernel.limits import Limits
from perdure.kernel.visibility.matching import close_times, holds, values_of
from perdure.kernel.visibility.query import Query

#: What the real server refuses (frontend.visibilityArchivalQueryMaxPageSize).
PAGE_SIZE_ASKED_MAX = 10_000
#: Files that one call looks at. A page may have fewer workflows than asked for, and not be the last.
LOOKED_AT_MAX = 1000
#: Files that are read at a time.
_AT_ONCE = 20


class ArchivedLists:
    """The same queries as for lists of what is kept, but always with the newest close first."""

    def __init__(self, archive: ArchiveStore, limits: Limits) -> None:
        self._archive = archive
        self._page_size_max = limits.visibility_page_size_max
        self.handlers: Mapping[str, NamespacedHandler] = {"ListArchivedWorkflowExecutions": self.list}

    async def list(
        self, rpc: str, call: Call, request: ListArchivedWorkflowExecutionsRequest
    ) -> ListArchivedWorkflowExecutionsResponse:
        if request.page_size > PAGE_SIZE_ASKED_MAX:
            raise InvalidArgument(f"PageSize is larger than allowed {PAGE_SIZE_ASKED_MAX}.")
        if not self._archive.default_uri:
            raise InvalidArgument("Cluster is not configured for visibility archival.")
        if not call.namespace.visibility_archival.enabled:
            raise InvalidArgument("Namespace is not configured for visibility archival.")
        token = _name_in(request.next_page_token)
        query = parse_for(request.query, call.namespace)
        if query.order or query.group:
            raise InvalidArgument("invalid query: ORDER BY and GROUP BY are not supported for archived workflows")
        size = min(request.page_size, self._page_size_max) if request.page_size > 0 else self._page_size_max
        try:
            return await self._page(call, query, size, token)
        except ArchiveFailed as error:
            raise Unavailable(f"the archive cannot be read now: {error}") from error

    async def _page(self, call: Call, query: Query, size: int, token: str) -> ListArchivedWorkflowExecutionsResponse:
        prefix = files.listing(call.namespace.id)
        earliest, latest = close_times(query.condition)
        after = max(token, files.before_closed(latest) if latest is not None else "")
        response = ListArchivedWorkflowExecutionsResponse()
        looked_at = 0
        while looked_at < LOOKED_AT_MAX:
            names = await self._archive.names(
                call.namespace.visibility_archival.uri, prefix, f"{prefix}{after}" if after else "", _AT_ONCE
            )
            for name, info in zip(names, await self._read(call, names), strict=True):
                after = name.removeprefix(prefix)
                if info is None:
                    continue
                values = values_of(info, call.namespace.search_attributes)
                if info.close_time.ToNanoseconds() < earliest:
                    return response
                if query.condition is None or holds(query.condition, values):
                    response.executions.append(info)
                    if len(response.executions) == size:
                        response.next_page_token = after.encode()
                        return response
            if len(names) < _AT_ONCE:
                return response
            looked_at += len(names)
        response.next_page_token = after.encode()
        return response

    async def _read(self, call: Call, names: Sequence[str]) -> Sequence[WorkflowExecutionInfo | None]:
        """What the files say; None for one that somebody has removed since it was listed."""
        uri = call.namespace.visibility_archival.uri
        found = await asyncio.gather(*(self._archive.get(uri, name) for name in names))
        return [None if file is None else files.info_in(file) for file in found]


def _name_in(token: bytes) -> str:
    """The last name on the page before, empty if there is none."""
    text = token.decode(errors="replace")
    if text and not files.is_listed_name(text):
        raise InvalidArgument("Invalid NextPageToken.")
    return text
