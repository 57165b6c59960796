"""Billing reports: usage of an account as a file, made in the background and fetched by an address that expires."""

from __future__ import annotations

import hmac
import re
from collections.abc import Mapping
from typing import NamedTuple

from google.protobuf.timestamp_pb2 import Timestamp
from temporalio.api.cloud.billing.v1 import BillingReport, BillingReportSpec
from temporalio.api.cloud.cloudservice.v1 import (
    CreateBillingReportRequest,
    CreateBillingReportResponse,
    GetBillingReportRequest,
    GetBillingReportResponse,
)
from temporalio.api.cloud.resource.v1 import ResourceState

from perdure.api.calls import ControlCall, Method, at_account
from perdure.api.data.tables import ResourceRow
from perdure.api.resources import kinds, names, rows
from perdure.api.resources.audit_logs import instant
from perdure.api.resources.usage import month_start, store_of
from perdure.kernel.clock import SECOND_NS
from perdure.kernel.errors import InvalidArgument
from perdure.kernel.namespace import DAY_NS
from perdure.kernel.persistence.usage import HOUR_NS

REPORTS_MAX = 100
#: Where files are, below the address of the console.
PATH = "/billing-reports"
_ACTIVATING = int(ResourceState.RESOURCE_STATE_ACTIVATING)
_STATES = {
    _ACTIVATING: BillingReport.BILLING_REPORT_STATE_IN_PROGRESS,
    int(ResourceState.RESOURCE_STATE_ACTIVE): BillingReport.BILLING_REPORT_STATE_GENERATED,
}
_EXPIRATION_S, _EXPIRATION_S_MAX = 300, 3600
_FIELD = "billing_report_id"


class Grain(NamedTuple):
    """What one row is of, and how many months there are of it, with the present one."""

    name: str
    unit_ns: int
    months: int


_GRAINS: Mapping[int, Grain] = {
    BillingReportSpec.BILLING_REPORT_GRANULARITY_HOURLY: Grain("hour", HOUR_NS, 2),
    BillingReportSpec.BILLING_REPORT_GRANULARITY_DAILY: Grain("day", DAY_NS, 3),
    BillingReportSpec.BILLING_REPORT_GRANULARITY_MONTHLY: Grain("month", DAY_NS, 12),
}


async def _create(call: ControlCall, request: CreateBillingReportRequest) -> CreateBillingReportResponse:
    store_of(call)
    spec = _checked(request.spec, call.now_ns)
    reports = await call.transaction.resources(call.account_id, kinds.BILLING_REPORT)
    if len(reports) >= REPORTS_MAX:
        # They can be made again at any time.
        oldest = min(reports, key=lambda row: row.created_at_ns)
        await call.transaction.remove_billing_file(oldest.id)
        await call.transaction.remove(oldest)
    report_id = call.new_id()
    await rows.create(
        call,
        kinds.BILLING_REPORT,
        report_id,
        report_id,
        spec,
        state=_ACTIVATING,
        key=f"{call.entropy.bits(256):064x}",
    )
    call.deferred = True
    return CreateBillingReportResponse(billing_report_id=report_id)


async def _get(call: ControlCall, request: GetBillingReportRequest) -> GetBillingReportResponse:
    row = await rows.find(call, kinds.BILLING_REPORT, request.billing_report_id, field=_FIELD)
    spec = rows.spec_of(row, BillingReportSpec)
    report = BillingReport(
        id=row.id,
        state=_STATES.get(row.state, BillingReport.BILLING_REPORT_STATE_FAILED),
        spec=spec,
        async_operation_id=row.operation_id,
    )
    report.requested_time.FromNanoseconds(row.created_at_ns)
    if report.state == BillingReport.BILLING_REPORT_STATE_GENERATED:
        report.generated_time.FromNanoseconds(row.details["generated_at_ns"])
        expires_s = call.now_ns // SECOND_NS + spec.download_url_expiration_duration.seconds
        download = report.download_info.add(
            url=(call.endpoints.web or call.endpoints.pages) + path_of(row, expires_s),
            file_format=BillingReport.Download.FILE_FORMAT_CSV,
            file_size_bytes=row.details["size"],
        )
        download.url_expiration_time.FromSeconds(expires_s)
    return GetBillingReportResponse(billing_report=report)


def path_of(row: ResourceRow, expires_s: int) -> str:
    """Who has it can fetch the file until then, whoever he is."""
    return f"{PATH}/{row.id}.csv?expires={expires_s}&signature={_signature(row, expires_s)}"


def may_fetch(row: ResourceRow, expires: str, signature: str, now_ns: int) -> bool:
    """Whether these are of an address that we gave out, and that has not expired."""
    if not re.fullmatch(r"[0-9]{1,12}", expires) or not signature.isascii():
        return False
    good = hmac.compare_digest(signature, _signature(row, int(expires)))
    return good and now_ns < int(expires) * SECOND_NS


def _signature(row: ResourceRow, expires_s: int) -> str:
    return hmac.new(bytes.fromhex(row.details["key"]), f"{row.id}\n{expires_s}".encode(), "sha256").hexdigest()


def grain_of(spec: BillingReportSpec) -> Grain:
    return _GRAINS[spec.granularity]


def hours_of(spec: BillingReportSpec) -> tuple[int, int]:
    """From which hour, and until which."""
    return (
        spec.start_time_inclusive.seconds * SECOND_NS // HOUR_NS,
        spec.end_time_exclusive.seconds * SECOND_NS // HOUR_NS,
    )


def _checked(spec: BillingReportSpec, now_ns: int) -> BillingReportSpec:
    result = BillingReportSpec()
    result.CopyFrom(spec)
    names.check_description(spec.description, "spec.description")
    result.granularity = spec.granularity or BillingReportSpec.BILLING_REPORT_GRANULARITY_DAILY
    grain = _GRAINS.get(result.granularity)
    if grain is None:
        raise InvalidArgument(f"spec.granularity: {spec.granularity} is unknown.")
    expiration = spec.download_url_expiration_duration
    if not 0 <= expiration.seconds <= _EXPIRATION_S_MAX or expiration.nanos:
        raise InvalidArgument(
            f"spec.download_url_expiration_duration: must be whole seconds, at most {_EXPIRATION_S_MAX}."
        )
    result.download_url_expiration_duration.seconds = expiration.seconds or _EXPIRATION_S
    today = now_ns // DAY_NS
    start_ns = _bound(result.start_time_inclusive, "spec.start_time_inclusive", month_start(today) * DAY_NS, grain)
    end_ns = _bound(result.end_time_exclusive, "spec.end_time_exclusive", now_ns - now_ns % grain.unit_ns, grain)
    if start_ns < _first_ns(today, grain.months):
        raise InvalidArgument(
            f"spec.start_time_inclusive: reports by the {grain.name} reach back {grain.months} months."
        )
    if not start_ns < end_ns <= now_ns:
        raise InvalidArgument(
            "spec.end_time_exclusive: must be after spec.start_time_inclusive, and not in the future."
        )
    return result


def _bound(time: Timestamp, field: str, otherwise_ns: int, grain: Grain) -> int:
    time_ns = instant(time, field)
    if not time_ns:
        time_ns = otherwise_ns
        time.FromNanoseconds(time_ns)
    if time_ns % grain.unit_ns:
        raise InvalidArgument(
            f"{field}: must be at the full hour, or at midnight in UTC unless the report is by the hour."
        )
    return time_ns


def _first_ns(today: int, months: int) -> int:
    day = month_start(today)
    for _ in range(months - 1):
        day = month_start(day - 1)
    return day * DAY_NS


METHODS: Mapping[str, Method] = {
    "CreateBillingReport": Method(_create, at_account, changes=True),
    "GetBillingReport": Method(_get, at_account),
}
