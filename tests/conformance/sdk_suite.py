"""Runs the official Python SDK's own tests against a fresh server, and counts how many of a list of them pass.

    python -m tests.conformance.sdk_suite LIST CHECKOUT --python INTERPRETER [--server cluster] [FILE ...]

LIST names one test per line, as `module::test`. CHECKOUT is a working copy of the SDK's repository at the version of
the list, INTERPRETER the Python of an environment with that SDK and pytest with its plugins asyncio, timeout and xdist.
The server is `perdure dev`, or a cluster of two processes of each role as `make cluster` starts it.
Prints the listed tests that did not pass, each with the first line of its reason.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ET
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

from loadtests.servers import Command, perdure_command, running
from perdure.kernel.limits import DEVELOPMENT

#: What the suite itself gives to the server that it starts, as far as it means something to Perdure.
_LIMITS = {"limit.historyCount.suggestContinueAsNew": 50}

#: Not part of the list: they need third parties, the SDK's build, or a network.
_NOT_LISTED = ("tests/contrib", "tests/bridge", "tests/test_type_errors.py", "tests/worker/test_extstore.py")

_PYTEST = ("-q", "--timeout", "90", "-p", "no:pretty", "-n", "2", "--dist", "loadfile")


def dev(port: int, directory: Path) -> list[str]:
    limits = [f"{name}={value}" for name, value in _LIMITS.items()]
    return [
        *perdure_command(port, directory),
        *(flag for limit in limits for flag in ("--dynamic-config-value", limit)),
    ]


def cluster(port: int, directory: Path) -> list[str]:
    # The suite starts faster than a tenant may, unless told otherwise.
    limits = {"PERDURE_LIMITS": _LIMITS, "PERDURE_NAMESPACE_LIMITS": asdict(DEVELOPMENT)}
    environment = [f"{name}={json.dumps(value)}" for name, value in limits.items()]
    return ["env", *environment, sys.executable, "-m", "perdure.infra.local", "--port", str(port)]


SERVERS: dict[str, Command] = {"dev": dev, "cluster": cluster}


def run(server: Command, checkout: Path, interpreter: Path, report: Path, tests: Iterable[str]) -> None:
    """Run tests of the suite; `report` becomes their JUnit report."""
    ignored = [option for path in _NOT_LISTED for option in ("--ignore", path)]
    with running("perdure", server) as served:
        pytest = [
            str(interpreter),
            "-m",
            "pytest",
            "-E",
            served.address,
            *(list(tests) or ["tests"]),
            *ignored,
            *_PYTEST,
        ]
        subprocess.run([*pytest, f"--junitxml={report}"], cwd=checkout, check=False)


def outcomes(report: Path) -> dict[str, str]:
    """Why each test of a JUnit report did not pass; empty if it did."""
    reasons: dict[str, str] = {}
    for case in ET.parse(report).getroot().iter("testcase"):
        verdicts = [child for child in case if child.tag in ("failure", "error", "skipped")]
        reason = f"{verdicts[0].tag}: {verdicts[0].get('message', '')}".splitlines()[0] if verdicts else ""
        reasons[f"{case.get('classname')}::{case.get('name')}"] = reason
    return reasons


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("list", type=Path)
    parser.add_argument("checkout", type=Path)
    parser.add_argument("tests", nargs="*", help="files of the suite; all that the list draws on by default")
    parser.add_argument("--python", type=Path, default=Path(sys.executable))
    parser.add_argument("--server", choices=SERVERS, default="dev")
    parser.add_argument("--at-least", type=int, default=0, help="fail if fewer of the listed tests pass")
    arguments = parser.parse_intermixed_args()
    with tempfile.TemporaryDirectory(prefix="perdure-suite-") as directory:
        report = Path(directory, "report.xml")
        run(SERVERS[arguments.server], arguments.checkout, arguments.python, report, arguments.tests)
        reasons = outcomes(report)
    listed = arguments.list.read_text(encoding="utf-8").splitlines()
    for name in listed:
        if reason := reasons.get(name, "not run"):
            print(f"{name}  {reason[:160]}")
    passed = sum(reasons.get(name) == "" for name in listed)
    print(f"{passed} of {len(listed)} pass")
    sys.exit(passed < arguments.at_least)


if __name__ == "__main__":
    main()
