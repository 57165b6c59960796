"""Every request that the reference server refuses is refused by the gateway, in the same words."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.gateway import GatewayBench, running
from tests.wire.validation_cases import START, Case, cases

RECORDED = json.loads((Path(__file__).parent / "recorded" / "validation.json").read_text())


def test_every_case_is_recorded() -> None:
    assert {case.name for case in cases()} == RECORDED.keys()


@pytest.mark.parametrize("case", list(cases()), ids=lambda case: case.name)
async def test_refused_alike(case: Case) -> None:
    expected = RECORDED[case.name]
    bench = GatewayBench()
    async with running(bench) as client:
        answer = await client.call(case.rpc, case.fields)
    assert (answer.code, answer.message, list(answer.details)) == (
        expected["code"],
        expected["message"],
        expected["details"],
    )
    operations = [[status.code, status.message] for status in answer.operation_statuses()]
    assert operations == expected.get("operations", [])
    assert not bench.history.served
    assert not bench.matching.served


async def test_a_name_without_a_place_in_the_stores_is_refused() -> None:
    bench = GatewayBench()
    async with running(bench) as client:
        answers = [
            await client.call("StartWorkflowExecution", {**START, "workflowId": "a\0"}),
            await client.call("RegisterNamespace", {"namespace": "a\0"}),
            await client.call(
                "AddSearchAttributes", {"namespace": "default", "searchAttributes": {"a\0": "INDEXED_VALUE_TYPE_INT"}}
            ),
        ]
    assert {answer.code for answer in answers} == {"INVALID_ARGUMENT"}
    names = ["WorkflowId", "Namespace", "Search attribute name"]
    assert [answer.message for answer in answers] == [f"{name} must not contain the character NUL." for name in names]
