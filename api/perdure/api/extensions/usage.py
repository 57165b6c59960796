"""What a namespace has used, by kind of action and type of workflow."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from perdure.api.calls import ControlCall, Method, at_namespace
from perdure.api.protos import extensions_pb2 as api
from perdure.api.resources import usage
from perdure.api.resources.audit_logs import instant
from perdure.kernel.clock import SECOND_NS
from perdure.kernel.errors import InvalidArgument
from perdure.kernel.namespace import DAY_NS

_HOUR_NS: Final = 3600 * SECOND_NS
_DAY_HOURS: Final = 24


async def _breakdown(call: ControlCall, request: api.GetUsageBreakdownRequest) -> api.GetUsageBreakdownResponse:
    this_hour = call.now_ns // _HOUR_NS
    first, end = usage.month_start(call.now_ns // DAY_NS) * _DAY_HOURS, this_hour + 1
    if request.HasField("start_time_inclusive"):
        first = _hour(instant(request.start_time_inclusive, "start_time_inclusive"), "start_time_inclusive")
    if request.HasField("end_time_exclusive"):
        end = _hour(instant(request.end_time_exclusive, "end_time_exclusive"), "end_time_exclusive")
    if first < this_hour - usage.DAYS_MAX * _DAY_HOURS:
        raise InvalidArgument(f"start_time_inclusive: must be within the last {usage.DAYS_MAX} days.")
    if not first < end <= this_hour + 1:
        raise InvalidArgument("end_time_exclusive: must be after start_time_inclusive, and not after the present hour.")
    found = await usage.breakdown(call, request.namespace, first, end)
    return api.GetUsageBreakdownResponse(
        used=[
            api.UsedActions(action=kind.action, type=kind.type, count=times)
            for kind, times in sorted(found.times.items(), key=lambda each: (-each[1], each[0]))
        ]
    )


def _hour(instant_ns: int, field: str) -> int:
    if instant_ns % _HOUR_NS:
        raise InvalidArgument(f"{field}: must be a full hour, in UTC.")
    return instant_ns // _HOUR_NS


METHODS: Mapping[str, Method] = {"GetUsageBreakdown": Method(_breakdown, at_namespace)}
