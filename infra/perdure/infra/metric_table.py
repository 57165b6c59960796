"""Every metric that a process can export, and the page that documents them: `python -m perdure.infra.metric_table`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from perdure.frontend import metrics as frontend
from perdure.history import metrics as history
from perdure.infra.cluster import metrics as cluster
from perdure.infra.postgres import database
from perdure.infra.tenancy import metrics as tenancy
from perdure.kernel.metrics import OTHER, SERIES_MAX, STICKY, Family
from perdure.matching import metrics as matching

SECTIONS: Mapping[str, Sequence[Family]] = {
    "Gateway": frontend.FAMILIES,
    "History": history.FAMILIES,
    "Matching": matching.FAMILIES,
    "Cluster": cluster.FAMILIES,
    "Databases": database.FAMILIES,
    "Tenants": tenancy.FAMILIES,
}

_INTRODUCTION = f"""\
# Metrics

Every process serves what its roles count on `/metrics` of its HTTP port, in Prometheus' text format. Made by
`python -m perdure.infra.metric_table`; a test compares. The last column is what the well-known server calls the same
thing, as far as it has it, for those who bring dashboards along.

- Histograms come as `_bucket`, `_sum` and `_count`; they are in seconds unless they are sizes.
- A family has at most {SERIES_MAX:,} sets of labels in a process. What is beyond is counted in one more, whose labels
  are all `{OTHER}`. Namespaces that do not exist are counted without a name.
- Sticky queues, which workers make up, are the queue `{STICKY}`: polls that succeed there used a worker's cache.
- `process_*` are those of the Prometheus client library.
- Commits per workflow: `sum(rate(perdure_commits_total[1m])) / sum(rate(perdure_workflow_started_total[1m]))`.
"""


def families() -> Iterable[Family]:
    for section in SECTIONS.values():
        yield from section


def page() -> str:
    """docs/metrics.md."""
    parts = [_INTRODUCTION]
    for title, section in SECTIONS.items():
        rows = "\n".join(_row(family) for family in section)
        parts.append(f"## {title}\n\n| name | kind | labels | meaning | elsewhere |\n|---|---|---|---|---|\n{rows}\n")
    return "\n".join(parts)


def _row(family: Family) -> str:
    labels = ", ".join(family.labels)
    counterpart = ", ".join(f"`{name.strip()}`" for name in family.counterpart.split(",") if name)
    return f"| `{family.exported_name}` | {family.kind} | {labels} | {family.help} | {counterpart} |"


if __name__ == "__main__":
    print(page(), end="")
