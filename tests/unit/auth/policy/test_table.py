"""The table itself: it knows every RPC, is at one with itself, and means what casbin says it means."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from google.protobuf.descriptor import Descriptor
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from temporalio.api.common.v1 import Payload

from perdure.api.services import CLOUD_SERVICE
from perdure.auth.policy import page, table
from perdure.auth.policy.decisions import Policy
from perdure.auth.policy.grants import Grants, KeyScope, Permission, Target
from perdure.auth.policy.table import PolicyError
from tests.unit.auth.policy.services import DATA_PLANE_RPCS, METHODS, OPERATOR, POLICY, RPCS, SERVICES, WORKFLOW

ROOT = Path(__file__).parents[4]
TABLE = table.packaged("policy.csv")


def policy_of(text: str) -> Policy:
    return Policy(table.read(text))


def edited(old: str, new: str) -> str:
    assert TABLE.count(old) == 1
    return TABLE.replace(old, new)


def test_the_page_says_what_the_table_says() -> None:
    assert (ROOT / "docs" / "permissions.md").read_text() == page.page(POLICY.rules), (
        "python -m perdure.auth.policy.page > docs/permissions.md"
    )


def test_every_rpc_has_a_row_and_every_row_an_rpc() -> None:
    POLICY.verify(SERVICES)
    assert POLICY.rpcs.keys() == set(RPCS)


def test_an_rpc_without_a_row_is_named() -> None:
    policy = policy_of(edited("g2, CloudService.UpdateApiKey,", "g2, CloudService.UpdateApiKeys,"))
    with pytest.raises(PolicyError, match=r"\.UpdateApiKey has no row; .*\.UpdateApiKeys does not exist"):
        policy.verify([CLOUD_SERVICE])
    policy.verify([WORKFLOW, OPERATOR])


def test_a_service_that_grows_is_noticed() -> None:
    file = FileDescriptorProto()
    WORKFLOW.file.CopyToProto(file)
    grown = FileDescriptorProto(name="grown.proto", package=file.package, dependency=file.dependency)
    grown.message_type.extend(file.message_type)
    service = grown.service.add(name=WORKFLOW.name)
    service.method.extend(method for method in file.service[0].method)
    service.method.add(
        name="MindControl", input_type=service.method[0].input_type, output_type=service.method[0].output_type
    )
    pool = DescriptorPool()

    def add(descriptor: object) -> None:
        for dependency in descriptor.dependencies:  # type: ignore[attr-defined]
            add(dependency)
        pool.AddSerializedFile(descriptor.serialized_pb)  # type: ignore[attr-defined]

    for dependency in WORKFLOW.file.dependencies:
        add(dependency)
    pool.AddSerializedFile(grown.SerializeToString())
    with pytest.raises(PolicyError, match=r"WorkflowService\.MindControl has no row$"):
        POLICY.verify([pool.FindServiceByName(WORKFLOW.full_name)])


GET_USAGE = "p, account role Global Admin,    usage.read,              always"


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("p, account role Emperor,         usage.read,              always", "no subject 'account role Emperor'"),
        ("p, account role Global Admin,    usage.read,              on Mondays", "no condition 'on Mondays'"),
        ("p, account role Global Admin,    usage.write,             always", "no RPC belongs to the right usage.write"),
        ("p, account role Finance Admin,   usage.read,              always", "usage.read, always is there twice"),
        ("g2, CloudService.GetMoney,       money.read", "nobody has the right money.read"),
        ("g2, CloudService.GetUsage,       account.read", "CloudService.GetUsage is there twice"),
        ("g2, SecretService.GetUsage,      usage.read", "no service 'SecretService'"),
        ("p, nobody,                       execution.start,         always", "must not be open to nobody"),
        ("g, account role Reed,            account role Read", "no subject 'account role Reed'"),
        ("g3, account role Read,           namespace permission Raed", "no permission 'namespace permission Raed'"),
        ("p2, gardener, usage.read, whole", "no scope 'gardener'"),
        ("p2, worker, usage.read, halved", "no answer 'halved'"),
        ("p3, planet, cloud.usage.get, CloudService.GetUsage, always", "no kind of resources 'planet'"),
        ("p3, account, cloud.usage.query, WorkflowService.QueryWorkflow, always", "custom roles do not reach Workflow"),
        ("p3, account, cloud.money.get, CloudService.GetMoney, always", "CloudService.GetMoney belongs to no right"),
    ],
)
def test_a_table_at_odds_with_itself_is_refused(line: str, complaint: str) -> None:
    with pytest.raises(PolicyError, match=complaint):
        policy_of(edited(GET_USAGE, f"{GET_USAGE}\n{line}"))


@pytest.mark.parametrize(
    "line",
    [
        "p, account role Read",
        "p2, worker",
        "q, account role Read, usage.read, always",
        "g2, x",
        " ",
        "p, , usage.read, always",
    ],
)
def test_a_line_that_makes_no_sense_is_refused(line: str) -> None:
    with pytest.raises(PolicyError, match="makes no sense"):
        policy_of(edited(GET_USAGE, f"{GET_USAGE}\n{line}"))


def reaches(message: Descriptor, wanted: Descriptor, seen: set[str]) -> bool:
    if message.full_name == wanted.full_name:
        return True
    if message.full_name in seen:
        return False
    seen.add(message.full_name)
    return any(field.message_type and reaches(field.message_type, wanted, seen) for field in message.fields)


def test_whatever_a_reader_gets_with_payloads_is_stripped() -> None:
    answers = {method.full_name: method.output_type for method in METHODS}
    reached = POLICY.rules.scopes[KeyScope.READER]
    with_payloads = {rpc for rpc in reached if reaches(answers[rpc], Payload.DESCRIPTOR, set())}
    assert with_payloads <= POLICY.without_payloads(KeyScope.READER)
    assert len(with_payloads) > 10
    for scope in (KeyScope.FULL, KeyScope.WORKER, KeyScope.STARTER):
        assert not POLICY.without_payloads(scope)


@pytest.mark.parametrize("scope", KeyScope)
@pytest.mark.parametrize("permission", [None, *Permission])
def test_what_is_compiled_for_the_data_plane_is_what_is_decided(permission: Permission | None, scope: KeyScope) -> None:
    for operator in (False, True):
        grants = Grants("a1", frozenset(), {"n.a1": permission} if permission else {}, scope=scope, operator=operator)
        decided = {rpc for rpc in DATA_PLANE_RPCS if POLICY.decide(rpc, "me", grants, Target("a1", ("n.a1",))).allowed}
        compiled = POLICY.data_plane(permission, scope, operator=operator)
        assert compiled == decided
        assert compiled is POLICY.data_plane(permission, scope, operator=operator), "nothing is made for a call"


def test_the_embedded_server_does_not_pay_for_it() -> None:
    script = "import sys, perdure.infra.cli, perdure.infra.server; sys.exit('casbin' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], timeout=60, check=False).returncode == 0
