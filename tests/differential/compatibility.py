"""Makes docs/compatibility.md from a run of the scenarios:

COMPATIBILITY_PAGE=docs/compatibility.md python -m pytest tests/differential -n 2
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from google.protobuf.descriptor import ServiceDescriptor

from perdure.frontend.routes import SERVICES, Role
from perdure.infra.time_skipping.service import TEST_SERVICE
from tests.differential.known_differences import KNOWN_DIFFERENCES

#: The real server has them, and refuses them unless its operator says otherwise.
REFUSED_BY_BOTH = frozenset(
    {
        "FetchWorkerConfig",
        "UpdateWorkerConfig",
        "AddOrUpdateRemoteCluster",
        "DescribeDeployment",
        "ListDeployments",
        "GetDeploymentReachability",
        "GetCurrentDeployment",
        "SetCurrentDeployment",
        "UpdateWorkerBuildIdCompatibility",
        "GetWorkerBuildIdCompatibility",
        "GetWorkerTaskReachability",
        "UpdateWorkerVersioningRules",
        "GetWorkerVersioningRules",
        "ValidateWorkerDeploymentVersionComputeConfig",
    }
)

_INTRODUCTION = """\
# Compatibility

Every RPC of Temporal's public API, what Perdure does with it, and in how many scenarios its answers, and the histories
that come of it, were the same as those of the real development server ({version}). Made by a run of the scenarios:

```
COMPATIBILITY_PAGE=docs/compatibility.md python -m pytest tests/differential -n 2
```

A scenario runs on both servers at once, and everything that is answered is compared, errors with their details too.
TestService is served by `perdure dev --time-skipping` and held against the SDKs' own tests instead. What differs on
purpose or for now is at the end.
"""


class Outcome(NamedTuple):
    """Of one scenario: as `module.test`, of which RPCs the answers were compared, and whether they were the same."""

    scenario: str
    rpcs: Sequence[str]
    same: bool


def rows() -> Iterator[tuple[ServiceDescriptor, str, str]]:
    """Each RPC with its service, and what Perdure does with it."""
    for service, routes in SERVICES:
        for method in service.methods:
            served = routes[method.name].role is not Role.NOT_YET
            refused = method.name in REFUSED_BY_BOTH
            yield service, method.name, "refused, as there" if refused else "yes" if served else "not yet"
    for method in TEST_SERVICE.methods:
        yield TEST_SERVICE, method.name, "yes"


def page(outcomes: Sequence[Outcome], version: str) -> str:
    """The page, after a run in which the scenarios came out so."""
    same: defaultdict[str, int] = defaultdict(int)
    different: defaultdict[str, list[str]] = defaultdict(list)
    for outcome in outcomes:
        for rpc in outcome.rpcs:
            if outcome.same:
                same[rpc] += 1
            elif outcome.scenario in KNOWN_DIFFERENCES:
                different[rpc].append(outcome.scenario)
    lines, current = [_INTRODUCTION.format(version=version)], None
    for service, rpc, served in rows():
        if service is not current:
            current = service
            lines += [
                f"## {service.name}",
                "",
                "| RPC | implemented | scenarios | known differences |",
                "|---|---|---|---|",
            ]
        notes = ", ".join(_mark(each) for each in sorted(different[rpc]))
        lines.append(f"| {rpc} | {served} | {same[rpc] or ''} | {notes} |")
        if rpc == service.methods[-1].name:
            lines.append("")
    lines += ["## Known differences", ""]
    lines += [f"{_mark(scenario)}. `{scenario}`: {why}." for scenario, why in KNOWN_DIFFERENCES.items()]
    return "\n".join(lines) + "\n"


_MARKS: Mapping[str, str] = {scenario: str(number) for number, scenario in enumerate(KNOWN_DIFFERENCES, 1)}


def _mark(scenario: str) -> str:
    return _MARKS[scenario]
