"""The audit log: what is in it, and that nobody can change it unnoticed."""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from hashlib import sha256
from typing import Any

import pytest
from sqlalchemy import text

from perdure.api.audit import chain, records
from perdure.api.audit.refusals import LEFT_OUT, TOLD_AT_ONCE
from perdure.api.data import ControlDatabase
from perdure.api.data.database import LostRace
from perdure.api.founding import INSTALLATION
from perdure.api.protos import sign_on_pb2
from perdure.infra.tenancy import accounts
from perdure.kernel import errors
from perdure.kernel.clock import SECOND_NS
from perdure.kernel.ids import NamespaceId, NamespaceName
from perdure.kernel.namespace import DAY_NS, Namespace
from tests.support.control_plane import ControlBench, Owner, control_bench

NAMESPACE = {"name": "orders", "apiKeyAuth": {"enabled": True}}
#: Records that there are when an account was made with its first key.
FOUNDING = 2
MACHINE = {"name": "machine", "access": {"accountAccess": {"role": "ROLE_READ"}}}


async def _logs(bench: ControlBench, owner: Owner, **request: Any) -> Sequence[Any]:
    """Without what was there from the beginning."""
    found: list[Any] = []
    token = ""
    while True:
        page = await bench.call(owner.token, "GetAuditLogs", {**request, "pageToken": token})
        found += page.logs
        token = page.next_page_token
        if not token:
            return [record for record in found if record.principal.name != INSTALLATION.name]


async def _seal(bench: ControlBench) -> None:
    """What its own loop does, a little later."""
    while True:
        try:
            if not await chain.seal(bench.database):
                return
        except LostRace:
            continue


async def _alter(database: ControlDatabase, statement: str, **values: Any) -> None:
    """As somebody would who has got hold of the database."""
    async with database._engine.begin() as connection:
        await connection.execute(text(statement), values)


async def test_who_did_what_from_where(bench: ControlBench) -> None:
    owner = await bench.account()
    made = await bench.call_from("192.0.2.7", owner.token, "CreateServiceAccount", {"spec": MACHINE})
    (record,) = await _logs(bench, owner)
    assert (record.operation, record.status, record.x_forwarded_for) == ("CreateServiceAccount", "OK", "192.0.2.7")
    assert (record.principal.type, record.principal.id) == ("user", owner.user_id)
    assert record.principal.name == "owner@example.com"
    assert record.principal.api_key_id
    assert record.async_operation_id == made.async_operation.id
    assert record.raw_details["request"]["spec"]["name"] == "machine"
    assert record.raw_details["resource"]["id"] == made.service_account_id
    assert owner.token not in str(record)


async def test_a_change_says_what_was_there_before(bench: ControlBench) -> None:
    owner = await bench.account()
    made = await bench.done(owner.token, "CreateServiceAccount", {"spec": MACHINE})
    version = (
        await bench.call(owner.token, "GetServiceAccount", {"serviceAccountId": made.service_account_id})
    ).service_account.resource_version
    changed = {
        "serviceAccountId": made.service_account_id,
        "resourceVersion": version,
        "spec": {**MACHINE, "description": "a"},
    }
    await bench.done(owner.token, "UpdateServiceAccount", changed)
    record = (await _logs(bench, owner))[-1]
    assert "description" not in record.raw_details["before"]
    assert record.raw_details["request"]["spec"]["description"] == "a"


async def test_what_was_refused_is_told_too(bench: ControlBench) -> None:
    owner = await bench.account()
    _, token = await bench.service_account(owner, "ROLE_READ")
    with pytest.raises(errors.PermissionDenied):
        await bench.call(token, "CreateNamespace", {"spec": NAMESPACE})
    with pytest.raises(errors.InvalidArgument):
        await bench.call(owner.token, "CreateNamespace", {"spec": {"name": "?"}})
    with pytest.raises(errors.FailedPrecondition):
        sink = {"pubSubSink": {"serviceAccountId": "a", "topicName": "t", "gcpProjectId": "p"}, "name": "sink"}
        await bench.call(owner.token, "ValidateAccountAuditLogSink", {"spec": sink})
    denied, invalid, tried = (await _logs(bench, owner))[-3:]
    assert (denied.operation, denied.status, denied.principal.type) == ("CreateNamespaceAPI", "ERROR", "serviceaccount")
    assert denied.raw_details["error"]["code"] == "PERMISSION_DENIED"
    assert (invalid.status, invalid.raw_details["error"]["code"]) == ("ERROR", "INVALID_ARGUMENT")
    assert (tried.operation, tried.status) == ("ValidateAccountAuditLogSink", "ERROR")


@pytest.mark.parametrize(
    ("rpc", "request_of"),
    [
        ("CreateNamespace", lambda pem: {"spec": {**NAMESPACE, "mtlsAuth": {"acceptedClientCa": pem}}}),
        ("CreateNamespace", lambda pem: {"spec": {**NAMESPACE, "mtlsAuth": {"acceptedClientCaDeprecated": pem}}}),
        ("UpdateAccount", lambda pem: {"spec": {"metrics": {"acceptedClientCa": pem}}}),
    ],
)
async def test_a_private_key_that_was_refused_is_not_kept(
    bench: ControlBench, rpc: str, request_of: Callable[[str], dict[str, Any]]
) -> None:
    owner = await bench.account()
    key = base64.b64encode(b"-----BEGIN PRIVATE KEY-----\nMIGHAgEA\n-----END PRIVATE KEY-----\n").decode()
    with pytest.raises((errors.InvalidArgument, errors.FailedPrecondition)):
        await bench.call(owner.token, rpc, request_of(key))
    record = (await _logs(bench, owner))[-1]
    assert record.status == "ERROR"
    assert key not in str(record)
    assert "sha256:" in str(record)


def test_certificates_of_a_refused_provider_are_digests() -> None:
    request = sign_on_pb2.CreateSignOnConnectionRequest()
    request.spec.display_name = "acme"
    request.spec.saml.signing_certificates.append("-----BEGIN PRIVATE KEY-----")
    assert "PRIVATE" in str(records.details_of(request))
    refused = records.details_of(request, refused=True)
    assert refused["spec"]["displayName"] == "acme"
    digest = sha256(b"-----BEGIN PRIVATE KEY-----").hexdigest()
    assert refused["spec"]["saml"]["signingCertificates"] == [f"sha256:{digest}"]


async def test_refusals_do_not_fill_it(clocked_bench: ControlBench) -> None:
    bench = clocked_bench
    owner = await bench.account()

    async def refused(times: int) -> None:
        for _ in range(times):
            with pytest.raises(errors.InvalidArgument):
                await bench.call(owner.token, "CreateNamespace", {"spec": {"name": "?"}})
            await bench.pass_time(SECOND_NS // 10)

    await refused(TOLD_AT_ONCE * 2)
    told = await _logs(bench, owner)
    assert TOLD_AT_ONCE <= len(told) < TOLD_AT_ONCE * 1.5
    await bench.pass_time(SECOND_NS)
    await refused(1)
    left_out = [int(dict(record.raw_details).get(LEFT_OUT, 0)) for record in await _logs(bench, owner)]
    assert left_out[-1] > 0
    assert len(left_out) + sum(left_out) == TOLD_AT_ONCE * 2 + 1


async def test_a_repeated_request_is_told_once_and_reads_are_not(bench: ControlBench) -> None:
    owner = await bench.account()
    for _ in range(2):
        await bench.call(owner.token, "CreateServiceAccount", {"spec": MACHINE, "asyncOperationId": "once"})
        await bench.call(owner.token, "GetServiceAccounts")
    assert [record.operation for record in await _logs(bench, owner)] == ["CreateServiceAccount"]


async def test_the_log_is_paged_by_time_and_belongs_to_the_account(bench: ControlBench) -> None:
    owner, stranger = await bench.account(), await bench.account("stranger@example.com")
    for number in range(5):
        await bench.call(owner.token, "CreateServiceAccount", {"spec": {**MACHINE, "name": f"m{number}"}})
    everything = await _logs(bench, owner, pageSize=2)
    assert [record.raw_details["request"]["spec"]["name"] for record in everything] == [f"m{n}" for n in range(5)]
    times = [record.emit_time.ToNanoseconds() for record in everything]
    assert times == sorted(times)
    bounds = {
        "startTimeInclusive": everything[1].emit_time.ToJsonString(),
        "endTimeExclusive": everything[3].emit_time.ToJsonString(),
    }
    assert [record.log_id for record in await _logs(bench, owner, **bounds)] == [
        record.log_id for record in everything[1:3]
    ]
    assert not await _logs(bench, stranger)
    founded = (await bench.call(stranger.token, "GetAuditLogs")).logs
    assert [record.operation for record in founded] == ["CreateAccount", "CreateAPIKey"]
    assert stranger.token not in str(founded)
    with pytest.raises(errors.InvalidArgument, match="end_time_exclusive"):
        await bench.call(owner.token, "GetAuditLogs", {"endTimeExclusive": "2001-01-01T00:00:00Z"})


async def test_records_are_chained(bench: ControlBench) -> None:
    owner = await bench.account()
    for number in range(4):
        await bench.call(owner.token, "CreateServiceAccount", {"spec": {**MACHINE, "name": f"m{number}"}})
    await _seal(bench)
    report = await chain.verify(bench.database)
    assert report == (FOUNDING + 4, [])


@pytest.mark.parametrize(
    ("statement", "at"),
    [
        ("UPDATE audit_records SET record = replace(record, 'm0', 'm9') WHERE number = 3", 3),
        ("DELETE FROM audit_records WHERE number = 3", 3),
        ("DELETE FROM audit_records WHERE number = 4", 4),
        ("UPDATE audit_records SET emitted_at_ns = emitted_at_ns + 1 WHERE number = 2", 2),
        ("UPDATE audit_records SET number = CASE number WHEN 4 THEN 9 ELSE number END", 4),
        ("DELETE FROM audit_records WHERE number = 1", 1),
    ],
)
async def test_whoever_changes_the_log_is_found_out(bench: ControlBench, statement: str, at: int) -> None:
    owner = await bench.account()
    for number in range(2):
        await bench.call(owner.token, "CreateServiceAccount", {"spec": {**MACHINE, "name": f"m{number}"}})
    await _seal(bench)
    await _alter(bench.database, statement)
    report = await chain.verify(bench.database)
    assert [(each.account_id, each.number) for each in report.broken] == [(owner.account_id, at)]


async def test_records_that_change_places_are_found_out(bench: ControlBench) -> None:
    owner = await bench.account()
    for number in range(3):
        await bench.call(owner.token, "CreateServiceAccount", {"spec": {**MACHINE, "name": f"m{number}"}})
    await _seal(bench)
    for before, after in ((2, 99), (3, 2), (99, 3)):
        await _alter(
            bench.database,
            "UPDATE audit_records SET number = :after WHERE number = :before",
            before=before,
            after=after,
        )
    assert [each.number for each in (await chain.verify(bench.database)).broken] == [2]


async def test_what_is_removed_by_time_leaves_a_whole_chain(bench: ControlBench) -> None:
    owner = await bench.account()
    for number in range(3):
        await bench.call(owner.token, "CreateServiceAccount", {"spec": {**MACHINE, "name": f"m{number}"}})
    await _seal(bench)
    third = (await _logs(bench, owner))[2].emit_time.ToNanoseconds()
    assert await chain.forget(bench.database, third) == FOUNDING + 2
    assert await chain.forget(bench.database, third) == 0
    assert [record.raw_details["request"]["spec"]["name"] for record in await _logs(bench, owner)] == ["m2"]
    assert await chain.verify(bench.database) == (1, [])
    await bench.call(owner.token, "CreateServiceAccount", {"spec": {**MACHINE, "name": "m3"}})
    await _seal(bench)
    assert await chain.verify(bench.database) == (2, [])
    assert await chain.forget(bench.database, bench.runtime.clock.now_ns() + DAY_NS) == 2
    assert await chain.verify(bench.database) == (0, [])


async def test_what_came_to_nothing_later_is_told(bench: ControlBench) -> None:
    owner = await bench.account()
    name = NamespaceName(f"orders.{owner.account_id}")
    bench.namespaces.records[NamespaceId("another")] = Namespace(id=NamespaceId("another"), name=name)
    with pytest.raises(AssertionError, match="another namespace"):
        await bench.done(owner.token, "CreateNamespace", {"spec": NAMESPACE})
    asked, failed = await _logs(bench, owner)
    assert (asked.operation, asked.status, failed.operation, failed.status) == (
        "CreateNamespaceAPI",
        "OK",
        "CreateNamespaceAPI",
        "ERROR",
    )
    assert asked.async_operation_id == failed.async_operation_id
    assert failed.principal.id == owner.user_id


async def test_operators_look_at_the_whole_log(database_url: str) -> None:
    async with control_bench(database_url, still=True) as bench:
        owner = await bench.account()
        await _seal(bench)
        assert await accounts.verify_audit(database_url) == (FOUNDING, [])
        await _alter(bench.database, "DELETE FROM audit_records WHERE number = 2")
        assert await accounts.verify_audit(database_url) == (
            FOUNDING - 1,
            [(owner.account_id, 2, "records up to 2 are missing")],
        )


@pytest.mark.parametrize(
    "name",
    ["secret", "secretAccessKey", "clientSecret", "newPassword", "token", "deviceCode", "codeVerifier", "ticket"],
)
def test_what_sounds_secret_is_not_written(name: str) -> None:
    shown = records._without_secrets({"list": [{name: "x", "kept": "y"}], "deep": {name: "x"}})
    assert shown == {"list": [{"kept": "y"}], "deep": {}}
