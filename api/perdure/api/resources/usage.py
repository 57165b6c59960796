"""What an account has used, by day and namespace, and how near its namespaces are to their limits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import NamedTuple

from temporalio.api.cloud.cloudservice.v1 import GetUsageRequest, GetUsageResponse
from temporalio.api.cloud.usage.v1 import GroupBy, GroupByKey, Record, RecordGroup, RecordType, RecordUnit

from perdure.api.calls import ControlCall, Method, at_account
from perdure.api.resources import kinds, rows
from perdure.api.resources.audit_logs import instant
from perdure.api.resources.paging import pages
from perdure.api.usage import reading
from perdure.api.usage.reading import Breakdown, Used
from perdure.kernel.clock import MILLISECOND_NS, SECOND_NS
from perdure.kernel.errors import FailedPrecondition, InvalidArgument
from perdure.kernel.namespace import DAY_NS
from perdure.kernel.persistence.usage import UsageStore

DAYS_MAX = 90
#: Each costs some reading, so a page has no more than that.
_PAGE_MAX = 100
_DAY_HOURS = 24
_EPOCH = date(1970, 1, 1)


class UsedNamespace(NamedTuple):
    """By its name, which another may have had before, and its id, which is its own."""

    name: str
    id: str


class _Item(NamedTuple):
    day: int
    namespace: UsedNamespace


async def _get(call: ControlCall, request: GetUsageRequest) -> GetUsageResponse:
    store = store_of(call)
    today = call.now_ns // DAY_NS
    first, end = _days(request, today)
    namespaces = await namespaces_of(call, first * DAY_NS)
    items = [_Item(day, namespace) for day in range(first, end) for namespace in namespaces]

    async def read(after: str, limit: int) -> Sequence[_Item]:
        return [item for item in items if _key(item) > after][:limit]

    size = min(rows.page_size(request), _PAGE_MAX)
    found, token = await pages(call, request, read, _key, lambda item: True, size)
    response = GetUsageResponse(next_page_token=token)
    for item in found:
        hour = item.day * _DAY_HOURS
        used = await reading.total(store, item.namespace.id, hour, hour + _DAY_HOURS, call.now_ns // MILLISECOND_NS)
        start_s = item.day * DAY_NS // SECOND_NS
        if not response.summaries or response.summaries[-1].start_time.seconds != start_s:
            summary = response.summaries.add(incomplete=item.day >= today)
            summary.start_time.FromSeconds(start_s)
            summary.end_time.FromSeconds(start_s + DAY_NS // SECOND_NS)
        response.summaries[-1].record_groups.append(_group(item.namespace, used))
    return response


async def breakdown(call: ControlCall, namespace: str, from_hour: int, until_hour: int) -> Breakdown:
    """By action and type of workflow, for who may see usage of the namespace.

    Raises:
        NotFound: there is no such namespace in the caller's account.
        InvalidArgument: these are too many hours.
        FailedPrecondition, StoreError: usage cannot be read.
    """
    row = await rows.find(call, kinds.NAMESPACE, namespace, field="namespace")
    if not 0 <= until_hour - from_hour <= DAYS_MAX * _DAY_HOURS:
        raise InvalidArgument(f"hours: at most {DAYS_MAX} days can be looked at at once.")
    return await reading.breakdown(store_of(call), row.details["namespace_id"], from_hour, until_hour)


async def namespaces_of(call: ControlCall, since_ns: int) -> list[UsedNamespace]:
    """Those that the account has, or has had since then, in the order of their names."""
    found = [
        UsedNamespace(row.id, row.details["namespace_id"])
        for row in await call.transaction.resources(call.account_id, kinds.NAMESPACE)
    ]
    found += [
        UsedNamespace(row.details["name"], row.details["namespace_id"])
        for kind in (kinds.DELETED_NAMESPACE, kinds.PAST_NAMESPACE)
        for row in await call.transaction.resources(call.account_id, kind)
        if kind == kinds.DELETED_NAMESPACE or row.modified_at_ns >= since_ns
    ]
    return sorted(found)


def store_of(call: ControlCall) -> UsageStore:
    """Raises FailedPrecondition: this process cannot read usage."""
    if call.usage is None:
        raise FailedPrecondition("Usage cannot be read here.")
    return call.usage


def _days(request: GetUsageRequest, today: int) -> tuple[int, int]:
    start_ns = instant(request.start_time_inclusive, "start_time_inclusive")
    end_ns = instant(request.end_time_exclusive, "end_time_exclusive")
    for field, time_ns in (("start_time_inclusive", start_ns), ("end_time_exclusive", end_ns)):
        if time_ns % DAY_NS:
            raise InvalidArgument(f"{field}: must be midnight, in UTC.")
    first = start_ns // DAY_NS if request.HasField("start_time_inclusive") else month_start(today)
    end = end_ns // DAY_NS if request.HasField("end_time_exclusive") else today + 1
    if first < today - DAYS_MAX:
        raise InvalidArgument(f"start_time_inclusive: must be within the last {DAYS_MAX} days.")
    if not first < end <= today + 1:
        raise InvalidArgument(
            "end_time_exclusive: must be after start_time_inclusive, and not after the next midnight."
        )
    return first, end


def month_start(day: int) -> int:
    """The first day of the month of a day, both as days since the Unix epoch."""
    return ((_EPOCH + timedelta(days=day)).replace(day=1) - _EPOCH).days


def _key(item: _Item) -> str:
    return f"{item.day:06} {item.namespace.name} {item.namespace.id}"


def _group(namespace: UsedNamespace, used: Used) -> RecordGroup:
    amounts = (
        (RecordType.RECORD_TYPE_ACTIONS, RecordUnit.RECORD_UNIT_NUMBER, used.actions),
        (RecordType.RECORD_TYPE_ACTIVE_STORAGE, RecordUnit.RECORD_UNIT_BYTE_SECONDS, used.active_byte_s),
        (RecordType.RECORD_TYPE_RETAINED_STORAGE, RecordUnit.RECORD_UNIT_BYTE_SECONDS, used.retained_byte_s),
    )
    return RecordGroup(
        group_bys=[GroupBy(key=GroupByKey.GROUP_BY_KEY_NAMESPACE, value=namespace.name)],
        records=[Record(type=kind, unit=unit, value=value) for kind, unit, value in amounts],
    )


METHODS: Mapping[str, Method] = {"GetUsage": Method(_get, at_account)}
