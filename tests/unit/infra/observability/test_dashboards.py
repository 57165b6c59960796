"""Dashboards and alerts ask for what there is."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from perdure.infra import metric_table
from perdure.infra.settings import Settings
from perdure.kernel.metrics import Kind
from tests.unit.infra.observability.promql import BadQuery, Selector, grouping, selectors

FOLDER = Path(__file__).parents[4] / "infra" / "observability"
DASHBOARDS = sorted((FOLDER / "grafana" / "dashboards").glob("*.json"))

FAMILIES = {family.exported_name: family for family in metric_table.families()}
#: What Prometheus and its client library add.
OTHERS = {"up", "process_cpu_seconds_total", "process_resident_memory_bytes"}
OTHER_LABELS = {"instance", "job", "le"}
DURATION = re.compile(r"\d+[smh]")


def rules() -> list[dict[str, Any]]:
    groups = yaml.safe_load((FOLDER / "alerts.yaml").read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def queries() -> Iterator[tuple[str, str]]:
    """Every query, and where it is from."""
    for path in DASHBOARDS:
        for panel in json.loads(path.read_text())["panels"]:
            for target in panel["targets"]:
                yield f"{path.stem}: {panel['title']}", target["expr"]
    for rule in rules():
        yield rule["alert"], rule["expr"]


def labels_of(selector: Selector) -> set[str]:
    """The labels of the metric, which is one that is exported and asked for as its kind is."""
    if selector.metric in OTHERS:
        return set()
    name, _, suffix = selector.metric.rpartition("_")
    family = FAMILIES.get(selector.metric) or FAMILIES[name]
    if family.kind is Kind.HISTOGRAM:
        assert suffix in ("bucket", "sum", "count")
    else:
        assert family.exported_name == selector.metric
    assert selector.ranged is (family.kind is not Kind.GAUGE)
    return set(family.labels)


@pytest.mark.parametrize("query", [pytest.param(query, id=place) for place, query in queries()])
def test_queries_ask_for_what_is_exported(query: str) -> None:
    found = list(selectors(query))
    assert found
    for selector in found:
        assert {*selector.labels} <= labels_of(selector) | OTHER_LABELS
    assert grouping(query) <= set.union(*map(labels_of, found)) | OTHER_LABELS


@pytest.mark.parametrize("query", ["sum(rate(a[5m])", 'a{b="c" d="e"}', "a{b}", "sam(a)", "a ? b", "a)"])
def test_what_is_no_query_is_found(query: str) -> None:
    with pytest.raises(BadQuery):
        list(selectors(query))


def test_alerts_say_whom_they_concern_and_what_to_do() -> None:
    names = [rule["alert"] for rule in rules()]
    assert len(names) == len(set(names))
    for rule in rules():
        assert rule.keys() == {"alert", "expr", "for", "labels", "annotations"}
        assert DURATION.fullmatch(rule["for"])
        assert rule["labels"]["severity"] in ("page", "ticket")
        assert rule["annotations"].keys() == {"summary", "description"}
        shown = set(re.findall(r"\$labels\.(\w+)", str(rule["annotations"])))
        assert shown <= grouping(rule["expr"]) | OTHER_LABELS


def test_every_family_is_on_a_dashboard_or_in_an_alert() -> None:
    asked = {selector.metric for _, query in queries() for selector in selectors(query)}
    asked |= {metric.rpartition("_")[0] for metric in asked}
    assert FAMILIES.keys() <= asked


def test_dashboards_can_be_told_apart_and_read() -> None:
    boards = [json.loads(path.read_text()) for path in DASHBOARDS]
    assert len({board["uid"] for board in boards}) == len({board["title"] for board in boards}) == len(DASHBOARDS)
    for board in boards:
        assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])
        assert all(panel["description"] for panel in board["panels"])


def test_prometheus_looks_where_the_processes_are() -> None:
    jobs = yaml.safe_load((FOLDER / "prometheus.yaml").read_text())["scrape_configs"]
    targets = {target for job in jobs for group in job.get("static_configs", []) for target in group["targets"]}
    looked_up = {
        f"{name}:{group['port']}" for job in jobs for group in job.get("dns_sd_configs", []) for name in group["names"]
    }
    assert targets == processes_of("compose.yaml")
    assert targets | looked_up == processes_of("compose.yaml") | processes_of("tenants.yaml")


def processes_of(file: str) -> set[str]:
    """Where they show their metrics."""
    services = yaml.safe_load((FOLDER.parent / "compose" / file).read_text())["services"]
    processes = [name for name, service in services.items() if "PERDURE_ROLES" in service.get("environment", {})]
    return {f"{name}:{Settings().listen.http_port}" for name in processes}


def test_prometheus_reads_the_alerts() -> None:
    config = yaml.safe_load((FOLDER / "prometheus.yaml").read_text())
    assert all((FOLDER / name).exists() for name in config["rule_files"])
    assert all(job["job_name"].startswith("perdure-") for job in config["scrape_configs"])
