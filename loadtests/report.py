"""Rounds to tables: markdown for people and for the docs."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from loadtests.measure import Plan, Round, Sample
from loadtests.transitions import PROBES
from loadtests.workloads import WORKLOADS

Rounds = Mapping[str, Sequence[Round]]

_INTRODUCTION = """\
# Benchmarks

Written by `make bench` (`loadtests/compare.py`). The real dev server (`temporal server start-dev`) keeps everything in
memory; Perdure writes to its SQLite file, and every acknowledgement is on disk. Both are driven by the same worker and
client of the official Python SDK in a process of their own, in turn, on the same machine ({machine}); every figure is
the mean of {rounds} round(s). CPU is that of the server's process tree. A ratio above 1 is in Perdure's favour.
"""


def render(rounds: Rounds, plan: Plan, machine: str) -> str:
    """The whole report. Servers that were not measured have no column."""
    count = max(len(each) for each in rounds.values())
    sections = [
        _INTRODUCTION.format(machine=machine, rounds=count),
        "## Workloads\n\n" + _workloads(rounds),
        "## Process\n\n" + _process(rounds),
        "## Cost of one transition, small and large\n\n" + _flatness(rounds, plan),
    ]
    return "\n".join(section for section in sections if not section.endswith("\n\n")) + "\n"


def _workloads(rounds: Rounds) -> str:
    measures: list[tuple[str, Callable[[Sample], float], str, bool]] = [
        ("{unit}s/s", lambda sample: sample.per_second, ".1f", True),
        ("p50 latency, ms", lambda sample: sample.latency_ms(50), ".1f", False),
        ("p99 latency, ms", lambda sample: sample.latency_ms(99), ".1f", False),
        ("server CPU per {unit}, ms", lambda sample: sample.cpu_ms, ".2f", False),
    ]
    rows = []
    for name, workload in WORKLOADS.items():
        for index, (label, measure, form, more_is_better) in enumerate(measures):
            values = {
                server: [measure(each.workloads[name]) for each in of_server if name in each.workloads]
                for server, of_server in rounds.items()
            }
            if any(values.values()):
                title = workload.title if index == 0 else ""
                rows.append([title, label.format(unit=workload.unit), *_cells(values, form, more_is_better)])
    return _table(["workload", "measure", *_headings(rounds)], rows)


def _process(rounds: Rounds) -> str:
    measures: list[tuple[str, Callable[[Round], float], str]] = [
        ("start to serving, s", lambda each: each.start_to_serving_s, ".2f"),
        ("memory idle, MB", lambda each: each.rss_idle_mb, ".0f"),
        ("memory after the workloads, MB", lambda each: each.rss_after_mb, ".0f"),
    ]
    rows = []
    for label, measure, form in measures:
        values = {server: [measure(each) for each in of_server] for server, of_server in rounds.items()}
        rows.append([label, *_cells(values, form, more_is_better=False)])
    return _table(["measure", *_headings(rounds)], rows)


def _flatness(rounds: Rounds, plan: Plan) -> str:
    titles = {
        name: f"{probe.small:,} and {probe.large // 10 if plan.quick else probe.large:,} {probe.title}"
        for name, probe in PROBES.items()
    }
    titles["stored"] = f"0 and {plan.stored:,} more open workflows stored"
    rows = []
    for name, title in titles.items():
        cells = []
        for of_server in rounds.values():
            pairs = [each.flatness[name] for each in of_server if name in each.flatness]
            if not pairs:
                break
            small = statistics.mean(pair[0].cpu_ms for pair in pairs)
            large = statistics.mean(pair[1].cpu_ms for pair in pairs)
            cells.append(f"{small:.2f} → {large:.2f} ms ({large / small:.2f}x)")
        else:
            rows.append([title, *cells])
    return _table(["with", *rounds], rows) if rows else ""


def _headings(rounds: Rounds) -> list[str]:
    return [*rounds, "ratio"] if len(rounds) == 2 else list(rounds)


def _cells(values: Mapping[str, Sequence[float]], form: str, more_is_better: bool) -> list[str]:
    means = {server: statistics.mean(each) for server, each in values.items() if each}
    cells = [format(means[server], form) if server in means else "" for server in values]
    if len(values) == 2:
        if len(means) == 2 and all(means.values()):
            ratio = means["perdure"] / means["real"] if more_is_better else means["real"] / means["perdure"]
            cells.append(f"{ratio:.1f}x")
        else:
            cells.append("")
    return cells


def _table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [headings, ["---"] * len(headings), *rows]
    return "".join("| " + " | ".join(line) + " |\n" for line in lines) if rows else ""


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
