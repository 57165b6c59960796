"""Lists and counts of schedules, over the visibility store."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from temporalio.api.common.v1 import Memo, SearchAttributes
from temporalio.api.enums.v1 import WorkflowExecutionStatus
from temporalio.api.schedule.v1 import ScheduleListEntry, ScheduleListInfo
from temporalio.api.workflowservice.v1 import (
    CountSchedulesRequest,
    CountSchedulesResponse,
    ListSchedulesRequest,
    ListSchedulesResponse,
)

from perdure.frontend.handlers.groups import group_value
from perdure.frontend.pipeline import NamespacedHandler
from perdure.kernel.call import Call
from perdure.kernel.errors import InvalidArgument
from perdure.kernel.ids import ExecutionKind
from perdure.kernel.limits import Limits
from perdure.kernel.namespace import Namespace
from perdure.kernel.persistence.visibility import SCHEDULE_INFO, VisibilityRecord, VisibilityStore
from perdure.kernel.visibility import attributes
from perdure.kernel.visibility.parser import parse
from perdure.kernel.visibility.query import And, Attribute, Comparison, Condition, IsNull, Not, Operator, Or, Query

_PAUSED = "TemporalSchedulePaused"
_SCHEDULE_ID = "ScheduleId"
#: What the store calls a schedule's id.
_ID = Attribute("WorkflowId", attributes.KEYWORD)
#: Schedules that have ended are kept for a while, but do not exist any more.
_RUNNING = Comparison(
    Attribute(attributes.EXECUTION_STATUS, attributes.KEYWORD),
    Operator.EQUAL,
    WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_RUNNING,
)
_NO_DIVISION = IsNull(Attribute(attributes.NAMESPACE_DIVISION, attributes.KEYWORD))


class ScheduleLists:
    def __init__(self, store: VisibilityStore, limits: Limits) -> None:
        self._store = store
        self._page_size_max = limits.visibility_page_size_max
        self.handlers: Mapping[str, NamespacedHandler] = {"ListSchedules": self.list, "CountSchedules": self.count}

    async def list(self, rpc: str, call: Call, request: ListSchedulesRequest) -> ListSchedulesResponse:
        asked = request.maximum_page_size
        size = asked if 0 < asked <= self._page_size_max else self._page_size_max
        query = schedule_query(request.query, call.namespace)
        page = await self._store.list(call.namespace.id, query, size, request.next_page_token)
        return ListSchedulesResponse(
            schedules=[_entry(record) for record in page.records], next_page_token=page.next_page_token
        )

    async def count(self, rpc: str, call: Call, request: CountSchedulesRequest) -> CountSchedulesResponse:
        query = schedule_query(request.query, call.namespace)
        total, groups = await self._store.count(call.namespace.id, query)
        response = CountSchedulesResponse(count=total)
        for group in groups:
            values = [group_value(value, by) for value, by in zip(group.values, query.group, strict=True)]
            response.groups.add(count=group.count, group_values=values)
        return response


def schedule_query(text: str, namespace: Namespace) -> Query:
    """A query for schedules, as their callers write it.

    Raises:
        InvalidArgument: it is no query, or speaks of attributes that only workflows have.
    """
    custom = namespace.shown_attributes
    query = parse(text, {**attributes.SCHEDULE, **custom}, stored=namespace.stored_attributes)
    condition = query.condition
    if isinstance(condition, And) and condition.operands[0] == _NO_DIVISION:
        condition = And(condition.operands[1:])
    elif condition == _NO_DIVISION:
        condition = None
    used = [*(_names(condition) if condition else ()), *(each.attribute.name for each in query.order)]
    for name in (*used, *(each.name for each in query.group)):
        if attributes.is_reserved(name) and name != _PAUSED:
            raise InvalidArgument(f'invalid query filter for schedules: cannot filter on "{name}"')
    order = query.order
    if _SCHEDULE_ID not in custom:
        condition = _by_id(condition) if condition else None
        order = tuple(each._replace(attribute=_ID) if each.attribute.name == _SCHEDULE_ID else each for each in order)
    condition = And((_RUNNING, condition)) if condition else _RUNNING
    return replace(query, condition=condition, order=order, kind=ExecutionKind.SCHEDULE)


def _names(condition: Condition) -> Iterator[str]:
    if isinstance(condition, And | Or):
        for operand in condition.operands:
            yield from _names(operand)
    elif isinstance(condition, Not):
        yield from _names(condition.operand)
    else:
        yield condition.attribute.name


def _by_id(condition: Condition) -> Condition:
    """The condition in the store's words."""
    if isinstance(condition, And | Or):
        return replace(condition, operands=tuple(_by_id(operand) for operand in condition.operands))
    if isinstance(condition, Not):
        return Not(_by_id(condition.operand))
    return replace(condition, attribute=_ID) if condition.attribute.name == _SCHEDULE_ID else condition


def _entry(record: VisibilityRecord) -> ScheduleListEntry:
    memo = Memo.FromString(record.memo)
    info = ScheduleListInfo.FromString(memo.fields.pop(SCHEDULE_INFO).data) if SCHEDULE_INFO in memo.fields else None
    found_by = SearchAttributes.FromString(record.indexed_fields)
    return ScheduleListEntry(
        schedule_id=record.workflow_id,
        memo=memo,
        search_attributes=found_by if found_by.indexed_fields else None,
        info=info,
    )
