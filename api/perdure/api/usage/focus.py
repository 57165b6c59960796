"""PURE: a billing report: usage as rows with the columns of the FinOps Open Cost and Usage Specification (FOCUS).

What it costs is no part of it yet, so the columns of costs are missing rather than zero.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import NamedTuple

from perdure.api.usage.reading import Used

COLUMNS = (
    "BillingAccountId",
    "BillingPeriodStart",
    "BillingPeriodEnd",
    "ChargePeriodStart",
    "ChargePeriodEnd",
    "ChargeCategory",
    "ChargeDescription",
    "ProviderName",
    "ServiceCategory",
    "ServiceName",
    "RegionId",
    "ResourceId",
    "ResourceName",
    "ResourceType",
    "SkuId",
    "SkuMeter",
    "ConsumedQuantity",
    "ConsumedUnit",
    "Tags",
)
_GIGABYTE_HOUR = 10**9 * 3600


class Period(NamedTuple):
    """In hours since the Unix epoch: what was used within it is one row for each meter."""

    from_hour: int
    until_hour: int


class NamespaceUsage(NamedTuple):
    """What a namespace used in a period."""

    name: str
    id: str
    region: str
    tags: Mapping[str, str]
    period: Period
    used: Used


class _Meter(NamedTuple):
    sku: str
    meter: str
    description: str
    quantity: str
    unit: str


def header() -> str:
    return _lines([COLUMNS])


def lines(account_id: str, usages: Iterable[NamespaceUsage]) -> str:
    """The rows of what was used at all."""
    return _lines(
        _row(account_id, usage, meter) for usage in usages for meter in _meters(usage.used) if meter.quantity != "0"
    )


def _meters(used: Used) -> tuple[_Meter, ...]:
    return (
        _Meter("actions", "Actions", "Actions", str(used.actions), "Actions"),
        _Meter(
            "storage:active", "Active Storage", "Histories of open executions", *_gigabyte_hours(used.active_byte_s)
        ),
        _Meter(
            "storage:retained",
            "Retained Storage",
            "Histories of closed executions",
            *_gigabyte_hours(used.retained_byte_s),
        ),
    )


def _gigabyte_hours(byte_s: int) -> tuple[str, str]:
    return (f"{byte_s / _GIGABYTE_HOUR:.12f}".rstrip("0").rstrip(".") or "0", "GB-Hours")


def _row(account_id: str, usage: NamespaceUsage, meter: _Meter) -> tuple[str, ...]:
    start, end = _time(usage.period.from_hour), _time(usage.period.until_hour)
    return (
        account_id,
        _iso(_month(start)),
        _iso(_next_month(start)),
        _iso(start),
        _iso(end),
        "Usage",
        meter.description,
        "Perdure",
        "Compute",
        "Durable Execution",
        usage.region,
        usage.id,
        usage.name,
        "Namespace",
        meter.sku,
        meter.meter,
        meter.quantity,
        meter.unit,
        json.dumps(dict(usage.tags), sort_keys=True),
    )


def _lines(rows: Iterable[tuple[str, ...]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()


def _time(hour: int) -> datetime:
    return datetime.fromtimestamp(hour * 3600, UTC)


def _month(time: datetime) -> datetime:
    return time.replace(day=1, hour=0)


def _next_month(time: datetime) -> datetime:
    return time.replace(year=time.year + time.month // 12, month=time.month % 12 + 1, day=1, hour=0)


def _iso(time: datetime) -> str:
    return f"{time:%Y-%m-%dT%H:%M:%SZ}"


def periods(from_hour: int, until_hour: int, granularity: str) -> list[Period]:
    """Hours, days or months from one to the other; `granularity` is "hour", "day" or "month"."""
    found: list[Period] = []
    hour = from_hour
    while hour < until_hour:
        end = min(_end_of(hour, granularity), until_hour)
        found.append(Period(hour, end))
        hour = end
    return found


def _end_of(hour: int, granularity: str) -> int:
    if granularity == "hour":
        return hour + 1
    if granularity == "day":
        return hour // 24 * 24 + 24
    return int(_next_month(_time(hour)).timestamp()) // 3600
