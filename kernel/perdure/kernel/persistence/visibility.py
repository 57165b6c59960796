"""Visibility: what list, count and scan look at. Embedded stores write it in the same commit as the execution."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from perdure.kernel.ids import ExecutionKind, NamespaceId, RunId, WorkflowId
from perdure.kernel.visibility.attributes import AttributeValue
from perdure.kernel.visibility.query import Query

#: The field of a schedule's memo that holds its `ScheduleListInfo`, which is no field of the user's.
SCHEDULE_INFO = "ScheduleInfo"
#: The same of a standalone Nexus operation, with its `NexusOperationExecutionListInfo`.
OPERATION_INFO = "NexusOperationInfo"


@dataclass(frozen=True, slots=True)
class VisibilityRecord:
    """One run as the list shows it; replaces the run's earlier record whole. Instants in nanoseconds, None if unset.

    `search_attributes` holds the decoded custom (and predefined custom-like, e.g. BuildIds) attributes by name. It is
    there to be filtered by and comes back empty; `memo` and `indexed_fields` are the serialised `Memo` and
    `SearchAttributes` to be handed back as they are, both empty if they were found damaged.
    """

    namespace_id: NamespaceId
    workflow_id: WorkflowId
    run_id: RunId
    kind: ExecutionKind
    workflow_type: str
    task_queue: str
    status: int
    start_time_ns: int
    execution_time_ns: int
    close_time_ns: int | None = None
    history_length: int = 0
    history_size_bytes: int = 0
    state_transition_count: int = 0
    parent_workflow_id: str | None = None
    parent_run_id: str | None = None
    root_workflow_id: str | None = None
    root_run_id: str | None = None
    memo: bytes = b""
    indexed_fields: bytes = b""
    search_attributes: dict[str, AttributeValue] = field(default_factory=dict)


class VisibilityPage(NamedTuple):
    """One page of a list. `next_page_token` is empty on the last page."""

    records: Sequence[VisibilityRecord]
    next_page_token: bytes


@dataclass(frozen=True, slots=True)
class CountGroup:
    """One group of a `GROUP BY`: the values of the grouping attributes, and how many runs have them.

    An execution status is given by its number.
    """

    values: tuple[AttributeValue | None, ...]
    count: int


class VisibilityStore(Protocol):
    """Read side; writes travel inside `ShardWrite`. All calls are confined to one namespace."""

    async def list(self, namespace_id: NamespaceId, query: Query, page_size: int, page_token: bytes) -> VisibilityPage:
        """Matching runs in the query's order, by default newest close or start first.

        Raises:
            InvalidArgument: the page token is not one of this query's.
        """
        ...

    async def count(self, namespace_id: NamespaceId, query: Query) -> tuple[int, Sequence[CountGroup]]:
        """How many runs match, and the groups if the query groups."""
        ...
