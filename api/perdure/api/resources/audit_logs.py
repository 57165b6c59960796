"""The audit log, read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from google.protobuf.timestamp_pb2 import Timestamp
from temporalio.api.cloud.cloudservice.v1 import GetAuditLogsRequest, GetAuditLogsResponse

from perdure.api.audit import records
from perdure.api.calls import ControlCall, Method, at_account
from perdure.api.data.tables import AuditRow
from perdure.api.resources import rows
from perdure.api.resources.paging import pages
from perdure.kernel.clock import SECOND_NS
from perdure.kernel.errors import InvalidArgument
from perdure.kernel.namespace import DAY_NS

_DEFAULT_NS = 30 * DAY_NS
_INSTANT_NS_MAX = 2**63 - 1


async def _get(call: ControlCall, request: GetAuditLogsRequest) -> GetAuditLogsResponse:
    from_ns = instant(request.start_time_inclusive, "start_time_inclusive") or call.now_ns - _DEFAULT_NS
    until_ns = instant(request.end_time_exclusive, "end_time_exclusive") or call.now_ns + 1
    if until_ns <= from_ns:
        raise InvalidArgument("end_time_exclusive: must be after start_time_inclusive.")

    async def read(after: str, limit: int) -> Sequence[AuditRow]:
        at, _, record_id = after.partition(" ")
        try:
            position = int(at or 0), record_id
        except ValueError:
            raise InvalidArgument("page_token: is not one of ours.") from None
        return await call.transaction.audit.between(call.account_id, from_ns, until_ns, position, limit)

    found, token = await pages(
        call, request, read, lambda row: f"{row.emitted_at_ns} {row.id}", lambda row: True, rows.page_size(request)
    )
    return GetAuditLogsResponse(logs=[records.shown(row) for row in found], next_page_token=token)


def instant(time: Timestamp, field: str) -> int:
    """In nanoseconds, 0 if it is not given.

    Raises:
        InvalidArgument: it is none.
    """
    instant_ns = time.seconds * SECOND_NS + time.nanos
    if not 0 <= instant_ns <= _INSTANT_NS_MAX or not 0 <= time.nanos < SECOND_NS:
        raise InvalidArgument(f"{field}: is no time.")
    return int(instant_ns)


METHODS: Mapping[str, Method] = {"GetAuditLogs": Method(_get, at_account)}
