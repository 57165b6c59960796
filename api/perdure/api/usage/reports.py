"""Makes the files of billing reports, and gives them to whoever has a signed address."""

from __future__ import annotations

import zlib
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any
from urllib.parse import parse_qs

from temporalio.api.cloud.billing.v1 import BillingReportSpec
from temporalio.api.cloud.namespace.v1 import NamespaceSpec

from perdure.api.data import ControlDatabase, Transaction
from perdure.api.data.tables import BillingFileRow, ResourceRow
from perdure.api.operations import Outcome, Step, Work
from perdure.api.resources import billing_reports, kinds
from perdure.api.resources.rows import ACTIVE, spec_of
from perdure.api.usage import focus, reading
from perdure.api.usage.focus import NamespaceUsage, Period
from perdure.kernel.clock import MILLISECOND_NS, Clock
from perdure.kernel.persistence.usage import UsageStore

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


def steps(database: ControlDatabase, usage: UsageStore) -> Mapping[str, Step]:
    """What `OperationRunner` does for reports."""

    async def make(work: Work) -> Outcome:
        row = work.resource
        content = (await _content(database, usage, row, work.now_ns)).encode()

        async def is_made(transaction: Transaction, row: ResourceRow) -> None:
            row.state = ACTIVE
            row.details = {**row.details, "size": len(content), "generated_at_ns": work.now_ns}
            await transaction.put_billing_file(
                BillingFileRow(
                    id=row.id, size=len(content), compressed=zlib.compress(content), created_at_ns=work.now_ns
                )
            )

        return is_made

    return {"CreateBillingReport": make}


async def _content(database: ControlDatabase, usage: UsageStore, report: ResourceRow, now_ns: int) -> str:
    spec = spec_of(report, BillingReportSpec)
    periods = focus.periods(*billing_reports.hours_of(spec), billing_reports.grain_of(spec).name)
    async with database.reading() as transaction:
        namespaces = [
            *await transaction.resources(report.account_id, kinds.NAMESPACE),
            *await transaction.resources(report.account_id, kinds.DELETED_NAMESPACE),
            *await transaction.resources(report.account_id, kinds.PAST_NAMESPACE),
        ]
    lines = [focus.lines(report.account_id, await _usages(usage, each, periods, now_ns)) for each in namespaces]
    return "".join([focus.header(), *lines])


async def _usages(
    usage: UsageStore, namespace: ResourceRow, periods: list[Period], now_ns: int
) -> list[NamespaceUsage]:
    namespace_id, region = namespace.details["namespace_id"], spec_of(namespace, NamespaceSpec).replicas[0].region
    name = namespace.details.get("name", namespace.id)
    hours = await reading.by_hour(
        usage, namespace_id, periods[0].from_hour, periods[-1].until_hour, now_ns // MILLISECOND_NS
    )
    return [
        NamespaceUsage(name, namespace_id, region, namespace.details["tags"], period, reading.sum_of(hours, *period))
        for period in periods
    ]


class BillingDownloads:
    """An ASGI application, to be mounted at `billing_reports.PATH` of the console's address."""

    def __init__(self, database: ControlDatabase, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        content = await self._find(scope)
        if content is None:
            # Nobody is told whether there is such a report.
            await _answer(send, 404, b"text/plain", b"There is nothing at this address, or not any more.\n")
        else:
            await _answer(send, 200, b"text/csv; charset=utf-8", content, head=scope["method"] == "HEAD")

    async def _find(self, scope: Scope) -> bytes | None:
        report_id, dot, kind = scope["path"].rpartition("/")[2].partition(".")
        if scope["method"] not in ("GET", "HEAD") or (dot, kind) != (".", "csv"):
            return None
        asked = parse_qs(scope["query_string"].decode("latin-1"), max_num_fields=10)
        expires, signature = asked.get("expires", [""])[0], asked.get("signature", [""])[0]
        async with self._database.reading() as transaction:
            row = await transaction.resource(kinds.BILLING_REPORT, report_id)
            if row is None or not billing_reports.may_fetch(row, expires, signature, self._clock.now_ns()):
                return None
            file = await transaction.billing_file(report_id)
        return None if file is None else zlib.decompress(file.compressed)


async def _answer(send: Send, status: int, kind: bytes, body: bytes, *, head: bool = False) -> None:
    headers = [
        (b"content-type", kind),
        (b"content-length", str(len(body)).encode()),
        (b"content-disposition", b"attachment"),
        (b"cache-control", b"no-store"),
        (b"x-content-type-options", b"nosniff"),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if head else body})
