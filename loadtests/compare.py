"""Measures Perdure and the real dev server in turn: `python -m loadtests.compare --help`."""

from __future__ import annotations

import argparse
import os
import platform
import sys
from pathlib import Path

from loadtests.measure import Plan, Round, measure
from loadtests.report import render, write
from loadtests.servers import SERVERS
from loadtests.transitions import PROBES
from loadtests.workloads import WORKLOADS

_NAMES = [*WORKLOADS, *PROBES, "stored"]


def main() -> None:
    """Measure, print the tables, and write them to the file."""
    options = _options()
    servers = list(SERVERS) if options.server == "both" else [options.server]
    plan = Plan(
        names=options.only or _NAMES,
        quick=options.quick,
        stored=options.stored if options.stored is not None else (2_000 if options.quick else 50_000),
        transitions=80 if options.quick else 400,
    )
    rounds: dict[str, list[Round]] = {server: [] for server in servers}
    for number in range(options.rounds if options.rounds else 1 if options.quick else 2):
        # In turn, so that whatever changes on the machine meanwhile meets both.
        for server in servers:
            _say(f"round {number + 1}: {server}")
            rounds[server].append(measure(server, plan, _say))
    report = render(rounds, plan, f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}")
    print(report)
    if options.output is not None:
        write(options.output, report)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--server", choices=[*SERVERS, "both"], default="both")
    parser.add_argument("--only", action="append", choices=_NAMES, help="measure only this; may be given several times")
    parser.add_argument("--quick", action="store_true", help="one round of small sizes: to see that it works")
    parser.add_argument("--rounds", type=int, help="rounds on each server (default 2, or 1 with --quick)")
    parser.add_argument("--stored", type=int, help="workflows to store before the last measurement")
    parser.add_argument("--output", type=Path, help="a file to write the tables to, such as docs/benchmarks.md")
    return parser.parse_args()


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
