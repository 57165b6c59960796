from __future__ import annotations

from collections import Counter
from pathlib import Path

from perdure.infra import metric_table
from perdure.kernel.metrics import Kind

ROOT = Path(__file__).parents[3]


def test_the_page_says_what_the_code_says() -> None:
    assert (ROOT / "docs" / "metrics.md").read_text() == metric_table.page(), "python -m perdure.infra.metric_table"


def test_names_are_used_once_and_follow_the_conventions() -> None:
    families = list(metric_table.families())
    assert not [name for name, count in Counter(family.name for family in families).items() if count > 1]
    assert not [family.name for family in families if family.name.endswith("_total")]
    latencies = [family for family in families if "latency" in family.name]
    assert all(family.name.endswith("_seconds") and family.kind is Kind.HISTOGRAM for family in latencies)
