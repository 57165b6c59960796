"""What was used: by the day, in a report, and as a limit."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from perdure.api.purging import DeletedNamespaces
from perdure.api.resources import usage
from perdure.api.resources.endpoints import NamespaceEndpoints
from perdure.api.usage.capacity import Rates, on_demand_limit, rates_of
from perdure.api.usage.floating import FloatingLimits
from perdure.api.usage.focus import Period, periods
from perdure.api.usage.reading import Kind
from perdure.kernel import errors
from perdure.kernel.clock import VirtualClock
from perdure.kernel.ids import NamespaceName
from perdure.kernel.namespace import DAY_NS
from perdure.kernel.news import LocalNews
from perdure.kernel.persistence.usage import HOUR_NS
from tests.support.control_plane import ControlBench, Owner

NAMESPACE = {"name": "orders", "apiKeyAuth": {"enabled": True}}
GIGABYTE = 10**9


def _today(bench: ControlBench) -> int:
    return bench.runtime.clock.now_ns() // DAY_NS


def _day(day: int) -> str:
    time = Timestamp()
    time.FromNanoseconds(day * DAY_NS)
    return str(time.ToJsonString())


async def _namespace(bench: ControlBench, owner: Owner, name: str = "orders", **fields: Any) -> tuple[str, str]:
    """A name and an id."""
    made = await bench.done(owner.token, "CreateNamespace", {"spec": {**NAMESPACE, "name": name}, **fields})
    namespace = (await bench.call(owner.token, "GetNamespace", {"namespace": made.namespace})).namespace
    return made.namespace, namespace.replicas[0].id


async def test_usage_is_added_up_by_day_and_namespace(bench: ControlBench) -> None:
    owner, stranger = await bench.account(), await bench.account("stranger@example.com")
    (one, one_id), (two, two_id) = await _namespace(bench, owner, "one"), await _namespace(bench, owner, "two")
    yesterday = _today(bench) - 1
    hour = yesterday * 24
    bench.usage.count(one_id, hour, "start_workflow", 2)
    bench.usage.count(one_id, hour + 23, "start_workflow", 3, "Other")
    bench.usage.count(one_id, hour - 1, "start_workflow", 100)
    bench.usage.count(two_id, hour + 5, "schedule_workflow", 4)
    bench.usage.keep(one_id, hour + 12, GIGABYTE, 10)
    asked = {"startTimeInclusive": _day(yesterday), "endTimeExclusive": _day(yesterday + 1)}
    (summary,) = (await bench.call(owner.token, "GetUsage", asked)).summaries
    assert not summary.incomplete
    assert (summary.start_time.ToJsonString(), summary.end_time.ToJsonString()) == (
        _day(yesterday),
        _day(yesterday + 1),
    )
    found = {
        group.group_bys[0].value: [(record.type, record.unit, record.value) for record in group.records]
        for group in summary.record_groups
    }
    assert found == {
        one: [(1, 1, 5), (2, 2, GIGABYTE * 12 * 3600), (3, 2, 10 * 12 * 3600)],
        two: [(1, 1, 4), (2, 2, 0), (3, 2, 0)],
    }
    assert not (await bench.call(stranger.token, "GetUsage", asked)).summaries


async def test_usage_is_paged_by_day_and_namespace(bench: ControlBench) -> None:
    owner = await bench.account()
    for name in ("a1", "b2", "c3"):
        await _namespace(bench, owner, name)
    today = _today(bench)
    asked = {"startTimeInclusive": _day(today - 1), "pageSize": 2}
    found, incomplete, token = [], set(), ""
    while True:
        page = await bench.call(owner.token, "GetUsage", {**asked, "pageToken": token})
        assert sum(len(summary.record_groups) for summary in page.summaries) <= 2
        for summary in page.summaries:
            if summary.incomplete:
                incomplete.add(summary.start_time.ToJsonString())
            found += [
                (summary.start_time.ToJsonString(), group.group_bys[0].value[:2]) for group in summary.record_groups
            ]
        if not (token := page.next_page_token):
            break
    assert found == [(_day(day), name) for day in (today - 1, today) for name in ("a1", "b2", "c3")]
    assert incomplete == {_day(today)}


async def test_a_deleted_namespace_has_used_what_it_has(bench: ControlBench) -> None:
    owner = await bench.account()
    name, namespace_id = await _namespace(bench, owner)
    bench.usage.count(namespace_id, _today(bench) * 24, "start_workflow", 7)
    version = (await bench.call(owner.token, "GetNamespace", {"namespace": name})).namespace.resource_version
    await bench.done(owner.token, "DeleteNamespace", {"namespace": name, "resourceVersion": version})
    summaries = (await bench.call(owner.token, "GetUsage", {"startTimeInclusive": _day(_today(bench))})).summaries
    assert [group.records[0].value for group in summaries[0].record_groups] == [7]
    # Also when it has gone for good.
    later = VirtualClock(bench.runtime.clock.now_ns() + 8 * DAY_NS)
    gone = DeletedNamespaces(bench.database, bench.data_plane, later)
    assert (await gone.purge(), await gone.forget()) == (1, 0)
    again = (await bench.call(owner.token, "GetUsage", {"startTimeInclusive": _day(_today(bench))})).summaries
    assert again == summaries
    later.advance(400 * DAY_NS)
    assert (await gone.purge(), await gone.forget()) == (0, 0)
    later.advance(10 * DAY_NS)
    assert await gone.forget() == 1


@pytest.mark.parametrize(
    ("start", "end", "field"),
    [
        (-91, 0, "start_time_inclusive"),
        (0.5, 1, "start_time_inclusive"),
        (0, 0, "end_time_exclusive"),
        (0, 2, "end_time_exclusive"),
        (-1, 0.25, "end_time_exclusive"),
    ],
)
async def test_usage_is_of_whole_days_of_the_last_quarter(
    bench: ControlBench, start: float, end: float, field: str
) -> None:
    owner = await bench.account()
    bounds = {"startTimeInclusive": start, "endTimeExclusive": end}
    request = {}
    for name, day in bounds.items():
        time = Timestamp()
        time.FromNanoseconds(int((_today(bench) + day) * DAY_NS))
        request[name] = time.ToJsonString()
    with pytest.raises(errors.InvalidArgument, match=field):
        await bench.call(owner.token, "GetUsage", request)


async def test_usage_by_action_and_type(bench: ControlBench) -> None:
    owner = await bench.account()
    name, namespace_id = await _namespace(bench, owner)
    bench.usage.count(namespace_id, 100, "start_workflow", 2, "Order")
    bench.usage.count(namespace_id, 101, "start_workflow", 1, "Order")
    bench.usage.count(namespace_id, 101, "start_timer", 5, "Refund")
    async with bench.own_call(owner) as call:
        found = await usage.breakdown(call, name, 100, 102)
    assert found.times == {Kind("start_workflow", "Order"): 3, Kind("start_timer", "Refund"): 5}
    assert found.by_action() == {"start_workflow": 3, "start_timer": 5}
    assert found.by_type() == {"Order": 3, "Refund": 5}


# Billing reports


async def _fetch(bench: ControlBench, url: str) -> tuple[int, bytes]:
    parts = urlsplit(url)
    sent: list[Mapping[str, Any]] = []

    async def send(message: Mapping[str, Any]) -> None:
        sent.append(message)

    async def receive() -> dict[str, Any]:
        raise AssertionError("a GET has no body")

    scope = {"type": "http", "method": "GET", "path": parts.path, "query_string": parts.query.encode()}
    await bench.control_plane.downloads(scope, receive, send)
    return sent[0]["status"], sent[1]["body"]


async def _report(bench: ControlBench, owner: Owner, spec: Mapping[str, Any]) -> Any:
    made = await bench.done(owner.token, "CreateBillingReport", {"spec": spec})
    asked = {"billingReportId": made.billing_report_id}
    return (await bench.call(owner.token, "GetBillingReport", asked)).billing_report


async def test_a_report_is_fetched_where_the_pages_are_without_a_console(
    bench: ControlBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner, yesterday = await bench.account(), _today(bench) - 1
    for service in bench.control_plane._services.values():
        there = replace(service._parts, endpoints=lambda: NamespaceEndpoints(pages="https://pages.example"))
        monkeypatch.setattr(service, "_parts", there)
    bounds = {"startTimeInclusive": _day(yesterday), "endTimeExclusive": _day(yesterday + 1)}
    (download,) = (await _report(bench, owner, bounds)).download_info
    assert download.url.startswith("https://pages.example/billing-reports/")


async def test_a_report_is_made_and_fetched(bench: ControlBench) -> None:
    owner = await bench.account()
    name, namespace_id = await _namespace(bench, owner, tags={"team": "checkout"})
    yesterday = _today(bench) - 1
    bench.usage.count(namespace_id, yesterday * 24 + 3, "start_workflow", 41)
    bench.usage.count(namespace_id, yesterday * 24 + 4, "start_timer", 1)
    bench.usage.keep(namespace_id, yesterday * 24, 2 * GIGABYTE)
    bounds = {"startTimeInclusive": _day(yesterday), "endTimeExclusive": _day(yesterday + 1)}
    report = await _report(bench, owner, {**bounds, "granularity": "BILLING_REPORT_GRANULARITY_DAILY"})
    assert report.state == report.BILLING_REPORT_STATE_GENERATED
    (download,) = report.download_info
    assert download.url.startswith("https://console.example/billing-reports/")
    status, body = await _fetch(bench, download.url)
    assert (status, len(body)) == (200, download.file_size_bytes)
    actions, active = csv.DictReader(io.StringIO(body.decode()))
    assert (actions["SkuMeter"], actions["ConsumedQuantity"], actions["ConsumedUnit"]) == ("Actions", "42", "Actions")
    assert (actions["ResourceName"], actions["BillingAccountId"]) == (name, owner.account_id)
    assert actions["Tags"] == '{"team": "checkout"}'
    assert actions["ChargePeriodStart"] == _day(yesterday)
    assert (active["SkuMeter"], active["ConsumedQuantity"], active["ConsumedUnit"]) == (
        "Active Storage",
        "48",
        "GB-Hours",
    )
    hourly = await _report(bench, owner, {**bounds, "granularity": "BILLING_REPORT_GRANULARITY_HOURLY"})
    lines = list(csv.DictReader(io.StringIO((await _fetch(bench, hourly.download_info[0].url))[1].decode())))
    assert [line["ConsumedQuantity"] for line in lines if line["SkuMeter"] == "Actions"] == ["41", "1"]


async def test_an_address_of_a_report_is_good_for_itself_and_for_a_while(bench: ControlBench) -> None:
    owner = await bench.account()
    report = await _report(bench, owner, {"startTimeInclusive": _day(_today(bench) - 1)})
    other = await _report(bench, owner, {"startTimeInclusive": _day(_today(bench) - 1)})
    url = report.download_info[0].url
    assert (await _fetch(bench, url))[0] == 200
    expires = url.partition("expires=")[2].partition("&")[0]
    for wrong in (
        url.replace(report.id, other.id),
        url.replace(expires, str(int(expires) + 1)),
        url.replace("expires=", "expires=x"),
        url[:-1] + ("0" if url[-1] != "0" else "1"),
        url.partition("?")[0],
        url.replace("signature=", "signature=%ff"),
        url.replace(".csv", ".zip"),
    ):
        assert (await _fetch(bench, wrong))[0] == 404, wrong
    stranger = await bench.account("stranger@example.com")
    with pytest.raises(errors.NotFound):
        await bench.call(stranger.token, "GetBillingReport", {"billingReportId": report.id})


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        ({"startTimeInclusive": "2001-01-01T00:00:00Z"}, "start_time_inclusive"),
        ({"startTimeInclusive": "2001-01-01T00:30:00Z"}, "start_time_inclusive"),
        ({"endTimeExclusive": "2200-01-01T00:00:00Z"}, "end_time_exclusive"),
        ({"downloadUrlExpirationDuration": "3601s"}, "expiration_duration"),
        ({"granularity": 17}, "granularity"),
        ({"description": "x" * 1000}, "description"),
    ],
)
async def test_what_cannot_be_a_report(bench: ControlBench, spec: dict[str, Any], field: str) -> None:
    owner = await bench.account()
    with pytest.raises(errors.InvalidArgument, match=field):
        await bench.call(owner.token, "CreateBillingReport", {"spec": spec})


def test_periods_end_with_their_months() -> None:
    # 1970: January has 744 hours, February 672.
    assert periods(0, 800, "month") == [Period(0, 744), Period(744, 800)]
    assert periods(20, 50, "day") == [Period(20, 24), Period(24, 48), Period(48, 50)]
    assert periods(7, 9, "hour") == [Period(7, 8), Period(8, 9)]


# Capacity


def test_the_limit_follows_what_was_used() -> None:
    assert on_demand_limit(rates_of([])) == 500
    assert on_demand_limit(rates_of([10.0] * 168)) == 500
    # Twice the 90th percentile is less than four times the mean.
    assert on_demand_limit(rates_of([1000.0] * 168)) == 2000
    # A short peak does not lift the mean.
    assert on_demand_limit(Rates(mean=200, p90=2000, p99=3000)) == 800
    assert rates_of([float(number) for number in range(1, 101)]) == (50.5, 90, 99)


async def test_limits_float_and_gateways_are_told(bench: ControlBench) -> None:
    owner = await bench.account()
    name, namespace_id = await _namespace(bench, owner)
    hour = bench.runtime.clock.now_ns() // HOUR_NS
    for past in range(1, 169):
        bench.usage.count(namespace_id, hour - past, "start_workflow", 1000 * 3600)
        # What happens in the background counts towards no limit.
        bench.usage.count(namespace_id, hour - past, "schedule_workflow", 10**9)
    info = (await bench.call(owner.token, "GetNamespaceCapacityInfo", {"namespace": name})).capacity_info
    assert (info.stats.aps.mean, info.stats.aps.p90, info.stats.aps.p99) == (1000, 1000, 1000)
    assert info.mode_options.on_demand.aps_limit == 2000
    floating = FloatingLimits(bench.database, bench.usage, bench.runtime.clock, LocalNews())
    assert await floating.follow() == 1
    assert await floating.follow() == 0
    await bench.access.watch.look()
    record = bench.access.view.namespaces[NamespaceName(name)].record
    assert record.limits == {"limit.actionsPerSecond": 2000}
    namespace = (await bench.call(owner.token, "GetNamespace", {"namespace": name})).namespace
    assert namespace.limits.actions_per_second_limit == 2000
    # Whoever changes the namespace does not lose it.
    update = {
        "namespace": name,
        "spec": {**NAMESPACE, "retentionDays": 7},
        "resourceVersion": namespace.resource_version,
    }
    await bench.done(owner.token, "UpdateNamespace", update)
    record = bench.access.view.namespaces[NamespaceName(name)].record
    assert record.limits == {"limit.actionsPerSecond": 2000}
